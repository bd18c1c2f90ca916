"""Tiles of IW-SSIM: parts of planes of a fixed size that fit the processor's second-level cache.

A tile is a flat float32 array of ``PLANE`` values: ``ROWS`` rows of ``STRIDE`` values. The stride is a
constant, so that a stage is one long loop over the flat array, which vectorises. Near the ends of a row a
window contains samples of the next row; those results are finite and not used.

The score's last digits depend on these sizes, because sums are taken per tile. So the sizes do not depend on
the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.exact_math import exp
from guetzpy._runtime.kernel import kernel

__all__ = ["PLANE", "REACH", "ROWS", "STRIDE", "WINDOW", "blur", "box", "load", "multiply", "variances"]

ROWS = 64
STRIDE = 192
PLANE = ROWS * STRIDE
#: Radius in samples of the Gaussian window of 11 taps.
REACH = 5

# The window of SSIM: a Gaussian of standard deviation 1.5, 11 taps, sum 1.
_TAPS = [exp(-i * i / 4.5) for i in range(REACH + 1)]
WINDOW = tuple(tap / (_TAPS[0] + 2.0 * sum(_TAPS[1:])) for tap in _TAPS)  # from the middle outwards
_G0, _G1, _G2, _G3, _G4, _G5 = (np.float32(tap) for tap in WINDOW)
_NINTH = np.float32(1.0 / 9.0)
_ZERO = np.float32(0.0)


@kernel("int64(float32[:, ::1], int64, int64, float32[::1])")
def load(plane: Any, top: int, left: int, tile: Any) -> int:
    """Copy a part of a plane, from sample (top, left) on, to a tile; beyond the plane it is zero."""
    height, width = plane.shape
    begin = max(-left, 0)
    end = max(min(width - left, STRIDE), begin)
    for y in range(ROWS):
        row = tile[y * STRIDE : (y + 1) * STRIDE]
        if top + y < 0 or top + y >= height:
            row[:] = _ZERO
            continue
        row[:begin] = _ZERO
        row[end:] = _ZERO
        inside = row[begin:end]
        values = plane[top + y, left + begin : left + end]
        for x in range(inside.shape[0]):
            inside[x] = values[x]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def multiply(a: Any, b: Any, product: Any) -> int:
    """Write ``a * b``."""
    for i in range(PLANE):
        product[i] = a[i] * b[i]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def blur(source: Any, between: Any, target: Any) -> int:
    """Blur a tile by the Gaussian window, vertically and horizontally.

    Samples at ``REACH`` or more from the tile's edge are written; ``between`` is scratch.
    """
    for i in range(5 * STRIDE, PLANE - 5 * STRIDE):
        between[i] = (
            _G0 * source[i]
            + _G1 * (source[i - STRIDE] + source[i + STRIDE])
            + _G2 * (source[i - 2 * STRIDE] + source[i + 2 * STRIDE])
            + _G3 * (source[i - 3 * STRIDE] + source[i + 3 * STRIDE])
            + _G4 * (source[i - 4 * STRIDE] + source[i + 4 * STRIDE])
            + _G5 * (source[i - 5 * STRIDE] + source[i + 5 * STRIDE])
        )
    for i in range(5 * STRIDE + 5, PLANE - 5 * STRIDE - 5):
        target[i] = (
            _G0 * between[i]
            + _G1 * (between[i - 1] + between[i + 1])
            + _G2 * (between[i - 2] + between[i + 2])
            + _G3 * (between[i - 3] + between[i + 3])
            + _G4 * (between[i - 4] + between[i + 4])
            + _G5 * (between[i - 5] + between[i + 5])
        )
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def box(source: Any, between: Any, target: Any) -> int:
    """Write means over 3 x 3 samples, except for the tile's outermost samples."""
    for i in range(STRIDE, PLANE - STRIDE):
        between[i] = source[i - STRIDE] + source[i] + source[i + STRIDE]
    for i in range(STRIDE + 1, PLANE - STRIDE - 1):
        target[i] = _NINTH * (between[i - 1] + between[i] + between[i + 1])
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def variances(x: Any, y: Any, covariance: Any) -> int:
    """Write the covariances of two tiles over 3 x 3 samples, except for the tile's outermost samples.

    They are computed from differences from the middle sample. In nearly flat parts, the squares of the values
    themselves would leave rounding errors only.
    """
    for i in range(STRIDE + 1, PLANE - STRIDE - 1):
        p, q = x[i], y[i]
        a0, b0 = x[i - STRIDE - 1] - p, y[i - STRIDE - 1] - q
        a1, b1 = x[i - STRIDE] - p, y[i - STRIDE] - q
        a2, b2 = x[i - STRIDE + 1] - p, y[i - STRIDE + 1] - q
        a3, b3 = x[i - 1] - p, y[i - 1] - q
        a4, b4 = x[i + 1] - p, y[i + 1] - q
        a5, b5 = x[i + STRIDE - 1] - p, y[i + STRIDE - 1] - q
        a6, b6 = x[i + STRIDE] - p, y[i + STRIDE] - q
        a7, b7 = x[i + STRIDE + 1] - p, y[i + STRIDE + 1] - q
        products = a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3 + a4 * b4 + a5 * b5 + a6 * b6 + a7 * b7
        sum_a = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7))
        sum_b = ((b0 + b1) + (b2 + b3)) + ((b4 + b5) + (b6 + b7))
        covariance[i] = _NINTH * (products - _NINTH * (sum_a * sum_b))
    return 0
