"""How much the metrics mind the error of a pass, and which way they would have it.

With the gradient g of a metric at the reconstruction and the coefficient error e, both in the DCT
domain, the metric's local growth is g . e. Over a block (or a frequency) the quotient

    sum(g * e) / sum(e**2 / q**2)

is the weight that makes the squared error in squared steps predict the metric's growth. The
quotients of single coefficients are noise; those of a block, smoothed over its neighbours, and
those of a frequency over the whole picture are not.

What a block's own error does not explain of its gradient comes from its neighbours and from the
coarser scales. Following it outright diverges, since all blocks move at once; moving each target a
tenth of the way, and never more than a tenth of a step, pays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel
from guetzpy._threads import each
from guetzpy.jpeg.structure import NATURAL_ORDER, ZIGZAG_ORDER

__all__ = ["Growth", "growth", "shifts"]

#: Block rows of one work item; fixed, so that sums do not depend on the number of threads.
_STRIP = 8


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], int16[:, ::1], float32[::1],"
    " float64[::1], float64[::1], float64[::1], float64[::1])"
)
def _accumulate(
    gradient: Any,
    targets: Any,
    levels: Any,
    steps: Any,
    block_growth: Any,
    block_power: Any,
    band_growth: Any,
    band_power: Any,
) -> int:
    for block in range(gradient.shape[0]):
        total = 0.0
        squares = 0.0
        for n in range(1, 64):
            error = np.float32(levels[block, n]) - targets[block, n] / steps[n]
            power = np.float64(error * error)
            grown = np.float64(gradient[block, n] * error * steps[n])
            total += grown
            squares += power
            band_growth[n] += grown
            band_power[n] += power
        block_growth[block] = total
        block_power[block] = squares
    return 0


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], int16[:, ::1], float32[::1], float32[::1],"
    " float32[::1], float32, float32, float32, float32, float32[:, ::1], float32[:, ::1])"
)
def _shift(
    first: Any,
    second: Any,
    targets: Any,
    levels: Any,
    steps: Any,
    weights: Any,
    bands: Any,
    first_share: Any,
    second_share: Any,
    rate: Any,
    limit: Any,
    before: Any,
    out: Any,
) -> int:
    for block in range(targets.shape[0]):
        out[block, 0] = np.float32(0.0)
        for n in range(1, 64):
            error = np.float32(levels[block, n]) - targets[block, n] / steps[n]
            pull = (first_share * first[block, n] + second_share * second[block, n]) * steps[n]
            move = before[block, n] / steps[n] - rate * (pull / (weights[block] * bands[n]) - error)
            out[block, n] = min(max(move, -limit), limit) * steps[n]
    return 0


class Growth:
    """Sums of growth and squared error of a component, by block and by frequency.

    Attributes
    ----------
    block_growth, block_power : ndarray of float64, shape (blocks_y, blocks_x)
    band_growth, band_power : ndarray of float64, shape (64,), zigzag index
    """

    def __init__(self, blocks_y: int, blocks_x: int) -> None:
        self.block_growth = np.empty((blocks_y, blocks_x))
        self.block_power = np.empty((blocks_y, blocks_x))
        self.band_growth = np.zeros(64)
        self.band_power = np.zeros(64)


def growth(
    gradient: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    levels: npt.NDArray[np.int16],
    qtable: npt.NDArray[np.uint16],
    threads: int | None = None,
) -> Growth:
    """Sum a metric's local growth and the squared error in squared steps, without DC.

    Parameters
    ----------
    gradient : ndarray of float32, shape (blocks_y, blocks_x, 64)
        Derivative of the metric (growing with distortion) by dequantised coefficient.
    targets : ndarray of float32, same shape
        Unquantised coefficients.
    levels : ndarray of int16, same shape
        Quantised coefficients.
    qtable : ndarray of uint16, shape (64,)
        Steps, natural order.
    threads : int, optional
        Threads to use.
    """
    blocks_y, blocks_x, _ = gradient.shape
    result = Growth(blocks_y, blocks_x)
    steps = qtable.astype(np.float32)
    starts = range(0, blocks_y, _STRIP)
    sums = np.zeros((len(starts), 2, 64))

    def strip(index: int) -> None:
        rows = slice(starts[index], starts[index] + _STRIP)
        _accumulate(
            gradient[rows].reshape(-1, 64), targets[rows].reshape(-1, 64),
            levels[rows].reshape(-1, 64), steps,
            result.block_growth[rows].reshape(-1), result.block_power[rows].reshape(-1),
            sums[index, 0], sums[index, 1],
        )  # fmt: skip

    each(strip, range(len(starts)), threads)
    for index in range(len(starts)):
        result.band_growth += sums[index, 0][NATURAL_ORDER]
        result.band_power += sums[index, 1][NATURAL_ORDER]
    return result


def shifts(
    gradients: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    shares: tuple[float, float],
    targets: npt.NDArray[np.float32],
    levels: npt.NDArray[np.int16],
    qtable: npt.NDArray[np.uint16],
    weights: npt.NDArray[np.float32],
    bands: npt.NDArray[np.float32],
    *,
    rate: float,
    limit: float,
    before: npt.NDArray[np.float32],
    threads: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return what to add to the targets of the next pass.

    Parameters
    ----------
    gradients : pair of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Of the two metrics, as for :func:`growth`.
    shares : pair of float
        Factor on each: its share over its mean growth per squared step.
    targets, levels, qtable
        As for :func:`growth`.
    weights : ndarray of float32, shape (blocks_y, blocks_x)
        Weight of each block.
    bands : ndarray of float32, shape (64,)
        Weight of each frequency, zigzag index.
    rate : float
        Share of the way to go.
    limit : float
        Largest change, in steps.
    before : ndarray of float32, shape (blocks_y, blocks_x, 64)
        Changes of the pass.
    threads : int, optional
        Threads to use.

    Returns
    -------
    ndarray of float32, shape (blocks_y, blocks_x, 64)
        In units of coefficients; 0 for DC.
    """
    out = np.empty_like(targets)
    steps = qtable.astype(np.float32)
    natural = bands[ZIGZAG_ORDER]

    def strip(first: int) -> None:
        rows = slice(first, first + _STRIP)
        _shift(
            gradients[0][rows].reshape(-1, 64), gradients[1][rows].reshape(-1, 64),
            targets[rows].reshape(-1, 64), levels[rows].reshape(-1, 64),
            steps, weights[rows].reshape(-1), natural,
            np.float32(shares[0]), np.float32(shares[1]), np.float32(rate), np.float32(limit),
            before[rows].reshape(-1, 64), out[rows].reshape(-1, 64),
        )  # fmt: skip

    each(strip, range(0, targets.shape[0], _STRIP), threads)
    return out
