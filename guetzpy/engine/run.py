"""Processing one picture: it is searched, only repacked, or kept, depending on options and limits."""

from __future__ import annotations

import importlib
import os
import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from guetzpy._runtime.forks import not_forked
from guetzpy._runtime.memory import prepare_for
from guetzpy._runtime.threads import time_limit
from guetzpy.engine.transcode import UNCHANGED, transcode
from guetzpy.errors import FormatError, GuetzpyError, LimitError, TargetError, UnsupportedError
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.progress import Cancel, OnProgress, Reporter, logger
from guetzpy.result import Result

if TYPE_CHECKING:
    from guetzpy.engine.source import Readable, Source
    from guetzpy.search.plan import Plan

__all__ = ["run"]


def run(
    source: Readable,
    options: OptimizeOptions | TranscodeOptions,
    *,
    name: str | None = None,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Optimise or transcode one picture. Errors have the name of the source.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or ndarray
        As in :func:`guetzpy.optimize`. With TranscodeOptions it must be a JPEG.
    options : OptimizeOptions or TranscodeOptions
        The class of the options decides whether the picture is optimised or transcoded.
    name : str, optional
        Name of the source in messages and in the result.
    progress, cancel : optional
        As in :func:`guetzpy.optimize`.

    Returns
    -------
    Result
        The result, with ``input`` and ``seconds``.

    Raises
    ------
    GuetzpyError, OSError, TypeError, ValueError
        For the same reasons as in :func:`guetzpy.optimize` and :func:`guetzpy.transcode`.
    """
    started = time.perf_counter()
    _import_work(options)
    reporter = Reporter(progress, cancel, name or _name_of(source))
    try:
        with time_limit(options.timeout, None if cancel is None else reporter.check):
            reporter.read()
            if isinstance(options, OptimizeOptions):
                result = _optimize(source, options, name, reporter)
            else:
                result = transcode(source, options, name, reporter)
            _check_baseline(result, options)
            result = _with_hint(result)
            reporter.done()
    except GuetzpyError as error:
        error.name = error.name or name
        raise
    result = replace(result, seconds=round(time.perf_counter() - started, 3))
    _log(result)
    return result


def _check_baseline(result: Result, options: OptimizeOptions | TranscodeOptions) -> None:
    """Raise UnsupportedError if the options ask for a baseline file and the result is not one."""
    from guetzpy.jpeg.anatomy import survey
    from guetzpy.jpeg.header import is_baseline

    if options.progressive or is_baseline(result.data):
        return
    tables = survey(result.data, tolerant=True).qtables
    wide = any(int(table.max()) > 255 for table in tables.values())
    reason = "its quantiser steps are above 255, and need 16 bits" if wide else result.reason
    why = f": {reason}" if reason else ""
    raise UnsupportedError(f"a baseline file cannot be made{why}; leave out --baseline")


#: Modules that the work imports besides those of guetzpy: numba at the first call of a kernel, and Python for
#: the model's file and for tables in ASCII.
_OTHERS_IMPORT = ("numpy.ma", "zipfile", "encodings.ascii", "encodings.cp437")


def _import_work(options: OptimizeOptions | TranscodeOptions) -> None:
    """Import the modules that functions import. No other thread may fork this process meanwhile."""
    names = ["jpeg.transcode", "engine.wishes", "picture.reading", "search.plan"]
    if isinstance(options, OptimizeOptions):
        names += ["engine.loading", "engine.optimize", "picture.fitting"]
        names += [f"metrics._{name}.comparator" for name in ("butteraugli", "ssimulacra2", "cvvdp")]
        names += [f"model.{part}" for part in ("tables", "block_weights", "start")]
        names += ["engine.fitting"] if options.fit else []
        names += ["engine.gain_map"] if options.gainmap is not None else []
    with not_forked():
        for module in (*(f"guetzpy.{name}" for name in names), *_OTHERS_IMPORT):
            importlib.import_module(module)


def _name_of(source: Readable) -> str | None:
    if isinstance(source, (str, os.PathLike)):
        return str(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else None


def _log(result: Result) -> None:
    name = result.input or "picture"
    before = "" if result.bytes_before is None else f"{result.bytes_before} -> "
    logger.info("%s: %s, %s%d bytes in %.2f s", name, result.status, before, len(result.data), result.seconds)
    for warning in result.warnings:
        logger.warning("%s: %s", name, warning)


def _optimize(source: Readable, options: OptimizeOptions, name: str | None, reporter: Reporter) -> Result:
    import numpy as np

    from guetzpy.engine.wishes import unmet
    from guetzpy.picture.reading import contents

    if isinstance(source, np.ndarray) or hasattr(source, "getbands"):
        return _optimized(source, options, name, reporter)
    data, own_name = contents(source, options.max_input, options.max_memory)
    if options.gainmap is None:
        result = _optimized(data, options, name or own_name, reporter)
        return replace(result, warnings=(*result.warnings, *unmet(data, options, result)))
    from guetzpy.engine.gain_map import with_gain_maps_anew

    changed = with_gain_maps_anew(data, options, reporter.check)
    result = _optimized(changed.data, options, name or own_name, reporter)
    result = replace(result, warnings=(*result.warnings, *unmet(data, options, result)))
    return changed.told(result)


def _with_hint(result: Result) -> Result:
    """Return a result whose reason names data whose removal would make the file much smaller."""
    from guetzpy.engine.wishes import large_parts

    hint = large_parts(result.data)
    reasons = [reason for reason in (result.reason, hint) if reason]
    return replace(result, reason="; ".join(reasons)) if hint else result


def _optimized(source: Readable, options: OptimizeOptions, name: str | None, reporter: Reporter) -> Result:
    from guetzpy.engine.loading import MAX_SIDE, load, sparseness
    from guetzpy.jpeg.header import is_jpeg

    file_size = None
    if isinstance(source, bytes):
        reason = None if options.to_srgb or options.fit else sparseness(source)
        if reason:
            return _packed(source, options, name, reason, reporter)
        file_size = len(source)
        if is_jpeg(source):
            _check_jpeg(source, options, name)
    from guetzpy.search.plan import check_decoding, plan_search

    plan: Plan | LimitError | None = None

    def planned(width: int, height: int, size: int | None, coefficients: bool = False) -> Plan:
        return plan_search(
            width, height, options.effort, threads=options.threads, ceiling=options.max_memory,
            file_size=size, coefficients=coefficients, name=name,
        )  # fmt: skip

    def check(width: int, height: int) -> None:
        nonlocal plan
        if options.fit is None:
            plan = planned(width, height, file_size)
        else:
            enough = _enough_memory(width, height, options)
            check_decoding(width * height, file_size, options.max_memory, enough=enough)

    picture = load(
        source,
        max_pixels=options.max_pixels,
        max_scans=options.max_scans,
        max_metadata=options.max_metadata,
        max_directories=options.max_directories,
        max_input=options.max_input,
        max_side=MAX_SIDE if options.fit is None else None,
        repair=options.repair,
        background=options.background,
        convert_to_srgb=options.to_srgb,
        check=check,
        name=name,
    )
    if options.fit is not None:
        picture = _fitted(picture, options)
        plan = planned(picture.width, picture.height, file_size) if picture.kind == "pixels" else None
        reason = None if picture.data is None or picture.resized else sparseness(picture.data)
        if picture.data is not None and reason and not options.to_srgb:
            return _packed(picture.data, options, name, reason, reporter)
    if picture.obstacle is not None:
        return _kept(picture, options)
    if picture.data is not None and is_jpeg(picture.data):
        own, name = picture.kind == "jpeg", picture.name
        try:
            plan = planned(picture.width, picture.height, len(picture.data), own)
        except LimitError as error:
            if options.max_memory is not None or not own:
                raise
            plan = error  # the repack needs less memory
    assert plan is not None
    from guetzpy.engine import optimize as engine

    spared = isinstance(plan, LimitError) or plan.resources.keep == "nothing"
    try:
        prepare_for(None if spared else picture.width * picture.height)
        result: Result = engine.optimize(picture, options, plan, reporter)
    except GuetzpyError as error:
        error.name = error.name or picture.name
        raise
    # The result of a repack has some of the picture's warnings too; each is kept once.
    warnings = dict.fromkeys((*picture.warnings, *result.warnings))
    return replace(result, input=picture.name, warnings=tuple(warnings))


def _fitted(picture: Source, options: OptimizeOptions) -> Source:
    """Return a picture that fits ``options.fit``."""
    from guetzpy.engine.fitting import fitted

    assert isinstance(options.fit, tuple)
    return fitted(picture, options.fit)


def _check_jpeg(data: bytes, options: OptimizeOptions, name: str | None) -> None:
    """Raise LimitError if a JPEG needs too much memory, before its coefficients are allocated."""
    from guetzpy.engine.loading import sparseness
    from guetzpy.jpeg.header import frame_of
    from guetzpy.search.plan import check_decoding, check_memory, packing_memory, plan_search

    try:
        _, width, height = frame_of(data)
    except FormatError:
        return  # load() raises the error with its reason
    area, enough = width * height, _enough_memory(width, height, options, jpeg=True)
    check_memory(area, packing_memory(area), options.max_memory, name, enough=enough)
    if options.fit is not None:
        check_decoding(area, len(data), options.max_memory, enough=enough)
    elif sparseness(data):  # reached only with to_srgb: then its pixels are searched
        plan_search(width, height, options.effort, ceiling=options.max_memory, file_size=len(data), name=name)


def _enough_memory(width: int, height: int, options: OptimizeOptions, jpeg: bool = False) -> int:
    """Return the value of ``max_memory`` that is enough for each step of the work on a picture."""
    from guetzpy.picture.fitting import fitted_size
    from guetzpy.search.plan import decoding_memory, least_memory, packing_memory

    steps, sizes = [packing_memory(width * height)] if jpeg else [], [(width, height)]
    if isinstance(options.fit, tuple):
        steps.append(decoding_memory(width * height))
        sizes = [fitted_size(width, height, options.fit, turned=turned) for turned in (False, True)]
    coefficients = jpeg and not options.to_srgb and (width, height) in sizes
    steps += [least_memory(*size, options.effort, coefficients) for size in sizes]
    if options.fit is not None:
        steps += [least_memory(*size, options.effort) for size in sizes]
    return max(steps)


def _kept(source: Source, options: OptimizeOptions) -> Result:
    """Return a valid JPEG that guetzpy cannot read. Only its metadata is changed, by the policy."""
    from guetzpy.jpeg.metadata.policy import Policy
    from guetzpy.jpeg.transcode import Transcoded, strip_bytes

    assert source.data is not None
    policy = Policy.of(options.keep, options.strip)
    done = strip_bytes(source.data, policy) if policy.stripped else Transcoded(source.data, "kept", "")
    _check_size(options, source.width * source.height, len(done.data), source.obstacle)
    return Result(
        data=done.data,
        status=done.status,
        reason=source.obstacle,
        bytes_before=len(source.data),
        bytes_after=len(done.data),
        width=source.width or None,
        height=source.height or None,
        target=dict([options.target]),
        **UNCHANGED,
        effort=options.effort,
        input=source.name,
        removed=tuple(done.removed),
        warnings=tuple(done.warnings),
    )


def _packed(
    data: bytes, options: OptimizeOptions, name: str | None, reason: str, reporter: Reporter
) -> Result:
    """Return the lossless repack of a JPEG that is not searched for ``reason``."""
    shared = {field.name: getattr(options, field.name) for field in fields(TranscodeOptions)}
    result = transcode(data, TranscodeOptions(**shared), name, reporter)
    _check_size(options, (result.width or 0) * (result.height or 0), len(result.data), reason)
    return replace(
        result, reason=result.reason or reason, target=dict([options.target]), effort=options.effort
    )


def _check_size(options: OptimizeOptions, area: int, size: int, reason: str | None) -> None:
    """Raise TargetError if the target is a size and a file that was not searched is larger."""
    from guetzpy.search.quality.target import Picture, target

    name, value = options.target
    wanted = target(name)
    goal = None if wanted.needs_pixels else wanted.goal(value, Picture(area))
    if goal is not None and goal.size is not None and size > goal.size:
        raise TargetError.of_size(size, goal.size, reason or "")
