"""Limits on memory, and the messages about them, which name the value of ``max_memory`` that is enough."""

from __future__ import annotations

from guetzpy._runtime.memory import physical
from guetzpy.errors import LimitError

__all__ = [
    "FEW_BYTES", "FOR_FEW_BYTES", "MORE", "check_few_bytes", "check_memory", "few", "rounded", "sufficient",
    "too_much",
]  # fmt: skip

#: A file of fewer bytes than FEW_BYTES may take at most FOR_FEW_BYTES of memory, however many pixels it
#: declares. Photographs of so few bytes have few pixels, but blank pages, drawings and decompression bombs
#: can have many.
FEW_BYTES, FOR_FEW_BYTES = 500_000, 500_000_000
#: End of the messages about the limits for such files.
MORE = "--max-memory (max_memory) allows more"


def check_memory(
    pixels: int, wanted: int, ceiling: int | None, name: str | None = None, *, enough: int | None = None
) -> None:
    """Raise LimitError if a step takes more bytes than the ceiling allows.

    Parameters
    ----------
    pixels : int
        Number of pixels of the picture, for the message.
    wanted : int
        Bytes of memory that this step takes.
    ceiling : int, optional
        Bytes of memory that may be taken. Default: the machine's memory.
    name : str, optional
        Name of the file, for the message.
    enough : int, optional
        The ceiling that is sufficient for all steps, which the message names. Default: ``wanted``.
    """
    allowed = physical() if ceiling is None else ceiling
    if allowed is not None and wanted > allowed:
        words = "of this machine; --max-memory (max_memory) sets another limit"
        if ceiling is not None:
            words = "that are allowed by --max-memory (max_memory)"
        raise too_much(pixels, wanted, allowed, words, enough, name)


def check_few_bytes(
    pixels: int, wanted: int, file_size: int | None, ceiling: int | None, enough: int | None = None
) -> None:
    """Raise LimitError as :func:`check_memory` does, with a lower limit for files of few bytes.

    Without a ceiling, a file of fewer than ``FEW_BYTES`` bytes may take ``FOR_FEW_BYTES``. ``file_size`` is
    None for a picture that is not from a file.
    """
    if file_size is not None and file_size < FEW_BYTES and ceiling is None and wanted > FOR_FEW_BYTES:
        raise too_much(pixels, wanted, FOR_FEW_BYTES, few(file_size), enough, None)
    check_memory(pixels, wanted, ceiling, enough=enough)


def few(file_size: int) -> str:
    """Return the part of a message that says that the limit is low because the file is small."""
    return f"for a file of only {file_size} bytes; {MORE}"


def rounded(count: int) -> int:
    """Return a number rounded up to three digits."""
    unit = int(10 ** max(0, len(str(count)) - 3))
    return -(-count // unit) * unit


def sufficient(count: int) -> str:
    """Return the part of a message that names the value of ``--max-memory`` that is sufficient."""
    return f"--max-memory {rounded(count)} is enough"


def too_much(
    pixels: int, wanted: int, allowed: int, words: str, enough: int | None, name: str | None
) -> LimitError:
    """Return the error for a step that takes ``wanted`` bytes of memory, of which ``allowed`` are allowed.

    ``words`` follow the number of allowed bytes in the message. See :func:`check_memory` for ``enough``.
    """
    error = LimitError(
        f"{pixels / 1e6:.1f} megapixels would take about {wanted / 1e9:.3g} GB of memory,"
        f" more than the {allowed / 1e9:.3g} GB {words}: {sufficient(wanted if enough is None else enough)}"
    )
    error.name = name
    return error
