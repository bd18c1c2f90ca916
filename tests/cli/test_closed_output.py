"""Help that cannot be written, and kernels that cannot be stored."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from guetzpy import api
from guetzpy._runtime import kernel_cache
from guetzpy.cli import app


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["transcode", "--help"]])
def test_help_that_cannot_be_written(arguments: list[str]) -> None:
    """Regression: it ended with a traceback."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "guetzpy", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "guetzpy: No space left on device\n")


def test_exit_codes_of_the_group() -> None:
    command = [sys.executable, "-m", "guetzpy"]
    assert subprocess.run([*command, "--version"], capture_output=True).returncode == 0
    assert subprocess.run([*command, "nosuch"], capture_output=True).returncode == 2


def test_warmup_by_several_processes_needs_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "warmup", lambda progress, processes: None)
    for kept in (True, False):
        monkeypatch.setattr(kernel_cache, "can_keep", lambda kept=kept: kept)
        done = CliRunner().invoke(app, ["warmup", "-j", "2"])
        assert ("--jobs has no effect" in done.stderr) == (not kept)
