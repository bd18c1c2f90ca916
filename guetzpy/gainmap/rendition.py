"""The HDR rendition of a picture with its gain map, and the distance between two of them.

A gain map has no quality of its own: what a viewer sees is the base picture after the map was applied. So an
encode of the map is scored by the rendition that it gives, against the rendition that the original map gives:

1. Both renditions are made from the same base, the decoded first picture of the source. The new encode of the
   base is not used: its errors have their own limit, the distance of the picture, and would hide those of the
   map.
2. The map is applied in full (weight 1), as on a display that has the boost of the metadata. Errors of the
   map are largest on such a display.
3. A map that is smaller than the base is enlarged by bilinear interpolation of its codes, as Ultra HDR 1.1
   requires. The centre of a corner sample lies half a sample inside the picture, not on its corner.
4. Light is linear, with 1.0 for diffuse white, and clipped only above PQ's 10 000 cd/m2. Both metrics take
   1.0 as 80 cd/m2, as they do for SDR pictures. So highlights are scored as a display with a white of 80
   cd/m2 and that boost shows them.
5. The distance is the one at which both Butteraugli's 3-norm and SSIMULACRA 2 are within their limits, as for
   every picture (:mod:`guetzpy.metrics.distance`).

These limits were fitted to SDR pictures. That they mean the same visibility in highlights is an assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.errors import UnsupportedError
from guetzpy.gainmap.metadata import STEPS, Application
from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator
from guetzpy.metrics._ssimulacra2.comparator import SSIMULACRA2Comparator
from guetzpy.metrics.distance import DEFINING
from guetzpy.picture.transform import Transform
from guetzpy.search.quality.scores import Scores

__all__ = ["Base", "Judge", "enlarged"]

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]

#: Rows of the picture that are computed at a time.
_ROWS = 128

#: Largest light: the 10 000 cd/m2 of PQ (ITU-R BT.2100) for a diffuse white of 203 cd/m2 (ITU-R BT.2408).
#: libultrahdr, too, limits what it decodes to this.
_PEAK = np.float32(10_000 / 203)


@dataclass(frozen=True, eq=False)
class Base:
    """The base picture, and how gain maps are applied to it.

    Attributes
    ----------
    codes : ndarray of uint8, shape (1|3, H, W)
        Codes of the base.
    colour : Transform
        Conversion of the codes to light. Its curves give light with the primaries of the base. Its matrix
        converts this light to the primaries of sRGB.
    application : Application
        How a gain map is applied.
    alternate : Transform
        Conversion by the profile in the gain map. If ``application.of_alternate``, the gains are for light
        with the primaries of this profile.
    threads : int, optional
        Number of threads; default: the processors available.

    Raises
    ------
    UnsupportedError
        A profile has no primaries.
    """

    codes: Codes
    colour: Transform
    application: Application
    alternate: Transform
    threads: int | None = None

    def __post_init__(self) -> None:
        for one in (self.colour, self.alternate):
            if one.tables is not None:
                raise UnsupportedError("the colour profile has tables instead of primaries")

    def rendition(self, gain_map: Codes) -> Floats:
        """Return the HDR rendition for a gain map.

        Parameters
        ----------
        gain_map : ndarray of uint8, shape (1|3, h, w)
            Codes of the map.

        Returns
        -------
        ndarray of float32, shape (3, H, W)
            Light with the primaries of sRGB; 1.0 is diffuse white. It may be negative outside sRGB's gamut.
        """
        _, height, width = self.codes.shape
        result = np.empty((3, height, width), np.float32)
        tables = [self.application.gains(channel) for channel in range(self.application.channels)]
        before, after = self._matrices()

        def rows(top: int) -> None:
            bottom = min(top + _ROWS, height)
            light = Transform(self.colour.curves, channels=self.colour.channels).linear(
                self.codes[:, top:bottom], threads=1
            )
            light = _multiplied(before, light)
            recovery = enlarged(gain_map, width, height, top, bottom)
            places = np.rint(recovery * np.float32(STEPS)).astype(np.int32)
            for channel in range(3):
                table = tables[channel if len(tables) > 1 else 0]
                gain = table[places[channel if len(places) > 1 else 0]]
                first, last = self.application.offsets(channel)
                lit = (light[channel] + np.float32(first)) * gain - np.float32(last)
                light[channel] = np.minimum(lit, _PEAK)
            result[:, top:bottom] = _multiplied(after, light)

        each(rows, range(0, height, _ROWS), self.threads)
        return result

    def _matrices(self) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None]:
        """Return the matrices before and after the gain; None for no change."""
        own, other = self.colour.matrix, self.alternate.matrix
        if not self.application.of_alternate or (own is None and other is None):
            return None, own
        if other is None:
            return own, None
        inverse = _inverse(other)
        return inverse if own is None else (inverse[:, :, None] * own[None]).sum(1), other


def _inverse(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the inverse of a matrix of 3 x 3. That of LAPACK would depend on the processor."""
    first, second, third = matrix
    columns = np.stack([np.cross(second, third), np.cross(third, first), np.cross(first, second)], axis=1)
    result: npt.NDArray[np.float64] = columns / (first * columns[:, 0]).sum()
    return result


def _multiplied(matrix: npt.NDArray[np.float64] | None, light: Floats) -> Floats:
    """Return light with other primaries. A product of NumPy would depend on the processor."""
    if matrix is None:
        return light
    m = matrix.astype(np.float32)
    return np.stack([m[i, 0] * light[0] + m[i, 1] * light[1] + m[i, 2] * light[2] for i in range(3)])


def enlarged(codes: npt.NDArray[Any], width: int, height: int, top: int, bottom: int) -> Floats:
    """Return rows of a picture that is enlarged by bilinear interpolation.

    Parameters
    ----------
    codes : ndarray, shape (C, h, w)
        The picture.
    width, height : int
        Size of the enlarged picture.
    top, bottom : int
        The rows to return.
    """
    if codes.shape[1:] == (height, width):
        return codes[:, top:bottom].astype(np.float32)
    above, below, part = _neighbours(codes.shape[1], height, top, bottom)
    rows = codes[:, above].astype(np.float32)
    rows += (codes[:, below].astype(np.float32) - rows) * part[None, :, None]
    left, right, part = _neighbours(codes.shape[2], width, 0, width)
    result: Floats = rows[:, :, left]
    result += (rows[:, :, right] - result) * part
    return result


def _neighbours(
    old: int, new: int, first: int, last: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Return the two samples around each new sample, and the share of the second one."""
    place = np.clip((np.arange(first, last) + 0.5) * (old / new) - 0.5, 0.0, old - 1.0)
    low = np.floor(place).astype(np.intp)
    return low, np.minimum(low + 1, old - 1), (place - low).astype(np.float32)


class Judge:
    """The scores of gain maps against the original one; see the module.

    Parameters
    ----------
    base : Base
        The base picture.
    original : ndarray of uint8, shape (1|3, h, w)
        Codes of the original gain map.
    """

    def __init__(self, base: Base, original: Codes) -> None:
        self._base = base
        light = base.rendition(original)
        self._butteraugli = ButteraugliComparator.from_linear(light, threads=base.threads)
        self._ssimulacra2 = SSIMULACRA2Comparator.from_linear(light, threads=base.threads)

    def scores(self, gain_map: Codes) -> Scores:
        """Return the scores of the rendition with another gain map."""
        light = self._base.rendition(gain_map)
        return Scores(
            DEFINING, (self._butteraugli.score_linear(light), self._ssimulacra2.score_linear(light))
        )
