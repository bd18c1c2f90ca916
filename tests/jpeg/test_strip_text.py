"""Free text in comments, Exif and XMP is searched for coordinates; warnings name what is not searched."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from reference import jpeg_files, metadata_files

import guetzpy
from guetzpy.jpeg.metadata import xmp, xmp_segments


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


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le", "utf-16", "utf-32"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_xmp_of_other_encodings_is_searched(encoding: str, wrapped: bool) -> None:
    packet = jpeg_files.xmp('xmlns:e="http://ns.adobe.com/exif/1.0/" e:GPSLatitude="48,51.3N" e:Flash="1"')
    if not wrapped:
        packet = re.sub(rb"<\?.*?\?>", b"", packet)
    segment = jpeg_files.segment(0xE1, xmp.HEADER + packet.decode().encode(encoding))
    result = guetzpy.transcode(jpeg_files.with_segments(jpeg_files.picture(), segment), strip="gps")
    assert result.removed == ("gps",)
    assert b"48,51" not in result.data.replace(b"\0", b"")
    assert b"Flash" in result.data


def test_curves_of_raw_settings_are_no_coordinates() -> None:
    curve = "<crs:ToneCurve><rdf:Seq><rdf:li>48.85837, 2.29448</rdf:li></rdf:Seq></crs:ToneCurve>"
    packet = jpeg_files.xmp('xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"', curve)
    segment = jpeg_files.segment(0xE1, xmp.HEADER + packet)
    result = guetzpy.transcode(jpeg_files.with_segments(jpeg_files.picture(), segment), strip="gps")
    assert result.removed == ()
    assert curve.encode() in result.data


def test_extended_xmp_with_too_many_elements_is_removed() -> None:
    content = "<e:GPSLatitude>48,51.3N</e:GPSLatitude>" + "<e:a/>" * 100_000
    packet = jpeg_files.xmp('xmlns:e="http://ns.adobe.com/exif/1.0/"', content)
    segments = [jpeg_files.segment(0xE1, payload) for payload in xmp_segments.payloads_of(packet)]
    source = jpeg_files.with_segments(jpeg_files.picture(), *segments)
    result = guetzpy.transcode(source, strip="gps")
    assert "XMP that cannot be read is removed, because gps is stripped" in result.warnings
    assert b"48,51" not in result.data
    assert len(result.data) < len(packet)


def test_xmp_to_keep_that_grows_beyond_its_segment() -> None:
    """A packet in UTF-16 takes more bytes in UTF-8, in which it is written."""
    right = f"<dc:rights>{chr(0x8457) * 30_000}</dc:rights>"
    packet = jpeg_files.xmp('xmlns:dc="http://purl.org/dc/elements/1.1/"', right).decode().encode("utf-16")
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, xmp.HEADER + packet))
    result = guetzpy.transcode(source, strip="all", keep="copyright")
    words = "the XMP to keep is removed: it does not fit in the XMP segments of the file"
    assert words in result.warnings
    assert len(result.data) < 10_000


def test_credentials_elsewhere_no_longer_match() -> None:
    attributes = 'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://example.org/a.c2pa"'
    segment = jpeg_files.segment(0xE1, xmp.HEADER + jpeg_files.xmp(attributes))
    result = guetzpy.transcode(jpeg_files.with_segments(jpeg_files.picture(), segment))
    words = "content credentials (C2PA) to which XMP refers no longer match the changed file"
    assert words in result.warnings


@pytest.mark.parametrize("after", [jpeg_files.picture(24, 20, seed=2), metadata_files.video()])
def test_data_between_the_picture_and_others_is_not_searched(after: bytes) -> None:
    source = jpeg_files.picture() + b"of a camera maker" + after
    result = guetzpy.transcode(source, strip="gps")
    assert "not searched for coordinates: data after the picture" in result.warnings
    assert b"of a camera maker" in result.data
    assert b"48.858222" not in result.data


def broken_segments() -> dict[str, bytes]:
    """Return segments with coordinates that cannot be removed by themselves."""
    exif = jpeg_files.exif().replace(b"\x25\x88\4\0\1\0\0\0", b"\x25\x88\4\0\1\0\0\0\n\0\0\0", 1)
    resources = metadata_files.resource(0x0404, metadata_files.dataset(25, b"geo:lat=48.858222"))
    return {
        "GPS within another directory": jpeg_files.segment(0xE1, b"Exif\0\0" + exif),
        "resources that end early": jpeg_files.segment(0xED, b"Photoshop 3.0\0" + resources[:-1]),
        "no FLIR file": jpeg_files.segment(0xE1, metadata_files.thermal().replace(b"FFF\0", b"XXX\0")),
    }


@pytest.mark.parametrize("name", broken_segments())
def test_broken_segments_of_further_pictures_are_blanked(name: str) -> None:
    segment = broken_segments()[name]
    small = jpeg_files.with_segments(jpeg_files.picture(24, 20, seed=2), segment)
    result = guetzpy.transcode(jpeg_files.picture() + small, strip="gps")
    assert "gps" in result.removed
    assert not any(secret in result.data for secret in (*metadata_files.SECRETS, b"GPS-SECRET"))
    after = result.data[-len(small) :]
    np.testing.assert_array_equal(jpeg_files.shown(after), jpeg_files.shown(small))
