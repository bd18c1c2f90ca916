"""Kinds of metadata in EXIF: remove them in place, or build a minimal EXIF that has only them."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Collection, Iterable

from guetzpy.jpeg.metadata import exif, iptc, photoshop, xmp, xmp_segments
from guetzpy.jpeg.metadata.directories import Entry, Tiff, blanked
from guetzpy.jpeg.metadata.property_kinds import EXIF_TAGS, IPTC_DATASETS, tells_coordinates, xmp_test

__all__ = [
    "held", "is_readable", "kept_datasets", "minimal", "photoshop_edit", "photoshop_rest",
    "unwanted_dataset", "without",
]  # fmt: skip

_XMP, _IPTC, _PHOTOSHOP = 0x02BC, 0x83BB, 0x8649
_ORIENTATION, _EXIF_POINTER, _GPS_POINTER = 0x0112, 0x8769, 0x8825
_JPEG_OFFSET, _JPEG_LENGTH, _COMPRESSION = 0x0201, 0x0202, 0x0103

_BYTE, _ASCII, _UNDEFINED = 1, 2, 7  # types of values
# Tags with text of another type: UserComment, XPTitle, XPComment, XPKeywords, XPSubject.
_TEXTS = {0x9286: "utf-8", 0x9C9B: "utf-16-le", 0x9C9C: "utf-16-le", 0x9C9E: "utf-16-le", 0x9C9F: "utf-16-le"}


def without(tiff: bytes, kind: str) -> bytes:
    """Remove a kind of metadata ("gps", "place", "copyright" or "thumbnail") from a TIFF structure.

    Returns
    -------
    bytes
        A structure of at most the same length; all other data keeps its position.

    Raises
    ------
    guetzpy.jpeg.metadata.exif.UnsafeEditError
        If the structure cannot be read, or the removed data overlaps data that stays.
    """
    if kind == "thumbnail":
        return exif.without_thumbnail(tiff)
    tags = EXIF_TAGS.get(kind, frozenset())
    exif.read_tiff(tiff)
    if kind == "gps":
        tiff = exif.without_gps(tiff)
    try:
        structure = Tiff(tiff)
    except ValueError:
        return tiff  # no directory is left without the GPS directory
    gone = [
        entry for d in structure.directories for entry in d.entries if _goes(structure, entry, tags, kind)
    ]
    return _edit_values(_without_entries(structure, gone), kind)


def _goes(structure: Tiff, entry: Entry, tags: frozenset[int], kind: str) -> bool:
    if entry.tag in tags:
        return True
    if kind != "gps" or (entry.kind != _ASCII and entry.tag not in _TEXTS):
        return False
    value = structure.data[entry.start : entry.start + entry.size]
    return any(
        tells_coordinates(text)
        for text in (
            value.decode(_TEXTS.get(entry.tag, "utf-8"), "replace"),
            value[8:].replace(b"\0", b"").decode("latin-1"),
        )
    )


def _without_entries(structure: Tiff, gone: list[Entry]) -> bytes:
    """Remove entries from their directories and blank their values; other values do not move."""
    if not gone:
        return structure.data
    spans = [(e.start, e.start + e.size) for e in gone if e.outside and e.size]
    positions = {entry.position for entry in gone}
    exif.demand_apart(structure, spans, structure.directories, positions)
    edited = blanked(structure.data, spans)
    for directory in structure.directories:
        exif.drop_entries(edited, structure, directory, lambda entry: entry.position in positions)
    return bytes(edited)


def _edit_values(tiff: bytes, kind: str) -> bytes:
    """Edit the XMP, IPTC and Photoshop data in TIFF tags, without changing their lengths."""
    edits: dict[int, Callable[[bytes], bytes]] = {
        _XMP: lambda value: _edited_xmp(value, kind),
        _IPTC: lambda value: iptc.without(value, lambda d: unwanted_dataset(d, kind)),
        _PHOTOSHOP: lambda value: photoshop.edited_stream(value, photoshop_edit(kind)),
    }
    edited = bytearray(tiff)
    try:
        structure = Tiff(tiff)
    except ValueError:
        return tiff  # no directory is left
    for entry in (entry for d in structure.directories for entry in d.entries if entry.tag in edits):
        value = tiff[entry.start : entry.start + entry.size]
        try:
            after = edits[entry.tag](value)
        except ValueError:
            after = b""  # the value cannot be searched, so all of it is removed
        edited[entry.start : entry.start + entry.size] = after.ljust(entry.size, b"\0")
    return bytes(edited)


def _edited_xmp(value: bytes, kind: str) -> bytes:
    text = tells_coordinates if kind == "gps" else None
    payload = xmp_segments.without_properties(
        [xmp.HEADER + value], lambda space, name: xmp_test(kind, space, name), text=text, strict=True
    )[0]
    return payload[len(xmp.HEADER) :] if payload is not None else b""


def photoshop_edit(kind: str) -> Callable[[int, bytes], bytes | None]:
    """Return the function that removes a kind of metadata from a Photoshop resource."""
    goes = photoshop.EXIF_COPIES | photoshop.XMP_COPY
    if kind == "copyright":
        goes |= photoshop.RIGHTS
    one = photoshop.iptc_edit(lambda stream: iptc.without(stream, lambda d: unwanted_dataset(d, kind)))
    return lambda identifier, data: None if identifier in goes else one(identifier, data)


def photoshop_rest(kept: Collection[str], lost: set[str]) -> Callable[[int, bytes], bytes | None]:
    """Return the function that leaves only some kinds of metadata in a Photoshop resource.

    It adds the other kinds that it finds in IPTC datasets to ``lost``.
    """

    def edit(identifier: int, data: bytes) -> bytes | None:
        if identifier == photoshop.IPTC:
            rest, others = kept_datasets(data, kept)
            lost.update(others)
            return rest or None
        if identifier in photoshop.XMP_COPY:
            return _xmp_with(data, kept) or None
        rights = identifier in photoshop.RIGHTS and "copyright" in kept
        small = identifier in photoshop.THUMBNAILS and "thumbnail" in kept
        return data if rights or small else None

    return edit


def unwanted_dataset(dataset: iptc.Dataset, kind: str) -> bool:
    """Return whether an IPTC dataset belongs to a kind; text with coordinates belongs to "gps"."""
    if dataset.record != 2:
        return False
    if kind == "gps":
        return tells_coordinates(dataset.value.decode("utf-8", "replace"))
    return dataset.number in IPTC_DATASETS.get(kind, ())


def kept_datasets(stream: bytes, kept: Collection[str]) -> tuple[bytes, set[str]]:
    """Return the IPTC datasets of some kinds, and which of the other kinds the stream has.

    Raises
    ------
    ValueError
        If the stream is invalid.
    """
    others = {"gps", "place", "copyright"} - set(kept)
    lost = {kind for kind in others for one in iptc.datasets(stream) if unwanted_dataset(one, kind)}
    return iptc.only(stream, lambda one: any(unwanted_dataset(one, kind) for kind in kept)), lost


def held(tiff: bytes) -> set[str]:
    """Return which of the kinds "gps", "place", "thumbnail" and "copyright" a TIFF structure contains."""
    found = set(exif.part_sizes(tiff))
    try:
        structure = exif.read_tiff(tiff)
    except exif.UnsafeEditError:
        return found
    tags = {entry.tag for directory in structure.directories for entry in directory.entries}
    return found | {kind for kind, known in EXIF_TAGS.items() if known & tags}


def is_readable(tiff: bytes) -> bool:
    """Return whether the directories of a TIFF structure can be read."""
    try:
        exif.read_tiff(tiff)
    except exif.UnsafeEditError:
        return False
    return True


def minimal(tiff: bytes, kinds: Iterable[str]) -> bytes | None:
    """Return a new TIFF structure with the orientation and the given kinds of metadata only.

    Parameters
    ----------
    tiff : bytes
        TIFF structure of an EXIF segment.
    kinds : iterable of str
        Some of "gps", "place", "copyright" and "thumbnail"; other kinds are ignored.

    Returns
    -------
    bytes or None
        None if the structure has none of these data, or cannot be read.
    """
    try:
        structure = Tiff(tiff)
    except ValueError:
        return None
    kinds = set(kinds)
    order, first = structure.order, structure.directories[0]
    main: list[_Row] = []
    if exif.orientation(tiff) != 1:
        main.append(_row(structure, first.find(_ORIENTATION)))
    if "copyright" in kinds:
        main += [_row(structure, entry) for entry in first.entries if entry.tag in EXIF_TAGS["copyright"]]
    main += _copies(structure, kinds)
    located = [e for d in structure.directories if d.role == "gps" for e in d.entries]
    gps = [
        _row(structure, e) for e in located if ("place" if e.tag in EXIF_TAGS["place"] else "gps") in kinds
    ][:64]
    if "gps" in kinds:
        main += [_row(structure, entry) for entry in first.entries if entry.tag in EXIF_TAGS["gps"]]
    picture = _picture(structure) if "thumbnail" in kinds else None
    inner = [e for d in structure.directories if d.role == "exif" for e in d.entries]
    own = [_row(structure, e) for e in inner if e.tag in EXIF_TAGS["copyright"] and "copyright" in kinds][:16]
    if not (main or gps or own or picture):
        return None

    def whole(own_at: int, gps_at: int, small_at: int) -> bytes:
        pointers = [(_EXIF_POINTER, 4, 1, struct.pack(order + "I", own_at))] if own else []
        pointers += [(_GPS_POINTER, 4, 1, struct.pack(order + "I", gps_at))] if gps else []
        return _table(order, 8, [*main, *pointers], small_at)

    own_at = 8 + len(whole(0, 0, 0))
    block = _table(order, own_at, own, 0) if own else b""
    gps_at = own_at + len(block)
    block += _table(order, gps_at, gps, 0) if gps else b""
    small_at = own_at + len(block) if picture else 0
    small = _thumbnail(order, small_at, picture) if picture else b""
    return tiff[:4] + struct.pack(order + "I", 8) + whole(own_at, gps_at, small_at) + block + small


_Row = tuple[int, int, int, bytes]  # tag, type, count, value


def _copies(structure: Tiff, kinds: Collection[str]) -> list[_Row]:
    """Return rows for the XMP and IPTC data in TIFF tags, reduced to some kinds of metadata."""
    rows: list[_Row] = []
    for entry in structure.directories[0].entries:
        value = structure.data[entry.start : entry.start + entry.size]
        if entry.tag == _XMP and (rest := _xmp_with(value, kinds)):
            rows.append((_XMP, _BYTE, len(rest), rest))
        if entry.tag == _IPTC:
            with contextlib.suppress(ValueError):
                rest, _ = kept_datasets(value, kinds)
                rows += [(_IPTC, _UNDEFINED, len(rest), rest)] if rest else []
    return rows


def _xmp_with(packet: bytes, kinds: Collection[str]) -> bytes:
    """Return a packet that has only the properties of some kinds; empty if there are none."""
    rest = xmp_segments.only_properties(
        [xmp.HEADER + packet], lambda space, name: any(xmp_test(kind, space, name) for kind in kinds)
    )
    return rest[0][len(xmp.HEADER) :] if len(rest) == 1 else b""


def _row(structure: Tiff, entry: Entry | None) -> _Row:
    assert entry is not None
    return entry.tag, entry.kind, entry.count, structure.data[entry.start : entry.start + entry.size]


def _picture(structure: Tiff) -> bytes | None:
    """Return the JPEG file of the thumbnail; None if there is none."""
    for directory in structure.directories:
        if directory.role == "thumbnail" and directory.find(_JPEG_OFFSET) is not None:
            for start, end in structure.pictures(directory):
                if structure.data[start : start + 2] == b"\xff\xd8":
                    return structure.data[start:end]
    return None


def _thumbnail(order: str, position: int, picture: bytes) -> bytes:
    def table(start: int) -> bytes:
        rows = [
            (_COMPRESSION, 3, 1, struct.pack(order + "H", 6)),
            (_JPEG_OFFSET, 4, 1, struct.pack(order + "I", start)),
            (_JPEG_LENGTH, 4, 1, struct.pack(order + "I", len(picture))),
        ]
        return _table(order, position, rows, 0)

    return table(position + len(table(0))) + picture


def _table(order: str, position: int, rows: list[_Row], following: int) -> bytes:
    """Return the bytes of a directory for a position.

    Rows are sorted by tag. Values above 4 bytes follow the directory at even positions. ``following`` is
    the offset of the next directory.
    """
    values_at = position + 2 + 12 * len(rows) + 4
    table, values = struct.pack(order + "H", len(rows)), b""
    for tag, kind, count, value in sorted(rows, key=lambda row: row[0]):
        table += struct.pack(order + "HHI", tag, kind, count)
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", values_at + len(values))
            values += value + b"\0" * (len(value) % 2)
    return table + struct.pack(order + "I", following) + values
