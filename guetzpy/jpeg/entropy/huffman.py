"""Optimal Huffman codes of at most 16 bits, as JPEG files carry them (T.81 annex C and K.2).

Code lengths come from the package-merge algorithm (Larmore and Hirschberg, "A fast algorithm
for optimal length-limited Huffman codes", JACM 37, 1990), so no set of lengths up to 16 codes the
same histogram in fewer bits. T.81 K.2 reaches the limit by an adjustment that is not always
optimal. As T.81 demands, no code consists of ones only: a symbol that never occurs takes that place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel

__all__ = ["MAX_CODE_LENGTH", "HuffmanTable", "code_lengths", "optimal_table"]

#: Longest code that a DHT segment can describe.
MAX_CODE_LENGTH = 16


@dataclass(frozen=True)
class HuffmanTable:
    """A Huffman table as a DHT segment describes it (T.81 B.2.4.2).

    Attributes
    ----------
    counts : tuple of int
        BITS: number of codes of each length 1..16.
    values : bytes
        HUFFVAL: the symbols in the order of their codes.
    """

    counts: tuple[int, ...]
    values: bytes

    @property
    def size(self) -> int:
        """Bytes within a DHT segment: class and slot, counts, symbols."""
        return 17 + len(self.values)

    def lengths(self) -> npt.NDArray[np.int64]:
        """Return the code length of each symbol, (256,); 0 for symbols without a code."""
        lengths = np.zeros(256, np.int64)
        lengths[list(self.values)] = np.repeat(np.arange(1, MAX_CODE_LENGTH + 1), self.counts)
        return lengths

    def codes(self) -> npt.NDArray[np.uint32]:
        """Return the code of each symbol as ``code << 5 | length``; 0 for symbols without a code.

        Codes of one length count upwards; each length starts at twice the next code of the length
        before (T.81 annex C).

        Returns
        -------
        ndarray of uint32, shape (256,)
        """
        packed = np.zeros(256, np.uint32)
        code = position = 0
        for length, count in enumerate(self.counts, 1):
            for symbol in self.values[position : position + count]:
                packed[symbol] = code << 5 | length
                code += 1
            position += count
            code <<= 1
        return packed


@kernel("int64(int64[:, ::1], uint8[:, ::1], int64[::1], int64[::1], uint8[:, ::1])")
def _package_merge(histograms: Any, lengths: Any, keys: Any, weights: Any, is_leaf: Any) -> Any:
    # keys: (257,); weights: (2 * 514,), two lists in turn; is_leaf: (16, 514).
    # With n leaves a list holds at most n leaves and half of the list below: fewer than 2n <= 514.
    for row in range(histograms.shape[0]):
        # Leaf 0 is the symbol that never occurs: weight 0, so one of the longest codes is its.
        leaves = 1
        keys[0] = 0
        for symbol in range(256):
            lengths[row, symbol] = 0
            frequency = histograms[row, symbol]
            if frequency > 0:
                key = (frequency << 8) | symbol
                place = leaves
                while place > 1 and keys[place - 1] > key:
                    keys[place] = keys[place - 1]
                    place -= 1
                keys[place] = key
                leaves += 1
        if leaves == 1:
            continue

        # An optimal code of n symbols is never deeper than n - 1.
        levels = min(16, leaves - 1)
        below, here = 0, 514
        below_count = 0
        for level in range(levels):
            leaf = package = count = 0
            packages = below_count // 2
            while leaf < leaves or package < packages:
                take_leaf = package == packages
                merged = np.int64(0)
                if not take_leaf:
                    merged = weights[below + 2 * package] + weights[below + 2 * package + 1]
                    take_leaf = leaf < leaves and (keys[leaf] >> 8) <= merged
                if take_leaf:
                    weights[here + count] = keys[leaf] >> 8
                    is_leaf[level, count] = 1
                    leaf += 1
                else:
                    weights[here + count] = merged
                    is_leaf[level, count] = 0
                    package += 1
                count += 1
            below, here = here, below
            below_count = count

        # The cheapest 2n - 2 items of the last list; each time a leaf is among them adds a bit to its code.
        take = 2 * leaves - 2
        for level in range(levels - 1, -1, -1):
            leaf = 0
            for item in range(take):
                if is_leaf[level, item]:
                    if leaf > 0:
                        lengths[row, keys[leaf] & 255] += np.uint8(1)
                    leaf += 1
            take = 2 * (take - leaf)
    return 0


def code_lengths(histograms: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return the optimal code length of every symbol.

    Parameters
    ----------
    histograms : ndarray of int64, shape (256,) or (n, 256)
        How often each symbol occurs, 0..2**40.

    Returns
    -------
    ndarray of uint8, the shape of ``histograms``
        Lengths 1..16; 0 for symbols that do not occur. The sum of ``2**-length`` is below one, so
        the code of ones only stays free (T.81 K.2).
    """
    table = np.ascontiguousarray(histograms, dtype=np.int64).reshape(-1, 256)
    if table.size and (table.min() < 0 or table.max() > 1 << 40):
        raise ValueError("symbol counts must lie in 0..2**40")
    lengths = np.empty(table.shape, np.uint8)
    _package_merge(
        table, lengths, np.empty(257, np.int64), np.empty(1028, np.int64), np.empty((16, 514), np.uint8)
    )
    return lengths.reshape(np.shape(histograms))


def optimal_table(histogram: npt.NDArray[np.int64]) -> HuffmanTable:
    """Return the table that codes a histogram in the fewest bits.

    Among codes of one length the more frequent symbol gets the smaller code: it has fewer ones, so
    fewer bytes of the scan become 0xFF and need stuffing.

    Parameters
    ----------
    histogram : ndarray of int64, shape (256,)
        How often each symbol occurs.
    """
    lengths = code_lengths(histogram)
    order = sorted(np.flatnonzero(lengths).tolist(), key=lambda s: (lengths[s], -histogram[s], s))
    counts = np.bincount(lengths, minlength=MAX_CODE_LENGTH + 1)[1:]
    return HuffmanTable(tuple(counts.tolist()), bytes(order))
