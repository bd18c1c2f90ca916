"""The command line: one file a command. What a command needs is imported when it runs."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from guetzpy import __version__
from guetzpy.cli.compare import compare
from guetzpy.cli.inspect import inspect
from guetzpy.cli.optimize import optimize
from guetzpy.cli.transcode import transcode
from guetzpy.cli.warmup import warmup

__all__ = ["app", "main"]

app = typer.Typer(
    name="guetzpy",
    help="Make JPEG files smaller without a visible change.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command in (optimize, transcode, compare, inspect, warmup):
    app.command()(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"guetzpy {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; never returns.

    Numba makes a million objects that live to the end. Looking for garbage among them, again and again
    and once more at the end, took a third of a short run.
    """
    gc.set_threshold(100_000, 50, 100)
    try:
        app(windows_expand_args=False)  # cli.places expands the inputs, and nothing but them
    finally:
        gc.freeze()
