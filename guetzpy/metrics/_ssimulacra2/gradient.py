"""The gradient of SSIMULACRA 2: the same formulas without libjxl's rounding, and their adjoint.

Scores contain the rounding errors of libjxl's recursive blur (see ``_recursive_gaussian``), whose derivatives
are meaningless. So gradients are computed in a pass of their own, with the exact nine-tap form of that blur,
tile by tile (see ``_tiles``). To keep the digits of small differences, the formulas use the error e =
distorted - reference instead of the distorted picture. With v(e), the local variance of e,

    1 - (1 - mean(e)^2) (2 cov + C2) / (v1 + v2 + C2)
        = mean(e)^2 + (1 - mean(e)^2) v(e) / (2 (v1 + cov(reference, e)) + v(e) + C2).

The forward pass goes through all scales and keeps XYB and the blurred moments of e. When all norms are
known, the backward pass begins at the coarsest scale. The blur, with zeros beyond the edge, is its own
adjoint.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.metrics._ssimulacra2.passes import WORK, backward_strip, forward_strip
from guetzpy.metrics._ssimulacra2.scales import Plan, norms_of, remap, slopes_of, weighted
from guetzpy.metrics._tiles import HALO, STRIP
from guetzpy.metrics.colorspace import halve
from guetzpy.metrics.one_reference import Local, Rows
from guetzpy.picture.transform import Floats

__all__ = ["Gradient", "gradient_slots"]


def gradient_slots(plan: Plan, scale: int) -> tuple[npt.NDArray[np.int64], int]:
    """Return the slots of :func:`forward_strip` at a scale, and the number of the reference's planes."""
    slots, count = np.zeros((3, 3), np.int64), 0
    for c in range(3):
        structure, edges = plan.slots[scale][c, :2] >= 0
        slots[c] = count if structure or edges else -1, structure, edges
        count += 3 * structure + 2 * (edges and not structure)
    return slots, count


class Gradient:
    """Data of the reference, and the forward and backward passes over a distorted picture.

    Parameters
    ----------
    plan : Plan
        Plan for the reference's size.
    level : Rows
        The reference in linear light.
    threads : int, optional
        Number of threads; default: the processors available.
    """

    def __init__(self, plan: Plan, level: Rows, threads: int | None) -> None:
        self._plan = plan
        self._threads = threads
        self._slots: list[npt.NDArray[np.int64]] = []
        self._references: list[Floats] = []
        self._spare: list[list[Floats]] = []  # memory of an earlier call: the first use of new memory is slow
        nothing, no_sums = np.empty((0, 1, 1), np.float32), np.zeros((3, 6))
        for scale, (height, width) in enumerate(plan.sizes):
            slots, count = gradient_slots(plan, scale)
            reference = np.empty((count, height, width), np.float32)

            def prepare(
                linear: Floats, first: int, top: int, bottom: int, work: Floats,
                slots: Any = slots, reference: Floats = reference,
            ) -> None:  # fmt: skip
                forward_strip(linear, first, top, bottom, slots, reference, work, nothing, no_sums)

            level = self._strips(scale, level, prepare)
            self._slots.append(slots)
            self._references.append(reference)

    def __call__(self, level: Rows) -> tuple[float, Floats]:
        """Return the score and the gradient with respect to linear light, shape (3, H, W)."""
        plan = self._plan
        try:
            everything_kept = self._spare.pop()  # calls at the same time get separate memory
        except IndexError:
            everything_kept = [np.empty((12, *size), np.float32) for size in plan.sizes]
        all_norms, total = [], 0.0
        for scale, (height, width) in enumerate(plan.sizes):
            sums = np.zeros((-(-height // STRIP), 3, 6))

            def forward(
                linear: Floats, first: int, top: int, bottom: int, work: Floats,
                scale: int = scale, kept: Floats = everything_kept[scale], sums: Any = sums,
            ) -> None:  # fmt: skip
                slots, reference = self._slots[scale], self._references[scale]
                forward_strip(linear, first, top, bottom, slots, reference, work, kept, sums[top // STRIP])

            level = self._strips(scale, level, forward)
            norms = norms_of(sums, height * width)
            total += weighted(plan.weights[scale], norms)
            all_norms.append(norms)
        score, slope = remap(total)

        gradient = np.empty((0, 1, 1), np.float32)
        for scale in reversed(range(len(plan.sizes))):
            slopes = slopes_of(plan, scale, all_norms[scale], slope)
            gradient = self._backward(scale, everything_kept[scale], slopes, gradient)
        self._spare = [everything_kept]
        return score, gradient

    def _strips(self, scale: int, level: Rows, work_on: Any) -> Rows:
        """Call ``work_on`` for every strip of a scale, and return the next scale's linear light."""
        sizes = self._plan.sizes
        smaller = np.empty((3, *sizes[scale + 1]), np.float32) if scale + 1 < len(sizes) else None
        local = Local()

        def strip(top: int) -> None:
            bottom = min(top + STRIP, level.height)
            linear, first = level.rows(max(top - HALO, 0), min(bottom + HALO, level.height), local)
            if smaller is not None:
                for c in range(3):
                    halve(linear[c], first, top, bottom, smaller[c], 0)
            work_on(linear, first, top, bottom, local.array("work", (WORK,)))

        each(strip, range(0, level.height, STRIP), self._threads)
        return level if smaller is None else Rows(smaller)

    def _backward(self, scale: int, kept: Floats, slopes: Floats, coarser: Floats) -> Floats:
        out = np.empty((3, *kept.shape[1:]), np.float32)
        local = Local()

        def strip(top: int) -> None:
            bottom = min(top + STRIP, kept.shape[1])
            work = local.array("work", (WORK,))
            slots, reference = self._slots[scale], self._references[scale]
            backward_strip(kept, reference, slots, slopes, coarser, top, bottom, work, out)

        each(strip, range(0, kept.shape[1], STRIP), self._threads)
        return out
