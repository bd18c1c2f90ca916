"""``--report``: results on their way into a page or JSON, for runs of any kind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from guetzpy.cli.reporting import say, usage_error
from guetzpy.options import OptimizeOptions, TranscodeOptions

if TYPE_CHECKING:
    from guetzpy.report import Collection
    from guetzpy.result import Result

__all__ = ["Report", "ReportPath", "begin"]

ReportPath = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write a report: FILE.html compares all pictures before and after; or FILE.json.",
    ),
]

_SECONDS_A_WORD = 5.0


class Report:
    """The report of this run."""

    def __init__(self, path: str, collection: Collection, quiet: bool) -> None:
        self._path = path
        self._collection = collection
        self._quiet = quiet
        self._said = 0.0

    def add(self, result: Result, before: bytes | None = None) -> None:
        """Take a result, and the file that it came of where that is at hand."""
        self._collection.add(result, before, result.data or None)

    def hold(self, names: Iterable[str]) -> None:
        """Remember files that the run is about to replace, while there is room."""
        self._collection.hold(names)

    def write(self) -> None:
        """Write it, and say so."""
        self._said = time.monotonic()
        size = self._collection.write(self._path, self._progress)
        if not self._quiet:
            count = len(self._collection)
            say(f"{self._path}: report of {count} file{'' if count == 1 else 's'}, {size / 1e6:.3g} MB")

    def _progress(self, what: str, done: int, count: int) -> None:
        if not self._quiet and time.monotonic() - self._said > _SECONDS_A_WORD:
            self._said = time.monotonic()
            say(f"report: {done} of {count} {what} ...")


def begin(
    path: str | None,
    options: OptimizeOptions | TranscodeOptions,
    taken: Iterable[str | None],
    *,
    quiet: bool = False,
) -> Report | None:
    """Make sure that a report can be written, before time is spent on pictures.

    Parameters
    ----------
    path : str or None
        What ``--report`` named.
    options : OptimizeOptions or TranscodeOptions
        What is asked for.
    taken : iterable of str or None
        Inputs and outputs, none of which the report may replace.
    quiet : bool
        Whether nothing is said.
    """
    if path is None:
        return None
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".html", ".htm", ".json"):
        usage_error(f"--report {path}: name it FILE.html or FILE.json")
    place = os.path.realpath(path)
    if os.path.isdir(place):
        usage_error(f"--report {path}: is a folder")
    if any(name is not None and os.path.realpath(name) == place for name in taken):
        usage_error(f"--report {path}: is one of the pictures")
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)  # often the output's, which comes later
    except OSError as error:
        usage_error(f"--report {path}: {error.strerror}")
    from guetzpy.report import Collection

    background = options.background if isinstance(options, OptimizeOptions) else None
    return Report(path, Collection(background=background, threads=options.threads), quiet)
