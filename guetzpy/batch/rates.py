"""What is known of how the bytes of files fall with distance, and what that says about a set.

Close to a power law: per-file curves of log bytes over log distance, straight between what was measured,
are summed and solved.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["FINEST", "Curve", "bytes_of", "equal_slope", "solve", "typical_distance"]

#: The finest distance that OptimizeOptions takes.
FINEST = 0.1

# Typical of photos with this encoder: bits per pixel at distance 1, and d log(bytes) / d log(distance).
_BITS_AT_ONE, _SLOPE = 1.9, -0.7
# Slopes that a curve may have beyond its points, where noise between two near ones gives absurd ones.
_STEEPEST, _FLATTEST = -1.5, -0.3
# With a free spread no file goes further from the common distance than this factor.
_SPREAD = 2.5

# Prices of a byte between which equal slopes are looked for, as logarithms.
_CHEAPEST, _DEAREST = -60.0, 60.0


@dataclass
class Curve:
    """Bytes of one file over distance: logarithms, sorted by distance."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, distance: float, size: int) -> None:
        """Take a measured point."""
        place = math.log(distance)
        self.points = sorted([p for p in self.points if p[0] != place] + [(place, math.log(size))])

    def at(self, place: float) -> float:
        """Return log bytes at a log distance."""
        points = self.points
        if place <= points[0][0]:
            return points[0][1] + self.slope(place) * (place - points[0][0])
        if place >= points[-1][0]:
            return points[-1][1] + self.slope(place) * (place - points[-1][0])
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            if place <= x1:
                return y0 + (y1 - y0) * (place - x0) / (x1 - x0)
        raise AssertionError("a place lies between two points")

    def slope(self, place: float) -> float:
        """Return d log(bytes) / d log(distance) near a log distance, within reason."""
        points = self.points
        if len(points) == 1:
            return _SLOPE
        pairs = list(itertools.pairwise(points))
        chosen = next(((a, b) for a, b in pairs if place <= b[0]), pairs[-1])
        (x0, y0), (x1, y1) = chosen
        return min(_FLATTEST, max(_STEEPEST, (y1 - y0) / (x1 - x0)))


def typical_distance(bits: float) -> float:
    """Return the distance at which photos take so many bits per pixel."""
    return float((bits / _BITS_AT_ONE) ** (1 / _SLOPE))


def bytes_of(curves: Sequence[Curve], places: Iterable[float]) -> list[float]:
    """Return the bytes of each file at its log distance; 0 where nothing is known of it."""
    return [math.exp(c.at(p)) if c.points else 0.0 for c, p in zip(curves, places, strict=False)]


def solve(sizes: Callable[[float], list[float]], total: float, low: float, high: float) -> float:
    """Return x where the sum of ``sizes(x)``, which falls with x, meets the total, or an end."""
    for _ in range(60):
        middle = (low + high) / 2
        if sum(sizes(middle)) > total:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def equal_slope(
    curves: Sequence[Curve],
    pixels: Sequence[int],
    sizes: Callable[[Sequence[float]], list[float]],
    total: float,
    middle: float,
    farthest: float,
) -> list[float]:
    """Return log distances at which a byte more buys the same everywhere, in ``total`` bytes.

    Bytes b = c d^-k; the sum of pixels * d + bytes / price is least where pixels = k b / (price * d), so
    d = (k c / (price * pixels))^(1 / (k + 1)). The price is solved for. (On 43 photos at 0.3 to 1.5 bits per
    pixel the sum of a lower power of d gave SSIMULACRA 2 and Butteraugli no better a mean, and worse
    extremes.)

    Parameters
    ----------
    sizes : callable
        Log distances to bytes.
    middle : float
        The log distance that all files have at ``total`` bytes; slopes are taken there.
    farthest : float
        The coarsest log distance.
    """
    models = []
    for curve, area in zip(curves, pixels, strict=True):
        k = -curve.slope(middle) if curve.points else -_SLOPE
        c = curve.at(middle) + k * middle if curve.points else 0.0
        models.append((k, c, math.log(area)))
    low = max(math.log(FINEST), middle - math.log(_SPREAD))
    high = min(farthest, middle + math.log(_SPREAD))

    def places(price: float) -> list[float]:
        free = [(math.log(k) + c + price - area) / (k + 1) for k, c, area in models]
        return [min(high, max(low, place)) for place in free]

    return places(solve(lambda price: sizes(places(price)), total, _CHEAPEST, _DEAREST))
