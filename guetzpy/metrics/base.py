"""What a metric must offer to take part in the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from guetzpy.picture.transform import Transform

__all__ = [
    "Comparator",
    "GradientRows",
    "Metric",
    "Resources",
    "Score",
    "has_gradient",
]

#: ``rows(top, bottom)`` returns derivatives by codes, float32 (1|3, bottom - top, W), on the scale of 255.
GradientRows: TypeAlias = Callable[[int, int], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Resources:
    """Memory and threads that a comparator may use. Scores do not depend on them.

    Attributes
    ----------
    threads : int or None
        Threads; None: the processors available.
    keep : {"all", "some", "nothing"}
        How much of the reference's side may be held between scores: whatever makes them faster, only what
        costs more to compute than to hold, or nothing but the reference's codes.
    rows : int or None
        Rows of the picture that may be worked on at a time; None: the comparator's own choice.
    """

    threads: int | None = None
    keep: Literal["all", "some", "nothing"] = "all"
    rows: int | None = None


@dataclass(frozen=True)
class Score:
    """A metric's value, and further values that it computes on the way, by name."""

    value: float
    details: Mapping[str, float] = field(default_factory=dict)


class Comparator(Protocol):
    """A metric against one reference."""

    def score(self, codes: npt.NDArray[Any]) -> Score:
        """Score codes, shape (1|3, H, W), that mean what the reference's codes mean."""

    def release(self) -> None:
        """Free memory that only gradients need."""


class Metric(Protocol):
    """A metric that the search can hold to a limit.

    A comparator that also has ``gradient_rows(codes) -> (value, GradientRows)`` gives gradients, which make
    the weights of blocks and frequencies. The derivatives are those of a value that grows with distortion.

    Attributes
    ----------
    name : str
        Unique.
    """

    @property
    def name(self) -> str:
        """Unique name."""

    def limit_at(self, distance: float) -> float | None:
        """Return the worst score that a distance allows; None: this metric sets no limit."""

    def log_distance(self, score: float) -> float:
        """Return the log of the distance whose limit a score is; strictly increasing with distortion."""

    def close_to(self, limit: float) -> float:
        """Return the best score that still counts as close to a limit, so that the search may stop."""

    def is_identical(self, score: float) -> bool:
        """Return whether a score is that of the reference itself."""

    def comparator(self, codes: npt.NDArray[Any], transform: Transform, resources: Resources) -> Comparator:
        """Return a comparator for a reference, codes of shape (1|3, H, W) that ``transform`` explains."""


def has_gradient(comparator: Comparator) -> bool:
    """Return whether a comparator offers ``gradient_rows``."""
    return hasattr(comparator, "gradient_rows")
