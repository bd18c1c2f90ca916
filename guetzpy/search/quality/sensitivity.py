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

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.jpeg.structure import NATURAL_ORDER, ZIGZAG_ORDER
from guetzpy.search.coding.trellis import SHIFT

__all__ = ["Growth", "compact", "shifts"]

Blocks = npt.NDArray[np.float32]

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
    "int64(float32[:, :, ::1], float32[::1], float32[:, ::1], int16[:, ::1], float32[::1], float32[::1],"
    " float32[::1], float32, float32, float32, int8[:, ::1], int8[:, ::1])"
)
def _shift(
    gradients: Any,
    factors: Any,
    targets: Any,
    levels: Any,
    steps: Any,
    weights: Any,
    bands: Any,
    rate: Any,
    limit: Any,
    unit: Any,
    before: Any,
    out: Any,
) -> int:
    for block in range(targets.shape[0]):
        out[block, 0] = np.int8(0)
        for n in range(1, 64):
            error = np.float32(levels[block, n]) - targets[block, n] / steps[n]
            growth = factors[0] * gradients[0, block, n]
            for m in range(1, gradients.shape[0]):
                growth += factors[m] * gradients[m, block, n]
            pull = growth * steps[n]
            move = np.float32(before[block, n]) * unit
            move -= rate * (pull / (weights[block] * bands[n]) - error)
            out[block, n] = np.int8(np.floor(min(max(move, -limit), limit) / unit + np.float32(0.5)))
    return 0


class Growth:
    """Sums of a metric's local growth and of the squared error in squared steps, without DC.

    Parameters
    ----------
    blocks_y, blocks_x : int
        Size of the component in blocks.

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

    def add(
        self,
        first: int,
        gradient: Blocks,
        targets: Blocks,
        levels: npt.NDArray[np.int16],
        qtable: npt.NDArray[np.uint16],
        threads: int | None = None,
    ) -> None:
        """Take rows of blocks.

        Parameters
        ----------
        first : int
            The first of them.
        gradient : ndarray of float32, shape (rows, blocks_x, 64)
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
        steps = qtable.astype(np.float32)
        starts = range(0, len(gradient), _STRIP)
        sums = np.zeros((len(starts), 2, 64))

        def strip(index: int) -> None:
            rows = slice(starts[index], starts[index] + _STRIP)
            place = slice(first + starts[index], first + min(starts[index] + _STRIP, len(gradient)))
            _accumulate(
                gradient[rows].reshape(-1, 64), targets[rows].reshape(-1, 64),
                levels[rows].reshape(-1, 64), steps,
                self.block_growth[place].reshape(-1), self.block_power[place].reshape(-1),
                sums[index, 0], sums[index, 1],
            )  # fmt: skip

        each(strip, range(len(starts)), threads)
        for part in sums:
            self.band_growth += part[0][NATURAL_ORDER]
            self.band_power += part[1][NATURAL_ORDER]


def compact(values: Blocks) -> npt.NDArray[np.uint16]:
    """Return the upper halves of floats: 8 significant bits, which is plenty for a direction to go."""
    return (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def _expanded(halves: npt.NDArray[np.uint16]) -> Blocks:
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


def shifts(
    gradients: Sequence[npt.NDArray[np.uint16]],
    factors: Sequence[float],
    targets: Blocks,
    levels: npt.NDArray[np.int16],
    qtable: npt.NDArray[np.uint16],
    weights: npt.NDArray[np.float32],
    bands: npt.NDArray[np.float32],
    *,
    rate: float,
    limit: float,
    before: npt.NDArray[np.int8] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.int8]:
    """Return what to add to the targets of the next pass.

    Parameters
    ----------
    gradients : sequence of ndarray of uint16, shape (blocks_y, blocks_x, 64)
        Of each metric, as for :meth:`Growth.add`, made :func:`compact`.
    factors : sequence of float
        Factor on each: its share over its mean growth per squared step.
    targets, levels, qtable
        As for :meth:`Growth.add`.
    weights : ndarray of float32, shape (blocks_y, blocks_x)
        Weight of each block.
    bands : ndarray of float32, shape (64,)
        Weight of each frequency, zigzag index.
    rate : float
        Share of the way to go.
    limit : float
        Largest change, in steps; at most 127 units.
    before : ndarray of int8, shape (blocks_y, blocks_x, 64), optional
        Changes of the pass.
    threads : int, optional
        Threads to use.

    Returns
    -------
    ndarray of int8, shape (blocks_y, blocks_x, 64)
        In units of ``trellis.SHIFT`` steps; 0 for DC.
    """
    out = np.empty(targets.shape, np.int8)
    steps = qtable.astype(np.float32)
    natural = bands[ZIGZAG_ORDER]
    if limit > 127 * SHIFT:
        raise ValueError(f"shifts of up to {limit} steps are not in the range of a byte")

    def strip(first: int) -> None:
        rows = slice(first, first + _STRIP)
        old = np.zeros_like(out[rows]) if before is None else before[rows]
        expanded = np.stack([_expanded(gradient[rows]).reshape(-1, 64) for gradient in gradients])
        _shift(
            expanded, np.array(factors, np.float32),
            targets[rows].reshape(-1, 64), levels[rows].reshape(-1, 64),
            steps, weights[rows].reshape(-1), natural, np.float32(rate), np.float32(limit),
            np.float32(SHIFT), old.reshape(-1, 64), out[rows].reshape(-1, 64),
        )  # fmt: skip

    each(strip, range(0, targets.shape[0], _STRIP), threads)
    return out
