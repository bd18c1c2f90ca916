"""JPEG files with coordinates, names of places and rights in every kind of metadata."""

from __future__ import annotations

import io
import struct

from PIL import Image
from reference import jpeg_files
from reference.jpeg_files import Entry, directory, segment, with_segments

from guetzpy.jpeg.metadata import exif, iptc, photoshop, xmp_segments

#: Coordinates that are in the files, as text and as numbers.
LATITUDE, LONGITUDE = 48.858222, 2.294500
SECRETS = (b"48.858222", b"48,51.4933N", struct.pack("<d", LATITUDE), b"SECRET-COORDINATE")
CITY = b"Parisville"
OWNER = b"Ada Lovelace"


def rational(*values: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<II", *value) for value in values)


def tiff(*, orientation: int = 6, extra: tuple[Entry, ...] = ()) -> bytes:
    """Return a TIFF structure with orientation, rights, EXIF with a maker note, GPS and a thumbnail."""
    small = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(small, "JPEG")
    thumbnail = small.getvalue()

    def main(exif_at: int, gps_at: int, following: int) -> bytes:
        rows = [
            (0x010F, 2, 6, b"Maker\0"),
            (0x0112, 3, 1, struct.pack("<H", orientation)),
            (0x013B, 2, len(OWNER) + 1, OWNER + b"\0"),
            *extra,
            (0x8298, 2, 16, b"(c) " + OWNER),
            (0x8769, 4, 1, struct.pack("<I", exif_at)),
            (0x8825, 4, 1, struct.pack("<I", gps_at)),
        ]
        return directory("<", 8, sorted(rows, key=lambda row: row[0]), following)

    exif_at = 8 + len(main(0, 0, 0))
    sub = directory("<", exif_at, [(0x927C, 7, 10, b"MAKER NOTE"), (0xA001, 3, 1, struct.pack("<H", 1))])
    gps_at = exif_at + len(sub)
    gps = directory(
        "<",
        gps_at,
        [
            (1, 2, 2, b"N\0"),
            (2, 5, 3, rational((48, 1), (51, 1), (296, 10))),
            (3, 2, 2, b"E\0"),
            (4, 5, 3, rational((2, 1), (17, 1), (402, 10))),
            (27, 7, 25, b"ASCII\0\0\0SECRET-COORDINATE"),
        ],
    )
    small_at = gps_at + len(gps)
    for start in (0, small_at + 2 + 12 * 3 + 4):
        rows = [(0x0103, 3, 1, struct.pack("<H", 6)), (0x0201, 4, 1, struct.pack("<I", start))]
        table = directory("<", small_at, [*rows, (0x0202, 4, 1, struct.pack("<I", len(thumbnail)))])
    return b"II*\0\x08\0\0\0" + main(exif_at, gps_at, small_at) + sub + gps + table + thumbnail


SPACES = """xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
 xmlns:dwc="http://rs.tdwg.org/dwc/terms/" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"
 xmlns:geo="http://www.w3.org/2003/01/geo/wgs84_pos#" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" """


def packet() -> bytes:
    """Return an XMP packet with coordinates of many namespaces, places, rights, and raw settings."""
    attributes = f"""{SPACES} exif:GPSLatitude="48,51.4933N" exif:GPSAltitude="48.858222" geo:lat="48.858222"
 drone-dji:GpsLongtitude="48.858222" drone-dji:AbsoluteAltitude="+48.858222"
 drone-dji:LRFTargetLat="48.858222"
 drone-dji:LRFTargetLon="48.858222" drone-dji:LRFTargetAlt="48.858222" GPano:PoseHeadingDegrees="48.858222"
 dwc:decimalLatitude="48.858222" dwc:verbatimCoordinates="48.858222" dwc:locality="Parisville"
 photoshop:City="Parisville" photoshop:Country="Parisville" photoshop:Credit="Ada Lovelace"
 Iptc4xmpCore:Location="Parisville" xmp:Rating="5" crs:Dabs="d 0.123456, 0.654321"
 xmpRights:WebStatement="https://example.org/Ada Lovelace" """
    content = """<dc:subject><rdf:Bag><rdf:li>geo:lat=48.858222</rdf:li>
<rdf:li>tower</rdf:li></rdf:Bag></dc:subject>
<dc:creator><rdf:Seq><rdf:li>Ada Lovelace</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) Ada Lovelace</rdf:li></rdf:Alt></dc:rights>
<plus:Licensor><rdf:Seq><rdf:li rdf:parseType="Resource">
<plus:LicensorName>Ada Lovelace</plus:LicensorName>
</rdf:li></rdf:Seq></plus:Licensor>
<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li rdf:parseType="Resource">
<Iptc4xmpExt:City>Parisville</Iptc4xmpExt:City>
<exif:GPSLatitude>48,51.4933N</exif:GPSLatitude></rdf:li></rdf:Bag></Iptc4xmpExt:LocationShown>"""
    return jpeg_files.xmp(attributes, content)


def dataset(number: int, value: bytes, record: int = 2) -> bytes:
    return bytes((0x1C, record, number)) + len(value).to_bytes(2, "big") + value


def resource(identifier: int, data: bytes) -> bytes:
    head = b"8BIM" + identifier.to_bytes(2, "big") + b"\0\0" + len(data).to_bytes(4, "big")
    return head + data + b"\0" * (len(data) % 2)


def resources() -> bytes:
    """Return Photoshop resources: IPTC with its digest, a copyright flag, copies of EXIF and XMP, guides."""
    record = dataset(90, b"\x1b%G", 1) + dataset(0, b"\0\4") + dataset(5, b"The tower")
    record += dataset(25, b"geo:lat=48.858222") + dataset(80, OWNER) + dataset(90, CITY) + dataset(101, CITY)
    record += dataset(116, b"(c) " + OWNER)
    return (
        resource(0x0404, record)
        + resource(0x0425, bytes(16))
        + resource(0x040A, b"\1")
        + resource(0x0422, tiff())
        + resource(0x0424, packet())
        + resource(0x0408, b"\0\0\0\1GUIDES")
    )


def box(kind: bytes, *contents: bytes) -> bytes:
    data = b"".join(contents)
    return struct.pack(">I", 8 + len(data)) + kind + data


def credentials() -> bytes:
    """Return the payload of an APP11 segment with a manifest store that contains the coordinates."""
    label = box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71", b"\x03c2pa\0")
    inner = box(b"jumd", b"json\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71", b"\x03stds.exif\0")
    claims = box(b"jumb", inner, box(b"json", b'{"exif:GPSLatitude": "48,51.4933N"}'))
    return b"JP\0\1\0\0\0\1" + box(b"jumb", label, claims)


def thermal() -> bytes:
    """Return the payload of a FLIR segment with a raw record and a GPS record."""
    gps = bytearray(0x60)
    struct.pack_into("<I4s2s2s", gps, 0, 1, b"\2\2\0\0", b"N", b"E")
    struct.pack_into("<dd", gps, 0x10, LATITUDE, LONGITUDE)
    records = [(0x01, b"THERMAL!" * 4), (0x2B, bytes(gps))]
    table, data, at = b"", b"", 64 + 32 * len(records)
    for kind, content in records:
        table += struct.pack(">HHIIIIIII", kind, 2, 100, 1, at + len(data), len(content), 0, 0, 0)
        data += content
    head = (b"FFF\0" + b"test".ljust(16, b"\0") + struct.pack(">III", 101, 64, len(records))).ljust(64, b"\0")
    return b"FLIR\0\1\0\0" + head + table + data


def video() -> bytes:
    """Return an MP4 file without tracks, with coordinates in its user data and metadata."""
    place = b"+48.858222+002.2945/"
    user = box(b"udta", box(b"\xa9xyz", struct.pack(">HH", len(place), 0x15C7), place))
    keys = box(b"keys", bytes(4), struct.pack(">I", 1), box(b"mdta", b"com.apple.quicktime.location.ISO6709"))
    items = box(b"ilst", box(b"\0\0\0\1", box(b"data", struct.pack(">II", 1, 0), place)))
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(13))
    meta = box(b"meta", handler, keys, items)
    return box(b"ftyp", b"isom", bytes(4)) + box(b"mdat", b"FRAMES") + box(b"moov", user, meta)


def segments() -> list[bytes]:
    """Return the segments of :func:`everything`."""
    embedded = ((0x02BC, 1, len(packet()), packet()), (0x83BB, 7, 13, dataset(90, b"Parisville")[:15]))
    return [
        segment(0xE1, exif.HEADER + tiff(extra=embedded[:1])),
        *(segment(0xE1, p) for p in xmp_segments.payloads_of(packet())),
        segment(0xED, photoshop.HEADER + resources()),
        segment(0xE1, thermal()),
        segment(0xEB, credentials()),
        segment(0xE6, b"GoPro\0DEVC\0\1GPS5l" + struct.pack("<d", LATITUDE)),
        segment(0xFE, b"taken at latitude: 48.858222"),
        segment(0xE4, b"SOMEBODY\0" + bytes(range(128, 256))),
    ]


def everything(jpeg: bytes | None = None) -> bytes:
    """Return a picture with all this metadata, a second picture (MPF) with the same, and a video."""
    second = with_segments(jpeg_files.picture(24, 20, seed=2), *segments())
    first = jpeg or jpeg_files.picture()
    own = segments()
    at = 2 + sum(map(len, own)) + 4 + 4
    size = len(first) + sum(map(len, own)) + 4 + len(jpeg_files.mpf("<", [(0, 0, 0)] * 2))
    index = jpeg_files.mpf("<", [(0x030000, size, 0), (0, len(second), size - at)])
    return with_segments(first, *own, segment(0xE2, index)) + second + video()


def datasets(payload: bytes) -> list[tuple[int, bytes]]:
    """Return (number, value) of record 2 in the payload of a Photoshop segment."""
    found: list[tuple[int, bytes]] = []

    def collect(identifier: int, data: bytes) -> bytes:
        if identifier == photoshop.IPTC:
            found.extend((d.number, d.value) for d in iptc.datasets(data) if d.record == 2)
        return data

    photoshop.edited([payload], collect)
    return found
