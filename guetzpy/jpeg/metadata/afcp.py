"""AFCP trailers (AXS File Concatenation Protocol): IPTC datasets, text and pictures at the end of a file.

A trailer begins with a signature ("AXS!" for big endian, "AXS*" for little endian), a 16-bit version, a
16-bit number of entries and four reserved bytes. An entry has a tag of four characters, and the 32-bit length
and position of its data. The last 12 bytes of the file are the signature, the position of the trailer and
four reserved bytes. Positions count from the start of the file. (The format is as ExifTool's AFCP.pm
describes it.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Entry", "Trailer", "edited", "read_trailer"]

_ORDERS = {b"AXS!": ">", b"AXS*": "<"}
_HEAD, _ROW = 12, 12
#: At most this many signatures are tried as the start of the trailer.
_MAX_STARTS = 16


@dataclass(frozen=True)
class Entry:
    """An entry: its tag, and the range of its data."""

    tag: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Trailer:
    """A trailer. All positions count from the start of the data that it was read from.

    Attributes
    ----------
    start : int
        First byte.
    order : str
        Byte order, "<" or ">".
    entries : tuple of Entry
        Its entries.
    positions : tuple of (int, int)
        Where each 32-bit position of the trailer is stored, and the byte that it points at.
    """

    start: int
    order: str
    entries: tuple[Entry, ...]
    positions: tuple[tuple[int, int], ...]


def read_trailer(data: bytes) -> Trailer | None:
    """Return the trailer at the end of some data, such as the bytes after EOI; None if there is none.

    The trailer is found by its signature, because its positions may be wrong: a program that does not know
    the trailer does not update them when it changes the size of the picture.
    """
    end = len(data) - _HEAD
    sign = data[end : end + 4] if end >= _HEAD else b""
    if sign not in _ORDERS:
        return None
    (stated,) = struct.unpack_from(_ORDERS[sign] + "I", data, end + 4)
    start = end
    for _ in range(_MAX_STARTS):
        start = data.rfind(sign, 0, start)
        if start < 0:
            return None
        found = _trailer_at(data, start, end, stated, _ORDERS[sign])
        if found is not None:
            return found
    return None


def _trailer_at(data: bytes, start: int, end: int, stated: int, order: str) -> Trailer | None:
    """Return the trailer from ``start``; None if an entry is not within ``start`` and ``end``."""
    (count,) = struct.unpack_from(order + "H", data, start + 6)
    body = start + _HEAD + _ROW * count
    if not count or body > end:
        return None
    entries, positions = [], [(end + 4, start)]
    for at in range(start + _HEAD, body, _ROW):
        size, place = struct.unpack_from(order + "II", data, at + 4)
        first = place - stated + start
        if not body <= first <= first + size <= end:
            return None
        entries.append(Entry(data[at : at + 4], first, first + size))
        positions.append((at + 8, first))
    return Trailer(start, order, tuple(entries), tuple(positions))


def edited(data: bytes, trailer: Trailer, edit: Callable[[bytes, bytes], bytes]) -> bytes:
    """Return the trailer of some data with edited entries; its positions count from its start.

    Parameters
    ----------
    data : bytes
        The data that the trailer was read from.
    trailer : Trailer
        What :func:`read_trailer` returned for ``data``.
    edit : callable
        Called with the tag and data of each entry; returns its new data, which is empty to remove the entry.

    Returns
    -------
    bytes
        The trailer; empty if no entry is left.
    """
    items = [(entry.tag, edit(entry.tag, data[entry.start : entry.end])) for entry in trailer.entries]
    items = [(tag, content) for tag, content in items if content]
    if not items:
        return b""
    sign, order = data[trailer.start : trailer.start + 4], trailer.order
    head = data[trailer.start : trailer.start + 6] + struct.pack(order + "HI", len(items), 0)
    rows, contents, at = b"", b"", _HEAD + _ROW * len(items)
    for tag, content in items:
        rows += tag + struct.pack(order + "II", len(content), at + len(contents))
        contents += content
    return head + rows + contents + sign + struct.pack(order + "II", 0, 0)
