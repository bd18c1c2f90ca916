"""Lossless transcoding as a whole: pixels, metadata, gain maps and other data after the picture."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from reference import jpeg_files, reader_files

from guetzpy.errors import FormatError, LimitError, UnsupportedError
from guetzpy.jpeg import markers, transcode
from guetzpy.jpeg.metadata import exif, xmp
from guetzpy.jpeg.metadata.policy import KINDS, Policy, kind_of, mark
from guetzpy.jpeg.metadata.preservation import carry, describe, splice
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.jpeg.transcode import same_pixels, transcode_bytes
from guetzpy.jpeg.writer import write
from guetzpy.picture.profiles import adobe_rgb

GPS = b"GPS-SECRET-LATITUDE-DATA"


def parsed(data: bytes) -> JpegImage:
    return read(data)


def test_pixels_coefficients_and_metadata_stay() -> None:
    profile = bytes(range(256)) * 300
    source = jpeg_files.with_segments(
        jpeg_files.picture(200, 150, icc_profile=profile, dpi=(300, 300), comment=b"hello"),
        jpeg_files.segment(0xE1, exif.HEADER + jpeg_files.exif()),
        jpeg_files.segment(0xEB, b"unknown data"),
    )
    result = transcode_bytes(source)
    assert result.status == "lossless"
    assert result.reason == ""
    assert result.removed == []
    assert len(result.data) < len(source)
    assert same_pixels(source, result.data)
    before, after = parsed(source), parsed(result.data)
    assert after.segments == before.segments
    for a, b in zip(before.components, after.components, strict=True):
        assert np.array_equal(a.coefficients, b.coefficients)
        assert np.array_equal(a.qtable, b.qtable)
    with Image.open(io.BytesIO(result.data)) as picture:
        assert picture.info["icc_profile"] == profile
        assert picture.info["dpi"] == (300, 300)


def test_a_second_run_keeps_every_byte() -> None:
    first = transcode_bytes(jpeg_files.picture(120, 90))
    second = transcode_bytes(first.data)
    assert second.status == "kept"
    assert second.reason == "already optimal"
    assert second.data == first.data


@pytest.mark.parametrize("script", ["auto", "sequential"])
@pytest.mark.parametrize("interval", [0, 3])
def test_script_and_restarts(script: str, interval: int) -> None:
    source = jpeg_files.picture(160, 120, quality=75)
    result = transcode_bytes(source, script=script, restart_interval=interval)  # type: ignore[arg-type]
    image = parsed(result.data)
    assert image.restart_interval == (interval if result.status == "lossless" else 0)
    assert script == "auto" or not image.progressive
    assert len(result.data) <= len(source)
    assert same_pixels(source, result.data)


def test_missing_eoi_is_made_good() -> None:
    whole = jpeg_files.picture(64, 64)
    result = transcode_bytes(whole[:-2])
    assert result.status == "lossless"
    assert result.data.endswith(b"\xff\xd9")
    assert same_pixels(whole, result.data)


def test_eoi_is_put_before_data_that_no_decoder_accepts() -> None:
    """A second frame header follows the last scan (T.81 B.2.1 allows one); libjpeg-turbo rejects it."""
    whole = jpeg_files.picture(64, 64)
    after = b"\xff\xc0\x00\x02"
    result = transcode_bytes(whole[:-2] + after)
    assert result.status == "lossless"
    assert result.data.endswith(b"\xff\xd9" + after)
    assert same_pixels(whole, result.data)
    assert "counts as trailing data" in str(result.warnings)


def test_unsent_coefficients_are_kept_and_still_stripped() -> None:
    progressive = jpeg_files.picture(64, 64, progressive=True, comment=b"to go")
    cut = progressive.rindex(b"\xff\xda")  # removes the last scan
    source = progressive[:cut] + b"\xff\xd9"
    kept = transcode_bytes(source)
    assert (kept.status, kept.data) == ("kept", source)
    assert "sent in full" in kept.reason
    stripped = transcode_bytes(source, Policy.of(strip=["comment"]))
    assert stripped.status == "lossless"
    assert stripped.removed == ["comment"]
    assert "sent in full" in stripped.reason
    assert b"to go" not in stripped.data
    assert len(stripped.data) == len(source) - 9
    assert same_pixels(source, stripped.data)


def test_truncated_needs_repair() -> None:
    source = jpeg_files.picture(160, 120)
    cut = source[: len(source) * 2 // 3]
    with pytest.raises(FormatError, match="truncated"):
        transcode_bytes(cut)
    result = transcode_bytes(cut, repair=True)
    assert result.status == "lossless"
    with Image.open(io.BytesIO(result.data)) as picture, Image.open(io.BytesIO(source)) as whole:
        assert np.array_equal(np.asarray(picture)[:32], np.asarray(whole)[:32])


def test_errors_pass_through() -> None:
    with pytest.raises(FormatError):
        transcode_bytes(b"no JPEG at all")
    with pytest.raises(LimitError):
        transcode_bytes(jpeg_files.picture(), limits=Limits(max_pixels=100))
    arithmetic = jpeg_files.picture().replace(b"\xff\xc0", b"\xff\xc9")
    with pytest.raises(UnsupportedError, match="arithmetic"):
        transcode_bytes(arithmetic)


def test_a_repaired_file_that_only_its_source_kept_from_decoders() -> None:
    """libjpeg-turbo does not read a height from a DNL segment, so there are no pixels to compare with."""
    planes = reader_files.random_planes(45, 20, [(1, 1)])
    whole = reader_files.handmade(45, 20, [(1, 1)], planes, lines=0, between=markers.dnl_segment(45))
    start, end = whole.index(b"\xff\xda") + 10, whole.index(b"\xff\xdc")
    source = whole[: (start + end) // 2] + whole[end:]
    assert same_pixels(source, source) is None
    assert transcode_bytes(source).data == source
    result = transcode_bytes(source, repair=True)
    assert (result.status, result.warnings) == ("lossless", ["truncated: 2 of 6 MCU rows"])
    with Image.open(io.BytesIO(result.data)) as picture:
        assert picture.size == (20, 45)
        picture.load()
    rows = parsed(result.data).components[0].coefficients
    np.testing.assert_array_equal(rows[:2], planes[0][:2])


def test_a_wrong_file_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(image: JpegImage, **options: object) -> bytes:
        first, *others = image.components
        changed = first.coefficients.copy()
        changed[0, 0, 0] += 1
        return write(replace(image, components=[replace(first, coefficients=changed), *others]), **options)  # type: ignore[arg-type]

    source = jpeg_files.picture()
    monkeypatch.setattr(transcode, "write", faulty)
    result = transcode_bytes(source)
    assert (result.status, result.data) == ("kept", source)
    assert result.reason == "the new file does not have the same coefficients"


def test_a_profile_behind_the_frame_header_is_kept_where_it_is() -> None:
    """Pillow ignores it there; in the new file, Pillow would read it and show other colours."""
    plain = jpeg_files.picture()
    at = plain.index(b"\xff\xc4")
    assert plain.index(b"\xff\xc0") < at
    source = plain[:at] + jpeg_files.segment(0xE2, b"ICC_PROFILE\0\1\1" + adobe_rgb(3)) + plain[at:]
    result = transcode_bytes(source)
    assert (result.status, result.data) == ("kept", source)
    assert result.reason == "Pillow would read another ICC profile"


def test_segments_that_cannot_be_located_are_not_stripped() -> None:
    source = jpeg_files.with_a_hidden_segment(b"SECRET")
    assert [s.payload for s in parsed(source).segments][-1] == b"SECRET"
    assert transcode_bytes(source).data == source
    with pytest.raises(UnsupportedError, match="nothing is stripped; restart markers of scan 1 are out"):
        transcode_bytes(source, Policy.of(strip=["comment"]))


# Metadata by policy


def full() -> bytes:
    """Return a file with metadata of every kind."""
    packet = jpeg_files.xmp('xmlns:e="http://ns.adobe.com/exif/1.0/" e:GPSLatitude="GPS-SECRET" e:Flash="1"')
    resources = b"8BIM\x04\x0c\0\0\0\0\0\x06THUMB!" + b"8BIM\x04\x04\0\0\0\0\0\x04IPTC"
    return (
        jpeg_files.with_segments(
            jpeg_files.picture(100, 80, icc_profile=b"profile" * 30, comment=b"comment"),
            jpeg_files.segment(0xE1, exif.HEADER + jpeg_files.exif()),
            jpeg_files.segment(0xE1, xmp.HEADER + packet),
            jpeg_files.segment(0xED, b"Photoshop 3.0\0" + resources),
            jpeg_files.segment(0xE0, b"JFXX\0\x10THUMBNAIL"),
            jpeg_files.segment(0xEC, b"Ducky"),
            jpeg_files.segment(0xEE, b"Adobe\0d\0\0\0\0\1"),
            jpeg_files.segment(0xFE, mark(1.0).payload),
        )
        + b"trailing bytes"
    )


@pytest.mark.parametrize("kind", ["exif", "icc", "xmp", "iptc", "comment", "unknown"])
def test_strip_whole_segments(kind: str) -> None:
    source = full()
    result = transcode_bytes(source, Policy.of(strip=[kind]))
    assert kind in result.removed
    kinds = [kind_of(s) for s in parsed(source).segments]
    after = parsed(result.data)
    left = [kind_of(s) for s in after.segments]
    if kind == "exif":
        assert left == kinds
        assert after.segments[kinds.index("exif")].payload == exif.minimal(6)
        assert result.removed == ["exif", "gps", "thumbnail"]
    else:
        assert left == [k for k in kinds if k != kind]
        assert result.removed == (["gps", "xmp"] if kind == "xmp" else [kind])
    assert after.trailing == b"trailing bytes"
    assert same_pixels(source, result.data)


def test_strip_gps() -> None:
    source = full()
    assert source.count(b"GPS-SECRET") == 2
    result = transcode_bytes(source, Policy.of(strip=["gps"]))
    assert result.removed == ["gps"]
    assert b"GPS-SECRET" not in result.data
    assert b"MAKER NOTE WITH OFFSETS" in result.data
    assert any("not searched" in warning for warning in result.warnings)
    assert describe(result.data, parsed(result.data)).keys() == describe(source, parsed(source)).keys() - {
        "gps"
    }


def test_strip_thumbnails() -> None:
    source = full()
    result = transcode_bytes(source, Policy.of(strip=["thumbnail"]))
    assert result.removed == ["thumbnail"]
    assert b"THUMB" in source
    assert b"THUMB" not in result.data
    assert b"IPTC" in result.data
    assert b"MAKER NOTE WITH OFFSETS" in result.data


def test_strip_all() -> None:
    source = full()
    result = transcode_bytes(source, Policy.of(strip=["all"]))
    image = parsed(result.data)
    assert [kind_of(s) for s in image.segments] == ["exif", "adobe", "mark", "jfif", "icc"]
    assert image.trailing == b""
    assert set(result.removed) == set(KINDS) - {"icc", "mpf", "gainmap", "place", "copyright"}
    bare = transcode_bytes(source, Policy.of(strip=["all", "icc"]))
    assert [kind_of(s) for s in parsed(bare.data).segments] == ["exif", "adobe", "mark", "jfif"]
    upright = source.replace(jpeg_files.exif(), jpeg_files.exif(orientation=1))
    assert "exif" not in [
        kind_of(s) for s in parsed(transcode_bytes(upright, Policy.of(strip=["all"])).data).segments
    ]


def test_unreadable_exif_goes_rather_than_gps_stays() -> None:
    broken = bytearray(jpeg_files.exif())
    at = broken.index(struct.pack("<HHI", 0x8825, 4, 1)) + 8
    broken[at : at + 4] = struct.pack("<I", 10)  # an offset into the main directory
    source = jpeg_files.with_segments(
        jpeg_files.picture(), jpeg_files.segment(0xE1, exif.HEADER + bytes(broken))
    )
    result = transcode_bytes(source, Policy.of(strip=["gps"]))
    assert GPS not in result.data
    assert any(warning.startswith("EXIF") for warning in result.warnings)
    (payload,) = [s.payload for s in parsed(result.data).segments if kind_of(s) == "exif"]
    assert payload == exif.minimal(6)


def test_exif_over_several_segments() -> None:
    tiff = jpeg_files.exif(note=b"N" * 300)
    pieces = [exif.HEADER + tiff[i : i + 200] for i in range(0, len(tiff), 200)]
    source = jpeg_files.with_segments(
        jpeg_files.picture(), *(jpeg_files.segment(0xE1, piece) for piece in pieces)
    )
    result = transcode_bytes(source, Policy.of(strip=["gps", "thumbnail"]))
    rest = b"".join(s.payload[6:] for s in parsed(result.data).segments if kind_of(s) == "exif")
    assert rest == exif.without_thumbnail(exif.without_gps(tiff))
    assert result.removed == ["gps", "thumbnail"]


def test_c2pa_is_kept_with_a_warning() -> None:
    source = jpeg_files.with_segments(
        jpeg_files.picture(), jpeg_files.segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdc2pa")
    )
    result = transcode_bytes(source)
    assert any("C2PA" in warning for warning in result.warnings)
    assert b"jumdc2pa" in result.data


def test_splice_returns_the_source_if_nothing_goes() -> None:
    source = full()
    image = parsed(source)
    assert splice(source, image, carry(source, image)) == source
    other = replace(image, segments=[*image.segments, Segment(0xFE, b"not in the file")])
    assert splice(source, other, carry(source, other)) is None
