"""Remove kinds of metadata from a file's segments and from the bytes after EOI."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from guetzpy.jpeg.metadata import (
    appended,
    coordinates,
    exif,
    exif_parts,
    flir,
    photoshop,
    xmp,
    xmp_segments,
)
from guetzpy.jpeg.metadata.appended import Part
from guetzpy.jpeg.metadata.holdings import Survey
from guetzpy.jpeg.metadata.policy import PARTS, Policy, exif_groups, kind_of, without_surplus
from guetzpy.jpeg.metadata.property_kinds import (
    coordinates_in_bytes,
    is_gain_map,
    is_motion_photo,
    is_orientation,
    tells_coordinates,
    turns,
    xmp_test,
)
from guetzpy.jpeg.structure import JpegImage, Segment

__all__ = ["Edit"]


class Edit:
    """One application of a policy; the payload of a removed segment becomes None."""

    def __init__(self, source: bytes, image: JpegImage, survey: Survey, policy: Policy) -> None:
        self.source = source
        self.survey = survey
        self.stripped = policy.stripped
        self.kept = policy.kept
        self.markers = [segment.marker for segment in image.segments]
        self.kinds = [kind_of(segment) for segment in image.segments]
        self.payloads: list[bytes | None] = [segment.payload for segment in image.segments]
        self.trailing = bytearray(image.trailing)
        self.parts = survey.parts
        self.index = survey.index
        self.pictures: list[int] = list(range(len(survey.index.pictures))) if survey.index is not None else []
        self.removed: set[str] = set()
        self.notes: list[str] = []  # messages that hold even if the caller does not change the file
        self.changes: list[str] = []  # messages that hold only if the file is changed
        self.unsearched: dict[str, set[str]] = {}  # names of data that could not be searched, by kind
        groups = self.exif_groups()
        # Pillow turns a picture by the orientation in XMP if Exif has none.
        self.turned_by_exif = bool(groups) and exif.stored_orientation(self.tiff(groups[0])) is not None

    def of_kind(self, kind: str) -> list[int]:
        """Return the numbers of the segments of a kind that are not removed."""
        return [i for i, k in enumerate(self.kinds) if k == kind and self.payloads[i] is not None]

    def payload(self, number: int) -> bytes:
        """Return the payload of a segment that is not removed."""
        payload = self.payloads[number]
        assert payload is not None
        return payload

    def segment(self, number: int) -> Segment:
        """Return a segment that is not removed."""
        return Segment(self.markers[number], self.payload(number))

    def exif_groups(self) -> list[list[int]]:
        """Return the numbers of the segments of each EXIF block."""
        numbers = self.of_kind("exif")
        return [[numbers[i] for i in group] for group in exif_groups([self.segment(i) for i in numbers])]

    def tiff(self, group: list[int]) -> bytes:
        """Return the TIFF structure of an EXIF block."""
        return b"".join(self.payload(i)[len(exif.HEADER) :] for i in group)

    def drop(self, numbers: Iterable[int], kind: str) -> None:
        """Remove segments and record ``kind`` as removed."""
        for number in numbers:
            self.payloads[number] = None
            self.removed.add(kind)

    def trim_surplus(self) -> None:
        """Cut the bytes after the fields of JFIF and Adobe segments, which may be any data."""
        if "unknown" not in self.kept and self.stripped & {"unknown", "gps", "place", "copyright"}:
            for number in [*self.of_kind("jfif"), *self.of_kind("adobe")]:
                self.change(number, without_surplus(self.segment(number)), "unknown")

    def change(self, number: int, payload: bytes, kind: str) -> None:
        """Set the payload of a segment, and record ``kind`` as removed if it differs."""
        if payload != self.payload(number):
            self.payloads[number] = payload
            self.removed.add(kind)

    # Whole segments

    def strip_segments(self) -> None:
        """Remove the segments of stripped kinds, except for the parts that the policy keeps."""
        if "exif" in self.stripped:
            self._strip_exif()
            self._drop_resources("exif", photoshop.EXIF_COPIES)
        if "xmp" in self.stripped and self.of_kind("xmp"):
            self._strip_xmp()
        if "xmp" in self.stripped and not ("iptc" in self.stripped and self.kept & set(PARTS)):
            self._drop_resources("xmp", photoshop.XMP_COPY)
        if "iptc" in self.stripped and self.of_kind("iptc"):
            self._strip_iptc()
        for kind in ("icc", "comment", "unknown"):
            if kind in self.stripped:
                self.drop(self.of_kind(kind), kind)
        groups = self.exif_groups()
        if self.turned_by_exif and not (groups and exif.stored_orientation(self.tiff(groups[0]))):
            # The orientation 1 went with Exif; one in XMP, which it overrode, must not take its place.
            self.blank_xmp("exif", is_orientation)

    def _strip_exif(self) -> None:
        if not (groups := self.exif_groups()):
            return
        for group in groups:
            self.removed.update(exif_parts.held(self.tiff(group)) - self.kept)
        first = next((tiff for tiff in map(self.tiff, groups) if tiff), b"")
        rest = exif_parts.minimal(first, self.kept) if self.kept & set(PARTS) else None
        if rest is None or len(rest) + len(exif.HEADER) > 65533:
            if rest is not None or not exif_parts.is_readable(first):
                self.note_lost("Exif")
            self.replace_exif("exif")
            return
        if [self.payload(number) for number in self.of_kind("exif")] != [exif.HEADER + rest]:
            self.drop(self.of_kind("exif"), "exif")
            self.payloads[groups[0][0]] = exif.HEADER + rest

    def _strip_xmp(self) -> None:
        numbers = self.of_kind("xmp")
        payloads = [self.payload(i) for i in numbers]
        found = [xmp.read_any_encoding(payload[len(xmp.HEADER) :]) for payload in payloads]
        packets = [packet for packet in found if packet is not None]
        if any(p.startswith(xmp.HEADER) and one is None for p, one in zip(payloads, found, strict=True)):
            self.note_lost("XMP")
        for kind in set(PARTS) - self.kept:
            if any(p.has(lambda s, n, k=kind: n != "" and xmp_test(k, s, n)) for p in packets):  # type: ignore[misc]
                self.removed.add(kind)
        turned = not self.turned_by_exif and any(map(turns, packets))
        rest = xmp_segments.only_properties(
            payloads,
            lambda s, n: any(xmp_test(kind, s, n) for kind in self.kept) or (turned and is_orientation(s, n)),
        )
        if rest != payloads:
            self.drop(numbers, "xmp")
        if 0 < len(rest) <= len(numbers):
            for number, payload in zip(numbers, rest, strict=False):
                self.payloads[number] = payload
        elif rest:
            self.notes.append("the XMP to keep is removed: it does not fit in the XMP segments of the file")

    def _strip_iptc(self) -> None:
        numbers = self.of_kind("iptc")
        payloads = [self.payload(i) for i in numbers]
        try:
            rest = photoshop.edited(payloads, exif_parts.photoshop_rest(self.kept, self.removed))
        except ValueError:
            rest = [b""] * len(payloads)
            self.note_lost("Photoshop data")
        if rest != payloads:
            self.drop(numbers, "iptc")
            for number, payload in zip(numbers, rest, strict=True):
                self.payloads[number] = payload or None

    def note_lost(self, what: str) -> None:
        """Note that unreadable data is removed, which may have had parts that the policy keeps."""
        if parts := sorted(self.kept & set(PARTS)):
            self.notes.append(f"{what} that cannot be edited is removed: {', '.join(parts)} in it is lost")

    def replace_exif(self, kind: str) -> None:
        """Replace all EXIF by one segment with the orientation, or remove it if the orientation is 1."""
        groups = self.exif_groups()
        value = exif.orientation(self.tiff(groups[0])) if groups else 1
        short = exif.minimal(value)
        for number in self.of_kind("exif"):
            if value != 1 and groups and number == groups[0][0]:
                if len(short) < sum(len(self.payload(i)) for i in groups[0]):
                    self.payloads[number] = short
                    self.removed.add(kind)
            else:
                self.drop([number], kind)

    # Parts of segments

    def strip_part(self, kind: str) -> None:
        """Remove a kind of PARTS from the segments that are not stripped as a whole."""
        if "exif" not in self.stripped:
            self.edit_exif(kind)
        if "iptc" not in self.stripped:
            self.edit_photoshop(kind)
        if "xmp" not in self.stripped:
            text = tells_coordinates if kind == "gps" else None
            self.blank_xmp(kind, lambda s, n: xmp_test(kind, s, n), text, strict=kind != "thumbnail")
        if kind == "thumbnail":
            self.strip_thumbnail()
            return
        for number in self.of_kind("thumbnail"):
            self.change(number, coordinates.scrub_embedded(self.payload(number), kind), kind)
        if "unknown" not in self.kept:
            self.drop_manifests(kind)
        if kind == "gps":
            self.search_others()
        else:
            numbers = [i for what in {"unknown", "comment"} - self.stripped for i in self.of_kind(what)]
            others = [s for s in map(self.segment, numbers) if not coordinates.is_harmless(s)]
            self.not_searched(kind, map(coordinates.name_of, others))
        for part in self.parts:
            if part.kind not in self.stripped:
                self.scrub(part, kind)
        if unsearched := self.unsearched.pop(kind, set()):
            what = {"gps": "coordinates", "place": "names of places", "copyright": "rights"}[kind]
            self.notes.append(f"not searched for {what}: {', '.join(sorted(unsearched))}")

    def not_searched(self, kind: str, what: Iterable[str]) -> None:
        """Record that data could not be searched for a kind of metadata."""
        self.unsearched.setdefault(kind, set()).update(what)

    def edit_exif(self, kind: str) -> None:
        """Remove a kind from every EXIF block; replace all EXIF if one block cannot be edited safely."""
        for group in self.exif_groups():
            tiff = self.tiff(group)
            try:
                edited = exif_parts.without(tiff, kind)
                if kind != "thumbnail":
                    edited = coordinates.scrub_embedded(edited, kind)
            except exif.UnsafeEditError as error:
                self.notes.append(f"{error}: all but the orientation is removed, because {kind} is stripped")
                self.removed.add(kind)
                self.replace_exif("exif")
                return
            if exif.maker_note(edited) is not None:
                self.not_searched(kind, ["maker note"])
            if edited != tiff:
                self.removed.add(kind)
                at = 0
                for number in group:
                    piece = edited[at : at + len(self.payload(number)) - len(exif.HEADER)]
                    self.payloads[number] = exif.HEADER + piece if piece else None
                    at += len(piece)

    def edit_photoshop(self, kind: str) -> None:
        """Remove a kind of metadata from the Photoshop resources."""
        if kind == "thumbnail":
            self._drop_resources(kind, photoshop.THUMBNAILS)
        else:
            one = exif_parts.photoshop_edit(kind)

            def edit(identifier: int, data: bytes) -> bytes | None:
                small = identifier in photoshop.THUMBNAILS
                return coordinates.scrub_embedded(data, kind) if small else one(identifier, data)

            self._edit_resources(kind, edit)

    def _drop_resources(self, kind: str, identifiers: frozenset[int]) -> None:
        self._edit_resources(kind, lambda identifier, data: None if identifier in identifiers else data)

    def _edit_resources(self, kind: str, edit: Callable[[int, bytes], bytes | None]) -> None:
        numbers = self.of_kind("iptc")
        payloads = [self.payload(i) for i in numbers]
        try:
            edited = photoshop.edited(payloads, edit)
        except ValueError:
            self.not_searched(kind, ["Photoshop data that cannot be read"])
            return
        if edited != payloads:
            self.removed.add(kind)
            for number, payload in zip(numbers, edited, strict=True):
                self.payloads[number] = payload or None

    def blank_xmp(
        self,
        kind: str,
        wanted: Callable[[str, str], bool],
        text: Callable[[str], bool] | None = None,
        strict: bool = False,
    ) -> None:
        """Blank XMP properties; if ``strict``, remove the packets that cannot be read."""
        numbers = self.of_kind("xmp")
        payloads = [self.payload(i) for i in numbers]
        edited = xmp_segments.without_properties(payloads, wanted, text=text, strict=strict)
        for number, before, after in zip(numbers, payloads, edited, strict=True):
            if after is None:
                self.notes.append(f"XMP that cannot be read is removed, because {kind} is stripped")
            if after != before:
                self.payloads[number] = after
                self.removed.add(kind)

    def drop_manifests(self, kind: str) -> None:
        """Remove C2PA manifests, whose assertions repeat data of EXIF, IPTC and XMP."""
        manifests = [i for i in self.of_kind("unknown") if coordinates.is_manifest(self.segment(i))]
        if any(coordinates.is_credentials(self.segment(i)) for i in manifests):
            self.notes.append(
                f"content credentials (C2PA) are removed, because {kind} is stripped: they may contain it, "
                "and would no longer match the file"
            )
        self.drop(manifests, "unknown")

    def search_others(self) -> None:
        """Remove coordinates from comments and APPn segments of other kinds; note what was not searched."""
        thermal = [i for i in self.of_kind("unknown") if self.payload(i).startswith(flir.HEADER)]
        try:
            edited = flir.without_gps([self.payload(i) for i in thermal]) if thermal else []
            for number, payload in zip(thermal, edited, strict=True):
                self.change(number, payload, "gps")
        except ValueError:
            self.notes.append("FLIR data that cannot be read is removed, because gps is stripped")
            self.drop(thermal, "gps")
        for number in [*self.of_kind("unknown"), *self.of_kind("comment")]:
            segment, kind = self.segment(number), self.kinds[number]
            if number in thermal or kind in self.stripped or kind in self.kept:
                continue  # the user keeps this kind by name, so its segments are not changed
            if coordinates_in_bytes(segment.payload):
                name = coordinates.name_of(segment)
                self.notes.append(f"{name} segment is removed: it contains coordinates or names of them")
                self.drop([number], "gps")
            elif coordinates.unsearched(segment):
                self.not_searched("gps", [coordinates.name_of(segment)])
        # The file needs these segments, so they stay.
        needed = map(self.segment, [*self.of_kind("mpf"), *self.of_kind("gainmap"), *self.of_kind("icc")])
        self.not_searched("gps", [coordinates.name_of(s) for s in needed if coordinates_in_bytes(s.payload)])

    def scrub(self, part: Part, kind: str) -> None:
        """Blank a kind of metadata in a part of the trailing data, without changing its length."""
        before = bytes(self.trailing[part.start : part.end])
        done = coordinates.scrub(before, kind)
        self.not_searched(kind, done.unsearched)
        if done.data != before:
            self.trailing[part.start : part.end] = done.data
            self.removed.add(kind)

    def strip_thumbnail(self) -> None:
        """Remove the JFIF thumbnails: JFXX segments, and the pixels in JFIF segments."""
        self.drop(self.of_kind("thumbnail"), "thumbnail")
        for number in self.of_kind("jfif"):
            payload = self.payload(number)
            if payload[12] and payload[13]:
                self.change(number, payload[:12] + b"\0\0", "thumbnail")

    # After EOI

    def strip_appended(self) -> None:
        """Remove gain maps, further pictures and other trailing data, and the entries that list them."""
        stays, goes = appended.unwritten(self.parts, bytes(self.trailing), self.stripped)
        trailer = self.rest_of_trailer()
        if trailer is not None:
            stays = [*(part for part in stays if part.end <= trailer.start), trailer]
        self.removed.update(part.kind for part in goes if part.kind in self.stripped and part != trailer)
        self.blank_listings(goes)
        if self.index is not None and self.survey.mpf is not None:
            gone = self.survey.listed(goes)
            self.pictures = [n for n in self.pictures if n not in gone]
            named = any(part.kind == "gainmap" and part.number is not None for part in stays)
            if ("mpf" in self.stripped and not named) or (gone and not any(self.pictures)):
                self.drop([self.survey.mpf], "mpf")
            elif gone:
                self.payloads[self.survey.mpf] = self.index.without(gone)
        if "mpf" in self.stripped:  # further indices, and an index that cannot be read
            self.drop([i for i in self.of_kind("mpf") if i != self.survey.mpf], "mpf")
        if "gainmap" in self.stripped:
            self.drop(self.of_kind("gainmap"), "gainmap")
        self.parts = stays

    def rest_of_trailer(self) -> Part | None:
        """Write an AFCP trailer that has only the IPTC datasets to keep; return its part, if there is one."""
        last = self.parts[-1] if self.parts else None
        if last is None or last.kind != "trailing" or not self.stripped & {"trailing", "iptc"}:
            return None
        data = bytes(self.trailing[last.start : last.end])
        rest, lost = coordinates.rest_of_trailer(data, self.stripped, self.kept, self.note_lost)
        self.removed |= lost
        if not rest:
            if "copyright" in self.kept and data.strip(b"\0"):
                self.notes.append("the data after the picture is removed without a search for copyright")
            return None
        self.trailing[last.start : last.start + len(rest)] = rest
        return Part("trailing", last.start, last.start + len(rest))

    def blank_listings(self, goes: list[Part]) -> None:
        """Blank the XMP items and properties that describe removed parts."""
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
            self.blank_xmp("gainmap", lambda space, name: is_gain_map(space, name) and name != "Directory")
        if "trailing" in self.stripped:
            self.blank_xmp("trailing", is_motion_photo)
