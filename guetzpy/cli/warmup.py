"""``guetzpy warmup``."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Annotated

import typer

from guetzpy.cli.reporting import report_errors, say, show

__all__ = ["warmup"]


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
    """Compile all kernels for this processor, so that processing the first picture needs no compilation."""
    started = time.perf_counter()
    times: dict[str, float] = {}

    def progress(name: str, seconds: float) -> None:
        times[name] = seconds
        if verbose:
            show(f"{seconds:7.3f} s  {name}")

    with report_errors():
        from guetzpy import api
        from guetzpy._runtime.kernel_cache import cache_directory, can_keep
        from guetzpy._runtime.threads import default_threads

        if (jobs or 1) > 1 and not can_keep():
            say("warning: --jobs has no effect: processes share kernels by the cache only, and there is none")
        processes = jobs or min(4, default_threads())
        api.warmup(progress, processes=processes)
        if verbose:
            rooms: defaultdict[str, float] = defaultdict(float)
            for name, seconds in times.items():
                rooms[".".join(name.split(".")[:2])] += seconds
            shared = f", {processes} processes together" if processes > 1 else ""
            for room, seconds in sorted(rooms.items()):
                show(f"{seconds:7.3f} s  {room} in all{shared}")
        say(f"{len(times)} kernels ready in {time.perf_counter() - started:.1f} s")
        if can_keep():
            say(f"kept in {cache_directory()}")
        else:
            say(f"cannot be kept in {cache_directory()}: every start will compile (set NUMBA_CACHE_DIR)")
