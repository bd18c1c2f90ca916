"""Write the command line's reference and its manual page from the commands themselves.

python docs/make_reference.py            write docs/reference/cli.md and docs/guetzpy.1
python docs/make_reference.py --check    exit 1 if they are not up to date
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from guetzpy import __version__
from guetzpy.cli import app
from guetzpy.cli.sections import REST, SECTIONS

DOCS = Path(__file__).resolve().parent

EXIT_CODES = (
    ("0", "all files were written, or kept because they cannot be made smaller"),
    ("1", "at least one file failed; the others were processed"),
    ("2", "wrong usage; no file was processed"),
    ("3", "--check found a file that would become smaller by more than --threshold"),
    ("130", "interrupted"),
)
VARIABLES = (
    ("NUMBA_CACHE_DIR", "folder for the compiled kernels. Default: the user's cache folder"),
    ("NO_COLOR", "if set, no colours on the terminal"),
    (
        "GUETZPY_OPTION",
        "default of an option, such as GUETZPY_MAX_BYTES=50k for --max-bytes; 1 or 0 for flags",
    ),
    ("GUETZPY_DEBUG", "if set, an internal error prints a traceback"),
)

SETTINGS = (
    "Set defaults of options in `guetzpy.toml`, or in the table `[tool.guetzpy]` of `pyproject.toml`.",
    "The first such file in the working folder or above it is used; files beside the pictures are not",
    "read. The command line takes precedence over environment variables, these over the file, and the",
    "file over the default. A target, such as `distance`, replaces targets of lower precedence.",
    "Unknown keys are an error. `guetzpy config` prints the value of each option and its origin.",
)
EXAMPLE = ("distance = 1.5", 'max-input = "100MB"', 'strip = ["gps", "place"]', 'exclude = ["*.psd"]')


def commands() -> dict[str, Any]:
    """Return the commands by name."""
    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return found


def sections(command: Any) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield each section of a command's help: its title, and the name and help text of each entry."""
    context = command.make_context("guetzpy", [], resilient_parsing=True)
    parameters = command.get_params(context)
    arguments = [(p.metavar, p.help) for p in parameters if p.param_type_name == "argument"]
    if arguments:
        yield "Arguments", arguments
    options = {p.name: p for p in parameters if p.param_type_name == "option"}
    titles = SECTIONS if len(options) > 12 else {}
    for title, names in (titles | {REST: tuple(options)}).items():
        here = [options.pop(name) for name in names if name in options]
        records = [record for option in here if (record := option.get_help_record(context)) is not None]
        if records:
            yield title, [(name, re.sub(r"\s+", " ", words)) for name, words in records]


def markdown() -> str:
    """Return the reference as a page."""
    lines = [
        "# Command line",
        "",
        "This page is written by `docs/make_reference.py` from what `--help` shows.",
        "",
        "`guetzpy COMMAND [OPTIONS] ...` writes data to stdout, and progress and messages to stderr; `-` is",
        "stdin or stdout. `guetzpy --install-completion` sets up completion in bash, zsh, fish and",
        "PowerShell; `man guetzpy` shows this page where the package is installed.",
        "",
    ]
    for name, command in commands().items():
        lines += [f"## guetzpy {name}", "", *_paragraphs(command.help), ""]
        for title, records in sections(command):
            lines += [f"### {title}" + f" {{: #{name}-{_slug(title)} }}", ""]
            lines += [f"| {'argument' if title == 'Arguments' else 'option'} | |", "|---|---|"]
            lines += [f"| {_cell(option)} | {_code(words)} |" for option, words in records]
            lines += [""]
    lines += ["## Exit codes", "", "| code | |", "|---|---|"]
    lines += [f"| {code} | {_code(words)} |" for code, words in EXIT_CODES]
    lines += ["", "## Settings", "", *SETTINGS, "", '```toml title="guetzpy.toml"', *EXAMPLE, "```"]
    lines += ["", "## Environment", "", "| variable | |", "|---|---|"]
    lines += [f"| `{name}` | {words} |" for name, words in VARIABLES]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> list[str]:
    return "\n\n".join(_code(re.sub(r"\s+", " ", part)) for part in text.strip().split("\n\n")).split("\n")


def _cell(text: str) -> str:
    words = text.replace("|", "&#124;")  # which would end the cell
    return f"<code>{words}</code>"


def _code(text: str) -> str:
    return re.sub(r"(?<![\w`-])(--[a-z][\w-]*)", r"`\1`", text)


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def manual() -> str:
    """Return the manual page, as roff."""
    lines = [
        f'.TH GUETZPY 1 "" "guetzpy {__version__}" "User Commands"',
        ".SH NAME",
        r"guetzpy \- make JPEG files smaller without a visible change",
        ".SH SYNOPSIS",
    ]
    for name, command in commands().items():
        arguments = [p.metavar for p in command.params if p.param_type_name == "argument"]
        lines += [rf".B guetzpy {name}", r"[\fIOPTIONS\fR] " + " ".join(map(_roff, arguments)), ".br"]
    lines += [
        ".SH DESCRIPTION",
        "Every file is decoded and scored before it is written; a JPEG grows only if an option requires it.",
    ]
    for name, command in commands().items():
        lines += [f".SH {name.upper()}"]
        for part in command.help.strip().split("\n\n"):
            lines += [_roff(re.sub(r"\s+", " ", part)), ".PP"]
        for title, records in sections(command):
            lines += [f".SS {_roff(title)}"]
            for option, words in records:
                lines += [".TP", rf"\fB{_roff(option)}\fR", _roff(words)]
    lines += [".SH EXIT STATUS"]
    for code, words in EXIT_CODES:
        lines += [".TP", code, _roff(words)]
    lines += [".SH SETTINGS", _roff(" ".join(SETTINGS).replace("`", ""))]
    lines += [".SH ENVIRONMENT"]
    for name, words in VARIABLES:
        lines += [".TP", name, _roff(words)]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + escaped if escaped.startswith((".", "'")) else escaped


#: The pages, each with the function that makes its text.
PAGES = {DOCS / "reference" / "cli.md": markdown, DOCS / "guetzpy.1": manual}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    stale = [path for path, make in PAGES.items() if not path.exists() or path.read_text() != make()]
    if "--check" in arguments:
        return int(bool(stale))
    for path in stale:
        path.write_text(PAGES[path]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
