"""Sizes for the files of a set that exceeds its total size even at the coarsest distance.

The target of each encode is a size, and the sizes add up to the total, so that every pass in which no encode
fails meets the total. Each pass adds points to the files' curves of size over distance. From these, the next
sizes are chosen such that the resulting distances are equal, or have equal slopes.

If no sizes are found that fit, the smallest file of each source is searched for
(:meth:`Allotment.propose_smallest`). Its steps do not depend on the total, so a run whose total is the sum of
these files finds them again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from guetzpy.batch.rates import FINEST, Curve, bytes_of, equal_slope, solve

__all__ = ["FARTHEST", "Aim", "Allotment", "Encoded"]

# The smallest size that a search reaches depends on its starting point; it varies by up to 1 %.
_MARGIN = 1.01

# Largest number of sizes that the search for the smallest encode of a file asks for.
_MOST_ASKED = 5

#: The largest distance at which curves are evaluated. A request for the smallest encode has it.
FARTHEST = 1000.0
_FARTHEST = math.log(FARTHEST)

# The files of a pass use a share of the bytes of their targets. The targets of the next pass are divided by
# this share, or by the following value if that is larger.
_LEAST_YIELD = 0.98


@dataclass(frozen=True)
class Aim:
    """The target of one encode: a distance, or a size.

    Attributes
    ----------
    distance : float
        The distance to encode at; if ``size`` is given, the distance that the file is expected to reach.
    size : int, optional
        Largest size of the file in bytes.
    """

    distance: float
    size: int | None = None

    @property
    def target(self) -> tuple[str, float]:
        """The name and value of the corresponding target of OptimizeOptions."""
        return ("distance", self.distance) if self.size is None else ("max_bytes", self.size)


@dataclass(frozen=True)
class Encoded:
    """The result of an encode, as far as the search for sizes needs it.

    Attributes
    ----------
    size : int, optional
        Size of the file in bytes; None if the encode failed. A source that is kept as it is has its own size,
        because it is written too.
    distance : float
        Distance of the file from its source; 0 for a lossless repack.
    least : int, optional
        For an encode that failed because no file was small enough: the smallest size reached, in bytes.
    """

    size: int | None
    distance: float = 0.0
    least: int | None = None


@dataclass
class _File:
    """The bounds for the size of one file, from the encodes so far.

    Attributes
    ----------
    smallest : int
        Size of the smallest encode in bytes.
    aim : Aim
        The target of that encode.
    distance : float
        Distance that this encode reached.
    floor : int
        Size in bytes of the smallest encode that :meth:`Allotment.propose_smallest` found.
    floor_aim : Aim
        The target of that encode.
    least : int
        Size in bytes below which no encode succeeds; 0 if it is not known.
    most : float
        Size in bytes of the lossless repack, which a larger target does not increase; infinite if it is not
        known.
    asks : int
        The next size to ask for in the search for the smallest encode; 0 if this search has ended.
    asked : int
        Number of sizes that this search asked for.
    """

    smallest: int
    aim: Aim
    distance: float
    floor: int
    floor_aim: Aim
    least: int = 0
    most: float = math.inf
    asks: int = 1
    asked: int = 0

    def add(self, aim: Aim, size: int, distance: float) -> None:
        """Note an encode."""
        if size < self.smallest:
            self.smallest, self.aim, self.distance = size, aim, distance

    def add_floor(self, aim: Aim, one: Encoded) -> None:
        """Note the outcome of asking for the size ``asks``, and set the next size to ask for.

        The search for 1 byte fails, and its error has the smallest size that it reached. This size is asked
        for next.
        """
        self.asked += 1
        if one.size is not None:
            if one.size < self.floor:
                self.floor, self.floor_aim = one.size, aim
            self.asks = 0
            return
        least = one.least or 0
        following = least if least > self.asks else math.ceil(_MARGIN * self.asks)
        self.asks = following if least and following < self.floor and self.asked < _MOST_ASKED else 0


class Allotment:
    """The search for the sizes of all files.

    Call :meth:`propose`, encode each file to its target, pass the outcomes to :meth:`record`, and repeat.

    Parameters
    ----------
    limit : int
        Bytes that all files together may have.
    pixels : sequence of int
        Number of pixels of each file.
    free : bool
        Whether the distances have equal slopes instead of being equal (see
        :func:`guetzpy.batch.rates.equal_slope`).
    coarsest : Aim
        The common target of the last pass, the coarsest distance, at which the set exceeded ``limit``.
    outcomes : sequence of Encoded
        The outcomes of that pass. A file that failed in it keeps ``coarsest`` as its target.
    """

    def __init__(
        self, limit: int, pixels: Sequence[int], free: bool, coarsest: Aim, outcomes: Sequence[Encoded]
    ) -> None:
        self.limit = limit
        self._pixels = pixels
        self._free = free
        self._coarsest = coarsest
        self._files = [
            None
            if one.size is None
            else _File(one.size, coarsest, one.distance or coarsest.distance, one.size, coarsest)
            for one in outcomes
        ]
        self._curves = [Curve() for _ in outcomes]  # bytes as a function of the distance reached
        for curve, one in zip(self._curves, outcomes, strict=True):
            if one.size is not None:
                curve.add(one.distance or coarsest.distance, one.size)
        self._yield: float | None = None

    @property
    def smallest(self) -> int:
        """The sum of the sizes, in bytes, that :meth:`propose_smallest` found."""
        return sum(file.floor for file in self._files if file)

    def known(self) -> tuple[tuple[Aim, ...], int, tuple[float, ...]]:
        """Return the targets of the smallest known encodes, their bytes together, and their distances."""
        aims = tuple(self._coarsest if file is None else file.aim for file in self._files)
        distances = tuple(self._coarsest.distance if file is None else file.distance for file in self._files)
        return aims, sum(file.smallest for file in self._files if file), distances

    def propose_smallest(self) -> tuple[Aim, ...] | None:
        """Return the next targets in the search for the smallest encodes; None if it has ended."""
        if not any(file.asks for file in self._files if file):
            return None
        return tuple(
            self._coarsest if file is None else Aim(FARTHEST, file.asks) if file.asks else file.floor_aim
            for file in self._files
        )

    def record_smallest(self, aims: Sequence[Aim], outcomes: Sequence[Encoded]) -> bool:
        """Record the outcomes of a pass of :meth:`propose_smallest`; return whether its search has ended."""
        for file, curve, aim, one in zip(self._files, self._curves, aims, outcomes, strict=True):
            if file is None:
                continue
            if one.size is not None:
                file.add(aim, one.size, one.distance or aim.distance)
                if one.distance:
                    curve.add(one.distance, one.size)
            if file.asks:
                file.add_floor(aim, one)
        ended = not any(file.asks for file in self._files if file)
        for file in self._files:
            if file is not None and ended:
                file.least = file.smallest
        return ended

    def propose(self, *, exact: bool = False) -> tuple[Aim, ...] | None:
        """Return the target of each file; None if the smallest sizes of the files exceed the limit.

        A file that cannot be as small as its target keeps its smallest encode. The other files share the
        remaining bytes.

        Parameters
        ----------
        exact : bool
            Whether the targets add up to at most the limit. Otherwise they may exceed it a little, as encodes
            are a little smaller than their targets.
        """
        lows = [0 if file is None else file.least for file in self._files]
        if sum(lows) > self.limit:
            return None
        # Encodes are a little smaller than their targets; the first pass shows by how much.
        wanted = (
            self.limit
            if exact or self._yield is None
            else 0.9975 * self.limit / max(_LEAST_YIELD, self._yield)
        )
        places, sizes = self._solved(wanted, lows)
        total = sum(sizes)
        if total > wanted:  # the curves end at a larger total, so they are extrapolated
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
            The mean of |log(distance reached / distance expected)|; None if some file could not be as small
            as its target.
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
            file.add(aim, one.size, one.distance or aim.distance)
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
        """Return the log distance and the size in bytes of each file.

        The sizes add up to ``wanted`` if the smallest and the largest size of each file allow it.
        """
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
