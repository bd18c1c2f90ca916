"""Exceptions; each knows the exit code that the command line gives for it.

::

    GuetzpyError
    ├── FormatError        the input is broken
    ├── UnsupportedError   the input is valid, guetzpy does not handle it
    ├── LimitError         too large, too slow, too many
    ├── TargetError        what was asked for cannot be met
    └── CancelledError     the caller wanted it to end
"""

from __future__ import annotations

__all__ = ["CancelledError", "FormatError", "GuetzpyError", "LimitError", "TargetError", "UnsupportedError"]


class GuetzpyError(Exception):
    """Base of all errors that guetzpy raises on purpose.

    Attributes
    ----------
    name : str, optional
        The file concerned, where there is one; part of the message.
    reason : str
        The message without it.
    """

    exit_code: int = 1
    name: str | None = None

    @property
    def reason(self) -> str:
        """The message without the name."""
        return super().__str__()

    def __str__(self) -> str:
        return self.reason if self.name is None else f"{self.name}: {self.reason}"


class FormatError(GuetzpyError):
    """The input is not what it claims to be: corrupt, truncated, no image."""


class UnsupportedError(GuetzpyError):
    """The input is valid but uses a feature that guetzpy does not handle; the message names it.

    Attributes
    ----------
    extra : str, optional
        The extra of guetzpy that handles such files, where it is not installed.
    """

    extra: str | None = None


class LimitError(GuetzpyError):
    """A limit (pixels, scans, metadata, time, memory) would be exceeded."""


class TargetError(GuetzpyError):
    """No file meets what was asked for; the message names the best that was reached.

    Parameters
    ----------
    message : str
        What was asked for and what was reached.
    smallest_bytes : int, optional
        Bytes of the smallest file that was reached, where a size was asked for.
    best : dict of str to float, optional
        Scores of the best file that was reached, by metric, where a quality was asked for.

    Attributes
    ----------
    smallest_bytes, best
        As given.
    """

    def __init__(
        self, message: str, *, smallest_bytes: int | None = None, best: dict[str, float] | None = None
    ) -> None:
        super().__init__(message)
        self.smallest_bytes = smallest_bytes
        self.best = best

    @classmethod
    def of_size(cls, smallest: int, wanted: int, why: str = "") -> TargetError:
        """Return the error for a size in bytes that the smallest file does not meet."""
        reason = f"{why}; " if why else ""
        return cls(
            f"{reason}the smallest file reached has {smallest} bytes, {wanted} were asked for",
            smallest_bytes=smallest,
        )


class CancelledError(GuetzpyError):
    """The ``cancel`` that the caller gave was set before the work was done."""

    exit_code = 130
