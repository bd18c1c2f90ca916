"""Messages on stderr, data on stdout, and the exit codes of errors."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from guetzpy import errors
from guetzpy._runtime.text import is_unprintable, printable
from guetzpy.errors import GuetzpyError

COMPILING = "compiling kernels for this CPU (first run only, takes some seconds) ..."

if TYPE_CHECKING:
    from guetzpy.result import Result

__all__ = [
    "check_choice",
    "describe",
    "explain",
    "fail",
    "notices",
    "on_one_line",
    "print_json",
    "quoted",
    "report_errors",
    "rewrite_line",
    "say",
    "show",
    "thousands",
    "usage_error",
    "warn",
    "would_change",
]


def on_one_line(text: str) -> str:
    """Return a text in which characters that end a line or control a terminal are escaped.

    Names of files and metadata may hold line breaks, control characters, bytes that are not UTF-8 and
    overrides of the writing direction.
    """
    return printable(text)


def say(text: str) -> None:
    """Print a line on stderr."""
    typer.echo(f"guetzpy: {on_one_line(text)}", err=True)


def show(text: str) -> None:
    """Print lines on stdout."""
    typer.echo("".join(c if _can_print(c) else ascii(c)[1:-1] for c in printable(text, keep="\n")))


def _can_print(character: str) -> bool:
    """Return whether stdout has the character: that of Windows may have the code page of a language."""
    try:
        character.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def fail(text: str, code: int = 1) -> NoReturn:
    """Print a line on stderr and exit."""
    say(text)
    raise typer.Exit(code)


def compiling() -> str:
    """Return the message for the compilation of kernels, with a warning if they cannot be cached."""
    from guetzpy._runtime.kernel_cache import cache_directory, can_keep

    if can_keep():
        return COMPILING
    where = cache_directory() or "no folder for them"
    return (
        f"compiling kernels for this CPU; every run compiles them again, as they cannot be stored ({where}): "
        "set NUMBA_CACHE_DIR to a folder that can be written"
    )


def quoted(words: Sequence[str]) -> str:
    """Return words as a line for the shell of this system."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def usage_error(text: str) -> NoReturn:
    """Print a message and exit with code 2, for wrong usage."""
    fail(text, 2)


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Exit with code 2 if the value of an option is not one of its choices."""
    if value not in choices:
        usage_error(f"{option} {value}: expected one of {', '.join(choices)}")


def print_json(record: dict[str, Any]) -> None:
    """Print one object on one line of stdout."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    # Control characters, bytes that are not UTF-8, and what stdout cannot encode become JSON escapes.
    typer.echo("".join(json.dumps(c)[1:-1] if is_unprintable(c) or not _can_print(c) else c for c in line))


def explain(error: Exception, name: str | None = None) -> str:
    """Return the message of an error in one line, without the name of the file if it is ``name``."""
    text = errors.explain(error, name)
    if isinstance(error, (GuetzpyError, MemoryError, OSError, ValueError)):
        return text
    if os.environ.get("GUETZPY_DEBUG"):
        raise error
    return f"{text} (GUETZPY_DEBUG=1 shows where)"


@contextmanager
def report_errors() -> Iterator[None]:
    """Turn any error into one line that names the file, and its exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except BrokenPipeError:  # the program that reads stdout has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit would fail
        raise typer.Exit(1) from None
    except Exception as error:
        if isinstance(error, GuetzpyError):
            fail(str(error), error.exit_code)
        fail(explain(error))


@contextmanager
def notices(quiet: bool) -> Iterator[None]:
    """Print one message when the first kernel is compiled within this context."""
    from guetzpy._runtime.kernel import compilations

    said = quiet

    def notice() -> None:
        nonlocal said
        if not said:
            say(compiling())
        said = True

    with compilations(notice):
        yield


def compile_if_cold(quiet: bool, effort: str = "max") -> None:
    """Compile the kernels of an effort that are not cached in several processes; two need half the time."""
    from guetzpy._runtime import kernel as _jit
    from guetzpy._runtime import warmup
    from guetzpy._runtime.threads import default_threads
    from guetzpy.engine.first_run import unused

    processes = min(4, default_threads())
    modules = _jit.missing(unused(effort)) if processes > 1 else []
    if not modules:
        return  # kernels are then loaded or compiled when they are needed
    if not quiet:
        say(compiling())
    total = sum(name.rpartition(".")[0] in modules for name in _jit.kernels())
    # If processes cannot be started or die, kernels are compiled later, when they are needed.
    with suppress(OSError, ImportError, RuntimeError), _counter("kernels compiled", quiet) as count:
        for number, _ in enumerate(warmup.warm_in_processes(processes, modules), 1):
            count(number, total)


def rewrite_line(text: str) -> None:
    """Replace the current line of stderr, which is a terminal."""
    typer.echo(f"\r\x1b[K{text}", err=True, nl=False)  # erase in line (ECMA-48, 8.3.41)


@contextmanager
def _counter(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a count on the terminal during the work; show nothing if stderr is not a terminal."""
    shown = not quiet and sys.stderr is not None and sys.stderr.isatty()

    def count(done: int, total: int) -> None:
        if shown:
            rewrite_line(f"{what}: {done} of {total}")

    try:
        yield count
    finally:
        if shown:
            rewrite_line("")


def describe(result: Result) -> str:
    """Return the line of output about a processed file."""
    name = result.input or "array"
    if result.status == "failed":
        return f"{name}: {result.error}"
    own = "" if result.source_distance is None else f"source about {result.source_distance:.2g}"
    told = "distance" in (result.reason or "").partition("`")[0]
    inside = "; ".join(
        part for part in (result.reason, "" if told or not own else f"{own} in distance") if part
    )
    why = f" ({inside})" if inside else ""
    if result.status == "kept" and result.bytes_after is None:
        return f"{name}: skipped{why}"
    if result.status == "kept":
        return f"{name}: {thousands(result.bytes_after)} bytes, kept{why}"
    saving = result.saving
    sizes = f"{thousands(result.bytes_before)} -> {thousands(result.bytes_after)} bytes"
    if saving is not None:
        sizes += f" ({-100 * saving:+.1f} %)"
    if result.status == "lossless":
        return f"{name}: {sizes}, lossless{why}"
    parts = [
        sizes,
        f"distance {result.distance:.2f}" + (f" ({own})" if own else "")
        if result.distance is not None
        else "",
        f"SSIMULACRA 2 {result.ssimulacra2:.1f}" if result.ssimulacra2 is not None else "",
        f"Butteraugli {result.butteraugli_3norm:.3f}" if result.butteraugli_3norm is not None else "",
        "limited by the format" if result.limited_by_format else "",
        "larger than the source" if result.larger_than_source else "",
        result.reason or "",
    ]
    return f"{name}: " + ", ".join(part for part in parts if part)


def would_change(result: Result, threshold: float) -> bool:
    """Return whether ``--check`` counts a result as a file to change.

    Parameters
    ----------
    result : Result
        Result of a file that ``--in-place`` would process.
    threshold : float
        Per cent. A file counts if it would shrink by more, or would grow because an option requires it.
    """
    saving = result.saving or 0.0
    return 100 * saving > threshold or saving < 0


def warn(result: Result) -> None:
    """Print the warnings of a result on stderr, one line each."""
    for warning in result.warnings:
        say(f"{result.input or 'array'}: warning: {warning}")


def thousands(count: int | None) -> str:
    """Return a number in groups of three digits."""
    return "?" if count is None else f"{count:,}".replace(",", " ")
