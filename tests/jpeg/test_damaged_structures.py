"""Damaged structures of metadata, each at the function that reads it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from reference.jpeg_files import picture, segment

from guetzpy.errors import FormatError
from guetzpy.jpeg import anatomy, reader, transcode
from guetzpy.jpeg.entropy import statistics
from guetzpy.jpeg.metadata import afcp, anchors, appended, flir, iptc, mpf, video, xmp, xmp_segments
from guetzpy.jpeg.metadata.appended import Part

EOI, RST = b"\xff\xd9", b"\xff\xd0"


def trailer(count: int, entries: bytes, stated: int = 0) -> bytes:
    """Return an AFCP trailer: signature, version, count, entries; then signature and its stated start."""
    head = b"AXS!" + struct.pack(">HHI", 1, count, 0)
    return head + entries + b"AXS!" + struct.pack(">II", stated, 0)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (trailer(1, b"TEXT" + struct.pack(">II", 3, 24) + b"abc"), True),
        (trailer(1, b"TEXT" + struct.pack(">II", 4, 24) + b"abc"), False),  # the data ends before
        (trailer(1, b"TEXT" + struct.pack(">II", 3, 20) + b"abc"), False),  # within the entries
        (trailer(0, b""), False),
        (trailer(9, b"TEXT" + struct.pack(">II", 3, 24) + b"abc"), False),
        (b"AXS!" * 60, False),
    ],
    ids=["whole", "long", "early", "no entries", "count", "signatures only"],
)
def test_trailers_of_afcp(data: bytes, found: bool) -> None:
    assert (afcp.read_trailer(data) is not None) == found


def test_bytes_after_all_parts_move_with_them() -> None:
    parts = [Part("mpf", 10, 30), Part("trailing", 50, 60)]
    moved = {-3: -3, 5: 0, 10: 0, 29: 19, 50: 20, 60: 30, 64: 34}
    assert {place: anchors._moved(parts, place) for place in moved} == moved
    assert anchors._moved([], 7) == 7


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"\xff\xd8" + RST + segment(0xFE, b"text") + EOI + b"more", 14),
        (b"\xff\xd8" + segment(0xFE, b"text"), 10),
        (b"\xff\xd8\xff\xfe\0\x20text", 10),
    ],
)
def test_the_end_of_a_stream(data: bytes, end: int) -> None:
    assert appended.end_of_stream(data) == end


def test_stray_bytes_of_a_header() -> None:
    data = b"\xff\xd8" + segment(0xFE, b"text") + b"stray" + segment(0xFE, b"text") + EOI
    assert appended.stray_ranges(data, len(data)) == [(10, 15)]
    assert appended.stray_ranges(data, 12) == []
    assert appended.stray_ranges(data[:15] + b"\xff\xfe\0\x20text", len(data)) == [(10, 15)]


def test_items_without_a_length_end_the_list() -> None:
    def item(length: int, padding: int = 0) -> xmp.Item:
        return xmp.Item("GainMap", "image/jpeg", length, padding, (0, 0), None)

    assert [place[1:] for place in appended.item_ranges([item(0), item(30), item(20, 5)], 100)] == [
        (75, 95),
        (45, 75),
    ]
    assert [place[1:] for place in appended.item_ranges([item(0), item(0), item(20)], 100)] == [(80, 100)]
    assert list(appended.item_ranges([item(0), item(200)], 100)) == []


def test_padding_goes_with_the_parts_beside_it() -> None:
    parts = [Part("mpf", 0, 4), Part("trailing", 4, 8), Part("mpf", 8, 12)]
    assert appended.unwritten(parts, bytes(12), frozenset({"mpf"}))[0] == []
    kept, gone = appended.unwritten(parts, b"xxxxDATAxxxx", frozenset({"mpf"}))
    assert (kept, gone) == ([parts[1]], [parts[0], parts[2]])


FFF = bytearray(0x60)
FFF[:4] = b"FFF\0"
struct.pack_into(">III", FFF, 0x14, 101, 0x40, 1)


def payload(data: bytes) -> bytes:
    return flir.HEADER + b"\1\0\0" + data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"FLIR\0\1", "too short"),
        (payload(bytes(0x60)), "no FLIR file"),
        (payload(b"FFF\0" + bytes(0x5C)), "unknown version"),
        (payload(bytes(FFF[:0x50])), "records beyond the end"),
        (payload(bytes(FFF[:0x40]) + struct.pack(">H10xII12x", 0x2B, 0x50, 0x20)), "record beyond the end"),
    ],
)
def test_damaged_data_of_flir(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        flir.without_gps([data])


def test_zeros_after_the_last_dataset_of_iptc() -> None:
    stream = b"\x1c\x02\x05\0\x02ab"
    assert [found.value for found in iptc.datasets(stream + bytes(3))] == [b"ab"]
    with pytest.raises(ValueError, match="no IPTC dataset"):
        list(iptc.datasets(stream + b"\0x"))


def test_an_index_of_pictures_with_too_many_fields() -> None:
    data = mpf.HEADER + b"II*\0" + struct.pack("<IH", 8, 3) + bytes(24)
    assert mpf.read_index(data) is None


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(content) if size is None else size, kind) + content


@pytest.mark.parametrize(
    ("data", "searched"),
    [
        (box(b"ftyp", b"mp42") + box(b"moov"), True),
        (box(b"ftyp", b"mp42") + struct.pack(">I4sQ", 1, b"moov", 16), True),
        (box(b"ftyp", b"mp42") + box(b"moov", size=0), True),
        (box(b"ftyp", b"mp42", size=4) + box(b"moov"), False),
        (box(b"moov") + box(b"free", size=400), False),
        (box(b"moov") + box(b"free") * 10_001, False),
        (box(b"ftyp", b"mp42"), False),
    ],
    ids=["whole", "long size", "to the end", "small", "beyond the end", "many", "no moov"],
)
def test_boxes_of_a_video(data: bytes, searched: bool) -> None:
    assert video.without_gps(data) == (data, searched)


def test_xmp_of_no_encoding() -> None:
    assert xmp.read_any_encoding(b"\xfe\xff\xd8\0") is None  # half of a surrogate pair
    assert xmp.read_any_encoding(b"text") is None
    data = "<x:xmpmeta xmlns:x='adobe:ns:meta/'/>".encode("utf-16")
    assert xmp.read_any_encoding(data) is not None


def test_files_that_are_no_jpeg_have_no_anatomy() -> None:
    with pytest.raises(FormatError, match="does not begin with SOI"):
        anatomy.survey(b"text")


def test_statistics_of_wrong_arguments() -> None:
    every_other = np.zeros((4, 128), np.int16)[:, ::2]
    for blocks in (np.zeros((2, 63), np.int16), np.zeros((2, 64), np.int32), every_other):
        with pytest.raises(ValueError, match=r"shape \(n, 64\)"):
            statistics._check_blocks(blocks)
    for starts in ((1,), (0, 5), (5, 5), (1, 70), tuple(range(1, 13))):
        with pytest.raises(ValueError, match="ascend from 1 to 64"):
            statistics._bands(starts)


def test_images_of_other_sizes_and_coefficients_differ() -> None:
    image, other = reader.read(picture()), reader.read(picture(56, 40))
    assert transcode.same_coefficients(image, reader.read(picture(progressive=True)))
    assert not transcode.same_coefficients(image, other)
    assert not transcode.same_coefficients(image, reader.read(picture(seed=1)))
    assert not transcode._reads_as(b"\xff\xd8text", image)


def test_extended_xmp_that_cannot_be_joined_is_removed_if_it_must_be() -> None:
    piece = xmp_segments.EXTENSION_HEADER + b"0" * 32 + struct.pack(">II", 100, 0) + b"only a part"
    for strict, kept in ((False, piece), (True, None)):
        assert xmp_segments.without_properties([piece], lambda *_: True, strict=strict) == [kept]
