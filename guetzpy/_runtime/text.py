"""Words from strangers (names of files, metadata) made fit to be shown."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["counted", "is_unprintable", "printable"]


# Of the invisible characters these two shape letters and emoji and do no harm: ZWNJ, ZWJ.
_JOINERS = "\u200c\u200d"


def is_unprintable(character: str) -> bool:
    """Whether a character could break a line, command a terminal, or turn other text around.

    Those are the Unicode categories Cc, Cf, Cs (bytes that are no UTF-8), Zl and Zp, but for joiners.
    """
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _JOINERS


def printable(text: str, keep: str = "") -> str:
    r"""Return text with what is not fit for a terminal spelt out.

    Parameters
    ----------
    text : str
        Anything; bytes that are no UTF-8 may be in it as surrogates.
    keep : str
        Characters that stay: line ends of a table, for instance.

    Returns
    -------
    str
        Unprintable characters as Python writes them in a string: an escape becomes ``\x1b``.
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
        Name of a file and what is noted of it. Notes that differ in numbers alone are of one kind.

    Returns
    -------
    list of str
        How many files, the first one's note, and its name.
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
