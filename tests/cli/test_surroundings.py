"""What ``guetzpy --version --verbose`` says of the folder of the kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from guetzpy._runtime import kernel_cache
from guetzpy.cli.warmup import surroundings


def test_a_folder_of_kernels_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that are in such a folder are loaded: nothing is compiled."""
    monkeypatch.setattr(kernel_cache, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(kernel_cache, "can_keep", lambda: False)
    assert dict(surroundings())["kernels"] == f"{tmp_path} (cannot be written: every start compiles)"
    kernel_cache._KernelFiles(tmp_path / "guetzpy.a-1" / "kernel").save("key", 1)
    assert dict(surroundings())["kernels"] == f"{tmp_path} (read only)"
