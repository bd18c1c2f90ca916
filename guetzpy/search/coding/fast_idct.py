"""The range of libjpeg-turbo's fast IDCT on x86, which some programs decode with (``djpeg -dct fast``).

It computes in 16 bits by the algorithm of Arai, Agui and Nakajima, and shifts factors of products left by two
(``jidctfst-sse2.asm``, PRE_MULTIPLY_SCALE_BITS). A factor of 8192 or more wraps: white samples decode to
black, or black ones to white. Blocks between black and white with much overshoot have such factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel

__all__ = ["BASIS", "LARGEST", "factors"]

#: Largest factor that is allowed. The rest up to 8191 is a margin for rounding.
LARGEST = 8000.0


def _basis() -> npt.NDArray[np.float32]:
    """Return the DCT of 8 samples as an orthonormal matrix (T.81 A.3.3), float32 (8, 8)."""
    u, x = np.ogrid[:8, :8]
    matrix = np.cos((2 * x + 1) * u * np.pi / 16) / 2
    matrix[0] = np.sqrt(0.125)
    return matrix.astype(np.float32)


def _terms() -> npt.NDArray[np.float32]:
    """Return the factors by coefficient of a row after the columns are transformed, float32 (5, 8)."""
    terms = np.zeros((5, 8))
    for term, signs in zip(
        terms, ({2: 1, 6: -1}, {1: 1, 7: 1, 3: -1, 5: -1}, {5: 1, 3: -1}, {1: 1, 7: -1}), strict=False
    ):
        term[list(signs)] = list(signs.values())
    terms[4] = terms[2] + terms[3]
    # The algorithm scales coefficient k by cos(k pi / 16). Two bits are fractions of codes, and the transform
    # is not divided by 8 before its end.
    return (terms * 16.0 * np.cos(np.arange(8) * np.pi / 16)).astype(np.float32)


#: The DCT of 8 samples as an orthonormal matrix.
BASIS = _basis()
_TERMS = _terms()

#: The scales of the columns while they are transformed, relative to those of a row.
_COLUMNS = (np.cos(np.arange(8) * np.pi / 16) / np.sqrt([8, 4, 4, 4, 4, 4, 4, 4])).astype(np.float32)


@kernel("int64(int16[:, ::1], float32[::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[::1])")
def _measure(levels: Any, steps: Any, basis: Any, terms: Any, scales: Any, largest: Any) -> int:
    zero = np.float32(0.0)
    values = np.empty((8, 8), np.float32)
    rows = np.empty((8, 8), np.float32)
    for block in range(levels.shape[0]):
        peak = zero
        for i in range(8):
            for j in range(8):
                values[i, j] = np.float32(levels[block, 8 * i + j]) * steps[8 * i + j]
                rows[i, j] = zero
        for i in range(8):
            for y in range(8):
                for j in range(8):
                    rows[y, j] += basis[i, y] * values[i, j]
        for term in range(5):
            for y in range(8):
                total = zero
                for j in range(8):
                    total += terms[term, j] * rows[y, j]
                peak = max(peak, np.abs(total))
            for j in range(8):
                total = zero
                for i in range(8):
                    total += terms[term, i] * values[i, j]
                peak = max(peak, np.abs(total) * scales[j])
        largest[block] = peak
    return 0


def factors(levels: npt.NDArray[np.int16], table: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Return the largest factor of each block.

    Parameters
    ----------
    levels : ndarray of int16, shape (n, 64)
        Quantised coefficients, natural order.
    table : ndarray of uint16, shape (64,)
        Steps in natural order.

    Returns
    -------
    ndarray of float32, shape (n,)
    """
    largest = np.empty(len(levels), np.float32)
    _measure(levels, table.astype(np.float32), BASIS, _TERMS, _COLUMNS, largest)
    return largest
