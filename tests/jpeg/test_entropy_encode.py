"""Statistics and coded data of single scans against the flow charts of T.81."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import entropy_encode as twin

from guetzpy.errors import UnsupportedError
from guetzpy.jpeg.entropy import encode as entropy_encode
from guetzpy.jpeg.entropy.encode import encode_scan
from guetzpy.jpeg.entropy.scan_statistics import AC_EXTRA_BITS, ScanStatistics
from guetzpy.jpeg.entropy.standard_tables import STANDARD_HUFFMAN_TABLES
from guetzpy.jpeg.entropy.statistics import MAX_EOB_RUN, band_histograms, significance
from guetzpy.jpeg.entropy.tables import plan_tables
from guetzpy.jpeg.structure import NATURAL_ORDER, Component, JpegImage, ScanHeader

SAMPLINGS = [[(1, 1)], [(2, 2), (1, 1), (1, 1)], [(1, 2), (2, 1), (1, 1)], [(1, 1)] * 4]


def random_image(seed, width, height, sampling, density=0.2, scale=6.0) -> JpegImage:
    rng = np.random.default_rng(seed)
    image = JpegImage(width, height, [], "")
    for number, (h, v) in enumerate(sampling, 1):
        image.components.append(
            Component(number, h, v, np.ones(64, np.uint16), np.zeros((1, 1, 64), np.int16))
        )
    for index, component in enumerate(image.components):
        rows, columns = (-(-size // 8) for size in image.component_size(index))
        filled = rng.random((rows, columns, 64)) < density * 2 * rng.random((rows, columns, 1))
        values = np.rint(rng.laplace(0, scale, (rows, columns, 64))) * filled
        component.coefficients = np.clip(values, -1023, 1023).astype(np.int16)
    return image


def zigzag(component: Component) -> list[list[list[int]]]:
    return component.coefficients[:, :, NATURAL_ORDER].tolist()


def slow_scan(image: JpegImage, statistics: ScanStatistics, scan: ScanHeader) -> list[list[twin.Item]]:
    interval = statistics.restart_interval
    if scan.ss > 0:
        blocks = [block for row in zigzag(image.components[scan.components[0]]) for block in row]
        return twin.ac_scan(blocks, scan.ss, scan.se, scan.ah, scan.al, interval)
    rows, columns = statistics.mcus(scan.components)
    sampling = [statistics.sampling(scan.components, index) for index in scan.components]
    grids = [zigzag(image.components[index]) for index in scan.components]
    return twin.mcu_scan(
        grids, sampling, rows, columns, ac=scan.se > 0, ah=scan.ah, al=scan.al, interval=interval
    )


def scans_of(image: JpegImage) -> list[ScanHeader]:
    everything = tuple(range(len(image.components)))
    last = everything[-1:]
    return [
        ScanHeader(everything, 0, 63, 0, 0),
        ScanHeader(last, 0, 63, 0, 0),
        ScanHeader(everything, 0, 0, 0, 1),
        ScanHeader(everything, 0, 0, 1, 0),
        ScanHeader(last, 0, 0, 0, 0),
        ScanHeader(last, 1, 63, 0, 0),
        ScanHeader(last, 1, 5, 0, 2),
        ScanHeader(last, 6, 63, 0, 1),
        ScanHeader(last, 1, 63, 2, 1),
        ScanHeader(last, 3, 40, 1, 0),
        ScanHeader(last, 63, 63, 0, 0),
        ScanHeader(last, 63, 63, 1, 0),
    ]


@given(
    st.integers(0, 2**32),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(SAMPLINGS),
    st.sampled_from([0.0, 0.01, 0.2, 1.0]),
    st.sampled_from([0.4, 3.0, 100.0]),
    st.sampled_from([0, 1, 2, 5, 30]),
)
@settings(deadline=None, max_examples=40)
def test_scans_equal_the_flow_charts(seed, width, height, sampling, density, scale, interval):
    image = random_image(seed, width, height, sampling, density, scale)
    statistics = ScanStatistics(image, 4, interval)
    for scan in scans_of(image):
        slow = slow_scan(image, statistics, scan)
        for index, table_class, histogram in statistics.symbols(scan):
            assert histogram.tolist() == twin.counts(slow, table_class, scan.components.index(index))
        # Bits besides Huffman codes.
        assert statistics.raw_bits(scan) == sum(item[2] for out in slow for item in out if item[0] == "bits")
        assert statistics.restarts(scan) == len(slow) - 1

        (planned,) = plan_tables(statistics, [scan])
        codes = {
            (table_class, place): twin.huffman_codes(table.counts, table.values)
            for place, pair in enumerate(planned.tables)
            for table_class, table in enumerate(pair)
            if table is not None
        }
        data = encode_scan(statistics, scan, planned.tables)
        assert data == twin.to_bytes(slow, codes)
        if not interval:
            assert (planned.bits + 7) // 8 == len(data) - data.count(b"\xff\x00")


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(1, 64), min_size=2, max_size=11, unique=True),
    st.sampled_from([(0, 0), (0, 1), (1, 0), (2, 1)]),
    st.sampled_from([0.003, 0.05, 0.5]),
    st.sampled_from([0, 7]),
)
@settings(deadline=None, max_examples=40)
def test_one_pass_counts_every_band(seed, starts, point_transform, density, interval):
    starts = sorted(starts)
    image = random_image(seed, 70, 50, [(1, 1)], density, 3.0)
    blocks = image.components[0].coefficients.reshape(-1, 64)
    together = band_histograms(blocks, significance(blocks, 4), starts, *point_transform, interval)
    lists = blocks[:, NATURAL_ORDER].tolist()
    for i in range(len(starts) - 1):
        for j in range(len(starts) - 1):
            if j < i:
                assert not together[i, j].any()
                continue
            slow = twin.ac_scan(lists, starts[i], starts[j + 1] - 1, *point_transform, interval)
            assert together[i, j].tolist() == twin.counts(slow, 1, 0)


def test_significance():
    blocks = np.zeros((2, 64), np.int16)
    blocks[0, 0] = 99  # DC is not part of the statistics
    blocks[0, 8] = -4  # position 2 in zigzag order
    blocks[1, 63] = 1
    found = significance(blocks, 4)
    assert found.masks.tolist() == [[1 << 2, 1 << 63], [1 << 2, 0], [1 << 2, 0], [0, 0]]
    assert found.counts[:, 2].tolist() == [1, 1, 1, 0]
    assert found.counts[:, 63].tolist() == [1, 0, 0, 0]
    assert found.counts.sum() == 4
    assert found.largest == 4


@pytest.mark.parametrize("blocks", [MAX_EOB_RUN - 1, MAX_EOB_RUN, MAX_EOB_RUN + 1, 2 * MAX_EOB_RUN + 5])
@pytest.mark.parametrize("point_transform", [(0, 0), (1, 0)])
def test_longest_eob_runs(blocks, point_transform):
    """EOB runs end at 32767 blocks. The correction bits of all blocks of a run follow its symbol."""
    ah, al = point_transform
    image = random_image(3, 8 * blocks, 8, [(1, 1)], 0.0)
    coefficients = image.components[0].coefficients
    coefficients[0, ::3, 1] = 2 if ah else 0  # non-zero before the refinement
    coefficients[0, -1, 1] = 1
    image.width = 8  # has no effect: the statistics use the blocks only
    statistics = ScanStatistics(image, 2)
    scan = ScanHeader((0,), 1, 5, ah, al)
    slow = slow_scan(image, statistics, scan)
    ((_, _, histogram),) = statistics.symbols(scan)
    assert histogram.tolist() == twin.counts(slow, 1, 0)
    (planned,) = plan_tables(statistics, [scan])
    table = planned.tables[0][1]
    codes = {(1, 0): twin.huffman_codes(table.counts, table.values)}
    assert encode_scan(statistics, scan, planned.tables) == twin.to_bytes(slow, codes)


def test_strips_and_threads_do_not_change_the_bits(monkeypatch):
    image = random_image(5, 90, 130, [(2, 2), (1, 1), (1, 1)], 0.3)
    for interval in (0, 4):
        statistics = ScanStatistics(image, 2, interval)
        for scan in scans_of(image)[:3]:
            (planned,) = plan_tables(statistics, [scan])
            monkeypatch.setattr(entropy_encode, "STRIP_ROWS", 1000)
            whole = encode_scan(statistics, scan, planned.tables, threads=1)
            for rows in (1, 2, 3):
                monkeypatch.setattr(entropy_encode, "STRIP_ROWS", rows)
                assert encode_scan(statistics, scan, planned.tables, threads=3) == whole


def test_blocks_stay_within_the_stated_bound():
    """With the largest coefficients and the longest codes, the words suffice and the data is correct."""
    image = random_image(6, 64, 64, [(1, 1)])
    coefficients = image.components[0].coefficients
    coefficients[:] = 32767
    coefficients[:, :, 0] = np.where(np.indices((8, 8)).sum(0) % 2, 16383, -16383)
    statistics = ScanStatistics(image, 2)
    scan = ScanHeader((0,))
    (planned,) = plan_tables(statistics, [scan])
    assert planned.bits <= 64 * entropy_encode.MAX_BLOCK_BITS
    codes = {
        (table_class, 0): twin.huffman_codes(table.counts, table.values)
        for table_class, table in enumerate(planned.tables[0])
    }
    data = encode_scan(statistics, scan, planned.tables)
    assert data == twin.to_bytes(slow_scan(image, statistics, scan), codes)
    assert data.count(b"\xff\x00") > len(data) // 4  # stuffing is more than a quarter of the data


def test_values_without_a_symbol():
    image = random_image(7, 16, 8, [(1, 1)], 0.0)
    image.components[0].coefficients[0, 0, 9] = -32768
    with pytest.raises(UnsupportedError, match="AC coefficient"):
        ScanStatistics(image, 1)
    image.components[0].coefficients[0, 0, 9] = 0
    image.components[0].coefficients[0, :, 0] = 20000, -20000
    with pytest.raises(UnsupportedError, match="DC difference"):
        ScanStatistics(image, 1).symbols(ScanHeader((0,)))


def test_a_symbol_without_a_code_is_noticed():
    image = random_image(8, 40, 40, [(1, 1)])
    statistics = ScanStatistics(image, 2)
    other = ScanStatistics(random_image(8, 40, 40, [(1, 1)], 0.0), 2)
    scan = ScanHeader((0,))
    (planned,) = plan_tables(other, [scan])
    with pytest.raises(RuntimeError, match="no code"):
        encode_scan(statistics, scan, planned.tables)


@pytest.mark.parametrize(
    ("factor", "words"), [(0, "bits, but its statistics say"), (20, "longer than its statistics say")]
)
def test_coefficients_that_change_after_their_statistics_are_noticed(factor, words):
    """Otherwise the data would not be that of the coefficients, or exceed the memory for it."""
    image = random_image(8, 40, 40, [(1, 1)])
    statistics = ScanStatistics(image, 2)
    scan = ScanHeader((0,))
    tables = [(STANDARD_HUFFMAN_TABLES[0, 0], STANDARD_HUFFMAN_TABLES[1, 0])]
    assert encode_scan(statistics, scan, tables)
    image.components[0].coefficients *= factor
    with pytest.raises(RuntimeError, match=words):
        encode_scan(statistics, scan, tables)


def test_extra_bits_of_symbols():
    assert AC_EXTRA_BITS[0x00] == 0  # EOB0, a run of one block
    assert AC_EXTRA_BITS[0xE0] == 14
    assert AC_EXTRA_BITS[0xF0] == 0
    assert AC_EXTRA_BITS[0x3A] == 10
