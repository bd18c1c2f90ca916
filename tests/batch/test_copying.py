"""--copy-others names the files that it does not copy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy.cli import app


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_that_are_not_copied_are_named(tmp_path: Path) -> None:
    """Regression: at most three of them were named, and none in the results or the report."""
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "a.jpg")
    (folder / "real.txt").write_text("words")
    for number in range(5):
        (folder / f"{number}.txt").symlink_to(tmp_path / "nothing")
    arguments = ["transcode", "-r", str(folder), "-o", str(tmp_path / "out"), "--copy-others", "--json"]
    done = CliRunner().invoke(app, [*arguments, "-j", "1", "--report", str(tmp_path / "report.html")])
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(record["warnings"] == ["not copied: a link to nothing"] for record in records) == 5
    assert (tmp_path / "out/real.txt").exists()
    assert "not copied: a link to nothing" in done.stderr
    assert "not copied: a link to nothing" in (tmp_path / "report.html").read_text()
