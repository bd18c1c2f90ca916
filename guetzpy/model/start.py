"""Parameters of the first evaluation of a search: they predict its excess.

A search estimates the log distance at which the limits are just met. The excess that is measured there has a
mean that depends on the distance and the sampling. The first evaluation is therefore made at a log distance
that is smaller by this mean and by a margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import log
from guetzpy.model.arrays import Expected, checked

__all__ = ["EFFORTS", "FEATURES", "StartPart", "features"]

#: Efforts and features of a search, in the order of the rows and columns of the arrays.
EFFORTS = ("fast", "balanced")
FEATURES = ("one", "log_distance", "log_distance_squared", "subsampled", "subsampled_log_distance", "before")

#: Range to which log distances are limited (distances 0.35 to 8; the fit uses 0.5 to 4), and largest
#: magnitude of ``before``.
_RANGE, _BEFORE = (-1.05, 2.08), 0.3
#: Lower bound of the standard deviation. Steps of tables are small integers, so the excess jumps even if
#: the distance changes little.
_LEAST = 0.01

_EXPECTED = {
    "start/excess": Expected((len(EFFORTS), len(FEATURES)), -2.0, 2.0),
    "start/spread": Expected((len(EFFORTS), 2), -0.2, 0.2),
}


def features(distance: float, subsampled: bool, before: float) -> list[float]:
    """Return the features of a search, in the order of :data:`FEATURES`.

    Parameters
    ----------
    distance : float
        Each limit corresponds to a distance. This is the smallest one, above 0.
    subsampled : bool
        Whether chroma is coded at half size in both directions.
    before : float
        Excess of the encode from which the weights and the estimate of the log distance were computed.
    """
    x = min(max(log(max(distance, 1e-6)), _RANGE[0]), _RANGE[1])
    coarse = float(subsampled)
    return [1.0, x, x * x, coarse, coarse * x, min(max(before, -_BEFORE), _BEFORE)]


@dataclass(frozen=True, eq=False)
class StartPart:
    """Fitted parameters of the first evaluation.

    Attributes
    ----------
    excess : ndarray of float64, shape (2, 6)
        Coefficients of the expected excess (:data:`EFFORTS` by :data:`FEATURES`).
    spread : ndarray of float64, shape (2, 2)
        Standard deviation of the excess from the expected one at distance 1, and its slope over the log
        distance.
    """

    excess: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name."""
        return {"start/excess": self.excess, "start/spread": self.spread}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> StartPart:
        """Return the part with these arrays; raise FormatError if they are not valid."""
        found = checked(arrays, _EXPECTED)
        return cls(found["start/excess"], found["start/spread"])

    def expected(self, effort: str, distance: float, subsampled: bool, before: float) -> float:
        """Return the expected excess; see :func:`features` for the arguments."""
        row = self.excess[EFFORTS.index(effort)]
        return sum(float(a) * b for a, b in zip(row, features(distance, subsampled, before), strict=True))

    def spread_at(self, effort: str, distance: float) -> float:
        """Return the standard deviation of the excess from the expected one."""
        at_1, by_log_distance = self.spread[EFFORTS.index(effort)]
        return max(float(at_1) + float(by_log_distance) * features(distance, False, 0.0)[1], _LEAST)
