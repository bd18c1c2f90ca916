"""Quality in JOD from sums over pixels, and its derivatives.

Constants: ``cvvdp_parameters.json`` of the package ``cvvdp`` 0.5.7. Powers follow its ``safe_pow``:
x^p is replaced by (x + e)^p - e^p with e = 1e-5, which has a finite slope at 0.
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
#: Factor on the difference for still pictures, relative to videos (image_int).
_IMAGE = 0.577918291091919
#: Below this difference, JOD is a linear function of it (cvvdp_metric.py: met2jod).
_LINEAR = 0.1
_POOLING = 4.0  # exponent over bands, and over channels (beta_sch, beta_tch)


def _power(x: float, p: float) -> tuple[float, float]:
    """Return ``safe_pow`` of x >= 0, and its slope."""
    value = power(x + EPSILON, p)
    return value - power(EPSILON, p), p * value / (x + EPSILON)


def jod_and_slopes(sums: Doubles, pixels: list[int]) -> tuple[float, Doubles]:
    """Return the quality in JOD, 10 for identical pictures, and its derivatives with respect to the sums.

    Parameters
    ----------
    sums : ndarray of float64, shape (bands, 3)
        For each band and channel the sum over pixels of d^2 + 2 e d, where d is the visible difference.
    pixels : list of int
        Number of pixels of each band.

    Raises
    ------
    ValueError
        The pictures are not finite.
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
    """Return the JOD for a pooled difference, and its slope."""
    if difference <= _LINEAR:
        slope = -_JOD_SCALE * power(_LINEAR, _JOD_EXPONENT - 1.0)
        return 10.0 + slope * difference, slope
    loss = _JOD_SCALE * power(difference, _JOD_EXPONENT)
    return 10.0 - loss, -_JOD_EXPONENT * loss / difference


def bands_of(height: int, width: int, pixels_per_degree: float) -> list[float]:
    """Return the frequencies, in cycles per degree, of the bands of a picture of this size.

    The first is half the display's resolution, which is a band of its own. The last is the base band's, which
    does not depend on the size. (lpyr_dec.py: lpyr_dec)
    """
    bands = [0.5 * pixels_per_degree]
    while bands[-1] > 0.2:  # bands of lower frequencies are part of the base band
        bands.append(math.ldexp(0.5 * pixels_per_degree * 0.3228, 1 - len(bands)))
    count = min(len(bands), max(0, min(height, width).bit_length() - 2))
    return [*bands[:count], 0.1]
