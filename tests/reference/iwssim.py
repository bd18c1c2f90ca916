"""IW-SSIM by the definition: float64, whole planes, NumPy and SciPy.

Wang and Li, "Information Content Weighting for Perceptual Image Quality Assessment", IEEE Transactions
on Image Processing 20 (5), 2011: sections III (weights) and IV (IW-SSIM).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import convolve1d, correlate1d

SCALES = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
SCALES /= SCALES.sum()
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
NOISE = 0.4  # variance of the visual channel's noise
FLAT = 1e-10  # a variance below this counts as none
TAPS = np.array([1, 4, 6, 4, 1]) / 16 * np.sqrt(2)
SMALLEST = 161

WINDOW = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
WINDOW /= WINDOW.sum()


def luma(planes: np.ndarray) -> np.ndarray:
    """Return luma of codes (1 or 3, H, W) on the 0..255 scale."""
    return planes[0] if len(planes) == 1 else np.tensordot([0.299, 0.587, 0.114], planes, 1)


def down(plane: np.ndarray) -> np.ndarray:
    rows = correlate1d(plane, TAPS, axis=0, mode="mirror")[::2]
    return correlate1d(rows, TAPS, axis=1, mode="mirror")[:, ::2]


def up(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a plane of twice the size, zeros between the samples, mirrored at the end, blurred."""
    for axis, length in enumerate(shape):
        wide = np.zeros([2 * n if i == axis else n for i, n in enumerate(plane.shape)])
        wide[(slice(None),) * axis + (slice(None, None, 2),)] = plane
        blurred = correlate1d(wide, TAPS, axis=axis, mode="mirror")
        plane = np.take(blurred, range(length), axis)
    return plane


def bands_of(plane: np.ndarray) -> list[np.ndarray]:
    """Return four bands of a Laplacian pyramid and what is left, finest first."""
    bands = []
    for _ in range(4):
        smaller = down(plane)
        bands.append(plane - up(smaller, plane.shape))
        plane = smaller
    return [*bands, plane]


def inner(plane: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return a plane blurred where the window lies within it."""
    reach = len(window) // 2
    for axis in (0, 1):
        plane = np.moveaxis(convolve1d(plane, window, axis=axis), axis, 0)[reach:-reach]
        plane = np.moveaxis(plane, 0, axis)
    return plane


def moments(x: np.ndarray, y: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, ...]:
    mx, my = inner(x, window), inner(y, window)
    return (
        mx,
        my,
        np.maximum(inner(x * x, window) - mx**2, 0),
        np.maximum(inner(y * y, window) - my**2, 0),
        inner(x * y, window) - mx * my,
    )


def enlarged(parent: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the coarser band at the places of the finer one; its first row and column are not used."""
    for axis, length in enumerate(shape):
        n = parent.shape[axis]
        at = np.clip((2 * np.arange(length) - 0.5) * n / (4 * n - 3) - 0.5, 0, n - 1)
        low = np.minimum(at.astype(int), n - 2)
        part = np.expand_dims(at - low, 1 - axis)
        parent = np.take(parent, low, axis) * (1 - part) + np.take(parent, low + 1, axis) * part
    return parent


def information(band: np.ndarray, parent: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance's eigenvalues and each neighbourhood's energy, but for the outermost samples."""
    height, width = band.shape
    neighbours = [band[y : y + height - 2, x : x + width - 2] for y in range(3) for x in range(3)]
    if parent is not None:
        neighbours.append(enlarged(parent, band.shape)[1:-1, 1:-1])
    vectors = np.array(neighbours).reshape(len(neighbours), -1)
    covariance = vectors @ vectors.T / vectors.shape[1]
    values, axes = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)
    large = values > 1e-10 * values.sum()
    inverse = np.where(large, 1 / np.where(large, values, 1), 0)
    energy = (inverse[:, None] * (axes.T @ vectors) ** 2).sum(axis=0) / len(vectors)
    return values, energy.reshape(neighbours[0].shape)


def weights_of(x: np.ndarray, y: np.ndarray, parent: np.ndarray | None) -> np.ndarray:
    """Return the information that a viewer gets at each place (equation 28), from 5 samples inwards."""
    _, _, vx, vy, cov = moments(x, y, np.full(3, 1 / 3))
    gain = cov / (vy + FLAT)
    rest = vx - gain * cov
    gain[vy < FLAT], rest[vy < FLAT] = 0, vx[vy < FLAT]
    gain[vx < FLAT], rest[vx < FLAT] = 0, 0
    values, energy = information(y, parent)
    total = np.zeros_like(energy)
    for value in values:
        signal = (rest + (1 + gain**2) * NOISE) * energy * value + NOISE * rest
        total += np.log2(1 + signal / NOISE**2)
    return total[4:-4, 4:-4]


def score(reference: np.ndarray, distorted: np.ndarray) -> float:
    """Return IW-SSIM of two luma planes on the 0..255 scale."""
    reference, distorted = continued(reference), continued(distorted)
    ys, xs = bands_of(reference), bands_of(distorted)
    result = 1.0
    for k, (y, x) in enumerate(zip(ys, xs, strict=True)):
        mx, my, vx, vy, cov = moments(x, y, WINDOW)
        structure = (2 * cov + C2) / (vx + vy + C2)
        if k == 4:
            mean = ((2 * mx * my + C1) / (mx**2 + my**2 + C1) * structure).mean()
        else:
            weights = weights_of(x, y, ys[k + 1] if k < 3 else None)
            total = weights.sum()
            mean = (structure * weights).sum() / total if total > 0 else structure.mean()
        result *= abs(mean) ** SCALES[k]
    return float(result)


def continued(plane: np.ndarray) -> np.ndarray:
    """Return a plane with its mirror images to the right and below until both sides have 161 samples."""
    pad = [(0, max(SMALLEST - side, 0)) for side in plane.shape]
    return np.pad(plane, pad, mode="symmetric")
