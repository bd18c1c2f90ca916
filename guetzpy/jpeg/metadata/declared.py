"""The colours that a JPEG file declares by its ICC profile or by its Exif."""

from __future__ import annotations

from collections.abc import Callable

from guetzpy.jpeg.markers import APP14
from guetzpy.jpeg.metadata import exif
from guetzpy.jpeg.metadata.policy import exif_groups, icc_profile, kind_of
from guetzpy.jpeg.metadata.xmp_segments import without_properties
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.picture.declared import Colour, colour_of
from guetzpy.picture.exif_colour import as_srgb, exif_colour

__all__ = ["colour_of_jpeg", "declare_srgb", "declares_adobe_rgb", "exif_of"]


def exif_of(segments: list[Segment]) -> bytes | None:
    """Return the TIFF structure of the first Exif block; None if there is none."""
    for group in exif_groups(segments):
        return b"".join(segments[i].payload[len(exif.HEADER) :] for i in group)
    return None


def colour_of_jpeg(image: JpegImage) -> Colour:
    """Return the colour of a decoded JPEG's codes, with warnings about declarations that are not used."""
    warnings = []
    icc = icc_profile(image)
    if icc is None and any(kind_of(segment) == "icc" for segment in image.segments):
        unused = "it is not used" if len(image.components) == 4 else "the colours count as sRGB"
        warnings.append(f"its ICC profile is incomplete: {unused}")
    words = _adobe(image)
    if words:
        warnings.append(words)
    return colour_of(icc, len(image.components), exif_of(image.segments), tuple(warnings))


def _adobe(image: JpegImage) -> str | None:
    """Return a warning if libjpeg does not follow the Adobe segment (jdapimin.c); None if it does."""
    transforms = [
        s.payload[11] for s in image.segments if s.marker == APP14 and kind_of(s) == "adobe"
    ]  # fmt: skip
    if not transforms or len(image.components) == 1:
        return None
    usual = {3: (0, 1), 4: (0, 2)}.get(len(image.components), ())
    if transforms[-1] not in usual:
        said = f"its Adobe marker says transform {transforms[-1]}"
        return f"{said}, which is not used: shown as {image.colorspace}"
    if len(image.components) == 3 and transforms[-1] == 0 and image.colorspace != "rgb":
        return f"its Adobe marker says RGB, which is not used beside JFIF: shown as {image.colorspace}"
    return None


def declares_adobe_rgb(segments: list[Segment]) -> bool:
    """Return whether Exif declares Adobe RGB and there is no ICC profile."""
    if any(kind_of(segment) == "icc" for segment in segments):
        return False
    return exif_colour(exif_of(segments)).space is not None


def set_size(segments: list[Segment], width: int, height: int) -> None:
    """Set the size in Exif, and remove other sizes from XMP, in place, after the picture was made smaller.

    Parameters
    ----------
    segments : list of Segment
        The segments; their payloads are changed.
    width, height : int
        Size as stored, in pixels.
    """
    _edit_exif(segments, lambda tiff: exif.with_size(tiff, width, height))
    numbers = [i for i, segment in enumerate(segments) if kind_of(segment) == "xmp"]
    payloads = [segments[i].payload for i in numbers]
    for i, payload in zip(numbers, without_properties(payloads, _tells_size), strict=True):
        segments[i].payload = payload or segments[i].payload


def _tells_size(space: str, name: str) -> bool:
    return ("/exif/" in space and name in ("PixelXDimension", "PixelYDimension")) or (
        "/tiff/" in space and name in ("ImageWidth", "ImageLength")
    )


def declare_srgb(segments: list[Segment]) -> None:
    """Make every Exif block declare sRGB, in place, after the picture was converted to sRGB."""
    _edit_exif(segments, as_srgb)


def _edit_exif(segments: list[Segment], edit: Callable[[bytes], bytes]) -> None:
    """Edit the TIFF structure of every Exif block in place; ``edit`` must not change its length."""
    head = len(exif.HEADER)
    for group in exif_groups(segments):
        tiff = edit(b"".join(segments[i].payload[head:] for i in group))
        for i in group:
            size = len(segments[i].payload) - head
            segments[i].payload, tiff = segments[i].payload[:head] + tiff[:size], tiff[size:]
