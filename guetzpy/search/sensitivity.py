"""Closed-loop weights: how much the metrics mind an error in each block and at each frequency.

With the gradient g of a metric at the reconstruction and the coefficient error e, both in the DCT
domain, the metric's local growth is g . e. Over a block (or a frequency) the quotient

    sum(g * e) / sum(e**2 / q**2)

is the weight that makes the squared error in squared steps predict the metric's growth. The
quotients of single coefficients are noise; those of a block, smoothed over its neighbours, and
those of a frequency over the whole picture are not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel
from guetzpy._threads import each
from guetzpy.jpeg.structure import NATURAL_ORDER

__all__ = ["Growth", "growth"]

#: Block rows of one work item; fixed, so that sums do not depend on the number of threads.
_STRIP = 8


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], int16[:, ::1], float32[::1],"
    " float64[:, ::1], float64[:, ::1], float64[::1], float64[::1])"
)
def _accumulate(
    gradient,  # type: ignore[no-untyped-def]
    coefficients,
    levels,
    steps,
    block_growth,
    block_power,
    band_growth,
    band_power,
):
    for block in range(gradient.shape[0]):
        low_growth = 0.0
        low_power = 0.0
        for n in range(1, 64):
            error = np.float32(levels[block, n]) - coefficients[block, n] / steps[n]
            power = np.float64(error * error)
            grown = np.float64(gradient[block, n] * error * steps[n])
            low_growth += grown
            low_power += power
            band_growth[n] += grown
            band_power[n] += power
        block_growth[block, 0] = low_growth
        block_power[block, 0] = low_power
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
    coefficients: npt.NDArray[np.float32],
    levels: npt.NDArray[np.int16],
    qtable: npt.NDArray[np.uint16],
    threads: int | None = None,
) -> Growth:
    """Sum a metric's local growth and the squared error in squared steps.

    Parameters
    ----------
    gradient : ndarray of float32, shape (blocks_y, blocks_x, 64)
        Derivative of the metric (growing with distortion) by dequantised coefficient.
    coefficients : ndarray of float32, same shape
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
            gradient[rows].reshape(-1, 64), coefficients[rows].reshape(-1, 64), levels[rows].reshape(-1, 64), steps,
            result.block_growth[rows].reshape(-1, 1), result.block_power[rows].reshape(-1, 1),
            sums[index, 0], sums[index, 1],
        )  # fmt: skip

    each(strip, range(len(starts)), threads)
    for index in range(len(starts)):
        result.band_growth += sums[index, 0][NATURAL_ORDER]
        result.band_power += sums[index, 1][NATURAL_ORDER]
    return result
