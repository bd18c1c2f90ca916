"""Where the search looks next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guetzpy.search.landing import _Approach


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
