"""Derivatives of Butteraugli's stages with respect to their inputs.

Each kernel is the adjoint of a kernel of ``bands``, ``errors`` or ``malta`` of this package, at the distorted
picture (``b``). The split of the bands maps values by monotone, piecewise functions. The result shows on
which piece a value was. Where the slope jumps, the slope of one side is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._butteraugli.bands import (
    ACTIVITY_BIAS,
    ACTIVITY_MUL,
    ACTIVITY_X,
    ACTIVITY_Y,
    ADD_HIGH,
    ADD_MIDDLE,
    BIAS01,
    BIAS2,
    CLAMP_HIGH,
    CLAMP_SLOPE,
    CLAMP_ULTRA,
    GAMMA_BIAS,
    GAMMA_MUL,
    LOW_B,
    LOW_X,
    LOW_Y,
    LOW_Y_TO_B,
    MIN_SENSITIVITY,
    MIX00,
    MIX01,
    MIX02,
    MIX10,
    MIX11,
    MIX12,
    MIX20,
    MIX21,
    MIX22,
    MUL_HIGH,
    MUL_ULTRA,
    NITS,
    SUPPRESS,
    SUPPRESS_REST,
)
from guetzpy.metrics._butteraugli.errors import (
    AC_MUL,
    AC_OFFSET,
    AC_SCALER,
    ACTIVITY,
    DC_MUL,
    DC_OFFSET,
    DC_SCALER,
    GLOBAL_SCALE,
    HIGH_X,
    HIGH_Y,
    MIDDLE_B,
    MIDDLE_X,
    MIDDLE_Y,
    beyond,
    power,
)
from guetzpy.metrics._butteraugli.errors import LOW_B as ERROR_LOW_B
from guetzpy.metrics._butteraugli.errors import LOW_X as ERROR_LOW_X
from guetzpy.metrics._butteraugli.errors import LOW_Y as ERROR_LOW_Y
from guetzpy.metrics._butteraugli.malta import EXCESS, FEWER, MORE

__all__ = [
    "error_slopes",
    "high_slopes",
    "middle_slopes",
    "norm_slopes",
    "opponent_slopes",
    "rest_slopes",
    "weigh_rows",
]

F = np.float32
_ZERO, _HALF, _ONE, _TWO = F(0.0), F(0.5), F(1.0), F(2.0)


@kernel("int64(float32[:, ::1], int64, int64, float64, float64[::1], float64, float32[:, ::1])")
def norm_slopes(field: Any, start: int, stop: int, p: float, norms: Any, factor: float, out: Any) -> int:
    """Write the derivatives of the mean of three norms with respect to the map of errors.

    Parameters
    ----------
    field : float32 (H, W)
    start, stop : int64
    p : float64
    norms : float64 (3,)
        Reciprocals of the p-, 2p- and 4p-norm.
    factor : float64
        1 / (3 H W).
    out : float32 (H, W)
        Derivatives.
    """
    n0, n1, n2 = norms[0], norms[1], norms[2]
    for y in range(start, stop):
        source, target = field[y], out[y]
        for x in range(field.shape[1]):
            d = np.float64(source[x])
            u, v, w = d * n0, d * n1, d * n2
            if p == 3.0:
                v2 = v * v
                w4 = w * w * w * w
                slope = u * u + v2 * v2 * v + w4 * w4 * (w * w * w)
            else:
                slope = power(u, p - 1.0) + power(v, 2.0 * p - 1.0) + power(w, 4.0 * p - 1.0)
            target[x] = F(factor * slope)
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1], float32[::1])"
)
def error_slopes(
    erosion: Any, activity: Any, ax: Any, ay: Any, ab: Any, slope: Any,
    error: Any, smooth: Any, bx: Any, by: Any, bb: Any,
) -> int:  # fmt: skip
    """Convert derivatives with respect to the map of errors to those for errors, activity and low band.

    Parameters
    ----------
    erosion, activity, ax, ay, ab : float32 (n,)
        Data of the reference: its mask, its blurred activity, its low band.
    slope : float32 (n,)
        Derivatives with respect to the map.
    error : float32 (n,)
        Input: the map. Output: derivatives with respect to the sums that ``ac_errors`` writes.
    smooth : float32 (n,)
        Input: the blurred activity. Output: derivatives with respect to it.
    bx, by, bb : float32 (n,)
        Input: the low band, scaled for its errors. Output: derivatives with respect to the low band without
        that scale.
    """
    for i in range(slope.shape[0]):
        e = erosion[i]
        seen = GLOBAL_SCALE * (_ONE + AC_MUL / (AC_SCALER * e + AC_OFFSET))
        seen_dc = GLOBAL_SCALE * (_ONE + DC_MUL / (DC_SCALER * e + DC_OFFSET))
        # The root has no slope at 0; the derivative is set to 0, as an error of 0 cannot decrease.
        d = error[i]
        g = _HALF * slope[i] / (d if d > F(1e-12) else _ONE)
        g = g if d > F(1e-12) else _ZERO
        ac = g * (seen * seen)
        error[i] = ac
        smooth[i] = (smooth[i] - activity[i]) * ac * (_TWO * ACTIVITY)
        g = _TWO * (g * (seen_dc * seen_dc))
        x = g * ERROR_LOW_X * (bx[i] - ax[i])
        y = g * ERROR_LOW_Y * (by[i] - ay[i])
        b = g * ERROR_LOW_B * (bb[i] - ab[i]) * LOW_B
        bx[i] = x * LOW_X
        by[i] = y * LOW_Y + LOW_Y_TO_B * b
        bb[i] = b
    return 0


@kernel("float32(float32, float32, float32, float32)", inner=True)
def _difference_slope(a: Any, b: Any, norm: Any, scale: Any) -> Any:
    """Return the slope of a weighted difference by ``b``; see ``difference_rows``."""
    fewer = FEWER * a
    more = MORE * a
    low = fewer if fewer < more else more
    high = more if fewer < more else fewer
    clipped = low if b < low else b
    clipped = high if clipped > high else clipped
    share = scale / (norm + _HALF * (abs(a) + abs(b)))
    value = share * ((a - b) + EXCESS * (clipped - b))
    slope = -_ONE if clipped == b else -(_ONE + EXCESS)
    turn = value if b > _ZERO else -value
    return share * (slope - _HALF * turn / scale)


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1], float32[:, ::1], float32[::1], float32[::1], float32[::1])"
)
def middle_slopes(
    ax: Any,
    ay: Any,
    ab: Any,
    bx: Any,
    by: Any,
    bb: Any,
    ac: Any,
    lx: Any,
    ly: Any,
    table: Any,
    gx: Any,
    gy: Any,
    gb: Any,
) -> int:
    """Compute derivatives with respect to the middle band, as it was before its small values were changed.

    ``lx`` and ``ly`` are derivatives with respect to the weighted differences of the line detectors.
    """
    norm_x, scale_x, norm_y, scale_y = table[0, 0], table[0, 1], table[1, 0], table[1, 1]
    for i in range(ac.shape[0]):
        g = _TWO * ac[i]
        x = g * MIDDLE_X * (bx[i] - ax[i]) + lx[i] * _difference_slope(ax[i], bx[i], norm_x, scale_x)
        y = g * MIDDLE_Y * (by[i] - ay[i]) + ly[i] * _difference_slope(ay[i], by[i], norm_y, scale_y)
        gx[i] = x if bx[i] != _ZERO else _ZERO
        gy[i] = y if abs(by[i]) > _TWO * ADD_MIDDLE else y + y
        gb[i] = g * MIDDLE_B * (bb[i] - ab[i])
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[:, ::1], float32[::1], float32[::1], float32[::1], float32[::1])"
)
def high_slopes(
    hax: Any, hay: Any, hbx: Any, hby: Any, uax: Any, uay: Any, ubx: Any, uby: Any,
    ac: Any, activity: Any, lhx: Any, lhy: Any, lux: Any, luy: Any, table: Any,
    sx: Any, sy: Any, ox: Any, oy: Any,
) -> int:  # fmt: skip
    """Compute derivatives for the blurred (``sx``, ``sy``) and plain (``ox``, ``oy``) inputs of the split.

    Parameters
    ----------
    hax, hay, hbx, hby, uax, uay, ubx, uby : float32 (n,)
        High and ultra-high bands of both pictures.
    ac, activity : float32 (n,)
        Derivatives with respect to the errors and the activity.
    lhx, lhy, lux, luy : float32 (n,)
        Derivatives with respect to the weighted differences of the line detectors.
    table : float32 (4, 2)
        Weights of the weighted differences.
    sx, sy, ox, oy : float32 (n,)
        The result.
    """
    n0, n1, n2, n3 = table[0, 0], table[1, 0], table[2, 0], table[3, 0]
    w0, w1, w2, w3 = table[0, 1], table[1, 1], table[2, 1], table[3, 1]
    for i in range(ac.shape[0]):
        hx, hy, ux, uy = hbx[i], hby[i], ubx[i], uby[i]
        dx = ACTIVITY_X * (ux + hx)
        dy = ACTIVITY_Y * (uy + hy)
        size = np.sqrt(dx * dx + dy * dy)
        share = _HALF * ACTIVITY_MUL * activity[i] / np.sqrt(ACTIVITY_MUL * size + ACTIVITY_BIAS)
        share = share / (size if size > _ZERO else _ONE)
        dx = ACTIVITY_X * share * dx
        dy = ACTIVITY_Y * share * dy
        g = _TWO * ac[i]
        high_x = g * HIGH_X * ((hx - hax[i]) - beyond(hax[i], hx))
        high_x += lhx[i] * _difference_slope(hax[i], hx, n0, w0) + dx
        high_y = g * HIGH_Y * ((hy - hay[i]) - beyond(hay[i], hy))
        high_y += lhy[i] * _difference_slope(hay[i], hy, n1, w1) + dy
        ultra_x = lux[i] * _difference_slope(uax[i], ux, n2, w2) + dx
        ultra_y = MUL_ULTRA * (luy[i] * _difference_slope(uay[i], uy, n3, w3) + dy)
        high_x = high_x if hx != _ZERO else _ZERO
        ultra_x = ultra_x if ux != _ZERO else _ZERO
        ultra_y = ultra_y * CLAMP_SLOPE if abs(uy) > MUL_ULTRA * CLAMP_ULTRA else ultra_y
        high_y = MUL_HIGH * (high_y if abs(hy) > _TWO * ADD_HIGH else high_y + high_y) - ultra_y
        high_y = high_y * CLAMP_SLOPE if abs(hy) - ADD_HIGH > MUL_HIGH * CLAMP_HIGH else high_y
        sx[i] = high_x - ultra_x
        sy[i] = high_y
        ox[i] = ultra_x
        oy[i] = ultra_y
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1])"
)
def rest_slopes(hx: Any, hy: Any, cx: Any, cy: Any, ox: Any, oy: Any, mx: Any, my: Any) -> int:
    """Compute derivatives with respect to the residual of the middle band, and through it to the band.

    Parameters
    ----------
    hx, hy : float32 (n,)
        The residual, from ``split_middle``.
    cx, cy : float32 (n,)
        Derivatives through the blur of ``split_high``.
    ox, oy : float32 (n,)
        Derivatives that do not pass through that blur; replaced by the derivatives with respect to the
        residual.
    mx, my : float32 (n,)
        Derivatives with respect to the middle band, as it was before its small values were changed; those
        through the residual are added.
    """
    for i in range(hx.shape[0]):
        luma = hy[i]
        q = _ONE / (luma * luma + SUPPRESS)
        factor = SUPPRESS * q * (_ONE - SUPPRESS_REST) + SUPPRESS_REST
        x = ox[i] + cx[i]
        turn = -_TWO * (_ONE - SUPPRESS_REST) * SUPPRESS * q * q * luma
        y = oy[i] + cy[i] + x * (hx[i] / factor) * turn
        x = x * factor
        ox[i] = x
        oy[i] = y
        mx[i] -= x
        my[i] -= y
    return 0


@kernel("float32(float32, float32, float32)", inner=True)
def _gain_slope(absorbed: Any, gain: Any, bias: Any) -> Any:
    """Return the derivative of the eye's gain with respect to the absorbed light."""
    slope = (GAMMA_MUL / (absorbed + GAMMA_BIAS) - gain) / absorbed
    return slope if absorbed > bias and gain > MIN_SENSITIVITY else _ZERO


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1])"
)
def opponent_slopes(
    r: Any, g: Any, b: Any, p: Any, q: Any, s: Any, u: Any, v: Any, w: Any,
    lx: Any, ly: Any, lb: Any, gx: Any, gy: Any, gb: Any,
) -> int:  # fmt: skip
    """Compute derivatives for linear light: directly, and through the blurred light that sets the gains.

    Parameters
    ----------
    r, g, b : float32 (n,)
        Linear light.
    p, q, s : float32 (n,)
        Blurred linear light; replaced by the derivatives with respect to it.
    u, v, w : float32 (n,)
        Gains, from ``sensitivity``.
    lx, ly, lb, gx, gy, gb : float32 (n,)
        Two parts of the derivatives with respect to the opponent colours. The second is replaced by the
        direct derivatives.
    """
    for i in range(r.shape[0]):
        red = NITS * r[i]
        green = NITS * g[i]
        blue = NITS * b[i]
        m0 = MIX00 * red + MIX01 * green + MIX02 * blue + BIAS01
        m1 = MIX10 * red + MIX11 * green + MIX12 * blue + BIAS01
        m2 = MIX20 * red + MIX21 * green + MIX22 * blue + BIAS2
        x = lx[i] + gx[i]
        y = ly[i] + gy[i]
        k0 = NITS * (x + y) if m0 * u[i] > BIAS01 else _ZERO
        k1 = NITS * (y - x) if m1 * v[i] > BIAS01 else _ZERO
        k2 = NITS * (lb[i] + gb[i]) if m2 * w[i] > BIAS2 else _ZERO
        red = NITS * p[i]
        green = NITS * q[i]
        blue = NITS * s[i]
        a0 = MIX00 * red + MIX01 * green + MIX02 * blue + BIAS01
        a1 = MIX10 * red + MIX11 * green + MIX12 * blue + BIAS01
        a2 = MIX20 * red + MIX21 * green + MIX22 * blue + BIAS2
        a0 = k0 * m0 * _gain_slope(a0, u[i], BIAS01)
        a1 = k1 * m1 * _gain_slope(a1, v[i], BIAS01)
        a2 = k2 * m2 * _gain_slope(a2, w[i], BIAS2)
        k0 *= u[i]
        k1 *= v[i]
        k2 *= w[i]
        gx[i] = MIX00 * k0 + MIX10 * k1 + MIX20 * k2
        gy[i] = MIX01 * k0 + MIX11 * k1 + MIX21 * k2
        gb[i] = MIX02 * k0 + MIX12 * k1 + MIX22 * k2
        p[i] = MIX00 * a0 + MIX10 * a1 + MIX20 * a2
        q[i] = MIX01 * a0 + MIX11 * a1 + MIX21 * a2
        s[i] = MIX02 * a0 + MIX12 * a1 + MIX22 * a2
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, float32[::1], float32[::1])")
def weigh_rows(plane: Any, start: int, stop: int, radius: int, gain_y: Any, gain_x: Any) -> int:
    """Multiply rows ``start`` to ``stop`` by a blur's gains, which differ from 1 only near the edges.

    Parameters
    ----------
    plane : float32 (H, W)
    start, stop : int64
    radius : int64
        Radius of the blur.
    gain_y, gain_x : float32 (H,), (W,)
    """
    width = plane.shape[1]
    for y in range(start, stop):
        row, factor = plane[y], gain_y[y]
        for x in range(min(radius, width)):
            row[x] *= gain_x[x]
        for x in range(max(width - radius, min(radius, width)), width):
            row[x] *= gain_x[x]
        if factor != _ONE:
            for x in range(width):
                row[x] *= factor
    return 0
