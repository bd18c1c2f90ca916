"""What long parts share: several processes, and a record from which ``--resume`` goes on.

Units of work (an encode, a picture, a process that was timed) are appended to NAME.partial.jsonl beside
the result as they are done, a line each: a key and what came of it. The result replaces the file. Keys
hold what a value depends on: the version of an encoder, a hash of guetzpy's sources.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

__all__ = ["Journal", "add_argument", "journal", "over_processes"]

Unit = TypeVar("Unit")
Value = TypeVar("Value")


class Journal:
    """Values by key, kept on disk; both of what JSON can hold.

    Parameters
    ----------
    path : Path, optional
        None: nothing is kept.
    resume : bool
        Take what is there; else it is begun anew.
    """

    def __init__(self, path: Path | None = None, *, resume: bool = False) -> None:
        self.path = path
        self._found: dict[str, Any] = {}
        self._lock = Lock()
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            path.unlink(missing_ok=True)
        elif path.exists():
            for line in path.read_text().splitlines():
                try:
                    key, value = json.loads(line)
                except ValueError:  # a run was stopped while it wrote
                    continue
                self._found[json.dumps(key)] = value
            print(f"{path.name}: {len(self._found)} steps of an earlier run", file=sys.stderr, flush=True)

    def get(self, *key: Any) -> Any | None:
        """Return what came of a unit; None if it is not done."""
        return self._found.get(json.dumps(key))

    def put(self, value: Any, *key: Any) -> None:
        """Keep what came of a unit."""
        with self._lock:
            self._found[json.dumps(key)] = value
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps([key, value]) + "\n")

    def finish(self) -> None:
        """Drop the file: the result holds it all."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option to go on."""
    parser.add_argument(
        "--resume", action="store_true", help="go on where a run with the same --name and --output stopped"
    )


def journal(options: argparse.Namespace) -> Journal:
    """Return the journal of a part with ``--name``, ``--output`` and ``--resume``."""
    return Journal(options.output / f"{options.name}.partial.jsonl", resume=options.resume)


def over_processes(
    work: Callable[[Unit], Value], units: Sequence[Unit], jobs: int
) -> Iterator[tuple[Unit, Value]]:
    """Yield units with what came of them, as they are done: here, or on several processes."""
    if jobs <= 1 or len(units) <= 1:
        for unit in units:
            yield unit, work(unit)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(work, unit): unit for unit in units}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
