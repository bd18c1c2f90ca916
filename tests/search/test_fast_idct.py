from __future__ import annotations

import numpy as np
from scipy.fft import idctn

from guetzpy.search.coding import fast_idct
from tests.reference import fast_idct as reference


def test_only_blocks_with_large_factors_wrap() -> None:
    random = np.random.default_rng(0)
    table = random.integers(12, 80, 64).astype(np.uint16)
    samples = random.choice([-190.0, 190.0], (4000, 8, 8)) * random.uniform(0.4, 1.0, (4000, 1, 1))
    basis = fast_idct.BASIS
    levels = np.rint((basis @ samples @ basis.T).reshape(-1, 64) / table).astype(np.int16)
    exact = np.clip(
        idctn((levels * table.astype(float)).reshape(-1, 8, 8), axes=(1, 2), norm="ortho"), -128, 127
    )
    error = np.abs(reference.decode(levels, table) - 128.0 - exact).max(axis=(1, 2))
    factors = fast_idct.factors(levels, table)
    wraps = error > 100
    assert 200 < wraps.sum() < 3800
    assert not (wraps & (factors <= fast_idct.LARGEST)).any()
    assert error[factors <= fast_idct.LARGEST].max() < 30
    assert (wraps & (factors > fast_idct.LARGEST)).sum() > 0.6 * (factors > fast_idct.LARGEST).sum()
