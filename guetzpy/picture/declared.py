"""Convert the colours that a file declares, in the ways of its format, to one ICC profile.

Each declaration that is not used gives a warning.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guetzpy.errors import UnsupportedError
from guetzpy.picture import cicp as _cicp
from guetzpy.picture.exif_colour import ADOBE_RGB, exif_colour
from guetzpy.picture.icc import channels_of, parse
from guetzpy.picture.profiles import (
    SRGB_CHROMATICITIES,
    SRGB_CURVE,
    adobe_rgb,
    colorants_of,
    gamma_curve,
    gray_profile,
    rgb_profile,
)
from guetzpy.picture.transform import Transform

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Colour", "colour_of", "colour_of_image", "colour_of_points", "objection"]

_CHANNELS = {1: "gray", 3: "RGB", 4: "CMYK"}

#: cHRM and endpoints that differ by at most this from those of sRGB count as sRGB, to allow for rounding.
_NEAR = 0.0015
#: gAMA of sRGB is 45455; some programs write 45454 or 45450.
_SRGB_GAMMA, _NEAR_GAMMA = 45455, 50


@dataclass(frozen=True)
class Colour:
    """The colour that a picture's codes mean.

    Attributes
    ----------
    icc : bytes, optional
        The file's profile, or one made from other declarations; None means sRGB.
    warnings : tuple of str
        Declarations of the file that are not used.
    made : bool
        Whether the profile was made from other declarations.
    """

    icc: bytes | None = None
    warnings: tuple[str, ...] = ()
    made: bool = False

    @property
    def transform(self) -> Transform:
        """The transform from the codes to linear light."""
        return Transform.from_icc(self.icc)


def objection(icc: bytes, channels: int) -> str | None:
    """Return why a profile is not valid for a picture of 1, 3 or 4 channels; None if it is valid."""
    own = channels_of(icc)
    if own is None:
        return "broken"
    if own != channels:
        return (
            f"for {_CHANNELS.get(own, 'other')} pictures, and this one is {_CHANNELS.get(channels, channels)}"
        )
    if channels == 4:
        return None
    profile = parse(icc)
    if profile is None:
        return "broken, or of an unknown kind"
    if profile.tables and Transform.from_icc(icc).is_srgb:
        return "broken"
    return None


def colour_of(
    icc: bytes | None, channels: int, exif: bytes | None = None, warnings: tuple[str, ...] = ()
) -> Colour:
    """Return the colour that an ICC profile declares, or Exif if there is no profile.

    A profile for another number of channels is dropped. A broken profile is kept in the file, but its
    colours count as sRGB.

    Parameters
    ----------
    icc : bytes, optional
        The file's ICC profile.
    channels : {1, 3, 4}
        Number of channels of the codes.
    exif : bytes, optional
        TIFF structure of the file's Exif.
    warnings : tuple of str
        Earlier warnings, which the result repeats.
    """
    if icc:
        wrong = objection(icc, channels)
        if wrong is None:
            return Colour(icc, warnings)
        warning = f"its ICC profile is {wrong}: {_unused(channels)}"
        return Colour(None if wrong.startswith("for ") else icc, (*warnings, warning))
    told = exif_colour(exif)
    if told.space == ADOBE_RGB and channels in (1, 3):
        return Colour(adobe_rgb(channels), warnings, made=True)
    if told.unused and channels in (1, 3):
        warnings = (*warnings, f"{told.unused} of its Exif is not used: the colours count as sRGB")
    return Colour(None, warnings)


def _unused(channels: int) -> str:
    """Return the end of a warning about a profile that is not valid: what is done with the colours."""
    return "it is not used" if channels == 4 else "the colours count as sRGB"


def colour_of_points(
    icc: bytes | None, points: tuple[int, int] | None, channels: int, exif: bytes | None
) -> Colour:
    """Return the colour of a HEIC or AVIF file, from its profile, its code points or its Exif.

    Parameters
    ----------
    icc : bytes, optional
        The file's ICC profile, or the one that was made from its code points.
    points : (int, int), optional
        ColourPrimaries and TransferCharacteristics of H.273.
    channels : {1, 3}
        Number of channels of the codes.
    exif : bytes, optional
        TIFF structure of the file's Exif.
    """
    if points is None or (icc and icc != _cicp.profile_of(*points)):
        return colour_of(icc, channels, exif)
    unknown = _cicp.unknown(*points)
    warnings = (f"{unknown} of the file is not used: it counts as that of sRGB",) if unknown else ()
    profile = _cicp.profile_of(*points, channels)
    return Colour(profile, warnings, made=profile is not None)


def colour_of_image(
    image: Image.Image, channels: int, exif: bytes | None, chunks: dict[bytes, bytes] | None
) -> Colour:
    """Return the colour that an image declares.

    Parameters
    ----------
    image : PIL image
        The image, whose ``info`` and tags are read.
    channels : {1, 3, 4}
        Number of channels of its codes.
    exif : bytes, optional
        Its Exif.
    chunks : dict, optional
        Declarations of its file, from :func:`guetzpy.picture.declarations.declarations`.

    Raises
    ------
    UnsupportedError
        For high dynamic range.
    """
    icc = image.info.get("icc_profile") or None
    warnings: list[str] = []
    # An image that Pillow copied from a PNG has the PNG's info, but no format.
    copied = image.format is None and not icc and not {"gamma", "chromaticity", "srgb"}.isdisjoint(image.info)
    if image.format == "PNG" or copied:
        # Pillow also reports chunks after the pixels, which are not valid there (PNG, section 5.6).
        info = image.info if chunks is None else {}
        icc = icc if chunks is None or b"iCCP" in chunks else None
        declared = _of_png(chunks or {}, info, icc, channels, warnings)
        if declared is not None:
            return Colour(declared.icc, tuple(warnings), declared.made)
        icc = None  # the profile is not valid; a warning says why
    elif chunks:
        icc = _of_other(chunks, icc, warnings)
    tags = getattr(image, "tag_v2", None)
    if tags is not None and not icc:
        warnings += _unused_tags(tags)
    return colour_of(icc, channels, exif, tuple(warnings))


# PNG (third edition, section 4.3: cICP, then iCCP, sRGB, gAMA and cHRM)


def _of_png(
    chunks: dict[bytes, bytes], info: dict[Any, Any], icc: bytes | None, channels: int, warnings: list[str]
) -> Colour | None:
    """Return the colour that the chunks of a PNG declare; None if they declare none."""
    code_points = chunks.get(b"cICP")
    if code_points is not None:
        wrong = _cicp_objection(code_points)
        if wrong is None:
            if not code_points[3]:
                warnings.append(
                    "its cICP chunk says narrow range, which is not used: codes count as full range"
                )
            profile = _cicp.profile_of(code_points[0], code_points[1], channels)
            return Colour(profile, made=profile is not None)
        warnings.append(f"its cICP chunk is not used: {wrong}")
    if icc or b"iCCP" in chunks:
        wrong = objection(icc, channels) if icc else "broken"
        if wrong is None:
            return Colour(icc)
        warnings.append(f"its ICC profile is {wrong}: it is not used")
    if b"sRGB" in chunks or "srgb" in info:
        return Colour()
    gamma = _big_endian(chunks[b"gAMA"], 1) if b"gAMA" in chunks else _scaled([info.get("gamma")])
    points = _big_endian(chunks[b"cHRM"], 8) if b"cHRM" in chunks else _scaled(info.get("chromaticity") or [])
    if not gamma and not points and not {b"gAMA", b"cHRM"} & set(chunks):
        return None
    return _of_gamma(gamma, points, channels, warnings, chunks)


def _cicp_objection(chunk: bytes) -> str | None:
    if len(chunk) != 4:
        return f"it has {len(chunk)} bytes, not 4"
    if chunk[2]:
        return f"its matrix coefficients are {chunk[2]}, but PNG allows only 0"
    if chunk[0] == chunk[1] == 2:
        return "it says that nothing is specified"
    unknown = _cicp.unknown(chunk[0], chunk[1])
    return f"{unknown} has no profile here" if unknown else None


def _big_endian(chunk: bytes, count: int) -> list[int]:
    return list(struct.unpack(f">{count}I", chunk)) if len(chunk) == 4 * count else []


def _scaled(values: Any) -> list[int]:
    return [round(float(v) * 100_000) for v in values if v is not None]


def _of_gamma(
    gamma: list[int], points: list[int], channels: int, warnings: list[str], chunks: dict[bytes, bytes]
) -> Colour:
    exponent: float | None = None  # None means the curve of sRGB, or no declaration
    if gamma and 1_000 <= gamma[0] <= 1_000_000:  # gAMA is 100000 / exponent; exponents 100 to 0.1
        exponent = 100_000 / gamma[0]
    elif gamma or b"gAMA" in chunks:
        warnings.append("its gAMA chunk has an invalid value: it is not used")
    primaries = [v / 100_000 for v in points]
    colorants = None
    if channels == 3 and (points or b"cHRM" in chunks):
        try:
            colorants = colorants_of(primaries)
        except ValueError as error:
            warnings.append(f"its cHRM chunk is not used: {error}")
    if colorants and max(abs(a - b) for a, b in zip(primaries, SRGB_CHROMATICITIES, strict=True)) <= _NEAR:
        colorants = None
    standard = exponent is None or abs(gamma[0] - _SRGB_GAMMA) <= _NEAR_GAMMA
    if exponent is not None and not 1 / 16 <= exponent <= 16:
        warnings.append(f"its gAMA chunk says gamma {exponent:g}, which is not used")
        exponent, standard = None, True
    if colorants is None and standard:
        return Colour()
    curve = SRGB_CURVE if exponent is None else gamma_curve(exponent)
    words = "" if exponent is None else f"gamma {exponent:.4g}"
    if channels == 1:
        return Colour(gray_profile(f"gray, {words}", curve), made=True)
    if colorants is None:
        return Colour(
            rgb_profile(f"sRGB primaries, {words}", colorants_of(SRGB_CHROMATICITIES), curve), made=True
        )
    name = f"cHRM {' '.join(f'{v:g}' for v in primaries)}{', ' if words else ''}{words}"
    return Colour(rgb_profile(name, colorants, curve), made=True)


# Other formats


def _of_other(chunks: dict[bytes, bytes], icc: bytes | None, warnings: list[str]) -> bytes | None:
    if b"refused" in chunks:
        raise UnsupportedError(f"its colours are {chunks[b'refused'].decode()}; convert it to RGB first")
    icc = icc or chunks.get(b"icc") or None
    if b"unused" in chunks and not icc:
        warnings.append(f"{chunks[b'unused'].decode()} is not used: the colours count as sRGB")
    return icc


_TIFF_TAGS = {
    291: "GrayResponseCurve", 301: "TransferFunction", 318: "WhitePoint", 319: "PrimaryChromaticities",
    532: "ReferenceBlackWhite",
}  # fmt: skip


def _unused_tags(tags: Any) -> list[str]:
    """Return warnings about TIFF tags of colour that are not used."""
    named = [name for tag, name in _TIFF_TAGS.items() if tag in tags]
    white, primaries = _numbers(tags.get(318, ())), _numbers(tags.get(319, ()))
    points = [*(white or SRGB_CHROMATICITIES[:2]), *(primaries or SRGB_CHROMATICITIES[2:])]
    if len(points) == 8 and max(abs(a - b) for a, b in zip(points, SRGB_CHROMATICITIES, strict=True)) < 0.002:
        named = [name for name in named if name not in ("WhitePoint", "PrimaryChromaticities")]
    reference = _numbers(tags.get(532, ()))
    if tags.get(262) == 6 or reference in ([0, 255] * 3, [0, 65535] * 3, [0, 255, 128, 255, 128, 255]):
        named = [name for name in named if name != "ReferenceBlackWhite"]  # libtiff applies it to YCbCr
    if not named:
        return []
    return [f"{' and '.join(named)} of the TIFF {'is' if len(named) == 1 else 'are'} not used"]


def _numbers(value: Any) -> list[float]:
    try:
        return [float(v) for v in value]
    except (TypeError, ValueError, ZeroDivisionError):
        return []
