"""Backups of files that are replaced in place, the record of them, and their restoration.

A backup folder holds the originals under their relative names, and in :data:`RECORDS` one file for each
process that made backups, with one JSON object a line. The line is written before the original is replaced,
so a run that is killed leaves no replaced file without a record.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

from guetzpy import output
from guetzpy.batch import storage
from guetzpy.errors import FormatError, GuetzpyError

__all__ = ["RECORDS", "Record", "Restored", "keep", "restore"]

#: Folder of the records, below the backup folder. Hidden folders are not searched for pictures.
RECORDS = ".guetzpy-backup"


@dataclass(frozen=True)
class Record:
    """A file that a run replaced.

    Attributes
    ----------
    original : str
        Real path of the file.
    backup : str
        Path of its backup, relative to the backup folder.
    before, after : str
        SHA-256 of the original and of the file that replaced it.
    time : float
        Seconds since 1970.
    """

    original: str
    backup: str
    before: str
    after: str
    time: float


@dataclass(frozen=True)
class Restored:
    """What :func:`restore` did with a file.

    Attributes
    ----------
    path : str
        The file.
    status : {"restored", "original", "changed", "failed"}
        "original": it is the original already. "changed": it was changed after the run, so it was not
        restored.
    words : str
        An explanation, except for "restored" without a remark.
    """

    path: str
    status: Literal["restored", "original", "changed", "failed"]
    words: str = ""


def keep(
    name: str,
    relative: str,
    data: bytes,
    replacement: bytes,
    folder: str,
    options: Mapping[str, Any] | None = None,
) -> Callable[[], None]:
    """Back up a file that is about to be replaced, under a name that is free.

    Parameters
    ----------
    name : str
        Path or URL of the file.
    relative : str
        Its name below ``folder``.
    data, replacement : bytes
        Its contents, and those that will replace them.
    folder : str
        Folder or URL of the backups. Without a local folder and a local file no record is written.
    options : mapping, optional
        Options for fsspec.

    Returns
    -------
    callable
        To be called if the file is then not replaced: it removes the record. It also removes the backup if
        that is a copy. A hard link stays, because another run may have taken it for its own backup.
    """
    wanted = storage.join(folder, relative)
    place = _free(wanted, options)
    if storage.is_url(place) or storage.is_url(name):
        storage.write(place, data, options)
        return lambda: None
    original = os.path.realpath(name)
    if place != wanted and _is_same(name, wanted):  # a killed run made this backup, but no record of it
        _note(folder, original, wanted, data, replacement)
        return partial(_withdraw, folder, None)
    os.makedirs(folder, exist_ok=True)
    output.check_below(place, folder)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    while (taken := _take(original, place, data)) is None:
        place = _free(wanted)
    copy = place if taken == "copied" else None
    try:
        _note(folder, original, place, data, replacement)
    except BaseException:
        if copy is not None:
            with suppress(OSError):
                os.unlink(copy)
        raise
    return partial(_withdraw, folder, copy)


def _take(original: str, place: str, data: bytes) -> Literal["linked", "copied"] | None:
    """Make a backup; return None if another process has made a file of this name meanwhile.

    Files of several folders may have the same name, and other processes back them up at the same time.
    """
    try:
        os.link(original, place)  # a hard link keeps all attributes; the output gets a new inode
    except FileExistsError:
        return None
    except OSError:  # another file system, or one without hard links
        return "copied" if _take_by_copy(original, place, data) else None
    return "linked"


def _take_by_copy(original: str, place: str, data: bytes) -> bool:
    try:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    try:
        output.write(place, data, like=original, keep_times=True)
    except BaseException:
        with suppress(OSError):
            os.unlink(place)
        raise
    return True


def _note(folder: str, original: str, place: str, data: bytes, replacement: bytes) -> None:
    """Append a record to the file of this process, and wait until it is on the disk."""
    backup = os.path.relpath(place, folder)
    record = Record(original, backup, _digest(data), _digest(replacement), time.time())
    os.makedirs(os.path.join(folder, RECORDS), exist_ok=True)
    with open(_own_records(folder), "a+b") as stream:
        _drop_incomplete_line(stream)
        stream.write(json.dumps(asdict(record)).encode("ascii") + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _own_records(folder: str) -> str:
    """Return the path of this process's file of records."""
    host = re.sub(r"[^\w-]", "-", platform.node())  # machines may share the folder
    return os.path.join(folder, RECORDS, f".{host}-{os.getpid()}.jsonl")


def _withdraw(folder: str, copy: str | None) -> None:
    """Remove the last record of this process, and the copy that it names. Errors are ignored.

    With another run's record of the same file, a record without its backup would hide the backup of that run.
    """
    with suppress(OSError):
        records = Path(_own_records(folder))
        left = b"".join(records.read_bytes().splitlines(keepends=True)[:-1])
        if left:
            os.truncate(records, len(left))
        else:
            records.unlink()
        if copy is not None:
            os.unlink(copy)


def _drop_incomplete_line(stream: BinaryIO) -> None:
    """Remove the last line of a file of records if it has no end, so that the next line is not damaged by it.

    A full disk leaves such a line, and so does a killed process, whose number a later one may have: in
    containers they have the same numbers every time.
    """
    end = stream.seek(0, os.SEEK_END)
    if not end:
        return
    stream.seek(end - 1)
    if stream.read(1) == b"\n":
        return
    stream.seek(0)
    stream.truncate(stream.read().rfind(b"\n") + 1)
    stream.seek(0, os.SEEK_END)


def _is_same(name: str, other: str) -> bool:
    try:
        return os.path.samefile(name, other)
    except OSError:  # other is a broken link
        return False


def _free(place: str, options: Mapping[str, Any] | None = None) -> str:
    candidate, count = place, 0
    while storage.exists(candidate, options):
        count += 1
        candidate = f"{place}.{count}"
    return candidate


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def restore(
    folder: str | os.PathLike[str],
    *,
    force: bool = False,
    write: bool = True,
    note: Callable[[str], object] = lambda words: None,
) -> Iterator[Restored]:
    """Put the originals of a backup folder back in their places.

    A file is replaced only if it is what guetzpy wrote, and only by a backup with the recorded digest. If
    several runs replaced a file, it becomes what it was before the first of them. If it was changed between
    two runs, it becomes what it was after that change. Backups are not removed.

    Parameters
    ----------
    folder : path
        The folder that ``backup`` named.
    force : bool
        Whether files that were changed since are replaced too. Their contents are first kept in the backup
        folder, with ``.replaced`` at the end of the name.
    write : bool
        Whether files are written. If False, the results say what would be done.
    note : callable, optional
        Called with one line of text for each file of records whose last line is incomplete. That line is
        ignored.

    Yields
    ------
    Restored
        One for each file, in the order of names.

    Raises
    ------
    GuetzpyError
        The folder has no records, or they are damaged.
    """
    root = os.fspath(folder)
    by_file: dict[str, list[Record]] = {}
    for record in sorted(_records(root, note), key=lambda one: one.time):
        by_file.setdefault(record.original, []).append(record)
    for original, records in sorted(by_file.items()):
        try:
            yield _restore(root, original, records, force, write)
        except (OSError, ValueError, GuetzpyError) as error:  # ValueError: a name that no file can have
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            yield Restored(original, "failed", words)


def _records(root: str, note: Callable[[str], object]) -> Iterator[Record]:
    if storage.is_url(root):
        raise GuetzpyError(f"{root}: backups at URLs have no record; copy them back by hand")
    files = sorted(Path(root, RECORDS).glob("*.jsonl"))
    if not files:
        raise GuetzpyError(f"{root}: holds no record of a run with --backup; name the folder that it named")
    found = False
    for path in files:
        lines = path.read_text("ascii", "replace").splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                record = _record(line)
            except (TypeError, ValueError, RecursionError) as error:
                # A run that was killed may have left the beginning of its last line.
                if number < len(lines) or line.endswith("\n") or not isinstance(error, ValueError):
                    raise GuetzpyError(
                        f"{path}: line {number} is damaged; copy the backups by hand"
                    ) from None
                note(f"{path}: line {number} is cut short, as a killed run leaves it; it is ignored")
            else:
                found = True
                yield record
    if not found:
        raise GuetzpyError(f"{files[0]}: holds no complete line; copy the backups by hand")


def _record(line: str) -> Record:
    record = Record(**json.loads(line))
    for name, value in asdict(record).items():
        if not isinstance(value, float if name == "time" else str):
            raise TypeError(name)
    return record


def _restore(root: str, original: str, records: list[Record], force: bool, write: bool) -> Restored:
    if os.path.realpath(original) != original:  # records have real paths
        return Restored(original, "failed", "its path leads through a link that the run did not see")
    state, data = _contents(original)
    digest = None if data is None else _digest(data)
    found = next((i for i in reversed(range(len(records))) if records[i].after == digest), None)
    words = "it was removed after the run" if data is None else ""
    if found is None and data is not None:
        if any(record.before == digest for record in records):
            return Restored(original, "original", "it is the original already")
        if not force:
            why = "it was changed after the run; --force replaces it, and keeps it in the backup folder"
            return Restored(original, "changed", why)
    last = len(records) - 1 if found is None else found
    while last > 0 and records[last - 1].after == records[last].before:
        last -= 1
    record = records[last]
    place = os.path.join(root, record.backup)
    output.check_below(place, root)
    _, backup = _contents(place)
    if backup is None:
        return Restored(original, "failed", f"its backup {place} is gone")
    if _digest(backup) != record.before:
        return Restored(original, "failed", f"its backup {place} was changed since, and is not used")
    if not backup.startswith(b"\xff\xd8"):  # a record may name any path, so only JPEG files are put there
        raise FormatError(f"its backup {place} is not a JPEG file")
    if not os.path.isdir(os.path.dirname(original)):
        return Restored(original, "failed", "its folder is gone")
    if write:
        if found is None and data is not None:
            kept = _free(f"{place}.replaced")
            output.write(kept, data, like=original, keep_times=True)
            words = f"the changed file is kept as {kept}"
        if state is None and os.path.lexists(original):
            return Restored(original, "failed", "it was made anew meanwhile")
        output.write(original, backup, like=place, keep_times=True, expected=state)
    return Restored(original, "restored", words)


def _contents(path: str) -> tuple[os.stat_result | None, bytes | None]:
    """Return the state and the contents of a regular file; None and None if there is none."""
    try:
        with storage.open_regular(path) as stream:
            return os.fstat(stream.fileno()), stream.read()
    except FileNotFoundError:
        return None, None
