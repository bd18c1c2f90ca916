"""Both metrics against one reference, on codes as a decoder shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy.metrics._butteraugli import ButteraugliComparator
from guetzpy.metrics._ssimulacra2 import SSIMULACRA2Comparator
from guetzpy.picture import Transform

__all__ = ["Judge", "Scores"]


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


class Judge:
    """Scores and gradients against a reference.

    Parameters
    ----------
    codes : ndarray, shape (1|3, H, W)
        The reference as codes: uint8, uint16, or float32 on the 0..255 scale.
    transform : Transform
        What codes mean, on both sides.
    threads : int, optional
        Threads to use.
    """

    def __init__(
        self, codes: npt.NDArray[np.generic], transform: Transform, threads: int | None = None
    ) -> None:
        linear = transform.linear(codes, threads=threads)  # type: ignore[arg-type]
        self.transform = transform
        self.threads = threads
        self.butteraugli = ButteraugliComparator.from_linear(linear, threads=threads)
        self.ssimulacra2 = SSIMULACRA2Comparator.from_linear(linear, threads=threads)

    def scores(self, codes: npt.NDArray[np.uint8]) -> Scores:
        """Score codes, uint8 (1|3, H, W)."""
        linear = self.transform.linear(codes, threads=self.threads)
        norm, maximum = self.butteraugli.scores_linear(linear)
        return Scores(norm, maximum, self.ssimulacra2.score_linear(linear))

    def gradients(
        self, codes: npt.NDArray[np.uint8]
    ) -> tuple[Scores, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the scores and how they grow with the codes.

        Returns
        -------
        scores : Scores
            ``butteraugli_max`` is not computed here: nan.
        butteraugli, loss : ndarray of float32, shape (1|3, H, W)
            Derivatives of the 3-norm and of 100 less SSIMULACRA 2.
        """
        linear = self.transform.linear(codes, threads=self.threads)
        norm, by_butteraugli = self.butteraugli.gradient_linear(linear)
        score, by_ssimulacra2 = self.ssimulacra2.gradient_linear(linear)
        return (
            Scores(norm, float("nan"), score),
            self.transform.pull_back(by_butteraugli, codes),
            self.transform.pull_back(np.negative(by_ssimulacra2), codes),
        )
