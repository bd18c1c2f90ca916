"""Which encoders are worth a full search: 4:4:4 or 4:2:0, new steps or multiples of a source's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._elementary import exp, log
from guetzpy.search.closed_loop import COARSEST, FINEST, Effort
from guetzpy.search.encoder import Encoder, Weights, lagrangian
from guetzpy.search.judge import Judge
from guetzpy.search.target import Limits
from guetzpy.search.tuning import BYTES_BY_DISTANCE, size_of

__all__ = ["choose", "montage"]

#: What a second encoder may be predicted to take more and still be searched by the highest effort.
_CLOSE = 0.03

#: Side of a tile: wide enough for what the metrics blur, a multiple of every MCU.
_TILE = 240


def montage(codes: npt.NDArray[Any], area: int = 1 << 19) -> npt.NDArray[Any] | None:
    """Return tiles of a large picture as a small one, on which choices are cheap.

    Parameters
    ----------
    codes : ndarray, shape (3, H, W)
        The picture.
    area : int
        Pixels of the result; at least twice as large pictures are worth the trouble.

    Returns
    -------
    ndarray, shape (3, h, w), or None
        None for a picture that is small already. Tiles lie on the grid of the largest MCU, and where
        they lie depends on the size alone.
    """
    _, height, width = codes.shape
    columns = rows = int(area**0.5) // _TILE
    if height * width < 2 * area or min(height, width) < _TILE * columns:
        return None
    result = np.empty((3, rows * _TILE, columns * _TILE), codes.dtype)
    for i in range(rows):
        top = (height - _TILE) * (2 * i + 1) // (2 * rows) // 16 * 16
        for j in range(columns):
            left = (width - _TILE) * (2 * j + 1) // (2 * columns) // 16 * 16
            place = result[:, i * _TILE : (i + 1) * _TILE, j * _TILE : (j + 1) * _TILE]
            place[:] = codes[:, top : top + _TILE, left : left + _TILE]
    return result


def choose(encoders: list[Encoder], judge: Judge, limits: Limits, effort: Effort) -> list[tuple[int, float]]:
    """Return the encoders to search with, by number, and the distance of the tables to begin at.

    Each is tried once without weights; the bytes that it would take at the limits are told from
    the usual growth of bytes with distance.

    Parameters
    ----------
    encoders : list of Encoder
        At least one.
    judge : Judge
        Scores against the reference.
    limits : Limits
        What must hold.
    effort : Effort
        Two encoders are returned only by the highest, if they are close.
    """
    start = limits.starting_distance()
    if len(encoders) == 1 and effort.rounds:
        return [(0, start)]
    rated = []
    for number, encoder in enumerate(encoders):
        encoder.rates = []
        weights = Weights.flat(encoder.coefficients)
        for _ in range(2 if effort.rounds else 1):
            trial = encoder.quantise(encoder.tables(start), lagrangian(start), weights, start)
        scores = judge.scores(encoder.decode(trial))
        excess = min(max(limits.excess(scores.butteraugli, scores.ssimulacra2), -1.5), 1.5)
        size = log(size_of(encoder, trial))
        begin = min(max(start * exp(-excess), FINEST), COARSEST)
        rated.append((size + BYTES_BY_DISTANCE * excess, number, begin))
    rated.sort()
    close = [entry for entry in rated if entry[0] < rated[0][0] + _CLOSE]
    keep = min(2, len(close)) if effort.tuned else 1
    return [(number, begin) for _, number, begin in rated[:keep]]
