"""MPF, the Multi-Picture Format (CIPA DC-007): the index of several pictures in one file.

The index is a TIFF directory in an APP2 segment of the first picture. Each picture has an entry of 16 bytes:
attributes, length, offset from the TIFF header of the index, and the numbers of two dependent pictures. When
the first picture changes size, lengths and offsets must be updated.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["HEADER", "Index", "read_index"]

#: First bytes of an MPF segment. The TIFF structure follows; offsets count from its start.
HEADER = b"MPF\0"

_NUMBER_OF_IMAGES, _ENTRIES, _UNIQUE_IDS = 0xB001, 0xB002, 0xB003
_ENTRY_SIZE, _UNIQUE_ID_SIZE = 16, 33


@dataclass(frozen=True)
class Picture:
    """An entry of the index, with the values of the file.

    Attributes
    ----------
    attribute : int
        Flags and type of the picture (DC-007 5.2.3.3.1).
    size : int
        Length in bytes.
    offset : int
        Offset of its SOI from the TIFF header of the index; 0 for the first picture.
    dependents : tuple of int
        1-based numbers of dependent pictures, 0 for none.
    """

    attribute: int
    size: int
    offset: int
    dependents: tuple[int, int]


@dataclass(frozen=True)
class Index:
    """A parsed MPF segment.

    Attributes
    ----------
    payload : bytes
        The segment's payload, including "MPF" and NUL.
    pictures : tuple of Picture
        One entry per picture. The first is the picture that contains the index.
    """

    payload: bytes
    pictures: tuple[Picture, ...]
    _order: str
    _fields: dict[int, int]  # tag -> position of its 12 bytes
    _entries: int  # position of the first entry

    def with_places(self, places: dict[int, tuple[int, int]]) -> bytes:
        """Return the payload with a new (size, offset) for each picture, by number from 0."""
        edited = bytearray(self.payload)
        for number, (size, offset) in places.items():
            at = self._entries + _ENTRY_SIZE * number
            struct.pack_into(self._order + "II", edited, at + 4, size, offset)
        return bytes(edited)

    def without(self, numbers: set[int]) -> bytes:
        """Return the payload, of the same length, without some pictures; the first is always kept."""
        kept = [number for number in range(len(self.pictures)) if number not in numbers or number == 0]
        renumbered = {old + 1: new + 1 for new, old in enumerate(kept)}
        edited = bytearray(self.payload)
        rows = b""
        for number in kept:
            picture = self.pictures[number]
            dependents = [renumbered.get(other, 0) for other in picture.dependents]
            rows += struct.pack(
                self._order + "IIIHH", picture.attribute, picture.size, picture.offset, *dependents
            )
        end = self._entries + _ENTRY_SIZE * len(self.pictures)
        edited[self._entries : end] = rows.ljust(end - self._entries, b"\0")
        struct.pack_into(self._order + "I", edited, self._fields[_ENTRIES] + 4, len(rows))
        if _NUMBER_OF_IMAGES in self._fields:
            struct.pack_into(self._order + "I", edited, self._fields[_NUMBER_OF_IMAGES] + 8, len(kept))
        self._drop_unique_ids(edited, kept)
        return bytes(edited)

    def _drop_unique_ids(self, edited: bytearray, kept: list[int]) -> None:
        field = self._fields.get(_UNIQUE_IDS)
        if field is None:
            return
        count, offset = struct.unpack_from(self._order + "II", edited, field + 4)
        start = len(HEADER) + offset
        end = start + count
        if count != _UNIQUE_ID_SIZE * len(self.pictures) or end > len(edited):
            return
        rows = b"".join(
            bytes(edited[start + _UNIQUE_ID_SIZE * n : start + _UNIQUE_ID_SIZE * (n + 1)]) for n in kept
        )
        edited[start:end] = rows.ljust(count, b"\0")
        struct.pack_into(self._order + "I", edited, field + 4, len(rows))


def read_index(payload: bytes) -> Index | None:
    """Parse an MPF segment.

    Parameters
    ----------
    payload : bytes
        Payload of an APP2 segment.

    Returns
    -------
    Index or None
        None if it is no MPF segment, is invalid, or has no index (only the first picture has one).
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(payload[4:8])
    if not payload.startswith(HEADER) or order is None or len(payload) < 14:
        return None
    (directory,) = struct.unpack_from(order + "I", payload, 8)
    position = len(HEADER) + directory
    if directory < 8 or position + 2 > len(payload):
        return None
    (count,) = struct.unpack_from(order + "H", payload, position)
    if position + 2 + 12 * count > len(payload):
        return None
    fields: dict[int, int] = {}
    for at in range(position + 2, position + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(order + "H", payload, at)
        fields.setdefault(tag, at)
    if _ENTRIES not in fields:
        return None
    length, offset = struct.unpack_from(order + "II", payload, fields[_ENTRIES] + 4)
    number, entries = length // _ENTRY_SIZE, len(HEADER) + offset
    if length % _ENTRY_SIZE or not number or entries + length > len(payload):
        return None
    pictures = []
    for at in range(entries, entries + length, _ENTRY_SIZE):
        attribute, size, place, first, second = struct.unpack_from(order + "IIIHH", payload, at)
        pictures.append(Picture(attribute, size, place, (first, second)))
    return Index(payload, tuple(pictures), order, fields, entries)
