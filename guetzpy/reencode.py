"""One picture from source to verified result: candidates, search, verification, choice."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._pillow import guarded, opened_jpeg
from guetzpy.errors import GuetzpyError, LimitError, TargetError
from guetzpy.jpeg import pixels
from guetzpy.jpeg.markers import SOF0, SOF1, SOF2, SOI, find_marker, read_payload
from guetzpy.jpeg.metadata import Policy, mark, read_mark, without_marks
from guetzpy.jpeg.preservation import Carried, carry, settle
from guetzpy.jpeg.reader import Limits as ReadLimits
from guetzpy.jpeg.structure import Segment
from guetzpy.jpeg.transcode import Transcoded, bare, transcode_bytes
from guetzpy.jpeg.writer import write
from guetzpy.options import OptimizeOptions
from guetzpy.progress import Reporter
from guetzpy.result import Result
from guetzpy.search import frugal, source_quality
from guetzpy.search.candidates import Candidates, encoder_of_codes, samplings
from guetzpy.search.encoder import Encoder, Trial
from guetzpy.search.judge import Judge, Scores
from guetzpy.search.selection import Selected, select, select_size
from guetzpy.search.target import Limits
from guetzpy.source import Source

__all__ = ["optimize"]

Codes = npt.NDArray[np.uint8]

#: A lossy encode must be wanted at a clearly coarser distance than the source already has.
_HEADROOM = 0.9

#: A mark of this distance is as long as any.
_LONGEST_MARK = 20.0001

#: What is said where the effort asked for did not do.
_FELL_BACK = "fast missed the limits twice: searched as balanced does"

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
    selected = _search(Candidates.of_pixels(codes, judge, options), goal, options, carried, clock)
    clock.reporter.write()
    data = _finish(selected, carried, options)
    result = _result(source, options, data, selected, goal)
    warnings = () if source.image is None else tuple(source.image.warnings)
    return replace(result, removed=tuple(carried.removed), warnings=(*warnings, *carried.warnings))


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
    reason = source_quality.obstacle(image)
    target, value = options.target
    if reason:
        if target in ("max_bytes", "bpp") and len(repack.data) > _size(options, source.width * source.height):
            raise TargetError(f"{reason}; the smallest file has {len(repack.data)} bytes")
        return _lossless(source, options, repack, reason)
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
    carried = carry(source.data, image, policy)
    carried = replace(carried, segments=without_marks(carried.segments))
    try:
        candidates = Candidates.of_jpeg(image, reference, judge, options)
        selected = _search(candidates, goal, options, carried, clock)
    except TargetError:
        if goal.raw or options.strict:
            raise
        return _lossless(source, options, repack, "the target cannot be met by a lossy encode")
    clock.reporter.write()
    data = _finish(selected, carried, options)
    if goal.size is None and len(data) > (1.0 - options.min_saving) * len(repack.data):
        return _lossless(source, options, repack, f"a lossy encode would save under {options.min_saving:.0%}")
    result = _result(source, options, data, selected, goal)
    return replace(result, removed=tuple(carried.removed), warnings=(*image.warnings, *carried.warnings))


def _sparing(source: Source, options: OptimizeOptions, clock: _Clock) -> Result:
    """Search in bounded memory: strips for an encoder, and no weights."""
    codes = source.codes
    assert codes is not None
    carried = source.carried(Policy.of(options.keep, options.strip))
    judge = frugal.SparingJudge(codes, source.transform, options.threads)
    goal = _goal(options, codes, judge, source.width * source.height)
    allowed = samplings(options, len(codes))

    def make(part: npt.NDArray[Any], sampling: tuple[int, int]) -> Encoder:
        return encoder_of_codes(part, sampling, source.transform, options.threads)

    def measure(trial: Trial, encoder: Encoder) -> int:
        script = "auto" if options.progressive else "sequential"
        data = write(encoder.image(trial), script=script, threads=options.threads)  # type: ignore[arg-type]
        return len(data) + carried.size + frugal.ROOM

    if goal.limits is None:
        size, check = goal.size or 0, clock.check
        selected = Selected(*frugal.search_size(codes, make, allowed[-1], judge, size, measure, check=check))
    else:
        strict = goal.raw or options.strict
        selected = Selected(
            *frugal.search(codes, make, allowed, judge, goal.limits, strict=strict, check=clock.check)
        )
    clock.reporter.write()
    data = _finish(selected, carried, options)
    reason = "few bytes for so many pixels, or little memory allowed: searched without weights (max_memory)"
    result = _result(source, options, data, selected, goal)
    warnings = () if source.image is None else tuple(source.image.warnings)
    return replace(
        result, reason=reason, removed=tuple(carried.removed), warnings=(*warnings, *carried.warnings)
    )


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
    candidates: Candidates, goal: _Goal, options: OptimizeOptions, carried: Carried, clock: _Clock
) -> Selected:
    """Return the best that meets the goal; a size is that of the whole file, with its metadata."""

    def measure(trial: Trial, encoder: Encoder) -> int:
        return len(_file(trial, encoder, carried, options, _LONGEST_MARK))

    if goal.size is not None:
        return select_size(candidates, goal.size, measure, options.effort, check=clock.check)
    assert goal.limits is not None
    strict = goal.raw or options.strict
    return select(candidates, goal.limits, options.effort, strict=strict, check=clock.check)


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


def _finish(selected: Selected, carried: Carried, options: OptimizeOptions) -> bytes:
    """Return the file, verified: libjpeg-turbo shows the very pixels that were scored."""
    trial, encoder = selected.found.trial, selected.encoder
    data = _file(trial, encoder, carried, options, _marked_distance(selected.found.scores, options))
    if not np.array_equal(_decode(data), encoder.decode(trial)):
        raise GuetzpyError("libjpeg-turbo shows other pixels than were measured; nothing was written")
    return data


def _marked_distance(scores: Scores, options: OptimizeOptions) -> float:
    target, value = options.target
    distance = value if target == "distance" else scores.distance
    return min(max(distance, 0.01), 25.0)


def _decode(data: bytes) -> Codes:
    """Return what libjpeg-turbo shows, uint8 (1|3, H, W)."""
    with guarded("libjpeg-turbo"), opened_jpeg(bare(data)) as picture:
        samples = np.asarray(picture)
    return np.ascontiguousarray(samples[None] if samples.ndim == 2 else samples.transpose(2, 0, 1))


def _result(
    source: Source,
    options: OptimizeOptions,
    data: bytes,
    selected: Selected,
    goal: _Goal,
) -> Result:
    target, value = options.target
    scores = selected.found.scores
    before = source.bytes_before
    return Result(
        data=data,
        status="optimized",
        bytes_before=before,
        bytes_after=len(data),
        width=source.width,
        height=source.height,
        target={target: value},
        distance=round(scores.distance, 4),
        butteraugli_3norm=scores.butteraugli,
        butteraugli_max=scores.butteraugli_max,
        ssimulacra2=scores.ssimulacra2,
        limited_by_format=selected.relaxed is not None,
        butteraugli_wanted=goal.limits.butteraugli if goal.limits else None,
        ssimulacra2_wanted=goal.limits.ssimulacra2 if goal.limits else None,
        larger_than_source=source.kind != "jpeg" and before is not None and len(data) > before,
        subsampling=selected.encoder.subsampling_name,
        progressive=_is_progressive(data),
        effort=options.effort,
        reason=_FELL_BACK if selected.fell_back else None,
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
        subsampling=source.image.subsampling if source.image else None,
        progressive=_is_progressive(repack.data),
        effort=options.effort,
        removed=tuple(repack.removed),
        warnings=tuple(repack.warnings),
    )


def _is_progressive(data: bytes) -> bool:
    position = 2
    while (found := find_marker(data, position)) is not None:
        marker, _, position = found
        if marker in (SOF0, SOF1, SOF2):
            return marker == SOF2
        if marker != SOI:
            _, position = read_payload(data, position)
    return False
