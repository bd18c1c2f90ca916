"""The colours that pictures other than JPEG declare: they become a profile or a warning."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

import guetzpy
from guetzpy.engine.loading import load
from guetzpy.errors import UnsupportedError
from guetzpy.integrations.pillow import register
from guetzpy.picture.cicp import profile_of
from guetzpy.picture.declared import Colour, colour_of_points, objection
from guetzpy.picture.icc import parse
from guetzpy.picture.planes import planes_of
from guetzpy.picture.profiles import adobe_rgb, colorants_of, gamma_curve, gray_profile, rgb_profile
from guetzpy.picture.transform import Transform

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (16, 24, 3)).astype(np.uint8)
GRAY = RNG.integers(0, 256, (16, 24)).astype(np.uint8)

P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = profile_of(12, 13)
BT2020 = profile_of(9, 13)
SRGB_ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def gama(value):
    return chunk(b"gAMA", struct.pack(">I", value))


def chrm(points):
    return chunk(b"cHRM", struct.pack(">8I", *points))


def cicp(primaries, transfer, matrix=0, full=1):
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full)))


def iccp(profile):
    return chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))


#: Exif with ColorSpace 2, Adobe RGB.
ADOBE_EXIF = (
    b"II*\0\x08\0\0\0" + struct.pack("<HHHII4x", 1, 0x8769, 4, 1, 26)
    + struct.pack("<HHHIHH4x", 1, 0xA001, 3, 1, 2, 0)
)  # fmt: skip
SRGB = chunk(b"sRGB", b"\0")


def png(*chunks, array=RGB):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    data = file.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def light(data):
    source = load(data)
    return source.transform.linear(source.codes)


def through(icc, array=RGB):
    """Return the linear light of an array by a profile, in float64."""
    profile = parse(icc)
    codes = array.astype(np.float64) / 255
    curves = profile.curves * (1 if array.ndim == 2 else 3 // len(profile.curves))
    if array.ndim == 2:
        return np.stack([curves[0](codes)] * 3)
    return np.einsum(
        "ij,yxj->iyx", profile.matrix, np.stack([c(codes[..., i]) for i, c in enumerate(curves)], -1)
    )


def test_made_profiles_agree_with_their_definitions():
    # Profiles of the ICC, of Adobe and of Apple; colorants may differ in their last digit.
    np.testing.assert_allclose(
        colorants_of((0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)),
        [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)],
        atol=2e-5,
    )
    assert parse(rgb_profile("x", colorants_of([v / 1e5 for v in SRGB_POINTS]), gamma_curve(2.2))) is not None
    for icc in (adobe_rgb(), adobe_rgb(1), P3, gray_profile("x", gamma_curve(1.8))):
        ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))  # lcms accepts the profiles


@pytest.mark.parametrize(
    "points",
    [(31270, 0, 64000, 33000, 30000, 60000, 15000, 6000), (0,) * 8, (31270, 32900) + (30000, 30000) * 3],
)
def test_chromaticities_that_span_nothing(points):
    with pytest.raises(ValueError, match=r"\w"):
        colorants_of([v / 1e5 for v in points])
    result = load(png(gama(45455), chrm(points)))
    assert result.metadata.icc is None
    assert any("cHRM" in warning for warning in result.warnings)


def test_declarations_after_the_pixels_do_not_count():
    """They must come before (PNG, section 5.6); libpng ignores them too."""
    late = png(gama(100000)).replace(chunk(b"IEND", b""), SRGB + chunk(b"IEND", b""))
    assert load(late).metadata.icc == load(png(gama(100000))).metadata.icc is not None


@pytest.mark.parametrize("late", [gama(100000), chrm(P3_POINTS), iccp(P3)], ids=["gAMA", "cHRM", "iCCP"])
@pytest.mark.parametrize("early", [b"", SRGB], ids=["nothing", "sRGB"])
def test_only_declarations_before_the_pixels_count(late, early):
    data = png(early).replace(chunk(b"IEND", b""), late + chunk(b"IEND", b""))
    assert load(data).metadata.icc is None


@pytest.mark.parametrize("declared", [SRGB, cicp(1, 13), gama(45455) + chrm(SRGB_POINTS)])
@pytest.mark.parametrize("to_srgb", [False, True])
def test_exif_does_not_contradict_what_a_png_declares(declared, to_srgb):
    """The chunks of the PNG are not in the JPEG, so its Exif would make it Adobe RGB."""
    given = png(declared, chunk(b"eXIf", ADOBE_EXIF))
    result = guetzpy.optimize(given, effort="fast", to_srgb=to_srgb)
    again = load(result.data)
    assert again.transform.is_srgb
    np.testing.assert_array_equal(load(given).codes.mean(axis=(1, 2)).round() // 8,
                                  again.planes().mean(axis=(1, 2)).round() // 8)  # fmt: skip


def test_linear_gama_is_honoured():
    np.testing.assert_allclose(light(png(gama(100_000))), np.moveaxis(RGB / 255, -1, 0), atol=1e-3)
    source = load(png(gama(100_000), array=GRAY))
    assert source.codes.shape[0] == 1
    assert source.metadata.icc[16:20] == b"GRAY"
    np.testing.assert_allclose(source.transform.linear(source.codes)[0], GRAY / 255, atol=1e-5)


@pytest.mark.parametrize("value", [20_000, 55_556, 71_429, 100_000])
@pytest.mark.parametrize("array", [RGB, GRAY], ids=["rgb", "gray"])
def test_gama_is_a_power(value, array):
    expected = np.moveaxis(np.atleast_3d(array) / 255, -1, 0) ** (100_000 / value)
    np.testing.assert_allclose(
        light(png(gama(value), array=array)), np.broadcast_to(expected, (3, 16, 24)), atol=1e-3
    )


@pytest.mark.parametrize(
    "chunks",
    [[gama(45455)], [gama(45455), chrm(SRGB_POINTS)], [chrm(SRGB_POINTS)], [SRGB], [], [cicp(1, 13)]],
)
@pytest.mark.parametrize("array", [RGB, GRAY], ids=["rgb", "gray"])
def test_srgb_in_its_ways_has_no_profile(chunks, array):
    source = load(png(*chunks, array=array))
    assert source.transform.is_srgb
    assert source.metadata.icc is None
    assert source.warnings == ()


def test_chrm_is_honoured():
    expected = through(
        rgb_profile("", colorants_of([v / 1e5 for v in P3_POINTS]), gamma_curve(100_000 / 45_455))
    )
    np.testing.assert_allclose(light(png(gama(45455), chrm(P3_POINTS))), expected, atol=1e-4)
    np.testing.assert_allclose(light(png(chrm(P3_POINTS))), through(P3), atol=1e-3)
    gray = load(png(gama(45455), chrm(P3_POINTS), array=GRAY))  # primaries have no meaning for gray
    assert gray.metadata.icc is None


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([cicp(9, 13), iccp(P3), SRGB, gama(100_000), chrm(P3_POINTS)], BT2020),
        ([iccp(P3), SRGB, gama(100_000)], P3),
        ([SRGB, gama(100_000), chrm(P3_POINTS)], None),
        ([gama(45455), chrm(P3_POINTS), cicp(12, 13)], P3),
        ([cicp(1, 13), iccp(P3)], None),
        ([cicp(250, 13), iccp(P3)], P3),
        ([cicp(2, 2), iccp(P3)], P3),
        ([cicp(9, 13, matrix=1), gama(45455)], None),
    ],
)
def test_precedence(chunks, expected):
    source = load(png(*chunks))
    assert source.metadata.icc == expected
    assert bool(source.warnings) == (chunks[0][8] in (250, 2) or chunks[0][10] == 1)


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("array", [RGB, GRAY], ids=["rgb", "gray"])
def test_high_dynamic_range_is_refused(transfer, array):
    with pytest.raises(UnsupportedError, match="high dynamic range"):
        guetzpy.optimize(png(cicp(9, transfer), array=array))


@pytest.mark.parametrize(
    ("chunks", "word"),
    [
        ([cicp(12, 13, full=0)], "narrow"),
        ([cicp(99, 13)], "primaries 99"),
        ([cicp(12, 17)], "characteristics 17"),
        ([chunk(b"cICP", b"abc")], "cICP"),
        ([gama(0)], "gAMA"),
        ([gama(2000)], "gamma 50"),
        ([iccp(b"nonsense")], "broken"),
        ([chunk(b"iCCP", b"profile\0\0not zlib")], "broken"),
        ([iccp(SRGB_ICC[:500])], "broken"),
        ([iccp(adobe_rgb(1))], "gray pictures"),
    ],
)
def test_what_is_not_honoured_is_a_warning(chunks, word):
    data = png(*chunks)
    source = load(data)
    assert len(source.warnings) == 1
    assert word in source.warnings[0]
    result = guetzpy.optimize(data, effort="fast")
    assert any(word in warning for warning in result.to_dict()["warnings"])


def test_code_points_of_heic_and_avif():
    assert colour_of_points(P3, (12, 13), 3, None).icc == P3
    assert colour_of_points(P3, (12, 13), 1, None) == Colour()  # primaries have no meaning for gray
    assert colour_of_points(profile_of(12, 8), (12, 8), 1, None).icc[16:20] == b"GRAY"
    assert colour_of_points(BT2020, (12, 13), 3, None).icc == BT2020  # the file's own profile
    assert "primaries 99" in colour_of_points(None, (99, 13), 3, None).warnings[0]
    assert colour_of_points(None, (1, 13), 3, ADOBE_EXIF).icc is None  # code points take precedence over Exif
    assert colour_of_points(None, None, 3, ADOBE_EXIF).icc == adobe_rgb()


def test_a_profile_of_colours_does_not_go_with_gray():
    source = load(png(iccp(P3), array=GRAY))
    assert source.metadata.icc is None
    assert "RGB" in source.warnings[0]


@pytest.mark.parametrize("declared", [[cicp(12, 13)], [gama(45455), chrm(P3_POINTS)], [gama(100_000)]])
@pytest.mark.parametrize("array", [RGB, GRAY], ids=["rgb", "gray"])
def test_to_srgb_converts(declared, array):
    data = png(*declared, array=array)
    before = load(data)
    after = load(data, convert_to_srgb=True)
    assert after.transform.is_srgb
    assert after.metadata.icc is None
    wanted = np.clip(before.transform.linear(before.codes), 0, 1)
    found = after.transform.linear(after.codes)
    # Linear codes of 8 bits are coarse. Both lcms and guetzpy clip colours outside sRGB.
    assert abs(wanted - found).max() < 0.02


def test_results_carry_what_was_made():
    result = guetzpy.optimize(png(cicp(12, 13)), effort="fast", subsampling="444")
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.info["icc_profile"] == P3


def test_metrics_use_the_declared_colours():
    with Image.open(io.BytesIO(png(cicp(12, 13)))) as image:
        codes, transform = planes_of(image)
    np.testing.assert_array_equal(codes, np.moveaxis(RGB, -1, 0))
    assert not transform.is_srgb
    with Image.open(io.BytesIO(png(gama(100_000)))) as image:
        image.load()  # Pillow's own values are used if the file is closed already
        assert not planes_of(image)[1].is_srgb


@pytest.mark.parametrize("declared", [[gama(100_000)], [chrm(P3_POINTS), gama(45455)]])
def test_copies_and_saves_of_pillow_keep_the_meaning(declared):
    with Image.open(io.BytesIO(png(*declared))) as image:
        wanted = load(png(*declared)).metadata.icc
        for picture in (image, image.crop((0, 0, 24, 16)), image.convert("RGBA")):
            codes, transform = planes_of(picture)
            assert not transform.is_srgb
            np.testing.assert_array_equal(codes, np.moveaxis(RGB, -1, 0))
            file = io.BytesIO()
            register()
            picture.save(file, format="GUETZPY", effort="fast")
            with Image.open(file) as written:
                assert written.info["icc_profile"] == wanted
        file = io.BytesIO()
        image.save(file, format="GUETZPY", effort="fast", icc_profile=None)
        with Image.open(file) as written:
            assert "icc_profile" not in written.info


def saved(form, array=RGB, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


def test_profiles_of_gif():
    data = saved("GIF")
    head = 13 + 3 * 256
    pieces = b"".join(bytes([len(P3[i : i + 255])]) + P3[i : i + 255] for i in range(0, len(P3), 255))
    source = load(data[:head] + b"\x21\xff\x0bICCRGBG1012" + pieces + b"\0" + data[head:])
    assert source.metadata.icc == P3
    assert load(data).metadata.icc is None


def bmp(kind, endpoints=bytes(48), profile=b""):
    """Return a BMP with a header of version 5 (BITMAPV5HEADER)."""
    plain = saved("BMP")
    pixels = plain[54:]
    header = struct.pack("<I", 124) + plain[18:54] + bytes(16) + kind + endpoints
    header += struct.pack("<IIII", 4, 124 + len(pixels), len(profile), 0)
    assert len(header) == 124
    size = 14 + 124 + len(pixels) + len(profile)
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 138) + header + pixels + profile


def test_profiles_of_bmp():
    source = load(bmp(b"DEBM", profile=P3))
    np.testing.assert_array_equal(source.codes, np.moveaxis(RGB, -1, 0))
    assert source.metadata.icc == P3
    assert load(bmp(b"BGRs")).warnings == ()
    assert load(bmp(bytes(4))).warnings == ()
    assert "linked" in load(bmp(b"KNIL")).warnings[0]
    assert "calibration" in load(bmp(bytes(4), struct.pack("<12I", *range(9), *[1 << 16] * 3))).warnings[0]


def jp2(colour):
    """Return a JPEG 2000 file whose colour specification box contains ``colour``."""
    data = saved("JPEG2000")
    place = data.index(b"colr") - 4
    size = int.from_bytes(data[place : place + 4], "big")
    header = data.index(b"jp2h") - 4
    grown = len(colour) + 8 - size
    new = int.from_bytes(data[header : header + 4], "big") + grown
    box = struct.pack(">I", 8 + len(colour)) + b"colr" + colour
    return data[:header] + struct.pack(">I", new) + data[header + 4 : place] + box + data[place + size :]


def test_colours_of_jpeg_2000():
    assert load(saved("JPEG2000")).warnings == ()
    source = load(jp2(b"\2\0\0" + P3))
    assert source.metadata.icc == P3
    assert "colour space 21" in load(jp2(b"\1\0\0\0\0\0\x15")).warnings[0]
    with pytest.raises(UnsupportedError, match="CIELab"):
        load(jp2(b"\1\0\0\0\0\0\x0e"))


@pytest.mark.parametrize(
    ("tag", "value", "name"),
    [
        (318, (0.35, 0.36), "WhitePoint"),
        (319, (0.7, 0.3, 0.2, 0.7, 0.15, 0.05), "PrimaryChromaticities"),
        (301, tuple(range(256)) * 3, "TransferFunction"),
    ],
)
def test_unused_tags_of_tiff(tag, value, name):
    import tifffile

    file = io.BytesIO()
    kind = 3 if tag == 301 else 5
    numbers = value if kind == 3 else [part for v in value for part in (round(v * 10_000), 10_000)]
    tifffile.imwrite(
        file, RGB, photometric="rgb", metadata=None,
        extratags=[(tag, kind, len(value), tuple(numbers), True)],
    )  # fmt: skip
    source = load(file.getvalue())
    assert len(source.warnings) == 1
    assert name in source.warnings[0]
    assert load(saved("TIFF")).warnings == ()


def test_objections_to_profiles():
    assert objection(P3, 3) is None
    assert objection(adobe_rgb(1), 1) is None
    assert "gray" in objection(adobe_rgb(1), 3)
    assert "RGB" in objection(P3, 1)
    assert objection(b"", 3) == "broken"
    assert objection(P3[:200], 3)


@pytest.mark.parametrize(
    "chunks",
    [(cicp(12, 13),), (gama(45455), chrm(P3_POINTS)), (gama(100000),)],
    ids=["cICP", "cHRM", "gAMA"],
)
def test_stripping_all_keeps_the_meaning_of_colours(chunks):
    """The file has no chunks, so a profile says what they said, and ``strip="all"`` keeps profiles."""
    source = png(*chunks, array=np.repeat(np.repeat(RGB, 4, axis=0), 4, axis=1))
    result = guetzpy.optimize(source, strip="all", distance=3, effort="fast")
    with Image.open(io.BytesIO(result.data)) as shown:
        icc = shown.info["icc_profile"]
    expected = light(source)
    found = Transform.from_icc(icc).linear(load(source).codes)
    assert np.abs(found - expected).max() < 0.01
