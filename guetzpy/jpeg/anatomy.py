"""Measure how the bytes of a JPEG file are distributed, from its marker segments, without decoding.

It reads files of every process of T.81, including those that the reader does not support.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from guetzpy.errors import FormatError
from guetzpy.jpeg import markers
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.entropy.standard_tables import STANDARD_HUFFMAN_TABLES
from guetzpy.jpeg.markers import FrameHeader, ScanParameters
from guetzpy.jpeg.structure import Segment

__all__ = ["Anatomy", "Scan", "survey"]

_STANDALONE = frozenset({markers.TEM, markers.SOI, *range(markers.RST0, markers.RST7 + 1)})
_JPEG_LS = 0xF7
_FRAMES = frozenset(range(0xC0, 0xD0)) - {markers.DHT, 0xC8, markers.DAC}


@dataclass(frozen=True)
class Scan:
    """One scan: its header, the number of its entropy-coded bytes, and its tables.

    ``size`` includes stuffing and restart markers.

    ``huffman`` holds the Huffman tables in effect, by (class, slot).
    """

    header: ScanParameters
    size: int
    huffman: Mapping[tuple[int, int], HuffmanTable]


@dataclass
class Anatomy:
    """The numbers of bytes of a file by purpose, whose sum is the file's size.

    Attributes
    ----------
    frame : FrameHeader, optional
        The first frame header; its height is 0 if a DNL segment defines the height.
    frame_ls : FrameHeader, optional
        The first frame header of JPEG-LS, which has the same form (ITU-T T.87, C.2.2).
    qtables : dict
        Quantiser steps by slot, uint16 (64,) in natural order; the first definition of each slot.
    scans : list of Scan
        Scans in file order.
    segments : list of Segment
        APPn and COM segments in file order.
    quantisation, huffman, metadata, headers, unreadable, trailing : int
        Bytes of DQT segments; of DHT and DAC segments; of APPn and COM segments; of all other markers and
        of stray bytes between markers; of segments that are invalid; of data after EOI.
    """

    frame: FrameHeader | None = None
    frame_ls: FrameHeader | None = None
    qtables: dict[int, npt.NDArray[np.uint16]] = field(default_factory=dict)
    scans: list[Scan] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    quantisation: int = 0
    huffman: int = 0
    metadata: int = 0
    headers: int = 0
    unreadable: int = 0
    trailing: int = 0

    @property
    def coded(self) -> int:
        """Entropy-coded bytes of all scans."""
        return sum(scan.size for scan in self.scans)


def survey(data: bytes, *, tolerant: bool = False) -> Anatomy:
    """Read the marker segments of a file.

    Parameters
    ----------
    data : bytes
        A JPEG file. If it ends early, the result describes what is there.
    tolerant : bool
        Whether invalid tables and headers are counted as ``unreadable``, with the data of a scan whose
        header is invalid, instead of raising FormatError.

    Raises
    ------
    FormatError
        If the file does not begin with SOI, or a table or header is invalid.
    """
    if data[:2] != b"\xff\xd8":
        raise FormatError("not a JPEG: it does not begin with SOI")
    parts = Anatomy(headers=2)
    tables: dict[tuple[int, int], HuffmanTable] = dict(STANDARD_HUFFMAN_TABLES)
    position = 2
    while (found := markers.find_marker(data, position)) is not None:
        marker, _, after = found
        start, position = position, after  # stray and fill bytes before a marker count with it
        if marker == markers.EOI:
            parts.headers += position - start
            parts.trailing = len(data) - position
            return parts
        if marker in _STANDALONE:
            parts.headers += position - start
            continue
        try:
            payload, position = markers.read_payload(data, after)
        except FormatError:  # the file ends in this segment
            position = start
            break
        end = _end_of_scan(data, position, parts.frame_ls is not None) if marker == markers.SOS else position
        try:
            if marker == markers.SOS:
                parts.scans.append(Scan(markers.parse_sos(payload), end - position, dict(tables)))
            _count(parts, tables, marker, payload, position - start)
        except FormatError:
            if not tolerant:
                raise
            parts.unreadable += end - start
        position = end
    parts.headers += len(data) - position
    return parts


def _count(
    parts: Anatomy, tables: dict[tuple[int, int], HuffmanTable], marker: int, payload: bytes, size: int
) -> None:
    if marker == markers.DQT:
        for slot, steps in markers.parse_dqt(payload):
            parts.qtables.setdefault(slot, steps)
        parts.quantisation += size
    elif marker in (markers.DHT, markers.DAC):
        if marker == markers.DHT:
            tables.update({(kind, slot): table for kind, slot, table in markers.parse_dht(payload)})
        parts.huffman += size
    elif markers.APP0 <= marker <= markers.APP15 or marker == markers.COM:
        parts.segments.append(Segment(marker, payload))
        parts.metadata += size
    else:
        if marker in _FRAMES and parts.frame is None:
            parts.frame = markers.parse_sof(marker, payload)
        elif marker == _JPEG_LS and parts.frame_ls is None:
            parts.frame_ls = markers.parse_sof(marker, payload)
        parts.headers += size


def _end_of_scan(data: bytes, position: int, is_ls: bool) -> int:
    """Return the end of entropy-coded data: the next marker that is no restart marker (T.81 B.1.1.5).

    JPEG-LS stuffs a zero bit after a byte 0xFF, so bytes below 0x80 follow it in the data (T.87, A.1).
    """
    while (found := markers.find_marker(data, position)) is not None:
        marker, begin, position = found
        if not markers.RST0 <= marker <= markers.RST7 and not (is_ls and marker < 0x80):
            return begin
    return len(data)
