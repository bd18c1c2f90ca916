"""Stripped metadata is removed from every place: coordinates, names of places, rights, all unless kept."""

from __future__ import annotations

import io
import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reference import jpeg_files, metadata_files
from reference.metadata_files import CITY, OWNER, SECRETS

import guetzpy
from guetzpy.jpeg.metadata import exif, exif_parts, flir, photoshop, video, xmp, xmp_segments
from guetzpy.jpeg.metadata.policy import kind_of
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.transcode import same_pixels

needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not there")


def tags(data: bytes, tmp_path: Path, *options: str) -> dict[str, object]:
    """Return all tags that ExifTool finds in a file, by group and name."""
    path = tmp_path / "dump.jpg"
    path.write_bytes(data)
    command = ["exiftool", "-j", "-a", "-G1", "-ee3", "-U", "-n", "-x", "System:all", *options, str(path)]
    (found,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def named(found: dict[str, object], pattern: str) -> list[str]:
    return [name for name in found if re.search(pattern, name, re.IGNORECASE)]


def test_the_file_holds_what_is_looked_for() -> None:
    data = metadata_files.everything()
    for secret in (*SECRETS, CITY, OWNER):
        assert secret in data


@pytest.mark.parametrize("command", [guetzpy.transcode, guetzpy.optimize])
def test_no_coordinate_is_left(command: object) -> None:
    source = metadata_files.everything()
    result = command(source, strip="gps", threads=1)  # type: ignore[operator]
    for secret in SECRETS:
        assert secret not in result.data
    assert "gps" in result.removed
    for stays in (
        CITY,
        OWNER,
        b"THERMAL!",
        b"FRAMES",
        b"GUIDES",
        b"MAKER NOTE",
        b"The tower",
        b"0.123456, 0.654",
    ):
        assert stays in result.data
    (note,) = [warning for warning in result.warnings if warning.startswith("not searched")]
    assert note == "not searched for coordinates: APP4 (SOMEBODY), maker note"
    assert any("C2PA" in warning for warning in result.warnings)
    with Image.open(io.BytesIO(result.data)) as picture:
        assert picture.n_frames == 2
        assert picture.getexif()[0x0112] == 6


@pytest.mark.foreign
@needs_exiftool
def test_exiftool_finds_no_coordinates(tmp_path: Path) -> None:
    pattern = r"GPS|latitude|longitude|altitude|lrftarget|coordinates|Pose|jumb|jumd|c2pa"
    source = metadata_files.everything()
    before = named(tags(source, tmp_path), pattern)
    for sign in ("GPS:", "FLIR:", "XMP-exif:", ":LRFTargetLat", ":DecimalLatitude", ":Pose", "JUMBF:"):
        assert any(sign in name for name in before), sign
    assert named(tags(guetzpy.transcode(source, strip="gps").data, tmp_path), pattern) == []


@pytest.mark.foreign
@needs_exiftool
def test_exiftool_finds_no_coordinates_in_videos(tmp_path: Path) -> None:
    before = metadata_files.video()
    after, searched = video.without_gps(before)
    assert searched
    assert len(named(tags(before, tmp_path), "coordinates|location|gps")) >= 2
    assert named(tags(after, tmp_path), "coordinates|location|gps") == []


def test_video_with_other_tracks_is_said_not_to_be_searched() -> None:
    track = metadata_files.box(
        b"trak", metadata_files.box(b"mdia", metadata_files.box(b"hdlr", bytes(8), b"meta"))
    )
    data = metadata_files.box(b"ftyp", b"isom") + metadata_files.box(b"moov", track)
    assert video.without_gps(data) == (data, False)
    result = guetzpy.transcode(jpeg_files.picture() + data, strip="gps")
    assert "not searched for coordinates: video after the picture" in result.warnings


def test_no_name_of_a_place_is_left() -> None:
    result = guetzpy.transcode(metadata_files.everything(), strip="place")
    assert CITY not in result.data
    assert OWNER in result.data
    assert b'drone-dji:LRFTargetLat="48.858222"' in result.data
    assert "place" in result.removed
    assert any(
        "names of places: APP1 (FLIR), APP4 (SOMEBODY), APP6 (GoPro)" in warning
        for warning in result.warnings
    )


@pytest.mark.parametrize("number", [26, 27, 90, 92, 95, 100, 101])
def test_names_of_places_in_iptc(number: int) -> None:
    """Content location, city, sub-location, province, country code and name of record 2 of IIM 4.2."""
    parts = ((105, b"HEADLINE THAT STAYS"), (number, b"NAME OF A PLACE"))
    iim = b"".join(struct.pack(">BBBH", 0x1C, 2, key, len(text)) + text for key, text in parts)
    resource = b"8BIM" + struct.pack(">H2xI", 0x0404, len(iim)) + iim + b"\0" * (len(iim) % 2)
    payload = b"Photoshop 3.0\0" + resource
    segment = b"\xff\xed" + struct.pack(">H", 2 + len(payload)) + payload
    plain = jpeg_files.picture()
    result = guetzpy.transcode(plain[:2] + segment + plain[2:], strip="place")
    assert b"NAME OF A PLACE" not in result.data
    assert b"HEADLINE THAT STAYS" in result.data
    assert "place" in result.removed


@pytest.mark.foreign
@needs_exiftool
def test_exiftool_finds_no_place(tmp_path: Path) -> None:
    pattern = r":(city|sub-?location|location|locationshown\w*|province.*|country.*|locality)$"
    source = metadata_files.everything()
    assert len(named(tags(source, tmp_path), pattern)) >= 6
    assert named(tags(guetzpy.transcode(source, strip="place").data, tmp_path), pattern) == []


def test_no_right_is_left() -> None:
    result = guetzpy.transcode(metadata_files.everything(), strip="copyright")
    assert OWNER not in result.data
    assert CITY in result.data
    assert "copyright" in result.removed


def test_all_but_the_rights() -> None:
    """EXIF, XMP and IPTC are reduced to the rights, with nothing else."""
    result = guetzpy.transcode(metadata_files.everything(), strip="all", keep="copyright")
    for secret in (*SECRETS, CITY, b"The tower", b"GUIDES", b"Rating", b"MAKER NOTE"):
        assert secret not in result.data
    image = read(result.data)
    assert [kind_of(s) for s in image.segments] == ["exif", "xmp", "iptc", "jfif"]
    assert image.trailing == b""
    with Image.open(io.BytesIO(result.data)) as picture:
        found = picture.getexif()
        rights = {0x0112: 6, 0x013B: "Ada Lovelace", 0x8298: "(c) Ada Lovelace"}
        assert {tag: found[tag] for tag in rights} == rights
        assert set(found) - set(rights) <= {0x02BC, 0x83BB}  # XMP and IPTC data, which have rights too
    packet = image.segments[1].payload[len(xmp.HEADER) :]
    parsed = xmp.read_packet(packet)
    assert parsed is not None
    names = {name for name, _, _ in parsed.properties(lambda *_: True)}
    assert {"Credit", "WebStatement", "creator", "rights", "Licensor", "LicensorName"} <= names
    assert metadata_files.datasets(image.segments[2].payload) == [
        (0, b"\0\4"),
        (80, OWNER),
        (116, b"(c) " + OWNER),
    ]
    assert "copyright" not in result.removed
    assert {"gps", "place", "thumbnail", "exif", "xmp", "iptc"} <= set(result.removed)


def test_a_second_run_removes_nothing() -> None:
    """Regression: XMP that held nothing but the kept properties was said to be removed."""
    first = guetzpy.transcode(metadata_files.everything(), strip="all", keep="copyright")
    assert "xmp" in first.removed
    again = guetzpy.transcode(first.data, strip="all", keep="copyright")
    assert (again.status, again.removed, again.data) == ("kept", (), first.data)


@pytest.mark.parametrize("kind", ["gps", "place", "copyright", "thumbnail"])
def test_what_is_kept_by_name_survives_all(kind: str) -> None:
    signs = {"gps": b"48,51.4933N", "place": CITY, "copyright": OWNER}
    result = guetzpy.transcode(metadata_files.everything(), strip="all", keep=kind)
    for other, sign in signs.items():
        # The locations in LocationShown contain coordinates too.
        assert (sign in result.data) == (other == kind or (kind, other) == ("place", "gps"))
    image = read(result.data)
    tiff = next(s.payload for s in image.segments if kind_of(s) == "exif")[len(exif.HEADER) :]
    assert exif.orientation(tiff) == 6
    assert exif_parts.held(tiff) == ({kind} if kind != "place" else set())


@pytest.mark.parametrize("kind", ["icc", "comment", "unknown", "trailing", "mpf"])
def test_whole_kinds_that_are_kept_survive_all(kind: str) -> None:
    source = metadata_files.everything(jpeg_files.picture(icc_profile=b"profile" * 30))
    held = {kind_of(s) for s in read(source).segments}
    result = guetzpy.transcode(source, strip="all", keep=kind)
    image = read(result.data)
    assert {kind_of(s) for s in image.segments} == {"exif", "jfif", "icc", kind} & held | {"exif"}
    assert (b"FRAMES" in image.trailing) == (kind == "trailing")
    assert bool(re.search(rb"\xff\xd8\xff", image.trailing)) == (kind == "mpf")
    for secret in SECRETS[2:]:  # they are also removed from the pictures that stay
        assert secret not in result.data or kind == "unknown"


def test_gain_map_that_is_kept_is_found_without_the_rest_of_xmp() -> None:
    source = jpeg_files.ultra_hdr(video=b"\0\0\0\x18ftypmp42 video", primary_length=True)
    result = guetzpy.transcode(source, strip="all", keep="gainmap")
    image = read(result.data)
    packet = xmp.read_packet(
        next(s.payload for s in image.segments if kind_of(s) == "xmp")[len(xmp.HEADER) :]
    )
    assert packet is not None
    primary, gain_map = packet.items()
    assert primary.length == len(result.data) - len(image.trailing)
    assert (gain_map.semantic, gain_map.length) == ("GainMap", len(image.trailing))
    assert b"hdrgm:Version" in result.data
    assert b"MotionPhoto" not in result.data


def test_rights_in_the_exif_directory_survive_all() -> None:
    """Photographer (0xA437, Exif 3.0, 4.6.6) is not in the first directory, where Artist is."""
    rows = [(0xA437, 2, len(OWNER) + 1, OWNER + b"\0"), (0xA431, 2, 7, b"SERIAL\0")]
    head = jpeg_files.directory("<", 8, [(0x8769, 4, 1, struct.pack("<I", 26))])
    tiff = b"II*\0\x08\0\0\0" + head + jpeg_files.directory("<", 26, rows)
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, exif.HEADER + tiff))
    result = guetzpy.transcode(source, strip="all", keep="copyright")
    with Image.open(io.BytesIO(result.data)) as picture:
        assert dict(picture.getexif().get_ifd(0x8769)) == {0xA437: OWNER.decode()}
    assert guetzpy.transcode(result.data, strip="all", keep="copyright").data == result.data


@pytest.mark.parametrize(
    ("marker", "payload", "what"),
    [
        (0xE1, exif.HEADER + b"II*\0\xff\xff\xff\xff" + OWNER, "Exif"),
        (0xE1, xmp.HEADER + metadata_files.packet()[:-20], "XMP"),
        (0xED, photoshop.HEADER + b"8BIM\4\4\0\0\0\0\xff\xff" + OWNER, "Photoshop data"),
    ],
)
def test_rights_that_may_be_lost_are_told(marker: int, payload: bytes, what: str) -> None:
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(marker, payload))
    result = guetzpy.transcode(source, strip="all", keep="copyright")
    assert OWNER not in result.data
    assert f"{what} that cannot be edited is removed: copyright in it is lost" in result.warnings
    assert not guetzpy.transcode(source, strip="all").warnings


def test_kept_parts_survive_their_container_alone() -> None:
    result = guetzpy.transcode(metadata_files.everything(), strip="exif,xmp", keep="copyright")
    assert b"dc:creator" in result.data
    assert b"MAKER NOTE" not in result.data[: -len(read(result.data).trailing)]
    assert b"GUIDES" in result.data[: -len(read(result.data).trailing)]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_rights_of_other_formats(kind: str) -> None:
    stream = io.BytesIO()
    picture = Image.fromarray(np.arange(48 * 48 * 3, dtype=np.uint8).reshape(48, 48, 3))
    options: dict[str, object] = {"exif": exif.HEADER + metadata_files.tiff(orientation=1)}
    if kind == "WEBP":
        options |= {"lossless": True, "xmp": metadata_files.packet()}
    if kind == "TIFF":
        options = {"tiffinfo": {0x013B: "Ada Lovelace", 0x8298: "(c) Ada Lovelace", 0x010E: "48.858222"}}
    picture.save(stream, kind, **options)
    result = guetzpy.optimize(stream.getvalue(), strip="all", keep="copyright", threads=1)
    with Image.open(io.BytesIO(result.data)) as after:
        assert dict(after.getexif()) == {0x013B: "Ada Lovelace", 0x8298: "(c) Ada Lovelace"}
    assert (b"plus:LicensorName" in result.data) == (kind == "WEBP")
    for secret in SECRETS:
        assert secret not in result.data


def test_extended_xmp_and_the_rights_in_it() -> None:
    packet = metadata_files.packet().replace(
        b"<dc:rights>", b"<dc:title>" + b"x" * 70000 + b"</dc:title><dc:rights>"
    )
    source = jpeg_files.with_segments(
        jpeg_files.picture(), *(jpeg_files.segment(0xE1, p) for p in xmp_segments.payloads_of(packet))
    )
    result = guetzpy.transcode(source, strip="gps")
    for secret in SECRETS:
        assert secret not in result.data
    assert b"x" * 50000 in result.data
    kept = guetzpy.transcode(source, strip="all", keep="copyright")
    assert b"LicensorName" in kept.data
    assert len(kept.data) < len(jpeg_files.picture()) + 3000


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-be"])
def test_xmp_of_other_encodings(encoding: str) -> None:
    packet = metadata_files.packet().decode().encode(encoding)
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, xmp.HEADER + packet))
    result = guetzpy.transcode(source, strip="gps")
    assert "48.858222" not in result.data.replace(b"\0", b"").decode("latin-1")
    assert OWNER in result.data
    kept = guetzpy.transcode(source, strip="all", keep="copyright")
    assert b"<plus:LicensorName>Ada Lovelace" in kept.data


def test_xmp_that_cannot_be_read_goes() -> None:
    packet = metadata_files.packet().replace(b"</rdf:RDF>", b"")
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, xmp.HEADER + packet))
    for kind in ("gps", "place"):
        result = guetzpy.transcode(source, strip=kind)
        assert [kind_of(s) for s in read(result.data).segments] == ["jfif"]
        assert any("cannot be read" in warning for warning in result.warnings)


@pytest.mark.parametrize("kind", ["gps", "place", "copyright"])
def test_thumbnails_and_previews_are_searched(kind: str) -> None:
    """Thumbnails and previews are JPEG files that may have metadata of their own."""
    small = jpeg_files.with_segments(
        jpeg_files.picture(16, 12),
        jpeg_files.segment(0xE1, exif.HEADER + metadata_files.tiff(orientation=1)),
        jpeg_files.segment(0xE1, xmp.HEADER + metadata_files.packet()),
    )
    tiff = jpeg_files.exif(thumbnail=small, note=b"NOTE" + small + b"END", gps=None)
    resources = metadata_files.resource(0x040C, bytes(28) + small)
    source = jpeg_files.with_segments(
        jpeg_files.picture(),
        jpeg_files.segment(0xE1, exif.HEADER + tiff),
        jpeg_files.segment(0xED, photoshop.HEADER + resources),
    )
    signs = {"gps": SECRETS[1:], "place": (CITY,), "copyright": (OWNER,)}[kind]
    assert all(source.count(sign) >= 3 for sign in signs if sign in source)
    result = guetzpy.transcode(source, strip=kind)
    assert not any(sign in result.data for sign in signs)
    repacked = guetzpy.transcode(source).data  # its thumbnail is smaller already
    sizes = [[len(s.payload) for s in read(data).segments] for data in (repacked, result.data)]
    assert sizes[0] == sizes[1]
    (before,), (after,) = (
        [s.payload[6:] for s in read(data).segments if kind_of(s) == "exif"]
        for data in (repacked, result.data)
    )
    assert exif.part_sizes(before)["thumbnail"] == exif.part_sizes(after)["thumbnail"]
    assert b"END" in after


def test_pictures_nested_in_pictures_end() -> None:
    nested = jpeg_files.exif(gps=None, thumbnail=None)
    for _ in range(40):
        nested = jpeg_files.exif(
            gps=None,
            note=b"",
            thumbnail=b"\xff\xd8\xff\xe1"
            + struct.pack(">H", len(nested) + 8)
            + exif.HEADER
            + nested
            + b"\xff\xd9",
        )
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, exif.HEADER + nested))
    assert guetzpy.transcode(source, strip="gps").status == "lossless"


def test_thermal_data_that_cannot_be_read_goes() -> None:
    payload = metadata_files.thermal()
    assert flir.without_gps([payload])[0] != payload
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, payload[:100]))
    result = guetzpy.transcode(source, strip="gps")
    assert b"FLIR" not in result.data
    assert any("FLIR" in warning for warning in result.warnings)


def test_layers_of_jpeg_xt_are_no_manifest() -> None:
    layer = b"JP\0\1\0\0\0\1\0\0\0\x40RESI" + bytes(range(200, 250))
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xEB, layer))
    result = guetzpy.transcode(source, strip="gps")
    assert layer in result.data
    assert any("APP11" in warning for warning in result.warnings)


def test_a_file_without_coordinates_is_changed_by_nothing_but_packing() -> None:
    source = jpeg_files.with_segments(
        jpeg_files.picture(), jpeg_files.segment(0xE1, exif.HEADER + jpeg_files.exif(gps=None))
    )
    assert guetzpy.transcode(source, strip="gps").data == guetzpy.transcode(source).data


@pytest.mark.parametrize("strip", ["gps", "place", "copyright", "thumbnail", "exif", "xmp", "iptc", "all"])
def test_pictures_stay(strip: str) -> None:
    source = metadata_files.everything()
    result = guetzpy.transcode(source, strip=strip)
    assert same_pixels(source, result.data)
    if strip != "all":
        with Image.open(io.BytesIO(result.data)) as picture, Image.open(io.BytesIO(source)) as before:
            for frame in (0, 1):
                picture.seek(frame)
                before.seek(frame)
                assert picture.tobytes() == before.tobytes()
