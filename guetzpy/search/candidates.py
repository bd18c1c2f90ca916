"""What a picture may be encoded as, and the montage of a large one on which that is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.structure import JpegImage
from guetzpy.options import OptimizeOptions
from guetzpy.picture import Transform
from guetzpy.search.compensation import Compensation
from guetzpy.search.encoder import Encoder
from guetzpy.search.judge import Judge
from guetzpy.search.montage import Part, Sample, Tiles

__all__ = ["Candidates", "encoder_of_codes", "samplings"]

Codes = npt.NDArray[Any]

#: Tiles across and their side: of the montage of a picture on which choices are made, of that on which tables
#: are shaped or looks at a very large picture prepared, of that of the open loop, and of that of a very large
#: picture that tells the weights.
_MONTAGE, _LARGER, _SMALL, _WIDE = (4, 128), (3, 240), (4, 80), (3, 512)

#: Pixels from which on the open loop chooses on a montage, and pixels of a very large picture.
_LARGE, _VERY_LARGE = 460_800, 6_000_000


@dataclass
class Candidates:
    """A picture with the encoders that it may have.

    Attributes
    ----------
    codes : ndarray, shape (1|3, H, W)
        The reference.
    judge : Judge
        Of the whole picture.
    makers : list of callable
        Each makes one encoder.
    sample : Sample or None
        An encoder each for tiles of a large picture.
    """

    codes: Codes
    judge: Judge
    makers: list[Callable[[], Encoder]]
    sample: Sample | None = None
    _made: dict[int, Encoder] = field(default_factory=dict)

    @classmethod
    def of_pixels(cls, codes: Codes, judge: Judge, options: OptimizeOptions) -> Candidates:
        """Return what pixels may be encoded as: 4:4:4, 4:2:0, or gray."""

        def makers(codes: Codes) -> list[Callable[[], Encoder]]:
            return [
                partial(encoder_of_codes, codes, sampling, judge.transform, options.threads)
                for sampling in samplings(options, len(codes))
            ]

        sample = None
        tiles = _tiles(codes, options)
        if tiles is not None:
            small = tiles.cut_picture(codes)
            part = Judge(small, judge.transform, options.threads)
            sample = Sample(tiles, [make() for make in makers(small)], part)
        return cls(codes, judge, makers(codes), sample)

    @classmethod
    def of_jpeg(cls, image: JpegImage, codes: Codes, judge: Judge, options: OptimizeOptions) -> Candidates:
        """Return what a JPEG's own coefficients, which show as ``codes``, may be encoded as."""
        encoders = _encoders_of(image, codes, judge.transform, options)
        sample = None
        tiles = _tiles(codes, options)
        if tiles is not None:
            small = tiles.cut_picture(codes)
            cut = [tiles.cut_encoder(encoder, small) for encoder in encoders]
            part = Judge(small, judge.transform, options.threads)
            sample = Sample(tiles, [make() for make in _makers(cut, small, options)], part)
        return cls(codes, judge, _makers(encoders, codes, options), sample)

    def encoder(self, number: int) -> Encoder:
        """Return an encoder by number, always the same."""
        if number not in self._made:
            self._made[number] = self.makers[number]()
        return self._made[number]

    def finest(self) -> Encoder:
        """Return the encoder of the finest chroma among those made."""
        return min(self._made.values(), key=lambda encoder: encoder.sampling)

    def part(self, number: int) -> Part | None:
        """Return the montage with one of its encoders; None of a small picture."""
        return None if self.sample is None else self.sample.part(number)

    def wide(self, encoder: Encoder) -> Part | None:
        """Return the part of a very large picture that tells the weights; None for others."""
        tiles = Tiles.of(encoder.height, encoder.width, *_WIDE)
        if tiles is None or encoder.width * encoder.height < _VERY_LARGE:
            return None
        small = tiles.cut_picture(self.codes)
        part = Judge(small, self.judge.transform, self.judge.threads)
        return Part(tiles, tiles.cut_encoder(encoder, small), part)


def samplings(options: OptimizeOptions, planes: int) -> list[tuple[int, int]]:
    """Return the sampling factors of the luma that a picture of 1 or 3 planes may have."""
    if planes == 1 or options.subsampling == "444":
        return [(1, 1)]
    if options.subsampling == "420":
        return [(2, 2)]
    return [(1, 1), (2, 2)]


def encoder_of_codes(
    codes: Codes, sampling: tuple[int, int], transform: Transform, threads: int | None
) -> Encoder:
    """Return an encoder of pixels whose luma makes up for its chroma's error."""
    compensation = Compensation.towards(codes, transform, threads=threads) if len(codes) == 3 else None
    return Encoder.from_codes(codes, sampling, compensation, threads)


def _tiles(codes: Codes, options: OptimizeOptions) -> Tiles | None:
    _, height, width = codes.shape
    very_large = height * width >= _VERY_LARGE
    if options.effort == "fast":
        small = _MONTAGE if very_large else _SMALL
        return Tiles.of(height, width, *small) if height * width >= _LARGE else None
    larger = very_large or options.effort == "max"
    return Tiles.of(height, width, *(_LARGER if larger else _MONTAGE))


def _encoders_of(
    image: JpegImage, codes: Codes, transform: Transform, options: OptimizeOptions
) -> list[Encoder]:
    """Return encoders of a JPEG's own coefficients.

    Steps that are multiples of the source's add no noise where levels stay, new ones follow the
    eye better: both are tried.
    """
    own = [c.coefficients.astype(np.float32) * c.qtable.astype(np.float32) for c in image.components]
    luma = image.components[0]
    compensation = Compensation.towards(codes, transform, 1.0, options.threads) if len(own) == 3 else None
    tables: list[npt.NDArray[np.uint16] | None] = [c.qtable for c in image.components]
    multiples = Encoder(
        image.width,
        image.height,
        own,
        (luma.h, luma.v) if len(own) > 1 else (1, 1),
        image.colorspace,
        options.threads,
        source_tables=tables,
        compensation=compensation,
    )
    return [multiples, replace(multiples, source_tables=[None] * len(own))]


def _makers(encoders: list[Encoder], codes: Codes, options: OptimizeOptions) -> list[Callable[[], Encoder]]:
    """Return what makes the encoders that a JPEG may have: of its own sampling, and 4:2:0 if that is less."""
    kept: list[Callable[[], Encoder]] = [partial(_same, encoder) for encoder in encoders]
    finer = encoders[0].sampling != (2, 2) and len(encoders[0].coefficients) > 1
    if not finer or options.subsampling not in ("auto", "420"):
        return kept
    half = cache(partial(_halved, encoders[0], codes))
    halved: list[Callable[[], Encoder]] = [partial(_requantised, half, encoder) for encoder in encoders]
    return halved if options.subsampling == "420" else [*kept, *halved]


def _same(encoder: Encoder) -> Encoder:
    return encoder


def _halved(encoder: Encoder, codes: Codes) -> Encoder:
    """Return an encoder of a 4:4:4, 4:2:2 or 4:4:0 JPEG that makes it 4:2:0 and keeps its luma."""
    other = Encoder.from_codes(codes, (2, 2), encoder.compensation, encoder.threads)
    other.coefficients[0] = encoder.coefficients[0]
    return other


def _requantised(half: Callable[[], Encoder], encoder: Encoder) -> Encoder:
    """Return the encoder of halved chroma with the steps that another has for luma."""
    return replace(half(), source_tables=[encoder.source_tables[0], None, None])
