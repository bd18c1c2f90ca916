"""Warnings about options that were not applied to a picture, although they concern it."""

from __future__ import annotations

from guetzpy.errors import FormatError
from guetzpy.jpeg.anatomy import survey
from guetzpy.jpeg.header import frame_header, is_jpeg
from guetzpy.jpeg.metadata.appended import places
from guetzpy.jpeg.metadata.declared import exif_of
from guetzpy.jpeg.metadata.policy import joined_icc, read_mark
from guetzpy.jpeg.metadata.preservation import describe
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.options import OptimizeOptions
from guetzpy.picture.declared import colour_of
from guetzpy.result import Result

__all__ = ["large_parts", "unmet"]

#: A kind of metadata is named in a hint if it takes at least this share of the file.
_LARGE = 0.2

_NAMES = {"trailing": "trailing data", "mpf": "further pictures", "thumbnail": "a thumbnail"}


def large_parts(data: bytes) -> str | None:
    """Return which option would remove data that takes more than a fifth of a JPEG; None if none does."""
    try:
        parts = survey(data)
    except FormatError:
        return None
    trailing = data[len(data) - parts.trailing :]
    sizes = describe(data, JpegImage(0, 0, [], "", segments=parts.segments, trailing=trailing))
    for kind, words in _NAMES.items():
        share = sizes.get(kind, 0) / len(data)
        if share > _LARGE:
            return f"{share:.0%} of this file is {words}: `--strip {kind}` removes it"
    return None


def unmet(data: bytes, options: OptimizeOptions, result: Result) -> list[str]:
    """Return a warning for each option that was not applied to a JPEG file.

    Parameters
    ----------
    data : bytes
        The source file. There are no warnings for a file that is not a JPEG: its pixels are always encoded
        as the options say.
    options : OptimizeOptions
        What was asked for.
    result : Result
        The result.
    """
    if not is_jpeg(data):
        return []
    warnings = []
    asked, own = options.subsampling, _subsampling(result.data)
    wanted = _subsampling(data) if asked == "keep" else asked
    anew, inks = result.status == "optimized", _channels(result.data) == 4
    if asked != "auto" and own not in (wanted, "gray"):
        why = "the chroma of a JPEG is not made finer" if anew else "the picture was not encoded anew"
        if anew and inks:
            why = "CMYK keeps its sampling"
        if asked == "keep":
            why = "the picture was made smaller" if options.fit else "the picture was converted to sRGB"
        warnings.append(f"subsampling {asked} is not followed ({why}): the file has {own or 'its own'}")
    if options.to_srgb and (inks or not anew) and _has_other_colours(data):
        why = "CMYK has no colour profile" if anew else "the picture was not encoded anew"
        warnings.append(f"to_srgb is not followed ({why}): the codes are those of the source")
    if not options.mark and not anew and read_mark(_segments(result.data)) is not None:
        warnings.append("mark is not followed (the picture was not encoded anew): it has an earlier mark")
    return warnings


def _segments(data: bytes) -> list[Segment]:
    """Return the segments before the first scan of a JPEG, up to the first invalid one."""
    return [place.segment for place in places(data, header_only=True)]


def _has_other_colours(data: bytes) -> bool:
    """Return whether a JPEG has four components, or declares other colours than sRGB."""
    segments, channels = _segments(data), _channels(data)
    if channels not in (1, 3):
        return channels == 4
    return not colour_of(joined_icc(segments), channels, exif_of(segments)).transform.is_srgb


def _channels(data: bytes) -> int:
    """Return the number of components of a JPEG's frame header (T.81 B.2.2); 0 without a header."""
    payload = _frame(data)
    return payload[5] if len(payload) > 5 else 0


def _subsampling(data: bytes) -> str | None:
    """Return a JPEG's chroma sampling by its name in ``Result.subsampling``; None if it has no such name."""
    payload = _frame(data)
    factors = payload[7 : 6 + 3 * payload[5] : 3] if len(payload) > 5 else b""
    if len(factors) == 1:
        return "gray"
    names = {b"\x11": "444", b"\x21": "422", b"\x12": "440", b"\x22": "420"}
    return names.get(factors[:1]) if factors[1:] == b"\x11\x11" else None


def _frame(data: bytes) -> bytes:
    try:
        return frame_header(data)[1]
    except FormatError:
        return b""
