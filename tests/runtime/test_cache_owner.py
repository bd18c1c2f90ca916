"""Compiled kernels are loaded only from folders that no other user can write to."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numba
import pytest

from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import kernel_cache as _cache

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "home"))
    _cache._warn_of.cache_clear()
    folder = tmp_path / "home" / "guetzpy"
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("above", "mode", "safe"),
    [
        (0o755, 0o700, True),
        (0o755, 0o755, True),
        (0o1777, 0o700, True),  # the mode of /tmp
        (0o775, 0o700, True),  # on many systems, each user has a group of their own
        (0o755, 0o770, False),
        (0o755, 0o702, False),
        (0o777, 0o700, False),
    ],
)
def test_who_else_may_write(above: int, mode: int, safe: bool, home: Path) -> None:
    home.chmod(mode)
    home.parent.chmod(above)
    if safe:
        assert _cache.cache_directory() == home
        return
    with pytest.warns(RuntimeWarning, match=f"{home.parent}.* can be written by other users.*chmod go-w"):
        assert _cache.cache_directory() is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not _cache.can_keep()  # the warning is given once
    _jit.prune_cache()
    assert home.is_dir()


def test_the_warning_commands_no_terminal(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = home.parent / "a\x1b[31m\n"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(odd))
    (odd / "guetzpy").mkdir(parents=True)
    (odd / "guetzpy").chmod(0o777)
    with pytest.warns(RuntimeWarning, match="can be written by other users") as seen:
        assert _cache.cache_directory() is None
    assert r"a\x1b[31m\n" in str(seen[0].message)
    assert "\x1b" not in str(seen[0].message)


@pytest.mark.parametrize("which", ["guetzpy", "home"])
def test_another_owner(which: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned = home if which == "guetzpy" else home.parent
    usual = Path.stat

    def stat(self: Path, **options: Any) -> os.stat_result:
        found = usual(self, **options)
        return os.stat_result((*found[:4], os.getuid() + 1 if self == owned else found[4], *found[5:]))

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.warns(RuntimeWarning, match=f"{owned} belongs to another user"):
        assert _cache.cache_directory() is None


def test_roots_folder_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container image may have kernels that root compiled when the image was built."""
    root = os.stat_result((0o40755, 0, 0, 2, 0, 0, 0, 0, 0, 0))
    assert _cache._objection(root) is None
    stranger = os.stat_result((0o40755, 0, 0, 2, os.getuid() + 1, 0, 0, 0, 0, 0))
    assert _cache._objection(stranger) == "belongs to another user"


def test_systems_without_owners_trust_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, the folder is in the user's profile."""
    anybody = os.stat_result((0o40777, 0, 0, 2, os.getuid() + 1, 0, 0, 0, 0, 0))
    assert _cache._objection(anybody) is not None
    monkeypatch.delattr(os, "getuid")
    assert _cache._objection(anybody) is None


def test_files_that_others_may_have_written(home: Path) -> None:
    files = _cache._KernelFiles(home / "guetzpy.module-0" / "kernel")
    old = os.umask(0o002)
    try:
        files.save("key", b"code")
    finally:
        os.umask(old)
    assert home.joinpath("guetzpy.module-0").stat().st_mode & 0o777 == 0o700
    assert files.load("key") == b"code"
    (path,) = home.joinpath("guetzpy.module-0").iterdir()
    path.chmod(0o666)
    with pytest.raises(PermissionError):
        files.load("key")
    path.chmod(0o600)
    assert files.load("key") == b"code"
    path.parent.chmod(0o777)
    for do in (lambda: files.load("key"), lambda: files.save("key", b"code")):
        with pytest.raises(PermissionError):
            do()


def test_the_files_of_a_kernel_are_removed_together(home: Path) -> None:
    one, other = (_cache._KernelFiles(home / "guetzpy.module-0" / name) for name in ("kernel", "other"))
    for files in (one, other):
        files.save("key", b"code")
    one.flush()
    with pytest.raises(FileNotFoundError):
        one.load("key")
    assert other.load("key") == b"code"
