"""--copy-others names the files that it does not copy, and pictures in memory are written to a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy import batch
from guetzpy.cli import app
from guetzpy.options import OptimizeOptions


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


def test_a_picture_that_cannot_be_written_costs_itself(tmp_path: Path, photo_array: np.ndarray) -> None:
    pictures = [("good.png", photo_array[:16, :16]), ("bad.jpg", b"broken")]
    results = list(batch.run(pictures, tmp_path / "out", OptimizeOptions(effort="fast")))
    good, bad = sorted(results, key=lambda result: result.status == "failed")
    assert (good.output, good.data) == (str(tmp_path / "out/good.jpg"), b"")
    assert (bad.status, bad.input, bad.output) == ("failed", "bad.jpg", None)
    assert "not an image" in (bad.error or "")
    assert os.listdir(tmp_path / "out") == ["good.jpg"]
