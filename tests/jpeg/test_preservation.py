"""Gain maps, further pictures, videos and previews can be found after the picture changed size."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.MpoImagePlugin import MpoImageFile
from reference import jpeg_files

from guetzpy.jpeg.metadata import exif, xmp
from guetzpy.jpeg.metadata.policy import Policy, mark, without_marks
from guetzpy.jpeg.metadata.preservation import carry, describe, settle, splice
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import JpegImage
from guetzpy.jpeg.transcode import same_pixels, transcode_bytes
from guetzpy.jpeg.writer import write

GPS = b"GPS-SECRET-LATITUDE-DATA"
VIDEO = b"\0\0\0\x18ftypmp42 the video of a motion photo"


def parsed(data: bytes) -> JpegImage:
    return read(data)


def frames(data: bytes) -> list[bytes]:
    """Return the pixels of all frames that Pillow finds by MPF."""
    found = []
    try:  # Image.open would open an Ultra HDR file as a single picture
        picture: JpegImageFile = MpoImageFile(io.BytesIO(data))
    except (AttributeError, TypeError, ValueError, KeyError, SyntaxError):
        picture = JpegImageFile(io.BytesIO(data))
    with picture:
        for number in range(getattr(picture, "n_frames", 1)):
            picture.seek(number)
            found.append(picture.tobytes())
    return found


def gain_map_by_container(data: bytes) -> bytes:
    """Return the gain map as Android finds it: by the container's lengths, from the end of the file."""
    image = parsed(data)
    payload = next(s.payload for s in image.segments if s.payload.startswith(xmp.HEADER))
    packet = xmp.read_packet(payload[len(xmp.HEADER) :])
    assert packet is not None
    end = len(data)
    for item in reversed(packet.items()[1:]):
        if item.semantic == "GainMap":
            return data[end - item.length : end]
        end -= item.length
    return b""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("video", [b"", VIDEO])
def test_gain_map_is_found_after_transcoding(order: str, padding: int, video: bytes) -> None:
    source = jpeg_files.ultra_hdr(order, padding=padding, video=video)
    result = transcode_bytes(source)
    assert result.status == "lossless"
    assert frames(result.data) == frames(source)
    assert len(frames(source)) == 2
    gain_map = gain_map_by_container(source)
    assert gain_map.startswith(b"\xff\xd8")
    smaller = gain_map_by_container(result.data)
    assert same_pixels(gain_map, smaller)
    assert result.data.endswith(bytes(padding) + smaller + video)
    sizes = describe(result.data, parsed(result.data))
    assert sizes["gainmap"] == len(smaller) < len(gain_map)
    assert sizes.get("motion_photo", 0) == len(video)
    assert sizes.get("trailing", 0) == len(video) + padding


def test_length_of_the_first_picture_in_the_container() -> None:
    source = jpeg_files.ultra_hdr(primary_length=True)
    data = transcode_bytes(source).data
    before, after = parsed(source), parsed(data)
    packets = [xmp.read_packet(i.segments[0].payload[len(xmp.HEADER) :]) for i in (before, after)]
    assert [p.items()[0].length for p in packets if p is not None] == [
        len(source) - len(before.trailing),
        len(data) - len(after.trailing),
    ]


def test_strip_gain_map_and_keep_video() -> None:
    source = jpeg_files.ultra_hdr(video=VIDEO)
    result = transcode_bytes(source, Policy.of(strip=["gainmap"]))
    assert result.removed == ["mpf", "gainmap"]
    image = parsed(result.data)
    assert image.trailing == VIDEO
    assert b"hdrgm:Version" not in result.data
    assert b"GainMap" not in result.data
    assert b'Item:Semantic="MotionPhoto"' in result.data
    assert len(frames(result.data)) == 1
    assert describe(result.data, image)["motion_photo"] == len(VIDEO)


def test_strip_video_and_keep_gain_map() -> None:
    source = jpeg_files.ultra_hdr(video=VIDEO)
    result = transcode_bytes(source, Policy.of(strip=["trailing"]))
    assert result.removed == ["trailing"]
    assert VIDEO not in result.data
    assert b"MotionPhoto" not in result.data
    assert frames(result.data) == frames(source)
    assert same_pixels(gain_map_by_container(source), gain_map_by_container(result.data))


def test_strip_all_but_the_gain_map() -> None:
    source = jpeg_files.ultra_hdr(video=VIDEO, padding=3)
    result = transcode_bytes(source, Policy.of(keep=["gainmap", "xmp"]))
    assert result.removed == ["trailing"]
    assert frames(result.data) == frames(source)
    assert same_pixels(gain_map_by_container(source), gain_map_by_container(result.data))


def test_stripping_xmp_warns_of_the_gain_map() -> None:
    result = transcode_bytes(jpeg_files.ultra_hdr(), Policy.of(strip=["xmp"]))
    assert result.removed == ["xmp"]
    assert any("gain map" in warning for warning in result.warnings)
    assert len(frames(result.data)) == 2


def mpo(count: int = 3) -> bytes:
    """Return a file of several pictures as Pillow writes it, with GPS data in each picture."""
    pictures = [Image.open(io.BytesIO(jpeg_files.picture(40 + n, 30, seed=n))) for n in range(count)]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "MPO", save_all=True, append_images=pictures[1:], exif=exif.HEADER + jpeg_files.exif()
    )
    return buffer.getvalue()


def test_further_pictures() -> None:
    source = mpo()
    assert len(frames(source)) == 3
    result = transcode_bytes(source)
    assert result.status == "lossless"
    assert frames(result.data) == frames(source)
    alone = transcode_bytes(source, Policy.of(strip=["mpf"]))
    assert alone.removed == ["mpf"]
    assert parsed(alone.data).trailing == b""
    assert frames(alone.data) == frames(source)[:1]


def test_gps_goes_from_further_pictures_in_place() -> None:
    source = mpo()
    assert source.count(GPS) == 3
    result = transcode_bytes(source, Policy.of(strip=["gps"]))
    assert GPS not in result.data
    assert frames(result.data) == frames(source)
    assert 0 < len(parsed(result.data).trailing) <= len(parsed(source).trailing)


def test_gain_map_goes_from_among_further_pictures() -> None:
    """One of three pictures is removed, and the others are renumbered."""
    gain_map = jpeg_files.with_segments(
        jpeg_files.picture(20, 16), jpeg_files.segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(20))
    )
    other = jpeg_files.picture(24, 16, seed=5)
    first = jpeg_files.picture()
    index_size = len(jpeg_files.mpf("<", [(0, 0, 0)] * 3))
    size, at = len(first) + index_size + 4, 2 + 4 + 4
    rows = [(0x030000, size, 0), (0, len(gain_map), size - at), (2, len(other), size + len(gain_map) - at)]
    source = (
        jpeg_files.with_segments(first, jpeg_files.segment(0xE2, jpeg_files.mpf("<", rows)))
        + gain_map
        + other
    )
    assert len(frames(source)) == 3
    result = transcode_bytes(source, Policy.of(strip=["gainmap"]))
    assert result.removed == ["gainmap"]
    assert same_pixels(other, parsed(result.data).trailing)
    assert frames(result.data) == [frames(source)[0], frames(source)[2]]


def test_micro_video_by_its_offset() -> None:
    packet = jpeg_files.xmp(
        f'{jpeg_files.GCAMERA} GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(VIDEO)}"'
    )
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, xmp.HEADER + packet))
    source += b"maker data" + VIDEO
    data = transcode_bytes(source).data
    assert data.endswith(b"maker data" + VIDEO)
    assert describe(data, parsed(data))["motion_photo"] == len(VIDEO)
    stripped = transcode_bytes(source, Policy.of(strip=["trailing"])).data
    assert parsed(stripped).trailing == b""
    assert b"MicroVideo" not in stripped


@pytest.mark.parametrize("pieces", ["one", "two", "two after an empty one"])
@pytest.mark.parametrize("relative_to_note", [False, True])
def test_previews_that_maker_notes_point_at(relative_to_note: bool, pieces: str) -> None:
    preview = jpeg_files.picture(30, 20, seed=3)
    for _ in range(2):  # the first pass finds the offset, the second one writes it
        note = b"PREVIEW AT" + struct.pack("<I", locals().get("offset", 0)) + b"END OF NOTE"
        tiff = jpeg_files.exif(note=note, gps=None, thumbnail=None)
        at = tiff.index(b"PREVIEW AT")
        parts = [tiff] if pieces == "one" else [tiff[: at - 3], tiff[at - 3 :]]
        parts = [b"", *parts] if "empty" in pieces else parts
        segments = [jpeg_files.segment(0xE1, exif.HEADER + part) for part in parts]
        first = jpeg_files.with_segments(jpeg_files.picture(), *segments)
        base = first.index(tiff[:8]) + (at if relative_to_note else 0)
        offset = len(first) + 7 - base
    source = first + b"PADDING" + preview
    assert source[base + offset :] == preview
    data = transcode_bytes(source).data
    assert len(data) < len(source)
    (pointer,) = struct.unpack_from("<I", data, data.index(b"PREVIEW AT") + 10)
    assert data[base + pointer :] == preview
    assert data.index(b"END OF NOTE") == source.index(b"END OF NOTE")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1) | st.integers(0, 9000), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from("<>"),
)
def test_hostile_index_changes_no_picture(rows: list[tuple[int, int]], order: str) -> None:
    index = jpeg_files.mpf(order, [(0, size, offset) for offset, size in rows])
    source = jpeg_files.with_segments(jpeg_files.picture(16, 16), jpeg_files.segment(0xE2, index)) + bytes(
        300
    )
    result = transcode_bytes(source)
    assert same_pixels(source, result.data)
    assert parsed(result.data).trailing == bytes(300)
    describe(source, parsed(source))
    everything = transcode_bytes(source, Policy.of(strip=["all"]))
    assert parsed(everything.data).trailing == b""


def test_settle_wants_its_own_segments() -> None:
    source = jpeg_files.ultra_hdr()
    image = parsed(source)
    carried = carry(source, image)
    assert settle(source, carried) == source
    with pytest.raises(ValueError, match="these segments"):
        settle(write(replace(image, segments=[])), carried)


def test_settle_allows_segments_behind() -> None:
    source = jpeg_files.ultra_hdr()
    image = parsed(source)
    carried = carry(source, image)
    marked = replace(image, segments=[*carried.segments, mark(1.0)], trailing=carried.trailing)
    assert frames(settle(write(marked), carried)) == frames(source)


def test_settle_allows_segments_left_out() -> None:
    source = jpeg_files.ultra_hdr(
        extra=jpeg_files.segment(0xFE, mark(2.0).payload)
        + jpeg_files.segment(0xE1, exif.HEADER + jpeg_files.exif())
    )
    image = parsed(source)
    carried = carry(source, image)
    fewer = replace(carried, segments=without_marks(carried.segments))
    assert len(fewer.segments) == len(image.segments) - 1
    written = write(replace(image, segments=[*fewer.segments, mark(1.0)], trailing=carried.trailing))
    assert frames(settle(written, fewer)) == frames(source)
    spliced = splice(source, image, fewer)
    assert spliced is not None
    assert len(spliced) == len(source) - len(mark(2.0).payload) - 4
    assert frames(spliced) == frames(source)


@pytest.mark.foreign
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not there")
@pytest.mark.parametrize("strip", ["", "gps", "thumbnail", "gainmap", "trailing"])
def test_exiftool_finds_the_rest(strip: str, tmp_path: Path) -> None:
    source = jpeg_files.ultra_hdr(
        video=VIDEO, extra=jpeg_files.segment(0xE1, exif.HEADER + jpeg_files.exif())
    )
    result = transcode_bytes(source, Policy.of(strip=[strip] if strip else []))
    paths = tmp_path / "before.jpg", tmp_path / "after.jpg"
    paths[0].write_bytes(source)
    paths[1].write_bytes(result.data)
    command = ["exiftool", "-j", "-a", "-G1", "-u", "-b", "-x", "System:all", *map(str, paths)]
    before, after = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    differing = {
        key.split(":")[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    }
    groups = {
        "": set(),
        "gps": {"GPS", "Composite"},
        "thumbnail": {"IFD1"},
        "gainmap": {"MPF0", "MPImage2", "XMP-Container", "XMP-hdrgm"},
        "trailing": {"XMP-Container", "XMP-GCamera", "Trailer"},
    }[strip]
    # The gain map is packed anew, so its length in the container directory differs.
    assert differing <= {"SourceFile", "File", "MPImage1", "MPImage2", "XMP-Container", "ExifTool"} | groups
    if strip != "gainmap":
        maps = [
            base64.b64decode(found["MPImage2:MPImage2"].removeprefix("base64:")) for found in (before, after)
        ]
        assert len(maps[1]) <= len(maps[0])
        assert same_pixels(*maps)
    assert after["IFD0:Orientation"] == before["IFD0:Orientation"]
