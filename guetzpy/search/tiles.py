"""Sample tiles: parts of a large picture, put side by side as a small picture, which takes less time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.search.coding.overshoot import Overshoot
from guetzpy.search.coding.source import CodingSource, PlaneSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.quality.judge import Judge

__all__ = ["Part", "Sample", "Tiles"]


@dataclass(frozen=True)
class Tiles:
    """Places of sample tiles, in the picture and in the small picture that they form.

    Attributes
    ----------
    across : int
        Number of tiles in a row, and of rows of tiles.
    side : int
        Side of a tile, in pixels.
    corners : tuple of (int, int)
        Top and left of each tile in the picture, in pixels, multiples of 16, row by row.
    """

    across: int
    side: int
    corners: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, height: int, width: int, across: int, side: int) -> Tiles | None:
        """Return tiles spread evenly over a picture. Their places depend on its size alone.

        Parameters
        ----------
        height, width : int
            Size of the picture, in pixels.
        across : int
            Number of tiles in a row.
        side : int
            Side of a tile, in pixels: a multiple of 16.

        Returns
        -------
        Tiles or None
            None if the picture has less than twice the pixels of the tiles, or is too narrow for a row of
            them.
        """
        if height * width < 2 * (across * side) ** 2 or min(height, width) < side * across:
            return None
        tops, lefts = (
            [
                (length - across * side) * (2 * i + 1) // (2 * across) // 16 * 16 + i * side
                for i in range(across)
            ]
            for length in (height, width)
        )
        return cls(across, side, tuple((top, left) for top in tops for left in lefts))

    def cut(self, field: npt.NDArray[Any], unit: tuple[int, int] = (1, 1)) -> npt.NDArray[Any]:
        """Return the tiles of a plane, or of a field with one entry per block, (rows, columns, ...).

        ``unit`` is the height and width of an entry, in pixels.
        """
        rows, columns = self.side // unit[0], self.side // unit[1]
        result = np.empty((rows * self.across, columns * self.across, *field.shape[2:]), field.dtype)
        for inside, outside in self._places(unit):
            result[inside] = field[outside]
        return result

    def paste(self, cut: npt.NDArray[Any], field: npt.NDArray[Any], unit: tuple[int, int]) -> None:
        """Write tiles that :meth:`cut` returned to their places in ``field``."""
        for inside, outside in self._places(unit):
            field[outside] = cut[inside]

    def _places(self, unit: tuple[int, int]) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        """Yield the slices of each tile in the small picture and in the picture, in entries of a field."""
        v, h = unit
        rows, columns = self.side // v, self.side // h
        for number, (top, left) in enumerate(self.corners):
            y, x = number // self.across * rows, number % self.across * columns
            outside = slice(top // v, top // v + rows), slice(left // h, left // h + columns)
            yield (slice(y, y + rows), slice(x, x + columns)), outside

    def cut_picture(self, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the tiles of a picture, shape (1|3, H, W)."""
        return np.stack([self.cut(plane) for plane in codes])

    @staticmethod
    def units(source: CodingSource) -> list[tuple[int, int]]:
        """Return the height and width in pixels of the blocks of each component."""
        h, v = source.sampling
        return [(8, 8), (8 * v, 8 * h), (8 * v, 8 * h)][: source.components]

    def cut_weights(self, weights: Weights, source: CodingSource) -> Weights:
        """Return a picture's weights at the tiles."""
        units = self.units(source)
        return Weights(
            tuple(self.cut(field, unit) for field, unit in zip(weights.blocks, units, strict=True)),
            weights.bands,
            tuple(self.cut(field, unit) for field, unit in zip(weights.shifts, units, strict=False)),
        )

    def cut_source(self, source: PlaneSource, codes: npt.NDArray[Any]) -> PlaneSource:
        """Return the source of the tiles. Its coefficients are those of the whole picture's source.

        Parameters
        ----------
        source : PlaneSource
            Source of the whole picture.
        codes : ndarray, shape (1|3, h, w)
            Codes of the tiles, from :meth:`cut_picture`.
        """
        units = self.units(source)
        whole = source.compensation
        return replace(
            source,
            width=codes.shape[2],
            height=codes.shape[1],
            coefficients=tuple(self.cut(c, unit) for c, unit in zip(source.coefficients, units, strict=True)),
            compensation=None if whole is None else replace(whole, codes=codes),
            overshoot=None if source.overshoot is None else Overshoot.of(codes),
        )


@dataclass(frozen=True, eq=False)
class Part:
    """One candidate on sample tiles: the tiles' places, their source, and the judge of their scores."""

    tiles: Tiles
    source: PlaneSource
    judge: Judge


@dataclass(frozen=True, eq=False)
class Sample:
    """Sample tiles with a source for each candidate of the whole picture.

    ``tiles`` is None for a narrow picture, whose sample is one contiguous part.
    """

    tiles: Tiles | None
    sources: tuple[PlaneSource, ...]
    judge: Judge

    def part(self, number: int) -> Part:
        """Return the tiles with the source of one candidate."""
        assert self.tiles is not None
        return Part(self.tiles, self.sources[number], self.judge)
