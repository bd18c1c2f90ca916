"""Sample tiles of large pictures: their places, and the use of their results for the whole picture."""

from __future__ import annotations

import golden
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import guetzpy
from guetzpy.picture.transform import Transform
from guetzpy.search import plan
from guetzpy.search.approach import ByDistanceAndLambda
from guetzpy.search.candidates import Candidates
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import PlaneSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.landing import Budget, land
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.spreading import spread
from guetzpy.search.tiles import Part, Tiles


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 3), st.sampled_from([16, 48, 240, 512]))
def test_tiles_lie_inside_on_the_grid_and_do_not_overlap(height, width, across, side):
    tiles = Tiles.of(height, width, across, side)
    if height * width < 2 * (across * side) ** 2 or min(height, width) < across * side:
        assert tiles is None
        return
    assert tiles is not None
    assert len(tiles.corners) == across**2
    for top, left in tiles.corners:
        assert top % 16 == 0 <= top <= height - side
        assert left % 16 == 0 <= left <= width - side
    for i, (top, left) in enumerate(tiles.corners):
        for other_top, other_left in tiles.corners[:i]:
            assert abs(top - other_top) >= side or abs(left - other_left) >= side


def photo(height: int, width: int) -> np.ndarray:
    """Return codes (3, H, W): smooth on the left, rough and dark on the right."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 1, (3, height, width))
    base = 120 + 60 * np.sin(y / 37) * np.cos(x / 53)
    base = np.where(x < width / 2, base, 0.4 * base)
    rough = np.where(x < width / 2, 1.0, 22.0)
    return np.clip(base + rough * noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sampling", [(1, 1), (2, 1), (2, 2)])
def test_what_is_cut_is_what_lies_there(sampling):
    codes = photo(330, 420)
    tiles = Tiles.of(330, 420, 2, 96)
    assert tiles is not None
    small = tiles.cut_picture(codes)
    for number, (top, left) in enumerate(tiles.corners):
        y, x = (96 * n for n in divmod(number, 2))
        assert np.array_equal(small[:, y : y + 96, x : x + 96], codes[:, top : top + 96, left : left + 96])

    whole = PlaneSource.from_codes(codes, sampling)
    part = tiles.cut_source(whole, small)
    assert (part.width, part.height) == (192, 192)
    for c, (full, cut, unit) in enumerate(
        zip(whole.coefficients, part.coefficients, tiles.units(whole), strict=True)
    ):
        again = np.zeros_like(full)
        tiles.paste(cut, again, unit)
        touched = again.any(axis=2)
        assert np.array_equal(again[touched], full[touched])
        blocks = [(8, 8), (8 * sampling[1], 8 * sampling[0])][c > 0]
        assert touched.sum() == 4 * (96 // blocks[0]) * (96 // blocks[1])
    if sampling == (1, 1):  # 4:4:4, because subsampling would remove the noise of the chroma
        shown = decode(part, encode(part, EncodeSettings(1.0).at_finest())).astype(int)
        assert np.abs(shown - small).max() < 5


def test_spread_weights_are_kept_in_the_tiles_and_told_by_activity_elsewhere():
    codes = photo(480, 640)
    tiles = Tiles.of(480, 640, 3, 96)
    assert tiles is not None
    source = PlaneSource.from_codes(codes, (2, 2))
    part = tiles.cut_source(source, tiles.cut_picture(codes))
    blocks = []
    for c, unit in enumerate(tiles.units(source)):
        # Smooth blocks, those of the left half, have twice the weight of rough ones.
        columns = tiles.cut(
            np.arange(source.coefficients[c].shape[1])[None].repeat(source.coefficients[c].shape[0], axis=0),
            unit,
        )
        smooth = columns < source.coefficients[c].shape[1] // 2
        blocks.append(np.where(smooth, 2.0, 1.0).astype(np.float32))
    weights = Weights(
        tuple(blocks),
        part.flat_weights().bands,
        tuple(np.full(c.shape, 3, np.int8) for c in part.coefficients),
    )
    result = spread(source, tiles, weights)
    for c, unit in enumerate(tiles.units(source)):
        field = result.blocks[c]
        assert field.dtype == np.float32
        assert abs(float(field.mean()) - 1.0) < 1e-5
        left, right = field[:, : field.shape[1] // 2 - 1], field[:, field.shape[1] // 2 + 1 :]
        assert 1.7 < float(left.mean()) / float(right.mean()) < 2.3
        assert np.allclose(tiles.cut(field, unit), weights.blocks[c] * field.max() / 2.0, rtol=0.1)
        assert int((result.shifts[c] != 0).any(axis=2).sum()) == part.coefficients[c][..., 0].size
    assert result.bands is weights.bands


@pytest.mark.parametrize("scouted", [False, True])
def test_landing_meets_the_limits_closely(scouted):
    """Tiles only determine where to evaluate the whole picture; the whole picture is always scored."""
    codes = photo(640, 960)
    source = PlaneSource.from_codes(codes, (1, 1))
    judge = Judge(codes, Transform())
    limits = Limits.at_distance(2.0)
    tiles = Tiles.of(640, 960, 2, 240)
    assert tiles is not None
    small = tiles.cut_picture(codes)
    part = Part(tiles, tiles.cut_source(source, small), Judge(small, Transform())) if scouted else None
    start = ByDistanceAndLambda.where_expensive if scouted else ByDistanceAndLambda
    found = land(
        source, judge, limits, source.flat_weights(), EncodeSettings(1.0), start(0.4), Budget.of_probes(3),
        part=part,
    )  # fmt: skip
    assert found is not None
    scores = judge.scores(decode(source, found.trial))
    assert limits.met(scores)
    assert found.excess == limits.excess(scores)
    assert found.excess > -0.05


@pytest.mark.parametrize("effort", ["balanced", "max"])
def test_weights_of_a_very_large_picture_come_from_its_tiles(
    effort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is small, and the sizes from which a picture is very large are smaller."""
    picture = golden.photo(352, 320)
    usual = guetzpy.optimize(picture, distance=1.5, effort=effort)
    monkeypatch.setattr(plan, "_VERY_LARGE", picture.shape[0] * picture.shape[1])
    for name, layout in (("_CHOICE", (2, 64)), ("_LARGER", (2, 80)), ("_WEIGHTS", (2, 96))):
        monkeypatch.setattr(plan, name, plan.TileLayout(*layout))
    parts: list[Part | None] = []
    real = Candidates.weight_part
    monkeypatch.setattr(Candidates, "weight_part", lambda *args: parts.append(real(*args)) or parts[-1])
    result = guetzpy.optimize(picture, distance=1.5, effort=effort)
    assert [part.source.width for part in parts if part is not None] == [192] * len(parts) != []
    assert 0.9 * 1.5 < (result.distance or 0.0) <= 1.5
    assert len(result.data) < 1.1 * len(usual.data)
    sized = guetzpy.optimize(picture, max_bytes=len(result.data), effort=effort)
    assert 0.98 * len(result.data) < len(sized.data) <= len(result.data)
    assert (sized.distance or 9.0) < 1.1 * (result.distance or 0.0)
