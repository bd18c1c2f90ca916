"""Which kind a file is, and whose Exif a RAW file gives. None of these tests needs another package."""

from __future__ import annotations

import struct

import pytest
from PIL import Image
from reference.format_files import exif_of
from reference.jpeg_files import directory, picture

from guetzpy.picture import formats
from guetzpy.picture.metadata import Metadata


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", None),  # a video
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"FUJIFILMCCD-RAW 0201", "RAW"),
        (b"II*\0\x10\0\0\0CR\2\0", "RAW"),
        (b"IIU\0\x18\0\0\0", "RAW"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", None),
        (b"II*\0", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"", None),
    ],
)
def test_kind_is_told_by_contents(head: bytes, kind: str | None) -> None:
    assert formats.kind_of(head) == kind


def tiff(order: str, rows: list[tuple[int, int, int, bytes]], rest: bytes = b"") -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "I", 8) + directory(order, 8, rows) + rest


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("compression", "kind"), [(1, None), (32767, "RAW"), (34713, "RAW"), (65535, "RAW")])
def test_compressions_of_cameras(order: str, compression: int, kind: str | None) -> None:
    assert formats.kind_of(tiff(order, [(0x0103, 3, 1, struct.pack(order + "H", compression))])) == kind


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("photometric", "kind"), [(2, None), (32803, "RAW")])
def test_sensor_data_in_one_of_several_directories(order: str, photometric: int, kind: str | None) -> None:
    """The tag has the offsets of both directories, beside the first directory."""
    first = 8 + len(directory(order, 8, [(0x014A, 4, 2, bytes(8))]))
    preview = directory(order, first, [(0x0106, 3, 1, struct.pack(order + "H", 6))])
    sensor = directory(order, first, [(0x0106, 3, 1, struct.pack(order + "H", photometric))])
    places = struct.pack(order + "II", first, first + len(preview))
    assert formats.kind_of(tiff(order, [(0x014A, 4, 2, places)], preview + sensor)) == kind


def read(metadata: Metadata) -> dict[int, object]:
    """Return the tags of the Exif, without the pointer to the directory of Exif."""
    exif = Image.Exif()
    exif.load(metadata.exif or b"")
    return {tag: value for tag, value in exif.items() if tag != 0x8769}


@pytest.mark.parametrize("data", [b"FUJIFILMCCD-RAW 0201" + bytes(400), b"II*\0\xff\xff\xff\x7f", b"II*\0"])
def test_exif_of_the_preview(data: bytes) -> None:
    """A file that is no TIFF, or whose directories cannot be read, has Exif in its preview only."""
    preview = picture(exif=exif_of(6))
    assert read(formats._raw_metadata(data, preview)) == {0x010F: "a maker", 0x0112: 1}
    for broken in (b"", picture(), b"no JPEG"):
        assert formats._raw_metadata(data, broken) == Metadata()
