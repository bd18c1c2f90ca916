"""Convert JPEG files whose three components show a gray picture to one component."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.metadata.policy import joined_icc, kind_of, segments_for
from guetzpy.jpeg.metadata.preservation import Carried, describe
from guetzpy.jpeg.structure import Component, JpegImage, Segment
from guetzpy.jpeg.table_mark import marked, marked_distance
from guetzpy.picture.icc import gray_of

__all__ = [
    "NO_EQUIVALENT",
    "WRITTEN_AS_GRAY",
    "carried_as_gray",
    "coefficients_as_gray",
    "decoded_as_gray",
    "is_neutral",
    "kept_for",
    "with_gray_profile",
]

#: The note in a result whose picture was written with one component.
WRITTEN_AS_GRAY = "R = G = B everywhere: written as gray, with one component"

#: A cause for :func:`kept_for`.
NO_EQUIVALENT = "its ICC profile has no equivalent for gray"


def kept_for(cause: str) -> str:
    """Return the note in a result whose gray picture keeps three components."""
    return f"R = G = B everywhere, but three components stay: {cause}"


def coefficients_as_gray(image: JpegImage) -> JpegImage | None:
    """Return the image with one component if its coefficients show a gray picture; None otherwise.

    A YCbCr picture is gray if all coefficients of Cb and Cr are zero: their samples are then 128, so that
    red, green and blue equal Y (T.871 clause 7). An RGB picture is gray if its components are equal.

    guetzpy's mark stays: in steps that the remaining component does not use, or, if these are too few, in a
    segment behind the others.
    """
    if len(image.components) != 3 or not image.complete:
        return None
    first, *others = image.components
    if image.colorspace == "ycbcr":
        if any(component.coefficients.any() for component in others):
            return None
    else:  # RGB, the only other colour space of three components
        for component in others:
            if (component.h, component.v) != (first.h, first.v):
                return None
            if not np.array_equal(component.qtable, first.qtable):
                return None
            if not np.array_equal(component.coefficients, first.coefficients):
                return None
    alone, distance = _first_alone(image), marked_distance(image)
    return alone if alone is None or distance is None else marked(alone, distance)


def decoded_as_gray(image: JpegImage, planes: npt.NDArray[np.uint8]) -> JpegImage | None:
    """Return the image with its first component only, if it decodes to the same pixels; None otherwise.

    Parameters
    ----------
    image : JpegImage
        An image of three components.
    planes : ndarray of uint8, shape (3, height, width)
        The decoded picture.
    """
    # Imported here, because a transcode does not need these kernels.
    from guetzpy.jpeg.pixels import decode_planes

    if len(planes) != 3 or not is_neutral(planes):
        return None
    gray = _first_alone(image)
    return gray if gray is not None and np.array_equal(decode_planes(gray)[0], planes[0]) else None


def is_neutral(planes: npt.NDArray[np.generic], rows: int = 64) -> bool:
    """Return whether three planes are equal, in steps of ``rows`` rows; it ends at the first difference."""
    return all(
        np.array_equal(planes[0, y : y + rows], planes[c, y : y + rows])
        for y in range(0, planes.shape[1], rows)
        for c in (1, 2)
    )


def _first_alone(image: JpegImage) -> JpegImage | None:
    first = image.components[0]
    blocks = (-(-image.height // 8), -(-image.width // 8))
    if (first.h, first.v) != (image.h_max, image.v_max) or first.coefficients.shape[:2] != blocks:
        return None
    return replace(
        image, components=[Component(1, 1, 1, first.qtable, first.coefficients)], colorspace="gray"
    )


def carried_as_gray(source: bytes, image: JpegImage, carried: Carried) -> Carried | str:
    """Return the metadata for a file of one component: a gray ICC profile and no Adobe segment.

    Parameters
    ----------
    source : bytes
        The file that ``image`` was read from.
    image : JpegImage
        The image of three components that ``reader.read`` returned for ``source``.
    carried : Carried
        Its metadata, as ``preservation.carry`` returned it.

    Returns
    -------
    Carried or str
        The metadata. Or a string that says why three components must stay: the ICC profile has no gray
        equivalent, or the file has a gain map.
    """
    if "gainmap" in describe(source, image) and "gainmap" not in carried.removed:
        return kept_for("the file has a gain map")
    segments = with_gray_profile([s for s in carried.segments if kind_of(s) != "adobe"])
    if segments is None:
        return kept_for(NO_EQUIVALENT)
    return replace(carried, segments=segments, profile_added=True)


def with_gray_profile(segments: list[Segment]) -> list[Segment] | None:
    """Return segments with a gray ICC profile in place of one for RGB; None if it has no equivalent."""
    if not any(kind_of(segment) == "icc" for segment in segments):
        return segments
    icc = joined_icc(segments)
    gray = gray_of(icc) if icc else None
    if gray is None:
        return None
    profile = [segment for segment in segments_for(icc=gray) if kind_of(segment) == "icc"]
    at = next(i for i, segment in enumerate(segments) if kind_of(segment) == "icc")
    return [*segments[:at], *profile, *(s for s in segments[at:] if kind_of(s) != "icc")]
