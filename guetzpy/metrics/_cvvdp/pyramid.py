"""The Gaussian pyramid: planes of half the size, and planes of twice the size, by rows.

The filter is Burt and Adelson's with a = 0.4: taps 1/20, 1/4, 2/5, 1/4, 1/20 (lpyr_dec.py). Halving mirrors
the plane at an edge and repeats the edge sample. Doubling repeats the edge sample only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel

__all__ = ["PAD", "blend", "doubled_row", "mix", "reduce_rows"]

PAD = 2  # samples of padding before the first sample of a row that is halved

_K0, _K1, _K2 = np.float32(0.4), np.float32(0.25), np.float32(0.05)
_D0, _D1, _D2 = np.float32(0.8), np.float32(0.5), np.float32(0.1)
_FIVE = np.float32(5.0)
_ZERO = np.float32(0.0)


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])", inner=True)
def mix(red: Any, green: Any, blue: Any, weights: Any, out: Any) -> int:
    """Write one opponent channel: a weighted sum of the channels of linear light, plus the last weight."""
    r, g, b, offset = weights[0], weights[1], weights[2], weights[3]
    for x in range(out.shape[0]):
        out[x] = r * red[x] + g * green[x] + b * blue[x] + offset
    return 0


@kernel(
    "int64(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float32, float32, float32, float32, float32, float32[::1])",
    inner=True,
)
def blend(a: Any, b: Any, c: Any, d: Any, e: Any, p: Any, q: Any, r: Any, s: Any, t: Any, out: Any) -> int:
    """Write a weighted sum of five rows."""
    for x in range(out.shape[0]):
        out[x] = p * a[x] + q * b[x] + r * c[x] + s * d[x] + t * e[x]
    return 0


@kernel("int64(float32[::1], int64, float32[::1])", inner=True)
def _halve_row(row: Any, width: int, out: Any) -> int:
    """Halve a row whose first sample is ``row[PAD]``, with two samples of padding at either end."""
    for x in range((width + 1) // 2):
        out[x] = (
            _K0 * row[2 * x + 2]
            + _K1 * (row[2 * x + 1] + row[2 * x + 3])
            + _K2 * (row[2 * x] + row[2 * x + 4])
        )
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64, float32[:, ::1], int64, float32[:, ::1],"
    " float32[:, :, ::1])"
)
def reduce_rows(
    planes: Any, first: int, start: int, stop: int, height: int, matrix: Any, mixed: int, work: Any, out: Any
) -> int:
    """Write rows ``start`` to ``stop`` of the next smaller level.

    Parameters
    ----------
    planes : float32 (3, any, W)
        Rows of the larger level, beginning with row ``first``. Rows ``2 start - 2`` to ``2 stop`` are needed,
        as far as they exist.
    first, start, stop, height : int64
        ``height`` is that of the larger level.
    matrix : float32 (3, 4)
        Matrix from linear light to opponent channels.
    mixed : int64
        1: ``planes`` hold linear light; 0: opponent channels.
    work : float32 (4, W + 5)
        Scratch.
    out : float32 (3, (height + 1) // 2, (W + 1) // 2)
        The next smaller level.
    """
    width = planes.shape[2]
    end = PAD + width
    for y in range(start, stop):
        middle = 2 * y
        # The mirror image repeats the edge sample: row -1 is row 0, row -2 is row 1; likewise below.
        above, far_above = max(middle - 1, 0), middle - 2 if middle > 0 else 1
        below = min(middle + 1, height - 1)
        far_below = min(middle + 2, 2 * height - 3 - middle)
        for c in range(3):
            source = planes[c]
            blend(
                source[far_above - first], source[above - first], source[middle - first],
                source[below - first], source[far_below - first], _K2, _K1, _K0, _K1, _K2,
                work[c, PAD:end],
            )  # fmt: skip
        for c in range(3):
            row = work[c]
            if mixed:
                row = work[3]
                mix(work[0, PAD:end], work[1, PAD:end], work[2, PAD:end], matrix[c], row[PAD:end])
            _mirror(row, width, height)
            _halve_row(row, width, out[c, y])
    return 0


@kernel("int64(float32[::1], int64, int64)", inner=True)
def _mirror(row: Any, width: int, height: int) -> int:
    """Write the padding at both ends of a row.

    The package chooses the padding of the right end by the parity of the number of rows instead of columns.
    If both parities are equal, the padding is the mirror image. The other two cases reproduce the package's
    result.
    """
    last = PAD + width - 1
    row[PAD - 1], row[PAD - 2] = row[PAD], row[PAD + 1]
    if height % 2 == 1:
        if width % 2 == 1:
            row[last + 1], row[last + 2] = row[last], row[last - 1]
        else:
            row[last + 1], row[last + 2] = _FIVE * row[last] + row[last - 1], _ZERO
    elif width % 2 == 1:
        row[last + 1], row[last + 2] = _ZERO, row[last]
    else:
        row[last + 1], row[last + 2] = row[last], _ZERO
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], int64, float32[::1])", inner=True)
def _between_rows(a: Any, b: Any, c: Any, odd: int, out: Any) -> int:
    if odd:
        for x in range(out.shape[0]):
            out[x] = _D1 * (b[x] + c[x])
    else:
        for x in range(out.shape[0]):
            out[x] = _D0 * b[x] + _D2 * (a[x] + c[x])
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, float32[::1], float32[::1])", inner=True)
def doubled_row(plane: Any, y: int, left: int, right: int, row: Any, out: Any) -> int:
    """Write samples ``left`` (even) to ``right`` of row ``y`` of a plane at twice its size.

    ``row`` is scratch of (right - left + 1) // 2 + 2 samples. ``out`` needs one sample more than the range.
    """
    height, width = plane.shape
    k = y // 2
    begin, end = left // 2, (right + 1) // 2
    low, high = max(begin - 1, 0), min(end + 1, width)
    inner = row[low - (begin - 1) : high - (begin - 1)]
    a, b, c = plane[max(k - 1, 0)], plane[k], plane[min(k + 1, height - 1)]
    _between_rows(a[low:high], b[low:high], c[low:high], y % 2, inner)
    if begin == 0:
        row[0] = row[1]
    if end == width:
        row[end - begin + 1] = row[end - begin]
    for x in range(end - begin):
        out[2 * x] = _D0 * row[x + 1] + _D2 * (row[x] + row[x + 2])
        out[2 * x + 1] = _D1 * (row[x + 1] + row[x + 2])
    return 0
