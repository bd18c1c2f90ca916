"""``guetzpy inspect``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from guetzpy.cli.parameters import made, takes
from guetzpy.cli.places import STANDARD, standard_input
from guetzpy.cli.reporting import notices, print_json, report_errors, show
from guetzpy.options import OptimizeOptions

__all__ = ["inspect"]


@takes(
    OptimizeOptions, "max_pixels", "timeout", timeout="Give up after this time, also on a pipe without data."
)
def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A JPEG file; - for stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    **asked: Any,
) -> None:
    """Show the coding parameters of a JPEG file, and the bytes of each of its parts."""
    made(OptimizeOptions, asked)  # this checks the range
    with report_errors(), notices(quiet=False):
        from guetzpy._runtime.threads import time_limit
        from guetzpy.engine import inspect as inspection

        source = standard_input() if file == STANDARD else file
        with time_limit(asked.pop("timeout")):
            record = inspection.inspect(source, **asked)
        if as_json:
            print_json(record)
        else:
            show(inspection.table_text(record))
