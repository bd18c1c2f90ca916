"""Derivatives of the quality through one band, with respect to a picture's levels: the adjoint of ``bands``.

A row of the result needs masks and their derivatives in REACH rows above and below it, and contrasts in
2 REACH rows. Both are computed row by row, as in ``bands``. Where the contrasts of both pictures have the
same magnitude, the derivative of the smaller magnitude is the mean of the derivatives on both sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._cvvdp.bands import (
    BLURRED,
    EPS,
    LARGEST,
    LOSS,
    MASK,
    P_AT_0,
    Q0,
    Q0_AT_0,
    Q1,
    Q1_AT_0,
    Q2,
    Q2_AT_0,
    SCALE,
    SUM,
    TAPS,
    TWO_EPS,
    W00,
    W01,
    W02,
    W10,
    W11,
    W12,
    W20,
    W21,
    W22,
    WORK_ROWS,
    P,
    blur_across,
    blur_rows_down,
    fill,
    mask_row,
    share_row,
)
from guetzpy.metrics._cvvdp.contrast import (
    BLOCK,
    DARKEST,
    GAIN,
    HALO,
    LAYER,
    REACH,
    STRIDE,
    contrast_row,
    copy,
)
from guetzpy.metrics._cvvdp.powers import power

__all__ = ["SLOPE_ROWS", "slope_rows"]

# The first row of each further part of the scratch memory, after the parts that ``bands`` names.
DIFFERENCES = WORK_ROWS  # a ring of TAPS rows of three channels: contrasts less the reference's
BY_DIFFERENCE = DIFFERENCES + 3 * TAPS  # slopes for these differences: a ring of REACH + 1 rows
GAINS = BY_DIFFERENCE + 3 * (REACH + 1)  # reciprocals of the background's luminance: TAPS rows
BY_MASK = GAINS + TAPS  # slopes for the masks: for each channel 2 TAPS rows, like MUTUAL
SLOPE_ROWS = BY_MASK + 3 * 2 * TAPS

_S1, _S2 = STRIDE, 2 * STRIDE
_MASK, _LOSS = MASK * STRIDE, LOSS * STRIDE
_ONE, _HALF, _TWO, _ZERO = np.float32(1.0), np.float32(0.5), np.float32(2.0), np.float32(0.0)
_BRIGHTEST_GAIN = np.float32(1.0) / DARKEST


@kernel("float32(float32)", inner=True)
def _sign(x: Any) -> Any:
    return _ONE if x > _ZERO else (-_ONE if x < _ZERO else _ZERO)


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1], int64)", inner=True)
def _pull(work: Any, apart: Any, slopes: Any, by_apart: Any, count: int) -> int:
    """Write the slopes of the quality for a row's masks to LOSS, and for its differences to ``by_apart``.

    ``slopes`` are the derivatives of the quality with respect to the sums. All rows begin with the first
    column that has masks.
    """
    s0, s1, s2 = slopes[0], slopes[1], slopes[2]
    for x in range(count):
        b0, b1, b2 = work[_MASK + x] + EPS, work[_MASK + _S1 + x] + EPS, work[_MASK + _S2 + x] + EPS
        r0, r1, r2 = power(b0, Q0), power(b1, Q1), power(b2, Q2)
        m0, m1, m2 = r0 - Q0_AT_0, r1 - Q1_AT_0, r2 - Q2_AT_0
        v0, v1, v2 = apart[x], apart[_S1 + x], apart[_S2 + x]
        a0, a1, a2 = abs(v0) + EPS, abs(v1) + EPS, abs(v2) + EPS
        p0, p1, p2 = power(a0, P), power(a1, P), power(a2, P)
        n0 = _ONE / (_ONE + (W00 * m0 + W10 * m1 + W20 * m2))
        n1 = _ONE / (_ONE + (W01 * m0 + W11 * m1 + W21 * m2))
        n2 = _ONE / (_ONE + (W02 * m0 + W12 * m1 + W22 * m2))
        u0, u1, u2 = (p0 - P_AT_0) * n0, (p1 - P_AT_0) * n1, (p2 - P_AT_0) * n2
        l0, l1, l2 = LARGEST / (LARGEST + u0), LARGEST / (LARGEST + u1), LARGEST / (LARGEST + u2)
        # Derivatives with respect to the numerators of the visible differences give those with respect to the
        # differences of contrast. Derivatives with respect to the denominators, below, give those with
        # respect to the masks.
        g0 = s0 * (_TWO * l0 * u0 + TWO_EPS) * (l0 * l0) * n0
        g1 = s1 * (_TWO * l1 * u1 + TWO_EPS) * (l1 * l1) * n1
        g2 = s2 * (_TWO * l2 * u2 + TWO_EPS) * (l2 * l2) * n2
        by_apart[x] = g0 * P * p0 / a0 * _sign(v0)
        by_apart[_S1 + x] = g1 * P * p1 / a1 * _sign(v1)
        by_apart[_S2 + x] = g2 * P * p2 / a2 * _sign(v2)
        g0, g1, g2 = -g0 * u0, -g1 * u1, -g2 * u2
        work[_LOSS + x] = Q0 * r0 / b0 * (W00 * g0 + W01 * g1 + W02 * g2)
        work[_LOSS + _S1 + x] = Q1 * r1 / b1 * (W10 * g0 + W11 * g1 + W12 * g2)
        work[_LOSS + _S2 + x] = Q2 * r2 / b2 * (W20 * g0 + W21 * g1 + W22 * g2)
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, int64, int64, int64, int64)", inner=True)
def _spread(
    work: Any, y: int, first: int, last: int, counted: int, at_left: int, at_right: int, blurred: int
) -> int:
    """Apply the adjoint of the horizontal blur to LOSS, and write the result to the ring BY_MASK.

    ``first`` and ``last``: range of indices of existing columns. ``at_left``, ``at_right``: whether the range
    begins and ends at the picture's edges.
    """
    for c in range(3):
        row = work[LOSS + c]
        slot = BY_MASK + 2 * TAPS * c + y % TAPS
        target = work[slot, HALO : HALO + counted]
        if not blurred:
            for x in range(counted):
                target[x] = SCALE * row[HALO + x]
        else:
            begin, end = HALO, HALO + counted
            if at_left:
                begin = first - REACH
                fill(row[begin - REACH : first])
            if at_right:
                end = last + REACH
                fill(row[last : end + REACH])
            out = work[BLURRED + c]
            blur_across(row[begin - REACH : end + REACH], out[begin:end])
            if at_left:
                for x in range(1, REACH + 1):
                    out[first + x] += out[first - x]
            if at_right:
                for x in range(1, REACH + 1):
                    out[last - 1 - x] += out[last - 1 + x]
            copy(out[HALO : HALO + counted], target)
        copy(target, work[slot + TAPS, HALO : HALO + counted])
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])", inner=True)
def _by_contrast(by_apart: Any, apart: Any, by_mutual: Any, reference: Any, out: Any) -> int:
    """Write derivatives with respect to contrasts times sensitivities."""
    for x in range(out.shape[0]):
        t = apart[x] + reference[x]
        size, other = abs(t), abs(reference[x])
        share = _ONE if size < other else (_HALF if size == other else _ZERO)
        out[x] = by_apart[x] + share * _sign(t) * by_mutual[x]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1])", inner=True)
def _by_layer(by_contrast: Any, sense: Any, gain: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        out[x] = by_contrast[x] * sense[x] * gain[x]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])", inner=True)
def _by_light(by_contrast: Any, apart: Any, reference: Any, gain: Any, out: Any) -> int:
    """Subtract the part through the contrast's denominator from derivatives with respect to the luminance."""
    for x in range(out.shape[0]):
        out[x] -= by_contrast[x] * (apart[x] + reference[x]) * gain[x]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1])", inner=True)
def _by_around(by_layer: Any, light: Any, gain: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        out[x] = (light[x] if gain[x] < _BRIGHTEST_GAIN else _ZERO) - by_layer[x]
    return 0


@kernel(
    "int64(float32[:, ::1], int64, int64, int64, int64, int64, float32[:, :, ::1], int64, float32[:, :, ::1],"
    " float32[:, :, ::1], int64)",
    inner=True,
)
def _write_row(
    work: Any, y: int, height: int, x0: int, counted: int, blurred: int, reference: Any, offset: int,
    by_layer: Any, by_around: Any, start: int,
) -> int:  # fmt: skip
    """Write a row of derivatives with respect to a level and the doubled next smaller level."""
    left, right = x0, x0 + counted
    begin: Any = np.int64(HALO)
    end = begin + counted
    gain, light = work[GAINS + y % TAPS, begin:end], work[SUM, begin:end]
    fill(light)
    for c in range(3):
        by_mutual = work[BLURRED + c]
        ring = BY_MASK + 2 * TAPS * c
        if blurred:
            blur_rows_down(work, ring, y, height, begin, end, np.int64(1), by_mutual)
        else:
            copy(work[ring + y % TAPS], by_mutual)
        apart = work[DIFFERENCES + 3 * (y % TAPS) + c, begin:end]
        by_apart = work[BY_DIFFERENCE + 3 * (y % (REACH + 1)) + c, begin:end]
        near = reference[c, y - offset, left:right]
        by_contrast = work[LAYER + c, begin:end]
        _by_contrast(by_apart, apart, by_mutual[begin:end], near, by_contrast)
        _by_layer(
            by_contrast, reference[3 + c, y - offset, left:right], gain, by_layer[c, y - start, left:right]
        )
        _by_light(by_contrast, apart, near, gain, light)
    for c in range(3):
        if c == 1:  # only the achromatic channel (0) is the luminance
            fill(light)
        _by_around(by_layer[c, y - start, left:right], light, gain, by_around[c, y - start, left:right])
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64, float32[:, ::1], int64, float32[:, :, ::1],"
    " float32[:, :, ::1], int64, float32[::1], float32[:, ::1], float32[:, :, ::1], float32[:, :, ::1])"
)
def slope_rows(
    planes: Any, first: int, start: int, stop: int, height: int, matrix: Any, mixed: int, coarse: Any,
    reference: Any, offset: int, slopes: Any, work: Any, by_layer: Any, by_around: Any,
) -> int:  # fmt: skip
    """Write derivatives of the quality through a band, by rows ``start`` to ``stop`` of its level.

    Parameters
    ----------
    planes, first, start, stop, height, matrix, mixed, coarse, reference, offset
        As for ``difference_rows``, but 2 REACH rows above and below are needed.
    slopes : float32 (3,)
        Derivatives of the quality with respect to the sums that ``difference_rows`` returns for this band.
    work : float32 (SLOPE_ROWS, STRIDE)
        Scratch.
    by_layer, by_around : float32 (3, any, W)
        Derivatives with respect to the opponent channels of the level and the doubled next smaller level.
        They begin with row ``start``.
    """
    width = planes.shape[2]
    blurred = int(min(height, width) > REACH)
    reach = REACH if blurred else 0
    flat = work.reshape(SLOPE_ROWS * STRIDE)
    for x0 in range(0, width, BLOCK):
        counted = min(BLOCK, width - x0)
        left, right = max(x0 - 2 * reach, 0), min(x0 + counted + 2 * reach, width)
        at = left - x0 + HALO
        begin = at if left == 0 else at + reach
        end = at + right - left if right == width else at + right - left - reach
        masked, done = max(start - reach, 0), start
        for row in range(max(start - 2 * reach, 0), min(stop + 2 * reach, height)):
            contrast_row(planes, first, row, left, right, matrix, mixed, coarse, work, at)
            copy(work[GAIN], work[GAINS + row % TAPS])
            differences = DIFFERENCES + 3 * (row % TAPS)
            share_row(reference, row - offset, left, right, row, differences, work, at)
            ready = row + 1 if row == height - 1 else row + 1 - reach
            for y in range(masked, min(ready, stop + reach)):
                mask_row(work, y, height, left, right, at, width)
                place, target = DIFFERENCES + 3 * (y % TAPS), BY_DIFFERENCE + 3 * (y % (REACH + 1))
                apart = flat[place * STRIDE : (place + 3) * STRIDE]
                by_apart = flat[target * STRIDE : (target + 3) * STRIDE]
                _pull(flat[begin:], apart[begin:], slopes, by_apart[begin:], end - begin)
                _spread(work, y, begin, end, counted, int(left == 0), int(right == width), blurred)
                masked = y + 1
                finished = y + 1 if y == height - 1 else y + 1 - reach
                for z in range(done, min(finished, stop)):
                    _write_row(
                        work, z, height, x0, counted, blurred, reference, offset, by_layer, by_around, start
                    )
                    done = z + 1
    return 0
