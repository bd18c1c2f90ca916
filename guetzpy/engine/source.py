"""One picture to work on, from bytes, a path, an open file, a PIL image or an array.

A JPEG file stays what it is, coefficients; anything else becomes planes of codes. The contents
decide, never the name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from guetzpy.errors import FormatError, GuetzpyError, LimitError, UnsupportedError
from guetzpy.jpeg import markers
from guetzpy.jpeg.metadata.declared import colour_of_jpeg, say_srgb
from guetzpy.jpeg.metadata.photoshop import HEADER
from guetzpy.jpeg.metadata.policy import Policy, icc_profile, segments_for
from guetzpy.jpeg.metadata.policy import kind_of as kind_of_segment
from guetzpy.jpeg.metadata.preservation import Carried, carry
from guetzpy.jpeg.pixels import decode_planes
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.jpeg.transcode import bare
from guetzpy.options import MAX_DIRECTORIES, MAX_METADATA, MAX_PIXELS, MAX_SCANS
from guetzpy.picture.cicp import code_points
from guetzpy.picture.declared import Colour, colour_of_points
from guetzpy.picture.exif_colour import as_srgb
from guetzpy.picture.formats import decode, kind_of
from guetzpy.picture.metadata import Metadata, metadata_of
from guetzpy.picture.pillow import CheckSize, check_decoded_size, guarded, opened_jpeg, opened_single
from guetzpy.picture.planes import Pixels, background_codes, codes_of, pixels_of, planes_of
from guetzpy.picture.reading import MAX_INPUT, contents
from guetzpy.picture.srgb import cmyk_to_srgb, to_srgb
from guetzpy.picture.transform import Transform
from guetzpy.search.plan import too_sparse

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "Metadata",
    "Readable",
    "Source",
    "frame_of",
    "is_jpeg",
    "load",
    "sparseness",
]

Codes: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
Readable: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | npt.NDArray[Any] | Image.Image"
)

#: Largest side that libjpeg and its family read (JPEG_MAX_DIMENSION of jmorecfg.h).
MAX_SIDE = 65500

# Photoshop resources a segment: 65533 bytes less the header.
_PIECE = 65519


@dataclass(frozen=True, eq=False)
class Source:
    """A picture as it came.

    Attributes
    ----------
    kind : {"jpeg", "pixels"}
        What it was.
    width, height : int
        Size as stored; the Orientation tag is not applied. 0 if an ``obstacle`` hides it.
    data : bytes, optional
        The file; None for arrays and PIL images.
    name : str, optional
        The file's name, for messages.
    image : JpegImage, optional
        A JPEG's coefficients; None for pixels and where there is an ``obstacle``.
    obstacle : str, optional
        Why a valid JPEG cannot be read: a feature that is not handled. It can only be kept.
    codes : ndarray, shape (1, H, W) or (3, H, W), optional
        Pixels: uint8, uint16, or float32 on the 0..255 scale; None for a JPEG.
    transform : Transform
        From codes (for a JPEG: those that it decodes to) to linear light.
    metadata : Metadata
        Of pixels; a JPEG's is in its segments.
    warnings : tuple of str
        What the file declares of its colours and is not used.
    """

    kind: Literal["jpeg", "pixels"]
    width: int
    height: int
    data: bytes | None = field(default=None, repr=False)
    name: str | None = None
    image: JpegImage | None = field(default=None, repr=False)
    obstacle: str | None = None
    codes: Codes | None = field(default=None, repr=False)
    transform: Transform = field(default_factory=Transform, repr=False)
    metadata: Metadata = field(default_factory=Metadata, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def bytes_before(self) -> int | None:
        """Size of the file; None where there was none."""
        return None if self.data is None else len(self.data)

    def planes(self, *, threads: int | None = None) -> Codes:
        """Return the codes that the picture shows, (1, H, W) or (3, H, W); a JPEG's are decoded each time.

        Raises
        ------
        UnsupportedError
            A JPEG that cannot be decoded here: CMYK, or with an ``obstacle``.
        """
        if self.codes is not None:
            return self.codes
        if self.image is None:
            error = UnsupportedError(self.obstacle)
        else:
            try:
                return decode_planes(self.image, threads=threads)
            except UnsupportedError as caught:
                error = caught
        error.name = error.name or self.name
        raise error

    def carried(self, policy: Policy) -> Carried:
        """Return the metadata for a JPEG made from these pixels, JFIF first.

        Of a JPEG that was converted to sRGB it is that of the file, all but the profile.

        Parameters
        ----------
        policy : Policy
            Which metadata stays.

        Raises
        ------
        LimitError
            Metadata is too large for JPEG's segments.
        """
        if self.image is not None and self.data is not None:
            carried = carry(self.data, self.image, policy)
            # A profile and Adobe's word on the colour transform would be false; a file has one JFIF header.
            segments = [s for s in carried.segments if kind_of_segment(s) not in ("icc", "adobe", "mark")]
            if not any(kind_of_segment(s) == "jfif" for s in segments):
                segments = segments_for() + segments
            say_srgb(segments)
            return replace(carried, segments=segments)
        own = self.metadata
        segments = segments_for(
            icc=own.icc, exif_data=own.exif, xmp_data=own.xmp, dpi=own.dpi, comment=own.comment
        )
        if own.photoshop:
            segments += [
                Segment(0xED, HEADER + own.photoshop[i : i + _PIECE])
                for i in range(0, len(own.photoshop), _PIECE)
            ]
        bare = JpegImage(self.width, self.height, [], "ycbcr", segments=segments)
        return carry(b"", bare, policy)


def is_jpeg(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is a JPEG: SOI, then another marker."""
    return head[:3] == b"\xff\xd8\xff"


def load(
    source: Readable,
    *,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    max_metadata: int = MAX_METADATA,
    max_directories: int = MAX_DIRECTORIES,
    max_input: int = MAX_INPUT,
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
        Arrays are (H, W), (H, W, 3) or (H, W, 4) of uint8, uint16, or float 0..1, taken as sRGB.
        A PIL image counts as its pixels, even if it was opened from a JPEG. Pixels stay as stored,
        the Orientation beside them (but Pillow itself turns TIFF upright and drops the tag).
    max_pixels : int
        Refused above, before memory is taken.
    max_scans, max_metadata, max_directories : int
        Of a JPEG: scans, bytes of metadata, and directories of EXIF or pictures of MPF.
    max_input : int
        Bytes of the file.
    repair : bool
        Take what decodes of a JPEG whose data ends early.
    background : str or tuple, optional
        Colour under transparent parts.
    convert_to_srgb : bool
        Give pixels of another profile in sRGB, without a profile; those of a JPEG too, which then
        is no source of coefficients any more.
    check : callable, optional
        Called with width and height of what is no JPEG, before memory is taken; raises to refuse it.
    name : str, optional
        Name for messages; by default the path or the file's own.

    Returns
    -------
    Source

    Raises
    ------
    FormatError
        Empty, corrupt or truncated, or no picture.
    UnsupportedError
        A picture of a kind that is not handled: animated, transparent without ``background`` ...
    LimitError
        More than ``max_pixels``, or a side that JPEG cannot hold.
    OSError
        The path or file cannot be read.
    TypeError, ValueError
        ``source`` is no picture in Python either.
    """

    def check_size(width: int, height: int) -> None:
        _check_size(width, height, max_pixels)
        if check is not None:
            check(width, height)

    if background is not None:
        background_codes(background)  # what is wrong with it is no fault of the picture
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
    """Return a JPEG's pixels in sRGB; the JPEG itself where nothing is to be converted."""
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


def frame_of(data: bytes) -> tuple[int, int, int]:
    """Return marker, width and height of a JPEG's first frame header, of any kind; zeros without one."""
    position = 2
    while (found := markers.find_marker(data, position)) is not None:
        marker, _, position = found
        if marker in (markers.SOI, markers.SOS, markers.EOI):
            break
        payload, position = markers.read_payload(data, position)
        if 0xC0 <= marker <= 0xCF and marker not in (markers.DHT, 0xC8, markers.DAC) and len(payload) >= 5:
            return marker, int.from_bytes(payload[3:5], "big"), int.from_bytes(payload[1:3], "big")
    return 0, 0, 0


def sparseness(data: bytes) -> str | None:
    """Return why a JPEG is not worth a search, if so: hardly any data for its many pixels.

    Blank pages and hostile files are like that. A search takes time and memory by pixels; there is little to
    save.
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
    with guarded(f"{source.format or 'the picture'} cannot be decoded"):  # of an open file that is done now
        pixels = _pixels(source, background, convert)
    return _of_pixels(None, pixels.codes, pixels.colour, pixels.metadata, convert, name)


def _pixels(image: Image.Image, background: Any, convert: bool) -> Pixels:
    icc = image.info.get("icc_profile")
    if convert and image.mode == "CMYK" and icc:
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
        # Pillow turns TIFF upright.
        check_decoded_size(declared, read.codes.shape[:0:-1], turned=image.format == "TIFF")
    return _of_pixels(data, read.codes, read.colour, read.metadata, convert, name)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise FormatError(f"{width} x {height} pixels")
    if max(width, height) > MAX_SIDE:
        raise LimitError(f"{width} x {height} pixels; a side of a JPEG has at most {MAX_SIDE}")
    if width * height > max_pixels:
        raise LimitError(
            f"{width} x {height} pixels are more than the limit of {max_pixels}: --max-pixels (max_pixels)"
        )
