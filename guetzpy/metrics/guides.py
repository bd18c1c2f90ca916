"""ColorVideoVDP in the search: its gradient changes the weights, but it sets no limit for files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from guetzpy._runtime.exact_math import log
from guetzpy.metrics.base import GradientRows, Resources, Score, negated
from guetzpy.picture.transform import Transform

__all__ = ["CVVDP"]

#: Smallest error in JOD; smaller errors count as this one, so that the logarithm is finite.
_LEAST_ERROR = 1e-6


class _Comparator:
    def __init__(self, codes: npt.NDArray[Any], transform: Transform, resources: Resources) -> None:
        from guetzpy.metrics._cvvdp.comparator import CVVDPComparator

        self._transform = transform
        keep = None if resources.keep != "nothing" else False
        self._comparator = CVVDPComparator.from_codes(codes, transform, threads=resources.threads, keep=keep)

    def score(self, codes: npt.NDArray[Any]) -> Score:
        return Score(self._comparator.score_codes(codes, self._transform))

    def gradient_rows(self, codes: npt.NDArray[Any]) -> tuple[float, GradientRows]:
        score, rows = self._comparator.gradient_codes(codes, self._transform)
        return score, negated(rows)

    def release(self) -> None:
        self._comparator.release()


@dataclass(frozen=True)
class _Cvvdp:
    """ColorVideoVDP of still pictures on the display ``standard_fhd``: 10 JOD for identical pictures."""

    name: str = "cvvdp"

    def limit_at(self, distance: float) -> None:
        return None

    def log_distance(self, score: float) -> float:
        """Return the logarithm of the error. It orders scores, but is not a distance."""
        return log(max(10.0 - score, _LEAST_ERROR))

    def close_to(self, limit: float) -> float:
        return limit

    def is_identical(self, score: float) -> bool:
        return score >= 10.0 - _LEAST_ERROR

    def comparator(self, codes: npt.NDArray[Any], transform: Transform, resources: Resources) -> _Comparator:
        return _Comparator(codes, transform, resources)


CVVDP = _Cvvdp()
