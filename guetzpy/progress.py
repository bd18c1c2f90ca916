"""How far the work is, told while it goes on, and how it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from guetzpy.errors import CancelledError

__all__ = ["Cancel", "OnProgress", "Progress", "Reporter", "Stage"]

Stage: TypeAlias = Literal["read", "search", "write", "done"]

logger: logging.Logger = logging.getLogger("guetzpy")
logger.addHandler(logging.NullHandler())  # silent unless the program sets logging up


@dataclass(frozen=True)
class Progress:
    """What a ``progress`` callback is called with, always in the thread that called guetzpy.

    An exception that the callback raises ends the work and comes out of the call; nothing is written then.

    Attributes
    ----------
    stage : {"read", "search", "write", "done"}
        What begins now: reading the source, the search (told anew at each of its passes), writing and
        verifying the file, nothing more. In a run over many files, "done" is told once a file, and "search"
        for each encode on the way to a total.
    fraction : float
        Share of the work that is done, 0 to 1; never less than before. For one picture it is an estimate,
        since nobody knows how many passes a search will take; for many files it counts files.
    name : str, optional
        The file, where it has a name.
    """

    stage: Stage
    fraction: float
    name: str | None = None


OnProgress: TypeAlias = Callable[[Progress], object]


class Cancel(Protocol):
    """Something that says whether to stop: a ``threading.Event``, for instance."""

    def is_set(self) -> bool:
        """Return whether the work is to end."""
        ...


class Reporter:
    """Tells one caller about one piece of work.

    Parameters
    ----------
    progress : callable, optional
        Called with a :class:`Progress`.
    cancel : Cancel, optional
        Looked at whenever something is told, and between.
    name : str, optional
        Of the file.
    """

    #: Of a whole encode, about: reading and preparing; the search; the rest is writing and verifying.
    _SEARCH, _WRITE = 0.1, 0.9

    def __init__(
        self, progress: OnProgress | None = None, cancel: Cancel | None = None, name: str | None = None
    ) -> None:
        self.name = name
        self._progress = progress
        self._cancel = cancel
        self._passes = 0

    def check(self) -> None:
        """Raise CancelledError if the work is to end."""
        if self._cancel is not None and self._cancel.is_set():
            error = CancelledError("cancelled")
            error.name = self.name
            raise error

    def read(self) -> None:
        """Tell that the source is being read."""
        self._tell("read", 0.0)

    def searched(self, expected: int) -> None:
        """Tell that the search begins, or has made one more of about ``expected`` passes."""
        share = self._passes / (self._passes + 0.5 * expected)
        self._tell("search", self._SEARCH + (self._WRITE - self._SEARCH) * share)
        self._passes += 1

    def write(self) -> None:
        """Tell that the file is being written and verified."""
        self._tell("write", self._WRITE)

    def done(self) -> None:
        """Tell that all is done."""
        self._tell("done", 1.0)

    def _tell(self, stage: Stage, fraction: float) -> None:
        self.check()
        logger.debug("%s: %s, %.0f %%", self.name or "picture", stage, 100 * fraction)
        if self._progress is not None:
            self._progress(Progress(stage, fraction, self.name))
