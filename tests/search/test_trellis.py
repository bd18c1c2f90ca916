from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guetzpy.jpeg.structure import NATURAL_ORDER
from guetzpy.search.coding import rate, trellis
from tests.reference import trellis as reference

ALL = np.array([[1, 63]], np.int64)


def rates(bands: np.ndarray = ALL, seed: int = 0) -> trellis.Rate:
    random = np.random.default_rng(seed)
    symbols = random.uniform(1.5, 15.0, (len(bands), 256)).astype(np.float32)
    eob = random.uniform(0.1, 6.0, (len(bands), 2)).astype(np.float32)
    return trellis.Rate(bands, symbols, eob)


def quantise(
    coefficients: np.ndarray, qtable: np.ndarray, price: trellis.Rate, lagrangian: float
) -> np.ndarray:
    return trellis.quantise(
        coefficients,
        qtable,
        price,
        lagrangian,
        weights=np.ones(coefficients.shape[:2], np.float32),
        band_weights=np.ones(64, np.float32),
        threads=1,
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.05, 0.2, 1.0]), st.sampled_from([1.0, 4.0, 30.0]))
def test_no_choice_of_levels_is_cheaper(seed: int, lagrangian: float, spread: float) -> None:
    random = np.random.default_rng(seed)
    block = (random.laplace(0, spread, 64) / (1 + np.arange(64) / 8)).astype(np.float32)
    qtable = random.integers(1, 6, 64).astype(np.uint16)
    price = rates(seed=seed)
    levels = quantise(block.reshape(1, 1, 64), qtable, price, lagrangian).reshape(64)
    zigzag = NATURAL_ORDER[1:]
    magnitudes = (np.abs(block[zigzag]) / qtable[zigzag]).astype(float).tolist()
    ones = [1.0] * 63
    symbols = price.symbols[0].astype(float).tolist()
    eob = (float(price.eob[0, 0]), float(price.eob[0, 1]))
    got = reference.cost(np.abs(levels[zigzag]).tolist(), magnitudes, ones, symbols, eob, lagrangian)
    want = reference.best(magnitudes, ones, symbols, eob, lagrangian)
    assert got == pytest.approx(want, rel=1e-4, abs=1e-4)
    assert (np.sign(levels[zigzag]) * np.sign(block[zigzag]) >= 0).all()


def test_bands_are_independent() -> None:
    random = np.random.default_rng(3)
    blocks = random.laplace(0, 6, (5, 7, 64)).astype(np.float32)
    qtable = np.full(64, 3, np.uint16)
    both = rates(np.array([[1, 5], [6, 63]], np.int64))
    whole = quantise(blocks, qtable, both, 0.1)
    for band in range(2):
        part = trellis.Rate(
            both.bands[band : band + 1],
            both.symbols[band : band + 1].copy(),
            both.eob[band : band + 1].copy(),
        )
        first, last = both.bands[band]
        inside = NATURAL_ORDER[first : last + 1]
        alone = quantise(blocks, qtable, part, 0.1)
        assert np.array_equal(alone[..., inside], whole[..., inside])


def test_free_bits_are_plain_rounding() -> None:
    random = np.random.default_rng(4)
    blocks = random.normal(0, 50, (4, 4, 64)).astype(np.float32)
    qtable = random.integers(1, 40, 64).astype(np.uint16)
    levels = quantise(blocks, qtable, rates(), 0.0)
    scaled = np.abs(blocks * (np.float32(1) / qtable.astype(np.float32)))[..., 1:]
    assert np.array_equal(np.abs(levels[..., 1:]), np.floor(scaled + np.float32(0.5)))


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 8])
def test_flat_blocks_show_the_nearest_code(step: int) -> None:
    means = np.linspace(-20.0, 20.0, 801)
    blocks = np.zeros((1, 801, 64), np.float32)
    blocks[0, :, 0] = 8 * means
    levels = quantise(blocks, np.full(64, step, np.uint16), rates(), 0.05)
    shown = np.floor(levels[0, :, 0] * step / 8 + 0.5)
    assert np.abs(shown - means).max() <= 0.5 + 1e-6


def test_levels_stay_within_what_baseline_holds() -> None:
    blocks = np.full((1, 1, 64), 1e5, np.float32)
    levels = quantise(blocks, np.ones(64, np.uint16), rates(), 0.05)
    assert levels[0, 0, 1:].max() <= 1023
    assert levels[0, 0, 0] <= 1023


def test_prices_follow_frequencies() -> None:
    levels = np.zeros((8, 8, 64), np.int16)
    levels[..., 1] = 1
    levels[0, 0, 8] = 5
    price = rate.measure(levels, ALL)
    assert price.symbols[0, 0x01] < price.symbols[0, 0x03] < price.symbols[0, 0x7A]
    assert price.eob[0, 0] < price.eob[0, 1]


def test_same_levels_for_any_number_of_threads() -> None:
    random = np.random.default_rng(5)
    blocks = random.laplace(0, 8, (60, 50, 64)).astype(np.float32)
    qtable = np.full(64, 4, np.uint16)
    results = [
        trellis.quantise(
            blocks,
            qtable,
            rates(),
            0.05,
            weights=np.ones((60, 50), np.float32),
            band_weights=np.ones(64, np.float32),
            threads=threads,
        )
        for threads in (1, 2, 3)
    ]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.parametrize("weight", [0.0, 1e35, np.inf, np.nan, -1.0])
def test_weights_beyond_all_bounds(weight: float) -> None:
    """Extreme weights may give bad levels, but the path has no entries of uninitialised memory."""
    blocks = np.random.default_rng(3).normal(0, 200, (8, 8, 64)).astype(np.float32)
    weights = np.full((8, 8), weight, np.float32)
    table = np.full(64, 3, np.uint16)
    levels = trellis.quantise(
        blocks, table, rates(), 0.1, weights=weights, band_weights=np.ones(64, np.float32), threads=1
    )
    assert np.abs(levels[..., 1:]).max() <= np.ceil(np.abs(blocks).max() / 3)
