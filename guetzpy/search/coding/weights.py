"""Weights of the errors of blocks and frequencies, and shifts of targets, for one quantisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Weights"]


@dataclass(frozen=True)
class Weights:
    """Weights of squared errors, relative to the mean, and shifts; one entry for each component.

    Attributes
    ----------
    blocks : tuple of ndarray of float32, shape (blocks_y, blocks_x)
        Weight of each block.
    bands : tuple of ndarray of float32, shape (64,)
        Weight of each frequency, by zigzag index.
    shifts : tuple of ndarray of int8, shape (blocks_y, blocks_x, 64)
        Added to the coefficients before they are quantised, in units of ``trellis.SHIFT`` steps; empty for no
        shifts.
    """

    blocks: tuple[npt.NDArray[np.float32], ...]
    bands: tuple[npt.NDArray[np.float32], ...]
    shifts: tuple[npt.NDArray[np.int8], ...] = ()

    @classmethod
    def flat(cls, shapes: Sequence[tuple[int, int]]) -> Weights:
        """Return weights of 1 for components of the given sizes, (blocks_y, blocks_x)."""
        return cls(
            tuple(np.ones(shape, np.float32) for shape in shapes),
            tuple(np.ones(64, np.float32) for _ in shapes),
        )
