"""Search for the progressive script with the fewest bytes.

No scan is coded. One pass over the blocks of a component gives the exact bits of every band that begins and
ends at a few given positions (:func:`band_histograms`), for first scans at a point transform Al and for
refinements. For each Al, dynamic programming then finds the partition of the spectrum into bands with the
fewest bits. Last, the best Al is found for each part of the spectrum. The bands of refinements may differ
from those of first scans: decoders only need each coefficient to be sent bit by bit (T.81 G.1.1.1.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.jpeg.entropy.scan_statistics import AC_EXTRA_BITS, ScanStatistics
from guetzpy.jpeg.entropy.tables import RESTART_BYTES, STUFFING, plan_tables, table_bits
from guetzpy.jpeg.structure import ScanHeader

__all__ = ["SEARCHED_LEVELS", "search_script"]

#: Zigzag positions where bands may begin, and 64. They are those that a search over all 63 positions chose
#: most often. Against that search photos lose 0.1 % at qualities 60 to 90 and 0.2 % at 96.
BAND_STARTS = (1, 2, 3, 4, 6, 9, 10, 13, 19, 25, 64)

#: Point transforms that may be tried: 0 to 5. The search stops when one more does not save bytes.
SEARCHED_LEVELS = 6

# Bits of a scan besides its data and table: an SOS segment of ten bytes, half a DHT segment's four bytes
# (about two tables share one), half a byte of padding.
_SCAN_OVERHEAD = 8 * 12 + 4


class _Partitions:
    """The partition into bands with the fewest bits, for every range of segments.

    Parameters
    ----------
    bits : ndarray of float64, shape (m, m)
        ``[i, j]``, i <= j: bits of the scan of segments i to j, with its headers.

    Attributes
    ----------
    best : list of list of float, m by m + 1
        ``[i][j]``: bits of segments i to j - 1 in their best partition.
    """

    def __init__(self, bits: npt.NDArray[np.float64]) -> None:
        # Lists instead of arrays: for a few dozen numbers, numpy is several times slower.
        ending = bits.T.tolist()  # [j][i]: the scan of segments i to j
        m = len(ending)
        self.best: list[list[float]] = []
        self._last: list[list[int]] = []
        for i in range(m):
            best = [math.inf] * i + [0.0]
            last = [0] * (i + 1)
            for j in range(i, m):
                scan = ending[j]
                least, begin = min((best[k] + scan[k], k) for k in range(i, j + 1))
                best.append(least)
                last.append(begin)
            self.best.append(best)
            self._last.append(last)

    def bands(self, i: int, j: int) -> list[tuple[int, int]]:
        """Return the bands of the best partition as (first segment, last segment + 1)."""
        bands = []
        while j > i:
            bands.append((self._last[i][j], j))
            j = bands[-1][0]
        return bands[::-1]


def _runs(flags: Sequence[object]) -> list[tuple[int, int]]:
    """Return the maximal ranges of equal adjacent items as (begin, end)."""
    edges = [0, *(k for k in range(1, len(flags)) if flags[k] != flags[k - 1]), len(flags)]
    return list(pairwise(edges))


@lru_cache(maxsize=1 << 14)  # the search evaluates the same levels many times
def _ranges(levels: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Return the ranges of segments that are partitioned into bands independently, as (ah, al, begin, end).

    Segment s has its first scan at point transform ``levels[s]``.
    """
    ranges = [(0, levels[i], i, j) for i, j in _runs(levels)]
    for al in range(max(levels)):
        deeper = [level > al for level in levels]
        ranges += [(al + 1, al, i, j) for i, j in _runs(deeper) if deeper[i]]
    return ranges


def _band_bits(
    statistics: ScanStatistics, index: int, starts: Sequence[int], ah: int, al: int
) -> npt.NDArray[np.float64]:
    """Return the bits of every AC scan between ``starts``, with its headers, shape (m, m)."""
    i, j = np.triu_indices(len(starts) - 1)
    used = statistics.remember_bands(index, starts, ah, al)[i, j]
    data = table_bits(used) + used @ AC_EXTRA_BITS
    if ah:
        known = np.append(0, statistics.significance[index].counts[ah].cumsum())
        bounds = np.array(starts)
        data += known[bounds[j + 1]] - known[bounds[i]]
    restarts = statistics.restarts(ScanHeader((index,), 1, 63, ah, al))
    bits = np.full((len(starts) - 1, len(starts) - 1), np.inf)
    bits[i, j] = data * (1 + STUFFING) + _SCAN_OVERHEAD + 8 * RESTART_BYTES * restarts
    return bits


@dataclass(frozen=True)
class _Chain:
    """Adjacent bands of one component and point transform: band n is ``edges[n]`` to ``edges[n + 1] - 1``."""

    index: int
    ah: int
    al: int
    edges: tuple[int, ...]

    def scans(self) -> list[ScanHeader]:
        return [ScanHeader((self.index,), i, j - 1, self.ah, self.al) for i, j in pairwise(self.edges)]

    def refined(self, statistics: ScanStatistics) -> _Chain:
        """Return the best chain with edges among these, their neighbours and positions between them."""
        begin, end = self.edges[0], self.edges[-1]
        near = [edge + step for step in (1, -1) for edge in self.edges[1:-1]]
        near += [begin + 1, begin + 2]
        near += [round((i * j) ** 0.5) for i, j in pairwise(self.edges)]
        near += [edge + step for step in (2, -2) for edge in self.edges[1:-1]]
        places = dict.fromkeys((*self.edges, *(place for place in near if begin < place < end)))
        starts = sorted(list(places)[: len(BAND_STARTS)])
        if len(starts) == len(self.edges):
            return self
        bands = _Partitions(_band_bits(statistics, self.index, starts, self.ah, self.al)).bands(
            0, len(starts) - 1
        )
        return replace(self, edges=(*(starts[i] for i, _ in bands), end))


class _ComponentSearch:
    """Search for the scans of one component's AC coefficients."""

    def __init__(self, statistics: ScanStatistics, index: int) -> None:
        self.statistics = statistics
        self.index = index
        self.first: dict[int, _Partitions] = {}
        self.refinement: dict[int, _Partitions] = {}
        self.levels: tuple[int, ...] = (0,) * (len(BAND_STARTS) - 1)
        self.bits = np.inf

    def measure(self, ah: int, al: int) -> None:
        """Compute the best partitions of first scans at ``al``, or of refinements from ``ah`` to ``al``."""
        bits = _band_bits(self.statistics, self.index, BAND_STARTS, ah, al)
        (self.refinement if ah else self.first)[al] = _Partitions(bits)

    def cost(self, levels: tuple[int, ...]) -> float:
        """Return the bits of all scans if segment s has its first scan at point transform ``levels[s]``."""
        first, refinement = self.first, self.refinement
        return sum((refinement if ah else first)[al].best[i][j] for ah, al, i, j in _ranges(levels))

    def improve(self) -> bool:
        """Improve ``levels`` with the point transforms measured so far; return whether bits were saved."""
        before = self.bits
        m = len(self.levels)
        uniform = [(level,) * m for level in self.first]
        self.levels = min([self.levels, *uniform], key=self.cost)
        self.bits = self.cost(self.levels)
        better = True
        while better:
            better = False
            trials = {
                self.levels[:i] + (level,) * (j - i) + self.levels[j:]
                for i in range(m)
                for j in range(i + 1, m + 1)
                for level in self.first
            }
            bits, trial = min((self.cost(trial), trial) for trial in trials)
            if bits < self.bits:
                self.levels, self.bits, better = trial, bits, True
        return self.bits < before

    def chains(self) -> list[_Chain]:
        """Return the scans of the best levels as chains."""
        found = []
        for ah, al, begin, end in _ranges(self.levels):
            bands = (self.refinement if ah else self.first)[al].bands(begin, end)
            edges = (*(BAND_STARTS[i] for i, _ in bands), BAND_STARTS[end])
            found.append(_Chain(self.index, ah, al, edges))
        return found


def _dc_scripts(statistics: ScanStatistics) -> list[list[ScanHeader]]:
    """Return the DC scripts to compare: interleaved, first component separate, all components separate.

    In a scan of its own, luma is predicted from the block to the left. In an interleaved 4:2:0 scan, two of
    four blocks are predicted from more distant blocks, which takes 5 % more DC data. All scripts send DC at
    Al = 0, because Al = 1 with a refinement took 0.3 to 3 % more on photos.
    """
    components = statistics.image.components
    indices = tuple(range(len(components)))
    groupings = {(indices,), (indices[:1], indices[1:]), tuple((index,) for index in indices)}

    def legal(group: tuple[int, ...]) -> bool:
        return len(group) == 1 or 0 < sum(components[i].h * components[i].v for i in group) <= 10

    return [
        [ScanHeader(group, 0, 0, 0, 0) for group in grouping]
        for grouping in sorted(groupings)
        if all(legal(group) for group in grouping)
    ]


def _call(work: Callable[[], object]) -> None:
    work()


def search_script(statistics: ScanStatistics, threads: int | None = None) -> list[ScanHeader]:
    """Return the best progressive script that the search finds.

    Parameters
    ----------
    statistics : ScanStatistics
        Statistics of the image, with at least ``SEARCHED_LEVELS + 1`` levels.
    threads : int, optional
        As in :func:`guetzpy._runtime.threads.each`; the result does not depend on it.
    """
    searches = [_ComponentSearch(statistics, index) for index in range(len(statistics.image.components))]
    dc_scripts = _dc_scripts(statistics)
    work: list[Callable[[], object]] = [
        partial(search.measure, ah, al) for ah, al in ((0, 0), (0, 1), (1, 0)) for search in searches
    ]
    work += [call for script in dc_scripts for call in statistics.counting(script)]
    each(_call, work, threads)

    active = [search for search in searches if search.improve() and max(search.levels) == 1]
    for level in range(2, SEARCHED_LEVELS):
        steps = ((0, level), (level, level - 1))
        each(_call, [partial(search.measure, ah, al) for ah, al in steps for search in active], threads)
        active = [search for search in active if search.improve()]

    chains = [chain for search in searches for chain in search.chains()]

    def refine(number: int) -> None:
        chains[number] = chains[number].refined(statistics)

    each(refine, range(len(chains)), threads)
    scans = [scan for chain in chains for scan in chain.scans()]
    # Send high bits before low bits, and low frequencies before high ones.
    scans.sort(key=lambda scan: (scan.ah > 0, -scan.al if scan.ah else 0, scan.ss, scan.components))
    return min(dc_scripts, key=lambda s: sum(scan.bytes for scan in plan_tables(statistics, s))) + scans
