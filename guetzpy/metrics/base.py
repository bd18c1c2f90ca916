"""Protocols that a metric has to implement to take part in the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from guetzpy.picture.transform import Transform

__all__ = [
    "Comparator",
    "FallingComparator",
    "GradientRows",
    "Metric",
    "Resources",
    "Score",
    "has_gradient",
    "negated",
]

#: ``rows(top, bottom)`` returns derivatives with respect to codes, float32 (1|3, bottom - top, W), per code
#: on the scale 0..255.
GradientRows: TypeAlias = Callable[[int, int], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Resources:
    """Memory and threads that a comparator may use. Scores do not depend on them.

    Attributes
    ----------
    threads : int or None
        Number of threads; None: the processors available.
    keep : {"all", "some", "nothing"}
        Data of the reference that may be kept between scores. "all": everything that makes scores faster.
        "some": only data that take long to compute for their size. "nothing": the reference's codes only.
    rows : int or None
        Number of rows of the picture that are processed at a time; None: the comparator's own choice.
    """

    threads: int | None = None
    keep: Literal["all", "some", "nothing"] = "all"
    rows: int | None = None


@dataclass(frozen=True)
class Score:
    """The value of a metric, and what it computes with it.

    Attributes
    ----------
    value : float
        The value.
    details : mapping of str to float
        Further values by name.
    blocks : ndarray of float32, shape (ceil(H / 8), ceil(W / 8)), or None
        Largest local error in each block of 8 x 8 pixels, in units of the value; None for a metric without a
        map of errors.
    """

    value: float
    details: Mapping[str, float] = field(default_factory=dict)
    blocks: npt.NDArray[np.float32] | None = None


class Comparator(Protocol):
    """A metric with one reference."""

    def score(self, codes: npt.NDArray[Any]) -> Score:
        """Return the score of codes, shape (1|3, H, W), in the colour space of the reference's codes."""

    def release(self) -> None:
        """Free memory that only gradients need."""


class Metric(Protocol):
    """A metric for which the search can hold a limit.

    If a comparator has a method ``gradient_rows(codes) -> (value, GradientRows)``, the search computes
    weights of blocks and frequencies from its gradients. ``value`` has to grow with distortion, and the rows
    are its derivatives.

    Attributes
    ----------
    name : str
        Unique name.
    """

    @property
    def name(self) -> str:
        """Unique name."""

    def limit_at(self, distance: float) -> float | None:
        """Return the worst score that a distance allows, or None at all distances if there is no limit.

        A metric without limits changes the weights by its gradient; files are not scored by it.
        """

    def log_distance(self, score: float) -> float:
        """Return the log distance that has a score as its limit; it increases with distortion."""

    def close_to(self, limit: float) -> float:
        """Return the best score that the search accepts as close to a limit, so that it may stop there."""

    def is_identical(self, score: float) -> bool:
        """Return whether a score is the score of the reference itself."""

    def comparator(self, codes: npt.NDArray[Any], transform: Transform, resources: Resources) -> Comparator:
        """Return a comparator for a reference.

        Parameters
        ----------
        codes : ndarray, shape (1|3, H, W)
            Codes of the reference.
        transform : Transform
            Conversion of the codes to linear light.
        resources : Resources
            Memory and threads that the comparator may use.
        """


class FallingComparator:
    """Comparator of a metric whose score falls with distortion.

    Parameters
    ----------
    kind : type
        :class:`guetzpy.metrics.SSIMULACRA2Comparator` or :class:`guetzpy.metrics.CVVDPComparator`.
    codes, transform, resources
        As for :meth:`Metric.comparator`.
    **options
        Further parameters of ``kind.from_codes``.
    """

    def __init__(
        self, kind: Any, codes: npt.NDArray[Any], transform: Transform, resources: Resources, **options: Any
    ) -> None:
        self._transform = transform
        keep = None if resources.keep != "nothing" else False
        self._comparator = kind.from_codes(codes, transform, threads=resources.threads, keep=keep, **options)

    def score(self, codes: npt.NDArray[Any]) -> Score:
        """Return the score of codes."""
        return Score(self._comparator.score_codes(codes, self._transform))

    def gradient_rows(self, codes: npt.NDArray[Any]) -> tuple[float, GradientRows]:
        """Return the score, and rows of the derivatives of its negative, which grows with distortion."""
        score, rows = self._comparator.gradient_codes(codes, self._transform)
        return score, negated(rows)

    def release(self) -> None:
        """Free memory that only gradients need."""
        self._comparator.release()


def has_gradient(comparator: Comparator) -> bool:
    """Return whether a comparator offers ``gradient_rows``."""
    return hasattr(comparator, "gradient_rows")


def negated(rows: GradientRows) -> GradientRows:
    """Return the function for the gradient of a score that falls with distortion; its arrays are reused."""

    def opposite(top: int, bottom: int) -> npt.NDArray[np.float32]:
        part = rows(top, bottom)
        return np.negative(part, out=part)

    return opposite
