"""Reduction of pictures whose R, G and B are equal at every pixel to one gray component."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.engine.source import Codes, Source
from guetzpy.jpeg.gray import (
    NO_EQUIVALENT,
    WRITTEN_AS_GRAY,
    carried_as_gray,
    decoded_as_gray,
    is_neutral,
    kept_for,
    with_gray_profile,
)
from guetzpy.jpeg.metadata.declared import colour_of_jpeg
from guetzpy.jpeg.metadata.preservation import Carried
from guetzpy.jpeg.structure import JpegImage
from guetzpy.picture.icc import gray_of
from guetzpy.picture.transform import Transform
from guetzpy.search.coding.inks import InkSource

__all__ = ["Decoded", "decoded_single", "single"]


def single(source: Source) -> tuple[Source, str | None]:
    """Return a source of pixels, with one component if its three are equal, and a note for the result.

    If the source becomes gray, its ICC profile is replaced by a gray profile with the same tone curve. A
    source whose profile has no gray equivalent is returned unchanged, with a note that says so. Other sources
    are returned unchanged, with None instead of a note.
    """
    codes = source.codes
    if source.kind != "pixels" or codes is None or len(codes) != 3 or not is_neutral(codes):
        return source, None
    if source.profile_kept and not source.transform.is_srgb:
        return source, kept_for("its colours are not those of sRGB")
    if source.profile_kept and source.image is not None and with_gray_profile(source.image.segments) is None:
        return source, kept_for(NO_EQUIVALENT)
    icc = source.metadata.icc
    gray = gray_of(icc) if icc else None
    if icc and gray is None:
        return source, kept_for(NO_EQUIVALENT)
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
    """The JPEG that the search starts from: the source, or its luma component if the picture is gray.

    Attributes
    ----------
    image : JpegImage
        Coefficients.
    reference : ndarray of uint8, shape (1, H, W) or (3, H, W)
        The codes that ``image`` decodes to.
    carried : Carried
        The metadata of the output.
    transform : Transform
        From the codes of ``reference`` to linear light.
    note : str, optional
        For ``Result.reason``: why the number of components was changed or kept, or how inks were scored.
    inks : InkSource, optional
        The coefficients of a JPEG in CMYK or YCCK; ``reference`` is then the picture in sRGB.
    """

    image: JpegImage
    reference: npt.NDArray[Any]
    carried: Carried
    transform: Transform
    note: str | None = None
    inks: InkSource | None = None


def decoded_single(
    source: Source, reference: npt.NDArray[np.uint8], carried: Carried, keep_components: bool
) -> Decoded:
    """Return a JPEG with one component if its decoded picture is gray, otherwise the JPEG unchanged.

    Parameters
    ----------
    source : Source
        A source of kind "jpeg".
    reference : ndarray of uint8, shape (1, H, W) or (3, H, W)
        The codes that the source decodes to.
    carried : Carried
        The source's metadata under the policy.
    keep_components : bool
        If True, the number of components is not reduced.
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
