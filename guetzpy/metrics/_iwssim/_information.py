"""Data of the reference for IW-SSIM's weights: the model of natural pictures for each neighbourhood.

A neighbourhood is the vector of 3 x 3 samples of a band and, in the three finest bands, the coarser band's
sample at the same place. Neighbourhoods are modelled as a Gaussian scale mixture, with one covariance C per
band and an energy per place, y' C^-1 y / N for a neighbourhood y of N samples (equations 18 to 20 of the
paper). Both depend on the reference alone.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.metrics._iwssim._pyramid import LINE, band_tile
from guetzpy.metrics._iwssim._tiles import PLANE, ROWS, STRIDE, load
from guetzpy.metrics.one_reference import Local
from guetzpy.picture.transform import Floats

__all__ = ["Information"]

#: Largest number of samples in a neighbourhood.
_SAMPLES = 10
#: Rows and columns of a tile whose neighbourhoods lie inside the tile.
_TALL, _WIDE = ROWS - 2, STRIDE - 2
#: Eigenvalues below this share of the trace are rounding errors; their directions are left out of the energy.
_RANK = 1e-10


class Information:
    """Covariance and energies of one band of the reference.

    Attributes
    ----------
    eigenvalues : ndarray of float32, shape (10,)
        Eigenvalues of the covariance; the last is -1 if neighbourhoods have nine samples.
    energy : ndarray of float32, shape (H, W)
        Energies of the neighbourhoods; zero at the picture's outermost samples.
    """

    def __init__(self, band: Floats, parent: Floats | None, threads: int | None) -> None:
        height, width = band.shape
        count = _SAMPLES - (parent is None)
        coarse = np.zeros((2, 2), np.float32) if parent is None else parent
        places = _places(height, coarse.shape[0]), _places(width, coarse.shape[1])
        tops, lefts = range(0, height - 2, _TALL), range(0, width - 2, _WIDE)
        sums = np.zeros((len(tops), _SAMPLES, _SAMPLES))
        self.energy = np.zeros((height, width), np.float32)
        whitening = np.zeros((_SAMPLES, _SAMPLES), np.float32)
        local = Local()

        def rows(i: int, energies: bool) -> None:
            work = local.array("work", (2 * PLANE,))
            columns = np.empty((_SAMPLES, _SAMPLES, STRIDE)) if not energies else np.empty((1, 1, STRIDE))
            for left in lefts:
                load(band, tops[i], left, work[:PLANE])
                enlarge(coarse, *places[0], *places[1], tops[i], left, work[PLANE:])
                tall, wide = min(_TALL, height - 2 - tops[i]), min(_WIDE, width - 2 - left)
                if energies:
                    out = self.energy[1 + tops[i] : 1 + tops[i] + tall]
                    add_energies(work, whitening, count, tall, wide, 1 + left, out)
                else:
                    add_products(work, count, tall, wide, columns, sums[i])

        each(lambda i: rows(i, False), range(len(tops)), threads)
        covariance = np.zeros((_SAMPLES, _SAMPLES))
        for part in sums:
            covariance += part
        values, axes = _eigen(covariance[:count, :count] / ((height - 2) * (width - 2)))
        total = sum(values.tolist())
        for k in range(count):
            if values[k] > _RANK * total:
                whitening[k, :count] = axes[:, k] / np.sqrt(values[k] * count)
        self.eigenvalues = np.full(_SAMPLES, -1, np.float32)
        self.eigenvalues[:count] = np.maximum(values, 0)
        each(lambda i: rows(i, True), range(len(tops)), threads)


def _places(length: int, coarse: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the positions of a band's samples in the coarser band: sample before, and fraction.

    As in the authors' program, the coarser band is interpolated bilinearly to 4 n - 3 samples, of which every
    second one is used. Pixel centres are at half steps. Positions beyond the ends are moved to the ends.
    """
    at = (2 * np.arange(length) - 0.5) * coarse / (4 * coarse - 3) - 0.5
    at = np.clip(at, 0, coarse - 1)
    before = np.minimum(at.astype(np.int64), coarse - 2)
    return before, (at - before).astype(np.float32)


def _eigen(matrix: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the eigenvalues of a symmetric matrix, and its eigenvectors in columns."""
    work, axes = np.ascontiguousarray(matrix), np.eye(len(matrix))
    rotate(work, axes)
    return np.diagonal(work).copy(), axes


@kernel(
    "int64(float32[:, ::1], int64[::1], float32[::1], int64[::1], float32[::1], int64, int64, float32[::1])"
)
def enlarge(
    parent: Any, rows: Any, row_parts: Any, columns: Any, column_parts: Any, top: int, left: int, tile: Any
) -> int:
    """Fill a tile with the coarser band, interpolated at the places of the finer band's samples."""
    wide = min(STRIDE, columns.shape[0] - left)
    for y in range(min(ROWS, rows.shape[0] - top)):
        a, b = parent[rows[top + y]], parent[rows[top + y] + 1]
        part = row_parts[top + y]
        out = tile[y * STRIDE : y * STRIDE + wide]
        for x in range(wide):
            k = columns[left + x]
            first = a[k] + part * (b[k] - a[k])
            second = a[k + 1] + part * (b[k + 1] - a[k + 1])
            out[x] = first + column_parts[left + x] * (second - first)
    return 0


@kernel("int64(int64)", inner=True)
def _offset(sample: int) -> int:
    """Return the index of a sample of a tile's first neighbourhood; the coarser band is in the next tile."""
    if sample == _SAMPLES - 1:
        return PLANE + STRIDE + 1
    return (sample // 3) * STRIDE + sample % 3


@kernel("int64(float32[::1], int64, int64, int64, float64[:, :, ::1], float64[:, ::1])")
def add_products(tiles: Any, count: int, tall: int, wide: int, columns: Any, sums: Any) -> int:
    """Add the products of all pairs of samples of a tile's neighbourhoods to ``sums``."""
    for i in range(count):
        for j in range(i + 1):
            total = columns[i, j]
            total[:] = 0.0
            for y in range(tall):
                a = tiles[y * STRIDE + _offset(i) : y * STRIDE + _offset(i) + wide]
                b = tiles[y * STRIDE + _offset(j) : y * STRIDE + _offset(j) + wide]
                for x in range(wide):
                    total[x] += np.float64(a[x]) * np.float64(b[x])
            found = 0.0
            for x in range(wide):
                found += total[x]
            sums[i, j] += found
            if i != j:
                sums[j, i] += found
    return 0


@kernel("int64(float32[::1], float32[:, ::1], int64, int64, int64, int64, float32[:, ::1])")
def add_energies(tiles: Any, whitening: Any, count: int, tall: int, wide: int, left: int, energy: Any) -> int:
    """Add the squares of whitened neighbourhoods to rows of energies, beginning with column ``left``."""
    scratch = np.empty(STRIDE, np.float32)
    line = scratch[:wide]
    for y in range(tall):
        out = energy[y, left : left + wide]
        for k in range(count):
            line[:] = np.float32(0.0)
            for j in range(count):
                weight = whitening[k, j]
                values = tiles[y * STRIDE + _offset(j) : y * STRIDE + _offset(j) + wide]
                for x in range(wide):
                    line[x] += weight * values[x]
            for x in range(wide):
                out[x] += line[x] * line[x]
    return 0


@kernel("int64(float64[:, ::1], float64[:, ::1])")
def rotate(matrix: Any, axes: Any) -> int:
    """Diagonalise a symmetric matrix by Jacobi rotations; ``axes`` is multiplied by all rotations."""
    n = matrix.shape[0]
    for _ in range(12):  # sweeps; convergence is quadratic, and seven sweeps are enough for ten rows
        for p in range(n - 1):
            for q in range(p + 1, n):
                value = matrix[p, q]
                if value == 0.0:
                    continue
                ratio = (matrix[q, q] - matrix[p, p]) / (2.0 * value)
                tangent = 1.0 / (abs(ratio) + np.sqrt(ratio * ratio + 1.0))
                if ratio < 0.0:
                    tangent = -tangent
                cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
                sine = tangent * cosine
                for i in range(n):
                    a, b = matrix[i, p], matrix[i, q]
                    matrix[i, p], matrix[i, q] = cosine * a - sine * b, sine * a + cosine * b
                for i in range(n):
                    a, b = matrix[p, i], matrix[q, i]
                    matrix[p, i], matrix[q, i] = cosine * a - sine * b, sine * a + cosine * b
                for i in range(n):
                    a, b = axes[i, p], axes[i, q]
                    axes[i, p], axes[i, q] = cosine * a - sine * b, sine * a + cosine * b
    return 0


@kernel("int64(float32[:, ::1], float32[:, ::1], int64, float32[::1], float32[:, ::1])")
def band_rows(fine: Any, coarse: Any, top: int, work: Any, band: Any) -> int:
    """Write ``ROWS`` rows of a band, from row ``top`` on; ``work`` is scratch for a tile and a line."""
    height, width = fine.shape
    tile = work[:PLANE]
    for left in range(0, width, STRIDE):
        band_tile(fine, coarse, top, left, work[PLANE : PLANE + LINE], tile)
        wide = min(STRIDE, width - left)
        for y in range(min(ROWS, height - top)):
            out = band[top + y, left : left + wide]
            values = tile[y * STRIDE : y * STRIDE + wide]
            for x in range(wide):
                out[x] = values[x]
    return 0


def bands_of(pyramid: list[Floats], threads: int | None) -> list[Floats]:
    """Return the bands of a pyramid without its coarsest plane."""
    local = Local()
    bands = []
    for fine, coarse in itertools.pairwise(pyramid):
        band = np.empty_like(fine)

        def rows(top: int, fine: Floats = fine, coarse: Floats = coarse, band: Floats = band) -> None:
            band_rows(fine, coarse, top, local.array("work", (PLANE + LINE,)), band)

        each(rows, range(0, fine.shape[0], ROWS), threads)
        bands.append(band)
    return bands
