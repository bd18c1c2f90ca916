"""Conversion of CMYK codes to sRGB: by littleCMS with the picture's profile, or as Pillow shows CMYK."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each

__all__ = ["HIDDEN_BY_PROFILE", "InkConversion", "ink_conversion"]

Codes = npt.NDArray[np.uint8]

_ROWS = 64  # rows per task of a thread

_AS_PILLOW = "CMYK was scored as Pillow shows it, without a profile"

#: The note of Pillow's conversion, if it replaces that of a profile that hardly shows one of the inks.
HIDDEN_BY_PROFILE = f"{_AS_PILLOW}: its own hardly shows one of the inks"


@dataclass(frozen=True, eq=False)
class InkConversion:
    """A conversion of CMYK codes to codes of sRGB.

    Attributes
    ----------
    transform : PIL.ImageCms.ImageCmsTransform, optional
        The transform by littleCMS: relative colorimetric with black point compensation. None: red, green and
        blue are what one ink and black leave of the white paper, ``(255 - ink) (255 - black) / 255``, as in
        Pillow's ``convert("RGB")``.
    note : str, optional
        Why the file's own profile is not used.
    threads : int, optional
        Number of threads; None: the processors available. The result does not depend on it.
    """

    transform: Any = None
    note: str | None = None
    threads: int | None = None

    def to_srgb(self, samples: Codes) -> Codes:
        """Convert the samples of a JPEG file.

        Parameters
        ----------
        samples : ndarray of uint8, shape (4, H, W)
            Samples as libjpeg-turbo decodes them; 255 means no ink. JPEG files have this polarity since
            Photoshop writes it, and Pillow and the browsers assume it, with and without an Adobe segment.

        Returns
        -------
        ndarray of uint8, shape (3, H, W)
        """
        from PIL import Image, ImageCms

        _, height, width = samples.shape
        out: Codes = np.empty((3, height, width), np.uint8)

        def rows(first: int) -> None:
            inks = np.uint8(255) - np.moveaxis(samples[:, first : first + _ROWS], 0, 2)
            image = Image.frombytes("CMYK", (width, len(inks)), np.ascontiguousarray(inks).tobytes())
            if self.transform is None:
                shown = image.convert("RGB")
            else:
                shown = ImageCms.applyTransform(image, self.transform)  # type: ignore[assignment]
            out[:, first : first + _ROWS] = np.moveaxis(np.asarray(shown), 2, 0)

        each(rows, range(0, height, _ROWS), self.threads)
        return out


def ink_conversion(icc: bytes | None, threads: int | None = None) -> InkConversion:
    """Return the conversion of CMYK codes by a profile, or by Pillow's formula if it cannot be used.

    Parameters
    ----------
    icc : bytes, optional
        The ICC profile of the file.
    threads : int, optional
        Number of threads; None: the processors available.
    """
    if icc is None:
        return InkConversion(None, f"{_AS_PILLOW}: it has none", threads)
    from PIL import ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            "CMYK",
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return InkConversion(None, f"{_AS_PILLOW}: its own cannot be used", threads)
    return InkConversion(transform, None, threads)
