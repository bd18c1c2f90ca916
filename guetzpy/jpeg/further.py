"""Repack the further pictures of a file without loss: gain maps and other pictures of the MPF index.

They are JPEG files after the first picture's EOI. Their lengths and offsets are in the MPF index (CIPA
DC-007), in the container directory in XMP (Ultra HDR 1.1), and, for previews, in Exif. All of these are
rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from guetzpy.jpeg.metadata.anchors import Anchor, Length, Picture, write_length
from guetzpy.jpeg.metadata.appended import Part, item_ranges, places
from guetzpy.jpeg.metadata.holdings import Survey, locate
from guetzpy.jpeg.metadata.preservation import Carried, carry, splice
from guetzpy.jpeg.metadata.xmp import HEADER
from guetzpy.jpeg.structure import JpegImage, Segment

__all__ = ["with_packed_pictures"]

#: Kinds of parts after EOI that are JPEG files.
_PICTURES = ("gainmap", "mpf")


def with_packed_pictures(
    source: bytes,
    image: JpegImage,
    repack: Callable[[bytes], bytes | None],
    without: Collection[str] = (),
) -> tuple[bytes, JpegImage]:
    """Return a file with smaller further pictures, and the image of that file.

    Parameters
    ----------
    source : bytes
        The file.
    image : JpegImage
        The image that ``reader.read`` returned for ``source``. It is not changed.
    repack : callable
        Returns another file of the same picture, or None.
    without : collection of str
        Kinds of parts that are left alone.

    Returns
    -------
    data : bytes
        The file; the data of the first picture is the source's. It is ``source`` itself if no picture gets
        smaller, or if an offset cannot be rewritten.
    image : JpegImage
        With the segments and trailing bytes of ``data``.
    """
    if not image.trailing or not image.eoi:
        return source, image
    survey = locate(source, image)
    changed: dict[Part, bytes] = {}
    for part in survey.parts if survey.places else ():
        if part.kind in _PICTURES and part.kind not in without:
            done = repack(image.trailing[part.start : part.end])
            if done is not None and len(done) < part.end - part.start:
                changed[part] = done
    # Segments that are too short stay here, so that the numbers in `survey` hold for carried.segments too.
    # They are dropped, with a warning, where the first picture is written anew.
    carried = carry(source, image, cut_short=True) if changed else None
    moved = None if carried is None else _moved(carried, image, survey, changed)
    data = None if moved is None else splice(source, image, moved)
    if data is None or moved is None:
        return source, image
    eoi = len(data) - len(moved.trailing)
    result = replace(
        image, segments=[place.segment for place in places(data, 0, eoi)], trailing=moved.trailing
    )
    wanted = [(part.kind, part.number, changed.get(part, b"")) for part in survey.parts]
    found = [
        (part.kind, part.number, result.trailing[part.start : part.end] if old in changed else b"")
        for part, old in zip(locate(data, result).parts, survey.parts, strict=False)
    ]
    return (data, result) if found == wanted else (source, image)


def _moved(carried: Carried, image: JpegImage, survey: Survey, changed: dict[Part, bytes]) -> Carried | None:
    """Return the metadata of the file with the changed parts; None if an offset cannot be rewritten.

    ``changed`` has the new bytes of each part. The anchors of the result have the new places and sizes.
    """
    anchors: list[Anchor] = []
    for anchor in carried.anchors:
        if isinstance(anchor, Length) or anchor.place is None:
            anchors.append(anchor)
            continue
        place = _new_place(anchor.place, changed)
        if place is None:
            return None
        if isinstance(anchor, Picture):
            part = next((part for part in changed if part.start == anchor.place), None)
            anchors.append(
                replace(anchor, place=place, size=anchor.size if part is None else len(changed[part]))
            )
        else:
            anchors.append(replace(anchor, place=place))
    pieces = [changed.get(part, image.trailing[part.start : part.end]) for part in survey.parts]
    moved = replace(carried, trailing=b"".join(pieces), anchors=tuple(anchors))
    if survey.directory is not None:
        _write_items(moved.segments[survey.directory], survey, changed)
    return moved


def _new_place(place: int, changed: dict[Part, bytes]) -> int | None:
    """Return the position of a byte after EOI in the new file; None for a byte within a changed part."""
    if any(part.start < place < part.end for part in changed):
        return None
    return place - sum(
        part.end - part.start - len(data) for part, data in changed.items() if part.end <= place
    )


def _write_items(segment: Segment, survey: Survey, changed: dict[Part, bytes]) -> None:
    """Write the new lengths into the container directory of an XMP segment."""
    payload = bytearray(segment.payload)
    size = survey.eoi + (survey.parts[-1].end if survey.parts else 0)
    for item, start, end in item_ranges(survey.items, size):
        part = next((p for p in changed if (p.start, p.end) == (start - survey.eoi, end - survey.eoi)), None)
        if part is not None and item.length_span is not None:
            first, last = item.length_span
            write_length(payload, len(HEADER) + first, len(HEADER) + last, len(changed[part]))
    segment.payload = bytes(payload)
