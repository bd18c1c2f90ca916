"""A size for each file, where a set has to be smaller than the coarsest distance makes it.

Each encode is limited to its size, so every pass meets the limit. Passes improve the distances that result
from the sizes: they approach one distance for all files, or equal slopes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guetzpy.batch.rates import FINEST, Curve, bytes_of, equal_slope, solve

__all__ = ["Aim", "Allotment", "Encoded"]

# A search from another start reaches about the smallest size that was reached before, within 1 %.
_MARGIN = 1.01

# Logarithm of the largest distance that curves are solved for.
_FARTHEST = math.log(1000.0)

# Smallest share of the given sizes that a pass is assumed to use; a lower share is not due to single encodes.
_LEAST_YIELD = 0.98


@dataclass(frozen=True)
class Aim:
    """What a file is encoded to.

    Attributes
    ----------
    distance : float
        Where ``size`` is given: the distance that is expected of it.
    size : int, optional
        Bytes that the file may have.
    """

    distance: float
    size: int | None = None

    @property
    def target(self) -> tuple[str, float]:
        """The same as a target of OptimizeOptions: its name and value."""
        return ("distance", self.distance) if self.size is None else ("max_bytes", self.size)


@dataclass(frozen=True)
class Encoded:
    """The result of an encode, as far as the search for sizes needs it.

    Attributes
    ----------
    size : int, optional
        Bytes of the file; None: it failed.
    distance : float
        As reached; 0 for a file that was packed without loss.
    least : int, optional
        Of one that failed because it does not get as small as it should: the bytes that it got down to.
    """

    size: int | None
    distance: float = 0.0
    least: int | None = None


@dataclass
class _File:
    """What is known of one file.

    Attributes
    ----------
    smallest : int
        Bytes of the smallest encode.
    aim : Aim
        What that was encoded to.
    least : int
        Bytes below which it does not get; 0: not known.
    most : float
        Bytes beyond which it takes no more, since it is packed without loss.
    """

    smallest: int
    aim: Aim
    least: int = 0
    most: float = math.inf


class Allotment:
    """Sizes of all files: call :meth:`propose`, encode, pass the outcomes to :meth:`record`, repeat.

    Parameters
    ----------
    limit : int
        Bytes that all files may make together.
    pixels : sequence of int
        Pixels of each file.
    free : bool
        Spread quality: equal slopes instead of equal distances.
    coarsest : Aim
        What all files were encoded to before, without getting small enough.
    outcomes : sequence of Encoded
        The outcomes of that; a file that failed is left out from then on.
    """

    def __init__(
        self, limit: int, pixels: Sequence[int], free: bool, coarsest: Aim, outcomes: Sequence[Encoded]
    ) -> None:
        self.limit = limit
        self._pixels = pixels
        self._free = free
        self._coarsest = coarsest
        self._files = [None if e.size is None else _File(e.size, coarsest) for e in outcomes]
        self._curves = [Curve() for _ in outcomes]  # over the distances that were reached
        for curve, one in zip(self._curves, outcomes, strict=True):
            if one.size is not None:
                curve.add(one.distance or coarsest.distance, one.size)
        self._yield: float | None = None

    @property
    def smallest(self) -> int:
        """Bytes of all files at their smallest, as far as that was tried."""
        return sum(min(file.smallest, file.least or file.smallest) for file in self._files if file)

    def propose(self) -> tuple[Aim, ...] | None:
        """Return what to encode each file to; None where the limit is under what files get down to.

        A file that did not get as small as it should stays as small as it gets, and the others pay for it.
        """
        lows = [0 if file is None else file.least for file in self._files]
        if sum(lows) > self.limit:
            return None
        # The first pass cannot exceed the limit; later ones know how near files come to their sizes.
        wanted = self.limit if self._yield is None else 0.9975 * self.limit / max(_LEAST_YIELD, self._yield)
        places, sizes = self._solved(wanted, lows)
        total = sum(sizes)
        if total > wanted:  # curves say that it cannot be, which they cannot know
            fixed = sum(lows)
            share = max(0.0, (wanted - fixed) / max(1.0, total - fixed))
            sizes = [low + (size - low) * share for size, low in zip(sizes, lows, strict=True)]
        aims = []
        for place, size, file in zip(places, sizes, self._files, strict=True):
            if file is None:
                aims.append(self._coarsest)
            elif file.least >= file.smallest and size <= file.least:
                aims.append(file.aim)
            else:
                aims.append(Aim(float(f"{math.exp(place):.4g}"), max(1, math.floor(size))))
        return tuple(aims)

    def record(self, aims: Sequence[Aim], outcomes: Sequence[Encoded]) -> float | None:
        """Record the outcomes of a pass.

        Returns
        -------
        float or None
            By how much distances missed what was meant, as a mean of logarithms; None if some file did not
            get as small as it should.
        """
        misses, asked, made, failed = [], 0, 0, False
        for file, curve, aim, one in zip(self._files, self._curves, aims, outcomes, strict=True):
            if file is None or aim.size is None:
                continue
            if one.size is None:
                failed = True
                least = math.ceil(_MARGIN * (one.least or 0))
                file.least = least if aim.size < least < file.smallest else file.smallest
                continue
            if one.size < file.smallest:
                file.smallest, file.aim = one.size, aim
            if not one.distance:
                file.most = one.size
                continue
            curve.add(one.distance, one.size)
            if aim.size > file.least:
                misses.append(abs(math.log(one.distance / aim.distance)))
            asked += aim.size
            made += one.size
        if asked:
            self._yield = made / asked
        if failed:
            return None
        return sum(misses) / len(misses) if misses else 0.0

    def _solved(self, wanted: float, least: Sequence[float]) -> tuple[list[float], list[float]]:
        """Return log distances and bytes of all files, ``wanted`` bytes in all if they can be."""
        most = [math.inf if file is None else file.most for file in self._files]

        def sizes(places: Sequence[float]) -> list[float]:
            found = zip(bytes_of(self._curves, places), least, most, strict=True)
            return [min(max(size, low), high) for size, low, high in found]

        count = len(self._files)
        middle = solve(lambda place: sizes([place] * count), wanted, math.log(FINEST), _FARTHEST)
        places = [middle] * count
        if self._free:
            places = equal_slope(self._curves, self._pixels, sizes, wanted, middle, _FARTHEST)
        return places, sizes(places)
