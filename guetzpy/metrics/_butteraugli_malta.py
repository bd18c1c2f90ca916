"""Butteraugli's line detectors: how an error looks depends on whether it forms edges.

A weighted difference of two bands is summed along sixteen lines through each sample of a 9 x 9
field, and the squares of the sums are added. Facts from libjxl,
``lib/jxl/butteraugli/butteraugli.cc``: ``MaltaDiffMapT`` and ``MaltaUnit``. Of the sixteen full lines
four occur twice there; pairs of samples that several lines share are added once here.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel

__all__ = ["HIGH_LINES", "MIDDLE_LINES", "REACH", "ULTRA_LINES", "line_rows"]

F = np.float32
_HALF, _TWO = F(0.5), F(2.0)
_FEWER, _MORE = F(0.55), F(1.05)

#: Samples that a line reaches from its centre, and so the margin of zeros around a difference.
REACH = 4


#: Weight of what goes beyond 0.55 to 1.05 times the reference, relative to the plain difference.
_EXCESS = F(sqrt(0.33 / 0.5))


def _table(x: tuple[float, float], y: tuple[float, float], multiplier: float) -> npt.NDArray[np.float32]:
    rows = [(norm, multiplier * sqrt(0.5 * weight) / (3.75 * 2 + 1) * norm) for weight, norm in (x, y)]
    return np.array(rows, np.float32)


#: For X and Y of each band: the magnitude at which errors begin to hide, and the difference's weight.
ULTRA_LINES = _table((173.5, 5.0), (1.10039032555, 71.7800275169), 0.39905817637)
HIGH_LINES = _table((6923.99476109, 8051.15833247), (18.7237414387, 4498534.45232), 0.611612573796)
MIDDLE_LINES = _table((8246.75321353, 1009002.70582), (37.0819870399, 130262059.556), 0.611612573796)


@kernel("int64(float32[::1], float32[::1], float32, float32, float32[::1])")
def _difference_row(a: Any, b: Any, norm: Any, scale: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        u = a[x]
        v = b[x]
        fewer = _FEWER * u
        more = _MORE * u
        low = fewer if fewer < more else more
        high = more if fewer < more else fewer
        clipped = low if v < low else v
        clipped = high if clipped > high else clipped
        size = norm + _HALF * (abs(u) + abs(v))
        out[x] = scale / size * ((u - v) + _EXCESS * (clipped - v))
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1], int64, int64, float32, float32, float32[:, ::1])")
def difference_rows(a: Any, b: Any, start: int, stop: int, norm: Any, scale: Any, field: Any) -> int:
    """Fill a field with the weighted difference of two bands, rows ``start`` - 4 to ``stop`` + 4.

    Parameters
    ----------
    a, b : float32 (H, W)
        Reference and distorted.
    start, stop : int64
    norm, scale : float32
        From a table of this module.
    field : float32, at least (stop - start + 8, W + 8)
        Row ``i`` is row ``start - 4 + i`` of the bands; zero beyond the edges.
    """
    height, width = a.shape
    for i in range(stop - start + 2 * REACH):
        y = start - REACH + i
        row = field[i]
        if y < 0 or y >= height:
            row[:] = F(0.0)
        else:
            row[:REACH] = F(0.0)
            row[REACH + width :] = F(0.0)
            _difference_row(a[y], b[y], norm, scale, row[REACH : REACH + width])
    return 0


@kernel("int64(float32[:, ::1], int64, float32[::1])")
def sparse_lines(field: Any, i: int, out: Any) -> int:
    """Add the energy of the lines of five samples about row ``i`` of a field to ``out`` (W,)."""
    r0, r1, r2, r3, r4 = field[i - 4], field[i - 3], field[i - 2], field[i - 1], field[i]
    r5, r6, r7, r8 = field[i + 1], field[i + 2], field[i + 3], field[i + 4]
    for x in range(out.shape[0]):
        c = r4[x + 4]
        # In names, n is a step against the axis: p2n1 is the pair at (2, -1) and (-2, 1).
        p21 = c + (r6[x + 5] + r2[x + 3])
        p2n1 = c + (r6[x + 3] + r2[x + 5])
        p12 = c + (r5[x + 6] + r3[x + 2])
        p1n2 = c + (r5[x + 2] + r3[x + 6])
        s = c + (r4[x + 2] + r4[x + 6]) + (r4[x] + r4[x + 8])
        total = s * s
        s = c + (r2[x + 4] + r6[x + 4]) + (r0[x + 4] + r8[x + 4])
        total += s * s
        s = c + (r6[x + 6] + r2[x + 2]) + (r7[x + 7] + r1[x + 1])
        total += s * s
        s = c + (r6[x + 2] + r2[x + 6]) + (r7[x + 1] + r1[x + 7])
        total += s * s
        s = p2n1 + (r8[x + 3] + r0[x + 5])
        total += s * s
        s = p2n1 + (r7[x + 2] + r1[x + 6])
        total += s * s
        s = p2n1 + (r8[x + 2] + r0[x + 6])
        total += s * s
        s = p21 + (r8[x + 5] + r0[x + 3])
        total += s * s
        s = p21 + (r7[x + 6] + r1[x + 2])
        total += s * s
        s = p21 + (r8[x + 6] + r0[x + 2])
        total += s * s
        s = p12 + (r5[x + 8] + r3[x])
        total += s * s
        s = p12 + (r6[x + 7] + r2[x + 1])
        total += s * s
        s = p12 + (r6[x + 8] + r2[x])
        total += s * s
        s = p1n2 + (r5[x] + r3[x + 8])
        total += s * s
        s = p1n2 + (r6[x + 1] + r2[x + 7])
        total += s * s
        s = p1n2 + (r6[x] + r2[x + 8])
        total += s * s
        out[x] += total
    return 0


@kernel("int64(float32[:, ::1], int64, float32[::1])")
def full_lines(field: Any, i: int, out: Any) -> int:
    """Add the energy of the lines of seven or nine samples about row ``i`` of a field to ``out`` (W,)."""
    r0, r1, r2, r3, r4 = field[i - 4], field[i - 3], field[i - 2], field[i - 1], field[i]
    r5, r6, r7, r8 = field[i + 1], field[i + 2], field[i + 3], field[i + 4]
    for x in range(out.shape[0]):
        c = r4[x + 4]
        across = c + (r4[x + 3] + r4[x + 5])
        down = c + (r3[x + 4] + r5[x + 4])
        p11 = c + (r5[x + 5] + r3[x + 3])
        p1n1 = c + (r5[x + 3] + r3[x + 5])
        s = across + (r4[x + 2] + r4[x + 6]) + (r4[x + 1] + r4[x + 7]) + (r4[x] + r4[x + 8])
        total = s * s
        s = down + (r2[x + 4] + r6[x + 4]) + (r1[x + 4] + r7[x + 4]) + (r0[x + 4] + r8[x + 4])
        total += s * s
        # The four lines that libjxl's list holds twice.
        s = down + (r6[x + 3] + r2[x + 5]) + (r7[x + 3] + r1[x + 5]) + (r8[x + 3] + r0[x + 5])
        twice = s * s
        s = down + (r6[x + 5] + r2[x + 3]) + (r7[x + 5] + r1[x + 3]) + (r8[x + 5] + r0[x + 3])
        twice += s * s
        s = across + (r5[x + 6] + r3[x + 2]) + (r5[x + 7] + r3[x + 1]) + (r5[x + 8] + r3[x])
        twice += s * s
        s = across + (r3[x + 6] + r5[x + 2]) + (r3[x + 7] + r5[x + 1]) + (r3[x + 8] + r5[x])
        twice += s * s
        s = p11 + (r6[x + 6] + r2[x + 2]) + (r7[x + 7] + r1[x + 1])
        total += s * s
        s = p11 + (r6[x + 5] + r2[x + 3]) + (r7[x + 6] + r1[x + 2])
        total += s * s
        s = p11 + (r5[x + 6] + r3[x + 2]) + (r6[x + 7] + r2[x + 1])
        total += s * s
        s = p1n1 + (r6[x + 2] + r2[x + 6]) + (r7[x + 1] + r1[x + 7])
        total += s * s
        s = p1n1 + (r6[x + 3] + r2[x + 5]) + (r7[x + 2] + r1[x + 6])
        total += s * s
        s = p1n1 + (r3[x + 6] + r5[x + 2]) + (r2[x + 7] + r6[x + 1])
        total += s * s
        out[x] += total + _TWO * twice
    return 0


@kernel(
    "int64(float32[:, :, ::1], float32[:, :, ::1], int64, int64, float32[:, ::1], boolean,"
    " float32[:, ::1], float32[:, ::1])"
)
def line_rows(a: Any, b: Any, start: int, stop: int, table: Any, full: bool, field: Any, out: Any) -> int:
    """Add the energies of all lines of a band's X and Y to rows of errors.

    Parameters
    ----------
    a, b : float32 (2 or 3, H, W)
        The band of the reference and of the distorted picture.
    start, stop : int64
    table : float32 (2, 2)
        Of X and Y, from this module.
    full : bool
        Lines of seven or nine samples, else of five.
    field : float32, at least (stop - start + 8, W + 8)
    out : float32 (stop - start, W)
        Row 0 belongs to ``start``.
    """
    for c in range(2):
        difference_rows(a[c], b[c], start, stop, table[c, 0], table[c, 1], field)
        for i in range(stop - start):
            if full:
                full_lines(field, i + REACH, out[i])
            else:
                sparse_lines(field, i + REACH, out[i])
    return 0
