"""The MPF index and Photoshop resources: read, edit, and refuse hostile data."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import jpeg_files

import guetzpy
from guetzpy.jpeg.metadata import mpf, photoshop
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.transcode import same_pixels


@pytest.mark.parametrize("order", ["<", ">"])
def test_mpf_index(order: str) -> None:
    payload = jpeg_files.mpf(order, [(0x20030000, 1000, 0), (1, 200, 1100), (2, 300, 1400)])
    index = mpf.read_index(payload)
    assert index is not None
    assert [(p.attribute, p.size, p.offset) for p in index.pictures] == [
        (0x20030000, 1000, 0), (1, 200, 1100), (2, 300, 1400)
    ]  # fmt: skip
    moved = mpf.read_index(index.with_places({0: (900, 0), 2: (300, 1300)}))
    assert moved is not None
    assert [(p.size, p.offset) for p in moved.pictures] == [(900, 0), (200, 1100), (300, 1300)]
    fewer = index.without({1})
    assert len(fewer) == len(payload)
    read = mpf.read_index(fewer)
    assert read is not None
    assert [p.attribute for p in read.pictures] == [0x20030000, 2]
    assert struct.pack(order + "HHII", 0xB001, 4, 1, 2) in fewer


def test_mpf_dependents_and_unique_ids_follow() -> None:
    rows = b"".join(
        struct.pack("<IIIHH", n, 10, 20 * n, a, b) for n, (a, b) in enumerate([(2, 3), (1, 0), (1, 2)])
    )
    identities = b"".join(bytes([65 + n]) * 33 for n in range(3))
    tiff = b"II*\0" + struct.pack("<I", 8)
    tiff += jpeg_files.directory(
        "<", 8, [(0xB001, 4, 1, struct.pack("<I", 3)), (0xB002, 7, 48, rows), (0xB003, 7, 99, identities)]
    )
    index = mpf.read_index(mpf.HEADER + tiff)
    assert index is not None
    edited = index.without({1})
    read = mpf.read_index(edited)
    assert read is not None
    assert [p.dependents for p in read.pictures] == [(0, 2), (1, 0)]
    assert b"A" * 33 + b"C" * 33 + bytes(33) in edited


@pytest.mark.parametrize(("count", "size"), [(98, 99), (99, 60)])
def test_unique_ids_that_do_not_fit_stay(count: int, size: int) -> None:
    """Their number is not that of the pictures, or they end beyond the segment."""
    rows = b"".join(struct.pack("<IIIHH", n, 10, 20 * n, 0, 0) for n in range(3))
    block = jpeg_files.directory("<", 8, [(0xB002, 7, 48, rows), (0xB003, 7, count, b"ID" * (size // 2))])
    index = mpf.read_index(mpf.HEADER + b"II*\0" + struct.pack("<I", 8) + block)
    assert index is not None
    edited = index.without({1})
    assert edited.endswith(b"ID" * (size // 2))
    read = mpf.read_index(edited)
    assert read is not None
    assert [p.offset for p in read.pictures] == [0, 40]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6))
def test_hostile_mpf(data: bytes, changes: list[tuple[int, int]]) -> None:
    assert mpf.read_index(b"MPF\0" + data) is None or len(data) >= 30
    payload = bytearray(jpeg_files.mpf("<", [(0, 1000, 0), (1, 200, 1100)]))
    for position, value in changes:
        payload[position % len(payload)] = value
    index = mpf.read_index(bytes(payload))
    if index is not None:
        assert len(index.without({1})) == len(index.with_places({0: (1, 2)})) == len(payload)


_SECOND = jpeg_files.picture(24, 20, seed=2)
_HEAD = 2 + 4 + len(mpf.HEADER)  # SOI, marker and length: offsets of the index count from here


@pytest.mark.parametrize(
    ("offset", "size", "damaged"),
    [
        (0, len(_SECOND), False), (0, 10**8, False),
        (7, len(_SECOND), True), (10**6, len(_SECOND), True), (-500, len(_SECOND), True), (0, 0, True),
    ],
)  # fmt: skip
def test_an_index_with_wrong_offsets_is_told(offset: int, size: int, damaged: bool) -> None:
    """The data after the picture stays byte for byte; a warning says that --strip mpf cannot remove it."""
    first = jpeg_files.picture()
    length = len(first) + len(jpeg_files.segment(0xE2, jpeg_files.mpf("<", [(0, 0, 0)] * 2)))
    index = jpeg_files.mpf("<", [(0x030000, length, 0), (0, size, length - _HEAD + offset)])
    data = jpeg_files.with_segments(first, jpeg_files.segment(0xE2, index)) + _SECOND
    for strip in ((), ("mpf",)):
        done = guetzpy.transcode(data, strip=strip)
        assert any("MPF index is damaged" in warning for warning in done.warnings) == damaged
        assert (_SECOND in done.data) == damaged
    assert not guetzpy.transcode(data, strip=("mpf", "trailing")).warnings


def test_an_entry_goes_with_its_data() -> None:
    """Regression: the entry of removed data that is no JPEG pointed into the next picture, which broke it."""
    first, junk = jpeg_files.picture(), b"no JPEG file" * 9
    length = len(first) + len(jpeg_files.segment(0xE2, jpeg_files.mpf("<", [(0, 0, 0)] * 3)))
    rows = [(0x030000, length, 0), (0, len(junk), length - _HEAD)]
    index = jpeg_files.mpf("<", [*rows, (0, len(_SECOND), length - _HEAD + len(junk))])
    data = jpeg_files.with_segments(first, jpeg_files.segment(0xE2, index)) + junk + _SECOND
    done = guetzpy.transcode(data, strip="trailing")
    image = read(done.data)
    assert junk not in done.data
    (payload,) = (s.payload for s in image.segments if s.marker == 0xE2)
    found = mpf.read_index(payload)
    assert found is not None
    assert [picture.size for picture in found.pictures[1:]] == [len(image.trailing)]
    assert same_pixels(_SECOND, image.trailing)
    again = guetzpy.transcode(done.data, strip="trailing")
    assert (again.status, again.data) == ("kept", done.data)


def test_an_index_that_cannot_be_read_is_told() -> None:
    data = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE2, b"MPF\0II*\0" + bytes(9)))
    assert not guetzpy.transcode(data).warnings
    done = guetzpy.transcode(data + _SECOND)
    assert any("MPF index is damaged" in warning for warning in done.warnings)
    assert done.data.endswith(_SECOND)


def resource(identifier: int, data: bytes, name: bytes = b"") -> bytes:
    pascal = bytes((len(name),)) + name
    pascal += b"\0" * (len(pascal) % 2)
    return (
        b"8BIM"
        + struct.pack(">H", identifier)
        + pascal
        + struct.pack(">I", len(data))
        + data
        + b"\0" * (len(data) % 2)
    )


def test_photoshop_resources_across_segments() -> None:
    parts = [resource(0x0404, b"IPTC!"), resource(0x040C, b"J" * 301, b"thumb"), resource(0x03ED, b"density")]
    stream = b"".join(parts)
    payloads = [photoshop.HEADER + stream[:200], photoshop.HEADER + stream[200:]]
    assert photoshop.resource_sizes(payloads) == {
        0x0404: len(parts[0]), 0x040C: len(parts[1]), 0x03ED: len(parts[2])
    }  # fmt: skip
    edited = photoshop.without_resources(payloads, photoshop.THUMBNAILS)
    assert edited == [photoshop.HEADER + parts[0] + parts[2], b""]
    assert photoshop.without_resources(payloads, frozenset({1})) == payloads
    with pytest.raises(ValueError, match="beyond"):
        photoshop.without_resources([payloads[0]], photoshop.THUMBNAILS)
    with pytest.raises(ValueError, match="no Photoshop"):
        photoshop.without_resources([photoshop.HEADER + b"garbage"], photoshop.THUMBNAILS)
