"""Reading of input: limits of bytes and time, and kinds of sources."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reference.jpeg_files import picture

import guetzpy
from guetzpy import batch
from guetzpy.batch import storage
from guetzpy.errors import CancelledError, LimitError
from guetzpy.options import TranscodeOptions
from guetzpy.picture.reading import contents, read_limited

PHOTO = picture(64, 48)
pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")


def sparse(path: Path, size: int) -> Path:
    path.write_bytes(PHOTO)
    os.truncate(path, size)
    return path


class Endless(io.RawIOBase):
    """A stream that never ends and counts the bytes read from it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "asked for all of it"
        self.taken += size
        return bytes(size)


# Limits of bytes


@pytest.mark.parametrize("function", [guetzpy.optimize, guetzpy.transcode])
def test_longer_files_are_refused(function: Any, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    words = rf"{len(PHOTO)} bytes of input are more than the limit of 100: --max-input \(max_input\)"
    with path.open("rb") as stream:
        for source in (PHOTO, bytearray(PHOTO), path, str(path), io.BytesIO(PHOTO), stream):
            with pytest.raises(LimitError, match=words):
                function(source, max_input=100)
    assert function(PHOTO, max_input=len(PHOTO)).data
    with pytest.raises(LimitError, match=f"^{path}: "):
        function(path, max_input=100)
    with pytest.raises(ValueError, match="max_input 0"):
        function(PHOTO, max_input=0)


def test_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sparse(tmp_path / "photo.jpg", 3_000_000_000)
    monkeypatch.setattr("guetzpy.picture.reading.check_time", lambda: pytest.fail("read"))
    with pytest.raises(LimitError, match="3000000000 bytes of input are more than the limit of 2000000000"):
        guetzpy.optimize(path)
    with pytest.raises(LimitError, match=r"3000000000 bytes .* 50000000 bytes .* allowed by --max-memory"):
        guetzpy.optimize(path, max_input=4_000_000_000, max_memory=50_000_000)


def test_streams_end_at_the_limit() -> None:
    stream = Endless()
    with pytest.raises(LimitError, match="more than the limit of 10000000"):
        guetzpy.optimize(stream, max_input=10_000_000)
    assert stream.taken < 20_000_000
    with pytest.raises(LimitError, match="30000000 bytes of memory allowed by --max-memory"):
        guetzpy.optimize(Endless(), max_memory=30_000_000)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="/dev/zero")
def test_devices_end_at_the_limit() -> None:
    with pytest.raises(LimitError, match=r"/dev/zero: .* more than the limit of 10000000"):
        guetzpy.optimize("/dev/zero", max_input=10_000_000)


def test_what_is_read_is_all_there_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 40_000)
    data = path.read_bytes()
    assert contents(path) == (data, str(path))
    with path.open("rb") as stream:
        stream.seek(7)
        assert read_limited(stream) == data[7:]
    with path.open("rb", buffering=0) as raw:
        assert contents(raw) == (data, str(path))
    with pytest.raises(IsADirectoryError):
        contents(tmp_path)
    if os.path.exists("/proc/self/status"):  # a regular file whose size is 0 by its metadata
        assert contents("/proc/self/status")[0].startswith(b"Name:")


# Limits of time


@pipes
@pytest.mark.parametrize("function", [guetzpy.optimize, guetzpy.transcode])
def test_a_pipe_without_a_writer(function: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    with pytest.raises(LimitError, match=r"pipe: not done within 0\.3 s"):
        function(tmp_path / "pipe", timeout=0.3)
    assert time.monotonic() - began < 5


@pipes
def test_a_pipe_whose_writer_sleeps() -> None:
    reader, writer = os.pipe()
    os.write(writer, PHOTO)
    with open(reader, "rb") as stream:
        with pytest.raises(LimitError, match=r"not done within 0\.3 s"):
            guetzpy.transcode(stream, timeout=0.3)
    os.close(writer)


@pipes
@pytest.mark.parametrize("timeout", [None, 60.0])
def test_a_pipe_whose_writer_ends(timeout: float | None, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with open(path, "wb") as stream:
            stream.write(PHOTO[:100])
            stream.flush()
            time.sleep(0.1)
            stream.write(PHOTO[100:])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert guetzpy.transcode(path, timeout=timeout).bytes_before == len(PHOTO)
    finally:
        writer.join()


def test_a_slow_stream_of_python() -> None:
    class Slow(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            time.sleep(0.02)
            return b"\xff\xd8\xff"

    with pytest.raises(LimitError, match=r"not done within 0\.2 s"):
        guetzpy.optimize(Slow(), timeout=0.2)
    event = threading.Event()
    event.set()
    with pytest.raises(CancelledError):
        guetzpy.optimize(Slow(), cancel=event)


COMMAND = [sys.executable, "-m", "guetzpy", "transcode", "-o", os.devnull, "--quiet"]


@pipes
@pytest.mark.parametrize("option", [["--timeout", "0.5"], ["--max-input", "50000000"]])
def test_stdin_that_never_ends(option: list[str]) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen([*COMMAND, *option, "-"], stdin=reader, stderr=subprocess.PIPE, text=True)
    os.close(reader)
    try:
        while option[0] == "--max-input":
            os.write(writer, bytes(1 << 20))
    except BrokenPipeError:
        pass
    _, errors = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 1
    assert errors.startswith("guetzpy: stdin: ")
    assert ("not done within 0.5 s" if option[0] == "--timeout" else "more than the limit") in errors


# Folder runs read regular files only


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(PHOTO)
    os.mkfifo(folder / "b.jpg")
    here = os.getcwd()
    os.chdir(folder)  # socket names must be short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("c.jpg")
        os.chdir(here)
        os.symlink("/dev/zero", folder / "d.jpg")
        yield folder


@pipes
@pytest.mark.parametrize("named", [False, True])
def test_folder_runs_pass_over_what_is_no_file(strange: Path, named: bool, tmp_path: Path) -> None:
    names = [strange, *((strange / name for name in ("b.jpg", "c.jpg", "d.jpg")) if named else ())]
    with batch.run(names, tmp_path / "out", TranscodeOptions(), jobs=1, copy_others=True) as run:
        results = list(run)
    assert [Path(result.input or "").name for result in results if result.output] == ["a.jpg"]
    assert not [result for result in results if result.status == "failed"]
    assert all(result.warnings[0].startswith("not copied: ") for result in results if not result.output)
    reasons = {Path(other.input).name: other.reason for other in run.others}
    assert {reasons[name] for name in ("b.jpg", "c.jpg")} == {"not a regular file"}
    assert "d.jpg" in reasons


@pipes
def test_a_file_that_became_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    for do in (storage.read, storage.open_binary):
        with pytest.raises(OSError, match="not a regular file"):
            do(str(tmp_path / "a.jpg"))


def test_limits_on_input_hold_in_folder_runs(tmp_path: Path) -> None:
    sparse(tmp_path / "a.jpg", 3_000_000_000)
    for options in (TranscodeOptions(), TranscodeOptions(max_input=10**10, max_memory=10**8)):
        (result,) = batch.run(tmp_path, None, options, jobs=1)
        assert result.status == "failed"
        assert "3000000000 bytes of input" in str(result.error)
