"""JPEG files for tests: encoded by Pillow, and built from segments."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

Entry = tuple[int, int, int, bytes]  # tag, TIFF type, count, value


def picture(width: int = 48, height: int = 40, seed: int = 0, quality: int = 90, **options: object) -> bytes:
    """Return a JPEG file of smooth colours with some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = np.stack([x * 4 % 256, y * 5 % 256, (x + y) * 3 % 256], axis=-1) + rng.normal(
        0, 9, (height, width, 3)
    )
    return encoded(planes.clip(0, 255).astype(np.uint8), quality=quality, **options)


def encoded(codes: np.ndarray, **options: object) -> bytes:
    """Return an array as a JPEG file by Pillow, with the options of its ``save``."""
    buffer = io.BytesIO()
    Image.fromarray(codes).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def shown(data: bytes) -> np.ndarray:
    """Return the pixels of a file by Pillow, uint8 (H, W, 3)."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def arithmetic(data: bytes) -> bytes:
    """Return a file whose frame header declares arithmetic coding (T.81 B.2.2), which is not decoded."""
    at = data.index(b"\xff\xc0")
    return data[: at + 1] + b"\xc9" + data[at + 2 :]


def part_of_coffee(rows: slice, columns: slice) -> np.ndarray:
    """Return a part of tests/data/coffee.jpg, uint8 (H, W, 3)."""
    return shown((Path(__file__).parents[1] / "data" / "coffee.jpg").read_bytes())[rows, columns]


def segment(marker: int, payload: bytes) -> bytes:
    """Return a marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Insert segments after SOI."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def only_with(*segments: tuple[int, bytes]) -> bytes:
    """Return a picture whose only segments are these (marker, payload), without a JFIF segment."""
    plain = picture()
    rest = plain[:2] + plain[4 + int.from_bytes(plain[4:6], "big") :]
    return with_segments(rest, *(segment(marker, payload) for marker, payload in segments))


def directory(order: str, position: int, entries: list[Entry], following: int = 0) -> bytes:
    """Return the bytes of a TIFF directory for a position, followed by its values above 4 bytes."""
    values_at = position + 2 + 12 * len(entries) + 4
    table, values = struct.pack(order + "H", len(entries)), b""
    for tag, kind, count, value in entries:
        table += struct.pack(order + "HHI", tag, kind, count)
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", values_at + len(values))
            values += value + b"\0" * (len(value) % 2)
    return table + struct.pack(order + "I", following) + values


def exif(
    order: str = "<",
    *,
    orientation: int = 6,
    note: bytes = b"MAKER NOTE WITH OFFSETS",
    gps: bytes | None = b"GPS-SECRET-LATITUDE-DATA",
    thumbnail: bytes | None = b"\xff\xd8\xff\xdbTHUMBNAIL\xff\xd9",
    tail: bytes = b"",
) -> bytes:
    """Return a TIFF structure: main, EXIF and GPS directories, maker note, thumbnail, and more bytes."""
    short, long = order + "H", order + "I"
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(long, 8)

    def main(exif_at: int, gps_at: int, following: int) -> bytes:
        entries = [(0x010F, 2, 8, b"CAMERA!\0"), (0x0112, 3, 1, struct.pack(short, orientation))]
        entries.append((0x8769, 4, 1, struct.pack(long, exif_at)))
        if gps is not None:
            entries.append((0x8825, 4, 1, struct.pack(long, gps_at)))
        entries.append((0xC4A5, 7, 6, b"after!"))
        return directory(order, 8, entries, following)

    exif_at = 8 + len(main(0, 0, 0))
    sub = directory(order, exif_at, [(0x927C, 7, len(note), note), (0xA002, 4, 1, struct.pack(long, 48))])
    gps_at = exif_at + len(sub)
    block = b""
    if gps is not None:
        block = directory(
            order, gps_at, [(0, 1, 4, b"\2\2\0\0"), (2, 5, len(gps) // 8, gps), (1, 2, 2, b"N\0")]
        )
    thumbnail_at = gps_at + len(block)
    small = b""
    if thumbnail is not None:
        for start in (0, thumbnail_at + 2 + 12 * 2 + 4):  # the first pass finds the length
            entries = [
                (0x0201, 4, 1, struct.pack(long, start)),
                (0x0202, 4, 1, struct.pack(long, len(thumbnail))),
            ]
            small = directory(order, thumbnail_at, entries) + thumbnail
    following = thumbnail_at if thumbnail is not None else 0
    return head + main(exif_at, gps_at, following) + sub + block + small + tail


def mpf(order: str, pictures: list[tuple[int, int, int]]) -> bytes:
    """Return the payload of an MPF segment for (attribute, size, offset) of each picture."""
    rows = b"".join(struct.pack(order + "IIIHH", *row, 0, 0) for row in pictures)
    entries = [
        (0xB000, 7, 4, b"0100"),
        (0xB001, 4, 1, struct.pack(order + "I", len(pictures))),
        (0xB002, 7, len(rows), rows),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return b"MPF\0" + head + directory(order, 8, entries)


XMP = b"http://ns.adobe.com/xap/1.0/\0"
HDRGM = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
GCAMERA = 'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'


def xmp(attributes: str = "", content: str = "") -> bytes:
    """Return an XMP packet with attributes and content of its description."""
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {attributes}>{content}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def container(*items: tuple[str, str, int | None]) -> str:
    """Return a container directory for (semantic, media type, length) of each file."""
    rows = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{semantic}" Item:Mime="{mime}"'
        + (f' Item:Length="{length}"' if length is not None else "")
        + "/></rdf:li>"
        for semantic, mime, length in items
    )
    return (
        '<Container:Directory xmlns:Container="http://ns.google.com/photos/1.0/container/"'
        ' xmlns:Item="http://ns.google.com/photos/1.0/container/item/">'
        f"<rdf:Seq>{rows}</rdf:Seq></Container:Directory>"
    )


def ultra_hdr(
    order: str = "<",
    *,
    video: bytes = b"",
    padding: int = 0,
    extra: bytes = b"",
    primary_length: bool = False,
    base: bytes | None = None,
    gain_map: bytes | None = None,
) -> bytes:
    """Return an Ultra HDR file: picture, gain map in MPF index and container, and optionally a video.

    ``base`` and ``gain_map`` are JPEG files; the default gain map lacks the capacity, which is mandatory.
    """
    gain_map = gain_map or with_segments(
        picture(24, 20, seed=1), segment(0xE1, XMP + xmp(f'{HDRGM} hdrgm:Version="1.0" hdrgm:GainMapMax="3"'))
    )
    motion = f' {GCAMERA} GCamera:MotionPhoto="1"' if video else ""
    base = base or picture()

    def build(size: int, offset: int) -> tuple[bytes, int]:
        items = [("Primary", "image/jpeg", size if primary_length else None)]
        items.append(("GainMap", "image/jpeg", len(gain_map)))
        if video:
            items.append(("MotionPhoto", "video/mp4", len(video)))
        packet = xmp(f'{HDRGM} hdrgm:Version="1.0"{motion}', container(*items))
        before = segment(0xE1, XMP + packet) + extra
        index = mpf(order, [(0x030000, size, 0), (0, len(gain_map), offset)])
        return with_segments(base, before, segment(0xE2, index)), 2 + len(before) + 4 + 4

    primary, at = build(99999, 0)
    for _ in range(3):  # repeat, because the length includes its own digits
        primary, at = build(len(primary), len(primary) + padding - at)
    return primary + bytes(padding) + gain_map + video


def with_a_hidden_segment(payload: bytes) -> bytes:
    """Return a file with a COM segment after its scan that a walk over the markers does not find.

    Within a scan with restart intervals, decoders skip a marker that is no RSTn; the walk reads its length.
    """
    data = picture(64, 48, restart_marker_blocks=2)
    at, end = data.index(b"\xff\xd0"), len(data) - 2
    return data[:at] + b"\xff\x10\x7f\x7f" + data[at:end] + segment(0xFE, payload) + data[end:]


def pointing_at(target: bytes, **options: bytes) -> bytes:
    """Return an Ultra HDR file whose maker note has the offset of the last ``target`` in it."""
    block = b"Exif\0\0" + exif(note=b"NOTE" + bytes(4), gps=None, thumbnail=None)
    data = ultra_hdr(extra=segment(0xE1, block), **options)
    at, header = data.index(b"NOTE") + 4, data.index(b"Exif\0\0") + 6
    return data[:at] + struct.pack("<I", data.rindex(target) - header) + data[at + 4 :]


def pointed_at(data: bytes) -> bytes:
    """Return the bytes from the place on to which the maker note of such a file refers."""
    header = data.index(b"Exif\0\0") + 6
    return data[header + struct.unpack_from("<I", data, data.index(b"NOTE") + 4)[0] :]
