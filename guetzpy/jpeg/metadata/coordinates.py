"""Remove metadata outside of EXIF, XMP and Photoshop data: in other segments and after the picture."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from guetzpy.jpeg.metadata import (
    afcp,
    appended,
    exif,
    exif_parts,
    flir,
    iptc,
    photoshop,
    video,
    xmp,
    xmp_segments,
)
from guetzpy.jpeg.metadata.policy import kind_of
from guetzpy.jpeg.metadata.property_kinds import coordinates_in_bytes, tells_coordinates, xmp_test
from guetzpy.jpeg.structure import Segment

__all__ = [
    "Scrubbed",
    "is_credentials",
    "is_harmless",
    "is_manifest",
    "name_of",
    "names_credentials",
    "rest_of_trailer",
    "scrub",
    "scrub_embedded",
    "unsearched",
]

_APP11 = 0xEB
_PROVENANCE = ("http://purl.org/dc/terms/", "provenance")
_PICTURE = rb"\xff\xd8\xff[\xc0-\xfe]"  # SOI and the next marker
_MAX_PICTURES = 64
_MAX_EMBEDDED = 16
_MAX_DEPTH = 2

# Segments with known contents and without coordinates: quality and comment of Save for Web (Ducky, whose text
# is searched), Motion JPEG, colour management.
_HARMLESS = (b"Ducky", b"AVI1", b"Adobe", b"JFIF", b"JFXX", b"PIC\0", b"ColorimetricInfo")


def is_manifest(segment: Segment) -> bool:
    """Return whether a segment is part of a JUMBF box (ISO/IEC 19566-5), such as content credentials (C2PA).

    The marker APP11 also contains the layers of JPEG XT (ISO/IEC 18477-3), which are other boxes.
    """
    return segment.marker == _APP11 and segment.payload[:2] == b"JP" and segment.payload[12:16] == b"jumb"


def is_credentials(segment: Segment) -> bool:
    """Return whether a segment begins a C2PA manifest store."""
    return is_manifest(segment) and b"c2pa" in segment.payload[:128]


def names_credentials(payload: bytes) -> bool:
    """Return whether the payload of an XMP segment refers to a C2PA manifest outside of the file."""
    packet = xmp.read_any_encoding(payload[len(xmp.HEADER) :])
    links = packet.properties(lambda *name: name == _PROVENANCE) if packet is not None else ()
    # "self#" refers to a manifest in this file.
    return any(not value.startswith("self#") for _, value, _ in links)


def name_of(segment: Segment) -> str:
    """Return the name of a segment for messages, such as "APP4 (DJI)" or "COM"."""
    if not 0xE0 <= segment.marker <= 0xEF:
        return "COM"
    found = re.match(rb"[ -~]{2,24}", segment.payload)
    return f"APP{segment.marker - 0xE0}" + (f" ({found[0].decode()})" if found else "")


def is_harmless(segment: Segment) -> bool:
    """Return whether a segment of unknown kind is known to have no coordinates or names of places."""
    return segment.payload.startswith(_HARMLESS) or not segment.payload.strip(b"\0")


def unsearched(segment: Segment) -> bool:
    """Return whether a segment of unknown kind may have coordinates that a text search does not find."""
    if is_harmless(segment):
        return False
    text = sum(byte in b"\t\n\r" or 32 <= byte < 127 for byte in segment.payload)
    return text < 0.95 * len(segment.payload)


@dataclass
class Scrubbed:
    """Trailing data with a kind of metadata blanked, and the names of data that could not be searched."""

    data: bytes
    unsearched: set[str] = field(default_factory=set)


def scrub(data: bytes, kind: str) -> Scrubbed:
    """Blank a kind of metadata ("gps", "place" or "copyright") in trailing data, in the same length.

    Parameters
    ----------
    data : bytes
        A part of the bytes after EOI: pictures, a video, or data of a camera maker that contains them.
    kind : str
        The kind to blank.
    """
    done = Scrubbed(data)
    edited = bytearray(data)
    trailer = afcp.read_trailer(data)
    if trailer is not None:
        _scrub_trailer(edited, trailer, kind, done)
        data = data[: trailer.start]
    pictures = [m.start() for m in itertools.islice(re.finditer(_PICTURE, data), _MAX_PICTURES)]
    known = 0  # end of the data that was searched
    for start in pictures:
        if start >= known:
            end = _scrub_picture(edited, start, kind, done)
            if start > known and data[known:start].strip(b"\0"):
                done.unsearched.add("data after the picture")
            known = max(known, end)
    at = data.find(video.TYPE, known)
    if at >= known + 4:
        begin = at - 4
        clean, searched = (
            video.without_gps(data[begin:]) if kind == "gps" else (data[begin:], kind != "place")
        )
        edited[begin : len(data)] = clean
        if not searched:
            done.unsearched.add("video after the picture")
        if data[known:begin].strip(b"\0"):
            done.unsearched.add("data after the picture")
    elif data[known:].strip(b"\0"):
        done.unsearched.add("data after the picture")
    done.data = bytes(edited)
    return done


def _scrub_trailer(edited: bytearray, trailer: afcp.Trailer, kind: str, done: Scrubbed) -> None:
    """Blank a kind of metadata in the entries of an AFCP trailer."""
    for entry in trailer.entries:
        value = bytes(edited[entry.start : entry.end])
        after = scrub_embedded(value, kind)
        if entry.tag == b"IPTC":
            try:
                after = iptc.without(value, lambda d: exif_parts.unwanted_dataset(d, kind))
            except ValueError:
                after = b""  # it cannot be searched, so all of it is removed
        elif kind == "gps" and coordinates_in_bytes(value):
            after = b""
        elif entry.tag not in (b"Nail", b"PrVw") and not (kind == "gps" and entry.tag == b"TEXT"):
            done.unsearched.add("data after the picture")
        edited[entry.start : entry.end] = after.ljust(len(value), b"\0")


def rest_of_trailer(
    data: bytes, stripped: frozenset[str], kept: frozenset[str], unreadable: Callable[[str], None]
) -> tuple[bytes, set[str]]:
    """Return trailing data with an AFCP trailer that has only the IPTC datasets to keep.

    If "trailing" is stripped, everything but the IPTC datasets is removed. If only "iptc" is stripped, the
    other entries and the data before the trailer stay.

    Parameters
    ----------
    data : bytes
        The last part of the bytes after EOI.
    stripped, kept : frozenset of str
        The kinds of a policy that strips "trailing" or "iptc".
    unreadable : callable
        Called with the name of data that is removed because it cannot be read.

    Returns
    -------
    data : bytes
        The edited data; empty if "trailing" is stripped and no dataset is kept.
    lost : set of str
        Kinds of the datasets that were removed.
    """
    trailer = afcp.read_trailer(data)
    whole = "trailing" in stripped
    lost: set[str] = set()
    if trailer is None:
        return b"" if whole else data, lost

    def edit(tag: bytes, value: bytes) -> bytes:
        if tag != b"IPTC":
            return b"" if whole else value
        try:
            if "iptc" in kept:
                gone = stripped - kept
                return iptc.without(value, lambda d: any(exif_parts.unwanted_dataset(d, k) for k in gone))
            rest, others = exif_parts.kept_datasets(value, kept)
        except ValueError:
            unreadable("IPTC data after the picture")
            return b""
        lost.update(others | {"iptc"} if rest != value else ())
        return rest

    rest = afcp.edited(data, trailer, edit)
    return rest if whole else data[: trailer.start] + rest, lost


def scrub_embedded(data: bytes, kind: str, depth: int = 0) -> bytes:
    """Blank a kind of metadata in JPEG pictures within other data, such as thumbnails and previews.

    The length does not change. Pictures within those pictures are edited too, but none nested more deeply,
    because a hostile file could nest thousands.
    """
    if depth >= _MAX_DEPTH:
        return data
    edited = bytearray(data)
    for match in itertools.islice(re.finditer(_PICTURE, data), _MAX_EMBEDDED):
        _scrub_picture(edited, match.start(), kind, Scrubbed(b""), depth + 1)
    return bytes(edited)


def _scrub_picture(edited: bytearray, start: int, kind: str, done: Scrubbed, depth: int = 0) -> int:
    """Blank a kind of metadata in the segments of a JPEG picture; return where the picture ends."""
    data = bytes(edited[start:])
    walked = appended.places(data, header_only=True)
    flir_places = [p for p in walked if p.segment.payload.startswith(flir.HEADER)]
    for place in walked:
        segment = place.segment
        if place in flir_places:
            continue
        after = _scrubbed_payload(segment, kind, done, depth)
        if after != segment.payload:
            at = start + place.payload
            edited[at : at + len(segment.payload)] = after.ljust(len(segment.payload), b"\0")
    if kind == "gps" and flir_places:
        try:
            payloads = flir.without_gps([p.segment.payload for p in flir_places])
        except ValueError:
            payloads = [bytes(len(p.segment.payload)) for p in flir_places]
        for place, payload in zip(flir_places, payloads, strict=True):
            edited[start + place.payload : start + place.end] = payload
    return start + appended.end_of_stream(data)


def _scrubbed_payload(segment: Segment, kind: str, done: Scrubbed, depth: int) -> bytes:
    payload, what = segment.payload, kind_of(segment)
    text = tells_coordinates if kind == "gps" else None
    if what == "exif":
        tiff = payload[len(exif.HEADER) :]
        try:
            return exif.HEADER + scrub_embedded(exif_parts.without(tiff, kind), kind, depth)
        except exif.UnsafeEditError:
            return b""
    if what == "xmp":
        return (
            xmp_segments.without_properties(
                [payload], lambda s, n: xmp_test(kind, s, n), text=text, strict=True
            )[0]
            or b""
        )
    if what == "iptc":
        try:
            return photoshop.edited([payload], exif_parts.photoshop_edit(kind))[0]
        except ValueError:
            return b""
    if is_manifest(segment):
        return b""
    if kind == "gps" and what in ("unknown", "comment"):
        if coordinates_in_bytes(payload):
            return b""
        if what == "unknown" and unsearched(segment):
            done.unsearched.add(name_of(segment))
    return payload
