"""Make pictures smaller: Pillow's Lanczos filter in linear light.

Codes are not proportional to light, so a filter of codes would make fine bright detail too dark. Each plane
is mapped to light by the tone curve of its profile, filtered in float32, and mapped back to codes of 16 bits,
so that nothing is rounded to 8 bits in between. The primaries do not matter, because the filter and a colour
matrix commute. Transparent pictures are composited before this step.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from guetzpy.picture.icc import Curve, srgb_curve
from guetzpy.picture.transform import Codes, Transform

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fitted_size", "resized"]

_TOP = 65535


def fitted_size(width: int, height: int, box: tuple[int, int], *, turned: bool = False) -> tuple[int, int]:
    """Return the largest size of the same shape that fits a box and does not exceed the given size.

    Parameters
    ----------
    width, height : int
        Size as stored, in pixels.
    box : tuple of int
        Width and height of the box, for the picture as it is shown.
    turned : bool
        Whether the Orientation exchanges width and height (5 to 8).
    """
    across, down = reversed(box) if turned else box
    if width <= across and height <= down:
        return width, height
    if width * down >= height * across:
        return across, min(max(1, (2 * height * across + width) // (2 * width)), down)
    return min(max(1, (2 * width * down + height) // (2 * height)), across), down


def resized(codes: Codes, size: tuple[int, int], transform: Transform) -> npt.NDArray[np.uint16]:
    """Return codes at a smaller size.

    Parameters
    ----------
    codes : ndarray, shape (1, H, W) or (3, H, W)
        uint8, uint16, or float32 on the 0..255 scale.
    size : tuple of int
        New width and height.
    transform : Transform
        The meaning of the codes. Curves that are not strictly increasing, and profiles with tables, count as
        sRGB.

    Returns
    -------
    ndarray of uint16, shape (1, height, width) or (3, height, width)
    """
    from PIL import Image

    out = np.empty((len(codes), size[1], size[0]), np.uint16)
    for plane, target, curve in zip(codes, out, _curves(transform, len(codes)), strict=True):
        light = Image.fromarray(_light(plane, curve))
        filtered = np.asarray(light.resize(size, Image.Resampling.LANCZOS))
        np.copyto(target, np.searchsorted(_middles(curve), filtered), casting="unsafe")
    return out


def _curves(transform: Transform, planes: int) -> list[Curve]:
    if transform.tables is not None or transform.channels not in (None, planes):
        return [srgb_curve] * planes
    curves = [transform.curves[c % len(transform.curves)] for c in range(planes)]
    return [curve if bool((np.diff(_values(curve)) >= 0).all()) else srgb_curve for curve in curves]


def _light(plane: npt.NDArray[Any], curve: Curve) -> npt.NDArray[np.float32]:
    values = _values(curve)
    light: npt.NDArray[np.float32]
    if plane.dtype == np.uint8:
        light = values[:: _TOP // 255][plane]
    elif plane.dtype == np.uint16:
        light = values[plane]
    else:
        scale = _TOP / 255.0
        light = np.interp(plane * scale, np.arange(_TOP + 1), values).astype(np.float32)
    return light


def _cached(
    function: Callable[[Curve], npt.NDArray[np.float32]],
) -> Callable[[Curve], npt.NDArray[np.float32]]:
    return functools.lru_cache(maxsize=8)(function)


@_cached
def _values(curve: Curve) -> npt.NDArray[np.float32]:
    """Return the light of each 16-bit code."""
    return curve(np.arange(_TOP + 1) / _TOP).astype(np.float32)


@_cached
def _middles(curve: Curve) -> npt.NDArray[np.float32]:
    """Return the light halfway between adjacent 16-bit codes."""
    return curve((np.arange(_TOP) + 0.5) / _TOP).astype(np.float32)
