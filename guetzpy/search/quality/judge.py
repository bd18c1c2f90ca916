"""Scores and gradients of all metrics against one reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import apart
from guetzpy.metrics.base import Comparator, Metric, Resources, Score, has_gradient
from guetzpy.metrics.registry import registered
from guetzpy.picture.transform import Transform
from guetzpy.search.quality.scores import Scores

__all__ = ["Judge", "Window"]

#: Rows of a window of gradients, and rows that neighbouring windows share (the height of the largest MCU).
_WINDOW, _SHARED = 512, 16


class Window(NamedTuple):
    """Rows of a metric's gradient with respect to codes.

    Attributes
    ----------
    top : int
        Row of the picture that the array begins with.
    first, last : int
        Rows that belong to this window. ``values`` has further rows around them where the picture has them.
    values : ndarray of float32, shape (1|3, rows, W)
        Derivatives, which grow with distortion.
    """

    top: int
    first: int
    last: int
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Judge:
    """Scores and gradients against a reference.

    Each metric's data of the reference are computed when they are first needed, so that earlier steps can use
    the memory.

    Attributes
    ----------
    codes : ndarray, shape (1|3, H, W)
        The reference as codes: uint8, uint16, or float32 on the scale of 0 to 255. Kept.
    transform : Transform
        Conversion to linear light, of the codes of the reference and of trials.
    resources : Resources
        Memory and threads to use.
    side_by_side : bool
        Whether the metrics are computed at the same time, each on one thread.
    metrics : tuple of Metric, optional
        Default: those registered.
    """

    codes: npt.NDArray[Any]
    transform: Transform
    resources: Resources = field(default_factory=Resources)
    side_by_side: bool = False
    metrics: tuple[Metric, ...] = ()
    _comparators: list[Comparator | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.metrics:
            object.__setattr__(self, "metrics", registered())
        object.__setattr__(self, "_comparators", [None] * len(self.metrics))

    @property
    def scored(self) -> tuple[int, ...]:
        """Indices of the metrics that files are scored by: those that have a limit at a distance."""
        return tuple(n for n, metric in enumerate(self.metrics) if metric.limit_at(1.0) is not None)

    @property
    def threads(self) -> int | None:
        """Threads to use; None: the processors available."""
        return self.resources.threads

    def comparator(self, number: int) -> Comparator:
        """Return the comparator of the metric with this index."""
        found = self._comparators[number]
        if found is None:
            # A metric without limits is used for gradients only. Data of the reference that are used once
            # take longer to store than to compute: the search takes 10 % longer if those of CVVDP are kept.
            resources = self.resources if number in self.scored else replace(self.resources, keep="nothing")
            found = self.metrics[number].comparator(self.codes, self.transform, resources)
            self._comparators[number] = found
        return found

    def prepare(self) -> None:
        """Compute the data of the reference for all scored metrics now, at the same time."""
        apart([partial(self.comparator, number) for number in self.scored], self.threads)

    def scores(self, codes: npt.NDArray[np.uint8]) -> Scores:
        """Score codes, uint8 (1|3, H, W), by the metrics that set limits; the others' scores are NaN."""
        found: dict[int, Score] = {}

        def score(number: int) -> None:
            found[number] = self.score(number, codes)

        numbers = self.scored
        if self.side_by_side:
            apart([partial(score, number) for number in numbers], self.threads)
        else:
            for number in numbers:
                score(number)
        return self.joined(found)

    def score(self, number: int, codes: npt.NDArray[np.uint8]) -> Score:
        """Score codes by one metric."""
        return self.comparator(number).score(codes)

    def joined(self, found: dict[int, Score]) -> Scores:
        """Join single scores, given by the indices of their metrics; metrics that are not given get NaN."""
        details: dict[str, float] = {}
        for score in found.values():
            details.update(score.details)
        values = (found[n].value if n in found else math.nan for n in range(len(self.metrics)))
        blocks = {self.metrics[n].name: s.blocks for n, s in found.items() if s.blocks is not None}
        return Scores(self.metrics, tuple(values), details, blocks)

    def gradients(self, codes: npt.NDArray[np.uint8]) -> Iterator[tuple[int, float, Iterator[Window]]]:
        """Yield the number of each metric that has a gradient, its score, and windows of the gradient.

        The scratch memory of a metric is freed before the next metric starts.
        """
        for number in range(len(self.metrics)):
            comparator = self.comparator(number)
            if not has_gradient(comparator):
                continue
            value, rows = comparator.gradient_rows(codes)  # type: ignore[attr-defined]
            yield number, value, _windows(codes.shape[1], rows)
            del rows
            if number + 1 < len(self.metrics):
                comparator.release()

    def release(self) -> None:
        """Free the memory that only gradients need, which is two fifths of the memory of a search."""
        scored = self.scored
        for number, comparator in enumerate(self._comparators):
            if comparator is not None:
                comparator.release()
            if number not in scored:
                self._comparators[number] = None


def _windows(height: int, rows: Callable[[int, int], npt.NDArray[np.float32]]) -> Iterator[Window]:
    for first in range(0, height, _WINDOW):
        last = min(first + _WINDOW, height)
        top, bottom = max(0, first - _SHARED), min(height, last + _SHARED)
        yield Window(top, first, last, rows(top, bottom))
