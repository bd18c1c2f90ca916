"""Kernels of SSIMULACRA 2's gradient: the forward and the backward pass over one strip of a scale.

The formulas are those of :mod:`guetzpy.metrics._ssimulacra2.gradient`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._tiles import HALO, PLANE, ROWS, STRIDE, WIDTH, blur, load
from guetzpy.metrics.colorspace import positive_xyb, positive_xyb_adjoint

__all__ = ["WORK", "backward_strip", "forward_strip"]

_C2 = np.float32(0.0009)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_STEEP = np.float32(1e4)  # slope of a smoothed sign, which is -1 or 1 from 1e-4 of XYB on (< 1/20 code)


@kernel("int64(float32[:, :, ::1], int64, int64, int64, float32[::1])", inner=True)
def _load_xyb(linear: Any, first: int, top: int, left: int, work: Any) -> int:
    """Fill the first three tiles of ``work`` with positive XYB; values beyond the picture are zero."""
    for c in range(3):
        load(linear[c], first, top, left, work[c * PLANE : (c + 1) * PLANE])
    positive_xyb(work[:PLANE], work[PLANE : 2 * PLANE], work[2 * PLANE : 3 * PLANE], np.int64(PLANE))
    # Positive XYB of black is not zero, but libjxl's blur takes values beyond the picture as zero.
    _, height, width = linear.shape
    begin = max(HALO - left, 0)
    end = min(width - left + HALO, STRIDE)
    for y in range(ROWS):
        source = top - HALO + y - first
        inside = 0 <= source < height
        for c in range(3):
            row = work[c * PLANE + y * STRIDE : c * PLANE + (y + 1) * STRIDE]
            if inside:
                row[:begin] = _ZERO
                row[end:] = _ZERO
            else:
                row[:] = _ZERO
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def _multiply(a: Any, b: Any, product: Any) -> int:
    for i in range(PLANE):
        product[i] = a[i] * b[i]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def _subtract(a: Any, b: Any, difference: Any) -> int:
    for i in range(PLANE):
        difference[i] = a[i] - b[i]
    return 0


@kernel("int64(float32[::1], int64, int64, float32[:, ::1], int64, int64)", inner=True)
def _store(tile: Any, rows: int, columns: int, plane: Any, top: int, left: int) -> int:
    """Copy the part of a tile inside the halo to (top, left) of a plane."""
    for y in range(rows):
        j = (HALO + y) * STRIDE + HALO
        row = plane[top + y, left : left + columns]
        values = tile[j : j + columns]
        for x in range(columns):
            row[x] = values[x]
    return 0


@kernel(
    "int64(float32[::1], float32[:, ::1], float32[:, ::1], int64, int64, int64, int64, float32[::1])",
    inner=True,
)
def _add_structure(
    moments: Any, means: Any, variances: Any, top: int, left: int, rows: int, columns: int, sums: Any
) -> int:
    """Add the structure map of a tile, and its fourth power, to sums of columns.

    ``moments``: three tiles, the blurred error e, its square, and its product with the reference.
    ``sums``: two rows of ``STRIDE``.
    """
    for y in range(rows):
        j = (HALO + y) * STRIDE + HALO
        mean_row = means[top + y, left : left + columns]
        variance_row = variances[top + y, left : left + columns]
        moment_row = moments[j : j + 2 * PLANE + columns]
        for x in range(columns):
            error = moment_row[x]
            variance = moment_row[x + PLANE] - error * error
            covariance = moment_row[x + 2 * PLANE] - mean_row[x] * error
            both = variance_row[x] + covariance
            denominator = (both + both) + variance + _C2
            square = error * error
            d = square + (_ONE - square) * (variance / denominator)
            sums[x] += d
            sums[x + STRIDE] += (d * d) * (d * d)
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[:, ::1], float32[:, ::1], int64, int64, int64, int64,"
    " float32[::1])",
    inner=True,
)
def _add_edges(
    error: Any,
    blurred: Any,
    channel: Any,
    means: Any,
    top: int,
    left: int,
    rows: int,
    columns: int,
    sums: Any,
) -> int:
    """Add the maps of added and of lost edges of a tile, and their fourth powers, to sums of columns."""
    for y in range(rows):
        j = (HALO + y) * STRIDE + HALO
        channel_row = channel[top + y, left : left + columns]
        mean_row = means[top + y, left : left + columns]
        error_row = error[j : j + columns]
        blurred_row = blurred[j : j + columns]
        for x in range(columns):
            edge = channel_row[x] - mean_row[x]
            other = edge + (error_row[x] - blurred_row[x])
            d = (abs(other) - abs(edge)) / (_ONE + abs(edge))
            added = max(d, _ZERO)
            lost = max(-d, _ZERO)
            sums[x] += added
            sums[x + STRIDE] += lost
            sums[x + 2 * STRIDE] += (added * added) * (added * added)
            sums[x + 3 * STRIDE] += (lost * lost) * (lost * lost)
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64[:, ::1], float32[:, :, ::1], float32[::1],"
    " float32[:, :, ::1], float64[:, ::1])"
)
def forward_strip(
    linear: Any,
    first: int,
    top: int,
    bottom: int,
    slots: Any,
    reference: Any,
    work: Any,
    kept: Any,
    sums: Any,
) -> int:
    """Sum the maps of the rows ``top`` to ``bottom`` of a scale, and keep what the adjoint needs.

    Parameters
    ----------
    linear, first : ndarray of float32, shape (3, any, W), and int
        Linear light, beginning with the picture's row ``first``.
    top, bottom : int
        The range of rows.
    slots : ndarray of int64, shape (3, 3)
        For channel c: the first of its planes of ``reference``, or -1 if it has none; whether it has
        a structure map; whether it has edge maps.
    reference : ndarray of float32, shape (any, H, W)
        The reference's channel, its blurred mean and, for a structure map, its variance. Written
        if ``kept`` has no planes, else read.
    work : ndarray of float32
        Scratch of ``WORK`` values.
    kept : ndarray of float32, shape (12 or 0, H, W)
        Written: three planes of XYB, then for each channel the blurred error, its square, and its
        product with the reference. Without planes, the picture is the reference itself.
    sums : ndarray of float64, shape (3, 6)
        ``sums[c]`` gets channel c's sums in the order of the weights: structure, added edges, lost edges,
        and the fourth powers of these.
    """
    width = linear.shape[2]
    product = work[3 * PLANE : 4 * PLANE]
    between = work[4 * PLANE : 5 * PLANE]
    blurred = work[5 * PLANE : 6 * PLANE]
    moments = work[5 * PLANE : 8 * PLANE]
    other = work[8 * PLANE : 9 * PLANE]
    error = work[9 * PLANE : 10 * PLANE]
    columns_sums = work[10 * PLANE : 10 * PLANE + 6 * STRIDE]
    prepare = kept.shape[0] == 0
    target = reference if prepare else kept
    rows = bottom - top
    begin = np.int64(0)  # the planes begin with the picture's first row
    for left in range(0, width, WIDTH):
        columns = min(WIDTH, width - left)
        _load_xyb(linear, first, top, left, work)
        for c in range(3):
            channel = work[c * PLANE : (c + 1) * PLANE]
            slot = slots[c, 0]
            if not prepare:
                _store(channel, rows, columns, kept[c], top, left)
            if slot < 0:
                continue
            plane = 3 + 3 * c
            if prepare:
                plane = slot + 1
                error = channel
                _store(channel, rows, columns, reference[slot], top, left)
            else:
                load(reference[slot], begin, top, left, other)
                _subtract(channel, other, error)
            blur(error, between, blurred)
            _store(blurred, rows, columns, target[plane], top, left)
            if slots[c, 1]:
                for k in range(1 if prepare else 2):
                    _multiply(error, error if k == 0 else other, product)
                    moment = work[(6 + k) * PLANE : (7 + k) * PLANE]
                    blur(product, between, moment)
                    if prepare:
                        for i in range(PLANE):
                            moment[i] -= blurred[i] * blurred[i]
                    _store(moment, rows, columns, target[plane + 1 + k], top, left)
            if prepare:
                continue
            columns_sums[:] = _ZERO
            if slots[c, 1]:
                _add_structure(
                    moments, reference[slot + 1], reference[slot + 2],
                    top, left, rows, columns, columns_sums[: 2 * STRIDE],
                )  # fmt: skip
            if slots[c, 2]:
                _add_edges(
                    error, blurred, reference[slot], reference[slot + 1],
                    top, left, rows, columns, columns_sums[2 * STRIDE :],
                )  # fmt: skip
            for k in range(6):
                into = (0, 3, 1, 2, 4, 5)[k]
                for x in range(columns):
                    sums[c, into] += np.float64(columns_sums[x + k * STRIDE])
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32, float32)",
    inner=True,
)
def _structure_adjoint(
    means: Any, variances: Any, blurred: Any, square: Any, product: Any, slope: Any, slope4: Any
) -> int:
    """Replace a tile's blurred error, square and product by the structure map's derivatives for them.

    The derivative of the score with respect to the map's value d is ``slope + slope4 d^3``.
    """
    for i in range(PLANE):
        error = blurred[i]
        variance = square[i] - error * error
        covariance = product[i] - means[i] * error
        both = variances[i] + covariance
        inverse = _ONE / ((both + both) + variance + _C2)
        luminance = _ONE - error * error
        ratio = variance * inverse
        d = error * error + luminance * ratio
        # Beyond the picture the error is zero, so that d is zero.
        by_map = slope + slope4 * (d * d * d) if d > _ZERO else _ZERO
        common = by_map * luminance * inverse
        by_square = common * (_ONE - ratio)
        by_product = -(common + common) * ratio
        by_error = (error + error) * (by_map * (_ONE - ratio) - by_square) - means[i] * by_product
        blurred[i] = by_error
        square[i] = by_square
        product[i] = by_product
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32, float32, float32, float32,"
    " float32[::1], float32[::1])",
    inner=True,
)
def _edges_adjoint(
    channel: Any, means: Any, error: Any, blurred: Any,
    added: Any, added4: Any, lost: Any, lost4: Any, direct: Any, by_blurred: Any,
) -> int:  # fmt: skip
    """Write the edge maps' derivatives for the error, and subtract them from those for the blurred error."""
    for i in range(PLANE):
        edge = channel[i] - means[i]
        other = edge + (error[i] - blurred[i])
        inverse = _ONE / (_ONE + abs(edge))
        d = (abs(other) - abs(edge)) * inverse
        cube = d * d * d
        slope = added + added4 * cube if d > _ZERO else lost4 * cube - lost
        slope = slope * inverse if d != _ZERO else _ZERO
        # The derivative of |other| is its sign, which is random where ``other`` is only rounding, as in flat
        # blocks. So a ramp from -1 to 1 replaces the jump of the sign at 0.
        slope = slope * min(max(other * _STEEP, -_ONE), _ONE)
        direct[i] = slope
        by_blurred[i] -= slope
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, int64, int64, float32[::1])", inner=True)
def _add_coarser(coarser: Any, top: int, left: int, rows: int, columns: int, height: int, tile: Any) -> int:
    """Add the adjoint of halving to a tile: a quarter of a coarser value for each sample of its mean."""
    for y in range(rows):
        j = (HALO + y) * STRIDE + HALO
        twice = y + top == height - 1 and height & 1 == 1  # halving counted an odd last row twice
        part = np.float32(0.5) if twice else np.float32(0.25)
        source = coarser[(top + y) // 2, left // 2 :]
        target = tile[j : j + columns]
        for x in range(columns // 2):
            value = part * source[x]
            target[2 * x] += value
            target[2 * x + 1] += value
        if columns & 1 == 1:  # only at the right edge of a picture of odd width
            target[columns - 1] += (part + part) * source[columns // 2]
    return 0


@kernel(
    "int64(float32[:, :, ::1], float32[:, :, ::1], int64[:, ::1], float32[:, ::1], float32[:, :, ::1],"
    " int64, int64, float32[::1], float32[:, :, ::1])"
)
def backward_strip(
    kept: Any,
    reference: Any,
    slots: Any,
    slopes: Any,
    coarser: Any,
    top: int,
    bottom: int,
    work: Any,
    out: Any,
) -> int:
    """Write the gradient with respect to linear light for the rows ``top`` to ``bottom`` of a scale.

    ``slopes[c]``: derivatives of the score with respect to channel c's maps, and factors of d^3 for their
    4-norms, in the order of the weights. ``coarser``: the gradient of the next scale, or empty.
    """
    _, height, width = kept.shape
    xyb = work[: 3 * PLANE]
    gradient = work[3 * PLANE : 6 * PLANE]
    blurred = work[6 * PLANE : 7 * PLANE]
    square = work[7 * PLANE : 8 * PLANE]
    product = work[8 * PLANE : 9 * PLANE]
    other = work[9 * PLANE : 10 * PLANE]
    means = work[10 * PLANE : 11 * PLANE]
    scratch = work[11 * PLANE : 12 * PLANE]
    error = work[12 * PLANE : 13 * PLANE]
    begin = np.int64(0)  # the planes begin with the picture's first row
    rows = bottom - top
    for left in range(0, width, WIDTH):
        columns = min(WIDTH, width - left)
        for c in range(3):
            channel = xyb[c * PLANE : (c + 1) * PLANE]
            by_channel = gradient[c * PLANE : (c + 1) * PLANE]
            load(kept[c], begin, top, left, channel)
            slot = slots[c, 0]
            if slot < 0:
                by_channel[:] = _ZERO
                continue
            load(kept[3 + 3 * c], begin, top, left, blurred)
            load(reference[slot], begin, top, left, other)
            load(reference[slot + 1], begin, top, left, means)
            _subtract(channel, other, error)
            for i in range(PLANE):
                scratch[i] = blurred[i]
            if slots[c, 1]:
                load(kept[4 + 3 * c], begin, top, left, square)
                load(kept[5 + 3 * c], begin, top, left, product)
                load(reference[slot + 2], begin, top, left, by_channel)
                _structure_adjoint(means, by_channel, blurred, square, product, slopes[c, 0], slopes[c, 3])
            else:
                blurred[:] = _ZERO
            if slots[c, 2]:
                _edges_adjoint(
                    other, means, error, scratch, slopes[c, 1], slopes[c, 4], slopes[c, 2], slopes[c, 5],
                    by_channel, blurred,
                )  # fmt: skip
            else:
                by_channel[:] = _ZERO
            blur(blurred, scratch, means)
            for i in range(PLANE):
                by_channel[i] += means[i]
            if slots[c, 1]:
                blur(square, scratch, means)
                for i in range(PLANE):
                    by_channel[i] += (error[i] + error[i]) * means[i]
                blur(product, scratch, means)
                for i in range(PLANE):
                    by_channel[i] += other[i] * means[i]
        positive_xyb_adjoint(xyb, gradient)
        for c in range(3):
            by_channel = gradient[c * PLANE : (c + 1) * PLANE]
            if coarser.shape[0] > 0:
                _add_coarser(coarser[c], top, left, rows, columns, height, by_channel)
            _store(by_channel, rows, columns, out[c], top, left)
    return 0


#: Number of values in the scratch array of the two kernels for strips.
WORK = 13 * PLANE
