"""Pictures and profiles for the tests of formats."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from guetzpy.picture.cicp import profile_of

P3 = profile_of(12, 13)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def exif_of(orientation: int | None = None, **more: Any) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    if orientation is not None:
        exif[0x0112] = orientation
    return exif.tobytes()
