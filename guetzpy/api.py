"""The functions of one line: a picture in, a result out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from guetzpy.engine.run import run
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
from guetzpy.progress import Cancel, OnProgress
from guetzpy.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from guetzpy.engine.source import Readable

__all__ = ["optimize", "run", "transcode", "warmup"]


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
