"""Scores of one picture against another, by the perceptual metrics and PSNR."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import time_limit
from guetzpy.engine.loading import load
from guetzpy.engine.source import Codes, Readable, Source
from guetzpy.errors import FormatError, GuetzpyError
from guetzpy.jpeg.header import frame_of, is_jpeg
from guetzpy.metrics import (
    ButteraugliComparator,
    CVVDPComparator,
    IWSSIMComparator,
    SSIMULACRA2Comparator,
)
from guetzpy.options import DEFAULT_METRICS, MAX_DIRECTORIES, MAX_METADATA, MAX_PIXELS, MAX_SCANS, METRICS
from guetzpy.picture.reading import MAX_INPUT, contents
from guetzpy.picture.transform import Transform
from guetzpy.search.plan import check_comparing, check_decoding, comparing_memory

__all__ = ["compare", "compare_sources", "diffmap_of", "load_pair"]

Scores = dict[str, float | None]

#: Rows of a strip of Butteraugli. The height changes the memory in use, not the scores.
_ROWS = 128


def compare(
    reference: Readable,
    distorted: Readable,
    *,
    metrics: Sequence[str] | None = None,
    display: str = "standard_fhd",
    background: Any = None,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    max_metadata: int = MAX_METADATA,
    max_directories: int = MAX_DIRECTORIES,
    max_input: int = MAX_INPUT,
    max_memory: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
) -> Scores:
    """Measure how visible the difference between two pictures is.

    Parameters
    ----------
    reference, distorted : bytes, path, binary file, PIL image or ndarray
        Two pictures of the same size. A JPEG file is decoded to the samples that libjpeg-turbo gives by
        default.
    metrics : sequence of str, optional
        The metrics to compute: ``"butteraugli"``, ``"ssimulacra2"``, ``"psnr"``, ``"cvvdp"``,
        ``"iwssim"``. Default: all of them.
    display : str, optional
        Name of the display that CVVDP assumes; see :class:`guetzpy.metrics.CVVDPComparator`.
    background : str or tuple, optional
        Colour that both pictures are composited on where they are transparent.
    max_pixels, max_scans, max_metadata, max_directories, max_input : int
        Limits that apply to each of the two files, as in :class:`guetzpy.OptimizeOptions`.
    max_memory : int, optional
        Bytes of memory; LimitError is raised for pictures that are estimated to need more. Default: the
        memory of the machine, but at most 500 MB if both files have less than 500 kB.
    threads : int, optional
        Number of threads. Default: the number of processors available.
    timeout : float, optional
        Seconds after which LimitError is raised.

    Returns
    -------
    dict
        The scores of the chosen metrics: ``butteraugli_3norm`` and ``butteraugli_max`` (0 if the pictures are
        equal); ``ssimulacra2`` (at most 100); ``psnr`` of the codes in dB (None if they are equal);
        ``cvvdp`` in JOD (at most 10); ``iwssim`` (at most 1).

    Raises
    ------
    ValueError
        The pictures have different sizes, or the metric or the display is not known.
    GuetzpyError, OSError, TypeError
        For the same reasons as in :func:`guetzpy.optimize`.
    """
    with time_limit(timeout):
        first, second = load_pair(
            reference,
            distorted,
            background=background,
            max_pixels=max_pixels,
            max_scans=max_scans,
            max_metadata=max_metadata,
            max_directories=max_directories,
            max_input=max_input,
            max_memory=max_memory,
        )
        return compare_sources(first, second, metrics=metrics, display=display, threads=threads)


def load_pair(
    reference: Readable,
    distorted: Readable,
    *,
    max_input: int = MAX_INPUT,
    max_memory: int | None = None,
    **options: Any,
) -> tuple[Source, Source]:
    """Read two pictures of the same size within the limits of :func:`compare`, which lists the errors.

    ``options`` are passed to :func:`guetzpy.engine.loading.load`.
    """
    read = [_contents(source, max_input, max_memory) for source in (reference, distorted)]
    sizes = [None if size is None else size for _, size, _ in read]
    largest = None if None in sizes else max(size for size in sizes if size is not None)

    def checks(size: int | None) -> Callable[[int, int], None]:
        def check(width: int, height: int) -> None:
            check_decoding(width * height, size, max_memory, enough=comparing_memory(width, height))
            check_comparing(width, height, largest, max_memory)

        return check

    loaded = []
    for source, size, name in read:
        check = checks(size)
        try:
            if isinstance(source, bytes) and is_jpeg(source):
                _check_jpeg(source, check)
            loaded.append(load(source, max_input=max_input, check=check, name=name, **options))
        except GuetzpyError as error:
            error.name = error.name or name
            raise
    first, second = loaded
    if (first.width, first.height) != (second.width, second.height):
        words = f"{first.width} x {first.height} and {second.width} x {second.height}"
        raise ValueError(f"pictures of different sizes cannot be compared: {words}")
    return first, second


def _contents(source: Any, max_input: int, max_memory: int | None) -> tuple[Any, int | None, str | None]:
    """Return the contents, size in bytes and name of a file; an array or PIL image itself, None and None."""
    if isinstance(source, np.ndarray) or hasattr(source, "getbands"):
        return source, None, None
    data, name = contents(source, max_input, max_memory)
    return data, len(data), name


def _check_jpeg(data: bytes, check: Callable[[int, int], None]) -> None:
    try:
        _, width, height = frame_of(data)
    except FormatError:
        return  # load() raises the error with its reason
    check(width, height)


@dataclass(frozen=True)
class _Pair:
    """The codes of two pictures, their transforms to linear light, and the display that CVVDP assumes.

    Comparators that can store planes of the reference are made with ``keep=False``: each reference is used
    once, so storing them would only cost memory.
    """

    before: Codes
    after: Codes
    transform: Transform
    other: Transform
    display: str
    threads: int | None


def _butteraugli(pair: _Pair) -> Scores:
    norm3, largest = _butteraugli_of(pair).scores_codes(pair.after, pair.other)
    return {"butteraugli_3norm": norm3, "butteraugli_max": largest}


def _butteraugli_of(pair: _Pair) -> ButteraugliComparator:
    return ButteraugliComparator.from_codes(
        pair.before, pair.transform, threads=pair.threads, keep=False, rows=_ROWS
    )


def _ssimulacra2(pair: _Pair) -> Scores:
    comparator = SSIMULACRA2Comparator.from_codes(
        pair.before, pair.transform, threads=pair.threads, keep=False
    )
    return {"ssimulacra2": comparator.score_codes(pair.after, pair.other)}


def _cvvdp(pair: _Pair) -> Scores:
    comparator = CVVDPComparator.from_codes(
        pair.before, pair.transform, display=pair.display, threads=pair.threads, keep=False
    )
    return {"cvvdp": comparator.score_codes(pair.after, pair.other)}


def _iwssim(pair: _Pair) -> Scores:
    comparator = IWSSIMComparator.from_codes(pair.before, pair.transform, threads=pair.threads)
    return {"iwssim": comparator.score_codes(pair.after, pair.other)}


def _codes(pair: _Pair) -> Scores:
    return {"psnr": _psnr(pair.before, pair.after)}


#: The function that computes each metric's scores.
_MEASURES: dict[str, Callable[[_Pair], Scores]] = {
    "butteraugli": _butteraugli,
    "ssimulacra2": _ssimulacra2,
    "psnr": _codes,
    "cvvdp": _cvvdp,
    "iwssim": _iwssim,
}


def compare_sources(
    first: Source,
    second: Source,
    *,
    metrics: Sequence[str] | None = None,
    display: str = "standard_fhd",
    threads: int | None = None,
) -> Scores:
    """Return the scores of the second source against the first, of the same size; see :func:`compare`."""
    wanted = DEFAULT_METRICS if metrics is None else metrics
    for name in wanted:
        if name not in _MEASURES:
            raise ValueError(f"metric {name!r} is not known; choose from: {', '.join(METRICS)}")
    before, after = first.planes(threads=threads), second.planes(threads=threads)
    pair = _Pair(before, after, first.transform, second.transform, display, threads)
    scores: Scores = {}
    for name in wanted:
        scores |= _MEASURES[name](pair)
    return scores


def diffmap_of(first: Source, second: Source, *, threads: int | None = None) -> npt.NDArray[np.float32]:
    """Return Butteraugli's difference map of two sources of the same size, float32 of shape (H, W)."""
    before, after = first.planes(threads=threads), second.planes(threads=threads)
    pair = _Pair(before, after, first.transform, second.transform, "", threads)
    return _butteraugli_of(pair).diffmap_codes(after, second.transform)


def _psnr(before: Codes, after: Codes) -> float | None:
    """Return the peak signal-to-noise ratio of the codes in dB, for a peak of 255; None if they are equal."""
    total, rows = 0.0, max(1, (1 << 20) // before.shape[2])
    for top in range(0, before.shape[1], rows):
        difference = _on_255(before[:, top : top + rows]) - _on_255(after[:, top : top + rows])
        total += float(np.sum(np.square(difference)))
    error = total / (max(len(before), len(after)) * before[0].size)
    return 10 * math.log10(255 * 255 / error) if error else None


def _on_255(codes: Codes) -> npt.NDArray[np.float64]:
    return codes.astype(np.float64) / (257.0 if codes.dtype == np.uint16 else 1.0)
