"""Compensation: a change of the luma that restores each pixel's luminance after chroma is quantised.

A decoder adds chroma to luma in codes, which are not linear in light. An error of the chroma therefore
changes the luminance of a pixel. Luma has the finest steps. So the chroma is quantised first. Then the change
of luma is computed with which each pixel has the luminance of the original under the decoded chroma, and a
share of this change is made (``TableFamily.compensation``). An error of hue remains, to which Butteraugli and
SSIMULACRA 2 are much less sensitive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.jpeg import dct
from guetzpy.jpeg.pixels import fractions, samples
from guetzpy.jpeg.sampling import upsample
from guetzpy.jpeg.structure import JpegImage
from guetzpy.picture.transform import Transform

__all__ = ["LUMINANCE", "Compensation"]

#: Weights of linear red, green and blue in the luminance: the mean of the rows for the long and the middle
#: cones in libjxl's opsin absorbance matrix, from which both metrics compute their luminance.
LUMINANCE = (0.265, 0.657, 0.078)

#: Table entries per code. Linear interpolation between the entries has an error below 1e-7, also where sRGB's
#: curve is steepest.
_DENSITY = 8

_ROWS = 64  # picture rows of one work item; fixed, so that results do not depend on the number of threads


@kernel(
    "int64(float32[:, :, ::1], float32[:, :, ::1], uint8[:, ::1], uint8[:, ::1], float32, float32, float32,"
    " float32[:, ::1], int32[:, ::1], float32[:, ::1])"
)
def _correct(
    codes: Any,
    light: Any,
    cb: Any,
    cr: Any,
    dead: Any,
    limit: Any,
    strength: Any,
    fractions: Any,
    entries: Any,
    out: Any,
) -> int:
    """Write the change of the luma of some rows, in codes, to ``out``.

    ``light[c, i]`` is (value, slope) of entry i of the table of channel c. ``fractions`` and ``entries`` are
    scratch of 6 rows: the positions in the tables of the original's codes (rows 0 to 2) and of the decoded
    picture's codes (rows 3 to 5). Each row has three loops. The table look-ups have one of their own, so that
    the compiler vectorises the other two.
    """
    top = np.float32(255.0)
    zero = np.float32(0.0)
    density = np.float32(8.0)
    part = np.float32(1.0) / density
    width = codes.shape[2]
    r0, g0, b0 = fractions[0], fractions[1], fractions[2]
    r1, g1, b1 = fractions[3], fractions[4], fractions[5]
    e0, e1, e2, e3, e4, e5 = entries[0], entries[1], entries[2], entries[3], entries[4], entries[5]
    for y in range(codes.shape[1]):
        reds = codes[0, y]
        greens = codes[1, y]
        blues = codes[2, y]
        blueness = cb[y]
        redness = cr[y]
        for x in range(width):
            luma = np.float32(0.299) * reds[x] + np.float32(0.587) * greens[x] + np.float32(0.114) * blues[x]
            b = np.float32(blueness[x]) - np.float32(128.0)
            r = np.float32(redness[x]) - np.float32(128.0)
            v0 = min(max(reds[x], zero), top) * density
            v1 = min(max(greens[x], zero), top) * density
            v2 = min(max(blues[x], zero), top) * density
            v3 = min(max(luma + np.float32(1.402) * r, zero), top) * density
            v4 = luma - np.float32(0.344136286) * b - np.float32(0.714136286) * r
            v4 = min(max(v4, zero), top) * density
            v5 = min(max(luma + np.float32(1.772) * b, zero), top) * density
            i0 = np.int32(v0)
            i1 = np.int32(v1)
            i2 = np.int32(v2)
            i3 = np.int32(v3)
            i4 = np.int32(v4)
            i5 = np.int32(v5)
            e0[x] = i0
            e1[x] = i1
            e2[x] = i2
            e3[x] = i3
            e4[x] = i4
            e5[x] = i5
            r0[x] = part * (v0 - np.float32(i0))
            g0[x] = part * (v1 - np.float32(i1))
            b0[x] = part * (v2 - np.float32(i2))
            r1[x] = part * (v3 - np.float32(i3))
            g1[x] = part * (v4 - np.float32(i4))
            b1[x] = part * (v5 - np.float32(i5))
        for x in range(width):
            # Unsigned indices: numba checks each signed index for negative values.
            i = np.uint32(e0[x])
            j = np.uint32(e1[x])
            k = np.uint32(e2[x])
            wanted = (
                light[0, i, 0] + r0[x] * light[0, i, 1]
                + light[1, j, 0] + g0[x] * light[1, j, 1]
                + light[2, k, 0] + b0[x] * light[2, k, 1]
            )  # fmt: skip
            i = np.uint32(e3[x])
            j = np.uint32(e4[x])
            k = np.uint32(e5[x])
            now = (
                light[0, i, 0] + r1[x] * light[0, i, 1]
                + light[1, j, 0] + g1[x] * light[1, j, 1]
                + light[2, k, 0] + b1[x] * light[2, k, 1]
            )  # fmt: skip
            r0[x] = wanted - now
            g0[x] = light[0, i, 1] + light[1, j, 1] + light[2, k, 1]
        row = out[y]
        for x in range(width):
            change = r0[x] / g0[x]
            change = zero if np.abs(change) < dead else change
            row[x] = min(max(strength * change, -limit), limit)
    return 0


@dataclass(frozen=True)
class Compensation:
    """The compensation towards the luminance of an original.

    Attributes
    ----------
    codes : ndarray, shape (3, H, W)
        Red, green and blue of the original: uint8, uint16, or float32 on the scale 0..255. Not copied.
    light : ndarray of float32, shape (3, entries, 2)
        Luminance that red, green and blue contribute, and its slope per code; 8 entries per code.
    dead : float
        Dead zone in codes: smaller changes are not made. It is 1 for a reference that was decoded from a
        JPEG, whose codes are rounded.
    threads : int, optional
        Number of threads; None: the processors available.
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
        """Return the compensation towards a picture whose codes ``transform`` turns into light.

        The other parameters are the attributes of the same names.
        """
        return cls(codes, _light_tables(transform), dead, threads)

    def change(self, image: JpegImage, strength: float, limit: float = 24.0) -> npt.NDArray[np.float32]:
        """Return the change of the luma's coefficients, to be added to them.

        Parameters
        ----------
        image : JpegImage
            JPEG with quantised chroma. Its luma is not read.
        strength : float
            Share of the change that is made, 0 to 1.
        limit : float
            Largest change of a pixel's luma, in codes.

        Returns
        -------
        ndarray of float32, shape (blocks_y, blocks_x, 64)
            Coefficients in natural order, T.81 scaling.
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
                np.float32(self.dead), np.float32(limit), np.float32(strength),
                np.empty((6, width), np.float32), np.empty((6, width), np.int32), padded[first:last],
            )  # fmt: skip
            padded[first:last, width:] = padded[first:last, width - 1 : width]

        each(strip, range(0, height, _ROWS), self.threads)
        padded[height:] = padded[height - 1]
        return dct.forward(padded, threads=self.threads)


def _light_tables(transform: Transform) -> npt.NDArray[np.float32]:
    """Return the luminance that each of red, green and blue contributes, and its slope per code.

    The shape is (3, entries, 2).
    """
    positions = np.arange(255 * _DENSITY + 2) / (255.0 * _DENSITY)
    weights = np.array(LUMINANCE)
    if transform.matrix is not None:
        weights = np.array(
            [sum(LUMINANCE[i] * float(transform.matrix[i, c]) for i in range(3)) for c in range(3)]
        )
    tables = np.zeros((3, len(positions), 2), np.float32)
    for c in range(3):
        values = weights[c] * transform.curves[c % len(transform.curves)](np.minimum(positions, 1.0))
        tables[c, :, 0] = values
        tables[c, :-1, 1] = np.diff(values) * _DENSITY
    tables[:, -2:, 1] = tables[:, -3:-2, 1]  # at white there is no next entry: repeat the last slope
    return np.maximum(tables, np.float32(1e-7))
