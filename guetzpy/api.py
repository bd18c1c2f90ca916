"""The functions of one line: a picture in, a result out."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from guetzpy._runtime.memory import prepare_for
from guetzpy._runtime.threads import not_forked, time_limit
from guetzpy.errors import FormatError, GuetzpyError, LimitError, TargetError, UnsupportedError
from guetzpy.options import (
    MAX_DIRECTORIES,
    MAX_INPUT,
    MAX_METADATA,
    MAX_PIXELS,
    MAX_SCANS,
    Effort,
    OptimizeOptions,
    Subsampling,
    TranscodeOptions,
    kinds,
)
from guetzpy.progress import Cancel, OnProgress, Reporter, logger
from guetzpy.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guetzpy.engine.source import Readable, Source
    from guetzpy.jpeg.transcode import Transcoded
    from guetzpy.search.plan import Plan

__all__ = ["optimize", "run", "transcode", "warmup"]


#: Message for a file that only :func:`optimize` takes.
NOT_REPACKED = "not a JPEG; transcode repacks JPEG files only (use optimize)"

# Scores of pixels that stay as they are.
_UNCHANGED: Any = {"distance": 0.0, "butteraugli_3norm": 0.0, "butteraugli_max": 0.0, "ssimulacra2": 100.0}


def optimize(
    source: Readable,
    *,
    distance: float | None = None,
    quality: int | None = None,
    butteraugli: float | None = None,
    ssimulacra2: float | None = None,
    max_bytes: int | None = None,
    bpp: float | None = None,
    effort: Effort = "balanced",
    subsampling: Subsampling = "auto",
    progressive: bool = True,
    keep: str | Iterable[str] = (),
    strip: str | Iterable[str] = (),
    background: str | tuple[int, int, int] | None = None,
    strict: bool = False,
    repair: bool = False,
    min_saving: float = 0.05,
    mark: bool = True,
    to_srgb: bool = False,
    keep_components: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    max_metadata: int = MAX_METADATA,
    max_directories: int = MAX_DIRECTORIES,
    max_input: int = MAX_INPUT,
    max_memory: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Make the smallest JPEG that looks as asked, and measure it.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or ndarray
        Files: JPEG, PNG, TIFF, WebP and what else Pillow reads; HEIC, AVIF, JPEG XL and camera RAW by
        extras (``pip install guetzpy[heic]``, ``[avif]``, ``[jxl]``, ``[raw]``). Arrays: (H, W), (H, W, 3) or
        (H, W, 4) of uint8, uint16, bool or float 0..1, taken as sRGB. A PIL image counts as its pixels; pass
        a JPEG by path or bytes, so that its own coefficients are used. An open file is read whole, from its
        start even if it stands elsewhere; one that cannot seek, from where it stands.
    distance, quality, butteraugli, ssimulacra2, max_bytes, bpp
        The target, at most one; default ``distance=1.0``. See :class:`guetzpy.OptimizeOptions`,
        which describes all other keywords too.
    progress : callable, optional
        Called with a :class:`guetzpy.Progress` now and then, in this thread. What it raises ends the work.
    cancel : threading.Event or alike, optional
        Once it is set (by another thread, or by ``progress``) the work ends soon, with CancelledError.

    Returns
    -------
    Result
        ``data`` holds the file. A JPEG never grows: at worst its own bytes come back.

    Raises
    ------
    FormatError
        Broken input.
    UnsupportedError
        Valid input of a kind that is not handled.
    LimitError
        Too large, or out of time.
    TargetError
        A raw score, a size or a strict distance that no JPEG of this picture meets.
    CancelledError
        ``cancel`` was set.
    OSError
        The source cannot be read.
    TypeError, ValueError
        Not a picture in Python, or options that make no sense.

    Examples
    --------
    >>> import guetzpy
    >>> result = guetzpy.optimize("photo.jpg", distance=1.0)  # doctest: +SKIP
    >>> result.save("smaller.jpg")  # doctest: +SKIP
    """
    options = OptimizeOptions(
        distance=distance,
        quality=quality,
        butteraugli=butteraugli,
        ssimulacra2=ssimulacra2,
        max_bytes=max_bytes,
        bpp=bpp,
        effort=effort,
        subsampling=subsampling,
        progressive=progressive,
        keep=kinds("keep", keep),
        strip=kinds("strip", strip),
        background=background,
        strict=strict,
        repair=repair,
        min_saving=min_saving,
        mark=mark,
        to_srgb=to_srgb,
        keep_components=keep_components,
        max_pixels=max_pixels,
        max_scans=max_scans,
        max_metadata=max_metadata,
        max_directories=max_directories,
        max_input=max_input,
        max_memory=max_memory,
        threads=threads,
        timeout=timeout,
    )
    return run(source, options, progress=progress, cancel=cancel)


def transcode(
    source: Readable,
    *,
    progressive: bool = True,
    keep: str | Iterable[str] = (),
    strip: str | Iterable[str] = (),
    keep_components: bool = False,
    repair: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    max_metadata: int = MAX_METADATA,
    max_directories: int = MAX_DIRECTORIES,
    max_input: int = MAX_INPUT,
    max_memory: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Pack the coefficients of a JPEG into fewer bytes: every pixel stays as it is.

    Parameters
    ----------
    source : bytes, path or binary file
        A JPEG.
    progressive : bool
        Progressive scans where they are smaller, or one baseline scan.
    keep, strip, keep_components, repair, threads, timeout
        As in :class:`guetzpy.TranscodeOptions`.
    max_pixels, max_scans, max_metadata, max_directories, max_input, max_memory
        As in :class:`guetzpy.TranscodeOptions`.
    progress, cancel
        As for :func:`optimize`.

    Returns
    -------
    Result
        With status "lossless", or "kept" where the file is as small as it gets.

    Raises
    ------
    FormatError, UnsupportedError, LimitError, CancelledError, OSError
        As :func:`optimize`; also UnsupportedError for sources that are no JPEG.
    """
    options = TranscodeOptions(
        progressive=progressive,
        keep=kinds("keep", keep),
        strip=kinds("strip", strip),
        keep_components=keep_components,
        repair=repair,
        max_pixels=max_pixels,
        max_scans=max_scans,
        max_metadata=max_metadata,
        max_directories=max_directories,
        max_input=max_input,
        max_memory=max_memory,
        threads=threads,
        timeout=timeout,
    )
    return run(source, options, progress=progress, cancel=cancel)


def run(
    source: Readable,
    options: OptimizeOptions | TranscodeOptions,
    *,
    name: str | None = None,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
) -> Result:
    """Do what ``options`` ask for; errors name the source.

    Parameters
    ----------
    source : as for :func:`optimize`
    options : OptimizeOptions or TranscodeOptions
        The kind of options says what is done.
    name : str, optional
        Name of the source in messages and in the result.
    progress, cancel : optional
        As for :func:`optimize`.
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
                result = _transcode(source, options, name, reporter)
            _check_baseline(result, options)
            reporter.done()
    except GuetzpyError as error:
        error.name = error.name or name
        raise
    result = replace(result, seconds=round(time.perf_counter() - started, 3))
    _log(result)
    return result


def _check_baseline(result: Result, options: OptimizeOptions | TranscodeOptions) -> None:
    """Raise UnsupportedError if a baseline file was asked for and cannot be made."""
    from guetzpy.engine.source import frame_of

    # Sequential Huffman coding; 16-bit tables of a source make it SOF1 (T.81 B.2.2).
    if options.progressive or frame_of(result.data)[0] in (0xC0, 0xC1):
        return
    why = f": {result.reason}" if result.reason else ""
    raise UnsupportedError(f"no baseline file can be made of it{why}; leave out --baseline")


def _import_work(options: OptimizeOptions | TranscodeOptions) -> None:
    """Import what the work needs, so that no other thread forks this process in the middle of it."""
    with not_forked():
        module = "engine.optimize" if isinstance(options, OptimizeOptions) else "jpeg.transcode"
        importlib.import_module(f"guetzpy.{module}")


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

    from guetzpy.engine.source import is_jpeg, load, sparseness
    from guetzpy.picture.reading import contents

    file_size = None
    if not isinstance(source, np.ndarray) and not hasattr(source, "getbands"):
        source, own_name = contents(source, options.max_input, options.max_memory)
        name = name or own_name
        reason = None if options.to_srgb else sparseness(source)
        if reason:
            return _packed(source, options, name, reason, reporter)
        file_size = len(source)
        if is_jpeg(source):
            _check_jpeg(source, options, name)
    from guetzpy.search.plan import plan_search

    plan: Plan | LimitError | None = None

    def planned(width: int, height: int, size: int | None, coefficients: bool = False) -> Plan:
        return plan_search(
            width, height, options.effort, threads=options.threads, ceiling=options.max_memory,
            file_size=size, coefficients=coefficients, name=name,
        )  # fmt: skip

    def check(width: int, height: int) -> None:
        nonlocal plan
        plan = planned(width, height, file_size)

    picture = load(
        source,
        max_pixels=options.max_pixels,
        max_scans=options.max_scans,
        max_metadata=options.max_metadata,
        max_directories=options.max_directories,
        max_input=options.max_input,
        repair=options.repair,
        background=options.background,
        convert_to_srgb=options.to_srgb,
        check=check,
        name=name,
    )
    if picture.obstacle is not None:
        return _kept(picture, options)
    if picture.data is not None and is_jpeg(picture.data):
        own, name = picture.kind == "jpeg", picture.name
        try:
            plan = planned(picture.width, picture.height, len(picture.data), own)
        except LimitError as error:
            if options.max_memory is not None or not own:
                raise
            plan = error  # it can be repacked all the same
    assert plan is not None
    from guetzpy.engine import optimize as engine

    spared = isinstance(plan, LimitError) or plan.resources.keep == "nothing"
    try:
        prepare_for(None if spared else picture.width * picture.height)
        result: Result = engine.optimize(picture, options, plan, reporter)
    except GuetzpyError as error:
        error.name = error.name or picture.name
        raise
    warnings = dict.fromkeys((*picture.warnings, *result.warnings))  # a repack has some of them, too
    return replace(result, input=picture.name, warnings=tuple(warnings))


def _check_jpeg(data: bytes, options: OptimizeOptions, name: str | None) -> None:
    """Raise LimitError if a JPEG takes too much memory, before its coefficients do."""
    from guetzpy.engine.source import frame_of, sparseness
    from guetzpy.search.plan import check_memory, packing_memory, plan_search

    try:
        _, width, height = frame_of(data)
    except FormatError:
        return  # the reader says what is wrong
    check_memory(width * height, packing_memory(width * height), options.max_memory, name)
    if sparseness(data):  # it gets here only if its pixels are going to be converted
        plan_search(width, height, options.effort, ceiling=options.max_memory, file_size=len(data), name=name)


def _kept(source: Source, options: OptimizeOptions) -> Result:
    """Return the file as it is, but for its metadata: a valid JPEG of a kind that is not handled."""
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
        **_UNCHANGED,
        effort=options.effort,
        input=source.name,
        removed=tuple(done.removed),
        warnings=tuple(done.warnings),
    )


def _packed(
    data: bytes, options: OptimizeOptions, name: str | None, reason: str, reporter: Reporter
) -> Result:
    """Return a JPEG packed losslessly."""
    shared = {field.name: getattr(options, field.name) for field in fields(TranscodeOptions)}
    result = _transcode(data, TranscodeOptions(**shared), name, reporter)
    _check_size(options, (result.width or 0) * (result.height or 0), len(result.data), reason)
    return replace(
        result, reason=result.reason or reason, target=dict([options.target]), effort=options.effort
    )


def _check_size(options: OptimizeOptions, area: int, size: int, reason: str | None) -> None:
    """Raise TargetError if a file that is not searched is larger than the size asked for."""
    from guetzpy.search.quality.target import Picture, target

    name, value = options.target
    wanted = target(name)
    goal = None if wanted.needs_pixels else wanted.goal(value, Picture(area))
    if goal is not None and goal.size is not None and size > goal.size:
        raise TargetError.of_size(size, goal.size, reason or "")


def _transcode(source: Readable, options: TranscodeOptions, name: str | None, reporter: Reporter) -> Result:
    from guetzpy.engine.source import frame_of, is_jpeg
    from guetzpy.picture.reading import contents
    from guetzpy.search.plan import check_memory, packing_memory

    data, own_name = contents(source, options.max_input, options.max_memory)
    name = name or own_name
    try:
        if not data:
            raise FormatError("empty file")
        if not is_jpeg(data):
            raise UnsupportedError(NOT_REPACKED)
        _, width, height = frame_of(data)
        check_memory(width * height, packing_memory(width * height), options.max_memory, name)
        reporter.write()
        done = _repacked(data, options)
    except GuetzpyError as error:
        error.name = error.name or name
        raise
    return Result(
        data=done.data,
        status=done.status,
        reason=done.reason or None,
        removed=tuple(done.removed),
        warnings=tuple(done.warnings),
        input=name,
        bytes_before=len(data),
        bytes_after=len(done.data),
        width=(done.image.width if done.image else width) or None,
        height=(done.image.height if done.image else height) or None,
        **_UNCHANGED,
        subsampling=done.image.subsampling if done.image else None,
        progressive=frame_of(done.data)[0] in (0xC2, 0xCA),
    )


def _repacked(data: bytes, options: TranscodeOptions) -> Transcoded:
    """Return a JPEG packed losslessly; of a kind that is not handled, only its metadata can be stripped."""
    from guetzpy.jpeg.metadata.policy import Policy
    from guetzpy.jpeg.reader import Limits
    from guetzpy.jpeg.transcode import strip_bytes, transcode_bytes

    policy = Policy.of(options.keep, options.strip)
    try:
        return transcode_bytes(
            data,
            policy,
            script="auto" if options.progressive else "sequential",
            repair=options.repair,
            limits=Limits(
                options.max_pixels, options.max_scans, options.max_metadata, options.max_directories
            ),
            keep_components=options.keep_components,
            threads=options.threads,
        )
    except UnsupportedError as error:
        if not policy.stripped:
            raise
        return replace(strip_bytes(data, policy), reason=error.reason)


def warmup(progress: Callable[[str, float], object] | None = None, *, processes: int = 1) -> None:
    """Compile all kernels for this processor, or load them, so that later calls are quick.

    Compiled kernels are kept in the user's cache folder (``$NUMBA_CACHE_DIR`` if set), where those of
    other versions are removed.

    Parameters
    ----------
    progress : callable, optional
        Called with each kernel's name and the seconds of processor time that it took.
    processes : int
        Processes that compile at once.
    """
    from concurrent.futures import BrokenExecutor

    from guetzpy._runtime import kernel as _jit

    if processes > 1 and _jit.can_keep():
        from guetzpy._runtime.warmup import warm_in_processes

        # Where no processes can be started, or one is killed, this one compiles the rest.
        with suppress(OSError, BrokenExecutor):
            for name, seconds in warm_in_processes(processes):
                if progress is not None:
                    progress(name, seconds)
            progress = None
    _jit.import_kernels()
    for name, seconds in _jit.warm():
        if progress is not None:
            progress(name, seconds)
    _jit.prune_cache()
