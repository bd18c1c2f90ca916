"""Overshoot: luma above white and below black, which decoders clamp.

A decoder clamps red, green and blue to 0..255. Where the original is white, every luma above that of white
shows white, and where it is black, every luma below black shows black. Samples outside the picture, which
fill the last blocks of rows and columns, are not shown at all. A block with such samples may therefore
approximate any of many targets. The best one is found by turns: the block is quantised, and the next target
takes the quantised block's values where they are free. If all errors had equal weights, no turn would
increase the cost of the block: its levels cost less under the new target, and the next levels cost at most as
much as these. The weights differ by frequency, so that a turn may increase the cost, but most turns decrease
it. mozjpeg, in contrast, draws a fixed curve above white.

Blocks that would wrap in :mod:`guetzpy.search.coding.fast_idct` get less overshoot, or none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy.search.coding import fast_idct

__all__ = ["Overshoot"]

#: Quantisations of a block before the one whose levels are kept. With 3, graphics on white are 1 % larger.
_TURNS = 6

#: Largest overshoot in codes. libjpeg's table for clamping covers samples from -384 to 639, and further ones
#: can wrap; the quantisation error is added to the overshoot.
_LARGEST = np.float32(64.0)

#: Overshoot of blocks that wrap is halved until they do not, at most to this.
_SMALLEST = np.float32(8.0)

#: Levels after the last turn are checked if those of the last turn have such a factor. They differ little.
_CHECKED = 6000.0

_FREE, _UPWARDS, _DOWNWARDS = 1, 2, 3

_ROWS = 512  # rows of the picture that are classified at once, which bounds the scratch memory


@kernel(
    "int64(int16[:, ::1], float32[::1], float32[:, ::1], uint8[:, ::1], float32[:, ::1], float32,"
    " float32[:, ::1])"
)
def _move(levels: Any, steps: Any, targets: Any, freedom: Any, basis: Any, largest: Any, moved: Any) -> int:
    """Write targets whose samples take the values of the quantised blocks where they are free."""
    zero = np.float32(0.0)
    white, black = np.float32(127.0), np.float32(-128.0)  # samples are relative to 128 (T.81 A.3.1)
    samples = np.empty((2, 8, 8), np.float32)
    scratch = np.empty((8, 8), np.float32)
    for block in range(levels.shape[0]):
        for which in range(2):
            for i in range(8):
                for x in range(8):
                    scratch[i, x] = zero
                for j in range(8):
                    value = targets[block, 8 * i + j]
                    if which == 1:
                        value = np.float32(levels[block, 8 * i + j]) * steps[8 * i + j]
                    for x in range(8):
                        scratch[i, x] += value * basis[j, x]
            for y in range(8):
                for x in range(8):
                    samples[which, y, x] = zero
                for i in range(8):
                    for x in range(8):
                        samples[which, y, x] += basis[i, y] * scratch[i, x]
        for y in range(8):
            for x in range(8):
                kind = freedom[block, 8 * y + x]
                wanted = samples[0, y, x]
                lowest = wanted
                highest = wanted
                if kind == 1:
                    lowest = black
                    highest = white
                elif kind == 2:
                    highest = white + largest
                    lowest = min(wanted, highest)
                elif kind == 3:
                    lowest = black - largest
                    highest = max(wanted, lowest)
                samples[1, y, x] = min(max(samples[1, y, x], lowest), highest) - wanted
        for i in range(8):
            for x in range(8):
                scratch[i, x] = zero
            for y in range(8):
                for x in range(8):
                    scratch[i, x] += basis[i, y] * samples[1, y, x]
        for i in range(8):
            for j in range(8):
                total = targets[block, 8 * i + j]
                for x in range(8):
                    total += scratch[i, x] * basis[j, x]
                moved[block, 8 * i + j] = total
    return 0


def _kinds(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the freedom of each sample of each block of some rows, (blocks, 64); see :class:`Overshoot`."""
    _, height, width = codes.shape
    top = 65535 if codes.dtype == np.uint16 else 255
    kinds = np.full((-(-height // 8) * 8, -(-width // 8) * 8), _FREE, np.uint8)
    inside = kinds[:height, :width]
    inside[...] = 0
    inside[(codes >= top).all(axis=0)] = _UPWARDS
    inside[(codes <= 0).all(axis=0)] = _DOWNWARDS
    return kinds.reshape(len(kinds) // 8, 8, -1, 8).swapaxes(1, 2).reshape(-1, 64)


@dataclass(frozen=True, eq=False)
class Overshoot:
    """The blocks of the luma that have samples with free values.

    Attributes
    ----------
    blocks : ndarray of int64, shape (n,)
        Indices of these blocks, row by row.
    freedom : ndarray of uint8, shape (n, 64)
        For each sample: 0 if its value counts, 1 if it is outside the picture, 2 if larger values show the
        same (white), 3 if smaller values do (black).
    """

    blocks: npt.NDArray[np.int64]
    freedom: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, codes: npt.NDArray[Any]) -> Overshoot:
        """Return the blocks of a picture: uint8, uint16, or float32 on the scale of 0 to 255, (1|3, H, W)."""
        _, height, width = codes.shape
        columns = -(-width // 8)
        blocks, freedom = [], []
        for first in range(0, height, _ROWS):
            kinds = _kinds(codes[:, first : first + _ROWS])
            # A block that is all white or all black has no AC coefficients to save.
            mixed = np.flatnonzero((kinds != kinds[:, :1]).any(axis=1))
            blocks.append(mixed + first // 8 * columns)
            freedom.append(kinds[mixed])
        return cls(np.concatenate(blocks), np.concatenate(freedom))

    def move(
        self,
        targets: npt.NDArray[np.float32],
        table: npt.NDArray[np.uint16],
        weights: npt.NDArray[np.float32],
        shifts: npt.NDArray[np.int8] | None,
        quantise: Callable[..., npt.NDArray[np.int16]],
    ) -> npt.NDArray[np.float32]:
        """Return targets that show the same picture and take fewer bits.

        Parameters
        ----------
        targets : ndarray of float32, shape (blocks_y, blocks_x, 64)
            Unquantised coefficients, natural order, T.81 scaling.
        table : ndarray of uint16, shape (64,)
            Steps in natural order.
        weights : ndarray of float32, shape (blocks_y, blocks_x)
            Weights of the blocks.
        shifts : ndarray of int8, shape (blocks_y, blocks_x, 64), or None
            Shifts of the coefficients.
        quantise : callable
            :func:`guetzpy.search.coding.trellis.quantise` with its other parameters.

        Returns
        -------
        ndarray of float32, shape (blocks_y, blocks_x, 64)
        """
        if not len(self.blocks):
            return targets
        steps = table.astype(np.float32)
        by_block = targets.reshape(-1, 64)
        result = targets.copy()
        moved = result.reshape(-1, 64)
        weights = weights.reshape(1, -1)
        shifts = None if shifts is None else shifts.reshape(1, -1, 64)

        def levels_of(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
            blocks = self.blocks[rows]
            levels: npt.NDArray[np.int16] = quantise(
                moved[blocks][None],
                weights=weights[:, blocks],
                shifts=None if shifts is None else shifts[:, blocks],
            )[0]
            return levels

        def by_turns(rows: npt.NDArray[np.int64], largest: Any) -> npt.NDArray[np.int64]:
            """Move the targets of blocks, and return those that wrap."""
            factors = np.zeros(len(self.blocks), np.float32)
            moved[self.blocks[rows]] = by_block[self.blocks[rows]]
            levels = np.full((len(rows), 64), -32768, np.int16)  # no level is -32768: T.81 F.1.2.2
            for turn in range(_TURNS):
                before = levels
                levels = levels_of(rows)
                # If the levels of a block are those of the turn before, so are all that follow.
                changed = (levels != before).any(axis=1)
                final = ~changed if turn < _TURNS - 1 else np.ones(len(rows), bool)
                factors[rows[final]] = fast_idct.factors(levels[final], table)
                rows, levels = rows[changed], levels[changed]
                blocks = self.blocks[rows]
                new = np.empty((len(rows), 64), np.float32)
                _move(levels, steps, by_block[blocks], self.freedom[rows], fast_idct.BASIS, largest, new)
                moved[blocks] = new
            rows = rows[factors[rows] > _CHECKED]
            factors[rows] = fast_idct.factors(levels_of(rows), table)
            return np.flatnonzero(factors > fast_idct.LARGEST)

        rows, largest = np.arange(len(self.blocks)), _LARGEST
        while len(rows) and largest >= _SMALLEST:
            rows = by_turns(rows, largest)
            largest /= np.float32(2.0)
        moved[self.blocks[rows]] = by_block[self.blocks[rows]]
        return result
