"""``guetzpy train``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer

from guetzpy.cli.reporting import compile_if_cold, notices, report_errors, rewrite_line, say, usage_error
from guetzpy.cli.sections import some_of
from guetzpy.model.file import Model

__all__ = ["train"]

#: Names of the parts, in the order of their fits; here too because ``guetzpy.train.train`` imports NumPy.
PARTS = ("weights", "tables", "start")

#: Seconds between two lines of progress where stderr is not a terminal.
_EVERY = 60.0


def train(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Training pictures, of any format that optimize opens.")
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="Model file to write, such as model.npz."),
    ],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fit on 24 pictures, in about 10 minutes on two processors."),
    ] = False,
    pictures: Annotated[
        int | None,
        typer.Option(
            "--pictures",
            metavar="N",
            min=2,
            max=10000,
            help="Largest number of pictures, taken at equal intervals. Default: 200, or 24 with --quick.",
        ),
    ] = None,
    size: Annotated[
        int,
        typer.Option(
            "--size",
            metavar="PIXELS",
            min=64,
            max=2048,
            help="Longest side of the part of each picture that is used.",
        ),
    ] = 512,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the random numbers.")] = 0,
    parts: Annotated[
        str | None,
        typer.Option(
            "--parts",
            metavar="LIST",
            autocompletion=some_of(PARTS),
            help="Parts to fit, separated by commas: weights, tables, start. Default: all.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="FILE", help="Model file from which the other parts are taken."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--time",
            metavar="MINUTES",
            min=0,
            help="End the fit after this time with the results so far, which then depend on the machine.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", min=1, help="Processes. Default: one for each processor."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only errors.")] = False,
) -> None:
    """Fit a model on a folder of pictures, for optimize --model.

    Every fifth picture is held out: the fit does not use it, and the figures of the model come from it. A run
    that was stopped goes on when the same command is given again.
    """  # fmt: skip
    with report_errors(), notices(quiet):
        from guetzpy._runtime.threads import default_threads
        from guetzpy.train import train as work

        compile_if_cold(quiet)
        chosen = replace(work.QUICK if quick else work.WHOLE, size=size, seed=seed)
        if pictures is not None:
            chosen = replace(chosen, pictures=pictures)
        if parts is not None:
            chosen = replace(chosen, parts=tuple(name for name in PARTS if name in _names(parts)))
        if base is not None:
            chosen = replace(chosen, base=Model.load(base))
        began = time.monotonic()
        try:
            with _shown(quiet) as progress:
                model = work.train(
                    folder, output, chosen,
                    jobs=jobs or default_threads(),
                    minutes=float("inf") if minutes is None else minutes,
                    progress=progress,
                    tell=(lambda text: None) if quiet else say,
                )  # fmt: skip
        except KeyboardInterrupt:
            say("the same command continues")
            raise
        if not quiet:
            for line in lines(model.about["figures"]):
                say(line)
            took = (time.monotonic() - began) / 60
            say(f"{output}: {model.label}, {len(model.data)} bytes, {took:.1f} minutes")


def _names(text: str) -> set[str]:
    names = {name.strip() for name in text.split(",")} - {""}
    if not names or names - set(PARTS):
        usage_error(f"--parts {text}: expected some of: {', '.join(PARTS)}")
    return names


def lines(figures: dict[str, Any]) -> Iterator[str]:
    """Yield a line about each part, with its figures on the pictures that are held out."""
    for name, part in figures.items():
        if "per_cent" in part:
            told = ", ".join(f"{metric} {value:+.1f} %" for metric, value in part["per_cent"].items())
            yield f"{name}: bytes at equal score: {told}"
        for effort, found in part.items():
            if isinstance(found, dict) and "evaluations" in found:
                yield (
                    f"{name}: evaluations a file, {effort}: "
                    f"{found['evaluations_before']:.2f} -> {found['evaluations']:.2f}"
                )


@contextmanager
def _shown(quiet: bool) -> Iterator[Any]:
    """Yield a function that shows progress.

    On a terminal it rewrites one line. Otherwise it prints a line for each new stage, and one a minute.
    """
    terminal = not quiet and sys.stderr is not None and sys.stderr.isatty()
    last, since = "", 0.0

    def show(stage: str, done: int, total: int) -> None:
        nonlocal last, since
        if quiet:
            return
        if terminal:
            rewrite_line(f"{stage}: {done} of {total}")
            return
        now = time.monotonic()
        if stage != last or done == total or now - since > _EVERY:
            last, since = stage, now
            say(f"{stage}: {done} of {total}")

    try:
        yield show
    finally:
        if terminal:
            rewrite_line("")
