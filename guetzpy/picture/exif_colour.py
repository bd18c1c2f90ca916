"""Read the colour space that Exif declares (CIPA DC-008, DCF 2.0), and change it to sRGB.

ColorSpace is 1 for sRGB and 65535 for others. DCF declares Adobe RGB by 65535 and the interoperability index
"R03"; many programs write ColorSpace 2 instead. Sony's wide gamut is 65533.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = ["ADOBE_RGB", "ExifColour", "as_srgb", "exif_colour"]

ADOBE_RGB = "Adobe RGB"

_EXIF_POINTER, _INTEROP_POINTER, _COLOR_SPACE, _INTEROP_INDEX = 0x8769, 0xA005, 0xA001, 0x0001
_CALIBRATION = {0x013E: "WhitePoint", 0x013F: "PrimaryChromaticities", 0x012D: "TransferFunction"}
_SRGB, _ADOBE, _WIDE, _UNCALIBRATED = 1, 2, 0xFFFD, 0xFFFF
_SHORT, _LONG, _IFD = 3, 4, 13
_MOST = 1000  # largest number of entries of a directory that are read


@dataclass(frozen=True)
class ExifColour:
    """The colour that Exif declares.

    Attributes
    ----------
    space : str, optional
        :data:`ADOBE_RGB`; None for sRGB, or if there is no declaration.
    unused : str, optional
        Name of a declaration that is not supported.
    """

    space: str | None = None
    unused: str | None = None


class _Tiff:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")

    def directory(self, position: int) -> dict[int, int]:
        """Return the positions of a directory's entries by tag; empty if there is no directory."""
        if not self.order or not 8 <= position <= len(self.data) - 2:
            return {}
        (count,) = struct.unpack_from(self.order + "H", self.data, position)
        places: dict[int, int] = {}
        for at in range(position + 2, position + 2 + 12 * min(count, _MOST), 12):
            if at + 12 > len(self.data):
                break
            places.setdefault(struct.unpack_from(self.order + "H", self.data, at)[0], at)
        return places

    def number(self, place: int | None) -> int | None:
        if place is None:
            return None
        (kind,) = struct.unpack_from(self.order + "H", self.data, place + 2)
        if kind == _SHORT:
            return int(struct.unpack_from(self.order + "H", self.data, place + 8)[0])
        return (
            int(struct.unpack_from(self.order + "I", self.data, place + 8)[0])
            if kind in (_LONG, _IFD)
            else None
        )

    def places(self) -> tuple[dict[int, int], int | None, int | None]:
        """Return the first directory, and the positions of ColorSpace and InteroperabilityIndex."""
        first = self.number_at(4) if self.order and len(self.data) >= 8 else 0
        main = self.directory(first)
        own = self.directory(self.number(main.get(_EXIF_POINTER)) or 0)
        pointer = own.get(_INTEROP_POINTER, main.get(_INTEROP_POINTER))
        interop = self.directory(self.number(pointer) or 0)
        return main, own.get(_COLOR_SPACE), interop.get(_INTEROP_INDEX)

    def number_at(self, position: int) -> int:
        return int(struct.unpack_from(self.order + "I", self.data, position)[0])


def exif_colour(tiff: bytes | None) -> ExifColour:
    """Return the colour that the TIFF structure of an Exif block declares; sRGB if it is broken."""
    if not tiff:
        return ExifColour()
    structure = _Tiff(tiff.removeprefix(b"Exif\0\0"))
    main, space_place, index_place = structure.places()
    space = structure.number(space_place)
    index = structure.data[index_place + 8 : index_place + 11] if index_place is not None else b""
    if space == _ADOBE or (index == b"R03" and space != _SRGB):
        return ExifColour(space=ADOBE_RGB)
    if space == _WIDE:
        return ExifColour(unused="ColorSpace 65533 (wide gamut)")
    named = [name for tag, name in _CALIBRATION.items() if tag in main]
    if space == _UNCALIBRATED and named:
        return ExifColour(unused=" and ".join(named))
    return ExifColour()


def as_srgb(tiff: bytes) -> bytes:
    """Return the TIFF structure of an Exif block with sRGB declared; its length does not change."""
    structure = _Tiff(tiff)
    _, space, index = structure.places()
    edited = bytearray(tiff)
    if space is not None and structure.number(space) != _SRGB:
        wide = struct.unpack_from(structure.order + "H", tiff, space + 2)[0] != _SHORT
        struct.pack_into(structure.order + ("I" if wide else "H"), edited, space + 8, _SRGB)
    if index is not None and tiff[index + 8 : index + 11] == b"R03":
        edited[index + 8 : index + 11] = b"R98"
    return bytes(edited)
