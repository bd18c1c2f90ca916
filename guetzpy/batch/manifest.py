"""The record of a run: an SQLite file from which a killed run can be resumed.

Only the parent process writes it. It may lie on a network file system, where SQLite's write-ahead log does
not work since it needs shared memory; the rollback journal is used, and rows are committed in batches to save
time. If the process is killed, uncommitted rows are lost, and their files are processed again.
"""

from __future__ import annotations

import dataclasses
import functools
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
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

from guetzpy import __version__, output
from guetzpy.batch import storage
from guetzpy.errors import GuetzpyError
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result, Status

__all__ = [
    "APPLICATION_ID",
    "Manifest",
    "Row",
    "key",
    "location",
    "options_hash",
    "prune_state",
    "refuse_others",
    "state_folder",
]

_SCHEMA = 2

#: In the header of the SQLite file (PRAGMA application_id); four bytes, "gzpy".
APPLICATION_ID = int.from_bytes(b"gzpy", "big")

# The SQLite file format, section 1.3: magic, user_version at 60, application_id at 68, both big-endian.
_HEADER = 100
_MAGIC = b"SQLite format 3\0"

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    input TEXT PRIMARY KEY,   -- absolute path or URL
    identity TEXT NOT NULL,   -- of the input as the run left it: size:mtime_ns, or size:etag
    options TEXT NOT NULL,    -- hash of the options
    version TEXT NOT NULL,    -- of guetzpy
    output TEXT,
    output_size INTEGER,
    status TEXT NOT NULL,
    bytes_before INTEGER,
    bytes_after INTEGER,
    distance REAL,
    butteraugli_3norm REAL,
    ssimulacra2 REAL,
    seconds REAL,
    error TEXT,
    warnings TEXT,            -- a line each
    finished REAL NOT NULL,   -- seconds since 1970
    result TEXT NOT NULL      -- all fields of the result, JSON
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS budgets (
    wish TEXT PRIMARY KEY,    -- hash of the set, the bytes, the options
    distances TEXT NOT NULL   -- target of every file by its relative name, and the fit, JSON
) WITHOUT ROWID;
"""

# Manifests written before APPLICATION_ID: these tables and no others, "files" with at least these columns.
_TABLE_NAMES = {"files", "budgets"}
_COLUMNS = {"input", "identity", "options", "version", "output", "output_size", "status", "result"}

# A commit waits for the disk twice, so rows are committed in batches. These bound the rows that a kill loses.
_ROWS_A_COMMIT = 64
_SECONDS_A_COMMIT = 1.0

# Records in the user's state folder that no run has used for this long are removed.
_SECONDS_UNUSED = 180 * 24 * 3600
_STATE_NAME = re.compile(r"[0-9a-f]{16}(-\d+-of-\d+)?\.sqlite")

# Options that do not change the bytes of a result. max_memory is not among them: a search whose memory is
# bounded finds other files.
_NOT_HASHED = frozenset(
    {"threads", "timeout", "max_pixels", "max_scans", "max_metadata", "max_directories", "max_input"}
)


@dataclasses.dataclass(frozen=True)
class Row:
    """The row of a file that an earlier run processed."""

    identity: str
    options: str
    version: str
    output: str | None  # as key() returns it
    output_size: int | None
    result: Result


@functools.lru_cache(maxsize=65536)
def options_hash(options: OptimizeOptions | TranscodeOptions) -> str:
    """Return a hash of all options that the bytes of the result depend on, 16 hexadecimal digits."""
    fields = {k: v for k, v in dataclasses.asdict(options).items() if k not in _NOT_HASHED}
    text = json.dumps([type(options).__name__, fields], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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


class Manifest:
    """The record of a run. One process can open it at a time.

    Parameters
    ----------
    path : path
        The SQLite file. It is created, with its folder, if it does not exist.

    Raises
    ------
    GuetzpyError
        Another run has the file open, it is damaged, or it belongs to another program (it is not changed
        then).
    OSError
        The file cannot be created or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        refuse_others(self.path)
        is_new = not self.path.exists()
        self._pending = 0
        self._committed = time.monotonic()
        self._open = False
        with self._errors():
            # A caller may begin to iterate over a run in one thread and continue in another.
            self._connection = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                if is_new:
                    _remove_if_empty(self.path)
                raise
        self._open = True

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into errors that name the manifest. After one, nothing is committed."""
        try:
            yield
        except sqlite3.OperationalError as error:
            self._pending = 0
            if "locked" in str(error):
                raise GuetzpyError(f"{self.path}: another run uses this manifest; wait for its end") from None
            if "decode" not in str(error):
                raise OSError(f"{self.path}: the manifest cannot be written: {error}") from None
            raise GuetzpyError(f"{self.path}: damaged manifest; remove it to begin anew") from None
        except sqlite3.DatabaseError:
            self._pending = 0
            raise GuetzpyError(f"{self.path}: damaged manifest; remove it to begin anew") from None

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode=DELETE")
        execute("PRAGMA locking_mode=EXCLUSIVE")  # the lock of the first write stays until the end
        execute("BEGIN IMMEDIATE")
        (schema,) = execute("PRAGMA user_version").fetchone()
        if schema not in (0, _SCHEMA):
            execute("DROP TABLE IF EXISTS files")
            execute("DROP TABLE IF EXISTS budgets")
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                execute(statement)
        execute(f"PRAGMA user_version={_SCHEMA}")
        execute(f"PRAGMA application_id={APPLICATION_ID}")
        execute("COMMIT")
        execute("BEGIN")

    def find(self, name: str) -> Row | None:
        """Return the row of an input; None if there is none."""
        with self._errors():
            found = self._connection.execute(
                "SELECT identity, options, version, output, output_size, result FROM files WHERE input = ?",
                (key(name),),
            ).fetchone()
        if found is None:
            return None
        identity, options, version, output, size, text = found
        try:
            return Row(identity, options, version, output, size, _result(text))
        except (TypeError, ValueError, AttributeError):
            raise self._damaged(name) from None

    def _damaged(self, what: str) -> GuetzpyError:
        return GuetzpyError(f"{self.path}: damaged row of {what}; remove the manifest to begin anew")

    def put(
        self, name: str, identity: str, options: str, output: str | None, size: int | None, result: Result
    ) -> None:
        """Record the result of a file."""
        self._write(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                key(name), identity, options, __version__, key(output) if output else None, size,
                result.status, result.bytes_before, result.bytes_after, result.distance,
                result.butteraugli_3norm, result.ssimulacra2, result.seconds, _text(result.error),
                _text("\n".join(result.warnings)) or None,
                time.time(), json.dumps(result.to_dict()),
            ),
        )  # fmt: skip

    def budget(self, wish: str) -> dict[str, Any] | None:
        """Return the targets and the fit of the search for a total with the hash ``wish``, or None."""
        with self._errors():
            row = self._connection.execute("SELECT distances FROM budgets WHERE wish = ?", (wish,)).fetchone()
        if row is None:
            return None
        try:
            found = json.loads(row[0])
            targets, fit = dict(found["targets"]), dict(found["fit"])
        except (TypeError, ValueError, KeyError):
            raise self._damaged("the total") from None
        return {"targets": targets, "fit": fit}

    def put_budget(self, wish: str, found: dict[str, Any]) -> None:
        """Record the targets and the fit of the search for a total with the hash ``wish``."""
        self._write("INSERT OR REPLACE INTO budgets VALUES (?,?)", (wish, json.dumps(found)))
        self.commit()

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._errors():
            self._connection.execute(statement, values)
        self._pending += 1
        if self._pending >= _ROWS_A_COMMIT or time.monotonic() - self._committed > _SECONDS_A_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Commit the rows written so far."""
        if self._pending:
            with self._errors():
                self._connection.execute("COMMIT")
                self._connection.execute("BEGIN")
        self._pending = 0
        self._committed = time.monotonic()

    def close(self) -> None:
        """Commit and close the file. Further calls do nothing."""
        if not self._open:
            return
        self._open = False
        try:
            self.commit()
        finally:
            with suppress(sqlite3.Error):
                self._connection.close()


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
    problem = f"{path}: no manifest of guetzpy, or a damaged one; it is left as it is"
    advice = "name another file with --manifest"
    if not stat.S_ISREG(state.st_mode):
        raise GuetzpyError(f"{path}: no manifest of guetzpy, since it is no regular file; {advice}")
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


def _remove_if_empty(path: Path) -> None:
    with suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()


def key(name: str) -> str:
    """Return the name by which the manifest lists a file: its absolute path, or its URL."""
    return str(_text(name if storage.is_url(name) else os.path.abspath(name)))


def _text(text: str | None) -> str | None:
    # SQLite's text must be UTF-8; names of files may be other bytes.
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _result(text: str) -> Result:
    known = {field.name for field in dataclasses.fields(Result)}
    values: dict[str, Any] = {name: value for name, value in json.loads(text).items() if name in known}
    if values.get("status") not in get_args(Status) or not isinstance(values.get("input"), str):
        raise ValueError("a result without a status or a name")
    if any(not isinstance(values.get(name), int | None) for name in ("bytes_before", "bytes_after")):
        raise ValueError("a size that is no number")
    # JSON turns tuples into lists.
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Result(**values)
