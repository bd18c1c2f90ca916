"""Processor seconds to compile each kernel, and all kernels of each package, with an empty cache.

    python -m bench compile_time                       all packages
    python -m bench compile_time --packages metrics    some of them
    python -m bench compile_time --passes              also a kernel's seconds by compiler pass

Every package is compiled in a process of its own. A kernel's seconds do not contain those of the kernels that
it calls, which are compiled once and reported by themselves. The set-up that numba does at its first
compilation is measured with a small function and reported apart. Seconds are processor time, which depends
less on other processes than wall time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from typing import Any

import numpy as np

PACKAGES = ("jpeg", "metrics", "search")


def compile_package(package: str, passes: bool) -> dict[str, Any]:
    """Compile the kernels of a package in this process, whose cache is empty; return seconds."""
    started = time.process_time()
    import numba
    from numba.core import event

    from guetzpy._runtime import kernel as _jit
    from guetzpy._runtime import packaged

    packaged._FOLDER /= "none"  # kernels that an editable installation has would be loaded
    gc.disable()  # the processes of the warm-up run without garbage collection too
    _jit.import_kernels()
    numba.config.LLVM_PASS_TIMINGS = int(passes)
    imported = time.process_time() - started
    started = time.process_time()
    numba.njit("int64(float32[:, ::1])")(_nothing)
    fixed = time.process_time() - started

    own: defaultdict[str, float] = defaultdict(float)
    names = {id(dispatcher): name for name, (dispatcher, _) in _jit.kernels().items()}

    class Clock(event.Listener):  # type: ignore[misc]
        """Seconds of each compilation without those nested in it."""

        def __init__(self) -> None:
            self.open: list[list[float]] = []

        def on_start(self, event: Any) -> None:
            self.open.append([time.process_time(), 0.0])

        def on_end(self, event: Any) -> None:
            begun, inner = self.open.pop()
            seconds = time.process_time() - begun
            own[names.get(id(event.data["dispatcher"]), "?")] += seconds - inner
            if self.open:
                self.open[-1][1] += seconds

    def belongs(name: str) -> bool:
        parts = name.split(".")
        return (parts[1] if parts[1] in PACKAGES else "metrics") == package

    event.register("numba:compile", Clock())
    started = time.process_time()
    for _ in _jit.warm([name for name in sorted(_jit.kernels()) if belongs(name)]):
        pass
    total = time.process_time() - started
    shares = {}
    if passes:
        for name, (dispatcher, _) in _jit.kernels().items():
            for signature in dispatcher.signatures:
                shares[name] = _shares(dispatcher.get_metadata(signature))
    return {"import": imported, "fixed": fixed, "total": total, "kernels": dict(own), "shares": shares}


def _nothing(plane: Any) -> int:
    total = 0
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            total += np.int64(plane[y, x])
    return total


def _shares(metadata: dict[str, Any]) -> str:
    """Return wall seconds of numba's longest passes, and of LLVM's, as text."""
    timers = metadata.get("pipeline_times", {}).get("nopython", {})
    longest = sorted(timers.items(), key=lambda item: -item[1].run)[:3]
    words = [f"{name.split('_', 1)[-1]} {times.run:.2f}" for name, times in longest]
    timings = metadata.get("llvm_pass_timings")
    if timings is not None:
        words.append(f"LLVM {sum(step.get_total_time() for _, step in timings):.2f}")
    return ", ".join(words)


def measure(package: str, passes: bool) -> dict[str, Any]:
    """Compile a package in a fresh process with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [
            sys.executable,
            "-m",
            "bench.timing.compile_time",
            "--worker",
            package,
            *["--passes"] * passes,
        ]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Print a table of kernels, longest first, and the sums of the packages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--packages", default=",".join(PACKAGES), help="some of %(default)s; other kernels count as metrics"
    )
    parser.add_argument("--passes", action="store_true", help="also wall seconds of the longest passes")
    parser.add_argument("--json", help="write the figures to a file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        json.dump(compile_package(options.worker, options.passes), sys.stdout)
        return
    results = {package: measure(package, options.passes) for package in options.packages.split(",")}
    for package, result in results.items():
        for name, seconds in sorted(result["kernels"].items(), key=lambda item: -item[1]):
            print(f"{seconds:7.3f} s  {name}  {result['shares'].get(name, '')}")
        count = len(result["kernels"])
        print(
            f"{result['total']:7.3f} s  guetzpy.{package}: {count} kernels"
            f" (numba's first compilation {result['fixed']:.2f} s, imports {result['import']:.2f} s apart)\n"
        )
    if options.json:
        with open(options.json, "w") as stream:
            json.dump(results, stream, indent=1)


if __name__ == "__main__":
    main()
