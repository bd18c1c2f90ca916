"""Rate-distortion optimal quantisation of AC coefficients by dynamic programming over runs of zeros.

For one block and one spectral band the cost of a choice of levels is

    lambda * bits + sum over k of weight[k] * (a[k] - level[k])**2,    a[k] = |coefficient| / step,

where the bits are those of the run/size symbols of T.81 F.1.2.2 and of the magnitudes. A path is a sequence
of coefficients with nonzero levels. Each level is the rounded one or the one below. The path of least cost is
found exactly (Ramchandran and Vetterli 1994; mozjpeg's ``jcdctmgr.c`` uses the same recursion). Each band is
coded by a scan of its own, so that bands are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.jpeg.structure import NATURAL_ORDER

__all__ = ["SHIFT", "Rate", "quantise"]

#: Blocks of one work item; fixed, so that results do not depend on the number of threads.
_STRIP = 1024

#: Unit of the shifts of targets, in quantiser steps.
SHIFT = 1.0 / 800.0

#: Largest AC level that an 8-bit baseline file may hold (T.81 F.1.2.2: ten magnitude bits).
_LEVEL_MAX = 1023


@dataclass(frozen=True)
class Rate:
    """Costs of symbols, in bits.

    Attributes
    ----------
    bands : ndarray of int64, shape (n, 2)
        First and last zigzag index of each band that a scan codes by itself.
    symbols : ndarray of float32, shape (n, 256)
        Cost of each run/size symbol ``run << 4 | size`` in each band.
    eob : ndarray of float32, shape (n, 2)
        Cost of the end of a block without, and with, a nonzero level in the band.
    """

    bands: npt.NDArray[np.int64]
    symbols: npt.NDArray[np.float32]
    eob: npt.NDArray[np.float32]


@kernel(
    "int64(float32[:, ::1], float32[::1], float32[::1], float32[::1], float32, int64[::1],"
    " int64[:, ::1], float32[:, ::1], float32[:, ::1], float32, int16[:, ::1])"
)
def _quantise(
    coefficients: Any,
    weights: Any,
    band_weights: Any,
    inverse_steps: Any,
    dc_step: Any,
    natural_order: Any,
    bands: Any,
    symbols: Any,
    eob: Any,
    lagrangian: Any,
    levels: Any,
) -> int:
    position = np.empty(65, np.int64)
    rounded = np.empty(65, np.int64)
    chosen = np.empty(65, np.int64)
    previous = np.empty(65, np.int64)
    magnitude = np.empty(65, np.float32)
    weight_at = np.empty(65, np.float32)
    zero_before = np.empty(65, np.float32)
    # Cost of the best path that ends at a coefficient, less the cost of zeroing all coefficients up to it.
    base = np.empty(65, np.float32)
    half = np.float32(0.5)
    for block in range(coefficients.shape[0]):
        kept = np.int64(0)
        for band in range(bands.shape[0]):
            first = bands[band, 0]
            last = bands[band, 1]
            count = 1
            position[0] = first - 1
            base[0] = np.float32(0.0)
            zero_cost = np.float32(0.0)
            for k in range(first, last + 1):
                natural = natural_order[k]
                levels[block, natural] = np.int16(0)
                a = np.abs(coefficients[block, natural] * inverse_steps[k])
                weight = weights[block] * band_weights[k]
                if a >= half:
                    position[count] = k
                    magnitude[count] = a
                    weight_at[count] = weight
                    zero_before[count] = zero_cost
                    rounded[count] = np.int64(min(a + half, np.float32(_LEVEL_MAX)))
                    count += 1
                zero_cost += weight * a * a

            earliest = 0
            for i in range(1, count):
                k = position[i]
                a = magnitude[i]
                weight = weight_at[i]
                level = rounded[i]
                size = np.int64(0)
                rest = level
                while rest > 0:
                    size += 1
                    rest >>= 1
                error = a - np.float32(level)
                high = weight * error * error + lagrangian * np.float32(size)
                best = np.float32(1e30)
                previous[i] = 0  # this stays if weights are so large that every path costs 1e30 or more
                chosen[i] = level
                # the level below: the same size, or one bit less if level is a power of two
                low_size = size - 1 if level & (level - 1) == 0 else size
                error = a - np.float32(level - 1)
                low = weight * error * error + lagrangian * np.float32(low_size)
                for j in range(i - 1, earliest - 1, -1):
                    run = k - position[j] - 1
                    path = base[j] + zero_before[i]
                    while run > 15:
                        path += lagrangian * symbols[band, 0xF0]
                        run -= 16
                    cost = path + high + lagrangian * symbols[band, (run << 4) | size]
                    if cost < best:
                        best = cost
                        previous[i] = j
                        chosen[i] = level
                    if level > 1:
                        cost = path + low + lagrangian * symbols[band, (run << 4) | low_size]
                        if cost < best:
                            best = cost
                            previous[i] = j
                            chosen[i] = level - 1
                zeroed = weight * a * a
                base[i] = best - zero_before[i] - zeroed
                # A symbol costs at most 16 bits and a level at most ten magnitude bits, so that zeroing this
                # coefficient saves at most 42 bits (two symbols and the magnitude). If zeroing costs more,
                # the coefficient is on the best path, and paths that skip it need not be tried.
                if zeroed - high > lagrangian * np.float32(42.0):
                    earliest = i

            final = np.float32(1e30)
            tail = 0
            for j in range(earliest, count):
                cost = base[j] + zero_cost
                if position[j] < last:
                    cost += lagrangian * eob[band, 0 if j == 0 else 1]
                if cost < final:
                    final = cost
                    tail = j
            while tail > 0:
                natural = natural_order[position[tail]]
                level = chosen[tail]
                levels[block, natural] = np.int16(-level if coefficients[block, natural] < 0 else level)
                tail = previous[tail]
                kept += 1
        # A block without AC levels decodes to one code, DC / 8 rounded. Rounding to the step and then to a
        # code can miss the nearest code, which shows as bands in a slow gradient. So DC is set to the step
        # that decodes to the nearest code.
        dc = coefficients[block, 0]
        level = np.int64(np.floor(dc * inverse_steps[0] + half))
        if kept == 0:
            code = np.floor(dc * np.float32(0.125) + half)
            shown = np.floor(np.float32(level) * dc_step * np.float32(0.125) + half)
            if shown != code and dc_step <= np.float32(8.0):
                level = np.int64(np.floor(code * np.float32(8.0) * inverse_steps[0] + half))
        levels[block, 0] = np.int16(max(min(level, np.int64(1023)), np.int64(-1024)))
    return 0


def quantise(
    coefficients: npt.NDArray[np.float32],
    qtable: npt.NDArray[np.uint16],
    rate: Rate,
    lagrangian: float,
    *,
    weights: npt.NDArray[np.float32],
    band_weights: npt.NDArray[np.float32],
    shifts: npt.NDArray[np.int8] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.int16]:
    """Quantise the blocks of a component.

    Parameters
    ----------
    coefficients : ndarray of float32, shape (blocks_y, blocks_x, 64)
        Unquantised coefficients in natural order, T.81 scaling.
    qtable : ndarray of uint16, shape (64,)
        Steps in natural order.
    rate : Rate
        Costs of symbols.
    lagrangian : float
        Lagrange multiplier: weighted squared error, in squared steps, that is accepted to save one bit.
    weights : ndarray of float32, shape (blocks_y, blocks_x)
        Weight of the squared error of each block.
    band_weights : ndarray of float32, shape (64,)
        Weight of the squared error of each frequency, by zigzag index.
    shifts : ndarray of int8, shape (blocks_y, blocks_x, 64), optional
        Shifts that are added to the coefficients, in units of ``SHIFT`` steps.
    threads : int, optional
        Number of threads; None: the processors available.

    Returns
    -------
    ndarray of int16, shape (blocks_y, blocks_x, 64)
        Levels in natural order. DC is rounded to the nearest level, or, in a block without AC levels, to the
        level that decodes to the nearest code.
    """
    blocks = coefficients.reshape(-1, 64)
    weights = np.ascontiguousarray(weights, np.float32).reshape(-1)
    levels = np.empty(blocks.shape, np.int16)
    inverse = (np.float32(1) / qtable.astype(np.float32))[NATURAL_ORDER]
    order = NATURAL_ORDER.copy()
    moves = None if shifts is None else shifts.reshape(-1, 64)
    units = qtable.astype(np.float32) * np.float32(SHIFT)

    def strip(start: int) -> None:
        part = slice(start, start + _STRIP)
        wanted = blocks[part] if moves is None else blocks[part] + moves[part] * units
        _quantise(
            wanted, weights[part], band_weights, inverse, np.float32(qtable[0]), order,
            rate.bands, rate.symbols, rate.eob, np.float32(lagrangian), levels[part],
        )  # fmt: skip

    each(strip, range(0, blocks.shape[0], _STRIP), threads)
    return levels.reshape(coefficients.shape)
