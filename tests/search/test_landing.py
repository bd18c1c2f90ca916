"""Where the search evaluates next, and which metrics an evaluation needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from guetzpy.metrics.base import Score
from guetzpy.metrics.distance import DEFINING
from guetzpy.search import landing
from guetzpy.search.approach import Approach, ByDistance, ByDistanceAndLambda
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.evaluation import evaluate, leads_of
from guetzpy.search.landing import Budget
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores


def excess_of(x: float, y: float) -> float:
    """Return an excess that changes with the tables in steps of 0.03, and smoothly with the multiplier."""
    return 0.8 * (round(x / 0.04) * 0.04) + 0.15 * y + 0.005


def walk(
    approach: Approach, evaluations: int, excess: Callable[[float, float], float]
) -> tuple[list[float], Approach]:
    seen: list[float] = []
    for _ in range(evaluations):
        seen.append(excess(approach.log_distance, approach.log_lambda))
        following = None if -0.012 <= seen[-1] <= 0.0 else approach.after(seen[-1])
        if following is None:
            break
        approach = following
    return seen, approach


def test_the_multiplier_uses_up_the_margin_that_tables_leave() -> None:
    seen, approach = walk(ByDistanceAndLambda(0.3), 8, excess_of)
    assert -0.012 <= seen[-1] <= 0.0
    assert approach.log_lambda > 0.0


@pytest.mark.parametrize("expensive", [False, True])
def test_expensive_evaluations_correct_a_small_excess_under_the_same_tables(expensive: bool) -> None:
    start = ByDistanceAndLambda.where_expensive if expensive else ByDistanceAndLambda
    seen, approach = walk(start(0.0), 2, excess_of)
    assert seen[0] == pytest.approx(0.005)
    assert (approach.log_distance == 0.0) == expensive
    assert (approach.log_lambda < 0.0) == expensive
    if expensive:
        assert -0.012 <= seen[1] <= 0.0


def test_a_multiplier_without_effect_is_given_up_for_other_tables() -> None:
    _, approach = walk(ByDistanceAndLambda.where_expensive(0.0), 6, lambda x, y: 0.8 * x + 0.008)
    assert approach.log_distance < 0.0
    assert approach.log_lambda >= 0.0


def test_evaluations_end_if_no_quality_meets_the_limits() -> None:
    """If the excess hardly depends on the distance, the search ends after two evaluations."""

    def evaluations(slope: float) -> int:
        return len(walk(ByDistance.from_start(0.0, 0.01), 6, lambda x, y: 1.0 + slope * x)[0])

    assert evaluations(0.01) == 2
    assert 2 < evaluations(0.4) <= 6
    assert math.isfinite(evaluations(1.0))


class Asked(Judge):
    """A judge that returns given scores, and records in ``asked`` which metrics were requested."""

    def __init__(self, given: Sequence[float]) -> None:
        super().__init__(CODES, None, metrics=DEFINING)  # type: ignore[arg-type]
        object.__setattr__(self, "given", given)
        object.__setattr__(self, "asked", [])

    def score(self, number: int, codes: np.ndarray) -> Score:
        self.asked.append(number)  # type: ignore[attr-defined]
        return Score(self.given[number])  # type: ignore[attr-defined]


CODES = np.zeros((1, 8, 8), np.uint8)
LIMITS = Limits(DEFINING, (1.0, 80.0))


@pytest.mark.parametrize(
    ("given", "leads", "asked"),
    [
        ((0.9, 79.0), (-0.1, 0.0), [1]),  # SSIMULACRA 2, asked first, misses its limit
        ((0.9, 81.0), (-0.1, 0.0), [1, 0]),  # both limits hold
        (
            (1.1, 81.0),
            (-0.1, 0.0),
            [1, 0],
        ),  # Butteraugli's limit is missed, although SSIMULACRA 2 was expected to bind
        ((1.1, 81.0), (0.0, -0.1), [0]),
        ((0.9, 81.0), (0.0, -0.1), [0, 1]),
        ((1.1, 79.0), (0.0, -0.01), [0, 1]),  # either metric may bind
        ((1.1, 79.0), None, [0, 1]),
    ],
)
def test_the_binding_metric_is_evaluated_first(
    given: tuple[float, float], leads: tuple[float, float] | None, asked: list[int]
) -> None:
    judge = Asked(given)
    scores, excesses = evaluate(judge, LIMITS, CODES, leads)
    assert judge.asked == asked  # type: ignore[attr-defined]
    known = LIMITS.excesses(Scores(DEFINING, given))
    if scores is not None:
        assert scores.values == given
        assert excesses == known
        return
    # One metric misses its limit, so the other was not asked; its excess is estimated from the leads.
    assert len(asked) == 1
    assert max(excesses) > 0.0
    assert excesses[asked[0]] == known[asked[0]]
    assert leads_of(excesses) == pytest.approx(leads)


def test_excesses_of_a_metric_that_does_not_bind_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: a chart at distance 0.4 got the finest file, with 60 % more bytes than were needed.

    The first excess was that of Butteraugli alone. The second was that of SSIMULACRA 2, and larger at a
    smaller distance, so the landing ended without a file.
    """

    class Encoded(NamedTuple):
        x: float
        rates: tuple[()] = ()

        def bare(self) -> Encoded:
            return self

    def encoded(source: Any, settings: EncodeSettings, weights: Any) -> Encoded:
        return Encoded(math.log(settings.distance))

    def evaluated(
        judge: Any, limits: Any, x: float, leads: Sequence[float]
    ) -> tuple[Scores | None, tuple[float, ...]]:
        excesses = (0.2 + x, 0.55 + 0.8 * x)
        if leads[0] > leads[1] and excesses[0] > 0.0:
            return None, (excesses[0], excesses[0] + leads[1])
        return Scores(DEFINING, (0.9, 79.0)), excesses

    monkeypatch.setattr(landing, "encode", encoded)
    monkeypatch.setattr(landing, "decode", lambda source, trial: trial.x)
    monkeypatch.setattr(landing, "evaluate", evaluated)
    monkeypatch.setattr(landing, "increased", lambda weights, *_: weights)
    found = landing.land(
        None, None, LIMITS, None, EncodeSettings(1.0), ByDistanceAndLambda(-0.1), Budget.of_probes(8),
        leads=(0.0, -0.1),
    )  # type: ignore[arg-type]  # fmt: skip
    assert found is not None
    assert -0.1 < found.excess <= 0.0


@pytest.mark.parametrize("bounds", [(1.0, None), (None, 80.0)])
def test_one_limit_alone(bounds: tuple[float | None, float | None]) -> None:
    limits = Limits(DEFINING, bounds)
    leads = leads_of(limits.excesses(Scores(DEFINING, (1.0, 80.0))))
    judge = Asked((1.1, 79.0))
    scores, excesses = evaluate(judge, limits, CODES, leads)
    assert scores is None
    assert judge.asked == [1 if bounds[0] is None else 0]  # type: ignore[attr-defined]
    assert sorted(excesses)[0] == float("-inf")
    assert max(excesses) > 0.0
    judge = Asked((0.9, 81.0))
    scores, _ = evaluate(judge, limits, CODES, leads)
    assert scores is not None
    assert len(judge.asked) == 2  # type: ignore[attr-defined]  # both limits hold, so both metrics are asked
