"""Codes of pictures, the colours that they mean, and pictures that are refused."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from reference.picture_profiles import (
    GRAY,
    P3,
    RGB,
    RNG,
    SRGB,
    SRGB_PARA,
    para,
    planes,
    profile,
    rgb_profile,
    table_profile,
)

from guetzpy.picture import icc as _icc
from guetzpy.picture.transform import Transform


def curv(*points):
    return b"curv" + bytes(4) + struct.pack(f">I{len(points)}H", len(points), *points)


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


def test_gray_profiles_in_lab():
    """The curve of a gray profile with Lab as connection space gives lightness (L* / 100), not light."""
    icc = bytearray(profile({b"kTRC": curv()}, space=b"GRAY"))
    icc[20:24] = b"Lab "
    light = Transform.from_icc(bytes(icc)).linear(planes(np.full((4, 4), 128, np.uint8)))
    np.testing.assert_allclose(light[1], ((100 * 128 / 255 + 16) / 116) ** 3, atol=0.004)


def test_profiles_of_the_other_kind_count_as_srgb():
    gray = Transform.from_icc(profile({b"kTRC": curv(round(1.8 * 256))}, space=b"GRAY"))
    colour = Transform.from_icc(rgb_profile(P3))
    ones = np.ones((3, 5, 7), np.float32)
    for transform, codes in ((gray, planes(RGB)), (colour, planes(GRAY))):
        np.testing.assert_array_equal(transform.linear(codes), Transform().linear(codes))
        np.testing.assert_array_equal(transform.pull_back(ones, codes), Transform().pull_back(ones, codes))


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
