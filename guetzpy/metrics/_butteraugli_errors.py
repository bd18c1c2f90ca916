"""Butteraugli's judgement: from two pictures' bands to a map of errors, masked by what is around them.

Facts from libjxl, ``lib/jxl/butteraugli/butteraugli.cc``: ``L2Diff``, ``L2DiffAsymmetric``,
``Mask``, ``MaskY``, ``MaskDcY``, ``CombineChannelsToDiffmap``, ``SubSample2x``, ``AddSupersampled2x``.
The error terms of all channels meet in one sum per kind (``dc`` for the low band, ``ac`` for the
others), because one mask weighs them all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._jit import kernel
from guetzpy.metrics._butteraugli_malta import line_rows
from guetzpy.metrics.blur import blur_row

__all__ = ["dc_rows", "error_rows", "halve_rows", "merge_rows", "power_sums"]

F = np.float32
_ONE, _ZERO = F(1.0), F(0.0)

LOW_WEIGHTS = (F(29.2353797994), F(0.844626970982), F(0.703646627719))
MIDDLE_WEIGHTS = (F(2150.0), F(10.6195433239), F(16.2176043152))
HIGH_WEIGHTS = (F(0.8 * 400.0), F(0.8 * 1.50815703118))
FEWER_HIGH = F(0.4)
ACTIVITY_WEIGHT = F(10.0)
GLOBAL_SCALE = F(1.0 / (17.83 * 0.79079917404))
AC_MUL, AC_SCALER, AC_OFFSET = F(2.5485944793), F(0.451936922203), F(0.829591754942)
DC_MUL, DC_SCALER, DC_OFFSET = F(0.505054525019), F(3.87449418804), F(0.20025578522)


@kernel("int64(float32[:, :, ::1], float32[:, :, ::1], int64, int64, int64, float32[:, ::1])")
def dc_rows(a: Any, b: Any, start: int, stop: int, origin: int, dc: Any) -> int:
    """Weighted squares of the low bands' differences; row y of ``b`` is stored at ``y - origin``."""
    w0, w1, w2 = LOW_WEIGHTS
    for y in range(start, stop):
        p, q, r = a[0, y], a[1, y], a[2, y]
        u, v, w = b[0, y - origin], b[1, y - origin], b[2, y - origin]
        out = dc[y]
        for x in range(out.shape[0]):
            d0 = p[x] - u[x]
            d1 = q[x] - v[x]
            d2 = r[x] - w[x]
            out[x] = w0 * d0 * d0 + w1 * d1 * d1 + w2 * d2 * d2
    return 0


@kernel("float32(float32, float32)")
def _excess(a: Any, b: Any) -> Any:
    """How far ``b`` lies outside the range from 0.4 ``a`` to ``a``."""
    part = FEWER_HIGH * a
    low = part if part < a else a
    high = a if part < a else part
    clipped = low if b < low else b
    clipped = high if clipped > high else clipped
    return clipped - b


@kernel(
    "int64(float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1],"
    " float32[:, ::1], float32[::1], int64, float32[::1])"
)
def ac_row(
    middle_a: Any, middle_b: Any, high_a: Any, high_b: Any, activity_a: Any, activity_b: Any, y: int, out: Any
) -> int:
    """Weighted squares of the middle and high bands' differences, and of the activities', of one row."""
    w0, w1, w2 = MIDDLE_WEIGHTS
    w3, w4 = HIGH_WEIGHTS
    p, q, r = middle_a[0, y], middle_a[1, y], middle_a[2, y]
    u, v, w = middle_b[0, y], middle_b[1, y], middle_b[2, y]
    for x in range(out.shape[0]):
        d0 = p[x] - u[x]
        d1 = q[x] - v[x]
        d2 = r[x] - w[x]
        out[x] = w0 * d0 * d0 + w1 * d1 * d1 + w2 * d2 * d2
    p, q, r = high_a[0, y], high_a[1, y], activity_a[y]
    u, v = high_b[0, y], high_b[1, y]
    for x in range(out.shape[0]):
        d0 = p[x] - u[x]
        e0 = _excess(p[x], u[x])
        d1 = q[x] - v[x]
        e1 = _excess(q[x], v[x])
        d2 = r[x] - activity_b[x]
        out[x] += w3 * (d0 * d0 + e0 * e0) + w4 * (d1 * d1 + e1 * e1) + ACTIVITY_WEIGHT * d2 * d2
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1])")
def masked_row(erosion: Any, dc: Any, ac: Any, out: Any) -> int:
    """Root of both kinds of error, each times its mask."""
    for x in range(out.shape[0]):
        e = erosion[x]
        visible = GLOBAL_SCALE * (_ONE + AC_MUL / (AC_SCALER * e + AC_OFFSET))
        visible_dc = GLOBAL_SCALE * (_ONE + DC_MUL / (DC_SCALER * e + DC_OFFSET))
        out[x] = np.sqrt(dc[x] * (visible_dc * visible_dc) + ac[x] * (visible * visible))
    return 0


@kernel("int64(float32[:, :, ::1], int64, int64, int64, int64, float32[:, :, ::1])")
def halve_rows(linear: Any, start: int, stop: int, top: int, rows: int, half: Any) -> int:
    """Average 2 x 2 samples into rows ``start`` to ``stop`` of a picture of half the size.

    Parameters
    ----------
    linear : float32 (3, n, W)
        Rows from ``top`` on of a picture of ``rows`` rows. The last row and column of an odd size
        are averaged with themselves.
    start, stop : int64
    top, rows : int64
    half : float32 (3, (rows + 1) // 2, (W + 1) // 2)
    """
    width = linear.shape[2]
    for c in range(3):
        for y in range(start, stop):
            a = linear[c, 2 * y - top]
            b = linear[c, min(2 * y + 1, rows - 1) - top]
            out = half[c, y]
            for x in range(width // 2):
                out[x] = F(0.25) * ((a[2 * x] + a[2 * x + 1]) + (b[2 * x] + b[2 * x + 1]))
            if width % 2 == 1:
                out[width // 2] = F(0.5) * (a[width - 1] + b[width - 1])
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[:, ::1])")
def merge_rows(half: Any, start: int, stop: int, full: Any) -> int:
    """Add the map of half the size to rows ``start`` to ``stop`` of the full one: 0.85 of it, 0.5 of the other."""
    width = full.shape[1]
    for y in range(start, stop):
        source, out = half[y // 2], full[y]
        for x in range(width // 2):
            addend = F(0.5) * source[x]
            out[2 * x] = F(0.85) * out[2 * x] + addend
            out[2 * x + 1] = F(0.85) * out[2 * x + 1] + addend
        if width % 2 == 1:
            out[width - 1] = F(0.85) * out[width - 1] + F(0.5) * source[width // 2]
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, float64[:, ::1], float64[::1])")
def power_sums(field: Any, start: int, stop: int, power: int, columns: Any, out: Any) -> int:
    """Sums of the powers p, 2p and 4p over rows ``start`` to ``stop``, and the maximum.

    Parameters
    ----------
    field : float32 (H, W)
        Not negative.
    start, stop : int64
    power : int64
        p >= 1.
    columns : float64 (3, W)
        Room for the sums of the columns, which are added from left to right at the end.
    out : float64 (4,)
    """
    width = field.shape[1]
    s0, s1, s2 = columns[0], columns[1], columns[2]
    columns[:] = 0.0
    largest = F(0.0)
    for y in range(start, stop):
        row = field[y]
        for x in range(width):
            d = np.float64(row[x])
            v = d
            for _ in range(power - 1):
                v = v * d
            s0[x] += v
            v = v * v
            s1[x] += v
            s2[x] += v * v
        for x in range(width):
            largest = max(largest, row[x])
    out[:] = 0.0
    for x in range(width):
        out[0] += s0[x]
        out[1] += s1[x]
        out[2] += s2[x]
    out[3] = np.float64(largest)
    return 0


@kernel(
    "int64(float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, ::1], float32[:, ::1],"
    " float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, ::1], float32[:, ::1],"
    " int64, int64, float32[::1], float32[::1], float32[::1], float32[:, ::1], float32[:, :, ::1],"
    " float32[:, ::1], float32[:, ::1], float32[:, ::1])"
)
def error_rows(
    middle_a: Any, high_a: Any, ultra_a: Any, activity_a: Any, erosion: Any,
    middle_b: Any, high_b: Any, ultra_b: Any, activity_b: Any, dc: Any,
    start: int, stop: int, taps: Any, gain_y: Any, gain_x: Any, scratch: Any, tables: Any,
    field: Any, ac: Any, out: Any,
) -> int:  # fmt: skip
    """Map of errors from all bands.

    Parameters
    ----------
    middle_a, high_a, ultra_a : float32 (3 or 2, H, W)
        Bands of the reference.
    activity_a, erosion : float32 (H, W)
        Blurred activity of the reference, and the mask that came of it.
    middle_b, high_b, ultra_b, activity_b : float32
        Of the distorted picture; its activity is not blurred yet.
    dc : float32 (H, W)
        From :func:`dc_rows`.
    start, stop : int64
    taps, gain_y, gain_x : float32
        Of the activity's blur.
    scratch : float32 (2, W + 2 radius + 4)
        The first row holds zeros.
    tables : float32 (3, 2, 2)
        Weights of the middle, high and ultra-high bands for the line detectors.
    field : float32 (stop - start + 8, W + 8)
    ac : float32 (stop - start + 1, W)
        Room for the errors of the strip, and for one more row.
    out : float32 (H, W)
    """
    last = ac[stop - start]
    for y in range(start, stop):
        blur_row(activity_b, y, taps, gain_y, gain_x, scratch[0], scratch[1], last)
        ac_row(middle_a, middle_b, high_a, high_b, activity_a, last, y, ac[y - start])
    line_rows(middle_a, middle_b, start, stop, tables[0], False, field, ac)
    line_rows(high_a, high_b, start, stop, tables[1], False, field, ac)
    line_rows(ultra_a, ultra_b, start, stop, tables[2], True, field, ac)
    for y in range(start, stop):
        masked_row(erosion[y], dc[y], ac[y - start], out[y - start])
    return 0
