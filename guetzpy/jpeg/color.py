"""YCbCr and RGB as JFIF has them (ITU-T T.871, clause 7).

The inverse equals libjpeg-turbo's integer conversion (jdcolor.c) in every code; the forward
conversion keeps fractions, so that 16-bit sources lose nothing before quantisation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel
from guetzpy._threads import each

__all__ = ["pull_back", "rgb_to_ycc", "ycc_to_rgb"]

_ROWS = 64  # rows a task; fixed, so that nothing depends on the number of threads


@kernel("int64(uint8[:, ::1], uint8[:, ::1], uint8[:, ::1], uint8[:, :, ::1], int64, int64)")
def _ycc_to_rgb_rows(
    luma: npt.NDArray[np.uint8],
    cb_rows: npt.NDArray[np.uint8],
    cr_rows: npt.NDArray[np.uint8],
    rgb: npt.NDArray[np.uint8],
    first: int,
    last: int,
) -> int:
    # Row 0 of luma, cb_rows and cr_rows belongs to row `first` of rgb.
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


@kernel("int64(float32[:, :, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], int64, int64)")
def _rgb_to_ycc_rows(
    rgb: npt.NDArray[np.float32],
    luma: npt.NDArray[np.float32],
    cb_plane: npt.NDArray[np.float32],
    cr_plane: npt.NDArray[np.float32],
    first: int,
    last: int,
) -> int:
    width = rgb.shape[2]
    for y in range(first, last):
        red = rgb[0, y]
        green = rgb[1, y]
        blue = rgb[2, y]
        y_row = luma[y]
        cb_row = cb_plane[y]
        cr_row = cr_plane[y]
        for x in range(width):
            s = red[x] * np.float32(0.299) + green[x] * np.float32(0.587) + blue[x] * np.float32(0.114)
            y_row[x] = s - np.float32(128.0)
            cb_row[x] = (blue[x] - s) * np.float32(0.5 / 0.886)
            cr_row[x] = (red[x] - s) * np.float32(0.5 / 0.701)
    return 0


@kernel("int64(float32[:, :, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], int64, int64)")
def _pull_back_rows(
    gradient: npt.NDArray[np.float32],
    luma: npt.NDArray[np.float32],
    cb_plane: npt.NDArray[np.float32],
    cr_plane: npt.NDArray[np.float32],
    first: int,
    last: int,
) -> int:
    # The transposed matrix of YCbCr -> RGB.
    width = gradient.shape[2]
    for y in range(first, last):
        red = gradient[0, y]
        green = gradient[1, y]
        blue = gradient[2, y]
        y_row = luma[y]
        cb_row = cb_plane[y]
        cr_row = cr_plane[y]
        for x in range(width):
            y_row[x] = red[x] + green[x] + blue[x]
            cb_row[x] = blue[x] * np.float32(1.772) - green[x] * np.float32(0.344136286)
            cr_row[x] = red[x] * np.float32(1.402) - green[x] * np.float32(0.714136286)
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
        Samples; columns beyond the picture's width are not looked at.
    rgb : ndarray of uint8, shape (3, height, width)
        Receives rows ``first`` to ``first + rows``.
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
    """Convert RGB on the scale 0..255 to level-shifted YCbCr, fractions kept.

    Parameters
    ----------
    rgb : ndarray of float32, shape (3, height, width)
        Red, green, blue.
    luma, cb, cr : ndarray of float32, shape (>= height, >= width)
        Receive Y - 128, Cb - 128 and Cr - 128 in their first rows and columns.
    threads : int, optional
        Number of threads; default: the processors available.
    """
    height = rgb.shape[1]
    each(
        lambda first: _rgb_to_ycc_rows(rgb, luma, cb, cr, first, min(first + _ROWS, height)),
        range(0, height, _ROWS),
        threads,
    )


def pull_back(
    gradient: npt.NDArray[np.float32],
    luma: npt.NDArray[np.float32],
    cb: npt.NDArray[np.float32],
    cr: npt.NDArray[np.float32],
    *,
    threads: int | None = None,
) -> None:
    """Carry a gradient from RGB to YCbCr: the adjoint of `ycc_to_rgb` without its rounding.

    Parameters
    ----------
    gradient : ndarray of float32, shape (3, height, width)
        Gradient with respect to red, green and blue.
    luma, cb, cr : ndarray of float32, shape (>= height, >= width)
        Receive the gradients with respect to Y, Cb and Cr.
    threads : int, optional
        Number of threads; default: the processors available.
    """
    height = gradient.shape[1]
    each(
        lambda first: _pull_back_rows(gradient, luma, cb, cr, first, min(first + _ROWS, height)),
        range(0, height, _ROWS),
        threads,
    )
