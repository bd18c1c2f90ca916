"""The command line. Each command has a file, which imports other modules only when the command runs."""

from __future__ import annotations

import gc
import sys
import warnings
from typing import Annotated

import typer

from guetzpy import __version__
from guetzpy.cli.compare import compare
from guetzpy.cli.config import config
from guetzpy.cli.inspect import inspect
from guetzpy.cli.optimize import optimize
from guetzpy.cli.preview import preview
from guetzpy.cli.reporting import report_errors, show, usage_error
from guetzpy.cli.restore import restore
from guetzpy.cli.sections import CommandGroup, SectionedCommand
from guetzpy.cli.train import train
from guetzpy.cli.transcode import transcode
from guetzpy.cli.warmup import surroundings, warmup

__all__ = ["app", "main"]

app = typer.Typer(
    name="guetzpy",
    cls=CommandGroup,
    help="Make JPEG files smaller without a visible change.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for command, words in (
    (optimize, "Write smaller JPEG files of a given quality."),
    (preview, "Compare a picture at several distances, and choose one."),
    (transcode, "Repack JPEG files without loss."),
    (compare, "Measure how visible the difference between two pictures is."),
    (inspect, "Show the parts of a JPEG file."),
    (restore, "Undo runs that replaced files and had --backup."),
    (train, "Fit a model on pictures of your own, for --model."),
    (config, "Show the values of options and where they were set."),
    (warmup, "Compile all kernels, for a fast first start."),
):
    app.command(cls=SectionedCommand, short_help=words)(command)


def _version(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    show(f"guetzpy {__version__}")
    if "--verbose" in context.meta["guetzpy.arguments"]:
        with report_errors():
            for name, value in surroundings():
                show(f"{name:15} {value}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="With --version: also print libraries, processor and folders.",
        ),
    ] = False,
) -> None:
    if verbose:
        usage_error("--verbose goes with --version here; guetzpy warmup has its own")


def main() -> None:
    """Run the command line; never returns.

    Numba creates a million objects that exist until the process ends. The garbage collector searched them
    many times, and once more at the end, which took a third of the time of a short run. So it runs less
    often, and not at the end.
    """
    gc.set_threshold(100_000, 50, 100)
    # Pillow's warnings of damaged tags quote a line of its code. guetzpy reports itself what it cannot read.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with report_errors():  # errors of --help and --version; commands report their own errors
            # Only inputs are expanded, by cli.places.
            app(prog_name="guetzpy", windows_expand_args=False)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
    finally:
        gc.freeze()
