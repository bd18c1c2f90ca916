"""Pictures whose red, green and blue are equal everywhere, as gray with one component."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.engine.source import Codes, Source
from guetzpy.jpeg.gray import WRITTEN_AS_GRAY, carried_as_gray, decoded_as_gray, is_neutral, kept_for
from guetzpy.jpeg.metadata.declared import colour_of_jpeg
from guetzpy.jpeg.metadata.preservation import Carried
from guetzpy.jpeg.structure import JpegImage
from guetzpy.picture.icc import gray_of
from guetzpy.picture.transform import Transform

__all__ = ["Decoded", "decoded_single", "single"]


def single(source: Source) -> tuple[Source, str | None]:
    """Return pixels with one component where all three are equal, and what the result says of it.

    The profile becomes that of gray with the same tone curve. Where there is none, three components stay.
    """
    codes = source.codes
    if source.kind != "pixels" or codes is None or len(codes) != 3 or not is_neutral(codes):
        return source, None
    icc = source.metadata.icc
    gray = gray_of(icc) if icc else None
    if icc and gray is None:
        return source, kept_for("its ICC profile has no equivalent for gray")
    first: Codes = codes[:1].copy()
    changed = replace(
        source,
        codes=first,
        transform=Transform.from_icc(gray),
        metadata=replace(source.metadata, icc=gray),
    )
    return changed, WRITTEN_AS_GRAY


@dataclass(frozen=True, eq=False)
class Decoded:
    """A JPEG as it is searched: the source, or its luma where that shows the same.

    Attributes
    ----------
    image : JpegImage
        Coefficients.
    reference : ndarray of uint8, shape (1, H, W) or (3, H, W)
        What they show.
    carried : Carried
        Metadata.
    transform : Transform
        From the codes of ``reference`` to linear light.
    note : str, optional
        What the result says of it.
    """

    image: JpegImage
    reference: npt.NDArray[Any]
    carried: Carried
    transform: Transform
    note: str | None = None


def decoded_single(
    source: Source, reference: npt.NDArray[np.uint8], carried: Carried, keep_components: bool
) -> Decoded:
    """Return a JPEG with one component where its decoded picture is gray.

    Parameters
    ----------
    source : Source
        Of kind "jpeg".
    reference : ndarray of uint8, shape (1, H, W) or (3, H, W)
        Its decoded picture.
    carried : Carried
        Its metadata.
    keep_components : bool
        Whether three components stay three.
    """
    assert source.image is not None
    assert source.data is not None
    same = Decoded(source.image, reference, carried, source.transform)
    image = None if keep_components else decoded_as_gray(source.image, reference)
    if image is None:
        return same
    own = carried_as_gray(source.data, source.image, carried)
    if isinstance(own, str):
        return replace(same, note=own)
    transform = colour_of_jpeg(replace(image, segments=own.segments)).transform
    return Decoded(image, reference[:1], own, transform, WRITTEN_AS_GRAY)
