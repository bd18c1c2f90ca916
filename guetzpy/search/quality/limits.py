"""Limits of the metrics, and how far a file exceeds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from guetzpy._runtime.exact_math import exp
from guetzpy.errors import TargetError
from guetzpy.metrics.base import Metric
from guetzpy.metrics.distance import DEFINING
from guetzpy.metrics.registry import registered
from guetzpy.search.calibration import WIDEST_TOLERANCE
from guetzpy.search.quality.scores import Scores

__all__ = ["COARSEST", "FINEST", "Limits"]

#: Smallest and largest distance of the tables that are tried; at 0.02 every step is 1.
FINEST, COARSEST = 0.02, 300.0

#: Largest distance that a search starts from: the largest that can be requested.
_COARSEST_START = 25.0


@dataclass(frozen=True)
class Limits:
    """The worst scores that a decoded file may have.

    The excess of a file by a metric is the logarithm of the ratio of two distances: that of its score, and
    that of the limit. It is negative if the limit holds with a margin, and about linear in the logarithm of
    the quantiser steps.

    Attributes
    ----------
    metrics : tuple of Metric
        The metrics.
    bounds : tuple of (float or None)
        The worst score that is allowed by each metric; None: any score is allowed.
    """

    metrics: tuple[Metric, ...]
    bounds: tuple[float | None, ...]

    @classmethod
    def at_distance(cls, distance: float, metrics: tuple[Metric, ...] | None = None) -> Limits:
        """Return the limits of a distance."""
        chosen = registered() if metrics is None else metrics
        return cls(chosen, tuple(metric.limit_at(distance) for metric in chosen))

    @classmethod
    def of(cls, bounds: Mapping[str, float], metrics: tuple[Metric, ...] | None = None) -> Limits:
        """Return limits by the metrics' names; KeyError for a name that no metric has."""
        chosen = registered() if metrics is None else metrics
        unknown = set(bounds) - {metric.name for metric in chosen}
        if unknown:
            raise KeyError(f"no metric is named {', '.join(sorted(unknown))}")
        return cls(chosen, tuple(bounds.get(metric.name) for metric in chosen))

    @classmethod
    def of_scores(cls, scores: Scores) -> Limits:
        """Return limits that a file with these scores just meets, by the metrics that set limits."""
        pairs = zip(scores.metrics, scores.values, strict=True)
        return cls(scores.metrics, tuple(v if m.limit_at(1.0) is not None else None for m, v in pairs))

    def bound(self, name: str) -> float | None:
        """Return the limit of the metric of this name."""
        return dict(zip((metric.name for metric in self.metrics), self.bounds, strict=True)).get(name)

    def excess_by(self, number: int, score: float) -> float:
        """Return the excess by one metric, -inf if it has no limit."""
        metric, bound = self.metrics[number], self.bounds[number]
        if bound is None:
            return float("-inf")
        return metric.log_distance(score) - metric.log_distance(bound)

    def excesses(self, scores: Scores) -> tuple[float, ...]:
        """Return the excess by each metric."""
        return tuple(self.excess_by(i, score) for i, score in enumerate(scores.values))

    def excess(self, scores: Scores) -> float:
        """Return the largest excess, which is that of the binding limit."""
        return max(self.excesses(scores))

    def met(self, scores: Scores) -> bool:
        """Return whether scores meet the limits."""
        return self.excess(scores) <= 0.0

    def relaxed(self, scores: Scores) -> Limits:
        """Return limits that are no stricter than these scores."""
        bounds = []
        for metric, bound, score in zip(self.metrics, self.bounds, scores.values, strict=True):
            looser = bound is not None and metric.log_distance(score) > metric.log_distance(bound)
            bounds.append(score if looser else bound)
        return Limits(self.metrics, tuple(bounds))

    @property
    def tolerances(self) -> tuple[float, ...]:
        """For each metric, how far its excess may be below 0 for a file to be close enough to its limits."""
        return tuple(
            0.0
            if bound is None
            else min(-self.excess_by(i, self.metrics[i].close_to(bound)), WIDEST_TOLERANCE)
            for i, bound in enumerate(self.bounds)
        )

    @property
    def complete(self) -> bool:
        """Whether all metrics that define distance have a limit."""
        return all(self.bound(metric.name) is not None for metric in DEFINING)

    def shortfall(self, scores: Scores) -> float:
        """Return the mean excess over the metrics that have a limit."""
        excesses = [
            e for e, bound in zip(self.excesses(scores), self.bounds, strict=True) if bound is not None
        ]
        return sum(excesses) / len(excesses)

    def starting_distance(self) -> float:
        """Return the smallest distance to which a limit corresponds, within the range of distances."""
        distances = [
            0.0 if metric.is_identical(bound) else exp(metric.log_distance(bound))
            for metric, bound in zip(self.metrics, self.bounds, strict=True)
            if bound is not None
        ]
        return min(max(min(distances), FINEST), _COARSEST_START)

    def unmet(self, scores: Scores) -> TargetError:
        """Return the error for limits that no file meets; ``scores`` are those of the best file."""
        best = {
            metric.name: score
            for metric, score, bound in zip(self.metrics, scores.values, self.bounds, strict=True)
            if bound is not None
        }
        told = ", ".join(f"{name} {score:.4g}" for name, score in best.items())
        return TargetError(f"no JPEG of this picture meets the limits; best reached: {told}", best=best)
