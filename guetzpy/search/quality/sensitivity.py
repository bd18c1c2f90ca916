"""Sensitivity of a metric to the errors of blocks and frequencies, and shifts of targets along its gradient.

Let g be the derivatives of a metric with respect to the dequantised coefficients of a trial, e the errors of
these coefficients, and q their quantiser steps. To first order, the errors have increased the metric by
``sum(g * e)``, which is called its growth here. Over a block, or over a frequency, the weight

    sum(g * e) / sum(e**2 / q**2)

is the factor by which the squared error, in squared steps, predicts the growth. The quotient of a single
coefficient is mostly noise. So the sums are taken over 3 x 3 blocks, or over all blocks of a picture for a
frequency.

A metric blurs the picture and compares it at several scales. So the derivative with respect to a coefficient
also depends on the errors of other coefficients. :func:`shifts` moves the target of each coefficient against
this part of the gradient. The full change would make the picture worse, because all coefficients change at
once. So only a share of the change is made, and at most a small fraction of a step.
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
    """Write the growth and the squared error, in squared steps, of each coefficient of some blocks."""
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
    """Write the sums of four blocks. The processor adds to four independent sums at the same time."""
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
    """Write the growth and the squared error of each block, and add those of each frequency.

    ``steps`` are the 64 steps, four times. ``work`` is scratch, float64 (3, 256), all zero at first.
    ``halves`` gets the upper 16 bits of each float of the gradient.
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
    """Write ``factor`` times the floats whose upper 16 bits are ``halves``; add them if ``further`` is 1.

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
    """Sums of a metric's growth and of the squared errors of a component, by block and by frequency.

    The squared errors are in squared steps. DC is left out.

    Parameters
    ----------
    blocks_y, blocks_x : int
        Size of the component in blocks.

    Attributes
    ----------
    block_growth, block_power : ndarray of float64, shape (blocks_y, blocks_x)
        Growth and squared error of each block.
    band_growth, band_power : ndarray of float64, shape (64,)
        Growth and squared error of each frequency, by zigzag index.
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
        """Include some rows of blocks in the sums.

        Parameters
        ----------
        first : int
            Index of the first row of blocks.
        gradient : ndarray of float32, shape (rows, blocks_x, 64)
            Derivatives of the metric with respect to dequantised coefficients, natural order. The metric must
            grow with distortion.
        targets : ndarray of float32, same shape
            Unquantised coefficients.
        levels : ndarray of int16, same shape
            Quantised coefficients.
        qtable : ndarray of uint16, shape (64,)
            Steps, natural order.
        halves : ndarray of uint16, shape (rows, blocks_x, 64)
            Gets the upper 16 bits of each float of the gradient. Their 8 significant bits are precise enough
            for :func:`shifts`.
        threads : int, optional
            Number of threads; None: the processors available.
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
    """Return the shifts of a component's targets for the next trial.

    Parameters
    ----------
    gradients : sequence of ndarray of uint16, shape (blocks_y, blocks_x, 64)
        For each metric, the ``halves`` that :meth:`Growth.add` writes.
    factors : sequence of float
        Factor on the gradient of each metric: the metric's share of the weights, 0 to 1, divided by its mean
        growth per squared step.
    targets, levels, qtable
        As for :meth:`Growth.add`.
    weights : ndarray of float32, shape (blocks_y, blocks_x)
        Weight of each block.
    bands : ndarray of float32, shape (64,)
        Weight of each frequency, zigzag index.
    rate : float
        Share of the full change that is made, 0 to 1.
    limit : float
        Largest absolute value of a shift, in steps; at most ``127 * trellis.SHIFT``.
    before : ndarray of int8, shape (blocks_y, blocks_x, 64), optional
        Shifts under which the trial was made, to which the change is added. Default: none.
    threads : int, optional
        Number of threads; None: the processors available.

    Returns
    -------
    ndarray of int8, shape (blocks_y, blocks_x, 64)
        Shifts in units of ``trellis.SHIFT`` steps; 0 for DC.
    """
    out = np.empty(targets.shape, np.int8)
    steps = qtable.astype(np.float32)
    natural = bands[ZIGZAG_ORDER]

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
