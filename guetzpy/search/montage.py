"""Tiles of a large picture as a small one, on which choices are cheap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.search.encoder import Encoder, Weights
from guetzpy.search.judge import Judge

__all__ = ["Part", "Sample", "Tiles"]


@dataclass(frozen=True)
class Tiles:
    """Where tiles lie in a picture, and in their montage.

    Attributes
    ----------
    across : int
        Tiles in a row of the montage, and rows of them.
    side : int
        Of a tile, in pixels.
    corners : tuple of (int, int)
        Top and left of each tile in the picture, multiples of 16, row by row.
    """

    across: int
    side: int
    corners: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, height: int, width: int, across: int, side: int) -> Tiles | None:
        """Return tiles spread over a picture, at places that depend on its size alone.

        Parameters
        ----------
        height, width : int
            Of the picture, in pixels.
        across : int
            Tiles in a row of the montage.
        side : int
            Of a tile, in pixels: a multiple of 16. None is returned for pictures less than twice as large as
            the montage, which are not worth the trouble.
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
        """Return the montage of a plane, or of what there is one of for each block, (rows, columns, ...).

        ``unit`` is the height and width of an entry, in pixels.
        """
        rows, columns = self.side // unit[0], self.side // unit[1]
        result = np.empty((rows * self.across, columns * self.across, *field.shape[2:]), field.dtype)
        for inside, outside in self._places(unit):
            result[inside] = field[outside]
        return result

    def paste(self, cut: npt.NDArray[Any], field: npt.NDArray[Any], unit: tuple[int, int]) -> None:
        """Write what was cut back to where it came from."""
        for inside, outside in self._places(unit):
            field[outside] = cut[inside]

    def _places(self, unit: tuple[int, int]) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        """Yield where each tile lies in the montage and in the picture, in entries of a field."""
        v, h = unit
        rows, columns = self.side // v, self.side // h
        for number, (top, left) in enumerate(self.corners):
            y, x = number // self.across * rows, number % self.across * columns
            outside = slice(top // v, top // v + rows), slice(left // h, left // h + columns)
            yield (slice(y, y + rows), slice(x, x + columns)), outside

    def cut_picture(self, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the montage of a picture, (1|3, H, W)."""
        return np.stack([self.cut(plane) for plane in codes])

    @staticmethod
    def units(encoder: Encoder) -> list[tuple[int, int]]:
        """Return the height and width in pixels of the blocks of each component."""
        h, v = encoder.sampling
        return [(8, 8), (8 * v, 8 * h), (8 * v, 8 * h)][: len(encoder.coefficients)]

    def cut_weights(self, weights: Weights, encoder: Encoder) -> Weights:
        """Return the montage's share of a picture's weights."""
        units = self.units(encoder)
        return Weights(
            [self.cut(field, unit) for field, unit in zip(weights.blocks, units, strict=True)],
            weights.bands,
            [self.cut(field, unit) for field, unit in zip(weights.shifts, units, strict=False)],
        )

    def cut_encoder(self, encoder: Encoder, codes: npt.NDArray[Any]) -> Encoder:
        """Return an encoder of the montage, with the coefficients of one of the whole.

        Parameters
        ----------
        encoder : Encoder
            Of the whole.
        codes : ndarray, shape (1|3, h, w)
            The montage of the picture.
        """
        units = self.units(encoder)
        whole = encoder.compensation
        return replace(
            encoder,
            width=codes.shape[2],
            height=codes.shape[1],
            coefficients=[self.cut(c, unit) for c, unit in zip(encoder.coefficients, units, strict=True)],
            compensation=None if whole is None else replace(whole, codes=codes),
            rates=[],
        )


@dataclass
class Part:
    """One encoder of a montage, its judge, and where the tiles lie."""

    tiles: Tiles
    encoder: Encoder
    judge: Judge


@dataclass
class Sample:
    """A montage with an encoder for each that the whole may have."""

    tiles: Tiles
    encoders: list[Encoder]
    judge: Judge

    def part(self, number: int) -> Part:
        """Return the montage with one of its encoders."""
        return Part(self.tiles, self.encoders[number], self.judge)
