"""The gradient of the quality for linear light, through all bands and back through the pyramid."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from guetzpy._runtime.threads import each
from guetzpy.metrics._cvvdp.adjoint import ADJOINT_PAD, add_doubled_adjoint, add_halved_adjoint, to_light
from guetzpy.metrics._cvvdp.contrast import REACH, STRIDE
from guetzpy.metrics._cvvdp.plan import STRIP, Doubles, Plan
from guetzpy.metrics._cvvdp.slopes import SLOPE_ROWS, slope_rows
from guetzpy.metrics.one_reference import Local, Rows
from guetzpy.picture.transform import Floats

__all__ = ["Gradient"]


class Gradient:
    """Derivatives of the quality with respect to one picture, from its levels.

    Parameters
    ----------
    plan : Plan
        Plan for the picture's size.
    levels : sequence of Rows
        Levels of the picture, linear light first.
    reference : callable
        ``reference(band, start, stop)`` returns rows of the reference's contrasts and sensitivities, and the
        row that they begin with.
    slopes : ndarray of float64, shape (bands, 3)
        Derivatives of the quality with respect to the sums of each band.
    base : ndarray of float64, shape (3, h, w)
        Derivatives through the base band.
    finest_band : int
        Number of the finest band that counts.
    keep : bool
        Whether the derivatives with respect to the first level are kept, instead of computed twice.
    threads : int or None
        Number of threads; None: the processors available.
    """

    def __init__(
        self,
        plan: Plan,
        levels: Sequence[Rows],
        reference: Callable[[int, int, int], tuple[Floats, int]],
        slopes: Doubles,
        base: Doubles,
        finest_band: int,
        keep: bool,
        threads: int | None,
    ) -> None:
        self._plan, self._levels, self._reference, self._threads = plan, levels, reference, threads
        self._slopes, self._finest = slopes.astype(np.float32), finest_band
        self._local = Local()
        self._by_level = [np.zeros((3, *size), np.float32) for size in plan.sizes[1:-1]]
        self._by_level.append(base.astype(np.float32))
        if len(plan.sizes) > 1:
            self._by_level.insert(0, np.zeros((3, *plan.sizes[0]) if keep else (3, 0, 0), np.float32))
        for band in range(finest_band, len(plan.sizes) - 1):
            each(functools.partial(self._through, band), range(0, plan.sizes[band][0], STRIP), threads)
        for level in range(len(plan.sizes) - 2, 0, -1):
            self._from_smaller(level)
        self._whole = keep or len(plan.sizes) == 1
        if self._whole:
            self._finish(self._by_level[0], 0)

    def rows(self, first: int, last: int) -> Floats:
        """Return derivatives with respect to rows of linear light, float32 (3, last - first, W)."""
        if self._whole:
            return self._by_level[0][:, first:last]
        shape = 3, last - first, self._plan.sizes[0][1]
        if self._finest > 0:
            out: Floats = np.zeros(shape, np.float32)
            self._finish(out, first)
            return out
        out = np.empty(shape, np.float32)

        def strip(start: int) -> None:
            stop = min(start + STRIP, last)
            layer, _ = self._band(0, start, stop)
            out[:, start - first : stop - first] = layer

        each(strip, range(first, last, STRIP), self._threads)
        self._finish(out, first)
        return out

    def _band(self, band: int, start: int, stop: int) -> tuple[Floats, Floats]:
        """Return derivatives with respect to rows of a band's level and rows of the doubled smaller level."""
        plan, local = self._plan, self._local
        height, width = plan.sizes[band]
        above, below = max(start - 2 * REACH, 0), min(stop + 2 * REACH, height)
        reference, offset = self._reference(band, above, below)
        planes, first = self._levels[band].rows(above, below, local)
        layer = local.array("layer", (3, STRIP + 3, width))
        around = local.array("around", (3, STRIP + 3, width))
        slope_rows(
            planes, first, start, stop, height, plan.matrix, int(band == 0), self._levels[band + 1].planes,
            reference, offset, self._slopes[band], local.array("work", (SLOPE_ROWS, STRIDE)), layer, around,
        )  # fmt: skip
        return layer[:, : stop - start], around

    def _through(self, band: int, start: int) -> None:
        """Add derivatives through a strip of a band to those for its level and for the smaller level."""
        height, width = self._plan.sizes[band]
        stop = min(start + STRIP, height)
        above, below = max(start - 2, 0), min(stop + 1, height)
        layer, around = self._band(band, above, below)
        row = self._local.array("row", (width + 2 * ADJOINT_PAD + 1,))
        add_doubled_adjoint(around, above, start // 2, (stop + 1) // 2, height, row, self._by_level[band + 1])
        by_level = self._by_level[band]
        if by_level.size:
            by_level[:, start:stop] += layer[:, start - above : stop - above]

    def _from_smaller(self, level: int) -> None:
        """Add the derivatives through a level's next smaller level."""
        by_level = self._by_level[level]
        each(
            lambda start: self._halved(level, by_level, start, min(start + STRIP, by_level.shape[1]), 0),
            range(0, by_level.shape[1], STRIP),
            self._threads,
        )

    def _halved(self, level: int, out: Floats, start: int, stop: int, offset: int) -> None:
        smaller = self._by_level[level + 1]
        row = self._local.array("row", (smaller.shape[2] + 2,))
        add_halved_adjoint(smaller, start, stop, self._plan.sizes[level][0], offset, row, out)

    def _finish(self, out: Floats, first: int) -> None:
        """Convert derivatives for the first level to those for light; ``out`` begins with row ``first``."""
        transposed = np.zeros((3, 4), np.float32)
        transposed[:, :3] = self._plan.matrix[:, :3].T
        several = len(self._plan.sizes) > 1

        def strip(start: int) -> None:
            stop = min(start + STRIP, out.shape[1])
            if several:
                self._halved(0, out, first + start, first + stop, first)
            to_light(out, start, stop, transposed, self._local.array("light", (3, out.shape[2])))

        each(strip, range(0, out.shape[1], STRIP), self._threads)
