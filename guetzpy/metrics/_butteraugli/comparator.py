"""Butteraugli: the visible difference between two pictures, as libjxl's current version measures it.

A comparator holds data of the reference: its four frequency bands at full and at half size, and their mask.
A distorted picture is then compared in one pass: opponent colours, bands, weighted differences, line
detectors, mask. Source: libjxl, ``lib/jxl/butteraugli/butteraugli.cc``, at a white of 80 cd/m2.
``tests/reference/butteraugli.py`` computes the same in plain numpy.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.metrics._butteraugli.adjoint import Trace, pull_back, trace
from guetzpy.metrics._butteraugli.errors import FULL_WEIGHT, HALF_WEIGHT, add_doubled_rows, halve_rows
from guetzpy.metrics._butteraugli.norm import Norm, norm_and_maximum, norm_and_slopes, norm_of_map
from guetzpy.metrics._butteraugli.scale import (
    MARGIN,
    Geometry,
    Memory,
    Reference,
    compare,
    separate_reference,
    strips,
)
from guetzpy.picture.transform import Codes, Transform

__all__ = ["ButteraugliComparator"]

Floats = npt.NDArray[np.float32]

#: Smaller sides are extended to this, as in libjxl. Pictures with a side below twice this less 1 are compared
#: at full size only.
_SMALLEST = 8
#: The bands of larger references are not kept; each score computes them again, window by window.
_CACHED_SAMPLES = 12_500_000
#: Gradients of larger pictures are computed window by window; the forward pass is then computed twice.
_TRACED_SAMPLES = 5 << 19
#: Rows of a window of the distorted picture, which bounds the memory.
_WINDOW_ROWS = 640
#: Pictures with more samples have at least two windows.
_ONE_WINDOW = 1 << 19


class _Light:
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
        """Return derivatives by codes, from derivatives by the light of rows from ``first`` on.

        If the picture has no codes, the derivatives by light are returned.
        """
        if self._transform is None:
            return gradient
        part = np.ascontiguousarray(self._codes[:, first : first + gradient.shape[1]])
        by_codes: Floats = self._transform.pull_back(gradient, part, threads=1)
        return by_codes

    def extended(self, threads: int | None) -> _Light:
        """Return the picture with sides of at least 8 samples; its edges are repeated on both sides."""
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
    from guetzpy.picture.planes import planes_of

    return _Light(*planes_of(picture))


class _Window(NamedTuple):
    """Rows ``top`` to ``bottom`` are processed; results of rows ``first`` to ``last`` are used."""

    top: int
    bottom: int
    first: int
    last: int


def _windows(height: int, width: int, rows: int | None) -> list[_Window]:
    """Return windows, with their margins, that cover a picture from top to bottom."""
    count = max(-(-height // (rows or _WINDOW_ROWS)), 1 + (height * width > _ONE_WINDOW))
    size = -(-height // count)
    size += size % 2  # even, so that windows do not share rows when halved
    return [
        _Window(max(0, y - MARGIN), min(height, y + size + MARGIN), y, min(height, y + size))
        for y in range(0, height, size)
    ]


class _Scale:
    """Data of the reference at one size; its bands are kept or computed for each window."""

    def __init__(self, light: _Light, keep: bool, rows: int | None, threads: int | None) -> None:
        self.light = light
        self.windows = [
            (w, Geometry(w.bottom - w.top, light.width)) for w in _windows(light.height, light.width, rows)
        ]
        self._rows = rows
        self._threads = threads
        self._whole: Reference | None = None
        if keep:
            geometry = Geometry(light.height, light.width)
            self._whole = separate_reference(light.rows(0, light.height, threads), geometry, threads)

    def _reference(self, window: _Window, geometry: Geometry) -> Reference:
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

    def trace(self, linear: Floats, window: _Window, memory: Memory) -> Trace:
        """Compare a window and keep what its derivatives need."""
        geometry = Geometry(window.bottom - window.top, self.light.width)
        return trace(self._reference(window, geometry), linear, geometry, memory, self._threads)

    def pull_back(self, light: _Light, slopes: Floats, rows: tuple[int, int], memory: Memory) -> Floats:
        """Return rows of the derivatives by light, from those by the map, window by window."""
        start, stop = rows
        gradient = np.empty((3, stop - start, light.width), np.float32)
        size = self._rows or max(_TRACED_SAMPLES // light.width - 4 * MARGIN, 4 * MARGIN)
        for first in range(start, stop, size):
            last = min(first + size, stop)
            window = _Window(max(0, first - 2 * MARGIN), min(light.height, last + 2 * MARGIN), first, last)
            traced = self.trace(light.rows(window.top, window.bottom, self._threads), window, memory)
            part = pull_back(traced, slopes[window.top : window.bottom], self._threads)
            gradient[:, first - start : last - start] = part[:, first - window.top : last - window.top]
        return gradient


def _halve(linear: Floats, window: _Window, height: int, half: Floats, threads: int | None) -> None:
    work = strips(window.first // 2, (window.last + 1) // 2, half.shape[2])
    each(lambda rows: halve_rows(linear, *rows, window.top, height, half), work, threads)


def _whole(height: int) -> _Window:
    return _Window(0, height, 0, height)


def _merge(half: Floats, full: Floats, threads: int | None, out: Floats) -> None:
    """Add the map at half size to the map at full size, each with its weight; ``out`` may be ``full``."""

    def strip(rows: tuple[int, int]) -> None:
        if out is not full:
            out[slice(*rows)] = full[slice(*rows)]
        add_doubled_rows(half, *rows, HALF_WEIGHT, FULL_WEIGHT, out)

    each(strip, strips(0, *full.shape), threads)


def _twice_at_odd_edges(half: Floats, height: int, width: int) -> None:
    """Double the last row and column of odd sizes, which ``halve_rows`` averaged with themselves."""
    if height % 2 == 1:
        half[:, -1] *= np.float32(2.0)
    if width % 2 == 1:
        half[:, :, -1] *= np.float32(2.0)


def _finish(half: Floats, gradient: Floats, start: int, stop: int, first: int, light: _Light) -> None:
    """Add derivatives through the picture of half size, and convert derivatives by light to those by codes.

    The first row of ``gradient`` is the even row ``first`` of the picture. Adding is the adjoint of
    ``halve_rows``.
    """
    for source, out in zip(half, gradient, strict=True):
        add_doubled_rows(source, start, stop, np.float32(0.25), np.float32(1.0), out)
    part = gradient[:, start:stop]
    by_codes = light.pull_back(part, first + start)
    if by_codes is not part:
        part[: light.planes] = by_codes


def _norm_and_slopes(field: Floats, norm: float, threads: int | None, full: Floats, half: Floats) -> float:
    """Return a norm of a map, and write its derivatives by the maps at full and at half size.

    ``full`` may be the map itself.
    """

    def part(start: int, stop: int) -> None:
        pairs = _sum_pairs(full[start:stop])
        np.multiply(HALF_WEIGHT / FULL_WEIGHT, pairs, out=half[start // 2 : (stop + 1) // 2])

    return norm_and_slopes(field, norm, threads, full, float(FULL_WEIGHT), part)


def _sum_pairs(plane: Floats) -> Floats:
    """Return the sums of 2 x 2 samples: the adjoint of repeating each sample."""
    rows = plane[0::2].copy()
    rows[: len(plane) // 2] += plane[1::2]
    out = rows[:, 0::2].copy()
    out[:, : plane.shape[1] // 2] += rows[:, 1::2]
    return out


def _fold(planes: Floats, border: list[tuple[int, int]]) -> Floats:
    """Add the values beyond a border to the edge: the adjoint of repeating the edge."""
    for axis, (before, after) in enumerate(border, start=1):
        moved = np.moveaxis(planes, axis, 0).copy()
        inner = moved[before : len(moved) - after]
        inner[0] += moved[:before].sum(axis=0)
        inner[-1] += moved[len(moved) - after :].sum(axis=0)
        planes = np.moveaxis(inner, 0, axis)
    return np.ascontiguousarray(planes)


class _MemoryPool:
    """Working memory that is kept between calls; calls at the same time get separate memory."""

    def __init__(self) -> None:
        self._spare: list[Memory] = []

    @contextlib.contextmanager
    def lend(self) -> Iterator[Memory]:
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = Memory()
        yield memory
        self._spare.append(memory)


class ButteraugliComparator:
    """Butteraugli distances of pictures from one reference.

    Parameters
    ----------
    reference : ndarray or PIL image
        Arrays or images that :func:`guetzpy.picture.planes.planes_of` accepts. For linear planes use
        :meth:`from_linear`.
    threads : int, optional
        Number of threads; default: the processors available. Scores do not depend on it.

    Notes
    -----
    A reference of up to 12.5 million samples takes about 65 bytes per sample. Of a larger reference only
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
        """Return a comparator for linear light.

        Parameters
        ----------
        planes : ndarray of float32, shape (3, H, W)
            Linear sRGB, 1.0 = white, finite. The array of a large picture is not copied: do not
            change it while the comparator is in use.
        threads : int, optional
            Number of threads; default: the processors available.
        """
        self = cls.__new__(cls)
        self._build(_light_of_planes(planes), threads)
        return self

    @classmethod
    def from_codes(
        cls,
        codes: Codes,
        transform: Transform,
        *,
        threads: int | None = None,
        keep: bool | None = None,
        rows: int | None = None,
    ) -> ButteraugliComparator:
        """Return a comparator for codes, which are converted to light window by window.

        Parameters
        ----------
        codes : ndarray, shape (1, H, W) or (3, H, W)
            Codes as for :meth:`guetzpy.picture.transform.Transform.linear`. The array is not copied: do not
            change it while the comparator is in use.
        transform : Transform
            Conversion of the codes to linear light.
        threads : int, optional
            Number of threads; default: the processors available.
        keep : bool, optional
            Whether the bands of the reference are kept, instead of computed again for each score;
            default: up to 12.5 million samples.
        rows : int, optional
            Rows of the picture that are processed at a time, also for gradients. Fewer rows take less memory
            and more time. Default: 640, and all rows for gradients of up to 2.6 million samples.
        """
        self = cls.__new__(cls)
        self._build(_Light(codes, transform), threads, keep, rows)
        return self

    def _build(
        self, light: _Light, threads: int | None, keep: bool | None = None, rows: int | None = None
    ) -> None:
        self._threads = threads
        self._traced = _TRACED_SAMPLES if rows is None else 0
        self._shape = light.height, light.width
        self._memory = _MemoryPool()
        light = self._inner(light)
        if keep is None:
            keep = light.height * light.width <= _CACHED_SAMPLES
        half = self._half_light(light)
        if half is not None:
            for window in _windows(light.height, light.width, rows):
                linear = light.rows(window.top, window.bottom, threads)
                _halve(linear, window, light.height, half, threads)
        self._full = _Scale(light, keep, rows, threads)
        self._half = None if half is None else _Scale(_Light(half), keep, rows, threads)

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
        with self._memory.lend() as memory:
            diffmap, _ = self._compare(self._inner(light), memory)
        return self._cropped(diffmap)

    def _cropped(self, diffmap: Floats) -> Floats:
        top, left = self._origin
        return np.ascontiguousarray(diffmap[top : top + self._shape[0], left : left + self._shape[1]])

    def _compare(self, light: _Light, memory: Memory) -> tuple[Floats, Floats | None]:
        """Return the map of errors, and the picture at half size, or None if it has none."""
        threads = self._threads
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
            _merge(coarse, diffmap, threads, diffmap)
        return diffmap, half

    def _gradient(self, light: _Light, norm: float) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score, and a function that returns rows of the gradient by codes, or by linear light."""
        if self._half is not None and light.height * light.width > self._traced:
            return self._gradient_by_windows(self._inner(light), norm)
        score, gradient = self._gradient_at_once(light, norm)
        return score, lambda first, last: gradient[:, first:last]

    def _gradient_at_once(self, picture: _Light, norm: float) -> tuple[float, Floats]:
        threads = self._threads
        light = self._inner(picture)
        with self._memory.lend() as memory, self._memory.lend() as more, self._memory.lend() as other:
            planes = other.block(5, light.height, light.width)
            linear = light.rows(0, light.height, threads, planes[:3])
            full = self._full.trace(linear, _whole(light.height), memory)
            if self._half is None:  # only small pictures can have been extended
                slopes = self._cropped(full.errors).copy()
                score = norm_and_slopes(slopes, norm, threads, slopes)
                gradient = pull_back(full, np.pad(slopes, self._border(light)), threads)
                return score, picture.pull_back(_fold(gradient, self._border(light)), 0)
            shape = 3, (light.height + 1) // 2, (light.width + 1) // 2
            size = math.prod(shape)
            smaller, coarse = (planes[3:].reshape(-1)[n * size :][:size].reshape(shape) for n in range(2))
            _halve(linear, _whole(light.height), light.height, smaller, threads)
            half = self._half.trace(smaller, _whole(smaller.shape[1]), more)
            # These planes are unused until the derivatives by the map have been processed.
            merged, slopes, by_coarse = *full.spare[:2], half.spare[0]
            _merge(half.errors, full.errors, threads, merged)
            score = _norm_and_slopes(merged, norm, threads, slopes, by_coarse)
            pull_back(half, by_coarse, threads, coarse)
            _twice_at_odd_edges(coarse, light.height, light.width)

            def finish(gradient: Floats, start: int, stop: int) -> None:
                _finish(coarse, gradient, start, stop, 0, light)

            gradient = pull_back(full, slopes, threads, finish=finish)
            return score, gradient[: light.planes]

    def _gradient_by_windows(self, light: _Light, norm: float) -> tuple[float, Callable[[int, int], Floats]]:
        """Compute a large picture's derivatives in bounded memory; the forward pass is computed twice."""
        threads, scale = self._threads, self._half
        assert scale is not None
        with self._memory.lend() as memory:
            slopes, smaller = self._compare(light, memory)
            assert smaller is not None
            by_coarse = np.empty(smaller.shape[1:], np.float32)
            score = _norm_and_slopes(slopes, norm, threads, slopes, by_coarse)
            coarse = scale.pull_back(_Light(smaller), by_coarse, (0, len(by_coarse)), memory)
        _twice_at_odd_edges(coarse, light.height, light.width)

        def rows(first: int, last: int) -> Floats:
            begin = first - first % 2
            with self._memory.lend() as memory:
                gradient = self._full.pull_back(light, slopes, (begin, last), memory)
            half = np.ascontiguousarray(coarse[:, begin // 2 : (last + 1) // 2])
            work = strips(0, *gradient.shape[1:])
            each(lambda part: _finish(half, gradient, *part, begin, light), work, threads)
            return gradient[: light.planes, first - begin :]

        return score, rows

    @property
    def _origin(self) -> tuple[int, int]:
        """Top and left of the picture in the extended picture."""
        top, left = (max(0, (_SMALLEST - side) // 2) for side in self._shape)
        return top, left

    def _border(self, light: _Light) -> list[tuple[int, int]]:
        sides = zip(self._origin, self._shape, (light.height, light.width), strict=True)
        return [(before, outer - before - inner) for before, inner, outer in sides]

    def gradient(self, distorted: Any, norm: float = 3) -> tuple[float, Floats]:
        """Return the score and its derivatives by a picture's codes.

        Parameters
        ----------
        distorted : ndarray or PIL image
            Picture of the reference's size.
        norm : float, optional
            Norm as for :meth:`score`, but not ``"max"``.

        Returns
        -------
        score : float
            Norm of the map of errors.
        gradient : ndarray of float32, shape (1, H, W) or (3, H, W)
            Derivatives per code on the 0..255 scale, whatever the depth of the picture.
        """
        from guetzpy.picture.planes import planes_of

        score, rows = self.gradient_codes(*planes_of(distorted), norm)
        return score, rows(0, self._shape[0])

    def gradient_linear(self, planes: npt.ArrayLike, norm: float = 3) -> tuple[float, Floats]:
        """Return the score and its derivatives by linear planes.

        Parameters
        ----------
        planes : ndarray of float32, shape (3, H, W)
            Linear sRGB, 1.0 = white.
        norm : float, optional
            Norm as for :meth:`score`, but not ``"max"``.

        Returns
        -------
        score : float
            Norm of the map of errors.
        gradient : ndarray of float32, shape (3, H, W)
            Derivatives by ``planes``.
        """
        score, rows = self._gradient(_light_of_planes(planes), norm)
        return score, np.ascontiguousarray(rows(0, self._shape[0]))

    def gradient_codes(
        self, codes: Codes, transform: Transform, norm: float = 3
    ) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score of codes, and a function that returns rows of the derivatives by them.

        Parameters
        ----------
        codes, transform
            Codes and conversion as for :meth:`from_codes`. The returned function keeps the codes.
        norm : float, optional
            Norm as for :meth:`score`, but not ``"max"``.

        Returns
        -------
        score : float
            Norm of the map of errors.
        rows : callable
            ``rows(first, last)`` returns float32 (1, last - first, W) or (3, last - first, W), per code on
            the 0..255 scale. For pictures above 2.6 million samples only these rows are computed, and
            about 70 rows above and below. So a few hundred rows should be requested at a time.
        """
        return self._gradient(_Light(codes, transform), norm)

    def release(self) -> None:
        """Free the memory that is kept for the next score or gradient. The data of the reference are kept."""
        self._memory = _MemoryPool()

    def diffmap(self, distorted: Any) -> Floats:
        """Return the map of errors.

        Parameters
        ----------
        distorted : ndarray or PIL image
            Picture of the reference's size.

        Returns
        -------
        ndarray of float32, shape (H, W)
            Errors; about 1 where an error becomes visible.
        """
        return self._diffmap(_light_of_picture(distorted))

    def diffmap_linear(self, planes: npt.ArrayLike) -> Floats:
        """Return the map of errors of linear planes; see :meth:`from_linear` and :meth:`diffmap`."""
        return self._diffmap(_light_of_planes(planes))

    def diffmap_codes(self, codes: Codes, transform: Transform) -> Floats:
        """Return the map of errors of codes; see :meth:`from_codes` and :meth:`diffmap`."""
        return self._diffmap(_Light(codes, transform))

    def score(self, distorted: Any, norm: Norm = 3) -> float:
        """Return the distance of a picture from the reference.

        Parameters
        ----------
        distorted : ndarray or PIL image
            Picture of the reference's size.
        norm : float or "max", optional
            ``"max"``: the largest value of the map. A number p >= 1: the mean of the p-, 2p- and
            4p-norm of the map, as libjxl's tools compute their "p-norm". Default: 3.

        Returns
        -------
        float
            0 for identical pictures; about 1 where differences become visible.

        Raises
        ------
        ValueError
            The sizes differ, or the linear light is not finite.
        """
        return norm_of_map(self.diffmap(distorted), norm, self._threads)

    def score_linear(self, planes: npt.ArrayLike, norm: Norm = 3) -> float:
        """Return the distance of linear planes; see :meth:`from_linear` and :meth:`score`."""
        return norm_of_map(self.diffmap_linear(planes), norm, self._threads)

    def scores(self, distorted: Any) -> tuple[float, float]:
        """Return the 3-norm and the maximum of the map of errors of a picture."""
        return norm_and_maximum(self.diffmap(distorted), self._threads)

    def scores_linear(self, planes: npt.ArrayLike) -> tuple[float, float]:
        """Return the 3-norm and the maximum of the map of linear planes; see :meth:`from_linear`."""
        return norm_and_maximum(self.diffmap_linear(planes), self._threads)

    def scores_codes(self, codes: Codes, transform: Transform) -> tuple[float, float]:
        """Return the 3-norm and the maximum of the map of errors of codes; see :meth:`from_codes`."""
        return norm_and_maximum(self._diffmap(_Light(codes, transform)), self._threads)
