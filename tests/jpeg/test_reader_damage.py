"""Reading of damaged, hostile and foreign files."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from reference import entropy_decode as twin
from reference.reader_files import (
    EOI,
    SOI,
    assert_coefficients,
    handmade,
    photo,
    pillow,
    random_planes,
)

from guetzpy.errors import FormatError, LimitError, UnsupportedError
from guetzpy.jpeg import markers
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.pixels import decode
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.transcode import transcode_bytes


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


def one_block(*scans: tuple[int, int, int, int, str]) -> bytes:
    """Return a progressive file of one block, with scans (Ss, Se, Ah, Al, bits).

    The DC codes are 0 (category 0) and 10 (category 1); the AC codes are 0 (end of block), 10 (run 0, size 1)
    and 110 (run 0, size 10).
    """
    dc, ac = HuffmanTable((1, 1, *[0] * 14), b"\0\1"), HuffmanTable((1, 1, 1, *[0] * 13), b"\0\1\x0a")
    frame = markers.FrameHeader(markers.SOF2, 8, 8, 8, (markers.FrameComponent(1, 1, 1, 0),))
    data = SOI + markers.dqt_segment([(0, np.ones(64, np.uint16))]) + markers.sof_segment(frame)
    data += markers.dht_segment([(0, 0, dc), (1, 0, ac)])
    for *band, bits in scans:
        header = markers.ScanParameters((markers.ScanComponent(1, 0, 0),), *band)
        data += markers.sos_segment(header) + twin.stuff(bits)
    return data + EOI


def refined(dc: int, ac: int, sign: str) -> bytes:
    """Return a file whose first scans send zeros at Al = 13; a refinement adds 2**dc, another one 2**ac."""
    levels = range(12, -1, -1)
    scans = [(0, 0, 0, 13, "0"), *((0, 0, al + 1, al, str(int(al == dc))) for al in levels)]
    scans += [(1, 63, 0, 13, "0")]
    scans += [(1, 63, al + 1, al, f"10{sign}0" if al == ac else "00") for al in levels]
    return one_block(*scans)


@pytest.mark.parametrize("sign", ["0", "1"])
def test_coefficients_that_refinements_put_out_of_range_are_never_written(sign):
    """Each scan continues those before it, as T.81 G.1.1.1 demands."""
    for dc, ac, scan in [(10, 9, 0), (11, 9, 3), (12, 9, 2), (10, 10, 18), (10, 12, 16)]:
        data = refined(dc, ac, sign)
        for repair in (False, True):
            image = read(data, repair=repair)
            block = image.components[0].coefficients[0, 0]
            assert block[:2].tolist() == [1 << dc, 1 << ac if int(sign) else -(1 << ac)]
            assert image.complete == (scan == 0)
            wanted = f"1 coefficients in scan {scan} are beyond the range of 8-bit samples"
            assert (wanted in image.warnings) == (scan > 0)
        assert transcode_bytes(data).status == ("kept" if scan else "lossless")


def test_a_refinement_that_does_not_continue_the_scans_before_it():
    """A bit at Al = 9, sent after -1023 was sent in full, makes -1535; one at Al = 10 keeps DC in range."""
    dc = [(0, 0, 0, 0, "100"), (0, 0, 11, 10, "1")]
    image = read(one_block(*dc, (1, 63, 0, 0, "110" + "0" * 10 + "0"), (1, 63, 10, 9, "01")))
    assert image.components[0].coefficients[0, 0, :2].tolist() == [-1, -1535]
    assert not image.complete
    assert "1 coefficients in scan 4 are beyond the range of 8-bit samples" in image.warnings
    assert not any("scan 2 are beyond" in warning for warning in image.warnings)


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


# Large pictures in few bytes


def uniform(sof, side, components, coded):
    """Return a file with one scan, of its first component, whose ``coded`` bytes are zeros.

    Each table has a single code, 0, so that a block takes one bit for DC and one for AC.
    """
    parts = tuple(markers.FrameComponent(number + 1, 1, 1, 0) for number in range(components))
    frame = markers.sof_segment(markers.FrameHeader(sof, 8, side, side, parts))
    table = bytes([1] + [0] * 15) + b"\0"
    tables = markers.segment(markers.DHT, b"\0" + table + b"\x10" + table)
    quantisers = markers.segment(markers.DQT, b"\0" + b"\1" * 64)
    scan = markers.segment(markers.SOS, bytes((1, 1, 0, 0, 0 if sof == markers.SOF2 else 63, 0)))
    return SOI + quantisers + frame + tables + scan + bytes(coded) + EOI


def test_coefficients_in_too_few_bytes_are_refused():
    with pytest.raises(LimitError, match=r"48\d{4} bytes for 240 megapixels"):
        read(uniform(markers.SOF2, 15_500, 1, 480_000))


def test_scans_that_are_missing_count_where_memory_is_spent():
    """The first scan is whole, but the file has too few bytes for those of the other components."""
    with pytest.raises(FormatError, match="truncated: at most 213 of 625 MCU rows"):
        read(uniform(markers.SOF0, 5000, 3, 100_000))
