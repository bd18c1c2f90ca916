from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guetzpy import _elementary as elementary
from guetzpy.search import target

TABLE = [
    (0.35, 0.353, 91.6),
    (0.5, 0.428, 90.2),
    (0.7, 0.544, 88.2),
    (1.0, 0.679, 85.3),
    (1.4, 0.832, 81.8),
    (2.0, 1.008, 78.3),
    (2.8, 1.196, 74.2),
    (4.0, 1.448, 69.0),
    (5.6, 1.712, 62.0),
]


@pytest.mark.parametrize(("distance", "butteraugli", "ssimulacra2"), TABLE)
def test_table(distance: float, butteraugli: float, ssimulacra2: float) -> None:
    assert target.butteraugli_limit(distance) == pytest.approx(butteraugli, abs=1e-9)
    assert target.ssimulacra2_limit(distance) == pytest.approx(ssimulacra2, abs=1e-9)


@given(st.floats(0.05, 25.0), st.floats(1.001, 2.0))
def test_limits_grow_with_distance(distance: float, factor: float) -> None:
    assert target.butteraugli_limit(distance * factor) > target.butteraugli_limit(distance)
    assert target.ssimulacra2_limit(distance * factor) < target.ssimulacra2_limit(distance)


@given(st.floats(0.05, 25.0))
def test_inverses(distance: float) -> None:
    assert target.butteraugli_distance(target.butteraugli_limit(distance)) == pytest.approx(
        distance, rel=1e-6
    )
    assert target.ssimulacra2_distance(target.ssimulacra2_limit(distance)) == pytest.approx(
        distance, rel=1e-6
    )


def test_ends() -> None:
    assert target.butteraugli_distance(0.0) == 0.0
    assert target.ssimulacra2_distance(100.0) == 0.0


def test_excess_is_that_of_the_binding_limit() -> None:
    limits = target.Limits.at_distance(1.0)
    assert limits.excess(0.679, 85.3) == pytest.approx(0.0, abs=1e-9)
    assert limits.excess(0.5, 80.0) > 0 > limits.excess(0.5, 86.0)
    assert target.Limits(None, 80.0).excess(9.0, 80.1) < 0
    assert limits.met(0.679, 85.3)
    assert not limits.met(0.68, 99.0)


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0, 4.0])
def test_room_is_never_more_than_what_counts_as_close(distance: float) -> None:
    limits = target.Limits.at_distance(distance)
    norm, score = limits.butteraugli, limits.ssimulacra2
    assert norm is not None
    assert score is not None
    by_norm, by_score = limits.rooms
    assert limits.by_butteraugli(0.99 * norm) < -by_norm < limits.by_butteraugli(0.995 * norm)
    assert limits.by_ssimulacra2(score + 0.15) < -by_score < limits.by_ssimulacra2(score + 0.07)
    assert target.Limits(norm, None).rooms == (by_norm, 0.0)
    assert target.Limits(None, 100.0).rooms[0] == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.002])
@pytest.mark.parametrize("slope", [0.5, 1.0, 1.8])
def test_root_is_found_in_few_steps(slope: float, noise: float) -> None:
    root = target.Root(1.0, 0.012)
    x = 0.7
    for step in range(9):
        root.add(x, slope * (x - 0.2) + noise * math.sin(50 * step))
        if root.done:
            break
        x = root.propose()
    assert root.done
    assert len(root.points) <= 6


@given(st.floats(1e-8, 1e8), st.floats(-3.0, 3.0))
def test_elementary_functions(x: float, y: float) -> None:
    assert elementary.log(x) == pytest.approx(math.log(x), rel=1e-14, abs=1e-15)
    assert elementary.exp(y) == pytest.approx(math.exp(y), rel=1e-14)
    assert elementary.power(x, y) == pytest.approx(x**y, rel=1e-12)
