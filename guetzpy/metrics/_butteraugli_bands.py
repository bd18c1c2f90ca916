"""Butteraugli's eye: from linear light to opponent colours in four frequency bands.

Facts (structure and constants) from libjxl, ``lib/jxl/butteraugli/butteraugli.cc``:
``OpsinDynamicsImage``, ``SeparateFrequencies``, ``CombineChannelsForMasking``, ``DiffPrecompute``.

All kernels work on rows ``start`` to ``stop`` of planes, so that strips of one plane can go to
several threads; every sample's arithmetic has one order, whatever the strips.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._jit import kernel
from guetzpy.metrics.blur import blur_row

__all__ = ["erode_rows", "high_rows", "low_rows", "middle_rows", "opsin_rows", "smooth_rows"]

F = np.float32

SIGMA_OPSIN = 1.2
SIGMA_LOW = 7.15593339443
SIGMA_MIDDLE = 3.22489901262
SIGMA_HIGH = 1.56416327805
SIGMA_ACTIVITY = 2.7

#: The display's white in cd/m2; all that follows is in these units.
NITS = F(80.0)
MIX00, MIX01, MIX02 = F(0.29956550340058319), F(0.63373087833825936), F(0.077705617820981968)
MIX10, MIX11, MIX12 = F(0.22158691104574774), F(0.69391388044116142), F(0.0987313588422)
MIX20, MIX21, MIX22 = F(0.02), F(0.02), F(0.20480129041026129)
BIAS01, BIAS2 = F(1.7557483643287353), F(12.226454707163354)
GAMMA_MUL, GAMMA_ADD, GAMMA_BIAS = F(19.245013259874995), F(-23.16046239805755), F(9.9710635769299145)
MIN_SENSITIVITY = F(1e-4)

LOW_X, LOW_Y, LOW_B, LOW_Y_TO_B = (
    F(33.832837186260),
    F(14.458268100570),
    F(49.87984651440),
    F(-0.362267051518),
)
REMOVE_MIDDLE, ADD_MIDDLE = F(0.29), F(0.1)
REMOVE_HIGH, ADD_HIGH, REMOVE_ULTRA = F(1.5), F(0.132), F(0.04)
CLAMP_HIGH, CLAMP_ULTRA, CLAMP_SLOPE = F(28.4691806922), F(5.19175294647), F(0.724216145665)
MUL_HIGH, MUL_ULTRA = F(2.155), F(2.69313763794)
SUPPRESS, SUPPRESS_REST = F(46.0), F(0.653020556257)
ACTIVITY_X, ACTIVITY_Y = F(2.5), F(0.4)
ACTIVITY_MUL, ACTIVITY_BIAS = F(6.19424080439), F(6.19424080439 * 12.61050594197)
ACTIVITY_ROOT = np.sqrt(ACTIVITY_BIAS)

_LN2 = F(0.6931471805599453)
_ONE, _TWO, _HALF, _ZERO = F(1.0), F(2.0), F(0.5), F(0.0)
_T3, _T5, _T7, _T9 = F(2.0 / 3.0), F(2.0 / 5.0), F(2.0 / 7.0), F(2.0 / 9.0)


@kernel("int64(float32[::1])")
def log_row(values: Any) -> int:
    """Replace each value, positive and normal, by its natural logarithm; error below 2 units in the last place.

    ``ln(2^e m) = e ln 2 + 2 artanh((m - 1) / (m + 1))`` with m from sqrt(1/2) to sqrt(2): the first
    term that is left out of the series is below 2 * 0.1716^11 / 11 = 7e-10.
    """
    bits = values.view(np.int32)
    for x in range(values.shape[0]):
        b = np.int32(bits[x])
        e = np.int32(np.int32(b - np.int32(0x3F3504F3)) >> np.int32(23))
        bits[x] = np.int32(b - np.int32(e << np.int32(23)))
        exponent = F(e)
        m = values[x]
        t = (m - _ONE) / (m + _ONE)
        s = t * t
        values[x] = exponent * _LN2 + t * (_TWO + s * (_T3 + s * (_T5 + s * (_T7 + s * _T9))))
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])"
)
def _five(centre: Any, a: Any, b: Any, c: Any, d: Any, taps: Any, out: Any) -> int:
    k0, k1, k2 = taps[0], taps[1], taps[2]
    for x in range(out.shape[0]):
        out[x] = k0 * centre[x] + k1 * (a[x] + b[x]) + k2 * (c[x] + d[x])
    return 0


@kernel("int64(float32[:, ::1], int64, float32[::1], float32[::1], float32[::1])")
def mirrored_row(plane: Any, y: int, taps: Any, line: Any, out: Any) -> int:
    """Write row ``y`` of a plane blurred with five taps, mirrored at the edges (the edge sample twice)."""
    height, width = plane.shape
    row = line[2 : 2 + width]
    a = plane[y - 1] if y >= 1 else plane[0]
    b = plane[y + 1] if y + 1 < height else plane[height - 1]
    c = plane[y - 2] if y >= 2 else plane[1 - y]
    d = plane[y + 2] if y + 2 < height else plane[2 * height - 3 - y]
    _five(plane[y], a, b, c, d, taps, row)
    line[1] = line[2]
    line[0] = line[3]
    line[width + 2] = line[width + 1]
    line[width + 3] = line[width]
    _five(row, line[1 : 1 + width], line[3 : 3 + width], line[:width], line[4 : 4 + width], taps, out)
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1])")
def _sensitivity_row(light: Any, gain: Any) -> int:
    """Absorbances of three rows of blurred light (in place), and the eye's gain for them."""
    width = light.shape[1]
    r, g, b = light[0], light[1], light[2]
    p, q, s = gain[0], gain[1], gain[2]
    for x in range(width):
        u = NITS * r[x]
        v = NITS * g[x]
        w = NITS * b[x]
        m0 = MIX00 * u + MIX01 * v + MIX02 * w + BIAS01
        m1 = MIX10 * u + MIX11 * v + MIX12 * w + BIAS01
        m2 = MIX20 * u + MIX21 * v + MIX22 * w + BIAS2
        # Written so that NaN stays: the score then is NaN too, and the caller is told.
        m0 = BIAS01 if m0 < BIAS01 else m0
        m1 = BIAS01 if m1 < BIAS01 else m1
        m2 = BIAS2 if m2 < BIAS2 else m2
        r[x] = m0
        g[x] = m1
        b[x] = m2
        p[x] = m0 + GAMMA_BIAS
        q[x] = m1 + GAMMA_BIAS
        s[x] = m2 + GAMMA_BIAS
    for c in range(3):
        absorbed = light[c]
        curve = gain[c]
        log_row(curve)
        for x in range(width):
            # At least 1e-4: the curve is positive from the bias on, and falls below only past 1e7 nits.
            value = (GAMMA_MUL * curve[x] + GAMMA_ADD) / absorbed[x]
            curve[x] = MIN_SENSITIVITY if value < MIN_SENSITIVITY else value
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[:, ::1], float32[::1], float32[::1], float32[::1])"
)
def _opponent_row(r: Any, g: Any, b: Any, gain: Any, out_x: Any, out_y: Any, out_b: Any) -> int:
    p, q, s = gain[0], gain[1], gain[2]
    for x in range(out_x.shape[0]):
        u = NITS * r[x]
        v = NITS * g[x]
        w = NITS * b[x]
        m0 = (MIX00 * u + MIX01 * v + MIX02 * w + BIAS01) * p[x]
        m1 = (MIX10 * u + MIX11 * v + MIX12 * w + BIAS01) * q[x]
        m2 = (MIX20 * u + MIX21 * v + MIX22 * w + BIAS2) * s[x]
        m0 = BIAS01 if m0 < BIAS01 else m0
        m1 = BIAS01 if m1 < BIAS01 else m1
        m2 = BIAS2 if m2 < BIAS2 else m2
        out_x[x] = m0 - m1
        out_y[x] = m0 + m1
        out_b[x] = m2
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, float32[::1], float32[:, ::1], float32[:, ::1], float32[:, :, ::1])"
)
def opsin_rows(linear: Any, start: int, stop: int, taps: Any, line: Any, scratch: Any, out: Any) -> int:
    """Linear sRGB to opponent colours X, Y, B.

    Parameters
    ----------
    linear : float32 (3, H, W)
        1.0 = white.
    start, stop : int64
    taps : float32 (3,)
        Of the blur that adapts the eye.
    line : float32 (1, W + 4)
    scratch : float32 (6, W)
    out : float32 (3, H, W)
    """
    light, gain = scratch[:3], scratch[3:]
    for y in range(start, stop):
        for c in range(3):
            mirrored_row(linear[c], y, taps, line[0], light[c])
        _sensitivity_row(light, gain)
        _opponent_row(linear[0, y], linear[1, y], linear[2, y], gain, out[0, y], out[1, y], out[2, y])
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, float32[::1], float32[::1], float32[::1],"
    " float32[:, ::1], float32[:, :, ::1], float32[:, :, ::1], int64)"
)
def low_rows(
    xyb: Any,
    start: int,
    stop: int,
    taps: Any,
    gain_y: Any,
    gain_x: Any,
    scratch: Any,
    rest: Any,
    low: Any,
    origin: int,
) -> int:
    """Split off the low band.

    Parameters
    ----------
    xyb : float32 (3, H, W)
    start, stop : int64
    taps, gain_y, gain_x : float32
        Of the blur.
    scratch : float32 (2, W + 2 radius + 4)
        The first row holds zeros.
    rest : float32 (3, H, W)
        What the low band leaves, for :func:`middle_rows`.
    low : float32 (3, n, W)
        The low band in units of its error terms; row y goes to row ``y - origin``.
    origin : int64
    """
    for y in range(start, stop):
        for c in range(3):
            out = low[c, y - origin]
            blur_row(xyb[c], y, taps, gain_y, gain_x, scratch[0], scratch[1], out)
            source, target = xyb[c, y], rest[c, y]
            for x in range(out.shape[0]):
                target[x] = source[x] - out[x]
        lx, ly, lb = low[0, y - origin], low[1, y - origin], low[2, y - origin]
        for x in range(lx.shape[0]):
            lb[x] = (lb[x] + LOW_Y_TO_B * ly[x]) * LOW_B
            lx[x] *= LOW_X
            ly[x] *= LOW_Y
    return 0


@kernel("float32(float32, float32)")
def _remove(v: Any, w: Any) -> Any:
    """Make the range around zero less important: remove it."""
    above = v - w
    below = v + w
    return (above if above > _ZERO else _ZERO) + (below if below < _ZERO else _ZERO)


@kernel("float32(float32, float32)")
def _amplify(v: Any, w: Any) -> Any:
    """Make the range around zero more important: twice it."""
    clipped = w if v > w else v
    clipped = -w if clipped < -w else clipped
    return v + clipped


@kernel("float32(float32, float32)")
def _soften(v: Any, limit: Any) -> Any:
    """Grow more slowly beyond a limit."""
    clipped = limit if v > limit else v
    clipped = -limit if clipped < -limit else clipped
    return clipped + (v - clipped) * CLAMP_SLOPE


@kernel(
    "int64(float32[:, :, ::1], int64, int64, float32[::1], float32[::1], float32[::1],"
    " float32[:, ::1], float32[:, :, ::1], float32[:, :, ::1])"
)
def middle_rows(
    rest: Any,
    start: int,
    stop: int,
    taps: Any,
    gain_y: Any,
    gain_x: Any,
    scratch: Any,
    middle: Any,
    rest_high: Any,
) -> int:
    """Split off the middle band (X, Y, B), as :func:`low_rows` does; ``rest_high`` (2, H, W) is what it leaves."""
    for y in range(start, stop):
        for c in range(3):
            blur_row(rest[c], y, taps, gain_y, gain_x, scratch[0], scratch[1], middle[c, y])
        rx, ry, mx, my = rest[0, y], rest[1, y], middle[0, y], middle[1, y]
        hx, hy = rest_high[0, y], rest_high[1, y]
        for x in range(mx.shape[0]):
            luma = ry[x] - my[x]
            # Red-green detail is less visible where luma changes too.
            factor = SUPPRESS / (luma * luma + SUPPRESS) * (_ONE - SUPPRESS_REST) + SUPPRESS_REST
            hx[x] = (rx[x] - mx[x]) * factor
            hy[x] = luma
            mx[x] = _remove(mx[x], REMOVE_MIDDLE)
            my[x] = _amplify(my[x], ADD_MIDDLE)
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, float32[::1], float32[::1], float32[::1],"
    " float32[:, ::1], float32[:, :, ::1], float32[:, :, ::1], float32[:, ::1])"
)
def high_rows(
    rest: Any,
    start: int,
    stop: int,
    taps: Any,
    gain_y: Any,
    gain_x: Any,
    scratch: Any,
    high: Any,
    ultra: Any,
    activity: Any,
) -> int:
    """Split into the high and the ultra-high band (X, Y each), and measure the activity that masks errors."""
    for y in range(start, stop):
        for c in range(2):
            blur_row(rest[c], y, taps, gain_y, gain_x, scratch[0], scratch[1], high[c, y])
        rx, ry = rest[0, y], rest[1, y]
        hx, hy, ux, uy = high[0, y], high[1, y], ultra[0, y], ultra[1, y]
        for x in range(hx.shape[0]):
            smooth = hx[x]
            hx[x] = _remove(smooth, REMOVE_HIGH)
            ux[x] = _remove(rx[x] - smooth, REMOVE_ULTRA)
            smooth = _soften(hy[x], CLAMP_HIGH)
            uy[x] = MUL_ULTRA * _soften(ry[x] - smooth, CLAMP_ULTRA)
            hy[x] = _amplify(MUL_HIGH * smooth, ADD_HIGH)
        out = activity[y]
        for x in range(hx.shape[0]):
            dx = ACTIVITY_X * (ux[x] + hx[x])
            dy = ACTIVITY_Y * (uy[x] + hy[x])
            magnitude = np.sqrt(dx * dx + dy * dy)
            out[x] = np.sqrt(ACTIVITY_MUL * magnitude + ACTIVITY_BIAS) - ACTIVITY_ROOT
    return 0


@kernel(
    "int64(float32[:, ::1], int64, int64, float32[::1], float32[::1], float32[::1], float32[:, ::1], float32[:, ::1])"
)
def smooth_rows(
    plane: Any, start: int, stop: int, taps: Any, gain_y: Any, gain_x: Any, scratch: Any, out: Any
) -> int:
    """Blur rows of one plane."""
    for y in range(start, stop):
        blur_row(plane, y, taps, gain_y, gain_x, scratch[0], scratch[1], out[y])
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[:, ::1])")
def erode_rows(plane: Any, start: int, stop: int, out: Any) -> int:
    """Mix the three smallest of a sample and its neighbours at distance 3; twice the sample bounds them."""
    height, width = plane.shape
    for y in range(start, stop):
        for x in range(width):
            least = plane[y, x]
            second = _TWO * least
            third = second
            for j in range(max(y - 3, y % 3), min(y + 4, height), 3):
                for i in range(max(x - 3, x % 3), min(x + 4, width), 3):
                    if i == x and j == y:
                        continue
                    v = plane[j, i]
                    if v < third:
                        if v < second:
                            third = second
                            if v < least:
                                second = least
                                least = v
                            else:
                                second = v
                        else:
                            third = v
            out[y, x] = F(0.45) * least + F(0.3) * second + F(0.25) * third
    return 0
