"""A picture as it was read: a JPEG's coefficients, or planes of codes, with its metadata."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from guetzpy.errors import UnsupportedError
from guetzpy.jpeg.gray import with_gray_profile
from guetzpy.jpeg.metadata.declared import declare_srgb, set_size
from guetzpy.jpeg.metadata.photoshop import HEADER
from guetzpy.jpeg.metadata.policy import Policy, kind_of, segments_for
from guetzpy.jpeg.metadata.preservation import PROFILE_ADDED, Carried, carry
from guetzpy.jpeg.pixels import decode_planes
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.picture.metadata import Metadata
from guetzpy.picture.transform import Transform

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Codes", "Metadata", "Readable", "Source", "declaring_ycbcr"]

Codes: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
Readable: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | npt.NDArray[Any] | Image.Image"
)

#: Kinds of metadata that contain pictures. They do not fit a picture that was made smaller.
_OF_OTHER_SIZES = frozenset({"thumbnail", "gainmap", "mpf"})

# Largest number of bytes of Photoshop resources in a segment: 65533 of payload less 14 of the header.
_PIECE = 65519


@dataclass(frozen=True, eq=False)
class Source:
    """A picture as it was read, before any search.

    Attributes
    ----------
    kind : {"jpeg", "pixels"}
        Whether the search starts from the coefficients of a JPEG file or from pixels.
    width, height : int
        Size in pixels as stored; the Orientation tag is not applied. 0 if the file has an ``obstacle`` and no
        frame header.
    data : bytes, optional
        The contents of the file; None for arrays and PIL images.
    name : str, optional
        The file's name, for messages.
    image : JpegImage, optional
        A JPEG's coefficients. None for other pictures and for a JPEG with an ``obstacle``. A JPEG that was
        converted to sRGB has both ``image`` and ``codes``.
    obstacle : str, optional
        The feature, of a valid JPEG, for which guetzpy cannot read it. The picture data of such a file is
        kept.
    codes : ndarray, shape (1, H, W) or (3, H, W), optional
        Pixels: uint8, uint16, or float32 from 0 to 255. None if ``kind`` is "jpeg".
    transform : Transform
        The conversion from ``codes``, or from the codes that the JPEG decodes to, to linear light.
    metadata : Metadata
        Metadata of a picture that was not a JPEG; a JPEG's is in the segments of ``image``.
    warnings : tuple of str
        Colour declarations of the file that are not used.
    resized : bool
        Whether the picture was made smaller: thumbnails and further pictures do not belong to it any more.
    profile_kept : bool
        Whether ``codes`` of a JPEG are still those of its profile.
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
    resized: bool = False
    profile_kept: bool = False

    @property
    def bytes_before(self) -> int | None:
        """Size of the file in bytes; None for arrays and PIL images."""
        return None if self.data is None else len(self.data)

    def planes(self, *, threads: int | None = None) -> Codes:
        """Return the picture's codes, of shape (1, H, W) or (3, H, W). Each call decodes a JPEG again.

        Raises
        ------
        UnsupportedError
            The picture is a JPEG in CMYK, or a JPEG with an ``obstacle``.
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
        """Return the metadata segments of a JPEG made from these pixels; the JFIF segment is first.

        For a JPEG that was converted to sRGB, they are the source's segments without its ICC profile. If the
        picture was made smaller, they give the new size, and have no thumbnails or further pictures.

        Parameters
        ----------
        policy : Policy
            Which kinds of metadata are kept.

        Raises
        ------
        LimitError
            The metadata is too large for JPEG's segments.
        """
        if not self.resized:
            return self._carried(policy)
        without = replace(
            policy, stripped=policy.stripped | _OF_OTHER_SIZES, kept=policy.kept - _OF_OTHER_SIZES
        )
        carried = self._carried(without)
        set_size(carried.segments, self.width, self.height)
        dropped = [kind for kind in carried.removed if kind in _OF_OTHER_SIZES - policy.stripped]
        told = [f"made smaller: {kind} was dropped" for kind in dropped]
        return replace(carried, notes=[*carried.notes, *told])

    def _carried(self, policy: Policy) -> Carried:
        if self.image is not None and self.data is not None:
            carried = carry(self.data, self.image, policy)
            # The source's Adobe transform flag and mark do not describe these pixels, nor does its profile if
            # they were converted.
            left = ("mark",) if self.profile_kept else ("icc", "mark")
            segments = declaring_ycbcr([s for s in carried.segments if kind_of(s) not in left])
            if self.profile_kept and self.codes is not None and len(self.codes) < len(self.image.components):
                segments = with_gray_profile(segments) or segments
            if not self.profile_kept:
                declare_srgb(segments)
                carried = replace(carried, notes=[note for note in carried.notes if note != PROFILE_ADDED])
            return replace(carried, segments=segments)
        own = self.metadata
        segments = segments_for(
            icc=own.icc, exif_data=own.exif, xmp_data=own.xmp,
            dpi=own.dpi, aspect=own.aspect, comment=own.comment,
        )  # fmt: skip
        if own.photoshop:
            segments += [
                Segment(0xED, HEADER + own.photoshop[i : i + _PIECE])
                for i in range(0, len(own.photoshop), _PIECE)
            ]
        bare = JpegImage(self.width, self.height, [], "ycbcr", segments=segments)
        carried = carry(b"", bare, policy)
        if own.lost and "comment" not in policy.stripped:
            more = f" and {len(own.lost) - 5} more" if len(own.lost) > 5 else ""
            warning = f"texts that a JPEG has no place for are lost: {', '.join(own.lost[:5])}{more}"
            carried = replace(carried, notes=[*carried.notes, warning])
        return carried


def declaring_ycbcr(segments: list[Segment]) -> list[Segment]:
    """Return the segments of a file whose coefficients become YCbCr or gray: with JFIF, without Adobe."""
    kept = [segment for segment in segments if kind_of(segment) != "adobe"]
    return kept if any(kind_of(segment) == "jfif" for segment in kept) else segments_for() + kept
