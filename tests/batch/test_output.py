"""Atomic writes: a file is always complete, old or new."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from guetzpy.output import is_temporary, remove_temporaries, write
from guetzpy.result import Result

ROOT = str(Path(__file__).parents[2])

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_new_file(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", b"new")
    assert (tmp_path / "a.jpg").read_bytes() == b"new"
    assert names(tmp_path) == {"a.jpg"}


def test_contents_of_an_open_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 5000)
    with source.open("rb") as stream:
        stream.seek(100)
        write(tmp_path / "a", stream)
    assert (tmp_path / "a").read_bytes() == source.read_bytes()
    assert names(tmp_path) == {"a", "source"}


@posix
def test_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write(tmp_path / "a.jpg", b"new")
    assert (tmp_path / "a.jpg").stat().st_mode == (tmp_path / "plain").stat().st_mode


@posix
def test_replaced_file_keeps_its_mode_and_times_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_100_000_000))
    write(path, b"newer", keep_times=True)
    state = path.stat()
    assert (path.read_bytes(), stat.S_IMODE(state.st_mode)) == (b"newer", 0o640)
    assert state.st_mtime == 1_100_000_000
    write(path, b"newest")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_mtime > 1_600_000_000


@posix
def test_like_another_file(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"")
    model.chmod(0o604)
    os.utime(model, (1_000_000_000, 1_000_000_000))
    write(tmp_path / "a.jpg", b"new", like=model, keep_times=True)
    state = (tmp_path / "a.jpg").stat()
    assert (stat.S_IMODE(state.st_mode), state.st_mtime) == (0o604, 1_000_000_000)


@posix
def test_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.jpg"
    target.write_bytes(b"old")
    link = tmp_path / "link.jpg"
    link.symlink_to(target)
    write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(tmp_path / "real") == {"a.jpg"}


@posix
def test_device_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"new")
    reader.join(10)
    assert got == [b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="/dev/fd names open files")
def test_open_pipe_is_written_to_by_its_name() -> None:
    """Regression: /dev/stdout in a pipeline, and bash's >(...), lead to pipes that have no path."""
    reading, writing = os.pipe()
    try:
        write(f"/dev/fd/{writing}", b"through a pipe")
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert stream.read() == b"through a pipe"


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write(tmp_path, b"new")


def test_missing_folder_names_the_file_as_given(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "a.jpg"
    with pytest.raises(FileNotFoundError) as caught:
        write(path, b"new")
    assert caught.value.filename == str(path)


def test_changed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    seen = path.stat()
    path.write_bytes(b"someone else's")
    with pytest.raises(OSError, match="changed while it was being read"):
        write(path, b"new", expected=seen)
    assert path.read_bytes() == b"someone else's"
    path.unlink()
    with pytest.raises(OSError, match="changed while it was being read"):
        write(path, b"new", expected=seen)
    assert names(tmp_path) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_write_that_fails_half_way(tmp_path: Path) -> None:
    """The system refuses to write more after some bytes, as on a full disk."""
    import resource

    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            write(path, bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a.jpg"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failure_of_any_step_leaves_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(KeyboardInterrupt):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a.jpg"}


def test_long_names_have_room_for_the_temporary(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".jpg")
    write(path, b"new")
    assert path.read_bytes() == b"new"


def test_temporaries_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    replace = os.replace

    def spy(source: Path, target: Path) -> None:
        seen.append(os.fspath(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    write(tmp_path / "a.jpg", b"new")
    assert is_temporary(seen[0])
    assert not is_temporary(tmp_path / "a.jpg")
    assert not is_temporary(".guetzpy-notes.tmp")


NAME = ".guetzpy-0123456789abcdef.tmp"


@posix
def test_temporaries_of_killed_runs_are_removed(tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom guetzpy import output\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\noutput.write('a.jpg', b'new')\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT})
    assert len(names(tmp_path)) == 2
    assert remove_temporaries(tmp_path) == 2
    assert names(tmp_path) == set()
    assert remove_temporaries(tmp_path / "nowhere") == 0


@posix
def test_only_files_that_are_temporaries_are_removed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / NAME).symlink_to("victim")
    (tmp_path / ".guetzpy-0123456789abcde.tmp").touch()
    (tmp_path / ".guetzpy-0123456789abcdef.tmp.jpg").touch()
    (tmp_path / ".guetzpy-1123456789abcdef.tmp").mkdir()
    os.mkfifo(tmp_path / ".guetzpy-2123456789abcdef.tmp")
    before = names(tmp_path)
    assert remove_temporaries(tmp_path) == 0
    assert names(tmp_path) == before
    (tmp_path / NAME.replace("0", "3")).touch(mode=0o400)
    assert remove_temporaries(tmp_path) == 1


@posix
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_temporary_in_use_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    real = getattr(os, step)
    removed = []

    def inspect_step(*arguments: Any) -> None:
        if not removed:
            removed.append(remove_temporaries(tmp_path))
        real(*arguments)

    monkeypatch.setattr(os, step, inspect_step)
    write(tmp_path / "a.jpg", b"new")
    assert removed == [0]
    assert (tmp_path / "a.jpg").read_bytes() == b"new"
    assert names(tmp_path) == {"a.jpg"}


@posix
def test_temporary_that_another_program_removes_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = os.fsync, 0

    def remove(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == 1:
            for path in tmp_path.glob(".guetzpy-*"):
                path.unlink()
        real(descriptor)

    path = tmp_path / "a.jpg"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", remove)
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == {"a.jpg"}


def test_result_saves_and_describes_itself(tmp_path: Path) -> None:
    result = Result(data=b"data", status="optimized", bytes_before=8, bytes_after=4, ssimulacra2=float("nan"))
    result.save(tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == b"data"
    record = result.to_dict()
    assert "data" not in record
    assert record["ssimulacra2"] is None
    assert result.saving == 0.5
    assert Result(status="failed").saving is None
