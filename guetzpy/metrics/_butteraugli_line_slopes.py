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
_S1, _S2, _S3, _S4, _S5, _S6, _S7, _S8, _S9, _S10 = (k * STRIDE for k in range(1, 11))
_S11, _S12, _S13, _S14, _S15, _S16, _S17, _S18, _S19, _S20 = (k * STRIDE for k in range(11, 21))


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[::1])", inline=True)
def _sparse_shares(field: Any, i: int, left: int, weight: Any, slot: Any) -> int:
    """Write the shares of the sparse lines about row ``i`` - 4, and sums of them, to ``slot``."""
    size = weight.shape[0]
    r0, r1, r2 = field[i, left:], field[i + 1, left:], field[i + 2, left:]
    r3, r4, r5 = field[i + 3, left:], field[i + 4, left:], field[i + 5, left:]
    r6, r7, r8 = field[i + 6, left:], field[i + 7, left:], field[i + 8, left:]
    for x in range(size):
        x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
        x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
        c = r4[x4]
        w = _TWO * weight[x]
        t = w * (c + (r4[x6] + r4[x2]) + (r4[x8] + r4[x]))
        total = t
        slot[_S1 + x] = t
        t = w * (c + (r6[x4] + r2[x4]) + (r8[x4] + r0[x4]))
        total += t
        slot[_S2 + x] = t
        t = w * (c + (r6[x6] + r2[x2]) + (r7[x7] + r1[x1]))
        total += t
        slot[_S3 + x] = t
        t = w * (c + (r6[x2] + r2[x6]) + (r7[x1] + r1[x7]))
        total += t
        slot[_S4 + x] = t
        p = c + (r6[x3] + r2[x5])
        t = w * (p + (r8[x3] + r0[x5]))
        slot[_S5 + x] = t
        u = t
        t = w * (p + (r7[x2] + r1[x6]))
        slot[_S6 + x] = t
        u += t
        t = w * (p + (r8[x2] + r0[x6]))
        slot[_S7 + x] = t
        u += t
        slot[_S8 + x] = u
        total += u
        p = c + (r6[x5] + r2[x3])
        t = w * (p + (r8[x5] + r0[x3]))
        slot[_S9 + x] = t
        u = t
        t = w * (p + (r7[x6] + r1[x2]))
        slot[_S10 + x] = t
        u += t
        t = w * (p + (r8[x6] + r0[x2]))
        slot[_S11 + x] = t
        u += t
        slot[_S12 + x] = u
        total += u
        p = c + (r5[x6] + r3[x2])
        t = w * (p + (r5[x8] + r3[x]))
        slot[_S13 + x] = t
        u = t
        t = w * (p + (r6[x7] + r2[x1]))
        slot[_S14 + x] = t
        u += t
        t = w * (p + (r6[x8] + r2[x]))
        slot[_S15 + x] = t
        u += t
        slot[_S16 + x] = u
        total += u
        p = c + (r5[x2] + r3[x6])
        t = w * (p + (r5[x] + r3[x8]))
        slot[_S17 + x] = t
        u = t
        t = w * (p + (r6[x1] + r2[x7]))
        slot[_S18 + x] = t
        u += t
        t = w * (p + (r6[x] + r2[x8]))
        slot[_S19 + x] = t
        u += t
        slot[_S20 + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])", inline=True)
def _sparse_scatter(slot: Any, size: int, sums: Any) -> int:
    """Add the shares of the sparse lines about the fifth row of ``sums`` to its nine rows."""
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
        sums[_S8 + x] += (
            (slot[_S2 + x4] + slot[_S5 + x5]) + (slot[_S7 + x6] + slot[_S9 + x3]) + (slot[_S11 + x2])
        )
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[::1])", inline=True)
def _full_shares(field: Any, i: int, left: int, weight: Any, slot: Any) -> int:
    """Write the shares of the full lines about row ``i`` - 4, and sums of them, to ``slot``."""
    size = weight.shape[0]
    r0, r1, r2 = field[i, left:], field[i + 1, left:], field[i + 2, left:]
    r3, r4, r5 = field[i + 3, left:], field[i + 4, left:], field[i + 5, left:]
    r6, r7, r8 = field[i + 6, left:], field[i + 7, left:], field[i + 8, left:]
    for x in range(size):
        x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
        x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
        c = r4[x4]
        w = _TWO * weight[x]
        w2 = w + w
        p = c + (r4[x5] + r4[x3])
        t = w * (p + (r4[x6] + r4[x2]) + (r4[x7] + r4[x1]) + (r4[x8] + r4[x]))
        slot[_S1 + x] = t
        u = t
        t = w2 * (p + (r5[x6] + r3[x2]) + (r5[x7] + r3[x1]) + (r5[x8] + r3[x]))
        slot[_S2 + x] = t
        u += t
        t = w2 * (p + (r3[x6] + r5[x2]) + (r3[x7] + r5[x1]) + (r3[x8] + r5[x]))
        slot[_S3 + x] = t
        u += t
        slot[_S4 + x] = u
        total = u
        p = c + (r5[x4] + r3[x4])
        t = w * (p + (r6[x4] + r2[x4]) + (r7[x4] + r1[x4]) + (r8[x4] + r0[x4]))
        slot[_S5 + x] = t
        u = t
        t = w2 * (p + (r6[x3] + r2[x5]) + (r7[x3] + r1[x5]) + (r8[x3] + r0[x5]))
        slot[_S6 + x] = t
        u += t
        t = w2 * (p + (r6[x5] + r2[x3]) + (r7[x5] + r1[x3]) + (r8[x5] + r0[x3]))
        slot[_S7 + x] = t
        u += t
        slot[_S8 + x] = u
        total += u
        p = c + (r5[x5] + r3[x3])
        t = w * (p + (r6[x6] + r2[x2]) + (r7[x7] + r1[x1]))
        slot[_S9 + x] = t
        u = t
        t = w * (p + (r6[x5] + r2[x3]) + (r7[x6] + r1[x2]))
        slot[_S10 + x] = t
        u += t
        t = w * (p + (r5[x6] + r3[x2]) + (r6[x7] + r2[x1]))
        slot[_S11 + x] = t
        u += t
        slot[_S12 + x] = u
        total += u
        p = c + (r5[x3] + r3[x5])
        t = w * (p + (r6[x2] + r2[x6]) + (r7[x1] + r1[x7]))
        slot[_S13 + x] = t
        u = t
        t = w * (p + (r6[x3] + r2[x5]) + (r7[x2] + r1[x6]))
        slot[_S14 + x] = t
        u += t
        t = w * (p + (r5[x2] + r3[x6]) + (r6[x1] + r2[x7]))
        slot[_S15 + x] = t
        u += t
        slot[_S16 + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])", inline=True)
def _full_scatter(slot: Any, size: int, sums: Any) -> int:
    """Add the shares of the full lines about the fifth row of ``sums`` to its nine rows."""
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
        sums[_S8 + x] += (slot[_S5 + x4] + slot[_S6 + x5]) + (slot[_S7 + x3])
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
            for x in range(size):  # a slice assignment would compile numba's strings, for its message
                out[i, left + x] = sums[start + x]
    return 0
