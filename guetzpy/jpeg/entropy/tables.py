"""Plan the Huffman tables of a file: which scans share a table, its slot, and where DHT defines it.

A table takes 17 bytes and one more per symbol, so two scans with similar statistics take fewer bytes with a
common table. Decoders have four slots of each class (two for baseline files, T.81 table B.5). A table
occupies its slot from the first to the last scan that uses it. A DHT segment takes four bytes itself.
Therefore each DHT segment defines the tables of later scans too, as far as slots are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.entropy.huffman import HuffmanTable, code_lengths, optimal_table
from guetzpy.jpeg.entropy.scan_statistics import ScanStatistics
from guetzpy.jpeg.structure import ScanHeader

__all__ = ["RESTART_BYTES", "STUFFING", "PlannedScan", "plan_tables", "table_bits"]

#: Expected number of stuffed zeros per byte of entropy-coded data: 0.9/256, measured over 60 scans of photos.
#: It is below 1/256 because no code consists of ones only.
STUFFING = 0.9 / 256

#: Expected bytes per restart: two of the marker and half a byte of padding.
RESTART_BYTES = 2.5


@dataclass(frozen=True)
class PlannedScan:
    """A scan with its Huffman tables.

    Attributes
    ----------
    header : ScanHeader
        Header of the scan.
    tables : tuple of (HuffmanTable or None, HuffmanTable or None)
        DC and AC table of each component of the scan; None if not used.
    slots : tuple of (int, int)
        DC and AC slot of each component; 0 if not used.
    definitions : tuple of (int, int, HuffmanTable)
        Class, slot and table of each definition in the DHT segment before the scan; empty for no segment.
    bits : int
        Exact number of bits of the entropy-coded data before padding, stuffing and restart markers.
    restarts : int
        Number of restart markers.
    """

    header: ScanHeader
    tables: tuple[tuple[HuffmanTable | None, HuffmanTable | None], ...]
    slots: tuple[tuple[int, int], ...]
    definitions: tuple[tuple[int, int, HuffmanTable], ...]
    bits: int
    restarts: int

    @property
    def bytes(self) -> float:
        """Bytes of DHT and SOS segments and data; stuffing and padding before restarts are estimated."""
        size = 8 + 2 * len(self.header.components) + RESTART_BYTES * self.restarts
        if self.definitions:
            size += 4 + sum(table.size for _, _, table in self.definitions)
        return size + (self.bits + 7) // 8 * (1 + STUFFING)


@dataclass
class _Group:
    """The uses of one table: places (scan, component) and the sum of their histograms.

    ``number`` identifies the group. ``id()`` would not, because Python reuses the ids of deleted objects.
    """

    number: int
    places: list[tuple[int, int]]
    histogram: npt.NDArray[np.int64]
    cost: int

    @property
    def first(self) -> int:
        return min(scan for scan, _ in self.places)

    @property
    def last(self) -> int:
        return max(scan for scan, _ in self.places)


def table_bits(histograms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the bits of all codes under the optimal table, plus the bits of the table in a DHT segment.

    Parameters
    ----------
    histograms : ndarray of int64, shape (n, 256)
        Number of occurrences of each symbol.

    Returns
    -------
    ndarray of int64, shape (n,)
        0 for empty histograms.
    """
    lengths = code_lengths(histograms)
    symbols = np.count_nonzero(lengths, axis=-1)
    result: npt.NDArray[np.int64] = (histograms * lengths).sum(-1) + np.where(
        symbols > 0, 8 * (17 + symbols), 0
    )
    return result


def _most_live(groups: Sequence[_Group]) -> tuple[int, int]:
    """Return the largest number of tables in use during one scan, and the number of that scan."""
    return max((sum(g.first <= scan <= g.last for g in groups), scan) for scan in {g.first for g in groups})


def _share(groups: list[_Group], slots: int) -> list[_Group]:
    """Merge groups of uses into shared tables.

    While more tables are in use than there are ``slots``, the pair is merged that saves most (or costs
    least) among those in use at the most crowded scan. After that, pairs are merged while that saves bits
    and the slots suffice.
    """
    gains: dict[tuple[int, int], int] = {}
    number = len(groups)
    while len(groups) > 1:
        pairs = [(a, b) for i, a in enumerate(groups) for b in groups[:i]]
        new = [(a, b) for a, b in pairs if (a.number, b.number) not in gains]
        if new:
            merged = table_bits(np.stack([a.histogram + b.histogram for a, b in new]))
            for (a, b), cost in zip(new, merged.tolist(), strict=True):
                gains[a.number, b.number] = a.cost + b.cost - cost
        live, crowded = _most_live(groups)
        for a, b in sorted(pairs, key=lambda pair: -gains[pair[0].number, pair[1].number]):
            gain = gains[a.number, b.number]
            both = _Group(number, a.places + b.places, a.histogram + b.histogram, a.cost + b.cost - gain)
            rest = [group for group in groups if group is not a and group is not b]
            if live > slots:
                wanted = a.first <= crowded <= a.last and b.first <= crowded <= b.last
            else:
                wanted = gain > 0 and _most_live([*rest, both])[0] <= slots
            if wanted:
                groups, number = [*rest, both], number + 1
                break
        else:
            break
    return groups


def plan_tables(statistics: ScanStatistics, script: Sequence[ScanHeader]) -> list[PlannedScan]:
    """Choose the Huffman tables of all scans.

    Parameters
    ----------
    statistics : ScanStatistics
        Statistics of the image.
    script : sequence of ScanHeader
        The scans in file order.

    Returns
    -------
    list of PlannedScan
        The scans with their tables. Never more than two tables of each class are in use if the script is
        sequential, else never more than four.
    """
    sequential = all(scan.ss == 0 and scan.se == 63 for scan in script)
    uses: list[list[tuple[int, int, npt.NDArray[np.int64]]]] = [[], []]
    for number, scan in enumerate(script):
        for index, table_class, histogram in statistics.symbols(scan):
            if histogram.any():
                uses[table_class].append((number, scan.components.index(index), histogram))

    order: list[tuple[int, int, _Group]] = []  # (first scan, class, group)
    for table_class in (0, 1):
        if uses[table_class]:
            costs = table_bits(np.stack([histogram for _, _, histogram in uses[table_class]])).tolist()
            groups = [
                _Group(i, [(number, place)], histogram, cost)
                for i, ((number, place, histogram), cost) in enumerate(
                    zip(uses[table_class], costs, strict=True)
                )
            ]
            order += [(g.first, table_class, g) for g in _share(groups, 2 if sequential else 4)]
    order.sort(key=lambda item: (item[0], item[1], min(item[2].places)))

    tables = {
        (table_class, place): (optimal_table(group.histogram), group)
        for _, table_class, group in order
        for place in group.places
    }
    slot_of: dict[int, int] = {}
    busy: list[list[int]] = [[-1] * (2 if sequential else 4) for _ in range(2)]  # last scan using each slot
    planned = []
    for number, scan in enumerate(script):
        definitions = []
        if order and order[0][0] == number:
            while order:
                _, table_class, group = order[0]
                free = [slot for slot, last in enumerate(busy[table_class]) if last < number]
                if not free:
                    break
                slot_of[id(group)] = free[0]
                busy[table_class][free[0]] = group.last
                definitions.append((table_class, free[0], tables[table_class, group.places[0]][0]))
                order.pop(0)
        pairs = []
        slots = []
        for place in range(len(scan.components)):
            found = [tables.get((table_class, (number, place))) for table_class in (0, 1)]
            pairs.append((found[0][0] if found[0] else None, found[1][0] if found[1] else None))
            slots.append(
                (slot_of[id(found[0][1])] if found[0] else 0, slot_of[id(found[1][1])] if found[1] else 0)
            )
        bits = statistics.raw_bits(scan)
        for index, table_class, histogram in statistics.symbols(scan):
            table = pairs[scan.components.index(index)][table_class]
            if table is not None:
                bits += int(histogram @ table.lengths())
        planned.append(
            PlannedScan(scan, tuple(pairs), tuple(slots), tuple(definitions), bits, statistics.restarts(scan))
        )
    return planned
