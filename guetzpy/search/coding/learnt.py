"""Use of a model in the coding: its tables become a family, its networks predict weights of blocks.

The steps of the family are the usual steps times fitted factors, which are smooth over frequency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp
from guetzpy.model.file import Model
from guetzpy.model.tables import TablesPart
from guetzpy.search.coding.source import CodingSource, PlaneSource
from guetzpy.search.coding.tables import JPEGLI, Shape, TableFamily, families, steps
from guetzpy.search.coding.weights import Weights

__all__ = ["LearntTables", "families_of", "predicted_weights"]

_FREQUENCY = np.add.outer(np.arange(8), np.arange(8)).ravel()
_LOW = (_FREQUENCY >= 1) & (_FREQUENCY <= 2)
_SPREAD = _FREQUENCY / 14.0
#: Frequency, as (u + v) / 14, whose steps the parameters ``slope`` and ``curve`` do not change. It is the
#: mean over the frequencies that take most bits, so that a slope hardly changes the quality.
_CENTRE = 0.25


@dataclass(frozen=True, eq=False)
class LearntTables(TableFamily):
    """A family of tables with fitted parameters."""

    part: TablesPart

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
        """Return the factors on the usual steps of a component, float64 (64,), natural order."""
        part = "chroma" if component else "luma"

        def of(name: str) -> float:
            return self.part.parameter(f"{part}.{name}", distance, subsampled)

        level = 0.0
        if component:
            red = of("red")
            level = of("level") + (red if component == 2 else -red)
        logs = level + of("slope") * (_SPREAD - _CENTRE) + of("low") * _LOW
        if component == 0:
            logs = logs + of("curve") * (_SPREAD**2 - _CENTRE**2)
        logs[0] = level + of("dc")
        return np.array([exp(float(value)) for value in logs])

    def finest(self, components: int) -> tuple[npt.NDArray[np.uint16], ...]:
        """Return tables whose steps are all 1."""
        return JPEGLI.finest(components)

    def multiplier(self, distance: float, component: int, subsampled: bool) -> float:
        """Return the ratio of a component's Lagrange multiplier to the usual one."""
        name = "chroma.lambda" if component else "luma.lambda"
        fitted = exp(self.part.parameter(name, distance, subsampled))
        return JPEGLI.multiplier(distance, component, subsampled) * fitted

    def compensation(self, distance: float, subsampled: bool) -> float:
        """Return the share of the chroma's error in luminance that the luma compensates."""
        change = self.part.parameter("compensation", distance, subsampled)
        return min(max(super().compensation(distance, subsampled) + change, 0.0), 1.0)


def families_of(model: Model) -> tuple[TableFamily, ...]:
    """Return the families that compete. Jpegli's gets the model's parameters if it has any."""
    part = model.tables
    if part is None:
        return families()
    return tuple(LearntTables(part) if family is JPEGLI else family for family in families())


def predicted_weights(model: Model, source: CodingSource, distance: float) -> Weights:
    """Return the weights that a model predicts for an encode.

    Parameters
    ----------
    model : Model
        The model.
    source : CodingSource
        The picture.
    distance : float
        Distance of the encode, above 0.

    Returns
    -------
    Weights
        Weights of 1 if the model predicts none, or if the source does not keep its coefficients.
    """
    flat = source.flat_weights()
    if model.weights is None or not isinstance(source, PlaneSource):
        return flat
    return Weights(model.weights.predict(source.coefficients, source.sampling, distance), flat.bands)
