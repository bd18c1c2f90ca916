"""Atomic writes: at any time the path has the complete old or the complete new contents."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl

__all__ = [
    "JPEG_SUFFIXES",
    "NOT_IN_PLACE",
    "check_below",
    "is_temporary",
    "is_within",
    "remove_temporaries",
    "write",
]

#: Suffixes of JPEG files; an output keeps such a suffix of its input. MPO and JPS are JPEG files with a
#: second view.
JPEG_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo", ".jps"}
)

#: Message for a file that --in-place does not replace, because its suffix would be wrong for a JPEG.
NOT_IN_PLACE = "not a JPEG; --in-place replaces JPEG files only (use -o)"

# Without file locks, another run may take the temporary file for one of a killed run and remove it.
_ATTEMPTS = 3

# Bytes of an open file that are copied at a time.
_PIECE = 1 << 20

_TEMPORARY = re.compile(r"\.guetzpy-[0-9a-f]{16}\.tmp")


def is_temporary(path: str | os.PathLike[str]) -> bool:
    """Return whether a name has the form of the temporary files that :func:`write` makes."""
    return _TEMPORARY.fullmatch(os.path.basename(path)) is not None


def write(
    path: str | os.PathLike[str],
    data: bytes | BinaryIO,
    *,
    like: str | os.PathLike[str] | None = None,
    keep_times: bool = False,
    expected: os.stat_result | None = None,
) -> None:
    """Replace a file atomically.

    The data is written to a temporary file in the same folder, synchronised to the disk, and renamed. If
    ``path`` is a symbolic link, its target is replaced. If it is a device or pipe, the data is written to it.

    Parameters
    ----------
    path : path
        File to create or replace. Its folder must exist.
    data : bytes or binary file
        New contents. A file is copied from its start, in pieces.
    like : path, optional
        File whose mode, owner and extended attributes the new file takes. Default: the replaced file.
    keep_times : bool
        Whether the new file also takes the access and modification times.
    expected : os.stat_result, optional
        Status of ``path`` when it was read. If the file was changed since, OSError is raised.

    Raises
    ------
    OSError
        The file cannot be written, or was changed since ``expected``. ``path`` is unchanged.
    """
    state = _stat(Path(path))
    if state is not None and stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", os.fspath(path))
    if state is not None and not stat.S_ISREG(state.st_mode):
        # /dev/null, a pipe. The link /dev/stdout names no path if it leads to a pipe, so it is opened itself.
        Path(path).write_bytes(data if isinstance(data, bytes) else data.read())
        return
    target = Path(os.path.realpath(path))  # replace the target of a link, not the link
    for attempt in range(_ATTEMPTS):
        if _replace(target, data, path, state, like, keep_times, expected, last=attempt == _ATTEMPTS - 1):
            break
    _sync_directory(target.parent)


def _replace(
    target: Path,
    data: bytes | BinaryIO,
    path: str | os.PathLike[str],
    state: os.stat_result | None,
    like: str | os.PathLike[str] | None,
    keep_times: bool,
    expected: os.stat_result | None,
    last: bool,
) -> bool:
    """Write the temporary file and rename it. Return False if another program removed it meanwhile."""
    temporary = target.parent / f".guetzpy-{secrets.token_hex(8)}.tmp"
    in_use = None
    try:
        # 0o666: the user's umask determines the mode, as for any new file (mkstemp uses 0o600)
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
        )
        with os.fdopen(descriptor, "wb") as stream:
            in_use = _mark_in_use(temporary)
            if isinstance(data, bytes):
                stream.write(data)
            else:
                data.seek(0)
                shutil.copyfileobj(data, stream, _PIECE)
            stream.flush()
            os.fsync(stream.fileno())
        if like is not None or state is not None:
            _copy_attributes(Path(like) if like is not None else target, temporary, keep_times)
        if expected is not None and not _same(expected, _stat(target)):
            raise OSError(errno.EBUSY, "changed while it was being read; not replaced", os.fspath(path))
        os.replace(temporary, target)
    except BaseException as error:
        if isinstance(error, FileNotFoundError) and not last and _is_gone(temporary):
            return False
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, os.fspath(temporary)):
            error.filename = os.fspath(path)  # the caller does not know the temporary file
        raise
    finally:
        if in_use is not None:
            os.close(in_use)
    return True


def _is_gone(temporary: Path) -> bool:
    return temporary.parent.is_dir() and not os.path.lexists(temporary)


def is_within(place: str, root: str) -> bool:
    """Return whether the real path ``place`` is the folder ``root`` or lies below it."""
    return place == root or place.startswith(root.rstrip(os.sep) + os.sep)


def check_below(name: str, root: str) -> None:
    """Raise OSError unless a local file can be created or replaced without leaving a folder through links.

    Parameters
    ----------
    name : str
        The file. Its folder may not exist yet.
    root : str
        The folder. It may be a link itself.

    Raises
    ------
    OSError
        ``root`` does not exist; or a folder of ``name`` is a link that leads out of ``root``; or ``name``
        exists and is a link, a folder, a device or a pipe.
    """
    real = os.path.realpath(root)
    if not os.path.isdir(real):
        raise FileNotFoundError(errno.ENOENT, "the folder of the results is gone", root)
    folder = os.path.dirname(name)
    goal = os.path.realpath(folder)
    if not is_within(goal, real):
        words = f"leads out of {root} by a link, to {goal}; nothing is written there"
        raise OSError(errno.EPERM, words, folder)
    try:
        mode = os.lstat(name).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise OSError(errno.EEXIST, "is a link; nothing is written through it", name)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "is not a regular file; nothing is written there", name)


def remove_temporaries(folder: str | os.PathLike[str]) -> int:
    """Remove the temporary files that killed runs left in a folder.

    Temporary files of running processes, on this or another machine, are locked and are not removed. If the
    file system or the platform has no locks, none is removed. Subfolders are not searched.

    Returns
    -------
    int
        The number of files that were removed.
    """
    if fcntl is None:
        return 0
    removed = 0
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if is_temporary(entry.name)]
    except OSError:
        return 0
    for path in found:
        with suppress(OSError):
            removed += _remove_unused(path)
    return removed


def _remove_unused(path: str) -> bool:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return False
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, os.O_RDWR | flags)  # an exclusive lock on NFS needs write access
    except PermissionError:
        descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)
    return True


def _mark_in_use(temporary: Path) -> int | None:
    """Lock a temporary file. Return the descriptor that holds the lock; None on platforms without locks."""
    if fcntl is None:
        return None
    # The lock needs its own descriptor, since the one for writing is closed before the times are set.
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # no locks; or another run is removing the file, in which case the rename fails
        pass
    return descriptor


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
    if hasattr(os, "chown"):
        _copy_owner(state, fresh, target)
    shutil.copystat(model, target)  # mode, times, and extended attributes if both file systems have them
    if not keep_times:
        os.utime(target)


def _copy_owner(wanted: os.stat_result, found: os.stat_result, target: Path) -> None:
    """Set the owner and group of a file as far as the system permits: only root can change the owner."""
    for user, group in ((wanted.st_uid, wanted.st_gid), (found.st_uid, wanted.st_gid)):
        if (user, group) == (found.st_uid, found.st_gid):
            return
        try:
            os.chown(target, user, group)
        except OSError:  # not permitted, or a file system without owners
            continue
        return


def _sync_directory(folder: Path) -> None:
    """Synchronise a folder to the disk if the system can, so that the rename survives a power failure."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open folders
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
