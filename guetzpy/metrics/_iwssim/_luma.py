"""Luma of pictures, and conversion of a gradient for luma to a gradient for codes.

IW-SSIM is defined for luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), of gamma-encoded codes on the 0..255
scale. Codes of colour spaces other than sRGB are converted to linear light and then encoded by sRGB's curve.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from guetzpy._runtime.exact_math import power
from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.picture.transform import Codes, Floats, Transform

__all__ = ["by_codes", "continued", "folded", "luma_of"]

_R, _G, _B = np.float32(0.299), np.float32(0.587), np.float32(0.114)
# Adding and subtracting this rounds values of 0..255 to multiples of 1/4096, which have twenty bits. The taps
# of the pyramid's filters are small integers. So filtering is exact where a picture is flat, and bands are
# exactly zero there.
_ROUNDING = np.float32(2048.0)

_ROWS = 64  # rows that a thread processes at a time
#: Smallest side: the window of 11 taps then fits in a plane that was halved four times.
_SMALLEST = 10 * 2**4 + 1
#: Intervals of the curve's tables. The argument is the square root of light, up to 2 (light up to 4).
_STEPS = 8192


@kernel("int64(uint8[::1], uint8[::1], uint8[::1], float32[::1])")
def _luma8(red: Any, green: Any, blue: Any, out: Any) -> int:
    for i in range(out.shape[0]):
        value = _R * np.float32(red[i]) + _G * np.float32(green[i]) + _B * np.float32(blue[i])
        out[i] = (value + _ROUNDING) - _ROUNDING
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float32[::1])")
def _luma32(red: Any, green: Any, blue: Any, out: Any) -> int:
    for i in range(out.shape[0]):
        out[i] = ((_R * red[i] + _G * green[i] + _B * blue[i]) + _ROUNDING) - _ROUNDING
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], int64)")
def _interpolate(light: Any, table: Any, out: Any, odd: int) -> int:
    """Interpolate a table at light of any sign. If ``odd`` is 1, negative light gives negative values."""
    last = table.shape[0] - 1
    for i in range(light.shape[0]):
        # The order of the arguments makes NaN 0, so that it cannot become an index.
        root = np.sqrt(min(max(np.float32(0.0), abs(light[i])), np.float32(4.0)))
        position = root * np.float32(0.5 * last)
        k = min(np.int64(position), last - 1)
        value = table[k] + (position - np.float32(k)) * (table[k + 1] - table[k])
        out[i] = -value if odd != 0 and light[i] < np.float32(0.0) else value
    return 0


@functools.cache
def _tables() -> tuple[Floats, Floats]:
    """Return codes (0..255) and their derivatives for light, at equal steps of the square root of light."""
    code, slope = np.empty(_STEPS + 1), np.empty(_STEPS + 1)
    for i in range(_STEPS + 1):
        light = (2.0 * i / _STEPS) ** 2
        if light <= 0.0031308:  # IEC 61966-2-1
            code[i], slope[i] = 12.92 * light, 12.92
        else:
            root = power(light, 1 / 2.4)
            code[i], slope[i] = 1.055 * root - 0.055, 1.055 / 2.4 * root / light
    return (255.0 * code).astype(np.float32), (255.0 * slope).astype(np.float32)


def _is_srgb(codes: Codes, transform: Transform) -> bool:
    return transform.is_srgb or transform.channels not in (None, len(codes))


def _on_255(codes: Any) -> Any:
    if codes.dtype == np.uint16:
        return codes / np.float32(257.0)
    if codes.dtype == np.float32:  # NaN becomes 0, as in ``Transform.linear``
        return np.fmin(np.fmax(codes, np.float32(0.0)), np.float32(255.0))
    return codes


def luma_of(codes: Codes, transform: Transform, threads: int | None) -> Floats:
    """Return the luma, float32 (H, W), of codes as for ``Transform.linear``."""
    height, width = codes.shape[1:]
    out = np.empty((height, width), np.float32)

    def strip(top: int) -> None:
        part: Any = codes[:, top : top + _ROWS]
        if _is_srgb(codes, transform):
            part = _on_255(part)
        else:
            light = transform.linear(np.ascontiguousarray(part), threads=1)
            part = np.empty_like(light)
            _interpolate(light.reshape(-1), _tables()[0], part.reshape(-1), 1)
        planes = [np.require(plane, requirements=["C", "W"]).reshape(-1) for plane in part]
        luma = _luma8 if part.dtype == np.uint8 else _luma32
        luma(planes[0], planes[len(planes) // 2], planes[-1], out[top : top + _ROWS].reshape(-1))

    each(strip, range(0, height, _ROWS), threads)
    return out


def by_codes(gradient: Floats, codes: Codes, transform: Transform, threads: int | None) -> Floats:
    """Convert the gradient for luma, (H, W), to the gradient for codes, float32 of their shape.

    It is per code on the 0..255 scale, whatever the depth of the codes.
    """
    weights = np.array([_R, _G, _B])
    if _is_srgb(codes, transform):
        return weights[:, None, None] * gradient if len(codes) == 3 else gradient[None].copy()
    planes: Any = np.ascontiguousarray(codes)
    light = transform.linear(planes, threads=threads)
    by_light = np.empty_like(light)

    def plane(c: int) -> None:
        _interpolate(light[c].reshape(-1), _tables()[1], by_light[c].reshape(-1), 0)
        by_light[c] *= weights[c] * gradient

    each(plane, range(3), threads)
    return transform.pull_back(by_light, planes, threads=threads)


def continued(luma: Floats) -> Floats:
    """Return a plane extended by its mirror images, below and right, to at least 161 samples."""
    pad = [(0, max(_SMALLEST - side, 0)) for side in luma.shape]
    return np.pad(luma, pad, mode="symmetric") if luma.shape[0] and np.any(pad) else luma


def folded(gradient: Floats, shape: tuple[int, int]) -> Floats:
    """Convert the gradient for an extended plane to that for the plane: the adjoint of :func:`continued`."""
    for axis, side in enumerate(shape):
        length = gradient.shape[axis]
        if length == side:
            continue
        source = np.pad(np.arange(side), (0, length - side), mode="symmetric")
        inner = np.zeros([side if i == axis else n for i, n in enumerate(gradient.shape)], np.float32)
        for i in range(length):
            into: Any = (slice(None),) * axis + (int(source[i]),)
            inner[into] += gradient[(slice(None),) * axis + (i,)]
        gradient = inner
    return gradient
