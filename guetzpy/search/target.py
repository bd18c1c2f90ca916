"""What must hold: the two limits that a distance stands for, and how far a file is from them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from guetzpy._elementary import exp, log

__all__ = [
    "COARSEST",
    "FINEST",
    "Limits",
    "Root",
    "butteraugli_distance",
    "butteraugli_limit",
    "ssimulacra2_distance",
    "ssimulacra2_limit",
]

#: Finest and coarsest tables that are tried, as distances; 0.02 makes every step 1.
FINEST, COARSEST = 0.02, 300.0

# Medians that cjpegli reaches at these settings on 43 pictures (Kodak, CID22, gb82, CLIC 2025).
_DISTANCE = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
_BUTTERAUGLI = (0.353, 0.428, 0.544, 0.679, 0.832, 1.008, 1.196, 1.448, 1.712)
_SSIMULACRA2 = (91.6, 90.2, 88.2, 85.3, 81.8, 78.3, 74.2, 69.0, 62.0)


class _Monotone:
    """Monotone cubic through points (Fritsch and Carlson 1980), straight beyond the ends."""

    def __init__(self, x: tuple[float, ...], y: tuple[float, ...]) -> None:
        self.x, self.y = x, y
        slopes = [(y[i + 1] - y[i]) / (x[i + 1] - x[i]) for i in range(len(x) - 1)]
        inner = [
            0.0 if left * right <= 0 else 2.0 / (1.0 / left + 1.0 / right) for left, right in pairwise(slopes)
        ]
        self.tangents = [slopes[0], *inner, slopes[-1]]

    def __call__(self, x: float) -> float:
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
        """Solve by bisection; the function is strictly monotone."""
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
# In log-log Butteraugli's curve continues as a power of the distance on both sides.
_BUTTERAUGLI_CURVE = _Monotone(_LOG_DISTANCE, tuple(log(b) for b in _BUTTERAUGLI))
# 100 - score is a power of the distance near 0; beyond 5.6 the same power continues.
_SSIMULACRA2_CURVE = _Monotone(_LOG_DISTANCE, tuple(log(100.0 - s) for s in _SSIMULACRA2))


def butteraugli_limit(distance: float) -> float:
    """Return the largest Butteraugli 3-norm that a distance allows."""
    return exp(_BUTTERAUGLI_CURVE(log(distance)))


def ssimulacra2_limit(distance: float) -> float:
    """Return the smallest SSIMULACRA 2 score that a distance allows."""
    return 100.0 - exp(_SSIMULACRA2_CURVE(log(distance)))


def butteraugli_distance(score: float) -> float:
    """Return the smallest distance that allows a Butteraugli 3-norm; 0 for 0."""
    return exp(_BUTTERAUGLI_CURVE.inverse(log(score))) if score > 1e-6 else 0.0


def ssimulacra2_distance(score: float) -> float:
    """Return the smallest distance that allows a SSIMULACRA 2 score; 0 for 100."""
    return exp(_SSIMULACRA2_CURVE.inverse(log(100.0 - score))) if score < 100.0 - 1e-6 else 0.0


@lru_cache(maxsize=64)  # the limits are asked for at each look
def _place_of_norm(norm: float) -> float:
    """Return the logarithm of the distance that a 3-norm stands for."""
    return _BUTTERAUGLI_CURVE.inverse(log(max(norm, 1e-6)))


@lru_cache(maxsize=64)
def _place_of_score(score: float) -> float:
    """Return the logarithm of the distance that a score stands for."""
    return _SSIMULACRA2_CURVE.inverse(log(max(100.0 - score, 1e-6)))


#: Files are close to their limits within 0.15 points of SSIMULACRA 2 or 1 % of Butteraugli; nine tenths of
#: that are allowed, and no more than this as a logarithm of distances: 0.016 at distance 1 by both.
_CLOSE_POINTS, _CLOSE_SHARE, _WIDEST = 0.135, 0.009, 0.02


@dataclass(frozen=True)
class Limits:
    """What must hold, measured on the decoded file.

    Attributes
    ----------
    butteraugli : float or None
        Largest Butteraugli 3-norm; None if that metric does not matter.
    ssimulacra2 : float or None
        Smallest SSIMULACRA 2 score; None if that metric does not matter.
    """

    butteraugli: float | None
    ssimulacra2: float | None

    @classmethod
    def at_distance(cls, distance: float) -> Limits:
        """Return the two limits that a distance stands for."""
        return cls(butteraugli_limit(distance), ssimulacra2_limit(distance))

    def relaxed(self, butteraugli: float, ssimulacra2: float) -> Limits:
        """Return limits that are no stricter than these scores."""
        return Limits(
            None if self.butteraugli is None else max(self.butteraugli, butteraugli),
            None if self.ssimulacra2 is None else min(self.ssimulacra2, ssimulacra2),
        )

    def met(self, butteraugli: float, ssimulacra2: float) -> bool:
        """Return whether scores meet the limits."""
        return (self.butteraugli is None or butteraugli <= self.butteraugli) and (
            self.ssimulacra2 is None or ssimulacra2 >= self.ssimulacra2
        )

    def excess(self, butteraugli: float, ssimulacra2: float) -> float:
        """Return how far the scores are beyond the binding limit, as a logarithm of distances.

        Negative if both limits hold with room to spare; about linear in the logarithm of the
        quantisers, which a secant search likes.
        """
        return max(self.excesses(butteraugli, ssimulacra2))

    def excesses(self, butteraugli: float, ssimulacra2: float) -> tuple[float, float]:
        """Return the excess by Butteraugli and by SSIMULACRA 2, -inf for one that does not matter."""
        return self.by_butteraugli(butteraugli), self.by_ssimulacra2(ssimulacra2)

    def by_butteraugli(self, score: float) -> float:
        """Return the excess by the one metric."""
        if self.butteraugli is None:
            return float("-inf")
        return _place_of_norm(score) - _place_of_norm(self.butteraugli)

    def by_ssimulacra2(self, score: float) -> float:
        """Return the excess by the other."""
        if self.ssimulacra2 is None:
            return float("-inf")
        return _place_of_score(score) - _place_of_score(self.ssimulacra2)

    @property
    def rooms(self) -> tuple[float, float]:
        """How far below 0 the excesses by the two metrics may lie in a file that is good enough."""
        norm, score = self.butteraugli, self.ssimulacra2
        return (
            0.0 if norm is None else min(-self.by_butteraugli((1.0 - _CLOSE_SHARE) * norm), _WIDEST),
            0.0 if score is None else min(-self.by_ssimulacra2(score + _CLOSE_POINTS), _WIDEST),
        )

    def starting_distance(self) -> float:
        """Return the distance whose limits these are about."""
        distances = []
        if self.butteraugli is not None:
            distances.append(butteraugli_distance(self.butteraugli))
        if self.ssimulacra2 is not None:
            distances.append(ssimulacra2_distance(self.ssimulacra2))
        return min(max(min(distances), 0.02), 25.0)


class Root:
    """One-dimensional search for the largest x at which a rising, slightly noisy f is not above 0.

    Parameters
    ----------
    slope : float
        Expected slope, used until two points are known.
    tolerance : float
        A point with ``-tolerance <= f <= 0`` is good enough.
    aim : float, optional
        The value of f to aim at; default a little inside the tolerance.
    """

    def __init__(self, slope: float, tolerance: float, aim: float | None = None) -> None:
        self.slope = slope
        self.tolerance = tolerance
        self.aim = -0.4 * tolerance if aim is None else aim
        self.points: list[tuple[float, float]] = []

    def add(self, x: float, f: float) -> None:
        """Record a measured point."""
        self.points.append((x, f))

    @property
    def done(self) -> bool:
        """Whether some point is good enough."""
        return any(-self.tolerance <= f <= 0.0 for _, f in self.points)

    @property
    def gap(self) -> float:
        """Distance between the last x that passes and the first beyond it that fails; 0 without both."""
        passing = [x for x, f in self.points if f <= 0.0]
        beyond = [x for x, f in self.points if f > 0.0 and passing and x > max(passing)]
        return min(beyond) - max(passing) if beyond else 0.0

    @property
    def hopeless(self) -> bool:
        """Whether the last three points all fail and going down hardly helps any more."""
        if len(self.points) < 3 or any(f <= 0.0 for _, f in self.points):
            return False
        (x0, f0), (x1, f1) = self.points[-3], self.points[-1]
        return x0 - x1 > 0.1 and f0 - f1 < 0.4 * self.slope * (x0 - x1) and f1 > 0.02

    def propose(self) -> float:
        """Return the x to measure next, within the bracket if there is one."""
        aim = self.aim
        x, f = self.points[-1]
        slope = self.slope
        if len(self.points) > 1:
            # The slope through the two points nearest to the aim, kept within a factor of the expected one.
            near = sorted(self.points, key=lambda p: abs(p[1] - aim))[:2]
            (x, f), (x1, f1) = near
            if abs(x - x1) > 1e-9:
                slope = min(max((f - f1) / (x - x1), 0.35 * self.slope), 3.0 * self.slope)
        result = x + min(max((aim - f) / slope, -1.5), 1.5)
        passing = [p for p, value in self.points if value <= 0.0]
        failing = [p for p, value in self.points if value > 0.0]
        low = max((p for p in passing if not failing or p < min(failing)), default=None)
        high = min((p for p in failing if not passing or p > min(passing)), default=None)
        if low is not None and high is not None and low < high:
            margin = 0.1 * (high - low)
            if not low + margin <= result <= high - margin:
                result = 0.5 * (low + high)
        return result
