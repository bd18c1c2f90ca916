"""Features of blocks, from which their weights are predicted: energies, brightness and the neighbourhood.

All arithmetic is in float32 and in a fixed order, without functions of the mathematical library, so that the
features are the same on every processor. Logarithms are piecewise linear between powers of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import log2
from guetzpy._runtime.kernel import kernel

__all__ = ["CHROMA_FEATURES", "LUMA_FEATURES", "block_features"]

Field = npt.NDArray[np.float32]

#: Features of a luma block. ``total``, ``low`` (u + v <= 2), ``middle`` (3 to 6) and ``high`` are binary
#: logarithms of the energy of AC coefficients, ``dc`` is the DC coefficient over 1024. A name that ends with
#: 3 or 5 is the mean over 3 x 3 or 5 x 5 blocks; ``least3`` and ``most3`` are the smallest and the largest
#: ``total`` of 3 x 3 blocks. ``step3`` is the logarithm of the range of DC over 3 x 3 blocks. Names that
#: begin with ``picture`` are means over the picture; ``picture_spread`` is the mean absolute difference of
#: ``total`` from its mean.
LUMA_FEATURES = (
    "total", "low", "middle", "high", "dc",
    "total3", "least3", "most3", "total5", "low3", "high3", "high5", "dc5", "step3",
    "picture_total", "picture_high", "picture_dc", "picture_spread", "log2_distance",
)  # fmt: skip

#: Features of a chroma block: the means of the features of the luma blocks at its place, and features of its
#: own component and of the other chroma component. ``is_red`` is 1 for Cr and 0 for Cb.
CHROMA_FEATURES = (*LUMA_FEATURES, "own", "own_dc", "own3", "other", "other_dc", "is_red")

#: Range of distances to which ``log2_distance`` is limited. The fit uses distances 0.6 to 3.
_FINEST, _COARSEST = 0.5, 4.0

#: Group of each coefficient, natural order: 0 for low, 1 for middle, 2 for high frequencies.
_FREQUENCY = np.add.outer(np.arange(8), np.arange(8)).ravel()
_GROUPS = np.digitize(_FREQUENCY, (3, 7)).astype(np.int64)

#: Added to an energy before its logarithm is taken: about the squared error of a quantiser step of 4.
_FLOOR = 64.0

_TOTAL, _LOW, _HIGH, _DC = 0, 1, 3, 4
_PICTURE = LUMA_FEATURES.index("picture_total")


@kernel("float32(float32, float32[::1])", inline=True)
def _log2(x: Any, work: Any) -> Any:
    """Return the piecewise linear binary logarithm of ``x`` > 0; ``work`` is scratch of one element."""
    work[0] = x
    return np.float32(work.view(np.int32)[0]) * np.float32(2.0**-23) - np.float32(127.0)


@kernel("int64(float32[:, ::1], int64[::1], float32[:, ::1])")
def _statistics(coefficients: Any, groups: Any, out: Any) -> int:
    """Write five features of each block: ``total``, ``low``, ``middle``, ``high`` and ``dc``."""
    work = np.empty(1, np.float32)
    sums = np.empty(3, np.float32)
    floor = np.float32(_FLOOR)
    for block in range(coefficients.shape[0]):
        sums[:] = np.float32(0.0)
        for k in range(1, 64):
            value = coefficients[block, k]
            sums[groups[k]] += value * value
        out[block, 0] = _log2(sums[0] + sums[1] + sums[2] + floor, work)
        for n in range(3):
            out[block, 1 + n] = _log2(sums[n] + floor, work)
        out[block, 4] = coefficients[block, 0] * np.float32(1.0 / 1024.0)
    return 0


@kernel("int64(float32[:, :, ::1], float64[::1])")
def _means(statistics: Any, means: Any) -> int:
    """Write the picture's means of ``total``, ``high`` and ``dc``, and then its ``picture_spread``."""
    rows, columns = statistics.shape[:2]
    count = np.float64(rows * columns)
    means[:] = 0.0
    for y in range(rows):
        for x in range(columns):
            means[0] += np.float64(statistics[y, x, _TOTAL])
            means[1] += np.float64(statistics[y, x, _HIGH])
            means[2] += np.float64(statistics[y, x, _DC])
    for n in range(3):
        means[n] /= count
    for y in range(rows):
        for x in range(columns):
            means[3] += np.abs(np.float64(statistics[y, x, _TOTAL]) - means[0])
    means[3] /= count
    return 0


@kernel("int64(float32[:, :, ::1], float32[:, :, ::1])")
def _neighbourhood(statistics: Any, out: Any) -> int:
    """Write the features whose names end with 3 or 5; the blocks at the edges are repeated outside."""
    rows, columns = statistics.shape[:2]
    work = np.empty(1, np.float32)
    ninth, part = np.float32(1.0 / 9.0), np.float32(1.0 / 25.0)
    for y in range(rows):
        for x in range(columns):
            total3, low3, high3 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            total5, high5, dc5 = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            least = most = statistics[y, x, _TOTAL]
            darkest = brightest = statistics[y, x, _DC]
            for dy in range(-2, 3):
                v = min(max(y + dy, 0), rows - 1)
                for dx in range(-2, 3):
                    u = min(max(x + dx, 0), columns - 1)
                    total, dc = statistics[v, u, _TOTAL], statistics[v, u, _DC]
                    total5 += total
                    high5 += statistics[v, u, _HIGH]
                    dc5 += dc
                    if abs(dy) < 2 and abs(dx) < 2:
                        total3 += total
                        low3 += statistics[v, u, _LOW]
                        high3 += statistics[v, u, _HIGH]
                        least, most = min(least, total), max(most, total)
                        darkest, brightest = min(darkest, dc), max(brightest, dc)
            for n in range(5):
                out[y, x, n] = statistics[y, x, n]
            out[y, x, 5] = total3 * ninth
            out[y, x, 6] = least
            out[y, x, 7] = most
            out[y, x, 8] = total5 * part
            out[y, x, 9] = low3 * ninth
            out[y, x, 10] = high3 * ninth
            out[y, x, 11] = high5 * part
            out[y, x, 12] = dc5 * part
            out[y, x, 13] = _log2(brightest - darkest + np.float32(1.0 / 32.0), work)
    return 0


def block_features(
    coefficients: Sequence[Field], sampling: tuple[int, int], distance: float
) -> tuple[Field, ...]:
    """Return the features of the blocks of each component.

    Parameters
    ----------
    coefficients : sequence of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Unquantised coefficients of 1 or 3 components, natural order, T.81 scaling.
    sampling : tuple of (int, int)
        Horizontal and vertical sampling factors of the luma; chroma has (1, 1).
    distance : float
        Distance of the encode, above 0.

    Returns
    -------
    tuple of ndarray of float32, shape (blocks_y, blocks_x, n)
        :data:`LUMA_FEATURES` of the luma, :data:`CHROMA_FEATURES` of Cb and Cr.
    """
    own = [_statistics_of(part) for part in coefficients]
    rows, columns = own[0].shape[:2]
    luma = np.empty((rows, columns, len(LUMA_FEATURES)), np.float32)
    _neighbourhood(own[0], luma)
    means = np.empty(4)
    _means(own[0], means)
    luma[..., _PICTURE : _PICTURE + 4] = means.astype(np.float32)
    luma[..., -1] = np.float32(log2(min(max(distance, _FINEST), _COARSEST)))
    result = [luma]
    for c in range(1, len(own)):
        mine, other = own[c], own[3 - c]
        rows, columns = mine.shape[:2]
        field = np.empty((rows, columns, len(CHROMA_FEATURES)), np.float32)
        field[..., : len(LUMA_FEATURES)] = _reduced(luma, sampling, rows, columns)
        further = (mine[..., _TOTAL], mine[..., _DC], _smooth(mine[..., _TOTAL]))
        for n, values in enumerate((*further, other[..., _TOTAL], other[..., _DC])):
            field[..., len(LUMA_FEATURES) + n] = values
        field[..., -1] = np.float32(c == 2)
        result.append(field)
    return tuple(result)


def _statistics_of(coefficients: Field) -> Field:
    out = np.empty((*coefficients.shape[:2], 5), np.float32)
    _statistics(coefficients.reshape(-1, 64), _GROUPS.copy(), out.reshape(-1, 5))
    return out


def _reduced(field: Field, sampling: tuple[int, int], rows: int, columns: int) -> Field:
    """Return for each chroma block the mean of a luma field over the luma blocks at its place.

    The field's edges are repeated where a chroma block extends beyond the luma blocks.
    """
    across, down = sampling
    padding = [
        (0, max(0, n - have)) for n, have in zip((rows * down, columns * across), field.shape, strict=False)
    ]
    whole = np.pad(field, [*padding, (0, 0)], mode="edge") if any(p[1] for p in padding) else field
    total = np.zeros((rows, columns, field.shape[2]), np.float32)
    for y in range(down):
        for x in range(across):
            total += whole[y : rows * down : down, x : columns * across : across]
    return total * np.float32(1.0 / (across * down))


def _smooth(field: Field) -> Field:
    """Return for each block the mean of a field over 3 x 3 blocks; the field's edges are repeated."""
    padded = np.pad(field, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    result: Field = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) * np.float32(1.0 / 9.0)
    return result
