"""Writing safely: a file is there whole, old or new, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from pathlib import Path

__all__ = ["JPEG_SUFFIXES", "is_temporary", "write"]

#: Suffixes of names that results keep. MPO and JPS are JPEG files with a second view.
JPEG_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo", ".jps"}
)

_TEMPORARY = re.compile(r"\.guetzpy-[0-9a-f]{16}\.tmp")


def is_temporary(path: str | os.PathLike[str]) -> bool:
    """Return whether a name is one of :func:`write`'s temporaries, left by a killed run."""
    return _TEMPORARY.fullmatch(os.path.basename(path)) is not None


def write(
    path: str | os.PathLike[str],
    data: bytes,
    *,
    like: str | os.PathLike[str] | None = None,
    keep_times: bool = False,
    expected: os.stat_result | None = None,
) -> None:
    """Replace a file atomically.

    The data goes to a temporary beside it and to the disk, then takes its name. A symbolic link
    keeps pointing where it did; a device or pipe is written to.

    Parameters
    ----------
    path : path
        File to make or replace. Its folder must exist.
    data : bytes
        New contents.
    like : path, optional
        File whose mode and other attributes the new one takes; default: the one replaced.
    keep_times : bool
        Also take its access and modification times.
    expected : os.stat_result, optional
        State of ``path`` when it was read; if it changed since, nothing is written.

    Raises
    ------
    OSError
        Nothing was written, and ``path`` is as it was.
    """
    target = Path(os.path.realpath(path))  # a link keeps its place
    state = _stat(target)
    if state is not None and stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", os.fspath(path))
    if state is not None and not stat.S_ISREG(state.st_mode):
        target.write_bytes(data)  # /dev/null, a pipe: nothing to replace
        return
    model = Path(like) if like is not None else target
    temporary = target.parent / f".guetzpy-{secrets.token_hex(8)}.tmp"
    try:
        # 0o666: the user's umask decides, as for any new file (mkstemp would give 0600)
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
        )
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if like is not None or state is not None:
            _copy_attributes(model, temporary, keep_times)
        if expected is not None and not _same(expected, _stat(target)):
            raise OSError(errno.EBUSY, "changed while it was being read; left alone", os.fspath(path))
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, os.fspath(temporary)):
            error.filename = os.fspath(path)  # the name that the user knows
        raise
    _sync_directory(target.parent)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _same(before: os.stat_result, now: os.stat_result | None) -> bool:
    return now is not None and (before.st_size, before.st_mtime_ns) == (now.st_size, now.st_mtime_ns)


def _copy_attributes(model: Path, target: Path, keep_times: bool) -> None:
    state = model.stat()
    fresh = target.stat()
    if hasattr(os, "chown") and (state.st_uid, state.st_gid) != (fresh.st_uid, fresh.st_gid):
        try:
            os.chown(target, state.st_uid, state.st_gid)
        except PermissionError:
            pass  # only root gives files away; the writer owns it then
    shutil.copystat(model, target)  # mode, times, extended attributes where both sides have them
    if not keep_times:
        os.utime(target)


def _sync_directory(folder: Path) -> None:
    """Make the new name last through a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
