"""Scan scripts: which are legal, and whether the search finds the one with the fewest bytes."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guetzpy.jpeg import scans
from guetzpy.jpeg.entropy import script_search
from guetzpy.jpeg.entropy.scan_statistics import ScanStatistics
from guetzpy.jpeg.entropy.statistics import band_histograms, significance
from guetzpy.jpeg.entropy.tables import STUFFING, plan_tables, table_bits
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import JpegImage, ScanHeader
from guetzpy.jpeg.writer import write


@pytest.fixture(scope="module")
def photo(photo_array) -> JpegImage:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(photo_array, (2, 2, 1))).save(buffer, "JPEG", quality=92)
    return read(buffer.getvalue())


def simple(photo: JpegImage) -> list[ScanHeader]:
    return scans.simple_progression(photo)


@pytest.mark.parametrize("size", [(128, 96), (400, 300)])
def test_the_same_tables_every_time(photo_array, size):
    """Shared tables must not depend on ``id()``, which Python reuses for new objects."""
    buffer = io.BytesIO()
    Image.fromarray(photo_array).resize(size).save(buffer, "JPEG", quality=30, subsampling=0)
    image = read(buffer.getvalue())
    assert len({write(image, script=simple(image)) for _ in range(30)}) == 1


def test_fixed_scripts_are_legal(photo):
    scans.check_script(photo, simple(photo))
    scans.check_script(photo, scans.sequential_script(photo))
    assert scans.sequential_script(photo) == [ScanHeader((0, 1, 2))]
    gray = JpegImage(photo.width, photo.height, photo.components[:1], "gray")
    scans.check_script(gray, simple(gray))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:-1], "in full"),
        (lambda s: s[1:], "does not continue"),
        (lambda s: [*s, s[-1]], "does not continue"),
        (lambda s: [s[1], s[0], *s[2:]], "does not continue"),
        (lambda s: [*s[:2], ScanHeader((1, 2), 1, 63, 0, 1), *s[4:]], "AC scans have one component"),
        (lambda s: [ScanHeader((0, 1, 2), 0, 5, 0, 1), *s[2:]], "DC and AC need separate scans"),
        (lambda s: [ScanHeader((0, 2, 1), 0, 0, 0, 1), *s[1:]], "order of the frame"),
        (lambda s: [ScanHeader((0, 1, 3), 0, 0, 0, 1), *s[1:]], "no such component"),
        (lambda s: [ScanHeader((), 0, 0, 0, 1), *s[1:]], "no such component"),
        (lambda s: [*s[:1], ScanHeader((0,), 1, 64, 0, 0), *s[2:]], "out of range"),
        (lambda s: [*s[:1], ScanHeader((0,), 5, 1, 0, 0), *s[2:]], "out of range"),
        (lambda s: [*s[:1], ScanHeader((0,), 1, 5, 0, 14), *s[2:]], "out of range"),
        (lambda s: [*s[:1], ScanHeader((0,), 1, 63, 3, 1), *s[2:]], "out of range"),
        (lambda s: [ScanHeader((0, 1))], "each component once"),
        (lambda s: [ScanHeader((0, 1, 2)), ScanHeader((0,))], "each component once"),
        (lambda s: [ScanHeader((1, 0, 2))], "order of the frame"),
        (lambda s: [], "each component once"),
    ],
)
def test_illegal_scripts(photo, change, message):
    with pytest.raises(ValueError, match=message):
        scans.check_script(photo, change(simple(photo)))


def test_more_than_ten_blocks_in_an_mcu(photo):
    wide = JpegImage(photo.width, photo.height, list(photo.components), "ycbcr")
    for component, (h, v) in zip(wide.components, [(4, 2), (2, 1), (1, 1)], strict=True):
        component.h, component.v = h, v
    try:
        with pytest.raises(ValueError, match="ten blocks"):
            scans.check_script(wide, [ScanHeader((0, 1, 2))])
        assert scans.sequential_script(wide) == [ScanHeader((0,)), ScanHeader((1,)), ScanHeader((2,))]
    finally:
        for component, (h, v) in zip(wide.components, [(2, 2), (1, 1), (1, 1)], strict=True):
            component.h, component.v = h, v


def test_search_is_legal_and_no_worse_than_fixed_scripts(photo):
    script, size = scans.choose(photo)
    scans.check_script(photo, script)
    statistics = ScanStatistics(photo, 7)
    for other in (simple(photo), scans.sequential_script(photo)):
        assert size < scans.total_bytes(plan_tables(statistics, other))
    assert scans.choose(photo, threads=1) == (script, size)


def test_size_is_exact_but_for_stuffing(photo):
    for script in (scans.choose(photo)[0], simple(photo), scans.sequential_script(photo)):
        data = write(photo, script=script)
        planned = plan_tables(ScanStatistics(photo, 7), script)
        first = min(data.index(b"\xff\xc4"), data.index(b"\xff\xda"))
        stuffed = data[first:].count(b"\xff\x00")
        unstuffed = sum(scan.bytes - (scan.bits + 7) // 8 * STUFFING for scan in planned)
        assert len(data) - first - stuffed - 2 - len(photo.trailing) == pytest.approx(unstuffed)


def test_prices_of_symbols(photo):
    """Code lengths and extra bits of all symbols add up to the bits of a scan."""
    for script in (scans.sequential_script(photo), simple(photo)):
        for scan in scans.plan(photo, script):
            bits = 0
            statistics = ScanStatistics(photo, 4)
            for index, table_class, histogram in statistics.symbols(scan.header):
                table = scan.tables[scan.header.components.index(index)][table_class]
                bits += int(histogram @ table.lengths())
                assert (table.lengths() > 0)[histogram > 0].all()
            assert bits + statistics.raw_bits(scan.header) == scan.bits


def test_small_pictures_are_sequential(photo):
    tiny = JpegImage(16, 16, [], "gray")
    tiny.components = [photo.components[0]]
    tiny.components[0].coefficients, whole = (
        photo.components[0].coefficients[:2, :2],
        tiny.components[0].coefficients,
    )
    try:
        assert scans.choose(tiny)[0] == [ScanHeader((0,))]
    finally:
        photo.components[0].coefficients = whole


def test_dynamic_programming_finds_the_best_bands(photo):
    """The bands are those with the fewest bits among all partitions of the spectrum."""
    starts = (1, 3, 6, 13, 64)
    blocks = np.ascontiguousarray(photo.components[0].coefficients).reshape(-1, 64)
    histograms = band_histograms(blocks, significance(blocks, 2), starts, 0, 0)
    bits = table_bits(histograms.reshape(-1, 256)).reshape(4, 4).astype(float)
    partitions = script_search._Partitions(bits)
    for i, j in itertools.combinations(range(5), 2):
        costs = {}
        for size in range(j - i):
            for inner in itertools.combinations(range(i + 1, j), size):
                edges = [i, *inner, j]
                costs[tuple(itertools.pairwise(edges))] = sum(
                    bits[a, b - 1] for a, b in itertools.pairwise(edges)
                )
        assert partitions.best[i][j] == pytest.approx(min(costs.values()))
        assert costs[tuple(partitions.bands(i, j))] == pytest.approx(min(costs.values()))


def test_predicted_bits_of_a_component_are_those_of_its_script(photo):
    """The sum over bands that the search minimises equals the bits by the statistics of its scans."""
    statistics = ScanStatistics(photo, 7)
    search = script_search._ComponentSearch(statistics, 0)
    for ah, al in ((0, 0), (0, 1), (1, 0)):
        search.measure(ah, al)
    search.improve()
    script = [scan for chain in search.chains() for scan in chain.scans()]
    sizes = 0.0
    for scan in script:
        ((_, _, histogram),) = statistics.symbols(scan)
        data = int(table_bits(histogram[None])[0]) + statistics.raw_bits(scan)
        sizes += data * (1 + STUFFING) + script_search._SCAN_OVERHEAD
    assert search.bits == pytest.approx(sizes)
    # Another point transform for any range of segments does not take fewer bits.
    for level in (0, 1):
        for i, j in itertools.combinations(range(len(search.levels) + 1), 2):
            trial = search.levels[:i] + (level,) * (j - i) + search.levels[j:]
            assert search.cost(trial) >= search.bits


def test_refined_chains_send_the_same_in_no_more_bits(photo):
    statistics = ScanStatistics(photo, 7)

    def bits(chain):
        histograms = [statistics.symbols(scan)[0][2] for scan in chain.scans()]
        return table_bits(np.stack(histograms)).sum() + sum(map(statistics.raw_bits, chain.scans()))

    for ah, al, edges in ((0, 0, (1, 6, 64)), (0, 2, (3, 64)), (1, 0, (1, 64)), (2, 1, (5, 6, 7))):
        chain = script_search._Chain(0, ah, al, edges)
        refined = chain.refined(statistics)
        assert (refined.edges[0], refined.edges[-1]) == (edges[0], edges[-1])
        overhead = script_search._SCAN_OVERHEAD * (len(refined.edges) - len(edges))
        assert bits(refined) * (1 + STUFFING) + overhead <= bits(chain) * (1 + STUFFING) + 1e-6


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12))
@settings(deadline=None)
def test_runs_of_equal_items(items):
    runs = script_search._runs(items)
    assert [items[i] for i, j in runs for _ in range(i, j)] == items
    assert all(items[a[0]] != items[b[0]] for a, b in itertools.pairwise(runs))
