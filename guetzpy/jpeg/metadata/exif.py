"""EXIF: read the orientation; remove GPS data or the thumbnail without moving other data.

An EXIF segment is a small TIFF file (CIPA DC-008; TIFF 6.0). It consists of directories of 12-byte entries,
which refer to their values by offset from the TIFF header. Maker notes have no documented structure and
often hold such offsets too, some of them beyond the note's own declared end. Therefore no data that remains
is moved: removed data is overwritten with zeros, and only a thumbnail at the end of the segment is cut off.
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

#: Most entries of all directories of a structure together; cameras write some hundreds. Directories may
#: overlap, so that one segment could hold thousands of directories with thousands of entries each.
_MAX_ENTRIES = 1 << 16

#: Most bytes of a structure, which may span several segments.
_MAX_SIZE = 1 << 22


class UnsafeEditError(ValueError):
    """Removing the data would change data that must remain."""


@dataclass(frozen=True)
class Entry:
    """An entry of a directory."""

    position: int  # of the 12-byte entry in the structure
    tag: int
    kind: int
    count: int
    start: int  # of the value; values of at most 4 bytes lie in the entry itself
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
    next_position: int  # of the offset to the next directory; past the end of the structure if it is missing

    def find(self, tag: int) -> Entry | None:
        """Return the first entry of a tag."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


class Tiff:
    """The directories of a TIFF structure, each listed once even if several entries point at it.

    ``most``, if given, is the number of directories to read at most.

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
        """Return the range of a directory's own bytes, including the offset to the next directory."""
        return directory.position, min(directory.next_position + 4, len(self.data))

    def values(self, directory: Directory, without: Collection[int] = ()) -> Iterator[tuple[int, int]]:
        """Yield the ranges of the values that lie outside a directory.

        Maker notes and the entries at the positions ``without`` are omitted.
        """
        for entry in directory.entries:
            if entry.outside and entry.size and entry.tag != _MAKER_NOTE and entry.position not in without:
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


def count_directories(tiff: bytes, most: int) -> int:
    """Return the number of directories in a TIFF structure, at most ``most``; 0 if it is broken."""
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
    """Return the payload of an EXIF segment with the orientation (1..8) as its only entry."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    return HEADER + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def maker_note(tiff: bytes) -> tuple[int, int] | None:
    """Return the range (start, end) of the maker note in a TIFF structure; None if there is none."""
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
    """Return the bytes of the GPS data and of the thumbnail, under "gps" and "thumbnail" if present."""
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
    """Remove the GPS directory: zero its bytes in place and remove the pointers to it.

    Parameters
    ----------
    tiff : bytes
        TIFF structure of an EXIF segment.

    Returns
    -------
    bytes
        A structure of the same length; all other data keeps its position.

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
    """Remove the thumbnail and its directory; cut the structure off where they are at its end.

    Parameters
    ----------
    tiff : bytes
        TIFF structure of an EXIF segment.

    Returns
    -------
    bytes
        A structure of at most the same length; all other data keeps its position.

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
    # Some cameras let both directories share values such as the resolution; these are not removed.
    kept = mask_of(len(tiff), [span for d in stays for span in (structure.table(d), *structure.values(d))])
    spans = pictures + [span for d in gone for span in (structure.table(d), *structure.values(d))]
    mask = bytearray(a & (1 - b) for a, b in zip(mask_of(len(tiff), spans), kept, strict=True))
    edited = bytearray(0 if gone_here else byte for byte, gone_here in zip(tiff, mask, strict=True))
    for directory in stays:
        if directory.role == "main" and directory.next_position + 4 <= len(tiff):
            edited[directory.next_position : directory.next_position + 4] = bytes(4)
    end = len(tiff)
    while end > 8 and not mask[end - 1] and not kept[end - 1] and tiff[end - 1] in (0, 0xFF):
        end -= 1  # skip padding after the thumbnail
    if not mask[end - 1]:
        return bytes(edited)
    while end > 8 and (mask[end - 1] or (tiff[end - 1] == 0 and mask[end - 2] and not kept[end - 1])):
        end -= 1  # also cut a zero between two ranges: TIFF aligns values to words
    return bytes(edited[:end])


def read_tiff(tiff: bytes) -> Tiff:
    """Return the structure for editing; raise UnsafeEditError if it cannot be read."""
    try:
        return Tiff(tiff)
    except ValueError as error:
        raise UnsafeEditError(f"EXIF: {error}") from error


def _merged(length: int, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the union of ranges as disjoint ranges; overlapping input then costs no extra time."""
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
    """Return a copy of the data with zeros in the given ranges."""
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
    """Raise UnsafeEditError if ranges overlap data that stays.

    Parameters
    ----------
    structure : Tiff
        The structure to be edited.
    spans : list of (int, int)
        Ranges that are to be blanked.
    stays : list of Directory
        Directories that stay, with their values.
    gone : collection of int
        Positions of entries in these directories that are removed.
    """
    # Maker notes are excepted: some declare more bytes than they have.
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
    """Remove entries from a directory; the values of other entries do not move.

    Parameters
    ----------
    edited : bytearray
        Bytes of the structure, changed in place.
    structure : Tiff
        The structure before the change.
    directory : Directory
        The directory.
    goes : callable
        Called with an entry; true if it must be removed.
    """
    start, end = structure.table(directory)
    kept = [entry for entry in directory.entries if not goes(entry)]
    if len(kept) == len(directory.entries):
        return
    table = struct.pack(structure.order + "H", len(kept))
    table += b"".join(bytes(edited[entry.position : entry.position + 12]) for entry in kept)
    table += bytes(edited[directory.next_position : end])
    edited[start:end] = table.ljust(end - start, b"\0")
