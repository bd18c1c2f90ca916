"""Arrays in, arrays out, by the rules of scikit-image: uint8, uint16, bool, or float from 0 to 1.

Floats and uint16 are encoded from their full precision, not from the 8 bits of ``img_as_ubyte``.
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
        Replaced whole, or not at all.
    arr : array_like, shape (H, W), (H, W, 3) or (H, W, 4)
        uint8, uint16, bool, or float 0..1, taken as sRGB.
    **options
        As for :func:`guetzpy.optimize`.

    Returns
    -------
    Result
        The result of the encode.

    Raises
    ------
    TypeError, ValueError
        Another kind of array; the message names the fix.
    """
    result = api.optimize(np.asarray(arr), **options)
    result.save(fname)
    return result


def compressed(image: npt.ArrayLike, **options: Any) -> npt.NDArray[np.uint8]:
    """Return the decoded JPEG of an array, for augmentation and for measuring.

    Parameters
    ----------
    image : array_like, shape (H, W), (H, W, 3) or (H, W, 4)
        As for :func:`imsave`.
    **options
        As for :func:`guetzpy.optimize`.

    Returns
    -------
    ndarray of uint8, shape (H, W) or (H, W, 3)
        For floats again: ``skimage.util.img_as_float``.
    """
    from PIL import Image

    with Image.open(io.BytesIO(api.optimize(np.asarray(image), **options).data)) as picture:
        return np.asarray(picture).copy()
