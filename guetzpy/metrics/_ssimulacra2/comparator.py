"""SSIMULACRA 2, version 2.1, with the numbers of libjxl's tools/ssimulacra2.cc.

The picture is compared at six scales, which are halved in linear light. Each scale is converted to positive
XYB and blurred, which gives local means and variances. Each channel has three maps: lost structure (SSIM
without the denominator of its luminance term), added edges, and lost edges. The 1-norm and the 4-norm of each
map are weighted, summed and mapped to a score of 100 for identical pictures and less for others. Maps without
a weight are not computed.

``bands`` computes scores; ``gradient``, ``passes`` and ``windows`` compute gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from guetzpy.metrics._recursive_gaussian import GROUP, REACH
from guetzpy.metrics._ssimulacra2.bands import BAND, Reference, Side
from guetzpy.metrics._ssimulacra2.gradient import Gradient
from guetzpy.metrics._ssimulacra2.scales import SMALLEST, Plan, Rows, norms_of, remap, weighted
from guetzpy.metrics._ssimulacra2.windows import gradient_by_windows
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Codes, Floats, Transform

__all__ = ["SSIMULACRA2Comparator"]

#: Larger references are not kept as maps. Their data are computed again for each score, band by band.
_CACHED_PIXELS = 12_500_000
#: Gradients of larger pictures are computed window by window, and no data are kept for them.
_TRACED_PIXELS = 5 << 19


class SSIMULACRA2Comparator:
    """SSIMULACRA 2 with one reference, which is processed once.

    Scores: 100 identical, 90 visually lossless, 80 very high, 70 high, 50 medium, 30 low quality.
    They can be negative. Version 2.1, as printed by libjxl's ``ssimulacra2`` tool.

    Parameters
    ----------
    reference : ndarray or PIL image
        (H, W) or (H, W, 3), uint8, uint16 or float 0..1, sRGB; or a PIL image with its profile.
    threads : int, optional
        Number of threads; default: the processors available. Scores do not depend on it.

    Notes
    -----
    For references of up to 12.5 megapixels about 40 bytes per pixel are kept. For larger ones only the
    picture is kept, and each score processes both pictures. Sides below 8 pixels are extended to 8 by
    repeating the edge.
    """

    def __init__(self, reference: Any, *, threads: int | None = None) -> None:
        planes, transform = planes_of(reference)
        self._set_up(planes, transform, threads)

    @classmethod
    def from_linear(cls, planes: Floats, *, threads: int | None = None) -> SSIMULACRA2Comparator:
        """Return a comparator for linear light: float32 (3, H, W), sRGB primaries, 1.0 = white.

        The array is not copied. The first gradient reads it, so do not change it until then.
        """
        self = cls.__new__(cls)
        self._set_up(_linear_planes(planes), None, threads)
        return self

    @classmethod
    def from_codes(
        cls, codes: Codes, transform: Transform, *, threads: int | None = None, keep: bool | None = None
    ) -> SSIMULACRA2Comparator:
        """Return a comparator for codes, which are converted to light band by band.

        Parameters
        ----------
        codes : ndarray, shape (1, H, W) or (3, H, W)
            Codes as for :meth:`guetzpy.picture.transform.Transform.linear`. The array is not copied: do not
            change it while the comparator is in use.
        transform : Transform
            Conversion of the codes to linear light.
        threads : int, optional
            Number of threads; default: the processors available.
        keep : bool, optional
            Whether the data of the reference are kept, instead of computed again for each score; default:
            up to 12.5 megapixels. If nothing is kept, gradients are computed in little memory too.
        """
        self = cls.__new__(cls)
        self._set_up(codes, transform, threads, keep)
        return self

    def _set_up(
        self,
        planes: Codes | Floats,
        transform: Transform | None,
        threads: int | None,
        keep: bool | None = None,
    ) -> None:
        self.shape: tuple[int, int] = (planes.shape[1], planes.shape[2])
        self._threads = threads
        planes = _at_least_smallest(planes)
        self._plan = Plan.of(planes.shape[1], planes.shape[2])
        self._level = Rows(planes, transform)
        self._references: list[Reference] = []
        self._gradient: Gradient | None = None
        if planes[0].size <= _CACHED_PIXELS if keep is None else keep:
            level = self._level
            for scale, (height, width) in enumerate(self._plan.sizes):
                reference = Reference(self._plan.planes[scale], height, width)
                side = self._side(scale, level)
                for top in range(0, height, BAND):
                    side.advance(top, reference, True, threads)
                self._references.append(reference)
                if side.smaller is not None:
                    level = Rows(side.smaller)

    def score(self, distorted: Any) -> float:
        """Return the score of a picture, an array or PIL image as for the constructor.

        Raises
        ------
        ValueError
            The sizes differ.
        """
        planes, transform = planes_of(distorted)
        return self._score(planes, transform)

    def score_linear(self, planes: Floats) -> float:
        """Return the score of linear light: float32 (3, H, W), sRGB primaries, 1.0 = white."""
        return self._score(_linear_planes(planes), None)

    def score_codes(self, codes: Codes, transform: Transform) -> float:
        """Return the score of codes; see :meth:`from_codes`."""
        return self._score(codes, transform)

    def gradient(self, distorted: Any) -> tuple[float, Floats]:
        """Return the score of a picture and its gradient.

        Parameters
        ----------
        distorted : ndarray or PIL image
            Picture as for the constructor.

        Returns
        -------
        score : float
            As :meth:`gradient_linear` returns it.
        gradient : ndarray of float32, shape (1, H, W) or (3, H, W)
            Derivatives of the score per code on the 0..255 scale, whatever the depth of the picture.
        """
        score, rows = self.gradient_codes(*planes_of(distorted))
        return score, rows(0, self.shape[0])

    def gradient_linear(self, planes: Floats) -> tuple[float, Floats]:
        """Return the score of linear light and its gradient.

        Parameters
        ----------
        planes : ndarray of float32, shape (3, H, W)
            sRGB primaries, 1.0 = white.

        Returns
        -------
        score : float
            Score by the same formulas, but without the rounding of libjxl's recursive blur, which has
            no derivative. It is above :meth:`score_linear` by about 0.01 at 80, 0.1 at 90 and
            1 at 97.
        gradient : ndarray of float32, shape (3, H, W)
            Derivatives by ``planes``; zero for identical pictures.

        Notes
        -----
        Up to 2.6 megapixels, the first call computes data of the reference without that rounding, and keeps
        them with scratch memory (about 40 and 60 bytes per pixel). For larger pictures nothing is
        kept, and each call processes both pictures, strip by strip.
        """
        score, rows = self._score_and_gradient(_linear_planes(planes), None)
        return score, np.ascontiguousarray(rows(0, self.shape[0]))

    def gradient_codes(
        self, codes: Codes, transform: Transform
    ) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score of codes, and a function that returns rows of the gradient by them.

        Parameters
        ----------
        codes, transform
            Codes and conversion as for :meth:`from_codes`. The returned function keeps the codes.

        Returns
        -------
        score : float
            As :meth:`gradient_linear` returns it.
        rows : callable
            ``rows(first, last)`` returns float32 (1, last - first, W) or (3, last - first, W), per code
            on the 0..255 scale. For pictures above 2.6 megapixels only these rows are computed.
        """
        score, by_light = self._score_and_gradient(codes, transform)

        def rows(first: int, last: int) -> Floats:
            part: Any = codes[:, first:last]
            return transform.pull_back(by_light(first, last), part, threads=self._threads)

        return score, rows

    def release(self) -> None:
        """Free the memory that is kept for the next gradient."""
        self._gradient = None

    def _score_and_gradient(
        self, planes: Codes | Floats, transform: Transform | None
    ) -> tuple[float, Callable[[int, int], Floats]]:
        check_sizes(self.shape, (planes.shape[1], planes.shape[2]))
        level = Rows(_at_least_smallest(planes), transform)
        if (planes[0].size > _TRACED_PIXELS or not self._references) and min(self.shape) >= SMALLEST:
            return gradient_by_windows(self._plan, self._level, level, self._threads)
        if self._gradient is None:
            self._gradient = Gradient(self._plan, self._level, self._threads)
        score, gradient = self._gradient(level)
        gradient = _folded(gradient, self.shape)
        return score, lambda first, last: gradient[:, first:last]

    def _score(self, planes: Codes | Floats, transform: Transform | None) -> float:
        check_sizes(self.shape, (planes.shape[1], planes.shape[2]))
        level, reference_level = Rows(_at_least_smallest(planes), transform), self._level
        total = 0.0
        for scale, (height, width) in enumerate(self._plan.sizes):
            side = self._side(scale, level)
            if self._references:
                for top in range(0, height, BAND):
                    side.advance(top, self._references[scale], False, self._threads)
            else:
                other = self._side(scale, reference_level)
                band = Reference(self._plan.planes[scale], min(BAND, height) + REACH, width)
                for top in range(0, height, BAND):
                    band.offset, band.first_group = top - REACH, top // GROUP
                    other.advance(top, band, True, self._threads)
                    side.advance(top, band, False, self._threads)
                if other.smaller is not None:
                    reference_level = Rows(other.smaller)
            norms = norms_of(side.sums, height * width)
            total += weighted(self._plan.weights[scale], norms)
            if side.smaller is not None:
                level = Rows(side.smaller)
        return remap(total)[0]

    def _side(self, scale: int, level: Rows) -> Side:
        sizes = self._plan.sizes
        smaller = np.empty((3, *sizes[scale + 1]), np.float32) if scale + 1 < len(sizes) else None
        return Side(level, self._plan.slots[scale], smaller)


def check_sizes(reference: tuple[int, int], distorted: tuple[int, int]) -> None:
    """Raise ValueError with both sizes (width x height) if the sizes differ."""
    if reference != distorted:
        raise ValueError(
            f"pictures of different sizes: reference {reference[1]}x{reference[0]}, "
            f"distorted {distorted[1]}x{distorted[0]}"
        )


def _linear_planes(planes: Floats) -> Floats:
    if not isinstance(planes, np.ndarray) or planes.ndim != 3 or planes.shape[0] != 3 or planes.size == 0:
        raise ValueError(f"expected linear planes of shape (3, H, W), got {np.shape(planes)}")
    return np.require(planes, np.float32, ["C", "W"])


def _at_least_smallest(planes: Any) -> Any:
    """Repeat the last row and column until both sides are 8."""
    down, across = (max(SMALLEST - side, 0) for side in planes.shape[1:])
    return np.pad(planes, ((0, 0), (0, down), (0, across)), mode="edge") if down or across else planes


def _folded(gradient: Floats, shape: tuple[int, int]) -> Floats:
    """Add the gradient of repeated rows and columns to the gradient of the edge."""
    height, width = shape
    if gradient.shape[1] > height:
        gradient[:, height - 1] += gradient[:, height:].sum(axis=1)
    if gradient.shape[2] > width:
        gradient[:, :, width - 1] += gradient[:, :, width:].sum(axis=2)
    return np.ascontiguousarray(gradient[:, :height, :width])
