"""The result of the fit of one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from guetzpy.model.file import Part

__all__ = ["Outcome"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of the fit of one part.

    Attributes
    ----------
    name : str
        Name of the part.
    part : Part or None
        The part; None if it saves nothing on the pictures that are held out.
    figures : dict
        Figures of the pictures that are held out, as JSON can hold them.
    """

    name: str
    part: Part | None
    figures: dict[str, Any]
