"""Butteraugli: the visible difference between two pictures, as libjxl's current version measures it.

A comparator holds data of the reference: its four frequency bands at full and at half size, and their mask.
A distorted picture is then compared in one pass: opponent colours, bands, weighted differences, line
detectors, mask. Source: libjxl, ``lib/jxl/butteraugli/butteraugli.cc``, at a white of 80 cd/m2.
``tests/reference/butteraugli.py`` computes the same in plain numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.metrics._butteraugli import windows
from guetzpy.metrics._butteraugli.adjoint import pull_back
from guetzpy.metrics._butteraugli.half_size import (
    double_odd_edges,
    finish_rows,
    merge,
    norm_and_map_slopes,
)
from guetzpy.metrics._butteraugli.norm import Norm, norm_and_maximum, norm_and_slopes, norm_of_map
from guetzpy.metrics._butteraugli.scale import Memory, strips
from guetzpy.metrics._butteraugli.windows import (
    SMALLEST,
    Light,
    MemoryPool,
    Scale,
    halve_window,
    light_of_picture,
    light_of_planes,
    whole_picture,
)
from guetzpy.metrics.one_reference import CACHED_PIXELS, check_sizes
from guetzpy.picture.transform import Codes, Transform

__all__ = ["ButteraugliComparator"]

Floats = npt.NDArray[np.float32]


def _fold(planes: Floats, border: list[tuple[int, int]]) -> Floats:
    """Add the values beyond a border to the edge: the adjoint of repeating the edge."""
    for axis, (before, after) in enumerate(border, start=1):
        moved = np.moveaxis(planes, axis, 0).copy()
        inner = moved[before : len(moved) - after]
        inner[0] += moved[:before].sum(axis=0)
        inner[-1] += moved[len(moved) - after :].sum(axis=0)
        planes = np.moveaxis(inner, 0, axis)
    return np.ascontiguousarray(planes)


class ButteraugliComparator:
    """Butteraugli distances of pictures from one reference.

    Parameters
    ----------
    reference : ndarray or PIL image
        Arrays or images that :func:`guetzpy.picture.planes.planes_of` accepts. For linear planes use
        :meth:`from_linear`.
    threads : int, optional
        Number of threads; default: the processors available. Scores do not depend on it.
    background : str, int or tuple, optional
        Colour that the reference and the other pictures are composited on where they are transparent, such as
        ``"white"``: see :func:`guetzpy.picture.planes.planes_of`.

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

    _background: Any = None

    def __init__(self, reference: Any, *, threads: int | None = None, background: Any = None) -> None:
        self._background = background
        self._build(light_of_picture(reference, background), threads)

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
        self._build(light_of_planes(planes), threads)
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
        self._build(Light(codes, transform), threads, keep, rows)
        return self

    def _build(
        self, light: Light, threads: int | None, keep: bool | None = None, rows: int | None = None
    ) -> None:
        self._threads = threads
        self._traced = windows.TRACED_SAMPLES if rows is None else 0
        self._shape = light.height, light.width
        self._memory = MemoryPool(keep=rows is None)
        light = self._inner(light)
        if keep is None:
            keep = light.height * light.width <= CACHED_PIXELS
        half = self._half_light(light)
        if half is not None:
            for window in windows.windows_of(light.height, light.width, rows):
                linear = light.rows(window.top, window.bottom, threads)
                halve_window(linear, window, light.height, half, threads)
        self._full = Scale(light, keep, rows, threads)
        self._half = None if half is None else Scale(Light(half), keep, rows, threads)

    @staticmethod
    def _half_light(light: Light) -> Floats | None:
        if min(light.height, light.width) < 2 * SMALLEST - 1:
            return None
        return np.empty((3, (light.height + 1) // 2, (light.width + 1) // 2), np.float32)

    def _inner(self, light: Light) -> Light:
        check_sizes(self._shape, (light.height, light.width))
        return light.extended(self._threads) if min(self._shape) < SMALLEST else light

    def _diffmap(self, light: Light) -> Floats:
        with self._memory.lend() as memory:
            diffmap, _ = self._compare(self._inner(light), memory)
        return self._cropped(diffmap)

    def _cropped(self, diffmap: Floats) -> Floats:
        top, left = self._origin
        return np.ascontiguousarray(diffmap[top : top + self._shape[0], left : left + self._shape[1]])

    def _compare(self, light: Light, memory: Memory) -> tuple[Floats, Floats | None]:
        """Return the map of errors, and the picture at half size, or None if it has none."""
        threads = self._threads
        diffmap = np.empty((light.height, light.width), np.float32)
        half = self._half_light(light)
        for number, (window, _) in enumerate(self._full.windows):
            linear = light.rows(window.top, window.bottom, threads)
            if half is not None:
                halve_window(linear, window, light.height, half, threads)
            self._full.compare(number, linear, memory, diffmap)
        if half is not None and self._half is not None:
            coarse = np.empty(half.shape[1:], np.float32)
            smaller = Light(half)
            for number, (window, _) in enumerate(self._half.windows):
                linear = smaller.rows(window.top, window.bottom, threads)
                self._half.compare(number, linear, memory, coarse)
            merge(coarse, diffmap, threads, diffmap)
        return diffmap, half

    def _gradient(self, light: Light, norm: float) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score, and a function that returns rows of the gradient for codes or linear light."""
        if self._half is not None and light.height * light.width > self._traced:
            return self._gradient_by_windows(self._inner(light), norm)
        score, gradient = self._gradient_at_once(light, norm)
        return score, lambda first, last: gradient[:, first:last]

    def _gradient_at_once(self, picture: Light, norm: float) -> tuple[float, Floats]:
        threads = self._threads
        light = self._inner(picture)
        with self._memory.lend() as memory, self._memory.lend() as more, self._memory.lend() as other:
            planes = other.block(5, light.height, light.width)
            linear = light.rows(0, light.height, threads, planes[:3])
            full = self._full.trace(linear, whole_picture(light.height), memory)
            if self._half is None:  # only small pictures can have been extended
                slopes = self._cropped(full.errors).copy()
                score = norm_and_slopes(slopes, norm, threads, slopes)
                gradient = pull_back(full, np.pad(slopes, self._border(light)), threads)
                return score, picture.pull_back(_fold(gradient, self._border(light)), 0)
            shape = 3, (light.height + 1) // 2, (light.width + 1) // 2
            size = math.prod(shape)
            smaller, coarse = (planes[3:].reshape(-1)[n * size :][:size].reshape(shape) for n in range(2))
            halve_window(linear, whole_picture(light.height), light.height, smaller, threads)
            half = self._half.trace(smaller, whole_picture(smaller.shape[1]), more)
            # These planes are unused until the derivatives with respect to the map have been processed.
            merged, slopes, by_coarse = *full.spare[:2], half.spare[0]
            merge(half.errors, full.errors, threads, merged)
            score = norm_and_map_slopes(merged, norm, threads, slopes, by_coarse)
            pull_back(half, by_coarse, threads, coarse)
            double_odd_edges(coarse, light.height, light.width)

            def finish(gradient: Floats, start: int, stop: int) -> None:
                finish_rows(coarse, gradient, start, stop, 0, light)

            gradient = pull_back(full, slopes, threads, finish=finish)
            return score, gradient[: light.planes]

    def _gradient_by_windows(self, light: Light, norm: float) -> tuple[float, Callable[[int, int], Floats]]:
        """Compute a large picture's derivatives in bounded memory; the forward pass is computed twice."""
        threads, scale = self._threads, self._half
        assert scale is not None
        with self._memory.lend() as memory:
            slopes, smaller = self._compare(light, memory)
            assert smaller is not None
            by_coarse = np.empty(smaller.shape[1:], np.float32)
            score = norm_and_map_slopes(slopes, norm, threads, slopes, by_coarse)
            coarse = scale.pull_back(Light(smaller), by_coarse, (0, len(by_coarse)), memory)
        double_odd_edges(coarse, light.height, light.width)

        def rows(first: int, last: int) -> Floats:
            begin = first - first % 2
            with self._memory.lend() as memory:
                gradient = self._full.pull_back(light, slopes, (begin, last), memory)
            half = np.ascontiguousarray(coarse[:, begin // 2 : (last + 1) // 2])
            work = strips(0, *gradient.shape[1:])
            each(lambda part: finish_rows(half, gradient, *part, begin, light), work, threads)
            return gradient[: light.planes, first - begin :]

        return score, rows

    @property
    def _origin(self) -> tuple[int, int]:
        """Top and left of the picture in the extended picture."""
        top, left = (max(0, (SMALLEST - side) // 2) for side in self._shape)
        return top, left

    def _border(self, light: Light) -> list[tuple[int, int]]:
        sides = zip(self._origin, self._shape, (light.height, light.width), strict=True)
        return [(before, outer - before - inner) for before, inner, outer in sides]

    def gradient(self, distorted: Any, norm: float = 3) -> tuple[float, Floats]:
        """Return the score and its derivatives with respect to a picture's codes.

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

        score, rows = self.gradient_codes(*planes_of(distorted, background=self._background), norm)
        return score, rows(0, self._shape[0])

    def gradient_linear(self, planes: npt.ArrayLike, norm: float = 3) -> tuple[float, Floats]:
        """Return the score and its derivatives with respect to linear planes.

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
            Derivatives with respect to ``planes``.
        """
        score, rows = self._gradient(light_of_planes(planes), norm)
        return score, np.ascontiguousarray(rows(0, self._shape[0]))

    def gradient_codes(
        self, codes: Codes, transform: Transform, norm: float = 3
    ) -> tuple[float, Callable[[int, int], Floats]]:
        """Return the score of codes, and a function that returns rows of the derivatives for them.

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
        return self._gradient(Light(codes, transform), norm)

    def release(self) -> None:
        """Free the memory that is kept for the next score or gradient. The data of the reference are kept."""
        self._memory = MemoryPool()

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
        return self._diffmap(light_of_picture(distorted, self._background))

    def diffmap_linear(self, planes: npt.ArrayLike) -> Floats:
        """Return the map of errors of linear planes; see :meth:`from_linear` and :meth:`diffmap`."""
        return self._diffmap(light_of_planes(planes))

    def diffmap_codes(self, codes: Codes, transform: Transform) -> Floats:
        """Return the map of errors of codes; see :meth:`from_codes` and :meth:`diffmap`."""
        return self._diffmap(Light(codes, transform))

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
        return norm_and_maximum(self._diffmap(Light(codes, transform)), self._threads)
