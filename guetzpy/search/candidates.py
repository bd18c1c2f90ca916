"""Candidates of a picture: sources of several samplings, each with a family of tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.structure import JpegImage
from guetzpy.model.file import Model, built_in
from guetzpy.options import OptimizeOptions
from guetzpy.picture.transform import Transform
from guetzpy.search.coding import flat_colours
from guetzpy.search.coding.compensation import Compensation
from guetzpy.search.coding.learnt import families_of
from guetzpy.search.coding.overshoot import Overshoot
from guetzpy.search.coding.source import CodingSource, PlaneSource, StripSource
from guetzpy.search.coding.tables import Table, TableFamily, beside_own
from guetzpy.search.plan import Plan, TileLayout
from guetzpy.search.quality.judge import Judge
from guetzpy.search.tiles import Part, Sample, Tiles

__all__ = ["Candidate", "Candidates", "model_of", "samplings", "source_of_codes"]

#: Largest number of pixels of a picture that is searched again with other targets for flat colours. The
#: second search takes up to 30 bytes per pixel more than the first one. The planned memory of larger pictures
#: does not contain this.
_AIMED = 2_700_000

Codes: TypeAlias = npt.NDArray[Any]
Maker: TypeAlias = Callable[[], PlaneSource]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A table family, and a function that makes a source at its first call and returns it at all calls."""

    make: Callable[[], CodingSource]
    family: TableFamily


@dataclass(frozen=True, eq=False)
class Candidates:
    """A picture with its candidates.

    Attributes
    ----------
    codes : ndarray, shape (1|3, H, W)
        The reference.
    judge : Judge
        Judge of the whole picture.
    plan : Plan
        Plan of the search.
    entries : tuple of Candidate
        The finest chroma sampling first.
    sample : Sample or None
        Sample tiles with a source for each candidate.
    model : Model
        Fitted parameters.
    aimed : callable
        Returns the candidates of the same picture with other targets for its flat colours
        (:mod:`guetzpy.search.coding.flat_colours`). None: no target would change, or the picture is a JPEG,
        gray, not of 8 bits, or too large.
    """

    codes: Codes
    judge: Judge
    plan: Plan
    entries: tuple[Candidate, ...]
    sample: Sample | None = None
    model: Model = field(default_factory=built_in)
    aimed: Callable[[], Candidates | None] = lambda: None

    @classmethod
    def of_pixels(
        cls, codes: Codes, judge: Judge, plan: Plan, options: OptimizeOptions, aims: Codes | None = None
    ) -> Candidates:
        """Return the candidates of pixels: 4:4:4 and 4:2:0, or gray.

        If ``aims``, float32 of the shape of ``codes``, is given, it is encoded instead of ``codes``; scores
        are still against ``codes``.
        """
        allowed, model = samplings(options, len(codes)), model_of(options)
        families = families_of(model)
        aimed_at = codes if aims is None else aims

        def make(part: Codes, sampling: tuple[int, int]) -> PlaneSource:
            return source_of_codes(part, sampling, judge.transform, judge.threads)

        def whole(sampling: tuple[int, int]) -> CodingSource:
            if plan.bounded:
                return StripSource(codes, make, sampling, plan.strip_rows, judge.threads)
            return make(aimed_at, sampling)

        def with_aims() -> Candidates | None:
            small = codes.shape[1] * codes.shape[2] <= _AIMED
            if aims is not None or not small or plan.bounded or len(codes) != 3 or codes.dtype != np.uint8:
                return None
            other = flat_colours.aims(codes, judge.transform)
            if other is None:
                return None
            for maker in makers:
                maker.cache_clear()  # the second search takes the memory of the first one's sources
            return cls.of_pixels(codes, judge, plan, options, other)

        makers = [cache(partial(whole, sampling)) for sampling in allowed]
        entries = tuple(Candidate(maker, family) for maker in makers for family in families)
        sample = None
        tiles = _tiles(codes, plan.choice_tiles)
        small = tiles.cut_picture(codes) if tiles is not None else _middle(codes, plan)
        if small is not None:
            part = small if tiles is None else tiles.cut_picture(aimed_at)
            sources = tuple(make(part, sampling) for sampling in allowed for _ in families)
            sample = Sample(tiles, sources, _judge_of_tiles(small, judge, plan))
        return cls(codes, judge, plan, entries, sample, model, with_aims)

    @classmethod
    def of_jpeg(
        cls, image: JpegImage, codes: Codes, judge: Judge, plan: Plan, options: OptimizeOptions
    ) -> Candidates:
        """Return the candidates of a JPEG's own coefficients, which decode to ``codes``."""
        own, model = _source_of_jpeg(image, codes, judge), model_of(options)
        tables = [component.qtable for component in image.components]
        whole = _sources_of(own, tables, codes, options)
        usual = families_of(model)
        pairs = [(n, family) for n, (_, steps) in enumerate(whole) for family in beside_own(steps, usual)]
        entries = tuple(Candidate(whole[n][0], family) for n, family in pairs)
        sample = None
        tiles = _tiles(codes, plan.choice_tiles)
        if tiles is not None:
            small = tiles.cut_picture(codes)
            made = [make() for make, _ in _sources_of(tiles.cut_source(own, small), tables, small, options)]
            sample = Sample(tiles, tuple(made[n] for n, _ in pairs), _judge_of_tiles(small, judge, plan))
        return cls(codes, judge, plan, entries, sample, model)

    def source(self, number: int) -> Any:
        """Return the source of a candidate; further calls return the same object."""
        return self.entries[number].make()

    def part(self, number: int) -> Part | None:
        """Return the sample tiles with one of the candidates; None where there are none."""
        return None if self.sample is None else self.sample.part(number)

    def weight_part(self, source: CodingSource) -> Part | None:
        """Return the tiles from which the weights of a very large picture are made; None for others."""
        tiles = _tiles(self.codes, self.plan.weight_tiles)
        if tiles is None or not isinstance(source, PlaneSource):
            return None
        small = tiles.cut_picture(self.codes)
        return Part(tiles, tiles.cut_source(source, small), _judge_of_tiles(small, self.judge, self.plan))


def model_of(options: OptimizeOptions) -> Model:
    """Return the model that the options name, or the built-in one."""
    given: Model | None = options.model  # type: ignore[assignment]
    return built_in() if given is None else given


def samplings(options: OptimizeOptions, planes: int) -> list[tuple[int, int]]:
    """Return the sampling factors of the luma that a picture of 1 or 3 planes may have."""
    if planes == 1 or options.subsampling == "444":
        return [(1, 1)]
    if options.subsampling == "420":
        return [(2, 2)]
    return [(1, 1), (2, 2)]


def source_of_codes(
    codes: Codes, sampling: tuple[int, int], transform: Transform, threads: int | None
) -> PlaneSource:
    """Return a source of pixels whose luma compensates for the error of its chroma."""
    compensation = Compensation.towards(codes, transform, threads=threads) if len(codes) == 3 else None
    return PlaneSource.from_codes(codes, sampling, compensation, threads)


def _tiles(codes: Codes, layout: TileLayout | None) -> Tiles | None:
    _, height, width = codes.shape
    return None if layout is None else Tiles.of(height, width, layout.across, layout.side)


def _middle(codes: Codes, plan: Plan) -> Codes | None:
    """Return the middle part of a narrow picture, which a bounded search samples instead of tiles; else None.

    The part depends only on the size of the picture.
    """
    if not plan.bounded or plan.choice_tiles is None:
        return None
    _, height, width = codes.shape
    side = plan.choice_tiles.across * plan.choice_tiles.side
    narrow = min(height, width, side)
    length = side**2 // narrow // 16 * 16
    tall, wide = (narrow, length) if height < width else (length, narrow)
    top, left = (max(0, whole - part) // 32 * 16 for whole, part in ((height, tall), (width, wide)))
    return np.ascontiguousarray(codes[:, top : top + tall, left : left + wide])


def _judge_of_tiles(small: Codes, judge: Judge, plan: Plan) -> Judge:
    part = plan.of_tiles(small[0].size)
    return Judge(small, judge.transform, part.resources, part.side_by_side, judge.metrics)


def _source_of_jpeg(image: JpegImage, codes: Codes, judge: Judge) -> PlaneSource:
    own = tuple(c.coefficients.astype(np.float32) * c.qtable.astype(np.float32) for c in image.components)
    compensation = None
    if len(own) == 3:
        compensation = Compensation.towards(codes, judge.transform, 1.0, judge.threads)
    luma = image.components[0]
    sampling = (luma.h, luma.v) if len(own) > 1 else (1, 1)
    size = image.width, image.height
    return PlaneSource(*size, own, sampling, judge.threads, compensation, Overshoot.of(codes))


def _sources_of(
    own: PlaneSource, tables: Sequence[Table], codes: Codes, options: OptimizeOptions
) -> list[tuple[Maker, tuple[Table | None, ...]]]:
    """Return functions that make the sources of a JPEG, each with the tables whose steps it may keep.

    The sources have the JPEG's own sampling, and 4:2:0 if that is coarser. Halved chroma has no own tables.
    """
    kept: tuple[Maker, tuple[Table | None, ...]] = (lambda: own), tuple(tables)
    finer = own.sampling != (2, 2) and own.components > 1
    if not finer or options.subsampling not in ("auto", "420"):
        return [kept]
    half = cache(partial(_halved, own, codes)), (tables[0], None, None)
    return [half] if options.subsampling == "420" else [kept, half]


def _halved(own: PlaneSource, codes: Codes) -> PlaneSource:
    """Return a 4:2:0 source of a 4:4:4, 4:2:2 or 4:4:0 JPEG, with the JPEG's own luma."""
    other = PlaneSource.from_codes(codes, (2, 2), own.compensation, own.threads)
    return replace(other, coefficients=(own.coefficients[0], *other.coefficients[1:]))
