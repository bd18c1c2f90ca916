"""Norms of Butteraugli's map of errors, and their derivatives.

The "p-norm" of libjxl's tools is the mean of the p-, 2p- and 4p-norm of the map (``ComputeDistanceP`` in
``lib/extras/metrics.cc``). Results are usually quoted as the 3-norm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import power
from guetzpy._runtime.threads import each
from guetzpy.metrics._butteraugli.errors import power_sums
from guetzpy.metrics._butteraugli.gradient import norm_slopes

__all__ = ["Norm", "norm_and_maximum", "norm_and_slopes", "norm_of_map"]

Floats = npt.NDArray[np.float32]
Norm = float | Literal["max"]

#: Rows whose powers are summed at a time. The last digits of the score depend on this number.
_ROWS = 32


def norm_of_map(field: Floats, norm: Norm, threads: int | None) -> float:
    """Return the score of a map of errors.

    Parameters
    ----------
    field : ndarray of float32, shape (H, W)
        Map of errors.
    norm : float or "max"
        A number from 1 to 100 (see the module), or "max" or infinity for the largest value.
    threads : int or None
        Number of threads; None: the processors available.

    Raises
    ------
    ValueError
        The norm is out of range, or the map is not finite.
    """
    if norm == "max" or norm == math.inf:
        return _power_sums(field, 3.0, threads)[3]
    p = _checked(norm)
    return sum(_norms(_power_sums(field, p, threads), field.size, p)) / 3.0


def norm_and_maximum(field: Floats, threads: int | None) -> tuple[float, float]:
    """Return the 3-norm and the largest value of a map of errors."""
    sums = _power_sums(field, 3.0, threads)
    return sum(_norms(sums, field.size, 3.0)) / 3.0, sums[3]


def norm_and_slopes(
    field: Floats,
    norm: float,
    threads: int | None,
    out: Floats,
    weight: float = 1.0,
    then: Callable[[int, int], object] | None = None,
) -> float:
    """Return a norm of a map, and write its derivatives for the map's values, times ``weight``, to ``out``.

    ``out`` may be the map. The derivatives of a map of zeros are zero. ``then(start, stop)`` is called for
    each range of rows when its derivatives are written; all ranges but the last have an even number of rows.
    """
    p = _checked(norm)
    norms = _norms(_power_sums(field, p, threads), field.size, p)
    reciprocals = np.array([1.0 / value if value > 0.0 else 0.0 for value in norms])
    factor = weight / (3.0 * field.size)

    def piece(rows: tuple[int, int]) -> None:
        part, target = field[slice(*rows)], out[slice(*rows)]
        part = part.copy() if out is field else part
        norm_slopes(part, 0, len(part), p, reciprocals, factor, target)
        if then is not None:
            then(*rows)

    each(piece, _pieces(field), threads)
    return sum(norms) / 3.0


def _checked(norm: Norm) -> float:
    if isinstance(norm, str) or not 1.0 <= norm <= 100.0:
        raise ValueError(f'norm {norm!r}: expected "max" (not for gradients) or a number from 1 to 100')
    return float(norm)


def _pieces(field: Floats) -> list[tuple[int, int]]:
    return [(y, min(y + _ROWS, len(field))) for y in range(0, len(field), _ROWS)]


def _power_sums(field: Floats, p: float, threads: int | None) -> list[float]:
    """Return the sums of the powers p, 2p and 4p, and the largest value."""
    pieces = _pieces(field)
    sums = np.zeros((len(pieces), 4))

    def piece(i: int) -> None:
        power_sums(field, *pieces[i], p, np.empty((3, field.shape[1])), sums[i])

    each(piece, range(len(pieces)), threads)
    totals = [0.0, 0.0, 0.0]
    for row in sums.tolist():
        totals = [total + value for total, value in zip(totals, row, strict=False)]
    if not math.isfinite(sum(totals)):
        raise ValueError("the light of the pictures is not finite, or far beyond any display")
    return [*totals, float(sums[:, 3].max())]


def _norms(sums: list[float], count: int, p: float) -> list[float]:
    exponents = (p, 2.0 * p, 4.0 * p)
    return [
        power(value / count, 1.0 / exponent) if value > 0.0 else 0.0
        for value, exponent in zip(sums, exponents, strict=False)
    ]
