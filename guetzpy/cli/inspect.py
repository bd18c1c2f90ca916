"""``guetzpy inspect``."""

from __future__ import annotations

from typing import Annotated

import typer

from guetzpy.cli.limits import MaxPixels
from guetzpy.cli.places import STANDARD, standard_input
from guetzpy.cli.reporting import notices, print_json, report_errors, show
from guetzpy.options import MAX_PIXELS

__all__ = ["inspect"]


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A JPEG file; - for stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Show what a JPEG file is made of and where its bytes are."""
    with report_errors(), notices(quiet=False):
        from guetzpy.engine import inspect as inspection

        source = standard_input() if file == STANDARD else file
        record = inspection.inspect(source, max_pixels=max_pixels)
        if as_json:
            print_json(record)
        else:
            show(inspection.table_text(record))
