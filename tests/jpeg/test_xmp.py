"""XMP packets: find properties, blank them in place, split and join packets."""

from __future__ import annotations

import hashlib
import re

import pytest
from reference import jpeg_files

from guetzpy.jpeg.metadata import xmp, xmp_segments


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
    (edited,) = xmp_segments.without_properties([xmp.HEADER + packet], lambda _, name: name.startswith("GPS"))
    assert edited is not None
    rest = edited[len(xmp.HEADER) :]
    assert len(rest) == len(packet)
    assert properties(packet, "GPS") == ["GPSLatitude", "GPSLongitude", "GPSAltitude", "GPSEmpty"]
    assert properties(rest, "GPS") == []
    assert properties(rest, "") == ["xmpmeta", "RDF", "Description", "about", "Flash", "Iso", ""]
    assert b"48,51" not in rest
    assert b"e:Flash=\"x > 'y'\"" in rest


def test_comments_and_instructions_are_searched() -> None:
    packet = jpeg_files.xmp(
        'xmlns:e="urn:e"', '<!-- lat=48.8583 --><!-- kept --><?place lat="48.8583"?><e:Iso>100</e:Iso>'
    )
    (edited,) = xmp_segments.without_properties(
        [xmp.HEADER + packet], lambda *_: False, text=lambda text: "48.8583" in text
    )
    assert edited is not None
    assert b"48.8583" not in edited
    assert b"<!-- kept -->" in edited
    assert len(edited) == len(xmp.HEADER + packet)
    assert properties(edited[len(xmp.HEADER) :], "Iso") == ["Iso"]


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"<x>",
        b"\xff\xfe<\0x\0>\0",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x GPSLatitude="&a;"/>',
        b"<a:b/>",
    ],
)
def test_unreadable_xmp(packet: bytes) -> None:
    assert xmp.read_packet(packet) is None
    payload = xmp.HEADER + packet
    assert xmp_segments.without_properties([payload], lambda *_: True) == [payload]
    assert xmp_segments.without_properties([payload], lambda *_: True, strict=True) == [
        None if packet else payload
    ]


def test_deep_xmp_is_read() -> None:
    packet = b"<x>" * 5000 + b"</x>" * 5000
    assert xmp.read_packet(packet) is not None


@pytest.mark.parametrize("size", [100, 65502, 65503, 70000, 200000])
def test_xmp_segments(size: int) -> None:
    packet = jpeg_files.xmp('xmlns:d="urn:d"', "<d:long></d:long>")
    packet = packet.replace(b"<d:long>", b"<d:long>" + b"x" * max(0, size - len(packet)))
    payloads = xmp_segments.payloads_of(packet)
    assert all(len(payload) <= 65533 for payload in payloads)
    assert len(payloads) == (1 if len(packet) <= 65502 else 1 + -(-len(packet) // 65400))
    if len(payloads) == 1:
        assert payloads[0] == xmp.HEADER + packet
        return
    (extension,) = xmp_segments.gather_extensions(payloads[1:])
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
    payloads = xmp_segments.payloads_of(packet)
    shuffled = [payloads[0], payloads[3], payloads[1], payloads[2]]
    edited = [
        p
        for p in xmp_segments.without_properties(shuffled, lambda _, name: name.startswith("GPS"))
        if p is not None
    ]
    assert [len(p) for p in edited] == [len(p) for p in shuffled]
    (extension,) = xmp_segments.gather_extensions(edited[1:])
    assert b"GPS" not in extension.data
    assert hashlib.md5(extension.data).hexdigest().upper().encode() == extension.guid
    assert extension.guid in edited[0]


def test_incomplete_extensions_are_left_out() -> None:
    payloads = xmp_segments.payloads_of(jpeg_files.xmp(content=f"<a xmlns='u'>{'z' * 140000}</a>"))
    assert len(payloads) == 4
    assert xmp_segments.gather_extensions(payloads[1:3]) == []
    assert xmp_segments.gather_extensions([*payloads[1:], payloads[2]]) == []
    assert xmp_segments.gather_extensions([xmp.EXTENSION_HEADER + b"short"]) == []


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
