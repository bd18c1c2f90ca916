"""ICC profiles for the colour code points (ITU-T H.273) of HEIC, AVIF and PNG files.

JPEG files cannot declare code points. Therefore a small ICC profile declares the same colours.
"""

from __future__ import annotations

import struct

from guetzpy.errors import UnsupportedError
from guetzpy.picture.profiles import SRGB_CURVE, colorants_of, gamma_curve, gray_profile, rgb_profile

__all__ = ["code_points", "profile_of", "unknown"]

#: Colorants under D50 (columns of the matrix to XYZ) by ColourPrimaries: 9 is BT.2020, 12 is P3 with D65.
#: Computed from the chromaticities with Bradford's matrix, as in the profiles of the ICC and of Apple.
_COLORANTS = {
    9: ((0.673459, 0.279033, -0.001931), (0.165661, 0.675338, 0.029984), (0.125100, 0.045629, 0.796860)),
    12: ((0.515121, 0.241196, -0.001053), (0.291977, 0.692245, 0.041885), (0.157104, 0.066574, 0.784073)),
}
_SRGB_COLORANTS = (
    (0.436066, 0.222488, 0.013916),
    (0.385147, 0.716873, 0.097076),
    (0.143066, 0.060608, 0.714096),
)
#: White, red, green, blue of other ColourPrimaries (H.273 table 2), with illuminant C, D65, E or DCI's white.
_CHROMATICITIES = {
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    10: (1 / 3, 1 / 3, 1.0, 1e-9, 1e-9, 1.0, 1e-9, 1e-9),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (0.3127, 0.3290, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_NAMES = {
    1: "sRGB", 4: "BT.470 M", 5: "BT.470 BG", 6: "BT.601", 7: "SMPTE 240", 8: "film", 9: "BT.2020",
    10: "XYZ", 11: "DCI-P3", 12: "Display P3", 22: "EBU 3213",
}  # fmt: skip

# TransferCharacteristics. The video curves 1, 6, 7, 11, 12, 14 and 15 count as the curve of sRGB (13),
# because displays for such video have that curve.
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_DISPLAY = frozenset({1, 6, 7, 11, 12, 13, 14, 15})
_HDR = {16: "PQ", 18: "HLG"}

_UNSPECIFIED = 2


def code_points(data: bytes) -> tuple[int, int] | None:
    """Return ColourPrimaries and TransferCharacteristics of an ISO base media file (HEIC, AVIF).

    They are those of the first colour box of type ``nclx``; None if there is none. If a file has several
    pictures, thumbnails and tiles have the same colours as the main picture.
    """
    start = data.find(b"meta", 0, 1 << 16)
    place = data.find(b"colrnclx", start, start + (1 << 20)) if start >= 0 else -1
    if place < 0 or place + 12 > len(data):
        return None
    primaries, transfer = struct.unpack_from(">HH", data, place + 8)
    return primaries, transfer


def unknown(primaries: int, transfer: int) -> str | None:
    """Return the name of a code point that no profile can be made of; None if there is none."""
    if primaries not in (1, _UNSPECIFIED, *_COLORANTS, *_CHROMATICITIES):
        return f"colour primaries {primaries}"
    if transfer not in (_UNSPECIFIED, *_GAMMAS, *_DISPLAY, *_HDR):
        return f"transfer characteristics {transfer}"
    return None


def profile_of(primaries: int, transfer: int, channels: int = 3) -> bytes | None:
    """Return an ICC profile for code points; None for sRGB and for unspecified or unknown ones.

    Parameters
    ----------
    primaries, transfer : int
        ColourPrimaries and TransferCharacteristics of H.273.
    channels : {3, 1}
        1 for gray, for which the primaries have no meaning.

    Raises
    ------
    UnsupportedError
        For high dynamic range (PQ, HLG), which JPEG does not support.
    """
    if transfer in _HDR:
        raise UnsupportedError(
            f"its brightness is coded as {_HDR[transfer]} (high dynamic range), which JPEG cannot hold; "
            "export it for standard range first"
        )
    gamma = _GAMMAS.get(transfer)
    own = primaries in _COLORANTS or primaries in _CHROMATICITIES
    if gamma is None and (not own or channels == 1):
        return None
    curve = SRGB_CURVE if gamma is None else gamma_curve(gamma)
    if channels == 1:
        return gray_profile(f"gray, gamma {gamma:g}", curve)
    name = _NAMES.get(primaries, "sRGB primaries") + ("" if gamma is None else f", gamma {gamma:g}")
    if primaries in _CHROMATICITIES:
        return rgb_profile(name, colorants_of(_CHROMATICITIES[primaries]), curve)
    return rgb_profile(name, _COLORANTS.get(primaries, _SRGB_COLORANTS), curve)
