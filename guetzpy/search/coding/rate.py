"""Costs of symbols in bits, estimated from the levels of an earlier pass.

The costs are entropies and not lengths of Huffman codes. Entropies change smoothly with the counts, exist for
symbols that did not occur, and differ from the code lengths of the final file by a few per cent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import log2
from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.jpeg.structure import NATURAL_ORDER
from guetzpy.search.coding.trellis import Rate

__all__ = ["measure"]

#: Blocks of one work item; fixed, so that results do not depend on the number of threads. An end-of-band run
#: does not continue in the next work item, which changes the number of runs by less than 1 in 1000.
_STRIP = 4096


@kernel("int64(int16[:, ::1], int64[::1], int64[:, ::1], int64[:, ::1], int64[:, ::1])")
def _count(
    levels: Any,
    natural_order: Any,
    bands: Any,
    symbols: Any,
    runs: Any,
) -> int:
    """Count the symbols of scans with spectral selection (T.81 G.1.2.2).

    ``symbols[band]`` counts the run/size and EOBn symbols. ``runs[band]`` counts end-of-band runs, the blocks
    in these runs, and the blocks with at least one nonzero level in the band.
    """
    for band in range(bands.shape[0]):
        first = bands[band, 0]
        last = bands[band, 1]
        ended = np.int64(0)
        for block in range(levels.shape[0]):
            run = np.int64(0)
            filled = False
            for k in range(first, last + 1):
                level = np.int64(levels[block, natural_order[k]])
                if level == 0:
                    run += 1
                    continue
                if ended > 0:
                    size = np.int64(0)
                    while ended >> (size + 1) > 0:
                        size += 1
                    symbols[band, min(size, np.int64(14)) << 4] += 1
                    runs[band, 0] += 1
                    ended = np.int64(0)
                while run > 15:
                    symbols[band, 0xF0] += 1
                    run -= 16
                level = abs(level)
                size = np.int64(0)
                while level > 0:
                    size += 1
                    level >>= 1
                symbols[band, (run << 4) | size] += 1
                run = np.int64(0)
                filled = True
            if filled:
                runs[band, 2] += 1
            if run > 0:
                ended += 1
                runs[band, 1] += 1
                if ended == 0x7FFF:
                    symbols[band, 14 << 4] += 1
                    runs[band, 0] += 1
                    ended = np.int64(0)
        if ended > 0:
            size = np.int64(0)
            while ended >> (size + 1) > 0:
                size += 1
            symbols[band, min(size, np.int64(14)) << 4] += 1
            runs[band, 0] += 1
    return 0


def measure(levels: npt.NDArray[np.int16], bands: npt.NDArray[np.int64], threads: int | None = None) -> Rate:
    """Return the costs of the symbols that code some levels.

    Parameters
    ----------
    levels : ndarray of int16, shape (blocks_y, blocks_x, 64)
        Quantised coefficients of a component, natural order.
    bands : ndarray of int64, shape (n, 2)
        First and last zigzag index of each band.
    threads : int, optional
        Number of threads; None: the processors available.

    Returns
    -------
    Rate
        Costs in bits, at most 16 a symbol, the longest Huffman code (T.81 C.2).
    """
    blocks = levels.reshape(-1, 64)
    starts = range(0, len(blocks), _STRIP)
    counted = np.zeros((len(starts), len(bands), 256), np.int64)
    run = np.zeros((len(starts), len(bands), 3), np.int64)
    order = NATURAL_ORDER.copy()

    def strip(index: int) -> None:
        part = blocks[starts[index] : starts[index] + _STRIP]
        _count(part, order, bands, counted[index], run[index])

    each(strip, range(len(starts)), threads)
    counts, runs = counted.sum(axis=0), run.sum(axis=0)
    symbols = np.zeros((len(bands), 256), np.float32)
    eob = np.zeros((len(bands), 2), np.float32)
    for band in range(len(bands)):
        total = int(counts[band].sum())
        # Half an occurrence is added to each of the 256 symbols. A symbol that did not occur then costs about
        # as much as the longest codes of an optimal Huffman table.
        offset = log2(total + 128.0)
        symbols[band] = min(offset - log2(0.5), 16.0)
        for symbol in np.flatnonzero(counts[band]):
            symbols[band, symbol] = min(offset - log2(int(counts[band, symbol]) + 0.5), 16.0)
        bits = sum(int(counts[band, n << 4]) * (float(symbols[band, n << 4]) + n) for n in range(15))
        # The whole cost of an EOBn symbol is counted at the block that begins the run, which mostly has a
        # nonzero level. A block without a nonzero level mostly continues a run, which costs nearly nothing.
        eob[band, 1] = bits / max(int(runs[band, 0]), 1)
        eob[band, 0] = 0.1
    return Rate(bands, symbols, eob)
