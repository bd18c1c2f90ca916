"""Functions shared by the integrations for the web: optimise a JPEG, or leave it unchanged after an error."""

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
    """Return the picture as a smaller JPEG.

    The data is returned unchanged if it is not a JPEG, cannot be made smaller or is damaged. An error of the
    picture is not raised, so that no upload and no build of a page fails; it is logged as a warning of the
    logger ``guetzpy``. Invalid options raise TypeError or ValueError.
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
    """Replace a JPEG file atomically by a smaller one. Files that are not JPEG are not changed."""
    with open(path, "rb") as stream:
        state = os.fstat(stream.fileno())
        data = stream.read()
    less = smaller(data, os.fspath(path), **options)
    if less != data:
        output.write(path, less, expected=state)
