"""What ``guetzpy --version --verbose`` and ``guetzpy warmup`` say of the folders of the kernels."""

from __future__ import annotations

import importlib.metadata
import io
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import guetzpy
from guetzpy._runtime import kernel, kernel_cache, warmup
from guetzpy.cli import app
from guetzpy.cli.warmup import surroundings


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_a_folder_of_kernels_that_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that are in such a folder are loaded: nothing is compiled."""
    monkeypatch.setattr(kernel_cache, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(kernel_cache, "can_keep", lambda: False)
    monkeypatch.setattr(kernel, "packaged", lambda: None)
    assert dict(surroundings())["kernels"] == f"{tmp_path} (cannot be written: every start compiles)"
    kernel_cache._KernelFiles(tmp_path / "guetzpy.a-1" / "kernel").save("key", 1)
    assert dict(surroundings())["kernels"] == f"{tmp_path} (read only)"


def test_kernels_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the package contains kernels that fit, it does not matter that the cache cannot be written."""
    monkeypatch.setattr(kernel_cache, "can_keep", lambda: False)
    monkeypatch.setattr(kernel, "packaged", lambda: None)
    assert "kernels of the package" not in dict(surroundings())
    monkeypatch.setattr(kernel, "packaged", lambda: tmp_path)
    found = dict(surroundings())
    assert found["kernels of the package"] == tmp_path
    assert "every start" not in str(found["kernels"])


def test_warm_up_where_the_package_has_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No process is started to compile what the package contains."""

    def compile_nothing(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(warmup, "warm_in_processes", compile_nothing)
    monkeypatch.setattr(kernel, "packaged", lambda: tmp_path)
    monkeypatch.setattr(kernel, "warm", lambda: iter([("a kernel", 0.1)]))
    result = CliRunner().invoke(app, ["warmup", "--jobs", "2"])
    assert result.exit_code == 0
    assert "1 kernels ready" in result.stderr
    assert "none was compiled, as the package contains them" in result.stderr


def test_version_with_verbose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries, and the variables of the environment that change what is computed."""
    monkeypatch.setenv("GUETZPY_DISTANCE", "1.5")
    done = run("--version", "--verbose")
    assert done.exit_code == 0
    found = dict(line.split(None, 1) for line in done.stdout.splitlines() if not line.startswith(" "))
    assert found["guetzpy"] == guetzpy.__version__
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["GUETZPY_DISTANCE"] == "1.5"


def test_verbose_needs_version() -> None:
    done = run("--verbose", "warmup")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--verbose goes with --version here" in done.stderr


def test_a_system_that_does_not_name_its_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux names the model of an x86 processor only. Regression: the line began with a comma."""
    arm = "processor\t: 0\nBogoMIPS\t: 108.00\n"
    module = sys.modules["guetzpy.cli.warmup"]  # the package's attribute is the command
    monkeypatch.setattr(module, "open", lambda *_, **__: io.StringIO(arm), raising=False)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert str(dict(surroundings())["processor"]).startswith(f"{platform.machine()}, ")
