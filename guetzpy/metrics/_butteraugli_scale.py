"""Butteraugli at one scale: a window of a picture through all stages, shared between threads.

A window is a picture of its own with a margin of rows around those that count; what its inner
edges do to the margin does not reach them. Each stage works on strips of 32 rows, and
each waits for the one before, because the blurs look across strips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._threads import each
from guetzpy.metrics._butteraugli_bands import (
    SIGMA_ACTIVITY,
    SIGMA_HIGH,
    SIGMA_LOW,
    SIGMA_MIDDLE,
    SIGMA_OPSIN,
    erode_rows,
    high_rows,
    low_rows,
    middle_rows,
    opsin_rows,
    smooth_rows,
)
from guetzpy.metrics._butteraugli_errors import dc_rows, error_rows
from guetzpy.metrics._butteraugli_malta import HIGH_LINES, MIDDLE_LINES, REACH, ULTRA_LINES
from guetzpy.metrics.blur import edge_gain, half_kernel

__all__ = ["MARGIN", "Bands", "Geometry", "Memory", "Window", "compare", "separate_reference", "windows"]

Floats = npt.NDArray[np.float32]

#: Reach of the blurs in sequence: 2 (opsin) + 16 (low) + 7 (middle) + 3 (high) + 6 (activity).
MARGIN = 34
_WINDOW = 640
_STRIP = 32

_OPSIN = half_kernel(SIGMA_OPSIN)
_LOW = half_kernel(SIGMA_LOW)
_MIDDLE = half_kernel(SIGMA_MIDDLE)
_HIGH = half_kernel(SIGMA_HIGH)
_ACTIVITY = half_kernel(SIGMA_ACTIVITY)
_TABLES = np.stack([MIDDLE_LINES, HIGH_LINES, ULTRA_LINES])
#: Room beside a row for the widest blur: 16 + 2 samples on each side.
_PAD = 2 * (len(_LOW) - 1 + 2)


class Window(NamedTuple):
    """Rows ``top`` to ``bottom`` are worked on, those from ``first`` to ``last`` count."""

    top: int
    bottom: int
    first: int
    last: int


def windows(height: int, margin: int = MARGIN) -> list[Window]:
    """Return windows of at most 640 rows, and their margins, that cover a picture from top to bottom."""
    count = -(-height // _WINDOW)
    size = -(-height // count)
    size += size % 2  # so that rows pair up for the half size
    return [
        Window(max(0, y - margin), min(height, y + size + margin), y, min(height, y + size))
        for y in range(0, height, size)
    ]


def strips(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Return the strips of rows that threads take."""
    return ((y, min(y + _STRIP, last)) for y in range(first, last, _STRIP))


class Geometry:
    """Size of a window's planes and the edge gains of the four renormalised blurs for it."""

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.low = _LOW, edge_gain(height, _LOW), edge_gain(width, _LOW)
        self.middle = _MIDDLE, edge_gain(height, _MIDDLE), edge_gain(width, _MIDDLE)
        self.high = _HIGH, edge_gain(height, _HIGH), edge_gain(width, _HIGH)
        self.activity = _ACTIVITY, edge_gain(height, _ACTIVITY), edge_gain(width, _ACTIVITY)

    def scratch(self) -> Floats:
        """Return rows for a blur: zeros, and a padded line."""
        rows = np.empty((2, self.width + _PAD), np.float32)
        rows[0] = 0.0
        return rows


class Bands(NamedTuple):
    """A reference's bands and mask; planes of one window."""

    low: Floats
    middle: Floats
    high: Floats
    ultra: Floats
    activity: Floats
    erosion: Floats


class Memory:
    """A stack of planes in one block that is used again: fresh pages cost as much as the arithmetic."""

    def __init__(self) -> None:
        self._block = np.empty(0, np.float32)
        self._used = 0

    def reserve(self, size: int) -> None:
        """Forget all planes and make room for ``size`` samples."""
        self._used = 0
        if self._block.size < size:
            self._block = np.empty(0, np.float32)  # let go of the old one first
            self._block = np.empty(size, np.float32)

    def planes(self, *shape: int) -> Floats:
        """Return planes that are not initialised."""
        size = math.prod(shape)
        block = self._block[self._used : self._used + size]
        self._used += size
        return block.reshape(shape)


def _opsin(linear: Floats, geometry: Geometry, xyb: Floats, threads: int | None) -> None:
    def strip(rows: tuple[int, int]) -> None:
        line = np.empty((1, geometry.width + _PAD), np.float32)
        scratch = np.empty((6, geometry.width), np.float32)
        opsin_rows(linear, *rows, _OPSIN, line, scratch, xyb)

    each(strip, strips(0, geometry.height), threads)


def _middle(rest: Floats, geometry: Geometry, middle: Floats, rest_high: Floats, threads: int | None) -> None:
    each(
        lambda rows: middle_rows(rest, *rows, *geometry.middle, geometry.scratch(), middle, rest_high),
        strips(0, geometry.height),
        threads,
    )


def _high(
    rest: Floats, geometry: Geometry, high: Floats, ultra: Floats, activity: Floats, threads: int | None
) -> None:
    each(
        lambda rows: high_rows(rest, *rows, *geometry.high, geometry.scratch(), high, ultra, activity),
        strips(0, geometry.height),
        threads,
    )


def separate_reference(linear: Floats, geometry: Geometry, threads: int | None) -> Bands:
    """Return the bands and the mask of a reference.

    Parameters
    ----------
    linear : ndarray of float32, shape (3, H, W)
        Linear sRGB of a window, 1.0 = white.
    geometry : Geometry
    threads : int or None
    """
    height, width = geometry.height, geometry.width
    xyb = np.empty((3, height, width), np.float32)
    rest, low = np.empty_like(xyb), np.empty_like(xyb)
    ultra, rest_high = np.empty_like(xyb[:2]), np.empty_like(xyb[:2])
    _opsin(linear, geometry, xyb, threads)
    each(
        lambda rows: low_rows(xyb, *rows, *geometry.low, geometry.scratch(), rest, low, 0),
        strips(0, height),
        threads,
    )
    middle = xyb  # not needed any more
    _middle(rest, geometry, middle, rest_high, threads)
    high, sharp = rest[:2], rest[2]
    _high(rest_high, geometry, high, ultra, sharp, threads)
    activity = np.empty((height, width), np.float32)
    each(
        lambda rows: smooth_rows(sharp, *rows, *geometry.activity, geometry.scratch(), activity),
        strips(0, height),
        threads,
    )
    erosion = sharp
    each(lambda rows: erode_rows(activity, *rows, erosion), strips(0, height), threads)
    return Bands(low, middle, high, ultra, activity, erosion)


def compare(
    reference: Bands,
    linear: Floats,
    geometry: Geometry,
    memory: Memory,
    rows: tuple[int, int],
    out: Floats,
    threads: int | None,
) -> None:
    """Write rows of the map of errors of a window.

    Parameters
    ----------
    reference : Bands
    linear : ndarray of float32, shape (3, H, W)
        The distorted picture's window.
    geometry : Geometry
    memory : Memory
    rows : tuple of int
        First and last row of the window that count.
    out : ndarray of float32, shape (last - first, W)
    threads : int or None
    """
    height, width = geometry.height, geometry.width
    memory.reserve(11 * height * width)
    xyb, rest = memory.planes(3, height, width), memory.planes(3, height, width)
    rest_high, ultra = memory.planes(2, height, width), memory.planes(2, height, width)
    dc = memory.planes(height, width)
    _opsin(linear, geometry, xyb, threads)

    def low_strip(strip: tuple[int, int]) -> None:
        low = np.empty((3, strip[1] - strip[0], width), np.float32)
        low_rows(xyb, *strip, *geometry.low, geometry.scratch(), rest, low, strip[0])
        dc_rows(reference.low, low, *strip, strip[0], dc)

    each(low_strip, strips(0, height), threads)
    middle = xyb
    _middle(rest, geometry, middle, rest_high, threads)
    high, activity = rest[:2], rest[2]
    _high(rest_high, geometry, high, ultra, activity, threads)
    first = rows[0]

    def error_strip(strip: tuple[int, int]) -> None:
        count = strip[1] - strip[0]
        error_rows(
            reference.middle, reference.high, reference.ultra, reference.activity, reference.erosion,
            middle, high, ultra, activity, dc, *strip, *geometry.activity, geometry.scratch(), _TABLES,
            np.empty((count + 2 * REACH, width + 2 * REACH), np.float32),
            np.empty((count + 1, width), np.float32), out[strip[0] - first : strip[1] - first],
        )  # fmt: skip

    each(error_strip, strips(*rows), threads)
