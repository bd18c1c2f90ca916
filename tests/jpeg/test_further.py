"""Gain maps and other further pictures are coded anew without loss, and every offset and length follows."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from PIL.MpoImagePlugin import MpoImageFile
from reference import jpeg_files

import guetzpy
from guetzpy.jpeg.further import with_packed_pictures
from guetzpy.jpeg.metadata import mpf
from guetzpy.jpeg.metadata.holdings import locate
from guetzpy.jpeg.metadata.policy import Policy
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.transcode import transcode_bytes

VIDEO = b"\0\0\0\x18ftypmp42 the video of a motion photo"


def frames(data: bytes) -> list[bytes]:
    """Return the samples of all pictures that Pillow finds by the MPF index."""
    with MpoImageFile(io.BytesIO(data)) as picture:
        found = []
        for number in range(picture.n_frames):
            picture.seek(number)
            found.append(picture.tobytes())
        return found


def mpo(count: int = 3) -> bytes:
    pictures = [Image.open(io.BytesIO(jpeg_files.picture(60 + n, 50, seed=n))) for n in range(count)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "MPO", save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def in_container(data: bytes) -> dict[str, bytes]:
    """Return the files that the container directory lists, found by their lengths from the end."""
    survey = locate(data, read(data))
    found, end = {}, len(data)
    for item in reversed(survey.items[1:]):
        found[item.semantic] = data[end - item.length : end]
        end -= item.length
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("video", [b"", VIDEO])
@pytest.mark.parametrize("length", [False, True])
def test_gain_maps(order: str, padding: int, video: bytes, length: bool) -> None:
    source = jpeg_files.ultra_hdr(order, padding=padding, video=video, primary_length=length)
    alone, result = transcode_bytes(source, further=False), transcode_bytes(source)
    assert result.status == "lossless"
    assert len(result.data) < len(alone.data)
    assert frames(result.data) == frames(source)
    listed = in_container(result.data)
    assert listed["GainMap"][:2] == b"\xff\xd8"
    assert listed["GainMap"][-2:] == b"\xff\xd9"
    assert b"hdrgm:GainMapMax" in listed["GainMap"]
    assert listed.get("MotionPhoto", b"") == video
    survey = locate(result.data, read(result.data))
    assert survey.index is not None
    second = survey.index.pictures[1]
    start = survey.base + second.offset
    assert result.data[start : start + second.size] == listed["GainMap"]
    assert result.data[: len(result.data) - len(listed["GainMap"]) - len(video)].endswith(bytes(padding))
    assert transcode_bytes(result.data).data == result.data


def test_pictures_of_the_index() -> None:
    source = mpo()
    alone, result = transcode_bytes(source, further=False), transcode_bytes(source)
    assert len(result.data) < len(alone.data)
    assert frames(result.data) == frames(source)
    index = next(mpf.read_index(s.payload) for s in read(result.data).segments if s.payload[:4] == b"MPF\0")
    assert index is not None
    assert index.pictures[-1].size < frames_sizes(source)[-1]


def frames_sizes(data: bytes) -> list[int]:
    survey = locate(data, read(data))
    assert survey.index is not None
    return [picture.size for picture in survey.index.pictures]


def test_further_pictures_alone_make_a_file_smaller() -> None:
    """The first picture of the source cannot get smaller."""
    source = jpeg_files.ultra_hdr()
    first = transcode_bytes(source, further=False).data
    assert transcode_bytes(first, further=False).status == "kept"
    result = transcode_bytes(first)
    assert (result.status, frames(result.data)) == ("lossless", frames(first))
    assert len(result.data) < len(first)


def test_lossy_files_have_them_too(photo_array: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(photo_array).save(
        file, "MPO", save_all=True, append_images=[Image.fromarray(photo_array[:40])], quality=95
    )
    source = file.getvalue()
    result = guetzpy.optimize(source, distance=2.0)
    assert result.status == "optimized"
    assert result.bytes_before == len(source)
    assert frames(result.data)[1] == frames(source)[1]
    assert frames_sizes(result.data)[1] < frames_sizes(source)[1]


def test_what_is_stripped_or_broken_is_left_alone() -> None:
    source = jpeg_files.ultra_hdr()
    image = read(source)

    def fail(picture: bytes) -> bytes | None:
        raise AssertionError(picture)

    assert with_packed_pictures(source, image, fail, ("gainmap", "mpf")) == (source, image)
    assert with_packed_pictures(source, image, lambda _: None)[0] is source
    assert with_packed_pictures(source, image, lambda picture: picture + b"\0")[0] is source
    start = len(source) - len(image.trailing)
    frame = source.index(b"\xff\xc0", start)
    broken = source[:frame] + b"\xff\xc3" + source[frame + 2 :]  # lossless coding, which is not read
    assert read(transcode_bytes(broken).data).trailing == read(broken).trailing
    stripped = transcode_bytes(source, Policy.of(strip=["gainmap"]))
    assert read(stripped.data).trailing == b""


def test_offsets_in_a_maker_note_follow() -> None:
    """A preview behind the gain map moves twice: the first picture and the gain map get smaller."""
    preview = jpeg_files.picture(16, 16, seed=5)
    source = jpeg_files.pointing_at(preview, video=preview)
    result = transcode_bytes(source)
    assert len(in_container(result.data)["GainMap"]) < len(in_container(source)["GainMap"])
    assert jpeg_files.pointed_at(result.data) == jpeg_files.pointed_at(source) == preview


def test_a_gain_map_stays_if_an_offset_points_into_it() -> None:
    inner = jpeg_files.picture(16, 16, seed=5)
    gain_map = jpeg_files.with_segments(
        jpeg_files.picture(24, 20, seed=1),
        jpeg_files.segment(0xE1, jpeg_files.XMP + jpeg_files.xmp(f'{jpeg_files.HDRGM} hdrgm:Version="1.0"')),
        jpeg_files.segment(0xE4, b"PREVIEW " + inner),
    )
    source = jpeg_files.pointing_at(inner, gain_map=gain_map)
    result = transcode_bytes(source)
    assert len(result.data) < len(source)
    assert in_container(result.data)["GainMap"] == gain_map
    assert jpeg_files.pointed_at(result.data).startswith(inner)


CUT_SHORT = [jpeg_files.segment(0xE0, b"JFIF\0"), jpeg_files.segment(0xEE, b"Adobe\0\x64")]


@pytest.mark.parametrize("segment", CUT_SHORT)
def test_pictures_of_a_file_with_a_segment_cut_short(segment: bytes) -> None:
    """The first run drops the segment and makes the gain map smaller, so the second changes no byte."""
    source = jpeg_files.ultra_hdr(extra=segment)
    result = transcode_bytes(source)
    assert "a JFIF or Adobe segment that is too short is removed" in result.warnings
    assert segment not in result.data
    assert result.data == transcode_bytes(jpeg_files.ultra_hdr()).data
    assert frames(result.data) == frames(source.replace(segment, b""))
    assert transcode_bytes(result.data).data == result.data


@pytest.mark.parametrize("segment", CUT_SHORT)
def test_pictures_behind_one_that_is_copied_with_a_segment_cut_short(segment: bytes) -> None:
    """The first picture lacks its last scan, so that its data and its segments are copied."""
    base = jpeg_files.picture(progressive=True)
    source = jpeg_files.ultra_hdr(base=base[: base.rindex(b"\xff\xda")] + b"\xff\xd9", extra=segment)
    result = transcode_bytes(source)
    assert result.reason == "some coefficients are not sent in full"
    assert segment in result.data
    assert len(in_container(result.data)["GainMap"]) < len(in_container(source)["GainMap"])
    assert transcode_bytes(result.data).data == result.data


@pytest.mark.parametrize("elements", [False, True])
def test_a_gain_map_that_only_the_container_lists(elements: bool) -> None:
    """Its properties may be attributes of the item or elements within it."""
    gain_map = jpeg_files.picture(24, 20, seed=1)
    listed = jpeg_files.container(("Primary", "image/jpeg", None), ("GainMap", "image/jpeg", len(gain_map)))
    if elements:
        listed = re.sub(r"<(Container:Item) Item:Length", r"<\1 Item:Length", listed)
        listed = re.sub(r'Item:(\w+)="([^"]*)"', r"<Item:\1>\2</Item:\1>", listed)
        listed = re.sub(
            r"<Container:Item (.*?)/></rdf:li>", r"<Container:Item>\1</Container:Item></rdf:li>", listed
        )
    packet = jpeg_files.XMP + jpeg_files.xmp(content=listed)
    source = jpeg_files.with_segments(jpeg_files.picture(), jpeg_files.segment(0xE1, packet)) + gain_map
    result = transcode_bytes(source)
    assert len(in_container(result.data)["GainMap"]) < len(gain_map)
    assert in_container(result.data)["GainMap"] == transcode_bytes(gain_map, further=False).data
    stripped = transcode_bytes(source, Policy.of(strip=["gainmap"]))
    assert read(stripped.data).trailing == b""
