"""Take kinds of metadata out of a file's segments and out of the bytes after its picture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from guetzpy.jpeg import appended, exif, mpf, photoshop, xmp
from guetzpy.jpeg.appended import Part, Place
from guetzpy.jpeg.metadata import exif_groups, kind_of
from guetzpy.jpeg.structure import JpegImage, Segment

__all__ = ["Edit", "Survey", "look"]

_APP11 = 0xEB
_GCAMERA = "http://ns.google.com/photos/1.0/camera/"
_HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
_XAP = "http://ns.adobe.com/xap/1.0/"


def _is_gps(_: str, name: str) -> bool:
    # exif:GPSLatitude, drone-dji:GpsLatitude ...
    return name.lower().startswith("gps")


def _is_thumbnail(space: str, name: str) -> bool:
    return space == _XAP and name == "Thumbnails"


def _is_motion_photo(space: str, name: str) -> bool:
    return space == _GCAMERA and name.startswith(("MotionPhoto", "MicroVideo"))


@dataclass(frozen=True)
class Survey:
    """What a file holds besides its picture, and where."""

    eoi: int
    places: list[Place]  # as image.segments; empty if the file cannot be walked
    index: mpf.Index | None
    mpf: int | None
    base: int  # what the MPF offsets count from
    items: list[xmp.Item]
    directory: int | None  # number of the segment with the XMP packet that holds the container directory
    parts: list[Part]

    @property
    def video(self) -> int:
        """Bytes of the video of a motion photo."""
        return sum(part.end - part.start for part in self.parts if part.video)


def look(source: bytes, image: JpegImage) -> Survey:
    """Find what a file holds besides its picture."""
    eoi = len(source) - len(image.trailing)
    walked = appended.places(source, 0, eoi)
    if [place.segment for place in walked] != image.segments:
        walked = []
    index, number, base = None, None, 0
    packet, directory = None, None
    for i, segment in enumerate(image.segments):
        kind = kind_of(segment)
        if kind == "mpf" and index is None and walked:
            index = mpf.read_index(segment.payload)
            number, base = (i, walked[i].payload + len(mpf.HEADER)) if index is not None else (None, 0)
        if directory is None and segment.payload.startswith(xmp.HEADER) and kind == "xmp":
            packet, directory = xmp.read_packet(segment.payload[len(xmp.HEADER) :]), i
    items = packet.items() if packet is not None else []
    micro_video = _micro_video(packet) if packet is not None else 0
    parts = appended.find_parts(source, eoi, index, base, items, micro_video)
    return Survey(eoi, walked, index, number, base, items, directory, parts)


def _micro_video(packet: xmp.Packet) -> int:
    wanted = packet.properties(lambda space, name: space == _GCAMERA and name == "MicroVideoOffset")
    return next((int(value) for _, value, _ in wanted if re.fullmatch("[0-9]{1,12}", value.strip())), 0)


class Edit:
    """One application of a policy; payloads become None as they go."""

    def __init__(self, source: bytes, image: JpegImage, survey: Survey, stripped: frozenset[str]) -> None:
        self.source = source
        self.survey = survey
        self.stripped = stripped
        self.markers = [segment.marker for segment in image.segments]
        self.kinds = [kind_of(segment) for segment in image.segments]
        self.payloads: list[bytes | None] = [segment.payload for segment in image.segments]
        self.trailing = bytearray(image.trailing)
        self.parts = survey.parts
        self.index = survey.index
        self.pictures: list[int] = list(range(len(survey.index.pictures))) if survey.index is not None else []
        self.removed: set[str] = set()
        self.warnings: list[str] = []

    def of_kind(self, kind: str) -> list[int]:
        """Return the numbers of the segments of a kind that are still there."""
        return [i for i, k in enumerate(self.kinds) if k == kind and self.payloads[i] is not None]

    def payload(self, number: int) -> bytes:
        """Return the payload of a segment that is still there."""
        payload = self.payloads[number]
        assert payload is not None
        return payload

    def exif_groups(self) -> list[list[int]]:
        """Return the numbers of the segments of each EXIF block."""
        numbers = self.of_kind("exif")
        segments = [Segment(self.markers[i], self.payload(i)) for i in numbers]
        return [[numbers[i] for i in group] for group in exif_groups(segments)]

    def tiff(self, group: list[int]) -> bytes:
        """Return the TIFF structure of an EXIF block."""
        return b"".join(self.payload(i)[len(exif.HEADER) :] for i in group)

    def drop(self, numbers: Iterable[int], kind: str) -> None:
        """Drop segments, because ``kind`` goes."""
        for number in numbers:
            self.payloads[number] = None
            self.removed.add(kind)

    # Whole segments

    def strip_segments(self) -> None:
        """Drop what goes as a whole."""
        if "exif" in self.stripped:
            for group in self.exif_groups():
                self.removed.update(exif.part_sizes(self.tiff(group)))
            self.replace_exif("exif")
        if "xmp" in self.stripped and self.of_kind("xmp"):
            if self.survey.items or self.survey.video or any(part.kind == "gainmap" for part in self.parts):
                self.warnings.append(
                    "XMP is stripped: readers that look there for the gain map or motion photo miss it"
                )
            self.drop(self.of_kind("xmp"), "xmp")
        for kind in ("icc", "iptc", "comment", "unknown"):
            if kind in self.stripped:
                self.drop(self.of_kind(kind), kind)
        if any(
            self.markers[i] == _APP11 and b"c2pa" in self.payload(i)[:128] for i in self.of_kind("unknown")
        ):
            self.warnings.append("content credentials (C2PA) are kept, but no longer match the changed file")

    def replace_exif(self, kind: str) -> None:
        """Put the orientation in the place of all EXIF."""
        groups = self.exif_groups()
        value = exif.orientation(self.tiff(groups[0])) if groups else 1
        short = exif.minimal(value)
        for number in self.of_kind("exif"):
            if value != 1 and groups and number == groups[0][0]:
                if len(short) < len(self.payload(number)):
                    self.payloads[number] = short
                    self.removed.add(kind)
            else:
                self.drop([number], kind)

    # Parts of segments

    def edit_exif(self, kind: str, edit: Callable[[bytes], bytes]) -> None:
        """Edit every EXIF block; one that cannot be edited safely is replaced by the orientation."""
        for group in self.exif_groups():
            tiff = self.tiff(group)
            try:
                edited = edit(tiff)
            except exif.UnsafeEditError as error:
                self.warnings.append(f"{error}: dropped except for the orientation, because {kind} must go")
                self.removed.add(kind)
                self.replace_exif("exif")
                return
            if edited != tiff:
                self.removed.add(kind)
                at = 0
                for number in group:
                    piece = edited[at : at + len(self.payload(number)) - len(exif.HEADER)]
                    self.payloads[number] = exif.HEADER + piece if piece else None
                    at += len(piece)

    def edit_photoshop(self, kind: str, identifiers: frozenset[int]) -> None:
        """Take Photoshop resources out."""
        numbers = self.of_kind("iptc")
        if not numbers:
            return
        payloads = [self.payload(i) for i in numbers]
        try:
            edited = photoshop.without_resources(payloads, identifiers)
        except ValueError:
            self.warnings.append(f"Photoshop data could not be read to look for {kind}")
            return
        if edited != payloads:
            self.removed.add(kind)
            for number, payload in zip(numbers, edited, strict=True):
                self.payloads[number] = payload or None

    def blank_xmp(self, kind: str, wanted: Callable[[str, str], bool], suspicion: bytes = b"") -> None:
        """Blank XMP properties; packets that cannot be read go if they hold the suspicious text."""
        numbers = self.of_kind("xmp")
        payloads = [self.payload(i) for i in numbers]
        edited = xmp.without_properties(payloads, wanted, suspicion)
        for number, before, after in zip(numbers, payloads, edited, strict=True):
            if after is None:
                self.warnings.append(f"XMP could not be read: dropped, because {kind} must go")
            if after != before:
                self.payloads[number] = after
                self.removed.add(kind)

    def strip_gps(self) -> None:
        """Take GPS data out of EXIF and XMP, of the pictures after the first one as well."""
        self.edit_exif("gps", exif.without_gps)
        self.edit_photoshop("gps", photoshop.EXIF_COPIES | photoshop.XMP_COPY)
        self.blank_xmp("gps", _is_gps, b"gps")
        for part in self.parts:
            self.scrub_gps(part)
        if any(part.kind == "trailing" and part.kind not in self.stripped for part in self.parts):
            self.warnings.append("data after the picture is not searched for GPS data")

    def scrub_gps(self, part: Part) -> None:
        """Zero the GPS data of a picture after the first one, in the same length."""
        if self.trailing[part.start : part.start + 2] != b"\xff\xd8":
            return
        for place in appended.places(bytes(self.trailing[part.start : part.end]), header_only=True):
            payload, kind = place.segment.payload, kind_of(place.segment)
            edited: bytes | None = payload
            if kind == "exif":
                tiff = payload[len(exif.HEADER) :]
                try:
                    edited = exif.HEADER + exif.without_gps(tiff)
                except exif.UnsafeEditError:
                    edited = exif.HEADER + bytes(len(tiff))
            elif kind == "xmp":
                edited = xmp.without_properties([payload], _is_gps, b"gps")[0]
            if edited != payload:
                self.removed.add("gps")
                start = part.start + place.payload
                self.trailing[start : start + len(payload)] = (edited or b"").ljust(len(payload), b"\0")

    def strip_thumbnail(self) -> None:
        """Take thumbnails out of JFIF, EXIF, Photoshop resources and XMP."""
        self.drop(self.of_kind("thumbnail"), "thumbnail")
        for number in self.of_kind("jfif"):
            payload = self.payload(number)
            if len(payload) >= 14 and payload[12] and payload[13]:
                self.payloads[number] = payload[:12] + b"\0\0"
                self.removed.add("thumbnail")
        self.edit_exif("thumbnail", exif.without_thumbnail)
        self.edit_photoshop("thumbnail", photoshop.THUMBNAILS)
        self.blank_xmp("thumbnail", _is_thumbnail)

    # After EOI

    def strip_appended(self) -> None:
        """Drop gain maps, further pictures and other trailing data, and what announces them."""
        stays, goes = appended.unwritten(self.parts, bytes(self.trailing), self.stripped)
        self.removed.update(part.kind for part in goes if part.kind in self.stripped)
        self.announce_no_more(goes)
        if self.index is not None and self.survey.mpf is not None:
            gone = {part.number for part in goes if part.number is not None}
            self.pictures = [n for n in self.pictures if n not in gone]
            others = [n for n in self.pictures if n]
            named = any(part.kind == "gainmap" and part.number is not None for part in stays)
            if ("mpf" in self.stripped and not named) or (gone and not others):
                self.drop([self.survey.mpf], "mpf")
            elif gone:
                self.payloads[self.survey.mpf] = self.index.without(gone)
        if "mpf" in self.stripped:  # indices that cannot be read
            self.drop([i for i in self.of_kind("mpf") if i != self.survey.mpf], "mpf")
        if "gainmap" in self.stripped:
            self.drop(self.of_kind("gainmap"), "gainmap")
        self.parts = stays

    def announce_no_more(self, goes: list[Part]) -> None:
        """Take out of XMP what announces parts that go."""
        eoi = self.survey.eoi
        spans = [
            item.span
            for item, start, end in appended.item_ranges(self.survey.items, len(self.source))
            if any(start < eoi + part.end and eoi + part.start < end for part in goes)
        ]
        if spans and self.survey.directory is not None and self.payloads[self.survey.directory] is not None:
            payload = self.payload(self.survey.directory)
            head = len(xmp.HEADER)
            self.payloads[self.survey.directory] = payload[:head] + xmp.blanked(payload[head:], spans)
        if "gainmap" in self.stripped:
            self.blank_xmp("gainmap", lambda space, _: space == _HDRGM)
        if "trailing" in self.stripped:
            self.blank_xmp("trailing", _is_motion_photo)
