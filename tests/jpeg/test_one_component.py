"""Gray that is stored as RGB is written with one component and the same colours."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from reference import jpeg_files
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine.loading import load
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import Component
from guetzpy.jpeg.writer import write
from guetzpy.picture.icc import gray_of, parse
from guetzpy.picture.profiles import adobe_rgb, colorants_of, gamma_curve, gray_profile, rgb_profile

GRAY = np.random.default_rng(4).integers(0, 250, (9, 13)).astype(np.uint8).repeat(9, 0).repeat(9, 1)
RGB = np.repeat(GRAY[..., None], 3, axis=2)
ONE_OFF = RGB.copy()
ONE_OFF[-1, -1, 2] += 1

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
POINTS = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
GAMMA = rgb_profile("gamma 1.8", colorants_of(POINTS), gamma_curve(1.8))


def with_unequal_curves():
    icc = bytearray(GAMMA)
    at = icc.index(b"bTRC", 128) + 4
    red = icc.index(b"para")
    other = gamma_curve(2.2)
    start = len(icc)
    struct.pack_into(">II", icc, at, start, len(other))
    assert icc[red : red + 4] == b"para"
    icc += other
    struct.pack_into(">I", icc, 0, len(icc))
    return bytes(icc)


def png(array=RGB, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


def jpeg(array=RGB, quality=97, **options):
    """Return a JPEG of three components; Pillow's encoder makes the chroma of gray zero."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def shown(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.mode, np.asarray(image.convert("RGB")), image.info.get("icc_profile")


@pytest.mark.parametrize("effort", ["fast", "balanced"])
@pytest.mark.parametrize("source", [RGB, png(), RGB.astype(np.uint16) * 257, (RGB / 255).astype(np.float32)])
def test_neutral_pixels_become_gray(source, effort):
    result = guetzpy.optimize(source, effort=effort)
    assert shown(result.data)[0] == "L"
    assert result.subsampling == "gray"
    assert "gray" in result.reason
    assert "gray" in result.to_dict()["reason"]
    same = guetzpy.optimize(GRAY if not isinstance(source, bytes) else png(GRAY), effort=effort)
    assert same.reason is None
    if not isinstance(source, np.ndarray) or source.dtype == np.uint8:
        assert result.data == same.data
    kept = guetzpy.optimize(source, effort=effort, keep_components=True)
    assert shown(kept.data)[0] == "RGB"
    assert kept.reason is None
    assert len(result.data) <= len(kept.data)


def test_one_colour_is_enough():
    result = guetzpy.optimize(ONE_OFF, effort="fast")
    assert shown(result.data)[0] == "RGB"
    assert result.reason is None


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(81, 117), (16, 16), (17, 33), (1, 1), (8, 9)])
@pytest.mark.parametrize("progressive", [False, True])
def test_coefficients_without_chroma_are_packed_as_gray(subsampling, size, progressive):
    source = jpeg(RGB[: size[0], : size[1]], subsampling=subsampling, progressive=progressive)
    result = guetzpy.transcode(source)
    assert result.status == "lossless"
    assert "gray" in result.reason
    assert result.subsampling == "gray"
    mode, pixels, _ = shown(result.data)
    assert mode == "L"
    np.testing.assert_array_equal(pixels, shown(source)[1])
    kept = guetzpy.transcode(source, keep_components=True)
    assert shown(kept.data)[0] == "RGB"
    np.testing.assert_array_equal(shown(kept.data)[1], pixels)
    assert len(result.data) < min(len(source), len(kept.data))
    again = guetzpy.transcode(result.data)
    assert again.data == result.data


def test_colours_stay():
    colours = jpeg(ONE_OFF[..., ::-1] // 2 + np.array([9, 0, 0], np.uint8))
    assert shown(guetzpy.transcode(colours).data)[0] == "RGB"
    assert shown(guetzpy.optimize(colours, distance=3.0).data)[0] == "RGB"


@pytest.mark.parametrize("distance", [0.1, 1.0, 4.0])
def test_jpeg_sources_become_gray(distance):
    source = jpeg(quality=98, subsampling=0)
    result = guetzpy.optimize(source, distance=distance)
    assert shown(result.data)[0] == "L"
    assert result.subsampling == "gray"
    assert "gray" in result.reason
    assert len(result.data) < len(source)
    kept = guetzpy.optimize(source, distance=distance, keep_components=True)
    assert shown(kept.data)[0] == "RGB"
    assert len(result.data) < len(kept.data)
    again = guetzpy.optimize(result.data, distance=distance)
    assert again.data == result.data


def with_faint_chroma():
    """Return a file whose chroma is an eighth of a level, so that the decoded picture is gray."""
    image = read(jpeg(quality=100, subsampling=0))
    image.components[1].coefficients[:, :, 0] = 1
    assert image.components[1].qtable[0] == 1
    return write(image)


def test_decoded_gray_is_searched_as_gray_but_not_packed_so():
    source = with_faint_chroma()
    pixels = shown(source)[1]
    assert (pixels == pixels[..., :1]).all()
    assert shown(guetzpy.transcode(source).data)[0] == "RGB"  # its coefficients are not all zero
    result = guetzpy.optimize(source, distance=3.0)
    assert result.status == "optimized"
    assert shown(result.data)[0] == "L"
    assert "gray" in result.reason


def test_rgb_jpeg_of_equal_components():
    image = read(jpeg(GRAY))
    gray = image.components[0]
    image.components = [
        Component(name, 1, 1, gray.qtable, gray.coefficients.copy()) for name in b"RGB"
    ]  # fmt: skip
    image.colorspace = "rgb"
    image.segments = []
    source = write(image)
    assert shown(source)[0] == "RGB"
    result = guetzpy.transcode(source)
    assert shown(result.data)[0] == "L"
    np.testing.assert_array_equal(shown(result.data)[1], shown(source)[1])
    image.components[2].qtable = gray.qtable + np.uint16(1)
    assert shown(guetzpy.transcode(write(image)).data)[0] == "RGB"
    image.components[2].qtable = gray.qtable
    image.components[2].coefficients[0, 0, 0] += 1
    assert shown(guetzpy.transcode(write(image)).data)[0] == "RGB"


def test_luma_of_fewer_samples_than_chroma_stays():
    """With one component, the picture would have a quarter of its pixels."""
    image = read(jpeg(GRAY[:24, :24]))
    first = image.components[0]
    none = np.zeros((6, 6, 64), np.int16)
    image.width = image.height = 48
    image.components = [
        Component(1, 1, 1, first.qtable, first.coefficients),
        *(Component(number, 2, 2, first.qtable, none.copy()) for number in (2, 3)),
    ]
    image.colorspace = "ycbcr"
    source = write(image)
    result = guetzpy.transcode(source)
    assert shown(result.data)[0] == "RGB"
    np.testing.assert_array_equal(shown(result.data)[1], shown(source)[1])


def test_the_base_of_a_gain_map_stays():
    source = jpeg_files.ultra_hdr(base=jpeg(RGB))
    result = guetzpy.transcode(source)
    assert result.status == "lossless"
    assert "three components stay: the file has a gain map" in result.reason
    assert shown(result.data)[0] == "RGB"
    without = guetzpy.transcode(source, strip="gainmap")
    assert "written as gray" in without.reason
    assert shown(without.data)[0] == "L"


# Profiles


@pytest.mark.parametrize("icc", [SRGB, GAMMA, adobe_rgb()], ids=["sRGB", "gamma 1.8", "Adobe RGB"])
def test_grays_of_a_profile_keep_their_light(icc):
    gray = gray_of(icc)
    assert gray[16:20] == b"GRAY"
    codes = np.arange(256) / 255
    wanted = parse(icc).curves[0](codes)
    np.testing.assert_allclose(parse(gray).curves[0](codes), wanted, atol=1e-4)
    # lcms converts gray by either profile to the same sRGB.
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    both = [
        ImageCms.profileToProfile(
            Image.fromarray(array), ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"), outputMode="RGB",
        )
        for array, profile in ((ramp, gray), (np.repeat(ramp[..., None], 3, 2), icc))
    ]  # fmt: skip
    first, second = (np.asarray(image).astype(int) for image in both)
    assert abs(first - second).max() <= 1


@pytest.mark.parametrize("icc", [SRGB, GAMMA, adobe_rgb()], ids=["sRGB", "gamma 1.8", "Adobe RGB"])
@pytest.mark.parametrize("make", [png, jpeg])
def test_a_profile_of_colours_becomes_one_of_gray(icc, make):
    source = make(icc_profile=icc)
    before = load(source)
    functions = (guetzpy.transcode, guetzpy.optimize) if make is jpeg else (guetzpy.optimize,)
    for result in [function(source) for function in functions]:
        mode, _, profile = shown(result.data)
        assert mode == "L"
        assert profile == gray_of(icc)
        after = load(result.data)
        assert after.warnings == ()
        light, wanted = after.transform.linear(after.planes()), before.transform.linear(before.planes())
        # The difference comes from the rounding of sRGB's transform in floats and of the profile's numbers.
        assert abs(light - wanted).mean() < 0.02
        assert result.warnings == ()


@pytest.mark.parametrize(
    "icc", [with_unequal_curves(), gray_profile("", gamma_curve(2.0)), b"nonsense"],
    ids=["unequal curves", "gray profile", "broken"],
)  # fmt: skip
def test_three_components_stay_where_gray_has_no_such_profile(icc):
    source = jpeg(icc_profile=icc)
    packed = guetzpy.transcode(source)
    mode, pixels, profile = shown(packed.data)
    assert (mode, profile) == ("RGB", icc)
    assert "three components stay" in packed.reason
    np.testing.assert_array_equal(pixels, shown(source)[1])
    encoded = guetzpy.optimize(source, distance=4.0)
    assert shown(encoded.data)[0] == "RGB"
    assert "three components stay" in encoded.reason


def test_pixels_with_unequal_curves_stay():
    result = guetzpy.optimize(png(icc_profile=with_unequal_curves()), effort="fast")
    assert shown(result.data)[0] == "RGB"
    assert "three components stay" in result.reason


def test_exif_of_adobe_rgb_means_the_same_of_gray():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    source = jpeg(exif=exif)
    before = load(source)
    for strip, profile in ((), None), ("all", gray_of(adobe_rgb())):
        for function in (guetzpy.transcode, guetzpy.optimize):
            result = function(source, strip=strip)
            mode, _, found = shown(result.data)
            assert mode == "L"
            assert found == profile
            after = load(result.data)
            light, wanted = (x.transform.linear(x.planes()) for x in (after, before))
            assert abs(light - wanted).mean() < 0.02


def test_adobe_marker_goes_with_the_colours():
    plain = jpeg()
    source = plain[:20] + b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\1" + plain[20:]
    result = guetzpy.transcode(source)
    assert shown(result.data)[0] == "L"
    assert b"Adobe" not in result.data


def test_command_line(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    (tmp_path / "a.png").write_bytes(png())
    for command, name in (("transcode", "a.jpg"), ("optimize", "a.jpg"), ("optimize", "a.png")):
        for flags, mode in (([], "L"), (["--keep-components"], "RGB")):
            out = tmp_path / "out.jpg"
            done = CliRunner().invoke(
                app, [command, str(tmp_path / name), "-o", str(out), "--json", *flags], catch_exceptions=False
            )
            assert done.exit_code == 0, done.output
            assert shown(out.read_bytes())[0] == mode
            told = json.loads(done.stdout.splitlines()[-1])
            assert ("written as gray" in (told["reason"] or "")) == (mode == "L")
            out.unlink()
