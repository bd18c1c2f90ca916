"""Codes of pictures, the colours that they mean, and pictures that are refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from guetzpy.errors import UnsupportedError
from guetzpy.picture import icc as _icc
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Transform

RNG = np.random.default_rng(11)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GRAY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)

P3 = ((0.515121, 0.241196, -0.001053), (0.291977, 0.692245, 0.041885), (0.157104, 0.066574, 0.784073))
SRGB = ((0.436066, 0.222488, 0.013916), (0.385147, 0.716873, 0.097076), (0.143066, 0.060608, 0.714096))


def s15(*values):
    return b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def para(kind, *values):
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + s15(*values)


def curv(*points):
    return b"curv" + bytes(4) + struct.pack(f">I{len(points)}H", len(points), *points)


SRGB_PARA = para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def profile(tags, space=b"RGB ", kind=b"mntr", pcs=b"XYZ "):
    """Return an ICC v4 profile with these tags, a map of signatures to contents."""
    tags = {
        b"desc": b"mluc" + bytes(4) + struct.pack(">II", 0, 12),
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642, 1, 0.8249),
        **tags,
    }
    table, data = b"", b""
    start = 132 + 12 * len(tags)
    for name, contents in tags.items():
        contents += bytes(-len(contents) % 4)
        table += name + struct.pack(">II", start + len(data), len(contents))
        data += contents
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x04300000, kind, space, pcs)
    head += bytes(12) + b"acsp" + bytes(28) + s15(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + body


def rgb_profile(columns=SRGB, curve=SRGB_PARA, **changes):
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {n: b"XYZ " + bytes(4) + s15(*c) for n, c in zip(names, columns, strict=True)}
    tags |= {n: curve for n in (b"rTRC", b"gTRC", b"bTRC")}
    return profile(tags, **changes)


def planes(array):
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(array), 2, 0))


# ---------------------------------------------------------------------------- sRGB


def test_srgb_is_the_standard():
    codes = np.arange(256) / 255
    exact = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    light = Transform().linear(np.arange(256, dtype=np.uint8).reshape(1, 1, 256))
    assert light.shape == (3, 1, 256)
    np.testing.assert_allclose(light[0, 0], exact, atol=3e-7)
    np.testing.assert_array_equal(light[0], light[2])
    assert light[0, 0, 0] == 0
    assert light[0, 0, 255] == pytest.approx(1, abs=1e-6)


def test_depths_agree():
    codes = planes(RGB)
    by_8 = Transform().linear(codes)
    np.testing.assert_allclose(Transform().linear(codes.astype(np.uint16) * 257), by_8, atol=5e-7)
    np.testing.assert_allclose(Transform().linear(codes.astype(np.float32)), by_8, atol=5e-7)


def test_sixteen_bits_keep_their_precision():
    codes = np.arange(30000, 30256, dtype=np.uint16).reshape(1, 1, 256)
    light = Transform().linear(codes)[0, 0]
    assert len(np.unique(light)) == 256
    np.testing.assert_allclose(light, ((codes[0, 0] / 65535 + 0.055) / 1.055) ** 2.4, atol=3e-7)


@pytest.mark.parametrize("icc", [None, rgb_profile(P3), rgb_profile(SRGB, curv(round(1.8 * 256)))])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pull_back_is_the_adjoint_of_the_slope(icc, dtype):
    transform = Transform.from_icc(icc)
    codes = np.clip(planes(RGB), 12, 240).astype(np.float32)
    direction = RNG.standard_normal(codes.shape).astype(np.float32)
    gradient = RNG.standard_normal(codes.shape).astype(np.float32)
    forward = (transform.linear(codes + direction) - transform.linear(codes - direction)) / 2
    stored = codes * 257 if dtype == np.uint16 else codes
    back = transform.pull_back(gradient, stored.astype(dtype))
    assert back.dtype == np.float32
    assert (back * direction).sum() == pytest.approx((gradient * forward).sum(), rel=2e-3, abs=1e-4)


def test_pull_back_of_gray_adds_the_three_planes():
    codes = planes(GRAY)
    gradient = RNG.standard_normal((3, 5, 7)).astype(np.float32)
    alike = np.repeat(codes, 3, axis=0)
    expected = Transform().pull_back(gradient, alike).sum(axis=0)
    np.testing.assert_allclose(Transform().pull_back(gradient, codes)[0], expected, rtol=1e-4, atol=1e-7)


def test_linear_writes_where_it_is_told():
    out = np.zeros((3, 9, 7), np.float32)
    assert Transform().linear(planes(RGB), out=out[:, :5]).base is not None
    np.testing.assert_array_equal(out[:, :5], Transform().linear(planes(RGB)))
    assert not out[:, 5:].any()
    with pytest.raises(ValueError, match="out must be"):
        Transform().linear(planes(RGB), out=np.zeros((3, 5, 8), np.float32))


def test_wrong_planes_are_named():
    with pytest.raises(TypeError, match="int64"):
        Transform().linear(np.zeros((3, 4, 4), np.int64))
    with pytest.raises(ValueError, match=r"\(1, H, W\)"):
        Transform().linear(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="gradient of shape"):
        Transform().pull_back(np.zeros((3, 4, 4), np.float32), np.zeros((3, 4, 5), np.uint8))


# ---------------------------------------------------------------------------- profiles


def through_lcms(icc, array):
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    image = ImageCms.profileToProfile(
        Image.fromarray(array), source, ImageCms.createProfile("sRGB"), renderingIntent=1, outputMode="RGB"
    )
    return np.asarray(image).astype(float)


def encoded(light):
    light = np.clip(np.moveaxis(light, 0, 2).astype(np.float64), 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    "curve",
    [
        SRGB_PARA,
        curv(round(2.2 * 256)),
        curv(*[round(65535 * (i / 99) ** 2) for i in range(100)]),
        para(0, 1.8),
        para(1, 2.0, 0.9, 0.1),
        para(2, 2.0, 0.9, 0.1, 0.0),
        para(4, 2.4, 0.948, 0.052, 0.0774, 0.04045, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("columns", [P3, SRGB])
def test_matrix_profiles_agree_with_lcms(columns, curve):
    icc = rgb_profile(columns, curve)
    array = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    ours = encoded(Transform.from_icc(icc).linear(planes(array)))
    # lcms rounds to 8 bits and computes with 16, which matters where sRGB's curve is steep.
    assert np.abs(ours - through_lcms(icc, array)).max() < 1.6


def test_colours_outside_srgb_are_not_clipped():
    light = Transform.from_icc(rgb_profile(P3)).linear(np.array([255, 0, 0], np.uint8).reshape(3, 1, 1))
    np.testing.assert_allclose(light.ravel(), [1.2249, -0.0420, -0.0196], atol=1e-3)


@pytest.mark.parametrize(
    "icc",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        rgb_profile(),
        rgb_profile(curve=curv(*np.rint(65535 * _icc.srgb_curve(np.arange(1024) / 1023)).astype(int))),
    ],
)
def test_profiles_that_are_srgb_are_exactly_that(icc):
    assert Transform.from_icc(icc).is_srgb


def test_profiles_that_are_nearly_srgb_are_not():
    assert not Transform.from_icc(rgb_profile(curve=curv(round(2.2 * 256)))).is_srgb
    assert not Transform.from_icc(rgb_profile(P3)).is_srgb


BROKEN = {
    "empty": b"",
    "noise": bytes(range(256)),
    "short": rgb_profile(P3)[:140],
    "cut": rgb_profile(P3)[:-40],
    "cmyk": rgb_profile(P3, space=b"CMYK"),
    "link": rgb_profile(P3, kind=b"link"),
    "lab": rgb_profile(P3, pcs=b"Lab "),
    "no matrix": profile({b"rTRC": SRGB_PARA}),
    "kind of curve": rgb_profile(P3, b"mft2" + bytes(40)),
    "parameters": rgb_profile(P3, para(9, 2.4)),
    "negative gamma": rgb_profile(P3, para(0, -2.0)),
    "gamma 0": rgb_profile(P3, curv(0)),
    "points": rgb_profile(P3, b"curv" + bytes(4) + struct.pack(">I", 1 << 30)),
    "black white": rgb_profile(((0.0,) * 3,) * 3),
}


@pytest.mark.parametrize("icc", BROKEN.values(), ids=BROKEN.keys())
def test_broken_and_foreign_profiles_count_as_srgb(icc):
    assert Transform.from_icc(icc).is_srgb


def test_any_damage_leaves_a_transform():
    whole = rgb_profile(P3, curv(*range(0, 65535, 900)))
    for i in range(0, len(whole), 3):
        damaged = whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :]
        for icc in (damaged, whole[:i]):
            assert Transform.from_icc(icc).linear(planes(RGB)).shape == (3, 5, 7)


def test_gray_profiles():
    icc = profile({b"kTRC": curv(round(1.8 * 256))}, space=b"GRAY")
    light = Transform.from_icc(icc).linear(planes(GRAY))
    np.testing.assert_allclose(light[1], (GRAY / 255.0) ** (round(1.8 * 256) / 256), atol=1e-6)
    assert Transform.from_icc(profile({b"kTRC": SRGB_PARA}, space=b"GRAY")).is_srgb


def test_profiles_of_the_other_kind_count_as_srgb():
    gray = Transform.from_icc(profile({b"kTRC": curv(round(1.8 * 256))}, space=b"GRAY"))
    colour = Transform.from_icc(rgb_profile(P3))
    ones = np.ones((3, 5, 7), np.float32)
    for transform, codes in ((gray, planes(RGB)), (colour, planes(GRAY))):
        np.testing.assert_array_equal(transform.linear(codes), Transform().linear(codes))
        np.testing.assert_array_equal(transform.pull_back(ones, codes), Transform().pull_back(ones, codes))


def table_profile():
    """Return a profile whose A2B0 (lut8Type, to Lab) maps all colours to shades of gray."""
    grid = np.mgrid[0:2, 0:2, 0:2].reshape(3, -1).T
    lab = np.stack([grid.mean(axis=1) * 255, np.full(8, 128), np.full(8, 128)], axis=1)
    ramp = bytes(range(256)) * 3
    head = b"mft1" + bytes(4) + bytes([3, 3, 2, 0]) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = head + ramp + np.rint(lab).astype(np.uint8).tobytes() + ramp
    return profile({b"A2B0": table}, pcs=b"Lab ")


def test_tables_go_through_lcms():
    transform = Transform.from_icc(table_profile())
    assert not transform.is_srgb
    codes = planes(RGB)
    light = transform.linear(codes)
    np.testing.assert_allclose(light[0], light[1], atol=0.01)
    np.testing.assert_allclose(transform.linear(codes.astype(np.uint16) * 257), light)
    np.testing.assert_allclose(transform.linear(codes.astype(np.float32)), light)
    assert transform.pull_back(np.ones((3, 5, 7), np.float32), codes).shape == codes.shape


def test_power():
    x = np.concatenate([[0.0], np.logspace(-12, 6, 1000)])
    for exponent in (0.45, 1.0, 2.4, 16.0):
        np.testing.assert_allclose(_icc.power(x, exponent), x**exponent, rtol=1e-12)
    np.testing.assert_array_equal(_icc.power(np.array([-1.0]), 2.0), [0.0])


# ---------------------------------------------------------------------------- arrays


def test_arrays():
    for array, expected in [
        (RGB, RGB),
        (GRAY, GRAY),
        (GRAY[:, :, None], GRAY),
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
        (np.zeros((3, 40, 50), np.uint8), ValueError, "moveaxis"),
        (np.zeros((4, 4, 5), np.uint8), ValueError, "shape"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "shape"),
        (np.zeros(4, np.uint8), ValueError, "shape"),
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
