from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guetzpy._runtime import exact_math as elementary
from guetzpy.metrics.base import Metric
from guetzpy.metrics.distance import BUTTERAUGLI, DEFINING, SSIMULACRA2
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores
from guetzpy.search.root import Root

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


def scores(butteraugli: float, ssimulacra2: float) -> Scores:
    return Scores(DEFINING, (butteraugli, ssimulacra2))


@pytest.mark.parametrize(("distance", "butteraugli", "ssimulacra2"), TABLE)
def test_table(distance: float, butteraugli: float, ssimulacra2: float) -> None:
    assert BUTTERAUGLI.limit_at(distance) == pytest.approx(butteraugli, abs=1e-9)
    assert SSIMULACRA2.limit_at(distance) == pytest.approx(ssimulacra2, abs=1e-9)


@given(st.floats(0.05, 25.0), st.floats(1.001, 2.0))
def test_limits_grow_with_distance(distance: float, factor: float) -> None:
    assert BUTTERAUGLI.limit_at(distance * factor) > BUTTERAUGLI.limit_at(distance)
    assert SSIMULACRA2.limit_at(distance * factor) < SSIMULACRA2.limit_at(distance)


@pytest.mark.parametrize("metric", DEFINING)
@given(distance=st.floats(0.05, 25.0))
def test_log_distance_is_the_inverse_of_the_limit(metric: Metric, distance: float) -> None:
    limit = metric.limit_at(distance)
    assert limit is not None
    assert metric.log_distance(limit) == pytest.approx(math.log(distance), abs=1e-6)


def test_identical_pictures_have_distance_0() -> None:
    assert scores(0.0, 100.0).distance == 0.0
    assert scores(0.679, 100.0).distance == pytest.approx(1.0)


def test_excess_is_that_of_the_binding_limit() -> None:
    limits = Limits.at_distance(1.0, DEFINING)
    assert limits.excess(scores(0.679, 85.3)) == pytest.approx(0.0, abs=1e-9)
    assert limits.excess(scores(0.5, 80.0)) > 0 > limits.excess(scores(0.5, 86.0))
    assert Limits.of({"ssimulacra2": 80.0}, DEFINING).excess(scores(9.0, 80.1)) < 0
    assert limits.met(scores(0.678, 85.4))
    assert not limits.met(scores(0.68, 99.0))


def test_relaxed_limits_are_met_by_the_scores_and_are_not_stricter() -> None:
    limits = Limits.at_distance(1.0, DEFINING).relaxed(scores(0.9, 90.0))
    assert limits.bound("butteraugli") == 0.9
    assert limits.bound("ssimulacra2") == pytest.approx(85.3)
    assert limits.met(scores(0.9, 90.0))


def test_a_limit_of_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(KeyError, match="vmaf"):
        Limits.of({"vmaf": 90.0}, DEFINING)


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0, 4.0])
def test_tolerances_are_within_what_counts_as_close(distance: float) -> None:
    limits = Limits.at_distance(distance, DEFINING)
    norm, score = limits.bounds
    assert norm is not None
    assert score is not None
    by_norm, by_score = limits.tolerances
    assert limits.excess_by(0, 0.99 * norm) < -by_norm < limits.excess_by(0, 0.995 * norm)
    assert limits.excess_by(1, score + 0.15) < -by_score < limits.excess_by(1, score + 0.07)
    assert Limits(DEFINING, (norm, None)).tolerances == (by_norm, 0.0)
    assert Limits(DEFINING, (None, 100.0)).tolerances[0] == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.002])
@pytest.mark.parametrize("slope", [0.5, 1.0, 1.8])
def test_root_is_found_in_few_steps(slope: float, noise: float) -> None:
    root = Root(1.0, 0.012)
    x = 0.7
    for step in range(9):
        root = root.with_point(x, slope * (x - 0.2) + noise * math.sin(50 * step))
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
