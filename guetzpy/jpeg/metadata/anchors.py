"""Numbers in metadata that depend on the size of the picture: offsets to data after EOI, and lengths."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from guetzpy.jpeg.metadata import afcp, exif, xmp
from guetzpy.jpeg.metadata.appended import Part
from guetzpy.jpeg.metadata.stripping import Edit
from guetzpy.jpeg.structure import Segment

__all__ = ["Anchor", "Length", "Mention", "Picture", "Pointer", "find_anchors", "write_length"]

#: An MPF index may point this many bytes before EOI and still mean the first byte after EOI.
_SLACK = 16

#: At most this many pictures after EOI are searched for in the EXIF offsets.
_MAX_PREVIEWS = 16


@dataclass(frozen=True)
class Picture:
    """A picture of the MPF index.

    Attributes
    ----------
    number : int
        Its entry in the index of the new file.
    place : int or None
        Its first byte, counted from the end of EOI; None for the first picture.
    size : int
        Its size in bytes; for the first picture, the bytes of padding after EOI that the index includes in
        it.
    """

    number: int
    place: int | None
    size: int


@dataclass(frozen=True)
class Pointer:
    """A 32-bit offset in an EXIF segment that points at data after EOI."""

    segment: Segment
    position: int
    order: str
    first: Segment  # the first segment of the EXIF block, which may be the same
    base: int  # position in the payload of the first segment that the offset counts from
    place: int  # the byte it points at, counted from the end of EOI


@dataclass(frozen=True)
class Length:
    """The digits in an XMP segment that state the length of the first picture."""

    segment: Segment
    start: int
    end: int


@dataclass(frozen=True)
class Mention:
    """A 32-bit position after EOI that counts from the start of the file, in the data after EOI.

    ``at`` is where it is stored, ``place`` the byte that it points at; both count from the end of EOI.
    """

    at: int
    order: str
    place: int


Anchor: TypeAlias = Picture | Pointer | Length | Mention


def find_anchors(edit: Edit, kept: dict[int, Segment]) -> tuple[Anchor, ...]:
    """Find the numbers to update in the new file.

    Parameters
    ----------
    edit : Edit
        The metadata of the source, after the policy was applied.
    kept : dict
        The segments of the new file, by their number in the source.
    """
    has_index = edit.survey.mpf is not None and edit.survey.mpf in kept
    pictures = _picture_anchors(edit) if has_index else ()
    pointers, lengths = _pointer_anchors(edit, kept), _length_anchors(edit, kept)
    return (*pictures, *pointers, *lengths, *_trailer_anchors(edit))


def _moved(parts: list[Part], place: int) -> int:
    """Return the new position of a byte after EOI if only ``parts`` are left, counted from the end of EOI."""
    if place < 0:
        return place
    at = 0
    for part in parts:
        if place < part.end:
            return at + max(0, place - part.start)
        at += part.end - part.start
    return at + max(0, place - (parts[-1].end if parts else 0))


def _picture_anchors(edit: Edit) -> Iterator[Picture]:
    assert edit.index is not None
    eoi, size = edit.survey.eoi, len(edit.source)
    for new, old in enumerate(edit.pictures):
        picture = edit.index.pictures[old]
        if old == 0:
            if picture.offset == 0:
                padding = edit.source[eoi : picture.size]
                counted = len(padding) if edit.parts == edit.survey.parts and not padding.strip(b"\0") else 0
                yield Picture(new, None, counted)
        elif eoi - _SLACK <= edit.survey.base + picture.offset < size:
            yield Picture(new, _moved(edit.parts, edit.survey.base + picture.offset - eoi), picture.size)


def _pointer_anchors(edit: Edit, kept: dict[int, Segment]) -> Iterator[Pointer]:
    """Find EXIF offsets (often in maker notes) to previews that cameras write after EOI."""
    starts = _picture_starts(edit.trailing, edit.parts)
    for group in edit.exif_groups()[:1]:
        tiff = edit.tiff(group)
        if not tiff or not starts or not edit.survey.places:
            continue
        head = len(exif.HEADER)
        leading = next(number for number in group if len(edit.payload(number)) > head)
        note = exif.maker_note(tiff) or (0, 0)
        file_base = edit.survey.places[leading].payload + head
        for start in starts:
            for base, first, last in ((0, 0, len(tiff)), (note[0], note[0], note[1])):
                offset = edit.survey.eoi + start - file_base - base
                for order in "<>" if last > first else "":
                    at = tiff.find(struct.pack(order + "I", offset & 0xFFFFFFFF), first, last)
                    for number in group if at >= 0 else ():
                        size = len(edit.payload(number)) - head
                        if 0 <= at <= size - 4:
                            place = _moved(edit.parts, start)
                            yield Pointer(kept[number], head + at, order, kept[leading], head + base, place)
                        at -= size


def _length_anchors(edit: Edit, kept: dict[int, Segment]) -> Iterator[Length]:
    number = edit.survey.directory
    if number is None or number not in kept or not kept[number].payload.startswith(xmp.HEADER):
        return
    packet = xmp.read_packet(kept[number].payload[len(xmp.HEADER) :])
    items = packet.items() if packet is not None else []
    if items and items[0].length_span is not None:
        known = {edit.survey.eoi} | ({edit.index.pictures[0].size} if edit.index is not None else set())
        if items[0].semantic == "Primary" and items[0].length in known:
            start, end = items[0].length_span
            yield Length(kept[number], len(xmp.HEADER) + start, len(xmp.HEADER) + end)


def _trailer_anchors(edit: Edit) -> Iterator[Mention]:
    """Find the positions in an AFCP trailer."""
    last = edit.parts[-1] if edit.parts else None
    if last is None or last.kind != "trailing":
        return
    trailer = afcp.read_trailer(bytes(edit.trailing[last.start : last.end]))
    if trailer is None:
        return
    for at, place in trailer.positions:
        place = _moved(edit.parts, last.start + place)
        yield Mention(_moved(edit.parts, last.start + at), trailer.order, place)


def _picture_starts(trailing: bytes | bytearray, parts: list[Part]) -> list[int]:
    """Return the offsets in ``trailing`` of the first JPEG pictures that lie in ``parts``."""
    found: list[int] = []
    at = trailing.find(b"\xff\xd8\xff")
    while at >= 0 and len(found) < _MAX_PREVIEWS:
        if any(part.start <= at < part.end for part in parts):
            found.append(at)
        at = trailing.find(b"\xff\xd8\xff", at + 1)
    return found


def write_length(data: bytearray, start: int, end: int, value: int) -> None:
    """Write a number over a longer one in XMP; move its quote or end tag up and append spaces."""
    close = data.find(b">", end) + 1 if data[end : end + 1] == b"<" else end + 1
    text = str(value).encode() + bytes(data[end:close])
    if len(text) <= close - start:
        data[start:close] = text.ljust(close - start)
