"""The data after the picture in its file: further pictures, gain maps, videos, data of camera makers.

The MPF index and Google's container directory (XMP) give the positions of further pictures. Lengths in the
directory count from the end of the file. A further picture is a gain map if its own segments declare one:
ISO 21496-1, hdrgm metadata (Ultra HDR), or Apple's auxiliary image type.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from guetzpy.errors import FormatError
from guetzpy.jpeg.markers import APP0, APP15, COM, EOI, RST0, RST7, SOI, SOS, TEM, find_marker, read_payload
from guetzpy.jpeg.metadata import mpf, xmp
from guetzpy.jpeg.structure import Segment

__all__ = [
    "ISO_GAIN_MAP",
    "Part",
    "Place",
    "end_of_stream",
    "find_parts",
    "places",
    "stray_ranges",
    "unwritten",
]

#: First bytes of the APP2 segment of ISO 21496-1, in both the base picture and the gain map.
ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"

_GAIN_MAP_SIGNS = (
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
    b"http://ns.apple.com/HDRGainMap/1.0/",
)


@dataclass(frozen=True)
class Place:
    """The position of an APPn or COM segment in a file.

    Attributes
    ----------
    segment : Segment
        The segment.
    start : int
        Position of its marker.
    payload : int
        Position of its payload.
    end : int
        Position after it.
    """

    segment: Segment
    start: int
    payload: int
    end: int


def places(data: bytes, start: int = 0, end: int | None = None, *, header_only: bool = False) -> list[Place]:
    """Return the APPn and COM segments of the JPEG stream at ``start``, in file order.

    Parameters
    ----------
    data : bytes
        The file.
    start, end : int
        Where the stream begins, and a position at which the search ends; by default the end of the file.
    header_only : bool
        Stop at the first scan instead of EOI.

    Returns
    -------
    list of Place
        The segments; those before the first invalid one if the stream is invalid.
    """
    end = len(data) if end is None else end
    found: list[Place] = []
    position = start + 2
    while (marker := find_marker(data, position)) is not None:
        code, _, position = marker
        if code == EOI or position > end or (header_only and code == SOS):
            break
        if code in (SOI, TEM) or RST0 <= code <= RST7:
            continue
        try:
            payload, after = read_payload(data, position)
        except FormatError:
            break
        if APP0 <= code <= APP15 or code == COM:
            found.append(Place(Segment(code, payload), position - 2, position + 2, after))
        position = after
    return found


def end_of_stream(data: bytes) -> int:
    """Return the position after the EOI of the JPEG stream at the start; the data's end without EOI."""
    position = 2
    while (marker := find_marker(data, position)) is not None:
        code, _, position = marker
        if code == EOI:
            return position
        if code in (SOI, TEM) or RST0 <= code <= RST7:
            continue
        try:
            _, position = read_payload(data, position)
        except FormatError:
            break
    return len(data)


def stray_ranges(data: bytes, end: int) -> list[tuple[int, int]]:
    """Return the ranges (start, end) of bytes before the first scan that are not part of any segment.

    Parameters
    ----------
    data : bytes
        A JPEG file.
    end : int
        Position at which the search ends, such as that of EOI.
    """
    found: list[tuple[int, int]] = []
    position = 2
    while (marker := find_marker(data, position)) is not None:
        code, begin, after = marker
        if begin >= end:
            break
        if begin > position:
            found.append((position, begin))
        position = after
        if code in (SOI, TEM) or RST0 <= code <= RST7:
            continue
        if code in (SOS, EOI):
            break
        try:
            _, position = read_payload(data, after)
        except FormatError:
            break
    return found


@dataclass(frozen=True)
class Part:
    """A range of the bytes after EOI.

    Positions count from the end of EOI.

    Attributes
    ----------
    kind : str
        "gainmap", "mpf" (another picture of the MPF index) or "trailing" (all other data).
    start, end : int
        First byte, and the byte after the last.
    number : int or None
        Number of the entry in the MPF index, from 0 for the first picture.
    video : bool
        Whether the range is the video of a motion photo.
    """

    kind: str
    start: int
    end: int
    number: int | None = None
    video: bool = False


def find_parts(
    source: bytes,
    eoi: int,
    index: mpf.Index | None,
    base: int,
    items: list[xmp.Item],
    micro_video: int = 0,
) -> list[Part]:
    """Divide the bytes after EOI into parts.

    Parameters
    ----------
    source : bytes
        The file.
    eoi : int
        Position after the picture's EOI.
    index : mpf.Index or None
        The MPF index.
    base : int
        Position of the TIFF header from which the index counts offsets.
    items : list of xmp.Item
        Entries of the container directory.
    micro_video : int
        Length of a video at the end of the file, from the older GCamera properties; 0 for no video.

    Returns
    -------
    list of Part
        In file order, without gaps or overlaps, from 0 to the end of the file.
    """
    found: list[Part] = []

    def is_free(start: int, end: int) -> bool:
        apart = all(end - eoi <= other.start or other.end <= start - eoi for other in found)
        return eoi <= start < end <= len(source) and apart

    for number, picture in enumerate(index.pictures if index is not None else ()):
        start = base + picture.offset
        end = min(start + picture.size, len(source))
        if number and is_free(start, end) and source[start : start + 2] == b"\xff\xd8":
            kind = "gainmap" if _is_gain_map(source, start, end) else "mpf"
            found.append(Part(kind, start - eoi, end - eoi, number))
    for item, start, end in item_ranges(items, len(source)):
        if item.semantic == "GainMap" and is_free(start, end) and source[start : start + 2] == b"\xff\xd8":
            found.append(Part("gainmap", start - eoi, end - eoi))
        elif item.semantic == "MotionPhoto" and is_free(start, end):
            found.append(Part("trailing", start - eoi, end - eoi, video=True))
    if micro_video and is_free(len(source) - micro_video, len(source)):
        found.append(Part("trailing", len(source) - micro_video - eoi, len(source) - eoi, video=True))

    found.sort(key=lambda part: part.start)
    return list(_with_gaps(found, len(source) - eoi))


def item_ranges(items: list[xmp.Item], file_size: int) -> Iterator[tuple[xmp.Item, int, int]]:
    """Yield (item, start, end) from the last item back to the second one.

    The items lie at the end of the file, so their positions follow from the lengths of those after them.
    """
    end = file_size
    for item in reversed(items[1:]):
        end -= item.padding
        if item.length == 0 or item.length > end:
            return
        yield item, end - item.length, end
        end -= item.length


def _with_gaps(parts: list[Part], size: int) -> Iterator[Part]:
    at = 0
    for part in parts:
        if part.start > at:
            yield Part("trailing", at, part.start)
        yield part
        at = part.end
    if at < size:
        yield Part("trailing", at, size)


def _is_gain_map(source: bytes, start: int, end: int) -> bool:
    for place in places(source, start, end, header_only=True):
        payload = place.segment.payload
        if payload.startswith(ISO_GAIN_MAP):
            return True
        if payload.startswith(xmp.HEADER) and any(sign in payload for sign in _GAIN_MAP_SIGNS):
            return True
    return False


def unwritten(parts: list[Part], trailing: bytes, stripped: frozenset[str]) -> tuple[list[Part], list[Part]]:
    """Return the parts that stay and the parts that are removed by a policy.

    A part that holds zeros only is padding, which is removed if the parts before and after it are removed.

    Parameters
    ----------
    parts : list of Part
        The parts, as :func:`find_parts` returns them.
    trailing : bytes
        The bytes after EOI.
    stripped : frozenset of str
        Kinds to remove.
    """
    goes = [part.kind in stripped for part in parts]
    for i, part in enumerate(parts):
        neighbours = goes[max(i - 1, 0) : i] + goes[i + 1 : i + 2]
        padding = (
            part.kind == "trailing" and not part.video and not trailing[part.start : part.end].strip(b"\0")
        )
        if padding and any(neighbours) and all(neighbours):
            goes[i] = True
    return [p for p, g in zip(parts, goes, strict=True) if not g], [
        p for p, g in zip(parts, goes, strict=True) if g
    ]
