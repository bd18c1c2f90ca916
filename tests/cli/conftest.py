"""Fixtures of the tests in this folder."""

from __future__ import annotations

import contextlib
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reference.cli_runs import encode, quick

from guetzpy._runtime import kernel as _jit


@pytest.fixture
def no_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suppress notices of compilation, which would appear in the first test that needs a kernel."""
    monkeypatch.setattr(_jit, "compilations", lambda callback: contextlib.nullcontext())
    monkeypatch.setattr(_jit, "missing", lambda _: [])


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("guetzpy.engine.optimize")
    module.optimize = quick  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "guetzpy.engine.optimize", module)
    monkeypatch.setattr("guetzpy.engine.optimize", module, raising=False)
    return module


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_array: np.ndarray) -> Path:
    """Return a working folder with a photo in two formats."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo_array).save("photo.png")
    Path("photo.JPG").write_bytes(encode(photo_array, quality=95))
    return tmp_path
