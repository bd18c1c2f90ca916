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
from guetzpy.metrics._ssimulacra2.scales import SMALLEST, Plan, norms_of, remap, weighted
from guetzpy.metrics._ssimulacra2.windows import gradient_by_windows
from guetzpy.metrics.one_reference import (
    CACHED_PIXELS,
    TRACED_PIXELS,
    LightComparator,
    Rows,
    check_sizes,
    linear_planes,
)
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Codes, Floats, Transform

__all__ = ["SSIMULACRA2Comparator"]


class SSIMULACRA2Comparator(LightComparator):
    """SSIMULACRA 2 with one reference, which is processed once.

    Scores: 100 identical, 90 visually lossless, 80 very high, 70 high, 50 medium, 30 low quality.
    They can be negative. Version 2.1, as printed by libjxl's ``ssimulacra2`` tool.

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
    For references of up to 12.5 megapixels about 40 bytes per pixel are kept. For larger ones only the
    picture is kept, and each score processes both pictures. Sides below 8 pixels are extended to 8 by
    repeating the edge.

    The score that gradients come with has the same formulas, but lacks the rounding of libjxl's
    recursive blur, which has no derivative. It is above :meth:`score_linear` by about 0.01 at 80, 0.1 at
    90 and 1 at 97. Up to 2.6 megapixels, the first gradient computes data of the reference without that
    rounding, and keeps them with scratch memory (about 40 and 60 bytes per pixel). For larger pictures
    nothing is kept, and each gradient processes both pictures, strip by strip.
    """

    def __init__(self, reference: Any, *, threads: int | None = None, background: Any = None) -> None:
        self._background = background
        planes, transform = planes_of(reference, background=background)
        self._set_up(planes, transform, threads)

    @classmethod
    def from_linear(cls, planes: Floats, *, threads: int | None = None) -> SSIMULACRA2Comparator:
        """Return a comparator for linear light: float32 (3, H, W), sRGB primaries, 1.0 = white.

        The array is not copied. The first gradient reads it, so do not change it until then.
        """
        self = cls.__new__(cls)
        self._set_up(linear_planes(planes), None, threads)
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
        if planes[0].size <= CACHED_PIXELS if keep is None else keep:
            level = self._level
            for scale, (height, width) in enumerate(self._plan.sizes):
                reference = Reference(self._plan.planes[scale], height, width)
                side = self._side(scale, level)
                for top in range(0, height, BAND):
                    side.advance(top, reference, True, threads)
                self._references.append(reference)
                if side.smaller is not None:
                    level = Rows(side.smaller)

    def release(self) -> None:
        """Free the memory that is kept for the next gradient."""
        self._gradient = None

    def _score_and_gradient(self, level: Rows) -> tuple[float, Callable[[int, int], Floats]]:
        level = self._extended(level)
        if (self.shape[0] * self.shape[1] > TRACED_PIXELS or not self._references) and min(
            self.shape
        ) >= SMALLEST:
            return gradient_by_windows(self._plan, self._level, level, self._threads)
        if self._gradient is None:
            self._gradient = Gradient(self._plan, self._level, self._threads)
        score, gradient = self._gradient(level)
        gradient = _folded(gradient, self.shape)
        return score, lambda first, last: gradient[:, first:last]

    def _extended(self, level: Rows) -> Rows:
        """Return a picture, extended as the reference is; raise ValueError if the sizes differ."""
        check_sizes(self.shape, (level.height, level.width))
        return Rows(_at_least_smallest(level.planes), level.transform)

    def _score(self, level: Rows) -> float:
        level, reference_level = self._extended(level), self._level
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
