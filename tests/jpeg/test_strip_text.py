"""Free text in comments, Exif and XMP is searched for coordinates; warnings name what is not searched."""

from __future__ import annotations

import pytest
from PIL import Image
from reference import jpeg_files, metadata_files

import guetzpy
from guetzpy.jpeg.metadata import xmp


@pytest.mark.parametrize(
    ("marker", "payload"),
    [
        (0xFE, b"48 deg 51' 30.13\" N, 2 deg 17' 40.13\" E"),
        (0xFE, b"$GPRMC,123519,A,4851.502,N,00217.669,E,022.4,084.4,230394,003.1,W*6A"),
        (0xE0, b"GPSX\0lat=48.858370;lon=2.294481"),
    ],
)
def test_segments_with_coordinates_in_text_go(marker: int, payload: bytes) -> None:
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(marker, payload))
    result = guetzpy.transcode(source, strip="gps")
    assert payload not in result.data
    assert any("it contains coordinates" in warning for warning in result.warnings)


@pytest.mark.parametrize("tag", [0x010F, 0x0131, 0x010E, 0xA420])
def test_every_text_of_exif_is_searched_for_coordinates(tag: int) -> None:
    given = Image.Exif()
    given[tag] = "48.85837, 2.29448"
    given[0x0110] = "a model"
    source = jpeg_files.picture(exif=given.tobytes())
    result = guetzpy.transcode(source, strip="gps")
    assert b"2.29448" not in result.data
    assert b"a model" in result.data


@pytest.mark.parametrize("kind", ["place", "copyright"])
def test_comments_within_xmp_are_blanked(kind: str) -> None:
    """They are free text, which may name a place or a person."""
    packet = jpeg_files.xmp('xmlns:a="urn:a"', "<!-- Jane Doe in Paris --><a:Rating>4</a:Rating>")
    segment = jpeg_files.segment(0xE1, xmp.HEADER + packet)
    result = guetzpy.transcode(jpeg_files.with_segments(jpeg_files.picture(), segment), strip=kind)
    assert b"Jane Doe" not in result.data
    assert b"Rating>4<" in result.data
    assert kind in result.removed


@pytest.mark.parametrize(("kind", "what"), [("place", "names of places"), ("copyright", "rights")])
def test_what_is_not_searched_is_said(kind: str, what: str) -> None:
    source = jpeg_files.with_segments(
        jpeg_files.picture(), jpeg_files.segment(0xFE, b"by Jane Doe in Paris"),
        jpeg_files.segment(0xE4, b"SOMEBODY in Paris"),
    )  # fmt: skip
    result = guetzpy.transcode(source, strip=kind)
    assert f"not searched for {what}: APP4 (SOMEBODY in Paris), COM" in result.warnings
    assert not guetzpy.transcode(source, strip=[kind, "comment", "unknown"]).warnings


@pytest.mark.parametrize("place", ["a tag of Exif", "a Photoshop resource", "an IPTC tag of Exif"])
def test_rights_that_are_kept_survive_in_copies(place: str) -> None:
    """XMP may stand in Exif and in Photoshop data only."""
    packet = jpeg_files.xmp(
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:a="urn:a" a:Secret="SECRET"',
        "<dc:creator><rdf:Seq><rdf:li>Ada Lovelace</rdf:li></rdf:Seq></dc:creator>",
    )
    datasets = metadata_files.dataset(80, b"Ada Lovelace") + metadata_files.dataset(105, b"SECRET")
    exif = Image.Exif()
    if place == "a Photoshop resource":
        payload = b"Photoshop 3.0\0" + metadata_files.resource(0x0424, packet)
        source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xED, payload))
    else:
        exif[0x02BC if place == "a tag of Exif" else 0x83BB] = packet if "IPTC" not in place else datasets
        exif[0x0110] = "SECRET"
        source = jpeg_files.picture(exif=exif.tobytes())
    assert source.count(b"Ada Lovelace") == 1
    result = guetzpy.transcode(source, strip="all", keep="copyright")
    assert b"Ada Lovelace" in result.data
    assert b"SECRET" not in result.data
