"""Coding of JPEG files in CMYK and YCCK: their own coefficients, with coarser steps.

Components and sampling factors stay those of the file, so that the inks keep their separation. The metrics
compare pictures in sRGB, to which the inks are converted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import power
from guetzpy.jpeg import pixels
from guetzpy.jpeg.quantization import dequantise
from guetzpy.jpeg.structure import JpegImage
from guetzpy.picture.inks import HIDDEN_BY_PROFILE, InkConversion, ink_conversion
from guetzpy.search.coding import rate, trellis
from guetzpy.search.coding.source import BANDS, Quantised, Quantiser, first_levels
from guetzpy.search.coding.tables import KeptSteps, Shape, TableFamily
from guetzpy.search.coding.weights import Weights

__all__ = ["CHROMA_WEIGHT", "EXPONENT", "Effect", "InkSource", "InkTables"]

Tables = tuple[npt.NDArray[np.uint16], ...]

#: The component of YCbCr whose tables each component gets: 0 for luma, 1 and 2 for Cb and Cr.
_ROLES = {"cmyk": (0, 0, 0, 0), "ycck": (0, 1, 2, 0)}

#: Change of the samples of cyan, magenta, yellow and black, if a component grows by 1. For YCCK this is the
#: conversion to RGB of T.871 clause 7 with the opposite sign, since libjpeg-turbo decodes YCCK to 255 - RGB.
_CHANGES = {
    "cmyk": np.eye(4),
    "ycck": np.array([[-1, -1, -1, 0], [0, 0.344136, -1.772, 0], [-1.402, 0.714136, 0, 0], [0, 0, 0, 1]]),
}

#: Weight of squared changes of Cb and Cr against those of luma, and the exponent of the ratio of distances.
#: bench/inks.py measures them: with the exponents 0.8, 1.0, 1.2 and 1.5, files at equal score are 22, 26, 29
#: and 31 % smaller than with equal tables for all inks without a profile, and 15, 16, 18 and 18 % with that
#: of Ghostscript (four photographs). Larger exponents give yellow over five times the steps of magenta, and
#: the metrics see the picture, not the inks that a press prints.
CHROMA_WEIGHT, EXPONENT = 0.06, 1.2

#: Change of a component by which its effect is measured, and about the number of pixels of the sample.
_CHANGE, _SAMPLE = 8, 1 << 14

#: Smallest mean squared effect that counts, and largest ratio of two factors: inks that are covered by black
#: in the sample may be seen at other places.
_LEAST_SEEN, _LARGEST_RATIO = 1e-4, 8.0

#: A profile is trusted if each component changes at least this share of the pixels that it changes as Pillow
#: shows it. The share is 1.0 by the profile that an SWOP separation was made for, and 0.19 to 1 by another
#: (Ghostscript's ps_cmyk.icc; five photographs). It is 0.02 by one that shows the same gray for all inks.
_TRUSTED = 0.1


class Effect(NamedTuple):
    """How much the picture shown changes with a component.

    Attributes
    ----------
    luma, chroma : float
        Mean squared changes of luma, and of Cb and Cr together, in codes, if the component changes by 1.
    share : float
        Share of the pixels that change.
    """

    luma: float
    chroma: float
    share: float


@dataclass(frozen=True, eq=False)
class InkSource:
    """A JPEG of four components, whose coefficients are kept; see :class:`CodingSource`.

    Attributes
    ----------
    own : JpegImage
        The file in CMYK or YCCK.
    conversion : InkConversion
        From its samples to the codes that are scored.
    threads : int or None
        Number of threads; None: the processors available.
    """

    own: JpegImage
    conversion: InkConversion
    threads: int | None = None

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.own.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.own.height

    @property
    def sampling(self) -> tuple[int, int]:
        """Ratio of the picture's size to that of Cb and Cr; (1, 1) for CMYK."""
        return self.ratio(1) if self.own.colorspace == "ycck" else (1, 1)

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.own.components)

    def ratio(self, component: int) -> tuple[int, int]:
        """Return the ratio of the picture's width and height to those of a component."""
        part = self.own.components[component]
        return self.own.h_max // part.h, self.own.v_max // part.v

    def effects(self) -> list[Effect]:
        """Return how much the picture shown changes with each component.

        The effect of an ink depends on the profile and on the other inks: yellow hardly changes lightness,
        and no ink does where black covers it. All sums are of integers, so that the effects are the same on
        every processor.
        """
        samples = self.samples(self.own)
        every = max(1, math.isqrt(self.width * self.height // _SAMPLE))
        some = samples[:, ::every, ::every].astype(np.float64)
        result = []
        for change in _CHANGES[self.own.colorspace]:
            more, less = (
                self.shown(np.rint(np.clip(some + by * change[:, None, None], 0, 255)).astype(np.uint8))
                for by in (_CHANGE, -_CHANGE)
            )
            red, green, blue = more.astype(np.int64) - less
            # Whole thousandths of a code: luma, Cb times 1.772 and Cr times 1.402 (T.871 clause 7).
            luma = 299 * red + 587 * green + 114 * blue
            sums = [int(np.sum(part * part)) for part in (luma, 1000 * blue - luma, 1000 * red - luma)]
            chroma = sums[1] / (1.772 * 1.772) + sums[2] / (1.402 * 1.402)
            unit = luma.size * (2000 * _CHANGE) ** 2
            share = int(np.count_nonzero(red | green | blue)) / luma.size
            result.append(Effect(sums[0] / unit, chroma / unit, share))
        return result

    def factors(self, chroma_weight: float = CHROMA_WEIGHT, exponent: float = EXPONENT) -> tuple[float, ...]:
        """Return factors on the distance of each component's tables, from its effect on the picture shown.

        The factor is 1 if a change of the component changes the picture shown as much as the same change of
        the YCbCr component whose tables it gets. It is larger if the picture shown changes less.

        Parameters
        ----------
        chroma_weight : float
            Weight of squared changes of Cb and Cr against those of luma.
        exponent : float
            Exponent of the ratio of the usual effect to that of the component.
        """
        result = []
        for effect, role in zip(self.effects(), _ROLES[self.own.colorspace], strict=True):
            usual, seen = chroma_weight if role else 1.0, effect.luma + chroma_weight * effect.chroma
            result.append(power(usual / max(seen, _LEAST_SEEN), 0.5 * exponent))
        return tuple(min(factor, _LARGEST_RATIO * min(result)) for factor in result)

    def trusted(self) -> InkSource:
        """Return the source with Pillow's conversion if the profile hardly shows one of the inks.

        A damaged profile, for example one whose table is all zeros, would hide any error of the inks.
        """
        if self.conversion.transform is None:
            return self
        usual = replace(self, conversion=ink_conversion(None, self.threads))
        for own, wanted in zip(self.effects(), usual.effects(), strict=True):
            if own.share < _TRUSTED * wanted.share:
                return replace(usual, conversion=replace(usual.conversion, note=HIDDEN_BY_PROFILE))
        return self

    def flat_weights(self) -> Weights:
        """Return weights of 1."""
        shapes = [part.coefficients.shape for part in self.own.components]
        return Weights.flat([(shape[0], shape[1]) for shape in shapes])

    def quantise(self, quantiser: Quantiser, weights: Weights) -> Quantised:
        """Quantise all components by the trellis. Bias, compensation, dither and shifts are not used."""
        levels = []
        for number, (part, table) in enumerate(zip(self.own.components, quantiser.tables, strict=True)):
            coefficients = dequantise(part.coefficients, part.qtable)
            if quantiser.rates:
                costs = quantiser.rates[number]
            else:
                costs = rate.measure(first_levels(coefficients, table), BANDS, self.threads)
            levels.append(
                trellis.quantise(
                    coefficients, table, costs, quantiser.lagrangians[number],
                    weights=weights.blocks[number], band_weights=weights.bands[number], threads=self.threads,
                )
            )  # fmt: skip
        return Quantised(tuple(levels), ())

    def image(self, tables: Tables, levels: tuple[npt.NDArray[np.int16], ...]) -> JpegImage:
        """Return quantised coefficients as a JpegImage without metadata."""
        components = [
            replace(part, qtable=table, coefficients=level)
            for part, table, level in zip(self.own.components, tables, levels, strict=True)
        ]
        return JpegImage(self.width, self.height, components, self.own.colorspace)

    def samples(self, image: JpegImage) -> npt.NDArray[np.uint8]:
        """Return the samples of inks that libjpeg-turbo decodes a JPEG to, uint8 (4, H, W)."""
        return pixels.decode_inks(image, threads=self.threads)

    def shown(self, samples: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the codes of sRGB that samples are shown as, uint8 (3, H, W)."""
        return self.conversion.to_srgb(samples)


@dataclass(frozen=True, eq=False)
class InkTables(TableFamily):
    """Tables of four components, from families of YCbCr.

    Attributes
    ----------
    families : tuple of TableFamily
        For each component, the family that its tables are taken from.
    roles : tuple of int
        For each component, whose tables of the family it gets: 0 for luma, 1 and 2 for Cb and Cr.
    factors : tuple of float
        For each component, the factor on the distance of its tables.
    """

    families: tuple[TableFamily, ...]
    roles: tuple[int, ...]
    factors: tuple[float, ...]

    @classmethod
    def competing(
        cls, source: InkSource, families: Sequence[TableFamily], factors: tuple[float, ...]
    ) -> list[InkTables]:
        """Return the tables of each family, first with the file's own steps kept, then as they are."""
        components, roles = source.own.components, _ROLES[source.own.colorspace]
        chosen: list[tuple[TableFamily, ...]] = []
        for family in families:
            chosen.append(tuple(KeptSteps((part.qtable,) * 3, family) for part in components))
            chosen.append((family,) * len(components))
        return [cls(each, roles, factors) for each in chosen]

    def tables(
        self, distance: float, components: int, subsampled: bool, shape: Shape, dc_limit: float
    ) -> Tables:
        """Return the tables; see :class:`~guetzpy.search.coding.tables.TableFamily`."""
        return self._chosen(
            [
                family.tables(distance * factor, 3, subsampled, shape, dc_limit)
                for family, factor in zip(self.families, self.factors, strict=True)
            ]
        )

    def finest(self, components: int) -> Tables:
        """Return the tables with the smallest steps that the families allow."""
        return self._chosen([family.finest(3) for family in self.families])

    def multiplier(self, distance: float, component: int, subsampled: bool) -> float:
        """Return the factor by which a component's Lagrange multiplier differs from the usual one."""
        return self.families[component].multiplier(
            distance * self.factors[component], self.roles[component], subsampled
        )

    def _chosen(self, found: Sequence[Tables]) -> Tables:
        return tuple(tables[role].copy() for tables, role in zip(found, self.roles, strict=True))
