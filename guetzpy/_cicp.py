"""Profiles for colours that HEIC and AVIF files give by code points (ITU-T H.273).

A JPEG has no place for code points, so what they say is written as a small ICC profile.
"""

from __future__ import annotations

import struct

from guetzpy.errors import UnsupportedError

__all__ = ["code_points", "profile_of"]

#: Colorants under D50 (columns of the matrix to XYZ) by ColourPrimaries: 9 = BT.2020, 12 = P3 with D65.
#: From the chromaticities by Bradford's matrix, as in the profiles of the ICC and of Apple.
_COLORANTS = {
    9: ((0.673459, 0.279033, -0.001931), (0.165661, 0.675338, 0.029984), (0.125100, 0.045629, 0.796860)),
    12: ((0.515121, 0.241196, -0.001053), (0.291977, 0.692245, 0.041885), (0.157104, 0.066574, 0.784073)),
}
_SRGB_COLORANTS = (
    (0.436066, 0.222488, 0.013916),
    (0.385147, 0.716873, 0.097076),
    (0.143066, 0.060608, 0.714096),
)
_NAMES = {1: "sRGB", 9: "BT.2020", 12: "Display P3"}

# TransferCharacteristics. Video curves (1, 6, 14, 15) stand for a display like that of sRGB.
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}


def code_points(data: bytes) -> tuple[int, int] | None:
    """Return ColourPrimaries and TransferCharacteristics of an ISO base media file (HEIC, AVIF).

    Those of the first colour box of type ``nclx``; None without one. (A file may hold several pictures, but
    thumbnails and tiles share the colours of the main one.)
    """
    start = data.find(b"meta", 0, 1 << 16)
    place = data.find(b"colrnclx", start, start + (1 << 20)) if start >= 0 else -1
    if place < 0 or place + 12 > len(data):
        return None
    primaries, transfer = struct.unpack_from(">HH", data, place + 8)
    return primaries, transfer


def profile_of(primaries: int, transfer: int) -> bytes | None:
    """Return an ICC profile for code points; None for sRGB, and for what is not specified.

    Raises
    ------
    UnsupportedError
        High dynamic range (PQ, HLG), which a JPEG cannot hold.
    """
    if transfer in _HDR:
        raise UnsupportedError(
            f"its brightness is coded as {_HDR[transfer]} (high dynamic range), which JPEG cannot hold; "
            "export it for standard range first"
        )
    gamma = _GAMMAS.get(transfer)
    if primaries not in _COLORANTS and gamma is None:
        return None
    if gamma is None:  # sRGB's curve, ICC.1 10.18 function type 3: g, a, b, c, d
        curve = b"para" + struct.pack(">IHH", 0, 3, 0)
        curve += _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    else:
        curve = b"para" + struct.pack(">IHH", 0, 0, 0) + _fixed(gamma)
    name = _NAMES.get(primaries, "sRGB primaries") + ("" if gamma is None else f", gamma {gamma:g}")
    colorants = _COLORANTS.get(primaries, _SRGB_COLORANTS)
    tags = [(b"desc", _text(name)), (b"cprt", _text("none")), (b"wtpt", b"XYZ \0\0\0\0" + _fixed(*_D50))]
    tags += [(key, b"XYZ \0\0\0\0" + _fixed(*xyz)) for key, xyz in zip(_XYZ_KEYS, colorants, strict=True)]
    tags += [(key, curve) for key in (b"rTRC", b"gTRC", b"bTRC")]
    return _assembled(tags)


_D50 = (0.9642, 1.0, 0.8249)
_XYZ_KEYS = (b"rXYZ", b"gXYZ", b"bXYZ")


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(text: str) -> bytes:
    """Return a multiLocalizedUnicodeType of one text (ICC.1 10.15)."""
    return (
        b"mluc\0\0\0\0"
        + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2 * len(text), 28)
        + text.encode("utf-16-be")
    )


def _assembled(tags: list[tuple[bytes, bytes]]) -> bytes:
    table, contents = struct.pack(">I", len(tags)), b""
    places: dict[bytes, int] = {}  # equal contents are stored once
    start = 128 + 4 + 12 * len(tags)
    for key, data in tags:
        if data not in places:
            places[data] = start + len(contents)
            contents += data + b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", key, places[data], len(data))
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIII8sI12s4s44x",
        start + len(contents), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ", b"\0" * 12, b"acsp", b"",
        0, 0, 0, b"", 0, _fixed(*_D50), b"",
    )  # fmt: skip
    assert len(header) == 128
    return header + table + contents
