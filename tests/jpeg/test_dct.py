"""The transforms against simple reference transforms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import dct as twin

from guetzpy.jpeg import dct


def _blocks(seed: int, shape: tuple[int, int], amplitude: int, density: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coefficients = rng.integers(-amplitude, amplitude + 1, (*shape, 64))
    coefficients[rng.random(coefficients.shape) > density] = 0
    coefficients[rng.random(shape) < 0.3, 8:] = 0  # blocks with coefficients in their first row only
    return coefficients.astype(np.int16)


def _twin_inverse(coefficients: np.ndarray, qtable: np.ndarray) -> np.ndarray:
    blocks_y, blocks_x, _ = coefficients.shape
    out = np.zeros((8 * blocks_y, 8 * blocks_x), np.uint8)
    for y in range(blocks_y):
        for x in range(blocks_x):
            out[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = twin.islow(coefficients[y, x], qtable)
    return out


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    blocks_x=st.sampled_from([1, 2, 31, 32, 33]),
    amplitude=st.sampled_from([1, 10, 200, 1023, 32767]),
    step=st.sampled_from([1, 12, 255, 65535]),
    density=st.sampled_from([0.03, 0.3, 1.0]),
)
def test_inverse_equals_twin(seed, blocks_x, amplitude, step, density):
    coefficients = _blocks(seed, (1, blocks_x), amplitude, density)
    qtable = np.random.default_rng(seed).integers(1, step + 1, 64).astype(np.uint16)
    np.testing.assert_array_equal(dct.inverse(coefficients, qtable), _twin_inverse(coefficients, qtable))


@pytest.mark.parametrize("value", [-32768, -16384, -8193, -8192, 8191, 8192, 16383, 32767])
def test_inverse_wraps_and_saturates(value):
    # A value where only the shortcut for single-row blocks wraps, and the same with a coefficient below.
    coefficients = np.zeros((1, 2, 64), np.int16)
    coefficients[0, :, 0] = value
    coefficients[0, :, 3] = -value // 2
    coefficients[0, 1, 63] = 1
    ones = np.ones(64, np.uint16)
    np.testing.assert_array_equal(dct.inverse(coefficients, ones), _twin_inverse(coefficients, ones))


def test_inverse_is_near_the_formula():
    # The limits of IEEE 1180-1990 on mean errors, relaxed; islow is known to meet the standard.
    rng = np.random.default_rng(11)
    samples = rng.integers(-256, 256, (16, 16, 64)).astype(np.float64)
    coefficients = np.empty((16, 16, 64), np.int16)
    expected = np.empty((128, 128))
    for y in range(16):
        for x in range(16):
            coefficients[y, x] = np.rint(twin.fdct(samples[y, x].reshape(8, 8))).reshape(64)
            expected[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = twin.idct(coefficients[y, x].reshape(8, 8))
    expected = np.clip(np.rint(expected), -128, 127) + 128
    difference = dct.inverse(coefficients, np.ones(64, np.uint16)) - expected
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.0015
    assert (difference**2).mean() < 0.02


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), blocks_y=st.integers(1, 2), blocks_x=st.sampled_from([1, 3, 64, 65]))
def test_forward_is_the_formula(seed, blocks_y, blocks_x):
    plane = np.random.default_rng(seed).uniform(-128, 127, (8 * blocks_y, 8 * blocks_x)).astype(np.float32)
    coefficients = dct.forward(plane)
    picks = {(0, 0), (blocks_y - 1, blocks_x - 1), (0, blocks_x // 2)}
    for y, x in picks:
        expected = twin.fdct(plane[8 * y : 8 * y + 8, 8 * x : 8 * x + 8])
        np.testing.assert_allclose(coefficients[y, x].reshape(8, 8), expected, rtol=0, atol=1e-3)


def test_basis_is_orthonormal():
    np.testing.assert_allclose(dct.BASIS @ dct.BASIS.T, np.eye(8), atol=1e-15)


def test_threads_change_nothing():
    coefficients = _blocks(5, (40, 37), 60, 0.2)
    qtable = np.full(64, 9, np.uint16)
    plane = np.random.default_rng(6).normal(size=(320, 296)).astype(np.float32)
    for threads in (2, 5):
        np.testing.assert_array_equal(
            dct.inverse(coefficients, qtable, threads=threads), dct.inverse(coefficients, qtable, threads=1)
        )
        np.testing.assert_array_equal(dct.forward(plane, threads=threads), dct.forward(plane, threads=1))


def test_any_memory_layout():
    coefficients = _blocks(7, (3, 5), 60, 0.2)
    qtable = np.full(64, 9, np.uint16)
    expected = dct.inverse(coefficients, qtable)
    locked = coefficients.copy()
    locked.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + coefficients.tobytes(), np.int16, offset=1).reshape(3, 5, 64)
    strided = np.repeat(coefficients, 2, axis=1)[:, ::2]
    for variant in (locked, unaligned, strided):
        np.testing.assert_array_equal(dct.inverse(variant, qtable), expected)
    plane = np.random.default_rng(8).normal(size=(24, 16)).astype(np.float32)
    np.testing.assert_array_equal(dct.forward(np.asfortranarray(plane)), dct.forward(plane))


def test_wrong_arguments():
    qtable = np.ones(64, np.uint16)
    with pytest.raises(ValueError, match="coefficients"):
        dct.inverse(np.zeros((2, 2, 64), np.int32), qtable)
    with pytest.raises(ValueError, match="coefficients"):
        dct.inverse(np.zeros((2, 2, 8, 8), np.int16), qtable)
    with pytest.raises(ValueError, match="qtable"):
        dct.inverse(np.zeros((2, 2, 64), np.int16), np.ones(64, np.int16))
    with pytest.raises(ValueError, match="multiples"):
        dct.forward(np.zeros((8, 12), np.float32))
    with pytest.raises(ValueError, match="float32"):
        dct.forward(np.zeros((8, 8)))
