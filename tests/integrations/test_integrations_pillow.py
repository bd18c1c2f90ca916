"""guetzpy as a format of Pillow: it takes the keys of Pillow's JPEG format, and changes no other format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin

import guetzpy
from guetzpy.integrations import pillow


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    pillow.register()
    yield
    del Image.SAVE["GUETZPY"], Image.MIME["GUETZPY"]


@pytest.fixture(scope="module")
def picture(photo_array: np.ndarray) -> Image.Image:
    return Image.fromarray(photo_array[:48, :64])


def saved(im: Image.Image, **keys: Any) -> Image.Image:
    file = io.BytesIO()
    im.save(file, format="GUETZPY", **{"effort": "fast", **keys})
    read = Image.open(io.BytesIO(file.getvalue()))
    assert read.format == "JPEG"
    read.load()
    return read


def test_path_and_file_object_hold_what_optimize_makes(picture: Image.Image, tmp_path: Path) -> None:
    wanted = guetzpy.optimize(picture, distance=1.5).data
    picture.save(tmp_path / "a.jpg", format="GUETZPY", distance=1.5)
    assert (tmp_path / "a.jpg").read_bytes() == wanted
    file = io.BytesIO(b"head")
    file.seek(4)
    picture.save(file, format="guetzpy", distance=1.5)
    assert file.getvalue() == b"head" + wanted


def test_pillows_own_jpeg_stays(picture: Image.Image, tmp_path: Path) -> None:
    pillow.register()
    assert Image.SAVE["JPEG"] is JpegImagePlugin._save
    assert Image.EXTENSION[".jpg"] == "JPEG"
    assert Image.EXTENSION[".jpeg"] == "JPEG"
    assert "GUETZPY" not in Image.EXTENSION.values()
    assert "GUETZPY" not in Image.OPEN
    assert Image.MIME["GUETZPY"] == "image/jpeg"
    own, theirs = io.BytesIO(), tmp_path / "a.jpg"
    picture.save(own, "JPEG", quality=75)
    picture.save(theirs, quality=75)
    assert own.getvalue() == theirs.read_bytes()


def test_quality_is_as_good_as_pillows(picture: Image.Image) -> None:
    theirs = io.BytesIO()
    picture.save(theirs, "JPEG", quality=80)
    limit = guetzpy.metrics.butteraugli(picture, Image.open(theirs))
    ours = saved(picture, quality=80, optimize=True)
    assert guetzpy.metrics.butteraugli(picture, ours) <= limit


@pytest.mark.parametrize(
    ("given", "layers"),
    [(0, (1, 1)), ("4:4:4", (1, 1)), (2, (2, 2)), ("4:2:0", (2, 2)), ("4:1:1", (2, 2)), ("444", (1, 1))],
)
def test_subsampling(picture: Image.Image, given: Any, layers: tuple[int, int]) -> None:
    read = saved(picture, subsampling=given)
    assert read.layer[0][1:3] == layers  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("keys", "progressive"),
    [({}, True), ({"progressive": False}, False), ({"progressive": 1}, True), ({"progression": True}, True)],
)
def test_progressive(picture: Image.Image, keys: dict[str, Any], progressive: bool) -> None:
    large = picture.resize((640, 480))  # for a small picture the sequential file may be smaller
    assert ("progressive" in saved(large, **keys).info) is progressive


def test_metadata_is_that_which_is_given(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a hill"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for block in (exif, exif.tobytes()):
        read = saved(
            picture, exif=block, xmp=b"<x:xmpmeta/>", comment="a comment", dpi=(300, 300), icc_profile=profile
        )
        assert read.getexif()[0x010E] == "a hill"
        assert read.info["xmp"] == b"<x:xmpmeta/>"
        assert b"a comment" in comments(read)
        assert read.info["dpi"] == (300, 300)
        assert read.info["icc_profile"] == profile


def test_a_comment_that_is_too_long(picture: Image.Image) -> None:
    with pytest.raises(guetzpy.LimitError, match="comment"):
        saved(picture, comment="a" * 65_534)


def test_xmp_as_text(picture: Image.Image) -> None:
    """Pillow has the XMP of some PNG files as text."""
    assert saved(picture, xmp="<x>\xfc</x>").info["xmp"] == "<x>\xfc</x>".encode()


@pytest.mark.parametrize("dpi", [72, "72", (72,), (72, None), (-1, 72), (float("nan"), 72), (70000, 72)])
def test_dpi_that_is_no_pair_of_numbers(picture: Image.Image, dpi: Any) -> None:
    with pytest.raises(ValueError, match=r"expected two numbers, such as dpi=\(72, 72\)"):
        saved(picture, dpi=dpi)


def comments(read: Image.Image) -> list[bytes]:
    return [payload for marker, payload in read.applist if marker == "COM"]  # type: ignore[attr-defined]


def test_metadata_of_the_opened_file_as_pillow_has_it(picture: Image.Image) -> None:
    """As in Pillow's JPEG format, Exif (which may have coordinates) is written only if it is given."""
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = io.BytesIO()
    picture.save(file, "JPEG", exif=exif, xmp=b"<x/>", comment=b"old", icc_profile=profile, dpi=(72, 72))
    opened = Image.open(file)
    read = saved(opened)
    assert not len(read.getexif())
    assert "xmp" not in read.info
    assert "dpi" not in read.info
    assert b"old" in comments(read)
    assert read.info["icc_profile"] == profile  # without it the colours would change
    read = saved(opened, icc_profile=None, comment="")
    assert "icc_profile" not in read.info
    assert b"old" not in comments(read)
    assert opened.info["comment"] == b"old"  # the caller's picture is not changed


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"qtables": "web_low"}, ValueError, "qtables.*distance="),
        ({"quality": "keep"}, ValueError, "transcode"),
        ({"quality": "web_high"}, ValueError, "1 to 100"),
        ({"quality": 101}, ValueError, "1 to 100"),
        ({"quality": 80, "distance": 1.0}, ValueError, "contradict"),
        ({"subsampling": "4:2:2"}, ValueError, "4:4:4"),
        ({"subsampling": "keep"}, ValueError, "4:4:4"),
        ({"subsampling": [2]}, ValueError, "4:4:4"),
        ({"keep_rgb": True}, ValueError, "YCbCr"),
        ({"smooth": 10}, ValueError, "filter"),
        ({"extra": b"\xff\xe1\0\2"}, ValueError, "exif="),
        ({"distanc": 1.0}, TypeError, "distanc"),
        ({"source": 1.0}, TypeError, "source"),
    ],
)
def test_what_makes_no_sense(picture: Image.Image, keys: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        saved(picture, **keys)


def test_harmless_keys_are_taken(picture: Image.Image) -> None:
    plain = saved(picture).tobytes()
    keys = {"optimize": True, "keep_rgb": False, "smooth": 0, "qtables": None, "streamtype": 0, "quality": -1}
    assert saved(picture, subsampling=-1, **keys).tobytes() == plain


def test_modes(picture: Image.Image) -> None:
    assert saved(picture.convert("L")).mode == "L"
    assert saved(picture.convert("1")).mode == "L"
    assert saved(picture.convert("P")).mode == "RGB"
    assert saved(picture.convert("RGBA")).mode == "RGB"  # opaque
    assert saved(picture.convert("YCbCr")).mode == "RGB"
    deep = Image.fromarray(np.linspace(0, 65535, 64 * 48).astype(np.uint16).reshape(48, 64))
    assert deep.mode == "I;16"
    assert saved(deep).mode == "L"
    clear = picture.convert("RGBA")
    clear.putalpha(0)
    with pytest.raises(guetzpy.UnsupportedError, match="background"):
        saved(clear)
    assert np.asarray(saved(clear, background="white")).min() > 250
    palette = picture.quantize(8)
    palette.info["transparency"] = 0
    with pytest.raises(guetzpy.UnsupportedError, match="background"):
        saved(palette)


@pytest.mark.parametrize(("mode", "words"), [("CMYK", r"convert\(.RGB.\)"), ("F", "0..1"), ("LAB", "RGB")])
def test_modes_without_a_meaning_name_the_fix(mode: str, words: str) -> None:
    with pytest.raises(guetzpy.UnsupportedError, match=words):
        saved(Image.new(mode, (16, 16)))


def test_failure_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(guetzpy.UnsupportedError):
        Image.new("CMYK", (16, 16)).save(tmp_path / "a.jpg", format="GUETZPY")
    assert list(tmp_path.iterdir()) == []
