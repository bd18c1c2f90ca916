"""Locate the segments of a file, its MPF index, its container directory, and the data after EOI."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from guetzpy.jpeg.metadata import appended, mpf, xmp
from guetzpy.jpeg.metadata.appended import Part, Place
from guetzpy.jpeg.metadata.policy import kind_of
from guetzpy.jpeg.structure import JpegImage

__all__ = ["Survey", "locate"]

_GCAMERA = "http://ns.google.com/photos/1.0/camera/"


@dataclass(frozen=True)
class Survey:
    """The positions of a file's segments and of the data after EOI.

    ``mpf`` is the number of the segment with the MPF index, None if there is none.
    """

    eoi: int
    places: list[Place]  # one for each of image.segments; empty if the file's segments differ from those
    index: mpf.Index | None
    mpf: int | None
    base: int  # position from which the MPF offsets count
    items: list[xmp.Item]
    directory: int | None  # number of the segment with the first XMP packet, where the container directory is
    parts: list[Part]

    def listed(self, parts: Iterable[Part]) -> set[int]:
        """Return the numbers of the further pictures of the MPF index that begin in some parts."""
        pictures = () if self.index is None else self.index.pictures
        starts = [self.base + picture.offset - self.eoi for picture in pictures]
        return {n for part in parts for n, at in enumerate(starts) if n and part.start <= at < part.end}

    @property
    def video(self) -> int:
        """Bytes of the videos of a motion photo."""
        return sum(part.end - part.start for part in self.parts if part.video)


def locate(source: bytes, image: JpegImage) -> Survey:
    """Locate the segments, index, directory and trailing data of a file.

    Parameters
    ----------
    source : bytes
        The file.
    image : JpegImage
        The image that ``reader.read`` returned for ``source``.
    """
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
