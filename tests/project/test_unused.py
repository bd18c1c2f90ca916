"""An option that has no effect is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy.cli import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((24, 16)).save("a.jpg")
    (tmp_path / "in").mkdir()
    Image.linear_gradient("L").resize((24, 16)).save("in/a.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["optimize", "a.jpg", "-n", "--threshold", "5"], "without --check"),
        (["optimize", "a.jpg", "--check", "-o", "out.jpg"], "-o has no effect"),
        (["optimize", "in", "-r", "--check", "--resume"], "--resume and --manifest"),
        (["transcode", "in", "-r", "-n", "--manifest", "m.sqlite"], "--resume and --manifest"),
        (["optimize", "a.jpg", "-n", "--max-bytes", "5000", "--strict"], "--strict has no effect"),
        (["optimize", "a.jpg", "-n", "--bpp", "9", "--min-saving", "0.05"], "--min-saving has no effect"),
        (["transcode", "a.jpg", "-n", "--include", "*.png"], "--include and --exclude"),
        (["transcode", "a.jpg", "-o", "out.jpg", "--copy-others"], "--copy-others has no effect"),
        (["transcode", "a.jpg", "-o", "out.jpg", "-j", "2"], "--jobs has no effect"),
        (["compare", "a.jpg", "a.jpg", "--metrics", "psnr", "--display", "standard_4k"], "--display"),
    ],
)
def test_what_has_no_effect_is_said(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == (3 if "--check" in arguments else 0), done.output
    assert words in done.stderr
    if arguments[0] != "compare":
        assert words not in CliRunner().invoke(app, [*arguments, "--quiet"]).stderr


def test_jobs_beside_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)  # so that no cluster is looked for
    arguments = ["transcode", "in", "-r", "-o", "out", "--dask", "tcp://127.0.0.1:1", "-j", "2"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "--jobs has no effect with --dask, whose workers process the files" in done.stderr
    assert 'guetzpy: --dask: Dask is missing: pip install "guetzpy[dask]"' in done.stderr
    assert not os.path.exists("out")


@pytest.mark.parametrize(
    "arguments",
    [
        ["optimize", "a.jpg", "-n"],
        ["optimize", "a.jpg", "--check", "--threshold", "7"],
        ["optimize", "a.jpg", "-n", "--min-saving", "0.1", "--strict", "-d", "2"],
        ["transcode", "in", "-r", "-j", "1", "-o", "out", "--resume", "--include", "*.jpg", "--copy-others"],
        ["compare", "a.jpg", "a.jpg", "--metrics", "cvvdp", "--display", "standard_4k"],
    ],
)
def test_nothing_is_said_of_what_has_an_effect(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == (3 if "--check" in arguments else 0), done.output
    assert "no effect" not in done.stderr
    assert "--display is" not in done.stderr
