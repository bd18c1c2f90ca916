"""Derivatives of Butteraugli's line detectors.

A detector sums a field of differences along a line. If the sum is s, the line adds s^2 to the error of its
centre. So it adds the same term to the derivative with respect to each of its samples: 2 s times the
derivative with respect to the centre's error. This term is called the line's share. The shares of all lines
with centres in one row are computed, and then added to the nine rows that these lines cover. Lines that
contain the same pair of samples, as in :mod:`guetzpy.metrics._butteraugli.malta`, add the sum of their shares
to that pair.

Both steps process 184 columns at a time, so that shares and rows stay in the first-level cache. The shares of
different lines are a constant distance apart, so that the compiler knows that they do not overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel

__all__ = ["BLOCK", "SLOT", "STRIDE", "line_slopes", "reached", "wanted_shares"]

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_ZERO, _TWO = np.float32(0.0), np.float32(2.0)
#: Columns that are processed at a time. With a margin of 4 on both sides they are a multiple of 16, the
#: samples of a vector.
BLOCK = 184
#: Length of a row with a margin of 8 on both sides, a multiple of the cache line's 16 samples.
STRIDE = BLOCK + 24
#: Length of the array with the shares of all lines with centres in one row: 21 rows of STRIDE samples.
SLOT = 21 * STRIDE
_S1, _S2, _S3, _S4, _S5, _S6, _S7, _S8, _S9, _S10 = (k * STRIDE for k in range(1, 11))
_R1, _R2, _R3, _R4, _R5, _R6, _R7, _R8 = _S1, _S2, _S3, _S4, _S5, _S6, _S7, _S8
_S11, _S12, _S13, _S14, _S15, _S16, _S17, _S18, _S19, _S20 = (k * STRIDE for k in range(11, 21))


def wanted_shares(band: Floats | None, rows: int, width: int) -> Bools:
    """Return for which rows of centres the shares of lines are needed, in each block of columns.

    Parameters
    ----------
    band : ndarray of float32, shape (rows, width), or None
        Only samples where it is not zero need their derivatives. None: all samples need them.
    rows, width : int
        Shape of the result of :func:`line_slopes`.

    Returns
    -------
    ndarray of bool, shape (rows + 8, blocks of the width)
        Entry i is for the centres in row i - 4. Their lines reach four rows up and down.
    """
    first = np.arange(0, width, BLOCK)
    if band is None:
        return np.ones((rows + 8, len(first)), np.bool_)
    # Compared as integers, which is twice as fast: 0.0 has no bits set.
    return reached(np.bitwise_or.reduceat(band.view(np.int32), first, axis=1) != 0)


def reached(rows: Bools) -> Bools:
    """Return which rows have centres of lines that reach one of the given rows.

    Parameters
    ----------
    rows : ndarray of bool, shape (n, blocks)
        Given rows.

    Returns
    -------
    ndarray of bool, shape (n + 8, blocks)
        Row i corresponds to row i - 4 of ``rows``.
    """
    out = np.zeros((len(rows) + 8, rows.shape[1]), np.bool_)
    for shift in range(9):
        out[shift : shift + len(rows)] |= rows
    return out


@kernel("int64(float32[::1], float32[::1], float32[::1])", inline=True)
def _sparse_shares(tile: Any, weight: Any, slot: Any) -> int:
    """Write the shares of the sparse lines with centres in one row, and their sums, to ``slot``.

    The centres are in the fifth of nine rows of ``tile``.
    """
    size = weight.shape[0]
    for x in range(size):
        x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
        x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
        c = tile[_R4 + x4]
        w = _TWO * weight[x]
        t = w * (c + (tile[_R4 + x6] + tile[_R4 + x2]) + (tile[_R4 + x8] + tile[_R4 + x]))
        total = t
        slot[_S1 + x] = t
        t = w * (c + (tile[_R6 + x4] + tile[_R2 + x4]) + (tile[_R8 + x4] + tile[x4]))
        total += t
        slot[_S2 + x] = t
        t = w * (c + (tile[_R6 + x6] + tile[_R2 + x2]) + (tile[_R7 + x7] + tile[_R1 + x1]))
        total += t
        slot[_S3 + x] = t
        t = w * (c + (tile[_R6 + x2] + tile[_R2 + x6]) + (tile[_R7 + x1] + tile[_R1 + x7]))
        total += t
        slot[_S4 + x] = t
        p = c + (tile[_R6 + x3] + tile[_R2 + x5])
        t = w * (p + (tile[_R8 + x3] + tile[x5]))
        slot[_S5 + x] = t
        u = t
        t = w * (p + (tile[_R7 + x2] + tile[_R1 + x6]))
        slot[_S6 + x] = t
        u += t
        t = w * (p + (tile[_R8 + x2] + tile[x6]))
        slot[_S7 + x] = t
        u += t
        slot[_S8 + x] = u
        total += u
        p = c + (tile[_R6 + x5] + tile[_R2 + x3])
        t = w * (p + (tile[_R8 + x5] + tile[x3]))
        slot[_S9 + x] = t
        u = t
        t = w * (p + (tile[_R7 + x6] + tile[_R1 + x2]))
        slot[_S10 + x] = t
        u += t
        t = w * (p + (tile[_R8 + x6] + tile[x2]))
        slot[_S11 + x] = t
        u += t
        slot[_S12 + x] = u
        total += u
        p = c + (tile[_R5 + x6] + tile[_R3 + x2])
        t = w * (p + (tile[_R5 + x8] + tile[_R3 + x]))
        slot[_S13 + x] = t
        u = t
        t = w * (p + (tile[_R6 + x7] + tile[_R2 + x1]))
        slot[_S14 + x] = t
        u += t
        t = w * (p + (tile[_R6 + x8] + tile[_R2 + x]))
        slot[_S15 + x] = t
        u += t
        slot[_S16 + x] = u
        total += u
        p = c + (tile[_R5 + x2] + tile[_R3 + x6])
        t = w * (p + (tile[_R5 + x] + tile[_R3 + x8]))
        slot[_S17 + x] = t
        u = t
        t = w * (p + (tile[_R6 + x1] + tile[_R2 + x7]))
        slot[_S18 + x] = t
        u += t
        t = w * (p + (tile[_R6 + x] + tile[_R2 + x8]))
        slot[_S19 + x] = t
        u += t
        slot[_S20 + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])", inline=True)
def _sparse_scatter(slot: Any, size: int, sums: Any) -> int:
    """Add the shares of the sparse lines to the nine rows of ``sums``; the centres are in the fifth.

    The last row is overwritten, because no earlier row of shares reaches it.
    """
    for x in range(size):
        x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
        x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
        sums[x] += (slot[_S2 + x4] + slot[_S5 + x3]) + (slot[_S7 + x2] + slot[_S9 + x5]) + (slot[_S11 + x6])
        sums[_S1 + x] += (slot[_S3 + x7] + slot[_S4 + x1]) + (slot[_S6 + x2] + slot[_S10 + x6])
        sums[_S2 + x] += (
            (slot[_S2 + x4] + slot[_S3 + x6])
            + (slot[_S4 + x2] + slot[_S8 + x3])
            + (slot[_S12 + x5] + slot[_S14 + x7])
            + (slot[_S15 + x8] + slot[_S18 + x1])
            + (slot[_S19 + x])
        )
        sums[_S3 + x] += (slot[_S13 + x8] + slot[_S16 + x6]) + (slot[_S17 + x] + slot[_S20 + x2])
        sums[_S4 + x] += (slot[x4] + slot[_S1 + x2]) + (slot[_S1 + x6] + slot[_S1 + x]) + (slot[_S1 + x8])
        sums[_S5 + x] += (slot[_S13 + x] + slot[_S16 + x2]) + (slot[_S17 + x8] + slot[_S20 + x6])
        sums[_S6 + x] += (
            (slot[_S2 + x4] + slot[_S3 + x2])
            + (slot[_S4 + x6] + slot[_S8 + x5])
            + (slot[_S12 + x3] + slot[_S14 + x1])
            + (slot[_S15 + x] + slot[_S18 + x7])
            + (slot[_S19 + x8])
        )
        sums[_S7 + x] += (slot[_S3 + x1] + slot[_S4 + x7]) + (slot[_S6 + x6] + slot[_S10 + x2])
        sums[_S8 + x] = (
            (slot[_S2 + x4] + slot[_S5 + x5]) + (slot[_S7 + x6] + slot[_S9 + x3]) + (slot[_S11 + x2])
        )
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inline=True)
def _full_shares(tile: Any, weight: Any, slot: Any) -> int:
    """Write the shares of the full lines with centres in one row, and their sums, to ``slot``.

    The centres are in the fifth of nine rows of ``tile``.
    """
    size = weight.shape[0]
    for x in range(size):
        x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
        x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
        c = tile[_R4 + x4]
        w = _TWO * weight[x]
        w2 = w + w
        p = c + (tile[_R4 + x5] + tile[_R4 + x3])
        t = w * (
            p
            + (tile[_R4 + x6] + tile[_R4 + x2])
            + (tile[_R4 + x7] + tile[_R4 + x1])
            + (tile[_R4 + x8] + tile[_R4 + x])
        )
        slot[_S1 + x] = t
        u = t
        t = w2 * (
            p
            + (tile[_R5 + x6] + tile[_R3 + x2])
            + (tile[_R5 + x7] + tile[_R3 + x1])
            + (tile[_R5 + x8] + tile[_R3 + x])
        )
        slot[_S2 + x] = t
        u += t
        t = w2 * (
            p
            + (tile[_R3 + x6] + tile[_R5 + x2])
            + (tile[_R3 + x7] + tile[_R5 + x1])
            + (tile[_R3 + x8] + tile[_R5 + x])
        )
        slot[_S3 + x] = t
        u += t
        slot[_S4 + x] = u
        total = u
        p = c + (tile[_R5 + x4] + tile[_R3 + x4])
        t = w * (
            p
            + (tile[_R6 + x4] + tile[_R2 + x4])
            + (tile[_R7 + x4] + tile[_R1 + x4])
            + (tile[_R8 + x4] + tile[x4])
        )
        slot[_S5 + x] = t
        u = t
        t = w2 * (
            p
            + (tile[_R6 + x3] + tile[_R2 + x5])
            + (tile[_R7 + x3] + tile[_R1 + x5])
            + (tile[_R8 + x3] + tile[x5])
        )
        slot[_S6 + x] = t
        u += t
        t = w2 * (
            p
            + (tile[_R6 + x5] + tile[_R2 + x3])
            + (tile[_R7 + x5] + tile[_R1 + x3])
            + (tile[_R8 + x5] + tile[x3])
        )
        slot[_S7 + x] = t
        u += t
        slot[_S8 + x] = u
        total += u
        p = c + (tile[_R5 + x5] + tile[_R3 + x3])
        t = w * (p + (tile[_R6 + x6] + tile[_R2 + x2]) + (tile[_R7 + x7] + tile[_R1 + x1]))
        slot[_S9 + x] = t
        u = t
        t = w * (p + (tile[_R6 + x5] + tile[_R2 + x3]) + (tile[_R7 + x6] + tile[_R1 + x2]))
        slot[_S10 + x] = t
        u += t
        t = w * (p + (tile[_R5 + x6] + tile[_R3 + x2]) + (tile[_R6 + x7] + tile[_R2 + x1]))
        slot[_S11 + x] = t
        u += t
        slot[_S12 + x] = u
        total += u
        p = c + (tile[_R5 + x3] + tile[_R3 + x5])
        t = w * (p + (tile[_R6 + x2] + tile[_R2 + x6]) + (tile[_R7 + x1] + tile[_R1 + x7]))
        slot[_S13 + x] = t
        u = t
        t = w * (p + (tile[_R6 + x3] + tile[_R2 + x5]) + (tile[_R7 + x2] + tile[_R1 + x6]))
        slot[_S14 + x] = t
        u += t
        t = w * (p + (tile[_R5 + x2] + tile[_R3 + x6]) + (tile[_R6 + x1] + tile[_R2 + x7]))
        slot[_S15 + x] = t
        u += t
        slot[_S16 + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])", inline=True)
def _full_scatter(slot: Any, size: int, sums: Any) -> int:
    """Add the shares of the full lines to the nine rows of ``sums``; the centres are in the fifth.

    The last row is overwritten, because no earlier row of shares reaches it.
    """
    for x in range(size):
        x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
        x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
        sums[x] += (slot[_S5 + x4] + slot[_S6 + x3]) + (slot[_S7 + x5])
        sums[_S1 + x] += (
            (slot[_S5 + x4] + slot[_S6 + x3])
            + (slot[_S7 + x5] + slot[_S9 + x7])
            + (slot[_S10 + x6] + slot[_S13 + x1])
            + (slot[_S14 + x2])
        )
        sums[_S2 + x] += (
            (slot[_S5 + x4] + slot[_S6 + x3])
            + (slot[_S7 + x5] + slot[_S9 + x6])
            + (slot[_S10 + x5] + slot[_S11 + x7])
            + (slot[_S13 + x2] + slot[_S14 + x3])
            + (slot[_S15 + x1])
        )
        sums[_S3 + x] += (
            (slot[_S2 + x6] + slot[_S2 + x7])
            + (slot[_S2 + x8] + slot[_S3 + x2])
            + (slot[_S3 + x1] + slot[_S3 + x])
            + (slot[_S8 + x4] + slot[_S11 + x6])
            + (slot[_S12 + x5] + slot[_S15 + x2])
            + (slot[_S16 + x3])
        )
        sums[_S4 + x] += (
            (slot[x4] + slot[_S1 + x2])
            + (slot[_S1 + x6] + slot[_S1 + x1])
            + (slot[_S1 + x7] + slot[_S1 + x])
            + (slot[_S1 + x8] + slot[_S4 + x3])
            + (slot[_S4 + x5])
        )
        sums[_S5 + x] += (
            (slot[_S2 + x2] + slot[_S2 + x1])
            + (slot[_S2 + x] + slot[_S3 + x6])
            + (slot[_S3 + x7] + slot[_S3 + x8])
            + (slot[_S8 + x4] + slot[_S11 + x2])
            + (slot[_S12 + x3] + slot[_S15 + x6])
            + (slot[_S16 + x5])
        )
        sums[_S6 + x] += (
            (slot[_S5 + x4] + slot[_S6 + x5])
            + (slot[_S7 + x3] + slot[_S9 + x2])
            + (slot[_S10 + x3] + slot[_S11 + x1])
            + (slot[_S13 + x6] + slot[_S14 + x5])
            + (slot[_S15 + x7])
        )
        sums[_S7 + x] += (
            (slot[_S5 + x4] + slot[_S6 + x5])
            + (slot[_S7 + x3] + slot[_S9 + x1])
            + (slot[_S10 + x2] + slot[_S13 + x7])
            + (slot[_S14 + x6])
        )
        sums[_S8 + x] = (slot[_S5 + x4] + slot[_S6 + x5]) + (slot[_S7 + x3])
    return 0


@kernel(
    "int64(float32[::1], float32[:, ::1], boolean[:, ::1], boolean, float32[::1], float32[::1],"
    " float32[:, ::1])"
)
def line_slopes(fields: Any, weight: Any, wanted: Any, full: bool, slot: Any, sums: Any, out: Any) -> int:
    """Convert derivatives with respect to the energies of lines to those for the weighted differences.

    Parameters
    ----------
    fields : float32 (blocks of W * (n + 16) * STRIDE,)
        Fields of differences for BLOCK columns each, with a margin of 8 on all sides.
    weight : float32 (n + 8, W + 8)
        Derivatives with respect to the energies, with a margin of 4, which is zero beyond the picture.
    wanted : bool (n + 8, blocks of W)
        From :func:`wanted_shares`. Other samples get derivatives that are wrong, but finite.
    full : bool
        True: lines of seven or nine samples; False: lines of five.
    slot : float32 (SLOT,)
        Scratch.
    sums : float32 ((n + 16) * STRIDE,)
        Scratch for a block of the result.
    out : float32 (n, W)
        The result.
    """
    rows, width = out.shape
    for k in range(wanted.shape[1]):
        left, first = k * BLOCK, k * (rows + 16)
        size = min(BLOCK, width - left)
        for x in range(8 * STRIDE):
            sums[x] = _ZERO
        for i in range(rows + 8):
            here = sums[i * STRIDE : (i + 9) * STRIDE]
            if wanted[i, k]:
                near = fields[(first + i) * STRIDE : (first + i + 9) * STRIDE]
                share = weight[i, left : left + size + 8]
                if full:
                    _full_shares(near, share, slot)
                    _full_scatter(slot, size, here)
                else:
                    _sparse_shares(near, share, slot)
                    _sparse_scatter(slot, size, here)
            else:
                for x in range(size):
                    here[_S8 + x] = _ZERO
            if i >= 8:  # no line with its centre in a later row reaches this row
                for x in range(size):  # a slice assignment makes numba compile strings, which takes a second
                    out[i - 8, left + x] = here[x]
    return 0
