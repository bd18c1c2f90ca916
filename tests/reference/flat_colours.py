"""Codes of a flat colour, one trial after the other."""

from __future__ import annotations

import itertools
import math

import numpy as np
from skimage.color import rgb2lab

WEIGHTS = (0.265, 0.657, 0.078)


def decoded(luma: int, cb: int, cr: int) -> np.ndarray:
    """Return the colour that libjpeg shows (jdcolor.c: fixed point with 16 bits)."""
    blue, red = cb - 128, cr - 128
    green = (-22554 * blue - 46802 * red + 32768) >> 16
    found = (luma + ((91881 * red + 32768) >> 16), luma + green, luma + ((116130 * blue + 32768) >> 16))
    return np.array([min(max(code, 0), 255) for code in found])


def light(code: float) -> float:
    value = min(max(code, 0.0), 255.0) / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def cost(shown: np.ndarray, wanted: np.ndarray) -> float:
    """Return the squared error of the luminance, in codes of luma, and half the squared CIELAB difference."""
    change = by_code = 0.0
    for weight, before, after in zip(WEIGHTS, wanted.astype(float), shown.astype(float), strict=True):
        change += weight * (light(after) - light(before))
        by_code += weight * (light(before + 1) - light(before - 1)) / 2
    a, b = rgb2lab(np.array([[wanted, shown]]) / 255.0)[0]
    return (change / by_code) ** 2 + 0.5 * float(((a - b) ** 2).sum())


def best(wanted: np.ndarray) -> float:
    """Return the smallest cost of codes within two of the exact luma and chroma."""
    red, green, blue = wanted.astype(float)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    exact = luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402
    near = [range(max(0, math.floor(code) - 1), min(255, math.floor(code) + 2) + 1) for code in exact]
    return min(cost(decoded(*codes), wanted) for codes in itertools.product(*near))
