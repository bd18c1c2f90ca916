"""Conversion between YCbCr and RGB as in JFIF (ITU-T T.871, clause 7).

The conversion to RGB equals libjpeg-turbo's integer conversion (jdcolor.c) for every code. The conversion
to YCbCr does not round, so that 16-bit sources lose nothing before quantisation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each

__all__ = ["pull_back", "rgb_to_ycc", "ycc_to_rgb"]

# Rows Y, Cb, Cr as functions of R, G, B: T.871 clause 7, from the luma weights 0.299, 0.587 and 0.114.
_FROM_RGB = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.299 / 1.772, -0.587 / 1.772, 0.5],
        [0.5, -0.587 / 1.402, -0.114 / 1.402],
    ],
    np.float32,
)
# The transpose of the inverse of that matrix.
_TO_RGB_TRANSPOSED = np.array(
    [
        [1.0, 1.0, 1.0],
        [0.0, -0.114 * 1.772 / 0.587, 1.772],
        [1.402, -0.299 * 1.402 / 0.587, 0.0],
    ],
    np.float32,
)

_ROWS = 64  # rows per task; constant, so that results do not depend on the number of threads


@kernel("int64(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, :, ::1], int64, int64)")
def _ycc_to_rgb_rows(
    luma: npt.NDArray[np.uint8],
    cb_rows: npt.NDArray[np.uint8],
    cr_rows: npt.NDArray[np.uint8],
    rgb: npt.NDArray[np.uint8],
    first: int,
    last: int,
) -> int:
    # Row 0 of luma, cb_rows and cr_rows is row `first` of rgb.
    # 16 fraction bits: 91881 = 1.402, 22554 = 0.34414, 46802 = 0.71414, 116130 = 1.772.
    width = rgb.shape[2]
    black = np.int32(0)
    white = np.int32(255)
    for y in range(first, last):
        y_row = luma[y - first, :width]
        cb_row = cb_rows[y - first, :width]
        cr_row = cr_rows[y - first, :width]
        red = rgb[0, y]
        green = rgb[1, y]
        blue = rgb[2, y]
        for x in range(width):
            s = np.int32(y_row[x])
            cb = np.int32(np.int32(cb_row[x]) - 128)
            cr = np.int32(np.int32(cr_row[x]) - 128)
            r = np.int32(s + (np.int32(cr * 91881 + 32768) >> 16))
            g = np.int32(s + (np.int32(cb * -22554 + cr * -46802 + 32768) >> 16))
            b = np.int32(s + (np.int32(cb * 116130 + 32768) >> 16))
            red[x] = np.uint8(min(max(r, black), white))
            green[x] = np.uint8(min(max(g, black), white))
            blue[x] = np.uint8(min(max(b, black), white))
    return 0


@kernel(
    "int64(float32[:, :, ::1], float32[:, ::1], float32, float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    " int64, int64)"
)
def _matrix_rows(
    rgb: npt.NDArray[np.float32],
    matrix: npt.NDArray[np.float32],
    shift: np.float32,
    luma: npt.NDArray[np.float32],
    cb_plane: npt.NDArray[np.float32],
    cr_plane: npt.NDArray[np.float32],
    first: int,
    last: int,
) -> int:
    width = rgb.shape[2]
    m = matrix
    for y in range(first, last):
        y_row = luma[y]
        cb_row = cb_plane[y]
        cr_row = cr_plane[y]
        for x in range(width):
            r = rgb[0, y, x]
            g = rgb[1, y, x]
            b = rgb[2, y, x]
            y_row[x] = r * m[0, 0] + g * m[0, 1] + b * m[0, 2] - shift
            cb_row[x] = r * m[1, 0] + g * m[1, 1] + b * m[1, 2]
            cr_row[x] = r * m[2, 0] + g * m[2, 1] + b * m[2, 2]
    return 0


def ycc_to_rgb(
    luma: npt.NDArray[np.uint8],
    cb: npt.NDArray[np.uint8],
    cr: npt.NDArray[np.uint8],
    rgb: npt.NDArray[np.uint8],
    first: int,
) -> None:
    """Convert rows of YCbCr codes to RGB codes as libjpeg-turbo does (jdcolor.c).

    Parameters
    ----------
    luma, cb, cr : ndarray of uint8, shape (rows, >= width)
        Codes; columns beyond the picture's width are not read.
    rgb : ndarray of uint8, shape (3, height, width)
        Output: rows ``first`` to ``first + rows - 1``.
    first : int
        First row of the picture to write.
    """
    _ycc_to_rgb_rows(luma, cb, cr, rgb, first, first + luma.shape[0])


def rgb_to_ycc(
    rgb: npt.NDArray[np.float32],
    luma: npt.NDArray[np.float32],
    cb: npt.NDArray[np.float32],
    cr: npt.NDArray[np.float32],
    *,
    threads: int | None = None,
) -> None:
    """Convert RGB on the scale 0..255 to level-shifted YCbCr without rounding.

    Parameters
    ----------
    rgb : ndarray of float32, shape (3, height, width)
        Red, green, blue.
    luma, cb, cr : ndarray of float32, shape (>= height, >= width)
        Output: Y - 128, Cb - 128 and Cr - 128 in the first rows and columns.
    threads : int, optional
        Number of threads; default: the processors available.
    """
    _multiply(rgb, _FROM_RGB, 128.0, (luma, cb, cr), threads)


def pull_back(
    gradient: npt.NDArray[np.float32],
    luma: npt.NDArray[np.float32],
    cb: npt.NDArray[np.float32],
    cr: npt.NDArray[np.float32],
    *,
    threads: int | None = None,
) -> None:
    """Map a gradient from RGB to YCbCr: the adjoint of `ycc_to_rgb` without its rounding and clamping.

    Parameters
    ----------
    gradient : ndarray of float32, shape (3, height, width)
        Gradient with respect to red, green and blue.
    luma, cb, cr : ndarray of float32, shape (>= height, >= width)
        Output: the gradients with respect to Y, Cb and Cr.
    threads : int, optional
        Number of threads; default: the processors available.
    """
    _multiply(gradient, _TO_RGB_TRANSPOSED, 0.0, (luma, cb, cr), threads)


def _multiply(
    planes: npt.NDArray[np.float32],
    matrix: npt.NDArray[np.float32],
    shift: float,
    out: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]],
    threads: int | None,
) -> None:
    height = planes.shape[1]

    def strip(first: int) -> None:
        _matrix_rows(planes, matrix, np.float32(shift), *out, first, min(first + _ROWS, height))

    each(strip, range(0, height, _ROWS), threads)
