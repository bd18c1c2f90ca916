"""Kinds of metadata, policies, ICC profiles, the mark, and new segments."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import jpeg_files

from guetzpy.errors import LimitError
from guetzpy.jpeg.metadata import exif, xmp
from guetzpy.jpeg.metadata.policy import (
    KINDS,
    PARTS,
    Policy,
    icc_profile,
    kind_of,
    mark,
    read_mark,
    segments_for,
    without_marks,
)
from guetzpy.jpeg.structure import JpegImage, Segment


def image_with(*segments: Segment) -> JpegImage:
    return JpegImage(8, 8, [], "ycbcr", segments=list(segments))


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
        (["exif"], ["all"], set(KINDS) - {"icc", "exif", *PARTS}),
        (["exif"], ["all", "gps"], set(KINDS) - {"icc", "exif", "place", "copyright", "thumbnail"}),
        (["exif", "gps"], ["all", "thumbnail"], set(KINDS) - {"icc", "exif", "gps", "place", "copyright"}),
        (["xmp"], [], set(KINDS) - {"icc", "xmp", "gps", "place", "copyright"}),
        (["gps"], ["all"], set(KINDS) - {"icc", "gps"}),
        (["thumbnail"], [], set(KINDS) - {"icc", "thumbnail"}),
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
    ],
)
def test_policy_rejects(keep: list[str], strip: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Policy.of(keep, strip)
    with pytest.raises(ValueError, match="all"):
        Policy(frozenset({"all"}))


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
    with Image.open(io.BytesIO(jpeg_files.only_with(*((s.marker, s.payload) for s in segments)))) as picture:
        assert icc_profile(image_with(*segments)) == picture.info.get("icc_profile")


# The mark


@settings(deadline=None)
@given(st.floats(0.01, 99))
def test_mark_is_not_finer_than_the_distance(distance: float) -> None:
    segment = mark(distance)
    assert len(segment.payload) == 14
    read = read_mark([Segment(0xE0, b"JFIF"), segment])
    assert read is not None
    assert distance <= read < distance + (0.01 if read < 10 else 0.1)
    assert distance < 0.1 or read <= 1.1 * distance
    assert without_marks([segment, Segment(0xFE, b"x")]) == [Segment(0xFE, b"x")]


@pytest.mark.parametrize(("text", "distance"), [(b"1.2346", 1.2346), (b"10.00", 10.0), (b"20.0001", 20.0001)])
def test_marks_of_earlier_versions_are_read(text: bytes, distance: float) -> None:
    assert read_mark([Segment(0xFE, b"guetzpy d=" + text)]) == distance


def test_mark_text() -> None:
    assert mark(1).payload == b"guetzpy d=1.00"
    assert mark(1.1).payload == b"guetzpy d=1.10"
    assert mark(0.35).payload == b"guetzpy d=0.35"
    assert mark(1.23456).payload == b"guetzpy d=1.24"
    assert mark(9.991).payload == b"guetzpy d=10.0"
    assert mark(10).payload == b"guetzpy d=10.0"
    assert mark(20.01).payload == b"guetzpy d=20.1"
    for bad in (0.0, -1.0, 100.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="distance"):
            mark(bad)


@pytest.mark.parametrize(
    "payload",
    [
        b"guetzpy d=1", b"guetzpy d=1.00\n", b"guetzpy d=nan", b"guetzpy d=1e9", b"guetzpy d=0.00",
        b"guetzpy d=99.5", b"guetzpy d=1.5", b" guetzpy d=1.00", b"guetzpy d=-1.00", b"guetzpy d=\xd9\xa1.00",
        b"guetzpy d=100.00", b"",
    ],
)  # fmt: skip
def test_marks_that_are_none(payload: bytes) -> None:
    assert read_mark([Segment(0xFE, payload)]) is None
    assert read_mark([Segment(0xFE, payload), mark(2.0), mark(0.5)]) == 2.0
    assert read_mark([Segment(0xE1, b"guetzpy d=1.00")]) is None


# Segments for pictures that are not JPEG files


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
    with Image.open(io.BytesIO(jpeg_files.only_with(*((s.marker, s.payload) for s in segments)))) as picture:
        assert picture.info["icc_profile"] == profile
        assert picture.info["dpi"] == (300, 300)
        assert picture.info["exif"] == exif.HEADER + tiff
        assert picture.info["xmp"] == packet
        assert picture.info["comment"] == b"caf\xc3\xa9"
    assert segments_for(exif_data=exif.HEADER + tiff)[1].payload == exif.HEADER + tiff


def test_segments_for_nothing() -> None:
    (jfif,) = segments_for()
    assert jfif.payload == b"JFIF\0\1\1\0\0\1\0\1\0\0"
    with Image.open(io.BytesIO(jpeg_files.only_with(*((s.marker, s.payload) for s in [jfif])))) as picture:
        assert "dpi" not in picture.info
    assert segments_for(dpi=(1e9, 0.0))[0].payload[7:12] == b"\1\xff\xff\0\1"


@pytest.mark.parametrize(
    "arguments",
    [{"icc": bytes(65519 * 255 + 1)}, {"comment": bytes(65534)}],
    ids=["icc", "comment"],
)
def test_segments_too_large(arguments: dict[str, bytes]) -> None:
    with pytest.raises(LimitError, match="does not fit"):
        segments_for(**arguments)  # type: ignore[arg-type]
    assert segments_for(**{name: data[:-1] for name, data in arguments.items()})  # type: ignore[arg-type]


def test_large_exif_takes_several_segments() -> None:
    """Regression: the picture was refused."""
    block = Image.Exif()
    block[0x0112], block[0x8298] = 6, "c" * 150_000
    segments = segments_for(exif_data=block.tobytes())
    assert [len(s.payload) for s in segments if kind_of(s) == "exif"] == [65533, 65533, 18992]
    with Image.open(io.BytesIO(jpeg_files.only_with(*((s.marker, s.payload) for s in segments)))) as picture:
        assert picture.getexif()[0x8298] == "c" * 150_000
        assert picture.getexif()[0x0112] == 6
