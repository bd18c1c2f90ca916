"""The gradient of SSIMULACRA 2 for large pictures, in bounded memory and with more passes.

:mod:`guetzpy.metrics._ssimulacra2.gradient` keeps fifteen planes of every scale between its two passes, and
the planes of the reference. This module processes strips with a margin, once for the norms, and again for the
derivatives when the norms are known. It keeps the linear light of the halved pictures and the gradients for
it. Their samples are together a third of the picture's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from guetzpy._runtime.threads import each
from guetzpy.metrics._ssimulacra2.gradient import gradient_slots
from guetzpy.metrics._ssimulacra2.passes import WORK, backward_strip, forward_strip
from guetzpy.metrics._ssimulacra2.scales import Plan, norms_of, remap, slopes_of, weighted
from guetzpy.metrics._tiles import HALO, STRIP
from guetzpy.metrics.colorspace import halve
from guetzpy.metrics.one_reference import Local, Rows
from guetzpy.picture.transform import Floats

__all__ = ["gradient_by_windows"]

#: Rows whose maps are summed at a time. The reference's channels need HALO more rows on both sides.
_SUMMED = STRIP - 2 * HALO
#: Rows whose derivatives are computed at a time. The maps need HALO more rows on both sides.
_PULLED = STRIP - 4 * HALO

_NOTHING = np.empty((0, 1, 1), np.float32)


class _Scale:
    """Both pictures at one scale."""

    def __init__(self, plan: Plan, number: int, reference: Rows, distorted: Rows) -> None:
        self.slots, self._count = gradient_slots(plan, number)
        self.reference, self.distorted = reference, distorted
        self.height, self.width = plan.sizes[number]
        self._local = Local(), Local()

    def moments(self, first: int, last: int, sums: Any) -> tuple[int, Floats, Floats]:
        """Return the first row of the planes, the reference's planes, and those of the distorted picture.

        The planes are those of ``forward_strip`` for the rows ``first`` to ``last``.
        """
        begin, end = max(first - HALO, 0), min(last + HALO, self.height)
        local, other = self._local
        work = local.array("work", (WORK,))
        reference = local.array("reference", (self._count, end - begin, self.width))
        kept = local.array("kept", (12, end - begin, self.width))
        above, below = max(begin - HALO, 0), min(end + HALO, self.height)
        linear, top = self.reference.rows(above, below, local)
        forward_strip(
            linear, top - begin, 0, end - begin, self.slots, reference, work, _NOTHING, np.zeros((3, 6))
        )
        linear, top = self.distorted.rows(begin, end, other)
        forward_strip(
            linear, top - begin, first - begin, last - begin, self.slots, reference, work, kept, sums
        )
        return begin, reference, kept

    def norms(self, threads: int | None) -> Any:
        """Return the norms of the maps."""
        tops = range(0, self.height, _SUMMED)
        sums = np.zeros((len(tops), 3, 6))

        def strip(i: int) -> None:
            self.moments(tops[i], min(tops[i] + _SUMMED, self.height), sums[i])

        each(strip, range(len(tops)), threads)
        return norms_of(sums, self.height * self.width)

    def pull_back(
        self, slopes: Floats, coarser: Floats, rows: tuple[int, int], threads: int | None
    ) -> Floats:
        """Return rows of the derivatives of the score with respect to linear light.

        ``rows``: the first row, which is even, and the row after the last. ``slopes``, ``coarser``: as for
        ``backward_strip``.
        """
        start, stop = rows
        out = np.empty((3, stop - start, self.width), np.float32)

        def strip(top: int) -> None:
            bottom = min(top + _PULLED, stop)
            first, last = max(top - HALO, 0), min(bottom + HALO, self.height)
            begin, reference, kept = self.moments(first, last, np.zeros((3, 6)))
            part = coarser
            if coarser.shape[0] > 0:
                part = np.ascontiguousarray(coarser[:, begin // 2 : (bottom + 1) // 2])
            local = self._local[0]
            target = local.array("target", kept[:3].shape)
            backward_strip(
                kept, reference, self.slots, slopes, part, top - begin, bottom - begin,
                local.array("work", (WORK,)), target,
            )  # fmt: skip
            out[:, top - start : bottom - start] = target[:, top - begin : bottom - begin]

        each(strip, range(start, stop, _PULLED), threads)
        return out


def _halved(level: Rows, size: tuple[int, int], threads: int | None) -> Rows:
    smaller = np.empty((3, *size), np.float32)
    local = Local()

    def strip(top: int) -> None:
        bottom = min(top + STRIP, level.height)
        linear, first = level.rows(top, bottom, local)
        for c in range(3):
            halve(linear[c], first, top, bottom, smaller[c], 0)

    each(strip, range(0, level.height, STRIP), threads)
    return Rows(smaller)


def gradient_by_windows(
    plan: Plan, reference: Rows, distorted: Rows, threads: int | None
) -> tuple[float, Callable[[int, int], Floats]]:
    """Return the score, and a function that returns rows of the gradient with respect to linear light.

    Parameters
    ----------
    plan : Plan
        Plan for the pictures' size.
    reference, distorted : Rows
        Linear light of both pictures.
    threads : int or None
        Number of threads; None: the processors available.
    """
    scales, norms, total = [], [], 0.0
    for number, weights in enumerate(plan.weights):
        scale = _Scale(plan, number, reference, distorted)
        scales.append(scale)
        norms.append(scale.norms(threads))
        total += weighted(weights, norms[-1])
        if number + 1 < len(plan.sizes):
            reference = _halved(reference, plan.sizes[number + 1], threads)
            distorted = _halved(distorted, plan.sizes[number + 1], threads)
    score, slope = remap(total)
    slopes = [slopes_of(plan, number, norms[number], slope) for number in range(len(scales))]
    coarser = _NOTHING
    for number in range(len(scales) - 1, 0, -1):
        scale = scales.pop()
        coarser = scale.pull_back(slopes[number], coarser, (0, scale.height), threads)

    def rows(first: int, last: int) -> Floats:
        begin = first - first % 2
        part = scales[0].pull_back(slopes[0], coarser, (begin, last), threads)
        return part[:, first - begin :]

    return score, rows
