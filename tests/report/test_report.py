"""The report: its numbers, the contents and the size of the page, and hostile names of files."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.reports import EVIL, data_of, jpeg, result, run_of
from typer.testing import CliRunner

from guetzpy.cli import app
from guetzpy.report import Bounds, Collection, pictures
from guetzpy.report.choices import choices
from guetzpy.report.page import bytes_text, duration_text
from guetzpy.report.summary import histogram, totals
from guetzpy.result import Result

NO_MAPS = Bounds(heatmaps=0)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its embedded data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self._open == "script" else self.texts).append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


def one(before: int, after: int, status: Any = "optimized") -> Result:
    return Result(status=status, bytes_before=before, bytes_after=after, seconds=0.5)


def test_totals_count_what_has_both_sizes() -> None:
    failed = Result(status="failed", input="x")
    array = Result(status="optimized", bytes_after=50)
    found = totals([one(100, 50), one(300, 300, "kept"), one(100, 40), failed, array])
    assert (found["bytes_before"], found["bytes_after"], found["measured"]) == (500, 390, 3)
    assert found["saving"] == pytest.approx(0.22)
    assert found["median_saving"] == pytest.approx(0.5)
    assert (found["files"], found["optimized"], found["kept"], found["failed"]) == (5, 3, 1, 1)
    assert totals([failed])["saving"] is None


def test_histogram_counts_every_file_once() -> None:
    results = [one(100, after) for after in (100, 99, 91, 90, 55, 0)] + [one(100, 130)]
    bins = histogram(results, 10)
    assert bins[0] == {"low": None, "high": 0, "files": 1}
    assert {b["low"]: b["files"] for b in bins[1:] if b["files"]} == {0: 3, 10: 1, 40: 1, 90: 1}
    assert sum(b["files"] for b in bins) == len(results)
    assert histogram([]) == []
    close = histogram([one(1000, after) for after in (650, 648, 634, 619, 602)])
    assert [b["high"] - b["low"] for b in close] == [1] * len(close)
    assert len(histogram(results)) >= 5


def test_choices_are_read_from_the_headers() -> None:
    found = choices(jpeg(1, 75, progressive=True, subsampling="4:2:2"))
    assert found is not None
    assert (found["mode"], found["subsampling"]) == ("progressive", "422")
    assert (found["quality"], found["quality_exact"]) == (75, True)
    assert [table["components"] for table in found["tables"]] == [["Y"], ["Cb", "Cr"]]
    assert found["tables"][0]["steps"][0][0] == 8
    assert len(found["scans"]) > 3
    assert choices(b"no picture") is None
    assert choices(b"\xff\xd8\xff\xc0\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0") is None  # a table is missing
    assert choices(b"\xff\xd8\xff\xd9") is None  # a frame header is missing


def test_json_holds_results_and_choices(tmp_path: Path) -> None:
    collection = Collection()
    results = run_of(tmp_path, 3, collection)
    path = tmp_path / "report.json"
    assert collection.write(path) == path.stat().st_size
    record = json.loads(path.read_text("utf-8"))
    assert set(record) == {"guetzpy", "date", "settings", "totals", "histogram", "files"}
    assert record["totals"]["files"] == 4
    for file, expected in zip(record["files"], results, strict=True):
        assert file["bytes_after"] == expected.bytes_after
        assert file["saving"] == expected.saving
        assert (file["coding"] is None) == (expected.status == "failed")


def test_page_opens_without_asking_anybody(tmp_path: Path) -> None:
    collection = Collection(bounds=NO_MAPS)
    run_of(tmp_path, 3, collection)
    text = collection.html(str(tmp_path / "report.html"))
    page = Page(text)
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form"), tag
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        if tag == "script":
            assert "src" not in attributes
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    policies = [a["content"] or "" for t, a in page.elements if a.get("http-equiv")]
    assert "default-src 'none'" in policies[0]
    assert "unsafe" not in policies[0]
    assert "@@" not in text


def test_names_from_strangers_stay_text(tmp_path: Path) -> None:
    collection = Collection(bounds=NO_MAPS)
    run_of(tmp_path, 1, collection)
    text = collection.html(str(tmp_path / "report.html"))
    page = Page(text)
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    assert not any(attributes.get("src") == "x" for _, attributes in page.elements)
    shown = "".join(page.texts)
    assert "alert(1)" in shown  # as text
    assert "{{7*7}}" in shown
    assert "\u202e" not in text
    assert "\\u202e" in shown
    assert data_of(text)[1]["input"].endswith("\\n.jpg")
    assert data_of(text)[1]["error"] == "truncated: 3 of 9 <MCU> rows"


def test_names_that_are_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.jpg") if sys.platform != "win32" else "caf\xe9 \udcff.jpg"
    data = jpeg(0, 90)
    for suffix in ("html", "json"):
        collection = Collection(bounds=NO_MAPS)
        collection.add(result(name, data, data), data, data)
        path = tmp_path / f"report.{suffix}"
        collection.write(path)
        assert "caf\xe9" in path.read_text("utf-8") or "caf\\udce9" in path.read_text("utf-8").replace(
            "\\\\", "\\"
        )


def test_pictures_are_embedded_while_they_fit_and_linked_beyond(tmp_path: Path) -> None:
    results = run_of(tmp_path, 6, Collection())
    pair = max((r.bytes_before or 0) + (r.bytes_after or 0) for r in results)
    collection = Collection(bounds=Bounds(embedded=2 * pair + 10, heatmaps=0))
    for each in results:
        collection.add(each)
    files = data_of(collection.html(str(tmp_path / "report.html")))
    embedded = [f for f in files if f["view"]["embedded"]]
    assert len(embedded) == 2
    assert {f["input"] for f in embedded} == {r.input for r in results[4:6]}  # the highest scores
    assert base64.b64decode(embedded[0]["view"]["after"].split(",")[1])[:2] == b"\xff\xd8"
    others = [f for f in files[:6] if not f["view"]["embedded"]]
    assert [f["view"]["before"] for f in others] == [f"./in/photo%20{i}.jpg" for i in range(4)]
    assert files[6]["view"]["before"] is None


def test_page_says_how_large_it_is(tmp_path: Path) -> None:
    collection = Collection(bounds=NO_MAPS)
    run_of(tmp_path, 2, collection)
    size = collection.write(tmp_path / "report.html")
    text = html.unescape((tmp_path / "report.html").read_text("utf-8"))
    assert f"This page has {bytes_text(size)}" in text
    assert bytes_text(NO_MAPS.embedded) in text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (99_960, "100 kB"),
        (999_600, "1.00 MB"),
        (23_456_789, "23.5 MB"),
    ],
)
def test_sizes_in_words(count: int, text: str) -> None:
    assert bytes_text(count) == text.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (5.42, "5.4 s"), (250, "4 min 10 s"), (119.7, "2 min 0 s"), (11100, "3 h 5 min")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text.replace(" ", "\u00a0")


def test_heat_maps_are_for_what_changed_and_turned_as_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    before, after = jpeg(1, 95, exif=exif), jpeg(1, 50, exif=exif)
    collection = Collection(threads=1)
    collection.add(result("turned.jpg", before, after), before, after)
    collection.add(result("same.jpg", before, before, status="kept"), before, before)
    files = data_of(collection.html(str(tmp_path / "report.html")))
    overlay = Image.open(io.BytesIO(base64.b64decode(files[0]["view"]["heat"].split(",")[1])))
    assert overlay.size == (48, 64)
    assert np.asarray(overlay.convert("RGBA"))[..., 3].max() > 0
    assert files[1]["view"]["heat"] is None
    assert 8 < files[0]["cvvdp"] < 10
    assert "difference" in files[0]["cvvdp_words"]
    assert files[1]["cvvdp"] is None


def test_files_that_are_not_what_they_were_are_not_shown(tmp_path: Path) -> None:
    collection = Collection()
    results = run_of(tmp_path, 2, Collection())
    Path(results[0].input or "").unlink()
    Path(results[1].input or "").write_bytes(b"something else")
    for each in results[:2]:
        collection.add(each)
    for file in data_of(collection.html(str(tmp_path / "report.html"))):
        assert file["view"]["before"] is None
        assert file["view"]["before_link"] is None
        assert file["view"]["heat"] is None
        assert file["view"]["after"]


def test_originals_of_runs_in_place_are_held(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    before, after = jpeg(0, 95), jpeg(0, 50)
    path.write_bytes(before)
    collection = Collection(bounds=NO_MAPS)
    collection.hold([str(path), str(tmp_path / "missing.jpg")])
    path.write_bytes(after)
    collection.add(result(str(path), before, after, output=str(path)))
    (file,) = data_of(collection.html(str(tmp_path / "report.html")))
    assert base64.b64decode(file["view"]["before"].split(",")[1]) == before
    assert file["view"]["before_link"] is None  # the file there now is another one


def test_many_files_stay_within_bounds(tmp_path: Path) -> None:
    bounds = Bounds(embedded=300_000, heatmaps=5)
    collection = Collection(bounds=bounds)
    before, after = jpeg(0, 95, (320, 240)), jpeg(0, 60, (320, 240))
    (tmp_path / "a.jpg").write_bytes(before)
    (tmp_path / "b.jpg").write_bytes(after)
    for i in range(300):
        collection.add(result(str(tmp_path / "a.jpg"), before, after, i % 50, output=str(tmp_path / "b.jpg")))
    text = collection.html(str(tmp_path / "report.html"))
    files = data_of(text)
    held = sum(
        len(f["view"][side] or "") for f in files if f["view"]["embedded"] for side in ("before", "after")
    )
    held += sum(len(f["view"]["heat"] or "") for f in files)
    assert 0 < held * 3 / 4 < bounds.embedded + 50 * 300
    assert sum(f["view"]["heat"] is not None for f in files) == 5
    thumbnail = len(pictures.thumbnail(after) or b"") * 4 / 3
    assert len(text) < 300 * (thumbnail + 6500) + 2 * bounds.embedded


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i in range(2):
        (tmp_path / "in" / f"photo{i}.jpg").write_bytes(jpeg(i, 95))
    return tmp_path


def test_report_of_single_files(photos: Path) -> None:
    done = run(
        "transcode",
        "in/photo0.jpg",
        "in/photo1.jpg",
        "missing.jpg",
        "-o",
        "out/",
        "--report",
        "new/page.html",
    )
    assert done.exit_code == 1
    assert "new/page.html: report of 3 files" in done.stderr
    files = data_of((photos / "new/page.html").read_text("utf-8"))
    assert [f["status"] for f in files] == ["lossless", "lossless", "failed"]
    assert files[0]["view"]["after_link"] == "../out/photo0.jpg"


def test_report_of_a_run_that_writes_nothing(photos: Path) -> None:
    done = run("transcode", "in/photo0.jpg", "-n", "--report", "page.html")
    assert done.exit_code == 0, done.stderr
    (file,) = data_of((photos / "page.html").read_text("utf-8"))
    assert file["view"]["after"].startswith("data:image/jpeg")


def test_report_of_a_folder_in_place(photos: Path) -> None:
    done = run(
        "transcode", "in", "-r", "--in-place", "-j", "1", "--manifest", "m.sqlite", "--report", "page.html"
    )
    assert done.exit_code == 0, done.stderr
    files = data_of((photos / "page.html").read_text("utf-8"))
    assert len(files) == 2
    for file in files:
        assert len(base64.b64decode(file["view"]["before"].split(",")[1])) == file["bytes_before"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("page.txt", "name it"),
        ("in/photo0.jpg.html/", "name it"),
        ("folder.html", "is a folder"),
        ("in/photo0.jpg/page.html", "--report in/photo0.jpg/page.html: "),  # the rest is the system's text
        ("in/photo0.jpg/", "--report in/photo0.jpg/: "),
        ("in/photo0.jpg/below/", "--report in/photo0.jpg/below/: "),
        ("site/", "--report site/: "),
    ],
)
def test_reports_that_cannot_be_written(photos: Path, name: str, words: str) -> None:
    (photos / "folder.html").mkdir()
    (photos / "site/index.html").mkdir(parents=True)
    done = run("transcode", "in/photo0.jpg", "-o", "out.jpg", "--report", name)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (photos / "out.jpg").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_report_is_not_put_where_a_link_leads_nowhere(photos: Path) -> None:
    Path("site").symlink_to("nowhere")
    done = run("transcode", "in/photo0.jpg", "-o", "out.jpg", "--report", "site/")
    assert (done.exit_code, "guetzpy: --report site/: " in done.stderr) == (2, True)
    assert not (photos / "out.jpg").exists()
    assert not (photos / "nowhere").exists()


def test_a_report_that_takes_long_tells_its_progress(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guetzpy.cli.report._SECONDS_A_WORD", -1.0)
    command = ["transcode", "in/photo0.jpg", "in/photo1.jpg", "-o", "out/", "--report", "page.html"]
    done = run(*command)
    assert (done.exit_code, "guetzpy: report: 2 of 2 " in done.stderr) == (0, True), done.stderr
    done = run(*command, "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")


def test_report_never_replaces_a_picture(photos: Path) -> None:
    source = Path("photo.html")  # a picture whatever its name
    source.write_bytes(Path("in/photo0.jpg").read_bytes())
    done = run("transcode", "photo.html", "-o", "out.jpg", "--report", "photo.html")
    assert done.exit_code == 2
    assert "is one of the pictures" in done.stderr
    assert source.read_bytes().startswith(b"\xff\xd8")


def test_evil_name_is_evil_enough() -> None:
    assert all(part in EVIL for part in ("<", "</script>", '"', "'", "&", "{{", "\u202e", "\n"))
