"""Where to evaluate next: which distance of the tables and which Lagrange multiplier."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from guetzpy._runtime.exact_math import log
from guetzpy.search import calibration
from guetzpy.search.quality.limits import COARSEST, FINEST
from guetzpy.search.root import Root

__all__ = ["Approach", "ByDistance", "ByDistanceAndLambda"]


class Approach(Protocol):
    """A point to evaluate, and the rule for the next point.

    Attributes
    ----------
    log_distance, log_lambda : float
        Logarithms of the distance of the tables, and of the ratio of the Lagrange multiplier to the usual
        one.
    """

    @property
    def log_distance(self) -> float:
        """Logarithm of the distance of the tables."""

    @property
    def log_lambda(self) -> float:
        """Logarithm of the ratio of the Lagrange multiplier to the usual one."""

    def after(self, excess: float) -> Approach | None:
        """Return the next point, given the excess at this one; None if no further evaluation would help."""

    def without_points(self) -> Approach:
        """Return an approach at this point that does not know the excesses measured so far."""


@dataclass(frozen=True)
class ByDistance:
    """An approach by the distance of the tables alone.

    Attributes
    ----------
    log_distance : float
        The point to evaluate.
    root : Root
        The excesses measured so far.
    """

    log_distance: float
    root: Root
    log_lambda: float = 0.0

    @classmethod
    def from_start(cls, log_distance: float, tolerance: float) -> ByDistance:
        """Return an approach that ends within a tolerance, as an excess."""
        return cls(log_distance, Root(slope=1.0, tolerance=tolerance))

    def without_points(self) -> ByDistance:
        """Return the approach without measured points; see :class:`Approach`."""
        return replace(self, root=replace(self.root, points=()))

    def after(self, excess: float) -> ByDistance | None:
        """Return the next point; see :class:`Approach`."""
        root = self.root.with_point(self.log_distance, excess)
        if root.done or root.hopeless or root.flat:
            return None
        moved = min(max(root.propose(), log(FINEST)), log(COARSEST))
        return None if abs(moved - self.log_distance) < 1e-4 else replace(self, log_distance=moved, root=root)


def _by_tables() -> Root:
    return Root(
        slope=calibration.SLOPE_OF_TABLES, tolerance=calibration.TILE_TOLERANCE, aim=calibration.AIM_OF_TABLES
    )


@dataclass(frozen=True)
class ByDistanceAndLambda:
    """An approach first by the distance of the tables, until a file passes, then by the Lagrange multiplier.

    Steps are integers, so the score can jump at a small change of the tables. Under the same tables the score
    changes smoothly with the multiplier. For the same gain in quality, a multiplier below the usual one adds
    1.5 times as many bytes as finer tables. So it is used only where evaluations are expensive.

    Attributes
    ----------
    log_distance, log_lambda : float
        The point to evaluate.
    expensive : bool
        Whether evaluations take long. The multiplier may then be below the usual one.
    corrected : float
        Largest excess at which a smaller multiplier is tried.
    by_distance, by_lambda : Root
        The excesses measured so far, over log distance and over log multiplier; ``by_lambda`` is None while
        the tables are still changed.
    """

    log_distance: float
    log_lambda: float = 0.0
    expensive: bool = False
    corrected: float = 0.0
    by_distance: Root = field(default_factory=_by_tables)
    by_lambda: Root | None = None

    @classmethod
    def where_expensive(cls, log_distance: float, log_lambda: float = 0.0) -> ByDistanceAndLambda:
        """Return an approach for expensive evaluations."""
        return cls(log_distance, log_lambda, expensive=True, corrected=calibration.CORRECTED)

    def without_points(self) -> ByDistanceAndLambda:
        """Return the approach without measured points; see :class:`Approach`."""
        return replace(self, by_distance=replace(self.by_distance, points=()), by_lambda=None)

    def after(self, excess: float) -> ByDistanceAndLambda | None:
        """Return the next point; see :class:`Approach`."""
        here, by_distance, by_lambda = self.log_distance, self.by_distance, self.by_lambda
        log_lambda, corrected = self.log_lambda, self.corrected
        # Change the tables again if the usual multiplier misses the limits, or if smaller ones did not help.
        in_vain = by_lambda is not None and log_lambda < 0.0 and len(by_lambda.points) > 1
        if by_lambda is not None and excess > 0.0 and (log_lambda == 0.0 or in_vain):
            by_lambda, corrected, log_lambda = None, 0.0, 0.0
        if by_lambda is None:
            by_distance = by_distance.with_point(here, excess)
            if log_lambda > 0.0 or -calibration.NEAR < excess <= corrected:
                by_lambda = Root(
                    calibration.SLOPE_OF_LAMBDA, calibration.TILE_TOLERANCE, calibration.AIM_OF_LAMBDA
                )
            else:
                log_lambda = 0.0
        moved = replace(self, corrected=corrected, by_distance=by_distance)
        if by_lambda is not None:
            by_lambda = by_lambda.with_point(log_lambda, excess)
            lowest = calibration.LOWEST_LOG_LAMBDA if self.expensive else 0.0
            log_lambda = min(max(by_lambda.propose(), lowest), 1.0)
            return replace(moved, log_lambda=log_lambda, by_lambda=by_lambda)
        if (excess > 0.0 and here <= log(FINEST) + 1e-9) or by_distance.hopeless:
            return None
        there = min(max(by_distance.propose(), log(FINEST)), log(COARSEST))
        if any(abs(there - known) < 1e-4 for known, _ in by_distance.points):
            return None
        return replace(moved, log_distance=there, log_lambda=0.0, by_lambda=None)
