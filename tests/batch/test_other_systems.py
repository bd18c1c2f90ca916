"""Files, folders and memory of other systems: without locks, without /proc, with other user folders."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from guetzpy import batch, output
from guetzpy.batch import discover, manifest_place, memory
from guetzpy.options import TranscodeOptions

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX files")
TEMPORARY = f".guetzpy-{'0' * 16}.tmp"


def test_a_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No temporary file is removed there, since another run may be writing it."""
    monkeypatch.setattr(output, "fcntl", None)
    (tmp_path / TEMPORARY).touch()
    output.write(tmp_path / "a.jpg", b"new")
    assert (tmp_path / "a.jpg").read_bytes() == b"new"
    assert output.remove_temporaries(tmp_path) == 0
    assert (tmp_path / TEMPORARY).exists()


@posix
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(output.fcntl, "flock", refuse)
    (tmp_path / TEMPORARY).touch()
    output.write(tmp_path / "a.jpg", b"new")
    assert (tmp_path / "a.jpg").read_bytes() == b"new"
    assert output.remove_temporaries(tmp_path) == 0


@posix
@pytest.mark.parametrize("fails", ["open", "fsync"])
def test_folders_that_cannot_be_synchronised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Windows opens no folders, and some network file systems do not synchronise them."""
    real: Any = getattr(os, fails)
    refused = []

    def refuse_folders(what: Any, *rest: Any) -> Any:
        if stat.S_ISDIR(os.stat(what).st_mode):
            refused.append(what)
            raise OSError(22, "Invalid argument")
        return real(what, *rest)

    output.write(tmp_path / "a.jpg", b"old")
    with monkeypatch.context() as patched:
        if fails == "open":
            patched.setattr(
                os,
                "open",
                lambda path, *rest: (
                    refuse_folders(path, *rest) if os.path.exists(path) else real(path, *rest)
                ),
            )
        else:
            patched.setattr(os, fails, refuse_folders)
        output.write(tmp_path / "a.jpg", b"new")
    assert refused
    assert (tmp_path / "a.jpg").read_bytes() == b"new"


@posix
def test_a_temporary_file_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def readers_only(path: Any, flags: int, *rest: Any) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *rest)

    (tmp_path / TEMPORARY).touch()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", readers_only)
        assert output.remove_temporaries(tmp_path) == 1
    assert not (tmp_path / TEMPORARY).exists()


@pytest.mark.parametrize(
    ("platform", "below"),
    [("win32", "local"), ("darwin", "Library/Application Support"), ("linux", ".local/state")],
)
def test_folders_of_the_users_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, below: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os.path, "expanduser", lambda path: str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert manifest_place.state_folder() == tmp_path / below / "guetzpy"


@pytest.mark.parametrize(
    ("files", "pages", "expected"),
    [
        ({"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 5000 kB\n", "memory.max": "max\n"}, 0, 5_120_000),
        (
            {"/proc/meminfo": "MemAvailable: 5000 kB\n", "memory.max": "4000\n", "memory.current": "1000\n"},
            0,
            3000,
        ),
        ({}, 1000, 1000 * 4096 // 2),
        ({}, None, None),
    ],
)
def test_available_memory(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], pages: int | None, expected: int | None
) -> None:
    def read_text(path: Path) -> str:
        for name, text in files.items():
            if str(path).endswith(name):
                return text
        raise FileNotFoundError(path)

    def sysconf(name: str) -> int:
        if pages is None:
            raise ValueError(name)
        return 4096 if name == "SC_PAGE_SIZE" else pages

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "sysconf", sysconf, raising=False)
    assert memory.available() == expected


def test_a_folder_whose_name_has_no_case() -> None:
    assert discover._ignores_case("/12/34") == (os.name == "nt")
    assert not discover._ignores_case("memory://in")


class _Bytes(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"in"


@pytest.mark.parametrize(
    ("sources", "wishes", "error", "words"),
    [
        ([], {}, ValueError, "no sources"),
        (["in"], {"manifest": "memory://x"}, ValueError, "a manifest is a local file"),
        (["in"], {"file_name": "a.jpg"}, ValueError, "file_name goes with a destination"),
        ([Path("in"), _Bytes()], {}, TypeError, "a path or URL as text, not bytes"),
        (["memory://in"], {"destination": "memory://in"}, ValueError, "is an input and the output"),
    ],
)
def test_sources_and_places_that_make_no_sense(
    sources: list[Any], wishes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        batch.run(sources, options=TranscodeOptions(), **wishes)
