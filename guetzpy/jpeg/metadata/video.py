"""Videos after a picture (motion photos): blank their boxes with coordinates in place.

A video consists of ISO/IEC 14496-12 boxes: a 32-bit size, a type, contents. Coordinates are within ``moov``:
in user data (``udta``) as ``(c)xyz`` or ``loci`` (3GPP TS 26.244, 8.8), as ``mdta`` metadata (QuickTime's
location.ISO6709), or as XMP in a ``uuid`` box. All other boxes are searched for text with coordinates, except
for those that describe the samples. No box moves: a removed box gets the type ``free`` and zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guetzpy.jpeg.metadata.property_kinds import coordinates_in_bytes

__all__ = ["TYPE", "without_gps"]

#: Type of a video's first box, at its byte 4.
TYPE = b"ftyp"

_COORDINATES = frozenset({b"\xa9xyz", b"loci", b"uuid", b"XMP_"})
_FREE = frozenset({b"free", b"skip", b"wide"})
# Boxes of ISO/IEC 14496-12 that describe the samples and have no text.
_STRUCTURE = frozenset(
    {
        b"ftyp",
        b"mvhd",
        b"tkhd",
        b"mdhd",
        b"hdlr",
        b"vmhd",
        b"smhd",
        b"nmhd",
        b"dinf",
        b"stbl",
        b"edts",
        b"tref",
    }
)
# Sentences of NMEA 0183 and names of coordinates, which some cameras write between the samples.
_IN_SAMPLES = re.compile(rb"\$G[ABLNP](?:RMC|GGA|GLL),|GPSLatitude|[lL]atitude[\"=: ]|ISO6709")
_WITHIN = frozenset({b"moov", b"udta", b"trak", b"mdia", b"minf"})
_KNOWN_HANDLERS = frozenset({b"vide", b"soun"})
_MAX_BOXES = 10_000


def without_gps(video: bytes) -> tuple[bytes, bool]:
    """Blank the boxes with coordinates.

    Parameters
    ----------
    video : bytes
        The bytes of the video, from its first box on.

    Returns
    -------
    bytes
        The edited video, of the same length.
    bool
        Whether all of it was searched. False if a box is invalid, if there is no ``moov`` box, if there are
        tracks other than video and sound, or if there are coordinates among the samples.
    """
    edited = bytearray(video)
    searched, seen, boxes = True, False, 0
    waiting = [(0, len(video))]
    while waiting:
        start, end = waiting.pop()
        for kind, begin, contents, after in _boxes(video, start, end):
            boxes += 1
            if boxes > _MAX_BOXES:
                return bytes(edited), False
            if not begin < after <= end:
                searched = False
                break
            seen = seen or kind == b"moov"
            if kind in _WITHIN:
                waiting.append((contents, after))
            elif _goes(kind, video[contents:after]):
                edited[begin + 4 : begin + 8] = b"free"
                edited[contents:after] = bytes(after - contents)
            elif kind == b"mdat" and _IN_SAMPLES.search(video, contents, after):
                searched = False
            elif kind == b"hdlr" and video[contents + 8 : contents + 12] not in _KNOWN_HANDLERS:
                searched = False
    return bytes(edited), searched and seen


def _goes(kind: bytes, contents: bytes) -> bool:
    """Return whether a box may have coordinates."""
    if kind in _COORDINATES or kind.lower().startswith(b"gps"):
        return True
    if kind in _FREE:
        return bool(contents.strip(b"\0"))
    if kind in _STRUCTURE or kind == b"mdat":
        return False
    return (kind == b"meta" and b"ocation" in contents) or coordinates_in_bytes(contents)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield type, start, start of the contents and end of each box; an invalid last one ends at its start."""
    before, at = start - 1, start
    while before < at and at + 8 <= end:
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        after = end if size == 0 else at + size
        if size and size < head:
            after = at  # invalid: smaller than its header
        yield data[at + 4 : at + 8], at, at + head, after
        before, at = at, after
