"""Two pictures from anywhere, compared as an eye would."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.metrics import ButteraugliComparator, SSIMULACRA2Comparator
from guetzpy.source import Codes, Readable, Source, load

__all__ = ["compare", "compare_sources", "diffmap_of", "load_pair"]


def compare(
    reference: Readable,
    distorted: Readable,
    *,
    background: Any = None,
    max_pixels: int = 268_435_456,
    threads: int | None = None,
) -> dict[str, float | None]:
    """Measure how visible the difference between two pictures is.

    Parameters
    ----------
    reference, distorted : bytes, path, binary file, PIL image or ndarray
        Pictures of one size. JPEG files are decoded as libjpeg-turbo does by default.
    background : str or tuple, optional
        Colour under transparent parts of both.
    max_pixels : int
        Refused above.
    threads : int, optional
        Default: the processors available.

    Returns
    -------
    dict
        ``butteraugli_3norm``, ``butteraugli_max``, ``ssimulacra2``, and ``psnr`` of the codes in dB, None
        if they are equal.

    Raises
    ------
    ValueError
        The pictures are of different sizes.
    GuetzpyError, OSError, TypeError
        As :func:`guetzpy.optimize`.
    """
    first, second = load_pair(reference, distorted, background=background, max_pixels=max_pixels)
    return compare_sources(first, second, threads=threads)


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


def compare_sources(first: Source, second: Source, *, threads: int | None = None) -> dict[str, float | None]:
    """Compare two sources of one size; see :func:`compare`."""
    before, after = first.planes(threads=threads), second.planes(threads=threads)
    light = first.transform.linear(before, threads=threads)
    other = second.transform.linear(after, threads=threads)
    butteraugli = ButteraugliComparator.from_linear(light, threads=threads)
    ssimulacra2 = SSIMULACRA2Comparator.from_linear(light, threads=threads)
    norm3, largest = butteraugli.scores_linear(other)
    return {
        "butteraugli_3norm": norm3,
        "butteraugli_max": largest,
        "ssimulacra2": ssimulacra2.score_linear(other),
        "psnr": _psnr(before, after),
    }


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
