"""Butteraugli backwards: from derivatives by the map of errors to those by the light of a picture.

The stages of :mod:`guetzpy.metrics._butteraugli.scale` in reverse order. A renormalised blur is
``diag(gain) K``: its adjoint multiplies by the gain first, where the stage before writes its result,
and then sums without renormalising.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.metrics._butteraugli.bands import mirrored_rows
from guetzpy.metrics._butteraugli.errors import dc_errors
from guetzpy.metrics._butteraugli.gradient import (
    error_slopes,
    high_slopes,
    middle_slopes,
    opponent_slopes,
    rest_slopes,
    weigh_rows,
)
from guetzpy.metrics._butteraugli.line_slopes import BLOCK, SLOT, STRIDE, line_slopes, reached, wanted_shares
from guetzpy.metrics._butteraugli.malta import (
    HIGH_LINES,
    MIDDLE_LINES,
    REACH,
    ULTRA_LINES,
    difference_rows,
)
from guetzpy.metrics._butteraugli.scale import (
    BAND_PLANES,
    OPSIN_TAPS,
    Bands,
    Blur,
    Errors,
    Geometry,
    Memory,
    Reference,
    flat,
    separate,
    strips,
)
from guetzpy.metrics.blur import blur_rows, scratch_rows

__all__ = ["Trace", "pull_back", "trace"]

Floats = npt.NDArray[np.float32]

#: Planes that :func:`pull_back` needs beside those of the trace, which it overwrites, and the result.
_SPARE_PLANES = 4
_TALLER = 2
_MIDDLE_TABLE = np.array(MIDDLE_LINES, np.float32)
_HIGH_TABLE = np.array([*HIGH_LINES, *ULTRA_LINES], np.float32)


class Trace(NamedTuple):
    """A comparison with all that its derivatives need, and planes for these."""

    reference: Reference
    linear: Floats
    geometry: Geometry
    bands: Bands
    smooth: Floats
    errors: Floats
    gains: Sequence[Floats]
    spare: Sequence[Floats]


def trace(
    reference: Reference, linear: Floats, geometry: Geometry, memory: Memory, threads: int | None
) -> Trace:
    """Compare a picture with a reference, keeping all stages; ``errors`` is the map.

    The trace lives in ``memory``, until that is used again.
    """
    height, width = geometry.height, geometry.width
    smooth, errors, *planes = memory.planes(2 + 3 + BAND_PLANES + _SPARE_PLANES, height, width)
    gains, planes = planes[:3], planes[3:]
    bands = separate(linear, geometry, planes[:BAND_PLANES], threads, gains)
    stage = Errors(reference, geometry, bands.middle, bands.high, bands.ultra, bands.activity)

    def strip(rows: tuple[int, int]) -> None:
        start, stop = rows
        dc = np.empty((stop - start, width), np.float32)
        dc_errors(*flat([*reference.low, *bands.low], start, stop), dc.reshape(-1))
        stage.rows(start, stop, smooth[start:stop], dc, errors[start:stop])

    each(strip, strips(0, height, width), threads)
    return Trace(reference, linear, geometry, bands, smooth, errors, gains, planes[BAND_PLANES:])


class _Adjoint:
    """Adjoint of a renormalised blur."""

    def __init__(self, blur: Blur) -> None:
        self._blur = blur
        self._ones = np.ones(max(len(blur.gain_y), len(blur.gain_x)), np.float32)

    def weigh(self, plane: Floats, start: int, stop: int) -> None:
        """Multiply rows of a plane by the gain, which differs from 1 near the edges only."""
        blur = self._blur
        weigh_rows(plane, start, stop, len(blur.taps) - 1, blur.gain_y, blur.gain_x)

    def rows(self, plane: Floats, start: int, stop: int, out: Floats | None = None) -> Floats:
        """Return summed rows of a plane that has been weighed."""
        height, width = plane.shape
        taps = self._blur.taps
        if out is None:
            out = np.empty((stop - start, width), np.float32)
        ones_y, ones_x = self._ones[:height], self._ones[:width]
        blur_rows(plane, start, stop, taps, ones_y, ones_x, scratch_rows(width, taps), out)
        return out


def _line_slopes(
    a: Floats,
    b: Floats,
    weights: tuple[np.float32, np.float32],
    full: bool,
    bent: bool,
    share: Floats,
    span: tuple[int, int],
    out: Floats,
) -> None:
    """Write the derivatives by the weighted difference of two planes of the energies of its lines.

    What was ``bent`` to zero has no slope there, so that nobody asks for them.
    """
    start, stop = span
    wanted = wanted_shares(b[start:stop] if bent else None, *out.shape)
    if not wanted.any():
        out[:] = 0.0
        return
    rows = stop - start + 4 * REACH
    sums, fields = _aligned(rows * STRIDE), _aligned(wanted.shape[1] * rows * STRIDE)
    blocks = fields.reshape(-1, rows, STRIDE)
    difference_rows(a, b, start, 2 * REACH, BLOCK, *weights, reached(wanted), blocks)
    line_slopes(fields, share, wanted, full, _aligned(SLOT), sums, out)


def _aligned(size: int) -> Floats:
    """Return room that begins with a line of the cache: vectors within it do not cross lines."""
    block = np.empty(size + 16, np.float32)
    first = -(block.ctypes.data // 4) % 16
    return block[first : first + size]


def _padded(plane: Floats, start: int, stop: int) -> Floats:
    """Return rows with a margin of 4, zero beyond the edges."""
    height, width = plane.shape
    out = np.zeros((stop - start + 2 * REACH, width + 2 * REACH), np.float32)
    top, bottom = max(0, start - REACH), min(height, stop + REACH)
    offset = top - (start - REACH)
    out[offset : offset + bottom - top, REACH : REACH + width] = plane[top:bottom]
    return out


def pull_back(
    traced: Trace,
    slopes: Floats,
    threads: int | None,
    light: Floats | None = None,
    finish: Callable[[Floats, int, int], object] | None = None,
) -> Floats:
    """Return the derivatives of a score by the light of the distorted picture.

    Parameters
    ----------
    traced : Trace
        Overwritten, ``linear`` excepted.
    slopes : ndarray of float32, shape (H, W)
        Derivatives of the score by the map ``traced.errors``.
    threads : int or None
    light : ndarray of float32, shape (3, H, W), optional
        Where the result goes.
    finish : callable, optional
        Called as ``finish(light, start, stop)`` for rows as soon as they are complete.

    Returns
    -------
    ndarray of float32, shape (3, H, W)
    """
    a, b, geometry = traced.reference, traced.bands, traced.geometry
    height, width = geometry.height, geometry.width
    blurs = [_Adjoint(blur) for blur in (geometry.low, geometry.middle, geometry.high, geometry.activity)]
    by_low, by_middle, by_high, by_activity = blurs
    work = strips(0, height, width)
    if light is None:
        light = np.empty((3, height, width), np.float32)
    # Planes change their use when what they held is not needed any more: what only its own sample
    # needs is replaced at once, what lines or blurs look at from other strips one stage later.
    ac, activity, low, middle = traced.errors, traced.smooth, b.low, list(light)
    smooth, plain = traced.spare[:2], traced.spare[2:]

    def errors(rows: tuple[int, int]) -> None:
        start, stop = rows
        error_slopes(*flat([a.erosion, a.activity, *a.low, slopes, ac, activity, *low], start, stop))
        by_activity.weigh(activity, start, stop)

    def bands(rows: tuple[int, int]) -> None:
        start, stop = rows
        share = _padded(ac, start, stop)
        lines = np.empty((4, stop - start, width), np.float32)
        by_lines = list(lines.reshape(4, -1))
        for c in range(2):
            _line_slopes(a.middle[c], b.middle[c], MIDDLE_LINES[c], False, c == 0, share, rows, lines[c])
        middle_slopes(
            *flat([*a.middle, *b.middle, ac], start, stop), *by_lines[:2], _MIDDLE_TABLE,
            *flat(middle, start, stop),
        )  # fmt: skip
        for c in range(2):
            _line_slopes(a.high[c], b.high[c], HIGH_LINES[c], False, c == 0, share, rows, lines[c])
            _line_slopes(a.ultra[c], b.ultra[c], ULTRA_LINES[c], True, c == 0, share, rows, lines[2 + c])
        by = by_activity.rows(activity, start, stop)
        high_slopes(
            *flat([*a.high, *b.high, *a.ultra, *b.ultra, ac], start, stop), by.reshape(-1), *by_lines,
            _HIGH_TABLE, *flat([*smooth, *plain], start, stop),
        )  # fmt: skip
        for plane in smooth:
            by_high.weigh(plane, start, stop)

    def rest_of_middle(rows: tuple[int, int]) -> None:
        start, stop = rows
        through = [by_high.rows(plane, start, stop) for plane in smooth]
        rest_slopes(
            *flat(b.rest_high, start, stop),
            *flat(through, 0, height),
            *flat([*plain, *middle[:2]], start, stop),
        )
        for plane in middle:
            by_middle.weigh(plane, start, stop)

    rest = [*plain, b.activity]

    def rest_of_low(rows: tuple[int, int]) -> None:
        start, stop = rows
        by_middle.rows(middle[2], start, stop, rest[2][start:stop])
        for c in range(3):
            part = rest[c][start:stop]
            if c < 2:
                part += by_middle.rows(middle[c], start, stop)
            low[c][start:stop] -= part
            by_low.weigh(low[c], start, stop)

    adapted = b.middle

    def opsin(rows: tuple[int, int]) -> None:
        start, stop = rows
        for c in range(3):
            by_low.rows(low[c], start, stop, light[c, start:stop])
        _opsin_slopes(traced.linear, traced.gains, start, stop, adapted, rest, light)

    def adaptation(rows: tuple[int, int]) -> None:
        # With its mirrored edges this blur is its own adjoint: sample i takes from j what j takes from i.
        line = np.empty(width + 4, np.float32)
        out = np.empty((rows[1] - rows[0], width), np.float32)
        for c in range(3):
            mirrored_rows(adapted[c], *rows, OPSIN_TAPS, line, out)
            light[c, rows[0] : rows[1]] += out
        if finish is not None:
            finish(light, *rows)

    each(errors, work, threads)
    # The margin of 8 rows around a strip is costly here: taller strips.
    each(bands, strips(0, height, width, _TALLER), threads)
    for stage in (rest_of_middle, rest_of_low, opsin, adaptation):
        each(stage, work, threads)
    return light


def _opsin_slopes(
    linear: Sequence[Floats],
    gains: Sequence[Floats],
    start: int,
    stop: int,
    adapted: Sequence[Floats],
    rest: Sequence[Floats],
    light: Sequence[Floats],
) -> None:
    """Turn derivatives by opponent colours (``rest`` and ``light``) into those by light.

    ``light`` gets the direct ones, ``adapted`` those by the light that the eye has adapted to.
    """
    width = linear[0].shape[1]
    line = np.empty(width + 4, np.float32)
    for plane, out in zip(linear, adapted, strict=True):
        mirrored_rows(plane, start, stop, OPSIN_TAPS, line, out[start:stop])
    opponent_slopes(*flat([*linear, *adapted, *gains, *rest, *light], start, stop))
