"""Sections of ``--help``, the shell's completion of values, and suggestions for lines without a command."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from typer.core import TyperCommand, TyperGroup

from guetzpy._option import check, options_of
from guetzpy._runtime.text import printable
from guetzpy.cli.places import STANDARD
from guetzpy.cli.reporting import quoted, say, usage_error
from guetzpy.cli.settings import EXCLUSIVE, Setting, load
from guetzpy.cli.unused import unused
from guetzpy.options import METADATA_KINDS, METRICS, OptimizeOptions, kinds

__all__ = [
    "REST",
    "SECTIONS",
    "CommandGroup",
    "SectionedCommand",
    "complete_display",
    "complete_kinds",
    "complete_metrics",
    "one_of",
    "some_of",
]


def _of_options(*titles: str) -> dict[str, tuple[str, ...]]:
    """Return for each title the names of the fields of the options in that section, in the fields' order."""
    options = options_of(OptimizeOptions).items()
    return {
        title: tuple(name for name, (_, option) in options if option.section == title) for title in titles
    }


#: Title of each section, and its parameters in the order of the help. A test checks that none is missing.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Inputs and outputs": ("output", "suffix", "in_place", "files_from", "jpeg_only", "dry_run"),
    **_of_options("Targets", "Encoding", "Metadata"),
    "Folders": (
        "recursive",
        "jobs",
        "resume",
        "manifest",
        "include",
        "exclude",
        "copy_others",
        "names",
        "backup",
        "preserve",
        "shard",
        "dask",
    ),
    "Total size of many files": ("total_bytes", "total_bpp", "equal_slope"),
    **_of_options("Limits"),
    "Reports and messages": ("check", "threshold", "report", "report_beside", "as_json", "quiet"),
}

#: Title of the section of all other options.
REST = "Options"


@contextmanager
def _printable_errors() -> Iterator[None]:
    """Escape control characters of arguments in the error messages of the command line's parser."""
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = printable(message)  # type: ignore[attr-defined]
        raise


#: First words that ask for help.
HELP = ("help", "--help", "-h", "?", "/?")

# Names of commands in other programs, and the equivalent command here.
_SYNONYMS = {
    "optimise": "optimize", "compress": "optimize", "shrink": "optimize", "encode": "optimize",
    "convert": "optimize", "repack": "transcode", "lossless": "transcode", "diff": "compare",
    "identify": "inspect", "info": "inspect", "undo": "restore", "settings": "config",
}  # fmt: skip

# Options that say where outputs are written, or that none is written.
_PLACES = ("-o", "--output", "--in-place", "--suffix", "--check", "--dry-run", "-n")


def suggestion(args: Sequence[str], commands: Collection[str], options: Collection[str]) -> str | None:
    """Return the command line that was probably meant.

    Parameters
    ----------
    args : sequence of str
        The arguments after the name of the program, at least one; the first names no command.
    commands : collection of str
        Names of the commands.
    options : collection of str
        Options of ``optimize``, such as ``-d``.

    Returns
    -------
    str or None
        A line that can be typed; None if no guess is better than another.
    """
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
    """Add what ``optimize`` requires: ``-r`` for a folder, and ``--suffix`` if no output is named."""
    added = []
    folders = [name for name in args if not name.startswith("-") and os.path.isdir(name)]
    if folders and not {"-r", "--recursive"} & set(args) and "-o" not in args[:-1]:
        added.append("-r")
    if not any(arg.partition("=")[0] in _PLACES for arg in args):
        added += ["--suffix", "-small"]
    return [*args, *added]


def _is_set(context: Any, name: str) -> bool:
    """Return whether the value of a parameter comes from the settings."""
    source = None if context is None else context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


class CommandGroup(TyperGroup):
    """The group of all commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the arguments before the command; suggest a line for an option of ``optimize``."""
        given = list(args)
        ctx.meta["guetzpy.arguments"] = given
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if getattr(error, "option_name", None) is not None:
                self._suggest(given, "is an option of a command")
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the arguments name."""
        if args and args[0] not in self.commands and not ctx.resilient_parsing:
            self._suggest(args, "is not a command")
        with _printable_errors():
            return super().resolve_command(ctx, args)

    def _suggest(self, args: list[str], fault: str) -> None:
        """End with the command line that was probably meant, if there is one."""
        parameters: Any = self.commands["optimize"].params
        options = [flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)]
        if meant := suggestion(args, self.commands, options):
            usage_error(f"{args[0]}: {fault}; did you mean: {meant}")


class SectionedCommand(TyperCommand):
    """A command whose help shows its options in sections if there are more than 12 options."""

    def make_context(self, info_name: Any, args: list[str], *rest: Any, **kwargs: Any) -> Any:
        """Parse the arguments, with defaults from the settings of the working folder and the environment."""
        if kwargs.get("resilient_parsing") or {"-h", "--help"} & set(args):
            return super().make_context(info_name, args, *rest, **kwargs)
        notes: list[str] = []
        settings = load(notice=notes.append)
        kwargs["default_map"] = {name: setting.value for name, setting in settings.items()}
        with _printable_errors():
            try:
                context = super().make_context(info_name, args, *rest, **kwargs)
            except Exception as error:
                name = getattr(getattr(error, "param", None), "name", None)
                if name in settings and _is_set(getattr(error, "ctx", None), name):
                    setting = settings[name]
                    usage_error(f"{setting.origin}: {setting.key}: {getattr(error, 'message', error)}")
                raise
        self._apply(context, settings)
        for note in notes if not context.params.get("quiet") else ():
            say(note)
        return context

    def _apply(self, context: Any, settings: dict[str, Setting]) -> None:
        """Reset parameters whose settings the command line replaces, and check the ranges of the others."""
        dropped: set[str] = set()
        for group in EXCLUSIVE:
            sources = {name: context.get_parameter_source(name) for name in group if name in context.params}
            if any(source.name == "COMMANDLINE" for source in sources.values()):
                dropped |= {name for name in sources if _is_set(context, name)}
        if STANDARD in (context.params.get("inputs") or ()):  # it has no name and no times of a file
            dropped |= {name for name in ("suffix", "preserve") if _is_set(context, name)}
        for parameter in self.params:
            if parameter.name in dropped:
                context.params[parameter.name] = parameter.default
        for name, (_, option) in options_of(OptimizeOptions).items():
            if name in context.params and _is_set(context, name) and name not in dropped:
                value = context.params[name]
                if name == "subsampling":
                    value = value.replace(":", "")  # 4:2:0 is another notation of 420
                try:
                    if name in ("keep", "strip"):
                        value = kinds(name, value)
                    check(settings[name].key, value, option)
                except ValueError as error:
                    usage_error(f"{settings[name].origin}: {error}")
        context.meta["guetzpy.dropped"] = dropped

    def invoke(self, ctx: Any) -> Any:
        """Run the command; options that have no effect are reported first."""
        if not ctx.params.get("quiet"):
            given = [name for name in ctx.params if ctx.get_parameter_source(name).name == "COMMANDLINE"]
            for sentence in unused(ctx.params, given):
                say(f"warning: {sentence}")
        return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line after the name, with the arguments' metavars."""
        parameters: list[Any] = list(self.get_params(ctx))
        arguments = [p for p in parameters if p.param_type_name == "argument"]
        return [self.options_metavar or "", *(p.metavar or str(p.name).upper() for p in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of arguments and options."""
        parameters: list[Any] = list(self.get_params(ctx))
        arguments = [p for p in parameters if p.param_type_name == "argument"]
        options = [p for p in parameters if p.param_type_name == "option"]
        _write(formatter, "Arguments", [(p.metavar or str(p.name).upper(), p.help or "") for p in arguments])
        if len(options) <= 12:
            _write(formatter, REST, _records(options, ctx))
            return
        by_name = {p.name: p for p in options}
        for title, names in SECTIONS.items():
            _write(formatter, title, _records((by_name.pop(n) for n in names if n in by_name), ctx))
        _write(formatter, REST, _records(by_name.values(), ctx))


def _records(options: Iterable[Any], ctx: Any) -> list[tuple[str, str]]:
    return [record for option in options if (record := option.get_help_record(ctx)) is not None]


def _write(formatter: Any, title: str, records: list[tuple[str, str]]) -> None:
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def one_of(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function that completes the start of one of some words."""
    known = list(words)

    def complete(incomplete: str) -> list[str]:
        return [word for word in known if word.startswith(incomplete)]

    return complete


def some_of(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function that completes the last item of a comma-separated list."""
    known = list(words)

    def complete(incomplete: str) -> list[str]:
        done, comma, last = incomplete.rpartition(",")
        taken = done.split(",")
        return [done + comma + word for word in known if word.startswith(last) and word not in taken]

    return complete


#: Completion of comma-separated lists: the last item is completed.
complete_kinds = some_of(("all", *METADATA_KINDS))
complete_metrics = some_of(METRICS)


def complete_display(incomplete: str) -> list[str]:
    """Return names of displays."""
    from guetzpy.metrics._cvvdp.display import DISPLAYS

    return [name for name in DISPLAYS if name.startswith(incomplete)]
