"""``fit``: larger pictures are made smaller in linear light, and their metadata follows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from reference import jpeg_files, metadata_files
from reference.jpeg_files import part_of_coffee
from typer.testing import CliRunner

import guetzpy
from guetzpy import OptimizeOptions
from guetzpy.cli import app
from guetzpy.errors import UnsupportedError
from guetzpy.jpeg.metadata import exif
from guetzpy.picture.fitting import fitted_size, resized
from guetzpy.picture.icc import srgb_curve
from guetzpy.picture.profiles import adobe_rgb
from guetzpy.picture.transform import Transform

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    return part_of_coffee(slice(0, 240), slice(0, 360))


def encoded(codes: np.ndarray, form: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(codes).save(file, form, **({"quality": 95} if form == "JPEG" else {}) | options)
    return file.getvalue()


def shown(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def lanczos(light: np.ndarray, width: int) -> np.ndarray:
    """Return rows (n, W) at another width, by the definition: a sinc with three lobes, scaled."""
    scale = light.shape[1] / width
    result = np.empty((light.shape[0], width))
    for i in range(width):
        centre = (i + 0.5) * scale
        first, last = (
            max(0, int(centre - 3 * scale + 0.5)),
            min(light.shape[1], int(centre + 3 * scale + 0.5)),
        )
        x = [(k - centre + 0.5) / scale for k in range(first, last)]
        taps = np.array([np.sinc(t) * np.sinc(t / 3) if abs(t) < 3 else 0.0 for t in x])
        result[:, i] = light[:, first:last] @ (taps / taps.sum())
    return result


def inverse_srgb(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pixels_are_those_of_the_definition(dtype: type) -> None:
    random = np.random.default_rng(3)
    fractions = random.random((3, 41, 57))
    codes = {
        np.uint8: np.rint(255 * fractions).astype(np.uint8),
        np.uint16: np.rint(65535 * fractions).astype(np.uint16),
        np.float32: (255 * fractions).astype(np.float32),
    }[dtype]
    exact = codes.astype(np.float64) / (65535 if dtype is np.uint16 else 255)
    result = resized(codes, (19, 17), Transform())
    for plane, found in zip(exact, result, strict=True):
        light = lanczos(lanczos(srgb_curve(plane), 19).T, 17).T
        assert np.abs(65535 * inverse_srgb(light) - found).max() < 2.0


def test_light_is_kept() -> None:
    """Fine stripes of black and white have half the light of white, which is code 188."""
    stripes = np.zeros((3, 64, 64), np.uint8)
    stripes[..., ::2] = 255
    middle = resized(stripes, (16, 16), Transform())[:, 4:-4, 4:-4] / 257
    assert np.abs(middle - 187.5).max() < 1.0


def test_flat_pictures_stay_flat() -> None:
    for code in (0, 1, 17, 128, 254, 255):
        assert (resized(np.full((1, 30, 20), code, np.uint8), (7, 11), Transform()) == 257 * code).all()


@given(
    width=st.integers(1, 3000), height=st.integers(1, 3000),
    across=st.integers(1, 3000), down=st.integers(1, 3000), turned=st.booleans(),
)  # fmt: skip
def test_sizes(width: int, height: int, across: int, down: int, turned: bool) -> None:
    new = fitted_size(width, height, (across, down), turned=turned)
    box = (down, across) if turned else (across, down)
    assert 1 <= new[0] <= min(width, box[0])
    assert 1 <= new[1] <= min(height, box[1])
    scale = min(1.0, box[0] / width, box[1] / height)
    assert new == (width, height) if scale == 1.0 else new[0] == box[0] or new[1] == box[1]
    assert abs(new[0] - max(1, scale * width)) <= 0.5 + 1e-6
    assert abs(new[1] - max(1, scale * height)) <= 0.5 + 1e-6


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_format_is_made_smaller(coffee: np.ndarray, form: str) -> None:
    result = guetzpy.optimize(encoded(coffee, form), fit=120)
    assert (result.width, result.height) == (120, 80)
    assert shown(result.data).shape == (80, 120, 3)
    assert result.status == "optimized"
    smaller = guetzpy.optimize(np.ascontiguousarray(coffee[:80, :120]), fit="4000x3000")
    assert (smaller.width, smaller.height) == (120, 80)


def test_what_fits_is_not_changed(coffee: np.ndarray) -> None:
    data = encoded(coffee)
    assert guetzpy.optimize(data, fit=(360, 240)).data == guetzpy.optimize(data).data
    once = guetzpy.optimize(data, fit=200).data
    assert guetzpy.optimize(once, fit=200).data == once


def test_orientation_and_sizes_in_the_metadata_follow(coffee: np.ndarray) -> None:
    written = Image.Exif()
    written[0x0112] = 6
    written[0x0100] = 360
    written.get_ifd(0x8769)[0xA002] = 360
    written.get_ifd(0x8769)[0xA003] = 240
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="360"'
        b' exif:UserComment="mine"/></rdf:RDF></x:xmpmeta>'
    )
    result = guetzpy.optimize(encoded(coffee, exif=written.tobytes(), xmp=xmp), fit="100x120")
    assert (result.width, result.height) == (120, 80)  # shown as 80 x 120
    with Image.open(io.BytesIO(result.data)) as image:
        told = image.getexif()
        assert (told[0x0112], told[0x0100]) == (6, 120)
        assert (told.get_ifd(0x8769)[0xA002], told.get_ifd(0x8769)[0xA003]) == (120, 80)
    assert b'"mine"' in result.data
    assert b"PixelXDimension" not in result.data


def test_thumbnail_is_dropped_with_a_warning() -> None:
    data = (DATA / "coffee.jpg").read_bytes()
    result = guetzpy.optimize(data, fit=160)
    assert "made smaller: thumbnail was dropped" in result.warnings
    assert b"Exif\0\0" in result.data[:4000]
    quiet = guetzpy.optimize(data, fit=160, strip="thumbnail")
    assert not any("thumbnail was dropped" in warning for warning in quiet.warnings)


def test_kept_thumbnail_is_dropped_too(coffee: np.ndarray) -> None:
    source = jpeg_files.with_segments(
        encoded(coffee), jpeg_files.segment(0xE1, exif.HEADER + metadata_files.tiff())
    )
    for keep in ("thumbnail", "thumbnail,copyright"):
        result = guetzpy.optimize(source, fit=120, effort="fast", keep=keep.split(","))
        assert "made smaller: thumbnail was dropped" in result.warnings
        assert result.data.count(b"\xff\xd8\xff") == 1
        assert (metadata_files.OWNER in result.data) == ("copyright" in keep)


def test_sizes_in_exif_of_several_segments_follow(coffee: np.ndarray) -> None:
    told = Image.Exif()
    told[0x0100] = 360
    told[0x927C] = bytes(70_000)
    tiff = told.tobytes().removeprefix(exif.HEADER)
    pieces = (jpeg_files.segment(0xE1, exif.HEADER + part) for part in (tiff[:60_000], tiff[60_000:]))
    result = guetzpy.optimize(jpeg_files.with_segments(encoded(coffee), *pieces), fit=120, effort="fast")
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.getexif()[0x0100] == image.width == 120


def test_profile_stays(coffee: np.ndarray) -> None:
    profile = (DATA / "display_p3.icc").read_bytes()
    for form in ("JPEG", "PNG"):
        result = guetzpy.optimize(encoded(coffee, form, icc_profile=profile), fit=120)
        with Image.open(io.BytesIO(result.data)) as image:
            assert image.info["icc_profile"] == profile
        again = guetzpy.optimize(encoded(coffee, form, icc_profile=profile), fit=120, to_srgb=True)
        with Image.open(io.BytesIO(again.data)) as image:
            assert "icc_profile" not in image.info


def test_pictures_that_cannot_be_decoded_are_an_error(coffee: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(coffee).convert("CMYK").save(file, "JPEG")
    with pytest.raises(UnsupportedError, match="cannot be made smaller"):
        guetzpy.optimize(file.getvalue(), fit=100)
    assert guetzpy.optimize(file.getvalue(), fit=1000).status == "optimized"


def test_folders_do_not_keep_what_does_not_fit(coffee: np.ndarray, tmp_path: Path) -> None:
    """A CMYK picture that cannot be made smaller fails, as a single file does. One that fits is written."""
    (tmp_path / "in").mkdir()
    for name, size in (("large.jpg", (120, 80)), ("small.jpg", (60, 40))):
        Image.fromarray(coffee).convert("CMYK").resize(size).save(tmp_path / "in" / name)
    command = ["optimize", "-r", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--fit", "100", "-j", "1"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "large.jpg: it cannot be made smaller" in result.output
    assert [path.name for path in (tmp_path / "out").glob("*.jpg")] == ["small.jpg"]


@pytest.mark.parametrize(
    "wrong", ["0", "12x", "x", "axb", "1x2x3", 0, -3, 70000, (1, 2, 3), 1.5, True, "12.5"]
)
def test_wrong_boxes(wrong: Any) -> None:
    with pytest.raises(ValueError, match="fit"):
        OptimizeOptions(fit=wrong)


def test_forms_of_a_box() -> None:
    assert OptimizeOptions(fit=2048) == OptimizeOptions(fit="2048") == OptimizeOptions(fit=(2048, 2048))  # type: ignore[arg-type]
    assert OptimizeOptions(fit="1920X1080").fit == (1920, 1080)


def test_folder_is_fitted_and_then_left(coffee: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(coffee))
    Image.fromarray(coffee[:50, :70]).save(tmp_path / "b.jpg", quality=95)
    result = CliRunner().invoke(app, ["optimize", str(tmp_path), "-r", "--in-place", "--fit", "120"])
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "a.jpg") as first, Image.open(tmp_path / "b.jpg") as second:
        assert (first.size, second.size) == ((120, 80), (70, 50))
    kept = (tmp_path / "a.jpg").read_bytes()
    check = CliRunner().invoke(app, ["optimize", str(tmp_path), "-r", "--check", "--fit", "120"])
    assert check.exit_code == 0, check.output
    assert (tmp_path / "a.jpg").read_bytes() == kept
    assert CliRunner().invoke(app, ["optimize", str(tmp_path), "-r", "--check", "--fit", "60"]).exit_code == 3


def test_neutral_colours_of_another_profile_keep_three_components() -> None:
    gray = np.repeat(np.arange(96, dtype=np.uint8)[:, None], 64, axis=1)
    source = encoded(np.stack([gray] * 3, axis=-1), icc_profile=adobe_rgb(3))
    result = guetzpy.optimize(source, fit=48, effort="fast")
    assert "its colours are not those of sRGB" in str(result.reason)
    assert result.subsampling in ("444", "420")


@pytest.mark.parametrize(("profile", "mode"), [("sRGB", "L"), ("broken", "RGB")])
def test_gray_pictures_have_gray_profiles(profile: str, mode: str) -> None:
    gray = np.repeat(np.arange(96, dtype=np.uint8)[:, None], 64, axis=1)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if mode == "L" else bytes(200)
    result = guetzpy.optimize(encoded(np.stack([gray] * 3, axis=-1), icc_profile=icc), fit=48, effort="fast")
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.mode == mode
        assert mode == "RGB" or image.info["icc_profile"][16:20] == b"GRAY"


def test_a_blank_page_that_fits_is_packed() -> None:
    source = encoded(np.full((1100, 1200, 3), (250, 240, 230), np.uint8))
    result = guetzpy.optimize(source, fit=1200)
    assert result.status == "lossless"
    assert "only repacked without loss" in str(result.reason)
    converted = guetzpy.optimize(source, to_srgb=True, effort="fast")
    assert (converted.width, converted.height) == (1200, 1100)


def test_sides_that_are_too_long_for_a_jpeg_are_made_smaller() -> None:
    """Regression: the picture was refused by its size before."""
    wide = np.random.default_rng(2).integers(0, 255, (2, 66_000), np.uint8)
    with pytest.raises(guetzpy.LimitError, match=r"at most 65500: use --fit"):
        guetzpy.optimize(wide, threads=1)
    assert guetzpy.optimize(wide, fit=500, threads=1).width == 500
