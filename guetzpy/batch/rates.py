"""Models of the size of files as a function of distance, and the distances at which a set has a given size.

The size of a file is close to a power of the distance. The model of each file is therefore a curve of log
bytes over log distance, with straight lines between the measured points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["FINEST", "Curve", "bytes_of", "equal_slope", "solve", "typical_distance"]

#: The finest distance that OptimizeOptions takes.
FINEST = 0.1

# Typical values for photos encoded by guetzpy: bits per pixel at distance 1, and d log(bytes) / d
# log(distance).
_BITS_AT_ONE, _SLOPE = 1.9, -0.7
# Bounds for d log(bytes) / d log(distance): sizes are noisy, so two close points may give a wrong slope.
_STEEPEST, _FLATTEST = -1.5, -0.3
# With equal slopes, the largest ratio of a file's distance to the common distance. Its inverse is the
# smallest.
_SPREAD = 2.5

# Logarithms of the bracket in which the price of a byte is searched for equal slopes.
_CHEAPEST, _DEAREST = -60.0, 60.0


@dataclass
class Curve:
    """Log bytes of one file over log distance: measured points, sorted by distance."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, distance: float, size: int) -> None:
        """Add a measured point; it replaces one at the same distance."""
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
        """Return d log(bytes) / d log(distance) near a log distance, between _STEEPEST and _FLATTEST."""
        points = self.points
        if len(points) == 1:
            return _SLOPE
        pairs = list(itertools.pairwise(points))
        chosen = next(((a, b) for a, b in pairs if place <= b[0]), pairs[-1])
        (x0, y0), (x1, y1) = chosen
        return min(_FLATTEST, max(_STEEPEST, (y1 - y0) / (x1 - x0)))


def typical_distance(bits: float) -> float:
    """Return the distance at which a typical photo has this number of bits per pixel; infinite for 0 bits."""
    if bits <= 0:
        return math.inf
    return float((bits / _BITS_AT_ONE) ** (1 / _SLOPE))


def bytes_of(curves: Sequence[Curve], places: Iterable[float]) -> list[float]:
    """Return the bytes of each file at its log distance; 0 for a file without measured points."""
    return [math.exp(c.at(p)) if c.points else 0.0 for c, p in zip(curves, places, strict=False)]


def solve(sizes: Callable[[float], list[float]], total: float, low: float, high: float) -> float:
    """Return x from ``low`` to ``high`` at which the sum of ``sizes(x)``, decreasing in x, is ``total``."""
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
    """Return the log distances with the least weighted sum of distances for ``total`` bytes of all files.

    The bytes of a file at distance d are modelled as b = c d^-k, with c and k from its curve. With a
    Lagrange multiplier, the price of a byte, the sum of pixels * d + price * b over all files is least where
    pixels = price * k b / d for each file, that is, at d = (price * k c / pixels)^(1 / (k + 1)). The price is
    found by bisection. (On 43 photos at 0.3 to 1.5
    bits per pixel, minimising the sum of a lower power of d gave no better mean of SSIMULACRA 2 and
    Butteraugli, and worse extremes.)

    Parameters
    ----------
    curves : sequence of Curve
        The model of each file.
    pixels : sequence of int
        Number of pixels of each file.
    sizes : callable
        Takes the log distances of all files and returns their sizes in bytes.
    total : float
        Bytes of all files together.
    middle : float
        The log distance at which all files together have ``total`` bytes. The slopes k are taken there.
    farthest : float
        The largest log distance.

    Returns
    -------
    list of float
        The log distance of each file.
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
