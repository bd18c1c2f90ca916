"""Carry the metadata of a JPEG file over to its re-encoded file, with valid offsets and lengths.

``carry`` applies a policy to the metadata of a file. ``settle`` updates the offsets and lengths in the
written file, which depend on its size::

    carried = carry(source, image, policy)
    written = write(replace(image, segments=carried.segments, trailing=carried.trailing))
    data = settle(written, carried)

Segments keep their order. Gain maps and further pictures after EOI keep their bytes, except for metadata in
them that the policy strips.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from guetzpy.jpeg.markers import segment as segment_bytes
from guetzpy.jpeg.metadata import appended, coordinates, exif, mpf, photoshop
from guetzpy.jpeg.metadata.anchors import (
    Anchor,
    Length,
    Mention,
    Picture,
    Pointer,
    find_anchors,
    write_length,
)
from guetzpy.jpeg.metadata.declared import declares_adobe_rgb
from guetzpy.jpeg.metadata.holdings import locate
from guetzpy.jpeg.metadata.policy import (
    KINDS,
    PARTS,
    Policy,
    exif_groups,
    is_cut_short,
    kind_of,
    segments_for,
)
from guetzpy.jpeg.metadata.stripping import Edit
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.picture.profiles import adobe_rgb

__all__ = ["PROFILE_ADDED", "Carried", "carry", "describe", "settle", "splice"]


#: Note on a file that gets a profile, because the Exif that declared its colours was removed.
PROFILE_ADDED = "the removed Exif declared Adobe RGB: an ICC profile declares it now"


@dataclass(frozen=True)
class Carried:
    """Metadata for a new file, with what ``settle`` needs to update its offsets.

    Attributes
    ----------
    segments : list of Segment
        Segments for the new file, in order. Callers may leave some out or append further ones.
    trailing : bytes
        Bytes after EOI for the new file.
    removed : list of str
        Kinds of metadata that the source has and the policy removed.
    notes : list of str
        Messages to the user about the policy's work.
    changes : list of str
        Messages to the user that hold only if the file is changed.
    profile_added : bool
        Whether an ICC profile was added to a source without one.
    anchors : tuple of Anchor
        Offsets and lengths to update. They refer to segments by identity.
    """

    segments: list[Segment]
    trailing: bytes
    removed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    profile_added: bool = False
    # These fields refer to segments by identity, so that callers may leave some out.
    _mpf: Segment | None = None  # the segment with the MPF index
    anchors: tuple[Anchor, ...] = ()
    _origins: tuple[tuple[int, Segment], ...] = ()  # (number in the source, segment)

    @property
    def warnings(self) -> list[str]:
        """Messages to the user of a changed file: notes, then changes."""
        return [*self.notes, *self.changes]


def carry(
    source: bytes,
    image: JpegImage,
    policy: Policy = Policy(),  # noqa: B008 (frozen)
    *,
    cut_short: bool = False,
) -> Carried:
    """Apply a policy to the metadata of a file.

    Coordinates, names of places, rights and thumbnails are removed from EXIF in place (``exif_parts``) and
    blanked in XMP, both before and after EOI. If EXIF is stripped, or so broken that it cannot be edited
    safely, it is replaced by a minimal segment with the orientation and, where EXIF is stripped, the parts
    that the policy keeps.

    Parameters
    ----------
    source : bytes
        The file that ``image`` was read from.
    image : JpegImage
        The image that ``reader.read`` returned for ``source``.
    policy : Policy
        The kinds of metadata to remove and to keep.
    cut_short : bool
        Whether JFIF and Adobe segments that are too short stay. If so, the default policy changes nothing.

    Returns
    -------
    Carried
        The metadata for the new file, to be passed to ``settle``.
    """
    edit = Edit(source, image, locate(source, image), policy)
    if not cut_short:
        _drop_cut_short(edit)
    for kind in PARTS:
        if kind in policy.stripped:
            edit.strip_part(kind)
    edit.trim_surplus()
    edit.strip_appended()
    edit.strip_segments()
    _note_needed_xmp(edit)
    # Bytes between the segments of the header are in no segment, so rewritten and spliced files lack them.
    if "unknown" in policy.stripped and appended.stray_ranges(source, len(source) - len(image.trailing)):
        edit.removed.add("unknown")
    _note_credentials(edit)
    _note_wrong_index(edit, image)
    return _with_meaning(_result(edit), image, policy)


def _drop_cut_short(edit: Edit) -> None:
    """Remove JFIF and Adobe segments that are too short, since Pillow refuses files with them."""
    for number in edit.of_kind("unknown"):
        if is_cut_short(edit.segment(number)):
            edit.payloads[number] = None
            edit.changes.append("a JFIF or Adobe segment that is too short is removed")


def _note_needed_xmp(edit: Edit) -> None:
    """Note that programs cannot find a part after EOI, because the XMP that names it was stripped."""
    needs_it = any(part.kind == "gainmap" or part.video for part in edit.parts)
    if "xmp" in edit.stripped & set(edit.kinds) and needs_it and not {"gainmap", "trailing"} & edit.kept:
        found_by = "programs that need XMP will not find the gain map or motion photo"
        edit.notes.append(f"XMP is stripped: {found_by}")


def _note_credentials(edit: Edit) -> None:
    """Note the content credentials that a change of the file makes invalid."""
    if any(coordinates.is_credentials(edit.segment(i)) for i in edit.of_kind("unknown")):
        edit.changes.append("content credentials (C2PA) are kept, but no longer match the changed file")
    for number in edit.of_kind("xmp"):
        if coordinates.names_credentials(edit.payload(number)):
            edit.changes.append(
                "content credentials (C2PA) to which XMP refers no longer match the changed file"
            )


def _note_wrong_index(edit: Edit, image: JpegImage) -> None:
    """Note that data after the picture is kept although no MPF index describes it correctly."""
    if not any(part.kind == "trailing" for part in edit.parts):
        return
    index = edit.survey.index
    wanted = set(range(1, len(index.pictures))) if index is not None else set()
    found = {part.number for part in edit.survey.parts}
    if wanted - found or (index is None and any(kind_of(s) == "mpf" for s in image.segments)):
        edit.changes.append(
            "the MPF index is damaged: it does not tell where further pictures are; "
            "the data after the picture is kept as it is"
        )


def _with_meaning(carried: Carried, image: JpegImage, policy: Policy) -> Carried:
    """Add an ICC profile where the policy removed the Exif that declared Adobe RGB.

    Without it the decoded samples would mean other colours.
    """
    if "icc" in policy.stripped or len(image.components) == 4:
        return carried
    if not declares_adobe_rgb(image.segments) or declares_adobe_rgb(carried.segments):
        return carried
    profile = [s for s in segments_for(icc=adobe_rgb(len(image.components))) if kind_of(s) == "icc"]
    start = int(bool(carried.segments) and kind_of(carried.segments[0]) == "jfif")
    return replace(
        carried,
        segments=[*carried.segments[:start], *profile, *carried.segments[start:]],
        notes=[*carried.notes, PROFILE_ADDED],
        profile_added=True,
    )


def _result(edit: Edit) -> Carried:
    kept = {
        number: Segment(edit.markers[number], payload)
        for number, payload in enumerate(edit.payloads)
        if payload is not None
    }
    pieces = [bytes(edit.trailing[part.start : part.end]) for part in edit.parts]
    index = kept.get(edit.survey.mpf) if edit.survey.mpf is not None else None
    return Carried(
        segments=list(kept.values()),
        trailing=b"".join(pieces),
        removed=[kind for kind in KINDS if kind in edit.removed],
        notes=edit.notes,
        changes=list(dict.fromkeys(edit.changes)),
        _mpf=index,
        anchors=find_anchors(edit, kept),
        _origins=tuple(kept.items()) if edit.survey.places else (),
    )


def settle(written: bytes, carried: Carried) -> bytes:
    """Update the offsets and lengths that depend on the size of the picture.

    Parameters
    ----------
    written : bytes
        A file with the segments of ``carried`` (further ones may follow them) and its trailing bytes.
    carried : Carried
        What ``carry`` returned.

    Returns
    -------
    bytes
        The file with updated numbers, of the same length.

    Raises
    ------
    ValueError
        If the file does not have these segments and trailing bytes.
    """
    if not carried.anchors:
        return written
    eoi = len(written) - len(carried.trailing)
    places = appended.places(written, 0, eoi)[: len(carried.segments)]
    shapes = [
        [(s.marker, len(s.payload)) for s in row] for row in ([p.segment for p in places], carried.segments)
    ]
    if shapes[0] != shapes[1] or written[eoi:] != carried.trailing:
        raise ValueError("the file was not written with these segments")
    payloads = {id(s): place.payload for s, place in zip(carried.segments, places, strict=True)}
    data = bytearray(written)
    pictures: dict[int, tuple[int, int]] = {}
    for anchor in carried.anchors:
        match anchor:
            case Picture(number, None, size):
                pictures[number] = eoi + size, 0
            case Picture(number, place, size) if place is not None and id(carried._mpf) in payloads:
                base = payloads[id(carried._mpf)] + len(mpf.HEADER)
                pictures[number] = size, eoi + place - base
            case Pointer(segment, position, order, first, base, place) if {id(segment), id(first)} <= set(
                payloads
            ):
                offset = eoi + place - payloads[id(first)] - base
                struct.pack_into(order + "I", data, payloads[id(segment)] + position, offset)
            case Length(segment, start, end) if id(segment) in payloads:
                write_length(data, payloads[id(segment)] + start, payloads[id(segment)] + end, eoi)
            case Mention(at, order, place):
                struct.pack_into(order + "I", data, eoi + at, eoi + place)
    if pictures and carried._mpf is not None and id(carried._mpf) in payloads:
        index = mpf.read_index(carried._mpf.payload)
        if index is not None:
            start = payloads[id(carried._mpf)]
            data[start : start + len(index.payload)] = index.with_places(pictures)
    return bytes(data)


def splice(source: bytes, image: JpegImage, carried: Carried) -> bytes | None:
    """Put the metadata into the file that it came from, without changing the picture's data.

    Parameters
    ----------
    source : bytes
        The file that ``image`` was read from.
    image : JpegImage
        The image that ``reader.read`` returned for ``source``.
    carried : Carried
        What ``carry(source, image, ...)`` returned.

    Returns
    -------
    bytes or None
        The new file; None if the file's segments cannot be located one by one.
    """
    eoi = len(source) - len(image.trailing)
    places = appended.places(source, 0, eoi)
    if [place.segment for place in places] != image.segments:
        return None
    wanted = {id(segment) for segment in carried.segments}
    new = {number: segment for number, segment in carried._origins if id(segment) in wanted}
    # Programs identify a JPEG file by FF D8 FF, so stray bytes must not follow SOI.
    edits = [(start, end, b"") for start, end in appended.stray_ranges(source, eoi)]
    for number, place in enumerate(places):
        if new.get(number) != place.segment:
            kept = number in new
            data = segment_bytes(place.segment.marker, new[number].payload) if kept else b""
            edits.append((place.start, place.end, data))
    numbers = {id(segment): number for number, segment in carried._origins}
    added = [segment for segment in carried.segments if id(segment) not in numbers]
    if added:  # after the segment that precedes them in carried.segments
        index = carried.segments.index(added[0])
        start = places[numbers[id(carried.segments[index - 1])]].end if index else places[0].start
        edits.append((start, start, b"".join(segment_bytes(s.marker, s.payload) for s in added)))
    pieces, at = [], 0
    for start, end, data in sorted(edits):
        pieces += [source[at:start], data]
        at = end
    return settle(b"".join((*pieces, source[at:eoi], carried.trailing)), carried)


def describe(source: bytes, image: JpegImage, segments: Sequence[Segment] | None = None) -> dict[str, int]:
    """Return the bytes that each kind of metadata takes in a file, segment headers included.

    Parameters
    ----------
    source : bytes
        The file that ``image`` was read from.
    image : JpegImage
        The image that ``reader.read`` returned for ``source``.
    segments : sequence of Segment, optional
        The segments to count, by default all of the image.

    Returns
    -------
    dict
        Bytes by kind, without kinds that are absent. The keys are the members of KINDS, "jfif", "adobe",
        "mark", and "motion_photo" (the video). The bytes of ``gps`` and ``thumbnail`` are also counted in
        ``exif`` or ``iptc``, those of ``motion_photo`` also in ``trailing``.
    """
    survey = locate(source, image)
    sizes: dict[str, int] = {}

    def count(kind: str, size: int) -> None:
        if size:
            sizes[kind] = sizes.get(kind, 0) + size

    for segment in image.segments if segments is None else segments:
        count(kind_of(segment), 4 + len(segment.payload))
    for group in exif_groups(image.segments):
        tiff = b"".join(image.segments[i].payload[len(exif.HEADER) :] for i in group)
        for kind, size in exif.part_sizes(tiff).items():
            count(kind, size)
    resources = photoshop.resource_sizes([s.payload for s in image.segments if kind_of(s) == "iptc"])
    for identifier in photoshop.THUMBNAILS:
        count("thumbnail", resources.get(identifier, 0))
    for part in survey.parts:
        count(part.kind, part.end - part.start)
    count("motion_photo", survey.video)
    return sizes
