"""Tiles of SSIMULACRA 2's gradient: parts of planes that fit the processor's second-level cache.

Planes are processed in strips of ``STRIP`` rows, and a strip tile by tile. A tile is a flat float32 array of
``ROWS`` rows of ``STRIDE`` values. The outer ``HALO`` values on all four sides belong to the neighbouring
tiles, or are zero beyond the picture. The stride is a constant, so that a stage is one long loop over the
flat array, which vectorises. In the side columns such a loop mixes the end of a row with the beginning of the
next; those results are finite and not used.

The score's last digits depend on these sizes, because partial sums are taken per column of tiles. So the
sizes do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel

__all__ = ["HALO", "PLANE", "ROWS", "STRIDE", "STRIP", "WIDTH", "blur", "load"]

HALO = 4
STRIP = 64  # rows of a strip without the halo; even, so that strips do not share rows when halved
ROWS = STRIP + 2 * HALO
STRIDE = 128
WIDTH = STRIDE - 2 * HALO  # columns of a tile without the halo
PLANE = ROWS * STRIDE + 80  # 80 more values, so that planes do not map to the same cache lines

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
    """Copy a tile from a plane; samples beyond the plane are zero.

    (top, left) is the picture's position of the tile's first sample inside the halo. ``first`` is the
    picture's row that ``plane`` begins with.
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
    """Blur a tile by the nine taps, vertically and horizontally, with zeros beyond the picture.

    The samples of ``target`` inside the halo are written. ``between`` is scratch.
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
