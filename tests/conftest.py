"""Fixtures and settings of all tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Hypothesis generates the same examples in each run, so that a change fails only by its own faults.
# `.ci/full` uses new examples each time (--hypothesis-profile default).
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def photo_array() -> np.ndarray:
    """Return a small colour picture with edges, texture and smooth parts, uint8 (96, 128, 3)."""
    y, x = np.mgrid[0:96, 0:128]
    noise = np.random.default_rng(7).normal(0, 6, (96, 128))
    disc = np.hypot(y - 40, x - 70) < 25
    red = 90 + 0.9 * x + noise
    green = 60 + 1.2 * y + 40 * np.sin(x / 5) + noise
    blue = 200 - 0.8 * x + 20 * disc + noise
    rgb = np.stack([red + 60 * disc, green, blue], axis=-1)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a kernel was compiled for other types than those of its signature."""
    jit = sys.modules.get("guetzpy._runtime.kernel")
    if jit is None:
        return
    from numba.core.sigutils import normalize_signature

    for name, (dispatcher, signature) in jit.kernels().items():
        declared, _ = normalize_signature(signature)
        others = [s for s in dispatcher.signatures if tuple(s) != declared]
        if others:
            print(f"\n{name}: declared {declared}, but called with {others}", file=sys.stderr)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
