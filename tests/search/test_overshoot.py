from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from scipy.fft import idctn

import guetzpy
from guetzpy.jpeg.reader import read
from guetzpy.metrics import butteraugli, ssimulacra2
from guetzpy.search.coding import fast_idct, overshoot
from guetzpy.search.coding.overshoot import Overshoot
from tests.reference import fast_idct as fast_decoder
from tests.reference import overshoot as reference


def paper(
    width: int = 240, height: int = 176, colour: tuple[int, int, int] = (0, 0, 0), size: int = 17
) -> np.ndarray:
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    for row in range(0, height, 22 * size // 17):
        pen.text((6, row), "Quantise 0123456789 & decode", colour, ImageFont.load_default(size))
    return np.asarray(picture)


def test_only_blocks_with_free_and_other_samples_are_listed() -> None:
    codes = np.full((3, 20, 24), 100, np.uint8)
    codes[:, :8, :8] = 255  # all white: nothing to gain
    codes[:, 0, 8] = 255
    codes[:, 9, 9] = 0
    codes[0, 10, 17] = 255  # red alone is not white
    found = Overshoot.of(codes)
    assert found.blocks.tolist() == [1, 4, 6, 7, 8]
    assert np.flatnonzero(found.freedom[0]).tolist() == [0]
    assert found.freedom[0, 0] == 2
    assert found.freedom[1, 9] == 3
    assert (found.freedom[2].reshape(8, 8)[:4] == 0).all()
    assert (found.freedom[2].reshape(8, 8)[4:] == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_white_and_black_are_the_ends_of_each_depth(dtype: type) -> None:
    scale = 257 if dtype == np.uint16 else 1
    codes = (np.array([[[0, 255, 254, 1] * 2] * 8]) * scale).astype(dtype)
    assert Overshoot.of(codes).freedom[0, :4].tolist() == [3, 2, 0, 0]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([3.0, 20.0, 90.0]))
def test_targets_are_those_of_the_reference(seed: int, step: float) -> None:
    random = np.random.default_rng(seed)
    targets = random.normal(0, 200, (3, 64)).astype(np.float32)
    steps = np.full(64, step, np.float32)
    levels = np.rint(targets / step + random.normal(0, 1, targets.shape)).astype(np.int16)
    freedom = random.integers(0, 4, (3, 64)).astype(np.uint8)
    moved = np.empty_like(targets)
    overshoot._move(levels, steps, targets, freedom, fast_idct.BASIS, overshoot._LARGEST, moved)
    expected = reference.move(levels, steps, targets, freedom, float(overshoot._LARGEST))
    np.testing.assert_allclose(moved, expected, atol=0.01)


def test_without_free_samples_targets_are_kept() -> None:
    codes = np.full((1, 16, 16), 90, np.uint8)
    targets = np.ones((2, 2, 64), np.float32)
    table, weights = np.ones(64, np.uint16), np.ones((2, 2), np.float32)
    assert Overshoot.of(codes).move(targets, table, weights, None, lambda *_: 1 / 0) is targets


def test_more_turns_do_not_increase_the_cost() -> None:
    """The quantiser here is rounding with a dead zone, for which the squared error and levels are checked."""
    codes = paper()[None, :160, :160, 0].copy()
    found = Overshoot.of(codes)
    targets = np.random.default_rng(0).normal(0, 60, (20, 20, 64)).astype(np.float32)
    table = np.full(64, 40, np.uint16)
    costs = []

    def quantise(wanted: np.ndarray, *, weights: np.ndarray, shifts: None) -> np.ndarray:
        scaled = wanted / 40
        levels = np.where(np.abs(scaled) < 1.0, 0, np.rint(scaled))
        # The level of least (scaled - level)**2 + [level != 0] is this one.
        costs.append(float(np.sum((scaled - levels) ** 2 + (levels != 0))))
        return levels.astype(np.int16)

    def cost(turns: int) -> float:
        costs.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(overshoot, "_TURNS", turns)
            moved = found.move(targets, table, np.ones((20, 20), np.float32), None, quantise)
        quantise(moved.reshape(1, -1, 64)[:, found.blocks], weights=moved, shifts=None)
        return costs[-1]

    falling = [cost(turns) for turns in (0, 1, 2, 4, 8)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.95 * falling[0]


@pytest.mark.parametrize("colour", [(0, 0, 0), (160, 30, 60)])
def test_text_on_white_takes_fewer_bytes(
    colour: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files meet both limits."""
    page = paper(colour=colour)
    usual = guetzpy.optimize(page, distance=1.0)
    monkeypatch.setattr(overshoot, "_TURNS", 0)
    without = guetzpy.optimize(page, distance=1.0)
    assert len(usual.data) < 0.95 * len(without.data)
    for result in (usual, without):
        shown = np.asarray(Image.open(io.BytesIO(result.data)).convert("RGB"))
        assert ssimulacra2(page, shown) > result.ssimulacra2_wanted - 0.01
        assert butteraugli(page, shown) < 1.001 * result.butteraugli_wanted


def test_samples_stay_where_decoders_clamp() -> None:
    """Unclamped samples stay between -384 and 639, which libjpeg's table for clamping covers."""
    page = paper()
    for distance in (0.5, 3.0, 8.0):
        image = read(guetzpy.optimize(page, distance=distance, mark=False).data)
        luma = image.components[0]
        blocks = (luma.coefficients.astype(float) * luma.qtable).reshape(-1, 8, 8)
        samples = idctn(blocks, axes=(1, 2), norm="ortho") + 128
        assert samples.max() > 256  # there is overshoot
        assert samples.min() > -300
        assert samples.max() < 555


def test_samples_do_not_wrap_in_the_fast_idct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without limits, white samples in large letters decode to black by libjpeg-turbo's fast IDCT."""
    page = paper(360, 240, size=44)

    def wrapped(distance: float) -> int:
        luma = read(guetzpy.optimize(page, distance=distance, mark=False).data).components[0]
        blocks = luma.coefficients.reshape(-1, 64)
        samples = idctn((blocks * luma.qtable.astype(float)).reshape(-1, 8, 8), axes=(1, 2), norm="ortho")
        shown = np.clip(samples, -128, 127) + 128
        return int((np.abs(fast_decoder.decode(blocks, luma.qtable) - shown) > 60).sum())

    assert wrapped(2.0) == 0
    assert wrapped(4.0) == 0
    monkeypatch.setattr(fast_idct, "LARGEST", np.inf)
    assert wrapped(4.0) > 10
