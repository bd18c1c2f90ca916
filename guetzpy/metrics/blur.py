"""Gaussian blurs by direct summation, as Butteraugli has them.

A kernel reaches ``int(2.25 sigma)`` samples to each side. Beyond the edge there is nothing: the
weights that remain are scaled to a sum of one. So a blur is ``diag(gain) K`` with a symmetric K, and
its adjoint is ``K diag(gain)``: the same sums over a field that was multiplied by the gain before.
(libjxl, ``lib/jxl/butteraugli/butteraugli.cc``: ``ComputeKernel``, ``ConvolutionWithTranspose``.)

The sums run over whole rows, three pairs of taps at a time: each loop vectorises, and
each sample's sum has one fixed order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._elementary import exp
from guetzpy._jit import kernel

__all__ = ["blur_row", "edge_gain", "half_kernel"]

Floats = npt.NDArray[np.float32]


def half_kernel(sigma: float) -> Floats:
    """Return the taps of a blur from the centre outwards.

    Parameters
    ----------
    sigma : float
        Standard deviation in samples, > 0.

    Returns
    -------
    ndarray of float32, shape (radius + 1,)
        The full kernel, these taps and their mirror, sums to one.
    """
    radius = max(1, int(2.25 * sigma))
    taps = [exp(-i * i / (2.0 * sigma * sigma)) for i in range(radius + 1)]
    total = taps[0] + 2.0 * sum(taps[1:])
    return np.array([tap / total for tap in taps], np.float32)


def edge_gain(length: int, taps: Floats) -> Floats:
    """Return the reciprocal of the weight that lies within the field, for each sample of a line.

    Parameters
    ----------
    length : int
        Samples in the line.
    taps : ndarray of float32, shape (radius + 1,)
        From :func:`half_kernel`.

    Returns
    -------
    ndarray of float32, shape (length,)
        1 at a distance of ``radius`` or more from both ends.
    """
    gain = np.ones(length, np.float32)
    weights = [float(tap) for tap in taps]
    radius = len(weights) - 1
    for i in range(length):
        if radius <= i < length - radius:
            continue
        inside = sum(weights[abs(k)] for k in range(-radius, radius + 1) if 0 <= i + k < length)
        gain[i] = 1.0 / inside
    return gain


@kernel("int64(float32[::1], float32[::1], float32[::1], float32)")
def scale_row(source: Any, gain: Any, out: Any, factor: Any) -> int:
    """``out = factor * gain * source``, element by element."""
    for x in range(out.shape[0]):
        out[x] = source[x] * (gain[x] * factor)
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32, float32, float32[::1])")
def _begin(centre: Any, left: Any, right: Any, k0: Any, k1: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        out[x] = k0 * centre[x] + k1 * (left[x] + right[x])
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32, float32, float32, float32[::1])"
)
def _add_pairs(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, k0: Any, k1: Any, k2: Any, out: Any) -> int:
    for x in range(out.shape[0]):
        out[x] += k0 * (a[x] + b[x]) + k1 * (c[x] + d[x]) + k2 * (e[x] + f[x])
    return 0


@kernel(
    "int64(float32[:, ::1], int64, float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32[::1], float32[::1])"
)
def blur_row(plane: Any, y: int, taps: Any, gain_y: Any, gain_x: Any, zeros: Any, line: Any, out: Any) -> int:
    """Write row ``y`` of a blurred plane.

    Parameters
    ----------
    plane : float32 (H, W)
    y : int64
        Row, 0 <= y < H.
    taps : float32 (radius + 1,)
    gain_y, gain_x : float32 (H,), (W,)
        From :func:`edge_gain`; all ones for the adjoint.
    zeros : float32, at least (W,)
        Stands for the rows beyond the edge.
    line : float32, at least (W + 2 radius + 4,)
        Room for the row between the two directions.
    out : float32 (W,)
    """
    height, width = plane.shape
    radius = taps.shape[0] - 1
    none = zeros[:width]
    down = line[radius + 2 : radius + 2 + width]
    # Taps 1, 2, 3 ... are taken three at a time; what is left over goes with the centre.
    first = radius % 3
    for pad in range(radius + 2):
        line[pad] = np.float32(0.0)
        line[radius + 2 + width + pad] = np.float32(0.0)
    for direction in range(2):
        if direction == 0:
            target = down
            centre = plane[y]
        else:
            target = out
            centre = down
        i = np.int64(1)
        if first == 0:
            _begin(centre, none, none, taps[0], np.float32(0.0), target)
        while i <= radius:
            if direction == 0:
                a = plane[y - i] if y >= i else none
                b = plane[y + i] if y + i < height else none
            else:
                a = line[radius + 2 - i : radius + 2 - i + width]
                b = line[radius + 2 + i : radius + 2 + i + width]
            if i == 1 and first == 1:
                _begin(centre, a, b, taps[0], taps[1], target)
                i += 1
                continue
            if direction == 0:
                c = plane[y - i - 1] if y >= i + 1 else none
                d = plane[y + i + 1] if y + i + 1 < height else none
                e = plane[y - i - 2] if y >= i + 2 else none
                f = plane[y + i + 2] if y + i + 2 < height else none
            else:
                c = line[radius + 1 - i : radius + 1 - i + width]
                d = line[radius + 3 + i : radius + 3 + i + width]
                e = line[radius - i : radius - i + width]
                f = line[radius + 4 + i : radius + 4 + i + width]
            _add_pairs(a, b, c, d, e, f, taps[i], taps[i + 1], taps[i + 2], target)
            i += 3
        if direction == 0:
            factor = gain_y[y]
            if factor != np.float32(1.0):
                for x in range(width):
                    down[x] *= factor
    for x in range(min(radius, width)):
        out[x] *= gain_x[x]
    for x in range(max(width - radius, min(radius, width)), width):
        out[x] *= gain_x[x]
    return 0
