"""The search for the distances at which the files of a set have a given total size.

The CLIC challenge ranks encoders by the quality of a whole set at a total number of bits. Each pass encodes
all files at one common distance. A curve of size over distance is fitted to the encodes of each file, and the
sum of the curves is solved for the next distance. With ``equal_slope`` the distances differ: the sum of the
distances, weighted by pixels, is least where one more byte reduces each weighted distance by the same amount.

The coarsest distance is 25. If the set exceeds its total there, each file gets a size as its target instead
(:mod:`guetzpy.batch.allotment`). If that fails, the smallest file of each source is searched for. If these
files fit, they are the result. Otherwise their total size is the one that the error names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guetzpy._option import Option, check
from guetzpy.batch.allotment import Aim, Allotment, Encoded
from guetzpy.batch.rates import FINEST, Curve, bytes_of, equal_slope, solve, typical_distance
from guetzpy.errors import TargetError
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result

__all__ = ["Aim", "Attempt", "Budget", "Encoded", "Fit", "check_total", "encoded"]

#: The coarsest distance that OptimizeOptions takes.
COARSEST = 25.0

_MOST_PASSES = 10
# After this number of passes of which none met the limit, the coarsest distance is tried. Solving the curves
# converges slowly where the size hardly depends on the distance, as for files that consist mostly of headers.
_MOST_CREEPING = 6
# Largest number of passes in which the targets of files are sizes.
_MOST_SIZED = 4
# Passes in which the targets are sizes end when the mean of |log(distance reached / distance expected)| is
# at most this.
_EVEN = 0.04
# Ratio of the bracket's ends below which the search ends: the total then changes in steps of single files.
_NARROW = 1.0005


@dataclass(frozen=True)
class Attempt:
    """The result of one pass over the set.

    Attributes
    ----------
    aims : tuple of Aim
        The target of each file.
    total : int
        Bytes of all files together.
    distances : tuple of float
        The distance of each file: its target or, if its target was a size, the distance that it reached.
    uneven : float
        The mean of |log(distance reached / distance expected)| over the files with a size as target.
    """

    aims: tuple[Aim, ...]
    total: int
    distances: tuple[float, ...]
    uneven: float = 0.0


@dataclass(frozen=True)
class Fit:
    """The result of fitting a set into a total size.

    Attributes
    ----------
    distance : float
        The distance of all files. Where distances differ (with ``equal_slope``, or if the targets are sizes),
        their median.
    nearest, farthest : float
        The smallest and the largest distance of a file.
    total : int
        Bytes of all files together.
    limit : int
        Bytes that were allowed.
    encodes : float
        Mean number of encodes made of a file.
    """

    distance: float
    nearest: float
    farthest: float
    total: int
    limit: int
    encodes: float


class Budget:
    """The search for the targets of all files.

    Call :meth:`propose`, encode each file to its target, pass the outcomes to :meth:`record`, and repeat
    until :meth:`propose` returns None.

    Parameters
    ----------
    limit : int
        Bytes that all files together may have.
    pixels : sequence of int
        Number of pixels of each file.
    equal_slope : bool
        Whether distances have equal slopes (:func:`guetzpy.batch.rates.equal_slope`) instead of being equal.
    tolerance : float
        Share of the limit that may stay unused.
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
        self._fits: float | None = None  # finest common distance at which the set meets the limit
        self._misses: float | None = None  # coarsest common distance at which it does not
        self._smallest: int | None = None
        self._correction = 1.0
        self._allotment: Allotment | None = None
        self._sized = 0
        self._ends = False  # whether attempts look for the smallest encode of each file
        self._shares = False  # whether the next pass shares what those encodes leave of the limit

    @property
    def is_hit(self) -> bool:
        """Whether the best attempt's total is below the limit by at most the tolerance."""
        return self.best is not None and self._is_hit(self.best)

    def propose(self) -> tuple[Aim, ...] | None:
        """Return the next target of each file; None when the search is finished.

        Raises
        ------
        TargetError
            No targets were found at which the set meets the limit.
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
        if self._shares:
            self._shares = False
            shared = allotment.propose(exact=True)
            return None if self.is_hit or self.best is None or shared == self.best.aims else shared
        if self._ends:
            return self._smallest_of(allotment)
        even = self.best is not None and self.is_hit and self.best.uneven <= _EVEN
        if even or self._sized >= _MOST_SIZED:
            aims = None
        else:
            aims = allotment.propose()
        if aims is None and self.best is None:
            self._ends = True
            return self._smallest_of(allotment)
        return aims

    def _smallest_of(self, allotment: Allotment) -> tuple[Aim, ...] | None:
        """Return the next targets in the search for the smallest files; None if these files fit."""
        aims = None if self.best is not None else allotment.propose_smallest()
        if aims is None and self.best is None:
            raise self._impossible()
        return aims

    def record(self, aims: Sequence[Aim], outcomes: Sequence[Encoded]) -> None:
        """Record the outcomes of a pass, in the order of the files."""
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
            self._correction *= self._aim / max(1, attempt.total)
        # With equal_slope, an attempt with differing distances replaces one with a common distance, whatever
        # their totals.
        if fits and (
            self.best is None or attempt.total > self.best.total or (not common and _is_common(self.best))
        ):
            self.best = attempt

    def _record_sizes(
        self, allotment: Allotment, aims: Sequence[Aim], outcomes: Sequence[Encoded], total: int
    ) -> None:
        if self._ends and self.best is None:
            if allotment.record_smallest(aims, outcomes):
                self._smallest = allotment.smallest
                known, least, distances = allotment.known()
                if least <= self.limit:
                    self.best = Attempt(known, least, distances)
                    self._shares = True
            return
        self._sized += 1
        uneven = allotment.record(aims, outcomes)
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
        """Return the common log distance at which, by the curves, the set has the size aimed at."""
        ends = math.log(FINEST), math.log(COARSEST)
        count = len(self._curves)
        return solve(lambda place: bytes_of(self._curves, [place] * count), self._aim, *ends)

    def _common(self) -> float | None:
        """Return the common distance of the next pass; None if no other distance has to be tried."""
        if self._fits is not None and self._fits <= FINEST:
            return None  # the set meets the limit at the finest distance
        low, high = self._misses or FINEST, self._fits or COARSEST
        between = self._misses is not None and self._fits is not None
        if between and high < low * _NARROW:
            return None
        wanted = _rounded(math.exp(self._solved()))
        if between and not low < wanted < high:
            wanted = _rounded(math.sqrt(low * high))
            return None if wanted in (low, high) else wanted
        # The bracket has one end, and the curves' solution lies on its wrong side: double the log step.
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
        """Return the best attempt, after :meth:`propose` returned None.

        Parameters
        ----------
        encodes : int
            Number of encodes made of all files together.
        """
        assert self.best is not None
        ordered = sorted(self.best.distances)
        middle = ordered[len(ordered) // 2]
        return Fit(middle, ordered[0], ordered[-1], self.best.total, self.limit, encodes / len(ordered))

    def _impossible(self) -> TargetError:
        return TargetError(
            f"the smallest set reached has {self._smallest} bytes, {self.limit} were asked for",
            smallest_bytes=self._smallest,
        )


def encoded(result: Result) -> Encoded:
    """Return the size and distance of a result, as :class:`Budget` takes them."""
    if result.status == "failed":
        return Encoded(None, least=result.smallest_bytes)
    return Encoded(result.bytes_after, result.distance or 0.0)


def _is_common(attempt: Attempt | None) -> bool:
    return attempt is not None and len(set(attempt.aims)) == 1


def _rounded(distance: float) -> float:
    """Return a distance rounded to the four digits that users see, so that they can repeat the encodes."""
    return float(f"{min(COARSEST, max(FINEST, distance)):.4g}")


# The range of each kind of total.
_TOTAL_BYTES = Option(help="", section="", low=0, above=True, whole=True)
_TOTAL_BITS = Option(help="", section="", low=0, above=True)


def check_total(
    options: OptimizeOptions | TranscodeOptions,
    total_bytes: int | None,
    total_bpp: float | None,
    equal_slope: bool,
    shard: tuple[int, int] | None,
) -> None:
    """Raise ValueError if the arguments of a run that concern its total contradict each other or others."""
    if total_bytes is None and total_bpp is None:
        if equal_slope:
            raise ValueError("equal_slope needs total_bytes or total_bpp")
        return
    if total_bytes is not None and total_bpp is not None:
        raise ValueError("total_bytes and total_bpp contradict each other: give one")
    check("total_bytes", total_bytes, _TOTAL_BYTES)
    check("total_bpp", total_bpp, _TOTAL_BITS)
    if not isinstance(options, OptimizeOptions):
        raise ValueError("a total needs lossy encodes, which transcode does not make; use optimize")
    if options.target != ("distance", 1.0):
        raise ValueError(f"a total and {options.target[0]} contradict each other: give one")
    if shard is not None:
        raise ValueError("a total needs the whole set; it cannot be combined with a shard")
