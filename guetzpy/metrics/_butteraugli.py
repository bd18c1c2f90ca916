"""Butteraugli: how far two pictures are apart to the eye, as libjxl's current version measures it.

A comparator holds the reference's side: its four frequency bands at full and at half size, and the
mask that they make. A distorted picture then takes one pass: opponent colours, bands, weighted
differences, line detectors, mask. Source of all facts: libjxl, ``lib/jxl/butteraugli/butteraugli.cc``,
at a white of 80 cd/m2; ``tests/reference/butteraugli.py`` says the same in plain numpy.
"""

from __future__ import annotations

import math
import threading
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._elementary import power
from guetzpy._threads import each
from guetzpy.metrics._butteraugli_errors import halve_rows, merge_rows, power_sums
from guetzpy.metrics._butteraugli_scale import (
    MARGIN,
    Geometry,
    Memory,
    Reference,
    compare,
    separate_reference,
    strips,
)

__all__ = ["ButteraugliComparator"]

Floats = npt.NDArray[np.float32]
Norm = float | Literal["max"]

#: Smaller sides are extended, as libjxl does; below twice this less one there is no half size.
_SMALLEST = 8
#: Of larger pictures no bands are kept: they are computed again, window by window, for each score.
_CACHED_SAMPLES = 12_500_000
#: A distorted picture is worked on in windows, to bound memory.
_WINDOW_ROWS = 640
#: Rows whose powers are summed at a time; part of the score's definition to the last digit.
_SUM_ROWS = 32


class _Light:
    """Linear light of a picture, given out in rows."""

    def __init__(self, codes: Any, transform: Any = None) -> None:
        self._codes = codes
        self._transform = transform
        self.height, self.width = int(codes.shape[1]), int(codes.shape[2])

    def rows(self, top: int, bottom: int, threads: int | None) -> Floats:
        """Return rows as float32 (3, bottom - top, W), contiguous and writable."""
        part = self._codes[:, top:bottom]
        if self._transform is None:
            return np.require(part, np.float32, ["C", "W"])
        light: Floats = self._transform.linear(np.ascontiguousarray(part), threads=threads)
        return light

    def extended(self, threads: int | None) -> _Light:
        """Return the picture with sides of at least 8 samples, its edges repeated on both sides."""
        before = [max(0, (_SMALLEST - side) // 2) for side in (self.height, self.width)]
        after = [
            max(0, _SMALLEST - side - b) for side, b in zip((self.height, self.width), before, strict=True)
        ]
        planes = self.rows(0, self.height, threads)
        return _Light(np.pad(planes, ((0, 0), *zip(before, after, strict=True)), mode="edge"))


def _light_of_planes(planes: npt.ArrayLike) -> _Light:
    array = np.asarray(planes)
    if array.ndim != 3 or array.shape[0] != 3 or array.size == 0:
        raise ValueError(f"planes of shape {array.shape}; expected (3, H, W) of linear light")
    if array.dtype != np.float32:
        raise TypeError(f"planes of {array.dtype}; expected float32")
    return _Light(array)


def _light_of_picture(picture: Any) -> _Light:
    from guetzpy.picture import planes_of

    return _Light(*planes_of(picture))


class _Window(NamedTuple):
    """Rows ``top`` to ``bottom`` are worked on, those from ``first`` to ``last`` count."""

    top: int
    bottom: int
    first: int
    last: int


def _windows(height: int) -> list[_Window]:
    """Return windows with their margins, which cover a picture from top to bottom."""
    count = -(-height // _WINDOW_ROWS)
    size = -(-height // count)
    size += size % 2  # so that rows pair up for the half size
    return [
        _Window(max(0, y - MARGIN), min(height, y + size + MARGIN), y, min(height, y + size))
        for y in range(0, height, size)
    ]


class _Scale:
    """The reference at one size, with its bands or without."""

    def __init__(self, light: _Light, keep: bool, threads: int | None) -> None:
        self.light = light
        self.windows = [(w, Geometry(w.bottom - w.top, light.width)) for w in _windows(light.height)]
        self._threads = threads
        self._whole: Reference | None = None
        if keep:
            geometry = Geometry(light.height, light.width)
            self._whole = separate_reference(light.rows(0, light.height, threads), geometry, threads)

    def compare(self, number: int, linear: Floats, memory: Memory, out: Floats) -> None:
        """Write a window's rows of the map of errors."""
        window, geometry = self.windows[number]
        if self._whole is not None:
            reference = self._whole.rows(window.top, window.bottom)
        else:
            light = self.light.rows(window.top, window.bottom, self._threads)
            reference = separate_reference(light, geometry, self._threads)
        rows = window.first - window.top, window.last - window.top
        compare(reference, linear, geometry, memory, rows, out[window.first : window.last], self._threads)


def _halve(linear: Floats, window: _Window, height: int, half: Floats, threads: int | None) -> None:
    work = strips(window.first // 2, (window.last + 1) // 2, half.shape[2])
    each(lambda rows: halve_rows(linear, *rows, window.top, height, half), work, threads)


class ButteraugliComparator:
    """Butteraugli distances of pictures from one reference.

    Parameters
    ----------
    reference : ndarray or PIL image
        As :func:`guetzpy.picture.planes_of` takes it. For linear planes: :meth:`from_linear`.
    threads : int, optional
        Default: the processors available. Scores do not depend on it.

    Notes
    -----
    A reference of up to 12.5 million samples costs about 65 bytes a sample. Of a larger one only
    the picture is kept, and each score computes its bands again, window by window.

    Examples
    --------
    >>> comparator = ButteraugliComparator(reference)  # doctest: +SKIP
    >>> comparator.score(distorted)  # doctest: +SKIP
    0.81
    """

    def __init__(self, reference: Any, *, threads: int | None = None) -> None:
        self._build(_light_of_picture(reference), threads)

    @classmethod
    def from_linear(cls, planes: npt.ArrayLike, *, threads: int | None = None) -> ButteraugliComparator:
        """Make a comparator from linear light.

        Parameters
        ----------
        planes : ndarray of float32, shape (3, H, W)
            Linear sRGB, 1.0 = white, finite. Of large pictures the array itself is kept: do not
            change it while the comparator lives.
        threads : int, optional
        """
        self = cls.__new__(cls)
        self._build(_light_of_planes(planes), threads)
        return self

    def _build(self, light: _Light, threads: int | None) -> None:
        self._threads = threads
        self._shape = light.height, light.width
        self._spare: list[Memory] = []
        self._lock = threading.Lock()
        light = self._inner(light)
        keep = light.height * light.width <= _CACHED_SAMPLES
        half = self._half_light(light)
        if half is not None:
            for window in _windows(light.height):
                linear = light.rows(window.top, window.bottom, threads)
                _halve(linear, window, light.height, half, threads)
        self._full = _Scale(light, keep, threads)
        self._half = None if half is None else _Scale(_Light(half), keep, threads)

    @staticmethod
    def _half_light(light: _Light) -> Floats | None:
        if min(light.height, light.width) < 2 * _SMALLEST - 1:
            return None
        return np.empty((3, (light.height + 1) // 2, (light.width + 1) // 2), np.float32)

    def _inner(self, light: _Light) -> _Light:
        if (light.height, light.width) != self._shape:
            raise ValueError(
                f"pictures differ in size: reference {self._shape[1]} x {self._shape[0]}, "
                f"distorted {light.width} x {light.height}"
            )
        return light.extended(self._threads) if min(self._shape) < _SMALLEST else light

    def _diffmap(self, light: _Light) -> Floats:
        light = self._inner(light)
        threads = self._threads
        with self._lock:
            memory = self._spare.pop() if self._spare else Memory()
        diffmap = np.empty((light.height, light.width), np.float32)
        half = self._half_light(light)
        for number, (window, _) in enumerate(self._full.windows):
            linear = light.rows(window.top, window.bottom, threads)
            if half is not None:
                _halve(linear, window, light.height, half, threads)
            self._full.compare(number, linear, memory, diffmap)
        if half is not None and self._half is not None:
            coarse = np.empty(half.shape[1:], np.float32)
            smaller = _Light(half)
            for number, (window, _) in enumerate(self._half.windows):
                linear = smaller.rows(window.top, window.bottom, threads)
                self._half.compare(number, linear, memory, coarse)
            work = strips(0, light.height, light.width)
            each(lambda rows: merge_rows(coarse, *rows, diffmap), work, threads)
        with self._lock:
            self._spare[:] = [memory]
        top, left = (max(0, (_SMALLEST - side) // 2) for side in self._shape)
        return np.ascontiguousarray(diffmap[top : top + self._shape[0], left : left + self._shape[1]])

    def diffmap(self, distorted: Any) -> Floats:
        """Return the map of errors.

        Parameters
        ----------
        distorted : ndarray or PIL image
            Of the reference's size.

        Returns
        -------
        ndarray of float32, shape (H, W)
            About 1 where an error begins to be seen.
        """
        return self._diffmap(_light_of_picture(distorted))

    def diffmap_linear(self, planes: npt.ArrayLike) -> Floats:
        """Return the map of errors of linear planes; see :meth:`from_linear` and :meth:`diffmap`."""
        return self._diffmap(_light_of_planes(planes))

    def score(self, distorted: Any, norm: Norm = 3) -> float:
        """Return the distance of a picture from the reference.

        Parameters
        ----------
        distorted : ndarray or PIL image
            Of the reference's size.
        norm : float or "max", optional
            ``"max"``: the largest value of the map. A number p >= 1: the mean of the p-, 2p- and
            4p-norm of the map, as libjxl's tools compute their "p-norm"; by default 3.

        Returns
        -------
        float
            0 for identical pictures; about 1 where differences begin to be seen.

        Raises
        ------
        ValueError
            Sizes differ, or the light is not finite.
        """
        return score_of_diffmap(self.diffmap(distorted), norm, self._threads)

    def score_linear(self, planes: npt.ArrayLike, norm: Norm = 3) -> float:
        """Return the distance of linear planes; see :meth:`from_linear` and :meth:`score`."""
        return score_of_diffmap(self.diffmap_linear(planes), norm, self._threads)

    def scores(self, distorted: Any) -> tuple[float, float]:
        """Return the 3-norm and the maximum from one map."""
        return _scores(self.diffmap(distorted), self._threads)

    def scores_linear(self, planes: npt.ArrayLike) -> tuple[float, float]:
        """Return the 3-norm and the maximum of linear planes from one map."""
        return _scores(self.diffmap_linear(planes), self._threads)


def score_of_diffmap(diffmap: Floats, norm: Norm = 3, threads: int | None = None) -> float:
    """Return the score that a map of errors gives; ``norm`` as in :meth:`ButteraugliComparator.score`."""
    if norm == "max":
        return _scores(diffmap, threads)[1]
    if isinstance(norm, str) or not 1 <= norm <= 1000:
        raise ValueError(f'norm {norm!r}: expected "max" or a number from 1 on')
    sums = _power_sums(diffmap, float(norm), threads)
    return _mean_norm(sums, diffmap.size, norm)


def _scores(diffmap: Floats, threads: int | None) -> tuple[float, float]:
    sums = _power_sums(diffmap, 3.0, threads)
    return _mean_norm(sums, diffmap.size, 3.0), sums[3]


def _power_sums(diffmap: Floats, p: float, threads: int | None) -> list[float]:
    pieces = [(y, min(y + _SUM_ROWS, len(diffmap))) for y in range(0, len(diffmap), _SUM_ROWS)]
    sums = np.zeros((len(pieces), 4))

    def strip(i: int) -> None:
        power_sums(diffmap, *pieces[i], p, np.empty((3, diffmap.shape[1])), sums[i])

    each(strip, range(len(pieces)), threads)
    totals = [0.0, 0.0, 0.0]
    for row in sums.tolist():
        totals = [total + value for total, value in zip(totals, row, strict=False)]
    if not math.isfinite(totals[2]):
        raise ValueError("the pictures' light is not finite")
    return [*totals, float(sums[:, 3].max())]


def _mean_norm(sums: list[float], count: int, p: float) -> float:
    total = 0.0
    for value, exponent in zip(sums, (p, 2.0 * p, 4.0 * p), strict=False):
        total += power(value / count, 1.0 / exponent) if value > 0.0 else 0.0
    return total / 3.0
