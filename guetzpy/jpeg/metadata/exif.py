"""EXIF: read the orientation; remove GPS data or the thumbnail without moving other data.

An EXIF segment is a small TIFF file (``directories``). Maker notes have no documented structure and
often hold such offsets too, some of them beyond the note's own declared end. Therefore no data that remains
is moved: removed data is overwritten with zeros, and only a thumbnail at the end of the segment is cut off.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection

from guetzpy.jpeg.metadata.directories import (
    GPS_POINTER,
    MAKER_NOTE,
    ORIENTATION,
    Directory,
    Entry,
    Tiff,
    blanked,
    mask_of,
)

__all__ = [
    "HEADER",
    "UnsafeEditError",
    "count_directories",
    "demand_apart",
    "drop_entries",
    "maker_note",
    "minimal",
    "orientation",
    "part_sizes",
    "read_tiff",
    "stored_orientation",
    "with_size",
    "without_gps",
    "without_thumbnail",
]

#: First bytes of an EXIF segment; the TIFF structure follows.
HEADER = b"Exif\0\0"


class UnsafeEditError(ValueError):
    """Removing the data would change data that must remain."""


def count_directories(tiff: bytes, most: int) -> int:
    """Return the number of directories in a TIFF structure, at most ``most``; 0 if it is broken."""
    try:
        return len(Tiff(tiff, most).directories)
    except ValueError:
        return 0


def orientation(tiff: bytes) -> int:
    """Return the orientation, 1..8, of a TIFF structure; 1 if there is none.

    A first directory that is cut short is read as far as it goes, as Pillow and ImageMagick do.
    """
    value = stored_orientation(tiff)
    return value if value is not None and 1 <= value <= 8 else 1


def stored_orientation(tiff: bytes) -> int | None:
    """Return the number in the orientation's entry of a TIFF structure; None if there is none."""
    try:
        structure = Tiff(tiff)
    except ValueError:
        return _orientation_cut_short(tiff)
    return structure.number(structure.directories[0].find(ORIENTATION))


def _orientation_cut_short(tiff: bytes) -> int | None:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (start,) = struct.unpack_from(order + "I", tiff, 4)
    for at in range(start + 2, len(tiff) - 11, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", tiff, at)
        if tag == ORIENTATION:
            return int(struct.unpack_from(order + "H", tiff, at + 8)[0]) if (kind, count) == (3, 1) else None
    return None


def with_size(tiff: bytes, width: int, height: int) -> bytes:
    """Return a TIFF structure whose entries for the size of the picture have other values; none is added.

    Parameters
    ----------
    tiff : bytes
        TIFF structure of an EXIF segment, which was read before when its thumbnail was removed.
    width, height : int
        Values of PixelXDimension and PixelYDimension (CIPA DC-008), ImageWidth and ImageLength (TIFF 6.0).
    """
    structure = Tiff(tiff)
    wanted = {
        ("exif", 0xA002): width,
        ("exif", 0xA003): height,
        ("main", 0x0100): width,
        ("main", 0x0101): height,
    }
    edited = bytearray(tiff)
    for directory in structure.directories:
        for entry in directory.entries:
            value = wanted.get((directory.role, entry.tag))
            if (
                value is not None
                and entry.count == 1
                and entry.kind in (3, 4)
                and entry.start + entry.size <= len(tiff)
            ):
                struct.pack_into(
                    structure.order + ("H" if entry.kind == 3 else "I"), edited, entry.start, value
                )
    return bytes(edited)


def minimal(orientation: int) -> bytes:
    """Return the payload of an EXIF segment with the orientation (1..8) as its only entry."""
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, orientation, 0)
    return HEADER + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def maker_note(tiff: bytes) -> tuple[int, int] | None:
    """Return the range (start, end) of the maker note in a TIFF structure; None if there is none."""
    try:
        structure = Tiff(tiff)
    except ValueError:
        return None
    for directory in structure.directories:
        entry = directory.find(MAKER_NOTE)
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
    for entry in (entry for d in stays for entry in d.entries if entry.tag == GPS_POINTER):
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
        drop_entries(edited, structure, directory, lambda entry: entry.tag == GPS_POINTER)
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
    known = [span for d in stays for span in (structure.table(d), *structure.values(d))]
    kept = mask_of(len(tiff), [(0, 8), *known])  # the header too: a value may claim to lie in it
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
