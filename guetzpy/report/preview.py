"""One picture at several distances, as a page on which a distance is chosen."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from guetzpy import __version__
from guetzpy._runtime.text import printable
from guetzpy.report import pictures
from guetzpy.report.choices import choices
from guetzpy.report.collection import numbers
from guetzpy.report.page import render_preview
from guetzpy.result import Result

__all__ = ["preview"]


def preview(
    name: str, original: bytes, results: Sequence[Result], commands: Sequence[str], background: Any = None
) -> str:
    """Return an HTML page that contains a picture and its encodes, and loads nothing.

    Parameters
    ----------
    name : str
        Name of the picture.
    original : bytes
        Its file.
    results : sequence of Result
        Results with ``data``, by increasing distance.
    commands : sequence of str
        The command that makes each of them.
    background : str or tuple, optional
        Colour that transparent pictures are composited on.
    """
    files = []
    for result, command in zip(results, commands, strict=True):
        after = pictures.showable(result.data)
        view = {"before": None, "after": None, "heat": None, "embedded": True}
        files.append(
            numbers(result)
            | {
                "coding": choices(result.data),
                "source": None,
                "cvvdp": None,
                "cvvdp_words": None,
                "command": command,
                "view": view | {"after": pictures.data_url(after) if after else None},
            }
        )
    before = pictures.showable(original, background)
    files[0]["view"]["before"] = pictures.data_url(before) if before else None
    # The distance at which most viewers see no difference from the original is shown first.
    picked = min(range(len(results)), key=lambda i: abs((results[i].target or {}).get("distance", 0.0) - 1.0))
    date = datetime.date.today().isoformat()
    return render_preview(printable(name), files, picked, __version__, date)
