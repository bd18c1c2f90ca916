"""Fixtures of the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import packaged


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder for the kernel cache of this test."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def no_kernels_of_the_package(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the package have no compiled kernels, as on other processors than x86-64."""
    monkeypatch.setattr(packaged, "_FOLDER", tmp_path_factory.getbasetemp() / "none")


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Restore the registry of kernels after each test; kernels of modules imported meanwhile stay."""
    before = dict(_jit._REGISTRY)
    yield
    _jit._REGISTRY.update(before)
