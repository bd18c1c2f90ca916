"""Quantisation: the tables of T.81 Annex K, libjpeg's quality scale, and rounding to levels."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each

__all__ = [
    "CHROMINANCE",
    "LUMINANCE",
    "QualityEstimate",
    "dequantise",
    "estimate_quality",
    "libjpeg_tables",
    "quantise",
]

#: T.81 table K.1 in natural order.
LUMINANCE: npt.NDArray[np.uint16] = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61,
        12, 12, 14, 19, 26, 58, 60, 55,
        14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62,
        18, 22, 37, 56, 68, 109, 103, 77,
        24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101,
        72, 92, 95, 98, 112, 100, 103, 99,
    ],
    dtype=np.uint16,
)  # fmt: skip

#: T.81 table K.2 in natural order.
CHROMINANCE: npt.NDArray[np.uint16] = np.array(
    [
        17, 18, 24, 47, 99, 99, 99, 99,
        18, 21, 26, 66, 99, 99, 99, 99,
        24, 26, 56, 99, 99, 99, 99, 99,
        47, 66, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
    ],
    dtype=np.uint16,
)  # fmt: skip

_STRIP = 64  # block rows per task; constant, so that results do not depend on the number of threads

# Bounds of the levels that 8-bit files can code (T.81 tables F.1 and F.2). AC categories end at 10. DC
# differences end at category 11, which the difference of two DC levels in this range never exceeds.
_AC_LIMIT = 1023
_DC_LOW, _DC_HIGH = -1024, 1023


@dataclass(frozen=True)
class QualityEstimate:
    """The libjpeg quality whose tables are nearest to given tables.

    Attributes
    ----------
    quality : int
        Quality, 1..100.
    exact : bool
        Whether the tables equal those of that quality.
    """

    quality: int
    exact: bool


def libjpeg_tables(
    quality: int, *, baseline: bool = True
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Return libjpeg's luminance and chrominance tables (``jpeg_set_quality``, jcparam.c).

    Parameters
    ----------
    quality : int
        Quality, 1..100.
    baseline : bool
        Limit steps to 255, as Pillow and cjpeg do by default. Otherwise the limit is 32767.

    Returns
    -------
    tuple of two ndarrays of uint16, shape (64,)
        Steps in natural order.
    """
    if not 1 <= quality <= 100:
        raise ValueError("quality must be in 1..100")
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    highest = 255 if baseline else 32767
    luminance, chrominance = (
        np.clip((table.astype(np.int64) * percent + 50) // 100, 1, highest).astype(np.uint16)
        for table in (LUMINANCE, CHROMINANCE)
    )
    return luminance, chrominance


@functools.cache
def _all_tables() -> npt.NDArray[np.uint16]:
    """Return libjpeg's tables of all qualities: axes baseline or not, quality - 1, table, 64 steps."""
    return np.array(
        [[libjpeg_tables(q, baseline=baseline) for q in range(1, 101)] for baseline in (True, False)]
    )


def estimate_quality(qtables: Sequence[npt.NDArray[np.uint16]]) -> QualityEstimate:
    """Estimate the libjpeg quality of a file from its quantisation tables.

    Parameters
    ----------
    qtables : sequence of ndarray of uint16, shape (64,)
        Tables of the components in their order, in natural order. The first is compared with libjpeg's
        luminance table, the others with its chrominance table.

    Returns
    -------
    QualityEstimate
        The quality whose steps have the smallest mean absolute difference of logarithms. Of several such
        qualities it is the highest.
    """
    if not qtables:
        raise ValueError("no tables")
    wanted = np.stack([np.asarray(table, np.uint16) for table in qtables])
    known = _all_tables()[:, :, [0] + [1] * (len(qtables) - 1)]
    exact = (known == wanted).all(axis=(2, 3)).any(axis=0)
    if exact.any():
        return QualityEstimate(int(np.flatnonzero(exact)[-1]) + 1, True)
    distance = np.abs(np.log(known) - np.log(np.maximum(wanted, 1))).mean(axis=(2, 3)).min(axis=0)
    nearest = np.flatnonzero(distance <= distance.min() + 1e-12)[-1]
    return QualityEstimate(int(nearest) + 1, False)


@kernel("int64(float32[:, :, ::1], float32[::1], float32[::1], float32[::1], int16[:, :, ::1], int64, int64)")
def _quantise_strip(
    coefficients: npt.NDArray[np.float32],
    steps: npt.NDArray[np.float32],
    low: npt.NDArray[np.float32],
    high: npt.NDArray[np.float32],
    out: npt.NDArray[np.int16],
    first: int,
    last: int,
) -> int:
    blocks_x = coefficients.shape[1]
    for y in range(first, last):
        for x in range(blocks_x):
            source = coefficients[y, x]
            target = out[y, x]
            for k in range(64):
                value = min(max(source[k] / steps[k], low[k]), high[k])
                whole = np.float32(np.int32(value))
                # trunc(value + 0.5) would be wrong: the sum rounds the float just below 0.5 up to 1.
                rest = value - whole
                up = np.int32(1) if rest >= np.float32(0.5) else np.int32(0)
                down = np.int32(1) if rest <= np.float32(-0.5) else np.int32(0)
                target[k] = np.int16(np.int32(value) + up - down)
    return 0


def quantise(
    coefficients: npt.NDArray[np.float32], qtable: npt.NDArray[np.uint16], *, threads: int | None = None
) -> npt.NDArray[np.int16]:
    """Divide coefficients by their steps and round to the nearest integer, halves away from zero.

    Parameters
    ----------
    coefficients : ndarray of float32, shape (blocks_y, blocks_x, 64)
        Coefficients in the scaling of T.81, natural order. The result for not-a-number is undefined.
    qtable : ndarray of uint16, shape (64,)
        Steps, 1..65535, natural order.
    threads : int, optional
        Number of threads; default: the processors available.

    Returns
    -------
    ndarray of int16, shape (blocks_y, blocks_x, 64)
        Levels, clipped to what 8-bit files can code: AC to -1023..1023, DC to -1024..1023.
    """
    if coefficients.ndim != 3 or coefficients.shape[2] != 64 or coefficients.dtype != np.float32:
        raise ValueError("coefficients must be float32 of shape (blocks_y, blocks_x, 64)")
    if qtable.shape != (64,) or (np.asarray(qtable) < 1).any():
        raise ValueError("qtable must have 64 steps of at least 1")
    source = np.require(coefficients, requirements=["C", "A", "W"])
    steps = qtable.astype(np.float32)
    low = np.full(64, -_AC_LIMIT, np.float32)
    high = np.full(64, _AC_LIMIT, np.float32)
    low[0], high[0] = _DC_LOW, _DC_HIGH
    blocks_y, blocks_x = coefficients.shape[:2]
    out = np.empty((blocks_y, blocks_x, 64), np.int16)

    def strip(first: int) -> None:
        _quantise_strip(source, steps, low, high, out, first, min(first + _STRIP, blocks_y))

    each(strip, range(0, blocks_y, _STRIP), threads)
    return out


def dequantise(
    coefficients: npt.NDArray[np.int16], qtable: npt.NDArray[np.uint16]
) -> npt.NDArray[np.float32]:
    """Multiply quantised coefficients by their steps.

    Parameters
    ----------
    coefficients : ndarray of int16, shape (..., 64)
        Quantised coefficients.
    qtable : ndarray of uint16, shape (64,)
        Steps, in the same order.

    Returns
    -------
    ndarray of float32, shape (..., 64)
        Coefficients. They are exact below 2^24; those of legal files are below 2^17.
    """
    return coefficients.astype(np.float32) * qtable.astype(np.float32)
