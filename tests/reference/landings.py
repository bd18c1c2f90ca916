"""Landings on points instead of files: a score is a given function of the point."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from guetzpy.metrics.base import Score
from guetzpy.search import landing
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.evaluation import Evaluation
from guetzpy.search.landing import Budget
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores


@dataclass(frozen=True)
class Direct:
    """A metric whose scores are excesses over the limit 0. Those from -0.01 on are close to it."""

    name: str

    def limit_at(self, distance: float) -> float:
        return 0.0

    def log_distance(self, score: float) -> float:
        return score

    def close_to(self, limit: float) -> float:
        return limit - 0.01


METRICS: Any = (Direct("first"), Direct("second"))
LIMITS = Limits(METRICS, (0.0, None))
BOTH = Limits(METRICS, (0.0, 0.0))


class Point(NamedTuple):
    """A file: where it was encoded, and under which weights."""

    x: float
    y: float
    weights: int
    rates: tuple[Any, ...] = ()

    def bare(self) -> Point:
        return self


Curve = Callable[[Point], float]


@dataclass
class Curves:
    """A judge whose scores are functions of the point. It records all points that it scored."""

    first: Curve
    second: Curve = lambda point: -9.0
    seen: list[Point] = field(default_factory=list)
    scored: tuple[int, ...] = (0, 1)

    def score(self, number: int, point: Point) -> Score:
        if not self.seen or self.seen[-1] is not point:
            self.seen.append(point)
        return Score((self.first, self.second)[number](point))

    def scores(self, point: Point) -> Scores:
        return self.joined({number: self.score(number, point) for number in self.scored})

    def joined(self, found: dict[int, Score]) -> Scores:
        return Scores(METRICS, tuple(found[number].value for number in self.scored))


@dataclass(frozen=True)
class Listed:
    """An approach to given points. The last one is followed by none."""

    points: tuple[float, ...]
    told: tuple[float, ...] = ()
    log_lambda: float = 0.0

    @property
    def log_distance(self) -> float:
        return self.points[0]

    def after(self, excess: float) -> Listed | None:
        return Listed(self.points[1:], (*self.told, excess)) if len(self.points) > 1 else None

    def without_points(self) -> Listed:
        return Listed(self.points)


def use_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(source: Any, settings: EncodeSettings, weights: int) -> Point:
        return Point(round(math.log(settings.distance), 9), settings.log_lambda, weights)

    monkeypatch.setattr(landing, "encode", encode)
    monkeypatch.setattr(landing, "decode", lambda source, trial: trial)
    monkeypatch.setattr(landing, "increased", lambda weights, *_: weights + 1)
    monkeypatch.setattr(landing, "worst", lambda *_: 0.0)


def land(
    judge: Any, approach: Any, budget: Budget, limits: Limits = LIMITS, **more: Any
) -> Evaluation | None:
    return landing.land(None, judge, limits, 0, EncodeSettings(1.0), approach, budget, **more)  # type: ignore[arg-type]


def by_x(point: Point) -> float:
    return point.x


def tiles_of(judge: Curves) -> Any:
    tiles = SimpleNamespace(cut_weights=lambda weights, source: weights)
    return SimpleNamespace(tiles=tiles, source=None, judge=judge)


def slope(share: float, offset: float) -> Curve:
    """Return a curve like that of a picture: by tables, and by the multiplier about a tenth as much."""
    return lambda point: offset + share * (1.25 * point.x + 0.135 * point.y)
