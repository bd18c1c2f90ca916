"""One distance for a whole set, so that all files together make a given number of bytes.

The CLIC challenge's idea: a data set, a number of bits. Bytes fall smoothly with distance,
close to a power law, so a few encodes of each file tell the rest: after one encode at a first distance,
per-file curves (log bytes over log distance, straight between what was measured) are summed and solved.

With ``equal_slope`` quality is spread freely: the sum of distances, weighted by pixels, is least where
a byte more buys the same everywhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from guetzpy.errors import TargetError

__all__ = ["Attempt", "Budget", "Fit"]

#: Distances that are tried; the ends of what OptimizeOptions takes.
FINEST, COARSEST = 0.1, 25.0

# Typical of photos with this encoder: bits per pixel at distance 1, and d log(bytes) / d log(distance).
_BITS_AT_ONE, _SLOPE = 1.9, -0.7
# What a curve may do beyond its points, where noise between two near ones would tell nonsense.
_STEEPEST, _FLATTEST = -1.5, -0.3
# With a free spread no file goes further from the common distance than this factor.
_SPREAD = 2.5
_MOST_PASSES = 10
# Bracket at which further passes only meet steps of single files.
_NARROW = 1.0005


@dataclass(frozen=True)
class Attempt:
    """One pass over the set: a distance for each file, and the bytes that came of it."""

    distances: tuple[float, ...]
    total: int


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes
    ----------
    distance : float
        Of all files; their median if quality was spread freely.
    nearest, farthest : float
        The finest and the coarsest distance.
    total : int
        Bytes of all files.
    limit : int
        Bytes that were allowed.
    encodes : float
        Encodes made of each file, on average.
    """

    distance: float
    nearest: float
    farthest: float
    total: int
    limit: int
    encodes: float


@dataclass
class _Curve:
    """Bytes of one file over distance: logarithms, sorted by distance."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, distance: float, size: int) -> None:
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


class Budget:
    """The search: ask :meth:`propose` for distances, encode, tell :meth:`record` the sizes, again.

    Parameters
    ----------
    limit : int
        Bytes that all files may make together.
    pixels : sequence of int
        Pixels of each file.
    equal_slope : bool
        Spread quality freely.
    tolerance : float
        How much of the limit may stay unused.
    """

    def __init__(
        self, limit: int, pixels: Sequence[int], *, equal_slope: bool = False, tolerance: float = 0.005
    ) -> None:
        self.limit = limit
        self.best: Attempt | None = None
        self.passes: int = 0
        self._pixels = [max(1, count) for count in pixels]
        self._tolerance = tolerance
        self._free = equal_slope
        self._curves = [_Curve() for _ in pixels]
        self._fits: float | None = None  # finest common distance that fits
        self._misses: float | None = None  # coarsest common distance that does not
        self._smallest: int | None = None
        self._correction = 1.0

    @property
    def is_hit(self) -> bool:
        """Whether the best attempt uses the limit up to the tolerance."""
        return self.best is not None and self.best.total >= (1 - self._tolerance) * self.limit

    def propose(self) -> tuple[float, ...] | None:
        """Return a distance for each file to encode with next; None when the search is over.

        Raises
        ------
        TargetError
            Not even the coarsest distance fits.
        """
        count = len(self._pixels)
        if self.passes == 0:
            bits = 8 * self.limit / sum(self._pixels)
            return (_rounded((bits / _BITS_AT_ONE) ** (1 / _SLOPE)),) * count
        if self._misses is not None and self._misses >= COARSEST:
            raise TargetError(
                f"the smallest set reached has {self._smallest} bytes, {self.limit} were asked for"
            )
        if self.passes >= _MOST_PASSES and self.best is not None:
            return None
        if self._free and self.passes >= 2:
            return None if self.is_hit and not _is_common(self.best) else self._spread()
        if self.is_hit and not self._free:
            return None
        common = self._common()
        return None if common is None else (common,) * count

    def record(self, distances: Sequence[float], sizes: Sequence[int | None]) -> None:
        """Take what a pass came to; None for a file that failed."""
        self.passes += 1
        for curve, distance, size in zip(self._curves, distances, sizes, strict=True):
            if size:
                curve.add(distance, size)
        attempt = Attempt(tuple(distances), sum(size or 0 for size in sizes))
        fits = attempt.total <= self.limit
        self._smallest = attempt.total if self._smallest is None else min(self._smallest, attempt.total)
        common = _is_common(attempt)
        if common and fits:
            self._fits = min(distances[0], self._fits or math.inf)
        elif common:
            self._misses = max(distances[0], self._misses or 0.0)
        else:
            self._correction *= self._aim / attempt.total
        # Once quality is spread, common distances are no more than a way there.
        if fits and (
            self.best is None or attempt.total > self.best.total or (not common and _is_common(self.best))
        ):
            self.best = attempt

    @property
    def _aim(self) -> float:
        return self.limit * (1 - self._tolerance / 2)

    def _common(self) -> float | None:
        """Return the distance at which the curves say that the set makes what is aimed at."""
        if self._fits is not None and self._fits <= FINEST:
            return None  # room is left at the finest
        low, high = self._misses or FINEST, self._fits or COARSEST
        between = self._misses is not None and self._fits is not None
        if between and high < low * _NARROW:
            return None
        wanted = _rounded(_solve(lambda place: [curve.at(place) for curve in self._live], self._aim))
        if between and not low < wanted < high:
            wanted = _rounded(math.sqrt(low * high))
            return None if wanted in (low, high) else wanted
        if self._misses is not None and wanted <= self._misses:
            wanted = _rounded(1.05 * self._misses)
        if self._fits is not None and wanted >= self._fits:
            wanted = _rounded(self._fits / 1.05)
        return wanted

    @property
    def _live(self) -> list[_Curve]:
        return [curve for curve in self._curves if curve.points]

    def _spread(self) -> tuple[float, ...]:
        """Return distances of equal slope.

        Bytes b = c d^-k; the sum of pixels * d + bytes / price is least where pixels = k b / (price * d), so
        d = (k c / (price * pixels))^(1 / (k + 1)). The price is solved for.
        """
        middle = math.log(_solve(lambda place: [curve.at(place) for curve in self._live], self._aim))
        models = []
        for curve, pixels in zip(self._curves, self._pixels, strict=True):
            k = -curve.slope(middle) if curve.points else -_SLOPE
            c = curve.at(middle) + k * middle if curve.points else 0.0
            models.append((k, c, math.log(pixels)))

        def places(price: float) -> list[float]:
            reach = math.log(_SPREAD)
            free = [(math.log(k) + c + price - area) / (k + 1) for k, c, area in models]
            near = [min(middle + reach, max(middle - reach, place)) for place in free]
            return [min(math.log(COARSEST), max(math.log(FINEST), place)) for place in near]

        def sizes(price: float) -> list[float]:
            pairs = zip(self._curves, places(price), strict=True)
            return [curve.at(place) for curve, place in pairs if curve.points]

        price = math.log(_solve(sizes, self._aim * self._correction, -60.0, 60.0))
        return tuple(_rounded(math.exp(place)) for place in places(price))

    def fit(self, encodes: int) -> Fit:
        """Return what was found; ``encodes`` is their number in all.

        Raises
        ------
        TargetError
            Nothing fits.
        """
        if self.best is None:
            raise TargetError(
                f"the smallest set reached has {self._smallest} bytes, {self.limit} were asked for"
            )
        ordered = sorted(self.best.distances)
        middle = ordered[len(ordered) // 2]
        return Fit(middle, ordered[0], ordered[-1], self.best.total, self.limit, encodes / len(ordered))


def _is_common(attempt: Attempt | None) -> bool:
    return attempt is not None and len(set(attempt.distances)) == 1


def _rounded(distance: float) -> float:
    """Return a distance with the digits that are told: whoever types it again gets the same files."""
    return float(f"{min(COARSEST, max(FINEST, distance)):.4g}")


def _solve(
    logs: Callable[[float], list[float]],
    aim: float,
    low: float = math.log(FINEST),
    high: float = math.log(COARSEST),
) -> float:
    """Return exp(x) where the sum of exp(logs(x)), which falls with x, meets the aim, or an end."""
    for _ in range(60):
        middle = (low + high) / 2
        if sum(map(math.exp, logs(middle))) > aim:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)
