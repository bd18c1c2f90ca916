"""Derivatives of Butteraugli's line detectors.

A line's sum s of a field of differences adds s^2 to the error of its centre. Its share in the
derivatives, 2 s times that by the error, belongs to every sample on the line; so each sample
gathers the shares of all lines that it lies on. Lines that begin with the same pair of samples, as in
:mod:`guetzpy.metrics._butteraugli_malta`, hand the sum of their shares to that pair.

Shares of nine rows are kept in a ring, for 256 columns at a time, which stays in the processor's second cache.
The constant distance between kinds of shares lets the compiler see that they do not overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._jit import kernel

__all__ = ["RING", "line_slopes"]

_TWO = np.float32(2.0)
#: Columns at a time, and room for them with a margin of 4 on both sides.
_BLOCK = 256
_STRIDE = _BLOCK + 16
SPARSE_SLOT = 21 * _STRIDE
FULL_SLOT = 17 * _STRIDE
#: Samples in a ring.
RING = 9 * max(SPARSE_SLOT, FULL_SLOT)


@kernel("int64(float32[:, ::1], int64, float32[::1], int64, float32[::1])")
def _sparse_shares(field: Any, i: int, weight: Any, left: int, slot: Any) -> int:
    """Write the derivatives by the sums of the sparse lines about row ``i``, and sums of them, to ``slot``."""
    size = weight.shape[0]
    r0, r1, r2 = field[i, left:], field[i + 1, left:], field[i + 2, left:]
    r3, r4, r5 = field[i + 3, left:], field[i + 4, left:], field[i + 5, left:]
    r6, r7, r8 = field[i + 6, left:], field[i + 7, left:], field[i + 8, left:]
    for x in range(size):
        c = r4[x + 4]
        w = _TWO * weight[x]
        t = w * (c + (r4[x + 6] + r4[x + 2]) + (r4[x + 8] + r4[x]))
        total = t
        slot[1 * _STRIDE + x] = t
        t = w * (c + (r6[x + 4] + r2[x + 4]) + (r8[x + 4] + r0[x + 4]))
        total += t
        slot[2 * _STRIDE + x] = t
        t = w * (c + (r6[x + 6] + r2[x + 2]) + (r7[x + 7] + r1[x + 1]))
        total += t
        slot[3 * _STRIDE + x] = t
        t = w * (c + (r6[x + 2] + r2[x + 6]) + (r7[x + 1] + r1[x + 7]))
        total += t
        slot[4 * _STRIDE + x] = t
        p = c + (r6[x + 3] + r2[x + 5])
        t = w * (p + (r8[x + 3] + r0[x + 5]))
        slot[5 * _STRIDE + x] = t
        u = t
        t = w * (p + (r7[x + 2] + r1[x + 6]))
        slot[6 * _STRIDE + x] = t
        u += t
        t = w * (p + (r8[x + 2] + r0[x + 6]))
        slot[7 * _STRIDE + x] = t
        u += t
        slot[8 * _STRIDE + x] = u
        total += u
        p = c + (r6[x + 5] + r2[x + 3])
        t = w * (p + (r8[x + 5] + r0[x + 3]))
        slot[9 * _STRIDE + x] = t
        u = t
        t = w * (p + (r7[x + 6] + r1[x + 2]))
        slot[10 * _STRIDE + x] = t
        u += t
        t = w * (p + (r8[x + 6] + r0[x + 2]))
        slot[11 * _STRIDE + x] = t
        u += t
        slot[12 * _STRIDE + x] = u
        total += u
        p = c + (r5[x + 6] + r3[x + 2])
        t = w * (p + (r5[x + 8] + r3[x]))
        slot[13 * _STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 7] + r2[x + 1]))
        slot[14 * _STRIDE + x] = t
        u += t
        t = w * (p + (r6[x + 8] + r2[x]))
        slot[15 * _STRIDE + x] = t
        u += t
        slot[16 * _STRIDE + x] = u
        total += u
        p = c + (r5[x + 2] + r3[x + 6])
        t = w * (p + (r5[x] + r3[x + 8]))
        slot[17 * _STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 1] + r2[x + 7]))
        slot[18 * _STRIDE + x] = t
        u += t
        t = w * (p + (r6[x] + r2[x + 8]))
        slot[19 * _STRIDE + x] = t
        u += t
        slot[20 * _STRIDE + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])")
def _sparse_gather(ring: Any, i: int, out: Any) -> int:
    """Add up what each sample gets from the lines that it lies on; row ``i`` is the centre."""
    r0 = ring[(i + 5) % 9 * SPARSE_SLOT : ((i + 5) % 9 + 1) * SPARSE_SLOT]
    r1 = ring[(i + 6) % 9 * SPARSE_SLOT : ((i + 6) % 9 + 1) * SPARSE_SLOT]
    r2 = ring[(i + 7) % 9 * SPARSE_SLOT : ((i + 7) % 9 + 1) * SPARSE_SLOT]
    r3 = ring[(i + 8) % 9 * SPARSE_SLOT : ((i + 8) % 9 + 1) * SPARSE_SLOT]
    r4 = ring[(i + 9) % 9 * SPARSE_SLOT : ((i + 9) % 9 + 1) * SPARSE_SLOT]
    r5 = ring[(i + 10) % 9 * SPARSE_SLOT : ((i + 10) % 9 + 1) * SPARSE_SLOT]
    r6 = ring[(i + 11) % 9 * SPARSE_SLOT : ((i + 11) % 9 + 1) * SPARSE_SLOT]
    r7 = ring[(i + 12) % 9 * SPARSE_SLOT : ((i + 12) % 9 + 1) * SPARSE_SLOT]
    r8 = ring[(i + 13) % 9 * SPARSE_SLOT : ((i + 13) % 9 + 1) * SPARSE_SLOT]
    for x in range(out.shape[0]):
        total = r4[x + 4]
        total += r4[1 * _STRIDE + x + 6] + r4[1 * _STRIDE + x + 2]
        total += r4[1 * _STRIDE + x + 8] + r4[1 * _STRIDE + x]
        total += r6[2 * _STRIDE + x + 4] + r2[2 * _STRIDE + x + 4]
        total += r8[2 * _STRIDE + x + 4] + r0[2 * _STRIDE + x + 4]
        total += r6[3 * _STRIDE + x + 6] + r2[3 * _STRIDE + x + 2]
        total += r7[3 * _STRIDE + x + 7] + r1[3 * _STRIDE + x + 1]
        total += r6[4 * _STRIDE + x + 2] + r2[4 * _STRIDE + x + 6]
        total += r7[4 * _STRIDE + x + 1] + r1[4 * _STRIDE + x + 7]
        total += r8[5 * _STRIDE + x + 3] + r0[5 * _STRIDE + x + 5]
        total += r7[6 * _STRIDE + x + 2] + r1[6 * _STRIDE + x + 6]
        total += r8[7 * _STRIDE + x + 2] + r0[7 * _STRIDE + x + 6]
        total += r6[8 * _STRIDE + x + 3] + r2[8 * _STRIDE + x + 5]
        total += r8[9 * _STRIDE + x + 5] + r0[9 * _STRIDE + x + 3]
        total += r7[10 * _STRIDE + x + 6] + r1[10 * _STRIDE + x + 2]
        total += r8[11 * _STRIDE + x + 6] + r0[11 * _STRIDE + x + 2]
        total += r6[12 * _STRIDE + x + 5] + r2[12 * _STRIDE + x + 3]
        total += r5[13 * _STRIDE + x + 8] + r3[13 * _STRIDE + x]
        total += r6[14 * _STRIDE + x + 7] + r2[14 * _STRIDE + x + 1]
        total += r6[15 * _STRIDE + x + 8] + r2[15 * _STRIDE + x]
        total += r5[16 * _STRIDE + x + 6] + r3[16 * _STRIDE + x + 2]
        total += r5[17 * _STRIDE + x] + r3[17 * _STRIDE + x + 8]
        total += r6[18 * _STRIDE + x + 1] + r2[18 * _STRIDE + x + 7]
        total += r6[19 * _STRIDE + x] + r2[19 * _STRIDE + x + 8]
        total += r5[20 * _STRIDE + x + 2] + r3[20 * _STRIDE + x + 6]
        out[x] = total
    return 0


@kernel("int64(float32[:, ::1], int64, float32[::1], int64, float32[::1])")
def _full_shares(field: Any, i: int, weight: Any, left: int, slot: Any) -> int:
    """Write the derivatives by the sums of the full lines about row ``i``, and sums of them, to ``slot``."""
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
        slot[1 * _STRIDE + x] = t
        u = t
        t = w2 * (p + (r5[x + 6] + r3[x + 2]) + (r5[x + 7] + r3[x + 1]) + (r5[x + 8] + r3[x]))
        slot[2 * _STRIDE + x] = t
        u += t
        t = w2 * (p + (r3[x + 6] + r5[x + 2]) + (r3[x + 7] + r5[x + 1]) + (r3[x + 8] + r5[x]))
        slot[3 * _STRIDE + x] = t
        u += t
        slot[4 * _STRIDE + x] = u
        total = u
        p = c + (r5[x + 4] + r3[x + 4])
        t = w * (p + (r6[x + 4] + r2[x + 4]) + (r7[x + 4] + r1[x + 4]) + (r8[x + 4] + r0[x + 4]))
        slot[5 * _STRIDE + x] = t
        u = t
        t = w2 * (p + (r6[x + 3] + r2[x + 5]) + (r7[x + 3] + r1[x + 5]) + (r8[x + 3] + r0[x + 5]))
        slot[6 * _STRIDE + x] = t
        u += t
        t = w2 * (p + (r6[x + 5] + r2[x + 3]) + (r7[x + 5] + r1[x + 3]) + (r8[x + 5] + r0[x + 3]))
        slot[7 * _STRIDE + x] = t
        u += t
        slot[8 * _STRIDE + x] = u
        total += u
        p = c + (r5[x + 5] + r3[x + 3])
        t = w * (p + (r6[x + 6] + r2[x + 2]) + (r7[x + 7] + r1[x + 1]))
        slot[9 * _STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 5] + r2[x + 3]) + (r7[x + 6] + r1[x + 2]))
        slot[10 * _STRIDE + x] = t
        u += t
        t = w * (p + (r5[x + 6] + r3[x + 2]) + (r6[x + 7] + r2[x + 1]))
        slot[11 * _STRIDE + x] = t
        u += t
        slot[12 * _STRIDE + x] = u
        total += u
        p = c + (r5[x + 3] + r3[x + 5])
        t = w * (p + (r6[x + 2] + r2[x + 6]) + (r7[x + 1] + r1[x + 7]))
        slot[13 * _STRIDE + x] = t
        u = t
        t = w * (p + (r6[x + 3] + r2[x + 5]) + (r7[x + 2] + r1[x + 6]))
        slot[14 * _STRIDE + x] = t
        u += t
        t = w * (p + (r5[x + 2] + r3[x + 6]) + (r6[x + 1] + r2[x + 7]))
        slot[15 * _STRIDE + x] = t
        u += t
        slot[16 * _STRIDE + x] = u
        total += u
        slot[x] = total
    return 0


@kernel("int64(float32[::1], int64, float32[::1])")
def _full_gather(ring: Any, i: int, out: Any) -> int:
    """Add up what each sample gets from the lines that it lies on; row ``i`` is the centre."""
    r0 = ring[(i + 5) % 9 * FULL_SLOT : ((i + 5) % 9 + 1) * FULL_SLOT]
    r1 = ring[(i + 6) % 9 * FULL_SLOT : ((i + 6) % 9 + 1) * FULL_SLOT]
    r2 = ring[(i + 7) % 9 * FULL_SLOT : ((i + 7) % 9 + 1) * FULL_SLOT]
    r3 = ring[(i + 8) % 9 * FULL_SLOT : ((i + 8) % 9 + 1) * FULL_SLOT]
    r4 = ring[(i + 9) % 9 * FULL_SLOT : ((i + 9) % 9 + 1) * FULL_SLOT]
    r5 = ring[(i + 10) % 9 * FULL_SLOT : ((i + 10) % 9 + 1) * FULL_SLOT]
    r6 = ring[(i + 11) % 9 * FULL_SLOT : ((i + 11) % 9 + 1) * FULL_SLOT]
    r7 = ring[(i + 12) % 9 * FULL_SLOT : ((i + 12) % 9 + 1) * FULL_SLOT]
    r8 = ring[(i + 13) % 9 * FULL_SLOT : ((i + 13) % 9 + 1) * FULL_SLOT]
    for x in range(out.shape[0]):
        total = r4[x + 4]
        total += r4[1 * _STRIDE + x + 6] + r4[1 * _STRIDE + x + 2]
        total += r4[1 * _STRIDE + x + 7] + r4[1 * _STRIDE + x + 1]
        total += r4[1 * _STRIDE + x + 8] + r4[1 * _STRIDE + x]
        total += r5[2 * _STRIDE + x + 6] + r3[2 * _STRIDE + x + 2]
        total += r5[2 * _STRIDE + x + 7] + r3[2 * _STRIDE + x + 1]
        total += r5[2 * _STRIDE + x + 8] + r3[2 * _STRIDE + x]
        total += r3[3 * _STRIDE + x + 6] + r5[3 * _STRIDE + x + 2]
        total += r3[3 * _STRIDE + x + 7] + r5[3 * _STRIDE + x + 1]
        total += r3[3 * _STRIDE + x + 8] + r5[3 * _STRIDE + x]
        total += r4[4 * _STRIDE + x + 5] + r4[4 * _STRIDE + x + 3]
        total += r6[5 * _STRIDE + x + 4] + r2[5 * _STRIDE + x + 4]
        total += r7[5 * _STRIDE + x + 4] + r1[5 * _STRIDE + x + 4]
        total += r8[5 * _STRIDE + x + 4] + r0[5 * _STRIDE + x + 4]
        total += r6[6 * _STRIDE + x + 3] + r2[6 * _STRIDE + x + 5]
        total += r7[6 * _STRIDE + x + 3] + r1[6 * _STRIDE + x + 5]
        total += r8[6 * _STRIDE + x + 3] + r0[6 * _STRIDE + x + 5]
        total += r6[7 * _STRIDE + x + 5] + r2[7 * _STRIDE + x + 3]
        total += r7[7 * _STRIDE + x + 5] + r1[7 * _STRIDE + x + 3]
        total += r8[7 * _STRIDE + x + 5] + r0[7 * _STRIDE + x + 3]
        total += r5[8 * _STRIDE + x + 4] + r3[8 * _STRIDE + x + 4]
        total += r6[9 * _STRIDE + x + 6] + r2[9 * _STRIDE + x + 2]
        total += r7[9 * _STRIDE + x + 7] + r1[9 * _STRIDE + x + 1]
        total += r6[10 * _STRIDE + x + 5] + r2[10 * _STRIDE + x + 3]
        total += r7[10 * _STRIDE + x + 6] + r1[10 * _STRIDE + x + 2]
        total += r5[11 * _STRIDE + x + 6] + r3[11 * _STRIDE + x + 2]
        total += r6[11 * _STRIDE + x + 7] + r2[11 * _STRIDE + x + 1]
        total += r5[12 * _STRIDE + x + 5] + r3[12 * _STRIDE + x + 3]
        total += r6[13 * _STRIDE + x + 2] + r2[13 * _STRIDE + x + 6]
        total += r7[13 * _STRIDE + x + 1] + r1[13 * _STRIDE + x + 7]
        total += r6[14 * _STRIDE + x + 3] + r2[14 * _STRIDE + x + 5]
        total += r7[14 * _STRIDE + x + 2] + r1[14 * _STRIDE + x + 6]
        total += r5[15 * _STRIDE + x + 2] + r3[15 * _STRIDE + x + 6]
        total += r6[15 * _STRIDE + x + 1] + r2[15 * _STRIDE + x + 7]
        total += r5[16 * _STRIDE + x + 3] + r3[16 * _STRIDE + x + 5]
        out[x] = total
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1], boolean, float32[::1], float32[:, ::1])")
def line_slopes(field: Any, weight: Any, full: bool, ring: Any, out: Any) -> int:
    """Derivatives by a field of weighted differences of the energies of its lines.

    Parameters
    ----------
    field : float32 (n + 16, W + 16)
        With a margin of 8.
    weight : float32 (n + 8, W + 8)
        Derivatives by the energies, with a margin of 4: zero where there is no sample.
    full : bool
        Lines of seven or nine samples, else of five.
    ring : float32 (RING,)
    out : float32 (n, W)
    """
    rows, width = out.shape
    step = FULL_SLOT if full else SPARSE_SLOT
    for left in range(0, width, _BLOCK):
        size = min(_BLOCK, width - left)
        for i in range(rows + 8):
            slot = ring[i % 9 * step : (i % 9 + 1) * step]
            share = weight[i, left : left + size + 8]
            if full:
                _full_shares(field, i, share, left, slot)
            else:
                _sparse_shares(field, i, share, left, slot)
            # Row i - 4 now has its rows from i - 8 to i.
            if i >= 8 and full:
                _full_gather(ring, i - 4, out[i - 8, left : left + size])
            elif i >= 8:
                _sparse_gather(ring, i - 4, out[i - 8, left : left + size])
    return 0
