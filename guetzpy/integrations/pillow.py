"""``im.save("a.jpg", format="GUETZPY", distance=1.0)``: guetzpy as a format of Pillow's.

Only the name "GUETZPY" is new to Pillow; "JPEG" and the suffix ".jpg" stay Pillow's own.
"""

from __future__ import annotations

import inspect
from typing import IO, TYPE_CHECKING, Any

from guetzpy import api
from guetzpy.options import TARGETS

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["FORMAT", "register"]

#: The name to save with.
FORMAT = "GUETZPY"

#: Pillow's names and numbers of samplings (of its JPEG plugin), and guetzpy's own.
_SUBSAMPLINGS: dict[Any, str] = {
    -1: "auto", 0: "444", "4:4:4": "444", 2: "420", "4:2:0": "420", "4:1:1": "420",
    "auto": "auto", "444": "444", "420": "420",
}  # fmt: skip

#: Keys of Pillow's JPEG plugin that change nothing here: tables are always made to measure, files whole.
_NEEDLESS = {"optimize", "append", "streamtype", "restart_marker_blocks", "restart_marker_rows"}

#: Keys of Pillow's JPEG plugin that ask for what guetzpy decides itself, and what to do instead.
_REFUSED = {
    "qtables": "guetzpy makes its own tables; give distance= or quality=",
    "keep_rgb": "guetzpy writes YCbCr; leave it out",
    "smooth": "guetzpy changes no pixel; filter the picture first",
    "extra": "guetzpy writes no segments of others; use exif=, xmp=, icc_profile=, comment=",
}

_METADATA = {"icc_profile", "exif", "xmp", "comment", "dpi"}


def register() -> None:
    """Make ``format="GUETZPY"`` known to :meth:`PIL.Image.Image.save`. May be called again.

    The picture's pixels are encoded, whatever file they come from: for a JPEG, ``guetzpy.optimize(path)``
    does better, from its own coefficients.

    Keys of ``save`` are those of :func:`guetzpy.optimize` (``distance``, ``effort``, ``max_bytes``,
    ``background``, ``to_srgb`` ...), and of Pillow's JPEG:

    quality : int
        1 to 100: at least as good as Pillow's own JPEG of that quality, in fewer bytes. Without any target:
        ``distance=1.0``.
    subsampling : str or int
        "4:4:4" (0), "4:2:0" (2) or "auto" (-1, the default: the smaller one).
    progressive : bool
        Default: True, which is smaller.
    icc_profile, exif, xmp, comment, dpi
        As for Pillow's JPEG, metadata is written only if it is given; but for the comment, which is that
        of ``im.info``, and the ICC profile: without one, colours would change, so that of ``im.info`` is
        written unless ``icc_profile=None`` is given. ``exif`` is bytes or :class:`PIL.Image.Exif`.
    optimize
        Taken and ignored: this is what guetzpy does.

    ``qtables``, ``keep_rgb``, ``smooth`` and ``extra`` raise ValueError, and so does ``quality="keep"``; keys
    that are unknown raise TypeError. Pictures in CMYK, LAB or "F", and transparent ones without
    ``background``, raise UnsupportedError, which names what to do. As with all of Pillow's formats, ``save``
    opens the file before it is known whether that works.

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
    """Return keys of ``save`` as keywords of :func:`guetzpy.optimize`."""
    for key in _NEEDLESS:
        asked.pop(key, None)
    for key, advice in _REFUSED.items():
        if asked.pop(key, None):
            raise ValueError(f"{key}: {advice}")
    if "progression" in asked:  # the older name
        asked["progressive"] = asked.pop("progression") or asked.get("progressive", False)
    if "progressive" in asked:
        asked["progressive"] = bool(asked["progressive"])
    if "subsampling" in asked:
        asked["subsampling"] = _subsampling(asked["subsampling"])
    quality = asked.get("quality")
    if quality == -1:  # Pillow's word for none given
        del asked["quality"]
    elif quality == "keep":
        raise ValueError('quality="keep": pass the file to guetzpy.transcode, which keeps every coefficient')
    elif isinstance(quality, str):
        raise ValueError(
            f"quality={quality!r}: expected a number from 1 to 100, or one of {', '.join(TARGETS)}"
        )
    unknown = sorted(set(asked) - set(inspect.signature(api.optimize).parameters) | ({"source"} & set(asked)))
    if unknown:
        raise TypeError(
            f"format {FORMAT!r} knows no {', '.join(unknown)}; see guetzpy.optimize for what it knows"
        )
    return asked


def _subsampling(value: Any) -> str:
    if value in ("keep", 1, "4:2:2", "422"):
        raise ValueError(f'subsampling={value!r}: expected "4:4:4", "4:2:0" or "auto"')
    try:
        return _SUBSAMPLINGS[value]
    except (KeyError, TypeError):
        raise ValueError(f'subsampling={value!r}: expected "4:4:4", "4:2:0" or "auto"') from None


def _profile_of(im: Image.Image) -> bytes | None:
    """Return a picture's profile, or one of the colours that it declares otherwise."""
    from guetzpy.picture.declarations import declarations
    from guetzpy.picture.declared import colour_of_image
    from guetzpy.picture.metadata import metadata_of

    profile: bytes | None = im.info.get("icc_profile")
    channels = len(im.getbands()) - ("A" in im.getbands()) if im.mode != "P" else 3
    if profile or channels not in (1, 3):
        return profile
    return colour_of_image(im, channels, metadata_of(im).exif, declarations(im)).icc


def _with_metadata(im: Image.Image, given: dict[str, Any]) -> Image.Image:
    """Return a picture that carries what is to be written, and nothing else."""
    from PIL import Image

    exif = given.get("exif")
    if isinstance(exif, Image.Exif):
        exif = exif.tobytes()
    carried = {
        "icc_profile": given["icc_profile"] if "icc_profile" in given else _profile_of(im),
        "comment": given.get("comment", im.info.get("comment")),
        "exif": exif,
        "xmp": given.get("xmp"),
        "dpi": given.get("dpi"),
        "transparency": im.info.get("transparency"),
    }
    picture = im.copy()  # of the base class: no file's tags, segments or Exif come along
    picture.info = {key: value for key, value in carried.items() if value}
    if "transparency" in im.info:  # colour 0, or bytes
        picture.info["transparency"] = im.info["transparency"]
    return picture
