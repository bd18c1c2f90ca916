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

__all__ = ["Growth", "shifts"]

Blocks = npt.NDArray[np.float32]

#: Block rows of one work item; fixed, so that sums do not depend on the number of threads.
_STRIP = 8


#: Values that a loop processes at a time: four blocks, so that four sums run side by side.
_GROUP = 4
_VALUES = 64 * _GROUP


@kernel("int64(float32[::1], float32[::1], int16[::1], float32[::1], float64[::1], float64[::1])", inner=True)
def _products(gradient: Any, targets: Any, levels: Any, steps: Any, growth: Any, power: Any) -> int:
    """Write the growth and the squared error of each coefficient of some blocks."""
    for i in range(levels.shape[0]):
        error = np.float32(levels[i]) - targets[i] / steps[i]
        power[i] = np.float64(error * error)
        growth[i] = np.float64(gradient[i] * error * steps[i])
    return 0


@kernel("int64(float64[::1], float64[::1])", inner=True)
def _add_band(values: Any, sums: Any) -> int:
    for n in range(1, 64):
        sums[n] += values[n]
    return 0


@kernel("int64(float64[::1], float64[::1])", inner=True)
def _add_block(values: Any, sums: Any) -> int:
    """Write the sums of four blocks; one sum alone would wait for each addition."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for n in range(1, 64):
        a += values[n]
        b += values[n + 64]
        c += values[n + 128]
        d += values[n + 192]
    sums[0], sums[1], sums[2], sums[3] = a, b, c, d
    return 0


@kernel(
    "int64(float32[::1], float32[::1], int16[::1], float32[::1], float64[:, ::1],"
    " float64[::1], float64[::1], float64[::1], float64[::1], uint16[::1])"
)
def _accumulate(
    gradient: Any,
    targets: Any,
    levels: Any,
    steps: Any,
    work: Any,
    block_growth: Any,
    block_power: Any,
    band_growth: Any,
    band_power: Any,
    halves: Any,
) -> int:
    """Add up some blocks, and write the upper halves of the gradient's floats.

    ``steps`` are those of four blocks; ``work`` is scratch, float64 (3, 256), of zeros at first.
    """
    bits = gradient.view(np.uint32)
    for i in range(halves.shape[0]):
        halves[i] = np.uint16(bits[i] >> np.uint32(16))
    growth, power, sums = work[0], work[1], work[2]
    for first in range(0, block_growth.shape[0], _GROUP):
        count = min(_GROUP, block_growth.shape[0] - first)
        begin, end = 64 * first, 64 * (first + count)
        _products(
            gradient[begin:end], targets[begin:end], levels[begin:end], steps, growth[: end - begin],
            power[: end - begin],
        )  # fmt: skip
        for block in range(count):
            _add_band(growth[64 * block :], band_growth)
            _add_band(power[64 * block :], band_power)
        _add_block(growth, sums)
        for block in range(count):
            block_growth[first + block] = sums[block]
        _add_block(power, sums)
        for block in range(count):
            block_power[first + block] = sums[block]
    return 0


@kernel("int64(uint16[::1], float32, int64, float32[::1], float32[::1])")
def _mix(halves: Any, factor: Any, further: int, work: Any, out: Any) -> int:
    """Write floats from their upper halves times a factor, or add them if ``further`` is 1.

    ``work`` is scratch, float32 (256,).
    """
    bits = work.view(np.uint32)
    for begin in range(0, out.shape[0], _VALUES):
        part = out[begin : begin + _VALUES]
        source = halves[begin : begin + _VALUES]
        for i in range(part.shape[0]):
            bits[i] = np.uint32(source[i]) << np.uint32(16)
        if further:
            for i in range(part.shape[0]):
                part[i] += factor * work[i]
        else:
            for i in range(part.shape[0]):
                part[i] = factor * work[i]
    return 0


@kernel(
    "int64(float32[:, ::1], float32[:, ::1], int16[:, ::1], float32[::1], float32[::1],"
    " float32[::1], float32, float32, float32, int8[:, ::1], int8[:, ::1])"
)
def _shift(
    growth: Any,
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
    half = np.float32(0.5)
    for block in range(targets.shape[0]):
        grown, target, level = growth[block], targets[block], levels[block]
        old, moved, weight = before[block], out[block], weights[block]
        for n in range(64):
            error = np.float32(level[n]) - target[n] / steps[n]
            pull = grown[n] * steps[n]
            move = np.float32(old[n]) * unit
            move -= rate * (pull / (weight * bands[n]) - error)
            moved[n] = np.int8(np.floor(min(max(move, -limit), limit) / unit + half))
        moved[0] = np.int8(0)
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
        halves: npt.NDArray[np.uint16],
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
        halves : ndarray of uint16, shape (rows, blocks_x, 64)
            Gets the upper halves of the gradient's floats: 8 significant bits, which is plenty for a
            direction to go.
        threads : int, optional
            Threads to use.
        """
        steps = np.tile(qtable.astype(np.float32), _GROUP)
        starts = range(0, len(gradient), _STRIP)
        sums = np.zeros((len(starts), 2, 64))

        def strip(index: int) -> None:
            rows = slice(starts[index], starts[index] + _STRIP)
            place = slice(first + starts[index], first + min(starts[index] + _STRIP, len(gradient)))
            _accumulate(
                gradient[rows].reshape(-1), targets[rows].reshape(-1), levels[rows].reshape(-1), steps,
                np.zeros((3, _VALUES)),
                self.block_growth[place].reshape(-1), self.block_power[place].reshape(-1),
                sums[index, 0], sums[index, 1], halves[rows].reshape(-1),
            )  # fmt: skip

        each(strip, range(len(starts)), threads)
        for part in sums:
            self.band_growth += part[0][NATURAL_ORDER]
            self.band_power += part[1][NATURAL_ORDER]


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
        Of each metric, the halves that :meth:`Growth.add` writes.
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
        growth = np.empty(old.shape, np.float32)
        for number, (gradient, factor) in enumerate(zip(gradients, factors, strict=True)):
            _mix(
                gradient[rows].reshape(-1), np.float32(factor), int(number > 0),
                np.empty(_VALUES, np.float32), growth.reshape(-1),
            )  # fmt: skip
        _shift(
            growth.reshape(-1, 64), targets[rows].reshape(-1, 64), levels[rows].reshape(-1, 64), steps,
            weights[rows].reshape(-1), natural, np.float32(rate), np.float32(limit),
            np.float32(SHIFT), old.reshape(-1, 64), out[rows].reshape(-1, 64),
        )  # fmt: skip

    each(strip, range(0, targets.shape[0], _STRIP), threads)
    return out
