"""Sources of coding: a picture's unquantised coefficients, which are kept or computed strip by strip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg import pixels
from guetzpy.jpeg.structure import Component, JpegImage
from guetzpy.search.coding import rate, trellis
from guetzpy.search.coding.compensation import Compensation
from guetzpy.search.coding.overshoot import Overshoot
from guetzpy.search.coding.weights import Weights

__all__ = [
    "BANDS",
    "CodingSource",
    "PlaneSource",
    "Quantised",
    "Quantiser",
    "StripSource",
    "dithered",
    "first_levels",
    "image_of",
]

Levels: TypeAlias = npt.NDArray[np.int16]
Coefficients: TypeAlias = npt.NDArray[np.float32]
Tables: TypeAlias = tuple[npt.NDArray[np.uint16], ...]
Rates: TypeAlias = tuple[trellis.Rate, ...]

#: Bands for which costs of symbols are counted, by first and last zigzag index: one band of all AC
#: coefficients.
BANDS = np.array([[1, 63]], np.int64)

#: Approximate number of blocks from which the first costs of symbols are estimated.
_FIRST_BLOCKS = 8192

#: Rows above and below a strip that are read when chroma is up-sampled and down-sampled.
_MARGIN = 16


class Quantiser(NamedTuple):
    """Parameters by which all components are quantised.

    Attributes
    ----------
    tables : tuple of ndarray of uint16, shape (64,)
        Steps, natural order.
    lagrangians : tuple of float
        Lagrange multiplier of each component: squared error, in squared steps, per bit.
    rates : tuple of Rate
        Costs of symbols; empty: they are estimated from rounded coefficients.
    bias : tuple of (float, float, float)
        Codes added to all luma, Cb and Cr.
    compensation : float
        Share of the chroma's error in luminance that the luma compensates, 0 to 1.
    dither : tuple of (float, float)
        Width of the thresholds for the DC of luma and of chroma; see :func:`dithered`.
    """

    tables: Tables
    lagrangians: tuple[float, ...]
    rates: Rates = ()
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)
    compensation: float = 0.0
    dither: tuple[float, float] = (0.0, 0.0)


class Quantised(NamedTuple):
    """Levels of all components, and the coefficients that they approximate.

    Attributes
    ----------
    levels : tuple of ndarray of int16, shape (blocks_y, blocks_x, 64)
        Quantised coefficients, natural order.
    targets : tuple of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Unquantised coefficients after compensation, without the weights' shifts; empty for strips.
    """

    levels: tuple[Levels, ...]
    targets: tuple[Coefficients, ...]


class CodingSource(Protocol):
    """A picture at one chroma sampling. It is immutable.

    Attributes
    ----------
    width, height : int
        Size in pixels.
    sampling : tuple of (int, int)
        Sampling factors of the luma; chroma has (1, 1).
    components : int
        1, 3, or 4 for inks.
    threads : int or None
        Number of threads; None: the processors available. Results do not depend on it.
    """

    @property
    def width(self) -> int:
        """Width in pixels."""

    @property
    def height(self) -> int:
        """Height in pixels."""

    @property
    def sampling(self) -> tuple[int, int]:
        """Sampling factors of the luma."""

    @property
    def components(self) -> int:
        """Number of components."""

    @property
    def threads(self) -> int | None:
        """Threads to use."""

    def quantise(self, quantiser: Quantiser, weights: Weights) -> Quantised:
        """Quantise all components under tables, a Lagrange multiplier, weights and costs of symbols."""

    def flat_weights(self) -> Weights:
        """Return weights of 1."""

    def ratio(self, component: int) -> tuple[int, int]:
        """Return the ratio of the picture's width and height to those of a component."""

    def image(self, tables: Tables, levels: tuple[Levels, ...]) -> JpegImage:
        """Return quantised coefficients as a JpegImage without metadata."""

    def samples(self, image: JpegImage) -> npt.NDArray[np.uint8]:
        """Return the samples that libjpeg-turbo decodes such a JPEG to."""

    def shown(self, samples: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the codes that are scored, uint8 (1|3, H, W), from such samples."""


def dithered(targets: Coefficients, width: float) -> Coefficients:
    """Round the DC coefficients to whole codes, by thresholds that keep the mean of the picture.

    Parameters
    ----------
    targets : ndarray of float32, shape (blocks_y, blocks_x, 64)
        T.81 scaling: a code is 8 units of DC.
    width : float
        0 to 1: thresholds lie between ``0.5 - width / 2`` and ``0.5 + width / 2``. They are a sequence of low
        discrepancy over the blocks (Roberts 2018, R2): few neighbouring blocks round to the same side.
    """
    rows, columns = np.ogrid[: targets.shape[0], : targets.shape[1]]
    thresholds = 0.5 + width * ((0.7548776662 * columns + 0.5698402910 * rows) % 1.0 - 0.5)
    result = targets.copy()
    result[..., 0] = 8.0 * np.floor(targets[..., 0] / 8.0 + thresholds)
    return result


def image_of(source: CodingSource, tables: Tables, levels: tuple[Levels, ...]) -> JpegImage:
    """Return quantised coefficients of gray or YCbCr as a JpegImage without metadata."""
    components = [
        Component(
            i + 1, source.sampling[0] if i == 0 else 1, source.sampling[1] if i == 0 else 1, table, part
        )
        for i, (table, part) in enumerate(zip(tables, levels, strict=True))
    ]
    colorspace = "gray" if source.components == 1 else "ycbcr"
    return JpegImage(source.width, source.height, components, colorspace, segments=[])


class _GrayOrYCbCr:
    """The methods that all sources of one or three components share."""

    def ratio(self: CodingSource, component: int) -> tuple[int, int]:
        """Return the ratio of the picture's width and height to those of a component."""
        return self.sampling if component else (1, 1)

    def image(self: CodingSource, tables: Tables, levels: tuple[Levels, ...]) -> JpegImage:
        """Return quantised coefficients as a JpegImage without metadata."""
        return image_of(self, tables, levels)

    def samples(self: CodingSource, image: JpegImage) -> npt.NDArray[np.uint8]:
        """Return the codes that libjpeg-turbo decodes a JPEG to, uint8 (1|3, H, W)."""
        return pixels.decode_planes(image, threads=self.threads)

    def shown(self, samples: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the codes that are scored, which are the samples."""
        return samples


@dataclass(frozen=True, eq=False)
class PlaneSource(_GrayOrYCbCr):
    """A picture whose coefficients are kept.

    Attributes
    ----------
    width, height, sampling, threads
        See :class:`CodingSource`.
    coefficients : tuple of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Unquantised coefficients, natural order, T.81 scaling.
    compensation : Compensation, optional
        Change of the luma that compensates for the error of the chroma.
    overshoot : Overshoot, optional
        Samples of the luma that may be above white or below black.
    """

    width: int
    height: int
    coefficients: tuple[Coefficients, ...]
    sampling: tuple[int, int] = (1, 1)
    threads: int | None = None
    compensation: Compensation | None = field(default=None, repr=False)
    overshoot: Overshoot | None = field(default=None, repr=False)

    @classmethod
    def from_codes(
        cls,
        codes: npt.NDArray[Any],
        sampling: tuple[int, int],
        compensation: Compensation | None = None,
        threads: int | None = None,
    ) -> PlaneSource:
        """Transform RGB or gray codes, (1|3, H, W): uint8, uint16, or float32 on the scale of 0 to 255."""
        coefficients = pixels.forward(codes, sampling, downsampler="fitted", threads=threads)
        size = codes.shape[2], codes.shape[1]
        return cls(*size, tuple(coefficients), sampling, threads, compensation, Overshoot.of(codes))

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.coefficients)

    def flat_weights(self) -> Weights:
        """Return weights of 1."""
        return Weights.flat([(c.shape[0], c.shape[1]) for c in self.coefficients])

    def quantise(self, quantiser: Quantiser, weights: Weights) -> Quantised:
        """Quantise all components; see :class:`CodingSource`."""
        count, tables, rates = self.components, quantiser.tables, quantiser.rates
        if not rates:
            rates = tuple(
                rate.measure(first_levels(c, q), BANDS, self.threads)
                for c, q in zip(self.coefficients, tables, strict=True)
            )
        levels: list[Levels] = [np.empty(0, np.int16)] * count
        targets = list(self.coefficients)
        # Chroma is quantised first, because the luma compensates for its error.
        for c in [*range(1, count), 0]:
            if c == 0 and count == 3 and self.compensation is not None:
                luma = np.broadcast_to(np.zeros(64, np.int16), self.coefficients[0].shape)
                chroma = image_of(self, tables, (luma, *levels[1:]))
                targets[0] = self.compensation.change(chroma, quantiser.compensation)
                targets[0] += self.coefficients[0]
            if quantiser.bias[c]:
                targets[c] = targets[c].copy()
                targets[c][..., 0] += np.float32(8.0 * quantiser.bias[c])
            quantised = partial(
                trellis.quantise, qtable=tables[c], rate=rates[c], lagrangian=quantiser.lagrangians[c],
                band_weights=weights.bands[c], threads=self.threads,
            )  # fmt: skip
            blocks, shifts = weights.blocks[c], weights.shifts[c] if weights.shifts else None
            if c == 0 and self.overshoot is not None:
                targets[c] = self.overshoot.move(targets[c], tables[c], blocks, shifts, quantised)
            width = quantiser.dither[c > 0]
            wanted = dithered(targets[c], width) if width else targets[c]
            levels[c] = quantised(wanted, weights=blocks, shifts=shifts)
        return Quantised(tuple(levels), tuple(targets))


def first_levels(coefficients: Coefficients, table: npt.NDArray[np.uint16]) -> Levels:
    """Return approximate levels of evenly spaced rows of blocks, for the first costs of symbols."""
    every = -(-coefficients.shape[0] * coefficients.shape[1] // _FIRST_BLOCKS)
    scaled = coefficients[every // 2 :: every] / table.astype(np.float32)
    # The trellis is approximated by a dead zone of 0.6 steps.
    return np.where(np.abs(scaled) < np.float32(0.6), 0, np.rint(scaled)).astype(np.int16)


@dataclass(frozen=True, eq=False)
class StripSource(_GrayOrYCbCr):
    """A picture whose coefficients are computed strip by strip, each time that it is quantised.

    Attributes
    ----------
    codes : ndarray, shape (1|3, H, W)
        The picture. Kept.
    make : callable
        Makes the source of a strip of codes at a sampling.
    sampling : tuple of (int, int)
        Sampling factors of the luma.
    rows : int
        Rows of a strip: whole MCUs, so that blocks of strips are blocks of the picture.
    threads : int or None
        Threads to use.
    """

    codes: npt.NDArray[Any]
    make: Callable[[npt.NDArray[Any], tuple[int, int]], PlaneSource]
    sampling: tuple[int, int]
    rows: int
    threads: int | None = None

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.codes.shape[2])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.codes.shape[1])

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.codes)

    def flat_weights(self) -> Weights:
        """Return empty weights, which mean weights of 1 in a search by strips."""
        return Weights((), ())

    def quantise(self, quantiser: Quantiser, weights: Weights) -> Quantised:
        """Quantise all components strip by strip. ``weights`` are ignored; all weights are 1."""
        units = [(8, 8)] + [(8 * self.sampling[1], 8 * self.sampling[0])] * (self.components - 1)
        levels = [np.empty((-(-self.height // v), -(-self.width // h), 64), np.int16) for v, h in units]
        for first in range(0, self.height, self.rows):
            last = min(first + self.rows, self.height)
            top, bottom = max(0, first - _MARGIN), min(self.height, last + _MARGIN)
            part = self.make(self.codes[:, top:bottom], self.sampling)
            strip = part.quantise(quantiser, part.flat_weights())
            for whole, inner, (v, _) in zip(levels, strip.levels, units, strict=True):
                begin, end = first // v, -(-last // v)
                whole[begin:end] = inner[begin - top // v : end - top // v]
        return Quantised(tuple(levels), ())
