"""Where the search looks next."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from guetzpy.search.judge import Judge
from guetzpy.search.landing import _Approach, look
from guetzpy.search.target import Limits


def excess_of(x: float, y: float) -> float:
    """Scores jump with the tables, by 0.03 here, and follow the worth of a bit smoothly."""
    return 0.8 * (round(x / 0.04) * 0.04) + 0.15 * y + 0.005


def walk(approach: _Approach, looks: int, excess: Callable[[float, float], float]) -> list[float]:
    seen = []
    for _ in range(looks):
        seen.append(excess(approach.x, approach.y))
        if -0.012 <= seen[-1] <= 0.0 or not approach.add(seen[-1]):
            break
    return seen


def test_the_worth_of_a_bit_uses_up_what_tables_leave() -> None:
    approach = _Approach(0.3)
    assert -0.012 <= walk(approach, 8, excess_of)[-1] <= 0.0
    assert approach.y > 0.0


@pytest.mark.parametrize("dear", [False, True])
def test_where_looks_are_dear_a_small_excess_is_mended_under_the_same_tables(dear: bool) -> None:
    approach = _Approach(0.0, dear=dear)
    seen = walk(approach, 2, excess_of)
    assert seen[0] == pytest.approx(0.005)
    assert (approach.x == 0.0) == dear
    assert (approach.y < 0.0) == dear
    if dear:
        assert -0.012 <= seen[1] <= 0.0


def test_a_bit_that_is_worth_hardly_anything_is_given_up_for_other_tables() -> None:
    approach = _Approach(0.0, dear=True)
    # what a bit is worth does nothing
    walk(approach, 6, lambda x, y: 0.8 * x + 0.008)
    assert approach.x < 0.0
    assert approach.y >= 0.0


class Asked(Judge):
    """A judge whose scores are given, and who notes which were asked for."""

    def __init__(self, butteraugli: float, ssimulacra2: float) -> None:
        self.given = butteraugli, ssimulacra2
        self.asked = ""
        self.threads = 1  # in order

    def by_butteraugli(self, codes: np.ndarray) -> tuple[float, float]:
        self.asked += "b"
        return self.given[0], 2.0 * self.given[0]

    def by_ssimulacra2(self, codes: np.ndarray) -> float:
        self.asked += "s"
        return self.given[1]


CODES = np.zeros((1, 8, 8), np.uint8)
LIMITS = Limits(1.0, 80.0)


@pytest.mark.parametrize(
    ("given", "gap", "asked"),
    [
        ((0.9, 79.0), -0.1, "s"),  # SSIMULACRA 2 fails it
        ((0.9, 81.0), -0.1, "sb"),  # it passes so far
        ((1.1, 81.0), -0.1, "sb"),  # and fails by the other, against what was expected
        ((1.1, 81.0), 0.1, "b"),
        ((0.9, 81.0), 0.1, "bs"),
        ((1.1, 79.0), 0.01, "bs"),  # either may bind
        ((1.1, 79.0), None, "bs"),
    ],
)
def test_the_metric_that_binds_is_asked_first(
    given: tuple[float, float], gap: float | None, asked: str
) -> None:
    judge = Asked(*given)
    scores, excesses = look(judge, LIMITS, CODES, gap)
    assert judge.asked == asked
    known = LIMITS.excesses(*given)
    if scores is not None:
        assert (scores.butteraugli, scores.ssimulacra2) == given
        assert excesses == known
        return
    # Never taken for one that passes; what was not asked is guessed.
    assert len(asked) == 1
    assert max(excesses) > 0.0
    assert excesses["bs".index(asked)] == known["bs".index(asked)]
    assert gap is not None
    assert excesses[0] - excesses[1] == pytest.approx(gap)


@pytest.mark.parametrize("limits", [Limits(1.0, None), Limits(None, 80.0)])
def test_one_limit_alone(limits: Limits) -> None:
    gap = limits.by_butteraugli(1.0) - limits.by_ssimulacra2(80.0)
    judge = Asked(1.1, 79.0)
    scores, excesses = look(judge, limits, CODES, gap)
    assert scores is None
    assert judge.asked == ("s" if limits.butteraugli is None else "b")
    assert sorted(excesses)[0] == float("-inf")
    assert max(excesses) > 0.0
    judge = Asked(0.9, 81.0)
    scores, _ = look(judge, limits, CODES, gap)
    assert scores is not None
    assert len(judge.asked) == 2  # what is told of the file has both
