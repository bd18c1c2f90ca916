"""``guetzpy config``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from guetzpy.cli.folder_options import Exclude, Include, Jobs, JpegOnly, Preserve
from guetzpy.cli.parameters import Names, Suffix, made, takes
from guetzpy.cli.reporting import print_json, report_errors, show
from guetzpy.cli.settings import find, keys, load
from guetzpy.options import OptimizeOptions

__all__ = ["config"]


@takes(OptimizeOptions)
def config(
    context: typer.Context,
    suffix: Suffix = None,
    jpeg_only: JpegOnly = False,
    jobs: Jobs = None,
    include: Include = None,
    exclude: Exclude = None,
    names: Names = "jpg",
    preserve: Preserve = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    **asked: Any,
) -> None:
    """Show the value of each option that can be set by a file or the environment, and its origin.

    A value comes from the command line, else from environment variables (GUETZPY_MAX_BYTES=50k for
    --max-bytes), else from the first guetzpy.toml, or pyproject.toml with a table [tool.guetzpy], in the
    working folder or above it. Otherwise the default applies.
    """
    made(OptimizeOptions, asked)
    settings, dropped = load(), context.meta["guetzpy.dropped"]
    rows = {}
    for key, (name, turns_off) in keys().items():
        if turns_off:
            continue
        source = context.get_parameter_source(name)
        origin = "default"
        if source is not None and source.name == "COMMANDLINE":
            origin = "command line"
        elif source is not None and source.name == "DEFAULT_MAP" and name not in dropped:
            origin = settings[name].origin
        value = context.params[name]
        rows[key] = (list(value) if isinstance(value, tuple) else value, origin)
    if as_json:
        print_json({key: {"value": value, "origin": origin} for key, (value, origin) in rows.items()})
        return
    with report_errors():
        found = find(Path.cwd())
        show(f"# {found[0]}" if found else "# no guetzpy.toml, and no pyproject.toml with [tool.guetzpy]")
        for key, (value, origin) in rows.items():
            show(f"{key:17} {_word(value):24} {origin}")


def _word(value: object) -> str:
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
