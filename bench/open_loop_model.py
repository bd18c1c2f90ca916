"""Tables, Lagrange multipliers and compensation as smooth functions of distance, with fitted parameters.

Each parameter is the logarithm of a factor on jpegli's tables or on the usual Lagrange multiplier, and linear
in the log distance: ``at_1 + by_log_distance * log(distance)``, within the range of the fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp, log
from guetzpy.search.coding.tables import JPEGLI, Shape, TableFamily, steps

__all__ = ["PARAMETERS", "OpenLoopModel"]

#: Parameters in the order of their vector. ``level`` is on all steps of a component, ``dc`` on its DC, and
#: ``low`` on frequencies with 1 <= u + v <= 2, ``slope`` and ``curve`` grow with (u + v) / 14 and its square;
#: ``lambda`` is on the Lagrange multiplier. Chroma has parameters of its own for 4:2:0 ("420").
#: ``compensation`` is the change of the share that the luma makes up for, not a logarithm.
PARAMETERS = (
    "luma.dc", "luma.low", "luma.slope", "luma.curve", "luma.lambda",
    "chroma.level", "chroma.dc", "chroma.low", "chroma.slope", "chroma.lambda", "chroma.red",
    "420.level", "420.dc", "420.low", "420.slope",
    "compensation",
)  # fmt: skip

#: Log distances of the fit: 0.35 to 8.
_RANGE = (-1.05, 2.08)

_FREQUENCY = np.add.outer(np.arange(8), np.arange(8)).ravel()
_LOW = (_FREQUENCY >= 1) & (_FREQUENCY <= 2)
_SPREAD = _FREQUENCY / 14.0
#: Mean of the frequencies that most bits go to: slopes turn about it, so that they hardly change the quality.
_CENTRE = 0.25


@dataclass(frozen=True, eq=False)
class OpenLoopModel(TableFamily):
    """A family of tables with fitted parameters.

    Attributes
    ----------
    at_1, by_log_distance : ndarray of float64, shape (16,)
        Parameters (:data:`PARAMETERS`) at distance 1, and their change by the log distance.
    provenance : mapping
        Where they come from.
    """

    at_1: npt.NDArray[np.float64]
    by_log_distance: npt.NDArray[np.float64]
    provenance: Mapping[str, object] = field(default_factory=dict)

    def parameter(self, name: str, distance: float) -> float:
        """Return a parameter at a distance."""
        n = PARAMETERS.index(name)
        x = min(max(log(distance), _RANGE[0]), _RANGE[1])
        return float(self.at_1[n] + self.by_log_distance[n] * x)

    def tables(
        self, distance: float, components: int, subsampled: bool, shape: Shape, dc_limit: float
    ) -> tuple[npt.NDArray[np.uint16], ...]:
        """Return the tables; see :class:`~guetzpy.search.coding.tables.TableFamily`."""
        result = []
        for c in range(components):
            values = steps(distance, c, subsampled, shape) * self.factors(distance, c, subsampled)
            if c == 0:
                values[0] = min(values[0], dc_limit)
            result.append(np.clip(np.floor(values + 0.5), 1, 255).astype(np.uint16))
        return tuple(result)

    def factors(self, distance: float, component: int, subsampled: bool) -> npt.NDArray[np.float64]:
        """Return the factors on jpegli's steps of a component, float64 (64,), natural order."""
        part = "luma" if component == 0 else "420" if subsampled else "chroma"

        def of(name: str) -> float:
            return self.parameter(f"{part}.{name}", distance)

        level = 0.0 if component == 0 else of("level")
        if component:
            red = self.parameter("chroma.red", distance)
            level += red if component == 2 else -red
        logs = level + of("slope") * (_SPREAD - _CENTRE) + of("low") * _LOW
        if component == 0:
            logs = logs + of("curve") * (_SPREAD**2 - _CENTRE**2)
        logs[0] = level + of("dc")
        return np.array([exp(float(value)) for value in logs])

    def finest(self, components: int) -> tuple[npt.NDArray[np.uint16], ...]:
        """Return tables of ones."""
        return JPEGLI.finest(components)

    def multiplier(self, distance: float, component: int) -> float:
        """Return the Lagrange multiplier of a component over the usual one."""
        fitted = exp(self.parameter("chroma.lambda" if component else "luma.lambda", distance))
        return JPEGLI.multiplier(distance, component) * fitted

    def compensation(self, distance: float) -> float:
        """Return the share of the chroma's error in luminance that the luma makes up for."""
        return min(max(super().compensation(distance) + self.parameter("compensation", distance), 0.0), 1.0)
