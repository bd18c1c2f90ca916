"""Slow reference of the targets that may be above white or below black."""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn, idctn


def move(
    levels: np.ndarray, steps: np.ndarray, targets: np.ndarray, freedom: np.ndarray, largest: float
) -> np.ndarray:
    """Return the next targets of blocks, (n, 64): samples change only where they are free."""
    moved = []
    for level, target, kinds in zip(levels, targets, freedom, strict=True):
        wanted = idctn(target.reshape(8, 8).astype(float), norm="ortho").ravel()
        shown = idctn((level * steps).reshape(8, 8).astype(float), norm="ortho").ravel()
        samples = wanted.copy()
        for k, kind in enumerate(kinds):
            if kind == 1:
                samples[k] = min(max(shown[k], -128), 127)
            elif kind == 2:
                samples[k] = min(max(shown[k], wanted[k]), 127 + largest)
            elif kind == 3:
                samples[k] = max(min(shown[k], wanted[k]), -128 - largest)
        moved.append(dctn(samples.reshape(8, 8), norm="ortho").ravel())
    return np.array(moved)
