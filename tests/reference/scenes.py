"""Drawings whose visible errors metrics do not detect, and measures of these errors.

Pictures are ``(H, W, 3)`` uint8 sRGB, drawn with a fixed seed. The measures compare a decoded picture with
its reference. They use none of guetzpy's metrics.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage import color, data

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float64]


def _grid(height: int, width: int) -> tuple[Plane, Plane]:
    """Return the coordinates of the pixels, each from 0 to 1."""
    y, x = np.mgrid[:height, :width].astype(float)
    return y / (height - 1), x / (width - 1)


def _ramp(along: Plane, start: tuple[float, ...], end: tuple[float, ...]) -> Plane:
    """Return colours from ``start``, where ``along`` is 0, to ``end``, where it is 1."""
    return np.array(start) + along[..., None] * (np.array(end) - np.array(start))


def _sensor(shape: tuple[int, ...], seed: int, luma: float, chroma: float) -> Plane:
    """Return a camera's noise after its noise reduction: fine in luma, coarse in chroma.

    ``luma`` and ``chroma`` are standard deviations in codes.
    """
    rng = np.random.default_rng(seed)
    gray = ndimage.gaussian_filter(rng.normal(size=shape[:2]), 0.6)
    tint = ndimage.gaussian_filter(rng.normal(size=shape), (2, 2, 0))
    return luma * (gray / gray.std())[..., None] + chroma * tint / tint.std()


def _texture(shape: tuple[int, int], seed: int, size: float) -> Plane:
    """Return smooth random variation with details of about ``size`` pixels and standard deviation 1."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), size)
    return field / field.std()


def _codes(values: Plane) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def night_sky(height: int, width: int) -> Picture:
    """Return a dark blue sky that brightens to the horizon, with stars and noise."""
    y, x = _grid(height, width)
    sky = _ramp(y**1.5, (5, 6, 14), (20, 22, 38)) * (1 - 0.25 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))[..., None]
    rng = np.random.default_rng(11)
    stars = np.zeros((height, width))
    count = height * width // 1500
    stars[rng.integers(0, height, count), rng.integers(0, width, count)] = rng.pareto(2.0, count) * 60
    return _codes(sky + ndimage.gaussian_filter(stars, 0.7)[..., None] + _sensor(sky.shape, 12, 0.8, 0.4))


def dark_gradient(height: int, width: int) -> Picture:
    """Return a wall in a dark room: a slow, slightly warm gradient with dither of half a code."""
    y, x = _grid(height, width)
    return _codes(
        _ramp((x + 0.4 * y) / 1.4, (12, 10, 9), (44, 38, 34)) + _sensor((height, width, 3), 21, 0.5, 0)
    )


def studio_gray(height: int, width: int) -> Picture:
    """Return a studio's paper background: a wide spot of light and a soft shadow, little noise."""
    y, x = _grid(height, width)
    light = np.exp(-2.0 * ((x - 0.45) ** 2 + (y - 0.4) ** 2))
    shadow = 20 / (1 + np.exp(-(y - 0.75) * 14))
    gray = 110 + 80 * light - shadow
    return _codes(gray[..., None] + np.array([0.0, 0.5, 1.5]) + _sensor((height, width, 3), 31, 0.7, 0.2))


def snow_and_fog(height: int, width: int) -> Picture:
    """Return a snow field that fades into fog, with faint drifts and noise."""
    y, _ = _grid(height, width)
    fog = _ramp(y, (226, 229, 233), (246, 247, 249))
    drifts = 1.6 * _texture((height, width), 41, 14) * y
    return _codes(fog + drifts[..., None] + _sensor((height, width, 3), 42, 0.8, 0.2))


def skin_in_shade(height: int, width: int) -> Picture:
    """Return skin in the shade: a cheek's soft form, blotches of colour, pores and noise."""
    y, x = _grid(height, width)
    form = np.clip(1.1 - 1.2 * ((x - 0.35) ** 2 + (y - 0.45) ** 2), 0, 1)
    skin = _ramp(form, (46, 30, 26), (112, 78, 64))
    blotches = _texture((height, width), 51, 10)[..., None] * np.array([1.6, 0.6, 0.5])
    pores = 1.5 * _texture((height, width), 52, 1.2)
    return _codes(skin + blotches + pores[..., None] + _sensor(skin.shape, 53, 0.8, 0.5))


def face(height: int, width: int) -> Picture:
    """Return the astronaut's face of scikit-image (NASA, public domain), scaled to the size."""
    crop = Image.fromarray(data.astronaut()[20:212, 130:322])
    return np.asarray(crop.resize((width, height), Image.Resampling.LANCZOS))


WORDS = ("SALE 50% off", "only until Sunday", "while stocks last, 0123456789")


def glyphs(height: int, width: int) -> Plane:
    """Return the coverage of white text at each pixel, 0 to 1.

    The first line fills a quarter of the height.
    """
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    top = 8
    for size, line in zip((height // 4, 34, 22, 15, 12) * 3, WORDS * 5, strict=True):
        draw.text((12, top), line, fill=255, font=ImageFont.load_default(size))
        top += round(1.35 * size)
    return np.asarray(mask) / 255.0


def text_on(background: tuple[int, int, int]) -> Callable[[int, int], Picture]:
    """Return a function that draws white text on a colour."""

    def drawn(height: int, width: int) -> Picture:
        cover = glyphs(height, width)[..., None]
        return _codes((1 - cover) * np.array(background) + cover * 255.0)

    return drawn


# What people see


def banding(reference: Picture, shown: Picture) -> tuple[float, float]:
    """Return how much the steps of lightness between neighbouring blocks exceed the reference's.

    The edge of a band is a step of the mean lightness of blocks of 8 x 8 pixels. CIE 1976 lightness is
    scaled to 0..255, so that one unit is about the lightness of one code of gray.

    Returns
    -------
    height : float
        The largest growth of a step, in codes of gray.
    share : float
        The share of steps that grew by more than one code.
    """
    growth = []
    for axis in (0, 1):
        before, after = (np.abs(np.diff(_lightness_of_blocks(p), axis=axis)) for p in (reference, shown))
        growth.append((after - before).ravel())
    every = np.concatenate(growth)
    return float(every.max()), float((every > 1.0).mean())


def _lightness_of_blocks(picture: Picture) -> Plane:
    return 2.55 * _means(color.rgb2lab(picture), 8)[..., 0]


def _means(picture: Plane, size: int) -> Plane:
    """Return the mean of each whole tile of a picture: (H, W, C) to (H // size, W // size, C)."""
    height, width = (n // size for n in picture.shape[:2])
    tiles = picture[: height * size, : width * size].reshape(height, size, width, size, -1)
    return np.asarray(tiles.mean(axis=(1, 3)))


def hue_shift(reference: Picture, shown: Picture, size: int | None = None) -> float:
    """Return the difference of the mean colour, in CIEDE2000 units.

    With ``size``, it is the largest difference of a tile of so many pixels squared.
    """
    lab = [color.rgb2lab(p) for p in (reference, shown)]
    means = [p.mean(axis=(0, 1)) if size is None else _means(p, size) for p in lab]
    return float(color.deltaE_ciede2000(*means).max())


def ringing(reference: Picture, shown: Picture, cover: Plane) -> float:
    """Return the root mean square of the colour difference beside text, in CIEDE2000 units.

    It is taken over the pixels outside the glyphs that are at most 8 pixels from one.
    """
    outside = ndimage.distance_transform_edt(cover == 0)
    beside = (outside > 0) & (outside <= 8)
    difference = color.deltaE_ciede2000(color.rgb2lab(reference), color.rgb2lab(shown))
    return float(np.sqrt((difference[beside] ** 2).mean()))


#: From CIE XYZ to the luminance, red-green and blue-yellow channels of S-CIELAB (Zhang and Wandell 1996), and
#: the standard deviations of the narrow filters of the colour channels, in pixels at 60 pixels per degree.
_OPPONENT = np.array([[0.279, 0.72, -0.107], [-0.449, 0.29, -0.077], [0.086, -0.59, 0.501]])
_SPREADS = (0.0392 * 60 / np.sqrt(2), 0.0536 * 60 / np.sqrt(2))


def _resolved(picture: Picture) -> Plane:
    """Return a picture in CIELAB, without the detail of hue that the eye does not resolve."""
    channels = color.rgb2xyz(picture) @ _OPPONENT.T
    for channel, spread in enumerate(_SPREADS, start=1):
        channels[..., channel] = ndimage.gaussian_filter(channels[..., channel], spread)
    return np.asarray(color.xyz2lab(channels @ np.linalg.inv(_OPPONENT).T))


def tint_of_strokes(reference: Picture, shown: Picture, cover: Plane) -> float:
    """Return the difference of the mean colour of strokes as the eye resolves it, in CIEDE2000 units."""
    inside = ndimage.binary_erosion(cover > 0.99)
    means = [_resolved(p)[inside].mean(axis=0) for p in (reference, shown)]
    return float(color.deltaE_ciede2000(*means))


#: Each subject with the function that draws it.
SMOOTH: dict[str, Callable[[int, int], Picture]] = {
    "night sky": night_sky,
    "dark gradient": dark_gradient,
    "studio gray": studio_gray,
    "snow and fog": snow_and_fog,
    "skin in shade": skin_in_shade,
    "face": face,
}
TEXT = {"white text on red": text_on((200, 16, 24)), "white text on blue": text_on((16, 40, 190))}
SUBJECTS = SMOOTH | TEXT
