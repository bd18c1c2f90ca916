"""Build ICC profiles: a matrix with tone curves for RGB, one tone curve for gray (ICC.1:2022)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = [
    "SRGB_CHROMATICITIES",
    "SRGB_CURVE",
    "adobe_rgb",
    "assembled",
    "colorants_of",
    "gamma_curve",
    "gray_profile",
    "rgb_profile",
    "text",
]

#: Chromaticities x, y of white, red, green and blue of sRGB (IEC 61966-2-1).
SRGB_CHROMATICITIES = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
#: The same for Adobe RGB (1998), version 2005-05, section 4.2.
_ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)

_D50 = (0.9642, 1.0, 0.8249)
_XYZ_KEYS = (b"rXYZ", b"gXYZ", b"bXYZ")

#: Bradford's matrix from XYZ to cone responses (ICC.1 annex E).
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

Vector = tuple[float, float, float]


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


#: Tag of sRGB's curve: parametricCurveType, function type 3 with g, a, b, c, d (ICC.1 10.18).
SRGB_CURVE = (
    b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
)


def gamma_curve(gamma: float) -> bytes:
    """Return the tag of a power function (parametricCurveType, function type 0)."""
    return b"para" + struct.pack(">IHH", 0, 0, 0) + _fixed(gamma)


def colorants_of(chromaticities: Sequence[float]) -> tuple[Vector, Vector, Vector]:
    """Return the colorants under D50 (columns of the matrix to XYZ) for three primaries and a white.

    Parameters
    ----------
    chromaticities : sequence of 8 floats
        x and y of white, red, green and blue.

    Raises
    ------
    ValueError
        If the chromaticities do not define a colour space.
    """
    if len(chromaticities) != 8:
        raise ValueError("eight numbers expected")
    points = [(chromaticities[i], chromaticities[i + 1]) for i in range(0, 8, 2)]
    if any(y < 1e-6 or not 0 <= x <= 2 or y > 2 for x, y in points[:1]) or any(y == 0 for _, y in points):
        raise ValueError("chromaticities out of range")
    white, *primaries = [(x / y, 1.0, (1 - x - y) / y) for x, y in points]
    columns = _transposed(primaries)
    shares = _solved(columns, white)
    if any(share <= 0 for share in shares):
        raise ValueError("the white lies outside the primaries")
    # Adapt each colorant from the white to D50 by Bradford's matrix.
    source, target = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    if any(value <= 0 for value in source):
        raise ValueError("no white")
    adapted = []
    for column, share in zip(primaries, shares, strict=True):
        cones = _times(_BRADFORD, tuple(value * share for value in column))
        scaled = tuple(c * t / s for c, t, s in zip(cones, target, source, strict=True))
        adapted.append(_solved(_BRADFORD, scaled))
    if any(abs(value) > 8 for column in adapted for value in column):
        raise ValueError("colorants out of range")
    return adapted[0], adapted[1], adapted[2]


def _transposed(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[row[i] for row in rows] for i in range(3)]


def _times(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> Vector:
    a, b, c = (row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2] for row in matrix)
    return a, b, c


def _determinant(m: Sequence[Sequence[float]]) -> float:
    return (
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    )


def _solved(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> Vector:
    """Return x of ``matrix @ x = vector`` by Cramer's rule."""
    whole = _determinant(matrix)
    if abs(whole) < 1e-9:
        raise ValueError("primaries on one line")
    parts = []
    for column in range(3):
        changed = [list(row) for row in matrix]
        for row, value in zip(changed, vector, strict=True):
            row[column] = value
        parts.append(_determinant(changed) / whole)
    return parts[0], parts[1], parts[2]


def rgb_profile(name: str, colorants: Sequence[Sequence[float]], curve: bytes) -> bytes:
    """Return an RGB profile.

    Parameters
    ----------
    name : str
        Description of the profile.
    colorants : sequence of 3 sequences of 3 floats
        XYZ of red, green and blue under D50.
    curve : bytes
        Tag of the tone curve of all three channels.
    """
    tags = _described(name)
    tags += [(key, b"XYZ \0\0\0\0" + _fixed(*xyz)) for key, xyz in zip(_XYZ_KEYS, colorants, strict=True)]
    tags += [(key, curve) for key in (b"rTRC", b"gTRC", b"bTRC")]
    return assembled(tags)


def gray_profile(name: str, curve: bytes) -> bytes:
    """Return a gray profile.

    Parameters
    ----------
    name : str
        Description of the profile.
    curve : bytes
        Tag of the tone curve.
    """
    return assembled([*_described(name), (b"kTRC", curve)], space=b"GRAY")


def adobe_rgb(channels: int = 3) -> bytes:
    """Return a profile with the colours of Adobe RGB (1998): RGB, or gray with its curve."""
    curve = gamma_curve(563 / 256)  # 2.19921875, Adobe RGB (1998) 4.3.1.2
    name = "Compatible with Adobe RGB (1998)"
    return gray_profile(name, curve) if channels == 1 else rgb_profile(name, colorants_of(_ADOBE_RGB), curve)


def _described(name: str) -> list[tuple[bytes, bytes]]:
    return [(b"desc", text(name)), (b"cprt", text("none")), (b"wtpt", b"XYZ \0\0\0\0" + _fixed(*_D50))]


def text(words: str) -> bytes:
    """Return a tag that holds one text (multiLocalizedUnicodeType, ICC.1 10.15)."""
    return (
        b"mluc\0\0\0\0"
        + struct.pack(">II2s2sII", 1, 12, b"en", b"US", 2 * len(words), 28)
        + words.encode("utf-16-be")
    )


def assembled(tags: list[tuple[bytes, bytes]], space: bytes = b"RGB ") -> bytes:
    """Return a display profile (version 4.3) of these tags; ``space`` is its colour space's signature."""
    table, contents = struct.pack(">I", len(tags)), b""
    places: dict[bytes, int] = {}  # equal tags are stored once
    start = 128 + 4 + 12 * len(tags)
    for key, data in tags:
        if data not in places:
            places[data] = start + len(contents)
            contents += data + b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", key, places[data], len(data))
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIII8sI12s4s44x",
        start + len(contents), b"", 0x04300000, b"mntr", space, b"XYZ ", b"\0" * 12, b"acsp", b"",
        0, 0, 0, b"", 0, _fixed(*_D50), b"",
    )  # fmt: skip
    assert len(header) == 128
    return header + table + contents
