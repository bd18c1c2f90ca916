"""Flat colours: the codes of luma and chroma that a decoder turns into the nearest colour.

A decoder rounds luma and chroma to codes, and then red, green and blue. Only a quarter of all colours can be
coded exactly. If luma and chroma are rounded by themselves, (48, 151, 191) decodes to (48, 152, 191). With
one code more of red chroma it decodes to (49, 151, 191), whose luminance is right. In a photo such errors
differ from sample to sample. In an area of one colour they are all equal, and Butteraugli's 3-norm of a chart
in this colour is 1.2 instead of 0.4, however fine the tables are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg import color
from guetzpy.picture.transform import Transform
from guetzpy.search.coding.compensation import LUMINANCE

__all__ = ["aims"]

#: Cost of a squared difference of hue (CIELAB) beside a squared error of the luminance in codes of luma.
#: Fitted to the 3-norm of 70 random colours: with 0.5, the chosen codes have 0.17 in the mean, with 0 0.32,
#: without the luminance 0.23, and the best codes 0.14.
_HUE = 0.5

#: Differences from the code below the exact luma or chroma that are tried.
_STEPS = np.arange(-1, 3)

#: Linear sRGB to XYZ (IEC 61966-2-1), divided by the white D65.
_XYZ = np.array(
    [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ]
)

_MANY = 4096  # colours of one step of the search, which bounds the scratch memory


def aims(codes: npt.NDArray[np.uint8], transform: Transform) -> npt.NDArray[np.float32] | None:
    """Return a picture whose flat colours decode to the nearest ones, to be encoded in place of another.

    Parameters
    ----------
    codes : ndarray of uint8, shape (3, H, W)
        The picture.
    transform : Transform
        Turns its codes into light.

    Returns
    -------
    ndarray of float32, shape (3, H, W), or None
        The picture with other values for the colours that fill whole blocks of 8 x 8 pixels: those that have
        the chosen codes of luma and chroma before any rounding. None: rounding gives these codes anyway.
    """
    _, height, width = codes.shape
    blocks = codes[:, : height // 8 * 8, : width // 8 * 8].reshape(3, height // 8, 8, width // 8, 8)
    flat = (blocks.max(axis=(2, 4)) == blocks.min(axis=(2, 4))).all(axis=0)
    colours = np.unique(blocks[:, :, 0, :, 0][:, flat], axis=1)
    parts = [_chosen(colours[:, n : n + _MANY], transform) for n in range(0, colours.shape[1], _MANY)]
    if not any(changed.any() for _, changed in parts):
        return None
    values = np.concatenate([found for found, _ in parts], axis=1)
    keys = _packed(colours)  # in ascending order, as np.unique sorts by red, then green, then blue
    pixels = _packed(codes)
    places = np.minimum(np.searchsorted(keys, pixels), len(keys) - 1)
    known = keys[places] == pixels
    result = codes.astype(np.float32)
    for plane, value in zip(result, values, strict=True):
        plane[known] = value[places[known]]
    return result


def _packed(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    red, green, blue = (plane.astype(np.int32) for plane in codes)
    packed: npt.NDArray[np.int32] = red << 16 | green << 8 | blue
    return packed


def _chosen(
    colours: npt.NDArray[np.uint8], transform: Transform
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the values of some colours, (3, n), and whether rounding would give other codes, (n,)."""
    exact = np.empty((3, colours.shape[1]))
    red, green, blue = colours.astype(np.float64)
    exact[0] = 0.299 * red + 0.587 * green + 0.114 * blue
    exact[1] = 128.0 + (blue - exact[0]) / 1.772
    exact[2] = 128.0 + (red - exact[0]) / 1.402
    steps = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS, indexing="ij")).reshape(3, 1, -1)
    trials = np.floor(exact)[:, :, None] + steps
    valid = ((trials >= 0) & (trials <= 255)).all(axis=0)
    coded = trials.clip(0, 255).astype(np.uint8)
    shown = np.empty_like(coded)
    color.ycc_to_rgb(coded[0], coded[1], coded[2], shown, 0)
    cost = np.where(valid, _cost(colours[:, :, None], shown, transform), np.inf)
    # Of codes that decode to the same colour, the nearest ones are chosen.
    distances = ((trials - exact[:, :, None]) ** 2).sum(axis=0)
    best = np.lexsort((distances, cost), axis=1)[:, 0]
    luma, cb, cr = np.take_along_axis(trials, best[None, :, None], axis=2)[..., 0]
    changed = (np.stack([luma, cb, cr]) != np.rint(exact)).any(axis=0)
    values = [
        luma + 1.402 * (cr - 128.0),
        luma - 0.344136286 * (cb - 128.0) - 0.714136286 * (cr - 128.0),
        luma + 1.772 * (cb - 128.0),
    ]
    return np.array(values, np.float32), changed


def _cost(
    wanted: npt.NDArray[np.uint8], shown: npt.NDArray[np.uint8], transform: Transform
) -> npt.NDArray[np.float64]:
    """Return the cost of showing other colours, (n, m), for colours (3, n, 1) and those shown, (3, n, m)."""
    light = transform.linear(np.ascontiguousarray(wanted)).astype(np.float64)
    other = transform.linear(np.ascontiguousarray(shown)).astype(np.float64)
    weights = np.array(LUMINANCE)[:, None, None]
    code = wanted.astype(np.float32)  # whole codes up and down: some profiles are applied to whole codes only
    rise = transform.linear(code + np.float32(1)) - transform.linear(code - np.float32(1))
    by_code = np.maximum((weights * rise).sum(axis=0) / 2.0, 1e-6)
    luminance = (weights * (other - light)).sum(axis=0) / by_code
    hue = ((_lab(other) - _lab(light)) ** 2).sum(axis=0)
    cost: npt.NDArray[np.float64] = luminance**2 + _HUE * hue
    return cost


def _lab(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the CIELAB coordinates (CIE 15) of linear sRGB, both (3, n, m)."""
    xyz = np.tensordot(_XYZ, light, axes=1)
    edge = 6.0 / 29.0
    x, y, z = np.where(xyz > edge**3, np.cbrt(xyz), xyz / (3.0 * edge**2) + 4.0 / 29.0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)])
