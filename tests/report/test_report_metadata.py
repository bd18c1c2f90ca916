"""A report has no metadata of its pictures, and respects its limits on bytes and pixels."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from reference import jpeg_files, metadata_files
from reference.metadata_files import CITY, OWNER, SECRETS

import guetzpy
from guetzpy.jpeg.metadata import exif
from guetzpy.jpeg.metadata.policy import kind_of
from guetzpy.jpeg.reader import read
from guetzpy.report import Bounds, Collection, pictures
from guetzpy.result import Result

HIDDEN = (*SECRETS, CITY, OWNER, b"THUMB", b"MAKER NOTE")


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    codes = np.arange(40 * 60 * 3, dtype=np.uint32).reshape(40, 60, 3) % 251
    Image.fromarray(codes.astype(np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


def inputs() -> dict[str, bytes]:
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "Latitude: 48.858222")
    block = exif.HEADER + metadata_files.tiff()
    return {
        "jpeg": metadata_files.everything(jpeg_files.picture(icc_profile=b"profile" * 20)),
        "png": encoded("PNG", exif=block, pnginfo=words),
        "webp": encoded("WEBP", exif=block, xmp=metadata_files.packet(), lossless=True),
        "gif": encoded("GIF", comment=b"48.858222"),
        "tiff": encoded("TIFF", tiffinfo={0x013B: "Ada Lovelace", 0x010E: "48.858222"}),
    }


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "tiff"])
def test_what_is_shown_has_no_metadata(kind: str) -> None:
    data = inputs()[kind]
    for made in (pictures.showable(data), pictures.thumbnail(data)):
        assert made is not None
        for hidden in HIDDEN:
            assert hidden not in made
        with Image.open(io.BytesIO(made)) as picture:
            assert set(picture.getexif()) <= {0x0112}
    if kind == "jpeg":
        shown = pictures.showable(data)
        assert shown is not None
        assert [kind_of(s) for s in read(shown).segments] == ["exif", "jfif", "icc"]
        assert np.array_equal(read(shown).components[0].coefficients, read(data).components[0].coefficients)


def test_thumbnails_without_comments() -> None:
    small = pictures.thumbnail(jpeg_files.picture(300, 200, comment=b"Latitude: 48.858222"))
    assert small is not None
    assert b"48.858222" not in small
    with Image.open(io.BytesIO(small)) as picture:
        assert picture.size == (128, 85)


def page_of(data: dict[str, bytes], bounds: Bounds, folder: Path) -> str:
    collection = Collection(bounds=bounds, threads=1)
    for name, picture in data.items():
        result = guetzpy.transcode(picture, strip="gps") if name == "jpeg" else Result(status="kept")
        with Image.open(io.BytesIO(picture)) as opened:
            width, height = opened.size
        collection.add(
            Result(
                status=result.status,
                input=str(folder / name),
                bytes_before=len(picture),
                bytes_after=len(picture),
                width=width,
                height=height,
            ),
            picture,
            result.data or picture,
        )
    return collection.html(str(folder / "page.html"))


def held(page: str) -> list[bytes]:
    return [
        base64.b64decode(text) for text in re.findall(r"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", page)
    ]


def test_the_page_has_no_metadata(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    found = held(page_of(inputs(), Bounds(heatmaps=0), tmp_path))
    assert len(found) == 5 * 3  # a thumbnail, before and after
    for data in found:
        for hidden in HIDDEN:
            assert hidden not in data


def test_the_page_is_bounded(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    many = {f"{i}.jpg": jpeg_files.picture(64, 48, seed=i) for i in range(6)}
    small = Bounds(heatmaps=0, thumbnail_bytes=6000, picture_pixels=64 * 48 - 1)
    found = held(page_of(many, small, tmp_path))
    assert found
    assert sum(4 * len(data) / 3 for data in found) <= 6000
    one = held(page_of(many, Bounds(heatmaps=0, thumbnails=0, picture_pixels=64 * 48), tmp_path))
    assert len(one) == 12
