"""Kinds, policies, EXIF, XMP, Photoshop, MPF and ICC: what goes, and that the rest is where it was."""

from __future__ import annotations

import hashlib
import io
import re
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import jpeg_files

from guetzpy.errors import LimitError
from guetzpy.jpeg import exif, mpf, photoshop, xmp
from guetzpy.jpeg.metadata import (
    KINDS,
    Policy,
    icc_profile,
    kind_of,
    mark,
    orientation,
    read_mark,
    segments_for,
    without_marks,
)
from guetzpy.jpeg.structure import JpegImage, Segment

NOTE, GPS, THUMBNAIL = (
    b"MAKER NOTE WITH OFFSETS",
    b"GPS-SECRET-LATITUDE-DATA",
    b"\xff\xd8\xff\xdbTHUMBNAIL\xff\xd9",
)


def image_with(*segments: Segment) -> JpegImage:
    return JpegImage(8, 8, [], "ycbcr", segments=list(segments))


def whole(segments: list[Segment]) -> bytes:
    """Return a picture that Pillow can open with these segments instead of its own JFIF."""
    plain = jpeg_files.picture()
    assert plain[2:4] == b"\xff\xe0"
    rest = b"\xff\xd8" + plain[4 + int.from_bytes(plain[4:6], "big") :]
    return jpeg_files.with_segments(rest, *(jpeg_files.segment(s.marker, s.payload) for s in segments))


@pytest.mark.parametrize(
    ("marker", "payload", "kind"),
    [
        (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0", "jfif"),
        (0xE0, b"JFXX\0\x10", "thumbnail"),
        (0xE1, b"Exif\0\0II*\0", "exif"),
        (0xE1, xmp.HEADER + b"<x/>", "xmp"),
        (0xE1, xmp.EXTENSION_HEADER, "xmp"),
        (0xE1, b"QVCI\0", "unknown"),
        (0xE2, b"ICC_PROFILE\0\1\1", "icc"),
        (0xE2, b"MPF\0II*\0", "mpf"),
        (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0", "gainmap"),
        (0xE2, b"FPXR\0", "unknown"),
        (0xE4, b"ICC_PROFILE\0\1\1", "unknown"),
        (0xED, b"Photoshop 3.0\x008BIM", "iptc"),
        (0xEE, b"Adobe\0d\0\0\0\0\1", "adobe"),
        (0xEE, b"Adobe", "unknown"),
        (0xFE, b"holiday", "comment"),
        (0xFE, b"guetzpy d=1.00", "mark"),
        (0xFE, b"guetzpy d=1.00 or so", "comment"),
    ],
)
def test_kind(marker: int, payload: bytes, kind: str) -> None:
    assert kind_of(Segment(marker, payload)) == kind


@pytest.mark.parametrize(
    ("keep", "strip", "stripped"),
    [
        ([], [], set()),
        (["all"], [], set()),
        ([], ["gps", "comment"], {"gps", "comment"}),
        (["all"], ["gps"], {"gps"}),
        ([], ["all"], set(KINDS) - {"icc"}),
        ([], ["all", "icc"], set(KINDS)),
        (["exif"], ["all"], set(KINDS) - {"icc", "exif", "gps", "thumbnail"}),
        (["exif"], ["all", "gps"], set(KINDS) - {"icc", "exif", "thumbnail"}),
        (["exif", "gps"], ["all", "thumbnail"], set(KINDS) - {"icc", "exif", "gps"}),
        (["xmp"], [], set(KINDS) - {"icc", "xmp"}),
        (["icc"], [], set(KINDS) - {"icc"}),
        (["xmp"], ["gps"], {"gps"}),
    ],
)
def test_policy(keep: list[str], strip: list[str], stripped: set[str]) -> None:
    assert Policy.of(keep, strip).stripped == stripped


@pytest.mark.parametrize(
    ("keep", "strip", "message"),
    [
        (["exiv"], [], "exiv"),
        ([], ["jfif"], "jfif"),
        (["xmp"], ["xmp"], "both"),
        (["gps"], ["all"], "exif"),
        (["thumbnail"], [], "exif"),
    ],
)
def test_policy_rejects(keep: list[str], strip: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Policy.of(keep, strip)
    with pytest.raises(ValueError, match="all"):
        Policy(frozenset({"all"}))


# EXIF


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_as_pillow(order: str) -> None:
    for value in (1, 3, 6, 8):
        tiff = jpeg_files.exif(order, orientation=value)
        payload = exif.HEADER + tiff
        assert exif.orientation(tiff) == orientation(image_with(Segment(0xE1, payload))) == value
        with Image.open(io.BytesIO(whole([Segment(0xE1, payload)]))) as picture:
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
        with Image.open(io.BytesIO(whole([Segment(0xE1, payload)]))) as picture:
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
    """Cameras point both directories at one resolution."""
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
    tiff[position : position + 4] = struct.pack("<I", 10)  # into the main directory
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


# XMP


def properties(packet: bytes, prefix: str) -> list[str]:
    parsed = xmp.read_packet(packet)
    assert parsed is not None
    return [name for name, _, _ in parsed.properties(lambda _, name: name.startswith(prefix))]


def test_xmp_properties_are_blanked_in_place() -> None:
    packet = jpeg_files.xmp(
        """xmlns:e="http://ns.adobe.com/exif/1.0/" e:GPSLatitude="48,51.3N"
        e:GPSLongitude='2,18E' e:Flash="x > 'y'\"""",
        '<e:GPSAltitude rdf:parseType="Resource"><e:value>7/1</e:value></e:GPSAltitude>'
        "<e:Iso>100</e:Iso><e:GPSEmpty/><!-- GPS in a comment -->",
    )
    (edited,) = xmp.without_properties([xmp.HEADER + packet], lambda _, name: name.startswith("GPS"))
    assert edited is not None
    rest = edited[len(xmp.HEADER) :]
    assert len(rest) == len(packet)
    assert properties(packet, "GPS") == ["GPSLatitude", "GPSLongitude", "GPSAltitude", "GPSEmpty"]
    assert properties(rest, "GPS") == []
    assert properties(rest, "") == ["xmpmeta", "RDF", "Description", "about", "Flash", "Iso"]
    assert b"48,51" not in rest
    assert b"e:Flash=\"x > 'y'\"" in rest


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<x>",
        b"\xff\xfe<\0x\0/\0>\0",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x GPSLatitude="&a;"/>',
        b"<a:b/>",
    ],
)
def test_unreadable_xmp(packet: bytes) -> None:
    assert xmp.read_packet(packet) is None
    payload = xmp.HEADER + packet
    assert xmp.without_properties([payload], lambda *_: True) == [payload]
    held = xmp.without_properties([payload], lambda *_: True, b"gps")
    assert held == [None if b"gps" in packet.lower() else payload]


def test_deep_xmp_is_read() -> None:
    packet = b"<x>" * 5000 + b"</x>" * 5000
    assert xmp.read_packet(packet) is not None


@pytest.mark.parametrize("size", [100, 65502, 65503, 70000, 200000])
def test_xmp_segments(size: int) -> None:
    packet = jpeg_files.xmp('xmlns:d="urn:d"', "<d:long></d:long>")
    packet = packet.replace(b"<d:long>", b"<d:long>" + b"x" * max(0, size - len(packet)))
    payloads = xmp.payloads_of(packet)
    assert all(len(payload) <= 65533 for payload in payloads)
    assert len(payloads) == (1 if len(packet) <= 65502 else 1 + -(-len(packet) // 65400))
    if len(payloads) == 1:
        assert payloads[0] == xmp.HEADER + packet
        return
    (extension,) = xmp.gather_extensions(payloads[1:])
    assert extension.data == re.sub(rb"<\?xpacket[^>]*\?>", b"", packet)
    assert hashlib.md5(extension.data).hexdigest().upper().encode() == extension.guid
    main = xmp.read_packet(payloads[0][len(xmp.HEADER) :])
    assert main is not None
    assert [value for _, value, _ in main.properties(lambda _, n: n == "HasExtendedXMP")] == [
        extension.guid.decode()
    ]


def test_extended_xmp_is_blanked_with_a_new_digest() -> None:
    packet = jpeg_files.xmp(
        'xmlns:e="http://ns.adobe.com/exif/1.0/" e:GPSLatitude="48,51.3N"', f"<e:long>{'y' * 140000}</e:long>"
    )
    payloads = xmp.payloads_of(packet)
    shuffled = [payloads[0], payloads[3], payloads[1], payloads[2]]
    edited = [
        p for p in xmp.without_properties(shuffled, lambda _, name: name.startswith("GPS")) if p is not None
    ]
    assert [len(p) for p in edited] == [len(p) for p in shuffled]
    (extension,) = xmp.gather_extensions(edited[1:])
    assert b"GPS" not in extension.data
    assert hashlib.md5(extension.data).hexdigest().upper().encode() == extension.guid
    assert extension.guid in edited[0]


def test_incomplete_extensions_are_left_out() -> None:
    payloads = xmp.payloads_of(jpeg_files.xmp(content=f"<a xmlns='u'>{'z' * 140000}</a>"))
    assert len(payloads) == 4
    assert xmp.gather_extensions(payloads[1:3]) == []
    assert xmp.gather_extensions([*payloads[1:], payloads[2]]) == []
    assert xmp.gather_extensions([xmp.EXTENSION_HEADER + b"short"]) == []


def test_container_items() -> None:
    text = jpeg_files.container(("Primary", "image/jpeg", None), ("MotionPhoto", "video/mp4", 123))
    packet = xmp.read_packet(jpeg_files.xmp(content=text))
    assert packet is not None
    first, second = packet.items()
    assert (first.semantic, first.length, first.length_span) == ("Primary", 0, None)
    assert (second.semantic, second.mime, second.length, second.padding) == (
        "MotionPhoto",
        "video/mp4",
        123,
        0,
    )
    assert second.length_span is not None
    assert packet.data[slice(*second.length_span)] == b"123"
    assert packet.data[second.span[0] :].startswith(b"<rdf:li")
    assert packet.data[: second.span[1]].endswith(b"</rdf:li>")


# Photoshop


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


# MPF


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


# ICC


def icc_segments(
    profile: bytes, piece: int, order: list[int] | None = None, count: int | None = None
) -> list[Segment]:
    pieces = [profile[i : i + piece] for i in range(0, len(profile), piece)]
    rows = [
        Segment(0xE2, b"ICC_PROFILE\0" + bytes((n + 1, count if count is not None else len(pieces))) + data)
        for n, data in enumerate(pieces)
    ]
    return [rows[n] for n in order] if order else rows


@pytest.mark.parametrize(
    "segments",
    [
        [],
        icc_segments(b"profile", 7),
        icc_segments(bytes(range(250)) * 3, 300),
        icc_segments(bytes(range(250)) * 3, 300, [2, 0, 1]),
        icc_segments(bytes(range(250)) * 3, 300, [2, 0]),
        icc_segments(bytes(range(250)) * 3, 300, [0, 1, 1]),
        icc_segments(bytes(range(250)) * 3, 300, count=4),
        icc_segments(bytes(range(250)) * 3, 300, count=0),
    ],
)
def test_icc_profile_as_pillow(segments: list[Segment]) -> None:
    with Image.open(io.BytesIO(whole(segments))) as picture:
        assert icc_profile(image_with(*segments)) == picture.info.get("icc_profile")


# The mark


@settings(deadline=None)
@given(st.floats(0.01, 99))
def test_mark_is_not_finer_than_the_distance(distance: float) -> None:
    segment = mark(distance)
    assert len(segment.payload) <= 20
    read = read_mark([Segment(0xE0, b"JFIF"), segment])
    assert read is not None
    assert distance <= read <= distance + 1.0001e-4
    assert without_marks([segment, Segment(0xFE, b"x")]) == [Segment(0xFE, b"x")]


def test_mark_text() -> None:
    assert mark(1).payload == b"guetzpy d=1.00"
    assert mark(1.1).payload == b"guetzpy d=1.10"
    assert mark(0.35).payload == b"guetzpy d=0.35"
    assert mark(1.23456).payload == b"guetzpy d=1.2346"
    for bad in (0.0, -1.0, 100.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="distance"):
            mark(bad)


@pytest.mark.parametrize(
    "payload",
    [
        b"guetzpy d=1", b"guetzpy d=1.00\n", b"guetzpy d=nan", b"guetzpy d=1e9", b"guetzpy d=0.00",
        b"guetzpy d=99.5", b" guetzpy d=1.00", b"guetzpy d=-1.00", b"guetzpy d=\xd9\xa1.00",
        b"guetzpy d=100.00", b"",
    ],
)  # fmt: skip
def test_marks_that_are_none(payload: bytes) -> None:
    assert read_mark([Segment(0xFE, payload)]) is None
    assert read_mark([Segment(0xFE, payload), mark(2.0), mark(0.5)]) == 2.0
    assert read_mark([Segment(0xE1, b"guetzpy d=1.00")]) is None


# Segments for pictures that were no JPEG


def test_segments_for_are_read_by_pillow() -> None:
    profile = bytes(range(256)) * 600  # three segments
    packet = jpeg_files.xmp('xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png"')
    tiff = jpeg_files.exif()
    segments = segments_for(
        icc=profile, exif_data=tiff, xmp_data=packet, dpi=(300, 299.6), comment=b"caf\xc3\xa9"
    )
    assert segments[0].marker == 0xE0
    assert [kind_of(s) for s in segments] == ["jfif", "exif", "xmp", "icc", "icc", "icc", "comment"]
    assert max(len(s.payload) for s in segments) <= 65533
    with Image.open(io.BytesIO(whole(segments))) as picture:
        assert picture.info["icc_profile"] == profile
        assert picture.info["dpi"] == (300, 300)
        assert picture.info["exif"] == exif.HEADER + tiff
        assert picture.info["xmp"] == packet
        assert picture.info["comment"] == b"caf\xc3\xa9"
    assert segments_for(exif_data=exif.HEADER + tiff)[1].payload == exif.HEADER + tiff


def test_segments_for_nothing() -> None:
    (jfif,) = segments_for()
    assert jfif.payload == b"JFIF\0\1\1\0\0\1\0\1\0\0"
    with Image.open(io.BytesIO(whole([jfif]))) as picture:
        assert "dpi" not in picture.info
    assert segments_for(dpi=(1e9, 0.0))[0].payload[7:12] == b"\1\xff\xff\0\1"


@pytest.mark.parametrize(
    "arguments",
    [{"exif_data": bytes(65528)}, {"icc": bytes(65519 * 255 + 1)}, {"comment": bytes(65534)}],
    ids=["exif", "icc", "comment"],
)
def test_segments_too_large(arguments: dict[str, bytes]) -> None:
    with pytest.raises(LimitError, match="does not fit"):
        segments_for(**arguments)  # type: ignore[arg-type]
    assert segments_for(**{name: data[:-1] for name, data in arguments.items()})  # type: ignore[arg-type]
