"""Reading of files: every kind of Huffman-coded 8-bit JPEG, damaged files, hostile files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reference import entropy_decode as twin
from reference.reader_files import (
    EOI,
    JFIF,
    assert_coefficients,
    handmade,
    photo,
    pillow,
    random_planes,
)

from guetzpy.errors import FormatError, LimitError
from guetzpy.jpeg import markers
from guetzpy.jpeg.reader import Limits, read

# Files of Pillow


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:1:1"])
@pytest.mark.parametrize("size", [(1, 1), (17, 9), (40, 67)])
@pytest.mark.parametrize("restart", [0, 1, 3])
def test_pillow_colour(progressive, subsampling, size, restart):
    data = pillow(
        photo(*size),
        quality=85,
        progressive=progressive,
        subsampling=subsampling,
        restart_marker_blocks=restart,
    )
    image = read(data)
    assert_coefficients(image, twin.read_coefficients(data))
    assert (image.height, image.width) == size
    assert image.colorspace == "ycbcr"
    assert image.progressive == progressive
    assert image.restart_interval == restart
    assert image.complete
    assert image.eoi
    assert image.warnings == []
    assert image.mcu_rows_read == -(-size[0] // (8 * image.v_max))
    assert sum(image.scan_bytes) < len(data)
    assert len(image.scans) == (10 if progressive else 1)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("mode", "colorspace"), [("L", "gray"), ("CMYK", "cmyk")])
def test_pillow_gray_and_cmyk(progressive, mode, colorspace):
    data = pillow(photo(33, 50, mode), progressive=progressive)
    image = read(data)
    assert_coefficients(image, twin.read_coefficients(data))
    assert image.colorspace == colorspace


def test_quantisation_tables_and_scans_of_pillow():
    data = pillow(photo(24, 24), quality=60, progressive=True)
    image = read(data)
    with Image.open(io.BytesIO(data)) as opened:
        tables = opened.quantization
    for component, slot in zip(image.components, (0, 1, 1), strict=True):
        assert component.qtable.tolist() == list(tables[slot])
    assert [(s.components, s.ss, s.se, s.ah, s.al) for s in image.scans[:3]] == [
        ((0, 1, 2), 0, 0, 0, 1),
        ((0,), 1, 5, 0, 2),
        ((2,), 1, 63, 0, 1),
    ]


@pytest.mark.parametrize("interval", [0, 1, 4])
@pytest.mark.parametrize(
    "sampling",
    [
        [(2, 2)],
        [(1, 1), (1, 1), (1, 1)],
        [(2, 2), (1, 1), (1, 1)],
        [(2, 1), (1, 2), (1, 1)],
        [(2, 3), (1, 1), (1, 3)],
        [(1, 3), (1, 2), (1, 1)],  # horizontal and vertical ratios of 3:2
        [(3, 1), (2, 1), (1, 1)],
        [(1, 4), (1, 1), (1, 1)],
        [(4, 1), (1, 1), (1, 1)],
        [(1, 1), (2, 2), (1, 1)],  # luma has fewer samples than chroma
        [(2, 2), (1, 1), (1, 1), (2, 2)],
    ],
)
def test_sampling_factors(sampling, interval):
    planes = random_planes(45, 70, sampling)
    image = read(handmade(45, 70, sampling, planes, interval=interval))
    assert_coefficients(image, planes)
    assert [(c.v, c.h) for c in image.components] == sampling


@pytest.mark.parametrize("scans", [[(0,), (1,), (2,)], [(2,), (0, 1)], [(1,), (0, 2)]])
def test_several_sequential_scans(scans):
    sampling = [(2, 2), (1, 1), (1, 2)]
    planes = random_planes(30, 37, sampling)
    image = read(handmade(30, 37, sampling, planes, scans=scans, interval=3))
    assert_coefficients(image, planes)
    assert [s.components for s in image.scans] == scans
    assert image.complete


def test_sixteen_bit_quantisation_tables():
    planes = random_planes(9, 9, [(1, 1)])
    image = read(handmade(9, 9, [(1, 1)], planes, steps=4000))
    assert (image.components[0].qtable == 4000).all()
    assert_coefficients(image, planes)


def test_tables_that_a_motion_jpeg_frame_leaves_out():
    planes = random_planes(20, 20, [(1, 1)] * 3)
    assert_coefficients(read(handmade(20, 20, [(1, 1)] * 3, planes, dht=False)), planes)


def test_height_from_dnl():
    planes = random_planes(45, 20, [(1, 1)])
    data = handmade(45, 20, [(1, 1)], planes, lines=0, interval=2, between=markers.dnl_segment(45))
    image = read(data)
    assert image.height == 45
    assert_coefficients(image, planes)
    assert image.segments[0].marker == markers.APP0
    with pytest.raises(FormatError, match="DNL"):
        read(handmade(45, 20, [(1, 1)], planes, lines=0))
    with pytest.raises(LimitError):
        read(data, limits=Limits(max_pixels=899))


def test_components_take_the_table_of_their_first_scan():
    planes = random_planes(16, 16, [(1, 1)] * 3)
    scans = [(0,), (1,), (2,)]
    data = handmade(16, 16, [(1, 1)] * 3, planes, scans=scans)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    finer = markers.dqt_segment([(0, np.arange(1, 65, dtype=np.uint16))])
    image = read(data[:second] + finer + data[second:])
    assert image.complete
    assert (image.components[0].qtable == 16).all()
    assert image.components[1].qtable.tolist() == list(range(1, 65))

    progressive = pillow(photo(16, 16), progressive=True)
    last = progressive.rindex(b"\xff\xda")
    image = read(progressive[:last] + finer + progressive[last:])
    assert not image.complete
    assert "quantisation table changes" in image.warnings[0]


# Colour spaces (default_decompress_parms of jdapimin.c)

ADOBE = [markers.segment(markers.APP14, b"Adobe\0\x64\0\0\0\0" + bytes((t,))) for t in range(3)]


@pytest.mark.parametrize(
    ("head", "identifiers", "count", "colorspace"),
    [
        (b"", b"\1\2\3", 3, "ycbcr"),
        (b"", b"RGB", 3, "rgb"),
        (b"", b"rgb", 3, "ycbcr"),
        (b"", b"\0\1\2", 3, "ycbcr"),
        (JFIF, b"RGB", 3, "ycbcr"),
        (JFIF + ADOBE[0], b"\1\2\3", 3, "ycbcr"),
        (ADOBE[0], b"\1\2\3", 3, "rgb"),
        (ADOBE[1], b"RGB", 3, "ycbcr"),
        (ADOBE[2], b"RGB", 3, "ycbcr"),
        (ADOBE[0] + ADOBE[1], b"\1\2\3", 3, "ycbcr"),
        (b"", b"CMYK", 4, "cmyk"),
        (ADOBE[0], b"\1\2\3\4", 4, "cmyk"),
        (ADOBE[1], b"\1\2\3\4", 4, "ycck"),
        (ADOBE[2], b"\1\2\3\4", 4, "ycck"),
        (ADOBE[0], b"R", 1, "gray"),
        (markers.segment(markers.APP0, b"JFIF\0"), b"RGB", 3, "rgb"),  # too short for a JFIF segment
        (markers.segment(markers.APP14, b"Adobe\0\x64\0\0\0\0"), b"RGB", 3, "rgb"),
    ],
)
def test_colour_space(head, identifiers, count, colorspace):
    sampling = [(1, 1)] * count
    data = handmade(8, 8, sampling, random_planes(8, 8, sampling), head=head, identifiers=identifiers)
    assert read(data).colorspace == colorspace


def test_a_colour_marker_after_the_first_scan_cannot_be_moved_before_it():
    sampling = [(1, 1)] * 3
    data = handmade(8, 8, sampling, random_planes(8, 8, sampling), head=b"", between=ADOBE[0])
    image = read(data)
    assert image.colorspace == "ycbcr"
    assert not image.complete
    assert "colour space" in image.warnings[0]


# Segments and data around the picture


def test_metadata_and_trailing_bytes_are_kept():
    data = pillow(photo(8, 8), comment=b"hello")
    place = data.index(b"\xff\xda")
    late = markers.segment(0xE5, b"late") + markers.segment(markers.COM, b"")
    image = read(data[:place] + late + data[place:] + b"\xff\xd8video\xff\xd9")
    assert [(s.marker, s.payload) for s in image.segments][1:] == [
        (markers.COM, b"hello"),
        (0xE5, b"late"),
        (markers.COM, b""),
    ]
    assert image.trailing == b"\xff\xd8video\xff\xd9"
    assert image.eoi


def test_fill_bytes_junk_and_parameterless_markers():
    data = pillow(photo(20, 20))
    expected = twin.read_coefficients(data)
    place = data.index(b"\xff\xdb")
    filled = read(data[:place] + b"\xff\xff\xff" + data[place:-2] + b"\xff\xff" + data[-2:])
    assert_coefficients(filled, expected)
    assert filled.warnings == []
    junk = read(data[:place] + b"junk\xff\x00" + b"\xff\x01\xff\xd3" + data[place:])
    assert_coefficients(junk, expected)
    assert junk.warnings == ["6 bytes skipped before marker FF 01"]
    twice = read(data[:2] + data)
    assert_coefficients(twice, expected)
    assert twice.warnings == ["SOI marker repeated"]


def test_bytes_between_scan_and_eoi_are_only_a_warning():
    data = pillow(photo(20, 20))
    image = read(data[:-2] + b"\0\0\0\0" + EOI)
    assert_coefficients(image, twin.read_coefficients(data))
    assert image.complete
    assert image.warnings == ["unused data in scan 1"]
