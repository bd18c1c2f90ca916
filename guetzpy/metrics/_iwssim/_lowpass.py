"""SSIM of the coarsest plane of the pyramid, which has 1/256 of the samples, in float64.

The values of this plane are up to 16 times 255, but the constants of SSIM are those for codes up to 255. So
float32 would lose small differences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._iwssim._tiles import WINDOW
from guetzpy.picture.transform import Floats

__all__ = ["gradient", "mean"]

_WINDOW = WINDOW[:0:-1] + WINDOW
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2

Doubles = npt.NDArray[np.float64]


@kernel("int64(float64[:, ::1], float64[:, ::1], float64[:, ::1])", inner=True)
def _window(source: Any, between: Any, target: Any) -> int:
    """Blur a plane; ``target`` has ten rows and columns less than ``source``, ``between`` ten rows less."""
    between[:] = 0.0
    target[:] = 0.0
    for k in range(11):
        weight = _WINDOW[k]
        for y in range(between.shape[0]):
            for x in range(between.shape[1]):
                between[y, x] += weight * source[y + k, x]
    for y in range(target.shape[0]):
        for k in range(11):
            weight = _WINDOW[k]
            for x in range(target.shape[1]):
                target[y, x] += weight * between[y, x + k]
    return 0


@kernel("int64(float64[:, :, ::1], float64[:, ::1], float64[:, :, ::1], float64[::1])")
def _maps(fields: Any, between: Any, moments: Any, sums: Any) -> int:
    """Sum SSIM, and replace the first three moments by its derivatives.

    ``fields``: the distorted plane, the reference, their squares, and their product. ``moments``: memory for
    these five, blurred. The derivatives are by the blurred distorted plane, its blurred square, and the
    blurred product.
    """
    for k in range(5):
        _window(fields[k], between, moments[k])
    for y in range(moments.shape[1]):
        for x in range(moments.shape[2]):
            mx, my = moments[0, y, x], moments[1, y, x]
            below = mx * mx + my * my + _C1
            luminance = (mx * my + mx * my + _C1) / below
            covariance = moments[4, y, x] - mx * my
            total = (moments[2, y, x] - mx * mx) + (moments[3, y, x] - my * my) + _C2
            structure = (covariance + covariance + _C2) / total
            sums[0] += luminance * structure
            by_product = 2.0 * luminance / total
            by_square = -luminance * structure / total
            by_mean = 2.0 * structure * (my - luminance * mx) / below
            moments[0, y, x] = by_mean - my * by_product - 2.0 * mx * by_square
            moments[1, y, x] = by_square
            moments[2, y, x] = by_product
    return 0


@kernel("int64(float64[:, ::1], float64[:, ::1], float64[:, ::1])")
def _blur(source: Any, between: Any, target: Any) -> int:
    return _window(source, between, target)


def _compared(x: Floats, y: Floats) -> tuple[float, Doubles]:
    a, b = x.astype(np.float64), y.astype(np.float64)
    height, width = x.shape
    fields = np.stack([a, b, a * a, b * b, a * b])
    moments = np.empty((5, height - 10, width - 10))
    sums = np.zeros(1)
    _maps(fields, np.empty((height - 10, width)), moments, sums)
    return float(sums[0]) / moments[0].size, moments


def mean(x: Floats, y: Floats) -> float:
    """Return the mean SSIM of a plane and its reference, float32 (h, w) each."""
    return _compared(x, y)[0]


def gradient(x: Floats, y: Floats, scale: float) -> Floats:
    """Return the derivatives of the mean SSIM with respect to the plane ``x``, times ``scale``."""
    _, moments = _compared(x, y)
    height, width = x.shape
    out = np.zeros((height, width))
    blurred = np.empty((height, width))
    between = np.empty((height, width + 10))
    factors = (None, 2.0 * x.astype(np.float64), y.astype(np.float64))
    for field, factor in zip(moments, factors, strict=False):
        _blur(np.pad(field, 10), between, blurred)
        out += blurred if factor is None else factor * blurred
    scaled: Floats = (out * (scale / moments[0].size)).astype(np.float32)
    return scaled
