"""Slow reference implementation of block features and weights (``guetzpy.model``), in float64 NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]

_RADIAL = np.add.outer(np.arange(8), np.arange(8)).ravel()
#: Masks of the frequencies of ``low``, ``middle`` and ``high``, without DC.
_GROUPS = [(_RADIAL >= a) & (_RADIAL <= b) for a, b in ((1, 2), (3, 6), (7, 14))]


def piecewise_log2(x: Field) -> Field:
    """Return the exponent of the power of two below ``x``, plus the linear share of the way to the next."""
    mantissa, exponent = np.frexp(x)  # 0.5 <= mantissa < 1
    result: Field = exponent - 2 + 2 * mantissa
    return result


def statistics(coefficients: npt.NDArray[Any]) -> Field:
    """Return total, low, middle, high and DC of each block, shape (rows, columns, 5)."""
    squares = np.square(coefficients.astype(np.float64))
    groups = [squares[..., mask].sum(axis=-1) for mask in _GROUPS]
    logs = [piecewise_log2(energy + 64.0) for energy in (sum(groups), *groups)]
    return np.stack([*logs, coefficients[..., 0] / 1024.0], axis=-1)


def pooled(field: Field, radius: int, function: Callable[..., Field]) -> Field:
    """Return a function over the blocks around each block, with edges repeated."""
    rows, columns = field.shape
    padded = np.pad(field, radius, mode="edge")
    side = range(2 * radius + 1)
    return function([padded[y : y + rows, x : x + columns] for y in side for x in side], axis=0)


def luma_features(coefficients: npt.NDArray[Any], distance: float) -> Field:
    """Return the features of luma blocks, in the order of ``LUMA_FEATURES``."""
    own = statistics(coefficients)
    total, low, _, high, dc = np.moveaxis(own, -1, 0)
    fields = [
        *np.moveaxis(own, -1, 0),
        pooled(total, 1, np.mean),
        pooled(total, 1, np.min),
        pooled(total, 1, np.max),
        pooled(total, 2, np.mean),
        pooled(low, 1, np.mean),
        pooled(high, 1, np.mean),
        pooled(high, 2, np.mean),
        pooled(dc, 2, np.mean),
        piecewise_log2(pooled(dc, 1, np.max) - pooled(dc, 1, np.min) + 1 / 32),
    ]
    spread = np.abs(total - total.mean()).mean()
    pictures = [total.mean(), high.mean(), dc.mean(), spread, np.log2(np.clip(distance, 0.5, 4.0))]
    return np.stack([*fields, *(np.full(total.shape, value) for value in pictures)], axis=-1)


def features(
    coefficients: Sequence[npt.NDArray[Any]], sampling: tuple[int, int], distance: float
) -> list[Field]:
    """Return the features of the blocks of each component."""
    luma = luma_features(coefficients[0], distance)
    result = [luma]
    across, down = sampling
    for c in range(1, len(coefficients)):
        own, other = statistics(coefficients[c]), statistics(coefficients[3 - c])
        rows, columns = own.shape[:2]
        y = np.minimum(np.arange(rows * down), luma.shape[0] - 1)
        x = np.minimum(np.arange(columns * across), luma.shape[1] - 1)
        means = luma[np.ix_(y, x)].reshape(rows, down, columns, across, -1).mean(axis=(1, 3))
        further = [own[..., 0], own[..., 4], pooled(own[..., 0], 1, np.mean), other[..., 0], other[..., 4]]
        red = np.full((rows, columns), float(c == 2))
        result.append(np.concatenate([means, np.stack([*further, red], axis=-1)], axis=-1))
    return result


def weights(hidden: Field, bias: Field, out: Field, values: Field) -> Field:
    """Return the weights of blocks with these features, with a mean of 1."""
    logs = np.maximum(values @ hidden + bias, 0.0) @ out
    result: Field = np.exp2(np.clip(logs - logs.mean(), -1.0, 1.0))
    return result / result.mean()
