"""The metadata of pictures that are not JPEG files, as Pillow reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["DESCRIPTIVE", "LONGEST_COMMENT", "Metadata", "metadata_of"]


@dataclass(frozen=True)
class Metadata:
    r"""The metadata of a picture that is not a JPEG file.

    Attributes
    ----------
    exif : bytes, optional
        TIFF structure, without the prefix ``Exif\0\0``.
    icc : bytes, optional
        ICC profile.
    xmp : bytes, optional
        XMP packet.
    photoshop : bytes, optional
        Photoshop image resources (``8BIM`` ...), which contain IPTC.
    dpi : tuple of float, optional
        Horizontal and vertical resolution per inch.
    aspect : tuple of int, optional
        Horizontal and vertical resolution, 1 to 65535, in an unknown unit: only their ratio has a meaning.
    comment : bytes, optional
        Comment.
    lost : tuple of str
        Texts that a JPEG cannot hold: keywords of a PNG, or a comment that is too long.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    dpi: tuple[float, float] | None = None
    aspect: tuple[int, int] | None = None
    comment: bytes | None = None
    lost: tuple[str, ...] = ()


#: Tags of a TIFF's first directory that describe the picture and not its storage (TIFF 6.0, Exif 2.32):
#: description, make, model, orientation, software, date, artist, host, copyright, Exif, GPS; and of Windows:
#: rating, title, comment, author, keywords, subject.
DESCRIPTIVE = frozenset(
    {0x010E, 0x010F, 0x0110, 0x0112, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298, 0x8769, 0x8825}
    | {0x4746, 0x4749, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}
)
_ORIENTATION = 0x0112
#: Keyword of a comment in a PNG (PNG specification, 11.3.3.1), and the longest that a COM segment holds.
_COMMENT, LONGEST_COMMENT = "Comment", 65533
_READ_BY_PILLOW = frozenset({"XML:com.adobe.xmp", "Raw profile type exif", "Raw profile type icc"})
_XMP, _IPTC, _PHOTOSHOP = 0x02BC, 0x83BB, 0x8649


def metadata_of(image: Image.Image) -> Metadata:
    """Return the metadata of a PIL image. An open file must have its pixels loaded before."""
    info = image.info
    dpi = _positive(info.get("dpi"))
    texts = _texts(image)
    comment = info.get("comment") or texts.pop(_COMMENT, None)
    comment = comment.encode() if isinstance(comment, str) else comment or None
    lost = list(texts)
    if comment is not None and len(comment) > LONGEST_COMMENT:
        comment = None
        lost.append(f"{_COMMENT} of more than 64 kB")
    return Metadata(
        exif=_exif(image),
        icc=info.get("icc_profile") or None,
        xmp=info.get("xmp") or None,
        photoshop=_photoshop(image),
        dpi=dpi,
        aspect=None if dpi else _aspect(image),
        comment=comment,
        lost=tuple(lost),
    )


def _positive(pair: Any) -> tuple[float, float] | None:
    """Return a pair of finite numbers above 0; None if it is no such pair."""
    try:
        x, y = map(float, pair)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return (x, y) if 0 < x < math.inf and 0 < y < math.inf else None


def _aspect(image: Image.Image) -> tuple[int, int] | None:
    """Return the resolution without a unit, in the smallest numbers; None if the pixels are square.

    PNG has it in pHYs, TIFF in XResolution and YResolution, and a JPEG that Pillow opened in JFIF.
    """
    info = image.info
    density = info.get("jfif_density") if info.get("jfif_unit") == 0 else None
    pair = _positive(info.get("aspect") or info.get("resolution") or density)
    if pair is None or pair[0] == pair[1]:
        return None
    small, large = sorted(pair)
    ratio = Fraction(max(small / large, 1 / 65535)).limit_denominator(65535)
    numbers = ratio.numerator, ratio.denominator
    return numbers if pair[0] < pair[1] else numbers[::-1]


def _texts(image: Image.Image) -> dict[str, str]:
    """Return the texts of a PNG by keyword, except for those that Pillow reads as Exif, XMP or a profile."""
    texts = getattr(image, "text", None) if image.format == "PNG" else None
    return {key: str(text) for key, text in (texts or {}).items() if key not in _READ_BY_PILLOW}


def _exif(image: Image.Image) -> bytes | None:
    block = image.info.get("exif")
    if isinstance(block, bytes) and block:
        return block.removeprefix(b"Exif\0\0")
    exif = image.getexif()
    if image.format in ("TIFF", "DNG"):
        # Pillow applies the orientation of a TIFF when it loads the pixels, and then removes the tag itself.
        for tag in [tag for tag in exif if tag not in DESCRIPTIVE - {_ORIENTATION}]:
            del exif[tag]
    if not len(exif):
        return None
    return exif.tobytes().removeprefix(b"Exif\0\0")


def _photoshop(image: Image.Image) -> bytes | None:
    """Return a TIFF's Photoshop resources, or a resource made from its IPTC if there is only that."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        found = image.info.get("photoshop")  # of a JPEG that Pillow opened: identifier to bytes
        if not isinstance(found, dict):
            return None
        return (
            b"".join(_resource(key, value) for key, value in found.items() if isinstance(value, bytes))
            or None
        )
    resources, iptc = _bytes_of(tags, _PHOTOSHOP), _bytes_of(tags, _IPTC)
    return resources or (_resource(0x0404, iptc) if iptc else None)


def _bytes_of(tags: Any, tag: int) -> bytes | None:
    """Return the bytes of a tag; None if it is missing.

    IPTC is often written as numbers of 32 bits (type LONG), of which Pillow returns the first.
    """
    value = tags.get(tag)
    return value if isinstance(value, bytes) else getattr(tags, "_tagdata", {}).get(tag)


def _resource(identifier: int, contents: bytes) -> bytes:
    """Return a Photoshop image resource: signature, identifier, empty name, length, padded contents."""
    head = b"8BIM" + identifier.to_bytes(2, "big") + b"\0\0" + len(contents).to_bytes(4, "big")
    return head + contents + b"\0" * (len(contents) % 2)
