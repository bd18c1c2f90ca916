"""Conversion of text from unknown sources (names of files, metadata) to text that can be shown."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["counted", "is_unprintable", "printable"]


# ZWNJ and ZWJ are invisible, but shape letters and emoji, and do no harm.
_JOINERS = "\u200c\u200d"


def is_unprintable(character: str) -> bool:
    """Return whether a character could break a line, control a terminal, or reverse other text.

    These are the characters of the Unicode categories Cc, Cf, Cs (bytes that are not UTF-8), Zl and Zp,
    except the joiners ZWNJ and ZWJ.
    """
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS


def printable(text: str, keep: str = "") -> str:
    r"""Return text in which characters that a terminal must not get are written as escapes.

    Parameters
    ----------
    text : str
        Any text; bytes that are not UTF-8 are surrogates in it.
    keep : str
        Characters that are not changed, such as the line ends of a table.

    Returns
    -------
    str
        The text, with unprintable characters as in a Python string: an escape character becomes ``\x1b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in keep or not is_unprintable(c) else c.encode("unicode-escape").decode() for c in text
    )


def counted(notes: list[tuple[str, str]]) -> list[str]:
    """Return one line for each kind of note, most frequent first.

    Parameters
    ----------
    notes : list of (str, str)
        Name of a file, and a note about it. Notes that differ in numbers only are of one kind.

    Returns
    -------
    list of str
        The number of files with a note of this kind, the note of the first of them, and its name.
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, note in notes:
        kinds.setdefault(re.sub(r"[0-9]+", "0", note), []).append((name, note))
    lines = []
    for found in sorted(kinds.values(), key=lambda rows: -len(rows)):
        name, note = found[0]
        files = len({name for name, _ in found})
        lines.append(f"{name}: {note}" if files == 1 else f"{files} files: {note} (first: {name})")
    return lines
