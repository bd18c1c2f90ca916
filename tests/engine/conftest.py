"""Fixtures of the tests of single pictures."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def small(photo_array: np.ndarray) -> np.ndarray:
    """Return a part of the colour picture, uint8 (48, 64, 3)."""
    return np.ascontiguousarray(photo_array[:48, :64])
