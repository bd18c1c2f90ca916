"""Marker segments: parsing inverts serialising, and invalid segments are refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guetzpy.errors import FormatError
from guetzpy.jpeg import markers
from guetzpy.jpeg.entropy.huffman import HuffmanTable
from guetzpy.jpeg.entropy.standard_tables import STANDARD_HUFFMAN_TABLES
from guetzpy.jpeg.structure import NATURAL_ORDER


def payload_of(segment: bytes, marker: int) -> bytes:
    found = markers.find_marker(segment, 0)
    assert found == (marker, 0, 2)
    payload, end = markers.read_payload(segment, 2)
    assert end == len(segment)
    return payload


def test_segment_counts_its_length_field():
    assert markers.segment(markers.COM, b"abc") == b"\xff\xfe\x00\x05abc"
    assert len(markers.segment(markers.APP0, bytes(65533))) == 65537
    with pytest.raises(ValueError, match="65533"):
        markers.segment(markers.APP0, bytes(65534))


def test_find_marker_skips_stuffing_and_counts_fill_bytes():
    data = b"ab\xff\x00\xff\xff\x00\xff\xff\xff\xd9z"
    assert markers.find_marker(data, 0) == (0xD9, 7, 11)
    assert markers.find_marker(data, 9) == (0xD9, 9, 11)
    assert markers.find_marker(data, 11) is None
    assert markers.find_marker(b"\xff\xff\xff", 0) is None


def test_find_marker_takes_linear_time_over_fill_bytes():
    fill = b"\xff" * 4_000_000  # takes minutes if the search tries again from each byte of a run
    assert markers.find_marker(fill + b"\x00", 0) is None
    assert markers.find_marker(fill + b"\xd9", 0) == (0xD9, 0, len(fill) + 1)


def test_a_segment_beyond_the_end_is_truncated():
    with pytest.raises(FormatError, match="truncated"):
        markers.read_payload(b"\x00\x05ab", 0)
    with pytest.raises(FormatError, match="truncated"):
        markers.read_payload(b"\x00", 0)


def test_a_bogus_length_is_an_empty_payload():
    assert markers.read_payload(b"\x00\x01rest", 0) == (b"", 2)


@given(st.lists(st.integers(1, 65535), min_size=64, max_size=64), st.integers(0, 3), st.booleans())
@settings(deadline=None)
def test_quantisation_tables_round_trip(steps, slot, narrow):
    table = np.array(steps, np.uint16)
    if narrow:
        table = np.minimum(table, 255).astype(np.uint16)
    segment = markers.dqt_segment([(slot, table)])
    assert len(segment) == (4 + 65 if table.max() < 256 else 4 + 129)
    [(read_slot, read)] = markers.parse_dqt(payload_of(segment, markers.DQT))
    assert read_slot == slot
    assert np.array_equal(read, table)


def test_quantisation_tables_are_written_in_zigzag_order():
    table = np.arange(1, 65, dtype=np.uint16)
    assert markers.dqt_segment([(0, table)])[5:] == bytes(table[NATURAL_ORDER].astype(np.uint8))


@pytest.mark.parametrize("payload", [b"\x00" + bytes(63), b"\x04" + bytes(64), b"\x10" + bytes(64)])
def test_bad_quantisation_tables(payload):
    with pytest.raises(FormatError):
        markers.parse_dqt(payload)


def test_huffman_tables_round_trip():
    tables = [(c, s, t) for (c, s), t in STANDARD_HUFFMAN_TABLES.items()]
    assert markers.parse_dht(payload_of(markers.dht_segment(tables), markers.DHT)) == tables


@pytest.mark.parametrize(
    "payload",
    [
        bytes((0, 2)) + bytes(15) + b"a",  # a symbol is missing
        bytes((4, 1)) + bytes(15) + b"a",  # slot 4
        bytes((0x20, 1)) + bytes(15) + b"a",  # class 2
        bytes((0, *([16] * 15), 17)) + bytes(257),  # more than 256 codes
        b"\0\0",
    ],
)
def test_bad_huffman_tables(payload):
    with pytest.raises(FormatError):
        markers.parse_dht(payload)


def test_frame_header_round_trip():
    components = (markers.FrameComponent(1, 2, 1, 0), markers.FrameComponent(7, 4, 3, 2))
    frame = markers.FrameHeader(markers.SOF2, 8, 300, 65535, components)
    assert markers.parse_sof(markers.SOF2, payload_of(markers.sof_segment(frame), markers.SOF2)) == frame


@pytest.mark.parametrize(
    "payload",
    [
        b"\x08\x00\x01",
        b"\x08\x00\x01\x00\x00\x01\x01\x11\x00",  # width 0
        b"\x08\x00\x01\x00\x01\x00",  # no components
        b"\x08\x00\x01\x00\x01\x02\x01\x11\x00",  # two components declared, one present
        b"\x08\x00\x01\x00\x01\x01\x01\x51\x00",  # sampling factor 5
        b"\x08\x00\x01\x00\x01\x01\x01\x10\x00",  # sampling factor 0
    ],
)
def test_bad_frame_headers(payload):
    with pytest.raises(FormatError):
        markers.parse_sof(markers.SOF0, payload)


def test_scan_header_round_trip():
    scan = markers.ScanParameters(
        (markers.ScanComponent(1, 0, 3), markers.ScanComponent(9, 1, 2)), 1, 5, 3, 2
    )
    assert markers.parse_sos(payload_of(markers.sos_segment(scan), markers.SOS)) == scan


@pytest.mark.parametrize("payload", [b"", b"\x00\x00\x3f\x00", b"\x05" + bytes(13), b"\x01\x01\x00\x00\x3f"])
def test_bad_scan_headers(payload):
    with pytest.raises(FormatError):
        markers.parse_sos(payload)


def test_restart_interval_and_number_of_lines():
    assert markers.parse_dri(payload_of(markers.dri_segment(513), markers.DRI)) == 513
    assert markers.parse_dnl(payload_of(markers.dnl_segment(65535), markers.DNL)) == 65535
    with pytest.raises(FormatError):
        markers.parse_dri(b"\x00")
    with pytest.raises(FormatError):
        markers.parse_dnl(b"\x00\x00")


def test_standard_tables_are_the_ones_of_pillow():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    data = buffer.getvalue()
    position = 2
    tables: dict[tuple[int, int], HuffmanTable] = {}
    while (found := markers.find_marker(data, position)) and found[0] != markers.SOS:
        payload, position = markers.read_payload(data, found[2])
        if found[0] == markers.DHT:
            tables |= {(c, s): t for c, s, t in markers.parse_dht(payload)}
    assert tables == STANDARD_HUFFMAN_TABLES
