"""Fixtures of the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

from guetzpy._runtime import kernel as _jit


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of this test's own."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Leave the registry as it was, but for modules imported meanwhile."""
    before = dict(_jit._REGISTRY)
    yield
    _jit._REGISTRY.update(before)
