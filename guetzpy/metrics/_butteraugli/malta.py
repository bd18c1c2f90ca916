"""Butteraugli's line detectors: errors that form lines are more visible than others.

A weighted difference of two bands is summed along sixteen lines through each sample within a 9 x 9
field, and the squares of the sums are added. Source: libjxl,
``lib/jxl/butteraugli/butteraugli.cc``: ``MaltaDiffMapT`` and ``MaltaUnit``. In its list of full lines
four of the sixteen occur twice. Pairs of samples that several lines share are added once here.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel

__all__ = [
    "HIGH_LINES",
    "MIDDLE_LINES",
    "REACH",
    "ULTRA_LINES",
    "difference_rows",
    "full_lines",
    "sparse_lines",
]

F = np.float32
_ZERO, _HALF, _TWO = F(0.0), F(0.5), F(2.0)
FEWER, MORE = F(0.55), F(1.05)

#: Samples between a line's centre and its ends, and so the margin of zeros around a field of differences.
REACH = 4


#: Weight of the part of a difference outside 0.55 to 1.05 times the reference, over that of the plain
#: difference.
EXCESS = F(sqrt(0.33 / 0.5))


def _weights(weight: float, norm: float, multiplier: float) -> tuple[np.float32, np.float32]:
    return F(norm), F(multiplier * sqrt(0.5 * weight) / (3.75 * 2 + 1) * norm)


#: For X and Y of each band: the magnitude above which errors are masked, and the weight of the difference.
ULTRA_LINES = (
    _weights(173.5, 5.0, 0.39905817637),
    _weights(1.10039032555, 71.7800275169, 0.39905817637),
)
HIGH_LINES = (
    _weights(6923.99476109, 8051.15833247, 0.611612573796),
    _weights(18.7237414387, 4498534.45232, 0.611612573796),
)
MIDDLE_LINES = (
    _weights(8246.75321353, 1009002.70582, 0.611612573796),
    _weights(37.0819870399, 130262059.556, 0.611612573796),
)


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], int64, int64, int64, float32, float32, boolean[:, ::1],"
    " float32[:, :, ::1])"
)
def difference_rows(
    a: Any, b: Any, start: int, margin: int, block: int, norm: Any, scale: Any, wanted: Any, fields: Any
) -> int:
    """Write the weighted difference of two bands to fields, each of which holds a block of columns.

    Parameters
    ----------
    a, b : float32 (H, W)
        Bands of the reference and of the distorted picture.
    start : int64
        First of the n rows for which the fields are computed.
    margin, block : int64
        Margin of a field on all sides, and its columns without the margin.
    norm, scale : float32
        The magnitude above which errors are masked and the weight, both from a table of this module.
    wanted : bool (n + 2 margin, fields)
        Which rows of each field are written.
    fields : float32 (fields, n + 2 margin, at least block + 2 margin)
        Row ``i`` is row ``start - margin + i`` of the bands; zero beyond the edges.
    """
    height, width = a.shape
    for i in range(fields.shape[1]):
        y = start - margin + i
        for k in range(fields.shape[0]):
            if not wanted[i, k]:
                continue
            row = fields[k, i]
            left = k * block - margin
            first = max(left, 0)
            last = min(left + row.shape[0], width) if 0 <= y < height else first
            row[: first - left] = _ZERO
            row[last - left :] = _ZERO
            if last == first:
                continue
            u, v, out = a[y, first:last], b[y, first:last], row[first - left : last - left]
            for x in range(out.shape[0]):
                r = u[x]
                d = v[x]
                fewer = FEWER * r
                more = MORE * r
                low = fewer if fewer < more else more
                high = more if fewer < more else fewer
                clipped = low if d < low else d
                clipped = high if clipped > high else clipped
                size = norm + _HALF * (abs(r) + abs(d))
                out[x] = scale / size * ((r - d) + EXCESS * (clipped - d))
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1])")
def sparse_lines(field: Any, out: Any) -> int:
    """Add the energies of the lines of five samples in a field (n + 8, W + 8) to ``out`` (n, W)."""
    for y in range(out.shape[0]):
        r0, r1, r2, r3, r4 = field[y], field[y + 1], field[y + 2], field[y + 3], field[y + 4]
        r5, r6, r7, r8 = field[y + 5], field[y + 6], field[y + 7], field[y + 8]
        target = out[y]
        for x in range(target.shape[0]):
            x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
            x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
            c = r4[x4]
            # Names: n is a minus sign. p2n1 is the centre and the pair at (2, -1) and (-2, 1), in (y, x).
            p21 = c + (r6[x5] + r2[x3])
            p2n1 = c + (r6[x3] + r2[x5])
            p12 = c + (r5[x6] + r3[x2])
            p1n2 = c + (r5[x2] + r3[x6])
            s = c + (r4[x2] + r4[x6]) + (r4[x] + r4[x8])
            total = s * s
            s = c + (r2[x4] + r6[x4]) + (r0[x4] + r8[x4])
            total += s * s
            s = c + (r6[x6] + r2[x2]) + (r7[x7] + r1[x1])
            total += s * s
            s = c + (r6[x2] + r2[x6]) + (r7[x1] + r1[x7])
            total += s * s
            s = p2n1 + (r8[x3] + r0[x5])
            total += s * s
            s = p2n1 + (r7[x2] + r1[x6])
            total += s * s
            s = p2n1 + (r8[x2] + r0[x6])
            total += s * s
            s = p21 + (r8[x5] + r0[x3])
            total += s * s
            s = p21 + (r7[x6] + r1[x2])
            total += s * s
            s = p21 + (r8[x6] + r0[x2])
            total += s * s
            s = p12 + (r5[x8] + r3[x])
            total += s * s
            s = p12 + (r6[x7] + r2[x1])
            total += s * s
            s = p12 + (r6[x8] + r2[x])
            total += s * s
            s = p1n2 + (r5[x] + r3[x8])
            total += s * s
            s = p1n2 + (r6[x1] + r2[x7])
            total += s * s
            s = p1n2 + (r6[x] + r2[x8])
            total += s * s
            target[x] += total
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1])")
def full_lines(field: Any, out: Any) -> int:
    """Add the energies of the lines of seven or nine samples in a field (n + 8, W + 8) to ``out`` (n, W)."""
    for y in range(out.shape[0]):
        r0, r1, r2, r3, r4 = field[y], field[y + 1], field[y + 2], field[y + 3], field[y + 4]
        r5, r6, r7, r8 = field[y + 5], field[y + 6], field[y + 7], field[y + 8]
        target = out[y]
        for x in range(target.shape[0]):
            x1, x2, x3, x4 = x + 1, x + 2, x + 3, x + 4
            x5, x6, x7, x8 = x + 5, x + 6, x + 7, x + 8
            c = r4[x4]
            across = c + (r4[x3] + r4[x5])
            down = c + (r3[x4] + r5[x4])
            p11 = c + (r5[x5] + r3[x3])
            p1n1 = c + (r5[x3] + r3[x5])
            s = across + (r4[x2] + r4[x6]) + (r4[x1] + r4[x7]) + (r4[x] + r4[x8])
            total = s * s
            s = down + (r2[x4] + r6[x4]) + (r1[x4] + r7[x4]) + (r0[x4] + r8[x4])
            total += s * s
            # These four lines occur twice in libjxl's list.
            s = down + (r6[x3] + r2[x5]) + (r7[x3] + r1[x5]) + (r8[x3] + r0[x5])
            twice = s * s
            s = down + (r6[x5] + r2[x3]) + (r7[x5] + r1[x3]) + (r8[x5] + r0[x3])
            twice += s * s
            s = across + (r5[x6] + r3[x2]) + (r5[x7] + r3[x1]) + (r5[x8] + r3[x])
            twice += s * s
            s = across + (r3[x6] + r5[x2]) + (r3[x7] + r5[x1]) + (r3[x8] + r5[x])
            twice += s * s
            s = p11 + (r6[x6] + r2[x2]) + (r7[x7] + r1[x1])
            total += s * s
            s = p11 + (r6[x5] + r2[x3]) + (r7[x6] + r1[x2])
            total += s * s
            s = p11 + (r5[x6] + r3[x2]) + (r6[x7] + r2[x1])
            total += s * s
            s = p1n1 + (r6[x2] + r2[x6]) + (r7[x1] + r1[x7])
            total += s * s
            s = p1n1 + (r6[x3] + r2[x5]) + (r7[x2] + r1[x6])
            total += s * s
            s = p1n1 + (r3[x6] + r5[x2]) + (r2[x7] + r6[x1])
            total += s * s
            target[x] += total + _TWO * twice
    return 0
