"""Contrast of a picture in one band, and the data of the reference for comparisons.

The contrast is a level less its next smaller level, doubled, divided by the luminance of that doubled level
(lpyr_dec.py: weber_contrast_pyr, "weber_g1"). The contrasts of both pictures are multiplied by the eye's
sensitivity at the luminance of the reference.

Kernels process blocks of columns, each from row to row, so that the neighbours of a row are still in the
processor's first-level cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._cvvdp.powers import exp2, log2
from guetzpy.metrics._cvvdp.pyramid import doubled_row, mix
from guetzpy.metrics._cvvdp.sensitivity import LIGHT_STEPS, LOWEST_LIGHT

__all__ = [
    "AROUND",
    "BLOCK",
    "GAIN",
    "HALO",
    "LAYER",
    "REACH",
    "STRIDE",
    "contrast_row",
    "contrast_rows",
    "copy",
]

BLOCK = 512  # columns that are processed at a time
REACH = 6  # radius of the blur of masks
HALO = 2 * REACH  # columns before the first of a block, in all rows of scratch
STRIDE = BLOCK + 4 * HALO  # with columns for samples beyond both edges

# The first row of each part of the scratch memory. GAIN and HALF have one row, LAYER and AROUND one for each
# channel.
LAYER, AROUND, GAIN, HALF = 0, 3, 6, 7

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
DARKEST = np.float32(0.01)  # cd/m2; darker backgrounds are taken as this (lpyr_dec.py)
_LAST_PLACE = np.float32(30.999998)  # the last position in the table of 32 sensitivities


@kernel("int64(float32[::1], float32[::1])", inner=True)
def copy(source: Any, target: Any) -> int:
    """Copy as many values as ``source`` has."""
    for x in range(source.shape[0]):
        target[x] = source[x]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def _divide(around: Any, gain: Any, layer: Any) -> int:
    for x in range(layer.shape[0]):
        layer[x] = (layer[x] - around[x]) * gain[x]
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64, float32[:, ::1], int64, float32[:, :, ::1],"
    " float32[:, ::1], int64)",
    inner=True,
)
def contrast_row(
    planes: Any,
    first: int,
    y: int,
    left: int,
    right: int,
    matrix: Any,
    mixed: int,
    coarse: Any,
    work: Any,
    at: Any,
) -> int:
    """Write a row's contrasts in columns ``left`` to ``right`` to LAYER, from index ``at`` on.

    AROUND[0] gets the background's luminance, and GAIN its reciprocal.
    """
    end = at + right - left
    r, g, b = (
        planes[0, y - first, left:right],
        planes[1, y - first, left:right],
        planes[2, y - first, left:right],
    )
    for c in range(3):
        layer = work[LAYER + c, at:end]
        if mixed:
            mix(r, g, b, matrix[c], layer)
        else:
            copy(planes[c, y - first, left:right], layer)
        doubled_row(coarse[c], y, left, right, work[HALF], work[AROUND + c, at : end + 1])
    light, gain = work[AROUND, at:end], work[GAIN, at:end]
    for x in range(gain.shape[0]):
        gain[x] = _ONE / max(light[x], DARKEST)
    for c in range(3):
        _divide(work[AROUND + c, at:end], gain, work[LAYER + c, at:end])
    return 0


@kernel("int64(float32[::1])", inner=True)
def _places(gain: Any) -> int:
    """Replace reciprocals of luminances by positions in the table of sensitivities."""
    for x in range(gain.shape[0]):
        place = (-log2(gain[x]) - LOWEST_LIGHT) * LIGHT_STEPS
        gain[x] = min(max(place, _ZERO), _LAST_PLACE)
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def _sense(places: Any, table: Any, out: Any) -> int:
    """Write the sensitivities at positions in a table, by linear interpolation of the logarithms."""
    for x in range(out.shape[0]):
        k = np.int32(places[x])
        out[x] = table[k] + (places[x] - np.float32(k)) * (table[k + 1] - table[k])
    for x in range(out.shape[0]):
        out[x] = exp2(out[x])
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def _multiply(a: Any, b: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        out[x] = a[x] * b[x]
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, float32[:, ::1], int64, float32[:, :, ::1],"
    " float32[:, ::1], float32[:, ::1], float32[:, :, ::1], int64)"
)
def contrast_rows(
    planes: Any, first: int, start: int, stop: int, matrix: Any, mixed: int, coarse: Any, table: Any,
    work: Any, reference: Any, offset: int,
) -> int:  # fmt: skip
    """Write the reference's contrasts and sensitivities in rows ``start`` to ``stop``.

    Parameters
    ----------
    planes : float32 (3, any, W)
        Rows of the level, beginning with row ``first``.
    first, start, stop : int64
    matrix : float32 (3, 4)
    mixed : int64
        As for ``reduce_rows``.
    coarse : float32 (3, (H + 1) // 2, (W + 1) // 2)
        The whole next smaller level.
    table : float32 (3, 32)
        Binary logarithms of sensitivities by luminance.
    work : float32 (8 or more, STRIDE)
        Scratch.
    reference : float32 (6, any, W)
        The result: contrasts times sensitivities, then sensitivities, by channel, beginning with row
        ``offset``.
    offset : int64
    """
    width = planes.shape[2]
    for y in range(start, stop):
        for left in range(0, width, BLOCK):
            right = min(left + BLOCK, width)
            contrast_row(planes, first, y, left, right, matrix, mixed, coarse, work, np.int64(0))
            places = work[GAIN, : right - left]
            _places(places)
            for c in range(3):
                sense = reference[3 + c, y - offset, left:right]
                _sense(places, table[c], sense)
                _multiply(work[LAYER + c, : right - left], sense, reference[c, y - offset, left:right])
    return 0
