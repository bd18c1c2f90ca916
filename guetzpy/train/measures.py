"""Measures of quality that the search does not use, in plain implementations: PSNR, MS-SSIM and HaarPSI.

The loss of a fit includes them, so that a change that saves bytes by the search's metrics alone does not pay.
The bench uses them as independent metrics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "MS_SSIM_SMALLEST",
    "MS_SSIM_WEIGHTS",
    "decibels",
    "haarpsi",
    "luma",
    "ms_ssim",
    "psnr",
    "squared_error",
]

Picture = npt.NDArray[np.uint8]  # (height, width, 3)
Plane = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


def squared_error(a: Picture, b: Picture) -> float:
    """Return the mean squared difference."""
    return float(np.mean(np.square(a.astype(np.float32) - b), dtype=np.float64))


def psnr(mean_squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in decibels, for a peak of 255."""
    return float(10 * np.log10(255.0**2 / mean_squared_error)) if mean_squared_error > 0 else float("inf")


def decibels(similarity: float) -> float:
    """Return a similarity of 0 to 1 in decibels, 10 log10 of 1 / (1 - similarity)."""
    # 1e-12 is the rounding error of sums over identical pictures.
    return float(-10 * np.log10(1 - similarity)) if similarity < 1 - 1e-12 else float("inf")


def luma(picture: Picture) -> Plane:
    """Return BT.601 luma on the 0..255 scale."""
    out: Plane = picture @ np.array([0.299, 0.587, 0.114])
    return out


#: Weights of the five scales (Wang, Simoncelli and Bovik 2003).
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
#: With smaller sides, the 11-tap window does not fit in the coarsest scale.
MS_SSIM_SMALLEST = 11 * 2**4


def ms_ssim(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return multi-scale SSIM over all channels, (H, W, C). The CLIC challenge computes it over RGB.

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003:
    Gaussian window of 11 taps, sigma 1.5, only positions inside the picture. Pictures are halved (each sample
    is the mean of 2x2 samples); an odd edge is repeated. The challenge's script (tensorflow/models,
    msssim.py) gives the same to six digits.
    """
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).astype(np.float32)

    def blurred(planes: Floats) -> Floats:
        rows = sum(w * planes[n : len(planes) - 10 + n] for n, w in enumerate(window))
        columns = sum(w * rows[:, n : rows.shape[1] - 10 + n] for n, w in enumerate(window))
        return np.asarray(columns, np.float32)

    # Centred values keep variances accurate in float32.
    x, y = a.astype(np.float32) - np.float32(128), b.astype(np.float32) - np.float32(128)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    result = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        mean_x, mean_y = blurred(x), blurred(y)
        variance_x = blurred(x * x) - mean_x**2
        variance_y = blurred(y * y) - mean_y**2
        covariance = blurred(x * y) - mean_x * mean_y
        structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
        if scale == len(MS_SSIM_WEIGHTS) - 1:
            mean_x, mean_y = mean_x + 128, mean_y + 128
            structure *= (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        result *= max(0.0, float(np.mean(structure, dtype=np.float64))) ** weight
        x, y = _halved(x), _halved(y)
    return result


def _halved(planes: Floats) -> Floats:
    planes = np.pad(planes, ((0, planes.shape[0] % 2), (0, planes.shape[1] % 2), (0, 0)), mode="edge")
    sums = planes[::2, ::2] + planes[1::2, ::2] + planes[::2, 1::2] + planes[1::2, 1::2]
    return np.asarray(sums / 4, np.float32)


#: Matrix from RGB to YIQ.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def haarpsi(a: Picture, b: Picture) -> float:
    """Return HaarPSI: 1 for identical pictures.

    Reisenhofer, Bosse, Kutyniok and Wiegand, "A Haar wavelet-based perceptual similarity index for image
    quality assessment", Signal Processing: Image Communication 61, 2018. Pictures are converted to YIQ and
    halved (each sample is the mean of 2x2 samples); the constants are C = 30 and alpha = 4.2.
    """
    constant, alpha = 30.0, 4.2
    yiq = [np.moveaxis(p @ _YIQ.T, 2, 0) for p in (a, b)]
    side = max(n % 2 for n in a.shape[:2])  # as in the authors' convolution: zeros beyond an odd edge
    x, y = (_means_of_four(np.pad(p, ((0, 0), (0, side), (0, side))))[:, ::2, ::2] for p in yiq)

    def similar(p: Plane, q: Plane) -> Plane:
        return (2 * p * q + constant) / (p * p + q * q + constant)

    similarities, weights = [], []
    for axis in (0, 1):
        responses = [[np.abs(_haar(p[0], 2**scale, axis)) for scale in (1, 2, 3)] for p in (x, y)]
        similarities.append(
            (similar(responses[0][0], responses[1][0]) + similar(responses[0][1], responses[1][1])) / 2
        )
        weights.append(np.maximum(responses[0][2], responses[1][2]))
    chroma = [np.abs(_means_of_four(np.pad(p[1:], ((0, 0), (0, 1), (0, 1))))) for p in (x, y)]
    similarities.append(similar(*chroma).mean(axis=0))
    weights.append((weights[0] + weights[1]) / 2)
    weighted = sum(
        float((w / (1 + np.exp(-alpha * s))).sum()) for s, w in zip(similarities, weights, strict=True)
    )
    total = sum(float(w.sum()) for w in weights)
    mean = weighted / total if total > 0 else 1 / (1 + np.exp(-alpha))
    return float((np.log(mean / (1 - mean)) / alpha) ** 2)


def _means_of_four(planes: Plane) -> Plane:
    """Return the means of all 2x2 samples, (C, H - 1, W - 1)."""
    return (planes[:, :-1, :-1] + planes[:, 1:, :-1] + planes[:, :-1, 1:] + planes[:, 1:, 1:]) / 4


def _haar(plane: Plane, size: int, axis: int) -> Plane:
    """Return the response of a Haar wavelet: the sum of half a window less the other half; zero outside."""
    ends = size // 2 - 1, size // 2
    sums = np.pad(plane, (ends, ends)).cumsum(axis=0).cumsum(axis=1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    half = size // 2
    if axis == 1:
        sums = sums.T
    stripes = sums[:, size:] - sums[:, :-size]  # sums over the width of the window, cumulative over rows
    out: Plane = (2 * stripes[half:-half] - stripes[:-size] - stripes[size:]) / size
    return out if axis == 0 else out.T
