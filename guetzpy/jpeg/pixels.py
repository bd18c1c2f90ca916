"""Conversion between coefficients and pictures.

Decoding equals libjpeg-turbo's default decoding exactly, so that a search scores the pixels that users of
libjpeg-turbo see. The transform from a picture to coefficients does not round.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.errors import UnsupportedError
from guetzpy.jpeg import color, dct
from guetzpy.jpeg.sampling import box_down, fancy, fitted_down, upsample, upsample_adjoint
from guetzpy.jpeg.structure import Component, JpegImage

__all__ = ["decode", "decode_inks", "decode_planes", "forward", "fractions", "pull_back", "samples"]

Plane = npt.NDArray[np.float32]

_DEPTHS = (np.uint8, np.uint16, np.float32)
_ROWS = 64  # picture rows per task; constant, so that results do not depend on the number of threads


def samples(
    component: Component, height: int, width: int, *, threads: int | None = None
) -> npt.NDArray[np.uint8]:
    """Return a component's samples before up-sampling and colour conversion.

    Parameters
    ----------
    component : Component
        Quantised coefficients and their steps.
    height, width : int
        Size of the component in samples (`JpegImage.component_size`).
    threads : int, optional
        Number of threads; default: the processors available.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    plane = dct.inverse(component.coefficients, component.qtable, threads=threads)
    if height > plane.shape[0] or width > plane.shape[1]:
        raise ValueError(f"{plane.shape[0]}x{plane.shape[1]} samples do not cover {height}x{width}")
    return np.ascontiguousarray(plane[:height, :width])


def decode_planes(image: JpegImage, *, threads: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image to planes of codes, exactly as libjpeg-turbo does by default.

    Parameters
    ----------
    image : JpegImage
        A gray, YCbCr or RGB picture.
    threads : int, optional
        Number of threads; default: the processors available. The result does not depend on it.

    Returns
    -------
    ndarray of uint8, shape (1, height, width) or (3, height, width)
        Gray, or red, green and blue.

    Raises
    ------
    UnsupportedError
        For CMYK and YCCK, for sampling factors without an integer ratio (libjpeg does not support them
        either), and for an image that is not ``complete``.
    """
    if image.colorspace not in ("gray", "ycbcr", "rgb"):
        raise UnsupportedError(f"decoding the colour space {image.colorspace} is not supported")
    return _decoded(image, threads)


def decode_inks(image: JpegImage, *, threads: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode a CMYK or YCCK image to planes of inks, exactly as libjpeg-turbo does by default.

    Parameters
    ----------
    image : JpegImage
        A picture of four components.
    threads : int, optional
        Number of threads; default: the processors available. The result does not depend on it.

    Returns
    -------
    ndarray of uint8, shape (4, height, width)
        Samples of cyan, magenta, yellow and black; 255 means no ink (Pillow inverts them). The first three
        components of YCCK become 255 less red, green and blue (jdcolor.c, ``ycck_cmyk_convert``).

    Raises
    ------
    UnsupportedError
        For other colour spaces, and in the other cases of `decode_planes`.
    """
    if image.colorspace not in ("cmyk", "ycck"):
        raise UnsupportedError(f"{image.colorspace} has no inks")
    return _decoded(image, threads)


def _decoded(image: JpegImage, threads: int | None) -> npt.NDArray[np.uint8]:
    """Decode all components, up-sample them, and convert YCbCr to RGB and YCCK to CMYK."""
    if not image.complete:
        # libjpeg smooths between blocks while coefficients of low frequency are not sent in full.
        raise UnsupportedError("decoding a JPEG whose coefficients are incomplete is not supported")
    ratios = [_ratio(image, component) for component in image.components]
    sizes = [image.component_size(index) for index in range(len(image.components))]
    planes = [dct.inverse(part.coefficients, part.qtable, threads=threads) for part in image.components]
    for plane, (height, width) in zip(planes, sizes, strict=True):
        if plane.shape[0] < height or plane.shape[1] < width:
            raise ValueError("a component has fewer blocks than its size needs")

    out = np.empty((len(planes), image.height, image.width), np.uint8)

    def strip(first: int) -> None:
        last = min(first + _ROWS, image.height)
        full = []
        for plane, size, ratio in zip(planes, sizes, ratios, strict=True):
            if ratio == (1, 1):
                full.append(plane[first:last])
            else:
                rows = np.empty((last - first, image.width), np.uint8)
                upsample(plane, size, ratio, rows, first)
                full.append(rows)
        converted = 3 if image.colorspace in ("ycbcr", "ycck") else 0
        if converted:
            color.ycc_to_rgb(full[0], full[1], full[2], out[:3], first)
        if image.colorspace == "ycck":
            np.subtract(255, out[:3, first:last], out=out[:3, first:last])
        for target, rows in zip(out[converted:], full[converted:], strict=True):
            target[first:last] = rows[:, : image.width]

    each(strip, range(0, image.height, _ROWS), threads)
    return out


def decode(image: JpegImage, *, threads: int | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image to a picture, exactly as libjpeg-turbo does by default.

    Parameters
    ----------
    image : JpegImage
        A gray, YCbCr or RGB picture.
    threads : int, optional
        Number of threads; default: the processors available.

    Returns
    -------
    ndarray of uint8, shape (height, width) or (height, width, 3)

    Raises
    ------
    UnsupportedError
        In the same cases as `decode_planes`.
    """
    planes = decode_planes(image, threads=threads)
    return planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))


def forward(
    planes: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32],
    sampling: tuple[int, int] = (1, 1),
    *,
    downsampler: Literal["box", "fitted"] = "box",
    colorspace: Literal["ycbcr", "rgb"] = "ycbcr",
    threads: int | None = None,
) -> list[npt.NDArray[np.float32]]:
    """Transform a picture to unquantised coefficients.

    Parameters
    ----------
    planes : ndarray, shape (1, height, width) or (3, height, width)
        Gray, or red, green and blue, as uint8, as uint16 (0..65535), or as float32 on the scale 0..255.
        Fractions of a code are not rounded.
    sampling : tuple of int
        Sampling factors (h, v) of the luma; the chroma has (1, 1). (1, 1) is 4:4:4, (2, 2) 4:2:0.
    downsampler : {"box", "fitted"}
        "box" averages samples, as libjpeg does. "fitted" finds the chroma whose up-sampling by
        libjpeg-turbo is nearest in least squares. Where libjpeg-turbo replicates, "fitted" equals "box".
    colorspace : {"ycbcr", "rgb"}
        Colour space of the coefficients of three planes.
    threads : int, optional
        Number of threads; default: the processors available.

    Returns
    -------
    list of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Coefficients of each component in the scaling of T.81, natural order; the levels are
        ``round(coefficient / step)``. The blocks cover the component's own size. Outside the picture, its
        edge samples are repeated.
    """
    if planes.ndim != 3 or planes.shape[0] not in (1, 3) or planes.dtype not in _DEPTHS:
        raise ValueError("planes must be uint8, uint16 or float32 of shape (1 or 3, height, width)")
    channels, height, width = planes.shape
    h, v = sampling
    if channels == 1 or colorspace == "rgb":
        if (h, v) != (1, 1):
            raise ValueError("only YCbCr is down-sampled")
        return [
            dct.forward(_edge_padded(fractions(planes[c : c + 1])[0] - np.float32(128)), threads=threads)
            for c in range(channels)
        ]

    def convert(first: int, luma: Plane, cb: Plane, cr: Plane) -> None:
        rows = slice(first, min(first + _ROWS, height))
        color.rgb_to_ycc(fractions(planes[:, rows]), luma[rows], cb[rows], cr[rows], threads=1)

    luma = _empty_units(height, width, 8, 8)
    if (h, v) == (1, 1):
        chroma = [np.empty_like(luma) for _ in range(2)]
        each(lambda first: convert(first, luma, *chroma), range(0, height, _ROWS), threads)
        for plane in chroma:
            _replicate_edge(plane, height, width)
    else:
        full = [_empty_units(height, width, v, h) for _ in range(2)]
        each(lambda first: convert(first, luma, *full), range(0, height, _ROWS), threads)
        fits = downsampler == "fitted" and fancy(h, v, -(-width // h))
        down = fitted_down if fits else box_down
        chroma = []
        for plane in full:
            _replicate_edge(plane, height, width)
            # Padding repeats the edge of the small plane. This is smoother than the picture's edge would be
            # after down-sampling, and takes fewer bits.
            chroma.append(_edge_padded(down(plane, sampling, threads=threads)))
    _replicate_edge(luma, height, width)
    return [dct.forward(plane, threads=threads) for plane in (luma, *chroma)]


def fractions(
    planes: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Return codes of uint8, uint16 or float32 as float32 on the scale 0..255, contiguous and writable."""
    if planes.dtype == np.uint16:
        return np.divide(planes, np.float32(257), dtype=np.float32)
    return np.require(planes, np.float32, ["C", "W"])


def pull_back(
    gradient: npt.NDArray[np.float32],
    sampling: tuple[int, int] = (1, 1),
    *,
    colorspace: Literal["ycbcr", "rgb"] = "ycbcr",
    threads: int | None = None,
) -> list[npt.NDArray[np.float32]]:
    """Map a gradient with respect to codes to one with respect to coefficients: the adjoint of decoding.

    Rounding and clamping of the decoder are ignored, so that decoding is linear.

    Parameters
    ----------
    gradient : ndarray of float32, shape (1, height, width) or (3, height, width)
        Gradient with respect to the decoded codes (0..255).
    sampling : tuple of int
        Sampling factors (h, v) of the luma; the chroma has (1, 1).
    colorspace : {"ycbcr", "rgb"}
        Colour space of the coefficients of three planes.
    threads : int, optional
        Number of threads; default: the processors available.

    Returns
    -------
    list of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Gradient with respect to each component's dequantised coefficients, natural order.
    """
    gradient = _checked(gradient)
    channels, height, width = gradient.shape
    h, v = sampling
    if channels == 1 or colorspace == "rgb":
        if (h, v) != (1, 1):
            raise ValueError("only YCbCr is down-sampled")
        padded = []
        for part in gradient:
            plane = _zero_blocks(height, width)
            plane[:height, :width] = part
            padded.append(plane)
        return [dct.forward(plane, threads=threads) for plane in padded]

    luma = _zero_blocks(height, width)
    if (h, v) == (1, 1):
        chroma = [_zero_blocks(height, width) for _ in range(2)]
        color.pull_back(gradient, luma, chroma[0], chroma[1], threads=threads)
    else:
        full = [np.empty((height, width), np.float32) for _ in range(2)]
        color.pull_back(gradient, luma, full[0], full[1], threads=threads)
        size = (-(-height // v), -(-width // h))
        chroma = [_zero_blocks(*size) for _ in range(2)]
        for part, plane in zip(full, chroma, strict=True):
            upsample_adjoint(part, size, sampling, plane, threads=threads)
    return [dct.forward(plane, threads=threads) for plane in (luma, *chroma)]


def _ratio(image: JpegImage, component: Component) -> tuple[int, int]:
    h, h_rest = divmod(image.h_max, component.h)
    v, v_rest = divmod(image.v_max, component.v)
    if h_rest or v_rest:
        factors = ", ".join(f"{part.h}x{part.v}" for part in image.components)
        raise UnsupportedError(f"decoding fractional sampling ratios ({factors}) is not supported")
    return h, v


def _checked(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the planes in the memory layout of the kernels; copy only if they have another."""
    if planes.ndim != 3 or planes.shape[0] not in (1, 3) or planes.dtype != np.float32:
        raise ValueError("planes must be float32 of shape (1, height, width) or (3, height, width)")
    return np.require(planes, requirements=["C", "A", "W"])


def _empty_units(height: int, width: int, unit_y: int, unit_x: int) -> npt.NDArray[np.float32]:
    """Return an undefined plane whose sides are multiples of the units."""
    return np.empty((-(-height // unit_y) * unit_y, -(-width // unit_x) * unit_x), np.float32)


def _zero_blocks(height: int, width: int) -> npt.NDArray[np.float32]:
    """Return a plane of whole blocks that is zero outside the picture and undefined inside it."""
    plane = _empty_units(height, width, 8, 8)
    plane[height:] = 0.0
    plane[:, width:] = 0.0
    return plane


def _replicate_edge(plane: npt.NDArray[np.float32], height: int, width: int) -> None:
    plane[:height, width:] = plane[:height, width - 1 : width]
    plane[height:] = plane[height - 1]


def _edge_padded(part: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a plane of whole blocks with the samples, which repeats their edge outside."""
    height, width = part.shape
    plane = _empty_units(height, width, 8, 8)
    plane[:height, :width] = part
    _replicate_edge(plane, height, width)
    return plane
