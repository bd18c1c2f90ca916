"""One distance for a whole set, so that all files together make a given number of bytes.

The CLIC challenge's idea: a data set, a number of bits. A few encodes of each file tell the rest: after
one at a first distance, the files' curves are summed and solved. With ``equal_slope`` quality is spread
freely: the sum of distances, weighted by pixels, is least where a byte more buys the same everywhere.

Distances end at 25. Where all files at 25 are still too large, each gets a size of its own instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guetzpy.batch.allotment import Aim, Allotment, Encoded
from guetzpy.batch.rates import FINEST, Curve, bytes_of, equal_slope, solve, typical_distance
from guetzpy.errors import TargetError
from guetzpy.result import Result

__all__ = ["Aim", "Attempt", "Budget", "Encoded", "Fit", "encoded"]

#: The coarsest distance that OptimizeOptions takes.
COARSEST = 25.0

_MOST_PASSES = 10
# After so many of which none fits the coarsest distance is tried: curves creep where sizes hardly follow
# distances, as of files that are headers mostly.
_MOST_CREEPING = 6
# Passes by sizes, at most.
_MOST_SIZED = 4
# How far distances may be from what was meant, as a mean of logarithms, where files are given sizes.
_EVEN = 0.04
# Bracket at which further passes only meet steps of single files.
_NARROW = 1.0005


@dataclass(frozen=True)
class Attempt:
    """One pass over the set.

    Attributes
    ----------
    aims : tuple of Aim
        What each file was encoded to.
    total : int
        Bytes of all files.
    distances : tuple of float
        Of each file: as asked for or, of one that was given a size, as reached.
    uneven : float
        How far distances are from what was meant, as a mean of logarithms.
    """

    aims: tuple[Aim, ...]
    total: int
    distances: tuple[float, ...]
    uneven: float = 0.0


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes
    ----------
    distance : float
        Of all files; their median if they differ: if quality was spread freely, or files had to be smaller
        than distance 25 makes them.
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


class Budget:
    """The search: ask :meth:`propose` what to encode to, encode, tell :meth:`record`, again.

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
        self._curves = [Curve() for _ in pixels]
        self._fits: float | None = None  # finest common distance that fits
        self._misses: float | None = None  # coarsest common distance that does not
        self._smallest: int | None = None
        self._correction = 1.0
        self._allotment: Allotment | None = None
        self._sized = 0

    @property
    def is_hit(self) -> bool:
        """Whether the best attempt uses the limit up to the tolerance."""
        return self.best is not None and self._is_hit(self.best)

    def propose(self) -> tuple[Aim, ...] | None:
        """Return what to encode each file to next; None when the search is over.

        Raises
        ------
        TargetError
            The set does not get as small as the limit.
        """
        count = len(self._pixels)
        if self.passes == 0:
            return (Aim(_rounded(typical_distance(8 * self.limit / sum(self._pixels)))),) * count
        if self._allotment is not None:
            return self._sizes(self._allotment)
        if self.passes >= _MOST_PASSES and self.best is not None:
            return None
        if self.passes >= _MOST_CREEPING and self.best is None:
            return (Aim(COARSEST),) * count
        if self._free and self.passes >= 2:
            return None if self.is_hit and not _is_common(self.best) else self._spread()
        if self.is_hit and not self._free:
            return None
        common = self._common()
        return None if common is None else (Aim(common),) * count

    def _sizes(self, allotment: Allotment) -> tuple[Aim, ...] | None:
        even = self.best is not None and self.is_hit and self.best.uneven <= _EVEN
        if even or self._sized >= _MOST_SIZED:
            aims = None
        else:
            aims = allotment.propose()
        if aims is None and self.best is None:
            raise self._impossible()
        return aims

    def record(self, aims: Sequence[Aim], outcomes: Sequence[Encoded]) -> None:
        """Take what a pass came to."""
        self.passes += 1
        total = sum(one.size or 0 for one in outcomes)
        if self._allotment is not None:
            self._record_sizes(self._allotment, aims, outcomes, total)
            return
        for curve, aim, one in zip(self._curves, aims, outcomes, strict=True):
            if one.size:
                curve.add(aim.distance, one.size)
        attempt = Attempt(tuple(aims), total, tuple(aim.distance for aim in aims))
        fits = attempt.total <= self.limit
        self._smallest = attempt.total if self._smallest is None else min(self._smallest, attempt.total)
        common = _is_common(attempt)
        if common and fits:
            self._fits = min(aims[0].distance, self._fits or math.inf)
        elif common:
            self._misses = max(aims[0].distance, self._misses or 0.0)
            if self._misses >= COARSEST:
                self._allotment = Allotment(self.limit, self._pixels, self._free, aims[0], outcomes)
        else:
            self._correction *= self._aim / attempt.total
        # Once quality is spread, common distances are no more than a way there.
        if fits and (
            self.best is None or attempt.total > self.best.total or (not common and _is_common(self.best))
        ):
            self.best = attempt

    def _record_sizes(
        self, allotment: Allotment, aims: Sequence[Aim], outcomes: Sequence[Encoded], total: int
    ) -> None:
        self._sized += 1
        uneven = allotment.record(aims, outcomes)
        self._smallest = min(allotment.smallest, self._smallest or allotment.smallest)
        if uneven is None or total > self.limit:
            return
        pairs = zip(aims, outcomes, strict=True)
        reached = tuple(aim.distance if aim.size is None else one.distance for aim, one in pairs)
        attempt = Attempt(tuple(aims), total, reached, uneven)
        if self.best is None:
            self.best = attempt
        elif self._is_hit(attempt) and self.is_hit:
            self.best = min(self.best, attempt, key=lambda known: known.uneven)
        else:
            self.best = max(self.best, attempt, key=lambda known: known.total)

    def _is_hit(self, attempt: Attempt) -> bool:
        return (1 - self._tolerance) * self.limit <= attempt.total <= self.limit

    @property
    def _aim(self) -> float:
        return self.limit * (1 - self._tolerance / 2)

    def _solved(self) -> float:
        """Return the common log distance at which curves say that the set makes what is aimed at."""
        ends = math.log(FINEST), math.log(COARSEST)
        count = len(self._curves)
        return solve(lambda place: bytes_of(self._curves, [place] * count), self._aim, *ends)

    def _common(self) -> float | None:
        """Return the common distance to try next; None if none is left."""
        if self._fits is not None and self._fits <= FINEST:
            return None  # room is left at the finest
        low, high = self._misses or FINEST, self._fits or COARSEST
        between = self._misses is not None and self._fits is not None
        if between and high < low * _NARROW:
            return None
        wanted = _rounded(math.exp(self._solved()))
        if between and not low < wanted < high:
            wanted = _rounded(math.sqrt(low * high))
            return None if wanted in (low, high) else wanted
        # One end only, and curves point behind it: each pass steps twice as far.
        step = 1.05**2 ** (self.passes - 1)
        if self._misses is not None and wanted <= self._misses:
            return _rounded(step * self._misses)
        if self._fits is not None and wanted >= self._fits:
            return _rounded(self._fits / step)
        return wanted

    def _spread(self) -> tuple[Aim, ...]:
        """Return distances of equal slope."""
        places = equal_slope(
            self._curves,
            self._pixels,
            lambda places: bytes_of(self._curves, places),
            self._aim * self._correction,
            self._solved(),
            math.log(COARSEST),
        )
        return tuple(Aim(_rounded(math.exp(place))) for place in places)

    def fit(self, encodes: int) -> Fit:
        """Return what was found; ``encodes`` is their number in all.

        Raises
        ------
        TargetError
            Nothing fits.
        """
        if self.best is None:
            raise self._impossible()
        ordered = sorted(self.best.distances)
        middle = ordered[len(ordered) // 2]
        return Fit(middle, ordered[0], ordered[-1], self.best.total, self.limit, encodes / len(ordered))

    def _impossible(self) -> TargetError:
        return TargetError(
            f"the smallest set reached has {self._smallest} bytes, {self.limit} were asked for",
            smallest_bytes=self._smallest,
        )


def encoded(result: Result) -> Encoded:
    """Return what a budget needs to know of a result."""
    if result.status == "failed":
        return Encoded(None, least=result.smallest_bytes)
    return Encoded(result.bytes_after, result.distance or 0.0)


def _is_common(attempt: Attempt | None) -> bool:
    return attempt is not None and len(set(attempt.aims)) == 1


def _rounded(distance: float) -> float:
    """Return a distance with the digits that are told: whoever types it again gets the same files."""
    return float(f"{min(COARSEST, max(FINEST, distance)):.4g}")
