"""Butteraugli's errors: from the bands of two pictures to a map of errors with masking.

Source: libjxl, ``lib/jxl/butteraugli/butteraugli.cc``: ``L2Diff``, ``L2DiffAsymmetric``,
``Mask``, ``MaskY``, ``MaskDcY``, ``CombineChannelsToDiffmap``, ``SubSample2x``, ``AddSupersampled2x``.
The errors of all channels are added to two sums, ``dc`` for the low band and ``ac`` for the other bands,
because there is one mask for each of the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel

__all__ = ["ac_errors", "add_doubled_rows", "dc_errors", "halve_rows", "mask_errors", "power", "power_sums"]

F = np.float32
_ONE, _ZERO = F(1.0), F(0.0)

LOW_X, LOW_Y, LOW_B = F(29.2353797994), F(0.844626970982), F(0.703646627719)
MIDDLE_X, MIDDLE_Y, MIDDLE_B = F(2150.0), F(10.6195433239), F(16.2176043152)
HIGH_X, HIGH_Y = F(0.8 * 400.0), F(0.8 * 1.50815703118)
FEWER_HIGH = F(0.4)
ACTIVITY = F(10.0)
GLOBAL_SCALE = F(1.0 / (17.83 * 0.79079917404))
AC_MUL, AC_SCALER, AC_OFFSET = F(2.5485944793), F(0.451936922203), F(0.829591754942)
DC_MUL, DC_SCALER, DC_OFFSET = F(0.505054525019), F(3.87449418804), F(0.20025578522)
HALF_WEIGHT, FULL_WEIGHT = F(0.5), F(0.85)


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])"
)
def dc_errors(ax: Any, ay: Any, ab: Any, bx: Any, by: Any, bb: Any, dc: Any) -> int:
    """Write the weighted sums of squared differences of the low bands."""
    for i in range(dc.shape[0]):
        x = ax[i] - bx[i]
        y = ay[i] - by[i]
        b = ab[i] - bb[i]
        dc[i] = LOW_X * x * x + LOW_Y * y * y + LOW_B * b * b
    return 0


@kernel("float32(float32, float32)", inner=True)
def beyond(a: Any, b: Any) -> Any:
    """Return the difference from ``b`` to the nearest value between 0.4 ``a`` and ``a``."""
    part = FEWER_HIGH * a
    low = part if part < a else a
    high = a if part < a else part
    clipped = low if b < low else b
    clipped = high if clipped > high else clipped
    return clipped - b


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])"
)
def ac_errors(
    ax: Any, ay: Any, ab: Any, bx: Any, by: Any, bb: Any,
    hax: Any, hay: Any, hbx: Any, hby: Any, activity_a: Any, activity_b: Any, ac: Any,
) -> int:  # fmt: skip
    """Write the weighted sums of squared differences of middle bands, high bands and activities."""
    for i in range(ac.shape[0]):
        x = ax[i] - bx[i]
        y = ay[i] - by[i]
        b = ab[i] - bb[i]
        total = MIDDLE_X * x * x + MIDDLE_Y * y * y + MIDDLE_B * b * b
        x = hax[i] - hbx[i]
        y = hay[i] - hby[i]
        outside_x = beyond(hax[i], hbx[i])
        outside_y = beyond(hay[i], hby[i])
        total += HIGH_X * (x * x + outside_x * outside_x) + HIGH_Y * (y * y + outside_y * outside_y)
        x = activity_a[i] - activity_b[i]
        ac[i] = total + ACTIVITY * x * x
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1])")
def mask_errors(erosion: Any, dc: Any, ac: Any, out: Any) -> int:
    """Write the map of errors: the root of the sum of both errors, each times its squared mask.

    The masks are computed from ``erosion``, data of the reference. ``out`` may be ``dc``.
    """
    for i in range(out.shape[0]):
        e = erosion[i]
        seen = GLOBAL_SCALE * (_ONE + AC_MUL / (AC_SCALER * e + AC_OFFSET))
        seen_dc = GLOBAL_SCALE * (_ONE + DC_MUL / (DC_SCALER * e + DC_OFFSET))
        out[i] = np.sqrt(dc[i] * (seen_dc * seen_dc) + ac[i] * (seen * seen))
    return 0


@kernel("int64(float32[:, :, ::1], int64, int64, int64, int64, float32[:, :, ::1])")
def halve_rows(linear: Any, start: int, stop: int, top: int, rows: int, half: Any) -> int:
    """Average 2 x 2 samples into rows ``start`` to ``stop`` of a picture of half the size.

    Parameters
    ----------
    linear : float32 (3, n, W)
        Rows of a picture of ``rows`` rows, from row ``top`` on. The last row and column of an odd size
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


@kernel("int64(float32[:, ::1], int64, int64, float32, float32, float32[:, ::1])")
def add_doubled_rows(half: Any, start: int, stop: int, part: Any, share: Any, full: Any) -> int:
    """Set rows of ``full`` to ``share`` times themselves plus ``part`` times a plane of half the size."""
    width = full.shape[1]
    for y in range(start, stop):
        source, out = half[y // 2], full[y]
        for x in range(width // 2):
            addend = part * source[x]
            out[2 * x] = share * out[2 * x] + addend
            out[2 * x + 1] = share * out[2 * x + 1] + addend
        if width % 2 == 1:
            out[width - 1] = share * out[width - 1] + part * source[width // 2]
    return 0


@kernel("float64(float64, float64)")
def power(x: Any, p: Any) -> Any:
    """Return ``x`` to the power ``p`` for x >= 0, p > 0; relative error below 1e-13 above 1e-300.

    The method is that of :mod:`guetzpy._runtime.exact_math`, for kernels. The range is reduced by factors of
    two, because functions of the mathematical library differ between processors.
    """
    if not 1e-30 < x < 1e300:
        return 0.0 if x <= 1e-30 else x  # infinity and NaN stay
    exponent = 0.0
    m = x
    while m < 0.7071067811865476:
        m *= 2.0
        exponent -= 1.0
    while m > 1.4142135623730951:
        m *= 0.5
        exponent += 1.0
    # ln m = 2 artanh(t), |t| <= 0.172: the 12th odd term, the last of the series, is below 1e-18.
    t = (m - 1.0) / (m + 1.0)
    s = t * t
    series = 0.0
    for n in range(23, 0, -2):
        series = series * s + 1.0 / n
    y = p * (exponent + 2.0 * t * series / 0.6931471805599453)
    if y < -1000.0:
        return 0.0
    whole = np.floor(y)
    rest = (y - whole) * 0.6931471805599453
    value = 1.0
    for n in range(20, 0, -1):
        value = 1.0 + value * rest / n
    for _ in range(abs(np.int64(whole))):
        value = value * 2.0 if whole > 0.0 else value * 0.5
    return value


@kernel("int64(float32[:, ::1], int64, int64, float64, float64[:, ::1], float64[::1])")
def power_sums(field: Any, start: int, stop: int, p: float, columns: Any, out: Any) -> int:
    """Sum the powers p, 2p and 4p of the values of rows ``start`` to ``stop``, and find the largest value.

    Parameters
    ----------
    field : float32 (H, W)
        Not negative.
    start, stop : int64
    p : float64
        1 or more.
    columns : float64 (3, W)
        Scratch for the sums of the columns, which are added from left to right at the end.
    out : float64 (4,)
        The three sums and the largest value.
    """
    width = field.shape[1]
    s0, s1, s2 = columns[0], columns[1], columns[2]
    columns[:] = 0.0
    largest = F(0.0)
    for y in range(start, stop):
        row = field[y]
        if p == 3.0:
            for x in range(width):
                d = np.float64(row[x])
                v = d * d * d
                s0[x] += v
                v = v * v
                s1[x] += v
                s2[x] += v * v
        else:
            for x in range(width):
                v = power(np.float64(row[x]), p)
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
