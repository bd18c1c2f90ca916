"""The search by secants: which point it measures next, and when it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guetzpy.search.root import Root

START = Root(slope=1.0, tolerance=0.01)


def measured(*points: tuple[float, float]) -> Root:
    root = START
    for x, f in points:
        root = root.with_point(x, f)
    return root


def test_the_first_step_follows_the_expected_slope() -> None:
    assert measured((0.0, 0.5)).propose() == pytest.approx(-0.504)  # the aim is -0.4 times the tolerance
    assert measured((0.0, 9.0)).propose() == pytest.approx(-1.5)  # the longest step
    assert measured((0.0, -9.0)).propose() == pytest.approx(1.5)


def test_a_point_at_exactly_0_passes() -> None:
    """The secant through these points leads below the one that passes, so the bracket is halved."""
    assert measured((0.0, 0.0)).done
    assert measured((0.0, 0.0), (1.0, 0.5)).propose() == 0.5


def test_a_point_at_the_end_of_the_tolerance_is_good_enough() -> None:
    assert measured((0.0, -0.01)).done
    assert not measured((0.0, -0.0101)).done
    assert not measured((0.0, 1e-9)).done


def test_a_slope_is_kept_near_the_expected_one() -> None:
    assert measured((1.0, 0.5), (0.9, 0.4999)).propose() == pytest.approx(0.9 - 0.5039 / 0.35)
    assert measured((1.0, 0.9), (0.9, 0.2)).propose() == pytest.approx(0.9 - 0.204 / 3.0)


def test_the_range_of_slopes_grows_with_the_expected_slope() -> None:
    flat = Root(slope=2.0, tolerance=0.01, points=((1.0, 0.5), (0.9, 0.4999)))
    assert flat.propose() == pytest.approx(0.9 - 0.5039 / 0.7)
    steep = Root(slope=2.0, tolerance=0.01, points=((1.0, 0.9), (0.9, 0.2)))
    assert steep.propose() == pytest.approx(0.9 - 0.204 / 6.0)


@pytest.mark.parametrize(("at", "next_at"), [(0.12, 0.12), (0.08, 0.5), (0.88, 0.88), (0.92, 0.5)])
def test_only_the_outer_tenths_of_the_bracket_are_avoided(at: float, next_at: float) -> None:
    """The secant of slope 1 leads to ``at``."""
    start = -0.004 - at
    assert measured((0.0, start), (1.0, start + 1.0)).propose() == pytest.approx(next_at)


def test_hopeless_after_three_failures_without_progress() -> None:
    assert measured((0.0, 0.5), (-0.5, 0.48), (-1.0, 0.46)).hopeless
    assert not measured((0.0, 0.5), (-1.0, 0.46)).hopeless
    assert not measured((0.0, 0.5), (-0.5, 0.2), (-1.0, 0.05)).hopeless  # f decreases
    assert not measured((0.0, 0.5), (-0.5, -0.1), (-1.0, 0.46)).hopeless  # one point passes
    assert not measured((0.0, 0.03), (-0.5, 0.025), (-1.0, 0.02)).hopeless  # f is nearly 0
    assert measured((0.0, 0.03), (-0.5, 0.025), (-1.0, 0.0201)).hopeless
    assert not measured((0.1, 0.5), (0.05, 0.5), (0.0, 0.5)).hopeless  # x hardly decreased
    assert measured((0.11, 0.5), (0.05, 0.5), (0.0, 0.5)).hopeless
    assert not measured((0.0, 0.5), (0.5, 0.9), (1.0, 0.9)).hopeless  # x increased


def test_flat_is_far_above_0_without_change() -> None:
    assert measured((0.0, 0.5), (-1.0, 0.45)).flat
    assert not measured((0.0, 0.5)).flat
    assert not measured((0.0, 0.5), (-1.0, 0.3)).flat
    assert not measured((0.0, 0.2), (-1.0, 0.2)).flat


@given(low=st.floats(-2, 2), width=st.floats(0.01, 2), passing=st.floats(-1, 0), failing=st.floats(0.001, 1))
def test_proposals_are_well_inside_the_bracket(
    low: float, width: float, passing: float, failing: float
) -> None:
    x = measured((low, passing), (low + width, failing)).propose()
    assert low + 0.099 * width <= x <= low + 0.901 * width
