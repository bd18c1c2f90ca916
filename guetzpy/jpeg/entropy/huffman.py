"""Optimal Huffman codes of at most 16 bits, in the form of JPEG's tables (T.81 annex C and K.2).

The package-merge algorithm gives the code lengths (Larmore and Hirschberg, "A fast algorithm for optimal
length-limited Huffman codes", JACM 37, 1990). No code with lengths up to 16 takes fewer bits for the same
histogram. T.81 K.2 instead shortens codes beyond 16 bits by an adjustment that is not always optimal. T.81
forbids a code of ones only. Therefore a symbol that never occurs is added, which gets this code.
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
    # keys: (257,); weights: (2 * 514,), the lists of the current and the previous level; is_leaf: (16, 514).
    # With n leaves, a list has at most the n leaves and one package per two items of the list below. That is
    # less than 2n, so at most 514.
    for row in range(histograms.shape[0]):
        # Leaf 0 is the added symbol. Its weight is 0, so it gets one of the longest codes.
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

        # No code of an optimal code for n symbols is longer than n - 1.
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

        # Take the 2n - 2 cheapest items of the last list. A symbol's code length is the number of levels
        # in which its leaf is taken.
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
