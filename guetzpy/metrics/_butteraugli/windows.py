"""Linear light of pictures, and Butteraugli's data of the reference, in windows, which bound the memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.metrics._butteraugli.adjoint import Trace, pull_back, trace
from guetzpy.metrics._butteraugli.errors import halve_rows
from guetzpy.metrics._butteraugli.scale import (
    MARGIN,
    Geometry,
    Memory,
    Reference,
    compare,
    separate_reference,
    strips,
)
from guetzpy.metrics.one_reference import TRACED_PIXELS

__all__ = [
    "SMALLEST",
    "TRACED_SAMPLES",
    "Light",
    "MemoryPool",
    "Scale",
    "halve_window",
    "light_of_picture",
    "light_of_planes",
    "whole_picture",
    "windows_of",
]

Floats = npt.NDArray[np.float32]

#: Smaller sides are extended to this, as in libjxl. Pictures with a side below
#: 2 SMALLEST - 1 are compared at full size only.
SMALLEST = 8
#: Gradients of larger pictures are computed window by window; the forward pass is then computed twice.
TRACED_SAMPLES = TRACED_PIXELS
#: Rows of a window of the distorted picture, which bounds the memory.
_WINDOW_ROWS = 640
#: Pictures with more samples have at least two windows.
_ONE_WINDOW = 1 << 19


class Light:
    """Linear light of a picture, returned in rows."""

    def __init__(self, codes: Any, transform: Any = None) -> None:
        self._codes = codes
        self._transform = transform
        self.planes, self.height, self.width = (int(side) for side in codes.shape)

    def rows(self, top: int, bottom: int, threads: int | None, out: Floats | None = None) -> Floats:
        """Return rows as float32 (3, bottom - top, W), contiguous and writable; ``out`` may hold them."""
        part = self._codes[:, top:bottom]
        if self._transform is None:
            return np.require(part, np.float32, ["C", "W"])
        light: Floats = self._transform.linear(np.ascontiguousarray(part), threads=threads, out=out)
        return light

    def pull_back(self, gradient: Floats, first: int) -> Floats:
        """Convert derivatives for the light of rows from ``first`` on to derivatives for codes.

        If the picture has no codes, the derivatives with respect to light are returned.
        """
        if self._transform is None:
            return gradient
        part = np.ascontiguousarray(self._codes[:, first : first + gradient.shape[1]])
        by_codes: Floats = self._transform.pull_back(gradient, part, threads=1)
        return by_codes

    def extended(self, threads: int | None) -> Light:
        """Return the picture with sides of at least 8 samples; its edges are repeated on both sides."""
        before = [max(0, (SMALLEST - side) // 2) for side in (self.height, self.width)]
        after = [
            max(0, SMALLEST - side - b) for side, b in zip((self.height, self.width), before, strict=True)
        ]
        planes = self.rows(0, self.height, threads)
        return Light(np.pad(planes, ((0, 0), *zip(before, after, strict=True)), mode="edge"))


def light_of_planes(planes: npt.ArrayLike) -> Light:
    array = np.asarray(planes)
    if array.ndim != 3 or array.shape[0] != 3 or array.size == 0:
        raise ValueError(f"planes of shape {array.shape}; expected (3, H, W) of linear light")
    if array.dtype != np.float32:
        raise TypeError(f"planes of {array.dtype}; expected float32")
    return Light(array)


def light_of_picture(picture: Any, background: Any = None) -> Light:
    from guetzpy.picture.planes import planes_of

    return Light(*planes_of(picture, background=background))


class Window(NamedTuple):
    """Rows ``top`` to ``bottom`` are processed; results of rows ``first`` to ``last`` are used."""

    top: int
    bottom: int
    first: int
    last: int


def windows_of(height: int, width: int, rows: int | None) -> list[Window]:
    """Return windows, with their margins, that cover a picture from top to bottom."""
    count = max(-(-height // (rows or _WINDOW_ROWS)), 1 + (height * width > _ONE_WINDOW))
    size = -(-height // count)
    size += size % 2  # even, so that windows do not share rows when halved
    return [
        Window(max(0, y - MARGIN), min(height, y + size + MARGIN), y, min(height, y + size))
        for y in range(0, height, size)
    ]


class Scale:
    """Data of the reference at one size; its bands are kept or computed for each window."""

    def __init__(self, light: Light, keep: bool, rows: int | None, threads: int | None) -> None:
        self.light = light
        self.windows = [
            (w, Geometry(w.bottom - w.top, light.width)) for w in windows_of(light.height, light.width, rows)
        ]
        self._rows = rows
        self._threads = threads
        self._whole: Reference | None = None
        if keep:
            geometry = Geometry(light.height, light.width)
            self._whole = separate_reference(light.rows(0, light.height, threads), geometry, threads)

    def _reference(self, window: Window, geometry: Geometry) -> Reference:
        if self._whole is not None:
            return self._whole.rows(window.top, window.bottom)
        light = self.light.rows(window.top, window.bottom, self._threads)
        return separate_reference(light, geometry, self._threads)

    def compare(self, number: int, linear: Floats, memory: Memory, out: Floats) -> None:
        """Write the rows of the map of errors of one window."""
        window, geometry = self.windows[number]
        rows = window.first - window.top, window.last - window.top
        target = out[window.first : window.last]
        compare(self._reference(window, geometry), linear, geometry, memory, rows, target, self._threads)

    def trace(self, linear: Floats, window: Window, memory: Memory) -> Trace:
        """Compare a window and keep what its derivatives need."""
        geometry = Geometry(window.bottom - window.top, self.light.width)
        return trace(self._reference(window, geometry), linear, geometry, memory, self._threads)

    def pull_back(self, light: Light, slopes: Floats, rows: tuple[int, int], memory: Memory) -> Floats:
        """Return rows of the derivatives for light, from the derivatives for the map, window by window."""
        start, stop = rows
        gradient = np.empty((3, stop - start, light.width), np.float32)
        size = self._rows or max(TRACED_SAMPLES // light.width - 4 * MARGIN, 4 * MARGIN)
        for first in range(start, stop, size):
            last = min(first + size, stop)
            window = Window(max(0, first - 2 * MARGIN), min(light.height, last + 2 * MARGIN), first, last)
            traced = self.trace(light.rows(window.top, window.bottom, self._threads), window, memory)
            part = pull_back(traced, slopes[window.top : window.bottom], self._threads)
            gradient[:, first - start : last - start] = part[:, first - window.top : last - window.top]
        return gradient


def halve_window(linear: Floats, window: Window, height: int, half: Floats, threads: int | None) -> None:
    work = strips(window.first // 2, (window.last + 1) // 2, half.shape[2])
    each(lambda rows: halve_rows(linear, *rows, window.top, height, half), work, threads)


def whole_picture(height: int) -> Window:
    return Window(0, height, 0, height)


class MemoryPool:
    """Working memory that is kept between calls; calls at the same time get separate memory.

    Parameters
    ----------
    keep : bool
        Whether memory is kept. If not, each call allocates it, so that other metrics can use it in between.
    """

    def __init__(self, keep: bool = True) -> None:
        self._keep = keep
        self._spare: list[Memory] = []

    @contextlib.contextmanager
    def lend(self) -> Iterator[Memory]:
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = Memory()
        yield memory
        if self._keep:
            self._spare.append(memory)
