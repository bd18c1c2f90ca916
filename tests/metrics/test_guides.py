"""Metrics without limits: their gradients steer the search, and no file is scored by them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

import guetzpy
from guetzpy.metrics import CVVDPComparator, registry
from guetzpy.metrics.base import Resources, Score
from guetzpy.metrics.distance import BUTTERAUGLI, SSIMULACRA2
from guetzpy.metrics.guides import CVVDP
from guetzpy.picture.transform import Transform
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.weighting import Mix


@dataclass(frozen=True)
class Counted:
    """CVVDP that counts the calls of its comparator."""

    calls: list[str] = field(default_factory=list)
    name: str = CVVDP.name

    def __getattr__(self, name: str) -> Any:
        return getattr(CVVDP, name)

    def comparator(self, codes: np.ndarray, transform: Transform, resources: Resources) -> Any:
        self.calls.append("comparator")
        return _Counting(CVVDP.comparator(codes, transform, resources), self.calls)


@dataclass(frozen=True)
class _Counting:
    inner: Any
    calls: list[str]

    def score(self, codes: np.ndarray) -> Score:
        self.calls.append("score")
        return self.inner.score(codes)

    def gradient_rows(self, codes: np.ndarray) -> Any:
        self.calls.append("gradient")
        return self.inner.gradient_rows(codes)

    def release(self) -> None:
        self.inner.release()


@pytest.fixture
def counted() -> Iterator[Counted]:
    registry.unregister(CVVDP.name)
    metric = Counted()
    registry.register(metric)
    yield metric
    registry.unregister(metric.name)
    registry.register(CVVDP)


@pytest.mark.parametrize(("effort", "gradients"), [("fast", 0), ("balanced", 1)])
def test_a_guide_gives_gradients_and_no_scores(
    photo_array: np.ndarray, counted: Counted, effort: Any, gradients: int
) -> None:
    guetzpy.optimize(photo_array, distance=2.0, effort=effort)
    assert counted.calls == ["comparator", "gradient"] * gradients


def test_a_size_is_searched_with_the_guide(photo_array: np.ndarray, counted: Counted) -> None:
    guetzpy.optimize(photo_array, max_bytes=20_000)
    assert "gradient" in counted.calls
    assert "score" not in counted.calls


def test_cvvdp_makes_files_better_by_cvvdp() -> None:
    photo = np.ascontiguousarray(data.coffee()[100:356, 150:406])

    def error_by_bytes(result: guetzpy.Result) -> float:
        # For the files of one search, (10 - JOD) times the squared bytes hardly changes.
        score = CVVDPComparator(photo).score(Image.open(io.BytesIO(result.data)))
        return float(np.log(10.0 - score) + 2.0 * np.log(len(result.data)))

    guided = guetzpy.optimize(photo, distance=2.0, mark=False)
    registry.unregister(CVVDP.name)
    try:
        alone = guetzpy.optimize(photo, distance=2.0, mark=False)
    finally:
        registry.register(CVVDP)
    assert error_by_bytes(guided) < error_by_bytes(alone) - 0.02


def test_judges_score_by_limits_alone(photo_array: np.ndarray) -> None:
    codes = np.ascontiguousarray(photo_array.transpose(2, 0, 1))
    judge = Judge(codes, Transform())
    scores = judge.scores(codes)
    assert [judge.metrics[n] for n in judge.scored] == [BUTTERAUGLI, SSIMULACRA2]
    assert np.isnan(scores.of("cvvdp"))
    assert Limits.of_scores(scores).bound("cvvdp") is None
    assert Limits.at_distance(1.0).bound("cvvdp") is None
    assert Limits.at_distance(1.0).met(scores)


def test_gradients_grow_with_distortion(photo_array: np.ndarray) -> None:
    codes = np.ascontiguousarray(photo_array.transpose(2, 0, 1))
    noise = np.random.default_rng(0).integers(-9, 10, codes.shape)
    worse = np.clip(codes + noise, 0, 255).astype(np.uint8)
    comparator = CVVDP.comparator(codes, Transform(), Resources(threads=1))
    value, rows = comparator.gradient_rows(worse)
    assert value == pytest.approx(comparator.score(worse).value, abs=1e-9)
    assert (rows(0, codes.shape[1]) * (worse.astype(np.float32) - codes)).sum() > 0


@pytest.mark.parametrize("several", [False, True])
def test_a_guide_has_its_share_and_the_others_share_the_rest_equally(several: bool) -> None:
    mix = Mix.of((BUTTERAUGLI, SSIMULACRA2, CVVDP), several_rounds=several)
    two = Mix.of((BUTTERAUGLI, SSIMULACRA2), several_rounds=several)
    assert mix.shares == (24, 23, 17)
    assert two.shares == (32, 32)
    assert replace(mix, shares=()) == replace(two, shares=())


def test_scores_of_a_guide_are_ordered_and_have_no_limit() -> None:
    assert CVVDP.limit_at(1.0) is None
    assert CVVDP.log_distance(9.0) > CVVDP.log_distance(9.9) > CVVDP.log_distance(10.0)
    assert np.isfinite(CVVDP.log_distance(10.0))
    assert CVVDP.is_identical(10.0)
    assert not CVVDP.is_identical(9.999)
    assert CVVDP.close_to(9.5) == 9.5
