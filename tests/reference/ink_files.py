"""JPEG files in CMYK and YCCK, and an ICC profile for them."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image
from reference import picture_profiles

from guetzpy.jpeg import pixels
from guetzpy.jpeg.quantization import libjpeg_tables, quantise
from guetzpy.jpeg.structure import Component, JpegImage, Segment
from guetzpy.jpeg.writer import write

#: Lab of paper and of each combination of cyan, magenta and yellow, about as on coated paper.
_SOLIDS = {
    (0, 0, 0): (96, 0, 0), (1, 0, 0): (57, -37, -44), (0, 1, 0): (48, 74, -3), (0, 0, 1): (89, -5, 93),
    (1, 1, 0): (24, 20, -45), (1, 0, 1): (50, -66, 27), (0, 1, 1): (47, 68, 47), (1, 1, 1): (23, 0, 0),
}  # fmt: skip


def cmyk_profile(*, blind: bool = False) -> bytes:
    """Return a small CMYK profile: a table of the 16 solids (ICC.1:2001-04, lut8Type, 6.5.7).

    A ``blind`` profile shows the same colour for all inks.
    """
    linear = bytes(range(256))
    corners = b""
    for index in range(16):
        c, m, y, k = (index >> shift & 1 for shift in (3, 2, 1, 0))
        light, a, b = _SOLIDS[c, m, y]
        share = 0.15 if k else 1.0
        corners += bytes((round(light * share * 2.55), round(128 + a * share), round(128 + b * share)))
    if blind:
        corners = 16 * bytes((120, 128, 128))
    identity = picture_profiles.s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + 4 * linear + corners + 3 * linear
    text = b"text" + bytes(4) + b"none\0"
    made = picture_profiles.profile({b"A2B0": table, b"cprt": text}, space=b"CMYK", kind=b"prtr", pcs=b"Lab ")
    return made[:8] + struct.pack(">I", 0x02400000) + made[12:]


def separated(picture: np.ndarray) -> np.ndarray:
    """Return the inks of a picture, (H, W, 4): black takes half of what the three inks have in common."""
    paper = picture.astype(np.float64) / 255
    black = 0.5 * (1 - paper.max(axis=2, keepdims=True))
    inks = np.concatenate([1 - paper / (1 - black), black], axis=2)
    return np.rint(255 * inks.clip(0, 1)).astype(np.uint8)


def cmyk(picture: np.ndarray, **options: Any) -> bytes:
    """Return a picture as a JPEG in CMYK, as Pillow writes it."""
    height, width = picture.shape[:2]
    file = io.BytesIO()
    image = Image.frombytes("CMYK", (width, height), separated(picture).tobytes())
    image.save(file, "JPEG", **{"quality": 93, "subsampling": 0, **options})
    return file.getvalue()


def adobe(transform: int) -> Segment:
    """Return an Adobe segment (Adobe Technical Note 5116, section 18)."""
    return Segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def ycck(picture: np.ndarray, sampling: tuple[int, int] = (1, 1), quality: int = 93) -> bytes:
    """Return a picture as a JPEG in YCCK; ``sampling`` has the factors of Y and K."""
    inks = np.ascontiguousarray(separated(picture).transpose(2, 0, 1))
    # libjpeg-turbo decodes YCCK to 255 less red, green and blue, and files have 255 less ink.
    parts = [*pixels.forward(inks[:3], sampling), *pixels.forward(255 - inks[3:])]
    luma, chroma = libjpeg_tables(quality)
    tables = luma, chroma, chroma, luma
    factors = sampling, (1, 1), (1, 1), sampling
    components = [Component(i + 1, *factors[i], tables[i], quantise(parts[i], tables[i])) for i in range(4)]
    height, width = picture.shape[:2]
    return write(JpegImage(width, height, components, "ycck", segments=[adobe(2)]))
