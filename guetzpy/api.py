"""The functions for users: each takes one picture and returns one result."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, get_type_hints

from guetzpy._common_options import unknown_option
from guetzpy._option import options_of, with_keywords
from guetzpy.engine.run import run
from guetzpy.options import OptimizeKeywords, OptimizeOptions, TranscodeKeywords, TranscodeOptions
from guetzpy.progress import Cancel, OnProgress
from guetzpy.result import Result

if TYPE_CHECKING:
    from guetzpy.engine.source import Readable

__all__ = ["optimize", "run", "transcode", "warmup"]


_Options = TypeVar("_Options", OptimizeOptions, TranscodeOptions)


def _parameters(kind: type[Any], keywords: type[Any]) -> Iterator[inspect.Parameter]:
    """Yield a parameter for each field of the options, with its default."""
    hints = get_type_hints(keywords)
    for name, (field, _) in options_of(kind).items():
        yield inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[name]
        )


def _made(kind: type[_Options], options: _Options | None, keywords: Mapping[str, object]) -> _Options:
    """Return the options that a caller gave, either whole or as keywords."""
    if options is None:
        if fault := unknown_option(kind, keywords):
            raise TypeError(fault)
        return kind(**dict[str, Any](keywords))
    if keywords:
        raise ValueError(f"options and {', '.join(keywords)}: give either options or keywords, not both")
    if not isinstance(options, kind):
        raise TypeError(f"options: expected {kind.__name__}, not {type(options).__name__}")
    return options


@with_keywords(_parameters(OptimizeOptions, OptimizeKeywords))
def optimize(
    source: Readable,
    options: OptimizeOptions | None = None,
    *,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    **keywords: Unpack[OptimizeKeywords],
) -> Result:
    """Make the smallest JPEG that meets a target, and score it.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or ndarray
        Files: JPEG, PNG, TIFF, WebP and other formats of Pillow; HEIC, AVIF, JPEG XL and camera RAW by
        extras (``pip install "guetzpy[heic]"``, ``[avif]``, ``[jxl]``, ``[raw]``). Arrays: (H, W), (H, W, 3)
        or (H, W, 4) of uint8, uint16, bool or float 0..1, taken as sRGB. A PIL image counts as its pixels;
        pass a JPEG by path or bytes, so that its own coefficients are used. An open file is read whole, from
        its start even if its position is elsewhere; one that cannot seek, from its position.
    options : OptimizeOptions, optional
        All options in one object, in place of the keywords below.
    progress : callable, optional
        Called with a :class:`guetzpy.Progress` several times, in this thread. An exception that it raises
        ends the work.
    cancel : threading.Event or alike, optional
        Once it is set (by another thread, or by ``progress``) the work ends soon, by CancelledError.
    **keywords
        The fields of :class:`guetzpy.OptimizeOptions` and :class:`guetzpy.options.CommonOptions`, which
        describe them:

        - the target, at most one of ``distance`` (default 1.0), ``quality``, ``ssimulacra2``,
          ``butteraugli``, ``max_bytes`` and ``bpp``; with ``distance`` also ``strict`` and
          ``total_distance``;
        - the encoding: ``effort``, ``model``, ``subsampling``, ``progressive``, ``to_srgb``, ``fit``,
          ``background``, ``gainmap``, ``min_saving``, ``mark``, ``keep_components``, ``repair``;
        - the metadata: ``keep``, ``strip``;
        - the limits: ``threads``, ``max_pixels``, ``max_scans``, ``max_metadata``, ``max_directories``,
          ``max_input``, ``max_memory``, ``timeout``.

        Their types are those of ``guetzpy.options.OptimizeKeywords``, for functions that pass them on.

    Returns
    -------
    Result
        ``data`` holds the file. A JPEG grows only if an option such as ``progressive=False``
        requires it. If it cannot be made smaller, ``data`` is the source.

    Raises
    ------
    FormatError
        The input is damaged.
    UnsupportedError
        The input is valid, but of a kind that guetzpy does not handle.
    LimitError
        The input exceeds a limit, or the timeout has passed.
    TargetError
        No JPEG of this picture meets the score, the size or the strict distance.
    CancelledError
        ``cancel`` was set.
    OSError
        The source or the model cannot be read.
    TypeError, ValueError
        The source is not a picture, or the options are wrong; ValueError also for ``options`` together with
        keywords.

    Examples
    --------
    >>> import guetzpy
    >>> result = guetzpy.optimize("photo.jpg", distance=1.0)  # doctest: +SKIP
    >>> result.save("smaller.jpg")  # doctest: +SKIP
    """
    result = run(source, _made(OptimizeOptions, options, keywords), progress=progress, cancel=cancel)
    result.remember(source)
    return result


@with_keywords(_parameters(TranscodeOptions, TranscodeKeywords))
def transcode(
    source: Readable,
    options: TranscodeOptions | None = None,
    *,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    **keywords: Unpack[TranscodeKeywords],
) -> Result:
    """Pack the coefficients of a JPEG into fewer bytes: every pixel stays as it is.

    Parameters
    ----------
    source : bytes, path or binary file
        A JPEG.
    options : TranscodeOptions, optional
        All options in one object, in place of the keywords below.
    progress, cancel
        As for :func:`optimize`.
    **keywords
        The fields of :class:`guetzpy.TranscodeOptions` and :class:`guetzpy.options.CommonOptions`, which
        describe them: ``progressive``, ``keep_components``, ``repair``, ``keep``, ``strip``, ``threads``,
        ``max_pixels``, ``max_scans``, ``max_metadata``, ``max_directories``, ``max_input``, ``max_memory``,
        ``timeout``. Their types are those of ``guetzpy.options.TranscodeKeywords``.

    Returns
    -------
    Result
        The status is "lossless", or "kept" if the file cannot be made smaller.

    Raises
    ------
    FormatError, UnsupportedError, LimitError, CancelledError, OSError
        As :func:`optimize`; also UnsupportedError for sources that are not JPEG files.
    """
    result = run(source, _made(TranscodeOptions, options, keywords), progress=progress, cancel=cancel)
    result.remember(source)
    return result


def warmup(progress: Callable[[str, float], object] | None = None, *, processes: int = 1) -> None:
    """Compile all kernels, or load them, so that later calls are quick.

    Kernels that the package contains, as wheels for x86-64 do, are loaded. Others are compiled for this
    processor and kept in the user's cache folder (``$NUMBA_CACHE_DIR`` if set), where those of other versions
    are removed.

    Parameters
    ----------
    progress : callable, optional
        Called with each kernel's name and the seconds of processor time that it took.
    processes : int
        Processes that compile at once.
    """
    from concurrent.futures import BrokenExecutor

    from guetzpy._runtime import kernel as _jit
    from guetzpy._runtime.kernel_cache import can_keep

    if processes > 1 and can_keep() and _jit.packaged() is None:
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
