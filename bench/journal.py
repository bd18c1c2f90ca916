"""Functions for parts of the bench that take long: several processes, and a journal for ``--resume``.

A unit of work is an encode, a picture or a timed process. When a unit is done, a line with its key and its
result is appended to the journal, NAME.partial.jsonl, in the folder of the part's result. The journal is
removed when the part's result is written. A key contains everything that the unit's result depends on, such
as the version of an encoder or a hash of guetzpy's sources.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

__all__ = ["Journal", "add_argument", "journal", "over_processes", "resumed"]

Unit = TypeVar("Unit")
Value = TypeVar("Value")


class Journal:
    """Results of units of work by key, kept on disk. Keys and values must be representable in JSON.

    Parameters
    ----------
    path : Path, optional
        File of the journal; None: nothing is kept.
    resume : bool
        Whether the values of an existing file are used; otherwise it is replaced.
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
                except ValueError:  # a run was stopped while it wrote this line
                    continue
                self._found[json.dumps(key)] = value
            print(f"{path.name}: {len(self._found)} steps of an earlier run", file=sys.stderr, flush=True)

    def get(self, *key: Any) -> Any | None:
        """Return the result of a unit, or None if it is not done."""
        return self._found.get(json.dumps(key))

    def put(self, value: Any, *key: Any) -> None:
        """Keep the result of a unit."""
        with self._lock:
            self._found[json.dumps(key)] = value
            if self.path is not None:
                with self.path.open("a") as file:
                    file.write(json.dumps([key, value]) + "\n")

    def finish(self) -> None:
        """Delete the file, because the part's result holds all values."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--resume``."""
    parser.add_argument(
        "--resume", action="store_true", help="go on where a run with the same --name and --output stopped"
    )


def journal(options: argparse.Namespace) -> Journal:
    """Return the journal of a part of the bench, by its options ``--name``, ``--output`` and ``--resume``."""
    return Journal(options.output / f"{options.name}.partial.jsonl", resume=options.resume)


def over_processes(
    work: Callable[[Unit], Value], units: Sequence[Unit], jobs: int
) -> Iterator[tuple[Unit, Value]]:
    """Yield units with their results in the order of completion, in this process or in several."""
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


def resumed(
    measure: Callable[[Unit], Value], units: Sequence[Unit], jobs: int, kept: Journal, form: type[Value]
) -> Iterator[tuple[Unit, Value]]:
    """Measure units of work over processes, and yield each with its result.

    Results of an earlier run come first. New results without ``failures`` are stored in the journal.

    Parameters
    ----------
    measure : callable
        Called with a unit in a process.
    units : sequence
        Units of work. Each has a property ``key``.
    jobs : int
        Number of processes.
    kept : Journal
        The journal.
    form : type
        Dataclass of a result, with a list ``failures`` of messages, which is empty if all went well.
    """
    known = [kept.get(*unit.key) for unit in units]  # type: ignore[attr-defined]
    for unit, found in zip(units, known, strict=True):
        if found is not None:
            yield unit, form(**found)
    left = [unit for unit, found in zip(units, known, strict=True) if found is None]
    for unit, done in over_processes(measure, left, jobs):
        if not done.failures:  # type: ignore[attr-defined]
            kept.put(asdict(done), *unit.key)  # type: ignore[attr-defined, call-overload]
        yield unit, done
