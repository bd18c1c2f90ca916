"""``guetzpy preview``."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from guetzpy._option import options_of
from guetzpy._runtime.text import is_unprintable, printable
from guetzpy.cli.parameters import LIMITS, made, takes
from guetzpy.cli.reporting import (
    compile_if_cold,
    describe,
    explain,
    notices,
    quoted,
    report_errors,
    say,
    usage_error,
)
from guetzpy.cli.settings import load
from guetzpy.cli.tally import bytes_text
from guetzpy.options import OptimizeOptions

__all__ = ["preview"]


@takes(
    OptimizeOptions,
    "effort", "subsampling", "progressive", "to_srgb", "background", "keep", "strip", "threads", *LIMITS,
    "timeout",
)  # fmt: skip
def preview(
    picture: Annotated[
        str, typer.Argument(metavar="IN", help="A picture in any format of optimize.", show_default=False)
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html",
            help="The page. Default: IN-preview.html in the working folder.",
        ),
    ] = None,
    distances: Annotated[
        str, typer.Option("--distances", metavar="LIST", help="Distances, separated by commas.")
    ] = "0.5,1,1.5,2.5,4",
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser, if this is a terminal.")
    ] = True,
    **asked: Any,
) -> None:
    """Encode a picture at several distances, and write a page on which you compare them and choose.

    The page contains all pictures and loads nothing. It gives the command for the distance that you choose.
    """
    options = made(OptimizeOptions, asked)
    wanted = [made(OptimizeOptions, asked | {"distance": one}) for one in _distances(distances)]
    page = Path(output or f"{Path(picture).stem}-preview.html")
    if page.suffix.lower() not in (".html", ".htm"):
        usage_error(f"{page}: a preview is an HTML page; give -o {page.with_suffix('.html')}")
    _check_picture(picture)
    with report_errors(), notices(quiet=False):
        from guetzpy import api
        from guetzpy import output as files
        from guetzpy._runtime.memory import keep_freed
        from guetzpy.picture.reading import read_path
        from guetzpy.report import preview as render

        if not page.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(page.parent))
        data, _ = read_path(picture, options.max_input, options.max_memory)
        compile_if_cold(quiet=False, effort=wanted[0].effort)
        keep_freed()
        results = []
        for one in wanted:
            try:
                results.append(api.run(data, one, name=picture))
            except Exception as error:
                say(f"{picture}: {explain(error, picture)}")
                raise typer.Exit(1) from None
            say(describe(results[-1]))
        commands = [_command(picture, one, load()) for one in wanted]
        text = render(picture, data, results, commands, options.background).encode(
            "utf-8", "backslashreplace"
        )
        files.write(page, text)
        say(f"{page}: {bytes_text(len(text))}; open it in a browser, choose a distance, and copy the command")
    if open_page and sys.stderr is not None and sys.stderr.isatty():
        typer.launch(str(page))


def _check_picture(name: str) -> None:
    if os.path.isdir(name):
        command = quoted(["guetzpy", "optimize", "-r", name, "-n", "--report", "report.html"])
        usage_error(f"{name}: is a folder, and preview takes one picture; {command} shows all")
    if not os.path.isfile(name):
        usage_error(f"{name}: is not a file; preview takes one picture")


def _distances(text: str) -> list[float]:
    try:
        found = sorted({float(part) for part in text.split(",") if part.strip()})
    except ValueError:
        usage_error(f"--distances {text}: expected numbers with commas between them, such as 0.5,1,2")
    if not 1 <= len(found) <= 12:
        usage_error(f"--distances {text}: expected 1 to 12 numbers")
    return found


def _command(picture: str, options: OptimizeOptions, settings: Collection[str] = ()) -> str:
    """Return the command that encodes the picture with these options; the output is beside the picture.

    Defaults are left out, unless the option is one of ``settings``: guetzpy.toml or the environment sets it.
    """
    words = ["guetzpy", "optimize", picture if not picture.startswith("-") else f"./{picture}"]
    for name, (field, option) in options_of(OptimizeOptions).items():
        value = getattr(options, name)
        is_default = value == field.default and name not in settings
        if value is None or is_default or not option.affects_bytes:
            continue
        flag, _, off = option.flags(name)[0].partition("/")
        if isinstance(value, bool):
            words.append(flag if value else off)
        else:
            text = f"{value:g}" if isinstance(value, float) else str(getattr(value, "path", value))
            words += [flag, ",".join(value) if isinstance(value, tuple) else text]
    words += ["--suffix", "-small"]
    if os.name == "nt":
        return printable(quoted(words))  # cmd.exe and PowerShell have no such escapes in common
    return " ".join(_escaped(word) if any(map(is_unprintable, word)) else quoted([word]) for word in words)


def _escaped(word: str) -> str:
    r"""Return a word as ``$'...'`` of bash, ksh and zsh, with bytes of unprintable characters as ``\xNN``."""
    return "$'" + "".join(_escapes(c) if is_unprintable(c) or c in "'\\" else c for c in word) + "'"


def _escapes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
