"""Parameters of quantisation tables, Lagrange multipliers and compensation.

Each parameter is linear in the log distance, which is limited to a range: ``at_1 + by_log_distance *
log(distance)``. All but the compensation are logarithms of factors on the values that are used without a
model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import log
from guetzpy.model.arrays import Expected, checked

__all__ = ["PARAMETERS", "SAMPLINGS", "TablesPart"]

#: Rows of the parameters: 4:4:4 (and one component), and 4:2:0 (and other coarser chroma).
SAMPLINGS = ("444", "420")

#: Parameters in the order of their vector. ``level`` applies to all steps of chroma, ``red`` to the steps of
#: Cr relative to those of Cb, ``dc`` to the step of DC, ``low`` to frequencies with 1 <= u + v <= 2.
#: ``slope`` is the factor of (u + v) / 14, ``curve`` that of its square. ``lambda`` applies to the Lagrange
#: multiplier. ``compensation`` is not a logarithm: it is added to the share of the chroma error that luma
#: compensates.
PARAMETERS = (
    "luma.dc", "luma.low", "luma.slope", "luma.curve", "luma.lambda",
    "chroma.level", "chroma.red", "chroma.dc", "chroma.low", "chroma.slope", "chroma.lambda",
    "compensation",
)  # fmt: skip

#: Range to which log distances are limited (distances 0.35 to 8). The fit uses distances 0.6 to 3.
_RANGE = (-1.05, 2.08)

#: Largest absolute value of a parameter: a factor of 20.
_LARGEST = 3.0

_SHAPE = (len(SAMPLINGS), len(PARAMETERS))
_EXPECTED = {
    "tables/at_1": Expected(_SHAPE, -_LARGEST, _LARGEST),
    "tables/by_log_distance": Expected(_SHAPE, -_LARGEST, _LARGEST),
}


@dataclass(frozen=True, eq=False)
class TablesPart:
    """Fitted parameters of the tables.

    Attributes
    ----------
    at_1, by_log_distance : ndarray of float64, shape (2, 12)
        Parameters (:data:`SAMPLINGS` by :data:`PARAMETERS`) at distance 1, and their slope over the log
        distance; -3 to 3.
    """

    at_1: npt.NDArray[np.float64]
    by_log_distance: npt.NDArray[np.float64]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by name."""
        return {"tables/at_1": self.at_1, "tables/by_log_distance": self.by_log_distance}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TablesPart:
        """Return the part with these arrays; raise FormatError if they are not valid."""
        found = checked(arrays, _EXPECTED)
        return cls(found["tables/at_1"], found["tables/by_log_distance"])

    def parameter(self, name: str, distance: float, subsampled: bool) -> float:
        """Return a parameter at a distance above 0."""
        row, n = int(subsampled), PARAMETERS.index(name)
        x = min(max(log(max(distance, 1e-6)), _RANGE[0]), _RANGE[1])
        return float(self.at_1[row, n]) + float(self.by_log_distance[row, n]) * x
