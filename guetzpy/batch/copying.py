"""Copying of files that are not pictures, in the parent process."""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import BinaryIO

from guetzpy.batch import storage
from guetzpy.batch.tasks import Skipped
from guetzpy.batch.worker import Delivery, explain, put
from guetzpy.result import Result

__all__ = ["copy"]

# Bytes that are read at a time when two files are compared.
_PIECE = 1 << 20


def copy(other: Skipped, place: str, delivery: Delivery) -> Result:
    """Copy a file that is not a picture, unless ``place`` already has the same contents.

    What cannot be copied, such as a link to nothing, is passed over with a warning.
    """
    if not other.can_copy:
        warning = f"not copied: {other.reason}"
        return Result(status="kept", reason=other.reason, input=other.input, warnings=(warning,))
    try:
        size = _copied(other.input, place, delivery)
    except Exception as error:
        return Result(status="failed", input=other.input, error=explain(error, other.input))
    return Result(
        status="kept",
        reason=f"{other.reason}; copied",
        input=other.input,
        output=place,
        bytes_before=size,
        bytes_after=size,
    )


def _copied(name: str, place: str, delivery: Delivery) -> int:
    """Copy a file and return its size in bytes. Local files are copied in pieces, so any size is possible."""
    if storage.is_url(name) or storage.is_url(place):
        data, _, _ = storage.read(name, delivery.storage_options, max_input=sys.maxsize)
        if storage.is_url(place) or not _is_copy(io.BytesIO(data), len(data), place):
            put(name, data, place, delivery)
        return len(data)
    with storage.open_regular(name) as stream:
        size = os.fstat(stream.fileno()).st_size
        if not _is_copy(stream, size, place):
            put(name, stream, place, delivery)
    return size


def _is_copy(stream: BinaryIO, size: int, place: str) -> bool:
    try:
        state = os.lstat(place)
        if not stat.S_ISREG(state.st_mode) or state.st_size != size:
            return False
        with open(place, "rb") as other:
            while piece := other.read(_PIECE):
                if stream.read(len(piece)) != piece:
                    return False
    except OSError:
        return False
    return True
