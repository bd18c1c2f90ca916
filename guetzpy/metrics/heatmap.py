"""Butteraugli's map of errors as a picture, with the same colours in every picture.

An error d has the colour at d / (1 + d) of the scale. 1, where differences become visible, is in the middle.
Every error has a place on the scale, so that two heat maps can be compared without their legends.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "PALETTE",
    "TICKS",
    "colours",
    "opacity",
    "overlay",
    "position",
    "shrunk",
    "upright",
    "with_legend",
]

Floats = npt.NDArray[np.float32]

# Every sixteenth colour of matplotlib's "inferno" (N. Smith, S. van der Walt, CC0). Its lightness grows
# evenly, so that colour-blind people can read it, and prints in gray too.
_ANCHORS = (
    (0, 0, 4), (11, 7, 36), (33, 12, 74), (61, 9, 101), (87, 16, 110), (113, 25, 110), (138, 34, 106),
    (163, 44, 97), (188, 55, 84), (210, 70, 68), (228, 90, 49), (241, 115, 29), (249, 142, 9), (252, 172, 17),
    (249, 203, 53), (242, 234, 105), (252, 255, 164),
)  # fmt: skip


def _palette() -> npt.NDArray[np.uint8]:
    places = np.linspace(0.0, 255.0, len(_ANCHORS))
    channels = [np.interp(np.arange(256), places, channel) for channel in zip(*_ANCHORS, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


#: Colours of the scale from error 0 to infinity, uint8 (256, 3), sRGB.
PALETTE = _palette()

#: Errors that the legend shows.
TICKS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

# Over a photo, viewers can tell few levels apart. 32 levels make files half as large as 256 levels do.
_OVERLAY_LEVELS = 32


def position(error: float) -> float:
    """Return the place of an error on the scale, 0..1.

    Examples
    --------
    >>> position(1.0)
    0.5
    """
    return error / (1.0 + error)


def opacity(place: float) -> float:
    """Return the opacity, 0 to 1, of a heat map over a picture at a place of the scale.

    It is 0 below an error of 0.7 and 1 from 2 on, so that invisible errors do not hide the picture.
    """
    low, high = position(0.7), position(2.0)
    return min(max((place - low) / (high - low), 0.0), 1.0)


def _codes(diffmap: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    error = np.asarray(diffmap, np.float32)
    if error.ndim != 2 or not error.size:
        raise ValueError(f"a map of errors has two dimensions, not the shape {error.shape}")
    error = np.maximum(np.nan_to_num(error, nan=0.0), 0)
    return (255.0 * (error / (1.0 + error)) + 0.5).astype(np.uint8)


def colours(diffmap: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Return the picture of a map.

    Parameters
    ----------
    diffmap : array_like of float, shape (H, W)
        Map of errors, from :meth:`guetzpy.metrics.ButteraugliComparator.diffmap`.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Colours of the scale, as sRGB codes.
    """
    return PALETTE[_codes(diffmap)]


def shrunk(diffmap: npt.ArrayLike, side: int) -> Floats:
    """Return a map of at most ``side`` by ``side``; each value is the largest of those that it replaces."""
    error = np.asarray(diffmap, np.float32)
    height, width = error.shape
    factor = -(-max(height, width) // side)
    if factor <= 1:
        return error
    padded = np.pad(error, ((0, -height % factor), (0, -width % factor)), constant_values=0.0)
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    largest: Floats = padded.reshape(rows, factor, columns, factor).max(axis=(1, 3))
    return largest


def overlay(diffmap: npt.ArrayLike, orientation: int = 1) -> bytes:
    """Return a PNG of the heat map to lay over the picture, with the opacity of :func:`opacity`.

    Parameters
    ----------
    diffmap : array_like of float, shape (H, W)
        Map of errors.
    orientation : int
        EXIF orientation, 1..8, by which the map is turned, as browsers turn the picture.

    Returns
    -------
    bytes
        The PNG file.
    """
    from PIL import Image

    step = 256 // _OVERLAY_LEVELS
    picture = Image.fromarray(_codes(diffmap) // step)
    picture.putpalette(PALETTE[step // 2 :: step].tobytes())
    picture = upright(picture, orientation)
    stream = io.BytesIO()
    alpha = bytes(round(255 * opacity((i + 0.5) / _OVERLAY_LEVELS)) for i in range(_OVERLAY_LEVELS))
    picture.save(stream, "PNG", optimize=True, transparency=alpha)
    return stream.getvalue()


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture by its EXIF orientation (CIPA DC-008 4.6.4); unknown orientations change nothing."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return picture.transpose(turns[orientation]) if orientation in turns else picture


_INK, _PAPER = 24, 250
_NARROWEST = 360  # pixels that the text of the legend needs
_GREYS = 16  # palette entries for the text of the legend; the others are the colours of the scale


def with_legend(diffmap: npt.ArrayLike, title: str = "") -> Image.Image:
    """Return the picture of a map with a legend below it.

    Parameters
    ----------
    diffmap : array_like of float, shape (H, W)
        Map of errors.
    title : str
        Text above the scale, for instance the scores; long texts are broken into lines.

    Returns
    -------
    PIL.Image.Image
        Palette image. Its first H rows hold the map from the left edge on, one pixel for each value.
    """
    from PIL import Image

    codes = _codes(diffmap)
    height, width = codes.shape
    legend = _legend(max(width, _NARROWEST), title)
    entries = 256 - _GREYS
    greys = np.repeat(np.linspace(_INK, _PAPER, _GREYS).round().astype(np.uint8)[:, None], 3, axis=1)
    canvas = Image.new("P", (legend.width, height + legend.height), 255)
    canvas.putpalette(np.concatenate([PALETTE[np.arange(entries) * 255 // (entries - 1)], greys]).tobytes())
    canvas.paste(Image.fromarray((codes.astype(np.int64) * (entries - 1) // 255).astype(np.uint8)), (0, 0))
    canvas.paste(legend.quantize(palette=canvas, dither=Image.Dither.NONE), (0, height))
    return canvas


def _legend(width: int, title: str) -> Image.Image:
    from PIL import Image, ImageDraw, ImageFont

    size = max(13, width // 70)
    font: Any = ImageFont.load_default(size)
    margin, bar, line = size, int(1.2 * size), int(1.4 * size)
    scale = width - 2 * margin
    lines = _lines(title, font, scale)
    top = margin + line * len(lines)
    legend = Image.new("RGB", (width, top + bar + size // 2 + 2 * line + margin // 2), (_PAPER,) * 3)
    draw = ImageDraw.Draw(legend)

    def words(x: int, y: int, text: str, align: str) -> None:
        draw.text((x, y), text, (_INK,) * 3, font, anchor=align + "a")

    for number, text in enumerate(lines):
        words(margin, margin // 2 + number * line, text, "l")
    ramp = PALETTE[np.arange(scale) * 256 // scale]
    legend.paste(Image.fromarray(np.broadcast_to(ramp, (bar, scale, 3)).copy()), (margin, top))
    for error in TICKS:
        x = margin + round(position(error) * (scale - 1))
        draw.line((x, top + bar, x, top + bar + size // 3), (_INK,) * 3, max(1, size // 12))
        words(x, top + bar + size // 3, f"{error:g}", "l" if error == 0.0 else "m")
    below = top + bar + size // 3 + line
    words(margin, below, "no error", "l")
    words(margin + scale // 2, below, "1: begins to be seen", "m")
    words(margin + scale, below, "plain to see", "r")
    return legend


def _lines(text: str, font: Any, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split(" ") if text else ():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
