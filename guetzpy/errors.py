"""Exceptions. The attribute ``exit_code`` is the exit code of the command line.

::

    GuetzpyError
    ├── FormatError        the input is damaged or not a picture
    ├── UnsupportedError   the input is valid, but guetzpy does not handle it
    ├── LimitError         a limit of size, number, memory or time is exceeded
    ├── TargetError        the target cannot be met
    └── CancelledError     the caller cancelled the work
"""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "FormatError",
    "GuetzpyError",
    "LimitError",
    "SourceTypeError",
    "TargetError",
    "UnsupportedError",
    "explain",
]


class GuetzpyError(Exception):
    """Base class of the errors that guetzpy raises for its input and options.

    Attributes
    ----------
    name : str, optional
        Name of the file concerned, if there is one. It is part of the message.
    reason : str
        The message without the name.
    """

    exit_code: int = 1
    name: str | None = None

    @property
    def reason(self) -> str:
        """The message without the name of the file."""
        return super().__str__()

    def __str__(self) -> str:
        return self.reason if self.name is None else f"{self.name}: {self.reason}"


class FormatError(GuetzpyError):
    """The input is corrupt, truncated or not a picture."""


class UnsupportedError(GuetzpyError):
    """The input is valid but uses a feature that guetzpy does not handle. The message names the feature.

    Attributes
    ----------
    extra : str, optional
        The extra of guetzpy that reads such files, if it is not installed.
    """

    extra: str | None = None


class LimitError(GuetzpyError):
    """A limit (of pixels, scans, metadata, input size, memory or time) is exceeded. The message names it."""


class TargetError(GuetzpyError):
    """No file meets the target. The message names the best size or score that was reached.

    Parameters
    ----------
    message : str
        The target and the best that was reached.
    smallest_bytes : int, optional
        If the target is a size: the size in bytes of the smallest file reached.
    best : dict of str to float, optional
        If the target is a quality: the scores of the best file reached, by metric.

    Attributes
    ----------
    smallest_bytes, best
        The parameters of these names.
    """

    def __init__(
        self, message: str, *, smallest_bytes: int | None = None, best: dict[str, float] | None = None
    ) -> None:
        super().__init__(message)
        self.smallest_bytes = smallest_bytes
        self.best = best

    @classmethod
    def of_size(cls, smallest: int, wanted: int, why: str = "") -> TargetError:
        """Return the error for a target of ``wanted`` bytes if the smallest file has ``smallest``."""
        reason = f"{why}; " if why else ""
        return cls(
            f"{reason}the smallest file reached has {smallest} bytes, {wanted} were asked for",
            smallest_bytes=smallest,
        )


class CancelledError(GuetzpyError):
    """The caller's ``cancel`` was set before the work was finished."""

    exit_code = 130


class SourceTypeError(TypeError):
    """The caller passed an object that is not a picture, or an array of a dtype that is not one's.

    It is a class of its own so that results tell it from an error within guetzpy.
    """


def explain(error: BaseException, name: str | None = None) -> str:
    """Return the message of any error in one line, without the name of the file if it is ``name``."""
    if isinstance(error, GuetzpyError):
        return error.reason
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename and error.filename != name else ""
        return where + error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, FileNotFoundError):  # fsspec's error has no strerror; its text is the file's name
        return f"no such file: {text}"
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, (OSError, ValueError, SourceTypeError)):
        return text or type(error).__name__
    return f"internal error, {type(error).__name__}: {text}"
