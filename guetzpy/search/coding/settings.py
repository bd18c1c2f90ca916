"""Settings of one quantisation: all that it depends on besides the picture and the weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp, power
from guetzpy.search.coding.tables import JPEGLI, USUAL, Shape, TableFamily
from guetzpy.search.coding.trellis import Rate

__all__ = ["EncodeSettings", "lagrangian"]


def lagrangian(distance: float) -> float:
    """Return the usual Lagrange multiplier at a distance: squared error in squared steps for one bit.

    Where steps approach their limit of 255, the multiplier grows faster instead, so that any size can be
    reached.
    """
    usual = 0.05 * power(min(max(distance, 0.5), 6.0), 0.25)
    return usual * power(max(distance / 20.0, 1.0), 1.5)


@dataclass(frozen=True)
class EncodeSettings:
    """Settings of one quantisation.

    Attributes
    ----------
    distance : float
        Distance that the tables and the usual Lagrange multiplier are made for, above 0.
    log_lambda : float
        Logarithm of the ratio of the Lagrange multiplier to the usual one.
    shape : Shape
        How the tables differ from the family's usual ones.
    dc_limit : float
        Largest step of the luma's DC. It prevents visible bands in slow gradients, to which no metric reacts.
    chroma_dc_limit : float
        The same for the DC of chroma.
    dither : tuple of (float, float)
        Width of the thresholds by which the DC of luma and of chroma is rounded to whole codes; see
        :func:`guetzpy.search.coding.source.dithered`.
    bias : float
        Codes added to all luma, to choose the side of rounding at the corners of the gamut.
    chroma_bias : tuple of (float, float)
        Codes added to all Cb and Cr, for the same purpose.
    rates : tuple of Rate
        Costs of symbols for each component; empty: they are estimated from rounded coefficients.
    family : TableFamily
        Table family that the tables are taken from.
    finest : bool
        Whether the family's finest tables are used and bits cost nothing.
    """

    distance: float
    log_lambda: float = 0.0
    shape: Shape = USUAL
    dc_limit: float = 255.0
    chroma_dc_limit: float = 255.0
    dither: tuple[float, float] = (0.0, 0.0)
    bias: float = 0.0
    chroma_bias: tuple[float, float] = (0.0, 0.0)
    rates: tuple[Rate, ...] = ()
    family: TableFamily = JPEGLI
    finest: bool = False

    def at(self, distance: float, log_lambda: float = 0.0) -> EncodeSettings:
        """Return the settings at another distance and Lagrange multiplier."""
        return replace(self, distance=distance, log_lambda=log_lambda)

    def priced(self, rates: tuple[Rate, ...]) -> EncodeSettings:
        """Return the settings with other costs of symbols."""
        return replace(self, rates=rates)

    def of_family(self, family: TableFamily) -> EncodeSettings:
        """Return the settings with tables of another family."""
        return replace(self, family=family)

    def at_finest(self, bias: float = 0.0) -> EncodeSettings:
        """Return the settings of the finest encode: the finest tables, and bits that cost nothing."""
        return replace(self, distance=0.0, log_lambda=0.0, bias=bias, finest=True)

    def tables(self, components: int, subsampled: bool) -> tuple[npt.NDArray[np.uint16], ...]:
        """Return the quantisation tables of all components, uint16 (64,), natural order."""
        if self.finest:
            return self.family.finest(components)
        tables = self.family.tables(self.distance, components, subsampled, self.shape, self.dc_limit)
        for table in tables[1:]:
            table[0] = min(int(table[0]), int(self.chroma_dc_limit))
        return tables

    def lagrangians(self, components: int, subsampled: bool) -> tuple[float, ...]:
        """Return the Lagrange multiplier of each component: squared error, in squared steps, per bit."""
        if self.finest:
            return (0.0,) * components
        usual = exp(self.log_lambda + self.shape.log_lambda) * lagrangian(self.distance)
        return tuple(usual * self.family.multiplier(self.distance, c, subsampled) for c in range(components))

    def compensation(self, subsampled: bool) -> float:
        """Share of the chroma's error in luminance that the luma compensates, 0 to 1."""
        return self.family.compensation(self.distance, subsampled)
