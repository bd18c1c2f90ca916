"""CMYK is converted to sRGB as Pillow and littleCMS do it, in strips and for the polarity of JPEG files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from reference import ink_files

from guetzpy.picture.inks import ink_conversion
from guetzpy.picture.profiles import adobe_rgb

RNG = np.random.default_rng(5)


def image_of(samples: np.ndarray) -> Image.Image:
    inks = np.ascontiguousarray(255 - samples.transpose(1, 2, 0))
    return Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (64, 9), (131, 40)])
def test_without_a_profile(size: tuple[int, int]) -> None:
    samples = RNG.integers(0, 256, (4, *size), dtype=np.uint8)
    found = ink_conversion(None, threads=2).to_srgb(samples)
    wanted = np.asarray(image_of(samples).convert("RGB"))
    assert np.array_equal(found.transpose(1, 2, 0), wanted)
    exact = (255 - (255 - samples[:3].astype(float))) * samples[3] / 255
    assert np.abs(found - exact).max() <= 1


@pytest.mark.parametrize("threads", [1, 3])
def test_with_a_profile(threads: int) -> None:
    samples = RNG.integers(0, 256, (4, 150, 37), dtype=np.uint8)
    icc = ink_files.cmyk_profile()
    conversion = ink_conversion(icc, threads)
    assert conversion.note is None
    wanted = ImageCms.profileToProfile(
        image_of(samples),
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert np.array_equal(conversion.to_srgb(samples).transpose(1, 2, 0), np.asarray(wanted))
    paper = conversion.to_srgb(np.full((4, 1, 1), 255, np.uint8))
    assert paper.min() >= 240


@pytest.mark.parametrize("icc", [b"", b"x" * 200, adobe_rgb(3), adobe_rgb(1), "display_p3"])
def test_profiles_that_are_not_for_cmyk(icc: bytes | str) -> None:
    data = Path(__file__).parents[1] / "data"
    conversion = ink_conversion((data / "display_p3.icc").read_bytes() if isinstance(icc, str) else icc)
    assert conversion.transform is None
    assert "cannot be used" in str(conversion.note)
