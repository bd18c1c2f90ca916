"""ColorVideoVDP of pictures against one reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from guetzpy._runtime.threads import each
from guetzpy.metrics._cvvdp.bands import WORK_ROWS, difference_rows
from guetzpy.metrics._cvvdp.contrast import REACH, STRIDE, contrast_rows
from guetzpy.metrics._cvvdp.display import display_named
from guetzpy.metrics._cvvdp.gradient import Gradient
from guetzpy.metrics._cvvdp.plan import STRIP, Base, Doubles, Plan, pyramid
from guetzpy.metrics._cvvdp.pooling import jod_and_slopes
from guetzpy.metrics.one_reference import (
    CACHED_PIXELS,
    TRACED_PIXELS,
    LightComparator,
    Local,
    Rows,
    check_sizes,
    linear_planes,
)
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Codes, Floats, Transform

__all__ = ["CVVDPComparator"]


class CVVDPComparator(LightComparator):
    """ColorVideoVDP for still pictures with one reference, which is processed once.

    Scores are JOD (just-objectionable differences): 10 for identical pictures. If two pictures differ by one
    JOD, 75 % of viewers prefer the one with the higher score. Below about 9.7 most people see differences.

    Parameters
    ----------
    reference : ndarray or PIL image
        (H, W) or (H, W, 3), uint8, uint16 or float 0..1, sRGB; or a PIL image with its profile.
    display : str, optional
        Display and viewing distance, by the name in the authors' package:
        ``"standard_fhd"`` (24 inches, 60 cm), ``"standard_4k"`` (30 inches, 75 cm),
        ``"standard_phone"``, ``"iphone_12_pro"`` and others. The error for an unknown name lists all names.
    threads : int, optional
        Number of threads; default: the processors available. Scores do not depend on it.
    background : str, int or tuple, optional
        Colour that the reference and the other pictures are composited on where they are transparent, such as
        ``"white"``: see :func:`guetzpy.picture.planes.planes_of`.

    Raises
    ------
    ValueError
        The display is not known, or ``reference`` is not a picture.
    UnsupportedError
        The picture has transparent pixels, and there is no background, or it is CMYK: see
        :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    For references of up to 12.5 megapixels about 34 bytes per pixel are kept. For larger ones 4 bytes per
    pixel and the picture are kept, and each score processes both pictures. Gradients take 25 bytes per pixel
    more while they are in use, or 10 above 2.6 megapixels.
    """

    def __init__(
        self,
        reference: Any,
        *,
        display: str = "standard_fhd",
        threads: int | None = None,
        background: Any = None,
    ) -> None:
        self._background = background
        planes, transform = planes_of(reference, background=background)
        self._set_up(Rows(planes, transform), display, threads)

    @classmethod
    def from_linear(
        cls, planes: Floats, *, display: str = "standard_fhd", threads: int | None = None
    ) -> CVVDPComparator:
        """Return a comparator for linear light: float32 (3, H, W), sRGB primaries, 1.0 = white.

        Above 12.5 megapixels the array is not copied: do not change it while the comparator is in use.
        """
        self = cls.__new__(cls)
        self._set_up(Rows(linear_planes(planes)), display, threads)
        return self

    @classmethod
    def from_codes(
        cls,
        codes: Codes,
        transform: Transform,
        *,
        display: str = "standard_fhd",
        threads: int | None = None,
        keep: bool | None = None,
        finest_band: int = 0,
    ) -> CVVDPComparator:
        """Return a comparator for codes, which are converted to light strip by strip.

        Parameters
        ----------
        codes : ndarray, shape (1, H, W) or (3, H, W)
            Codes as for :meth:`guetzpy.picture.transform.Transform.linear`. The array is not copied: do not
            change it while the comparator is in use.
        transform : Transform
            Conversion of the codes to linear light.
        display : str, optional
            Name of the display.
        threads : int, optional
            Number of threads; default: the processors available.
        keep : bool, optional
            Whether the data of the reference are kept, instead of computed again for each score; default:
            up to 12.5 megapixels.
        finest_band : int, optional
            Number of the finest band that counts, from 0. Each band has half the frequencies of the one
            before. The base band, which is the last one, always counts.
        """
        self = cls.__new__(cls)
        self._set_up(Rows(codes, transform), display, threads, keep, finest_band)
        return self

    def _set_up(
        self, level: Rows, display: str, threads: int | None, keep: bool | None = None, finest_band: int = 0
    ) -> None:
        self.shape: tuple[int, int] = (level.height, level.width)
        self._threads = threads
        self._plan = Plan.of(level.height, level.width, display_named(display))
        self._levels = pyramid(self._plan, level, threads)
        self._base = Base(self._plan, self._levels[-1], len(self._levels) == 1)
        self._scratch = Local(), Local()
        self._finest = finest_band
        self._kept: list[Floats] = []
        if level.height * level.width <= CACHED_PIXELS if keep is None else keep:
            self._kept = [np.empty((6, *size), np.float32) for size in self._plan.sizes[:-1]]
            each(self._keep, self._strips(), threads)
            self._levels = []

    def _strips(self) -> list[tuple[int, int, int]]:
        """Return (band, first row, row after the last) of all strips of bands but the base band."""
        return [
            (band, start, min(start + STRIP, height))
            for band, (height, _) in enumerate(self._plan.sizes[:-1])
            if band >= self._finest
            for start in range(0, height, STRIP)
        ]

    def _keep(self, strip: tuple[int, int, int]) -> None:
        band, start, stop = strip
        self._contrasts(band, start, stop, self._kept[band], 0)

    def _contrasts(self, band: int, start: int, stop: int, out: Floats, offset: int) -> None:
        """Write the reference's contrasts and sensitivities to ``out``, which begins with row ``offset``."""
        local = self._scratch[0]
        planes, first = self._levels[band].rows(start, stop, local)
        contrast_rows(
            planes, first, start, stop, self._plan.matrix, int(band == 0), self._levels[band + 1].planes,
            self._plan.tables[band], local.array("work", (WORK_ROWS, STRIDE)), out, offset,
        )  # fmt: skip

    def _reference(self, band: int, start: int, stop: int) -> tuple[Floats, int]:
        """Return rows of the reference's contrasts and sensitivities, and the row that they begin with."""
        if self._kept:
            return self._kept[band], 0
        out = self._scratch[0].array("reference", (6, stop - start, self._plan.sizes[band][1]))
        self._contrasts(band, start, stop, out, start)
        return out, start

    def release(self) -> None:
        """Free the scratch memory that is kept for the next score or gradient."""
        self._scratch = Local(), Local()

    def _score(self, level: Rows) -> float:
        return self._score_and_slopes(level)[0]

    def _score_and_gradient(self, level: Rows) -> tuple[float, Callable[[int, int], Floats]]:
        score, slopes, levels = self._score_and_slopes(level)
        base = self._base.slopes(Base(self._plan, levels[-1], len(levels) == 1), self._plan, slopes[-1])
        keep = bool(self._kept) and self._finest == 0 and level.height * level.width <= TRACED_PIXELS
        return score, Gradient(
            self._plan, levels, self._reference, slopes, base, self._finest, keep, self._threads
        ).rows

    def _score_and_slopes(self, level: Rows) -> tuple[float, Doubles, list[Rows]]:
        """Return the score, its derivatives for the sums of bands and channels, and the picture's levels."""
        check_sizes(self.shape, (level.height, level.width))
        plan = self._plan
        levels = pyramid(plan, level, self._threads)
        strips = self._strips()
        parts = np.zeros((len(strips), 3))

        def strip(number: int) -> None:
            band, start, stop = strips[number]
            height = plan.sizes[band][0]
            above, below = max(start - REACH, 0), min(stop + REACH, height)
            reference, offset = self._reference(band, above, below)
            local = self._scratch[1]
            planes, first = levels[band].rows(above, below, local)
            difference_rows(
                planes, first, start, stop, height, plan.matrix, int(band == 0), levels[band + 1].planes,
                reference, offset, local.array("work", (WORK_ROWS, STRIDE)), parts[number],
            )  # fmt: skip

        each(strip, range(len(strips)), self._threads)
        sums = np.zeros((len(plan.sizes), 3))
        for (band, _, _), part in zip(strips, parts, strict=True):
            sums[band] += part
        sums[-1] = self._base.sums(Base(plan, levels[-1], len(levels) == 1), plan)
        quality, slopes = jod_and_slopes(sums, plan.pixels)
        return quality, slopes, levels
