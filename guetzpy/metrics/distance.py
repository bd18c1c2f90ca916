"""The definition of distance: limits of Butteraugli's 3-norm and of SSIMULACRA 2.

The limits at a distance are the medians of the scores of cjpegli's files at the same setting, over 43
pictures (Kodak, CID22, gb82, CLIC 2025). Between the points, both curves are monotone cubics of the
logarithms.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp, log
from guetzpy.metrics._butteraugli.norm import norm_and_maximum
from guetzpy.metrics.base import FallingComparator, GradientRows, Resources, Score
from guetzpy.picture.transform import Transform

__all__ = ["BUTTERAUGLI", "DEFINING", "SSIMULACRA2", "MonotoneCurve"]

_DISTANCE = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
_BUTTERAUGLI = (0.353, 0.428, 0.544, 0.679, 0.832, 1.008, 1.196, 1.448, 1.712)
_SSIMULACRA2 = (91.6, 90.2, 88.2, 85.3, 81.8, 78.3, 74.2, 69.0, 62.0)

#: Smallest error for which a distance is computed; smaller errors count as this one.
_LEAST_ERROR = 1e-6

#: A score is close to a limit within 0.9 % of Butteraugli's limit, or 0.135 points of SSIMULACRA 2's.
_CLOSE_SHARE, _CLOSE_POINTS = 0.009, 0.135


@dataclass(frozen=True)
class MonotoneCurve:
    """Monotone cubic through points (Fritsch and Carlson 1980), and straight lines beyond the ends.

    Attributes
    ----------
    x, y : tuple of float
        Points, x increasing and y strictly monotone.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    tangents: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        slopes = [(y[i + 1] - y[i]) / (x[i + 1] - x[i]) for i in range(len(x) - 1)]
        inner = [
            0.0 if left * right <= 0 else 2.0 / (1.0 / left + 1.0 / right) for left, right in pairwise(slopes)
        ]
        object.__setattr__(self, "tangents", (slopes[0], *inner, slopes[-1]))

    def __call__(self, x: float) -> float:
        """Return y at x."""
        if x <= self.x[0]:
            return self.y[0] + self.tangents[0] * (x - self.x[0])
        if x >= self.x[-1]:
            return self.y[-1] + self.tangents[-1] * (x - self.x[-1])
        i = bisect_right(self.x, x) - 1
        width = self.x[i + 1] - self.x[i]
        t = (x - self.x[i]) / width
        return (
            self.y[i] * (1 + 2 * t) * (1 - t) ** 2
            + self.tangents[i] * width * t * (1 - t) ** 2
            + self.y[i + 1] * t * t * (3 - 2 * t)
            + self.tangents[i + 1] * width * t * t * (t - 1)
        )

    def inverse(self, y: float) -> float:
        """Return x at y, by bisection between 40 below the first and 40 above the last point."""
        rising = self.y[-1] > self.y[0]
        low, high = self.x[0] - 40.0, self.x[-1] + 40.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            if (self(middle) < y) == rising:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)


_LOG_DISTANCE = tuple(log(d) for d in _DISTANCE)
# With logarithms on both axes, straight lines beyond the ends continue Butteraugli's curve as powers of the
# distance.
_BUTTERAUGLI_CURVE = MonotoneCurve(_LOG_DISTANCE, tuple(log(b) for b in _BUTTERAUGLI))
# The same holds for 100 - score of SSIMULACRA 2.
_SSIMULACRA2_CURVE = MonotoneCurve(_LOG_DISTANCE, tuple(log(100.0 - s) for s in _SSIMULACRA2))


@lru_cache(maxsize=64)  # each evaluation needs the same few values
def _butteraugli_log_distance(norm: float) -> float:
    return _BUTTERAUGLI_CURVE.inverse(log(max(norm, _LEAST_ERROR)))


@lru_cache(maxsize=64)
def _ssimulacra2_log_distance(score: float) -> float:
    return _SSIMULACRA2_CURVE.inverse(log(max(100.0 - score, _LEAST_ERROR)))


class _ButteraugliComparator:
    def __init__(self, codes: npt.NDArray[Any], transform: Transform, resources: Resources) -> None:
        from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator

        self._transform, self._threads = transform, resources.threads
        self._comparator = ButteraugliComparator.from_codes(
            codes,
            transform,
            threads=resources.threads,
            keep=None if resources.keep == "all" else False,
            rows=resources.rows,
        )

    def score(self, codes: npt.NDArray[Any]) -> Score:
        errors = self._comparator.diffmap_codes(codes, self._transform)
        norm, maximum = norm_and_maximum(errors, self._threads)
        return Score(norm, {"butteraugli_max": maximum}, _largest_in_blocks(errors))

    def gradient_rows(self, codes: npt.NDArray[Any]) -> tuple[float, GradientRows]:
        return self._comparator.gradient_codes(codes, self._transform)

    def release(self) -> None:
        self._comparator.release()


def _largest_in_blocks(errors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the largest value of each block of 8 x 8 pixels; those at the edges may be smaller."""
    tops, lefts = (np.arange(0, length, 8) for length in errors.shape)
    rows: npt.NDArray[np.float32] = np.maximum.reduceat(errors, tops, axis=0)
    return np.maximum.reduceat(rows, lefts, axis=1)


@dataclass(frozen=True)
class _Butteraugli:
    """Butteraugli's 3-norm: 0 for identical pictures, larger for worse ones."""

    name: str = "butteraugli"

    def limit_at(self, distance: float) -> float:
        return exp(_BUTTERAUGLI_CURVE(log(distance)))

    def log_distance(self, score: float) -> float:
        return _butteraugli_log_distance(score)

    def close_to(self, limit: float) -> float:
        return (1.0 - _CLOSE_SHARE) * limit

    def is_identical(self, score: float) -> bool:
        return score <= _LEAST_ERROR

    def comparator(
        self, codes: npt.NDArray[Any], transform: Transform, resources: Resources
    ) -> _ButteraugliComparator:
        return _ButteraugliComparator(codes, transform, resources)


@dataclass(frozen=True)
class _Ssimulacra2:
    """SSIMULACRA 2: 100 for identical pictures, smaller for worse ones."""

    name: str = "ssimulacra2"

    def limit_at(self, distance: float) -> float:
        return 100.0 - exp(_SSIMULACRA2_CURVE(log(distance)))

    def log_distance(self, score: float) -> float:
        return _ssimulacra2_log_distance(score)

    def close_to(self, limit: float) -> float:
        return limit + _CLOSE_POINTS

    def is_identical(self, score: float) -> bool:
        return score >= 100.0 - _LEAST_ERROR

    def comparator(
        self, codes: npt.NDArray[Any], transform: Transform, resources: Resources
    ) -> FallingComparator:
        from guetzpy.metrics._ssimulacra2.comparator import SSIMULACRA2Comparator

        return FallingComparator(SSIMULACRA2Comparator, codes, transform, resources)


BUTTERAUGLI, SSIMULACRA2 = _Butteraugli(), _Ssimulacra2()

#: The metrics whose limits define distance.
DEFINING = (BUTTERAUGLI, SSIMULACRA2)
