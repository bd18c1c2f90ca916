"""Defaults of options from ``guetzpy.toml``, ``pyproject.toml`` and the environment.

The command line takes precedence over the environment, the environment over a file, and a file over the
default. The file is searched in the working folder and the folders above it. It is not searched beside the
pictures, because whoever made a folder of pictures must not change the run.

If a ``guetzpy.toml`` cannot be read or is not TOML, that is an error. If a ``pyproject.toml`` cannot be read,
that is a warning, because the file belongs to other programs as well and may lie above the working folder.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guetzpy._option import options_of
from guetzpy.cli.reporting import usage_error
from guetzpy.options import TARGETS, OptimizeOptions

__all__ = ["EXCLUSIVE", "PREFIX", "Setting", "find", "keys", "load"]

#: Start of the names of environment variables.
PREFIX = "GUETZPY_"

#: Options that exclude each other: one on the command line replaces all of these from the environment and
#: files, and one in the environment replaces all of these from files.
EXCLUSIVE = ((*TARGETS, "total_bytes", "total_bpp"), ("suffix", "output", "in_place", "check"))

# Options of the command line that a file or the environment may set, besides the fields of the options.
# Options that say where outputs are written are left out, except ``suffix``, which replaces no file.
_OF_RUNS = ("suffix", "jpeg_only", "jobs", "include", "exclude", "names", "preserve", "quiet")

# Options with several values.
_LISTS = ("include", "exclude")

# Variables that are not options: one of the command line, and two of the tests.
_OTHER_VARIABLES = ("GUETZPY_DEBUG", "GUETZPY_CHROMIUM", "GUETZPY_STRESS_CACHE")


@dataclass(frozen=True)
class Setting:
    """A default of an option: its value in the form that the parser takes, its key, and its origin."""

    value: Any
    key: str
    origin: str


def keys() -> dict[str, tuple[str, bool]]:
    """Return the parameter that each key sets, and whether the key turns it off (as ``no-mark`` does)."""
    found = {}
    for name, (_, option) in options_of(OptimizeOptions).items():
        on, *off = option.flags(name)[0].split("/")
        found[on[2:]] = (name, False)
        found |= {flag[2:]: (name, True) for flag in off}
    return found | {name.replace("_", "-"): (name, False) for name in _OF_RUNS}


def find(
    folder: Path, notice: Callable[[str], None] = lambda text: None
) -> tuple[Path, dict[str, Any]] | None:
    """Return the file with the settings of a folder, and its table; None if there is none.

    Folders are searched from ``folder`` up, until one has such a file. ``notice`` takes a line about each
    file of other programs that could not be read.
    """
    for place in (folder, *folder.parents):
        found = []
        for name in ("guetzpy.toml", "pyproject.toml"):
            try:
                table = _table(place / name)
            except _Unreadable as error:
                if name == "guetzpy.toml":
                    usage_error(str(error))
                notice(f"warning: {error}; if it has settings in [tool.guetzpy], they are not used")
                continue
            if table is not None:
                found.append((place / name, table))
        if len(found) > 1:
            usage_error(f"{found[0][0]} and the table [tool.guetzpy] of pyproject.toml beside it: remove one")
        if found:
            return found[0]
    return None


class _Unreadable(Exception):
    """The error for a file that exists but cannot be read or parsed, so that its settings are not known."""


def _table(path: Path) -> dict[str, Any] | None:
    """Return the settings of a file; None if it does not exist or has none."""
    own = path.name == "guetzpy.toml"
    try:
        data = _read(path)
    except (FileNotFoundError, NotADirectoryError):
        if own and path.is_symlink():
            usage_error(
                f"{path}: is a link to a file that does not exist; restore the file or remove the link"
            )
        return None
    except OSError as error:
        if not _is_listed(path):
            return None  # a folder without access for this user has no settings for this user
        words = "; guetzpy reads its settings from it: make it readable, or rename it" if own else ""
        raise _Unreadable(f"{path}: {error.strerror}{words}") from None
    if not own and b"guetzpy" not in data:
        return None  # whether the file is valid TOML matters to other programs only
    try:
        content = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"{path}: not valid TOML: {error}") from None
    if own:
        return content
    table = content.get("tool", {}).get("guetzpy") if isinstance(content.get("tool"), dict) else None
    if table is not None and not isinstance(table, dict):
        usage_error(f"{path}: tool.guetzpy must be a table, [tool.guetzpy]")
    return table


def _read(path: Path) -> bytes:
    """Return the bytes of a file; raise an error for a pipe or a device, whose reading may never end."""
    if not (path.is_file() or path.is_dir()) and path.exists():
        raise _Unreadable(f"{path}: not a regular file")
    return path.read_bytes()


def _is_listed(path: Path) -> bool:
    """Return whether a file exists and the user may access the folders above it."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def load(
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> dict[str, Setting]:
    """Return the defaults that apply in a folder, by parameter; a wrong default ends with exit code 2.

    Parameters
    ----------
    folder : Path, optional
        Default: the working folder.
    environment : mapping, optional
        Default: the environment of the process.
    notice : callable, optional
        Takes a line about each file of other programs that could not be read.
    """
    try:
        found = find((folder or Path.cwd()).absolute(), notice)
    except OSError:  # the working folder was removed
        found = None
    settings = dict(_of_file(*found)) if found is not None else {}
    variables = dict(_of_variables(os.environ if environment is None else environment))
    for group in EXCLUSIVE:
        if any(name in variables for name in group):
            settings = {name: one for name, one in settings.items() if name not in group}
    return settings | variables


def _of_file(path: Path, table: Mapping[str, Any]) -> Iterator[tuple[str, Setting]]:
    known = keys()
    for key, value in table.items():
        if key not in known:
            usage_error(f"{path}: unknown key {key}{_hint(key, list(known))}")
        name, inverted = known[key]
        yield name, Setting(_value(f"{path}: {key}", name, value, inverted), key, str(path))


def _of_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, Setting]]:
    known = {PREFIX + key.replace("-", "_").upper(): key for key in keys()}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX) or variable in _OTHER_VARIABLES or not text:
            continue
        if variable not in known:
            usage_error(f"unknown environment variable {variable}{_hint(variable, list(known))}")
        key = known[variable]
        name, inverted = keys()[key]
        value: Any = text
        if name in _LISTS:
            value = [part for part in text.split(",") if part]
        elif _is_flag(name):
            value = _truth(variable, text)
        yield name, Setting(_value(variable, name, value, inverted), key, f"${variable}")


def _is_flag(name: str) -> bool:
    fields = options_of(OptimizeOptions)
    default = fields[name][0].default if name in fields else name in ("jpeg_only", "preserve", "quiet")
    return isinstance(default, bool) and (name in fields or default)


def _truth(variable: str, text: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in words:
        usage_error(f"{variable}={text}: expected 1 or 0")
    return words[text.lower()]


def _value(where: str, name: str, value: Any, inverted: bool) -> Any:
    """Return a value in the form that the command line's parser takes, if its type is right."""
    if _is_flag(name):
        if not isinstance(value, bool):
            usage_error(f"{where}: expected true or false, not {value!r}")
        return value != inverted
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        if name in _LISTS:
            return value
        if name in ("keep", "strip"):
            return ",".join(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        usage_error(f"{where}: expected {'a list of texts' if name in _LISTS else 'a number or a text'}")
    if name in _LISTS:
        return [str(value)]
    return str(value)


def _hint(wrong: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wrong.replace("_", "-") if wrong.islower() else wrong, known, 1, 0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return "; the keys are the options of guetzpy optimize --help, without --"
