"""Weights of a large picture, estimated from the weights of its sample tiles.

A block outside the tiles gets the mean weight of the blocks of its class inside the tiles. A class is a range
of activity and a range of brightness. Both are known from the coefficients, and they explain most of the
variation of the weights.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guetzpy.search.coding.source import PlaneSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.tiles import Tiles

__all__ = ["spread"]

Field = npt.NDArray[np.float64]

#: Bounds of the classes: of activity, the mean squared AC coefficient of a block and its eight neighbours,
#: and of brightness, the DC coefficient in T.81's scaling.
_ACTIVITY = np.array([4.0**n for n in range(-3, 7)])
_BRIGHTNESS = np.array([-640.0, -384.0, -128.0, 128.0, 384.0])

#: Blocks of weight 1 that are added to each class, so that classes with few blocks get weights near 1.
_PRIOR = 16.0

#: Block rows whose coefficients are squared at a time, which bounds the memory.
_ROWS = 64


def _activity(coefficients: npt.NDArray[np.float32]) -> Field:
    rows, columns = coefficients.shape[:2]
    energy = np.empty((rows, columns))
    for top in range(0, rows, _ROWS):
        part = coefficients[top : top + _ROWS]
        energy[top : top + _ROWS] = np.square(part[..., 1:]).sum(axis=2) / 63.0
    padded = np.pad(energy, 1, mode="edge")
    sums = padded[:-2] + padded[1:-1] + padded[2:]
    return (sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]) / 9.0


def _classes(coefficients: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Return the index of each block's class, shape (blocks_y, blocks_x)."""
    activity = np.searchsorted(_ACTIVITY, _activity(coefficients))
    brightness = np.searchsorted(_BRIGHTNESS, coefficients[..., 0])
    return activity * (len(_BRIGHTNESS) + 1) + brightness


def spread(source: PlaneSource, tiles: Tiles, weights: Weights) -> Weights:
    """Return weights for a whole picture.

    Parameters
    ----------
    source : PlaneSource
        Coefficients of the whole picture.
    tiles : Tiles
        Places of the sample tiles in the picture.
    weights : Weights
        Weights of the tiles. Blocks inside the tiles keep theirs.

    Returns
    -------
    Weights
        Block weights with a mean of 1 in each component, the tiles' weights of frequencies, and the tiles'
        shifts, which are 0 outside the tiles.
    """
    all_blocks, all_shifts = [], []
    count = (len(_ACTIVITY) + 1) * (len(_BRIGHTNESS) + 1)
    for c, unit in enumerate(tiles.units(source)):
        classes = _classes(source.coefficients[c])
        inside = tiles.cut(classes, unit)
        known = weights.blocks[c].astype(np.float64)
        sums = np.bincount(inside.ravel(), known.ravel(), count)
        numbers = np.bincount(inside.ravel(), minlength=count)
        means = (sums + _PRIOR) / (numbers + _PRIOR)
        field = means[classes].astype(np.float32)
        tiles.paste(weights.blocks[c], field, unit)
        all_blocks.append((field / np.float32(field.mean(dtype=np.float64))).astype(np.float32))
        if weights.shifts:
            shifts = np.zeros(source.coefficients[c].shape, np.int8)
            tiles.paste(weights.shifts[c], shifts, unit)
            all_shifts.append(shifts)
    return Weights(tuple(all_blocks), weights.bands, tuple(all_shifts))
