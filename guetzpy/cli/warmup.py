"""``guetzpy warmup``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from guetzpy.cli.reporting import report_errors, say

__all__ = ["warmup"]


def warmup(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the seconds that each kernel took.")
    ] = False,
) -> None:
    """Compile all kernels for this processor now, so that the first picture need not wait."""
    started = time.perf_counter()
    count = 0

    def progress(name: str, seconds: float) -> None:
        nonlocal count
        count += 1
        if verbose:
            typer.echo(f"{seconds:7.3f} s  {name}")

    with report_errors():
        from guetzpy import _jit, api

        api.warmup(progress)
        seconds = time.perf_counter() - started
        say(f"{count} kernels ready in {seconds:.1f} s, kept in {_jit.cache_directory()}")
