"""Transcoding of real files, which are not part of the repository."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from guetzpy import inspect, transcode
from guetzpy.errors import FormatError, GuetzpyError
from guetzpy.jpeg.markers import find_marker, read_payload
from guetzpy.jpeg.metadata.appended import places
from guetzpy.jpeg.metadata.policy import Policy, icc_profile, kind_of, orientation
from guetzpy.jpeg.metadata.preservation import carry, describe, settle, splice
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.transcode import Transcoded, same_pixels, transcode_bytes

IMAGES = Path(__file__).resolve().parents[3] / "shared" / "images"
FOLDERS = ("jpeg-features", "jpeg-camera", "jpeg-orientation", "jpeg-gainmap")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.foreign,
    pytest.mark.skipif(not IMAGES.is_dir(), reason="the collection of real files is not there"),
    # Warnings about the metadata of these files are not tested.
    pytest.mark.filterwarnings("ignore"),
]

#: Motion photos that were published with truncated pictures.
TRUNCATED = {
    "androidx-media__pixel-motion-photo-shortened.jpg",
    "androidx-media__ss-motion-photo-shortened.jpg",
}

#: Pillow reads ICC profiles before the frame header only; libjpeg reads the whole header.
PROFILE_BEHIND_FRAME = {"pillow__icc-after-SOF.jpg"}


def files() -> list[Path]:
    found = [p for folder in FOLDERS for p in sorted((IMAGES / folder).glob("*"))]
    return [p for p in found if p.read_bytes()[:3] == b"\xff\xd8\xff"]


def is_huffman_8_bit(data: bytes) -> bool:
    """Return whether the frame header declares sequential or progressive Huffman coding with 8 bits."""
    position = 2
    while (found := find_marker(data, position)) is not None:
        marker, _, position = found
        if marker in (0x01, 0xD8):
            continue
        payload, position = read_payload(data, position)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker <= 0xC2 and payload[0] == 8
    return False


def decodes(data: bytes) -> bool:
    """Return whether Pillow or imagecodecs decodes a file."""
    imagecodecs = pytest.importorskip("imagecodecs")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            return True
    except Exception:
        pass
    try:
        imagecodecs.jpeg8_decode(data)
        return True
    except Exception:
        return False


@cache
def transcoded(path: Path) -> Transcoded | GuetzpyError:
    """Return the file with all its components, and its further pictures as they are."""
    try:
        return transcode_bytes(path.read_bytes(), keep_components=True, further=False)
    except GuetzpyError as error:
        return error


def coefficients(path: Path, tmp_path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return libjpeg's coefficients and quantisation table of each component."""
    jpeglib = pytest.importorskip("jpeglib")
    try:
        image = jpeglib.read_dct(str(path))
    except OSError:  # libjpeg's limit on the number of segments
        data = path.read_bytes()
        plain = read(data)
        bare = splice(data, plain, carry(data, plain, Policy.of(strip=["all", "icc"])))
        assert bare is not None
        path = tmp_path / "bare.jpg"
        path.write_bytes(bare)
        image = jpeglib.read_dct(str(path))
    planes = [p for p in (image.Y, image.Cb, image.Cr, image.K) if p is not None]
    return [
        (plane.reshape(*plane.shape[:2], 64), image.get_component_qt(n)) for n, plane in enumerate(planes)
    ]


@pytest.mark.parametrize("path", files() if IMAGES.is_dir() else [], ids=lambda p: p.name)
def test_file(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    result = transcoded(path)
    if isinstance(result, GuetzpyError):
        if path.name in TRUNCATED:
            assert isinstance(result, FormatError)
            assert "truncated" in str(result)
        else:
            assert not (is_huffman_8_bit(data) and decodes(data)), result
        return
    assert len(result.data) <= len(data)
    assert result.image is not None
    if result.status == "kept":
        assert result.data == data
        assert result.reason
    else:
        assert same_pixels(data, result.data) is True
        assert read(result.data).segments[: len(result.image.segments)] != [] or not result.image.segments
    new = tmp_path / "new.jpg"
    new.write_bytes(result.data)
    old, after = coefficients(path, tmp_path), coefficients(new, tmp_path)
    assert len(old) == len(after) == len(result.image.components)
    for component, (a, table_a), (b, table_b) in zip(result.image.components, old, after, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(component.coefficients, a[: len(component.coefficients)])
        assert np.array_equal(table_a, table_b)


@pytest.mark.parametrize("path", files() if IMAGES.is_dir() else [], ids=lambda p: p.name)
def test_metadata_of_file(path: Path) -> None:
    data = path.read_bytes()
    try:
        image = read(data)
    except GuetzpyError:
        pytest.skip("not read")
    assert [place.segment for place in places(data, 0, len(data) - len(image.trailing))] == image.segments
    result = transcoded(path)
    assert isinstance(result, Transcoded)
    after = read(result.data)
    assert after.trailing == image.trailing
    assert [kind_of(s) for s in after.segments] == [kind_of(s) for s in image.segments]
    for a, b in zip(image.segments, after.segments, strict=True):
        assert a.payload == b.payload or kind_of(a) == "mpf"
    assert orientation(after) == orientation(image)
    assert icc_profile(after) == icc_profile(image)
    assert describe(result.data, after) == describe(data, image)
    with Image.open(io.BytesIO(data)) as picture:
        if path.name not in PROFILE_BEHIND_FRAME:
            assert icc_profile(image) == picture.info.get("icc_profile")
        tag = picture.getexif().get(0x0112)
        if "xmp" not in [kind_of(s) for s in image.segments]:
            assert orientation(image) == (tag if tag in range(1, 9) else 1)
    for kind in ("gps", "thumbnail", "all"):
        carried = carry(data, image, Policy.of(strip=[kind]))
        spliced = splice(data, image, carried)
        assert spliced is not None
        assert len(spliced) <= len(data)
        assert settle(spliced, carried) == spliced
        assert same_pixels(data, spliced) is True
        left = describe(spliced, read(spliced))
        assert kind == "all" or kind not in left


@pytest.mark.parametrize("path", files() if IMAGES.is_dir() else [], ids=lambda p: p.name)
def test_gray_and_further_pictures_of_file(path: Path) -> None:
    """Gray as R = G = B has one component, thumbnails and further pictures are packed; all pixels stay."""
    kept = transcoded(path)
    if isinstance(kept, GuetzpyError):
        pytest.skip("not read")
    data = path.read_bytes()
    result = transcode_bytes(data)
    assert len(result.data) <= len(kept.data)
    assert np.array_equal(in_colour(result.data), in_colour(data))
    if result.data != kept.data:
        gray = result.image is not None and len(result.image.components) == 1
        thumbnail = data.count(b"\xff\xd8\xff") > 1 and b"Exif\0\0" in data
        assert gray or thumbnail or path.parent.name == "jpeg-gainmap" or path.suffix == ".mpo"
    assert [shown.tobytes() for shown in pictures(result.data)] == [
        shown.tobytes() for shown in pictures(data)
    ]


def in_colour(data: bytes) -> np.ndarray | None:
    """Return the first picture as Pillow shows it in RGB; None if Pillow cannot."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def pictures(data: bytes) -> list[Image.Image]:
    """Return all pictures of the MPF index, as Pillow shows them in RGB."""
    found: list[Image.Image] = []
    try:
        with Image.open(io.BytesIO(data)) as picture:
            for number in range(getattr(picture, "n_frames", 1)):
                picture.seek(number)
                found.append(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        pass
    return found


def test_total_size() -> None:
    """The sum is at most that of mozjpeg's jpegtran with all metadata, plus the data after EOI it drops."""
    mozjpeg = pytest.importorskip("mozjpeg_lossless_optimization")
    rows, kept = [], []
    for folder in FOLDERS:
        ours = theirs = before = count = 0
        for path in files():
            result = transcoded(path)
            if path.parent.name != folder or isinstance(result, GuetzpyError):
                continue
            assert result.image is not None
            data = path.read_bytes()
            peer = len(mozjpeg.optimize(data, copy=mozjpeg.COPY_MARKERS.ALL)) + len(result.image.trailing)
            count, before = count + 1, before + len(data)
            ours, theirs = ours + len(result.data), theirs + min(peer, len(data))
            if result.status == "kept":
                kept.append((path.name, result.reason))
        rows.append((folder, count, before, ours, theirs))
    rows.append(("all", *(sum(row[n] for row in rows) for n in range(1, 5))))  # type: ignore[arg-type]
    print("\n| folder | files | bytes before | after | mozjpeg jpegtran | against it |")
    print("|---|---|---|---|---|---|")
    for folder, count, before, ours, theirs in rows:
        print(f"| {folder} | {count} | {before} | {ours} | {theirs} | {ours / theirs - 1:+.2%} |")
    print("\n".join(f"kept: {name}: {reason}" for name, reason in kept))
    assert all(ours <= theirs for _, _, _, ours, theirs in rows)


@pytest.mark.parametrize("strip", [[], ["gps", "thumbnail", "mpf"], ["all"]], ids=["none", "parts", "all"])
def test_corrupt_files_end_well(strip: list[str]) -> None:
    """Any file gives a verified file that is not larger, or an error with its reason."""
    policy = Policy.of(strip=strip)
    for path in sorted((IMAGES / "jpeg-corrupt").glob("*.bin")):
        data = path.read_bytes()
        try:
            result = transcode_bytes(data, policy, repair=strip == ["all"])
        except GuetzpyError:
            continue
        assert result.image is not None
        if strip != ["all"]:
            assert len(result.data) <= len(data), path.name
        if not result.reason:
            assert read(result.data).trailing == (b"" if strip == ["all"] else result.image.trailing), (
                path.name
            )


@cache
def stripped(strip: str, folder: Path) -> dict[Path, Path]:
    """Return the stripped copies of all files of the collections that have one, by source."""
    made = {}
    for name in (*FOLDERS, "jpeg-corrupt"):
        for path in sorted((IMAGES / name).iterdir()):
            try:
                result = transcode(path, strip=strip)
            except GuetzpyError:
                continue
            made[path] = folder / f"{name}-{path.name}-{strip}.jpg"
            made[path].write_bytes(result.data)
    return made


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stripped")


def exiftool(paths: Iterable[Path], *options: str) -> list[dict[str, object]]:
    if shutil.which("exiftool") is None:
        pytest.skip("ExifTool is not there")
    command = ["exiftool", "-j", "-a", "-G1", "-x", "System:all", *options, *map(str, paths)]
    done = subprocess.run(command, check=False, capture_output=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("strip", ["all", "gps"])
def test_readers_take_stripped_files(strip: str, copies: Path) -> None:
    """Pillow, djpeg, our inspect and ExifTool open each stripped file if they open its source."""
    made = stripped(strip, copies)
    assert len(made) > 300
    refused = [
        {str(found["SourceFile"]) for found in exiftool(paths) if "ExifTool:Error" in found}
        for paths in (made.keys(), made.values())
    ]
    for path, copy in made.items():
        before, after = opening(path), opening(copy)
        assert after >= before, (path.name, before - after)
        assert str(copy) not in refused[1] or str(path) in refused[0], path.name


def opening(path: Path) -> set[str]:
    """Return the programs that open a file."""
    taken = set()
    try:
        with Image.open(path) as picture:
            picture.load()
        taken.add("Pillow")
    except (OSError, SyntaxError, ValueError):
        pass
    try:
        inspect(path)
        taken.add("inspect")
    except GuetzpyError:
        pass
    command = ["djpeg", "-outfile", os.devnull, str(path)]
    if shutil.which("djpeg") and subprocess.run(command, capture_output=True).returncode in (0, 2):
        taken.add("djpeg")
    return taken


def test_exiftool_finds_no_coordinates_in_stripped_files(copies: Path) -> None:
    pattern = re.compile(r"GPS|latitude|longitude|altitude|lrftarget|coordinates|Pose|jumb|jumd|c2pa", re.I)
    made = stripped("gps", copies)
    harmless = {"Photoshop:GlobalAltitude"}  # the height of the light of layer effects

    def held(paths: Iterable[Path]) -> list[str]:
        tags = exiftool(paths, "-ee3", "-U", "-n")
        return [tag for found in tags for tag in found if pattern.search(tag) and tag not in harmless]

    assert len(held(made.keys())) > 100
    assert held(made.values()) == []
