"""Simple reference functions for the transforms between coefficients and pixels.

`fdct`, `idct` and `linear_*` compute the formulas of the standards in float64. `islow`, `upsample` and
`ycc_to_rgb` compute libjpeg-turbo's integer arithmetic for one value at a time, with the special cases of its
source files (jidctint and its x86-64 SIMD version, jdsample, jdcolor).
"""

from __future__ import annotations

import math

import numpy as np


def _c(u: int) -> float:
    return math.sqrt(0.5) if u == 0 else 1.0


def fdct(block):
    """Return the (8, 8) coefficients of (8, 8) samples minus 128 (T.81 A.3.3)."""
    out = np.zeros((8, 8))
    for v in range(8):
        for u in range(8):
            total = 0.0
            for y in range(8):
                for x in range(8):
                    total += (
                        block[y][x]
                        * math.cos((2 * x + 1) * u * math.pi / 16)
                        * math.cos((2 * y + 1) * v * math.pi / 16)
                    )
            out[v, u] = _c(u) * _c(v) / 4 * total
    return out


def idct(block):
    """Return the (8, 8) samples minus 128 of (8, 8) coefficients (T.81 A.3.3)."""
    out = np.zeros((8, 8))
    for y in range(8):
        for x in range(8):
            total = 0.0
            for v in range(8):
                for u in range(8):
                    total += (
                        _c(u)
                        * _c(v)
                        * block[v][u]
                        * math.cos((2 * x + 1) * u * math.pi / 16)
                        * math.cos((2 * y + 1) * v * math.pi / 16)
                    )
            out[y, x] = total / 4
    return out


def _wrap16(value: int) -> int:
    return (value + 32768) % 65536 - 32768


def _clip(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def _fix(value: float) -> int:
    return round(value * 8192)


def _islow_1d(x: list[int]) -> list[int]:
    """Return the inverse transform of eight 16-bit numbers, times 2^13 sqrt(8), not rounded."""
    z1 = (x[2] + x[6]) * _fix(0.541196100)
    t2 = z1 - x[6] * _fix(1.847759065)
    t3 = z1 + x[2] * _fix(0.765366865)
    t0 = _wrap16(x[0] + x[4]) << 13
    t1 = _wrap16(x[0] - x[4]) << 13
    even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3]

    a, b, c, d = x[7], x[5], x[3], x[1]
    z1 = (a + d) * -_fix(0.899976223)
    z2 = (b + c) * -_fix(2.562915447)
    z3, z4 = _wrap16(a + c), _wrap16(b + d)
    z5 = (z3 + z4) * _fix(1.175875602)
    z3 = z3 * -_fix(1.961570560) + z5
    z4 = z4 * -_fix(0.390180644) + z5
    odd = [
        d * _fix(1.501321110) + z1 + z4,
        c * _fix(3.072711026) + z2 + z3,
        b * _fix(2.053119869) + z2 + z4,
        a * _fix(0.298631336) + z1 + z3,
    ]
    return [even[i] + odd[i] for i in range(4)] + [even[i] - odd[i] for i in (3, 2, 1, 0)]


def islow(coefficients, steps):
    """Return the (8, 8) samples, 0..255, of 64 quantised coefficients and their steps."""
    values = [_wrap16(int(c) * int(q)) for c, q in zip(coefficients, steps, strict=True)]
    work = [[0] * 8 for _ in range(8)]
    if all(int(c) == 0 for c in coefficients[8:]):
        for u in range(8):
            for y in range(8):
                work[y][u] = _wrap16(values[u] << 2)
    else:
        for u in range(8):
            column = _islow_1d([values[8 * v + u] for v in range(8)])
            for y in range(8):
                work[y][u] = _clip((column[y] + (1 << 10)) >> 11, -32768, 32767)
    out = np.zeros((8, 8), np.uint8)
    for y in range(8):
        row = _islow_1d(work[y])
        for x in range(8):
            out[y, x] = _clip((row[x] + (1 << 17)) >> 18, -128, 127) + 128
    return out


def _h2v1_row(row: list[int]) -> list[int]:
    out = [row[0], (3 * row[0] + row[1] + 2) >> 2]
    for i in range(1, len(row) - 1):
        out.append((3 * row[i] + row[i - 1] + 1) >> 2)
        out.append((3 * row[i] + row[i + 1] + 2) >> 2)
    return [*out, (3 * row[-1] + row[-2] + 1) >> 2, row[-1]]


def _h2v2_row(near: list[int], far: list[int]) -> list[int]:
    sums = [3 * a + b for a, b in zip(near, far, strict=True)]
    out = [(4 * sums[0] + 8) >> 4, (3 * sums[0] + sums[1] + 7) >> 4]
    for i in range(1, len(sums) - 1):
        out.append((3 * sums[i] + sums[i - 1] + 8) >> 4)
        out.append((3 * sums[i] + sums[i + 1] + 7) >> 4)
    return [*out, (3 * sums[-1] + sums[-2] + 8) >> 4, (4 * sums[-1] + 7) >> 4]


def upsample(plane, h: int, v: int, height: int, width: int):
    """Return a component up-sampled by h x v, shape (height, width)."""
    rows = [[int(s) for s in row] for row in plane]
    out = []
    if (h, v) == (2, 1) and len(rows[0]) > 2:
        out = [_h2v1_row(row) for row in rows]
    elif (h, v) == (1, 2) or ((h, v) == (2, 2) and len(rows[0]) > 2):
        for i, near in enumerate(rows):
            above, below = rows[max(i - 1, 0)], rows[min(i + 1, len(rows) - 1)]
            if h == 2:
                out += [_h2v2_row(near, above), _h2v2_row(near, below)]
            else:
                out.append([(3 * a + b + 1) >> 2 for a, b in zip(near, above, strict=True)])
                out.append([(3 * a + b + 2) >> 2 for a, b in zip(near, below, strict=True)])
    else:
        for row in rows:
            out += [[s for s in row for _ in range(h)]] * v
    return np.array([row[:width] for row in out[:height]], np.uint8)


def ycc_to_rgb(y: int, cb: int, cr: int) -> tuple[int, int, int]:
    """Return the RGB codes, 0..255, of YCbCr codes, 0..255."""

    def fix(value: float) -> int:
        return int(value * 65536 + 0.5)

    y, cb, cr = int(y), int(cb) - 128, int(cr) - 128
    r = y + ((fix(1.402) * cr + 32768) >> 16)
    g = y + ((-fix(0.34414) * cb - fix(0.71414) * cr + 32768) >> 16)
    b = y + ((fix(1.772) * cb + 32768) >> 16)
    return tuple(_clip(c, 0, 255) for c in (r, g, b))


def triangle_matrix(size: int, out_size: int):
    """Return the matrix of the triangle filter along one axis, shape (out_size, size)."""
    matrix = np.zeros((2 * size, size))
    for i in range(size):
        for row, neighbour in ((2 * i, max(i - 1, 0)), (2 * i + 1, min(i + 1, size - 1))):
            matrix[row, i] += 0.75
            matrix[row, neighbour] += 0.25
    return matrix[:out_size]


def axis_matrices(h: int, v: int, height: int, width: int):
    """Return the matrices of up-sampling without rounding along rows and along columns."""
    rows, columns = -(-height // v), -(-width // h)
    fancy = (h, v) == (1, 2) or ((h, v) in ((2, 1), (2, 2)) and columns > 2)

    def axis(size: int, out_size: int, factor: int):
        if fancy and factor == 2:
            return triangle_matrix(size, out_size)
        return np.repeat(np.eye(size), factor, axis=0)[:out_size]

    return axis(rows, height, v), axis(columns, width, h)


def linear_samples(coefficients):
    """Return the samples minus 128 of dequantised coefficients (blocks_y, blocks_x, 64), not rounded."""
    blocks_y, blocks_x, _ = coefficients.shape
    out = np.zeros((8 * blocks_y, 8 * blocks_x))
    basis = np.array(
        [[_c(u) / 2 * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)] for u in range(8)]
    )
    for by in range(blocks_y):
        for bx in range(blocks_x):
            block = coefficients[by, bx].reshape(8, 8).astype(np.float64)
            out[8 * by : 8 * by + 8, 8 * bx : 8 * bx + 8] = basis.T @ block @ basis
    return out


def linear_decode(coefficients, h: int, v: int, height: int, width: int):
    """Return the planes (1 or 3, height, width) of dequantised coefficients, without rounding or offset."""
    luma = linear_samples(coefficients[0])[:height, :width]
    if len(coefficients) == 1:
        return luma[None]
    rows, columns = axis_matrices(h, v, height, width)
    cb, cr = (
        rows @ linear_samples(part)[: rows.shape[1], : columns.shape[1]] @ columns.T
        for part in coefficients[1:]
    )
    green = luma - (0.114 * 1.772 * cb + 0.299 * 1.402 * cr) / 0.587
    return np.stack([luma + 1.402 * cr, green, luma + 1.772 * cb])
