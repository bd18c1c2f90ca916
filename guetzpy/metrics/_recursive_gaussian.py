"""The recursive Gaussian of libjxl with sigma 1.5, rounded as libjxl rounds it.

Charalampidis, "Recursive Implementation of the Gaussian Filter Using Truncated Cosine Functions",
IEEE Trans. Signal Processing 64 (2016), as in libjxl tools/gauss_blur.cc: three second-order
recursions (k = 1, 3, 5) with poles on the unit circle, so that rounding errors do not decay.
SSIMULACRA 2 subtracts squares of means from means of squares, and near 100 these rounding errors
are a large part of its score. So each step is rounded as in libjxl's vector code. The horizontal pass
computes blocks of four outputs from the two outputs before the block. The vertical pass computes one
output after the other. Both use fused multiply-adds.

The horizontal pass processes 16 rows at once, as the columns of a transposed chunk; the vertical pass
processes ``BLOCK`` columns at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.metrics._fused import fma

__all__ = [
    "BLOCK",
    "CHUNK",
    "GROUP",
    "LEAD",
    "REACH",
    "SPAN",
    "across",
    "down",
    "transpose_in",
    "transpose_out",
]

GROUP = 16  # rows that the horizontal pass processes at once
BLOCK = 128  # columns that the vertical pass processes at once
SPAN = 8  # columns of the neighbours on both sides of a transposed chunk
CHUNK = (BLOCK + 2 * SPAN) * GROUP  # values of a transposed chunk
LEAD = 6  # an output depends on the input 6 samples before it
REACH = 4  # and on the input 4 samples after it; radius N = round(3.2795 sigma + 0.2546) = 5

# Equation (33) of the paper for sigma = 1.5, k = 1, 3, 5; tests/reference/ssimulacra2.py derives the values.
_D1 = (-1.902113032590307, -1.1755705045849463, -1.2246467991473532e-16)
_N2 = (0.05529523572608661, -0.05883668702694996, 0.012955819110517082)


def _constants(k: int) -> tuple[np.float32, ...]:
    """Return the factors of a block of four outputs, of 4 values each: on the inputs, on o[-1], on o[-2].

    Output j of a block is o[j] = n i[j] - d o[j-1] - o[j-2]. Substituting the outputs of the block leaves
    its inputs and the two outputs before it, o[-1] and o[-2].
    """
    n, d = _N2[k], _D1[k]
    on_input = (n, -d * n, d * d * n - n, -(d * d) * d * n + 2.0 * d * n)
    on_last = (-d, d * d - 1.0, -(d * d) * d + 2.0 * d, d * d * (d * d) - 3.0 * (d * d) + 1.0)
    on_second = (-1.0, d, -(d * d) + 1.0, d * d * d - 2.0 * d)
    return tuple(np.float32(v) for v in (*on_input, *on_last, *on_second))


_FIRST, _THIRD, _FIFTH = _constants(0), _constants(1), _constants(2)
_N_FIRST, _N_THIRD, _N_FIFTH = (np.float32(n) for n in _N2)
_D_FIRST, _D_THIRD, _D_FIFTH = (np.float32(-d) for d in _D1)

_Four = "UniTuple(float32, 4)"


@kernel(f"{_Four}(float32, float32, float32, float32, float32, float32, UniTuple(float32, 12))", inner=True)
def _four(i0: Any, i1: Any, i2: Any, i3: Any, last: Any, second: Any, k: Any) -> Any:
    """Return four outputs of one recursion from four inputs and the two outputs before them."""
    o0 = k[0] * i0
    o1 = fma(k[0], i1, k[1] * i0)
    o2 = fma(k[0], i2, fma(k[1], i1, k[2] * i0))
    o3 = fma(k[0], i3, fma(k[1], i2, fma(k[2], i1, k[3] * i0)))
    return (
        fma(k[4], last, fma(k[8], second, o0)),
        fma(k[5], last, fma(k[9], second, o1)),
        fma(k[6], last, fma(k[10], second, o2)),
        fma(k[7], last, fma(k[11], second, o3)),
    )


@kernel("int64(float32[:, ::1], int64, int64, int64, float32[::1])", inner=True)
def transpose_in(plane: Any, rows: int, left: int, width: int, chunk: Any) -> int:
    """Fill ``chunk[(x - left + SPAN) * GROUP + y]`` with up to 16 rows; samples outside are zero."""
    for j in range(BLOCK + 2 * SPAN):
        x = left - SPAN + j
        column = chunk[j * GROUP : (j + 1) * GROUP]
        if 0 <= x < width and rows == GROUP:
            for y in range(GROUP):
                column[y] = plane[y, x]
        else:
            column[:] = np.float32(0.0)
            if 0 <= x < width:
                for y in range(rows):
                    column[y] = plane[y, x]
    return 0


@kernel("int64(float32[::1], int64, int64, float32[::1])", inner=True)
def transpose_out(chunk: Any, first: int, rows: int, block: Any) -> int:
    """Copy a chunk without its neighbours' columns to ``block[(first + y) * BLOCK + x]``."""
    for y in range(rows):
        row = block[(first + y) * BLOCK : (first + y + 1) * BLOCK]
        for x in range(BLOCK):
            row[x] = chunk[(x + SPAN) * GROUP + y]
    return 0


@kernel("int64(float32[::1], int64, int64, float32[::1], float32[::1])", inner=True)
def across(chunk: Any, left: int, width: int, state: Any, out: Any) -> int:
    """Run the recursions horizontally over a chunk without its neighbours' columns, 16 rows at once.

    ``state`` (6 x 16) holds the last two outputs of each recursion. It is set to zero for the first chunk.
    """
    end = min(left + BLOCK, width)
    n = left
    if left == 0:
        n = -REACH
        state[:] = np.float32(0.0)
    while n < end:
        # With slices the compiler knows that indices are not negative, and the loops over rows vectorise.
        at = (n - left + SPAN) * GROUP
        results = out[at : at + 4 * GROUP]
        ahead = chunk[at + REACH * GROUP : at + (REACH + 4) * GROUP]
        if n >= 8 and n < width - 7:  # the range in which libjxl computes blocks of four
            behind = chunk[at - LEAD * GROUP : at - (LEAD - 4) * GROUP]
            for y in range(GROUP):
                i0 = behind[y] + ahead[y]
                i1 = behind[y + GROUP] + ahead[y + GROUP]
                i2 = behind[y + 2 * GROUP] + ahead[y + 2 * GROUP]
                i3 = behind[y + 3 * GROUP] + ahead[y + 3 * GROUP]
                a = _four(i0, i1, i2, i3, state[y], state[y + GROUP], _FIRST)
                b = _four(i0, i1, i2, i3, state[y + 2 * GROUP], state[y + 3 * GROUP], _THIRD)
                c = _four(i0, i1, i2, i3, state[y + 4 * GROUP], state[y + 5 * GROUP], _FIFTH)
                results[y] = a[0] + (b[0] + c[0])
                results[y + GROUP] = a[1] + (b[1] + c[1])
                results[y + 2 * GROUP] = a[2] + (b[2] + c[2])
                results[y + 3 * GROUP] = a[3] + (b[3] + c[3])
                state[y], state[y + GROUP] = a[3], a[2]
                state[y + 2 * GROUP], state[y + 3 * GROUP] = b[3], b[2]
                state[y + 4 * GROUP], state[y + 5 * GROUP] = c[3], c[2]
            n += 4
        else:
            before = max(at - LEAD * GROUP, 0)  # the chunk is zero to the left of the picture
            behind = chunk[before : before + GROUP]
            for y in range(GROUP):
                i0 = behind[y] + ahead[y]
                a1, a2 = state[y], state[y + GROUP]
                b1, b2 = state[y + 2 * GROUP], state[y + 3 * GROUP]
                c1, c2 = state[y + 4 * GROUP], state[y + 5 * GROUP]
                a0 = fma(_FIRST[4], a1, fma(_FIRST[8], a2, _FIRST[0] * i0))
                b0 = fma(_THIRD[4], b1, fma(_THIRD[8], b2, _THIRD[0] * i0))
                c0 = fma(_FIFTH[4], c1, fma(_FIFTH[8], c2, _FIFTH[0] * i0))
                results[y] = a0 + (b0 + c0)
                state[y], state[y + GROUP] = a0, a1
                state[y + 2 * GROUP], state[y + 3 * GROUP] = b0, b1
                state[y + 4 * GROUP], state[y + 5 * GROUP] = c0, c1
            n += 1
    return 0


@kernel("int64(float32[::1], int64, float32[::1], float32[::1])", inner=True)
def down(block: Any, row: int, state: Any, out: Any) -> int:
    """Run the recursions vertically over four rows of a block, ``BLOCK`` columns at once.

    The outputs of the rows ``row`` to ``row + 3`` of ``block`` go to ``out`` (4 x BLOCK). ``state``
    (6 x BLOCK) holds the last two outputs of each recursion.
    """
    start = (row - LEAD) * BLOCK
    inputs = block[start : start + (LEAD + REACH + 4) * BLOCK]
    for x in range(BLOCK):
        a1, a2 = state[x], state[x + BLOCK]
        b1, b2 = state[x + 2 * BLOCK], state[x + 3 * BLOCK]
        c1, c2 = state[x + 4 * BLOCK], state[x + 5 * BLOCK]
        for y in range(4):
            both = inputs[x + y * BLOCK] + inputs[x + (y + LEAD + REACH) * BLOCK]
            a = fma(_N_FIRST, both, fma(_D_FIRST, a1, -a2))
            b = fma(_N_THIRD, both, fma(_D_THIRD, b1, -b2))
            c = fma(_N_FIFTH, both, fma(_D_FIFTH, c1, -c2))
            out[x + y * BLOCK] = a + (b + c)
            a1, a2, b1, b2, c1, c2 = a, a1, b, b1, c, c1
        state[x], state[x + BLOCK] = a1, a2
        state[x + 2 * BLOCK], state[x + 3 * BLOCK] = b1, b2
        state[x + 4 * BLOCK], state[x + 5 * BLOCK] = c1, c2
    return 0
