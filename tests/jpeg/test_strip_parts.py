"""Which properties belong to a kind of metadata, and how the editors treat broken data."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import jpeg_files, metadata_files
from reference.jpeg_files import directory
from reference.metadata_files import CITY

import guetzpy
from guetzpy.jpeg.metadata import exif, exif_parts, flir, iptc, photoshop, video
from guetzpy.jpeg.metadata.property_kinds import is_coordinate, is_copyright, is_place, tells_coordinates


@pytest.mark.parametrize(
    ("space", "name", "coordinate", "place"),
    [
        ("http://www.dji.com/drone-dji/1.0/", "LRFTargetAbsAlt", True, False),
        ("http://www.dji.com/drone-dji/1.0/", "RtkStdLon", True, False),
        ("http://www.dji.com/drone-dji/1.0/", "GimbalYawDegree", False, False),
        ("http://www.dji.com/drone-dji/1.0/", "LRFTargetDistance", True, False),
        ("https://www.skydio.com/drone-skydio/1.0/", "CameraPositionECEF", True, False),
        ("http://www.parrot.com/drone-parrot/1.0/", "TakeOffLocation", True, False),
        ("http://www.opengis.net/kml/2.2", "Point", True, False),
        ("http://example.org/survey/", "Northing", True, False),
        ("http://example.org/survey/", "geoPoint", True, False),
        ("http://example.org/survey/", "cameralatitude", True, False),
        ("http://example.org/survey/", "OpenLocationCode", True, False),
        ("http://example.org/survey/", "geometry", False, False),
        ("http://example.org/survey/", "x", True, False),
        ("http://example.org/survey/", "Y", True, False),
        ("http://example.org/survey/", "max", False, False),
        ("http://example.org/survey/", "cameralat", True, False),
        ("http://example.org/survey/", "homelng", True, False),
        ("http://example.org/survey/", "flat", False, False),
        ("http://example.org/survey/", "salon", False, False),
        ("http://ns.adobe.com/xmp/sType/Area#", "x", False, False),
        ("http://ns.microsoft.com/photo/1.2/t/Region#", "y", False, False),
        ("http://rs.tdwg.org/dwc/terms/", "minimumElevationInMeters", True, False),
        ("http://rs.tdwg.org/dwc/terms/", "stateProvince", False, True),
        ("http://ns.google.com/photos/1.0/panorama/", "PosePitchDegrees", True, False),
        ("http://ns.google.com/photos/1.0/panorama/", "FullPanoWidthPixels", False, False),
        ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "AltTextAccessibility", False, False),
        ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "CiAdrCity", False, False),
        ("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "Alt", False, False),
        ("http://ns.adobe.com/camera-raw-settings/1.0/", "LateralChromaticAberration", False, False),
        ("http://ns.adobe.com/photoshop/1.0/", "State", False, True),
        ("http://ns.adobe.com/photoshop/1.0/", "ColorMode", False, False),
    ],
)
def test_names_of_properties(space: str, name: str, coordinate: bool, place: bool) -> None:
    assert (is_coordinate(space, name), is_place(space, name)) == (coordinate, place)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("geo:lon=2.2945", True),
        ("Latitude: -33.85", True),
        ("48.8582, 2.2945", True),
        ("48°51'29.6\"N", True),
        ("+48.8577+002.295/", True),
        ('{"MAPLatitude":48.8583,"MAPLongitude":2.29}', True),
        ("east=2.2944; north=48.8583", True),
        ("Set exif:GPSLatitude to 48.8583", True),
        ("https://www.openstreetmap.org/#map=18/48.85837/2.29448", True),
        ("N 48.85837 E 2.29448", True),
        ("48.85837 N, 2.29448 E", True),
        ("from north to south in 5 days", False),
        ("f/2.8, 1/250 s, ISO 100", False),
        ("a latitude of choices", False),
        ("POINT(2.2945 48.8583)", True),
        ("1.25, 3.75", False),
        ("48 deg 51' 30.13\" N, 2 deg 17' 40.13\" E", True),
        ("48 deg 51 min 30 sec N", True),
        ("$GPRMC,123519,A,4851.502,N,00217.669,E,022.4,084.4,230394,003.1,W*6A", True),
        ("$GNGGA,123519,4851.502,N", True),
        ("at (48.858370 2.294481)", True),
        ("<a>48.858370 2.294481</a>", True),
        ("0.412456 0.357576 0.180438", False),
        ("12 0.412456 0.357576", False),
        ("0.3127 0.3290", False),
        ('{"y":48.858370,"x":2.294481}', True),
        ('{"x":0.5,"y":0.25}', False),
        ("geohash u09tunqu", True),
        ("8FW4V75V+8Q", True),
        ("iVBORw0KGgo8FW4V75V+8QAAAA", False),
        ("45 deg rotated", False),
    ],
)
def test_coordinates_in_text(text: str, found: bool) -> None:
    assert tells_coordinates(text) == found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6), st.sampled_from([0, 1, 2, 3])
)
def test_broken_parts_are_edited_or_refused(changes: list[tuple[int, int]], which: int) -> None:
    """Editing raises ValueError only, and never returns more bytes than it was given."""
    whole = (
        metadata_files.tiff(),
        metadata_files.resources(),
        metadata_files.video(),
        metadata_files.thermal(),
    )[which]
    data = bytearray(whole)
    for at, value in changes:
        data[at % len(data)] = value
    broken = bytes(data)
    try:
        if which == 0:
            for kind in ("gps", "place", "copyright", "thumbnail"):
                assert len(exif_parts.without(broken, kind)) <= len(broken)
            exif_parts.minimal(broken, ["gps", "copyright", "thumbnail"])
        elif which == 1:
            edit = exif_parts.photoshop_edit("place")
            assert len(photoshop.edited_stream(broken, edit)) <= len(broken)
        elif which == 2:
            assert len(video.without_gps(broken)[0]) == len(broken)
        else:
            assert len(flir.without_gps([broken])[0]) == len(broken)
    except ValueError:
        pass


def test_iptc_lengths() -> None:
    long = bytes((0x1C, 2, 120, 0x80, 4)) + struct.pack(">I", 40000) + b"c" * 40000
    stream = metadata_files.dataset(90, CITY) + long
    assert [(d.number, len(d.value)) for d in iptc.datasets(stream)] == [(90, len(CITY)), (120, 40000)]
    assert iptc.without(stream, lambda d: d.number == 90) == long
    with pytest.raises(ValueError, match="beyond"):
        list(iptc.datasets(long[:-1]))


@pytest.mark.parametrize(
    ("space", "name", "right"),
    [
        ("http://ns.adobe.com/pdf/1.3/", "Author", True),
        ("http://ns.acdsee.com/iptc/1.0/", "copyright", True),
        ("http://prismstandard.org/namespaces/prismusagerights/2.1/", "creditLine", True),
        ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "AOCopyrightNotice", True),
        ("http://ns.adobe.com/xap/1.0/", "CreatorTool", False),
        ("http://ns.adobe.com/photoshop/1.0/", "CaptionWriter", False),
    ],
)
def test_names_of_rights(space: str, name: str, right: bool) -> None:
    assert is_copyright(space, name) == right


BOX = metadata_files.box
PLACE = b"+48.858222+002.294500/"
#: Boxes of a video's moov box or beside it.
LOCATED = {
    "item of another handler": BOX(b"udta", BOX(b"meta", bytes(4), BOX(b"ilst", BOX(b"\xa9xyz", PLACE)))),
    "free": BOX(b"free", PLACE),
    "user data in free space": BOX(b"skip", BOX(b"udta", BOX(b"loci", b"48.858222"))),
    "unknown GPS": BOX(b"udta", BOX(b"gps0", b"48.858222 2.294500")),
    "Xtra": BOX(b"udta", BOX(b"Xtra", b"lat 48.858222")),
    "XML": BOX(b"meta", bytes(4), BOX(b"xml ", b"<Latitude>48.858222</Latitude>")),
}


@pytest.mark.parametrize("name", LOCATED)
@pytest.mark.parametrize("beside", [False, True])
def test_boxes_of_videos(name: str, beside: bool) -> None:
    found = LOCATED[name]
    inner, outer = (b"", found) if beside else (found, b"")
    source = BOX(b"ftyp", b"isom") + BOX(b"moov", BOX(b"mvhd", bytes(100)), inner) + outer
    after, searched = video.without_gps(source)
    assert searched
    assert len(after) == len(source)
    assert b"48.858222" not in after
    assert b"mvhd" in after


def test_coordinates_among_samples_are_told() -> None:
    moov = BOX(b"moov", BOX(b"mvhd", bytes(100)))
    for samples, whole in ((b"\x01\x02FRAMES", True), (b"$GPRMC,123519,A,4851.4933,N,00217.67,E", False)):
        source = BOX(b"ftyp", b"isom") + BOX(b"mdat", samples) + moov
        assert video.without_gps(source) == (source, whole)


@pytest.mark.parametrize(("strip", "keep"), [("gps", ""), ("place", ""), ("all", ""), ("all", "unknown")])
def test_bytes_after_the_fields_of_jfif_and_adobe(strip: str, keep: str) -> None:
    plain = jpeg_files.picture()
    long = jpeg_files.segment(0xE0, plain[6:20] + b"48.858222, 2.294500")
    long += jpeg_files.segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01" + b"48.858222, 2.294500")
    result = guetzpy.transcode(plain[:2] + long + plain[20:], strip=strip, keep=keep or ())
    assert (b"48.858222" in result.data) == bool(keep)
    assert ("unknown" in result.removed) != bool(keep)


def test_thumbnail_of_jfxx_is_searched() -> None:
    inner = jpeg_files.with_segments(
        jpeg_files.picture(16, 16), jpeg_files.segment(0xFE, b"48.858222, 2.294500")
    )
    plain = jpeg_files.picture()
    source = plain[:20] + jpeg_files.segment(0xE0, b"JFXX\0\x10" + inner) + plain[20:]
    result = guetzpy.transcode(source, strip="gps")
    assert b"JFXX" in result.data
    assert b"48.858222" not in result.data
    assert result.removed == ("gps",)


@pytest.mark.parametrize("command", [guetzpy.transcode, guetzpy.optimize])
def test_area_of_gps_is_a_place(command: object) -> None:
    """GPSAreaInformation goes with place, in EXIF and XMP, and can be kept without the coordinates."""
    area = b"ASCII\0\0\0Champ de Mars"
    position = metadata_files.rational((48, 1), (51, 1), (296, 10))
    rows = [(1, 2, 2, b"N\0"), (2, 5, 3, position), (28, 7, len(area), area)]
    tiff = directory("<", 8, [(0x8825, 4, 1, struct.pack("<I", 26))], 0)
    block = b"II*\0\x08\0\0\0" + tiff + directory("<", 26, rows, 0)
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, exif.HEADER + block))
    for strip, keep, expected in (
        ("place", (), (False, True)),
        ("gps", (), (False, False)),
        ("all", "place", (True, False)),
        ("all", "gps", (False, True)),
        ("all", ("gps", "place"), (True, True)),
    ):
        data = command(source, strip=strip, keep=keep, threads=1).data  # type: ignore[operator]
        assert (b"Champ de Mars" in data, position in data) == expected, (strip, keep)
    assert is_place("http://ns.adobe.com/exif/1.0/", "GPSAreaInformation")


def test_the_pixels_of_a_jfif_segment_are_a_thumbnail() -> None:
    plain = jpeg_files.picture()
    jfif = plain[6:18] + b"\2\1" + b"PIXELS"
    source = plain[:2] + jpeg_files.segment(0xE0, jfif) + plain[20:]
    result = guetzpy.transcode(source, strip="thumbnail")
    assert result.removed == ("thumbnail",)
    assert b"PIXELS" not in result.data
    assert b"PIXELS" in guetzpy.transcode(source, strip="gps").data
