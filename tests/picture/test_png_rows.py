"""A PNG whose rows end early is refused, although its compressed stream is complete."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

import guetzpy
from guetzpy.errors import FormatError
from guetzpy.picture.png_rows import check_rows, may_be_filled


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(
    width: int, height: int, depth: int, colour: int, interlaced: int, rows: int, piece: int = 5
) -> bytes:
    """Return a PNG whose compressed data has ``rows`` bytes, in chunks of ``piece`` bytes."""
    packed = zlib.compress(bytes(rows))
    pieces = [_chunk(b"IDAT", packed[i : i + piece]) for i in range(0, len(packed), piece)]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"".join((b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", header), *pieces, _chunk(b"IEND", b"")))


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((16, 9, 8, 2, 0), 9 * 49),
        ((5, 3, 1, 0, 0), 3 * 2),
        ((5, 3, 16, 6, 0), 3 * 41),
        # Adam7 of 5 x 3: passes of 1x1, 1x1, none (it needs a fifth row), 1x1, 3x1, 2x2, 5x1 pixels.
        ((5, 3, 8, 0, 1), 2 + 2 + 2 + 4 + 2 * 3 + 6),
    ],
)
def test_a_png_has_all_rows(picture: tuple[int, int, int, int, int], size: int) -> None:
    check_rows(_png(*picture, size))
    check_rows(_png(*picture, size + 3))
    with pytest.raises(FormatError, match="rows end early"):
        check_rows(_png(*picture, size - 1))


def test_a_picture_that_would_be_filled_is_refused() -> None:
    assert guetzpy.optimize(_png(16, 16, 8, 2, 0, 16 * 49), threads=1).width == 16
    with pytest.raises(FormatError, match="rows end early"):
        guetzpy.optimize(_png(16, 16, 8, 2, 0, 8 * 49, piece=999), threads=1)


def test_pictures_whose_last_rows_vary_are_not_filled() -> None:
    codes = np.random.default_rng(1).integers(0, 256, (3, 9, 12)).astype(np.uint8)
    assert not may_be_filled(codes)
    for row in (-1, -2):
        filled = codes.copy()
        filled[:, row] = 7
        assert may_be_filled(filled)
    assert may_be_filled(codes[:, :, :1])
    assert may_be_filled(np.zeros((1, 1, 1), np.uint8))
