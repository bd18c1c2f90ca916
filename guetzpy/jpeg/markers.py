"""Marker segments of ITU-T T.81 Annex B: find, parse and serialise them.

``parse_*`` functions take the payload of a segment (the bytes after its length field) and raise
:class:`FormatError` if it is invalid. ``*_segment`` functions return whole segments, with marker and
length. Where the standard is not specific, the same input is accepted as by libjpeg-turbo's ``jdmarker.c``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy.errors import FormatError
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.structure import NATURAL_ORDER

__all__ = [
    "APP0",
    "APP14",
    "APP15",
    "COM",
    "DAC",
    "DHP",
    "DHT",
    "DNL",
    "DQT",
    "DRI",
    "EOI",
    "EXP",
    "RST0",
    "RST7",
    "SOF0",
    "SOF1",
    "SOF2",
    "SOI",
    "SOS",
    "TEM",
    "UNSUPPORTED",
    "FrameComponent",
    "FrameHeader",
    "ScanComponent",
    "ScanParameters",
    "dht_segment",
    "dnl_segment",
    "dqt_segment",
    "dri_segment",
    "find_marker",
    "parse_dht",
    "parse_dnl",
    "parse_dqt",
    "parse_dri",
    "parse_sof",
    "parse_sos",
    "read_payload",
    "segment",
    "sof_segment",
    "sos_segment",
]

TEM = 0x01
SOF0 = 0xC0
SOF1 = 0xC1
SOF2 = 0xC2
DHT = 0xC4
DAC = 0xCC
RST0 = 0xD0
RST7 = 0xD7
SOI = 0xD8
EOI = 0xD9
SOS = 0xDA
DQT = 0xDB
DNL = 0xDC
DRI = 0xDD
DHP = 0xDE
EXP = 0xDF
APP0 = 0xE0
APP14 = 0xEE
APP15 = 0xEF
COM = 0xFE

#: Markers of features that are not supported, with the names of the features.
UNSUPPORTED: dict[int, str] = {
    0xC3: "lossless JPEG",
    0xC5: "hierarchical JPEG",
    0xC6: "hierarchical JPEG",
    0xC7: "hierarchical lossless JPEG",
    0xC8: "JPEG extensions (JPG marker)",
    0xC9: "arithmetic coding",
    0xCA: "arithmetic coding (progressive)",
    0xCB: "lossless JPEG with arithmetic coding",
    0xCD: "hierarchical JPEG with arithmetic coding",
    0xCE: "hierarchical JPEG with arithmetic coding",
    0xCF: "hierarchical lossless JPEG with arithmetic coding",
    DHP: "hierarchical JPEG",
    EXP: "hierarchical JPEG",
    0xF7: "JPEG-LS",
}

# The last 0xFF of any fill bytes, and the code. The expression does not match a run of 0xFF as a whole,
# because a run before a stuffed zero would be tried again from each of its bytes, in quadratic time.
_MARKER = re.compile(rb"\xff([\x01-\xfe])", re.DOTALL)


@dataclass(frozen=True)
class FrameComponent:
    """One component of a frame header (T.81 B.2.2): id, sampling factors, quantisation table slot."""

    identifier: int
    h: int
    v: int
    tq: int


@dataclass(frozen=True)
class FrameHeader:
    """A frame header (T.81 B.2.2); ``height`` is 0 if a DNL segment follows that defines it."""

    sof: int
    precision: int
    height: int
    width: int
    components: tuple[FrameComponent, ...]


@dataclass(frozen=True)
class ScanComponent:
    """One component of a scan header (T.81 B.2.3): id, DC and AC Huffman table slots."""

    identifier: int
    td: int
    ta: int


@dataclass(frozen=True)
class ScanParameters:
    """A scan header (T.81 B.2.3) with the values of the file, not checked."""

    components: tuple[ScanComponent, ...]
    ss: int
    se: int
    ah: int
    al: int


def segment(marker: int, payload: bytes) -> bytes:
    """Return a marker segment: marker, length field and payload.

    Parameters
    ----------
    marker : int
        Second byte of the marker, 0x01..0xFE.
    payload : bytes
        Contents of the segment.

    Raises
    ------
    ValueError
        If the payload has more than 65533 bytes.
    """
    if len(payload) > 65533:
        raise ValueError(f"a marker segment holds at most 65533 bytes, not {len(payload)}")
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def find_marker(data: bytes, position: int) -> tuple[int, int, int] | None:
    """Find the next marker at or after ``position``.

    Parameters
    ----------
    data : bytes
        The file.
    position : int
        Where the search begins.

    Returns
    -------
    tuple of int or None
        Marker code, position of the first 0xFF (which may be a fill byte), position after the code; None if
        there is no further marker.
    """
    code = data[position : position + 2]
    if code[:1] == b"\xff" and code[1:] not in (b"", b"\x00", b"\xff"):  # as behind every valid segment
        return code[1], position, position + 2
    match = _MARKER.search(data, position)
    if match is None:
        return None
    begin = match.start()
    while begin > position and data[begin - 1] == 0xFF:  # include the fill bytes
        begin -= 1
    return match[1][0], begin, match.end()


def read_payload(data: bytes, position: int) -> tuple[bytes, int]:
    """Read the payload of the segment whose length field is at ``position``; also return its end.

    A length below 2 counts as an empty payload, as in libjpeg for APPn and COM.

    Parameters
    ----------
    data : bytes
        The file.
    position : int
        Position of the length field, which follows the marker.

    Returns
    -------
    payload : bytes
        The payload.
    end : int
        Position after the segment.

    Raises
    ------
    FormatError
        If the file ends before the segment ends.
    """
    length = int.from_bytes(data[position : position + 2], "big")
    end = position + max(length, 2)
    if end > len(data):
        raise FormatError("truncated: the file ends inside a marker segment")
    return data[position + 2 : end], end


def parse_sof(marker: int, payload: bytes) -> FrameHeader:
    """Parse a frame header.

    Raises
    ------
    FormatError
        If the length is wrong, the picture is empty, or a sampling factor is not 1 to 4.
    """
    if len(payload) < 6:
        raise FormatError("frame header is too short")
    count = payload[5]
    if len(payload) != 6 + 3 * count:
        raise FormatError(f"frame header of {len(payload)} bytes does not fit {count} components")
    components = tuple(
        FrameComponent(payload[i], payload[i + 1] >> 4, payload[i + 1] & 15, payload[i + 2])
        for i in range(6, len(payload), 3)
    )
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    if width == 0 or count == 0:
        raise FormatError("frame header declares an empty picture")
    if not all(1 <= c.h <= 4 and 1 <= c.v <= 4 for c in components):
        raise FormatError("sampling factors must be 1 to 4")
    return FrameHeader(marker, payload[0], height, width, components)


def sof_segment(frame: FrameHeader) -> bytes:
    """Serialise a frame header."""
    head = bytes((frame.precision,)) + frame.height.to_bytes(2, "big") + frame.width.to_bytes(2, "big")
    body = b"".join(bytes((c.identifier, c.h << 4 | c.v, c.tq)) for c in frame.components)
    return segment(frame.sof, head + bytes((len(frame.components),)) + body)


def parse_sos(payload: bytes) -> ScanParameters:
    """Parse a scan header.

    Raises
    ------
    FormatError
        If the number of components is not 1 to 4 or does not fit the length.
    """
    count = payload[0] if payload else 0
    if not 1 <= count <= 4 or len(payload) != 4 + 2 * count:
        raise FormatError(f"scan header of {len(payload)} bytes does not fit {count} components")
    components = tuple(
        ScanComponent(payload[i], payload[i + 1] >> 4, payload[i + 1] & 15)
        for i in range(1, 1 + 2 * count, 2)
    )
    ss, se, approximation = payload[-3:]
    return ScanParameters(components, ss, se, approximation >> 4, approximation & 15)


def sos_segment(scan: ScanParameters) -> bytes:
    """Serialise a scan header."""
    body = b"".join(bytes((c.identifier, c.td << 4 | c.ta)) for c in scan.components)
    return segment(
        SOS, bytes((len(scan.components),)) + body + bytes((scan.ss, scan.se, scan.ah << 4 | scan.al))
    )


def parse_dqt(payload: bytes) -> list[tuple[int, npt.NDArray[np.uint16]]]:
    """Parse a DQT segment.

    Any non-zero precision means 16-bit steps, as in libjpeg.

    Returns
    -------
    list of (int, ndarray of uint16, shape (64,))
        Slot 0..3 and steps in natural order of each table.

    Raises
    ------
    FormatError
        If a slot is above 3 or the length is wrong.
    """
    tables = []
    position = 0
    while position < len(payload):
        precision, slot = payload[position] >> 4, payload[position] & 15
        size = 128 if precision else 64
        steps = payload[position + 1 : position + 1 + size]
        if slot > 3 or len(steps) != size:
            raise FormatError("quantisation table segment has a wrong length or slot")
        table = np.empty(64, np.uint16)
        table[NATURAL_ORDER] = np.frombuffer(steps, ">u2" if precision else "u1")
        tables.append((slot, table))
        position += 1 + size
    return tables


def dqt_segment(tables: Sequence[tuple[int, npt.NDArray[np.uint16]]]) -> bytes:
    """Serialise quantisation tables, each a slot and its steps in natural order, in one segment.

    A table with a step above 255 is written with 16 bits, which baseline frames do not allow.
    """
    payload = b""
    for slot, table in tables:
        steps = table[NATURAL_ORDER]
        wide = int(steps.max()) > 255
        payload += bytes((int(wide) << 4 | slot,)) + steps.astype(">u2" if wide else "u1").tobytes()
    return segment(DQT, payload)


def parse_dht(payload: bytes) -> list[tuple[int, int, HuffmanTable]]:
    """Parse a DHT segment.

    Whether the code lengths form a prefix code is checked when a scan uses the table, as in libjpeg.

    Returns
    -------
    list of (int, int, HuffmanTable)
        Class (0 for DC, 1 for AC), slot 0..3 and table of each definition.

    Raises
    ------
    FormatError
        If a slot is above 3 or the length is wrong.
    """
    tables = []
    position = 0
    while len(payload) - position > 16:
        selector = payload[position]
        counts = payload[position + 1 : position + 17]
        end = position + 17 + sum(counts)
        if selector & 0xEF > 3 or sum(counts) > 256 or end > len(payload):
            raise FormatError("Huffman table segment has a wrong length or slot")
        tables.append(
            (selector >> 4, selector & 15, HuffmanTable(tuple(counts), payload[position + 17 : end]))
        )
        position = end
    if position != len(payload):
        raise FormatError("Huffman table segment has a wrong length")
    return tables


def dht_segment(tables: Sequence[tuple[int, int, HuffmanTable]]) -> bytes:
    """Serialise Huffman tables, each with its class and slot, in one segment."""
    return segment(DHT, b"".join(bytes((c << 4 | s,)) + bytes(t.counts) + t.values for c, s, t in tables))


def parse_dri(payload: bytes) -> int:
    """Parse a restart interval in MCUs; 0 means no restart markers."""
    if len(payload) != 2:
        raise FormatError("restart interval segment has a wrong length")
    return int.from_bytes(payload, "big")


def dri_segment(interval: int) -> bytes:
    """Serialise a restart interval."""
    return segment(DRI, interval.to_bytes(2, "big"))


def parse_dnl(payload: bytes) -> int:
    """Parse the number of lines from a DNL segment (T.81 B.2.5)."""
    if len(payload) != 2 or payload == b"\0\0":
        raise FormatError("DNL segment has a wrong length or height")
    return int.from_bytes(payload, "big")


def dnl_segment(height: int) -> bytes:
    """Serialise a DNL segment."""
    return segment(DNL, height.to_bytes(2, "big"))
