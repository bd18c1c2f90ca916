"""One picture from source to verified result: candidates, search, verification, choice."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL.JpegImagePlugin import JpegImageFile

from guetzpy.errors import GuetzpyError, LimitError, TargetError
from guetzpy.jpeg import pixels
from guetzpy.jpeg.markers import SOF0, SOF1, SOF2, SOI, find_marker, read_payload
from guetzpy.jpeg.metadata import Policy, mark, read_mark, without_marks
from guetzpy.jpeg.preservation import Carried, carry, settle
from guetzpy.jpeg.reader import Limits as ReadLimits
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.jpeg.transcode import Transcoded, transcode_bytes
from guetzpy.jpeg.writer import write
from guetzpy.options import OptimizeOptions
from guetzpy.picture import Transform
from guetzpy.progress import Reporter
from guetzpy.result import Result
from guetzpy.search import closed_loop, frugal, source_quality, tables
from guetzpy.search.compensation import Compensation
from guetzpy.search.encoder import Encoder, Trial
from guetzpy.search.judge import Judge, Scores
from guetzpy.search.montage import Part, Sample, Tiles
from guetzpy.search.subsampling import choose
from guetzpy.search.target import Limits, butteraugli_distance, ssimulacra2_distance
from guetzpy.search.tuning import cost
from guetzpy.source import Source

__all__ = ["optimize"]

Codes = npt.NDArray[np.uint8]

#: A lossy encode must be wanted at a clearly coarser distance than the source already has.
_HEADROOM = 0.9


#: Tiles across and their side: of the montage of a picture on which choices are made, of that on which tables
#: are shaped or looks at a very large picture prepared, of that of the open loop, and of that of a very large
#: picture that tells the weights.
_MONTAGE, _LARGER, _SMALL, _WIDE = (4, 128), (3, 240), (4, 80), (3, 512)

#: Pixels from which on the open loop chooses on a montage, and pixels of a very large picture.
_LARGE, _VERY_LARGE = 460_800, 6_000_000

#: A mark of this distance is as long as any.
_LONGEST_MARK = 20.0001

#: Passes of a search, about: for those who watch.
_PASSES = {"fast": 3, "balanced": 8, "max": 24}


@dataclass
class _Clock:
    """Gives up when the time is over, and tells the caller of every pass."""

    timeout: float | None
    started: float
    reporter: Reporter
    passes: int

    def check(self) -> None:
        if self.timeout is not None and time.perf_counter() - self.started > self.timeout:
            raise LimitError(f"not done within {self.timeout:g} s")
        self.reporter.searched(self.passes)


@dataclass
class _Goal:
    """What the target means for this picture: limits of the metrics, or a size in bytes."""

    limits: Limits | None = None
    size: int | None = None
    raw: bool = False


def optimize(
    source: Source,
    options: OptimizeOptions,
    reporter: Reporter | None = None,
    *,
    sparing: bool = False,
    lean: bool = False,
    refused: LimitError | None = None,
) -> Result:
    """Make the smallest JPEG of a picture that meets the target, and verify it.

    Parameters
    ----------
    source : Source
        The picture.
    options : OptimizeOptions
        What is asked for.
    reporter : Reporter, optional
        Told how far it is.
    sparing : bool
        Whether to hold little more than the picture (:mod:`guetzpy.search.frugal`). A JPEG's coefficients are
        searched as ever, by metrics that keep nothing.
    lean : bool
        Whether it does for pixels, too, to search them as ever by such metrics, where memory is to be spared.
    refused : LimitError, optional
        Why a JPEG must not be searched. It is packed then, unless a size is asked for that this misses.

    Returns
    -------
    Result
        Without ``input`` and ``seconds``.

    Raises
    ------
    TargetError
        A raw score, a size or a strict distance cannot be met.
    LimitError
        Out of time.
    """
    clock = _Clock(options.timeout, time.perf_counter(), reporter or Reporter(), _PASSES[options.effort])
    if source.kind == "jpeg":
        return _from_jpeg(source, options, clock, frugal.SparingJudge if sparing else Judge, refused)
    if sparing and not lean:
        return _sparing(source, options, clock)
    return _from_pixels(source, options, clock, frugal.SparingJudge if sparing else Judge)


def _from_pixels(
    source: Source, options: OptimizeOptions, clock: _Clock, judge_of: type[Judge] = Judge
) -> Result:
    assert source.codes is not None
    carried = source.carried(Policy.of(options.keep, options.strip))
    codes = source.codes
    judge = judge_of(codes, source.transform, options.threads)
    goal = _goal(options, codes, judge, source.width * source.height)
    makers = [
        partial(_encoder_of_codes, codes, sampling, source.transform, options.threads)
        for sampling in _samplings(options, len(codes))
    ]
    sample = _sample(codes, source.transform, options)
    found, encoder, relaxed = _search(makers, judge, goal, options, carried, clock, codes, sample)
    clock.reporter.write()
    data = _finish(found, encoder, carried, options)
    result = _result(source, options, data, found.scores, encoder, goal, relaxed)
    warnings = () if source.image is None else tuple(source.image.warnings)
    return replace(result, removed=tuple(carried.removed), warnings=(*warnings, *carried.warnings))


def _encoder_of_codes(
    codes: npt.NDArray[Any], sampling: tuple[int, int], transform: Transform, threads: int | None
) -> Encoder:
    compensation = Compensation.towards(codes, transform, threads=threads) if len(codes) == 3 else None
    return Encoder.from_codes(codes, sampling, compensation, threads)


def _same(encoder: Encoder) -> Encoder:
    return encoder


def _tiles(codes: npt.NDArray[Any], options: OptimizeOptions) -> Tiles | None:
    _, height, width = codes.shape
    very_large = height * width >= _VERY_LARGE
    if options.effort == "fast":
        small = _MONTAGE if very_large else _SMALL
        return Tiles.of(height, width, *small) if height * width >= _LARGE else None
    larger = very_large or options.effort == "max"
    return Tiles.of(height, width, *(_LARGER if larger else _MONTAGE))


def _sample(codes: npt.NDArray[Any], transform: Transform, options: OptimizeOptions) -> Sample | None:
    """Return encoders and a judge for tiles of a large picture; None for a small one."""
    tiles = _tiles(codes, options)
    if tiles is None:
        return None
    small = tiles.cut_picture(codes)
    encoders = [
        _encoder_of_codes(small, sampling, transform, options.threads)
        for sampling in _samplings(options, len(codes))
    ]
    return Sample(tiles, encoders, Judge(small, transform, options.threads))


def _from_jpeg(
    source: Source,
    options: OptimizeOptions,
    clock: _Clock,
    judge_of: type[Judge] = Judge,
    refused: LimitError | None = None,
) -> Result:
    assert source.data is not None
    assert source.image is not None
    image = source.image
    policy = Policy.of(options.keep, options.strip)
    script = "auto" if options.progressive else "sequential"
    repack = transcode_bytes(
        source.data,
        policy,
        script=script,  # type: ignore[arg-type]
        repair=options.repair,
        limits=ReadLimits(
            options.max_pixels, options.max_scans, options.max_metadata, options.max_directories
        ),
        threads=options.threads,
    )
    clock.check()
    obstacle = _obstacle(image)
    target, value = options.target
    if obstacle:
        if target in ("max_bytes", "bpp") and len(repack.data) > _size(options, source.width * source.height):
            raise TargetError(f"{obstacle}; the smallest file has {len(repack.data)} bytes")
        return _lossless(source, options, repack, obstacle)
    already = source_quality.estimate(image)
    if target in ("distance", "butteraugli", "ssimulacra2"):
        wanted = _limits_of(target, value).starting_distance()
        marked = read_mark(image.segments)
        if marked is not None and options.mark and marked >= 0.995 * wanted:
            return _lossless(source, options, repack, "encoded by guetzpy at this distance before")
        if already >= _HEADROOM * wanted:
            return _lossless(
                source, options, repack, f"the source is at about distance {already:.2g} already"
            )
    if target in ("max_bytes", "bpp") and len(repack.data) <= _size(options, source.width * source.height):
        return _lossless(source, options, repack, None)
    if refused is not None:
        if target in ("max_bytes", "bpp"):
            raise refused
        return _lossless(source, options, repack, f"packed losslessly only: {refused.reason}")

    reference = pixels.decode_planes(image, threads=options.threads)
    judge = judge_of(reference, source.transform, options.threads)
    goal = _goal(options, reference, judge, source.width * source.height)
    if goal.limits is not None and already >= _HEADROOM * goal.limits.starting_distance():
        return _lossless(source, options, repack, f"the source is at about distance {already:.2g} already")
    encoders = _encoders_of(image, reference, source.transform, options)
    carried = carry(source.data, image, policy)
    carried = replace(carried, segments=without_marks(carried.segments))
    try:
        makers = _candidates(encoders, reference, options)
        sample = _sample_of(encoders, reference, source.transform, options)
        found, encoder, relaxed = _search(makers, judge, goal, options, carried, clock, reference, sample)
    except TargetError:
        if goal.raw or options.strict:
            raise
        return _lossless(source, options, repack, "the target cannot be met by a lossy encode")
    clock.reporter.write()
    data = _finish(found, encoder, carried, options)
    if goal.size is None and len(data) > (1.0 - options.min_saving) * len(repack.data):
        return _lossless(source, options, repack, f"a lossy encode would save under {options.min_saving:.0%}")
    result = _result(source, options, data, found.scores, encoder, goal, relaxed)
    return replace(result, removed=tuple(carried.removed), warnings=(*image.warnings, *carried.warnings))


def _obstacle(image: JpegImage) -> str | None:
    """Return why a JPEG can only be packed losslessly, if so."""
    if not image.complete:
        return image.warnings[0] if image.warnings else "not all coefficients are sent in full"
    if image.colorspace not in ("gray", "ycbcr"):
        return f"{image.colorspace.upper()} is packed losslessly only"
    if image.colorspace == "ycbcr":
        luma, *chroma = image.components
        if any((c.h, c.v) != (1, 1) for c in chroma) or (luma.h, luma.v) not in (
            (1, 1),
            (2, 1),
            (1, 2),
            (2, 2),
        ):
            return "unusual sampling factors are packed losslessly only"
    return None


def _sparing(source: Source, options: OptimizeOptions, clock: _Clock) -> Result:
    """Search in bounded memory: strips for an encoder, and no weights."""
    codes = source.codes
    assert codes is not None
    carried = source.carried(Policy.of(options.keep, options.strip))
    judge = frugal.SparingJudge(codes, source.transform, options.threads)
    goal = _goal(options, codes, judge, source.width * source.height)
    samplings = _samplings(options, len(codes))

    def make(part: npt.NDArray[Any], sampling: tuple[int, int]) -> Encoder:
        return _encoder_of_codes(part, sampling, source.transform, options.threads)

    def measure(trial: Trial, encoder: Encoder) -> int:
        script = "auto" if options.progressive else "sequential"
        data = write(encoder.image(trial), script=script, threads=options.threads)  # type: ignore[arg-type]
        return len(data) + carried.size + frugal.ROOM

    if goal.limits is None:
        size, check = goal.size or 0, clock.check
        found, encoder = frugal.search_size(codes, make, samplings[-1], judge, size, measure, check=check)
        relaxed = None
    else:
        found, encoder, relaxed = frugal.search(
            codes, make, samplings, judge, goal.limits, strict=goal.raw or options.strict, check=clock.check
        )
    clock.reporter.write()
    data = _finish(found, encoder, carried, options)
    reason = "few bytes for so many pixels, or little memory allowed: searched without weights (max_memory)"
    result = _result(source, options, data, found.scores, encoder, goal, relaxed)
    warnings = () if source.image is None else tuple(source.image.warnings)
    return replace(
        result, reason=reason, removed=tuple(carried.removed), warnings=(*warnings, *carried.warnings)
    )


def _samplings(options: OptimizeOptions, planes: int) -> list[tuple[int, int]]:
    if planes == 1 or options.subsampling == "444":
        return [(1, 1)]
    if options.subsampling == "420":
        return [(2, 2)]
    return [(1, 1), (2, 2)]


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


def _halved(encoder: Encoder, codes: Codes) -> Encoder:
    """Return an encoder of a 4:4:4 JPEG that halves its chroma and keeps its luma."""
    other = Encoder.from_codes(codes, (2, 2), encoder.compensation, encoder.threads)
    other.coefficients[0] = encoder.coefficients[0]
    other.source_tables = [encoder.source_tables[0], None, None]
    return other


def _candidates(
    encoders: list[Encoder], codes: Codes, options: OptimizeOptions
) -> list[Callable[[], Encoder]]:
    """Return what makes the encoders that a JPEG may have."""
    makers: list[Callable[[], Encoder]] = [partial(_same, encoder) for encoder in encoders]
    full = encoders[0].sampling == (1, 1) and len(encoders[0].coefficients) > 1
    if full and options.subsampling in ("auto", "420"):
        halved = partial(_halved, encoders[0], codes)
        return [halved] if options.subsampling == "420" else [*makers, halved]
    return makers


def _sample_of(
    encoders: list[Encoder], codes: Codes, transform: Transform, options: OptimizeOptions
) -> Sample | None:
    """Return tiles of a large JPEG with its encoders; None for a small one."""
    tiles = _tiles(codes, options)
    if tiles is None:
        return None
    small = tiles.cut_picture(codes)
    cut = [tiles.cut_encoder(encoder, small) for encoder in encoders]
    return Sample(
        tiles, [make() for make in _candidates(cut, small, options)], Judge(small, transform, options.threads)
    )


def _wide(encoder: Encoder, judge: Judge, codes: npt.NDArray[Any]) -> Part | None:
    """Return the part of a very large picture that tells the weights; None for others."""
    tiles = Tiles.of(encoder.height, encoder.width, *_WIDE)
    if tiles is None or encoder.width * encoder.height < _VERY_LARGE:
        return None
    small = tiles.cut_picture(codes)
    part = Judge(small, judge.transform, judge.threads)
    return Part(tiles, tiles.cut_encoder(encoder, small), part)


def _limits_of(target: str, value: float) -> Limits:
    if target == "distance":
        return Limits.at_distance(value)
    if target == "butteraugli":
        return Limits(value, None)
    return Limits(None, value)


def _size(options: OptimizeOptions, area: int) -> int:
    target, value = options.target
    return int(value) if target == "max_bytes" else int(value * area / 8)


def _goal(options: OptimizeOptions, codes: npt.NDArray[Any], judge: Judge, area: int) -> _Goal:
    target, value = options.target
    if target in ("max_bytes", "bpp"):
        return _Goal(size=_size(options, area))
    if target == "quality":
        return _Goal(limits=_limits_of_quality(int(value), codes, judge))
    return _Goal(limits=_limits_of(target, value), raw=target != "distance")


def _limits_of_quality(quality: int, codes: npt.NDArray[Any], judge: Judge) -> Limits:
    """Return the scores of Pillow's own file of this picture."""
    from PIL import Image

    samples = codes
    if codes.dtype != np.uint8:
        samples = np.floor(np.clip(pixels.fractions(codes), 0, 255) + np.float32(0.5)).astype(np.uint8)
    picture = Image.fromarray(samples[0] if len(samples) == 1 else samples.transpose(1, 2, 0).copy())
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    scores = judge.scores(_decode(file.getvalue()))
    return Limits(scores.butteraugli, scores.ssimulacra2)


def _search(
    makers: Sequence[Callable[[], Encoder]],
    judge: Judge,
    goal: _Goal,
    options: OptimizeOptions,
    carried: Carried,
    clock: _Clock,
    codes: npt.NDArray[Any],
    sample: Sample | None = None,
) -> tuple[closed_loop.Found, Encoder, Limits | None]:
    """Return what was found, by which encoder, and the limits as they were relaxed, if so.

    ``sample`` holds one encoder a maker for a smaller picture, on which the choice is made.
    """
    if goal.size is not None:
        return _search_size(makers, judge, goal.size, options, carried, clock, codes)
    assert goal.limits is not None
    limits, relaxed = goal.limits, None
    effort = closed_loop.EFFORTS[options.effort]
    made: dict[int, Encoder] = {}

    def encoder_of(number: int) -> Encoder:
        if number not in made:
            made[number] = makers[number]()
            made[number].dc_limit = tables.dc_limit(limits.starting_distance())
        return made[number]

    finest: Scores | None = None
    for _ in range(2):
        if sample is not None:
            for encoder in sample.encoders:
                encoder.dc_limit = tables.dc_limit(limits.starting_distance())
            finalists = choose(sample.encoders, sample.judge, limits, effort)
        else:
            finalists = choose([encoder_of(n) for n in range(len(makers))], judge, limits, effort)
        if not effort.rounds:
            number, start = finalists[0]
            quick = closed_loop.open_loop(
                encoder_of(number),
                judge,
                limits,
                start=start,
                part=sample.part(number) if sample is not None else None,
                check=clock.check,
            )
            if quick is not None:
                return quick, encoder_of(number), relaxed
            effort = closed_loop.EFFORTS["balanced"]
        rest = [n for n in range(len(makers)) if all(n != chosen for chosen, _ in finalists)]
        groups: list[list[tuple[int, float | None]]] = [[*finalists]]
        groups += [[(n, None)] for n in rest]
        for group in groups:
            candidates = [
                _Candidate(encoder_of(n), begin, None if sample is None else sample.part(n))
                for n, begin in group
            ]
            best = _best(candidates, judge, limits, effort, codes, clock)
            if best is not None:
                return *best, relaxed
        finest_of = min(made.values(), key=lambda e: e.sampling)
        # Nothing met the limits: can the finest encode that the format has?
        trial, finest = _finest(finest_of, judge, limits)
        excess = limits.excess(finest.butteraugli, finest.ssimulacra2)
        if excess <= 0.0:
            return closed_loop.Found(trial, finest, excess), finest_of, relaxed
        if goal.raw or options.strict:
            break
        relaxed = limits = limits.relaxed(finest.butteraugli, finest.ssimulacra2)
    assert finest is not None
    raise TargetError(
        f"best reached: Butteraugli 3-norm {finest.butteraugli:.3f}, SSIMULACRA 2 {finest.ssimulacra2:.2f}"
    )


@dataclass
class _Candidate:
    """An encoder, the distance to begin at, and what a montage of a large picture has of it."""

    encoder: Encoder
    begin: float | None
    part: Part | None


def _best(
    candidates: list[_Candidate],
    judge: Judge,
    limits: Limits,
    effort: closed_loop.Effort,
    codes: npt.NDArray[Any],
    clock: _Clock,
) -> tuple[closed_loop.Found, Encoder] | None:
    """Return the best that some candidates give, and its encoder; None if none meets the limits."""
    outcomes: list[tuple[closed_loop.Found, _Candidate]] = []

    def attempt(candidate: _Candidate, effort: closed_loop.Effort) -> None:
        encoder = candidate.encoder
        found = closed_loop.search(
            encoder, judge, limits, effort, start=candidate.begin, part=candidate.part,
            wide=partial(_wide, encoder, judge, codes), check=clock.check,
        )  # fmt: skip
        if found is not None:
            outcomes.append((found, candidate))

    def cheapest() -> tuple[closed_loop.Found, _Candidate]:
        def price(outcome: tuple[closed_loop.Found, _Candidate]) -> float:
            found, candidate = outcome
            return cost(candidate.encoder, found.trial, found.scores, limits)

        return outcomes[0] if len(outcomes) == 1 else min(outcomes, key=price)

    for candidate in candidates:
        attempt(candidate, closed_loop.EFFORTS["balanced"] if effort.tuned else effort)
    if effort.tuned:
        # A long search goes astray now and then: short ones say where it is worth while, and what they found
        # stays in the choice.
        attempt(cheapest()[1] if outcomes else candidates[0], effort)
    if not outcomes:
        return None
    found, candidate = cheapest()
    return found, candidate.encoder


def _finest(encoder: Encoder, judge: Judge, limits: Limits) -> tuple[Trial, Scores]:
    """Return the finest encode, on the side of rounding that the metrics like best.

    Saturated colours have no code of their own: flat (255, 0, 255) shows as (255, 0, 254) or, with half
    a code more luma, as (255, 1, 255), which looks far closer.
    """
    outcomes = []
    for bias in (0.0, 0.5, -0.5):
        encoder.bias = bias
        trial = encoder.finest()
        scores = judge.scores(encoder.decode(trial))
        outcomes.append((limits.excess(scores.butteraugli, scores.ssimulacra2), bias, trial, scores))
    encoder.bias = 0.0
    _, _, trial, scores = min(outcomes, key=lambda o: o[0])
    return trial, scores


def _search_size(
    makers: Sequence[Callable[[], Encoder]],
    judge: Judge,
    size: int,
    options: OptimizeOptions,
    carried: Carried,
    clock: _Clock,
    codes: npt.NDArray[Any],
) -> tuple[closed_loop.Found, Encoder, Limits | None]:
    """Return the best that fits into ``size`` bytes with its metadata."""

    def measure(trial: Trial, encoder: Encoder) -> int:
        return len(_file(trial, encoder, carried, options, _LONGEST_MARK))

    effort = closed_loop.EFFORTS[options.effort]
    outcomes: list[tuple[float, closed_loop.Found, Encoder]] = []
    smallest = []
    for make in makers:
        encoder = make()
        best, least = closed_loop.search_size(
            encoder,
            judge,
            size,
            measure,
            effort,
            wide=partial(_wide, encoder, judge, codes),
            check=clock.check,
        )
        smallest.append(least)
        if best is not None:
            outcomes.append((_achieved(best.scores), best, encoder))
    if not outcomes:
        raise TargetError(f"the smallest file reached has {min(smallest)} bytes, {size} were asked for")
    _, found, encoder = min(outcomes, key=lambda o: o[0])
    return found, encoder, None


def _file(
    trial: Trial, encoder: Encoder, carried: Carried, options: OptimizeOptions, distance: float
) -> bytes:
    """Return the file of a trial, marked with a distance."""
    segments: list[Segment] = list(carried.segments)
    if options.mark:
        segments.append(mark(distance))
    image = encoder.image(trial, segments)
    image.trailing = carried.trailing
    data = write(image, script="auto" if options.progressive else "sequential", threads=options.threads)
    return settle(data, carried)


def _finish(found: closed_loop.Found, encoder: Encoder, carried: Carried, options: OptimizeOptions) -> bytes:
    """Return the file, verified: libjpeg-turbo shows the very pixels that were scored."""
    data = _file(found.trial, encoder, carried, options, _marked_distance(found, options))
    if not np.array_equal(_decode(data), encoder.decode(found.trial)):
        raise GuetzpyError("libjpeg-turbo shows other pixels than were measured; nothing was written")
    return data


def _marked_distance(found: closed_loop.Found, options: OptimizeOptions) -> float:
    target, value = options.target
    distance = value if target == "distance" else _achieved(found.scores)
    return min(max(distance, 0.01), 25.0)


def _decode(data: bytes) -> Codes:
    """Return what libjpeg-turbo shows, uint8 (1|3, H, W)."""
    with JpegImageFile(io.BytesIO(data)) as picture:
        samples = np.asarray(picture)
    return np.ascontiguousarray(samples[None] if samples.ndim == 2 else samples.transpose(2, 0, 1))


def _achieved(scores: Scores) -> float:
    return max(butteraugli_distance(scores.butteraugli), ssimulacra2_distance(scores.ssimulacra2))


def _result(
    source: Source,
    options: OptimizeOptions,
    data: bytes,
    scores: Scores,
    encoder: Encoder,
    goal: _Goal,
    relaxed: Limits | None,
) -> Result:
    target, value = options.target
    before = source.bytes_before
    return Result(
        data=data,
        status="optimized",
        bytes_before=before,
        bytes_after=len(data),
        width=source.width,
        height=source.height,
        target={target: value},
        distance=round(_achieved(scores), 4),
        butteraugli_3norm=scores.butteraugli,
        butteraugli_max=scores.butteraugli_max,
        ssimulacra2=scores.ssimulacra2,
        limited_by_format=relaxed is not None,
        butteraugli_wanted=goal.limits.butteraugli if goal.limits else None,
        ssimulacra2_wanted=goal.limits.ssimulacra2 if goal.limits else None,
        larger_than_source=source.kind != "jpeg" and before is not None and len(data) > before,
        subsampling=encoder.subsampling_name,
        progressive=_is_progressive(data),
        effort=options.effort,
    )


def _lossless(source: Source, options: OptimizeOptions, repack: Transcoded, reason: str | None) -> Result:
    target, value = options.target
    return Result(
        data=repack.data,
        status=repack.status,
        reason="; ".join(dict.fromkeys(part for part in (reason, repack.reason) if part)) or None,
        bytes_before=source.bytes_before,
        bytes_after=len(repack.data),
        width=source.width,
        height=source.height,
        target={target: value},
        distance=0.0,
        butteraugli_3norm=0.0,
        butteraugli_max=0.0,
        ssimulacra2=100.0,
        subsampling=_subsampling(source.image) if source.image else None,
        progressive=_is_progressive(repack.data),
        effort=options.effort,
        removed=tuple(repack.removed),
        warnings=tuple(repack.warnings),
    )


def _subsampling(image: JpegImage) -> str:
    if len(image.components) < 3:
        return "gray"
    luma, chroma = image.components[0], image.components[1]
    names = {(1, 1): "444", (2, 1): "422", (1, 2): "440", (2, 2): "420", (4, 1): "411", (4, 2): "410"}
    ratio = (luma.h / chroma.h, luma.v / chroma.v)
    return names.get((int(ratio[0]), int(ratio[1])), f"{luma.h}x{luma.v}")


def _is_progressive(data: bytes) -> bool:
    position = 2
    while (found := find_marker(data, position)) is not None:
        marker, _, position = found
        if marker in (SOF0, SOF1, SOF2):
            return marker == SOF2
        if marker != SOI:
            _, position = read_payload(data, position)
    return False
