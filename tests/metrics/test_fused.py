"""The fused multiply-add of the interpreter and of machine code round alike."""

from __future__ import annotations

import importlib.util

import numba
import numpy as np
import pytest

from guetzpy.metrics import _fused


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")
def test_one_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec(_fused.__name__)
    assert spec is not None
    assert spec.loader is not None
    interpreted = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    spec.loader.exec_module(interpreted)
    monkeypatch.undo()

    compiled = numba.njit(lambda a, b, c: _fused.fma(a, b, c))
    random = np.random.default_rng(3)
    rounded_twice = 0
    for a, b, c in random.normal(0, 1, (500, 3)).astype(np.float32):
        result = interpreted.fma(a, b, c)
        assert result.dtype == np.float32
        assert result == compiled(a, b, c)
        rounded_twice += int(result != np.float32(a * b) + c)
    assert rounded_twice > 50
