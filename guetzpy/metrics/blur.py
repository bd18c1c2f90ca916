"""Gaussian blurs by direct summation, as in Butteraugli.

The taps of a blur cover ``int(2.25 sigma)`` samples on each side. Samples beyond the edge are left out, and
the remaining taps are scaled to a sum of one (libjxl, ``lib/jxl/butteraugli/butteraugli.cc``:
``ComputeKernel``, ``ConvolutionWithTranspose``). So a blur is ``diag(gain) K`` with a symmetric K. Its
adjoint is ``K diag(gain)``: the field is first multiplied by the gain and then summed with the same taps.

The sums run over whole rows, three pairs of taps at a time. Each loop vectorises, and the order of the sum of
each sample is fixed.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp
from guetzpy._runtime.kernel import kernel

__all__ = ["blur_rows", "edge_gain", "half_kernel", "scratch_rows"]

Floats = npt.NDArray[np.float32]


@functools.lru_cache(maxsize=16)
def half_kernel(sigma: float) -> Floats:
    """Return the taps of a blur from the centre outwards.

    Parameters
    ----------
    sigma : float
        Standard deviation in samples, > 0.

    Returns
    -------
    ndarray of float32, shape (radius + 1,)
        Taps from the centre outwards; the sum of the full, symmetric kernel is 1. The array is shared: do not
        change it.
    """
    radius = max(1, int(2.25 * sigma))
    taps = [exp(-i * i / (2.0 * sigma * sigma)) for i in range(radius + 1)]
    total = taps[0] + 2.0 * sum(taps[1:])
    return np.array([tap / total for tap in taps], np.float32)


@functools.lru_cache(maxsize=256)
def edge_gain(length: int, sigma: float) -> Floats:
    """Return the reciprocal of the sum of the taps that lie within the field, for each sample of a line.

    Parameters
    ----------
    length : int
        Samples in the line.
    sigma : float
        Standard deviation in samples, as for :func:`half_kernel`.

    Returns
    -------
    ndarray of float32, shape (length,)
        1 at ``radius`` or more samples from both ends. The array is shared: do not change it.
    """
    gain = np.ones(length, np.float32)
    weights = half_kernel(sigma).tolist()
    radius = len(weights) - 1
    for i in [*range(min(radius, length)), *range(max(radius, length - radius), length)]:
        inside = sum(weights[abs(k)] for k in range(-radius, radius + 1) if 0 <= i + k < length)
        gain[i] = 1.0 / inside
    return gain


def scratch_rows(width: int, taps: Floats) -> Floats:
    """Return the scratch memory of :func:`blur_rows`: float32 (2, n), the first row zero."""
    rows = np.empty((2, width + 2 * len(taps)), np.float32)
    rows[0] = 0.0
    return rows


@kernel("int64(float32[::1], float32[::1], float32[::1], float32, float32, float32[::1])", inner=True)
def _begin(centre: Any, a: Any, b: Any, k0: Any, k1: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        out[x] = k0 * centre[x] + k1 * (a[x] + b[x])
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32, float32, float32, float32[::1])",
    inner=True,
)
def _add_pairs(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, k0: Any, k1: Any, k2: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        out[x] += k0 * (a[x] + b[x]) + k1 * (c[x] + d[x]) + k2 * (e[x] + f[x])
    return 0


@kernel(
    "int64(float32[:, ::1], int64, int64, float32[::1], float32[::1], float32[::1], float32[:, ::1],"
    " float32[:, ::1])"
)
def blur_rows(
    plane: Any, start: int, stop: int, taps: Any, gain_y: Any, gain_x: Any, scratch: Any, out: Any
) -> int:
    """Blur rows ``start`` to ``stop`` of a plane.

    Parameters
    ----------
    plane : float32 (H, W)
    start, stop : int64
    taps : float32 (radius + 1,)
        From :func:`half_kernel`; ``radius % 3`` is 0 or 1.
    gain_y, gain_x : float32 (H,), (W,)
        From :func:`edge_gain`; all ones for the adjoint.
    scratch : float32 (2, W + 2 radius + 2)
        From :func:`scratch_rows`.
    out : float32 (stop - start, W)
    """
    height, width = plane.shape
    radius = taps.shape[0] - 1
    zeros, line = scratch[0, :width], scratch[1]
    down = line[radius : radius + width]
    line[:radius] = np.float32(0.0)
    line[radius + width :] = np.float32(0.0)
    odd = radius % 3
    for y in range(start, stop):
        # Vertical pass: row y, and pairs of rows above and below; rows beyond the edge are zero.
        if odd == 1:
            a = plane[y - 1] if y >= 1 else zeros
            b = plane[y + 1] if y + 1 < height else zeros
            _begin(plane[y], a, b, taps[0], taps[1], down)
        else:
            _begin(plane[y], zeros, zeros, taps[0], np.float32(0.0), down)
        for i in range(1 + odd, radius, 3):
            a = plane[y - i] if y >= i else zeros
            b = plane[y + i] if y + i < height else zeros
            c = plane[y - i - 1] if y > i else zeros
            d = plane[y + i + 1] if y + i + 1 < height else zeros
            e = plane[y - i - 2] if y > i + 1 else zeros
            f = plane[y + i + 2] if y + i + 2 < height else zeros
            _add_pairs(a, b, c, d, e, f, taps[i], taps[i + 1], taps[i + 2], down)
        factor = gain_y[y]
        if factor != np.float32(1.0):
            for x in range(width):
                down[x] *= factor
        # Horizontal pass; the line has zeros on both sides.
        target = out[y - start]
        if odd == 1:
            a, b = line[radius - 1 : radius - 1 + width], line[radius + 1 : radius + 1 + width]
            _begin(down, a, b, taps[0], taps[1], target)
        else:
            _begin(down, zeros, zeros, taps[0], np.float32(0.0), target)
        for i in range(1 + odd, radius, 3):
            left, right = radius - i, radius + i
            a, b = line[left : left + width], line[right : right + width]
            c, d = line[left - 1 : left - 1 + width], line[right + 1 : right + 1 + width]
            e, f = line[left - 2 : left - 2 + width], line[right + 2 : right + 2 + width]
            _add_pairs(a, b, c, d, e, f, taps[i], taps[i + 1], taps[i + 2], target)
        for x in range(min(radius, width)):
            target[x] *= gain_x[x]
        for x in range(max(width - radius, min(radius, width)), width):
            target[x] *= gain_x[x]
    return 0
