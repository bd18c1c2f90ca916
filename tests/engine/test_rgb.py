"""JPEG files in RGB are searched as pixels and become YCbCr or gray."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
from PIL import Image
from reference.jpeg_files import encoded, part_of_coffee, shown

import guetzpy
from guetzpy.jpeg.metadata.policy import icc_profile, kind_of
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import Component, JpegImage
from guetzpy.jpeg.writer import write
from guetzpy.metrics import butteraugli, ssimulacra2
from guetzpy.picture.profiles import adobe_rgb

jpeg = partial(encoded, quality=93, keep_rgb=True)


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    return part_of_coffee(slice(100, 290), slice(150, 390))


def test_the_result_is_ycbcr_within_the_limits(coffee: np.ndarray) -> None:
    source = jpeg(coffee)
    assert read(source).colorspace == "rgb"
    result = guetzpy.optimize(source)
    assert result.status == "optimized"
    assert len(result.data) < 0.6 * len(guetzpy.transcode(source).data)
    assert read(result.data).colorspace == "ycbcr"
    assert ssimulacra2(shown(source), shown(result.data)) >= (result.ssimulacra2_wanted or 100.0)
    assert butteraugli(shown(source), shown(result.data)) <= (result.butteraugli_wanted or 0.0)
    assert result.source_distance == pytest.approx(0.7, abs=0.2)
    assert guetzpy.optimize(result.data).data == result.data


def test_metadata_is_kept_but_not_the_flag_of_rgb(coffee: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a cup"
    source = jpeg(coffee, icc_profile=adobe_rgb(3), exif=exif, comment=b"mine")
    assert "adobe" in map(kind_of, read(source).segments)
    result = guetzpy.optimize(source)
    assert result.status == "optimized"
    made = read(result.data)
    kinds = [kind_of(segment) for segment in made.segments]
    assert kinds[0] == "jfif"
    assert "adobe" not in kinds
    assert icc_profile(made) == adobe_rgb(3)
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.getexif()[0x010E] == "a cup"
        assert image.info["comment"] == b"mine"
    assert result.removed == ()


def test_identifiers_alone_say_rgb(coffee: np.ndarray) -> None:
    """Without JFIF and Adobe segments, the identifiers R, G and B mean RGB (libjpeg's jdapimin.c)."""
    image = read(jpeg(coffee))
    source = write(JpegImage(image.width, image.height, image.components, "rgb"))
    assert not read(source).segments
    result = guetzpy.optimize(source)
    assert result.status == "optimized"
    assert read(result.data).colorspace == "ycbcr"
    assert np.abs(shown(result.data).astype(int) - coffee).mean() < 5


def test_sizes_and_samplings(coffee: np.ndarray) -> None:
    source = jpeg(coffee)
    assert len(guetzpy.optimize(source, max_bytes=9000).data) <= 9000
    kept = guetzpy.optimize(source, distance=3.0, subsampling="keep", effort="fast")
    assert (kept.subsampling, kept.warnings) == ("444", ())
    halved = guetzpy.optimize(source, distance=3.0, subsampling="420", effort="fast")
    assert (halved.subsampling, halved.warnings) == ("420", ())


def test_the_rule_for_jpeg_sources_holds(coffee: np.ndarray) -> None:
    source = jpeg(coffee, quality=60)
    repack = guetzpy.transcode(source).data
    total = guetzpy.optimize(source, total_distance=True)
    assert (total.status, total.data) == ("lossless", repack)
    assert "at about distance" in str(total.reason)
    least = guetzpy.optimize(source, min_saving=0.99)
    assert (least.status, least.data) == ("lossless", repack)
    assert "would save less than 99%" in str(least.reason)


def test_a_component_that_shows_gray_is_enough(coffee: np.ndarray) -> None:
    gray = np.repeat(coffee[..., 1:2], 3, axis=2)
    result = guetzpy.optimize(jpeg(gray, quality=97))
    assert result.status == "optimized"
    assert result.subsampling == "gray"


@pytest.mark.parametrize("factors", ["22 22 11", "11 21 12", "31 21 11"])
def test_unusual_sampling_of_rgb(coffee: np.ndarray, factors: str) -> None:
    """A file that libjpeg-turbo decodes is searched. Fractional ratios, which it refuses, are kept."""
    pairs = [(int(h), int(v)) for h, v in factors.split()]
    h_max, v_max = max(h for h, _ in pairs), max(v for _, v in pairs)
    height, width = 96, 192
    parts = []
    for identifier, (h, v), part in zip(b"RGB", pairs, read(jpeg(coffee)).components, strict=True):
        blocks = part.coefficients[: -(-height * v // v_max // 8), : -(-width * h // h_max // 8)]
        parts.append(Component(identifier, h, v, part.qtable, blocks.copy()))
    source = write(JpegImage(width, height, parts, "rgb"))
    result = guetzpy.optimize(source, distance=2.0)
    if factors == "31 21 11":
        assert result.status == "kept"
        assert "fractional sampling factors" in str(result.reason)
    else:
        assert result.status == "optimized"
        assert butteraugli(shown(source), shown(result.data)) <= (result.butteraugli_wanted or 0.0)
