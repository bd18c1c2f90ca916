"""What a dataclass field declares about an option: its help, its range and its name on the command line."""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

__all__ = [
    "Option", "box_of", "check", "option", "option_of", "options_of", "plain", "size_of", "with_keywords",
]  # fmt: skip

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])

# Key of the metadata of a dataclass field.
_KEY = "guetzpy.option"

# The largest magnitude of a number. No file, time or picture is larger, and the product of two such numbers
# is finite.
_MOST = 1e15


@dataclass(frozen=True, kw_only=True)
class Option:
    """Properties of an option that its type and its default do not contain.

    Attributes
    ----------
    help : str
        Text of ``--help``.
    section : str
        Title of the section of ``--help`` that shows the option.
    short : str, optional
        A second name on the command line, such as ``-d``. The first one is ``--`` and the name of the field.
    off : str, optional
        Name that turns a Boolean option off, such as ``--baseline``.
    metavar : str, optional
        Name of the value in ``--help``.
    low, high : float, optional
        Bounds of a number. A number without ``low`` is not checked.
    above : bool
        Whether ``low`` itself is out of range.
    whole : bool
        Whether the number must be whole.
    choices : tuple of str
        Allowed values of a str, or allowed members of a tuple of str.
    affects_bytes : bool
        Whether the bytes of a result may depend on the option. If not, a run with ``resume``
        takes results that were made with another value.
    hashed_unset : bool
        Whether the option is part of the hash of the options while it is None. False for options that were
        added later, so that the hashes of earlier versions stay valid.
    size : bool
        Whether the number counts bytes or pixels. The command line takes it with a unit: see :func:`size_of`.
    """

    help: str
    section: str
    short: str | None = None
    off: str | None = None
    metavar: str | None = None
    low: float | None = None
    high: float = math.inf
    above: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()
    size: bool = False
    affects_bytes: bool = True
    hashed_unset: bool = True

    @property
    def range(self) -> str:
        """The range of a number in words, such as ``0.1 to 25``; only for options with ``low``."""
        assert self.low is not None
        below = f"more than {self.low:g}" if self.above else f"{self.low:g}"
        if self.high < math.inf:
            return f"{below} to {self.high:g}"
        return below if self.above else f"{below} or more"

    def flags(self, name: str) -> tuple[str, ...]:
        """Return the names on the command line of the option whose field is called ``name``."""
        flag = "--" + name.replace("_", "-")
        return (f"{flag}/{self.off}" if self.off else flag, *([self.short] if self.short else []))


def option(default: _T, text: str, section: str, **facts: Any) -> _T:
    """Return a dataclass field with this default that carries an :class:`Option`.

    Parameters
    ----------
    default : object
        The default. The field's type is the declared one.
    text, section : str
        ``help`` and ``section`` of the Option.
    **facts
        The other attributes of the Option.
    """
    made: Any = dataclasses.field(
        default=default, metadata={_KEY: Option(help=text, section=section, **facts)}
    )
    return made  # type: ignore[no-any-return]


def option_of(field: dataclasses.Field[Any]) -> Option | None:
    """Return the Option that a field carries; None for a field made without one."""
    return field.metadata.get(_KEY)


def options_of(kind: type[Any]) -> dict[str, tuple[dataclasses.Field[Any], Option]]:
    """Return the fields of a dataclass that carry an Option, by name: its own ones, then inherited ones."""
    own = inspect.get_annotations(kind)
    found = {f.name: (f, made) for f in dataclasses.fields(kind) if (made := option_of(f)) is not None}
    return dict(sorted(found.items(), key=lambda item: item[0] not in own))


def plain(value: Any) -> Any:
    """Return a scalar of NumPy, and any other real number, as Python's own; other values are unchanged."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, numbers.Integral):
        return operator.index(value)
    if isinstance(value, numbers.Real):
        return float(value)
    # NumPy's truth values are not registered as numbers.
    return bool(value) if type(value).__module__ == "numpy" and type(value).__name__[:4] == "bool" else value


def check(name: str, value: Any, wanted: Option) -> None:
    """Raise ValueError if a value is out of the range or the choices of its option; None always passes."""
    if value is None:
        return
    if wanted.low is not None:
        _check_range(name, value, wanted.low, wanted)
    elif wanted.choices:
        for each in value if isinstance(value, tuple) else (value,):
            if each not in wanted.choices:
                raise ValueError(f"{name} {each!r}: expected one of {', '.join(wanted.choices)}")


def _check_range(name: str, value: Any, low: float, wanted: Option) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} {value!r}: expected a number")
    if not abs(value) <= _MOST:  # NaN too; a long integer cannot be converted to a float, nor always to text
        shown = f"{value:g}" if isinstance(value, float) else "of many digits"
        whole = "a whole number" if wanted.whole else "a number"
        expected = wanted.range if wanted.high < math.inf else f"{whole}, at most {_MOST:g}"
        raise ValueError(f"{name} {shown}: expected {expected}")
    if wanted.whole and value != int(value):
        raise ValueError(f"{name} {value!r}: expected a whole number")
    if not low <= value <= wanted.high or (wanted.above and value == low):
        raise ValueError(f"{name} {value:g}: expected {wanted.range}")


# Exponents of the units, of 1000 for k, M, G and T (SI) and 1024 for Ki, Mi, Gi and Ti (IEC 80000-13).
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(-?(?:\d+(?:\.\d*)?|\.\d+))(?: ?([kmgt]?)(i?)b?)?", re.IGNORECASE)


def size_of(text: str) -> int:
    """Return the whole number that a text such as ``50k``, ``1.5M``, ``100MB`` or ``64MiB`` gives.

    Case is ignored, and there may be a space before the unit.

    Raises
    ------
    ValueError
        The text is not of this form, or the number is not whole.

    Examples
    --------
    >>> size_of("50k"), size_of("1.5M"), size_of("100 MB"), size_of("1KiB"), size_of("812")
    (50000, 1500000, 100000000, 1024, 812)
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or (found[3] and not found[2]):
        raise ValueError(f"{text!r}: expected a size such as 50000, 50k, 1.5M or 100MB")
    if "." in found[1] and text.strip()[-1:] in "0123456789.":  # in many countries 50.000 is fifty thousand
        raise ValueError(f"{text!r}: expected a whole number, or a unit such as 50k")
    number = Decimal(found[1]) * (1024 if found[3] else 1000) ** _UNITS[(found[2] or "").lower()]
    if number != int(number):
        raise ValueError(f"{text!r}: expected a whole number, for example {max(1, round(number))}")
    return int(number)


#: Longest side of a JPEG that libjpeg reads (JPEG_MAX_DIMENSION of jmorecfg.h).
_LARGEST = 65500


def box_of(value: Any) -> tuple[int, int]:
    """Return the width and height of a box.

    Parameters
    ----------
    value : int, str or pair of int
        ``2048`` and ``"2048"`` are a square; ``"1920x1080"`` and ``(1920, 1080)`` are width and height.

    Raises
    ------
    ValueError
        The value has another form, or a side is not between 1 and 65500.
    """
    sides: Any = value.lower().split("x") if isinstance(value, str) else plain(value)
    if isinstance(sides, int) and not isinstance(sides, bool):
        sides = (sides,)
    try:
        found = [int(side) for side in sides]
    except (TypeError, ValueError):
        found = []
    if len(found) not in (1, 2) or not all(1 <= side <= _LARGEST for side in found):
        raise ValueError(f"fit {value!r}: expected 2048 or 1920x1080, sides of 1 to {_LARGEST} pixels")
    return found[0], found[-1]


def with_keywords(parameters: Iterable[inspect.Parameter], *, evaluate: bool = False) -> Callable[[_F], _F]:
    """Return a decorator: the signature of a function shows ``parameters`` instead of its ``**keywords``.

    ``help()`` and the command line's library read the signature. Calls are not affected.

    Parameters
    ----------
    parameters : iterable of inspect.Parameter
        Parameters of the kind KEYWORD_ONLY.
    evaluate : bool
        Whether the annotations of the function itself are evaluated, so that the signature holds types.
    """
    added = list(parameters)

    def decorate(function: _F) -> _F:
        signature = inspect.signature(function, eval_str=evaluate)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        first = [p for p in own if p.kind is not inspect.Parameter.KEYWORD_ONLY]
        shown = signature.replace(parameters=[*first, *added, *own[len(first) :]])
        function.__signature__ = shown  # type: ignore[attr-defined]
        return function

    return decorate
