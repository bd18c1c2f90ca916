"""Binary logarithm, power of two and power of float32 values for vectorised loops, without libm."""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._fused import fma

__all__ = ["exp2", "log2", "power"]

_ONE = np.float32(1.0)
_SHIFT = np.int32(23)  # bits of the mantissa of float32
_UNIT = np.int32(0x3F800000)  # bits of 1.0
_SQRT_HALF = np.int32(0x3F3504F3)  # bits of the square root of a half
# log2(1 + t) / t for t from sqrt(1/2) - 1 to sqrt(2) - 1: the polynomial of degree 7 with the smallest
# maximum of the relative error, 1.7e-7 (least squares at 2000 Chebyshev nodes, reweighted until the error is
# even).
_L0, _L1 = np.float32(1.44269496), np.float32(-0.721352788)
_L2, _L3 = np.float32(0.480923241), np.float32(-0.360239637)
_L4, _L5 = np.float32(0.28709873), np.float32(-0.248876938)
_L6, _L7 = np.float32(0.234042153), np.float32(-0.145811175)
# 2^f for f from -1/2 to 1/2: a polynomial of degree 5, found by the same method; error 7.5e-8.
_E0, _E1 = np.float32(1.00000007), np.float32(0.693146967)
_E2, _E3 = np.float32(0.240221197), np.float32(0.0555071328)
_E4, _E5 = np.float32(0.00967554132), np.float32(0.00132764706)
_MAGIC = np.float32(12582912.0)  # 1.5 * 2^23: adding it rounds to an integer


@kernel("float32(float32)", inner=True)
def log2(x: Any) -> Any:
    """Return the binary logarithm of a normal, positive ``x``; absolute error below 1e-6."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(bits - _SQRT_HALF) >> _SHIFT
    t = np.int32(bits - np.int32(exponent << _SHIFT)).view(np.float32) - _ONE
    square = t * t
    low = fma(fma(_L3, t, _L2), square, fma(_L1, t, _L0))
    high = fma(fma(_L7, t, _L6), square, fma(_L5, t, _L4))
    return fma(fma(high, square * square, low), t, np.float32(exponent))


@kernel("float32(float32)", inner=True)
def exp2(x: Any) -> Any:
    """Return 2 to the power ``x``, -126 < x < 127; relative error below 2e-7."""
    shifted = x + _MAGIC
    f = x - (shifted - _MAGIC)
    square = f * f
    low = fma(_E1, f, _E0)
    high = fma(fma(_E5, f, _E4), square, fma(_E3, f, _E2))
    scale = np.int32(np.int32(np.float32(shifted).view(np.int32) << _SHIFT) + _UNIT).view(np.float32)
    return fma(high, square, low) * scale


@kernel("float32(float32, float32)", inner=True)
def power(x: Any, y: Any) -> Any:
    """Return ``x`` to the power ``y``; ``x`` and the result have to be normal and positive."""
    return exp2(y * log2(x))
