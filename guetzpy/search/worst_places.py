"""Larger weights where local errors are far above what the limit of the whole picture allows.

A limit on a mean over the picture does not limit the error at a single place. Butteraugli's largest local
error is 2.3 times its 3-norm in the median file, and 3 times in some files. A viewer sees such a place first.
Weights that grow with the local error reduce this error, and cost 0.1 % of the bytes (12 photographs).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from guetzpy.search import calibration
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores

__all__ = ["increased", "worst"]

#: The threshold is _FROM times the allowed local error. If the largest error of a block and its neighbours is
#: above it, the block's weight is multiplied by the ratio of this error to the threshold, to the power of
#: _POWER, but at most by _LARGEST.
_FROM, _POWER, _LARGEST = 0.75, 3, 8.0


def worst(scores: Scores, limits: Limits) -> float:
    """Return the ratio of the largest local error to the allowed one, by the metrics with maps of errors.

    The result is 0 if no metric has a limit and a map. If it exceeds 1, weights should be increased.
    """
    return max((float(field.max()) for field in _relative(scores, limits)), default=0.0)


def increased(weights: Weights, source: CodingSource, scores: Scores, limits: Limits) -> Weights:
    """Return weights for the next encode, increased where local errors are too large.

    Parameters
    ----------
    weights : Weights
        Weights of the encode that was scored.
    source : CodingSource
        Source of the encode that was scored.
    scores : Scores
        Scores of the encode, with the local errors of its blocks.
    limits : Limits
        Limits of the search.

    Returns
    -------
    Weights
        The same weights if no local error exceeds the one allowed.
    """
    errors = _relative(scores, limits)
    if max((float(field.max()) for field in errors), default=0.0) <= 1.0:
        return weights
    factor = np.maximum.reduce([_factors(field) for field in errors])
    blocks = []
    for number, field in enumerate(weights.blocks):
        part = factor
        across, down = source.ratio(number)
        if (across, down) != (1, 1):
            part = np.maximum.reduceat(part, np.arange(0, part.shape[0], down), axis=0)
            part = np.maximum.reduceat(part, np.arange(0, part.shape[1], across), axis=1)
        blocks.append(field * _of_shape(part, field.shape))
    return replace(weights, blocks=tuple(blocks))


def _relative(scores: Scores, limits: Limits) -> list[npt.NDArray[np.float32]]:
    """Return the ratios of local errors to the allowed one, by each metric with a limit and a map."""
    found = []
    for name, errors in scores.blocks.items():
        bound = limits.bound(name)
        if bound is not None and bound > 0.0:
            found.append(errors * np.float32(1.0 / (calibration.WORST_OVER_LIMIT * bound)))
    return found


def _factors(field: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return factors on the weights of blocks, from the largest error of each block and its neighbours."""
    rows, columns = field.shape
    padded = np.pad(field, 1, mode="edge")
    near = np.maximum.reduce([padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)])
    excess = np.maximum(near * np.float32(1.0 / _FROM), np.float32(1.0))
    result: npt.NDArray[np.float32] = np.minimum(excess**_POWER, np.float32(_LARGEST))
    return result


def _of_shape(field: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return a field with as many entries as a component has blocks; padding repeats the last entries."""
    padding = [(0, max(0, wanted - length)) for wanted, length in zip(shape, field.shape, strict=True)]
    return np.pad(field, padding, mode="edge")[: shape[0], : shape[1]]
