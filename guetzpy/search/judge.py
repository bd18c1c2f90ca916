"""Both metrics against one reference, on codes as a decoder shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._threads import apart
from guetzpy.metrics._butteraugli import ButteraugliComparator
from guetzpy.metrics._ssimulacra2 import SSIMULACRA2Comparator
from guetzpy.picture import Transform
from guetzpy.search.target import butteraugli_distance, ssimulacra2_distance

__all__ = ["SMALL", "GradientRows", "Judge", "Scores"]

#: Pixels up to which Butteraugli keeps its side of the reference. Of larger pictures that is so much memory
#: that to fetch it takes as long as to work it out again, for the two or three looks that they get.
_KEPT = 6_000_000

#: Pixels up to which the metrics are worked out side by side, each on one thread: 8 to 25 % faster than one
#: after the other on two threads.
SMALL = 600_000

#: Rows of a window of gradients, and of what it shares with its neighbours: of the largest MCU.
_WINDOW, _SHARED = 512, 16


@dataclass(frozen=True)
class Scores:
    """What the metrics say of a picture.

    Attributes
    ----------
    butteraugli, butteraugli_max : float
        3-norm and maximum; 0 is identical.
    ssimulacra2 : float
        100 is identical.
    """

    butteraugli: float
    butteraugli_max: float
    ssimulacra2: float

    @property
    def distance(self) -> float:
        """Smallest distance whose limits both meet."""
        return max(butteraugli_distance(self.butteraugli), ssimulacra2_distance(self.ssimulacra2))


class GradientRows(NamedTuple):
    """Rows of a metric's gradient by codes.

    Attributes
    ----------
    top : int
        Row of the picture that the array begins with.
    first, last : int
        Rows that count; around them are some more, as far as there are.
    values : ndarray of float32, shape (1|3, rows, W)
        Derivatives, growing with distortion.
    """

    top: int
    first: int
    last: int
    values: npt.NDArray[np.float32]


class Judge:
    """Scores and gradients against a reference.

    Parameters
    ----------
    codes : ndarray, shape (1|3, H, W)
        The reference as codes: uint8, uint16, or float32 on the 0..255 scale. Kept.
    transform : Transform
        What codes mean, on both sides.
    threads : int, optional
        Threads to use.
    """

    def __init__(self, codes: npt.NDArray[Any], transform: Transform, threads: int | None = None) -> None:
        self.transform = transform
        self.threads = threads
        self._codes = codes

    # Made when they are needed first: what comes before finds their memory free.
    @cached_property
    def butteraugli(self) -> ButteraugliComparator:
        """The one metric against the reference."""
        keep = None if self._codes[0].size <= _KEPT else False
        return ButteraugliComparator.from_codes(self._codes, self.transform, threads=self.threads, keep=keep)

    @cached_property
    def ssimulacra2(self) -> SSIMULACRA2Comparator:
        """The other."""
        return SSIMULACRA2Comparator.from_codes(self._codes, self.transform, threads=self.threads)

    def prepare(self) -> None:
        """Work out both metrics' sides of a small reference, rather than when scores are asked first."""
        apart([lambda: self.butteraugli, lambda: self.ssimulacra2], self.threads)

    def scores(self, codes: npt.NDArray[np.uint8]) -> Scores:
        """Score codes, uint8 (1|3, H, W)."""
        if codes[0].size > SMALL:
            norm, maximum = self.by_butteraugli(codes)
            return Scores(norm, maximum, self.by_ssimulacra2(codes))
        found: dict[str, Any] = {}

        def butteraugli() -> None:
            found["norm"], found["maximum"] = self.by_butteraugli(codes)

        def ssimulacra2() -> None:
            found["score"] = self.by_ssimulacra2(codes)

        apart([butteraugli, ssimulacra2], self.threads)
        return Scores(found["norm"], found["maximum"], found["score"])

    def by_butteraugli(self, codes: npt.NDArray[np.uint8]) -> tuple[float, float]:
        """Return the 3-norm and the maximum."""
        return self.butteraugli.scores_codes(codes, self.transform)

    def by_ssimulacra2(self, codes: npt.NDArray[np.uint8]) -> float:
        """Return the score of the other metric alone."""
        return self.ssimulacra2.score_codes(codes, self.transform)

    def gradients(self, codes: npt.NDArray[np.uint8]) -> Iterator[tuple[float, Iterator[GradientRows]]]:
        """Yield the score of Butteraugli, then that of SSIMULACRA 2, each with rows of its gradient.

        The second is that of 100 less the score. Nothing of the first is held while the second is made.
        """
        score, rows = self.butteraugli.gradient_codes(codes, self.transform)
        yield score, _windows(codes.shape[1], rows)
        del rows
        self.butteraugli.release()
        score, by_score = self.ssimulacra2.gradient_codes(codes, self.transform)
        yield score, _windows(codes.shape[1], lambda top, bottom: np.negative(by_score(top, bottom)))

    def release(self) -> None:
        """Give up the memory that only gradients take: two fifths of all that a search would hold."""
        self.butteraugli.release()
        self.ssimulacra2.release()


def _windows(height: int, rows: Callable[[int, int], npt.NDArray[np.float32]]) -> Iterator[GradientRows]:
    for first in range(0, height, _WINDOW):
        last = min(first + _WINDOW, height)
        top, bottom = max(0, first - _SHARED), min(height, last + _SHARED)
        yield GradientRows(top, first, last, rows(top, bottom))
