"""Up-sampling, its adjoint, and the two methods of down-sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import dct as twin

from guetzpy.jpeg import sampling

RATIOS = [(2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (3, 1), (4, 2), (2, 4), (3, 3), (1, 1)]


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    ratio=st.sampled_from(RATIOS),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    flat=st.booleans(),
)
def test_upsample_equals_twin(seed, ratio, height, width, flat):
    h, v = ratio
    rng = np.random.default_rng(seed)
    size = (-(-height // v), -(-width // h))
    padded = rng.integers(0, 256, (size[0] + 7, size[1] + 5)).astype(np.uint8)
    if flat:
        padded[:] = padded // 128 * 255
    expected = twin.upsample(padded[: size[0], : size[1]], h, v, height, width)
    first = int(rng.integers(0, height))
    out = np.zeros((height - first, width), np.uint8)
    sampling.upsample(padded, size, ratio, out, first)
    np.testing.assert_array_equal(out, expected[first:])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    ratio=st.sampled_from(RATIOS),
    height=st.integers(1, 150),
    width=st.integers(1, 40),
)
def test_adjoint_is_the_transpose(seed, ratio, height, width):
    h, v = ratio
    rows, columns = twin.axis_matrices(h, v, height, width)
    gradient = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    size = (rows.shape[1], columns.shape[1])
    out = np.full((size[0] + 3, size[1] + 2), 7.0, np.float32)
    sampling.upsample_adjoint(gradient, size, ratio, out)
    expected = rows.T @ gradient.astype(np.float64) @ columns
    np.testing.assert_allclose(out[: size[0], : size[1]], expected, atol=1e-5)
    assert (out[size[0] :] == 7.0).all()
    assert (out[:, size[1] :] == 7.0).all()


@pytest.mark.parametrize("ratio", [(1, 1), (2, 2), (2, 1), (3, 2), (4, 4)])
def test_box_is_the_mean(ratio):
    h, v = ratio
    plane = np.random.default_rng(1).normal(size=(70 * v, 21 * h)).astype(np.float32)
    expected = plane.astype(np.float64).reshape(70, v, 21, h).mean(axis=(1, 3))
    np.testing.assert_allclose(sampling.box_down(plane, ratio), expected, atol=1e-6)


@pytest.mark.parametrize("ratio", [(2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("size", [(2, 6), (16, 16), (48, 600)])
def test_fitted_solves_its_equations(ratio, size):
    plane = np.random.default_rng(2).normal(size=size).astype(np.float32)

    def solve(target):
        # min |A x - t|^2 + |x - mean|^2 along the first axis
        half = target.shape[0] // 2
        matrix = twin.triangle_matrix(half, 2 * half)
        right = matrix.T @ target + target.reshape(half, 2, -1).mean(axis=1)
        return np.linalg.solve(matrix.T @ matrix + np.eye(half), right)

    expected = plane.astype(np.float64)
    if ratio[1] == 2:
        expected = solve(expected)
    if ratio[0] == 2:
        expected = solve(expected.T).T
    np.testing.assert_allclose(sampling.fitted_down(plane, ratio), expected, atol=2e-6)


def test_fitted_comes_closer_after_upsampling():
    y, x = np.mgrid[:96, :128]
    plane = (100.0 * np.sin(x / 3.0) * np.cos(y / 5.0) + 60.0 * (x > y)).astype(np.float32)
    rows, columns = twin.axis_matrices(2, 2, 96, 128)

    def error(small):
        return ((rows @ small.astype(np.float64) @ columns.T - plane) ** 2).mean()

    assert error(sampling.fitted_down(plane, (2, 2))) < 0.8 * error(sampling.box_down(plane, (2, 2)))


def test_fitted_keeps_flat_planes():
    plane = np.full((32, 48), 37.25, np.float32)
    np.testing.assert_allclose(sampling.fitted_down(plane, (2, 2)), 37.25, atol=1e-4)


def test_fitted_only_halves():
    with pytest.raises(ValueError, match="halving"):
        sampling.fitted_down(np.zeros((8, 8), np.float32), (4, 1))


def test_threads_change_nothing():
    rng = np.random.default_rng(9)
    plane = rng.normal(size=(300, 700)).astype(np.float32)
    for down in (sampling.box_down, sampling.fitted_down):
        np.testing.assert_array_equal(down(plane, (2, 2), threads=3), down(plane, (2, 2), threads=1))
    outs = [np.zeros((150, 350), np.float32) for _ in range(2)]
    for out, threads in zip(outs, (1, 3), strict=True):
        sampling.upsample_adjoint(plane, (150, 350), (2, 2), out, threads=threads)
    np.testing.assert_array_equal(*outs)
