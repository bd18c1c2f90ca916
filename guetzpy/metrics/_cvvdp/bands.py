"""Visible differences between two pictures in one band, after masking.

Contrast that both pictures share masks their difference. The mask is the smaller magnitude of both contrasts,
blurred, raised to a power, and mixed over the channels (cvvdp_metric.py: apply_masking_model, "mult-mutual").

Kernels process blocks of columns, each from row to row. Sums are taken by column, then by block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.exact_math import exp
from guetzpy._runtime.exact_math import power as exact_power
from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._cvvdp.contrast import BLOCK, HALO, LAYER, REACH, STRIDE, contrast_row, copy
from guetzpy.metrics._cvvdp.pooling import EPSILON
from guetzpy.metrics._cvvdp.powers import power

__all__ = ["WORK_ROWS", "difference_rows"]

TAPS = 2 * REACH + 1

# The first row of each part of the scratch memory, after the parts that ``contrast`` names. A part has three
# rows, one for each channel, if its comment names no other number.
BLURRED, MASK, SUM, LOSS = 8, 11, 14, 17
POWERS = 20  # a ring of REACH + 1 rows of three channels
MUTUAL = POWERS + 3 * (REACH + 1)  # for each channel 2 TAPS rows: each row is stored twice, TAPS rows apart
WORK_ROWS = MUTUAL + 3 * 2 * TAPS

_S1, _S2 = STRIDE, 2 * STRIDE
_MASK, _SUM = MASK * STRIDE, SUM * STRIDE

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)

# cvvdp_parameters.json: mask_p, mask_q, 10^d_max, 10^mask_c, 2^xcm_weights.
P = np.float32(2.264355182647705)
Q0, Q1, Q2 = np.float32(1.302622675895691), np.float32(2.8885908126831055), np.float32(3.6807713508605957)
LARGEST = np.float32(exact_power(10.0, 2.5642454624176025))
_SCALE = exact_power(10.0, -0.7954971194267273)
W00, W01, W02 = (np.float32(exact_power(2.0, w)) for w in (-0.18950104713, -5.96215105057, -4.31834602356))
W10, W11, W12 = (np.float32(exact_power(2.0, w)) for w in (2.56555938721, 0.34406712651, -2.71964645386))
W20, W21, W22 = (np.float32(exact_power(2.0, w)) for w in (3.81183719635, -1.00517058372, -0.51933765411))

EPS = np.float32(EPSILON)
TWO_EPS = np.float32(2.0 * EPSILON)
P_AT_0 = np.float32(exact_power(EPSILON, float(P)))
Q0_AT_0 = np.float32(exact_power(EPSILON, float(Q0)))
Q1_AT_0 = np.float32(exact_power(EPSILON, float(Q1)))
Q2_AT_0 = np.float32(exact_power(EPSILON, float(Q2)))

# Blur of the masks: a Gaussian of sigma 3, 13 taps; its second pass multiplies by 10^mask_c too.
_RAW = [exp(-0.5 * (i / 3.0) * (i / 3.0)) for i in range(REACH + 1)]
_TOTAL = _RAW[0] + 2.0 * sum(_RAW[1:])
B0, B1, B2, B3, B4, B5, B6 = (np.float32(value / _TOTAL) for value in _RAW)
TAP_WEIGHTS = np.array([*_RAW[::-1], *_RAW[1:]], np.float32) / np.float32(_TOTAL)
SCALE = np.float32(_SCALE)


@kernel("int64(float32[::1])", inner=True)
def fill(target: Any) -> int:
    """Write zeros."""
    for x in range(target.shape[0]):
        target[x] = _ZERO
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])", inner=True)
def _share(layer: Any, reference: Any, sense: Any, mutual: Any, apart: Any) -> int:
    """Write the smaller magnitude of two contrasts, and the distorted contrast less the reference."""
    for x in range(layer.shape[0]):
        t = layer[x] * sense[x]
        r = reference[x]
        mutual[x] = min(abs(t), abs(r))
        apart[x] = t - r
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64, int64, float32[:, ::1], int64)",
    inner=True,
)
def share_row(
    reference: Any, place: int, left: int, right: int, row: int, differences: int, work: Any, at: Any
) -> int:
    """Write shared contrasts to the ring MUTUAL, and differences to the scratch rows ``differences``."""
    end = at + right - left
    for c in range(3):
        slot = MUTUAL + 2 * TAPS * c + row % TAPS
        mutual = work[slot, at:end]
        apart = work[differences + c, at:end]
        _share(
            work[LAYER + c, at:end], reference[c, place, left:right], reference[3 + c, place, left:right],
            mutual, apart,
        )  # fmt: skip
        copy(mutual, work[slot + TAPS, at:end])
    return 0


@kernel("int64(float32[::1])", inner=True)
def _raise(values: Any) -> int:
    for x in range(values.shape[0]):
        values[x] = power(abs(values[x]) + EPS, P) - P_AT_0
    return 0


@kernel("int64(float32[::1], float32[::1])", inner=True)
def _blur_down(window: Any, out: Any) -> int:
    """Blur TAPS consecutive rows of scratch vertically into one row."""
    for x in range(out.shape[0]):
        out[x] = (
            B0 * window[x + 6 * _S1]
            + B1 * (window[x + 5 * _S1] + window[x + 7 * _S1])
            + B2 * (window[x + 4 * _S1] + window[x + 8 * _S1])
            + B3 * (window[x + 3 * _S1] + window[x + 9 * _S1])
            + B4 * (window[x + 2 * _S1] + window[x + 10 * _S1])
            + B5 * (window[x + _S1] + window[x + 11 * _S1])
            + B6 * (window[x] + window[x + 12 * _S1])
        )
    return 0


@kernel("int64(float32[::1], float32, float32[::1])", inner=True)
def _add(source: Any, weight: Any, out: Any) -> int:
    for x in range(source.shape[0]):
        out[x] += weight * source[x]
    return 0


@kernel("int64(float32[::1], float32[::1])", inner=True)
def blur_across(row: Any, out: Any) -> int:
    """Blur and scale a row of masks; ``row`` has REACH samples more than ``out`` at either end."""
    for x in range(out.shape[0]):
        out[x] = SCALE * (
            B0 * row[x + 6]
            + B1 * (row[x + 5] + row[x + 7])
            + B2 * (row[x + 4] + row[x + 8])
            + B3 * (row[x + 3] + row[x + 9])
            + B4 * (row[x + 2] + row[x + 10])
            + B5 * (row[x + 1] + row[x + 11])
            + B6 * (row[x] + row[x + 12])
        )
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, int64, int64, int64, float32[::1])", inner=True)
def blur_rows_down(
    work: Any, ring: int, y: int, height: int, begin: int, end: int, adjoint: Any, out: Any
) -> int:
    """Blur the rows around row ``y`` of a ring vertically; the newest row is ``y + REACH``, or the last.

    Beyond the top and the bottom, rows are mirrored without repeating the edge. If ``adjoint`` is 1, the
    adjoint of this blur is computed.
    """
    last = min(y + REACH, height - 1)
    top = max(y - REACH, 0)
    newest = ring + last % TAPS + TAPS
    if y >= REACH + adjoint and y + REACH + adjoint < height:
        window = work[newest - TAPS + 1 : newest + 1].reshape(TAPS * STRIDE)
        return _blur_down(window[begin:], out[begin:end])
    fill(out[begin:end])
    for row in range(top, last + 1):
        # Weight of the row, and of its mirror images about the first and the last row of the picture.
        source, target = (y, row) if adjoint else (row, y)
        weight = TAP_WEIGHTS[row - y + REACH]
        if 0 < source <= REACH - target:
            weight += TAP_WEIGHTS[source + target + REACH]
        beyond = 2 * (height - 1) - source - target
        if source < height - 1 and beyond <= REACH:
            weight += TAP_WEIGHTS[beyond + REACH]
        _add(work[newest - (last - row), begin:end], weight, out[begin:end])
    return 0


@kernel("int64(float32[::1], float32[::1], int64)", inner=True)
def _see(work: Any, powers: Any, count: int) -> int:
    """Add d^2 + 2 e d of the visible differences d of a row to SUM, column by column; e is 1e-5.

    ``work`` and ``powers`` are flat views of all rows of scratch, and of the rows of POWERS, from the block's
    first column on.
    """
    for x in range(count):
        m0 = power(work[_MASK + x] + EPS, Q0) - Q0_AT_0
        m1 = power(work[_MASK + _S1 + x] + EPS, Q1) - Q1_AT_0
        m2 = power(work[_MASK + _S2 + x] + EPS, Q2) - Q2_AT_0
        d0 = powers[x] / (_ONE + (W00 * m0 + W10 * m1 + W20 * m2))
        d1 = powers[_S1 + x] / (_ONE + (W01 * m0 + W11 * m1 + W21 * m2))
        d2 = powers[_S2 + x] / (_ONE + (W02 * m0 + W12 * m1 + W22 * m2))
        d0 = LARGEST * d0 / (LARGEST + d0)
        d1 = LARGEST * d1 / (LARGEST + d1)
        d2 = LARGEST * d2 / (LARGEST + d2)
        work[_SUM + x] += d0 * (d0 + TWO_EPS)
        work[_SUM + _S1 + x] += d1 * (d1 + TWO_EPS)
        work[_SUM + _S2 + x] += d2 * (d2 + TWO_EPS)
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, int64, int64, int64)", inner=True)
def mask_row(work: Any, y: int, height: int, left: int, right: int, at: Any, width: int) -> int:
    """Write the masks of row ``y`` to MASK, from the contrasts that both pictures share.

    ``left``, ``right``: range of columns of these contrasts; ``at``: the index of the first in scratch. No
    masks are written for REACH columns at an end that is not an edge of the picture.
    """
    end = at + right - left
    for c in range(3):
        ring = MUTUAL + 2 * TAPS * c
        if min(height, width) <= REACH:  # the authors' package does not blur levels that are so small
            row = work[ring + y % TAPS]
            mask = work[MASK + c]
            for x in range(at, end):
                mask[x] = SCALE * row[x]
            continue
        row = work[BLURRED + c]
        blur_rows_down(work, ring, y, height, at, end, np.int64(0), row)
        begin, stop = at + REACH, end - REACH
        if left == 0:
            begin = at
            for x in range(1, REACH + 1):
                row[at - x] = row[at + x]
        if right == width:
            stop = end
            for x in range(1, REACH + 1):
                row[end - 1 + x] = row[end - 1 - x]
        blur_across(row[begin - REACH : stop + REACH], work[MASK + c, begin:stop])
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64, float32[:, ::1], int64, float32[:, :, ::1],"
    " float32[:, :, ::1], int64, float32[:, ::1], float64[::1])"
)
def difference_rows(
    planes: Any, first: int, start: int, stop: int, height: int, matrix: Any, mixed: int, coarse: Any,
    reference: Any, offset: int, work: Any, sums: Any,
) -> int:  # fmt: skip
    """Add the visible differences of rows ``start`` to ``stop`` of a band to sums.

    Parameters
    ----------
    planes : float32 (3, any, W)
        Rows of the level, beginning with row ``first``. REACH rows above and below the range are needed, also
        of ``reference``.
    first, start, stop, height : int64
        ``height`` is that of the level.
    matrix, mixed, coarse
        As for ``contrast_rows``.
    reference : float32 (6, any, W)
        Data of the reference from ``contrast_rows``, beginning with row ``offset``.
    offset : int64
    work : float32 (WORK_ROWS, STRIDE)
        Scratch.
    sums : float64 (3,)
        For each channel the sum of d^2 + 2 e d, where d is the visible difference and e is 1e-5.
    """
    width = planes.shape[2]
    reach = REACH if min(height, width) > REACH else 0
    flat = work.reshape(WORK_ROWS * STRIDE)
    for x0 in range(0, width, BLOCK):
        counted = min(BLOCK, width - x0)
        left, right = max(x0 - reach, 0), min(x0 + counted + reach, width)
        at = left - x0 + HALO
        fill(flat[SUM * STRIDE : (SUM + 3) * STRIDE])
        done = start
        for row in range(max(start - reach, 0), min(stop + reach, height)):
            contrast_row(planes, first, row, left, right, matrix, mixed, coarse, work, at)
            differences = POWERS + 3 * (row % (REACH + 1))
            share_row(reference, row - offset, left, right, row, differences, work, at)
            ready = row + 1 if row == height - 1 else row + 1 - reach
            for y in range(done, min(ready, stop)):
                mask_row(work, y, height, left, right, at, width)
                powers = POWERS + 3 * (y % (REACH + 1))
                three = flat[powers * STRIDE : (powers + 3) * STRIDE]
                for c in range(3):
                    _raise(work[powers + c, HALO : HALO + counted])
                _see(flat[HALO:], three[HALO:], counted)
                done = y + 1
        for c in range(3):
            for x in range(HALO, HALO + counted):
                sums[c] += np.float64(work[SUM + c, x])
    return 0
