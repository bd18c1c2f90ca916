"""Both metrics against one reference, on codes as a decoder shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy.metrics._butteraugli import ButteraugliComparator
from guetzpy.metrics._ssimulacra2 import SSIMULACRA2Comparator
from guetzpy.picture import Transform

__all__ = ["GradientRows", "Judge", "Scores"]

Gradient = npt.NDArray[np.float32]

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


class GradientRows(NamedTuple):
    """Rows of both metrics' gradients by codes.

    Attributes
    ----------
    top : int
        Row of the picture that the arrays begin with.
    first, last : int
        Rows that count; around them are some more, as far as there are.
    butteraugli, loss : ndarray of float32, shape (1|3, rows, W)
        Derivatives of the 3-norm and of 100 less SSIMULACRA 2.
    """

    top: int
    first: int
    last: int
    butteraugli: Gradient
    loss: Gradient


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
        self.butteraugli = ButteraugliComparator.from_codes(codes, transform, threads=threads)
        self.ssimulacra2 = SSIMULACRA2Comparator.from_codes(codes, transform, threads=threads)

    def scores(self, codes: npt.NDArray[np.uint8]) -> Scores:
        """Score codes, uint8 (1|3, H, W)."""
        norm, maximum = self.butteraugli.scores_codes(codes, self.transform)
        return Scores(norm, maximum, self.ssimulacra2.score_codes(codes, self.transform))

    def gradients(self, codes: npt.NDArray[np.uint8]) -> tuple[Scores, Iterator[GradientRows]]:
        """Return the scores and how they grow with the codes, window by window.

        ``butteraugli_max`` is not computed here: nan.
        """
        linear = self.transform.linear(codes, threads=self.threads)
        norm, by_butteraugli = self.butteraugli.gradient_linear(linear)
        score, by_ssimulacra2 = self.ssimulacra2.gradient_linear(linear)
        return Scores(norm, float("nan"), score), self._windows(codes, by_butteraugli, by_ssimulacra2)

    def _windows(
        self, codes: npt.NDArray[np.uint8], by_butteraugli: Gradient, by_ssimulacra2: Gradient
    ) -> Iterator[GradientRows]:
        height = codes.shape[1]
        for first in range(0, height, _WINDOW):
            last = min(first + _WINDOW, height)
            rows = slice(max(0, first - _SHARED), min(height, last + _SHARED))
            part = np.ascontiguousarray(codes[:, rows])
            yield GradientRows(
                rows.start,
                first,
                last,
                self.transform.pull_back(by_butteraugli[:, rows], part, threads=self.threads),
                self.transform.pull_back(np.negative(by_ssimulacra2[:, rows]), part, threads=self.threads),
            )
