"""EXIF: read the orientation, take out GPS or the thumbnail without moving anything else.

An EXIF segment is a small TIFF file (CIPA DC-008; TIFF 6.0): directories of 12-byte entries that point at
their values by offset from the TIFF header. Maker notes are opaque and often hold such offsets too, some of
them beyond their own declared end. So nothing that stays is ever moved: what goes is blanked with zeros
where it lies, and only a thumbnail that ends the segment is cut off.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

__all__ = [
    "HEADER",
    "Directory",
    "Entry",
    "Tiff",
    "UnsafeEditError",
    "blanked",
    "count_directories",
    "demand_apart",
    "drop_entries",
    "maker_note",
    "minimal",
    "orientation",
    "part_sizes",
    "read_tiff",
    "without_gps",
    "without_thumbnail",
]

#: First bytes of an EXIF segment; the TIFF structure follows.
HEADER = b"Exif\0\0"

#: Bytes of one value of each TIFF field type.
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}

_STRIP_OFFSETS, _STRIP_COUNTS = 0x0111, 0x0117
_ORIENTATION = 0x0112
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_EXIF_POINTER, _GPS_POINTER, _INTEROP_POINTER, _SUB_POINTERS = 0x8769, 0x8825, 0xA005, 0x014A
_MAKER_NOTE = 0x927C

#: Entries of all directories of a structure together; real files have some hundreds. Directories may
#: overlap, so that a segment could hold thousands of them with thousands of entries each.
_MAX_ENTRIES = 1 << 16

#: Bytes of a structure over several segments.
_MAX_SIZE = 1 << 22


class UnsafeEditError(ValueError):
    """The part cannot be taken out without touching something that stays."""


@dataclass(frozen=True)
class Entry:
    """An entry of a directory."""

    position: int  # of the 12 bytes
    tag: int
    kind: int
    count: int
    start: int  # of the value, in the entry itself if it has at most 4 bytes
    size: int  # of the value in bytes, clipped at the end of the segment

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
    next_position: int  # of the pointer to the next directory; past the end if it is missing

    def find(self, tag: int) -> Entry | None:
        """Return the first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


class Tiff:
    """The directories of a TIFF structure, each visited once, whatever points at it.

    No more than ``most`` of them, where that is given.
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
        """Return the 16-bit number at a position, 0 outside."""
        return self._number("H", position, 2)

    def long(self, position: int) -> int:
        """Return the 32-bit number at a position, 0 outside."""
        return self._number("I", position, 4)

    def _number(self, code: str, position: int, size: int) -> int:
        if position < 0 or position + size > len(self.data):
            return 0
        return int(struct.unpack_from(self.order + code, self.data, position)[0])

    def number(self, entry: Entry | None, index: int = 0) -> int | None:
        """Return one value of a SHORT or LONG (or BYTE) entry, None if it is something else."""
        size = _TYPE_SIZES.get(entry.kind, 0) if entry is not None else 0
        if entry is None or entry.kind not in (1, 3, 4, 13) or size * (index + 1) > entry.size:
            return None
        code = {1: "B", 3: "H", 4: "I", 13: "I"}[entry.kind]
        return self._number(code, entry.start + size * index, size)

    def _directory(self, role: str, position: int) -> Directory | None:
        count = self.short(position)
        if count == 0 or position + 2 + 12 * count > len(self.data):
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
            _GPS_POINTER: "gps",
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
        """Return the range of the directory itself, its next pointer included."""
        return directory.position, min(directory.next_position + 4, len(self.data))

    def values(self, directory: Directory, without: Collection[int] = ()) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the values that lie outside the directory.

        Maker notes are left out, and the entries at the positions ``without``.
        """
        for entry in directory.entries:
            if entry.outside and entry.size and entry.tag != _MAKER_NOTE and entry.position not in without:
                yield entry.start, entry.start + entry.size

    def pictures(self, directory: Directory) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the thumbnail's own data."""
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


def count_directories(tiff: bytes, most: int) -> int:
    """Return how many directories a TIFF structure has, at most ``most``; 0 if it is broken."""
    try:
        return len(Tiff(tiff, most).directories)
    except ValueError:
        return 0


def orientation(tiff: bytes) -> int:
    """Return the orientation, 1..8, of a TIFF structure; 1 if there is none or it is broken."""
    try:
        structure = Tiff(tiff)
    except ValueError:
        return 1
    value = structure.number(structure.directories[0].find(_ORIENTATION))
    return value if value is not None and 1 <= value <= 8 else 1


def minimal(orientation: int) -> bytes:
    """Return the payload of an EXIF segment that holds the orientation alone."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    return HEADER + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def maker_note(tiff: bytes) -> tuple[int, int] | None:
    """Return the range of the maker note in a TIFF structure."""
    try:
        structure = Tiff(tiff)
    except ValueError:
        return None
    for directory in structure.directories:
        entry = directory.find(_MAKER_NOTE)
        if directory.role == "exif" and entry is not None and entry.outside:
            return entry.start, entry.start + entry.size
    return None


def part_sizes(tiff: bytes) -> dict[str, int]:
    """Return the bytes that GPS data and thumbnail take, for those present."""
    try:
        structure = Tiff(tiff)
    except ValueError:
        return {}
    sizes = {}
    for role in ("gps", "thumbnail"):
        ranges = [
            span
            for directory in structure.directories
            if directory.role == role
            for span in (
                structure.table(directory),
                *structure.values(directory),
                *structure.pictures(directory),
            )
        ]
        if ranges:
            sizes[role] = sum(mask_of(len(tiff), ranges))
    return sizes


def without_gps(tiff: bytes) -> bytes:
    """Take the GPS directory out, its bytes zeroed in place, the pointers to it removed.

    Parameters
    ----------
    tiff : bytes
        TIFF structure of an EXIF segment.

    Returns
    -------
    bytes
        The same length; everything but the GPS data is where it was.

    Raises
    ------
    UnsafeEditError
        If the structure cannot be read, or GPS data overlaps something else.
    """
    structure = read_tiff(tiff)
    gone = [d for d in structure.directories if d.role == "gps"]
    stays = [d for d in structure.directories if d.role != "gps"]
    spans = [span for d in gone for span in (structure.table(d), *structure.values(d))]
    reached = {d.position for d in structure.directories}
    for entry in (entry for d in stays for entry in d.entries if entry.tag == _GPS_POINTER):
        target = structure.number(entry)
        if (
            target is not None
            and 8 <= target < len(tiff)
            and target not in reached
            and structure.short(target)
        ):
            raise UnsafeEditError("EXIF: GPS data cannot be read")
    demand_apart(structure, spans, stays)
    edited = blanked(tiff, spans)
    for directory in stays:
        drop_entries(edited, structure, directory, lambda entry: entry.tag == _GPS_POINTER)
    return bytes(edited)


def without_thumbnail(tiff: bytes) -> bytes:
    """Take the thumbnail and its directory out; cut it off where it ends the structure.

    Parameters
    ----------
    tiff : bytes
        TIFF structure of an EXIF segment.

    Returns
    -------
    bytes
        At most as long; everything that stays is where it was.

    Raises
    ------
    UnsafeEditError
        If the structure cannot be read, or the thumbnail overlaps something else.
    """
    structure = read_tiff(tiff)
    gone = [d for d in structure.directories if d.role == "thumbnail"]
    stays = [d for d in structure.directories if d.role != "thumbnail"]
    pictures = [span for d in gone for span in structure.pictures(d)]
    demand_apart(structure, pictures, stays)
    # Cameras let both directories share values such as the resolution; those stay.
    kept = mask_of(len(tiff), [span for d in stays for span in (structure.table(d), *structure.values(d))])
    spans = pictures + [span for d in gone for span in (structure.table(d), *structure.values(d))]
    mask = bytearray(a & (1 - b) for a, b in zip(mask_of(len(tiff), spans), kept, strict=True))
    edited = bytearray(0 if gone_here else byte for byte, gone_here in zip(tiff, mask, strict=True))
    for directory in stays:
        if directory.role == "main" and directory.next_position + 4 <= len(tiff):
            edited[directory.next_position : directory.next_position + 4] = bytes(4)
    end = len(tiff)
    while end > 8 and not mask[end - 1] and not kept[end - 1] and tiff[end - 1] in (0, 0xFF):
        end -= 1  # padding behind the thumbnail
    if not mask[end - 1]:
        return bytes(edited)
    while end > 8 and (mask[end - 1] or (tiff[end - 1] == 0 and mask[end - 2] and not kept[end - 1])):
        end -= 1  # the odd zero between two parts is TIFF's word alignment
    return bytes(edited[:end])


def read_tiff(tiff: bytes) -> Tiff:
    """Read a structure that is to be edited; UnsafeEditError if that fails."""
    try:
        return Tiff(tiff)
    except ValueError as error:
        raise UnsafeEditError(f"EXIF: {error}") from error


def _merged(length: int, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the union of ranges as ranges apart, so that hostile overlaps cost no time."""
    reached = 0
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, length)
        if start < end:
            yield start, end
            reached = end


def mask_of(length: int, spans: Iterable[tuple[int, int]]) -> bytearray:
    mask = bytearray(length)
    for start, end in _merged(length, spans):
        mask[start:end] = b"\1" * (end - start)
    return mask


def blanked(data: bytes, spans: Iterable[tuple[int, int]]) -> bytearray:
    """Return data with zeros in some ranges."""
    edited = bytearray(data)
    for start, end in _merged(len(data), spans):
        edited[start:end] = bytes(end - start)
    return edited


def demand_apart(
    structure: Tiff,
    spans: list[tuple[int, int]],
    stays: list[Directory],
    gone: Collection[int] = (),
) -> None:
    """Raise UnsafeEditError if ranges overlap directories that stay or values, those of ``gone`` excepted."""
    # Maker notes are not asked: some declare more than they hold.
    kept = [(0, 8)] + [
        span for d in stays for span in (structure.table(d), *structure.values(d, without=gone))
    ]
    length = len(structure.data)
    ours, theirs = (int.from_bytes(mask_of(length, group), "big") for group in (spans, kept))
    if ours & theirs:
        raise UnsafeEditError("EXIF: parts overlap")


def drop_entries(
    edited: bytearray, structure: Tiff, directory: Directory, goes: Callable[[Entry], bool]
) -> None:
    """Close a directory up over some of its entries; the values of the others do not move."""
    start, end = structure.table(directory)
    kept = [entry for entry in directory.entries if not goes(entry)]
    if len(kept) == len(directory.entries):
        return
    table = struct.pack(structure.order + "H", len(kept))
    table += b"".join(bytes(edited[entry.position : entry.position + 12]) for entry in kept)
    table += bytes(edited[directory.next_position : end])
    edited[start:end] = table.ljust(end - start, b"\0")
