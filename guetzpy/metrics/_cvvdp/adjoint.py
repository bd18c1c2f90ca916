"""Adjoints, by rows, of halving, doubling and the conversion to opponent channels; see ``pyramid``."""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._cvvdp.pyramid import blend, mix

__all__ = ["ADJOINT_PAD", "add_doubled_adjoint", "add_halved_adjoint", "to_light"]

ADJOINT_PAD = 2  # samples of padding before the first sample of a row of scratch

_K0, _K1, _K2 = np.float32(0.4), np.float32(0.25), np.float32(0.05)
_D0, _D1, _D2 = np.float32(0.8), np.float32(0.5), np.float32(0.1)
_ZERO, _FIVE = np.float32(0.0), np.float32(5.0)


@kernel("int64(float32[::1], float32[::1])", inner=True)
def _gather_row(row: Any, out: Any) -> int:
    """Add the adjoint of a row's doubling to ``out``; the row's first sample is ``row[ADJOINT_PAD]``."""
    for x in range(out.shape[0]):
        out[x] += (
            _D0 * row[2 * x + 2]
            + _D1 * (row[2 * x + 1] + row[2 * x + 3])
            + _D2 * (row[2 * x] + row[2 * x + 4])
        )
    return 0


@kernel("int64(float32[:, :, ::1], int64, int64, int64, int64, float32[::1], float32[:, :, ::1])")
def add_doubled_adjoint(
    by_around: Any, first: int, start: int, stop: int, height: int, row: Any, out: Any
) -> int:
    """Add derivatives through the doubled planes to those for rows ``start`` to ``stop`` of the planes.

    Parameters
    ----------
    by_around : float32 (3, any, W)
        Derivatives with respect to rows of the doubled planes, beginning with row ``first``. Rows
        ``2 start - 2`` to ``2 stop`` are needed, as far as they exist.
    first, start, stop, height : int64
        ``height`` is that of the doubled planes.
    row : float32 (W + 5,)
        Scratch.
    out : float32 (3, (height + 1) // 2, (W + 1) // 2)
        Derivatives with respect to the planes.
    """
    width = by_around.shape[2]
    inner = row[ADJOINT_PAD : ADJOINT_PAD + width]
    last = out.shape[1] - 1
    for c in range(3):
        for y in range(start, stop):
            middle = 2 * y
            # Doubling repeats the edge, so that derivatives with respect to samples beyond it are added to
            # the edge.
            far_above, above = _D2, _D1
            centre, below, far_below = _D0, _D1, _D2
            if y == 0:
                far_above, above, centre = _ZERO, _ZERO, centre + _D2
            if y == last:
                far_below, centre, below = _ZERO, centre + _D2, below + _D1
            if middle + 1 >= height:
                below = _ZERO
            plane = by_around[c]
            blend(
                plane[max(middle - 2 - first, 0)], plane[max(middle - 1 - first, 0)], plane[middle - first],
                plane[min(middle + 1, height - 1) - first], plane[min(middle + 2, height - 1) - first],
                far_above, above, centre, below, far_below, inner,
            )  # fmt: skip
            end = ADJOINT_PAD + width
            row[0], row[1] = row[2], _ZERO
            if width % 2 == 1:
                row[end], row[end + 1] = _ZERO, row[end - 1]
            else:
                row[end] = row[end - 2] + _FIVE * row[end - 1]
            _gather_row(row, out[c, y])
    return 0


@kernel("int64(float32[::1], float32[::1])", inner=True)
def _scatter_row(row: Any, out: Any) -> int:
    """Add the adjoint of a row's halving; ``row[1]`` is its first sample, after a zero."""
    for x in range(out.shape[0] // 2):
        out[2 * x] += _K0 * row[x + 1] + _K2 * (row[x] + row[x + 2])
        out[2 * x + 1] += _K1 * (row[x + 1] + row[x + 2])
    return 0


@kernel("int64(float32[:, :, ::1], int64, int64, int64, int64, float32[::1], float32[:, :, ::1])")
def add_halved_adjoint(
    by_halved: Any, start: int, stop: int, height: int, offset: int, row: Any, out: Any
) -> int:
    """Add derivatives through the halved planes to those for rows ``start`` to ``stop`` of the planes.

    Parameters
    ----------
    by_halved : float32 (3, (height + 1) // 2, (W + 1) // 2)
        Derivatives with respect to the halved planes.
    start, stop, height, offset : int64
        ``height`` is that of the planes; ``offset`` is the row of the planes that ``out`` begins with.
    row : float32 ((W + 1) // 2 + 2,)
        Scratch.
    out : float32 (3, any, W)
        Derivatives with respect to the planes.
    """
    rows, columns = by_halved.shape[1], by_halved.shape[2]
    width = out.shape[2]
    row[0], row[columns + 1] = _ZERO, _ZERO
    inner = row[1 : columns + 1]
    for c in range(3):
        plane = by_halved[c]
        for y in range(start, stop):
            k = y // 2
            above, centre, below = (_ZERO, _K1, _K1) if y % 2 == 1 else (_K2, _K0, _K2)
            if k == 0:
                above = _ZERO
            if k == rows - 1:
                below = _ZERO
            # Mirror images at both ends, with the package's rule for the lower end; see ``pyramid``.
            if y == 0:
                centre += _K1
            elif y == 1:
                centre += _K2
            extra, odd = _ZERO, height % 2 == 1
            if y == height - 1:
                extra = _K1 if odd else _K2
            elif y == height - 2 and odd:
                extra = _K2
            if k == rows - 1:
                centre += extra
            else:
                below += extra
            a, b = plane[max(k - 1, 0)], plane[k]
            d = plane[min(k + 1, rows - 1)]
            blend(a, b, d, b, b, above, centre, below, _ZERO, _ZERO, inner)
            target = out[c, y - offset]
            _scatter_row(row, target)
            if width % 2 == 1:
                target[width - 1] += _K0 * row[columns] + _K2 * row[columns - 1]
            target[0] += _K1 * row[1]
            target[1] += _K2 * row[1]
            if odd:
                target[width - 1] += _K1 * row[columns]
                target[width - 2] += _K2 * row[columns]
            else:
                target[width - 1] += _K2 * row[columns]
    return 0


@kernel("int64(float32[:, :, ::1], int64, int64, float32[:, ::1], float32[:, ::1])")
def to_light(planes: Any, start: int, stop: int, transposed: Any, work: Any) -> int:
    """Convert derivatives for opponent channels to those for linear light, in rows ``start`` to ``stop``.

    ``transposed`` is the transposed matrix, float32 (3, 4), with zeros in the last column; ``work`` is
    scratch, (3, W).
    """
    for y in range(start, stop):
        for c in range(3):
            row = planes[c, y]
            target = work[c]
            for x in range(row.shape[0]):
                target[x] = row[x]
        for c in range(3):
            mix(work[0], work[1], work[2], transposed[c], planes[c, y])
    return 0
