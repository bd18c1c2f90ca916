"""The Laplacian pyramid of IW-SSIM: halved planes, the bands between them, and the adjoints of both.

The filter is [1, 4, 6, 4, 1] sqrt(2) / 16 along each axis. Halving keeps every second sample; samples beyond
the edge are mirrored (-1 is 1). Enlarging puts zeros between the samples and filters them; there sample -1 of
the coarser plane is its sample 1, and the sample after the last is the last. A band is a plane less its
halved and enlarged version. Both axes together scale by 2, so that the constant is 2 / 256.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._iwssim._tiles import ROWS, STRIDE

__all__ = ["LINE", "add_down_adjoint", "band_tile", "down", "subtract_up_adjoint"]

_FOUR = np.float32(4.0)
_SIX = np.float32(6.0)
_SCALE = np.float32(1.0 / 128.0)
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
#: Number of samples in the line from which a row of a tile is computed.
LINE = STRIDE // 2 + 4


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[:, ::1])")
def down(fine: Any, top: int, bottom: int, line: Any, coarse: Any) -> int:
    """Write the rows ``top`` to ``bottom`` of the halved plane.

    ``line``: scratch of at least W + 5 samples.
    """
    height, width = fine.shape
    last = height - 1
    for y in range(top, bottom):
        a = fine[abs(2 * y - 2)]
        b = fine[abs(2 * y - 1)]
        c = fine[2 * y]
        d = fine[last - abs(last - (2 * y + 1))]
        e = fine[last - abs(last - (2 * y + 2))]
        inner = line[2 : 2 + width]
        for x in range(width):
            inner[x] = (a[x] + e[x]) + _FOUR * (b[x] + d[x]) + _SIX * c[x]
        line[0], line[1] = line[4], line[3]
        line[2 + width], line[3 + width] = line[width], line[width - 1]
        _halve_line(line, coarse[y], _SCALE)
    return 0


@kernel("int64(float32[::1], float32[::1], float32)", inner=True)
def _halve_line(line: Any, out: Any, scale: Any) -> int:
    for i in range(out.shape[0]):
        j = 2 * i
        out[i] = scale * ((line[j] + line[j + 4]) + _FOUR * (line[j + 1] + line[j + 3]) + _SIX * line[j + 2])
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1], int64, int64, float32[::1], float32[::1])", inner=True)
def band_tile(fine: Any, coarse: Any, top: int, left: int, line: Any, tile: Any) -> int:
    """Fill a tile with a band: ``fine`` less the enlarged ``coarse``. The tile's first sample is (top, left).

    ``left`` is even. ``line``: scratch of ``LINE`` samples. Samples beyond the picture are zero.
    """
    height, width = fine.shape
    rows, columns = coarse.shape
    first = left // 2 - 1  # the coarser column that the line begins with
    begin = max(-first, 0)
    end = max(min(columns - first, LINE), begin)
    inside = line[begin:end]
    for y in range(ROWS):
        target = tile[y * STRIDE : (y + 1) * STRIDE]
        row = top + y
        if row < 0 or row >= height:
            target[:] = _ZERO
            continue
        i = row // 2
        b = coarse[i, first + begin : first + end]
        after = min(i + 1, rows - 1)
        c = coarse[after, first + begin : first + end]
        if row % 2 == 0:
            a = coarse[abs(i - 1), first + begin : first + end]
            for x in range(inside.shape[0]):
                inside[x] = (a[x] + c[x]) + _SIX * b[x]
        else:
            for x in range(inside.shape[0]):
                inside[x] = _FOUR * (b[x] + c[x])
        line[:begin] = _ZERO
        line[end:] = _ZERO
        if begin > 0:
            line[begin - 1] = line[begin + 1]
        if end < LINE:
            line[end] = line[end - 1]
        for x in range(STRIDE // 2):
            target[2 * x] = (line[x] + line[x + 2]) + _SIX * line[x + 1]
            target[2 * x + 1] = _FOUR * (line[x + 1] + line[x + 2])
        start = max(-left, 0)
        stop = max(min(width - left, STRIDE), start)
        target[:start] = _ZERO
        target[stop:] = _ZERO
        part = target[start:stop]
        values = fine[row, left + start : left + stop]
        for x in range(part.shape[0]):
            part[x] = values[x] - _SCALE * part[x]
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[:, ::1])")
def subtract_up_adjoint(by_band: Any, top: int, bottom: int, line: Any, by_coarse: Any) -> int:
    """Subtract the adjoint of enlarging from the rows ``top`` to ``bottom`` of the coarser plane's gradient.

    ``by_band``: the gradient with respect to the band. ``line``: scratch of at least W + 5 samples.
    """
    height, width = by_band.shape
    rows, columns = by_coarse.shape
    line[:] = _ZERO
    inner = line[2 : 2 + width]
    for y in range(top, bottom):
        inner[:] = _ZERO
        for t in range(-2, 3):
            source = 2 * y + t
            if source < 0 or source >= height:
                continue
            weight = (_SIX, _FOUR, _ONE)[abs(t)]
            if y == 1 and t == -2:  # sample -1 is sample 1
                weight += _ONE
            if y == rows - 1 and t >= 0:  # the sample after the last is the last
                weight += _ONE if t == 0 else _FOUR
            values = by_band[source]
            for x in range(width):
                inner[x] += weight * values[x]
        target = by_coarse[y]
        for i in range(columns):
            j = 2 * i
            target[i] -= _SCALE * (
                (line[j] + line[j + 4]) + _FOUR * (line[j + 1] + line[j + 3]) + _SIX * line[j + 2]
            )
        target[1] -= _SCALE * inner[0]
        target[columns - 1] -= _SCALE * inner[2 * columns - 2]
        if width % 2 == 0:
            target[columns - 1] -= _SCALE * _FOUR * inner[2 * columns - 1]
    return 0


@kernel("int64(float32[:, ::1], int64, int64, float32[::1], float32[:, ::1])")
def add_down_adjoint(by_coarse: Any, top: int, bottom: int, line: Any, by_fine: Any) -> int:
    """Add the adjoint of halving to the rows ``top`` to ``bottom`` of the finer plane's gradient.

    ``line``: scratch of at least W / 2 + 3 samples.
    """
    height, width = by_fine.shape
    rows, columns = by_coarse.shape
    odd = width % 2
    line[:] = _ZERO
    inner = line[1 : 1 + columns]
    for y in range(top, bottom):
        j = y // 2
        inner[:] = _ZERO
        for k in range(-1, 2):
            source = j + k
            if source < 0 or source >= rows or (y % 2 == 1 and k < 0):
                continue
            weight = _FOUR if y % 2 == 1 else (_SIX if k == 0 else _ONE)
            # Samples that are mirrored at the edges: -1 is 1, -2 is 2, and likewise at the end.
            if source == 0 and (y == 1 or y == 2):
                weight += _FOUR if y == 1 else _ONE
            if source == rows - 1:
                beyond = 2 * (height - 1) - y - 2 * source  # position of the mirror image in the window
                if y < height - 1 and beyond <= 2:
                    weight += _FOUR if beyond == 1 else _ONE
            values = by_coarse[source]
            for x in range(columns):
                inner[x] += weight * values[x]
        target = by_fine[y]
        for x in range(width // 2):
            target[2 * x] += _SCALE * ((line[x] + line[x + 2]) + _SIX * line[x + 1])
            target[2 * x + 1] += _SCALE * _FOUR * (line[x + 1] + line[x + 2])
        if odd == 1:
            x = width // 2
            target[width - 1] += _SCALE * (line[x] + _SIX * line[x + 1])
        target[1] += _SCALE * _FOUR * inner[0]
        target[2] += _SCALE * inner[0]
        if odd == 1:
            target[width - 2] += _SCALE * _FOUR * inner[columns - 1]
            target[width - 3] += _SCALE * inner[columns - 1]
        else:
            target[width - 2] += _SCALE * inner[columns - 1]
    return 0
