"""Colour declarations of files that Pillow does not report: chunks, extensions, headers and boxes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from guetzpy.picture.profiles import SRGB_CHROMATICITIES

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["declarations"]

_MOST_CHUNKS = 10_000


def declarations(image: Image.Image) -> dict[bytes, bytes] | None:
    """Return the colour declarations of an open file that Pillow does not report; None without an open file.

    The file's pixels must not be loaded yet. Keys are names of PNG chunks, "icc" (a profile), "unused" (the
    name of a declaration that is not supported) or "refused" (the name of a colour space of another kind).
    """
    stream: BinaryIO | None = getattr(image, "fp", None)
    find = _FINDERS.get(image.format or "")
    if find is None or stream is None or not getattr(image, "tile", None):
        return None
    place = stream.tell()
    try:
        return find(stream)
    except (struct.error, OSError, ValueError):
        return {}
    finally:
        stream.seek(place)


def _png_chunks(stream: BinaryIO) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    stream.seek(8)
    for _ in range(_MOST_CHUNKS):
        head = stream.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            break
        size = int.from_bytes(head[:4], "big")
        if head[4:] in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"):
            found.setdefault(head[4:], stream.read(min(size, 64)))
            size -= min(size, 64)
        stream.seek(size + 4, 1)
    return found


def _gif_extension(stream: BinaryIO) -> dict[bytes, bytes]:
    """Return the ICC profile of an application extension (the ICC's "ICCRGBG1012")."""
    stream.seek(0)
    data = stream.read()
    at = data.find(b"\x21\xff\x0bICCRGBG1012")
    if at < 0:
        return {}
    at, pieces = at + 14, []
    while at < len(data) and data[at]:
        pieces.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return {b"icc": b"".join(pieces)}


def _bmp_header(stream: BinaryIO) -> dict[bytes, bytes]:
    """Return the ICC profile of a version 5 header, or the name of a calibration that is not supported."""
    stream.seek(0)
    data = stream.read(14 + 124)
    size = int.from_bytes(data[14:18], "little")
    if size < 108 or len(data) < 14 + 108:
        return {}
    kind = data[70:74]
    if kind == b"DEBM" and size >= 124:
        start, length = struct.unpack_from("<II", data, 14 + 112)
        stream.seek(14 + start)
        return {b"icc": stream.read(length)}
    if kind == b"KNIL":
        return {b"unused": b"the linked profile of its header"}
    if kind == b"\0\0\0\0" and any(data[74:122]) and not _bmp_is_srgb(data[74:122]):
        return {b"unused": b"the calibration (endpoints and gamma) of its header"}
    return {}


def _bmp_is_srgb(endpoints: bytes) -> bool:
    """Return whether the endpoints (2.30 bits) and gammas (16.16 bits) of a BMP are those of sRGB."""
    numbers = struct.unpack("<12I", endpoints)
    sums = [sum(numbers[i : i + 3]) or 1 for i in (0, 3, 6)]
    points = [numbers[3 * i + k] / sums[i] for i in range(3) for k in range(2)]
    near = all(abs(a - b) <= 0.01 for a, b in zip(points, SRGB_CHROMATICITIES[2:], strict=True))
    return near and all(g == 0 or abs(g / 65536 - 2.2) < 0.05 for g in numbers[9:])


def _jp2_boxes(stream: BinaryIO) -> dict[bytes, bytes]:
    """Return the colour specification of a JPEG 2000 file (ISO/IEC 15444-1 I.5.3.3)."""
    stream.seek(0)
    data = stream.read(1 << 24)
    header = _box(data, 0, len(data), b"jp2h")
    if header is None:
        return {}
    colour = _box(data, *header, b"colr")
    if colour is None or colour[1] - colour[0] < 3:
        return {}
    method, body = data[colour[0]], data[colour[0] + 3 : colour[1]]
    if method in (2, 3):
        return {b"icc": body}
    if method != 1 or len(body) < 4:
        return {b"unused": b"its colour specification"}
    space = int.from_bytes(body[:4], "big")
    if space in (14, 19):  # CIELab and CIEJab, whose codes are not RGB
        return {b"refused": b"CIELab"}
    return {} if space in (12, 16, 17, 18) else {b"unused": b"its enumerated colour space %d" % space}


def _box(data: bytes, start: int, end: int, name: bytes) -> tuple[int, int] | None:
    for _ in range(1000):
        if start + 8 > end:
            return None
        size, head = int.from_bytes(data[start : start + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        if size == 0:
            size = end - start
        if size < head:
            return None
        if data[start + 4 : start + 8] == name:
            return start + head, min(start + size, end)
        start += size
    return None


_FINDERS: dict[str, Callable[[BinaryIO], dict[bytes, bytes]]] = {
    "PNG": _png_chunks, "GIF": _gif_extension, "BMP": _bmp_header, "JPEG2000": _jp2_boxes,
}  # fmt: skip
