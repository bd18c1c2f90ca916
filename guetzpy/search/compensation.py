"""Luma that makes up for what quantisation does to chroma.

A chroma error changes the luminance of a pixel, since decoders add chroma to luma in codes and
the eye adds light. Luma is coded with the finest steps, so once the chroma is quantised the luma
is moved until each pixel's luminance is right again under the chroma that a decoder will show.
Only the hue is wrong then, which both metrics, like the eye, mind far less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel
from guetzpy._threads import each
from guetzpy.jpeg import dct
from guetzpy.jpeg.pixels import fractions, samples
from guetzpy.jpeg.sampling import upsample
from guetzpy.jpeg.structure import JpegImage
from guetzpy.picture import Transform

__all__ = ["Compensation"]

#: Shares of linear red, green and blue in the sum of the long and middle cones' absorbances, which
#: both metrics build their luminance of (libjxl, opsin absorbance matrix).
_WEIGHTS = (0.265, 0.657, 0.078)

#: Share of the change that is made. In full it gains another tenth of what 0.6 gains by both metrics, which
#: count light, but metrics that count codes (MS-SSIM, PSNR-HVS) take it for an error of its square.
_STRENGTH = 0.6

#: Table entries per code; the chord of the steepest part of sRGB's curve misses by less than 1e-7.
_DENSITY = 8

_ROWS = 64  # picture rows of one work item; fixed, so that nothing depends on the number of threads


@kernel(
    "int64(float32[:, :, ::1], float32[:, :, ::1], uint8[:, ::1], uint8[:, ::1], float32, float32, float32,"
    " float32[:, ::1])"
)
def _correct(
    codes: Any,
    light: Any,
    cb: Any,
    cr: Any,
    dead: Any,
    limit: Any,
    strength: Any,
    out: Any,
) -> int:
    """Write the change of luma of some rows to ``out``; ``light[c, 0 | 1, i]`` is value | slope."""
    top = np.float32(255.0)
    zero = np.float32(0.0)
    density = np.float32(8.0)
    for y in range(codes.shape[1]):
        for x in range(codes.shape[2]):
            target = np.float32(0.0)
            for c in range(3):
                position = min(max(codes[c, y, x], zero), top) * density
                i = np.int64(position)
                target += light[c, 0, i] + (position - np.float32(i)) / density * light[c, 1, i]
            luma = (
                np.float32(0.299) * codes[0, y, x]
                + np.float32(0.587) * codes[1, y, x]
                + np.float32(0.114) * codes[2, y, x]
            )
            b = np.float32(cb[y, x]) - np.float32(128.0)
            r = np.float32(cr[y, x]) - np.float32(128.0)
            red = min(max(luma + np.float32(1.402) * r, zero), top) * density
            green = (
                min(max(luma - np.float32(0.344136286) * b - np.float32(0.714136286) * r, zero), top)
                * density
            )
            blue = min(max(luma + np.float32(1.772) * b, zero), top) * density
            i = np.int64(red)
            j = np.int64(green)
            k = np.int64(blue)
            slope = light[0, 1, i] + light[1, 1, j] + light[2, 1, k]
            now = (
                light[0, 0, i] + (red - np.float32(i)) / density * light[0, 1, i]
                + light[1, 0, j] + (green - np.float32(j)) / density * light[1, 1, j]
                + light[2, 0, k] + (blue - np.float32(k)) / density * light[2, 1, k]
            )  # fmt: skip
            change = (target - now) / slope
            if np.abs(change) < dead:
                change = zero
            out[y, x] = min(max(strength * change, -limit), limit)
    return 0


@dataclass(frozen=True)
class Compensation:
    """What the luminance of each pixel should be.

    Attributes
    ----------
    codes : ndarray, shape (3, H, W)
        Red, green and blue of the original: uint8, uint16, or float32 on the scale 0..255. Kept.
    light : ndarray of float32, shape (3, 2, entries)
        Luminance and its slope by red, green and blue codes.
    dead : float
        Changes of fewer codes than this are not made: the rounding of a decoded reference.
    threads : int, optional
        Threads to use.
    """

    codes: npt.NDArray[Any]
    light: npt.NDArray[np.float32]
    dead: float = 0.0
    threads: int | None = None

    @classmethod
    def towards(
        cls,
        codes: npt.NDArray[Any],
        transform: Transform,
        dead: float = 0.0,
        threads: int | None = None,
    ) -> Compensation:
        """Return the compensation towards a picture whose codes mean what ``transform`` says."""
        return cls(codes, _light_tables(transform), dead, threads)

    def change(self, image: JpegImage, limit: float = 24.0) -> npt.NDArray[np.float32]:
        """Return what to add to the luma's coefficients.

        Parameters
        ----------
        image : JpegImage
            Whose chroma is quantised; its luma is not looked at.
        limit : float
            Largest change of a pixel's luma, in codes.

        Returns
        -------
        ndarray of float32, shape (blocks_y, blocks_x, 64)
        """
        height, width = self.codes.shape[1:]
        chroma: list[tuple[npt.NDArray[np.uint8], tuple[int, int]]] = []
        for c in (1, 2):
            size = image.component_size(c)
            chroma.append((samples(image.components[c], size[0], size[1], threads=self.threads), size))
        ratio = (image.h_max, image.v_max)
        padded = np.empty((-(-height // 8) * 8, -(-width // 8) * 8), np.float32)

        def strip(first: int) -> None:
            last = min(first + _ROWS, height)
            full = []
            for plane, size in chroma:
                if ratio == (1, 1):
                    full.append(plane[first:last])
                else:
                    rows = np.empty((last - first, width), np.uint8)
                    upsample(plane, size, ratio, rows, first)
                    full.append(rows)
            _correct(
                fractions(self.codes[:, first:last]), self.light, full[0], full[1],
                np.float32(self.dead), np.float32(limit), np.float32(_STRENGTH), padded[first:last],
            )  # fmt: skip
            padded[first:last, width:] = padded[first:last, width - 1 : width]

        each(strip, range(0, height, _ROWS), self.threads)
        padded[height:] = padded[height - 1]
        return dct.forward(padded, threads=self.threads)


def _light_tables(transform: Transform) -> npt.NDArray[np.float32]:
    """Return luminance and its slope per code by red, green and blue, shape (3, 2, entries)."""
    positions = np.arange(255 * _DENSITY + 2) / (255.0 * _DENSITY)
    weights = np.array(_WEIGHTS)
    if transform.matrix is not None:
        weights = np.array(
            [sum(_WEIGHTS[i] * float(transform.matrix[i, c]) for i in range(3)) for c in range(3)]
        )
    tables = np.zeros((3, 2, len(positions)), np.float32)
    for c in range(3):
        values = weights[c] * transform.curves[c % len(transform.curves)](np.minimum(positions, 1.0))
        tables[c, 0] = values
        tables[c, 1, :-1] = np.diff(values) * _DENSITY
    tables[:, 1, -2:] = tables[:, 1, -3:-2]  # white has the slope below it
    return np.maximum(tables, np.float32(1e-7))
