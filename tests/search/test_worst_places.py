"""Larger weights where local errors are too large: the errors of blocks, the factors, and a whole search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guetzpy.metrics.base import Resources
from guetzpy.metrics.registry import registered
from guetzpy.picture.transform import Transform
from guetzpy.search import calibration
from guetzpy.search.candidates import source_of_codes
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.evaluation import size_of
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores
from guetzpy.search.worst_places import increased, worst

METRICS = registered()


def scored(blocks: np.ndarray, limits: Limits) -> Scores:
    """Return scores at the limits; ``blocks`` has the local errors as ratios to the largest allowed one."""
    allowed = calibration.WORST_OVER_LIMIT * (limits.bound("butteraugli") or 0.0)
    values = tuple(float("nan") if bound is None else bound for bound in limits.bounds)
    return Scores(METRICS, values, {}, {"butteraugli": (blocks * allowed).astype(np.float32)})


@pytest.mark.parametrize("size", [(40, 56), (41, 57), (7, 9), (8, 1)])
def test_largest_errors_of_blocks(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    comparator = METRICS[0].comparator(codes, Transform(), Resources())
    score = comparator.score(
        np.clip(codes.astype(int) + rng.integers(-9, 10, codes.shape), 0, 255).astype("u1")
    )
    assert score.blocks is not None
    assert score.blocks.shape == tuple(-(-length // 8) for length in size)
    assert float(score.blocks.max()) == pytest.approx(score.details["butteraugli_max"])


@pytest.mark.parametrize("sampling", [(1, 1), (2, 2)])
def test_weights_grow_beside_large_errors_only(sampling: tuple[int, int]) -> None:
    codes = np.full((3, 90, 120), 128, np.uint8)
    source = source_of_codes(codes, sampling, Transform(), 1)
    weights, limits = source.flat_weights(), Limits.at_distance(1.0)
    errors = np.full((12, 15), 0.5)
    assert increased(weights, source, scored(errors, limits), limits) is weights
    errors[4, 6] = 1.5
    scores = scored(errors, limits)
    assert worst(scores, limits) == pytest.approx(1.5)
    luma, *chroma = increased(weights, source, scores, limits).blocks
    grown = np.zeros(luma.shape, bool)
    grown[3:6, 5:8] = True
    assert np.array_equal(luma > 1.0, grown)
    assert float(luma.max()) == pytest.approx(8.0)  # (1.5 / 0.75) ** 3
    down = sampling[1]
    for field in chroma:
        assert np.array_equal(np.argwhere(field > 1.0).min(axis=0), np.array([3 // down, 5 // down]))
        assert np.array_equal(np.argwhere(field > 1.0).max(axis=0), np.array([5 // down, 7 // down]))


def test_no_limit_no_change() -> None:
    limits = Limits.of({"ssimulacra2": 80.0})
    assert worst(scored(np.full((2, 2), 9.0), Limits.at_distance(1.0)), limits) == 0.0


@pytest.mark.parametrize("distance", [3.0, 5.0, 8.0])
def test_the_worst_place_of_a_photo_gets_better(distance: float, repository: Path) -> None:
    """With the same tables the largest local error falls by at least 7 %, for 1 % of the bytes."""
    with Image.open(repository / "tests" / "data" / "coffee.jpg") as image:
        codes = np.ascontiguousarray(np.moveaxis(np.asarray(image.convert("RGB")), 2, 0))
    judge, limits = Judge(codes, Transform()), Limits.at_distance(distance)
    source, settings = source_of_codes(codes, (1, 1), Transform(), 1), EncodeSettings(distance)
    before = encode(source, settings)
    scores = judge.scores(decode(source, before))
    assert worst(scores, limits) > 1.0
    after = encode(source, settings, increased(source.flat_weights(), source, scores, limits))
    assert worst(judge.scores(decode(source, after)), limits) < 0.93 * worst(scores, limits)
    assert size_of(source, before) < size_of(source, after) < 1.02 * size_of(source, before)
