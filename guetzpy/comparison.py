"""Two pictures from anywhere, compared as an eye would."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.metrics import ButteraugliComparator, CVVDPComparator, SSIMULACRA2Comparator
from guetzpy.options import DEFAULT_METRICS, METRICS
from guetzpy.source import Codes, Readable, Source, load

__all__ = ["compare", "compare_sources", "diffmap_of", "load_pair"]

Scores = dict[str, float | None]


def compare(
    reference: Readable,
    distorted: Readable,
    *,
    metrics: Sequence[str] | None = None,
    display: str = "standard_fhd",
    background: Any = None,
    max_pixels: int = 268_435_456,
    threads: int | None = None,
) -> Scores:
    """Measure how visible the difference between two pictures is.

    Parameters
    ----------
    reference, distorted : bytes, path, binary file, PIL image or ndarray
        Pictures of one size. JPEG files are decoded as libjpeg-turbo does by default.
    metrics : sequence of str, optional
        Names of metrics: ``"butteraugli"``, ``"ssimulacra2"``, ``"psnr"``, ``"cvvdp"``. Default: all.
    display : str, optional
        For CVVDP; see :class:`guetzpy.metrics.CVVDPComparator`.
    background : str or tuple, optional
        Colour under transparent parts of both.
    max_pixels : int
        Refused above.
    threads : int, optional
        Default: the processors available.

    Returns
    -------
    dict
        ``butteraugli_3norm``, ``butteraugli_max``; ``ssimulacra2``; ``psnr`` of the codes in dB, None
        if they are equal; ``cvvdp`` in JOD. Of the wanted metrics only.

    Raises
    ------
    ValueError
        The pictures are of different sizes; there is no such metric or display.
    GuetzpyError, OSError, TypeError
        As :func:`guetzpy.optimize`.
    """
    first, second = load_pair(reference, distorted, background=background, max_pixels=max_pixels)
    return compare_sources(first, second, metrics=metrics, display=display, threads=threads)


def load_pair(
    reference: Readable, distorted: Readable, *, background: Any = None, max_pixels: int = 268_435_456
) -> tuple[Source, Source]:
    """Read two pictures of one size; see :func:`compare`."""
    first = load(reference, max_pixels=max_pixels, background=background)
    second = load(distorted, max_pixels=max_pixels, background=background)
    if (first.width, first.height) != (second.width, second.height):
        sizes = f"{first.width} x {first.height} and {second.width} x {second.height}"
        raise ValueError(f"pictures of different sizes cannot be compared: {sizes}")
    return first, second


@dataclass(frozen=True)
class _Pair:
    """Codes and linear light of two pictures, and how they are looked at."""

    before: Codes
    after: Codes
    light: npt.NDArray[np.float32]
    other: npt.NDArray[np.float32]
    display: str
    threads: int | None


def _butteraugli(pair: _Pair) -> Scores:
    comparator = ButteraugliComparator.from_linear(pair.light, threads=pair.threads)
    norm3, largest = comparator.scores_linear(pair.other)
    return {"butteraugli_3norm": norm3, "butteraugli_max": largest}


def _ssimulacra2(pair: _Pair) -> Scores:
    comparator = SSIMULACRA2Comparator.from_linear(pair.light, threads=pair.threads)
    return {"ssimulacra2": comparator.score_linear(pair.other)}


def _cvvdp(pair: _Pair) -> Scores:
    comparator = CVVDPComparator.from_linear(pair.light, display=pair.display, threads=pair.threads)
    return {"cvvdp": comparator.score_linear(pair.other)}


def _codes(pair: _Pair) -> Scores:
    return {"psnr": _psnr(pair.before, pair.after)}


#: What measures each metric.
_MEASURES: dict[str, Callable[[_Pair], Scores]] = {
    "butteraugli": _butteraugli,
    "ssimulacra2": _ssimulacra2,
    "psnr": _codes,
    "cvvdp": _cvvdp,
}


def compare_sources(
    first: Source,
    second: Source,
    *,
    metrics: Sequence[str] | None = None,
    display: str = "standard_fhd",
    threads: int | None = None,
) -> Scores:
    """Compare two sources of one size; see :func:`compare`."""
    wanted = DEFAULT_METRICS if metrics is None else metrics
    for name in wanted:
        if name not in _MEASURES:
            raise ValueError(f"metric {name!r} is not known; choose from: {', '.join(METRICS)}")
    before, after = first.planes(threads=threads), second.planes(threads=threads)
    light = first.transform.linear(before, threads=threads)
    other = second.transform.linear(after, threads=threads)
    pair = _Pair(before, after, light, other, display, threads)
    scores: Scores = {}
    for name in wanted:
        scores |= _MEASURES[name](pair)
    return scores


def diffmap_of(first: Source, second: Source, *, threads: int | None = None) -> npt.NDArray[np.float32]:
    """Return Butteraugli's map of errors between two sources of one size, float32 (H, W)."""
    light = first.transform.linear(first.planes(threads=threads), threads=threads)
    other = second.transform.linear(second.planes(threads=threads), threads=threads)
    return ButteraugliComparator.from_linear(light, threads=threads).diffmap_linear(other)


def _psnr(before: Codes, after: Codes) -> float | None:
    error = float(np.mean(np.square(_on_255(before) - _on_255(after))))
    return 10 * math.log10(255 * 255 / error) if error else None


def _on_255(codes: Codes) -> npt.NDArray[np.float64]:
    return codes.astype(np.float64) / (257.0 if codes.dtype == np.uint16 else 1.0)
