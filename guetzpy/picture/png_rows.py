"""Check that the data of a PNG has all rows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from guetzpy._runtime.threads import check_time
from guetzpy.errors import FormatError

__all__ = ["check_rows", "may_be_filled"]

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: First column, first row, and steps of the passes of Adam7 (PNG specification, 8.1).
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

# Bytes that are decompressed at a time.
_PIECE = 1 << 20


def may_be_filled(codes: npt.NDArray[Any]) -> bool:
    """Return whether Pillow may have filled the last rows of a picture, shape (1|3, H, W).

    A row that it fills has one colour. An interlaced picture gets its last odd row, one of the last two, from
    the end of the data.
    """
    last = codes[:, -2:]
    return bool((last == last[:, :, :1]).all(axis=(0, 2)).any())


def check_rows(data: bytes) -> None:
    """Raise FormatError if a PNG's compressed data ends before its last row.

    Pillow reports data that is cut off, but fills the missing rows if the stream of zlib is complete.

    Parameters
    ----------
    data : bytes
        A PNG that Pillow decodes.
    """
    if data[12:16] != b"IHDR":
        return
    wanted, found = _size(data[16:29]), 0
    stream = zlib.decompressobj()
    try:
        for piece in _compressed(data):
            while piece and not stream.eof:
                check_time()
                found += len(stream.decompress(piece, _PIECE))
                piece = stream.unconsumed_tail
                if found >= wanted:
                    return
        found += len(stream.flush())
    except zlib.error:  # Pillow decides whether the error matters
        return
    if stream.eof and found < wanted:
        raise FormatError(f"PNG cannot be decoded: its rows end early ({found} bytes of {wanted})")


def _size(header: bytes) -> int:
    """Return the bytes of all rows, each with the number of its filter, from the data of IHDR."""
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    bits = header[8] * _CHANNELS.get(header[9], 1)
    passes = _ADAM7 if header[12] else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes)
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 < rows)


def _compressed(data: bytes) -> Iterator[bytes]:
    """Yield the contents of the IDAT chunks."""
    at = 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            yield data[at + 8 : at + 8 + size]
        at += 12 + size
