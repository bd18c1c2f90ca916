"""A format for Pillow: ``im.save("a.jpg", format="GUETZPY", distance=1.0)``.

The format has to be named. Pillow's format "JPEG" and its suffix ".jpg" do not change.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from guetzpy import api
from guetzpy.errors import LimitError
from guetzpy.options import TARGETS, OptimizeKeywords

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FORMAT", "register"]

#: The name of the format.
FORMAT = "GUETZPY"

#: Names and numbers of chroma samplings in Pillow's JPEG plugin and in guetzpy, and guetzpy's name of each.
_SUBSAMPLINGS: dict[Any, str] = {
    -1: "auto", 0: "444", "4:4:4": "444", 2: "420", "4:2:0": "420", "4:1:1": "420",
    "auto": "auto", "444": "444", "420": "420",
}  # fmt: skip

#: Keys of Pillow's JPEG plugin that are ignored: guetzpy always optimises Huffman tables, writes complete
#: files, and writes no restart markers here.
_NEEDLESS = {"optimize", "append", "streamtype", "restart_marker_blocks", "restart_marker_rows"}

#: Keys of Pillow's JPEG plugin that guetzpy cannot follow, with the text of their error.
_REFUSED = {
    "qtables": "guetzpy chooses the quantisation tables; give distance= or quality= instead",
    "keep_rgb": "guetzpy writes YCbCr only; leave this key out",
    "smooth": "guetzpy does not filter pictures; filter the picture before",
    "extra": "guetzpy writes no arbitrary segments; use exif=, xmp=, icc_profile= or comment=",
}

_METADATA = {"icc_profile", "exif", "xmp", "comment", "dpi"}


def register() -> None:
    """Register the format "GUETZPY" for :meth:`PIL.Image.Image.save`. Further calls change nothing.

    The format encodes the pixels of the picture, even if it was opened from a JPEG file. For a JPEG file,
    ``guetzpy.optimize(path)`` gives better results, because it starts from the file's own coefficients.

    The keys of ``save`` are the options of :func:`guetzpy.optimize` (``distance``, ``effort``, ``max_bytes``,
    ``background``, ``to_srgb`` and others), and these of Pillow's JPEG format:

    quality : int
        1 to 100. The file scores at least as well as Pillow's JPEG of this quality. Without any target,
        ``distance=1.0`` is used.
    subsampling : str or int
        "4:4:4" (0), "4:2:0" (2) or "auto" (-1). Default: "auto", the one that gives the smaller file.
    progressive : bool
        Whether the file is progressive. Default: True, which gives smaller files.
    icc_profile, exif, xmp, comment, dpi
        Metadata to write. As in Pillow's JPEG format, the default is to write none, with two exceptions: the
        comment of ``im.info`` is written, and so is its ICC profile, because colours would change without it.
        ``icc_profile=None`` omits the profile. ``exif`` is bytes or :class:`PIL.Image.Exif`.
    optimize
        Ignored; Huffman tables are always optimised.

    ``qtables``, ``keep_rgb``, ``smooth``, ``extra`` and ``quality="keep"`` raise ValueError. Unknown keys
    raise TypeError. Pictures of the modes CMYK, LAB and F, and transparent pictures without ``background``,
    raise UnsupportedError, whose message says what to do. Like all of Pillow's formats, ``save`` opens the
    file before it encodes, so that an existing file is lost if the encode fails.

    Examples
    --------
    >>> from PIL import Image
    >>> from guetzpy.integrations import pillow
    >>> pillow.register()
    >>> with Image.open("photo.png") as im:  # doctest: +SKIP
    ...     im.save("photo.jpg", format="GUETZPY", distance=1.0)
    """
    from PIL import Image

    Image.register_save(FORMAT, _save)
    Image.register_mime(FORMAT, "image/jpeg")


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    asked = dict(im.encoderinfo)
    picture = _with_metadata(im, {key: asked.pop(key) for key in _METADATA & set(asked)})
    fp.write(api.optimize(picture, **_options(asked)).data)


def _options(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of ``save`` as options of :func:`guetzpy.optimize`."""
    for key in _NEEDLESS:
        asked.pop(key, None)
    for key, advice in _REFUSED.items():
        if asked.pop(key, None):
            raise ValueError(f"{key}: {advice}")
    if "progression" in asked:  # Pillow's older name of the key
        asked["progressive"] = asked.pop("progression") or asked.get("progressive", False)
    if "progressive" in asked:
        asked["progressive"] = bool(asked["progressive"])
    if "subsampling" in asked:
        asked["subsampling"] = _subsampling(asked["subsampling"])
    quality = asked.get("quality")
    if quality == -1:  # Pillow's default value: no quality was given
        del asked["quality"]
    elif quality == "keep":
        raise ValueError('quality="keep": pass the file to guetzpy.transcode, which keeps every coefficient')
    elif isinstance(quality, str):
        raise ValueError(
            f"quality={quality!r}: expected a number from 1 to 100, or one of {', '.join(TARGETS)}"
        )
    unknown = sorted(set(asked) - OptimizeKeywords.__optional_keys__ - {"progress", "cancel"})
    if unknown:
        raise TypeError(
            f"format {FORMAT!r} does not take {', '.join(unknown)}; it takes the options of guetzpy.optimize"
        )
    return asked


def _subsampling(value: Any) -> str:
    if value in ("keep", 1, "4:2:2", "422"):
        raise ValueError(f'subsampling={value!r}: expected "4:4:4", "4:2:0" or "auto"')
    try:
        return _SUBSAMPLINGS[value]
    except (KeyError, TypeError):
        raise ValueError(f'subsampling={value!r}: expected "4:4:4", "4:2:0" or "auto"') from None


def _pair(dpi: Any) -> Any:
    """Return the value of ``dpi`` if Pillow could write it."""
    if dpi is None:
        return None
    try:
        across, down = (round(number) for number in dpi)
    except (TypeError, ValueError, OverflowError):
        across = down = -1
    if not (0 <= across <= 65535 and 0 <= down <= 65535):  # fields of two bytes
        raise ValueError(f"dpi={dpi!r}: expected two numbers, such as dpi=(72, 72)")
    return dpi


def _profile_of(im: Image.Image) -> bytes | None:
    """Return a picture's ICC profile, or a profile made from its other colour declarations, or None."""
    from guetzpy.picture.declarations import declarations
    from guetzpy.picture.declared import colour_of_image
    from guetzpy.picture.metadata import metadata_of

    profile: bytes | None = im.info.get("icc_profile")
    channels = len(im.getbands()) - ("A" in im.getbands()) if im.mode != "P" else 3
    if profile or channels not in (1, 3):
        return profile
    return colour_of_image(im, channels, metadata_of(im).exif, declarations(im)).icc


def _with_metadata(im: Image.Image, given: dict[str, Any]) -> Image.Image:
    """Return a copy of a picture that has only the metadata that is to be written."""
    from PIL import Image

    from guetzpy.picture.metadata import LONGEST_COMMENT

    exif, xmp = given.get("exif"), given.get("xmp")
    if isinstance(exif, Image.Exif):
        exif = exif.tobytes()
    if isinstance(xmp, str):  # as PNG files have it in im.info["XML:com.adobe.xmp"]
        xmp = xmp.encode("utf-8")
    comment = given.get("comment") or b""
    if len(comment.encode() if isinstance(comment, str) else comment) > LONGEST_COMMENT:
        raise LimitError(f"comment: a JPEG segment has at most {LONGEST_COMMENT} bytes")
    carried = {
        "icc_profile": given["icc_profile"] if "icc_profile" in given else _profile_of(im),
        "comment": given.get("comment", im.info.get("comment")),
        "exif": exif,
        "xmp": xmp,
        "dpi": _pair(given.get("dpi")),
        "transparency": im.info.get("transparency"),
    }
    picture = im.copy()  # a plain Image, without the tags, segments and Exif of the file it was read from
    picture.info = {key: value for key, value in carried.items() if value}
    if "transparency" in im.info:  # the index 0 is dropped by the filter above
        picture.info["transparency"] = im.info["transparency"]
    return picture
