"""The entropy decoding kernels against a simple reference decoder, for any bytes, tables and scans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import entropy_decode as twin

from guetzpy.errors import FormatError
from guetzpy.jpeg.entropy import decode as ed
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.entropy.huffman_decode import build_tables
from guetzpy.jpeg.entropy.scan_data import ScanData, restart_bounds, split_scan
from guetzpy.jpeg.entropy.standard_tables import STANDARD_HUFFMAN_TABLES

MODES = {
    "sequential": ed.SEQUENTIAL,
    "dc_first": ed.DC_FIRST,
    "dc_refine": ed.DC_REFINE,
    "ac_first": ed.AC_FIRST,
    "ac_refine": ed.AC_REFINE,
}


@st.composite
def huffman_tables(draw: st.DrawFn, dc: bool) -> HuffmanTable:
    """Return any valid table: draw lengths one by one while a code of that length is free."""
    symbols = draw(
        st.lists(st.integers(0, 15 if dc else 255), min_size=1, max_size=16 if dc else 60, unique=True)
    )
    lengths: list[int] = []
    free = (1 << 16) - 1  # free codes of 16 bits, except for the code of ones only
    for _ in symbols:
        length = draw(st.integers(1, 16))
        while length < 16 and 1 << (16 - length) > free:
            length += 1
        if free < 1:
            break
        free -= 1 << (16 - length)
        lengths.append(length)
    counts = tuple(lengths.count(n) for n in range(1, 17))
    return HuffmanTable(counts, bytes(symbols[: len(lengths)]))


def run_both(
    mode: str,
    segments: list[bytes],
    sizes: list[tuple[int, int, int, int]],
    tables: list[tuple[HuffmanTable, HuffmanTable]],
    interval: int,
    mcus: int,
    per_row: int,
    band: tuple[int, int, int],
    before: list[np.ndarray],
) -> tuple[list[np.ndarray], list[np.ndarray], ed.ScanReport, twin.Decoder]:
    ss, se, al = band
    planes = [plane.copy() for plane in before]
    components = [
        twin.ScanComponent(v, h, plane, twin.codes(dc.counts, dc.values), twin.codes(ac.counts, ac.values))
        for (v, h, _, _), plane, (dc, ac) in zip(sizes, planes, tables, strict=True)
    ]
    slow = twin.Decoder(mode, components, ss, se, al)
    slow.decode(segments, interval, mcus, per_row)

    coefficients = np.concatenate([*(p.reshape(-1, 64) for p in before), np.zeros((1, 64), np.int16)])
    offsets = np.cumsum([0] + [p.shape[0] * p.shape[1] for p in before])
    layout = [
        (v, h, rows, columns, int(offsets[i]), 2 * i, 2 * i + 1)
        for i, (v, h, rows, columns) in enumerate(sizes)
    ]
    flat = [(table, not i, mode != "ac_refine") for pair in tables for i, table in enumerate(pair)]
    edges = np.cumsum([0] + [len(s) for s in segments])
    bounds = np.stack([edges[:-1], edges[1:], np.zeros(len(segments), np.int64)], axis=1)
    report = ed.decode_scan(
        MODES[mode],
        np.array(np.frombuffer(b"".join(segments), np.uint8)),
        np.ascontiguousarray(bounds),
        ed.mcu_blocks(layout),
        build_tables(flat),
        coefficients,
        interval=interval,
        mcus=mcus,
        mcus_per_row=per_row,
        band=band,
    )
    fast = [coefficients[offsets[i] : offsets[i + 1]].reshape(before[i].shape) for i in range(len(before))]
    return fast, planes, report, slow


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_any_bytes_decode_as_in_the_twin(data):
    mode = data.draw(st.sampled_from(sorted(MODES)))
    band_mode = mode.startswith("ac")
    count = 1 if band_mode else data.draw(st.integers(1, 4))
    v_max = h_max = 1
    sampling = [(1, 1)]
    if count > 1:
        sampling = [
            data.draw(st.sampled_from([(1, 1), (1, 2), (2, 1), (1, 3), (2, 2)])) for _ in range(count)
        ]
        v_max, h_max = max(v for v, _ in sampling), max(h for _, h in sampling)
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    sizes = [(v, h, -(-height * v // (8 * v_max)), -(-width * h // (8 * h_max))) for v, h in sampling]
    rows, per_row = sizes[0][2:] if count == 1 else (-(-height // (8 * v_max)), -(-width // (8 * h_max)))
    mcus = rows * per_row
    interval = data.draw(st.integers(1, mcus))
    segments = [data.draw(st.binary(max_size=60)) for _ in range(-(-mcus // interval))]
    standard = (STANDARD_HUFFMAN_TABLES[0, 0], STANDARD_HUFFMAN_TABLES[1, 0])
    tables = [
        data.draw(st.one_of(st.just(standard), st.tuples(huffman_tables(True), huffman_tables(False))))
        for _ in range(count)
    ]
    band = (0, 63, 0)
    if mode.startswith("dc"):
        band = (0, 0, data.draw(st.integers(0, 13)))
    elif band_mode:
        ss = data.draw(st.integers(1, 63))
        band = (ss, data.draw(st.integers(ss, 63)), data.draw(st.integers(0, 13)))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    before = [np.zeros((r, c, 64), np.int16) for _, _, r, c in sizes]
    if mode.endswith("refine"):
        for plane in before:
            plane += (random.integers(-2000, 2000, plane.shape) * random.integers(0, 2, plane.shape)).astype(
                np.int16
            )
    fast, slow_planes, report, slow = run_both(
        mode, segments, sizes, tables, interval, mcus, per_row, band, before
    )
    for mine, twins in zip(fast, slow_planes, strict=True):
        assert np.array_equal(mine, twins)
    assert report.bad_codes == slow.bad_codes
    assert report.out_of_range == slow.out_of_range
    assert report.short == slow.short


def test_stuffing_fill_bytes_and_markers():
    data = np.array(np.frombuffer(b"xxA\xff\x00B\xff\xd0\xff\xff\x00\xff\xff\xd1C\xff\xff\xd9rest", np.uint8))
    scan = split_scan(data, 2, capacity=8)
    assert scan.clean.tobytes() == b"A\xffB\xffC"
    assert scan.cuts.tolist() == [[0xD0, 3], [0xD1, 4]]
    assert data[scan.end :].tobytes() == b"\xff\xff\xd9rest"
    assert scan.markers == 2

    few = split_scan(data, 2, capacity=1)
    assert few.cuts.tolist() == [[0xD0, 3]]
    assert few.markers == 2
    assert few.end == scan.end

    assert split_scan(data, 2, capacity=0).end == 6  # without restarts any marker ends the scan
    assert split_scan(np.array([65, 255, 255], np.uint8), 0, capacity=0).clean.tobytes() == b"A"


def bounds_of(codes: list[int], intervals: int) -> tuple[list[list[int]], bool]:
    """Return the bounds of intervals of ten bytes that the given markers separate."""
    cuts = np.array([[code, 10 * i + 10] for i, code in enumerate(codes)], np.int64).reshape(-1, 2)
    scan = ScanData(np.zeros(10 * len(codes) + 10, np.uint8), cuts, len(codes), 0)
    bounds, regular = restart_bounds(scan, intervals)
    return bounds.tolist(), regular


def test_restart_markers_in_order():
    assert bounds_of([0xD0, 0xD1], 3) == ([[0, 10, 0], [10, 20, 0], [20, 30, 0]], True)
    assert bounds_of([], 1) == ([[0, 10, 0]], True)
    codes = [0xD0 + i % 8 for i in range(20)]
    assert bounds_of(codes, 21) == ([[10 * i, 10 * i + 10, 0] for i in range(21)], True)
    # More markers than intervals: libjpeg ignores the rest after the scan.
    assert bounds_of([0xD0, 0xD1], 2) == ([[0, 10, 0], [10, 20, 0]], True)
    # The data ends early.
    assert bounds_of([0xD0], 4) == ([[0, 10, 0], [10, 20, 0], [20, 20, 1], [20, 20, 1]], True)


def test_restart_markers_out_of_order_are_resynchronised_as_in_libjpeg():
    # A marker is missing: its interval is empty, and the next interval begins at its own marker.
    assert bounds_of([0xD1, 0xD2], 4) == ([[0, 10, 0], [30, 30, 1], [10, 20, 0], [20, 30, 0]], False)
    # A marker is repeated: the second one is skipped, with the data that follows it.
    assert bounds_of([0xD0, 0xD0, 0xD1], 3) == ([[0, 10, 0], [10, 20, 0], [30, 40, 0]], False)
    # A marker that is no restart marker is skipped with its data.
    assert bounds_of([0xD0, 0x05, 0xD1], 3) == ([[0, 10, 0], [10, 20, 0], [30, 40, 0]], False)
    # A marker far from the expected number counts as the expected one.
    assert bounds_of([0xD4, 0xD1], 3) == ([[0, 10, 0], [10, 20, 0], [20, 30, 0]], False)


@pytest.mark.parametrize(
    ("counts", "values", "dc"),
    [
        ((2,) + (0,) * 15, b"ab", False),  # contains the code of ones only
        ((1, 2) + (0,) * 14, b"abc", False),
        ((0, 5) + (0,) * 14, b"abcde", False),
        ((3,) + (0,) * 15, b"abc", False),
        ((1,) + (0,) * 15, b"\x10", True),  # category 16
        ((1,) + (0,) * 15, b"", False),
    ],
)
def test_impossible_tables_are_refused(counts, values, dc):
    with pytest.raises(FormatError, match="Huffman table"):
        build_tables([(HuffmanTable(counts, values), dc, True)])


def test_a_table_without_codes_decodes_nothing():
    lookup, canonical = build_tables([(HuffmanTable((0,) * 16, b""), False, True)])
    assert not lookup.any()
    assert (canonical[:, :18] == -1).all()


def test_the_wrapper_refuses_what_does_not_fit():
    tables = build_tables([(STANDARD_HUFFMAN_TABLES[0, 0], True, True)] * 2)
    clean = np.zeros(9, np.uint8)
    bounds = np.array([[0, 9, 0]], np.int64)
    geometry = ed.mcu_blocks([(1, 1, 2, 2, 0, 0, 1)])
    good = np.zeros((5, 64), np.int16)
    with pytest.raises(ValueError, match="fit"):
        ed.decode_scan(0, clean, bounds, geometry, tables, good[:4], interval=4, mcus=4, mcus_per_row=2)
    with pytest.raises(ValueError, match="type"):
        ed.decode_scan(
            0, clean, bounds, geometry, tables, good.astype(np.int32), interval=4, mcus=4, mcus_per_row=2
        )
    with pytest.raises(ValueError, match="shape"):
        ed.decode_scan(0, clean, bounds, geometry, tables, good, interval=2, mcus=4, mcus_per_row=2)
    with pytest.raises(ValueError, match="out of range"):
        ed.decode_scan(0, clean[:8], bounds, geometry, tables, good, interval=4, mcus=4, mcus_per_row=2)
    with pytest.raises(ValueError, match="blocks"):
        ed.decode_scan(3, clean, bounds, geometry, tables, good, interval=5, mcus=5, mcus_per_row=2)
