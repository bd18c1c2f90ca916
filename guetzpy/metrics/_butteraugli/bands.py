"""Butteraugli's model of the eye: from linear light to opponent colours in four frequency bands.

Structure and constants are from libjxl, ``lib/jxl/butteraugli/butteraugli.cc``:
``OpsinDynamicsImage``, ``SeparateFrequencies``, ``CombineChannelsForMasking``, ``DiffPrecompute``,
``FuzzyErosion``.

Kernels that work on single samples take flat arrays, so that a strip of a plane is one loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel

__all__ = [
    "erode_rows",
    "mirrored_rows",
    "opponent",
    "sensitivity",
    "split_high",
    "split_low",
    "split_middle",
]

F = np.float32

SIGMA_OPSIN = 1.2
SIGMA_LOW = 7.15593339443
SIGMA_MIDDLE = 3.22489901262
SIGMA_HIGH = 1.56416327805
SIGMA_ACTIVITY = 2.7

#: Luminance of the display's white in cd/m2; the absorbances have the same unit.
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
_ONE, _TWO, _ZERO = F(1.0), F(2.0), F(0.0)
_T3, _T5, _T7, _T9 = F(2.0 / 3.0), F(2.0 / 5.0), F(2.0 / 7.0), F(2.0 / 9.0)
#: Samples that :func:`sensitivity` processes at a time, so that its data stay in the first-level cache.
CHUNK = 1024


@kernel("int64(float32[::1])")
def log_in_place(values: Any) -> int:
    """Replace values of 8 or more by their natural logarithms; error below 2 units in the last place.

    ``ln(2^e m) = e ln 2 + 2 artanh((m - 1) / (m + 1))`` with m from sqrt(1/2) to sqrt(2). The first
    term that the series leaves out is below 2 * 0.1716^11 / 11 = 7e-10.
    """
    bits = values.view(np.int32)
    for i in range(values.shape[0]):
        word = np.int32(bits[i])
        exponent = np.int32(np.int32(word - np.int32(0x3F3504F3)) >> np.int32(23))  # sqrt(1/2)
        bits[i] = np.int32(word - np.int32(exponent << np.int32(23)))
        m = values[i]
        t = (m - _ONE) / (m + _ONE)
        s = t * t
        values[i] = F(exponent) * _LN2 + t * (_TWO + s * (_T3 + s * (_T5 + s * (_T7 + s * _T9))))
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[::1], float32[:, ::1])")
def mirrored_rows(plane: Any, start: int, stop: int, taps: Any, line: Any, out: Any) -> int:
    """Blur rows with five taps; the mirror image beyond an edge repeats the edge sample.

    Parameters
    ----------
    plane : float32 (H, W), both at least 2
    start, stop : int64
    taps : float32 (3,)
        Taps from the centre outwards.
    line : float32 (W + 4,)
    out : float32 (stop - start, W)
    """
    height, width = plane.shape
    k0, k1, k2 = taps[0], taps[1], taps[2]
    for y in range(start, stop):
        centre, target = plane[y], out[y - start]
        a, b = plane[max(y - 1, 0)], plane[min(y + 1, height - 1)]
        c = plane[y - 2] if y >= 2 else plane[1 - y]
        d = plane[y + 2] if y + 2 < height else plane[2 * height - 3 - y]
        for x in range(width):
            line[x + 2] = k0 * centre[x] + k1 * (a[x] + b[x]) + k2 * (c[x] + d[x])
        line[1], line[0] = line[2], line[3]
        line[width + 2], line[width + 3] = line[width + 1], line[width]
        for x in range(width):
            target[x] = k0 * line[x + 2] + k1 * (line[x + 1] + line[x + 3]) + k2 * (line[x] + line[x + 4])
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1])")
def sensitivity(p: Any, q: Any, s: Any, curve: Any) -> int:
    """Replace blurred linear light by the gain of the adapted eye; ``curve`` is scratch of CHUNK values."""
    count = p.shape[0]
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        u, v, w, log = p[start:stop], q[start:stop], s[start:stop], curve[: stop - start]
        for i in range(log.shape[0]):
            r = NITS * u[i]
            g = NITS * v[i]
            b = NITS * w[i]
            m0 = MIX00 * r + MIX01 * g + MIX02 * b + BIAS01
            m1 = MIX10 * r + MIX11 * g + MIX12 * b + BIAS01
            m2 = MIX20 * r + MIX21 * g + MIX22 * b + BIAS2
            # NaN stays NaN in these comparisons: the score is then NaN, and the caller raises an error.
            u[i] = BIAS01 if m0 < BIAS01 else m0
            v[i] = BIAS01 if m1 < BIAS01 else m1
            w[i] = BIAS2 if m2 < BIAS2 else m2
        for c in range(3):
            absorbed = u if c == 0 else (v if c == 1 else w)
            for i in range(log.shape[0]):
                log[i] = absorbed[i] + GAMMA_BIAS
            log_in_place(log)
            for i in range(log.shape[0]):
                gain = (GAMMA_MUL * log[i] + GAMMA_ADD) / absorbed[i]
                absorbed[i] = MIN_SENSITIVITY if gain < MIN_SENSITIVITY else gain
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1])"
)
def opponent(r: Any, g: Any, b: Any, p: Any, q: Any, s: Any, out_x: Any, out_y: Any, out_b: Any) -> int:
    """Convert linear sRGB (``r``, ``g``, ``b``) and the eye's gains to opponent colours X, Y, B."""
    for i in range(r.shape[0]):
        u = NITS * r[i]
        v = NITS * g[i]
        w = NITS * b[i]
        m0 = (MIX00 * u + MIX01 * v + MIX02 * w + BIAS01) * p[i]
        m1 = (MIX10 * u + MIX11 * v + MIX12 * w + BIAS01) * q[i]
        m2 = (MIX20 * u + MIX21 * v + MIX22 * w + BIAS2) * s[i]
        m0 = BIAS01 if m0 < BIAS01 else m0
        m1 = BIAS01 if m1 < BIAS01 else m1
        m2 = BIAS2 if m2 < BIAS2 else m2
        out_x[i] = m0 - m1
        out_y[i] = m0 + m1
        out_b[i] = m2
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1], float32[::1])"
)
def split_low(x: Any, y: Any, b: Any, lx: Any, ly: Any, lb: Any, rx: Any, ry: Any, rb: Any) -> int:
    """Write the colours less the low band (``lx``, ``ly``, ``lb``) to ``rx``, ``ry``, ``rb``.

    The low band is then scaled by the weights of its errors.
    """
    for i in range(x.shape[0]):
        low_x = lx[i]
        low_y = ly[i]
        low_b = lb[i]
        rx[i] = x[i] - low_x
        ry[i] = y[i] - low_y
        rb[i] = b[i] - low_b
        lx[i] = low_x * LOW_X
        ly[i] = low_y * LOW_Y
        lb[i] = (low_b + LOW_Y_TO_B * low_y) * LOW_B
    return 0


@kernel("float32(float32, float32)", inner=True)
def _remove(v: Any, w: Any) -> Any:
    """Move a value towards zero by ``w``; values between -w and w become zero."""
    above = v - w
    below = v + w
    return (above if above > _ZERO else _ZERO) + (below if below < _ZERO else _ZERO)


@kernel("float32(float32, float32)", inner=True)
def _clip(v: Any, limit: Any) -> Any:
    clipped = limit if v > limit else v
    return -limit if clipped < -limit else clipped


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])")
def split_middle(rx: Any, ry: Any, mx: Any, my: Any, hx: Any, hy: Any) -> int:
    """Write the residual of the middle band (``mx``, ``my``) to ``hx``, ``hy``, and change the band.

    X of the band is moved towards zero, so that small values become zero. The clipped value of Y is added to
    Y, so that small values are doubled.
    """
    for i in range(rx.shape[0]):
        luma = ry[i] - my[i]
        # Differences of red and green are less visible where the luma changes too.
        factor = SUPPRESS / (luma * luma + SUPPRESS) * (_ONE - SUPPRESS_REST) + SUPPRESS_REST
        hx[i] = (rx[i] - mx[i]) * factor
        hy[i] = luma
        mx[i] = _remove(mx[i], REMOVE_MIDDLE)
        my[i] = my[i] + _clip(my[i], ADD_MIDDLE)
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])"
)
def split_high(rx: Any, ry: Any, hx: Any, hy: Any, ux: Any, uy: Any, activity: Any) -> int:
    """Split the residual (``rx``, ``ry``) into the high and the ultra-high band, and compute the activity.

    ``hx`` and ``hy`` hold the blurred residual, and get the high band; ``ux`` and ``uy`` get the ultra-high
    band. The activity is the magnitude of both bands, from which the mask is computed.
    """
    for i in range(rx.shape[0]):
        smooth = hx[i]
        x_high = _remove(smooth, REMOVE_HIGH)
        x_ultra = _remove(rx[i] - smooth, REMOVE_ULTRA)
        smooth = hy[i]
        clipped = _clip(smooth, CLAMP_HIGH)
        smooth = clipped + (smooth - clipped) * CLAMP_SLOPE
        ultra = ry[i] - smooth
        clipped = _clip(ultra, CLAMP_ULTRA)
        y_ultra = MUL_ULTRA * (clipped + (ultra - clipped) * CLAMP_SLOPE)
        smooth = MUL_HIGH * smooth
        y_high = smooth + _clip(smooth, ADD_HIGH)
        hx[i] = x_high
        hy[i] = y_high
        ux[i] = x_ultra
        uy[i] = y_ultra
        dx = ACTIVITY_X * (x_ultra + x_high)
        dy = ACTIVITY_Y * (y_ultra + y_high)
        activity[i] = np.sqrt(ACTIVITY_MUL * np.sqrt(dx * dx + dy * dy) + ACTIVITY_BIAS) - ACTIVITY_ROOT
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[:, ::1], float32[:, ::1])")
def erode_rows(plane: Any, start: int, stop: int, scratch: Any, out: Any) -> int:
    """Write for each sample a weighted mean of the three smallest of eleven values.

    The values are the sample, its eight neighbours at a distance of 3, and two times a value of twice the
    sample. The smallest value has the largest weight. Neighbours outside the picture are left out.

    Parameters
    ----------
    plane : float32 (H, W)
        Not negative.
    start, stop : int64
    scratch : float32 (3, W)
    out : float32 (stop - start, W)
    """
    height, width = plane.shape
    for y in range(start, stop):
        for x in range(width):
            scratch[0, x] = plane[y, x]
            scratch[1, x] = _TWO * plane[y, x]
            scratch[2, x] = _TWO * plane[y, x]
        for j in range(max(y - 3, y % 3), min(y + 4, height), 3):
            for dx in range(-3, 4, 3):
                count = width - abs(dx)
                if count <= 0 or (dx == 0 and j == y):
                    continue
                neighbour = plane[j, max(dx, 0) : max(dx, 0) + count]
                here = max(-dx, 0)
                least, second, third = (
                    scratch[0, here : here + count],
                    scratch[1, here : here + count],
                    scratch[2, here : here + count],
                )
                for x in range(count):
                    v = neighbour[x]
                    a = least[x]
                    b = second[x]
                    c = third[x]
                    least[x] = v if v < a else a
                    v = a if v < a else v
                    second[x] = v if v < b else b
                    v = b if v < b else v
                    third[x] = v if v < c else c
        for x in range(width):
            out[y - start, x] = F(0.45) * scratch[0, x] + F(0.3) * scratch[1, x] + F(0.25) * scratch[2, x]
    return 0
