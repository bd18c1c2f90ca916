"""The direct Gaussian blurs."""

from __future__ import annotations

import numpy as np
import pytest
from reference import butteraugli as twin

from guetzpy.metrics.blur import blur_rows, edge_gain, half_kernel, scratch_rows

SIGMAS = [7.15593339443, 3.22489901262, 1.56416327805, 2.7]


def blur(plane: np.ndarray, sigma: float, *, adjoint: bool = False) -> np.ndarray:
    height, width = plane.shape
    taps = half_kernel(sigma)
    gain_y, gain_x = edge_gain(height, sigma), edge_gain(width, sigma)
    if adjoint:
        plane = plane * gain_y[:, None] * gain_x
        gain_y, gain_x = np.ones_like(gain_y), np.ones_like(gain_x)
    out = np.empty_like(plane)
    for start in range(0, height, 5):  # strips of any height give the same rows
        stop = min(start + 5, height)
        blur_rows(plane, start, stop, taps, gain_y, gain_x, scratch_rows(width, taps), out[start:stop])
    return out


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("shape", [(8, 8), (9, 40), (40, 9), (41, 67)])
def test_agrees_with_the_twin(sigma, shape):
    plane = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert np.abs(blur(plane, sigma) - twin.blur(plane.astype(np.float64), sigma)).max() < 1e-6


@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_flat_plane_stays_flat(sigma):
    assert np.allclose(blur(np.full((20, 30), 3.0, np.float32), sigma), 3.0, rtol=1e-6)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_adjoint(sigma):
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=(2, 23, 35)).astype(np.float32)
    left = (blur(u, sigma).astype(np.float64) * v).sum()
    right = (blur(v, sigma, adjoint=True).astype(np.float64) * u).sum()
    assert left == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_taps_sum_to_one(sigma):
    taps = half_kernel(sigma).astype(np.float64)
    assert len(taps) == int(2.25 * sigma) + 1
    assert taps[0] + 2 * taps[1:].sum() == pytest.approx(1.0, abs=1e-6)
