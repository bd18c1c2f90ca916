"""Butteraugli at one scale: planes are processed stage by stage, in strips that threads share.

A stage begins when the stage before has finished, because blurs read samples of other strips. The height of a
strip depends only on the width of the picture. No sample's value depends on the height of the strips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.metrics._butteraugli.bands import (
    CHUNK,
    SIGMA_ACTIVITY,
    SIGMA_HIGH,
    SIGMA_LOW,
    SIGMA_MIDDLE,
    SIGMA_OPSIN,
    erode_rows,
    mirrored_rows,
    opponent,
    sensitivity,
    split_high,
    split_low,
    split_middle,
)
from guetzpy.metrics._butteraugli.errors import ac_errors, dc_errors, mask_errors
from guetzpy.metrics._butteraugli.malta import (
    HIGH_LINES,
    MIDDLE_LINES,
    REACH,
    ULTRA_LINES,
    difference_rows,
    full_lines,
    sparse_lines,
)
from guetzpy.metrics.blur import blur_rows, edge_gain, half_kernel, scratch_rows

__all__ = ["MARGIN", "Blur", "Geometry", "Memory", "Reference", "compare", "separate_reference", "strips"]

Floats = npt.NDArray[np.float32]

#: Sum of the radii of all filters in sequence: opsin 2, low 16, middle 7, high 3, activity 6, erosion 3.
MARGIN = 37
#: Samples of a strip: the planes that a stage uses fit the processor's second-level cache.
_STRIP_SAMPLES = 1 << 16

OPSIN_TAPS = half_kernel(SIGMA_OPSIN)


def strips(first: int, last: int, width: int, factor: int = 1) -> list[tuple[int, int]]:
    """Return strips of rows for threads, up to ``factor`` times as tall as usual.

    All but the last have the same height. Their number is even, unless one strip is enough, so that two
    threads end at the same time.
    """
    count = -(-(last - first) * width // (factor * _STRIP_SAMPLES))
    count += count % 2 if count > 1 else 0
    rows = max(8, -(-(last - first) // max(count, 1)))
    return [(y, min(y + rows, last)) for y in range(first, last, rows)]


class Blur:
    """A renormalised blur for planes of one size."""

    def __init__(self, sigma: float, height: int, width: int) -> None:
        self.taps = half_kernel(sigma)
        self.gain_y = edge_gain(height, sigma)
        self.gain_x = edge_gain(width, sigma)

    def rows(self, plane: Floats, start: int, stop: int, out: Floats) -> None:
        """Blur rows ``start`` to ``stop`` of a plane into ``out`` (stop - start, W)."""
        scratch = scratch_rows(plane.shape[1], self.taps)
        blur_rows(plane, start, stop, self.taps, self.gain_y, self.gain_x, scratch, out)


class Geometry:
    """Size of planes, and the blurs for planes of this size."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.low = Blur(SIGMA_LOW, height, width)
        self.middle = Blur(SIGMA_MIDDLE, height, width)
        self.high = Blur(SIGMA_HIGH, height, width)
        self.activity = Blur(SIGMA_ACTIVITY, height, width)


class Memory:
    """Memory for planes of one size. It is reused, because the first write to new memory is slow."""

    def __init__(self) -> None:
        self._block = np.empty(0, np.float32)

    def block(self, count: int, height: int, width: int) -> Floats:
        """Return uninitialised planes, (count, H, W). They replace the planes of earlier calls."""
        size = count * height * width
        if self._block.size < size:
            self._block = np.empty(0, np.float32)  # frees the old block before the new one is allocated
            self._block = np.empty(size, np.float32)
        return self._block[:size].reshape(count, height, width)

    def planes(self, count: int, height: int, width: int) -> list[Floats]:
        """Return the planes of :meth:`block` as a list."""
        return list(self.block(count, height, width))


class Reference(NamedTuple):
    """A reference's bands (X, Y and B, or X and Y), its blurred activity, and its mask."""

    low: Sequence[Floats]
    middle: Sequence[Floats]
    high: Sequence[Floats]
    ultra: Sequence[Floats]
    activity: Floats
    erosion: Floats

    def rows(self, top: int, bottom: int) -> Reference:
        """Return the data of the rows from ``top`` to ``bottom``."""
        bands = [[plane[top:bottom] for plane in band] for band in self[:4]]
        return Reference(*bands, self.activity[top:bottom], self.erosion[top:bottom])


def flat(planes: Sequence[Floats], start: int, stop: int) -> list[Floats]:
    """Return rows ``start`` to ``stop`` of each plane as a flat array."""
    return [plane[start:stop].reshape(-1) for plane in planes]


def opsin_strip(
    linear: Sequence[Floats], start: int, stop: int, xyb: Sequence[Floats], gains: Sequence[Floats] | None
) -> None:
    """Convert rows of linear light to opponent colours; ``gains``, if given, gets the eye's gains."""
    width = linear[0].shape[1]
    if gains is None:
        part = list(np.empty((3, stop - start, width), np.float32))
    else:
        part = [plane[start:stop] for plane in gains]
    line = np.empty(width + 4, np.float32)
    for plane, out in zip(linear, part, strict=True):
        mirrored_rows(plane, start, stop, OPSIN_TAPS, line, out)
    eye = flat(part, 0, stop - start)
    sensitivity(*eye, np.empty(CHUNK, np.float32))
    opponent(*flat(linear, start, stop), *eye, *flat(xyb, start, stop))


def _opsin(
    linear: Floats,
    geometry: Geometry,
    xyb: Sequence[Floats],
    threads: int | None,
    gains: Sequence[Floats] | None = None,
) -> None:
    work = strips(0, geometry.height, geometry.width)
    each(lambda rows: opsin_strip(linear, *rows, xyb, gains), work, threads)


def low_strip(
    xyb: Sequence[Floats],
    geometry: Geometry,
    start: int,
    stop: int,
    low: Sequence[Floats],
    rest: Sequence[Floats],
) -> None:
    """Split the low band off; ``low`` holds only rows ``start`` to ``stop``, ``rest`` holds all rows."""
    for plane, out in zip(xyb, low, strict=True):
        geometry.low.rows(plane, start, stop, out)
    split_low(*flat(xyb, start, stop), *flat(low, 0, stop - start), *flat(rest, start, stop))


def _middle(
    rest: Sequence[Floats],
    geometry: Geometry,
    middle: Sequence[Floats],
    rest_high: Sequence[Floats],
    threads: int | None,
) -> None:
    def strip(rows: tuple[int, int]) -> None:
        start, stop = rows
        for plane, out in zip(rest, middle, strict=True):
            geometry.middle.rows(plane, start, stop, out[start:stop])
        split_middle(*flat(rest[:2], *rows), *flat(middle[:2], *rows), *flat(rest_high, *rows))

    each(strip, strips(0, geometry.height, geometry.width), threads)


def _high(
    rest: Sequence[Floats],
    geometry: Geometry,
    high: Sequence[Floats],
    ultra: Sequence[Floats],
    activity: Floats,
    threads: int | None,
) -> None:
    def strip(rows: tuple[int, int]) -> None:
        start, stop = rows
        for plane, out in zip(rest, high, strict=True):
            geometry.high.rows(plane, start, stop, out[start:stop])
        split_high(*flat(rest, *rows), *flat(high, *rows), *flat(ultra, *rows), *flat([activity], *rows))

    each(strip, strips(0, geometry.height, geometry.width), threads)


class Bands(NamedTuple):
    """A picture's bands, the residual of its middle band, and its activity."""

    low: Sequence[Floats]
    middle: Sequence[Floats]
    rest_high: Sequence[Floats]
    high: Sequence[Floats]
    ultra: Sequence[Floats]
    activity: Floats


#: Planes that :func:`separate` needs.
BAND_PLANES = 13


def separate(
    linear: Floats,
    geometry: Geometry,
    planes: Sequence[Floats],
    threads: int | None,
    gains: Sequence[Floats] | None = None,
) -> Bands:
    """Return the bands of a picture.

    Parameters
    ----------
    linear : ndarray of float32, shape (3, H, W)
        Linear sRGB, 1.0 = white.
    geometry : Geometry
        Size of the planes, and their blurs.
    planes : sequence of 13 ndarrays of float32, shape (H, W)
        Memory for the bands.
    threads : int or None
        Number of threads; None: the processors available.
    gains : sequence of 3 ndarrays of float32, shape (H, W), optional
        Memory for the gains of the adapted eye.
    """
    xyb, rest, low, rest_high, ultra = planes[:3], planes[3:6], planes[6:9], planes[9:11], planes[11:13]
    _opsin(linear, geometry, xyb, threads, gains)

    def strip(rows: tuple[int, int]) -> None:
        low_strip(xyb, geometry, *rows, [plane[rows[0] : rows[1]] for plane in low], rest)

    each(strip, strips(0, geometry.height, geometry.width), threads)
    middle = xyb  # xyb is no longer needed
    _middle(rest, geometry, middle, rest_high, threads)
    high, activity = rest[:2], rest[2]
    _high(rest_high, geometry, high, ultra, activity, threads)
    return Bands(low, middle, rest_high, high, ultra, activity)


def separate_reference(linear: Floats, geometry: Geometry, threads: int | None) -> Reference:
    """Return the bands and the mask of a reference; parameters as for :func:`separate`."""
    height, width = geometry.height, geometry.width
    # Separate blocks by lifetime: the residual of the middle band is needed in this function only.
    kept = list(np.empty((11, height, width), np.float32))
    spare = list(np.empty((2, height, width), np.float32))
    bands = separate(linear, geometry, [*kept[:9], *spare, *kept[9:]], threads)
    work = strips(0, height, width)
    activity = np.empty((height, width), np.float32)
    each(
        lambda rows: geometry.activity.rows(bands.activity, *rows, activity[rows[0] : rows[1]]), work, threads
    )
    erosion = bands.activity

    def erode(rows: tuple[int, int]) -> None:
        erode_rows(activity, *rows, np.empty((3, width), np.float32), erosion[rows[0] : rows[1]])

    each(erode, work, threads)
    return Reference(bands.low, bands.middle, bands.high, bands.ultra, activity, erosion)


def _add_lines(
    a: Sequence[Floats],
    b: Sequence[Floats],
    start: int,
    weights: Sequence[tuple[np.float32, np.float32]],
    full: bool,
    wanted: npt.NDArray[np.bool_],
    fields: Floats,
    ac: Floats,
) -> None:
    (field,) = fields
    for u, v, weight in zip(a, b, weights, strict=False):
        difference_rows(u, v, start, REACH, ac.shape[1], *weight, wanted, fields)
        if full:
            full_lines(field, ac)
        else:
            sparse_lines(field, ac)


class Errors:
    """The last stage: from the bands of two pictures to the map of errors."""

    def __init__(
        self,
        reference: Reference,
        geometry: Geometry,
        middle: Sequence[Floats],
        high: Sequence[Floats],
        ultra: Sequence[Floats],
        activity: Floats,
    ) -> None:
        self._a = reference
        self._geometry = geometry
        self._middle, self._high, self._ultra, self._activity = middle, high, ultra, activity

    def rows(self, start: int, stop: int, smooth: Floats, dc: Floats, out: Floats) -> None:
        """Write rows of the map to ``out``.

        ``dc`` holds the errors of the low band in these rows. ``smooth`` gets the blurred activity.
        """
        a, width = self._a, out.shape[1]
        ac = np.empty((stop - start, width), np.float32)
        fields = np.empty((1, stop - start + 2 * REACH, width + 2 * REACH), np.float32)
        wanted = np.ones((stop - start + 2 * REACH, 1), np.bool_)
        self._geometry.activity.rows(self._activity, start, stop, smooth)
        ac_errors(
            *flat([*a.middle, *self._middle, *a.high, *self._high, a.activity], start, stop),
            smooth.reshape(-1),
            ac.reshape(-1),
        )
        _add_lines(a.middle, self._middle, start, MIDDLE_LINES, False, wanted, fields, ac)
        _add_lines(a.high, self._high, start, HIGH_LINES, False, wanted, fields, ac)
        _add_lines(a.ultra, self._ultra, start, ULTRA_LINES, True, wanted, fields, ac)
        mask_errors(a.erosion[start:stop].reshape(-1), dc.reshape(-1), ac.reshape(-1), out.reshape(-1))


def compare(
    reference: Reference,
    linear: Floats,
    geometry: Geometry,
    memory: Memory,
    rows: tuple[int, int],
    out: Floats,
    threads: int | None,
) -> None:
    """Write rows of the map of errors.

    Parameters
    ----------
    reference : Reference
        Bands and mask of the reference.
    linear : ndarray of float32, shape (3, H, W)
        Linear light of the distorted picture.
    geometry : Geometry
        Size of the planes, and their blurs.
    memory : Memory
        Working memory.
    rows : tuple of int
        First row, and the row after the last.
    out : ndarray of float32, shape (last - first, W)
        Rows of the map of errors.
    threads : int or None
        Number of threads; None: the processors available.
    """
    height, width = geometry.height, geometry.width
    planes = memory.planes(11, height, width)
    xyb, rest, rest_high, ultra, dc = planes[:3], planes[3:6], planes[6:8], planes[8:10], planes[10]
    _opsin(linear, geometry, xyb, threads)

    def low(strip: tuple[int, int]) -> None:
        band = list(np.empty((3, strip[1] - strip[0], width), np.float32))
        low_strip(xyb, geometry, *strip, band, rest)
        dc_errors(*flat(reference.low, *strip), *flat(band, 0, height), *flat([dc], *strip))

    each(low, strips(0, height, width), threads)
    middle = xyb
    _middle(rest, geometry, middle, rest_high, threads)
    high, activity = rest[:2], rest[2]
    _high(rest_high, geometry, high, ultra, activity, threads)
    errors = Errors(reference, geometry, middle, high, ultra, activity)
    first = rows[0]

    def strip(part: tuple[int, int]) -> None:
        start, stop = part
        smooth = np.empty((stop - start, width), np.float32)
        errors.rows(start, stop, smooth, dc[start:stop], out[start - first : stop - first])

    each(strip, strips(*rows, width), threads)
