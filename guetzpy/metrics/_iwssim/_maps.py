"""Scores of bands from maps of structure and of information, computed by tiles, and the gradient for a band.

x is the distorted band and y the reference's. C is the covariance of y's neighbourhoods, with eigenvalues l;
e is their energy (see ``_information``). The weight w of a place is (equations 24 to 28 of the paper)

    g = cov(x, y) / var(y),  v = var(x) - g cov(x, y)          (over 3 x 3 samples)
    w = sum over l of log2(1 + v / s + (v + (1 + g^2) s) e l / s^2),    s = 0.4.

The score of the band is sum(w c) / sum(w), where c is SSIM's contrast and structure term in a Gaussian
window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._iwssim._pyramid import LINE, band_tile
from guetzpy.metrics._iwssim._tiles import PLANE, REACH, ROWS, STRIDE, blur, box, load, multiply, variances

__all__ = ["GRADIENT_ROWS", "LINES", "PLANES", "SCORE_ROWS", "gradient_row", "score_row"]

#: Rows of a tile for which the score's window lies inside the tile.
SCORE_ROWS = ROWS - 2 * REACH
_SCORE_COLUMNS = STRIDE - 2 * REACH
#: Rows of a tile for which all windows that contain them lie inside the tile, so that their gradient is
#: known.
GRADIENT_ROWS = ROWS - 4 * REACH
_GRADIENT_COLUMNS = STRIDE - 4 * REACH

#: Shapes of a thread's scratch memory for planes and for lines.
PLANES, LINES = (14, PLANE), (3 * STRIDE,)

_C2 = np.float32((0.03 * 255) ** 2)
_NOISE = np.float32(0.4)  # variance of the noise of vision, sigma_n^2
_FLAT = np.float32(1e-10)  # smaller variances are taken as zero
# Where the reference's variance is below a thirtieth of a code squared, the gradient takes g as constant.
# There g depends on differences much smaller than a code, and its slope does not predict the effect of a
# code.
_STEEP = np.float32(1e-3)
_LARGE = np.float32(1e25)
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_TWO = np.float32(2.0)
_BY_NOISE = np.float32(1.0 / 0.4)
_BY_NOISE_2 = np.float32(1.0 / 0.16)
_BY_LN2 = np.float32(1.4426950408889634)
# log2(m) = 2 / ln 2 (t + t^3 / 3 + ...), t = (m - 1) / (m + 1) <= 1/3: after seven terms the error is 1e-8.
_L0, _L1, _L2, _L3, _L4, _L5, _L6 = (np.float32(2 * 1.4426950408889634 / n) for n in range(1, 15, 2))
_MANTISSA = np.int32(0x7FFFFF)
_EXPONENT = np.int32(0x3F800000)
_BITS = np.int32(23)

# Indices of the planes in the scratch memory of a tile.
_X, _Y, _PRODUCT, _BETWEEN, _MX, _MY, _XX, _YY, _XY, _VX, _VY, _COV, _ENERGY, _WEIGHT = range(14)


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1],"
    " int64, int64, float32[:, ::1], float32[::1])",
    inner=True,
)
def _moments(
    x_fine: Any, x_coarse: Any, y_fine: Any, y_coarse: Any, energy: Any, eigenvalues: Any,
    top: int, left: int, planes: Any, lines: Any,
) -> int:  # fmt: skip
    """Fill a tile's scratch memory: bands, moments, structure (in XY), and information (in WEIGHT)."""
    line = lines[:LINE]
    x, y = planes[_X], planes[_Y]
    product, between = planes[_PRODUCT], planes[_BETWEEN]
    band_tile(x_fine, x_coarse, top, left, line, x)
    band_tile(y_fine, y_coarse, top, left, line, y)
    load(energy, top, left, planes[_ENERGY])
    blur(x, between, planes[_MX])
    blur(y, between, planes[_MY])
    multiply(x, x, product)
    blur(product, between, planes[_XX])
    multiply(y, y, product)
    blur(product, between, planes[_YY])
    multiply(x, y, product)
    blur(product, between, planes[_XY])
    variances(x, x, planes[_VX])
    variances(y, y, planes[_VY])
    variances(x, y, planes[_COV])
    _structure(planes[_MX], planes[_MY], planes[_XX], planes[_YY], planes[_XY])
    _information(
        planes[_VX], planes[_VY], planes[_COV], planes[_ENERGY], eigenvalues,
        planes[_WEIGHT],
    )  # fmt: skip
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])", inner=True)
def _structure(mx: Any, my: Any, xx: Any, yy: Any, xy: Any) -> int:
    """Replace the blurred product by the structure term, and the first square by 1 / its denominator."""
    for i in range(PLANE):
        covariance = xy[i] - mx[i] * my[i]
        total = ((xx[i] - mx[i] * mx[i]) + (yy[i] - my[i] * my[i])) + _C2
        xy[i] = ((covariance + covariance) + _C2) / total
        xx[i] = _ONE / total
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])", inner=True
)
def _information(vx: Any, vy: Any, cov: Any, energy: Any, eigenvalues: Any, weight: Any) -> int:
    """Write the information at each place, in bits: the weight w of the module's text."""
    l0, l1, l2, l3, l4 = eigenvalues[0], eigenvalues[1], eigenvalues[2], eigenvalues[3], eigenvalues[4]
    l5, l6, l7, l8, l9 = eigenvalues[5], eigenvalues[6], eigenvalues[7], eigenvalues[8], eigenvalues[9]
    tenth = _ONE if l9 >= _ZERO else _ZERO
    for i in range(PLANE):
        gain = cov[i] / (vy[i] + _FLAT) if vy[i] >= _FLAT and vx[i] >= _FLAT else _ZERO
        rest = max(vx[i] - gain * cov[i], _ZERO) if vx[i] >= _FLAT else _ZERO
        below = rest * _BY_NOISE
        base = _ONE + below
        part = min((rest + (_ONE + gain * gain) * _NOISE) * (energy[i] * _BY_NOISE_2), _LARGE)
        # Products of two factors are within the range of float32. The exponents of the five products are
        # added as integers.
        a = np.float32((base + part * l0) * (base + part * l1)).view(np.int32)
        b = np.float32((base + part * l2) * (base + part * l3)).view(np.int32)
        c = np.float32((base + part * l4) * (base + part * l5)).view(np.int32)
        d = np.float32((base + part * l6) * (base + part * l7)).view(np.int32)
        last = _ONE + tenth * (below + part * l9)
        e = np.float32((base + part * l8) * last).view(np.int32)
        exponent = np.int32(np.int32(a >> _BITS) + np.int32(b >> _BITS))
        exponent = np.int32(exponent + np.int32(np.int32(c >> _BITS) + np.int32(d >> _BITS)))
        exponent = np.int32(exponent + np.int32(e >> _BITS))
        product = np.int32((a & _MANTISSA) | _EXPONENT).view(np.float32)
        product *= np.int32((b & _MANTISSA) | _EXPONENT).view(np.float32)
        product *= np.int32((c & _MANTISSA) | _EXPONENT).view(np.float32)
        product *= np.int32((d & _MANTISSA) | _EXPONENT).view(np.float32)
        product *= np.int32((e & _MANTISSA) | _EXPONENT).view(np.float32)
        f = np.float32(product).view(np.int32)
        exponent = np.int32(exponent + np.int32(f >> _BITS))
        mantissa = np.int32((f & _MANTISSA) | _EXPONENT).view(np.float32)
        t = (mantissa - _ONE) / (mantissa + _ONE)
        s = t * t
        log = t * (_L0 + s * (_L1 + s * (_L2 + s * (_L3 + s * (_L4 + s * (_L5 + s * _L6))))))
        weight[i] = np.float32(np.int32(exponent - np.int32(6 * 127))) + log
    return 0


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1],"
    " int64, float32[:, ::1], float32[::1], float64[::1])"
)
def score_row(
    x_fine: Any, x_coarse: Any, y_fine: Any, y_coarse: Any, energy: Any, eigenvalues: Any,
    top: int, planes: Any, lines: Any, sums: Any,
) -> int:  # fmt: skip
    """Add the tiles of one row of tiles of a band to sums.

    Parameters
    ----------
    x_fine, x_coarse, y_fine, y_coarse : ndarray of float32, shape (H, W)
        Planes of the pyramid from which the distorted and the reference's band are computed.
    energy, eigenvalues
        Data of the reference: see ``_information``.
    top : int
        The picture's row that the tiles begin with. Their first ``REACH`` rows are used by the window only.
    planes, lines : ndarray of float32, shapes PLANES and LINES
        Scratch memory.
    sums : ndarray of float64, shape (3,)
        Sums of information times structure, of information, and of structure.
    """
    height, width = x_fine.shape
    columns = lines[STRIDE:]
    rows = min(SCORE_ROWS, height - 2 * REACH - top)
    for left in range(0, width - 2 * REACH, _SCORE_COLUMNS):
        wide = min(_SCORE_COLUMNS, width - 2 * REACH - left)
        _moments(x_fine, x_coarse, y_fine, y_coarse, energy, eigenvalues, top, left, planes, lines)
        structure, weight = planes[_XY], planes[_WEIGHT]
        weighted, weights = columns[:wide], columns[STRIDE : STRIDE + wide]
        weighted[:] = _ZERO
        weights[:] = _ZERO
        for y in range(rows):
            j = (REACH + y) * STRIDE + REACH
            a, b = structure[j : j + wide], weight[j : j + wide]
            for x in range(wide):
                weighted[x] += b[x] * a[x]
                weights[x] += b[x]
            for x in range(wide):
                sums[2] += np.float64(a[x])
        for x in range(wide):
            sums[0] += np.float64(weighted[x])
            sums[1] += np.float64(weights[x])
    return 0


@kernel("int64(float32[:, ::1], float32[::1], float32)", inner=True)
def _structure_adjoint(planes: Any, weight: Any, plain: Any) -> int:
    """Replace the structure's moments by derivatives for x blurred (MX), its square (XX), the product (YY).

    ``plain``: 1 if all places have the same weight; 0 if each has its own.
    """
    mx, my, xx, yy, xy = (
        planes[_MX], planes[_MY], planes[_XX], planes[_YY], planes[_XY],
    )  # fmt: skip
    for i in range(PLANE):
        share = xx[i] * (plain + (_ONE - plain) * weight[i])
        by_square = -xy[i] * share
        by_product = share + share
        mx[i] = -(my[i] * by_product) - (by_square + by_square) * mx[i]
        xx[i] = by_square
        yy[i] = by_product
    return 0


@kernel("int64(float32[:, ::1], float32[::1], float32)", inner=True)
def _information_adjoint(planes: Any, eigenvalues: Any, mean: Any) -> int:
    """Replace the variances by derivatives of sum(w c) / sum(w) through w, times sum(w).

    These are derivatives with respect to the local mean of x (ENERGY), of x squared (VX), and of the product
    (COV). PRODUCT and WEIGHT hold the means of x and of y over 3 x 3 samples. ``mean`` is sum(w c) / sum(w).
    """
    vx, vy, cov, energy = planes[_VX], planes[_VY], planes[_COV], planes[_ENERGY]
    structure, mean_x, mean_y = planes[_XY], planes[_PRODUCT], planes[_WEIGHT]
    l0, l1, l2, l3, l4 = eigenvalues[0], eigenvalues[1], eigenvalues[2], eigenvalues[3], eigenvalues[4]
    l5, l6, l7, l8, l9 = eigenvalues[5], eigenvalues[6], eigenvalues[7], eigenvalues[8], eigenvalues[9]
    tenth = _ONE if l9 >= _ZERO else _ZERO
    for i in range(PLANE):
        moves = vx[i] >= _FLAT
        follows = moves and vy[i] >= _FLAT
        inverse = _ONE / (vy[i] + _FLAT) if follows else _ZERO
        gain = cov[i] * inverse
        rest = max(vx[i] - gain * cov[i], _ZERO) if moves else _ZERO
        base = _ONE + rest * _BY_NOISE
        scaled = energy[i] * _BY_NOISE_2
        part = min((rest + (_ONE + gain * gain) * _NOISE) * scaled, _LARGE)
        r0, r1, r2 = _ONE / (base + part * l0), _ONE / (base + part * l1), _ONE / (base + part * l2)
        r3, r4, r5 = _ONE / (base + part * l3), _ONE / (base + part * l4), _ONE / (base + part * l5)
        r6, r7, r8 = _ONE / (base + part * l6), _ONE / (base + part * l7), _ONE / (base + part * l8)
        r9 = tenth / (base + part * max(l9, _ZERO))
        plain = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7)) + (r8 + r9)
        by_part = ((r0 * l0 + r1 * l1) + (r2 * l2 + r3 * l3)) + ((r4 * l4 + r5 * l5) + (r6 * l6 + r7 * l7))
        by_part = scaled * (by_part + (r8 * l8 + r9 * l9))
        counts = (structure[i] - mean) * _BY_LN2 if moves else _ZERO
        by_rest = counts * (plain * _BY_NOISE + by_part)
        by_gain = counts * by_part * (_TWO * _NOISE) * gain
        by_covariance = by_gain * inverse - (gain + gain) * by_rest if vy[i] >= _STEEP else _ZERO
        energy[i] = -((by_rest + by_rest) * mean_x[i] + by_covariance * mean_y[i])
        vx[i] = by_rest
        cov[i] = by_covariance
    return 0


@kernel("int64(float32[::1], int64, int64, int64, int64)", inner=True)
def _clear_outside(tile: Any, top: int, left: int, height: int, width: int) -> int:
    """Set a tile to zero where the window is not inside the picture, or not inside the tile."""
    begin = min(max(REACH - left, REACH), STRIDE)
    end = max(min(width - REACH - left, STRIDE - REACH), begin)
    for y in range(ROWS):
        row = tile[y * STRIDE : (y + 1) * STRIDE]
        if y < REACH or y >= ROWS - REACH or top + y < REACH or top + y >= height - REACH:
            row[:] = _ZERO
        else:
            row[:begin] = _ZERO
            row[end:] = _ZERO
    return 0


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1],"
    " int64, float32, float32, float32, float32[:, ::1], float32[::1], float32[:, ::1])"
)
def gradient_row(
    x_fine: Any, x_coarse: Any, y_fine: Any, y_coarse: Any, energy: Any, eigenvalues: Any,
    top: int, mean: Any, plain: Any, scale: Any, planes: Any, lines: Any, out: Any,
) -> int:  # fmt: skip
    """Write ``GRADIENT_ROWS`` rows of the gradient for a band, beginning with the picture's row ``top``.

    Parameters
    ----------
    x_fine, x_coarse, y_fine, y_coarse, energy, eigenvalues
        As for :func:`score_row`.
    top : int
        First row of the range.
    mean : float
        The band's score, sum(w c) / sum(w).
    plain : float
        1 if sum(w) is zero, so that the score is the mean of c; else 0.
    scale : float
        Derivative of the picture's score with respect to the band's score, divided by sum(w) or the number of
        places.
    planes, lines : ndarray of float32, shapes PLANES and LINES
        Scratch memory.
    out : ndarray of float32, shape (H, W)
        The gradient.
    """
    height, width = x_fine.shape
    first = top - 2 * REACH
    x, y, between = planes[_X], planes[_Y], planes[_BETWEEN]
    for start in range(0, width, _GRADIENT_COLUMNS):
        left = start - 2 * REACH
        _moments(x_fine, x_coarse, y_fine, y_coarse, energy, eigenvalues, first, left, planes, lines)
        _structure_adjoint(planes, planes[_WEIGHT], plain)
        box(x, between, planes[_PRODUCT])
        box(y, between, planes[_WEIGHT])
        _information_adjoint(planes, eigenvalues, mean)
        # The adjoints of the six moments. All fields are blurred into one plane, which is no longer needed.
        target = planes[_PRODUCT]
        total = planes[_WEIGHT]
        for k in range(6):
            field = planes[(_MX, _XX, _YY, _ENERGY, _VX, _COV)[k]]
            _clear_outside(field, first, left, height, width)
            if k < 3:
                blur(field, between, target)
            else:
                box(field, between, target)
            _accumulate(target, x, y, k, (_ONE - plain) if k > 2 else _ONE, total)
        columns = min(_GRADIENT_COLUMNS, width - start)
        for row in range(min(GRADIENT_ROWS, height - top)):
            j = (2 * REACH + row) * STRIDE + 2 * REACH
            values = total[j : j + columns]
            line = out[top + row, start : start + columns]
            for i in range(columns):
                line[i] = scale * values[i]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], int64, float32, float32[::1])", inner=True)
def _accumulate(field: Any, x: Any, y: Any, k: int, counts: Any, total: Any) -> int:
    """Add a blurred field times the derivative of its moment by x, which is 1, 2 x, or y."""
    if k == 0:
        for i in range(PLANE):
            total[i] = field[i]
    elif k == 3:
        for i in range(PLANE):
            total[i] += counts * field[i]
    elif k == 1 or k == 4:
        for i in range(PLANE):
            total[i] += (counts * (x[i] + x[i])) * field[i]
    else:
        for i in range(PLANE):
            total[i] += (counts * y[i]) * field[i]
    return 0
