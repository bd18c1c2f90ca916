"""Conversion to sRGB: samples of 16 bits, tables, inks, and profiles that cannot be used."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from reference import ink_files
from reference.picture_profiles import P3, profile, rgb_profile, table_profile

from guetzpy.engine.loading import load
from guetzpy.errors import UnsupportedError
from guetzpy.picture.fitting import resized
from guetzpy.picture.srgb import to_srgb
from guetzpy.picture.transform import Transform


def encoded(light: np.ndarray) -> np.ndarray:
    """Return the codes of linear light by the curve of IEC 61966-2-1, 0 to 1."""
    light = np.clip(light.astype(np.float64), 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_sixteen_bits_stay_sixteen_bits() -> None:
    icc = rgb_profile(P3)
    codes = np.random.default_rng(1).integers(0, 65536, (3, 20, 30)).astype(np.uint16)
    transform = Transform.from_icc(icc)
    found = to_srgb(codes, transform, icc)
    assert found.dtype == np.uint16
    expected = 65535 * encoded(transform.linear(codes))
    assert np.abs(found.astype(np.float64) - expected).max() < 1.0


def test_profiles_with_tables_are_converted_in_eight_bits() -> None:
    icc = table_profile()
    codes = np.random.default_rng(1).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    transform = Transform.from_icc(icc)
    found = to_srgb(codes, transform, icc)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - found[:1]).max() <= 1  # the profile shows shades of gray
    assert np.array_equal(to_srgb(codes.astype(np.uint16) * 257, transform, icc), found)
    assert np.array_equal(to_srgb(codes.astype(np.float32) + np.float32(0.3), transform, icc), found)


def test_a_profile_for_other_channels_converts_nothing() -> None:
    icc = rgb_profile(P3)
    gray = np.full((1, 4, 5), 100, np.uint8)
    assert to_srgb(gray, Transform.from_icc(icc), icc) is gray


@pytest.fixture(scope="module")
def inks(photo_array: np.ndarray) -> bytes:
    return ink_files.cmyk(photo_array[:48, :64], icc_profile=ink_files.cmyk_profile())


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_inks_are_shown_by_their_profile(inks: bytes, form: str) -> None:
    with Image.open(io.BytesIO(inks)) as image:
        expected = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(ink_files.cmyk_profile())),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        tiff = io.BytesIO()
        image.save(tiff, "TIFF", icc_profile=ink_files.cmyk_profile())
    source = load(inks if form == "JPEG" else tiff.getvalue(), convert_to_srgb=True)
    assert source.metadata.icc is None
    assert source.transform.is_srgb
    assert np.array_equal(np.moveaxis(source.planes(), 0, 2), np.asarray(expected))


def test_a_profile_that_is_not_for_inks_is_an_error(photo_array: np.ndarray) -> None:
    data = ink_files.cmyk(photo_array[:16, :16], icc_profile=profile({}, space=b"CMYK"))
    with pytest.raises(UnsupportedError, match="its colour profile cannot be used for CMYK pixels"):
        load(data, convert_to_srgb=True)


def test_a_picture_with_tables_is_resized_by_the_curve_of_srgb() -> None:
    codes = np.random.default_rng(1).integers(0, 256, (3, 24, 32)).astype(np.uint8)
    by_tables = resized(codes, (16, 12), Transform.from_icc(table_profile()))
    assert np.array_equal(by_tables, resized(codes, (16, 12), Transform()))
