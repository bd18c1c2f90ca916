"""Convert codes of any RGB or gray profile to codes of sRGB."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.errors import UnsupportedError
from guetzpy.picture.icc import srgb_curve
from guetzpy.picture.transform import Transform

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["cmyk_to_srgb", "to_srgb"]

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]

_ROWS = 64  # rows per task of a thread


def to_srgb(codes: Codes, transform: Transform, icc: bytes) -> Codes:
    """Convert codes to sRGB, relative colorimetric with black point compensation.

    lcms converts codes of 8 bits, and all codes if the profile has tables. Pillow's lcms takes 8 bits only.
    So deeper codes are converted here if the profile has a matrix and tone curves. For such profiles, this
    intent means that the matrix is applied and colours outside sRGB are clipped.

    Parameters
    ----------
    codes : ndarray, shape (1, H, W) or (3, H, W)
        uint8, uint16 or float32 on the 0..255 scale.
    transform : Transform
        Their transform to linear light, from ``icc``.
    icc : bytes
        Their ICC profile.

    Returns
    -------
    ndarray of the same shape
        Codes of sRGB: uint8 if ``codes`` are uint8 or the profile has tables, otherwise uint16.
    """
    if transform.is_srgb or transform.channels not in (None, len(codes)):
        return codes  # a profile for another number of channels counts as sRGB
    if codes.dtype == np.uint8 or transform.tables is not None:
        if codes.dtype == np.uint16:
            codes = ((codes.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        elif codes.dtype == np.float32:
            codes = np.rint(np.clip(codes, 0, 255)).astype(np.uint8)
        return _managed(codes, icc)
    light = transform.linear(codes)[: len(codes)]
    out: npt.NDArray[np.uint16] = np.empty(light.shape, np.uint16)

    def rows(item: tuple[int, int]) -> None:
        plane, top = item
        out[plane, top : top + _ROWS] = np.searchsorted(_steps(), light[plane, top : top + _ROWS])

    each(rows, [(p, y) for p in range(len(out)) for y in range(0, out.shape[1], _ROWS)])
    return out


@functools.cache
def _steps() -> npt.NDArray[np.float32]:
    """Return the light halfway between adjacent 16-bit codes: the bounds for rounding to codes."""
    return srgb_curve((np.arange(65535) + 0.5) / 65535).astype(np.float32)


def _managed(codes: npt.NDArray[Any], icc: bytes) -> npt.NDArray[np.uint8]:
    from PIL import Image

    planes = codes[0] if codes.shape[0] == 1 else np.ascontiguousarray(np.moveaxis(codes, 0, 2))
    converted: npt.NDArray[Any] = np.asarray(_convert(Image.fromarray(planes), icc))
    if codes.shape[0] == 1:  # a gray picture stays gray; its three channels are equal except for rounding
        converted = converted[:, :, 1:2]
    return np.ascontiguousarray(np.moveaxis(converted, 2, 0))


def cmyk_to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Convert a CMYK picture with its profile to an RGB picture in sRGB.

    Raises
    ------
    UnsupportedError
        If the profile is broken or not for CMYK.
    """
    return _convert(image, icc)


def _convert(image: Image.Image, icc: bytes) -> Image.Image:
    from PIL import ImageCms

    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise UnsupportedError(
            f"its colour profile cannot be used for {image.mode} pixels: {words}"
        ) from None
    assert converted is not None
    return converted
