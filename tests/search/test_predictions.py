"""How sample tiles predict the next evaluation of a landing, and when a file is close enough."""

from __future__ import annotations

import math

import pytest
from reference.landings import BOTH, LIMITS, METRICS, Curves, Point, by_x, land, slope, tiles_of, use_points

from guetzpy.search import calibration, landing
from guetzpy.search.approach import ByDistance, ByDistanceAndLambda
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.evaluation import Evaluation
from guetzpy.search.landing import Budget
from guetzpy.search.quality.limits import COARSEST, FINEST, Limits
from guetzpy.search.quality.scores import Scores


@pytest.fixture(autouse=True)
def _points_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    use_points(monkeypatch)


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
    assert known.seen(0.15).follows == pytest.approx(0.6)  # 0.8 * -0.15 / -0.2 (found / expected)
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
