"""Bands and tables of ColorVideoVDP for pictures of a given size on a given display, and the base band."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp2, log
from guetzpy._runtime.threads import each
from guetzpy.metrics._cvvdp.display import Display
from guetzpy.metrics._cvvdp.pooling import EPSILON, bands_of
from guetzpy.metrics._cvvdp.pyramid import PAD, reduce_rows
from guetzpy.metrics._cvvdp.sensitivity import LIGHT_STEPS, LOWEST_LIGHT, sensitivity_table
from guetzpy.metrics.one_reference import Local, Rows
from guetzpy.picture.transform import Floats

__all__ = ["STRIP", "Base", "Plan", "pyramid"]

Doubles = npt.NDArray[np.float64]

#: Rows that a thread processes at a time; even.
STRIP = 128
#: Factors on the sensitivities of each channel in all bands but the base band (cvvdp_metric.py).
_GAINS = (1.0, 1.45, 1.0)
_LN2 = 0.6931471805599453
#: Largest contrast in the base band. (In other bands a sample is a part of its own background, which keeps
#: contrasts far smaller.)
_HIGHEST = 1000.0
_DARKEST = 0.01  # cd/m2


@dataclass(frozen=True)
class Plan:
    """What is computed for pictures of one size on one display.

    Attributes
    ----------
    sizes : list of (int, int)
        Height and width of the bands, one for each level; the last is the base band.
    matrix : ndarray of float32, shape (3, 4)
        Matrix from linear sRGB to the opponent channels in cd/m2.
    tables : list of ndarray of float32, shape (3, 32)
        Binary logarithms of sensitivities by luminance, for all bands but the base band.
    base : ndarray of float64, shape (3, 32)
        The same for the base band.
    """

    sizes: list[tuple[int, int]]
    matrix: Floats
    tables: list[Floats]
    base: Doubles

    @classmethod
    def of(cls, height: int, width: int, display: Display) -> Plan:
        frequencies = bands_of(height, width, display.pixels_per_degree)
        sizes = [(height, width)]
        tables = []
        for band, frequency in enumerate(frequencies[:-1]):
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
            # Bands between the first and the last count twice (lpyr_dec.py: get_band).
            gains = [log(gain if band == 0 else 2.0 * gain) / _LN2 for gain in _GAINS]
            table = sensitivity_table(frequency) + np.array(gains)[:, None]
            tables.append(table.astype(np.float32))
        matrix = np.ascontiguousarray(display.to_opponent, np.float32)
        return cls(sizes, matrix, tables, sensitivity_table(frequencies[-1]))

    @property
    def pixels(self) -> list[int]:
        """Number of pixels of each band."""
        return [height * width for height, width in self.sizes]


def pyramid(plan: Plan, level: Rows, threads: int | None) -> list[Rows]:
    """Return a picture's levels. The first is linear light; the others hold opponent channels."""
    levels, local = [level], Local()
    for height, width in plan.sizes[1:]:
        larger, out = levels[-1], np.empty((3, height, width), np.float32)
        mixed = int(larger is level)

        def strip(start: int, larger: Rows = larger, out: Floats = out, mixed: int = mixed) -> None:
            stop = min(start + STRIP // 2, out.shape[1])
            planes, first = larger.rows(max(2 * start - 2, 0), min(2 * stop + 1, larger.height), local)
            work = local.array("work", (4, larger.width + PAD + 3))
            reduce_rows(planes, first, start, stop, larger.height, plan.matrix, mixed, work, out)

        each(strip, range(0, height, STRIP // 2), threads)
        levels.append(Rows(out))
    return levels


class Base:
    """The base band of a picture: its smallest level divided by the mean luminance of that level.

    Sums are exact and rounded once, so that they do not depend on the order of their terms.
    """

    def __init__(self, plan: Plan, level: Rows, mixed: bool) -> None:
        planes = level.rows(0, level.height, Local())[0].astype(np.float64)
        if mixed:
            matrix = plan.matrix.astype(np.float64)
            planes = np.stack([m[0] * planes[0] + m[1] * planes[1] + m[2] * planes[2] + m[3] for m in matrix])
        self.light = planes[0]
        self.mean = math.fsum(np.maximum(self.light, _DARKEST).ravel()) / self.light.size
        self.contrast = np.minimum(planes / self.mean, _HIGHEST)

    def sensitivities(self, plan: Plan) -> list[float]:
        """Return the sensitivity of each channel to contrast at this mean luminance."""
        if not math.isfinite(self.mean):
            return [0.0, 0.0, 0.0]  # pooling raises the error
        position = (log(self.mean) / _LN2 - float(LOWEST_LIGHT)) * float(LIGHT_STEPS)
        position = min(max(position, 0.0), 31.0)
        k = min(int(position), 30)
        return [exp2(float(t[k] + (position - k) * (t[k + 1] - t[k]))) for t in plan.base]

    def sums(self, other: Base, plan: Plan) -> list[float]:
        """Return for each channel the sum of d^2 + 2 e d over the differences d from another base band."""
        sums = []
        for c, sensitivity in enumerate(self.sensitivities(plan)):
            d = np.abs(other.contrast[c] - self.contrast[c]) * sensitivity
            sums.append(math.fsum((d * (d + 2.0 * EPSILON)).ravel()))
        return sums

    def slopes(self, other: Base, plan: Plan, by_sums: Doubles) -> Doubles:
        """Convert derivatives for the sums, (3,), to derivatives for another base band's light, (3, h, w)."""
        by_light: Doubles = np.empty_like(other.contrast)
        by_mean = 0.0
        for c, sensitivity in enumerate(self.sensitivities(plan)):
            difference = other.contrast[c] - self.contrast[c]
            d = np.abs(difference) * sensitivity
            by_contrast = by_sums[c] * 2.0 * (d + EPSILON) * sensitivity * np.sign(difference)
            by_contrast[other.contrast[c] >= _HIGHEST] = 0.0
            by_light[c] = by_contrast / other.mean
            by_mean -= math.fsum((by_light[c] * other.contrast[c]).ravel())
        by_light[0] += np.where(other.light > _DARKEST, by_mean / other.light.size, 0.0)
        return by_light
