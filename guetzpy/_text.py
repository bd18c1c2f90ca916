"""Words from strangers (names of files, metadata) made fit to be shown."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["counted", "printable"]


def printable(text: str, keep: str = "") -> str:
    r"""Return text with what cannot be shown, would steer a terminal, or turn other text around, spelt out.

    Parameters
    ----------
    text : str
        Anything; bytes that are no UTF-8 may be in it as surrogates.
    keep : str
        Characters that stay: line ends of a table, for instance.

    Returns
    -------
    str
        Characters of the Unicode categories C (control, format, surrogate, private, unassigned) and Z
        (separators but the space) as Python writes them in a string: an escape becomes ``\x1b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c
        if c == " " or c in keep or unicodedata.category(c)[0] not in "CZ"
        else c.encode("unicode-escape").decode()
        for c in text
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
