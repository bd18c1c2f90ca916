"""Maps of errors and derivatives at full and at half size, combined in both directions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.metrics._butteraugli.errors import FULL_WEIGHT, HALF_WEIGHT, add_doubled_rows
from guetzpy.metrics._butteraugli.norm import norm_and_slopes
from guetzpy.metrics._butteraugli.scale import strips
from guetzpy.metrics._butteraugli.windows import Light

__all__ = ["double_odd_edges", "finish_rows", "merge", "norm_and_map_slopes"]

Floats = npt.NDArray[np.float32]


def merge(half: Floats, full: Floats, threads: int | None, out: Floats) -> None:
    """Add the map at half size to the map at full size, each with its weight; ``out`` may be ``full``."""

    def strip(rows: tuple[int, int]) -> None:
        if out is not full:
            out[slice(*rows)] = full[slice(*rows)]
        add_doubled_rows(half, *rows, HALF_WEIGHT, FULL_WEIGHT, out)

    each(strip, strips(0, *full.shape), threads)


def double_odd_edges(half: Floats, height: int, width: int) -> None:
    """Double the last row and column of odd sizes, which ``halve_rows`` averaged with themselves."""
    if height % 2 == 1:
        half[:, -1] *= np.float32(2.0)
    if width % 2 == 1:
        half[:, :, -1] *= np.float32(2.0)


def finish_rows(half: Floats, gradient: Floats, start: int, stop: int, first: int, light: Light) -> None:
    """Add derivatives through the picture of half size, and convert derivatives for light to those for codes.

    The first row of ``gradient`` is the even row ``first`` of the picture. Adding is the adjoint of
    ``halve_rows``.
    """
    for source, out in zip(half, gradient, strict=True):
        add_doubled_rows(source, start, stop, np.float32(0.25), np.float32(1.0), out)
    part = gradient[:, start:stop]
    by_codes = light.pull_back(part, first + start)
    if by_codes is not part:
        part[: light.planes] = by_codes


def norm_and_map_slopes(field: Floats, norm: float, threads: int | None, full: Floats, half: Floats) -> float:
    """Return a norm of a map, and write its derivatives with respect to the maps at full and at half size.

    ``full`` may be the map itself.
    """

    def part(start: int, stop: int) -> None:
        pairs = _sum_pairs(full[start:stop])
        np.multiply(HALF_WEIGHT / FULL_WEIGHT, pairs, out=half[start // 2 : (stop + 1) // 2])

    return norm_and_slopes(field, norm, threads, full, float(FULL_WEIGHT), part)


def _sum_pairs(plane: Floats) -> Floats:
    """Return the sums of 2 x 2 samples: the adjoint of repeating each sample."""
    rows = plane[0::2].copy()
    rows[: len(plane) // 2] += plane[1::2]
    out = rows[:, 0::2].copy()
    out[:, : plane.shape[1] // 2] += rows[:, 1::2]
    return out
