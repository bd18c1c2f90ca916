"""Fixtures of the tests in this folder."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def picture(photo_array: np.ndarray) -> np.ndarray:
    """64 wide, 48 high, and its corners tell which way up it is."""
    array = photo_array[:48, :64].copy()
    array[:8, :8] = (250, 20, 20)
    array[-8:, -8:] = (20, 20, 250)
    return array
