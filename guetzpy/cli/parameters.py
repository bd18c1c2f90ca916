"""Parameters of commands, made from the fields of the options."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import typer

from guetzpy._option import Option, options_of, size_of, with_keywords
from guetzpy.cli.reporting import usage_error
from guetzpy.cli.sections import one_of, some_of
from guetzpy.errors import GuetzpyError
from guetzpy.options import TARGETS, OptimizeOptions, TranscodeOptions

__all__ = ["LIMITS", "FilesFrom", "Names", "Suffix", "as_typed", "made", "size", "takes"]

_Options = TypeVar("_Options", OptimizeOptions, TranscodeOptions)
_F = TypeVar("_F", bound=Callable[..., Any])

#: Options that limit the size and the contents of a file.
LIMITS = tuple(
    name for name in options_of(OptimizeOptions) if name.startswith("max_") and name not in TARGETS
)


Suffix = Annotated[
    str | None,
    typer.Option(
        "--suffix",
        metavar="TEXT",
        help="Write each output beside its input, with this text at the end of its name, such as -small.",
    ),
]
Names = Annotated[
    str,
    typer.Option(
        "--names",
        metavar="jpg|keep",
        help="Names in folders: jpg writes photo.jpg for photo.png; keep writes the JPEG as photo.png, so "
        "that links to it stay valid.",
        autocompletion=one_of(("jpg", "keep")),
    ),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from",
        metavar="FILE|-",
        help="Also process the files that this file lists, one a line or separated by NUL; - is stdin.",
    ),
]


def takes(
    kind: type[OptimizeOptions] | type[TranscodeOptions], *names: str, **texts: str
) -> Callable[[_F], _F]:
    """Return a decorator that gives a command with ``**asked`` one option for each field of ``kind``.

    Parameters
    ----------
    kind : type
        The options.
    *names : str
        The fields that the command takes. Default: all.
    **texts : str
        Help texts, by field, that replace those of the fields in this command.
    """
    hints = get_type_hints(kind)
    fields = options_of(kind)
    parameters = []
    for name in names or fields:
        field, option = fields[name]
        is_list = get_origin(hints[name]) is tuple
        typed: Any = Annotated[
            _type_of(hints[name]),
            typer.Option(
                *option.flags(name),
                metavar="|".join(option.choices) if option.choices and not is_list else option.metavar,
                help=texts.get(name, _help(option)),
                parser=size if option.size else None,
                autocompletion=(some_of if is_list else one_of)(option.choices) if option.choices else None,
            ),
        ]
        parameters.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default="" if is_list else field.default,
                annotation=typed,
            )
        )
    return with_keywords(parameters, evaluate=True)


def _help(option: Option) -> str:
    """Return the help text of an option, with its range if that has two ends."""
    return f"{option.help} Range: {option.range}." if option.high < math.inf else option.help


def size(value: str | int) -> int:
    """Return a size from the command line; it may have a unit, as in 50k."""
    try:
        return value if isinstance(value, int) else size_of(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _type_of(hint: Any) -> Any:
    """Return the type of a parameter of the command line for a field of the options.

    Choices and tuples are taken as text, which the options' class converts.
    """
    if get_origin(hint) in (Literal, tuple):
        return str
    members = get_args(hint)
    if str in members:  # the options' class converts the text
        return str | None
    return Union[tuple(_type_of(member) for member in members)] if members else hint  # noqa: UP007


def made(kind: type[_Options], asked: Mapping[str, Any]) -> _Options:
    """Return the options of a command line; invalid options end the command with exit code 2."""
    try:
        return kind(**asked)
    except ValueError as error:
        usage_error(as_typed(str(error)))
    except GuetzpyError as error:
        usage_error(str(error))
    except OSError as error:  # the file that --model names cannot be read
        usage_error(f"{error.filename}: {error.strerror}")


# Options of runs that messages name; the other ones are fields of the options.
_OF_RUNS = ("backup", "equal_slope", "in_place", "shard", "total_bpp", "total_bytes")

# A message about options has one of these words, and one about a file has none.
_ABOUT_OPTIONS = re.compile("expected|contradict|needs")

_NAMES = "|".join([*options_of(OptimizeOptions), *options_of(TranscodeOptions), *_OF_RUNS])
_NAMED = re.compile(rf"(^| and | or | needs )({_NAMES})\b")


def as_typed(text: str) -> str:
    """Return a message of the library in which options have their names of the command line.

    Examples
    --------
    >>> as_typed("max_bytes and bpp contradict each other: give one")
    '--max-bytes and --bpp contradict each other: give one'
    """
    if not _ABOUT_OPTIONS.search(text):
        return text
    return _NAMED.sub(lambda found: f"{found[1]}--{found[2].replace('_', '-')}", text)
