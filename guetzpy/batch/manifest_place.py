"""Where the manifest of a run lies, and whether a file that lies there is one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import stat
import sys
import time
import urllib.parse
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from guetzpy import output
from guetzpy.batch import storage
from guetzpy.errors import GuetzpyError

__all__ = ["APPLICATION_ID", "location", "prune_state", "refuse_others", "remove_if_empty", "state_folder"]

#: The number that marks a manifest in the header of its SQLite file (PRAGMA application_id): "gzpy".
APPLICATION_ID = int.from_bytes(b"gzpy", "big")

# The SQLite file format, section 1.3: magic, user_version at 60, application_id at 68, both big-endian.
_HEADER = 100
_MAGIC = b"SQLite format 3\0"

# Manifests written before APPLICATION_ID: these tables and no others, "files" with at least these columns.
_TABLE_NAMES = {"files", "budgets"}
_COLUMNS = {"input", "identity", "options", "version", "output", "output_size", "status", "result"}

# Records in the user's state folder that no run has used for this long are removed.
_SECONDS_UNUSED = 180 * 24 * 3600
_STATE_NAME = re.compile(r"[0-9a-f]{16}(-\d+-of-\d+)?\.sqlite")


def state_folder() -> Path:
    """Return guetzpy's folder for the user's state. It may not exist.

    Raises
    ------
    OSError
        The user has no home folder.
    """
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = os.environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state")
    if not os.path.isabs(base):
        raise OSError("no home folder to keep the manifest in; name one with --manifest")
    return Path(base, "guetzpy")


def location(sources: Collection[str], destination: str | None, shard: tuple[int, int] | None = None) -> Path:
    """Return the path of a run's manifest.

    It lies in the destination. It lies in the user's state folder if the run is in place, if the destination
    is a URL, or if the destination lies within a source. Each shard has its own manifest.
    """
    part = f"-{shard[0]}-of-{shard[1]}" if shard else ""
    if destination is not None and not storage.is_url(destination):
        place = os.path.realpath(destination)
        roots = [os.path.realpath(name) for name in sources if not storage.is_url(name)]
        if not any(output.is_within(place, root) for root in roots):
            return Path(destination, f".guetzpy{part}.sqlite")
    names = sorted(name if storage.is_url(name) else os.path.realpath(name) for name in sources)
    goal = (
        destination if destination is None or storage.is_url(destination) else os.path.realpath(destination)
    )
    key = hashlib.sha256(json.dumps([names, goal]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return state_folder() / f"{key}{part}.sqlite"


def prune_state(now: float | None = None) -> None:
    """Remove manifests in the user's state folder that no run has used for 180 days.

    Parameters
    ----------
    now : float, optional
        Seconds since 1970; default: the current time.
    """
    now = time.time() if now is None else now
    with suppress(OSError), os.scandir(state_folder()) as entries:
        for entry in entries:
            if not _STATE_NAME.fullmatch(entry.name) or not entry.is_file(follow_symlinks=False):
                continue
            if now - entry.stat(follow_symlinks=False).st_mtime > _SECONDS_UNUSED:
                for name in (entry.path, f"{entry.path}-journal"):
                    with suppress(OSError):
                        os.unlink(name)
                shutil.rmtree(f"{entry.path}.trials", ignore_errors=True)


def refuse_others(path: Path) -> None:
    """Raise GuetzpyError if a file is not a manifest of guetzpy. The file is not changed.

    Parameters
    ----------
    path : Path
        The file. A path that does not exist is accepted.

    Raises
    ------
    GuetzpyError
        The file belongs to another program or is empty, or the path is a folder, a device or a pipe.
    OSError
        The file cannot be read.
    """
    try:
        state = path.stat()
    except FileNotFoundError:
        return
    problem = f"{path}: not a manifest of guetzpy, or damaged; it was not changed"
    advice = "name another file with --manifest"
    if not stat.S_ISREG(state.st_mode):
        raise GuetzpyError(f"{path}: not a manifest of guetzpy, because it is not a regular file; {advice}")
    if not state.st_size and re.fullmatch(r"\.guetzpy(-\d+-of-\d+)?\.sqlite", path.name):
        return  # left by a run that was killed before its first row was committed
    with path.open("rb") as stream:
        header = stream.read(_HEADER)
    if header.startswith(_MAGIC) and len(header) == _HEADER:
        application = int.from_bytes(header[68:72], "big")
        if application == APPLICATION_ID or (application == 0 and _has_tables_of_ours(path)):
            return
    raise GuetzpyError(f"{problem}: {advice}, or remove it to begin anew")


def _has_tables_of_ours(path: Path) -> bool:
    # With "immutable", SQLite takes no lock, replays no journal and writes nothing.
    name = urllib.parse.quote(os.fsencode(os.path.abspath(path)))
    try:
        connection = sqlite3.connect(f"file:{name}?immutable=1", uri=True)
        try:
            listed = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
            names = {name for (name,) in listed}
            columns = {row[1] for row in connection.execute("PRAGMA table_info(files)")}
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return "files" in names and names <= _TABLE_NAMES and columns >= _COLUMNS


def remove_if_empty(path: Path) -> None:
    """Remove a file that has no bytes; errors are ignored."""
    with suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()
