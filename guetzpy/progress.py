"""Reports of progress, and cancellation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from guetzpy.errors import CancelledError

__all__ = ["Cancel", "OnProgress", "Progress", "Reporter", "Stage"]

Stage: TypeAlias = Literal["read", "search", "write", "done"]

logger: logging.Logger = logging.getLogger("guetzpy")
logger.addHandler(logging.NullHandler())  # no output unless the program configures logging


@dataclass(frozen=True)
class Progress:
    """The argument of a ``progress`` callback, which is called in the thread that called guetzpy.

    An exception that the callback raises ends the work and is raised to the caller. No file is written then.

    Attributes
    ----------
    stage : {"read", "search", "write", "done"}
        The stage that begins. "read": the source is read. "search": a pass of the search begins. "write": the
        file is written and verified. "done": all work is finished. A run over many files reports "done" for
        each finished file, and "search" for each encode of the search for a total.
    fraction : float
        Share of the work that is finished, 0 to 1; it does not decrease. For one picture it is an estimate,
        since the number of passes is not known in advance. For many files it is the share of finished files.
    name : str, optional
        Name of the file, if it has one.
    """

    stage: Stage
    fraction: float
    name: str | None = None


OnProgress: TypeAlias = Callable[[Progress], object]


class Cancel(Protocol):
    """An object that tells whether to cancel the work, such as a ``threading.Event``."""

    def is_set(self) -> bool:
        """Return whether the work has to end."""
        ...


class Reporter:
    """Reports the progress of the work on one picture to a callback.

    Parameters
    ----------
    progress : callable, optional
        Called with a :class:`Progress` for each report.
    cancel : Cancel, optional
        Checked at each report and by :meth:`check`.
    name : str, optional
        Name of the file.
    """

    #: Typical fractions of the time at which the search and the writing of the file begin.
    _SEARCH, _WRITE = 0.1, 0.9

    def __init__(
        self, progress: OnProgress | None = None, cancel: Cancel | None = None, name: str | None = None
    ) -> None:
        self.name = name
        self._progress = progress
        self._cancel = cancel
        self._passes = 0

    def check(self) -> None:
        """Raise CancelledError if the caller's ``cancel`` is set."""
        if self._cancel is not None and self._cancel.is_set():
            error = CancelledError("cancelled")
            error.name = self.name
            raise error

    def read(self) -> None:
        """Report that reading the source begins."""
        self._tell("read", 0.0)

    def searched(self, expected: int) -> None:
        """Report the next pass of a search that has about ``expected`` passes."""
        share = self._passes / (self._passes + 0.5 * expected)
        self._tell("search", self._SEARCH + (self._WRITE - self._SEARCH) * share)
        self._passes += 1

    def write(self) -> None:
        """Report that writing and verifying the file begins."""
        self._tell("write", self._WRITE)

    def done(self) -> None:
        """Report that all work is finished."""
        self._tell("done", 1.0)

    def _tell(self, stage: Stage, fraction: float) -> None:
        self.check()
        logger.debug("%s: %s, %.0f %%", self.name or "picture", stage, 100 * fraction)
        if self._progress is not None:
            self._progress(Progress(stage, fraction, self.name))
