"""Functions for arrays in scikit-image's conventions: uint8, uint16, bool, or float from 0 to 1.

Values of float and uint16 are encoded with their full precision; they are not rounded to 8 bits first.
"""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy import api
from guetzpy.result import Result

__all__ = ["compressed", "imsave"]


def imsave(fname: str | os.PathLike[str], arr: npt.ArrayLike, **options: Any) -> Result:
    """Write an array as a JPEG, like ``skimage.io.imsave``.

    Parameters
    ----------
    fname : path
        The file to write or replace. It is replaced atomically.
    arr : array_like, shape (H, W), (H, W, 3) or (H, W, 4)
        uint8, uint16, bool, or float from 0 to 1; interpreted as sRGB.
    **options
        Options of :func:`guetzpy.optimize`.

    Returns
    -------
    Result
        The result of the encode.

    Raises
    ------
    TypeError, ValueError
        The array has another dtype, shape or range; the message says what to do.
    """
    result = api.optimize(np.asarray(arr), **options)
    result.save(fname)
    return result


def compressed(image: npt.ArrayLike, **options: Any) -> npt.NDArray[np.uint8]:
    """Encode an array as a JPEG and return the decoded pixels, for augmentation or measurements.

    Parameters
    ----------
    image : array_like, shape (H, W), (H, W, 3) or (H, W, 4)
        As in :func:`imsave`.
    **options
        Options of :func:`guetzpy.optimize`.

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, 3)
        The decoded pixels. ``skimage.util.img_as_float`` converts them to float.
    """
    from PIL import Image

    with Image.open(io.BytesIO(api.optimize(np.asarray(image), **options).data)) as picture:
        return np.asarray(picture).copy()
