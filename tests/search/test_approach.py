"""The rules for the next point: when tables or the multiplier change, and when the search ends."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from guetzpy.search import calibration
from guetzpy.search.approach import ByDistance, ByDistanceAndLambda
from guetzpy.search.quality.limits import COARSEST, FINEST


def test_tables_alone_leave_the_multiplier_as_it_is() -> None:
    start = ByDistance.from_start(0.3, 0.01)
    assert start.log_lambda == 0.0
    following = start.after(0.5)
    assert following is not None
    assert following.log_lambda == 0.0
    assert ByDistanceAndLambda(0.3).log_lambda == 0.0


def test_without_points_forgets_what_was_measured() -> None:
    """The point to evaluate stays the same; the next point depends on its excess alone, as at the start."""
    tables = ByDistance.from_start(0.0, 0.01).after(0.5)
    assert tables is not None
    fresh = tables.without_points()
    assert fresh == ByDistance.from_start(tables.log_distance, 0.01)
    assert tables.root.points

    both = ByDistanceAndLambda(0.0).after(-0.02)
    assert both is not None
    assert both.by_lambda is not None
    fresh_both = both.without_points()
    assert fresh_both == ByDistanceAndLambda(0.0, both.log_lambda)


def test_by_distance_stays_within_the_range_of_tables() -> None:
    coarse = ByDistance.from_start(math.log(COARSEST) - 0.1, 0.01).after(-5.0)
    assert coarse is not None
    assert coarse.log_distance == pytest.approx(math.log(COARSEST))
    assert coarse.after(-5.0) is None  # no coarser tables are left
    fine = ByDistance.from_start(math.log(FINEST) + 0.1, 0.01).after(5.0)
    assert fine is not None
    assert fine.log_distance == pytest.approx(math.log(FINEST))
    assert fine.after(5.0) is None


def test_by_distance_ends_after_a_step_that_is_too_small_to_matter() -> None:
    root = ByDistance.from_start(0.0, 1e-6).root
    assert ByDistance(0.5, root).after(9e-5) is None
    assert ByDistance(0.5, root).after(2e-4) is not None


@pytest.mark.parametrize("approach", [ByDistanceAndLambda(0.0), ByDistanceAndLambda.where_expensive(0.0)])
def test_the_multiplier_changes_only_near_the_limits(approach: ByDistanceAndLambda) -> None:
    near, far = approach.after(-0.069), approach.after(-0.071)
    assert near is not None
    assert far is not None
    assert (near.log_distance, near.by_lambda is not None) == (0.0, True)
    assert near.log_lambda > 0.0
    assert far.log_distance > 0.0
    assert (far.log_lambda, far.by_lambda) == (0.0, None)


def test_a_small_excess_is_corrected_only_up_to_its_bound() -> None:
    start = ByDistanceAndLambda.where_expensive(0.0)
    within, beyond = start.after(calibration.CORRECTED), start.after(calibration.CORRECTED + 1e-6)
    assert within is not None
    assert beyond is not None
    assert within.log_lambda < 0.0
    assert (beyond.log_lambda, beyond.by_lambda) == (0.0, None)
    assert beyond.log_distance < 0.0
    cheap = ByDistanceAndLambda(0.0).after(1e-3)
    assert cheap is not None
    assert cheap.log_distance < 0.0  # finer tables at once, without an evaluation at the same point


def test_the_multiplier_stays_within_its_range() -> None:
    up = ByDistanceAndLambda(0.0, log_lambda=0.9).after(-0.069)
    assert up is not None
    assert up.log_lambda == 1.0
    cheap = ByDistanceAndLambda(0.0, log_lambda=0.1).after(0.5)
    assert cheap is not None
    assert cheap.log_lambda == 0.0
    expensive = ByDistanceAndLambda.where_expensive(0.0, log_lambda=0.1).after(0.5)
    assert expensive is not None
    assert expensive.log_lambda == calibration.LOWEST_LOG_LAMBDA


def test_tables_change_again_if_the_usual_multiplier_misses_the_limits() -> None:
    missed = ByDistanceAndLambda(0.0, log_lambda=0.1).after(0.5)
    assert missed is not None
    assert (missed.log_distance, missed.log_lambda) == (0.0, 0.0)
    assert missed.by_lambda is not None
    again = missed.after(0.4)
    assert again is not None
    assert again.by_lambda is None
    assert again.log_distance < 0.0
    assert again.corrected == 0.0
    # A larger multiplier than the usual one is reduced, and the tables stay.
    larger = replace(missed, log_lambda=0.3).after(0.2)
    assert larger is not None
    assert larger.by_lambda is not None
    assert larger.log_distance == 0.0


def test_a_smaller_multiplier_gets_two_evaluations() -> None:
    first = ByDistanceAndLambda.where_expensive(0.0).after(0.01)
    assert first is not None
    second = first.after(0.005)
    assert second is not None
    assert (second.log_distance, second.by_lambda is not None) == (0.0, True)
    third = second.after(0.005)
    assert third is not None
    assert third.by_lambda is None
    assert third.log_distance < 0.0


def test_the_first_evaluation_at_a_smaller_multiplier_is_not_in_vain() -> None:
    start = replace(ByDistanceAndLambda.where_expensive(0.0, log_lambda=0.1).without_points(), corrected=0.01)
    first = start.after(0.05)
    assert first is not None
    assert first.by_lambda is not None
    assert first.log_lambda < 0.0
    assert len(first.by_lambda.points) == 1
    second = first.after(0.04)
    assert second is not None
    assert (second.log_distance, second.by_lambda is not None) == (0.0, True)


def test_the_search_ends_at_the_finest_tables() -> None:
    finest = math.log(FINEST)
    assert ByDistanceAndLambda(finest).after(0.3) is None
    assert ByDistanceAndLambda(finest + 5e-10).after(0.3) is None
    assert ByDistanceAndLambda(finest + 0.1).after(0.3) is not None
    assert ByDistanceAndLambda(finest).after(-0.3) is not None
    # A larger distance met the limits before, by chance. The search ends nevertheless.
    passed = ByDistanceAndLambda(finest).by_distance.with_point(finest + 1.0, -0.05)
    assert ByDistanceAndLambda(finest, by_distance=passed).after(0.3) is None
    assert ByDistanceAndLambda(finest).after(0.0) is not None


def test_the_search_ends_if_no_file_gets_better() -> None:
    root = ByDistanceAndLambda(0.0).by_distance.with_point(0.0, 0.7).with_point(-0.5, 0.6)
    assert ByDistanceAndLambda(-1.0, by_distance=root).after(0.48) is None
    assert ByDistanceAndLambda(-1.0, by_distance=root).after(0.1) is not None


def test_a_point_is_not_evaluated_twice() -> None:
    coarsest = math.log(COARSEST)
    assert ByDistanceAndLambda(coarsest).after(-2.0) is None
    assert ByDistanceAndLambda(coarsest - 2e-4).after(-2.0) is not None
    assert ByDistanceAndLambda(coarsest - 5e-5).after(-2.0) is None
