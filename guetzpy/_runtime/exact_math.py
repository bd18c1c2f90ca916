"""Logarithm, exponential and power of scalars, the same to the last bit on every machine.

The functions of the C library depend on the processor, and their results may differ in the last bit. Entries
of quantisation tables and costs of symbols must not differ between processors. So only IEEE 754 additions,
multiplications and divisions of doubles are used here, in a fixed order.
"""

from __future__ import annotations

from math import frexp, ldexp

__all__ = ["exp", "exp2", "log", "log2", "power"]

_LN2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476


def log(x: float) -> float:
    """Return the natural logarithm of ``x`` > 0; the relative error is below 1e-15."""
    mantissa, exponent = frexp(x)  # 0.5 <= mantissa < 1
    if mantissa < _SQRT_HALF:
        mantissa, exponent = 2.0 * mantissa, exponent - 1
    # ln m = 2 artanh((m - 1) / (m + 1)); |t| <= 0.172, so the 12th odd term is below 1e-18.
    t = (mantissa - 1.0) / (mantissa + 1.0)
    square = t * t
    series = 0.0
    for n in range(23, 0, -2):
        series = series * square + 1.0 / n
    return 2.0 * t * series + exponent * _LN2


def log2(x: float) -> float:
    """Return the binary logarithm of ``x`` > 0."""
    return log(x) / _LN2


def exp(x: float) -> float:
    """Return e to the power ``x``, for results within the range of doubles."""
    whole = round(x / _LN2)
    rest = x - whole * _LN2  # |rest| <= 0.347: the 16th term of the series is below 1e-20
    series = 1.0
    for n in range(16, 0, -1):
        series = 1.0 + series * rest / n
    return ldexp(series, whole)


def exp2(x: float) -> float:
    """Return 2 to the power ``x``."""
    return exp(x * _LN2)


def power(x: float, y: float) -> float:
    """Return ``x`` > 0 to the power ``y``."""
    return exp(y * log(x))
