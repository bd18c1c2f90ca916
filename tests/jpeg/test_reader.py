"""Reading of files: every kind of Huffman-coded 8-bit JPEG, damaged files, hostile files."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import entropy_decode as twin

from guetzpy.errors import FormatError, GuetzpyError, LimitError, UnsupportedError
from guetzpy.jpeg import markers
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.entropy.standard_tables import STANDARD_HUFFMAN_TABLES
from guetzpy.jpeg.pixels import decode
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.structure import NATURAL_ORDER, JpegImage

SHARED = Path(__file__).parents[3] / "shared" / "images"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
JFIF = markers.segment(markers.APP0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0")


def photo(height: int, width: int, mode: str = "RGB") -> Image.Image:
    """Return a picture with edges, noise and colours."""
    random = np.random.default_rng(height * 1000 + width)
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / 7 + i) * np.cos(y / (5 + i)) * 90 + 120 for i in range(len(mode))]
    codes = np.stack(planes, -1) + random.normal(0, 12, (height, width, len(mode)))
    codes = np.clip(codes, 0, 255).astype(np.uint8)
    return Image.frombytes(mode, (width, height), codes.tobytes())


def pillow(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def assert_coefficients(image: JpegImage, expected: list[np.ndarray]) -> None:
    assert len(image.components) == len(expected)
    for component, plane in zip(image.components, expected, strict=True):
        assert component.coefficients.dtype == np.int16
        assert np.array_equal(component.coefficients, plane)


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


# Files that Pillow cannot write


def standard(table_class: int, slot: int) -> dict[tuple[int, int], int]:
    table = STANDARD_HUFFMAN_TABLES[table_class, slot]
    return twin.codes(table.counts, table.values)


def random_planes(height: int, width: int, sampling: list[tuple[int, int]]) -> list[np.ndarray]:
    v_max, h_max = max(v for v, _ in sampling), max(h for _, h in sampling)
    random = np.random.default_rng(7)
    planes = []
    for v, h in sampling:
        shape = (-(-height * v // (8 * v_max)), -(-width * h // (8 * h_max)), 64)
        plane = random.integers(-40, 40, shape) * (random.random(shape) < 0.15)
        plane[..., 0] = random.integers(-500, 500, shape[:2])
        planes.append(plane.astype(np.int16))
    return planes


def handmade(
    height: int,
    width: int,
    sampling: list[tuple[int, int]],
    planes: list[np.ndarray],
    *,
    scans: list[tuple[int, ...]] | None = None,
    interval: int = 0,
    head: bytes = JFIF,
    identifiers: bytes = b"\1\2\3\4",
    steps: int = 16,
    dht: bool = True,
    lines: int | None = None,
    between: bytes = b"",
) -> bytes:
    """Return a sequential file with the standard Huffman tables and the given scans."""
    v_max, h_max = max(v for v, _ in sampling), max(h for _, h in sampling)
    components = tuple(markers.FrameComponent(identifiers[i], h, v, 0) for i, (v, h) in enumerate(sampling))
    frame = markers.FrameHeader(markers.SOF1, 8, height if lines is None else lines, width, components)
    out = SOI + head + markers.dqt_segment([(0, np.full(64, steps, np.uint16))]) + markers.sof_segment(frame)
    if dht:
        tables = [(c, s, t) for (c, s), t in STANDARD_HUFFMAN_TABLES.items()]
        out += markers.dht_segment(tables)
    if interval:
        out += markers.dri_segment(interval)
    for scan in scans or [tuple(range(len(sampling)))]:
        parts = tuple(markers.ScanComponent(identifiers[c], min(c, 1), min(c, 1)) for c in scan)
        out += markers.sos_segment(markers.ScanParameters(parts, 0, 63, 0, 0))
        chosen = [
            twin.ScanComponent(
                *(sampling[c] if len(scan) > 1 else (1, 1)),
                planes[c],
                standard(0, min(c, 1)),
                standard(1, min(c, 1)),
            )
            for c in scan
        ]
        rows, columns = planes[scan[0]].shape[:2]
        if len(scan) > 1:
            rows, columns = -(-height // (8 * v_max)), -(-width // (8 * h_max))
        out += twin.encode_sequential(chosen, rows, columns, interval) + between
    return out + EOI


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


@pytest.mark.parametrize("progressive", [False, True])
def test_missing_eoi(progressive):
    data = pillow(photo(20, 20), progressive=progressive)
    image = read(data[:-2])
    assert_coefficients(image, twin.read_coefficients(data))
    assert not image.eoi
    assert image.complete
    assert image.trailing == b""
    another = read(data[:-2] + data)
    assert_coefficients(another, twin.read_coefficients(data))
    assert not another.eoi
    assert another.trailing == data


def test_a_broken_segment_after_the_picture_is_trailing_data():
    data = pillow(photo(20, 20))
    for rest in (b"\xff\xe1\xff\xffabc", b"\xff\x05abc", b"\xff\xda\x00\x0c\x03"):
        image = read(data[:-2] + rest)
        assert_coefficients(image, twin.read_coefficients(data))
        assert image.trailing == rest
        assert not image.eoi


# Unsupported features


@pytest.mark.parametrize(
    ("marker", "feature"),
    [
        (0xC3, "lossless"),
        (0xC5, "hierarchical"),
        (0xC6, "hierarchical"),
        (0xC7, "hierarchical"),
        (0xC9, "arithmetic"),
        (0xCA, "arithmetic"),
        (0xCB, "lossless"),
        (0xCD, "hierarchical"),
        (0xDE, "hierarchical"),
        (0xF7, "JPEG-LS"),
    ],
)
def test_unsupported_features_are_named(marker, feature):
    data = pillow(photo(8, 8))
    place = data.index(b"\xff\xc0")
    with pytest.raises(UnsupportedError, match=feature):
        read(data[: place + 1] + bytes((marker,)) + data[place + 2 :])


def test_precision_and_component_count():
    data = bytearray(pillow(photo(8, 8)))
    place = data.index(b"\xff\xc0")
    data[place + 4] = 12
    with pytest.raises(UnsupportedError, match="12-bit"):
        read(bytes(data))
    data[place + 4] = 9
    with pytest.raises(FormatError, match="precision"):
        read(bytes(data))
    with pytest.raises(UnsupportedError, match="2 components"):
        read(handmade(8, 8, [(1, 1)] * 2, random_planes(8, 8, [(1, 1)] * 2)))


# Limits


def test_limits():
    data = pillow(photo(30, 40), progressive=True, comment=b"x" * 100)
    read(data, limits=Limits(max_pixels=1200, max_scans=10, max_metadata=114))
    with pytest.raises(LimitError, match="pixels"):
        read(data, limits=Limits(max_pixels=1199))
    with pytest.raises(LimitError, match="scans"):
        read(data, limits=Limits(max_scans=9))
    with pytest.raises(LimitError, match="metadata"):
        read(data, limits=Limits(max_metadata=113))
    with pytest.raises(LimitError, match="scans"):
        read(data, limits=Limits(max_block_visits=100))


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("progressive", [False, True])
def test_large_sizes_without_data_are_refused_before_memory_is_taken(progressive, repair):
    data = bytearray(pillow(photo(64, 64), progressive=progressive))
    place = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[place + 5 : place + 9] = (16383).to_bytes(2, "big") * 2
    read(pillow(photo(64, 64), progressive=progressive))
    tracemalloc.start()
    with pytest.raises(FormatError, match="truncated"):
        read(bytes(data), repair=repair)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


# Damage


def test_truncated_anywhere():
    data = pillow(photo(64, 64), quality=80)
    whole = read(data)
    scan = data.index(b"\xff\xda") + 14
    for end in range(scan, len(data) - 2, 37):
        with pytest.raises(FormatError, match=r"^truncated: .*\d of 4 MCU rows$"):
            read(data[:end])
    last = 0
    for end in range(scan + 40, len(data) - 2, 97):
        image = read(data[:end], repair=True)
        assert image.complete
        assert not image.eoi
        assert last <= image.mcu_rows_read <= 4
        last = image.mcu_rows_read
        for mine, full in zip(image.components, whole.components, strict=True):
            rows = last * mine.v
            assert np.array_equal(mine.coefficients[:rows], full.coefficients[:rows])
    assert last > 2


def test_truncated_progressive():
    data = pillow(photo(64, 64), progressive=True)
    starts = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    inside = (starts[5] + starts[6]) // 2
    with pytest.raises(FormatError, match=r"truncated: \d of 4 MCU rows of scan 6"):
        read(data[:inside])
    with pytest.raises(FormatError, match=r"truncated: .* further scans and EOI are missing"):
        read(data[: starts[6]])
    image = read(data[:inside], repair=True)
    assert image.complete  # a repaired image can be written
    assert image.mcu_rows_read < 4
    whole = read(data)
    assert np.array_equal(
        image.components[0].coefficients[..., 0] >> 1, whole.components[0].coefficients[..., 0] >> 1
    )


@pytest.mark.parametrize("progressive", [False, True])
def test_data_that_ends_before_its_eoi_is_only_to_be_kept(progressive):
    data = pillow(photo(64, 64), quality=80, progressive=progressive)
    starts = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    scan = starts[-1]
    ends = [i for i in range(scan + 40, len(data) - 2, 97) if data[i - 1] != 0xFF]
    for end in ends:
        cut = data[:end] + EOI
        image = read(cut)
        assert not image.complete
        assert image.eoi
        of = " of scan 10" if progressive else ""
        assert image.warnings[0] == f"truncated: {image.mcu_rows_read} of 4 MCU rows{of}"
        mended = read(cut, repair=True)
        assert mended.complete
        assert_coefficients(mended, [c.coefficients for c in image.components])
        assert np.array_equal(decode(mended), np.asarray(Image.open(io.BytesIO(cut))))
    assert len(ends) > 2


def test_scans_left_out_on_purpose():
    data = pillow(photo(64, 64), progressive=True)
    starts = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xda"]
    image = read(data[: starts[6]] + EOI)
    assert not image.complete
    assert image.warnings == ["some coefficients are not sent in full"]
    repeated = read(data[: starts[1]] + data[starts[0] : starts[1]] + data[starts[1] :])
    assert not repeated.complete
    assert "does not continue" in repeated.warnings[0]


@pytest.mark.parametrize("band", [(0, 5, 0, 0), (3, 2, 0, 0), (1, 64, 0, 0), (1, 5, 3, 1), (1, 5, 0, 14)])
def test_impossible_progressive_scans(band):
    data = bytearray(pillow(photo(16, 16, "L"), progressive=True))
    place = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2) + 7
    ss, se, ah, al = band
    data[place : place + 3] = bytes((ss, se, ah << 4 | al))
    with pytest.raises(FormatError, match="invalid progressive scan"):
        read(bytes(data))


def restart_places(data: bytes) -> list[int]:
    start = data.index(b"\xff\xda")
    return [i for i in range(start, len(data) - 1) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]


@pytest.mark.parametrize("progressive", [False, True])
def test_restart_markers_out_of_order(progressive):
    data = pillow(photo(64, 64), restart_marker_blocks=2, progressive=progressive)
    places = restart_places(data)
    wrong = bytearray(data)
    wrong[places[3] + 1] = 0xD0 + (data[places[3] + 1] - 0xD0 + 1) % 8
    with pytest.raises(FormatError, match=r"^truncated: 2 of 4 MCU rows"):
        read(bytes(wrong[:-2]))
    image = read(bytes(wrong))
    assert not image.complete
    assert "restart markers" in " ".join(image.warnings[:2])
    assert read(bytes(wrong), repair=True).complete


def test_a_lost_restart_marker_costs_its_interval_only():
    data = pillow(photo(64, 64, "L"), restart_marker_blocks=8)
    places = restart_places(data)
    whole = read(data).components[0].coefficients
    lost = read(data[: places[2]] + data[places[3] :], repair=True).components[0].coefficients
    same = [bool(np.array_equal(a, b)) for a, b in zip(lost, whole, strict=True)]
    assert same == [True, True, True, False, True, True, True, True]


def test_codes_that_are_in_no_table():
    spec = HuffmanTable((1, *[0] * 15), b"\0")  # the single code "0": DC category 0, and end of block
    frame = markers.FrameHeader(markers.SOF0, 8, 8, 32, (markers.FrameComponent(1, 1, 1, 0),))
    head = (
        SOI
        + markers.dqt_segment([(0, np.ones(64, np.uint16))])
        + markers.sof_segment(frame)
        + markers.dht_segment([(0, 0, spec), (1, 0, spec)])
        + markers.sos_segment(markers.ScanParameters((markers.ScanComponent(1, 0, 0),), 0, 63, 0, 0))
    )
    assert read(head + twin.stuff("00" * 4) + EOI).complete
    broken = head + twin.stuff("00" + "1" * 17 + "0" + "00" * 2) + EOI
    image = read(broken)
    assert not image.complete
    assert image.warnings == ["1 invalid Huffman codes in scan 1"]
    assert read(broken, repair=True).complete


def test_coefficients_out_of_range_are_kept_but_never_written():
    wide = markers.segment(
        markers.DHT, bytes((0, 1, *[0] * 15, 15)) + bytes((16, 1, *[0] * 15, 0))
    )  # a DC category of 15 bits, end of block
    frame = markers.FrameHeader(markers.SOF0, 8, 8, 32, (markers.FrameComponent(1, 1, 1, 0),))
    data = (
        SOI
        + markers.dqt_segment([(0, np.ones(64, np.uint16))])
        + markers.sof_segment(frame)
        + wide
        + markers.sos_segment(markers.ScanParameters((markers.ScanComponent(1, 0, 0),), 0, 63, 0, 0))
        + twin.stuff(("0" + "1" * 15 + "0") * 4)
        + EOI
    )
    image = read(data)
    # Values wrap to 16 bits, as in libjpeg.
    assert image.components[0].coefficients[0, :, 0].tolist() == [32767, -2, 32765, -4]
    assert not image.complete
    assert "range" in image.warnings[0]
    assert not read(data, repair=True).complete


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", SOI, SOI + EOI, b"GIF89a", SOI + markers.dri_segment(1), b"\0" + SOI],
)
def test_no_picture(data):
    for repair in (False, True):
        with pytest.raises(FormatError):
            read(data, repair=repair)


def test_headers_that_contradict_each_other():
    data = pillow(photo(16, 16))
    sof, sos = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    frame, dqt = data[sof : sof + 19], data.index(b"\xff\xdb")
    cases = {
        "second frame": data[:sof] + frame + data[sof:],
        "without a frame": data[:sof] + data[sof + 19 :],
        "second SOI": data[:sos] + SOI + data[sos:],
        "without a quantisation table": data[:dqt] + data[sof:],
        "component 9, which is missing": data[: sos + 5] + b"\x09" + data[sos + 6 :],
        "component 1, which is missing or out of order": data[: sos + 7] + b"\x01" + data[sos + 8 :],
        "component 2 twice": data[: sos + 5] + b"\x02" + data[sos + 6 :],
        "not defined": data[: sos + 6] + b"\x22" + data[sos + 7 :],
        "14 blocks": data[: sof + 11] + b"\x43" + data[sof + 12 :],
    }
    for message, case in cases.items():
        with pytest.raises(FormatError, match=message):
            read(case)


# Hostile input

SEEDS = [
    pillow(photo(40, 40), subsampling=2),
    pillow(photo(24, 50), progressive=True, restart_marker_blocks=2, comment=b"abc"),
    pillow(photo(30, 20, "L"), restart_marker_blocks=1),
    pillow(photo(9, 30, "CMYK"), progressive=True),
    handmade(
        20,
        20,
        [(2, 1), (1, 2), (1, 1)],
        random_planes(20, 20, [(2, 1), (1, 2), (1, 1)]),
        scans=[(0, 2), (1,)],
    ),
]


def pieces(data: bytes) -> list[bytes]:
    """Split a file into segments; a scan header and its entropy-coded data are one piece."""
    parts, position, begin = [], 2, 0
    while (found := markers.find_marker(data, position)) is not None:
        marker, start, after = found
        parts.append(data[begin:start])
        begin, position = start, after
        if marker != markers.EOI and not markers.RST0 <= marker <= markers.RST7:
            position = markers.read_payload(data, after)[1]
    return [*parts, data[begin:]]


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Change a valid file: lengths, tables and data; cut, swap and repeat segments."""
    parts = pieces(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(
            st.sampled_from(["byte", "byte", "header", "drop", "swap", "repeat", "cut", "insert", "other"])
        )
        i = draw(st.integers(0, len(parts) - 1))
        if kind in ("byte", "header", "insert", "cut"):
            part = bytearray(parts[i])
            if part:
                limit = min(len(part), 24) if kind == "header" else len(part)
                place = draw(st.integers(0, limit - 1))
                if kind == "insert":
                    part[place:place] = draw(st.binary(max_size=6))
                elif kind == "cut":
                    del part[place:]
                else:
                    part[place] = draw(st.one_of(st.integers(0, 255), st.sampled_from([0, 255, 0xD0, 0xD9])))
            parts[i] = bytes(part)
        elif kind == "drop":
            parts[i] = b""
        elif kind == "swap":
            j = draw(st.integers(0, len(parts) - 1))
            parts[i], parts[j] = parts[j], parts[i]
        elif kind == "repeat":
            parts.insert(i, parts[i])
        else:
            parts.insert(i, draw(st.sampled_from(pieces(draw(st.sampled_from(SEEDS))))))
    return b"".join(parts)


def read_or_none(data: bytes, repair: bool) -> JpegImage | None:
    """Read a file; return None for an error of guetzpy. Any other exception fails the test."""
    try:
        return read(data, repair=repair, limits=Limits(max_pixels=4_000_000))
    except GuetzpyError:
        return None


@given(mutants(), st.booleans())
@settings(deadline=None, max_examples=400)
def test_mutants_end_in_an_image_or_in_one_of_our_errors(data, repair):
    image = read_or_none(data, repair)
    if image is not None:
        for index, component in enumerate(image.components):
            height, width = image.component_size(index)
            assert component.coefficients.shape == (-(-height // 8), -(-width // 8), 64)
        rows = -(-image.height // (8 * image.v_max))
        assert repair or image.mcu_rows_read == rows or image.warnings[0].startswith("truncated")
        assert repair or image.mcu_rows_read == rows or not image.complete
        assert not image.complete or all(component.qtable.all() for component in image.components)


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=100)
def test_random_bytes_after_a_header(data):
    with pytest.raises(GuetzpyError):
        read(data)
    head = SEEDS[0][: SEEDS[0].index(b"\xff\xda") + 14]
    for repair in (False, True):
        read_or_none(head + data, repair)


# Scans written by libjpeg


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("jpegtran") is None, reason="needs jpegtran")
@pytest.mark.parametrize(
    "script",
    [
        "0; 1; 2;",
        "0: 0-0, 0, 0; 1,2: 0-0, 0, 0; 0: 1-2, 0, 0; 0: 3-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;",
        "0,1,2: 0-0, 0, 3; 0,1,2: 0-0, 3, 2; 0,1,2: 0-0, 2, 1; 0,1,2: 0-0, 1, 0;"
        + "".join(
            f"{c}: 1-9, 0, 4; {c}: 10-63, 0, 3; {c}: 1-9, 4, 3;"
            f"{c}: 1-63, 3, 2; {c}: 1-63, 2, 1; {c}: 1-63, 1, 0;"
            for c in range(3)
        ),
    ],
)
def test_scan_scripts_of_jpegtran(script, tmp_path):
    source = pillow(photo(70, 90), quality=95)
    (tmp_path / "script").write_text(script)
    for restart in ("0", "1", "7B"):
        command = ["jpegtran", "-scans", str(tmp_path / "script"), "-restart", restart, "-optimize"]
        data = subprocess.run(command, input=source, capture_output=True, check=True).stdout
        image = read(data)
        assert image.complete
        assert image.warnings == []
        assert len(image.scans) == script.count(";")
        assert_coefficients(image, twin.read_coefficients(source))


# Files of other projects, compared with libjpeg-turbo's own coefficients


def libjpeg_coefficients(path: Path, scratch: Path) -> list[np.ndarray] | None:
    """Return the coefficients of jpeglib, run in a child process, which libjpeg ends at a fatal error."""
    import jpeglib

    child = os.fork()
    if child == 0:
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            jpeglib.version.set("turbo210")
            image = jpeglib.read_dct(str(path))
            planes = [p for p in (image.Y, image.Cb, image.Cr, getattr(image, "K", None)) if p is not None]
            np.savez(scratch, *planes)
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if status != 0:
        return None
    with np.load(scratch) as planes:
        return [planes[name].reshape(*planes[name].shape[:2], 64) for name in planes.files]


def corpus() -> list[Path]:
    folders = ["jpeg-features", "jpeg-camera", "jpeg-orientation", "jpeg-gainmap", "jpeg-corrupt"]
    return [p for f in folders for p in sorted((SHARED / f).glob("*")) if p.suffix not in (".tsv", ".png")]


@pytest.mark.foreign
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared pictures")
@pytest.mark.filterwarnings("ignore")
def test_the_corpora_have_libjpegs_coefficients(tmp_path):
    pytest.importorskip("jpeglib")
    compared = 0
    for path in corpus():
        data = path.read_bytes()
        for repair in (False, True):
            try:
                image = read(data, repair=repair)
            except GuetzpyError:
                continue
            expected = libjpeg_coefficients(path, tmp_path / "planes.npz")
            if expected is None:
                continue
            assert len(expected) == len(image.components), path.name
            for component, plane in zip(image.components, expected, strict=True):
                rows, columns, _ = component.coefficients.shape
                assert np.array_equal(component.coefficients, plane[:rows, :columns]), path.name
            compared += 1
    assert compared > 400


@pytest.mark.foreign
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared pictures")
@pytest.mark.filterwarnings("ignore")
def test_what_pillow_reads_of_the_good_folders_is_read():
    refused = {}
    with open(SHARED / "JPEG-TABLE.tsv", newline="", errors="replace") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["pillow"] == "ok" and row["precision"] == "8":
                try:
                    read((SHARED / row["file"]).read_bytes())
                except GuetzpyError as error:
                    refused[Path(row["file"]).name] = str(error)
    assert {name: message.split(":")[0] for name, message in refused.items()} == {
        "libjpeg-turbo__testimgari.jpg": "arithmetic coding is not supported",
        "ljt-seed-8bit__testorig_transpose_440_q90_ari_rst1.jpg": "arithmetic coding is not supported",
        "ljt-seed-8bit__testorig_transverse_422_q95_prog_ari.jpg": (
            "arithmetic coding (progressive) is not supported"
        ),
    }


def test_natural_order_of_the_twin():
    assert twin.ZIGZAG == NATURAL_ORDER.tolist()
