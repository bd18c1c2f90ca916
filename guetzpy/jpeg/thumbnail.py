"""Repack the JPEG thumbnail of Exif without loss, if it is the last data of its segment.

The data before the thumbnail keeps its position, because maker notes hold offsets of undocumented structure.
The thumbnail stays baseline, as Exif demands (CIPA DC-008, 4.5.8).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import replace

from guetzpy.errors import FormatError
from guetzpy.jpeg.header import frame_of
from guetzpy.jpeg.metadata import exif
from guetzpy.jpeg.metadata.anchors import Pointer
from guetzpy.jpeg.metadata.appended import places
from guetzpy.jpeg.metadata.directories import Entry, Tiff
from guetzpy.jpeg.metadata.policy import exif_groups
from guetzpy.jpeg.metadata.preservation import carry, splice
from guetzpy.jpeg.structure import JpegImage

__all__ = ["with_packed_thumbnail"]

_HEAD = len(exif.HEADER)
_OFFSET, _LENGTH = 0x0201, 0x0202  # JPEGInterchangeFormat and its length (CIPA DC-008, table 21)
_STRIPS = 0x0111

#: Largest thumbnail that is repacked, in pixels. Cameras write 160 x 120. A hostile file of 64 kB may declare
#: 2**25 pixels and hold them, at one bit for each block.
_MOST_PIXELS = 1 << 20


def with_packed_thumbnail(
    source: bytes,
    image: JpegImage,
    repack: Callable[[bytes], bytes | None],
    without: Collection[str] = (),
) -> tuple[bytes, JpegImage]:
    """Return a file with a smaller thumbnail in Exif, and the image of that file.

    Parameters
    ----------
    source : bytes
        The file.
    image : JpegImage
        The image that ``reader.read`` returned for ``source``. It is not changed.
    repack : callable
        Returns another baseline file of the same picture, or None.
    without : collection of str
        Kinds of metadata that will be removed. If they include Exif or its thumbnail, nothing is done.

    Returns
    -------
    data : bytes
        The file. It is ``source`` itself if the thumbnail does not get smaller, or cannot be replaced safely.
    image : JpegImage
        With the segments of ``data``.
    """
    groups = exif_groups(image.segments)
    if not image.eoi or len(groups) != 1 or len(groups[0]) != 1 or {"exif", "thumbnail"} & set(without):
        return source, image
    number = groups[0][0]
    tiff = image.segments[number].payload[_HEAD:]
    found = _last_thumbnail(tiff)
    if found is None:
        return source, image
    structure, length, start, end = found
    thumbnail = repack(tiff[start:end])
    if thumbnail is None or len(thumbnail) >= end - start:
        return source, image
    carried = carry(source, image, cut_short=True)  # so that `number` is a number of carried.segments too
    segment = carried.segments[number]
    if any(
        isinstance(a, Pointer) and a.segment is segment and a.position >= _HEAD + start
        for a in carried.anchors
    ):
        return source, image
    edited = bytearray(tiff[:start] + thumbnail + tiff[end:])
    struct.pack_into(
        structure.order + ("H" if length.kind == 3 else "I"), edited, length.start, len(thumbnail)
    )
    segment.payload = exif.HEADER + bytes(edited)
    data = splice(source, image, carried)
    if data is None:
        return source, image
    eoi = len(data) - len(carried.trailing)
    return data, replace(
        image, segments=[place.segment for place in places(data, 0, eoi)], trailing=data[eoi:]
    )


def _last_thumbnail(tiff: bytes) -> tuple[Tiff, Entry, int, int] | None:
    """Return the structure, the entry of the length, and the range of a JPEG thumbnail.

    Returns None if there is none, or if other data follows it or may refer to it.
    """
    try:
        structure = Tiff(tiff)
    except ValueError:
        return None
    small = [directory for directory in structure.directories if directory.role == "thumbnail"]
    if len(small) != 1 or small[0].find(_STRIPS) is not None:
        return None
    entries = small[0].find(_OFFSET), small[0].find(_LENGTH)
    start, size = (structure.number(entry) for entry in entries)
    length = entries[1]
    if start is None or size is None or length is None or length.count != 1 or length.kind not in (3, 4):
        return None
    end = start + size
    if tiff[start : start + 2] != b"\xff\xd8" or end > len(tiff) or tiff[end:].strip(b"\0\xff"):
        return None
    try:
        _, width, height = frame_of(tiff[start:end])
        if width * height > _MOST_PIXELS:
            return None
        exif.demand_apart(structure, [(start, len(tiff))], structure.directories)
    except (exif.UnsafeEditError, FormatError):
        return None
    note_start, note_end = exif.maker_note(tiff) or (0, 0)
    if note_end > start or _mentions(tiff[note_start:note_end], {start, start - note_start}):
        return None
    return structure, length, start, end


def _mentions(note: bytes, numbers: Collection[int]) -> bool:
    """Return whether a maker note has one of some 32-bit numbers, which may be an offset to the thumbnail."""
    return any(struct.pack(order + "I", number) in note for number in numbers for order in "<>")
