"""Reduction of a picture's width and height before the search, for the option ``fit``."""

from __future__ import annotations

from dataclasses import replace

from guetzpy.engine.source import Source
from guetzpy.errors import UnsupportedError
from guetzpy.jpeg.metadata import exif
from guetzpy.jpeg.metadata.policy import orientation
from guetzpy.picture.fitting import fitted_size, resized

__all__ = ["fitted"]


def fitted(source: Source, box: tuple[int, int]) -> Source:
    """Return a picture that fits a box, or the unchanged source if it does already.

    Parameters
    ----------
    source : Source
        The picture.
    box : tuple of int
        Width and height that the picture may have as it is shown, in pixels.

    Raises
    ------
    UnsupportedError
        The picture has to be made smaller and is a JPEG whose pixels cannot be used, for example in CMYK.
    """
    if source.image is not None:
        turned = orientation(source.image) > 4
    else:
        turned = source.metadata.exif is not None and exif.orientation(source.metadata.exif) > 4
    size = fitted_size(source.width, source.height, box, turned=turned)
    if size == (source.width, source.height):
        return source
    try:
        codes = resized(source.planes(), size, source.transform)
    except UnsupportedError as error:
        refused = UnsupportedError(f"it cannot be made smaller: {error.reason}")
        refused.name = source.name
        raise refused from None
    own = source.kind == "jpeg"
    return replace(
        source, kind="pixels", width=size[0], height=size[1], codes=codes, resized=True, profile_kept=own
    )
