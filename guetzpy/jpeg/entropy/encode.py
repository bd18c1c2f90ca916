"""Encoding of coefficients into the entropy-coded data of one scan (T.81 F.1.2 and G.1.2).

Encoding has two steps. First, each component's codes are written into 64-bit words, most significant bit
first, without byte stuffing; the end of each MCU or restart interval is recorded (``encode_kernels.py``).
Then :mod:`guetzpy.jpeg.entropy.bitstream` joins these pieces in the order of the scan.

The statistics of the scan give its exact number of bits, which bounds the number of words. Stuffing at most
doubles the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.jpeg.entropy.bitstream import Pieces, join
from guetzpy.jpeg.entropy.encode_kernels import MAX_BLOCK_BITS, pack_ac, pack_mcus
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.entropy.scan_statistics import ScanStatistics
from guetzpy.jpeg.entropy.statistics import MAX_EOB_RUN
from guetzpy.jpeg.structure import ScanHeader

__all__ = ["MAX_BLOCK_BITS", "encode_scan"]

#: MCU rows per task of a thread.
STRIP_ROWS = 32


def encode_scan(
    statistics: ScanStatistics,
    scan: ScanHeader,
    tables: Sequence[tuple[HuffmanTable | None, HuffmanTable | None]],
    *,
    threads: int | None = None,
) -> bytes:
    """Return the entropy-coded data of a scan.

    Parameters
    ----------
    statistics : ScanStatistics
        Statistics of the image.
    scan : ScanHeader
        Header of the scan.
    tables : sequence of (DC table, AC table)
        Tables of each component of the scan; None for a table that the scan does not use.
    threads : int, optional
        As in :func:`guetzpy._runtime.threads.each`.

    Raises
    ------
    RuntimeError
        If a symbol has no code, or the data is not as long as the statistics say.
    """
    codes = np.zeros((2, len(tables), 256), np.uint32)
    for place, pair in enumerate(tables):
        for table_class, table in enumerate(pair):
            if table is not None:
                codes[table_class, place] = table.codes()
    bits = statistics.raw_bits(scan)
    for index, table_class, histogram in statistics.symbols(scan):
        lengths = codes[table_class, scan.components.index(index)] & 31
        if np.any((lengths == 0) & (histogram > 0)):
            raise RuntimeError("a symbol of the scan has no code in its table")
        bits += int(histogram @ lengths)
    pieces = (
        _ac_scan(statistics, scan, codes, bits)
        if scan.ss > 0
        else _mcu_scan(statistics, scan, codes, bits, threads)
    )
    if pieces.lengths.sum() != bits:
        raise RuntimeError(f"a scan has {pieces.lengths.sum()} bits, but its statistics say {bits}")
    return join(pieces)


def _ac_scan(
    statistics: ScanStatistics, scan: ScanHeader, codes: npt.NDArray[np.uint32], bits: int
) -> Pieces:
    index = scan.components[0]
    blocks, masks = statistics.blocks[index], statistics.significance[index].masks
    interval = statistics.restart_interval
    ends = np.zeros(-(-len(blocks) // interval) if interval else 1, np.int64)
    words = np.empty(bits // 64 + 2, np.uint64)
    known = masks[scan.ah] if scan.ah else masks[scan.al]
    pack_ac(
        blocks,
        masks[scan.al],
        known,
        codes[1, 0],
        scan.ss,
        scan.se,
        scan.ah,
        scan.al,
        interval,
        words,
        ends,
        np.empty(MAX_EOB_RUN + 160, np.uint64),
        np.empty(MAX_EOB_RUN + 160, np.int64),
    )
    starts = np.concatenate([[0], ends[:-1]])
    return Pieces(words, starts, ends - starts, 1 if interval else 0)


def _mcu_scan(
    statistics: ScanStatistics,
    scan: ScanHeader,
    codes: npt.NDArray[np.uint32],
    bits: int,
    threads: int | None,
) -> Pieces:
    interval = statistics.restart_interval
    rows, columns = statistics.mcus(scan.components)
    strips = range(0, rows, STRIP_ROWS)
    samplings = [statistics.sampling(scan.components, index) for index in scan.components]
    # The scan's total and a bound per strip limit the words. Memory pages of np.empty that no code
    # reaches are never allocated.
    strip_words = (
        min(bits, STRIP_ROWS * columns * max(h * v for h, v in samplings) * MAX_BLOCK_BITS) // 64 + 1
    )
    words = np.empty(len(scan.components) * len(strips) * strip_words + 1, np.uint64)
    ends = np.zeros((len(scan.components), rows, columns), np.int64)
    starts = np.zeros_like(ends)

    def pack(task: tuple[int, int]) -> None:
        place, first = task
        index = scan.components[place]
        own_ends = ends[place, first : first + STRIP_ROWS].reshape(-1)
        base = (place * len(strips) + first // STRIP_ROWS) * strip_words
        needed = pack_mcus(
            np.ascontiguousarray(statistics.image.components[index].coefficients),
            statistics.significance[index].masks[0],
            codes[0, place], codes[1, place], *samplings[place], columns,
            first, min(first + STRIP_ROWS, rows), int(scan.se > 0), scan.ah, scan.al, interval,
            words[base : base + strip_words], own_ends, np.empty(72, np.uint64), np.empty(72, np.int64),
        )  # fmt: skip
        if needed > strip_words:
            raise RuntimeError("a scan is longer than its statistics say")
        own_ends += 64 * base
        own_starts = starts[place, first : first + STRIP_ROWS].reshape(-1)
        own_starts[0] = 64 * base
        own_starts[1:] = own_ends[:-1]

    each(pack, [(place, first) for place in range(len(scan.components)) for first in strips], threads)
    if len(scan.components) == 1 and not interval:
        firsts = starts[0, ::STRIP_ROWS, 0].copy()
        lasts = np.append(ends[0, STRIP_ROWS - 1 : -1 : STRIP_ROWS, -1], ends[0, -1, -1])
        return Pieces(words, firsts, lasts - firsts, 0)
    order = (len(scan.components), rows * columns)
    return Pieces(
        words,
        starts.reshape(order).T.reshape(-1),
        (ends - starts).reshape(order).T.reshape(-1),
        interval * len(scan.components),
    )
