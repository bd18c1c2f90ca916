"""The pictures of a report: their formats and links, thumbnails, heat maps, and files that cannot be read."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from reference.reports import data_of, jpeg, result, run_of

from guetzpy.picture.profiles import adobe_rgb
from guetzpy.report import Bounds, Collection, pictures


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"GIF89a", "image/gif"),
        (b"BM", None),
    ],
)
def test_mime_types(data: bytes, kind: str | None) -> None:
    assert pictures.mime_type(data) == kind


def test_a_link_to_another_drive_is_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_drive(path: str, start: str) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", other_drive)
    place = (tmp_path / "a b.jpg").resolve()
    assert pictures.link(str(place), str(tmp_path / "page.html")) == place.as_uri()


@pytest.mark.parametrize(
    "name",
    [
        "a b.jpg",
        "javascript:alert(1).jpg",
        "50%25 #1?.jpg",
        "sub/é&\"'<.jpg",
        "../elsewhere/x.jpg",
        "data:x.jpg",
    ],
)
def test_links_lead_to_the_file_and_nowhere_else(tmp_path: Path, name: str) -> None:
    page = tmp_path / "reports" / "report.html"
    url = pictures.link(str(page.parent / name), str(page))
    assert url.startswith(("./", "../"))
    assert re.fullmatch(r"[A-Za-z0-9_.~%/-]+", url)
    assert os.path.normpath(page.parent / unquote(url)) == os.path.normpath(page.parent / name)


@pytest.mark.parametrize(("embedded", "maps"), [(10**7, [1, 2]), (4000, [1])])
def test_heat_maps_end_where_the_page_is_full(tmp_path: Path, embedded: int, maps: list[int]) -> None:
    """Half of the page is for heat maps of about 1400 bytes; one that does not fit is not embedded."""
    told: list[tuple[str, int, int]] = []
    collection = Collection(threads=1, bounds=Bounds(embedded=embedded))
    run_of(tmp_path, 2, collection)
    page = collection.html(str(tmp_path / "report.html"), progress=lambda *step: told.append(step))
    assert [number for kind, number, _ in told if kind == "heat maps"] == maps
    assert sum(file["view"]["heat"] is not None for file in data_of(page)) == len(maps)


def test_a_picture_without_heat_map_stays_in_the_report(tmp_path: Path) -> None:
    before, after = jpeg(1, 95), jpeg(1, 50, size=(32, 32))
    collection = Collection(threads=1)
    collection.add(result("a.jpg", before, after), before, after)
    (file,) = data_of(collection.html(str(tmp_path / "report.html")))
    assert file["view"]["heat"] is None
    assert file["view"]["before"]


@pytest.mark.parametrize("path", ["a\0b.jpg", "missing.jpg", "locked.jpg"])
def test_files_that_cannot_be_read_are_not_shown(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(tmp_path)
    before, after = jpeg(1, 95), jpeg(1, 50)
    Path("locked.jpg").write_bytes(before)
    collection = Collection(threads=1)
    collection.add(result(path, before, after), None, after)
    monkeypatch.setattr("guetzpy.report.collection.open", refuse, raising=False)
    (file,) = data_of(collection.html(str(tmp_path / "report.html")))
    assert file["view"]["before"] is None
    assert file["view"]["after"]


@pytest.mark.parametrize(
    ("format_name", "mode"),
    [("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("WEBP", "RGB"), ("TIFF", "RGB"), ("BMP", "RGB")],
)
def test_what_is_no_jpeg_becomes_png(format_name: str, mode: str) -> None:
    picture = Image.open(io.BytesIO(jpeg(0, 95)))
    stream = io.BytesIO()
    picture.convert(mode).save(stream, format_name)
    data = stream.getvalue()
    shown = pictures.showable(data)
    assert shown is not None
    assert pictures.mime_type(shown) == "image/png"
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(shown)).convert("RGB")),
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
    )
    assert pictures.showable(b"no picture") is None
    assert pictures.thumbnail(b"no picture") is None


def test_samples_of_16_bits_and_profiles_are_shown() -> None:
    deep = np.arange(32 * 24, dtype=np.uint16).reshape(24, 32) * 85
    stream = io.BytesIO()
    Image.fromarray(deep).save(stream, "PNG")
    shown = pictures.showable(stream.getvalue())
    assert shown is not None
    with Image.open(io.BytesIO(shown)) as picture:
        np.testing.assert_allclose(np.asarray(picture), deep / 257, atol=0.51)
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG", icc_profile=adobe_rgb(3))
    shown = pictures.showable(stream.getvalue())
    assert shown is not None
    with Image.open(io.BytesIO(shown)) as picture:
        assert picture.info["icc_profile"] == adobe_rgb(3)


def test_thumbnails_are_small_and_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    small = pictures.thumbnail(jpeg(2, 90, (400, 200), exif=exif))
    assert small is not None
    assert Image.open(io.BytesIO(small)).size == (64, 128)
    assert len(small) < 6000
