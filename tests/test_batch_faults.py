"""Faults that cost a folder run one file, or end it with one line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import features
from typer.testing import CliRunner

from guetzpy.batch import runner
from guetzpy.cli import app, folder

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
JPEG_XL = b"\xff\x0a\xfa\x1f" + bytes(40)
RAW = b"FUJIFILMCCD-RAW 0201" + bytes(40)
AVIF = b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf" + bytes(40)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner._Threads(count))
    monkeypatch.setattr(runner, "_warm", lambda _: None)
    monkeypatch.setattr(folder, "compile_if_cold", lambda _: None)
    (tmp_path / "in").mkdir()
    return tmp_path


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize(
    ("data", "module", "extra"),
    [
        (HEIC, "pillow_heif", "heic"),
        (JPEG_XL, "pillow_jxl", "jxl"),
        (RAW, "rawpy", "raw"),
        (AVIF, "", "avif"),
    ],
)
def test_missing_extra_fails_as_for_a_single_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)
    monkeypatch.setattr(features, "check", lambda name: False)
    (place / "in/a.bin").write_bytes(data)
    single = run("optimize", "in/a.bin", "-o", "a.jpg")
    batch = run("optimize", "in", "-r", "-o", "out")
    assert (single.exit_code, batch.exit_code) == (1, 1)
    (line,) = [line for line in batch.stderr.splitlines() if "a.bin" in line]
    assert line in single.stderr.splitlines()
    assert f"pip install guetzpy[{extra}]" in line
    assert [path.name for path in (place / "out").iterdir()] == [".guetzpy.sqlite"]
