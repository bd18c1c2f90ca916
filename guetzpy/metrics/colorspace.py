"""Conversion of linear light to libjxl's XYB as in SSIMULACRA 2, its adjoint, and halving in linear light.

Constants: libjxl lib/jxl/cms/opsin_params.h. Offsets that make XYB positive: libjxl tools/ssimulacra2.cc
(MakePositiveXYB).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._fused import fma
from guetzpy.metrics._tiles import PLANE

__all__ = ["cube_root", "halve", "positive_xyb", "positive_xyb_adjoint"]

# One entry of each row is 1 less the two others, rounded to float32 after each subtraction, as in libjxl.
_M00, _M02 = np.float32(0.30), np.float32(0.078)
_M01 = np.float32(1.0) - _M02 - _M00
_M10, _M12 = np.float32(0.23), np.float32(0.078)
_M11 = np.float32(1.0) - _M12 - _M10
_M20, _M21 = np.float32(0.24342268924547819), np.float32(0.20476744424496821)
_M22 = np.float32(1.0) - _M20 - _M21
_BIAS = np.float32(0.0037930732552754493)
_BIAS_ROOT = np.float32(0.15595420054924863)  # cube root of _BIAS

_X_SCALE, _X_SHIFT = np.float32(14.0), np.float32(0.42)
_X_SCALE_INVERSE = np.float32(1.0 / 14.0)
_Y_SHIFT = np.float32(0.01)
_B_SHIFT = np.float32(0.55)
_FLOOR = np.float32(1e-24)
_ROOT_FLOOR = np.float32(1e-4)

_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_THIRD = np.float32(1.0 / 3.0)
_FOUR_THIRDS = np.float32(4.0 / 3.0)


@kernel("float32(float32)")
def cube_root(x: Any) -> Any:
    """Return the cube root of ``x``, 1e-30 < x < 1e30, less the cube root of the absorbances' bias.

    Newton's iteration for x^(-1/3) from a first estimate by the exponent of x (libjxl
    lib/jxl/base/fast_math-inl.h, CubeRootAndAdd, after Agner Fog), without libm. The relative error of
    the root is below 4e-7.
    """
    exponent = np.float32(x).view(np.int32) >> np.int32(23)
    guess = np.int32(np.int32(0x54800000) - np.int32(exponent * np.int32(0x002AAAAA)))
    r = np.int32(guess).view(np.float32)
    third = _THIRD * x
    for _ in range(3):
        r2 = r * r
        r = fma(-third, r2 * r2, _FOUR_THIRDS * r)
    r2 = r * r
    r = fma(_THIRD, fma(-x, r2 * r2, r), r)
    return fma(r * r, x, -_BIAS_ROOT)


@kernel("int64(float32[::1], float32[::1], float32[::1], int64)", inner=True)
def positive_xyb(red: Any, green: Any, blue: Any, count: Any) -> int:
    """Convert the first ``count`` values of linear light to positive XYB, in place.

    X is scaled by 14 and shifted, and Y is subtracted from B. All three are between about 0 and 1 for
    colours of sRGB. Every step is rounded as in libjxl.
    """
    for i in range(count):
        r, g, b = red[i], green[i], blue[i]
        # Absorbances are not negative. The cube root of the floor, 1e-8, is negligible next to _BIAS_ROOT.
        long = max(fma(_M00, r, fma(_M01, g, fma(_M02, b, _BIAS))), _FLOOR)
        medium = max(fma(_M10, r, fma(_M11, g, fma(_M12, b, _BIAS))), _FLOOR)
        short = max(fma(_M20, r, fma(_M21, g, fma(_M22, b, _BIAS))), _FLOOR)
        root_l = cube_root(long)
        root_m = cube_root(medium)
        root_s = cube_root(short)
        y = _HALF * (root_l + root_m)
        red[i] = _HALF * (root_l - root_m) * _X_SCALE + _X_SHIFT
        green[i] = y + _Y_SHIFT
        blue[i] = (root_s - y) + _B_SHIFT
    return 0


@kernel("int64(float32[::1], float32[::1])", inner=True)
def positive_xyb_adjoint(xyb: Any, gradient: Any) -> int:
    """Convert a gradient for XYB, as of :func:`positive_xyb`, to a gradient for linear light, in place."""
    for i in range(PLANE):
        y = xyb[i + PLANE] - _Y_SHIFT
        x = (xyb[i] - _X_SHIFT) * _X_SCALE_INVERSE
        root_l = (y + x) + _BIAS_ROOT
        root_m = (y - x) + _BIAS_ROOT
        root_s = (xyb[i + 2 * PLANE] - _B_SHIFT + y) + _BIAS_ROOT
        by_b = gradient[i + 2 * PLANE]
        by_y = _HALF * (gradient[i + PLANE] - by_b)
        by_x = _HALF * _X_SCALE * gradient[i]
        # The slope of a root is 1 / (3 root^2). It is 0 where the absorbance was raised to the floor.
        slope_l = _THIRD / max(root_l * root_l, _ROOT_FLOOR) if root_l > _ROOT_FLOOR else _ZERO
        slope_m = _THIRD / max(root_m * root_m, _ROOT_FLOOR) if root_m > _ROOT_FLOOR else _ZERO
        slope_s = _THIRD / max(root_s * root_s, _ROOT_FLOOR) if root_s > _ROOT_FLOOR else _ZERO
        by_l = (by_y + by_x) * slope_l
        by_m = (by_y - by_x) * slope_m
        by_s = by_b * slope_s
        gradient[i] = _M00 * by_l + _M10 * by_m + _M20 * by_s
        gradient[i + PLANE] = _M01 * by_l + _M11 * by_m + _M21 * by_s
        gradient[i + 2 * PLANE] = _M02 * by_l + _M12 * by_m + _M22 * by_s
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, float32[:, ::1], int64)")
def halve(plane: Any, first: int, start: int, stop: int, target: Any, shift: int) -> int:
    """Write the means of 2 x 2 samples; odd edges are replicated.

    Parameters
    ----------
    plane : ndarray of float32, shape (rows, W)
        Rows of the larger picture, beginning with its row ``first``.
    first, start, stop : int
        Rows of the larger picture: the first of ``plane``, and the range to halve; ``start`` is even.
    target : ndarray of float32, shape (rows, (W + 1) // 2)
        Rows of the smaller picture, beginning with its row ``shift``.
    shift : int
        The row of the smaller picture that ``target`` begins with.
    """
    width = plane.shape[1]
    quarter = np.float32(0.25)
    for y in range(start, stop, 2):
        upper = plane[y - first]
        lower = plane[min(y + 1, stop - 1) - first]
        row = target[y // 2 - shift]
        for x in range(width // 2):
            row[x] = (((upper[2 * x] + upper[2 * x + 1]) + lower[2 * x]) + lower[2 * x + 1]) * quarter
        if width & 1:
            row[width // 2] = (
                ((upper[width - 1] + upper[width - 1]) + lower[width - 1]) + lower[width - 1]
            ) * quarter
    return 0
