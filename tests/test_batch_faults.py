"""Faults that cost a folder run one file, or end it with one line."""

from __future__ import annotations

import errno
import multiprocessing.synchronize
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from PIL import features
from typer.testing import CliRunner

import guetzpy
from guetzpy.batch import pool, runner
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


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "No such file or directory"), ImportError()]
)
def test_without_semaphores_the_run_ends_with_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As where /dev/shm is missing."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(runner, "Processes", pool.Processes)
    fake = types.SimpleNamespace(SemLock=refuse)
    monkeypatch.setattr(multiprocessing.synchronize, "_multiprocessing", fake)
    (place / "in/a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    result = run("transcode", "in", "-r", "-o", "out")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "worker processes cannot be started" in result.stderr
    assert "/dev/shm" in result.stderr


def test_too_many_files_open_is_not_blamed_on_semaphores() -> None:
    with pytest.raises(OSError, match="cannot be started: Too many open files") as caught, pool._explaining():
        raise OSError(errno.EMFILE, "Too many open files")
    assert "/dev/shm" not in str(caught.value)


def test_kernels_that_cannot_be_compiled_in_processes_are_left_to_the_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.ENOENT, "No such file or directory")

    monkeypatch.undo()
    monkeypatch.setattr(runner._jit, "is_cold", lambda: True)
    monkeypatch.setattr(runner.api, "warmup", refuse)
    runner._warm(guetzpy.OptimizeOptions())
