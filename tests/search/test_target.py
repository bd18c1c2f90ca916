"""Targets become limits or a size."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from guetzpy.metrics.registry import registered
from guetzpy.picture.transform import Transform
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.target import Goal, Picture, Target, register, target, unregister


def test_a_distance_gives_the_limits_of_all_metrics() -> None:
    goal = target("distance").goal(1.4, Picture(100))
    assert goal.limits == Limits.at_distance(1.4)
    assert (goal.size, goal.exact) == (None, False)


@pytest.mark.parametrize(("name", "value"), [("butteraugli", 1.2), ("ssimulacra2", 80.0)])
def test_a_score_is_the_only_limit_and_must_be_met(name: str, value: float) -> None:
    goal = target(name).goal(value, Picture(100))
    assert goal.limits is not None
    assert {m.name: goal.limits.bound(m.name) for m in registered() if goal.limits.bound(m.name)} == {
        name: value
    }
    assert (goal.size, goal.exact) == (None, True)


@pytest.mark.parametrize(
    ("name", "value", "area", "size"),
    [
        ("max_bytes", 4000.0, 100, 4000),
        ("bpp", 1.0, 8000, 1000),
        ("bpp", 1.5, 101, 18),  # of 18.9 bytes: never more than was asked for
        ("bpp", 0.001, 100, 1),  # a file has at least a byte
        ("bpp", 0.16, 100, 2),
    ],
)
def test_a_size_is_in_whole_bytes(name: str, value: float, area: int, size: int) -> None:
    goal = target(name).goal(value, Picture(area))
    assert (goal.size, goal.limits, goal.exact) == (size, None, False)


def test_only_quality_depends_on_the_pixels() -> None:
    names = ("distance", "butteraugli", "ssimulacra2", "quality", "max_bytes", "bpp")
    assert [name for name in names if target(name).needs_pixels] == ["quality"]


def pillows_scores(codes: np.ndarray, judge: Judge, quality: int) -> dict[str, float]:
    """Return the scores of Pillow's file of 8-bit codes, with Pillow's usual options."""
    file = io.BytesIO()
    Image.fromarray(codes[0] if len(codes) == 1 else np.ascontiguousarray(np.moveaxis(codes, 0, 2))).save(
        file, "JPEG", quality=quality
    )
    with Image.open(io.BytesIO(file.getvalue())) as image:
        shown = np.asarray(image)
    planes = shown[None] if shown.ndim == 2 else np.ascontiguousarray(np.moveaxis(shown, 2, 0))
    scores = judge.scores(planes)
    return {metric.name: value for metric, value in zip(scores.metrics, scores.values, strict=True)}


@pytest.mark.parametrize("depth", ["8 bits", "16 bits", "float"])
@pytest.mark.parametrize("components", [1, 3])
def test_the_limits_of_a_quality_are_the_scores_of_pillows_file(
    photo_array: np.ndarray, depth: str, components: int
) -> None:
    """Pillow gets the nearest codes of 0 to 255; its file is scored against the codes before rounding."""
    eight = np.moveaxis(photo_array, 2, 0)[:components, :48, :64].copy()
    eight[:, :8, :8], eight[:, :8, 8:16] = 0, 255
    away = np.where(np.arange(64) % 2 == 0, np.float32(0.45), np.float32(-0.45))
    beyond = np.where(eight == 0, np.float32(-0.9), np.float32(255.9))
    codes = {
        "8 bits": eight,
        "16 bits": np.clip(np.rint((eight + away) * 257), 0, 65535).astype(np.uint16),
        "float": np.where((eight == 0) | (eight == 255), beyond, eight + away).astype(np.float32),
    }[depth]
    judge = Judge(codes, Transform())
    goal = target("quality").goal(80.0, Picture(48 * 64, codes, judge))
    assert goal.limits is not None
    found = pillows_scores(eight, judge, 80)
    for metric in registered():
        expected = found[metric.name] if metric.limit_at(1.0) is not None else None
        assert goal.limits.bound(metric.name) == expected
    assert (goal.size, goal.exact) == (None, False)


def test_names_of_targets_are_unique() -> None:
    mine = Target("mine", lambda value, picture: Goal(size=1))
    register(mine)
    try:
        with pytest.raises(ValueError, match="mine"):
            register(Target("mine", lambda value, picture: Goal(size=2)))
        assert target("mine") is mine
    finally:
        unregister("mine")
    with pytest.raises(KeyError):
        target("mine")
    with pytest.raises(KeyError):
        unregister("mine")
