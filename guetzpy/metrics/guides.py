"""ColorVideoVDP in the search: its gradient changes the weights, but it sets no limit for files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from guetzpy._runtime.exact_math import log
from guetzpy.metrics.base import FallingComparator, Resources
from guetzpy.picture.transform import Transform

__all__ = ["CVVDP"]

#: Smallest error in JOD; smaller errors count as this one, so that the logarithm is finite.
_LEAST_ERROR = 1e-6


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

    def comparator(
        self, codes: npt.NDArray[Any], transform: Transform, resources: Resources
    ) -> FallingComparator:
        from guetzpy.metrics._cvvdp.comparator import CVVDPComparator

        # The finest band takes most of the time, a tenth of a search, and saves 0.2 % by SSIMULACRA 2 and
        # 0.4 % by CVVDP (22 training pictures at five distances).
        return FallingComparator(CVVDPComparator, codes, transform, resources, finest_band=1)


CVVDP = _Cvvdp()
