"""EXIF: read the orientation; remove parts without moving the rest."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import jpeg_files, metadata_files

import guetzpy
from guetzpy.jpeg.metadata import exif
from guetzpy.jpeg.metadata.directories import Tiff
from guetzpy.jpeg.metadata.policy import orientation
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import JpegImage, Segment

NOTE, GPS, THUMBNAIL = (
    b"MAKER NOTE WITH OFFSETS",
    b"GPS-SECRET-LATITUDE-DATA",
    b"\xff\xd8\xff\xdbTHUMBNAIL\xff\xd9",
)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_as_pillow(order: str) -> None:
    for value in (1, 3, 6, 8):
        tiff = jpeg_files.exif(order, orientation=value)
        payload = exif.HEADER + tiff
        assert (
            exif.orientation(tiff)
            == orientation(JpegImage(8, 8, [], "ycbcr", segments=[Segment(0xE1, payload)]))
            == value
        )
        with Image.open(io.BytesIO(jpeg_files.only_with((0xE1, payload)))) as picture:
            assert picture.getexif()[0x0112] == value


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_out_of_range_is_upright(value: int) -> None:
    assert exif.orientation(jpeg_files.exif(orientation=value)) == 1
    assert (
        exif.orientation(b"")
        == exif.orientation(b"II*\0")
        == exif.orientation(b"MM\0*\0\0\0\x08\xff\xff")
        == 1
    )


def test_minimal_exif_is_read_by_pillow() -> None:
    for value in range(1, 9):
        payload = exif.minimal(value)
        assert len(payload) == 32
        with Image.open(io.BytesIO(jpeg_files.only_with((0xE1, payload)))) as picture:
            assert dict(picture.getexif()) == {0x0112: value}


@pytest.mark.parametrize("order", ["<", ">"])
def test_gps_goes_and_nothing_moves(order: str) -> None:
    tiff = jpeg_files.exif(order)
    edited = exif.without_gps(tiff)
    assert len(edited) == len(tiff)
    assert GPS in tiff
    assert GPS not in edited
    assert edited.index(NOTE) == tiff.index(NOTE)
    assert edited.index(THUMBNAIL) == tiff.index(THUMBNAIL)
    before, after = Image.Exif(), Image.Exif()
    before.load(exif.HEADER + tiff)
    after.load(exif.HEADER + edited)
    assert 0x8825 in before
    assert 0x8825 not in after
    assert dict(after.get_ifd(0x8825)) == {}
    assert {k: v for k, v in before.items() if k != 0x8825} == dict(after)
    assert after.get_ifd(0x8769) == before.get_ifd(0x8769)
    assert after.get_ifd(-1)[0x0202] == len(THUMBNAIL)
    assert exif.part_sizes(edited).keys() == {"thumbnail"}
    assert exif.without_gps(edited) == edited


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("padding", [b"", b"\0" * 7, b"\xff" * 3])
def test_thumbnail_is_cut_off(order: str, padding: bytes) -> None:
    bare = jpeg_files.exif(order, thumbnail=None)
    tiff = jpeg_files.exif(order, tail=padding)
    edited = exif.without_thumbnail(tiff)
    assert len(bare) - 1 <= len(edited) <= len(bare)
    assert edited == bare[: len(edited)]
    assert not bare[len(edited) :].strip(b"\0")


def test_thumbnail_before_other_data_is_blanked() -> None:
    tiff = jpeg_files.exif(tail=b"DATA OF THE MAKER NOTE")
    edited = exif.without_thumbnail(tiff)
    assert len(edited) == len(tiff)
    assert edited.endswith(b"DATA OF THE MAKER NOTE")
    assert b"THUMBNAIL" not in edited
    assert exif.part_sizes(edited).keys() == {"gps"}


def test_part_sizes() -> None:
    sizes = exif.part_sizes(jpeg_files.exif())
    assert sizes["thumbnail"] == 2 + 2 * 12 + 4 + len(THUMBNAIL)
    assert sizes["gps"] == 2 + 3 * 12 + 4 + len(GPS)
    assert exif.part_sizes(b"nonsense") == {}


def test_values_shared_with_the_main_directory_stay() -> None:
    """Some cameras let both directories refer to one resolution value."""
    shared = struct.pack("<II", 72, 1)
    main_at = 8
    main_size = 2 + 12 + 4
    value_at = main_at + main_size
    small_at = value_at + 8
    table = struct.pack("<HHHII", 1, 0x011A, 5, 1, value_at) + struct.pack("<I", small_at)
    small = struct.pack("<HHHII", 1, 0x011A, 5, 1, value_at) + struct.pack("<I", 0)
    tiff = b"II*\0" + struct.pack("<I", 8) + table + shared + small
    edited = exif.without_thumbnail(tiff)
    assert edited[value_at : value_at + 8] == shared
    assert len(edited) == small_at


def test_overlapping_parts_are_refused() -> None:
    tiff = bytearray(jpeg_files.exif())
    position = tiff.index(struct.pack("<HHI", 0x8825, 4, 1)) + 8
    tiff[position : position + 4] = struct.pack("<I", 10)  # an offset into the main directory
    with pytest.raises(exif.UnsafeEditError):
        exif.without_gps(bytes(tiff))
    with pytest.raises(exif.UnsafeEditError):
        exif.without_gps(b"MM\0*")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=12), st.sampled_from("<>"))
@example([(4, 8), (22, 0)], "<")
def test_broken_exif_is_edited_or_refused(changes: list[tuple[int, int]], order: str) -> None:
    tiff = bytearray(jpeg_files.exif(order))
    for position, value in changes:
        tiff[position % len(tiff)] = value
    broken = bytes(tiff)
    assert 1 <= exif.orientation(broken) <= 8
    exif.maker_note(broken)
    for edit in (exif.without_gps, exif.without_thumbnail):
        try:
            edited = edit(broken)
        except exif.UnsafeEditError:
            continue
        assert len(edited) <= len(broken)
        kind = "gps" if edit is exif.without_gps else "thumbnail"
        assert kind not in exif.part_sizes(edited)


def test_directories_that_form_a_ring_end() -> None:
    ring = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 3, 1, 5) + struct.pack("<I", 8)
    assert exif.orientation(ring) == 5
    assert exif.without_thumbnail(ring)[:22] == ring[:22]


# Whole files


def with_exif(tiff: bytes) -> bytes:
    """Return a file with an EXIF block, in several segments if it is long."""
    pieces = [tiff[at : at + 65527] for at in range(0, len(tiff), 65527)]
    segments = (jpeg_files.segment(0xE1, exif.HEADER + piece) for piece in pieces)
    return jpeg_files.with_segments(jpeg_files.picture(), *segments)


def many_entries() -> bytes:
    """Return a structure of 64 kB with 16 directories of 5000 entries each, which overlap."""
    count = 5000
    rows = [(0x0112, 3, 1, b"\6\0"), *((0x014A, 4, 8, bytes(32)) for _ in range(2))]
    first = 8 + len(jpeg_files.directory("<", 8, rows))
    pointers = [struct.pack("<8I", *range(first + 16 * i, first + 16 * i + 16, 2)) for i in range(2)]
    rows[1:] = [(0x014A, 4, 8, pointer) for pointer in pointers]
    table = b"II*\0\x08\0\0\0" + jpeg_files.directory("<", 8, rows)
    return table + struct.pack("<H", count) * 16 + GPS + bytes(12 * count)


@pytest.mark.parametrize(
    ("tiff", "words"),
    [(jpeg_files.exif(tail=bytes(1 << 22)), "EXIF: too large"), (many_entries(), "EXIF: too many entries")],
    ids=["large", "many"],
)
def test_hostile_sizes_are_replaced(tiff: bytes, words: str) -> None:
    result = guetzpy.transcode(with_exif(tiff), strip="gps")
    assert any(warning.startswith(words) for warning in result.warnings)
    assert GPS not in result.data
    assert len(result.data) < 10_000


@pytest.mark.parametrize("offsets", [2, 3])
def test_thumbnails_in_strips_go(offsets: int) -> None:
    """The third offset has no length."""
    head = b"II*\0\x08\0\0\0"
    main = jpeg_files.directory("<", 8, [(0x010F, 2, 4, b"abc\0")], 26)
    for at in (0, 26 + 2 + 12 * 2 + 4 + 4 * offsets + 8):
        places = struct.pack("<3I", at, at + 6, at)[: 4 * offsets]
        rows = [(0x0111, 4, offsets, places), (0x0117, 4, 2, struct.pack("<2I", 6, 5))]
        small = jpeg_files.directory("<", 26, rows)
    source = with_exif(head + main + small + b"PIXELSMORE!")
    result = guetzpy.transcode(source, strip="thumbnail")
    assert result.removed == ("thumbnail",)
    assert b"PIXELS" in source
    assert not any(word in result.data for word in (b"PIXELS", b"MORE!"))
    assert b"abc" in result.data


def only(tag: int, kind: int, value: bytes) -> bytes:
    """Return a structure with a single entry."""
    return b"II*\0\x08\0\0\0" + jpeg_files.directory("<", 8, [(tag, kind, len(value), value)])


@pytest.mark.parametrize(
    ("tiff", "kind"),
    [
        (only(0x8298, 2, b"by SECRET\0"), "copyright"),
        (only(0x83BB, 7, metadata_files.dataset(90, b"SECRET")[:-1]), "place"),
    ],
    ids=["the only entry", "broken IPTC"],
)
def test_what_is_left_of_small_structures(tiff: bytes, kind: str) -> None:
    result = guetzpy.transcode(with_exif(tiff), strip=kind)
    assert result.removed == (kind,)
    assert b"SECRET" not in result.data


@pytest.mark.parametrize("keep", ["copyright", "thumbnail"])
def test_nothing_to_keep(keep: str) -> None:
    """There are no rights, and the thumbnail is no JPEG file."""
    tiff = jpeg_files.exif(orientation=1, thumbnail=b"RAW PIXELS")
    result = guetzpy.transcode(with_exif(tiff), strip="all", keep=keep)
    assert b"Exif" not in result.data
    assert not result.warnings


def test_a_value_of_the_thumbnail_in_the_header_leaves_it() -> None:
    """The header is needed for the orientation."""
    tiff = jpeg_files.exif()
    at = tiff.index(struct.pack("<HHI", 0x0201, 4, 1))
    source = with_exif(tiff[:at] + struct.pack("<HHII", 0x011A, 5, 1, 0) + tiff[at + 12 :])
    result = guetzpy.transcode(source, strip="thumbnail")
    assert result.removed == ("thumbnail",)
    with Image.open(io.BytesIO(result.data)) as picture:
        assert picture.getexif()[0x0112] == 6


def test_a_smaller_picture_has_no_exif_that_cannot_be_read() -> None:
    result = guetzpy.optimize(with_exif(b"no TIFF header"), fit=24, effort="fast")
    assert b"Exif" not in result.data
    assert (result.width, result.height) == (24, 20)
    assert any("all but the orientation is removed" in warning for warning in result.warnings)


def test_a_thumbnail_that_alone_is_kept_is_kept_again() -> None:
    """Regression: the main directory, which is empty then, counted as unreadable; all was removed."""
    picture = jpeg_files.picture()
    entries = [(0x0103, 3, 6 << 16), (0x0201, 4, 68), (0x0202, 4, len(picture))]
    tiff = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x0100, 4, 1, 16, 26) + struct.pack(">H", len(entries))
    tiff += b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in entries)
    source = with_exif(tiff + bytes(4) + picture)
    first = guetzpy.transcode(source, keep="thumbnail")
    assert "exif" in first.removed
    again = guetzpy.transcode(first.data, keep="thumbnail")
    assert (again.data, again.warnings) == (first.data, ())
    (payload,) = (s.payload for s in read(first.data).segments if s.marker == 0xE1)
    assert [d.role for d in Tiff(payload[6:]).directories] == ["main", "thumbnail"]
    assert exif.part_sizes(payload[6:])["thumbnail"] > 300


@pytest.mark.parametrize("keep", [["copyright"], ["gps", "icc"]])
def test_further_exif_goes_if_nothing_of_the_first_does(keep: list[str]) -> None:
    """Regression: further Exif segments stayed if the first one had nothing but the orientation."""
    short, whole = exif.minimal(6), exif.HEADER + metadata_files.tiff()
    source = jpeg_files.only_with((0xE1, short), (0xE1, whole))
    result = guetzpy.transcode(source, strip="all", keep=keep)
    assert [s.payload for s in read(result.data).segments if s.marker == 0xE1] == [short]
    assert "exif" in result.removed
    again = guetzpy.transcode(result.data, strip="all", keep=keep)
    assert (again.data, again.removed) == (result.data, ())


def test_orientation_behind_an_empty_segment_stays() -> None:
    """Pillow and ExifTool join the content of the segments, so the picture is shown turned."""
    source = jpeg_files.only_with((0xE1, exif.HEADER), (0xE1, exif.HEADER + jpeg_files.exif(orientation=6)))
    for strip in ("all", "exif"):
        result = guetzpy.transcode(source, strip=strip)
        assert [s.payload for s in read(result.data).segments if s.marker == 0xE1] == [exif.minimal(6)]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_of_exif_that_is_cut_short_stays(order: str) -> None:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 7)  # of seven entries
    tiff = head + struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0) + b"the rest is lost"
    source = jpeg_files.only_with((0xE1, exif.HEADER + tiff))
    with Image.open(io.BytesIO(source)) as picture:
        assert picture.getexif()[0x0112] == 6
    result = guetzpy.transcode(source, strip="all")
    assert [s.payload for s in read(result.data).segments if s.marker == 0xE1] == [exif.minimal(6)]
