"""The loop of a landing: which file it returns, and when it ends."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from reference.landings import BOTH, Curves, Listed, Point, by_x, land, use_points

from guetzpy.metrics.base import Score
from guetzpy.search import landing
from guetzpy.search.landing import Budget


@pytest.fixture(autouse=True)
def _points_for_files(monkeypatch: pytest.MonkeyPatch) -> None:
    use_points(monkeypatch)


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
    """The first evaluation uses one metric alone, because that metric is expected to bind by far."""
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
    """Errors before and after an encode with larger weights, its excess, and whether it is taken."""

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
    """The leads come from the best file. So the second metric is computed first, and misses its limit."""
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
