"""From sums over pixels to JOD, and its slopes.

Constants: ``cvvdp_parameters.json`` of the package ``cvvdp`` 0.5.7. Norms are as its ``safe_pow`` has
them: x^p is taken as (x + e)^p - e^p with e = 1e-5, which has a slope at 0.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import power

__all__ = ["EPSILON", "bands_of", "jod_and_slopes"]

Doubles = npt.NDArray[np.float64]

EPSILON = 1e-5
#: Weights of the band of lowest frequencies, by channel.
_BASEBAND = (0.0036334486212581396, 1.6627724170684814, 4.11874532699585)
_JOD_SCALE, _JOD_EXPONENT = 0.0439569391310215, 0.9302042722702026
#: Between pictures and videos (image_int).
_IMAGE = 0.577918291091919
#: Below this JOD falls along a straight line (cvvdp_metric.py: met2jod).
_LINEAR = 0.1
_POOLING = 4.0  # exponent over bands, and over channels (beta_sch, beta_tch)


def _power(x: float, p: float) -> tuple[float, float]:
    """Return the package's power of x >= 0, and its slope."""
    value = power(x + EPSILON, p)
    return value - power(EPSILON, p), p * value / (x + EPSILON)


def jod_and_slopes(sums: Doubles, pixels: list[int]) -> tuple[float, Doubles]:
    """Return the quality in JOD, 10 for equal pictures, and its slopes by the sums.

    Parameters
    ----------
    sums : ndarray of float64, shape (bands, 3)
        Over the pixels of each band and channel: d^2 + 2 e d, where d is the visible difference.
    pixels : list of int
        Of each band.

    Raises
    ------
    ValueError
        The pictures were not finite.
    """
    if not np.isfinite(sums).all():
        raise ValueError("linear planes hold NaN or infinity")
    bands = len(pixels)
    slopes = np.zeros((bands, 3))
    total = 0.0
    for c in range(3):
        over_bands = 0.0
        for b in range(bands):
            weight = _BASEBAND[c] if b == bands - 1 else 1.0
            pooled, slope = _power(float(sums[b, c]) / pixels[b], 0.5)
            value, outer = _power(weight * pooled, _POOLING)
            slopes[b, c] = slope / pixels[b] * weight * outer
            over_bands += value
        by_channel, slope = _power(over_bands, 1.0 / _POOLING)
        value, outer = _power(by_channel, _POOLING)
        slopes[:, c] *= slope * outer
        total += value
    pooled, slope = _power(total, 1.0 / _POOLING)
    quality, outer = _jod(pooled * _IMAGE)
    return quality, slopes * (slope * _IMAGE * outer)


def _jod(difference: float) -> tuple[float, float]:
    """Return JOD of a pooled difference, and the slope."""
    if difference <= _LINEAR:
        slope = -_JOD_SCALE * power(_LINEAR, _JOD_EXPONENT - 1.0)
        return 10.0 + slope * difference, slope
    loss = _JOD_SCALE * power(difference, _JOD_EXPONENT)
    return 10.0 - loss, -_JOD_EXPONENT * loss / difference


def bands_of(height: int, width: int, pixels_per_degree: float) -> list[float]:
    """Return the frequencies, cycles per degree, of the bands that a picture of this size has.

    The first is half the display's resolution, which has a band of its own; the last is the base band's,
    whatever its size. (lpyr_dec.py: lpyr_dec)
    """
    bands = [0.5 * pixels_per_degree]
    while bands[-1] > 0.2:  # the lowest that is told from the base band
        bands.append(math.ldexp(0.5 * pixels_per_degree * 0.3228, 1 - len(bands)))
    count = min(len(bands), max(0, min(height, width).bit_length() - 2))
    return [*bands[:count], 0.1]
