"""The colours that JPEG files declare: by ICC profiles, Exif and Adobe segments."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from reference import jpeg_files

import guetzpy
from guetzpy.engine.loading import load
from guetzpy.jpeg.metadata import exif as jpeg_exif
from guetzpy.jpeg.metadata.declared import exif_of
from guetzpy.jpeg.reader import read
from guetzpy.metrics import butteraugli
from guetzpy.picture.exif_colour import ADOBE_RGB, as_srgb, exif_colour
from guetzpy.picture.planes import planes_of
from guetzpy.picture.profiles import adobe_rgb

RGB = np.random.default_rng(7).integers(60, 200, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)


def tiff(space=65535, index="R03", orientation=None, order="<", more=()):
    """Return a TIFF structure with ColorSpace and an interoperability index; None omits either."""
    exif = Image.Exif()
    exif.endian = order
    own = exif.get_ifd(0x8769)
    own[0x9000] = b"0230"
    if space is not None:
        own[0xA001] = space
    if index is not None:
        own[0xA005] = {1: index}
    if orientation:
        exif[0x0112] = orientation
    for tag, value in more:
        exif[tag] = value
    return exif.tobytes().removeprefix(b"Exif\0\0")


def jpeg(exif=None, icc=None, array=RGB, **options):
    file = io.BytesIO()
    if exif is not None:
        options["exif"] = b"Exif\0\0" + exif
    Image.fromarray(array).save(file, "JPEG", quality=98, subsampling=0, icc_profile=icc, **options)
    return file.getvalue()


def profile_in(data):
    with Image.open(io.BytesIO(data)) as image:
        return image.info.get("icc_profile")


def linear(codes):
    """Return linear sRGB of Adobe RGB codes (C, H, W): gamma 563/256 and the matrix of its specification."""
    light = (codes / 255.0) ** (563 / 256)
    if len(light) == 1:
        return np.repeat(light, 3, 0)
    to_xyz = [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
    to_srgb = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    return np.einsum("ij,jyx->iyx", np.array(to_srgb) @ np.array(to_xyz), light)


@pytest.mark.parametrize(
    ("space", "index", "adobe"),
    [
        (65535, "R03", True), (2, None, True), (2, "R98", True), (None, "R03", True), (1, "R98", False),
        (1, "R03", False), (65535, None, False), (65535, "R98", False), (None, None, False), (1, None, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", "<>")
def test_what_exif_says(space, index, adobe, order):
    structure = tiff(space, index, order=order)
    assert exif_colour(structure).space == (ADOBE_RGB if adobe else None)
    assert exif_colour(b"Exif\0\0" + structure) == exif_colour(structure)
    said = as_srgb(structure)
    assert len(said) == len(structure)
    assert exif_colour(said).space is None
    for end in range(len(structure)):  # a structure cut at any byte raises no error
        exif_colour(structure[:end])
        assert len(as_srgb(structure[:end])) == end


@pytest.mark.parametrize("space", [65535, 2])
@pytest.mark.parametrize("array", [RGB, RGB[..., 1]], ids=["rgb", "gray"])
def test_exif_alone_tells_of_adobe_rgb(space, array):
    data = jpeg(tiff(space), array=array)
    source = load(data)
    codes = source.planes()
    np.testing.assert_allclose(source.transform.linear(codes), linear(codes), atol=2e-3)
    with Image.open(io.BytesIO(data)) as image:
        shown, transform = planes_of(image)
    np.testing.assert_allclose(transform.linear(shown), linear(codes), atol=2e-3)
    kept = guetzpy.optimize(data, distance=2.0, min_saving=0)
    assert profile_in(kept.data) is None  # Exif declares it
    assert exif_colour(exif_of(read(kept.data).segments)).space == ADOBE_RGB


@pytest.mark.parametrize("function", [guetzpy.transcode, guetzpy.optimize])
@pytest.mark.parametrize("strip", ["all", "exif"])
@pytest.mark.parametrize("orientation", [None, 6])
@pytest.mark.parametrize("array", [RGB, RGB[..., 1]], ids=["rgb", "gray"])
def test_a_profile_takes_the_place_of_exif(function, strip, orientation, array):
    data = jpeg(tiff(orientation=orientation), array=array)
    result = function(data, strip=strip)
    assert profile_in(result.data) == adobe_rgb(1 if array.ndim == 2 else 3)
    assert "exif" in result.removed
    assert any("Adobe RGB" in warning for warning in result.warnings)
    segments = read(result.data).segments
    assert exif_colour(exif_of(segments)).space is None
    if orientation:
        assert jpeg_exif.orientation(exif_of(segments)) == orientation
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(result.data)) as after:
        assert before.mode == after.mode
        if function is guetzpy.transcode:
            assert before.tobytes() == after.tobytes()
    again = function(result.data, strip=strip)
    assert profile_in(again.data) == profile_in(result.data)


def test_spliced_files_get_the_profile_too():
    """If the picture's data is copied, the profile is at the position of the removed Exif."""
    data = guetzpy.transcode(jpeg(tiff())).data
    result = guetzpy.transcode(data, strip="all")
    assert profile_in(result.data) == adobe_rgb()
    assert result.data[:4] == b"\xff\xd8\xff\xe0"
    assert result.data[data.index(b"\xff\xdb") - len(data) :] == data[data.index(b"\xff\xdb") :]


@pytest.mark.parametrize("array", [RGB, RGB[..., 1]], ids=["rgb", "gray"])
def test_files_of_other_processes_get_the_profile_too(array):
    """In files of other processes, only segments are edited; this one declares arithmetic coding (SOF9)."""
    data = jpeg(tiff(), array=array).replace(b"\xff\xc0\0", b"\xff\xc9\0", 1)
    result = guetzpy.transcode(data, strip="all")
    assert adobe_rgb(1 if array.ndim == 2 else 3) in result.data
    assert b"R03" not in result.data


def test_a_named_profile_goes():
    result = guetzpy.transcode(jpeg(tiff()), strip="all,icc")
    assert profile_in(result.data) is None


def test_a_profile_goes_before_exif():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = jpeg(tiff(), icc=srgb)
    assert load(data).transform.is_srgb
    assert profile_in(guetzpy.transcode(data, strip="all").data) == srgb


@pytest.mark.parametrize("array", [RGB, RGB[..., 1]], ids=["rgb", "gray"])
def test_to_srgb_converts_and_exif_says_so(array):
    data = jpeg(tiff(), array=array)
    codes = load(data).planes()
    result = guetzpy.optimize(data, to_srgb=True, distance=0.5, subsampling="444")
    assert profile_in(result.data) is None
    assert exif_colour(exif_of(read(result.data).segments)).space is None
    after = load(result.data)
    light = after.transform.linear(after.planes())
    assert abs(light - np.clip(linear(codes), 0, 1)).mean() < 0.01
    assert load(result.data).transform.is_srgb


def files_with(space, index):
    structure = tiff(space, index)
    for form in ("PNG", "WEBP"):
        file = io.BytesIO()
        options = {"lossless": True} if form == "WEBP" else {}
        Image.fromarray(RGB).save(file, form, exif=b"Exif\0\0" + structure, **options)
        yield form, file.getvalue()
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "TIFF")
    yield "TIFF", with_directories(file.getvalue(), space, index or "R98")


def with_directories(data, space, index):
    """Add Exif and interoperability directories to a TIFF; Pillow does not write the second."""
    start = len(data)
    own = struct.pack("<HHHIHH", 2, 0xA001, 3, 1, space, 0) + struct.pack("<HHII", 0xA005, 4, 1, start + 30)
    interop = struct.pack("<HHHI4s", 1, 1, 2, 4, index.encode() + b"\0") + bytes(4)
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    entries = data[first + 2 : first + 2 + 12 * count] + struct.pack("<HHII", 0x8769, 4, 1, start)
    main = struct.pack("<H", count + 1) + entries + bytes(4)
    place = start + 30 + len(interop)
    return data[:4] + struct.pack("<I", place) + data[8:] + own + bytes(4) + interop + main


@pytest.mark.parametrize("blocks", ["one in two segments", "two"])
def test_to_srgb_changes_every_exif_block(blocks):
    structure = tiff()
    if blocks == "two":
        payloads = [structure, structure]
    else:  # the directories lie behind a long value
        structure = structure.ljust(66_000, b"\0")
        payloads = [structure[:65_527], structure[65_527:]]
    plain = jpeg()
    segments = [jpeg_files.segment(0xE1, b"Exif\0\0" + payload) for payload in payloads]
    result = guetzpy.optimize(jpeg_files.with_segments(plain, *segments), effort="fast", to_srgb=True)
    assert profile_in(result.data) is None
    assert b"R03" not in result.data
    assert result.data.count(b"R98") == (2 if blocks == "two" else 1)


def test_no_profile_is_promised_for_what_is_converted():
    result = guetzpy.optimize(jpeg(tiff()), effort="fast", to_srgb=True, strip="all")
    assert profile_in(result.data) is None
    assert not [warning for warning in result.warnings if "profile" in warning]


@pytest.mark.parametrize(("space", "interop"), [(65535, "R03"), (2, None)], ids=["R03", "2"])
@pytest.mark.parametrize("index", range(3), ids=["png", "webp", "tiff"])
def test_other_formats_with_such_exif(index, space, interop):
    form, data = list(files_with(space, interop))[index]
    source = load(data)
    assert source.metadata.icc == adobe_rgb(), form
    for options in ({}, {"strip": "all"}):
        assert profile_in(guetzpy.optimize(data, effort="fast", **options).data) == adobe_rgb()
    result = guetzpy.optimize(data, effort="fast", to_srgb=True)
    assert profile_in(result.data) is None
    assert load(result.data).transform.is_srgb
    with Image.open(io.BytesIO(data)) as image:
        assert butteraugli(image, RGB) > 0.5  # the same codes mean other colours in the two spaces


def test_adobe_rgb_in_deep_tiff_of_planes():
    file = io.BytesIO()
    tifffile.imwrite(
        file, np.moveaxis(RGB.astype(np.uint16) * 257, -1, 0), photometric="rgb", planarconfig="separate",
        iccprofile=adobe_rgb(), metadata=None,
    )  # fmt: skip
    source = load(file.getvalue())
    np.testing.assert_allclose(
        source.transform.linear(source.codes), linear(np.moveaxis(RGB, -1, 0)), atol=2e-3
    )


# Warnings


def with_icc_segments(data, pieces):
    segments = b"".join(
        b"\xff\xe2" + (16 + len(body)).to_bytes(2, "big") + b"ICC_PROFILE\0" + bytes((number, count)) + body
        for number, count, body in pieces
    )
    return data[:20] + segments + data[20:]


def adobe_marker(data, transform):
    return data[:20] + b"\xff\xee\0\x0eAdobe\0d\0\0\0\0" + bytes((transform,)) + data[20:]


ICC = adobe_rgb()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (with_icc_segments(jpeg(), [(1, 2, ICC)]), "incomplete"),
        (with_icc_segments(jpeg(), [(1, 1, ICC[:150])]), "broken"),
        (with_icc_segments(jpeg(), [(1, 1, b"no profile at all")]), "broken"),
        (jpeg(icc=adobe_rgb(1)), "gray pictures"),
        (jpeg(icc=ICC, array=RGB[..., 0]), "RGB pictures"),
        (jpeg(icc=ICC.replace(b"RGB ", b"CMYK", 1)), "CMYK pictures"),
        (adobe_marker(jpeg(), 0), "Adobe marker"),
        (adobe_marker(jpeg(), 7), "transform 7"),
        (jpeg(tiff(65533, None)), "wide gamut"),
        (jpeg(tiff(65535, None, more=[(0x013E, (0.3, 0.3))])), "WhitePoint"),
    ],
)
def test_what_is_not_honoured_is_a_warning_once(data, word):
    for result in (guetzpy.transcode(data), guetzpy.optimize(data, distance=3.0), guetzpy.optimize(data)):
        found = [warning for warning in result.warnings if word in warning]
        assert len(found) == 1, result.warnings
        assert result.to_dict()["warnings"] == list(result.warnings)


@pytest.mark.parametrize(
    "data", [jpeg(), jpeg(icc=ICC), adobe_marker(jpeg(), 1), jpeg(tiff(1, "R98")), jpeg(array=RGB[..., 0])]
)
def test_plain_files_have_no_warnings(data):
    assert guetzpy.transcode(data).warnings == ()
    assert guetzpy.optimize(data, distance=3.0).warnings == ()


def test_metrics_of_exif_and_profile_agree():
    told, tagged = (Image.open(io.BytesIO(jpeg(**how))) for how in ({"exif": tiff()}, {"icc": ICC}))
    with told, tagged:
        assert butteraugli(told, tagged) == 0
