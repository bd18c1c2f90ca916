"""Kinds of metadata in a JPEG file, the policy that keeps or strips them, and new segments for a picture.

The JFIF and Adobe segments (density, colour transform) are never stripped, because decoders need them to
interpret the samples.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from guetzpy.errors import LimitError
from guetzpy.jpeg.markers import APP0, APP14, APP15, COM
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
    "joined_icc",
    "kind_of",
    "mark",
    "orientation",
    "read_mark",
    "segments_for",
    "without_marks",
    "without_surplus",
]

#: Names that a policy accepts, in addition to ``all``.
KINDS = (
    "exif", "gps", "place", "copyright", "thumbnail", "icc", "xmp", "iptc", "comment", "mpf", "gainmap",
    "trailing", "unknown",
)  # fmt: skip

#: Kinds that are parts of EXIF, XMP and Photoshop data. They can be kept or stripped without the rest.
PARTS = ("gps", "place", "copyright", "thumbnail")

_APP1, _APP2, _APP13 = 0xE1, 0xE2, 0xED
_ICC = b"ICC_PROFILE\0"
_MAX_PAYLOAD = 65533
_MAX_ICC_PIECE = 65519  # 65533 less the header, the number of the piece and their count
#: Markers of segments that can hold a mark; see :func:`mark`.
_MARKS = (COM, APP15)
# Four characters are written; there are files with two to four decimals.
_MARK = re.compile(rb"guetzpy d=([0-9]{1,2}\.[0-9]{2,4}|[0-9]{2}\.[0-9])")


@dataclass(frozen=True)
class Policy:
    """The kinds of metadata to strip and to keep.

    Attributes
    ----------
    stripped : frozenset of str
        Members of KINDS. ``gps`` (coordinates), ``place`` (names of places), ``copyright`` (creator and
        rights holder) and ``thumbnail`` are parts of EXIF, XMP and Photoshop data. ``gainmap`` and ``mpf``
        are the further pictures after EOI and their index; ``trailing`` is all other data after EOI.
    kept : frozenset of str
        Members of KINDS that stay although the data that contains them is stripped.
    """

    stripped: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check_names(self.stripped | self.kept)

    @classmethod
    def of(cls, keep: Iterable[str] = (), strip: Iterable[str] = ()) -> Policy:
        """Build a policy from the names of ``--keep`` and ``--strip``.

        ``strip`` removes the kinds that it names. Its name ``all`` means every kind except ICC profiles,
        without which colours change; ``icc`` must be named in addition. ``keep`` without ``strip`` removes
        all kinds but those named and ICC. ``keep`` together with ``strip`` exempts its kinds from ``all``,
        and exempts parts from the removal of the data that contains them. EXIF, XMP or IPTC that is kept is
        kept with its parts, except for parts that ``strip`` names. Without any names nothing is stripped.

        Raises
        ------
        ValueError
            If a name is unknown, or both kept and stripped.
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

    JFIF and Adobe segments below the lengths that libjpeg requires (14 and 12 bytes) are "unknown".
    """
    marker, payload = segment.marker, segment.payload
    if marker in _MARKS and _MARK.fullmatch(payload):
        return "mark"
    if marker == COM:
        return "comment"
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
    """Whether a segment has the name of a JFIF or Adobe segment but is too short for its fields.

    libjpeg ignores such segments; Pillow refuses the file.
    """
    named = (segment.marker == APP0 and segment.payload.startswith(b"JFIF")) or (
        segment.marker == APP14 and segment.payload.startswith(b"Adobe")
    )
    return named and kind_of(segment) == "unknown"


def without_surplus(segment: Segment) -> bytes:
    """Return the payload of a JFIF or Adobe segment without the bytes after its fields and thumbnail."""
    payload = segment.payload
    return payload[: 14 + 3 * payload[12] * payload[13] if segment.marker == APP0 else 12]


def exif_groups(segments: list[Segment]) -> list[list[int]]:
    """Return the numbers of the segments of each EXIF block, one list per block.

    ExifTool splits EXIF beyond 64 KB into several segments; only the content of the first begins with a
    TIFF header. A first segment without content belongs to the block after it, as Pillow joins them.
    """
    groups: list[list[int]] = []
    for number, segment in enumerate(segments):
        if kind_of(segment) == "exif":
            begins = segment.payload[len(exif.HEADER) :][:4] in (b"II*\0", b"MM\0*")
            empty = bool(groups) and all(segments[i].payload == exif.HEADER for i in groups[-1])
            if groups and (empty or not begins):
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
    """Return the ICC profile of a JPEG: see :func:`joined_icc`."""
    return joined_icc(image.segments)


def joined_icc(segments: Iterable[Segment]) -> bytes | None:
    """Join the ICC profile from its segments, which may be in any order (ICC.1 B.4).

    Returns
    -------
    bytes or None
        None if there is no profile. Also None, as in Pillow, if the number of pieces is not the declared one.
    """
    pieces = sorted(s.payload for s in segments if kind_of(s) == "icc" and len(s.payload) >= 14)
    if not pieces or pieces[0][13] != len(pieces):
        return None
    return b"".join(piece[14:] for piece in pieces) or None


def mark(distance: float, beside: Iterable[Segment] = ()) -> Segment:
    """Return the segment that tells at which distance a file was encoded; its payload has 14 bytes.

    It is a COM segment. Beside a comment it is an APP15 segment, because many programs show one comment only:
    Pillow and ImageMagick the last one, ExifTool the first one.

    The length is the same for all distances, so that the mark does not make the file of a larger distance
    larger. The distance is rounded up to four characters, so that a later run at the same distance is not
    finer than the mark. The mark exceeds a distance of 0.1 or more by at most a tenth, and a distance of 1 or
    more by at most 1 %.

    Parameters
    ----------
    distance : float
        The distance.
    beside : iterable of Segment
        The other segments of the file.

    Raises
    ------
    ValueError
        If the distance is not between 0.01 and 99.
    """
    if not 0.01 <= distance <= 99:
        raise ValueError(f"distance {distance} is not between 0.01 and 99")
    exact = Decimal(repr(float(distance)))
    rounded = exact.quantize(Decimal("0.01"), ROUND_CEILING)
    if rounded >= 10:
        rounded = exact.quantize(Decimal("0.1"), ROUND_CEILING)
    commented = any(kind_of(segment) == "comment" for segment in beside)
    return Segment(APP15 if commented else COM, b"guetzpy d=" + str(rounded).encode())


def read_mark(segments: Iterable[Segment]) -> float | None:
    """Return the largest distance of the marks in a file; None if no mark is between 0.01 and 99."""
    found = []
    for segment in segments:
        match = _MARK.fullmatch(segment.payload) if segment.marker in _MARKS else None
        if match and 0.01 <= float(match[1]) <= 99:
            found.append(float(match[1]))
    return max(found, default=None)


def without_marks(segments: Iterable[Segment]) -> list[Segment]:
    """Return the segments except for marks."""
    return [segment for segment in segments if kind_of(segment) != "mark"]


def segments_for(
    *,
    icc: bytes | None = None,
    exif_data: bytes | None = None,
    xmp_data: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    aspect: tuple[int, int] | None = None,
    comment: bytes | None = None,
) -> list[Segment]:
    """Return the segments for a picture that does not come from a JPEG file.

    Parameters
    ----------
    icc : bytes, optional
        ICC profile.
    exif_data : bytes, optional
        TIFF structure, with or without the prefix "Exif" and two NULs, as Pillow's ``info["exif"]``. Beyond
        65527 bytes it is split into several segments, as ExifTool does; Pillow and ExifTool join them.
    xmp_data : bytes, optional
        XMP packet; a packet beyond 65502 bytes becomes extended XMP.
    dpi : tuple of float, optional
        Horizontal and vertical density in dots per inch.
    aspect : tuple of int, optional
        Horizontal and vertical density without a unit, 1 to 65535; used without ``dpi``.
    comment : bytes, optional
        Comment, of at most 65533 bytes.

    Returns
    -------
    list of Segment
        JFIF (version 1.01), then EXIF, XMP, ICC and comment.

    Raises
    ------
    LimitError
        If the ICC profile or the comment does not fit into its segments.
    """
    density = [min(max(round(value), 1), 65535) for value in dpi] if dpi else aspect or (1, 1)
    numbers = b"".join(value.to_bytes(2, "big") for value in density)
    segments = [Segment(APP0, b"JFIF\0\1\1" + bytes((1 if dpi else 0,)) + numbers + b"\0\0")]
    if exif_data:
        tiff = exif_data.removeprefix(exif.HEADER)
        size = _MAX_PAYLOAD - len(exif.HEADER)
        segments += [Segment(_APP1, exif.HEADER + tiff[i : i + size]) for i in range(0, len(tiff), size)]
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
        if len(comment) > _MAX_PAYLOAD:
            size = len(comment)
            raise LimitError(f"comment of {size} bytes does not fit a JPEG segment of {_MAX_PAYLOAD}")
        segments.append(Segment(COM, comment))
    return segments
