"""Fixtures of the tests in this folder."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def picture(photo_array: np.ndarray) -> np.ndarray:
    """Return a picture of 64 x 48 pixels whose corners show its orientation."""
    array = photo_array[:48, :64].copy()
    array[:8, :8] = (250, 20, 20)
    array[-8:, -8:] = (20, 20, 250)
    return array
