"""Facts that the first segments of a JPEG file state: whether it is one, its frame, its colour space."""

from __future__ import annotations

from collections.abc import Sequence

from guetzpy.jpeg import markers
from guetzpy.jpeg.structure import Segment

__all__ = ["colorspace", "frame_header", "frame_of", "is_baseline", "is_jpeg", "is_progressive"]


def is_jpeg(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is a JPEG: SOI, followed by another marker."""
    return head[:3] == b"\xff\xd8\xff"


def frame_of(data: bytes) -> tuple[int, int, int]:
    """Return marker, width and height of a JPEG's first frame header, of any kind; zeros without one."""
    marker, payload = frame_header(data)
    return marker, int.from_bytes(payload[3:5], "big"), int.from_bytes(payload[1:3], "big")


def is_baseline(data: bytes) -> bool:
    """Return whether a JPEG is a baseline file: SOF0, with samples of 8 bits (T.81 B.2.2)."""
    marker, payload = frame_header(data)
    return marker == markers.SOF0 and payload[0] == 8


def is_progressive(data: bytes) -> bool:
    """Return whether a JPEG has several scans for a coefficient: SOF2 or SOF10 (T.81 table B.1)."""
    return frame_header(data)[0] in (markers.SOF2, 0xCA)


def frame_header(data: bytes) -> tuple[int, bytes]:
    """Return marker and payload of the first frame header; zeros without one."""
    position = 2
    while (found := markers.find_marker(data, position)) is not None:
        marker, _, position = found
        if marker in (markers.SOI, markers.SOS, markers.EOI):
            break
        if marker == markers.TEM or markers.RST0 <= marker <= markers.RST7:  # they have no length
            continue
        payload, position = markers.read_payload(data, position)
        if 0xC0 <= marker <= 0xCF and marker not in (markers.DHT, 0xC8, markers.DAC) and len(payload) >= 5:
            return marker, payload
    return 0, bytes(5)


def colorspace(frame: markers.FrameHeader, segments: Sequence[Segment]) -> str:
    """Determine the colour space as libjpeg does (``default_decompress_parms`` in ``jdapimin.c``).

    Returns
    -------
    str
        "gray", "ycbcr", "rgb", "ycck" or "cmyk".
    """
    if len(frame.components) == 1:
        return "gray"
    jfif = any(
        s.marker == markers.APP0 and len(s.payload) >= 14 and s.payload[:5] == b"JFIF\0" for s in segments
    )
    transforms = [
        s.payload[11]
        for s in segments
        if s.marker == markers.APP14 and len(s.payload) >= 12 and s.payload[:5] == b"Adobe"
    ]
    if len(frame.components) == 4:
        return "ycck" if transforms and transforms[-1] != 0 else "cmyk"
    if jfif:
        return "ycbcr"
    if transforms:
        return "ycbcr" if transforms[-1] != 0 else "rgb"
    return "rgb" if bytes(c.identifier for c in frame.components) == b"RGB" else "ycbcr"
