"""Suggestions for a command line that names no command."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Collection, Sequence

__all__ = ["HELP", "quoted", "suggestion"]

#: First words that ask for help.
HELP = ("help", "--help", "-h", "?", "/?")

# What other programs call a command of this one.
_SYNONYMS = {
    "optimise": "optimize", "compress": "optimize", "shrink": "optimize", "encode": "optimize",
    "convert": "optimize", "repack": "transcode", "lossless": "transcode", "diff": "compare",
    "identify": "inspect", "info": "inspect", "undo": "restore", "settings": "config",
}  # fmt: skip

# Options that say where results go, or that nothing is written.
_PLACES = ("-o", "--output", "--in-place", "--suffix", "--check", "--dry-run", "-n")


def suggestion(args: Sequence[str], commands: Collection[str], options: Collection[str]) -> str | None:
    """Return the command line that was probably meant.

    Parameters
    ----------
    args : sequence of str
        The arguments after the name of the program; the first names no command.
    commands : collection of str
        Names of the commands.
    options : collection of str
        Options of ``optimize``, such as ``-d``.

    Returns
    -------
    str or None
        A line that can be typed; None if no guess is better than another.
    """
    if not args:
        return None
    first = args[0]
    if first.lower() in HELP:
        known = [word for word in args[1:] if word in commands]
        return quoted(["guetzpy", *known[:1], "--help"])
    if first.lower() in ("version", "-v"):
        return "guetzpy --version"
    if not os.path.lexists(first):
        if first.lower() in _SYNONYMS:
            return quoted(["guetzpy", _SYNONYMS[first.lower()], *args[1:]])
        if first.lower() in commands:
            return quoted(["guetzpy", first.lower(), *args[1:]])
    takes = first.partition("=")[0] in options if first.startswith("-") else _is_picture(first)
    return quoted(["guetzpy", "optimize", *_complete(args)]) if takes else None


def _is_picture(name: str) -> bool:
    return os.path.lexists(name) or "://" in name or bool(os.path.splitext(name)[1])


def _complete(args: Sequence[str]) -> list[str]:
    """Return the arguments of ``optimize``, with the options that it would ask for."""
    added = []
    folders = [name for name in args if not name.startswith("-") and os.path.isdir(name)]
    if folders and not {"-r", "--recursive"} & set(args) and "-o" not in args[:-1]:
        added.append("-r")
    if not any(arg.partition("=")[0] in _PLACES for arg in args):
        added += ["--suffix", "-small"]
    return [*args, *added]


def quoted(words: Sequence[str]) -> str:
    """Return words as a line for the shell of this system."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
