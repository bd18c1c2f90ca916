"""The first run compiles the kernels of its effort and no others."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from guetzpy._runtime import kernel, warmup
from guetzpy.engine.first_run import unused

COFFEE = Path(__file__).parents[1] / "data" / "coffee.jpg"

SCRIPT = """
import io
import sys
import numpy as np
from PIL import Image
import guetzpy
from guetzpy._runtime import kernel
from guetzpy.engine.first_run import unused

path, effort = sys.argv[1:]
kernel.import_kernels()
pixels = np.asarray(Image.open(path).convert("RGB"))
inks = io.BytesIO()
Image.fromarray(pixels[:200, :300]).convert("CMYK").save(inks, "JPEG", quality=95)
deep = pixels.astype(np.uint16)[:96, :96] * 257
for source in (inks.getvalue(), path, pixels[:200, :300], pixels[:200, :300, 0], deep):
    guetzpy.optimize(source, effort=effort, total_distance=True)
guetzpy.optimize(pixels, effort=effort, max_bytes=60_000)
for name, (dispatcher, _) in kernel.kernels().items():
    if dispatcher.overloads and name.startswith(unused(effort)):
        print(name)
"""


@pytest.mark.parametrize("effort", ["fast", "balanced", "max"])
@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="no kernels are compiled")
def test_a_search_calls_no_kernel_that_its_first_run_leaves_out(effort: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(COFFEE), effort],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_the_kernels_left_out_exist() -> None:
    kernel.import_kernels()
    for start in unused("fast"):
        assert any(name.startswith(start) for name in kernel.kernels())
    assert set(unused("balanced")) < set(unused("fast"))


def test_modules_without_a_folder_are_missing(tmp_path: Path) -> None:
    """A module counts as cached as soon as its folder exists; modules that are left out never count."""
    script = (
        "from guetzpy._runtime import kernel, kernel_cache\n"
        "every = kernel.missing()\n"
        "print(sorted({name.rpartition('.')[0] for name in kernel.kernels()}) == every)\n"
        "few = kernel.missing(('guetzpy.metrics.',))\n"
        "print([name for name in every if not name.startswith('guetzpy.metrics.')] == few)\n"
        "list(kernel.warm(['guetzpy.picture.transform._lookup8']))\n"
        "print(sorted(set(every) - set(kernel.missing())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": str(tmp_path),
            "NUMBA_CPU_NAME": "generic",  # the package has no compiled kernels for it
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True", "True", "['guetzpy.picture.transform']"]


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="no kernels are compiled")
def test_a_worker_warms_the_kernels_of_one_module() -> None:
    collects = gc.isenabled()
    try:
        found = warmup._warm_module("guetzpy.jpeg.dct")
        assert not gc.isenabled()  # the process ends with its work
    finally:
        if collects:
            gc.enable()
    own = {name for name in kernel.kernels() if name.rpartition(".")[0] == "guetzpy.jpeg.dct"}
    assert {name for name, _ in found} == own != set()
