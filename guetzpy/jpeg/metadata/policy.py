"""Metadata of a JPEG file: its kinds, the policy that keeps or strips them, and segments made anew.

JFIF (density) and Adobe (the colour transform) are never stripped: what the pixels look like depends on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from guetzpy.errors import LimitError
from guetzpy.jpeg.markers import APP0, APP14, COM
from guetzpy.jpeg.metadata import exif, mpf, photoshop, xmp, xmp_segments
from guetzpy.jpeg.metadata.appended import ISO_GAIN_MAP
from guetzpy.jpeg.structure import JpegImage, Segment

__all__ = [
    "KINDS",
    "PARTS",
    "Policy",
    "exif_groups",
    "icc_profile",
    "is_cut_short",
    "kind_of",
    "mark",
    "orientation",
    "read_mark",
    "segments_for",
    "without_marks",
]

#: What a policy can name, ``all`` aside.
KINDS = (
    "exif", "gps", "place", "copyright", "thumbnail", "icc", "xmp", "iptc", "comment", "mpf", "gainmap",
    "trailing", "unknown",
)  # fmt: skip

#: Kinds that are parts of EXIF, XMP and Photoshop data (iptc), and can be kept or stripped without the rest.
PARTS = ("gps", "place", "copyright", "thumbnail")

_APP1, _APP2, _APP13 = 0xE1, 0xE2, 0xED
_ICC = b"ICC_PROFILE\0"
_MAX_PAYLOAD = 65533
_MAX_ICC_PIECE = 65519  # 65533 less the header, the number of the piece and their count
_MARK = re.compile(rb"guetzpy d=([0-9]{1,2}\.[0-9]{2,4})")


@dataclass(frozen=True)
class Policy:
    """Which kinds of metadata go.

    Attributes
    ----------
    stripped : frozenset of str
        Members of KINDS. ``gps`` (coordinates), ``place`` (names of places), ``copyright`` (who made the
        picture and who owns it) and ``thumbnail`` are parts of EXIF, XMP and Photoshop data; ``gainmap``
        and ``mpf`` are the further pictures with their index, ``trailing`` all other bytes after EOI.
    kept : frozenset of str
        Members of KINDS that stay when the data that they are part of goes.
    """

    stripped: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check_names(self.stripped | self.kept)

    @classmethod
    def of(cls, keep: Iterable[str] = (), strip: Iterable[str] = ()) -> Policy:
        """Build a policy from the names of ``--keep`` and ``--strip``.

        ``strip`` takes out what it names, and ``all`` everything except ICC profiles (unless ``icc`` is
        named too), without which colours change. ``keep`` with names alone means: strip all but these (and
        ICC); together with ``strip`` it saves its names from ``all``, and parts from the data that they
        are in. EXIF, XMP or IPTC that is kept is kept with its parts, but for those that ``strip`` names.
        Nothing named, nothing stripped.

        Raises
        ------
        ValueError
            If a name is unknown, or kept and stripped at once.
        """
        kept, gone = frozenset(keep), frozenset(strip)
        _check_names((kept | gone) - {"all"})
        named = gone - {"all"}
        if kept & named:
            raise ValueError(f"both kept and stripped: {', '.join(sorted(kept & named))}")
        everything = "all" in gone or (bool(kept) and "all" not in kept and not gone)
        if not everything:
            return cls(named, kept - {"all"})
        saved = kept
        if kept & {"exif", "xmp", "iptc"}:
            saved |= frozenset(PARTS) - {"thumbnail"} - named
        if "exif" in kept:
            saved |= {"thumbnail"} - named
        return cls((frozenset(KINDS) - {"icc"} - saved) | named, kept - {"all"})


def _check_names(names: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(KINDS))
    if unknown:
        raise ValueError(f"unknown kind of metadata: {', '.join(unknown)}; known are {', '.join(KINDS)}, all")


def kind_of(segment: Segment) -> str:
    """Return the kind of a segment: a member of KINDS, or "jfif", "adobe" or "mark" (never stripped).

    JFIF and Adobe segments that are too short to be any, as libjpeg counts, are "unknown".
    """
    marker, payload = segment.marker, segment.payload
    if marker == COM:
        return "mark" if _MARK.fullmatch(payload) else "comment"
    if marker == APP0 and payload.startswith(b"JFIF\0") and len(payload) >= 14:
        return "jfif"
    if marker == APP0 and payload.startswith(b"JFXX\0"):
        return "thumbnail"
    if marker == _APP1 and payload.startswith(exif.HEADER):
        return "exif"
    if marker == _APP1 and payload.startswith((xmp.HEADER, xmp.EXTENSION_HEADER)):
        return "xmp"
    if marker == _APP2 and payload.startswith(_ICC):
        return "icc"
    if marker == _APP2 and payload.startswith(mpf.HEADER):
        return "mpf"
    if marker == _APP2 and payload.startswith(ISO_GAIN_MAP):
        return "gainmap"
    if marker == _APP13 and payload.startswith(photoshop.HEADER):
        return "iptc"
    if marker == APP14 and payload.startswith(b"Adobe") and len(payload) >= 12:
        return "adobe"
    return "unknown"


def is_cut_short(segment: Segment) -> bool:
    """Whether a segment begins as JFIF's or Adobe's, but ends before what these hold.

    libjpeg passes such segments over; Pillow refuses the file.
    """
    named = (segment.marker == APP0 and segment.payload.startswith(b"JFIF")) or (
        segment.marker == APP14 and segment.payload.startswith(b"Adobe")
    )
    return named and kind_of(segment) == "unknown"


def exif_groups(segments: list[Segment]) -> list[list[int]]:
    """Return the numbers of the segments of each EXIF block.

    A block beyond 64 KB goes on in segments whose content does not begin with a TIFF header (as ExifTool
    writes it).
    """
    groups: list[list[int]] = []
    for number, segment in enumerate(segments):
        if kind_of(segment) == "exif":
            begins = segment.payload[len(exif.HEADER) :][:4] in (b"II*\0", b"MM\0*")
            if groups and not begins:
                groups[-1].append(number)
            else:
                groups.append([number])
    return groups


def orientation(image: JpegImage) -> int:
    """Return the EXIF orientation, 1..8; 1 if there is none."""
    for group in exif_groups(image.segments):
        return exif.orientation(b"".join(image.segments[i].payload[len(exif.HEADER) :] for i in group))
    return 1


def icc_profile(image: JpegImage) -> bytes | None:
    """Put the ICC profile together from its segments, in any order (ICC.1 B.4).

    Returns
    -------
    bytes or None
        None without profile, and, as in Pillow, if the pieces are not as many as the first one says.
    """
    pieces = sorted(s.payload for s in image.segments if kind_of(s) == "icc" and len(s.payload) >= 14)
    if not pieces or pieces[0][13] != len(pieces):
        return None
    return b"".join(piece[14:] for piece in pieces) or None


def mark(distance: float) -> Segment:
    """Return the COM segment that tells at which distance a file was encoded, in at most 20 bytes.

    The distance is rounded up to four decimals, so that the same distance asked for again is not finer than
    the mark.

    Raises
    ------
    ValueError
        If the distance is not between 0.01 and 99.
    """
    if not 0.01 <= distance <= 99:
        raise ValueError(f"distance {distance} is not between 0.01 and 99")
    rounded = Decimal(repr(float(distance))).quantize(Decimal("0.0001"), ROUND_CEILING)
    text = str(rounded)
    while text.endswith("0") and len(text) - text.index(".") > 3:
        text = text[:-1]
    return Segment(COM, b"guetzpy d=" + text.encode())


def read_mark(segments: Iterable[Segment]) -> float | None:
    """Return the distance of the mark in a file, the coarsest of several; None without a sensible one."""
    found = []
    for segment in segments:
        match = _MARK.fullmatch(segment.payload) if segment.marker == COM else None
        if match and 0.01 <= float(match[1]) <= 99:
            found.append(float(match[1]))
    return max(found, default=None)


def without_marks(segments: Iterable[Segment]) -> list[Segment]:
    """Return the segments that are no marks."""
    return [segment for segment in segments if kind_of(segment) != "mark"]


def segments_for(
    *,
    icc: bytes | None = None,
    exif_data: bytes | None = None,
    xmp_data: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    comment: bytes | None = None,
) -> list[Segment]:
    """Return the segments for a picture that does not come from a JPEG file.

    Parameters
    ----------
    icc : bytes, optional
        ICC profile.
    exif_data : bytes, optional
        TIFF structure, with or without "Exif" and two NULs in front, as Pillow's ``info["exif"]``.
    xmp_data : bytes, optional
        XMP packet; beyond 65502 bytes it becomes an extended one.
    dpi : tuple of float, optional
        Horizontal and vertical density in dots per inch.
    comment : bytes, optional
        Comment.

    Returns
    -------
    list of Segment
        JFIF first (version 1.01), then EXIF, XMP, ICC and comment.

    Raises
    ------
    LimitError
        If EXIF, ICC profile or comment do not fit.
    """
    density = [min(max(round(value), 1), 65535) for value in dpi] if dpi else [1, 1]
    numbers = b"".join(value.to_bytes(2, "big") for value in density)
    segments = [Segment(APP0, b"JFIF\0\1\1" + bytes((1 if dpi else 0,)) + numbers + b"\0\0")]
    if exif_data:
        payload = exif.HEADER + exif_data.removeprefix(exif.HEADER)
        segments.append(Segment(_APP1, _fitting("EXIF data", payload)))
    if xmp_data:
        segments += [Segment(_APP1, payload) for payload in xmp_segments.payloads_of(xmp_data)]
    if icc:
        pieces = [icc[i : i + _MAX_ICC_PIECE] for i in range(0, len(icc), _MAX_ICC_PIECE)]
        if len(pieces) > 255:
            raise LimitError(f"ICC profile of {len(icc)} bytes does not fit 255 segments")
        segments += [
            Segment(_APP2, _ICC + bytes((i + 1, len(pieces))) + piece) for i, piece in enumerate(pieces)
        ]
    if comment:
        segments.append(Segment(COM, _fitting("comment", comment)))
    return segments


def _fitting(what: str, payload: bytes) -> bytes:
    if len(payload) > _MAX_PAYLOAD:
        raise LimitError(f"{what} of {len(payload)} bytes does not fit a JPEG segment of {_MAX_PAYLOAD}")
    return payload
