"""Writing in the parent process: copies of files that are not pictures, and results of pictures in memory."""

from __future__ import annotations

import io
import os
import posixpath
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from guetzpy.batch import storage
from guetzpy.batch.tasks import Skipped, jpeg_name
from guetzpy.batch.worker import Delivery, put
from guetzpy.engine.stream import Pictures
from guetzpy.errors import explain
from guetzpy.result import Result

__all__ = ["copy", "written"]

# Bytes per read when two files are compared.
_PIECE = 1 << 20


def copy(other: Skipped, place: str, delivery: Delivery) -> Result:
    """Copy a file that is not a picture, unless ``place`` already has the same contents.

    A file that cannot be copied, such as a dangling link, is skipped with a warning.
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


def written(results: Iterator[Result], pictures: Pictures, goal: str) -> Iterator[Result]:
    """Write each result below a folder or URL, under the name of its picture.

    A picture whose file would replace that of an earlier one, as ``a.png`` after ``a.jpg``, fails.
    """
    taken: dict[str, str] = {}
    if not storage.is_url(goal):
        os.makedirs(goal, exist_ok=True)
    for result in results:
        if pictures.numbered:
            raise ValueError("pictures with a destination need names: give pairs (name, picture)")
        if result.status == "failed":
            yield result
            continue
        name = place = jpeg_name(result.input or "")
        try:
            if os.path.isabs(name) or ".." in name.replace("\\", "/").split("/"):
                raise OSError(f"{name}: leads out of the destination")
            if not posixpath.basename((result.input or "").replace("\\", "/")):
                raise OSError(f"{result.input!r}: is no name of a file")
            place = storage.join(goal, name)
            # The names come one by one, so a clash is not known before.
            key = place if storage.is_url(goal) else os.path.normcase(os.path.normpath(place))
            if key in taken:
                raise OSError(f"{place}: has the picture {taken[key]}; give each picture a name of its own")
            storage.write(place, result.data, below=None if storage.is_url(goal) else goal)
        except Exception as error:
            yield Result.of_failure(error, explain(error, place), result.input or "", result.target)
        else:
            taken[key] = result.input or ""
            yield replace(result, output=place, data=b"")
