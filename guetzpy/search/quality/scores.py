"""Scores of a picture by several metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp
from guetzpy.metrics.base import Metric

__all__ = ["Scores"]


@dataclass(frozen=True)
class Scores:
    """Scores of a picture by several metrics, and other values that the metrics computed.

    Attributes
    ----------
    metrics : tuple of Metric
        The metrics.
    values : tuple of float
        Their scores.
    details : mapping of str to float
        Other values that the metrics computed.
    blocks : mapping of str to ndarray of float32, shape (ceil(H / 8), ceil(W / 8))
        Largest local error in each block of 8 x 8 pixels, in units of the score, by the name of a metric that
        has a map of errors.
    """

    metrics: tuple[Metric, ...]
    values: tuple[float, ...]
    details: Mapping[str, float] = field(default_factory=dict)
    blocks: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict, compare=False)

    def of(self, name: str) -> float:
        """Return a score or a detail by name; KeyError if there is none."""
        for metric, value in zip(self.metrics, self.values, strict=True):
            if metric.name == name:
                return value
        return self.details[name]

    @property
    def distance(self) -> float:
        """Smallest distance whose limits these scores meet, by all metrics that have limits."""
        return max(
            0.0 if metric.is_identical(value) else exp(metric.log_distance(value))
            for metric, value in zip(self.metrics, self.values, strict=True)
            if metric.limit_at(1.0) is not None
        )
