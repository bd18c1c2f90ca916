"""Tiles: pieces of planes of a fixed size, small enough for the processor's second-level cache.

SSIMULACRA 2 works strip by strip (64 rows) and, within a strip, tile by tile. A tile is a flat
float32 array of ``ROWS * STRIDE`` values: rows of ``STRIDE`` values, of which the outer ``HALO``
on all four sides belong to its neighbours (or, beyond the picture, are zero). Because the stride
is a constant, stages are single long loops over the flat array, which vectorise; what they leave
in the side columns, where rows run into each other, is finite and never used.

The sizes are part of the metric's digits (partial sums are taken per tile column), so they never
depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel

__all__ = ["HALO", "PLANE", "ROWS", "STRIDE", "STRIP", "WIDTH", "blur", "load"]

HALO = 4
STRIP = 64  # rows of a strip that count; even, so that strips of halved pictures meet
ROWS = STRIP + 2 * HALO
STRIDE = 128
WIDTH = STRIDE - 2 * HALO  # columns of a tile that count
PLANE = ROWS * STRIDE + 80  # so that planes do not compete for the same cache lines

# The blur of SSIMULACRA 2 (sigma 1.5) is libjxl's recursive filter of truncated cosines
# (Charalampidis 2016, doi 10.1109/TSP.2016.2549985) with radius N = round(3.2795 sigma + 0.2546)
# = 5. Its impulse response is sum_k beta_k cos(k pi j / 2N), k = 1, 3, 5, for |j| < N and nothing
# outside: in exact arithmetic it is this symmetric nine-tap filter, which has no rounding drift
# and needs no recursion. tests/reference/ssimulacra2.py derives the betas and runs the recursion.
_K0 = np.float32(0.26462110502498236)
_K1 = np.float32(0.2129285915999405)
_K2 = np.float32(0.1093353726506209)
_K3 = np.float32(0.03601111471113427)
_K4 = np.float32(0.009414367811)


@kernel("int64(float32[:, ::1], int64, int64, int64, float32[::1])", inner=True)
def load(plane: Any, first: Any, top: int, left: int, tile: Any) -> int:
    """Copy a tile whose first counted sample is (top, left); zero beyond the picture.

    ``first`` is the row of the picture that ``plane`` begins with. Rows that ``plane`` does not
    hold count as beyond the picture.
    """
    height, width = plane.shape
    begin = max(left - HALO, 0)
    end = min(left - HALO + STRIDE, width)
    shift = begin - (left - HALO)
    for y in range(ROWS):
        row = tile[y * STRIDE : (y + 1) * STRIDE]
        source = top - HALO + y - first
        if source < 0 or source >= height:
            row[:] = np.float32(0.0)
        else:
            inside = row[shift : shift + end - begin]
            values = plane[source, begin:end]
            for x in range(inside.shape[0]):
                inside[x] = values[x]
            row[:shift] = np.float32(0.0)
            row[shift + end - begin :] = np.float32(0.0)
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])")
def blur(source: Any, between: Any, target: Any) -> int:
    """Blur a tile by the nine taps, down and across; zero beyond the picture, as libjxl has it.

    The counted rows and columns of ``target`` are written; ``between`` is overwritten.
    """
    for i in range(HALO * STRIDE, (ROWS - HALO) * STRIDE):
        between[i] = (
            _K0 * source[i]
            + _K1 * (source[i - STRIDE] + source[i + STRIDE])
            + _K2 * (source[i - 2 * STRIDE] + source[i + 2 * STRIDE])
            + _K3 * (source[i - 3 * STRIDE] + source[i + 3 * STRIDE])
            + _K4 * (source[i - 4 * STRIDE] + source[i + 4 * STRIDE])
        )
    for i in range(HALO * STRIDE + HALO, (ROWS - HALO) * STRIDE - HALO):
        target[i] = (
            _K0 * between[i]
            + _K1 * (between[i - 1] + between[i + 1])
            + _K2 * (between[i - 2] + between[i + 2])
            + _K3 * (between[i - 3] + between[i + 3])
            + _K4 * (between[i - 4] + between[i + 4])
        )
    return 0
