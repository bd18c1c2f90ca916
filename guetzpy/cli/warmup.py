"""``guetzpy warmup``."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

import typer

from guetzpy.cli.reporting import report_errors, say, show

__all__ = ["surroundings", "warmup"]


def warmup(
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Print the processor seconds of each kernel and package."),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", metavar="N", min=1, help="Number of processes that compile. Default: up to 4."
        ),
    ] = None,
) -> None:
    """Compile all kernels, or load them, so that processing the first picture needs no compilation."""
    started = time.perf_counter()
    times: dict[str, float] = {}
    compiled: list[bool] = []

    def progress(name: str, seconds: float) -> None:
        times[name] = seconds
        if verbose:
            show(f"{seconds:7.3f} s  {name}")

    with report_errors():
        from guetzpy import api
        from guetzpy._runtime.kernel import compilations, packaged
        from guetzpy._runtime.kernel_cache import cache_directory, can_keep
        from guetzpy._runtime.threads import default_threads

        if (jobs or 1) > 1 and not can_keep():
            say("warning: --jobs has no effect: without a cache folder, processes cannot share kernels")
        processes = jobs or min(4, default_threads())
        with compilations(lambda: compiled.append(True)):
            api.warmup(progress, processes=processes)
        if verbose:
            packages: defaultdict[str, float] = defaultdict(float)
            for name, seconds in times.items():
                packages[".".join(name.split(".")[:2])] += seconds
            shared = f", {processes} processes together" if processes > 1 else ""
            for package, seconds in sorted(packages.items()):
                show(f"{seconds:7.3f} s  {package} in all{shared}")
        say(f"{len(times)} kernels ready in {time.perf_counter() - started:.1f} s")
        if packaged() is not None and not compiled:
            say("none was compiled, as the package contains them")
        elif can_keep():
            say(f"kept in {cache_directory()}")
        else:
            say(f"cannot be kept in {cache_directory()}: every start will compile (set NUMBA_CACHE_DIR)")


def surroundings() -> Iterator[tuple[str, object]]:
    """Yield names and values for bug reports: versions, processor, folders, settings."""
    import importlib.metadata
    import platform
    from pathlib import Path

    from PIL import features

    from guetzpy._runtime import kernel, kernel_cache
    from guetzpy._runtime.threads import default_threads
    from guetzpy.batch import memory
    from guetzpy.cli.settings import PREFIX, find

    yield "Python", f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"
    yield "system", platform.platform()
    yield "processor", f"{_processor()}, {default_threads()} threads"
    free = memory.available()
    if free is not None:
        yield "memory", f"{free / 1e9:.1f} GB available"
    for name in ("numpy", "numba", "llvmlite", "pillow", "typer"):
        yield name, importlib.metadata.version(name)
    yield "libjpeg-turbo", features.version("libjpeg_turbo") or features.version("jpg")
    for name in ("pillow-heif", "pillow-jxl-plugin", "rawpy", "fsspec", "distributed", "scikit-image"):
        with suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)
    kernels, packaged = kernel_cache.cache_directory(), kernel.packaged()
    words = ""
    if packaged is not None:
        yield "kernels of the package", packaged
    elif not kernel_cache.can_keep():
        # A container's image may hold compiled kernels in a folder that is read only when the container runs.
        held = kernels is not None and any(kernels.rglob("*.bin"))
        words = " (read only)" if held else " (cannot be written: every start compiles)"
    yield "kernels", f"{kernels}{words}"
    found = find(Path.cwd())
    yield "settings", found[0] if found else "no file"
    for name in sorted(os.environ):
        if name.startswith((PREFIX, "NUMBA_")):
            yield name, os.environ[name]


def _processor() -> str:
    """Return the name of the processor and its architecture."""
    import platform

    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {platform.machine()}"
    return ", ".join(filter(None, (platform.processor(), platform.machine())))
