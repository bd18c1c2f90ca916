"""The work that all hooks of web programs share: make a JPEG smaller if that works, else leave it."""

from __future__ import annotations

import os
from typing import Any

from guetzpy import api, output
from guetzpy.errors import CancelledError, GuetzpyError
from guetzpy.progress import logger

__all__ = ["is_jpeg", "shrink_file", "smaller"]


def is_jpeg(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is a JPEG."""
    return head[:3] == b"\xff\xd8\xff"


def smaller(data: bytes, name: str | None = None, **options: Any) -> bytes:
    """Return a JPEG in fewer bytes; the same bytes if it cannot be made smaller, is broken, or is no JPEG.

    A page or an upload must not fail because a picture could not be made smaller: that is logged, as a
    warning of the logger ``guetzpy``. Wrong options raise all the same.
    """
    if not is_jpeg(data):
        return data
    try:
        return api.optimize(data, **options).data
    except CancelledError:
        raise
    except GuetzpyError as error:
        logger.warning("%s: left as it is: %s", name or "picture", error.reason)
        return data


def shrink_file(path: str | os.PathLike[str], **options: Any) -> None:
    """Replace a JPEG by a smaller one, whole or not at all; anything else stays untouched."""
    with open(path, "rb") as stream:
        state = os.fstat(stream.fileno())
        data = stream.read()
    less = smaller(data, os.fspath(path), **options)
    if less != data:
        output.write(path, less, expected=state)
