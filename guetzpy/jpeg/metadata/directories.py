"""The directories of an EXIF segment (CIPA DC-008), which is a small TIFF file (TIFF 6.0).

It consists of directories of 12-byte entries, which refer to their values by offset from the TIFF header.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["GPS_POINTER", "MAKER_NOTE", "ORIENTATION", "Directory", "Entry", "Tiff", "blanked", "mask_of"]

#: Bytes of one value of each TIFF field type.
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

_STRIP_OFFSETS, _STRIP_COUNTS = 0x0111, 0x0117
ORIENTATION = 0x0112
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_EXIF_POINTER, GPS_POINTER, _INTEROP_POINTER, _SUB_POINTERS = 0x8769, 0x8825, 0xA005, 0x014A
MAKER_NOTE = 0x927C

#: Largest number of entries of all directories of a structure together; cameras write some hundreds.
#: Directories may overlap, so that one segment could hold thousands of directories with thousands of entries
#: each.
_MAX_ENTRIES = 1 << 16

#: Largest number of bytes of a structure, which may span several segments.
_MAX_SIZE = 1 << 22


@dataclass(frozen=True)
class Entry:
    """An entry of a directory."""

    position: int  # position of the 12-byte entry in the structure
    tag: int
    kind: int
    count: int
    start: int  # position of the value; one of at most 4 bytes is in the entry itself
    size: int  # bytes of the value, clipped at the end of the segment

    @property
    def outside(self) -> bool:
        """Whether the value lies outside the entry."""
        return self.start != self.position + 8


@dataclass(frozen=True)
class Directory:
    """A directory (IFD)."""

    role: str  # "main", "thumbnail", "exif", "gps", "interop" or "sub"
    position: int
    entries: tuple[Entry, ...]
    next_position: int  # position of the next directory's offset; past the end if missing

    def find(self, tag: int) -> Entry | None:
        """Return the first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


class Tiff:
    """The directories of a TIFF structure, each listed once even if several entries point at it.

    ``most``, if given, is the largest number of directories to read.

    Raises
    ------
    ValueError
        If the structure has no TIFF header or no readable directory, or is too large.
    """

    def __init__(self, data: bytes, most: int | None = None) -> None:
        if data[:4] == b"II*\0":
            self.order = "<"
        elif data[:4] == b"MM\0*":
            self.order = ">"
        else:
            raise ValueError("no TIFF header")
        if len(data) > _MAX_SIZE:
            raise ValueError("too large")
        self.data = data
        self.directories: list[Directory] = []
        waiting = deque([("main", self.long(4))])
        seen = {waiting[0][1]}
        entries = 0
        while waiting and (most is None or len(self.directories) < most):
            role, position = waiting.popleft()
            directory = self._directory(role, position) if position >= 8 else None
            if directory is None:
                continue
            entries += len(directory.entries)
            if entries > _MAX_ENTRIES:
                raise ValueError("too many entries")
            self.directories.append(directory)
            for reference in self._references(directory):
                if reference[1] not in seen:
                    seen.add(reference[1])
                    waiting.append(reference)
        if not self.directories or self.directories[0].role != "main":
            raise ValueError("no readable directory")

    def short(self, position: int) -> int:
        """Return the 16-bit number at a position; 0 if it lies outside the structure."""
        return self._number("H", position, 2)

    def long(self, position: int) -> int:
        """Return the 32-bit number at a position; 0 if it lies outside the structure."""
        return self._number("I", position, 4)

    def _number(self, code: str, position: int, size: int) -> int:
        if position < 0 or position + size > len(self.data):
            return 0
        return int(struct.unpack_from(self.order + code, self.data, position)[0])

    def number(self, entry: Entry | None, index: int = 0) -> int | None:
        """Return one value of a BYTE, SHORT, LONG or IFD entry; None for other types or no such value."""
        size = _TYPE_SIZES.get(entry.kind, 0) if entry is not None else 0
        if entry is None or entry.kind not in (1, 3, 4, 13) or size * (index + 1) > entry.size:
            return None
        code = {1: "B", 3: "H", 4: "I", 13: "I"}[entry.kind]
        return self._number(code, entry.start + size * index, size)

    def _directory(self, role: str, position: int) -> Directory | None:
        count = self.short(position)
        if position + 2 + 12 * count > len(self.data):
            return None
        if count == 0:
            # Without entries it is most likely other data, unless it leads to the directory of a thumbnail:
            # it is left so if nothing but the thumbnail is kept.
            after = self.long(position + 2)
            if role != "main" or after < 8 or not self.short(after):
                return None
        entries = []
        for at in range(position + 2, position + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(self.order + "HHI", self.data, at)
            size = _TYPE_SIZES.get(kind, 1) * number
            start = at + 8 if size <= 4 else self.long(at + 8)
            entries.append(Entry(at, tag, kind, number, start, max(0, min(size, len(self.data) - start))))
        return Directory(role, position, tuple(entries), position + 2 + 12 * count)

    def _references(self, directory: Directory) -> Iterator[tuple[str, int]]:
        roles = {
            _EXIF_POINTER: "exif",
            GPS_POINTER: "gps",
            _INTEROP_POINTER: "interop",
            _SUB_POINTERS: "sub",
        }
        for entry in directory.entries:
            if entry.tag in roles:
                for index in range(min(entry.count, 8)):
                    yield roles[entry.tag], self.number(entry, index) or 0
        if directory.role in ("main", "thumbnail"):
            yield "thumbnail", self.long(directory.next_position)

    def table(self, directory: Directory) -> tuple[int, int]:
        """Return the range of a directory's own bytes, including the offset to the next directory."""
        return directory.position, min(directory.next_position + 4, len(self.data))

    def values(self, directory: Directory, without: Collection[int] = ()) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the values that lie outside a directory.

        Maker notes and the entries at the positions ``without`` are omitted.
        """
        for entry in directory.entries:
            if entry.outside and entry.size and entry.tag != MAKER_NOTE and entry.position not in without:
                yield entry.start, entry.start + entry.size

    def pictures(self, directory: Directory) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the compressed thumbnail or of its strips."""
        start = self.number(directory.find(_THUMBNAIL_OFFSET))
        length = self.number(directory.find(_THUMBNAIL_LENGTH))
        if start is not None and length is not None:
            yield self._clip(start, length)
        offsets, lengths = directory.find(_STRIP_OFFSETS), directory.find(_STRIP_COUNTS)
        for index in range(offsets.count if offsets and lengths else 0):
            start, length = self.number(offsets, index), self.number(lengths, index)
            if start is None or length is None:
                return
            yield self._clip(start, length)

    def _clip(self, start: int, length: int) -> tuple[int, int]:
        start = min(start, len(self.data))
        return start, min(start + length, len(self.data))


def _merged(length: int, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the union of ranges as disjoint ranges; overlapping input then costs no extra time."""
    reached = 0
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, length)
        if start < end:
            yield start, end
            reached = end


def mask_of(length: int, spans: Iterable[tuple[int, int]]) -> bytearray:
    """Return one byte for each of ``length`` bytes: 1 within the ranges, else 0."""
    mask = bytearray(length)
    for start, end in _merged(length, spans):
        mask[start:end] = b"\1" * (end - start)
    return mask


def blanked(data: bytes, spans: Iterable[tuple[int, int]]) -> bytearray:
    """Return a copy of the data with zeros in the given ranges."""
    edited = bytearray(data)
    for start, end in _merged(len(data), spans):
        edited[start:end] = bytes(end - start)
    return edited
