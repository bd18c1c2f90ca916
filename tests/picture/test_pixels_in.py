"""Pictures that are given as arrays or by Pillow: which codes they become."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from reference import jpeg_files, metadata_files
from reference.picture_profiles import (
    GRAY,
    P3,
    RGB,
    RNG,
    planes,
    rgb_profile,
)

import guetzpy
from guetzpy.errors import UnsupportedError
from guetzpy.picture.planes import planes_of
from guetzpy.picture.profiles import gamma_curve, gray_profile

# ---------------------------------------------------------------------------- arrays


def test_arrays():
    for array, expected in [
        (RGB, RGB),
        (GRAY, GRAY),
        (GRAY[:, :, None], GRAY),
        (GRAY.view(np.matrix), GRAY),
        (np.ma.masked_array(RGB), RGB),
        (np.asfortranarray(RGB)[:, ::-1], RGB[:, ::-1]),
        (RGB.astype(np.uint16) * 257, RGB.astype(np.uint16) * 257),
        ((RGB.astype(np.uint16) * 257).astype(">u2"), RGB.astype(np.uint16) * 257),
        (GRAY > 99, np.where(GRAY > 99, 255, 0).astype(np.uint8)),
    ]:
        codes, transform = planes_of(array)
        np.testing.assert_array_equal(codes, planes(expected))
        assert codes.dtype == planes(expected).dtype
        assert codes.dtype.isnative
        assert codes.flags.c_contiguous
        assert transform.is_srgb


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_floats_are_fractions(dtype):
    codes, _ = planes_of((RGB / 255.0).astype(dtype))
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, planes(RGB), atol=0.13 if dtype is np.float16 else 1e-4)


def test_arrays_are_copied():
    codes, _ = planes_of(GRAY)
    assert not np.shares_memory(codes, GRAY)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (RGB.astype(np.float64), ValueError, "0..1"),
        (np.full((4, 4), np.nan), ValueError, "NaN"),
        (RGB.astype(np.int64), TypeError, "int64"),
        (RGB.astype(object), TypeError, "object"),
        (RGB.astype(complex), TypeError, r"numpy\.abs"),
        (np.zeros((3, 40, 50), np.uint8), ValueError, "moveaxis"),
        (np.zeros((4, 4, 5), np.uint8), ValueError, "shape"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "shape"),
        (np.zeros(4, np.uint8), ValueError, "shape"),
        (np.ma.masked_equal(np.eye(9, dtype=np.uint8), 1), ValueError, "masked"),
        ([[1, 2], [3, 4]], TypeError, r"numpy\.asarray"),
        ("photo.jpg", TypeError, r"Image\.open"),
        (None, TypeError, "NoneType"),
    ],
)
def test_what_is_no_picture_is_told_what_would_be(array, error, message):
    with pytest.raises(error, match=message):
        planes_of(array)


# ---------------------------------------------------------------------------- transparency


def test_opaque_alpha_is_dropped():
    for array in (
        np.dstack([RGB, np.full((5, 7), 255, np.uint8)]),
        np.dstack([RGB / 255.0, np.ones((5, 7))]),
        np.dstack([RGB.astype(np.uint16) * 257, np.full((5, 7), 65535, np.uint16)]),
    ):
        codes, _ = planes_of(array)
        np.testing.assert_allclose(codes / codes.max(), planes(RGB) / planes(RGB).max(), atol=1e-6)


def test_transparency_needs_a_background():
    alpha = GRAY[:, :, None]
    array = np.dstack([RGB, GRAY])
    with pytest.raises(UnsupportedError, match="background"):
        planes_of(array)
    expected = np.rint(RGB * (alpha / 255) + np.array([255, 0, 128]) * (1 - alpha / 255))
    for background in ((255, 0, 128), "#ff0080", [255, 0, 128]):
        codes, _ = planes_of(array, background=background)
        np.testing.assert_array_equal(codes, planes(expected))
    codes, _ = planes_of(array.astype(np.uint16) * 257, background="#ff0080")
    np.testing.assert_allclose(codes / 257, planes(expected), atol=0.51)
    codes, _ = planes_of(Image.fromarray(array), background="white")
    assert codes.shape == (3, 5, 7)


def test_gray_on_colour_becomes_colour():
    image = Image.merge("LA", [Image.fromarray(GRAY)] * 2)
    assert planes_of(image, background="gray")[0].shape == (1, 5, 7)
    assert planes_of(image, background="red")[0].shape == (3, 5, 7)


@pytest.mark.parametrize("background", ["nocolour", (1, 2), (0, 0, 300)])
def test_backgrounds_that_are_no_colours(background):
    with pytest.raises(ValueError, match=r"(?i)colou?r"):
        planes_of(np.dstack([RGB, GRAY]), background=background)


# ---------------------------------------------------------------------------- PIL images


def test_images_keep_their_profile():
    image = Image.fromarray(RGB)
    image.info["icc_profile"] = rgb_profile(P3)
    codes, transform = planes_of(image)
    np.testing.assert_array_equal(codes, planes(RGB))
    assert not transform.is_srgb


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "PA", "YCbCr", "HSV"]
)
def test_modes(mode):
    base = Image.fromarray(RGB).quantize(200) if mode in ("P", "PA") else Image.fromarray(RGB)
    image = base.convert("LA").convert("La") if mode == "La" else base.convert(mode)
    if mode == "RGBa":
        image = base.convert("RGBA").convert("RGBa")
    codes, _ = planes_of(image)
    gray = mode in ("1", "L", "LA", "La")
    expected = np.asarray(image.convert("LA").getchannel(0) if gray else image.convert("RGB"))
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, planes(expected))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_sixteen_bit_gray(mode):
    values = RNG.integers(0, 65536, (5, 7)).astype(np.uint16)
    if mode == "I":
        image = Image.fromarray(values.astype(np.int32))
    else:
        image = Image.frombytes(mode, (7, 5), values.astype(">u2" if mode == "I;16B" else "<u2").tobytes())
    assert image.mode == mode
    codes, _ = planes_of(image)
    assert codes.dtype == np.uint16
    np.testing.assert_array_equal(codes[0], values)


def test_a_transparent_colour_of_a_png():
    picture = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", transparency=(40, 50, 60))
    with Image.open(file) as image, pytest.raises(UnsupportedError, match="transparent"):
        planes_of(image)
    with Image.open(file) as image:
        codes, _ = planes_of(image, background="white")
    np.testing.assert_array_equal(np.moveaxis(codes, 0, 2), [[[10, 20, 30], [255, 255, 255]]])


def png(depth, colour_type, rows, *, width, transparent=b"", icc=b""):
    """Return a PNG of these packed rows, whose tRNS chunk has the content ``transparent``."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0)),
            chunk(b"iCCP", b"x\0\0" + zlib.compress(icc)) if icc else b"",
            chunk(b"tRNS", transparent) if transparent else b"",
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
            chunk(b"IEND", b""),
        )
    )


@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "code", "expected"),
    [
        (2, 0, bytes([0b00011011]), [2], [[0, 85, 255, 255]]),
        (4, 0, bytes([0x08, 0xF3]), [8], [[0, 255, 255, 51]]),
        (16, 0, struct.pack(">4H", 7, 1000, 1001, 65535), [1000], [[7, 65535, 1001, 65535]]),
        (
            16, 2, struct.pack(">6H", 257, 1000, 3, 257, 1001, 3), [257, 1000, 3],
            [[65535, 257], [65535, 1001], [65535, 3]],
        ),
    ],
)  # fmt: skip
def test_transparent_codes_have_the_depth_of_the_png(depth, colour_type, row, code, expected):
    data = png(
        depth, colour_type, [row], width=len(expected[0]), transparent=struct.pack(f">{len(code)}H", *code)
    )
    with Image.open(io.BytesIO(data)) as image, pytest.raises(UnsupportedError, match="transparent"):
        planes_of(image)
    with Image.open(io.BytesIO(data)) as image:
        codes, _ = planes_of(image, background="white")
    np.testing.assert_array_equal(codes[:, 0], expected)


def test_gray_and_alpha_of_16_bits():
    """All bits are used, and the picture stays gray, so that its gray profile is valid."""
    samples = np.array([[[0x1234, 65535], [0xABCD, 65535]], [[7, 65535], [65535, 0]]])
    rows = [row.astype(">u2").tobytes() for row in samples]
    data = png(16, 4, rows, width=2, icc=gray_profile("gamma 1.8", gamma_curve(1.8)))
    with Image.open(io.BytesIO(data)) as image:
        codes, transform = planes_of(image, background="black")
    np.testing.assert_array_equal(codes, [[[0x1234, 0xABCD], [7, 0]]])
    assert codes.dtype == np.uint16
    assert not transform.is_srgb


def test_deep_colours_of_jpeg_2000_are_refused():
    """Pillow rounds the largest sample of 16 bits to 256, which it stores as 0: white becomes black."""
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG2000")
    data = bytearray(file.getvalue())
    data[data.index(b"\xff\x4f\xff\x51") + 42] = 15  # the depth of the first component
    with Image.open(io.BytesIO(data)) as image, pytest.raises(UnsupportedError, match="16 bits per sample"):
        planes_of(image)


def test_palette_transparency():
    image = Image.fromarray(RGB).quantize(16)
    image.info["transparency"] = 0
    with pytest.raises(UnsupportedError, match="background"):
        planes_of(image)
    assert planes_of(image, background="white")[0].shape == (3, 5, 7)


@pytest.mark.parametrize("mode", ["CMYK", "LAB", "F", "I"])
def test_modes_without_a_fixed_meaning(mode):
    image = Image.new(mode, (5, 5), -5 if mode == "I" else 0)
    with pytest.raises(UnsupportedError, match=mode):
        planes_of(image)


def test_orientation_is_left_alone():
    image = Image.fromarray(RGB)
    image.getexif()[0x0112] = 6
    assert planes_of(image)[0].shape == (3, 5, 7)


def test_photoshop_data_of_an_opened_jpeg():
    """Pillow has it as a dictionary, also of a picture that is no longer tied to its file."""
    payload = b"Photoshop 3.0\0" + metadata_files.resources()
    source = jpeg_files.picture(64, 48, quality=97)
    source = jpeg_files.with_segments(source, jpeg_files.segment(0xED, payload))
    with Image.open(io.BytesIO(source)) as opened:
        resources, picture = opened.info["photoshop"], opened.copy()
    result = guetzpy.optimize(picture, effort="fast", distance=2.0)
    with Image.open(io.BytesIO(result.data)) as written:
        assert written.info["photoshop"] == resources
    picture.info["photoshop"] = "no resources"
    assert b"Photoshop" not in guetzpy.optimize(picture, effort="fast", distance=2.0).data
