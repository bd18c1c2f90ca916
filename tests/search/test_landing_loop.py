"""The loop of a landing: which file it returns, when it ends, and how tiles predict the next evaluation.

Files are replaced by points: the excess is a given function of the point and of the weights' number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from guetzpy.metrics.base import Score
from guetzpy.search import calibration, landing
from guetzpy.search.approach import ByDistance, ByDistanceAndLambda
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.evaluation import Evaluation
from guetzpy.search.landing import Budget
from guetzpy.search.quality.limits import COARSEST, FINEST, Limits
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


@pytest.fixture(autouse=True)
def _points_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
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


NEVER_CLOSE = -1.0


def test_the_coarsest_file_that_meets_the_limits_is_returned() -> None:
    judge = Curves(by_x)
    found = land(judge, Listed((-0.5, -0.2, 0.3, -0.3, 0.1)), Budget(9, 9, NEVER_CLOSE))
    assert found is not None
    assert (found.excess, found.trial.x) == (-0.2, -0.2)  # type: ignore[attr-defined]
    assert found.scores.of("first") == -0.2
    assert [point.x for point in judge.seen] == [-0.5, -0.2, 0.3, -0.3, 0.1]


def test_an_excess_of_exactly_0_meets_the_limits() -> None:
    found = land(Curves(by_x), Listed((0.5, 0.0)), Budget(9, 9, 0.0))
    assert found is not None
    assert found.excess == 0.0


def test_no_file_is_returned_if_none_meets_the_limits() -> None:
    assert land(Curves(by_x), Listed((0.5, 1e-6)), Budget(9, 9)) is None
    assert land(Curves(by_x), Listed((1e-6,)), Budget(9, 9)) is None  # scored by all metrics
    close = Curves(by_x, by_x)
    assert land(close, Listed((0.5, 1e-6)), Budget(9, 9), BOTH) is None


def test_the_budget_of_an_effort_leaves_room_for_hard_pictures() -> None:
    assert Budget.of_probes(8) == Budget(14, 11, None)


@pytest.mark.parametrize(
    ("budget", "evaluations", "excess"),
    [
        (Budget(6, 2, NEVER_CLOSE), 3, -0.5),  # the first file that meets the limits after two evaluations
        (Budget(6, 3, NEVER_CLOSE), 3, -0.5),
        (Budget(6, 4, NEVER_CLOSE), 4, -0.1),
        (Budget(5, 9, NEVER_CLOSE), 5, -0.1),  # no more evaluations than allowed
        (Budget(9, 9, 0.5), 3, -0.5),  # close enough
        (Budget(9, 9, 0.499), 4, -0.1),
        (Budget(9, 9), 5, -0.01),  # close enough for the metric
    ],
)
def test_when_a_landing_ends(budget: Budget, evaluations: int, excess: float) -> None:
    judge, checks = Curves(by_x), []
    points = Listed((0.5, 0.4, -0.5, -0.1, -0.01, 0.2, 0.3))
    found = land(judge, points, budget, check=lambda: checks.append(1))
    assert found is not None
    assert len(judge.seen) == len(checks) == evaluations
    assert found.excess == (excess if evaluations != 5 or budget.tolerance is None else -0.01)


def test_weights_are_increased_once_after_the_first_evaluation() -> None:
    judge = Curves(by_x)
    land(judge, Listed((0.5, 0.4, -0.5)), Budget(9, 9))
    assert [point.weights for point in judge.seen] == [0, 1, 1]


def test_weights_are_increased_after_the_first_evaluation_by_all_metrics() -> None:
    """The first one is by one metric alone, because this one is expected to bind by far."""
    judge = Curves(by_x, lambda point: point.x - 0.2)
    land(judge, Listed((0.5, -0.3, -0.2)), Budget(9, 9, NEVER_CLOSE), BOTH, leads=(0.0, -0.2))
    assert [point.weights for point in judge.seen] == [0, 0, 1]


@pytest.mark.parametrize(("offset", "forgotten"), [(0.3, True), (-0.3, False)])
def test_excesses_are_forgotten_only_if_another_metric_binds(
    monkeypatch: pytest.MonkeyPatch, offset: float, forgotten: bool
) -> None:
    told: list[tuple[float, ...]] = []
    after = Listed.after

    def recorded(self: Listed, excess: float) -> Listed | None:
        following = after(self, excess)
        told.append(() if following is None else following.told)
        return following

    monkeypatch.setattr(Listed, "after", recorded)
    judge = Curves(by_x, lambda point: point.x + offset)
    land(judge, Listed((0.5, -0.5, -0.6, -0.7)), Budget(9, 9, NEVER_CLOSE), BOTH, leads=(0.0, -0.2))
    second = -0.5 + max(offset, 0.0)
    assert told[1] == pytest.approx((second,) if forgotten else (0.5, second))


class Repair(NamedTuple):
    """Scores of the file that is encoded with larger weights, and what is expected."""

    before: float
    after: float
    excess: float
    other: float
    taken: bool


@pytest.mark.parametrize(
    "case",
    [
        Repair(before=1.2, after=1.0, excess=-0.03, other=-9.0, taken=True),
        Repair(before=1.2, after=1.19, excess=0.0, other=-9.0, taken=True),
        Repair(before=1.2, after=1.2, excess=-0.03, other=-9.0, taken=False),  # the errors are as large
        Repair(before=1.2, after=1.3, excess=-0.03, other=-9.0, taken=False),
        Repair(before=1.2, after=1.0, excess=1e-6, other=-9.0, taken=False),  # a limit is missed
        Repair(before=1.2, after=1.0, excess=-0.03, other=1e-6, taken=False),
        Repair(before=1.1, after=1.0, excess=-0.03, other=-9.0, taken=False),  # the errors were small
    ],
)
def test_large_local_errors_get_one_more_encode(monkeypatch: pytest.MonkeyPatch, case: Repair) -> None:
    best = Point(-0.001, 0.0, 0)

    def is_best(point: Point) -> bool:
        return point.weights == 0

    errors = {-0.001: case.before, case.excess: case.after}
    monkeypatch.setattr(landing, "worst", lambda scores, limits: errors[scores.of("first")])
    judge = Curves(
        lambda point: point.x if is_best(point) else case.excess,
        lambda point: -9.0 if is_best(point) else case.other,
    )
    checks: list[int] = []
    found = land(judge, Listed((-0.001,)), Budget(1, 1), BOTH, check=lambda: checks.append(1))
    assert found is not None
    again = case.before > 1.1
    assert judge.seen == ([best, Point(-0.001, 0.0, 1)] if again else [best])
    assert len(checks) == len(judge.seen)
    assert found.trial == judge.seen[1 if case.taken else 0]
    assert found.excess == (case.excess if case.taken else -0.001)
    assert found.scores.of("first") == found.excess


def test_the_encode_with_larger_weights_is_at_the_place_and_weights_of_the_best_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landing, "worst", lambda *_: 2.0)
    judge = Curves(by_x)
    land(judge, Listed((0.5, -0.2, -0.3)), Budget(9, 9, NEVER_CLOSE))
    assert judge.seen[-1] == Point(-0.2, 0.0, 2)
    judge = Curves(by_x)
    land(judge, Listed((-0.2, -0.3)), Budget(9, 9, NEVER_CLOSE))
    assert judge.seen[-1] == Point(-0.2, 0.0, 1)


def test_a_metric_that_binds_alone_decides_on_the_encode_with_larger_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The leads are those of the best file: the second metric is then asked first, and misses its limit."""
    monkeypatch.setattr(landing, "worst", lambda *_: 2.0)
    asked: list[tuple[int, int]] = []

    class Asked(Curves):
        def score(self, number: int, point: Point) -> Score:
            asked.append((point.weights, number))
            return super().score(number, point)

    judge = Asked(lambda point: -0.5, lambda point: 0.1 if point.weights else -0.001)
    found = land(judge, Listed((0.0,)), Budget(1, 1), BOTH)
    assert found is not None
    assert found.excess == -0.001
    assert [number for weights, number in asked if weights] == [1]


def slope(share: float, offset: float) -> Curve:
    """Return a curve like that of a picture: by tables, and by the multiplier about a tenth as much."""
    return lambda point: offset + share * (1.25 * point.x + 0.135 * point.y)


@pytest.mark.parametrize("offset", [-0.6, -0.1, 0.1, 0.6])
@pytest.mark.parametrize("share", [0.5, 0.87, 1.1])
def test_tiles_lead_to_the_limits_in_few_evaluations(offset: float, share: float) -> None:
    judge, tiles = Curves(slope(share, offset)), Curves(slope(1.0, 0.3))
    found = land(judge, ByDistanceAndLambda.where_expensive(0.0), Budget.of_probes(8), part=tiles_of(tiles))
    assert found is not None
    assert len(judge.seen) <= 4
    assert found.excess >= -calibration.SCOUTED_TOLERANCE * len(judge.seen)
    assert {point.weights for point in judge.seen} == {0}  # weights of tiles and picture stay the same


def test_tiles_are_evaluated_a_few_times_before_each_of_the_first_evaluations() -> None:
    """The tiles never react, so that each prediction takes all the evaluations that it may."""
    judge, tiles = Curves(lambda point: 0.5 - 0.01 * len(judge.seen)), Curves(lambda point: 0.4)
    assert land(judge, ByDistance.from_start(0.0, 0.01), Budget(3, 3), part=tiles_of(tiles)) is None
    assert len(judge.seen) == 3
    assert len(tiles.seen) <= 3 * (1 + landing._ON_TILES)


def test_a_picture_that_no_file_of_meets_the_limits_ends_at_the_finest_tables() -> None:
    judge = Curves(lambda point: 1.0)
    start = ByDistanceAndLambda.where_expensive(math.log(FINEST))
    part = tiles_of(Curves(lambda point: 1.0))
    assert land(judge, start, Budget.of_probes(8), part=part) is None
    assert len(judge.seen) == 1


def test_after_four_predictions_the_approach_goes_on_alone() -> None:
    judge = Curves(lambda point: 0.3 + 1e-3 * point.x)
    tiles = Curves(slope(1.0, 0.3))
    land(judge, ByDistanceAndLambda.where_expensive(0.0), Budget(4, 4), part=tiles_of(tiles))
    asked = len(tiles.seen)
    again, more = Curves(judge.first), Curves(tiles.first)
    land(again, ByDistanceAndLambda.where_expensive(0.0), Budget(7, 7), part=tiles_of(more))
    assert len(again.seen) > 4
    assert len(more.seen) == asked


@pytest.mark.parametrize(("number", "close"), [(0, 0.0165), (1, 0.0165), (2, 0.033), (3, 0.0495)])
def test_tolerance_grows_with_each_evaluation_where_tiles_predict(number: int, close: float) -> None:
    def is_close(excess: float) -> bool:
        best = Evaluation(None, Scores(METRICS, (excess, excess - 1.0)), excess)  # type: ignore[arg-type]
        return landing._close(best, BOTH, None, True, number)

    assert is_close(-close + 1e-6)
    assert not is_close(-close - 1e-6)


def test_without_tiles_a_file_is_close_if_it_is_by_any_metric() -> None:
    def is_close(first: float, second: float) -> bool:
        best = Evaluation(None, Scores(METRICS, (first, second)), max(first, second))  # type: ignore[arg-type]
        return landing._close(best, BOTH, None, False, 3)

    assert is_close(-0.5, -0.01)
    assert is_close(-0.01, -0.5)
    assert not is_close(-0.011, -0.011)


def scout(judge: Curves, limits: Limits = LIMITS, **state: float) -> landing._Scout:
    return landing._Scout(tiles_of(judge), 0, limits, **state)  # type: ignore[arg-type]


def test_the_share_by_which_the_picture_follows_its_tiles() -> None:
    tiles = Curves(by_x)
    assert scout(tiles).seen(0.1).follows == calibration.FOLLOWS_BETTER
    assert scout(tiles).seen(0.0).follows == calibration.FOLLOWS_WORSE
    known = scout(tiles, follows=0.8, expected=-0.2, before=0.3)
    assert known.seen(0.15).follows == pytest.approx(0.6)  # it changed by -0.15, not by -0.2
    assert known.seen(0.3).follows == 0.3
    assert known.seen(-0.5).follows == 1.2
    little = calibration.TELLING_CHANGE
    assert scout(tiles, follows=0.8, expected=little, before=0.3).seen(0.9).follows == 0.8
    assert scout(tiles, follows=0.8, expected=-little, before=0.3).seen(0.9).follows == 0.8
    assert scout(tiles, follows=0.8, expected=1.01 * little, before=0.3).seen(0.9).follows == 1.2


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("excess", [-0.3, 0.2])
def test_a_prediction_aims_a_little_below_the_limits(number: int, excess: float) -> None:
    tiles = Curves(slope(1.0, 0.7))
    here = ByDistanceAndLambda.where_expensive(0.1)
    found = scout(tiles, follows=0.9).next(EncodeSettings(1.0), (excess, float("-inf")), here, number)
    there = Point(found.approach.log_distance, found.approach.log_lambda, 0)
    change = 0.9 * (tiles.first(there) - tiles.first(Point(0.1, 0.0, 0)))
    aim = -0.6 * (number + 1) * calibration.SCOUTED_TOLERANCE
    assert found.change == pytest.approx(change)
    # The aim moves away from the limits with each evaluation; the closest point that was tried is taken.
    missed = [abs(excess + 0.9 * (tiles.first(p) - tiles.first(tiles.seen[0])) - aim) for p in tiles.seen[1:]]
    assert abs(excess + change - aim) == pytest.approx(min(missed))
    assert number or min(missed) < 0.3 * calibration.TILE_TOLERANCE
    assert tiles.seen[0].x == pytest.approx(0.1)
    assert found.approach == ByDistanceAndLambda.where_expensive(there.x, there.y)
    assert len(tiles.seen) <= 1 + landing._ON_TILES


def test_a_prediction_considers_each_metric_with_a_limit() -> None:
    """The second metric changes twice as fast, and binds after the change."""
    tiles = Curves(slope(1.0, 0.0), slope(2.0, 0.0))
    here = ByDistanceAndLambda.where_expensive(0.0)
    found = scout(tiles, BOTH, follows=1.0).next(EncodeSettings(1.0), (-0.3, -0.4), here, 0)
    x, y = found.approach.log_distance, found.approach.log_lambda
    first, second = -0.3 + tiles.first(Point(x, y, 0)), -0.4 + tiles.second(Point(x, y, 0))
    assert second > first
    assert abs(second + 0.6 * calibration.SCOUTED_TOLERANCE) < 0.3 * calibration.TILE_TOLERANCE
    assert found.change == pytest.approx(second + 0.3)


def test_a_prediction_is_the_closest_point_on_the_tiles() -> None:
    """The tiles' excess jumps over the aim, so that no point comes close to it."""
    tiles = Curves(lambda point: 0.3 if point.x > -0.05 else -0.04)
    here = ByDistanceAndLambda.where_expensive(0.0)
    found = scout(tiles, follows=1.0).next(EncodeSettings(1.0), (0.3, float("-inf")), here, 0)
    assert found.change == pytest.approx(-0.34)
    assert found.approach.log_distance <= -0.05


def test_no_prediction_leaves_the_range_of_tables() -> None:
    tiles = Curves(lambda point: -5.0)
    here = ByDistanceAndLambda.where_expensive(math.log(COARSEST))
    found = scout(tiles, follows=1.0).next(EncodeSettings(1.0), (-5.0, float("-inf")), here, 0)
    assert (found.approach.log_distance, found.change) == (here.log_distance, 0.0)
