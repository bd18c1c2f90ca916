"""The same bytes for any number of threads, cache, processor level, and with or without compiled kernels."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference.jpeg_files import picture

import guetzpy

TESTS = Path(__file__).parents[1]

#: Prints digests of results, and for each width of vectors the number of instructions of kernels that use it.
SCRIPT = """
import hashlib, json, re, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/runtime"]
from guetzpy._runtime import packaged
packaged._FOLDER /= "none"  # the package's kernels are not those of this processor
from test_stability import results
found = {name: hashlib.sha256(data).hexdigest() for name, data in results(json.loads(sys.argv[2])).items()}
widths = dict.fromkeys(("zmm", "ymm", "xmm"), 0)
if len(sys.argv) > 3:
    from guetzpy._runtime import kernel as _jit
    for dispatcher, _ in _jit.kernels().values():
        for signature in dispatcher.signatures:
            text = dispatcher.inspect_asm(signature)
            for width in widths:
                widths[width] += len(re.findall(r"ps\\s[^\\n]*%?" + width, text))
print(json.dumps([found, widths]))
"""


def results(size: tuple[int, int]) -> dict[str, bytes]:
    """Return files of each kind of result, for pictures of this size."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(4).integers(-9, 10, (height, width, 3))
    codes = np.stack([90 + 3 * x + y, 60 + 4 * y, 200 - 2 * x], axis=-1) + noise
    codes = codes.clip(0, 255).astype(np.uint8)
    return {
        "array": guetzpy.optimize(codes, distance=1.5, effort="fast").data,
        "gray": guetzpy.optimize(codes[..., 1].copy(), distance=1.5, effort="fast").data,
        "jpeg": guetzpy.optimize(picture(width, height, quality=97), distance=3.0, effort="fast").data,
        "repack": guetzpy.transcode(picture(width, height, seed=1)).data,
    }


def elsewhere(size: tuple[int, int], *, assembly: bool = False, **environment: str) -> tuple[dict, dict]:
    """Return the digests and the counts of vector instructions from a new process."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(TESTS), json.dumps(size)]
    done = subprocess.run(
        command + ["assembly"] * assembly, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    digests, widths = json.loads(done.stdout)
    assert len(set(digests.values())) == 4
    return digests, widths


@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_threads(photo_array: np.ndarray, effort: str) -> None:
    sources = [photo_array, picture(90, 70, quality=97)]
    for source in sources:
        one, two, many = (
            guetzpy.optimize(source, distance=3.0, effort=effort, threads=n)  # type: ignore[arg-type]
            for n in (1, 2, 5)
        )
        assert one.data == two.data == many.data
        assert one.ssimulacra2 == two.ssimulacra2 == many.ssimulacra2
        assert one.status == "optimized"


def test_again_and_again(photo_array: np.ndarray) -> None:
    """Results do not depend on earlier calls of the process."""
    first = guetzpy.optimize(photo_array, effort="fast").data
    guetzpy.optimize(photo_array[:40, :50].copy(), distance=4.0, effort="fast")
    assert guetzpy.optimize(photo_array, effort="fast").data == first


@pytest.mark.slow
def test_cold_and_warm_cache(tmp_path: Path) -> None:
    cold, _ = elsewhere((40, 48), NUMBA_CACHE_DIR=str(tmp_path))
    warm, _ = elsewhere((40, 48), NUMBA_CACHE_DIR=str(tmp_path))
    assert cold == warm


@pytest.mark.slow
def test_without_the_jit(tmp_path: Path) -> None:
    compiled, _ = elsewhere((17, 18))
    interpreted, _ = elsewhere((17, 18), NUMBA_DISABLE_JIT="1")
    assert compiled == interpreted


@pytest.mark.slow
def test_bounds_checked(tmp_path: Path) -> None:
    plain, _ = elsewhere((40, 48))
    checked, _ = elsewhere((40, 48), NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(tmp_path))
    assert plain == checked


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="levels of x86-64")
def test_processors(tmp_path: Path) -> None:
    """Results are equal with AVX-512 (if the machine has it), AVX2 and plain x86-64, by the assembly."""
    levels = {"x86-64": ("xmm",), "x86-64-v3": ("ymm", "xmm")}
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    digests = {}
    for level, used in levels.items():
        digests[level], widths = elsewhere(
            (40, 48), assembly=True, NUMBA_CPU_NAME=level, NUMBA_CPU_FEATURES="",
            NUMBA_CACHE_DIR=str(tmp_path / level),
        )  # fmt: skip
        assert {width for width, count in widths.items() if count} == set(used), (level, widths)
    if "avx512vl" in flags:
        digests["host"], widths = elsewhere((40, 48), assembly=True, NUMBA_CACHE_DIR=str(tmp_path / "host"))
        assert widths["zmm"] > 100, widths
    assert len({json.dumps(found) for found in digests.values()}) == 1, digests
