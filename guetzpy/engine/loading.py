"""Reading a picture from bytes, a path, an open file, a PIL image or an array.

A JPEG file is read as coefficients. Any other picture is read as planes of codes. The first bytes of a file
determine its format; its name does not matter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from guetzpy.engine.source import Codes, Readable, Source
from guetzpy.errors import FormatError, GuetzpyError, LimitError, UnsupportedError
from guetzpy.jpeg.header import frame_of, is_jpeg
from guetzpy.jpeg.metadata.declared import colour_of_jpeg
from guetzpy.jpeg.metadata.policy import icc_profile
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.transcode import bare
from guetzpy.options import MAX_DIRECTORIES, MAX_METADATA, MAX_PIXELS, MAX_SCANS, background_codes
from guetzpy.picture.cicp import code_points
from guetzpy.picture.declared import Colour, colour_of_points
from guetzpy.picture.deep import own_samples
from guetzpy.picture.exif_colour import as_srgb, exif_colour
from guetzpy.picture.formats import decode, kind_of
from guetzpy.picture.metadata import Metadata, metadata_of
from guetzpy.picture.pillow import CheckSize, check_decoded_size, guarded, opened_jpeg, opened_single
from guetzpy.picture.planes import Pixels, codes_of, pixels_of, planes_of
from guetzpy.picture.png_rows import check_rows, may_be_filled
from guetzpy.picture.reading import MAX_INPUT, contents
from guetzpy.picture.srgb import cmyk_to_srgb, to_srgb
from guetzpy.picture.transform import Transform
from guetzpy.search.plan import too_sparse

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["MAX_SIDE", "load", "sparseness"]

#: Largest width and height that libjpeg and libjpeg-turbo read (JPEG_MAX_DIMENSION of jmorecfg.h).
MAX_SIDE = 65500


def load(
    source: Readable,
    *,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    max_metadata: int = MAX_METADATA,
    max_directories: int = MAX_DIRECTORIES,
    max_input: int = MAX_INPUT,
    max_side: int | None = MAX_SIDE,
    repair: bool = False,
    background: Any = None,
    convert_to_srgb: bool = False,
    check: CheckSize | None = None,
    name: str | None = None,
) -> Source:
    """Read a picture.

    Parameters
    ----------
    source : bytes, path, binary file, PIL image or ndarray
        An array has the shape (H, W), (H, W, 3) or (H, W, 4) and holds uint8, uint16, or float from 0 to 1;
        its values are interpreted as sRGB. Of a PIL image the pixels are used, even if it was opened from a
        JPEG. Pixels are not rotated; the Orientation tag is kept. (Pillow rotates TIFF files itself and drops
        the tag.)
    max_pixels : int
        LimitError is raised for a picture with more pixels, before its memory is allocated.
    max_scans, max_metadata, max_directories : int
        Limits for a JPEG: its scans, its bytes of metadata, and its EXIF directories or MPF pictures.
    max_input : int
        Largest size of the file in bytes.
    max_side : int, optional
        Largest width and height of a picture that is not a JPEG; None if it is made smaller afterwards.
    repair : bool
        Whether a JPEG whose data ends early is read as far as it decodes, instead of raising FormatError.
    background : str or tuple, optional
        Colour that transparent pixels are composited on.
    convert_to_srgb : bool
        Whether pixels with another profile are converted to sRGB and the profile is dropped. A JPEG that is
        converted is returned as pixels.
    check : callable, optional
        Called with the width and height of a picture that is not a JPEG, before its memory is allocated. It
        raises an error to refuse the picture.
    name : str, optional
        Name for messages. Default: the path, or the name of the open file.

    Returns
    -------
    Source

    Raises
    ------
    FormatError
        The file is empty, corrupt or truncated, or it is not a picture.
    UnsupportedError
        The picture is of a kind that guetzpy does not handle, for example animated, or transparent without
        ``background``.
    LimitError
        A limit is exceeded, for example ``max_side``, by default the longest that a JPEG can have.
    OSError
        The path or file cannot be read.
    TypeError, ValueError
        ``source`` has another type, or an array has another shape or dtype.
    """
    check_size = _size_check(max_pixels, max_side, check)
    if background is not None:
        background_codes(background)  # its ValueError must not get the name of a file, as errors below do
    try:
        if isinstance(source, np.ndarray) or hasattr(source, "getbands"):
            return _from_python(source, check_size, background, convert_to_srgb, name)
        data, own_name = contents(source, max_input)
        name = name or own_name
        if not data:
            raise FormatError("empty file")
        if is_jpeg(data):
            limits = Limits(max_pixels, max_scans, max_metadata, max_directories)
            picture = _from_jpeg(data, limits, repair, name)
            return _converted(picture) if convert_to_srgb else picture
        return _from_file(data, check_size, background, convert_to_srgb, name)
    except GuetzpyError as error:
        error.name = error.name or name
        raise


def _from_jpeg(data: bytes, limits: Limits, repair: bool, name: str | None) -> Source:
    try:
        image = read(data, limits=limits, repair=repair)
    except UnsupportedError as error:
        _, width, height = frame_of(data)
        return Source("jpeg", width, height, data, name, obstacle=error.reason)
    colour = colour_of_jpeg(image)
    return Source(
        "jpeg", image.width, image.height, data, name,
        image=image, transform=colour.transform, warnings=colour.warnings,
    )  # fmt: skip


def _converted(source: Source) -> Source:
    """Return a JPEG's pixels converted to sRGB; the unchanged source if it needs no conversion."""
    image = source.image
    if image is None:
        return source
    if image.colorspace in ("cmyk", "ycck"):
        icc = icc_profile(image)
        if icc is None:
            return source
        with guarded("JPEG cannot be decoded"), opened_jpeg(bare(source.data or b"")) as picture:
            codes, _ = planes_of(cmyk_to_srgb(picture, icc))
    else:
        codes = source.planes()
        icc = colour_of_jpeg(image).icc
        if icc is None or source.transform.is_srgb or source.transform.channels not in (None, len(codes)):
            return source
        codes = to_srgb(codes, source.transform, icc)
    return replace(source, kind="pixels", codes=codes, transform=Transform())


def sparseness(data: bytes) -> str | None:
    """Return why a JPEG has too few bytes for its pixels to be searched; None if it is to be searched.

    The time and memory of a search grow with the number of pixels, and a file of few bytes has little to
    save. Blank pages and files made to exhaust memory are of this kind.
    """
    if not is_jpeg(data):
        return None
    try:
        _, width, height = frame_of(data)
    except FormatError:
        return None
    return too_sparse(width, height, len(data))


def _from_python(
    source: Any, check_size: CheckSize, background: Any, convert: bool, name: str | None
) -> Source:
    if isinstance(source, np.ndarray):
        codes, _ = planes_of(source, background=background)
        check_size(codes.shape[2], codes.shape[1])
        return _of_pixels(None, codes, Colour(), Metadata(), convert, name)
    check_size(source.width, source.height)
    # Pillow decodes an image that was opened from a file only when its pixels are read.
    with guarded(f"{source.format or 'the picture'} cannot be decoded"):
        pixels = _pixels(source, background, convert)
    return _of_pixels(None, pixels.codes, pixels.colour, pixels.metadata, convert, name)


def _pixels(image: Image.Image, background: Any, convert: bool) -> Pixels:
    icc = image.info.get("icc_profile")
    if convert and image.mode == "CMYK" and icc:
        own_samples(image)  # raises an error for files that Pillow reads wrongly
        codes, _ = planes_of(cmyk_to_srgb(image, icc))
        return Pixels(codes, Colour(), replace(metadata_of(image), icc=None))
    return pixels_of(image, background=background)


def _of_pixels(
    data: bytes | None,
    codes: Codes,
    colour: Colour,
    metadata: Metadata,
    convert: bool,
    name: str | None,
) -> Source:
    transform = colour.transform
    if convert and colour.icc is not None:
        codes = to_srgb(codes, transform, colour.icc)
        exif = metadata.exif if metadata.exif is None else as_srgb(metadata.exif)
        metadata, transform = replace(metadata, icc=None, exif=exif), Transform()
    elif colour.icc is None and exif_colour(metadata.exif).space is not None:
        # The file declares sRGB by other means, which a JPEG does not carry: its Exif must not say otherwise.
        metadata = replace(metadata, exif=as_srgb(metadata.exif or b""))
    height, width = codes.shape[1:]
    return Source(
        "pixels", width, height, data, name,
        codes=codes, transform=transform, metadata=metadata, warnings=colour.warnings,
    )  # fmt: skip


def _from_file(
    data: bytes, check_size: CheckSize, background: Any, convert: bool, name: str | None
) -> Source:
    special = kind_of(data)
    if special is not None:
        pixels, metadata = decode(data, special, check_size)
        if isinstance(pixels, np.ndarray):
            codes, _ = planes_of(pixels, background=background)
        else:
            codes = codes_of(pixels, background)
        points = code_points(data) if special in ("HEIC", "AVIF") else None
        colour = colour_of_points(metadata.icc, points, len(codes), metadata.exif)
        return _of_pixels(data, codes, colour, replace(metadata, icc=colour.icc), convert, name)
    with opened_single(data, check_size) as image, guarded(f"{image.format} cannot be decoded"):
        declared = image.size
        read = _pixels(image, background, convert)
        # Pillow rotates TIFF files by their Orientation, which may exchange width and height.
        check_decoded_size(declared, read.codes.shape[:0:-1], turned=image.format == "TIFF")
        if image.format == "PNG" and may_be_filled(read.codes):
            check_rows(data)
    return _of_pixels(data, read.codes, read.colour, read.metadata, convert, name)


def _size_check(max_pixels: int, max_side: int | None, check: CheckSize | None) -> CheckSize:
    def check_size(width: int, height: int) -> None:
        _check_size(width, height, max_pixels, max_side)
        if check is not None:
            check(width, height)

    return check_size


def _check_size(width: int, height: int, max_pixels: int, max_side: int | None) -> None:
    if width < 1 or height < 1:
        raise FormatError(f"a size of {width} x {height} pixels; both must be at least 1")
    if max_side is not None and max(width, height) > max_side:
        raise LimitError(
            f"{width} x {height} pixels; a side of a JPEG has at most {max_side}: use --fit (fit)"
        )
    if width * height > max_pixels:
        raise LimitError(
            f"{width} x {height} pixels are more than the limit of {max_pixels}: --max-pixels (max_pixels)"
        )
