"""Optimisation of one picture: search, verification of the file, and the choice against a lossless repack."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.engine import inks
from guetzpy.engine.jpeg_rule import counted, further, own_distance, reason_to_repack, source_distance
from guetzpy.engine.one_component import Decoded, decoded_single, single
from guetzpy.engine.source import Source, declaring_ycbcr
from guetzpy.errors import GuetzpyError, LimitError, TargetError
from guetzpy.jpeg import pixels
from guetzpy.jpeg.header import is_progressive
from guetzpy.jpeg.metadata.policy import Policy, without_marks
from guetzpy.jpeg.metadata.preservation import Carried, carry, settle
from guetzpy.jpeg.reader import Limits as ReadLimits
from guetzpy.jpeg.table_mark import marked
from guetzpy.jpeg.transcode import Transcoded, bare, transcode_bytes
from guetzpy.jpeg.writer import write
from guetzpy.options import OptimizeOptions
from guetzpy.picture.pillow import jpeg_samples
from guetzpy.picture.transform import Transform
from guetzpy.progress import Reporter
from guetzpy.result import Result
from guetzpy.search.candidates import Candidates, model_of
from guetzpy.search.coding.encoder import Trial, samples
from guetzpy.search.coding.encoder import image as image_of
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.plan import Plan
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.scores import Scores
from guetzpy.search.quality.target import Goal, Picture, target
from guetzpy.search.selection import Selected, select, select_size

__all__ = ["optimize"]

Codes = npt.NDArray[np.uint8]

#: Distance in the mark of a file whose size alone is needed. The length of a mark does not depend on it.
_ANY_MARK = 1.0

#: The reason given if effort fast was replaced by balanced.
_FELL_BACK = "fast missed the limits twice: searched as balanced does"

#: The reason given for a bounded search; the placeholder is ``Plan.unbounded``.
_BOUNDED = (
    "few bytes for so many pixels, or little memory allowed: searched without weights (max_memory); "
    "--max-memory {} is enough for weights"
)

#: Typical number of passes of a search, from which the progress is estimated.
_PASSES = {"fast": 3, "balanced": 8, "max": 24}


@dataclass
class _Clock:
    """Raises LimitError once the timeout has passed, and reports every pass of the search."""

    timeout: float | None
    started: float
    reporter: Reporter
    passes: int

    def check(self) -> None:
        if self.timeout is not None and time.perf_counter() - self.started > self.timeout:
            raise LimitError(f"not done within {self.timeout:g} s")
        self.reporter.searched(self.passes)


def optimize(
    source: Source,
    options: OptimizeOptions,
    plan: Plan | LimitError,
    reporter: Reporter | None = None,
) -> Result:
    """Return the smallest JPEG that the search finds for a target, verified by libjpeg-turbo's decoder.

    Parameters
    ----------
    source : Source
        The picture.
    options : OptimizeOptions
        The target and the other settings.
    plan : Plan or LimitError
        How the picture is searched. If a search of a JPEG would exceed a limit: the error that says so. The
        JPEG is then only repacked without loss. The error is raised if the target is a size and the repack is
        larger.
    reporter : Reporter, optional
        Receives the progress and checks for a cancellation.

    Returns
    -------
    Result
        ``input`` and ``seconds`` are not set.

    Raises
    ------
    TargetError
        A score, a size or, with ``strict``, a distance cannot be met.
    LimitError
        The timeout has passed, or ``plan`` is a LimitError (see there).
    CancelledError
        The reporter's ``cancel`` was set.
    GuetzpyError
        The file decodes to pixels other than those that were scored.
    """
    clock = _Clock(options.timeout, time.perf_counter(), reporter or Reporter(), _PASSES[options.effort])
    if source.kind == "jpeg":
        return _from_jpeg(source, options, plan, clock)
    assert isinstance(plan, Plan)
    note = None
    if not options.keep_components:
        source, note = single(source)
    result = _from_pixels(source, options, plan, clock)
    return replace(result, reason=_joined(result.reason, note))


def _judge(codes: npt.NDArray[Any], transform: Transform, plan: Plan) -> Judge:
    return Judge(codes, transform, plan.resources, plan.side_by_side)


def _from_pixels(source: Source, options: OptimizeOptions, plan: Plan, clock: _Clock) -> Result:
    assert source.codes is not None
    carried = source.carried(Policy.of(options.keep, options.strip))
    codes = source.codes
    judge = _judge(codes, source.transform, plan)
    name, value = options.target
    goal = target(name).goal(value, Picture(source.width * source.height, codes, judge))
    selected = _search(Candidates.of_pixels(codes, judge, plan, options), goal, options, carried, clock)
    clock.reporter.write()
    data = _finish(selected, carried, options)
    result = _result(source, options, data, selected, goal)
    if plan.bounded:
        result = replace(result, reason=_BOUNDED.format(plan.unbounded))
    warnings = () if source.image is None else tuple(source.image.warnings)
    return replace(result, removed=tuple(carried.removed), warnings=(*warnings, *carried.warnings))


def _from_jpeg(source: Source, options: OptimizeOptions, plan: Plan | LimitError, clock: _Clock) -> Result:
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
        keep_components=options.keep_components,
        threads=options.threads,
    )
    if repack.image is not None and len(repack.image.components) == 1:
        image = repack.image  # a gray source, or one that the repack reduced to gray
    clock.check()
    name, value = options.target
    wanted, picture = target(name), Picture(source.width * source.height)
    goal = None if wanted.needs_pixels else wanted.goal(value, picture)
    kept = reason_to_repack(image, options, goal, repack.data)
    if kept is not None:
        return _lossless(source, options, repack, kept)
    if isinstance(plan, LimitError):
        if goal is not None and goal.size is not None:
            raise plan
        return _lossless(source, options, repack, f"only repacked without loss: {plan.reason}")

    data, whole = repack.packed or (source.data, source.image)
    shown = _decoded(replace(source, data=data, image=whole), carry(data, whole, policy), options)
    image, reference, carried = shown.image, shown.reference, shown.carried
    judge = _judge(reference, shown.transform, plan)
    if goal is None:
        goal = wanted.goal(value, replace(picture, codes=reference, judge=judge))
        kept = reason_to_repack(image, options, goal, repack.data)
        if kept is not None:
            return _lossless(source, options, repack, kept)
    goal = counted(goal, image, options)
    carried = replace(carried, segments=without_marks(carried.segments))
    if image.colorspace == "rgb":
        carried = replace(carried, segments=declaring_ycbcr(carried.segments))
    try:
        candidates = _candidates(shown, judge, plan, options)
        selected = _search(candidates, goal, options, carried, clock)
    except TargetError as error:
        if goal.size is not None:
            smallest = min(error.smallest_bytes or len(repack.data), len(repack.data))
            raise TargetError.of_size(smallest, goal.size) from error
        if goal.exact or options.strict:
            raise
        return _lossless(source, options, repack, "the target cannot be met by a lossy encode")
    if selected.relaxed is not None:
        reason = f"no lossy encode meets the limits (distance {selected.found.scores.distance:.2g} at best)"
        return _lossless(source, options, repack, reason)
    clock.reporter.write()
    data = _finish(selected, carried, options, own_distance(image, options))
    bytes_packed = len(repack.data)
    # At the same size the repack is better, since nothing is lost.
    if goal.size is None and len(data) > min((1.0 - options.min_saving) * bytes_packed, bytes_packed - 1):
        reason = f"a lossy encode would save less than {options.min_saving:.0%} over the lossless repack"
        hint = further(image, options, repack.data, len(data))
        return _lossless(source, options, repack, _joined(reason, hint))
    result = _result(source, options, data, selected, goal)
    return replace(
        result,
        reason=_joined(result.reason, shown.note),
        removed=tuple(carried.removed),
        warnings=(*image.warnings, *carried.warnings),
    )


def _decoded(source: Source, carried: Carried, options: OptimizeOptions) -> Decoded:
    """Return what the search of a JPEG starts from."""
    assert source.image is not None
    if inks.are_inks(source.image):
        return inks.decoded(source.image, carried, options.threads)
    reference = pixels.decode_planes(source.image, threads=options.threads)
    return decoded_single(source, reference, carried, options.keep_components)


def _candidates(shown: Decoded, judge: Judge, plan: Plan, options: OptimizeOptions) -> Candidates:
    """Return the candidates of a JPEG: its coefficients, or pixels for RGB."""
    if shown.inks is not None:
        return inks.InkCandidates.of_inks(shown.inks, shown.reference, judge, plan, options)
    if shown.image.colorspace != "rgb":
        return Candidates.of_jpeg(shown.image, shown.reference, judge, plan, options)
    if options.subsampling == "keep":  # RGB has no chroma components, which is full chroma
        options = replace(options, subsampling="444")
    return Candidates.of_pixels(shown.reference, judge, plan, options)


def _search(
    candidates: Candidates, goal: Goal, options: OptimizeOptions, carried: Carried, clock: _Clock
) -> Selected:
    """Return the smallest trial that meets the limits; for a size, the best one whose file is not larger."""

    def measure(trial: Trial, coded: CodingSource) -> int:
        return len(_file(trial, coded, carried, options, _ANY_MARK))

    in_inks = isinstance(candidates, inks.InkCandidates)
    if goal.size is not None:
        fixed = sum(4 + len(segment.payload) for segment in carried.segments) + len(carried.trailing)
        return select_size(
            candidates,
            goal.size,
            measure,
            options.effort,
            fixed=fixed,
            weighted=not in_inks,
            check=clock.check,
        )
    assert goal.limits is not None
    strict = goal.exact or options.strict
    by_limits = inks.select if in_inks else select
    return by_limits(
        candidates, goal.limits, options.effort, strict=strict, measure=measure, check=clock.check
    )


def _file(
    trial: Trial, coded: CodingSource, carried: Carried, options: OptimizeOptions, distance: float
) -> bytes:
    """Return the complete file of a trial, with a mark of ``distance`` if ``options.mark``."""
    image = image_of(coded, trial, carried.segments)
    if options.mark:
        image = marked(image, distance)
    image.trailing = carried.trailing
    data = write(image, script="auto" if options.progressive else "sequential", threads=options.threads)
    return settle(data, carried)


def _finish(selected: Selected, carried: Carried, options: OptimizeOptions, own: float = 0.0) -> bytes:
    """Return the file of the selected trial; ``own`` is the distance of the source's mark, 0 without one.

    Raises
    ------
    GuetzpyError
        libjpeg-turbo decodes the file to codes other than those that were scored.
    """
    trial, coded = selected.found.trial, selected.source
    data = _file(trial, coded, carried, options, _marked_distance(selected.found.scores, options, own))
    if not np.array_equal(jpeg_samples(bare(data)), samples(coded, trial)):
        raise GuetzpyError(
            "libjpeg-turbo decodes the new file to other pixels than were scored; nothing was written; "
            "please report this"
        )
    return data


def _marked_distance(scores: Scores, options: OptimizeOptions, own: float) -> float:
    name, value = options.target
    distance = value if name == "distance" else math.hypot(scores.distance, own)
    return min(max(distance, 0.01), 25.0)


def _result(
    source: Source,
    options: OptimizeOptions,
    data: bytes,
    selected: Selected,
    goal: Goal,
) -> Result:
    name, value = options.target
    scores = selected.found.scores
    before = source.bytes_before
    return Result(
        data=data,
        status="optimized",
        bytes_before=before,
        bytes_after=len(data),
        width=source.width,
        height=source.height,
        target={name: value},
        distance=round(scores.distance, 4),
        source_distance=source_distance(source.image) if source.image and source.kind == "jpeg" else None,
        butteraugli_3norm=scores.of("butteraugli"),
        butteraugli_max=scores.of("butteraugli_max"),
        ssimulacra2=scores.of("ssimulacra2"),
        limited_by_format=selected.relaxed is not None,
        butteraugli_wanted=goal.limits.bound("butteraugli") if goal.limits else None,
        ssimulacra2_wanted=goal.limits.bound("ssimulacra2") if goal.limits else None,
        larger_than_source=source.kind != "jpeg" and before is not None and len(data) > before,
        subsampling=image_of(selected.source, selected.found.trial).subsampling,
        progressive=is_progressive(data),
        effort=options.effort,
        model=model_of(options).label,
        reason=_FELL_BACK if selected.fell_back else None,
    )


def _lossless(source: Source, options: OptimizeOptions, repack: Transcoded, reason: str | None) -> Result:
    name, value = options.target
    return Result(
        data=repack.data,
        status=repack.status,
        reason=_joined(reason, repack.reason),
        bytes_before=source.bytes_before,
        bytes_after=len(repack.data),
        width=source.width,
        height=source.height,
        target={name: value},
        distance=0.0,
        source_distance=source_distance(source.image) if source.image else None,
        butteraugli_3norm=0.0,
        butteraugli_max=0.0,
        ssimulacra2=100.0,
        subsampling=repack.image.subsampling if repack.image else None,
        progressive=is_progressive(repack.data),
        effort=options.effort,
        removed=tuple(repack.removed),
        warnings=tuple(repack.warnings),
    )


def _joined(*reasons: str | None) -> str | None:
    """Return the reasons joined by semicolons, without repetitions; None if there is none."""
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or None
