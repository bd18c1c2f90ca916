"""Derivatives of Butteraugli's line detectors.

A line's sum s of a field of differences adds s^2 to the error of its centre. Its share in the
derivatives, 2 s times that by the error, belongs to every sample on the line. So the shares of all
lines about one row are computed, and then added to the nine rows that the lines reach. Lines that begin
with the same pair of samples, as in :mod:`guetzpy.metrics._butteraugli_malta`, hand that pair the sum of
their shares.

Both steps take 256 columns at a time, so that shares and rows stay in the processor's first cache. The
constant distance between kinds of shares lets the compiler see that they do not overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._jit import kernel

__all__ = ["SLOT", "STRIDE", "line_slopes"]

_TWO = np.float32(2.0)
#: Columns at a time, and room for them with a margin of 4 on both sides.
_BLOCK = 256
STRIDE = _BLOCK + 16
#: Samples that the shares of one row take.
SLOT = 21 * STRIDE


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[::1])")
def _sparse_shares(field: Any, i: int, left: int, weight: Any, slot: Any) -> int:
    """Write the shares of the sparse lines about row ``i`` - 4, and sums of them, to ``slot``."""
    size = weight.shape[0]
    r0, r1, r2 = field[i, left:], field[i + 1, left:], field[i + 2, left:]
    r3, r4, r5 = field[i + 3, left:], field[i + 4, left:], field[i + 5, left:]
    r6, r7, r8 = field[i + 6, left:], field[i + 7, left:], field[i + 8, left:]
    for x in range(size):
        c = r4[x + 4]
        w = _TWO * weight[x]
        t = w * (c + (r4[x + 6] + r4[x + 2]) + (r4[x + 8] + r4[x]))
        total = t
        slot[1 * STRIDE + x] = t
        t = w * (c + (r6[x + 4] + r2[x + 4]) + (r8[x + 4] + r0[x + 4]))
        total += t
        slot[2 * STRIDE + x] = t
        t = w * (c + (r6[x + 6] + r2[x + 2]) + (r7[x + 7] + r1[x + 1]))
        total += t
        slot[3 * STRIDE + x] = t
        t = w * (c + (r6[x + 2] + r2[x + 6]) + (r7[x + 1] + r1[x + 7]))
        total += t
        slot[4 * STRIDE + x] = t
        p = c + (r6[x + 3] + r2[x + 5])
        t = w * (p + (r8[x + 3] + r0[x + 5]))
        slot[5 * STRIDE + x] = t
        u = t
        t = w * (p + (r7[x + 2] + r1[x + 6]))
        slot[6 * STRIDE + x] = t
        u += t
        t = w * (p + (r8[x + 2] + r0[x + 6]))
        slot[7 * STRIDE + x] = t
        u += t
        slot[8 * STRIDE + x] = u
        total += u
        p = c + (r6[x + 5] + r2[x + 3])
        t = w * (p + (r8[x + 5] + r0[x + 3]))
        slot[9 * STRIDE + x] = t
        u = t
        t = w * (p + (r7[x + 6] + r1[x + 2]))
        slot[10 * STRIDE + x] = t
        u += t
        t = w * (p + (r8[x + 6] + r0[x + 2]))
        slot[11 * STRIDE + x] = t
        u += t
        slot[12 * STRIDE + x] = u
        total += u
        p = c + (r5[x + 6] + r3[x + 2])
        t = w * (p + (r5[x + 8] + r3[x]))
        slot[13 * STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 7] + r2[x + 1]))
        slot[14 * STRIDE + x] = t
        u += t
        t = w * (p + (r6[x + 8] + r2[x]))
        slot[15 * STRIDE + x] = t
        u += t
        slot[16 * STRIDE + x] = u
        total += u
        p = c + (r5[x + 2] + r3[x + 6])
        t = w * (p + (r5[x] + r3[x + 8]))
        slot[17 * STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 1] + r2[x + 7]))
        slot[18 * STRIDE + x] = t
        u += t
        t = w * (p + (r6[x] + r2[x + 8]))
        slot[19 * STRIDE + x] = t
        u += t
        slot[20 * STRIDE + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])")
def _sparse_scatter(slot: Any, size: int, sums: Any) -> int:
    """Add the shares of the sparse lines about the fifth row of ``sums`` to its nine rows."""
    for x in range(size):
        sums[x] += (
            (slot[2 * STRIDE + x + 4] + slot[5 * STRIDE + x + 3])
            + (slot[7 * STRIDE + x + 2] + slot[9 * STRIDE + x + 5])
            + (slot[11 * STRIDE + x + 6])
        )
        sums[1 * STRIDE + x] += (slot[3 * STRIDE + x + 7] + slot[4 * STRIDE + x + 1]) + (
            slot[6 * STRIDE + x + 2] + slot[10 * STRIDE + x + 6]
        )
        sums[2 * STRIDE + x] += (
            (slot[2 * STRIDE + x + 4] + slot[3 * STRIDE + x + 6])
            + (slot[4 * STRIDE + x + 2] + slot[8 * STRIDE + x + 3])
            + (slot[12 * STRIDE + x + 5] + slot[14 * STRIDE + x + 7])
            + (slot[15 * STRIDE + x + 8] + slot[18 * STRIDE + x + 1])
            + (slot[19 * STRIDE + x])
        )
        sums[3 * STRIDE + x] += (slot[13 * STRIDE + x + 8] + slot[16 * STRIDE + x + 6]) + (
            slot[17 * STRIDE + x] + slot[20 * STRIDE + x + 2]
        )
        sums[4 * STRIDE + x] += (
            (slot[x + 4] + slot[1 * STRIDE + x + 2])
            + (slot[1 * STRIDE + x + 6] + slot[1 * STRIDE + x])
            + (slot[1 * STRIDE + x + 8])
        )
        sums[5 * STRIDE + x] += (slot[13 * STRIDE + x] + slot[16 * STRIDE + x + 2]) + (
            slot[17 * STRIDE + x + 8] + slot[20 * STRIDE + x + 6]
        )
        sums[6 * STRIDE + x] += (
            (slot[2 * STRIDE + x + 4] + slot[3 * STRIDE + x + 2])
            + (slot[4 * STRIDE + x + 6] + slot[8 * STRIDE + x + 5])
            + (slot[12 * STRIDE + x + 3] + slot[14 * STRIDE + x + 1])
            + (slot[15 * STRIDE + x] + slot[18 * STRIDE + x + 7])
            + (slot[19 * STRIDE + x + 8])
        )
        sums[7 * STRIDE + x] += (slot[3 * STRIDE + x + 1] + slot[4 * STRIDE + x + 7]) + (
            slot[6 * STRIDE + x + 6] + slot[10 * STRIDE + x + 2]
        )
        sums[8 * STRIDE + x] += (
            (slot[2 * STRIDE + x + 4] + slot[5 * STRIDE + x + 5])
            + (slot[7 * STRIDE + x + 6] + slot[9 * STRIDE + x + 3])
            + (slot[11 * STRIDE + x + 2])
        )
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[::1])")
def _full_shares(field: Any, i: int, left: int, weight: Any, slot: Any) -> int:
    """Write the shares of the full lines about row ``i`` - 4, and sums of them, to ``slot``."""
    size = weight.shape[0]
    r0, r1, r2 = field[i, left:], field[i + 1, left:], field[i + 2, left:]
    r3, r4, r5 = field[i + 3, left:], field[i + 4, left:], field[i + 5, left:]
    r6, r7, r8 = field[i + 6, left:], field[i + 7, left:], field[i + 8, left:]
    for x in range(size):
        c = r4[x + 4]
        w = _TWO * weight[x]
        w2 = w + w
        p = c + (r4[x + 5] + r4[x + 3])
        t = w * (p + (r4[x + 6] + r4[x + 2]) + (r4[x + 7] + r4[x + 1]) + (r4[x + 8] + r4[x]))
        slot[1 * STRIDE + x] = t
        u = t
        t = w2 * (p + (r5[x + 6] + r3[x + 2]) + (r5[x + 7] + r3[x + 1]) + (r5[x + 8] + r3[x]))
        slot[2 * STRIDE + x] = t
        u += t
        t = w2 * (p + (r3[x + 6] + r5[x + 2]) + (r3[x + 7] + r5[x + 1]) + (r3[x + 8] + r5[x]))
        slot[3 * STRIDE + x] = t
        u += t
        slot[4 * STRIDE + x] = u
        total = u
        p = c + (r5[x + 4] + r3[x + 4])
        t = w * (p + (r6[x + 4] + r2[x + 4]) + (r7[x + 4] + r1[x + 4]) + (r8[x + 4] + r0[x + 4]))
        slot[5 * STRIDE + x] = t
        u = t
        t = w2 * (p + (r6[x + 3] + r2[x + 5]) + (r7[x + 3] + r1[x + 5]) + (r8[x + 3] + r0[x + 5]))
        slot[6 * STRIDE + x] = t
        u += t
        t = w2 * (p + (r6[x + 5] + r2[x + 3]) + (r7[x + 5] + r1[x + 3]) + (r8[x + 5] + r0[x + 3]))
        slot[7 * STRIDE + x] = t
        u += t
        slot[8 * STRIDE + x] = u
        total += u
        p = c + (r5[x + 5] + r3[x + 3])
        t = w * (p + (r6[x + 6] + r2[x + 2]) + (r7[x + 7] + r1[x + 1]))
        slot[9 * STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 5] + r2[x + 3]) + (r7[x + 6] + r1[x + 2]))
        slot[10 * STRIDE + x] = t
        u += t
        t = w * (p + (r5[x + 6] + r3[x + 2]) + (r6[x + 7] + r2[x + 1]))
        slot[11 * STRIDE + x] = t
        u += t
        slot[12 * STRIDE + x] = u
        total += u
        p = c + (r5[x + 3] + r3[x + 5])
        t = w * (p + (r6[x + 2] + r2[x + 6]) + (r7[x + 1] + r1[x + 7]))
        slot[13 * STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 3] + r2[x + 5]) + (r7[x + 2] + r1[x + 6]))
        slot[14 * STRIDE + x] = t
        u += t
        t = w * (p + (r5[x + 2] + r3[x + 6]) + (r6[x + 1] + r2[x + 7]))
        slot[15 * STRIDE + x] = t
        u += t
        slot[16 * STRIDE + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])")
def _full_scatter(slot: Any, size: int, sums: Any) -> int:
    """Add the shares of the full lines about the fifth row of ``sums`` to its nine rows."""
    for x in range(size):
        sums[x] += (slot[5 * STRIDE + x + 4] + slot[6 * STRIDE + x + 3]) + (slot[7 * STRIDE + x + 5])
        sums[1 * STRIDE + x] += (
            (slot[5 * STRIDE + x + 4] + slot[6 * STRIDE + x + 3])
            + (slot[7 * STRIDE + x + 5] + slot[9 * STRIDE + x + 7])
            + (slot[10 * STRIDE + x + 6] + slot[13 * STRIDE + x + 1])
            + (slot[14 * STRIDE + x + 2])
        )
        sums[2 * STRIDE + x] += (
            (slot[5 * STRIDE + x + 4] + slot[6 * STRIDE + x + 3])
            + (slot[7 * STRIDE + x + 5] + slot[9 * STRIDE + x + 6])
            + (slot[10 * STRIDE + x + 5] + slot[11 * STRIDE + x + 7])
            + (slot[13 * STRIDE + x + 2] + slot[14 * STRIDE + x + 3])
            + (slot[15 * STRIDE + x + 1])
        )
        sums[3 * STRIDE + x] += (
            (slot[2 * STRIDE + x + 6] + slot[2 * STRIDE + x + 7])
            + (slot[2 * STRIDE + x + 8] + slot[3 * STRIDE + x + 2])
            + (slot[3 * STRIDE + x + 1] + slot[3 * STRIDE + x])
            + (slot[8 * STRIDE + x + 4] + slot[11 * STRIDE + x + 6])
            + (slot[12 * STRIDE + x + 5] + slot[15 * STRIDE + x + 2])
            + (slot[16 * STRIDE + x + 3])
        )
        sums[4 * STRIDE + x] += (
            (slot[x + 4] + slot[1 * STRIDE + x + 2])
            + (slot[1 * STRIDE + x + 6] + slot[1 * STRIDE + x + 1])
            + (slot[1 * STRIDE + x + 7] + slot[1 * STRIDE + x])
            + (slot[1 * STRIDE + x + 8] + slot[4 * STRIDE + x + 3])
            + (slot[4 * STRIDE + x + 5])
        )
        sums[5 * STRIDE + x] += (
            (slot[2 * STRIDE + x + 2] + slot[2 * STRIDE + x + 1])
            + (slot[2 * STRIDE + x] + slot[3 * STRIDE + x + 6])
            + (slot[3 * STRIDE + x + 7] + slot[3 * STRIDE + x + 8])
            + (slot[8 * STRIDE + x + 4] + slot[11 * STRIDE + x + 2])
            + (slot[12 * STRIDE + x + 3] + slot[15 * STRIDE + x + 6])
            + (slot[16 * STRIDE + x + 5])
        )
        sums[6 * STRIDE + x] += (
            (slot[5 * STRIDE + x + 4] + slot[6 * STRIDE + x + 5])
            + (slot[7 * STRIDE + x + 3] + slot[9 * STRIDE + x + 2])
            + (slot[10 * STRIDE + x + 3] + slot[11 * STRIDE + x + 1])
            + (slot[13 * STRIDE + x + 6] + slot[14 * STRIDE + x + 5])
            + (slot[15 * STRIDE + x + 7])
        )
        sums[7 * STRIDE + x] += (
            (slot[5 * STRIDE + x + 4] + slot[6 * STRIDE + x + 5])
            + (slot[7 * STRIDE + x + 3] + slot[9 * STRIDE + x + 1])
            + (slot[10 * STRIDE + x + 2] + slot[13 * STRIDE + x + 7])
            + (slot[14 * STRIDE + x + 6])
        )
        sums[8 * STRIDE + x] += (slot[5 * STRIDE + x + 4] + slot[6 * STRIDE + x + 5]) + (
            slot[7 * STRIDE + x + 3]
        )
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1], boolean, float32[::1], float32[::1], float32[:, ::1])")
def line_slopes(field: Any, weight: Any, full: bool, slot: Any, sums: Any, out: Any) -> int:
    """Pull derivatives by the energies of lines back to the field of weighted differences.

    Parameters
    ----------
    field : float32 (n + 16, W + 16)
        With a margin of 8.
    weight : float32 (n + 8, W + 8)
        Derivatives by the energies, with a margin of 4: zero where there is no sample.
    full : bool
        Lines of seven or nine samples, else of five.
    slot : float32 (SLOT,)
    sums : float32 ((n + 16) * STRIDE,)
    out : float32 (n, W)
    """
    rows, width = out.shape
    for left in range(0, width, _BLOCK):
        size = min(_BLOCK, width - left)
        sums[:] = np.float32(0.0)
        for i in range(rows + 8):
            share = weight[i, left : left + size + 8]
            here = sums[i * STRIDE : (i + 9) * STRIDE]
            if full:
                _full_shares(field, i, left, share, slot)
                _full_scatter(slot, size, here)
            else:
                _sparse_shares(field, i, left, share, slot)
                _sparse_scatter(slot, size, here)
        for i in range(rows):
            start = (i + 8) * STRIDE
            out[i, left : left + size] = sums[start : start + size]
    return 0
