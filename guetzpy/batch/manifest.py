"""The record of a run: an SQLite file from which a killed run can be resumed.

Only the parent process writes it. It may lie on a network file system, where SQLite's write-ahead log does
not work since it needs shared memory; the rollback journal is used, and rows are committed in batches to save
time. If the process is killed, uncommitted rows are lost, and their files are processed again.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

from guetzpy import __version__
from guetzpy.batch import storage
from guetzpy.batch.manifest_place import APPLICATION_ID, refuse_others, remove_if_empty
from guetzpy.errors import GuetzpyError
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result, Status

__all__ = [
    "Manifest",
    "Row",
    "key",
    "options_hash",
]

_SCHEMA = 3

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    input TEXT PRIMARY KEY,   -- absolute path or URL
    identity TEXT NOT NULL,   -- of the input as the run left it: size:mtime_ns, or size:etag
    options TEXT NOT NULL,    -- hash of the options
    version TEXT NOT NULL,    -- of guetzpy
    output TEXT,
    output_size INTEGER,
    output_mtime TEXT,        -- st_mtime_ns of a local output; TEXT, as an INTEGER ends in 2262
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
    distances TEXT NOT NULL   -- target and identity of every file by its key, and the fit, JSON
) WITHOUT ROWID;
"""

# A commit waits for the disk twice, so rows are committed in batches. A kill loses at most these.
_ROWS_A_COMMIT = 64
_SECONDS_A_COMMIT = 1.0


@dataclasses.dataclass(frozen=True)
class Row:
    """The row of a file that an earlier run processed."""

    identity: str
    options: str
    version: str
    output: str | None  # as key() returns it
    output_size: int | None
    output_mtime: int | None
    result: Result


@functools.lru_cache(maxsize=65536)
def options_hash(options: OptimizeOptions | TranscodeOptions) -> str:
    """Return a hash of all options that the bytes of the result depend on, 16 hexadecimal digits."""
    return options.stable_hash()


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
                    remove_if_empty(self.path)
                raise
        self._open = True

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into errors that name the manifest. After an error nothing is committed."""
        try:
            yield
        except sqlite3.OperationalError as error:
            self._pending = 0
            if "locked" in str(error):
                raise GuetzpyError(
                    f"{self.path}: another run uses this manifest; wait until it ends"
                ) from None
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
                "SELECT identity, options, version, output, output_size, output_mtime, result "
                "FROM files WHERE input = ?",
                (key(name),),
            ).fetchone()
        if found is None:
            return None
        identity, options, version, output, size, mtime, text = found
        try:
            written = None if mtime is None else int(mtime)
            return Row(identity, options, version, output, size, written, _result(text))
        except (TypeError, ValueError, AttributeError):
            raise self._damaged(name) from None

    def _damaged(self, what: str) -> GuetzpyError:
        return GuetzpyError(f"{self.path}: damaged row of {what}; remove the manifest to begin anew")

    def put(
        self,
        name: str,
        identity: str,
        options: str,
        output: str | None,
        size: int | None,
        output_mtime: int | None,
        result: Result,
    ) -> None:
        """Record the result of a file."""
        self._write(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                key(name), identity, options, __version__, key(output) if output else None, size,
                None if output_mtime is None else str(output_mtime),
                result.status, result.bytes_before, result.bytes_after, result.distance,
                result.butteraugli_3norm, result.ssimulacra2, result.seconds, _text(result.error),
                _text("\n".join(result.warnings)) or None,
                time.time(), json.dumps(result.to_dict()),
            ),
        )  # fmt: skip

    def budget(self, wish: str) -> dict[str, Any] | None:
        """Return what :meth:`put_budget` recorded for the request with the hash ``wish``, or None."""
        with self._errors():
            row = self._connection.execute("SELECT distances FROM budgets WHERE wish = ?", (wish,)).fetchone()
        if row is None:
            return None
        try:
            found = json.loads(row[0])
            targets, fit = dict(found["targets"]), dict(found["fit"])
            files = dict(found.get("files", {}))
        except (TypeError, ValueError, KeyError):
            raise self._damaged("the total") from None
        return {"targets": targets, "fit": fit, "files": files}

    def put_budget(self, wish: str, found: dict[str, Any]) -> None:
        """Record how a set was fitted into a total size, for the request with the hash ``wish``."""
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
    values.setdefault("version", None)  # results of older versions have no version
    # JSON turns tuples into lists.
    values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Result(**values)
