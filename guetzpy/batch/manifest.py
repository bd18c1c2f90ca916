"""What was done, in an SQLite file, so that a run that was killed can go on.

One process writes it, the parent. Archives lie on network file systems: no write-ahead log (it needs shared
memory), commits in batches. Rows that a kill costs only mean that their files are done again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from guetzpy import __version__
from guetzpy.batch import storage
from guetzpy.errors import GuetzpyError
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result

__all__ = ["Manifest", "Row", "key", "location", "options_hash", "state_folder"]

_SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    input TEXT PRIMARY KEY,   -- absolute path or URL
    identity TEXT NOT NULL,   -- of the input as the run left it: size:mtime_ns, or size:etag
    options TEXT NOT NULL,    -- hash of what was asked for
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
    finished REAL NOT NULL,   -- seconds since 1970
    result TEXT NOT NULL      -- all fields of the result, JSON
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS budgets (
    wish TEXT PRIMARY KEY,    -- hash of the set, the bytes, the options
    distances TEXT NOT NULL   -- of every file by its place, and what came of the search, JSON
) WITHOUT ROWID;
"""

# A commit costs two waits for the disk; these bound what a kill can cost.
_ROWS_A_COMMIT = 64
_SECONDS_A_COMMIT = 1.0

# What changes how the work is done, or refuses it, but no byte of its outcome. (A ceiling of memory does:
# searches that spare memory find other files.)
_NOT_HASHED = frozenset({"threads", "timeout", "max_pixels", "max_scans", "max_metadata", "max_directories"})


@dataclasses.dataclass(frozen=True)
class Row:
    """A file that an earlier run has done."""

    identity: str
    options: str
    version: str
    output: str | None  # as key() makes it
    output_size: int | None
    result: Result


@functools.lru_cache(maxsize=65536)
def options_hash(options: OptimizeOptions | TranscodeOptions) -> str:
    """Return a hash of all options that the outcome depends on."""
    fields = {k: v for k, v in dataclasses.asdict(options).items() if k not in _NOT_HASHED}
    text = json.dumps([type(options).__name__, fields], sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def state_folder() -> Path:
    """Return the folder of the user's state, which need not exist.

    Raises
    ------
    OSError
        There is no home.
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
    """Return where a run's manifest lies.

    In the destination; but in the user's state folder for runs in place, for destinations that are URLs,
    and where the destination lies within the inputs. Parts of a set have one each.
    """
    part = f"-{shard[0]}-of-{shard[1]}" if shard else ""
    if destination is not None and not storage.is_url(destination):
        place = os.path.realpath(destination)
        roots = [os.path.realpath(name) for name in sources if not storage.is_url(name)]
        if not any(_within(place, root) for root in roots):
            return Path(destination, f".guetzpy{part}.sqlite")
    names = sorted(name if storage.is_url(name) else os.path.realpath(name) for name in sources)
    goal = (
        destination if destination is None or storage.is_url(destination) else os.path.realpath(destination)
    )
    key = hashlib.sha256(json.dumps([names, goal]).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return state_folder() / f"{key}{part}.sqlite"


def _within(place: str, root: str) -> bool:
    return place == root or place.startswith(root.rstrip(os.sep) + os.sep)


class Manifest:
    """The record of a run; open it in one process at a time.

    Parameters
    ----------
    path : path
        The SQLite file, made with its folder if it is missing.

    Raises
    ------
    GuetzpyError
        Another run uses it, or it is no manifest.
    OSError
        It cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Iteration may go on in another thread than the one that began it, never in two at once.
            self._connection = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise GuetzpyError(f"{self.path}: another run is at work here") from None
            raise OSError(f"{self.path}: {error}") from None
        except sqlite3.DatabaseError:
            raise GuetzpyError(
                f"{self.path}: no manifest, or a damaged one; remove it to begin anew"
            ) from None
        self._pending = 0
        self._committed = time.monotonic()

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
        execute("COMMIT")
        execute("BEGIN")

    def find(self, name: str) -> Row | None:
        """Return what is known of an input."""
        found = self._connection.execute(
            "SELECT identity, options, version, output, output_size, result FROM files WHERE input = ?",
            (key(name),),
        ).fetchone()
        if found is None:
            return None
        identity, options, version, output, size, text = found
        return Row(identity, options, version, output, size, _result(text))

    def put(
        self, name: str, identity: str, options: str, output: str | None, size: int | None, result: Result
    ) -> None:
        """Record an outcome."""
        self._write(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                key(name), identity, options, __version__, key(output) if output else None, size,
                result.status, result.bytes_before, result.bytes_after, result.distance,
                result.butteraugli_3norm, result.ssimulacra2, result.seconds, _text(result.error),
                time.time(), json.dumps(result.to_dict()),
            ),
        )  # fmt: skip

    def budget(self, wish: str) -> dict[str, Any] | None:
        """Return what an earlier search for a budget found."""
        found = self._connection.execute("SELECT distances FROM budgets WHERE wish = ?", (wish,)).fetchone()
        return None if found is None else json.loads(found[0])

    def put_budget(self, wish: str, found: dict[str, Any]) -> None:
        """Record what a search for a budget found."""
        self._write("INSERT OR REPLACE INTO budgets VALUES (?,?)", (wish, json.dumps(found)))
        self.commit()

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        self._connection.execute(statement, values)
        self._pending += 1
        if self._pending >= _ROWS_A_COMMIT or time.monotonic() - self._committed > _SECONDS_A_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Make what was recorded last."""
        if self._pending:
            self._connection.execute("COMMIT")
            self._connection.execute("BEGIN")
        self._pending = 0
        self._committed = time.monotonic()

    def close(self) -> None:
        """Commit and let go."""
        self.commit()
        self._connection.close()


def key(name: str) -> str:
    """Return what a file is called in the manifest: an absolute path, or a URL."""
    return str(_text(name if storage.is_url(name) else os.path.abspath(name)))


def _text(text: str | None) -> str | None:
    # Names of files need not be UTF-8; SQLite's text must be.
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _result(text: str) -> Result:
    known = {field.name for field in dataclasses.fields(Result)}
    values: dict[str, Any] = {name: value for name, value in json.loads(text).items() if name in known}
    # JSON has lists only.
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Result(**values)
