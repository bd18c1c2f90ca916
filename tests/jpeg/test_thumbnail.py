"""The thumbnail of Exif is repacked without loss where nothing else moves."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from reference import jpeg_files
from reference.jpeg_files import directory, segment, with_segments

import guetzpy
from guetzpy.jpeg.metadata.directories import Tiff
from guetzpy.jpeg.metadata.policy import Policy
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.transcode import transcode_bytes

NOTE = b"MAKER NOTE with data of unknown structure"


def with_thumbnail(
    order: str = "<",
    *,
    small: bytes | None = None,
    note: bytes = NOTE,
    after: bytes = b"",
    trailing: bytes = b"",
    kind: int = 4,
    short_by: int = 0,
    base: bytes | None = None,
) -> bytes:
    """Return a file whose Exif has a maker note and, at its end, a thumbnail.

    ``after`` follows the thumbnail in the segment, ``trailing`` the picture in the file. ``kind`` is the type
    of the entry of the length; the segment is cut ``short_by`` bytes before the end of the thumbnail.
    """
    small = small or jpeg_files.picture(40, 30, seed=3)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)

    def main(exif_at: int, small_at: int) -> bytes:
        return directory(order, 8, [(0x8769, 4, 1, struct.pack(order + "I", exif_at))], small_at)

    exif_at = 8 + len(main(0, 0))
    sub = directory(order, exif_at, [(0x927C, 7, len(note), note)])
    small_at = exif_at + len(sub)
    for start in (0, small_at + 2 + 12 * 3 + 4):
        size = struct.pack(order + ("H" if kind == 3 else "I"), len(small))
        rows = [(0x0103, 3, 1, struct.pack(order + "H", 6)), (0x0201, 4, 1, struct.pack(order + "I", start))]
        table = directory(order, small_at, [*rows, (0x0202, kind, 1, size)])
    tiff = head + main(exif_at, small_at) + sub + table + small
    tiff = tiff[: len(tiff) - short_by] + after
    return with_segments(base or jpeg_files.picture(), segment(0xE1, b"Exif\0\0" + tiff)) + trailing


def tiff_of(data: bytes) -> bytes:
    return next(s.payload[6:] for s in read(data).segments if s.payload.startswith(b"Exif\0\0"))


def thumbnail(data: bytes) -> bytes:
    structure = Tiff(tiff_of(data))
    start, end = next(
        span for d in structure.directories if d.role == "thumbnail" for span in structure.pictures(d)
    )
    return structure.data[start:end]


def samples(jpeg: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("after", [b"", bytes(100), b"\xff" * 7])
def test_thumbnails_shrink(order: str, kind: int, after: bytes) -> None:
    source = with_thumbnail(order, kind=kind, after=after)
    result = transcode_bytes(source)
    before, small = thumbnail(source), thumbnail(result.data)
    assert len(small) < len(before)
    assert small.endswith(b"\xff\xd9")
    np.testing.assert_array_equal(samples(small), samples(before))
    assert b"\xff\xc0" in small  # baseline, as Exif demands
    cut = len(before) - len(small)
    old, new = tiff_of(source), tiff_of(result.data)
    assert len(new) == len(old) - cut
    start = old.index(before)
    differing = [i for i in range(start) if old[i] != new[i]]
    entry = old.index(struct.pack(order + "HH", 0x0202, kind))
    assert differing
    assert all(entry + 8 <= i < entry + 12 for i in differing)
    assert new[start + len(small) :] == old[start + len(before) :] == after
    assert transcode_bytes(result.data).data == result.data


@pytest.mark.parametrize(
    "options",
    [
        {"after": b"more"},
        {"short_by": 10},
        {"small": b"\xff\xd8 no JPEG at all"},
        {"small": jpeg_files.picture(4096, 264, quality=1)},
    ],
)
def test_what_is_not_safe_is_left_alone(options: dict[str, bytes]) -> None:
    source = with_thumbnail(**options)  # type: ignore[arg-type]
    assert len(source) < 66_000
    assert tiff_of(transcode_bytes(source).data) == tiff_of(source)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_maker_note_with_the_position_of_the_thumbnail(order: str) -> None:
    start = tiff_of(with_thumbnail(note=NOTE + bytes(4))).index(b"\xff\xd8")
    source = with_thumbnail(note=NOTE + struct.pack(order + "I", start))
    assert tiff_of(transcode_bytes(source).data) == tiff_of(source)


def test_two_thumbnails_and_two_blocks_are_left_alone() -> None:
    source = with_thumbnail()
    twice = source[:2] + segment(0xE1, b"Exif\0\0" + tiff_of(source)) + source[2:]
    assert tiff_of(transcode_bytes(twice).data) == tiff_of(source)


@pytest.mark.parametrize("strip", [["thumbnail"], ["exif"], ["all"]])
def test_what_is_stripped_is_gone(strip: list[str]) -> None:
    source = with_thumbnail()
    result = transcode_bytes(source, Policy.of(strip=strip))
    assert thumbnail(source)[:2] == b"\xff\xd8"
    assert b"Exif" not in result.data or thumbnail_bytes(result.data) == 0


def thumbnail_bytes(data: bytes) -> int:
    structure = Tiff(tiff_of(data))
    return sum(
        end - start
        for d in structure.directories
        if d.role == "thumbnail"
        for start, end in structure.pictures(d)
    )


def test_pointers_after_the_picture_follow() -> None:
    """An offset in the maker note to a preview after the picture points at the preview in the new file."""
    preview = jpeg_files.picture(16, 16, seed=5)
    source = with_thumbnail(note=b"NOTE" + bytes(4), trailing=preview)
    at = source.index(b"NOTE") + 4
    header = source.index(b"Exif\0\0") + 6
    offset = len(source) - len(preview) - header
    source = source[:at] + struct.pack("<I", offset) + source[at + 4 :]
    result = transcode_bytes(source).data
    assert thumbnail(result) != thumbnail(source)
    header, at = result.index(b"Exif\0\0") + 6, result.index(b"NOTE") + 4
    (offset,) = struct.unpack_from("<I", result, at)
    assert result[header + offset :] == preview


def test_thumbnails_and_gain_maps_together() -> None:
    small = segment(0xE1, b"Exif\0\0" + tiff_of(with_thumbnail()))
    source = jpeg_files.ultra_hdr(extra=small)
    result = transcode_bytes(source)
    assert len(thumbnail(result.data)) < len(thumbnail(source))
    assert len(read(result.data).trailing) < len(read(source).trailing)
    assert transcode_bytes(result.data).data == result.data


@pytest.mark.parametrize("payload", [(0xE0, b"JFIF\0"), (0xEE, b"Adobe")])
def test_a_file_with_a_segment_cut_short(payload: tuple[int, bytes]) -> None:
    """The first run drops the segment and makes the thumbnail smaller, so the second changes no byte."""
    plain = with_thumbnail()
    result = transcode_bytes(with_segments(plain, segment(*payload)))
    assert result.data == transcode_bytes(plain).data
    assert len(thumbnail(result.data)) < len(thumbnail(plain))
    assert "a JFIF or Adobe segment that is too short is removed" in result.warnings
    assert transcode_bytes(result.data).data == result.data


def test_lossy_files_have_it_too(photo_array: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(photo_array).save(file, "JPEG", quality=95)
    source = with_thumbnail(base=file.getvalue())
    result = guetzpy.optimize(source, distance=2.0, effort="fast")
    assert result.status == "optimized"
    assert len(thumbnail(result.data)) < len(thumbnail(source))
    np.testing.assert_array_equal(samples(thumbnail(result.data)), samples(thumbnail(source)))
    assert guetzpy.optimize(result.data, distance=2.0, effort="fast").data == result.data


def test_the_thumbnail_alone_makes_a_file_smaller() -> None:
    source = transcode_bytes(jpeg_files.picture()).data
    source = with_thumbnail(base=source)
    result = transcode_bytes(source)
    assert result.status == "lossless"
    assert len(source) - len(result.data) == len(thumbnail(source)) - len(thumbnail(result.data))


def test_an_offset_within_the_thumbnail_keeps_it() -> None:
    """The bytes of the thumbnail look like an offset to the preview after the picture, so they stay."""
    preview = jpeg_files.picture(16, 16, seed=5)
    small = jpeg_files.with_segments(jpeg_files.picture(40, 30, seed=3), segment(0xFE, b"NOTE" + bytes(4)))
    source = with_thumbnail(small=small, trailing=preview)
    header, at = source.index(b"Exif\0\0") + 6, source.index(b"NOTE\0") + 4
    source = source[:at] + struct.pack("<I", len(source) - len(preview) - header) + source[at + 4 :]
    result = transcode_bytes(source)
    assert result.status == "lossless"
    assert len(thumbnail(result.data)) == len(small)
    np.testing.assert_array_equal(samples(thumbnail(result.data)), samples(small))


@pytest.mark.parametrize("payload", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"no TIFF header"])
def test_exif_that_cannot_be_read_stays(payload: bytes) -> None:
    source = with_segments(jpeg_files.picture(), segment(0xE1, b"Exif\0\0" + payload))
    result = transcode_bytes(source)
    assert result.status == "lossless"
    assert tiff_of(result.data) == payload


def test_a_thumbnail_without_a_length_stays() -> None:
    whole = with_thumbnail()
    at = whole.index(struct.pack("<HHI", 0x0202, 4, 1))
    source = whole[:at] + struct.pack("<H", 0x0203) + whole[at + 2 :]
    assert tiff_of(transcode_bytes(source).data) == tiff_of(source)


def test_a_file_whose_segments_cannot_be_located_is_kept() -> None:
    source = with_thumbnail(base=jpeg_files.with_a_hidden_segment(b"a comment"))
    result = transcode_bytes(source)
    assert (result.status, result.data) == ("kept", source)
