"""Which properties belong to a kind of metadata, and how the editors treat broken data."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import metadata_files
from reference.metadata_files import CITY

from guetzpy.jpeg.metadata import exif_parts, flir, iptc, photoshop, video
from guetzpy.jpeg.metadata.property_kinds import is_coordinate, is_place, tells_coordinates


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
        ("1.25, 3.75", False),
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
