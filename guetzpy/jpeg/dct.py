"""The 8x8 discrete cosine transform and its inverse.

The inverse is libjpeg-turbo's "islow" integer transform (jidctint.c and its x86-64 SIMD version, after
Loeffler, Ligtenberg and Moschytz, ICASSP 1989). It equals that in every sample, even where very large
coefficients overflow. The forward transform follows the definition of T.81 A.3.3 in float32. The cosine
basis is orthonormal, so the forward transform is also the adjoint of the inverse.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each

__all__ = ["BASIS", "forward", "inverse"]

#: BASIS[u, x] = C(u)/2 cos((2x + 1) u pi / 16), which is orthonormal. T.81 A.3.3 is BASIS @ s @ BASIS.T.
BASIS: npt.NDArray[np.float64] = np.array(
    [
        [(math.sqrt(0.5) if u == 0 else 1.0) / 2 * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)]
        for u in range(8)
    ]
)

_STRIP = 16  # block rows per task; constant, so that results do not depend on the number of threads
_LANES = 32  # blocks that the inverse transforms in parallel: two 512-bit vectors of int32
_COLUMNS = 512  # samples per row that the forward transform processes at once: 8 such rows fit the L1 cache


@kernel("int64(int16[:, :, ::1], int32[::1], int32[:, ::1], int32[::1], int32[::1], int64, int64)")
def _inverse_strip(
    coefficients: npt.NDArray[np.int16],
    steps: npt.NDArray[np.int32],
    samples: npt.NDArray[np.int32],
    a: npt.NDArray[np.int32],
    b: npt.NDArray[np.int32],
    first: int,
    last: int,
) -> int:
    # A word of samples has four 8-bit samples; a row of a and b has one value for each of _LANES blocks.
    #
    # All arithmetic is int32. (Without the casts and the int32 scratch arrays, numba would widen to int64
    # and halve the lanes of the vectors.) No sum overflows: inputs have 16 bits, and the largest output, the
    # even part below 2^29.6 plus the odd part below 2^30.4, stays below 2^31. As in the SIMD code, 16-bit
    # values wrap at the dequantisation, at in0 +- in4 and at the two sums of the odd part, and saturate
    # after each pass.
    blocks_x = coefficients.shape[1]
    low = np.int32(-32768)
    high = np.int32(32767)
    dark = np.int32(-128)
    bright = np.int32(127)
    for block_y in range(first, last):
        for block_x in range(0, blocks_x, _LANES):
            count = min(_LANES, blocks_x - block_x)
            for n in range(count):
                for k in range(64):
                    a[k * _LANES + n] = np.int16(np.int32(coefficients[block_y, block_x + n, k]) * steps[k])
                below = np.int16(0)
                for k in range(8, 64):
                    below |= coefficients[block_y, block_x + n, k]
                if below == 0:
                    # libjpeg-turbo's shortcut for a block with coefficients in the first row only
                    # shifts left by 2 without saturation. Wrap here, so that pass 1 does not saturate.
                    for k in range(8):
                        a[k * _LANES + n] = np.int16(a[k * _LANES + n] << 2) >> 2

            # Pass 1 transforms columns, pass 2 rows. Both read with stride 8 and write transposed, so the
            # same code does both. Pass 2 must shift by 18 instead of 11. The other 7 bits are shifted out
            # when the samples are packed; two floors in sequence equal one.
            for stage in range(2):
                if stage == 0:
                    source = a
                    target = b
                    half = np.int32(1 << 10)
                else:
                    source = b
                    target = a
                    half = np.int32(1 << 17)
                for i in range(8):
                    for n in range(_LANES):
                        x0 = min(max(source[i * _LANES + n], low), high)
                        x1 = min(max(source[(i + 8) * _LANES + n], low), high)
                        x2 = min(max(source[(i + 16) * _LANES + n], low), high)
                        x3 = min(max(source[(i + 24) * _LANES + n], low), high)
                        x4 = min(max(source[(i + 32) * _LANES + n], low), high)
                        x5 = min(max(source[(i + 40) * _LANES + n], low), high)
                        x6 = min(max(source[(i + 48) * _LANES + n], low), high)
                        x7 = min(max(source[(i + 56) * _LANES + n], low), high)
                        # Constants are round(2^13 c), libjpeg's FIX(); two for the same input are summed.
                        plus = np.int32(np.int32(np.int32(np.int16(x0 + x4)) << 13) + half)
                        minus = np.int32(np.int32(np.int32(np.int16(x0 - x4)) << 13) + half)
                        t2 = np.int32(x2 * 4433 + x6 * -10704)
                        t3 = np.int32(x2 * 10703 + x6 * 4433)
                        e0 = np.int32(plus + t3)
                        e1 = np.int32(minus + t2)
                        e2 = np.int32(minus - t2)
                        e3 = np.int32(plus - t3)
                        z3 = np.int32(np.int16(x7 + x3))
                        z4 = np.int32(np.int16(x5 + x1))
                        p3 = np.int32(z3 * -6436 + z4 * 9633)
                        p4 = np.int32(z3 * 9633 + z4 * 6437)
                        o0 = np.int32(x1 * 4926 - x7 * 7373 + p4)
                        o1 = np.int32(x3 * 4177 - x5 * 20995 + p3)
                        o2 = np.int32(x5 * -4176 - x3 * 20995 + p4)
                        o3 = np.int32(x7 * -4927 - x1 * 7373 + p3)
                        target[(8 * i + 0) * _LANES + n] = np.int32(e0 + o0) >> 11
                        target[(8 * i + 7) * _LANES + n] = np.int32(e0 - o0) >> 11
                        target[(8 * i + 1) * _LANES + n] = np.int32(e1 + o1) >> 11
                        target[(8 * i + 6) * _LANES + n] = np.int32(e1 - o1) >> 11
                        target[(8 * i + 2) * _LANES + n] = np.int32(e2 + o2) >> 11
                        target[(8 * i + 5) * _LANES + n] = np.int32(e2 - o2) >> 11
                        target[(8 * i + 3) * _LANES + n] = np.int32(e3 + o3) >> 11
                        target[(8 * i + 4) * _LANES + n] = np.int32(e3 - o3) >> 11

            for y in range(8):
                row = samples[8 * block_y + y, 2 * block_x : 2 * (block_x + count)]
                for n in range(count):
                    r = 8 * y * _LANES + n
                    s0 = min(max(np.int32(a[r] >> 7), dark), bright)
                    s1 = min(max(np.int32(a[r + _LANES] >> 7), dark), bright)
                    s2 = min(max(np.int32(a[r + 2 * _LANES] >> 7), dark), bright)
                    s3 = min(max(np.int32(a[r + 3 * _LANES] >> 7), dark), bright)
                    s4 = min(max(np.int32(a[r + 4 * _LANES] >> 7), dark), bright)
                    s5 = min(max(np.int32(a[r + 5 * _LANES] >> 7), dark), bright)
                    s6 = min(max(np.int32(a[r + 6 * _LANES] >> 7), dark), bright)
                    s7 = min(max(np.int32(a[r + 7 * _LANES] >> 7), dark), bright)
                    left = (s0 & 255) | ((s1 & 255) << 8) | ((s2 & 255) << 16) | (s3 << 24)
                    right = (s4 & 255) | ((s5 & 255) << 8) | ((s6 & 255) << 16) | (s7 << 24)
                    # -2139062144 is 0x80808080: the level shift by 128 of four samples.
                    row[2 * n] = np.int32(left ^ -2139062144)
                    row[2 * n + 1] = np.int32(right ^ -2139062144)
    return 0


@kernel("int64(float32[:, ::1], float32[:, :, ::1], float32[:, ::1], float32[:, ::1], int64, int64)")
def _forward_strip(
    plane: npt.NDArray[np.float32],
    coefficients: npt.NDArray[np.float32],
    basis: npt.NDArray[np.float32],
    columns: npt.NDArray[np.float32],
    first: int,
    last: int,
) -> int:
    # The columns are transformed first, with vector lanes along the row, then the rows of each block. The
    # second step is scalar, because memory limits its speed: a version with one block per lane was not
    # faster.
    c1 = basis[0, 1]
    c2 = basis[0, 2]
    c3 = basis[1, 1]
    c4 = basis[0, 0]
    c5 = basis[2, 1]
    c6 = basis[1, 2]
    c7 = basis[3, 1]
    width = plane.shape[1]
    for block_y in range(first, last):
        for x0 in range(0, width, _COLUMNS):
            count = min(_COLUMNS, width - x0)
            r0 = plane[8 * block_y, x0 : x0 + count]
            r1 = plane[8 * block_y + 1, x0 : x0 + count]
            r2 = plane[8 * block_y + 2, x0 : x0 + count]
            r3 = plane[8 * block_y + 3, x0 : x0 + count]
            r4 = plane[8 * block_y + 4, x0 : x0 + count]
            r5 = plane[8 * block_y + 5, x0 : x0 + count]
            r6 = plane[8 * block_y + 6, x0 : x0 + count]
            r7 = plane[8 * block_y + 7, x0 : x0 + count]
            for v in range(8):
                # Basis functions of even frequency are symmetric, those of odd frequency antisymmetric.
                sign = np.float32(1 - 2 * (v & 1))
                b0 = basis[0, v]
                b1 = basis[1, v]
                b2 = basis[2, v]
                b3 = basis[3, v]
                out = columns[v]
                for x in range(count):
                    out[x] = (
                        (r0[x] + sign * r7[x]) * b0
                        + (r1[x] + sign * r6[x]) * b1
                        + (r2[x] + sign * r5[x]) * b2
                        + (r3[x] + sign * r4[x]) * b3
                    )
            for n in range(count // 8):
                block = coefficients[block_y, x0 // 8 + n]
                for v in range(8):
                    s0 = columns[v, 8 * n] + columns[v, 8 * n + 7]
                    s1 = columns[v, 8 * n + 1] + columns[v, 8 * n + 6]
                    s2 = columns[v, 8 * n + 2] + columns[v, 8 * n + 5]
                    s3 = columns[v, 8 * n + 3] + columns[v, 8 * n + 4]
                    d0 = columns[v, 8 * n] - columns[v, 8 * n + 7]
                    d1 = columns[v, 8 * n + 1] - columns[v, 8 * n + 6]
                    d2 = columns[v, 8 * n + 2] - columns[v, 8 * n + 5]
                    d3 = columns[v, 8 * n + 3] - columns[v, 8 * n + 4]
                    block[8 * v + 0] = ((s0 + s3) + (s1 + s2)) * c4
                    block[8 * v + 4] = ((s0 + s3) - (s1 + s2)) * c4
                    block[8 * v + 2] = (s0 - s3) * c2 + (s1 - s2) * c6
                    block[8 * v + 6] = (s0 - s3) * c6 - (s1 - s2) * c2
                    block[8 * v + 1] = d0 * c1 + d1 * c3 + d2 * c5 + d3 * c7
                    block[8 * v + 3] = d0 * c3 - d1 * c7 - d2 * c1 - d3 * c5
                    block[8 * v + 5] = d0 * c5 - d1 * c1 + d2 * c7 + d3 * c3
                    block[8 * v + 7] = d0 * c7 - d1 * c5 + d2 * c3 - d3 * c1
    return 0


def inverse(
    coefficients: npt.NDArray[np.int16], qtable: npt.NDArray[np.uint16], *, threads: int | None = None
) -> npt.NDArray[np.uint8]:
    """Dequantise a component and transform it to samples, as libjpeg-turbo's islow does on x86-64.

    Parameters
    ----------
    coefficients : ndarray of int16, shape (blocks_y, blocks_x, 64)
        Quantised coefficients in natural order, of any value. Overflow wraps and saturates as in
        libjpeg-turbo.
    qtable : ndarray of uint16, shape (64,)
        Quantiser steps in natural order.
    threads : int, optional
        Number of threads; default: the processors available.

    Returns
    -------
    ndarray of uint8, shape (8 blocks_y, 8 blocks_x)
        Samples, level-shifted and clamped to 0..255.

    Notes
    -----
    libjpeg-turbo's plain C code differs from its SIMD code if a dequantised value exceeds 16 bits or a
    sample is outside 0..255 by more than 384. No encoder produces such files.
    """
    blocks_y, blocks_x = _blocks_shape(coefficients, np.int16)
    if qtable.shape != (64,) or qtable.dtype != np.uint16:
        raise ValueError("qtable must be uint16 of shape (64,)")
    blocks = np.require(coefficients, requirements=["C", "A", "W"])
    # Steps above 32767 are correct too: the low 16 bits of a product do not depend on the factors' signs.
    steps = qtable.astype(np.int32)
    samples = np.empty((8 * blocks_y, 2 * blocks_x), np.int32)

    def strip(first: int) -> None:
        scratch = np.zeros((2, 64 * _LANES), np.int32)
        last = min(first + _STRIP, blocks_y)
        _inverse_strip(blocks, steps, samples, scratch[0], scratch[1], first, last)

    each(strip, range(0, blocks_y, _STRIP), threads)
    return samples.view(np.uint8)


def forward(plane: npt.NDArray[np.float32], *, threads: int | None = None) -> npt.NDArray[np.float32]:
    """Transform a plane of level-shifted samples to coefficients (T.81 A.3.3).

    Parameters
    ----------
    plane : ndarray of float32, shape (8 blocks_y, 8 blocks_x)
        Samples minus 128.
    threads : int, optional
        Number of threads; default: the processors available.

    Returns
    -------
    ndarray of float32, shape (blocks_y, blocks_x, 64)
        Coefficients in natural order, not quantised. The error is below 1e-6 times 8 times the largest
        sample.
    """
    if plane.ndim != 2 or plane.dtype != np.float32 or plane.shape[0] % 8 or plane.shape[1] % 8:
        raise ValueError("plane must be float32 with both sides multiples of 8")
    rows = np.require(plane, requirements=["C", "A", "W"])
    blocks_y, blocks_x = plane.shape[0] // 8, plane.shape[1] // 8
    coefficients = np.empty((blocks_y, blocks_x, 64), np.float32)
    basis = np.ascontiguousarray(BASIS.T, dtype=np.float32)

    def strip(first: int) -> None:
        columns = np.empty((8, _COLUMNS), np.float32)
        _forward_strip(rows, coefficients, basis, columns, first, min(first + _STRIP, blocks_y))

    each(strip, range(0, blocks_y, _STRIP), threads)
    return coefficients


def _blocks_shape(coefficients: npt.NDArray[np.generic], dtype: npt.DTypeLike) -> tuple[int, int]:
    if coefficients.ndim != 3 or coefficients.shape[2] != 64 or coefficients.dtype != dtype:
        raise ValueError(f"coefficients must be {np.dtype(dtype)} of shape (blocks_y, blocks_x, 64)")
    return coefficients.shape[0], coefficients.shape[1]
