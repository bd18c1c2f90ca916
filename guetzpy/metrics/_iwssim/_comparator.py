"""IW-SSIM with one reference, which is processed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from guetzpy._runtime.exact_math import power
from guetzpy._runtime.threads import each
from guetzpy.metrics._iwssim import _lowpass
from guetzpy.metrics._iwssim._information import Information, bands_of
from guetzpy.metrics._iwssim._luma import by_codes, continued, folded, luma_of
from guetzpy.metrics._iwssim._maps import (
    GRADIENT_ROWS,
    LINES,
    PLANES,
    SCORE_ROWS,
    gradient_row,
    score_row,
)
from guetzpy.metrics._iwssim._pyramid import add_down_adjoint, down, subtract_up_adjoint
from guetzpy.metrics._iwssim._tiles import REACH
from guetzpy.metrics.one_reference import CodesComparator, Local, check_sizes
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Codes, Floats, Transform

__all__ = ["IWSSIMComparator"]

#: Exponents of the scales, finest first (Wang, Simoncelli and Bovik 2003). They are divided by their sum.
_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_BANDS = len(_EXPONENTS) - 1
_ROWS = 32  # rows of a halved plane that a thread processes at a time


class IWSSIMComparator(CodesComparator):
    """IW-SSIM with one reference, which is processed once.

    Information content weighted structural similarity of luma. The score is 1 for identical pictures. JPEG
    files have about 0.998 if they are visually lossless, and 0.99 at medium quality. Differences of chroma
    alone do not change the score.

    Parameters
    ----------
    reference : ndarray or PIL image
        (H, W) or (H, W, 3), uint8, uint16 or float 0..1, sRGB; or a PIL image with its profile.
    threads : int, optional
        Number of threads; default: the processors available. Scores do not depend on it.
    background : str, int or tuple, optional
        Colour that the reference and the other pictures are composited on where they are transparent, such as
        ``"white"``: see :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    Wang and Li, IEEE Transactions on Image Processing 20 (5), 2011. The scores are those of
    ``piq.information_weighted_ssim``, which rejects sides below 161 samples. Here such a picture is extended
    to 161 by its mirror images, below and to the right. About 11 bytes per pixel are kept.

    Gradients: where the reference is nearly flat, with a variance over 3 x 3 samples of a band below 1e-3,
    the weights depend strongly on differences far below one code. There, their derivative with respect to the
    covariance is taken as 0.
    """

    def __init__(self, reference: Any, *, threads: int | None = None, background: Any = None) -> None:
        self._background = background
        self._set_up(*planes_of(reference, background=background), threads)

    @classmethod
    def from_codes(
        cls, codes: Codes, transform: Transform, *, threads: int | None = None
    ) -> IWSSIMComparator:
        """Return a comparator for codes.

        Parameters
        ----------
        codes : ndarray, shape (1, H, W) or (3, H, W)
            Codes as for :meth:`guetzpy.picture.transform.Transform.linear`.
        transform : Transform
            Conversion of the codes to linear light. Luma is computed from the codes if they are sRGB, or gray
            without a profile. Otherwise the codes are converted to sRGB first.
        threads : int, optional
            Number of threads; default: the processors available.
        """
        self = cls.__new__(cls)
        self._set_up(codes, transform, threads)
        return self

    def _set_up(self, codes: Codes, transform: Transform, threads: int | None) -> None:
        self.shape: tuple[int, int] = (codes.shape[1], codes.shape[2])
        self._threads = threads
        self._local = Local()
        self._pyramid = self._planes(codes, transform)
        bands = bands_of(self._pyramid, threads)
        self._information = [
            Information(band, parent, threads) for band, parent in zip(bands, [*bands[1:], None], strict=True)
        ]

    def score_codes(self, codes: Codes, transform: Transform) -> float:
        """Return the score of codes; see :meth:`from_codes`."""
        return self._score(self._planes(codes, transform))[0]

    def gradient_codes(
        self, codes: Codes, transform: Transform
    ) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score and the rows of the gradient; see :meth:`CodesComparator.gradient_codes`."""
        pyramid = self._planes(codes, transform)
        score, means, totals = self._score(pyramid)
        by_luma = folded(self._by_luma(pyramid, score, means, totals), self.shape)

        def rows(first: int, last: int) -> Floats:
            return by_codes(by_luma[first:last], codes[:, first:last], transform, self._threads)

        return score, rows

    def release(self) -> None:
        """Do nothing: no memory is kept for the next gradient."""

    def _planes(self, codes: Codes, transform: Transform) -> list[Floats]:
        """Return the luma and its halved planes."""
        check_sizes(self.shape, (codes.shape[1], codes.shape[2]))
        planes = [continued(luma_of(codes, transform, self._threads))]
        for _ in range(_BANDS):
            fine = planes[-1]
            coarse = np.empty(((fine.shape[0] + 1) // 2, (fine.shape[1] + 1) // 2), np.float32)
            self._by_rows(down, fine, coarse, len(coarse))
            planes.append(coarse)
        return planes

    def _by_rows(self, function: Any, source: Floats, target: Floats, count: int) -> None:
        """Call a kernel for ranges of its ``count`` rows."""
        length = max(source.shape[1], target.shape[1]) + 6

        def strip(top: int) -> None:
            line = self._local.array("line", (length,))
            function(source, top, min(top + _ROWS, count), line, target)

        each(strip, range(0, count, _ROWS), self._threads)

    def _score(self, pyramid: list[Floats]) -> tuple[float, list[float], list[float]]:
        """Return the score, the scores of the scales, and the sums of their weights (-1 if all are zero)."""
        tops = [(k, top) for k in range(_BANDS) for top in range(0, len(pyramid[k]) - 2 * REACH, SCORE_ROWS)]
        sums = np.zeros((len(tops), 3))

        def row(i: int) -> None:
            k, top = tops[i]
            score_row(*self._band(pyramid, k), top, *self._scratch(), sums[i])

        each(row, range(len(tops)), self._threads)
        means, totals = [], []
        for k in range(_BANDS):
            weighted, total, plain = 0.0, 0.0, 0.0
            for (band, _), part in zip(tops, sums.tolist(), strict=True):
                if band == k:
                    weighted, total, plain = weighted + part[0], total + part[1], plain + part[2]
            height, width = pyramid[k].shape
            means.append(weighted / total if total > 0 else plain / _places(height, width))
            totals.append(total if total > 0 else -1.0)
        means.append(_lowpass.mean(pyramid[-1], self._pyramid[-1]))
        score = 1.0
        for mean, exponent in zip(means, _EXPONENTS, strict=True):
            score *= power(abs(mean), exponent / sum(_EXPONENTS)) if mean != 0 else 0.0
        return score, means, totals

    def _scratch(self) -> tuple[Floats, Floats]:
        return self._local.array("planes", PLANES), self._local.array("lines", LINES)

    def _band(self, pyramid: list[Floats], k: int) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        """Return the data of a band that the kernels need."""
        information = self._information[k]
        return (
            pyramid[k],
            pyramid[k + 1],
            self._pyramid[k],
            self._pyramid[k + 1],
            information.energy,
            information.eigenvalues,
        )

    def _by_luma(
        self, pyramid: list[Floats], score: float, means: list[float], totals: list[float]
    ) -> Floats:
        """Return the gradient with respect to luma, computed from the coarsest band to the finest."""
        slopes = [
            score * exponent / sum(_EXPONENTS) / mean if mean != 0 else 0.0
            for mean, exponent in zip(means, _EXPONENTS, strict=True)
        ]
        by_coarse = _lowpass.gradient(pyramid[-1], self._pyramid[-1], slopes[-1])
        by_band = self._by_band(pyramid, _BANDS - 1, means, totals, slopes)
        for k in range(_BANDS - 1, -1, -1):
            self._by_rows(subtract_up_adjoint, by_band, by_coarse, len(by_coarse))
            self._by_rows(add_down_adjoint, by_coarse, by_band, len(by_band))
            if k > 0:
                by_coarse, by_band = by_band, self._by_band(pyramid, k - 1, means, totals, slopes)
        return by_band

    def _by_band(
        self, pyramid: list[Floats], k: int, means: list[float], totals: list[float], slopes: list[float]
    ) -> Floats:
        """Return the gradient with respect to a band of the score through this band alone."""
        out = np.empty_like(pyramid[k])
        plain = totals[k] < 0
        scale = slopes[k] / (_places(*out.shape) if plain else totals[k])
        numbers = np.float32(means[k]), np.float32(plain), np.float32(scale)

        def row(top: int) -> None:
            gradient_row(*self._band(pyramid, k), top, *numbers, *self._scratch(), out)

        each(row, range(0, len(out), GRADIENT_ROWS), self._threads)
        return out


def _places(height: int, width: int) -> int:
    """Return the number of positions of the window inside a plane."""
    return (height - 2 * REACH) * (width - 2 * REACH)
