"""The adjoint of Butteraugli: the gradient of a score for linear light, from that for the map of errors.

The stages of :mod:`guetzpy.metrics._butteraugli.scale` are processed in reverse order. A renormalised blur is
``diag(gain) K``. Its adjoint is ``K diag(gain)``: first the input is multiplied by the gain (by the adjoint
stage that computes it), and then the blur sums without renormalising.
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

#: Number of scratch planes of :func:`pull_back`. It also overwrites the planes of the trace.
_SPARE_PLANES = 4
_TALLER = 2
_MIDDLE_TABLE = np.array(MIDDLE_LINES, np.float32)
_HIGH_TABLE = np.array([*HIGH_LINES, *ULTRA_LINES], np.float32)


class Trace(NamedTuple):
    """Intermediate results of a comparison that its derivatives need, and spare planes for these."""

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
    """Compare a picture with a reference and keep all intermediate results; ``errors`` is the map of errors.

    The planes of the trace are in ``memory``, and are valid until its next use.
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
        """Multiply rows of a plane by the blur's gain.

        The gain is the reciprocal of the sum of the taps within the picture, so it is 1 far from the edges.
        """
        blur = self._blur
        weigh_rows(plane, start, stop, len(blur.taps) - 1, blur.gain_y, blur.gain_x)

    def rows(self, plane: Floats, start: int, stop: int, out: Floats | None = None) -> Floats:
        """Return rows of the blur, without renormalising, of a plane that :meth:`weigh` has processed."""
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
    """Convert derivatives for the energies of lines to derivatives for the weighted difference of two planes.

    If ``bent``, the split of the bands has set small values of ``b`` to zero. Derivatives at zeros are
    multiplied by 0 later, so they need not be computed.
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


def _both_line_slopes(
    a: Sequence[Floats],
    b: Sequence[Floats],
    weights: Sequence[tuple[np.float32, np.float32]],
    full: bool,
    share: Floats,
    span: tuple[int, int],
    out: Floats,
) -> None:
    """Call :func:`_line_slopes` for the X and Y planes of a band; only the split of X sets values to zero."""
    for c in range(2):
        _line_slopes(a[c], b[c], weights[c], full, c == 0, share, span, out[c])


def _aligned(size: int) -> Floats:
    """Return scratch memory that begins at a cache line, so that its vectors do not cross cache lines."""
    block = np.empty(size + 16, np.float32)
    first = -(block.ctypes.data // 4) % 16
    return block[first : first + size]


def _padded(plane: Floats, start: int, stop: int) -> Floats:
    """Return rows with a margin of 4 samples on all sides; the margin is zero beyond the edges."""
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
    """Return the derivatives of a score with respect to the light of the distorted picture.

    Parameters
    ----------
    traced : Trace
        Overwritten, ``linear`` excepted.
    slopes : ndarray of float32, shape (H, W)
        Derivatives of the score with respect to the map ``traced.errors``.
    threads : int or None
        Number of threads; None: the processors available.
    light : ndarray of float32, shape (3, H, W), optional
        Memory for the result.
    finish : callable, optional
        Called as ``finish(light, start, stop)`` for rows as soon as they are complete.

    Returns
    -------
    ndarray of float32, shape (3, H, W)
        Derivatives with respect to linear light.
    """
    a, b, geometry = traced.reference, traced.bands, traced.geometry
    height, width = geometry.height, geometry.width
    blurs = [_Adjoint(blur) for blur in (geometry.low, geometry.middle, geometry.high, geometry.activity)]
    by_low, by_middle, by_high, by_activity = blurs
    work = strips(0, height, width)
    if light is None:
        light = np.empty((3, height, width), np.float32)
    # A plane is reused when its content is no longer needed. A stage that reads only the samples that it
    # writes does so in place. Line detectors and blurs also read samples of other strips, so that their
    # inputs are overwritten one stage later.
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
        _both_line_slopes(a.middle, b.middle, MIDDLE_LINES, False, share, rows, lines)
        middle_slopes(
            *flat([*a.middle, *b.middle, ac], start, stop), *by_lines[:2], _MIDDLE_TABLE,
            *flat(middle, start, stop),
        )  # fmt: skip
        _both_line_slopes(a.high, b.high, HIGH_LINES, False, share, rows, lines)
        _both_line_slopes(a.ultra, b.ultra, ULTRA_LINES, True, share, rows, lines[2:])
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
        _add_blurred(adapted, *rows, light)
        if finish is not None:
            finish(light, *rows)

    each(errors, work, threads)
    # Each strip needs 8 further rows above and below, so that taller strips cost less.
    each(bands, strips(0, height, width, _TALLER), threads)
    for stage in (rest_of_middle, rest_of_low, opsin, adaptation):
        each(stage, work, threads)
    return light


def _add_blurred(planes: Sequence[Floats], start: int, stop: int, light: Floats) -> None:
    """Add to rows of ``light`` the adjoint of the blur that sets the gains.

    With mirrored edges this blur is symmetric, so that it is its own adjoint.
    """
    width = planes[0].shape[1]
    line = np.empty(width + 4, np.float32)
    out = np.empty((stop - start, width), np.float32)
    for c in range(3):
        mirrored_rows(planes[c], start, stop, OPSIN_TAPS, line, out)
        light[c, start:stop] += out


def _opsin_slopes(
    linear: Sequence[Floats],
    gains: Sequence[Floats],
    start: int,
    stop: int,
    adapted: Sequence[Floats],
    rest: Sequence[Floats],
    light: Sequence[Floats],
) -> None:
    """Convert derivatives for opponent colours (the sums of ``rest`` and ``light``) to those for light.

    ``light`` gets the direct derivatives; ``adapted`` gets those through the blurred light that sets the
    gains.
    """
    width = linear[0].shape[1]
    line = np.empty(width + 4, np.float32)
    for plane, out in zip(linear, adapted, strict=True):
        mirrored_rows(plane, start, stop, OPSIN_TAPS, line, out[start:stop])
    opponent_slopes(*flat([*linear, *adapted, *gains, *rest, *light], start, stop))
