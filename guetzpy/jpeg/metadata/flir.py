"""FLIR's thermal data in APP1: blank the GPS record of an FFF file that several segments contain.

A segment's payload is "FLIR", NUL, 1, its number, the last number, and a piece of the file. The file begins
with "FFF" and NUL. It has its version at 0x14, whose value shows the byte order, and at 0x18 and 0x1C the
position and the number of its record entries. An entry has 32 bytes: the type at 0, the position at 12, the
length at 16 (source: ExifTool, FLIR.pm).
"""

from __future__ import annotations

import struct

__all__ = ["HEADER", "without_gps"]

#: First bytes of the payload of a FLIR segment.
HEADER = b"FLIR\0"

_HEAD = 8  # bytes of a payload before its piece of the FFF file
_ENTRY = 32
_GPS_RECORD = 0x2B
_MAX_RECORDS = 1000


def without_gps(payloads: list[bytes]) -> list[bytes]:
    """Blank the GPS record and mark its entry as unused.

    Parameters
    ----------
    payloads : list of bytes
        Payloads of all FLIR segments of a file, in file order.

    Returns
    -------
    list of bytes
        Payloads of the same lengths.

    Raises
    ------
    ValueError
        If the data is no valid FFF file.
    """
    numbers = sorted(range(len(payloads)), key=lambda i: payloads[i][6:7])
    if any(len(payload) < _HEAD for payload in payloads):
        raise ValueError("FLIR segment is too short")
    data = bytearray(b"".join(payloads[i][_HEAD:] for i in numbers))
    if bytes(data[:4]) not in (b"FFF\0", b"AFF\0") or len(data) < 0x40:
        raise ValueError("no FLIR file")
    order = next((o for o in "><" if 100 <= struct.unpack_from(o + "I", data, 0x14)[0] < 200), None)
    if order is None:
        raise ValueError("unknown version of FLIR file")
    table, count = struct.unpack_from(order + "II", data, 0x18)
    if count > _MAX_RECORDS or table + _ENTRY * count > len(data):
        raise ValueError("FLIR records beyond the end")
    for at in range(table, table + _ENTRY * count, _ENTRY):
        (kind,) = struct.unpack_from(order + "H", data, at)
        start, size = struct.unpack_from(order + "II", data, at + 12)
        if kind == _GPS_RECORD:
            if start + size > len(data) or start < 0x40:
                raise ValueError("FLIR record beyond the end")
            data[start : start + size] = bytes(size)
            struct.pack_into(order + "H", data, at, 0)
    edited = list(payloads)
    at = 0
    for i in numbers:
        size = len(payloads[i]) - _HEAD
        edited[i] = payloads[i][:_HEAD] + bytes(data[at : at + size])
        at += size
    return edited
