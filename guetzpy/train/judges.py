"""Measurements of one picture under given parameters: log bytes, and log errors by all metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy import metrics
from guetzpy._runtime.exact_math import log
from guetzpy.model.tables import SAMPLINGS
from guetzpy.picture.transform import Transform
from guetzpy.search.candidates import source_of_codes
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import PlaneSource
from guetzpy.search.coding.tables import TableFamily, dc_limit
from guetzpy.search.coding.weights import Weights
from guetzpy.search.evaluation import size_of
from guetzpy.train.measures import MS_SSIM_SMALLEST, decibels, haarpsi, luma, ms_ssim, psnr, squared_error

__all__ = ["WEIGHTS", "Measured", "Subject", "at_equal_error", "share"]

#: Weight of each metric in the loss. Metrics that agree best with viewers on JPEG files have the largest
#: weights. CVVDP has less, because the closed loop saves most bytes by CVVDP in any case. The other metrics
#: count against changes that save bytes by the first ones alone.
WEIGHTS = {
    "cvvdp": 0.17,
    "ssimulacra2": 0.20,
    "butteraugli_3norm": 0.20,
    "iw_ssim": 0.10,
    "haarpsi": 0.18,
    "ms_ssim_y": 0.07,
    "psnr": 0.08,
}

#: Log bytes, then a log error for each metric; NaN if the picture is too small for the metric.
Measured = list[float]


def share() -> npt.NDArray[np.float64]:
    """Return the weights of the metrics, float64 (7,), with the sum 1."""
    values = np.array(list(WEIGHTS.values()))
    result: npt.NDArray[np.float64] = values / values.sum()
    return result


class Subject:
    """A picture, and the data that is computed once for all its measurements.

    Parameters
    ----------
    codes : ndarray of uint8, shape (3, H, W)
        sRGB.
    """

    def __init__(self, codes: npt.NDArray[np.uint8]) -> None:
        self.codes = codes
        self._picture = np.ascontiguousarray(codes.transpose(1, 2, 0))
        self._sources: dict[str, PlaneSource] = {}

    def source(self, sampling: str) -> PlaneSource:
        """Return the source of a sampling of :data:`~guetzpy.model.tables.SAMPLINGS`."""
        if sampling not in self._sources:
            factors = ((1, 1), (2, 2))[SAMPLINGS.index(sampling)]
            self._sources[sampling] = source_of_codes(self.codes, factors, Transform(), 1)
        return self._sources[sampling]

    @cached_property
    def _comparators(self) -> dict[str, Any]:
        kinds = {
            "cvvdp": metrics.CVVDPComparator,
            "ssimulacra2": metrics.SSIMULACRA2Comparator,
            "butteraugli_3norm": metrics.ButteraugliComparator,
            "iw_ssim": metrics.IWSSIMComparator,
        }
        return {name: kind(self._picture, threads=1) for name, kind in kinds.items()}

    def measure(
        self, sampling: str, distance: float, family: TableFamily, weights: Weights | None = None
    ) -> Measured:
        """Return log bytes and log errors of an encode, by default without weights; see :data:`Measured`."""
        source = self.source(sampling)
        settings = EncodeSettings(distance, dc_limit=dc_limit(distance), family=family)
        settings = settings.priced(encode(source, settings, weights).rates)
        trial = encode(source, settings, weights)
        return [log(size_of(source, trial)), *self.log_errors(decode(source, trial))]

    def log_errors(self, codes: npt.NDArray[np.uint8]) -> list[float]:
        """Return the logarithm of the error of decoded codes by each metric of :data:`WEIGHTS`."""
        shown = np.ascontiguousarray(codes.transpose(1, 2, 0))
        found = {name: one.score(shown) for name, one in self._comparators.items()}
        errors = {
            "cvvdp": math.log(max(10.0 - found["cvvdp"], 1e-6)),
            "ssimulacra2": math.log(max(100.0 - found["ssimulacra2"], 1e-6)),
            "butteraugli_3norm": math.log(max(found["butteraugli_3norm"], 1e-6)),
        }
        values = {
            "iw_ssim": decibels(found["iw_ssim"]),
            "haarpsi": decibels(haarpsi(self._picture, shown)),
            "psnr": psnr(squared_error(self._picture, shown)),
        }
        if min(shown.shape[:2]) >= MS_SSIM_SMALLEST:
            own, other = (luma(picture)[..., None] for picture in (self._picture, shown))
            values["ms_ssim_y"] = decibels(ms_ssim(own, other))
        errors |= {name: -min(value, 120.0) * math.log(10.0) / 10.0 for name, value in values.items()}
        return [errors.get(name, math.nan) for name in WEIGHTS]


def at_equal_error(
    found: Sequence[float], beside: Sequence[Sequence[float]], slopes: tuple[float, float] = (-3.0, -0.15)
) -> npt.NDArray[np.float64]:
    """Return the log bytes of an encode less those of a reference at equal error, by metric.

    Parameters
    ----------
    found : sequence of float
        Measurements of the encode.
    beside : sequence of two sequences of float
        Measurements of the reference at a little finer and at a little coarser distance. A straight line
        through both replaces the curve of log bytes over log error. So all results have the same small
        offset.
    slopes : tuple of float
        Range of the slope of this curve.
    """
    one, other = np.array(beside)
    slope = np.clip((other[0] - one[0]) / (other[1:] - one[1:]), *slopes)
    middle = (one + other) / 2
    result: npt.NDArray[np.float64] = found[0] - middle[0] - slope * (np.array(found[1:]) - middle[1:])
    return result
