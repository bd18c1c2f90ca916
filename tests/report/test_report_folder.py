"""Reports with their pictures in a folder, comparisons with earlier reports, large reports, and previews."""

from __future__ import annotations

import html
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from reference.reports import EVIL, data_of, jpeg, result, run_of
from typer.testing import CliRunner

from guetzpy._runtime.text import printable
from guetzpy.cli import app
from guetzpy.cli.preview import _command
from guetzpy.options import OptimizeOptions
from guetzpy.report import Collection, Earlier, preview
from guetzpy.report.beside import PictureFolder
from guetzpy.result import Result


def run(*arguments: str) -> Any:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_pictures_beside_the_page(tmp_path: Path) -> None:
    """The page is small, all of its pictures exist, and a new report removes those of the earlier one."""
    collection = Collection(threads=1)
    run_of(tmp_path, 6, collection, (400, 300))
    size = collection.write(f"{tmp_path}/rep/")
    page = (tmp_path / "rep" / "index.html").read_text()
    assert size == len(page.encode()) < 100_000
    assert "data:image" not in page
    urls = set(re.findall(r"report-files/[0-9a-f]{20}\.\w+", page))
    written = {f"report-files/{path.name}" for path in (tmp_path / "rep" / "report-files").iterdir()}
    assert urls == written
    assert len(urls) > 6
    assert json.loads((tmp_path / "rep" / "report.json").read_text())["totals"]["files"] == len(collection)
    (tmp_path / "rep" / "report-files" / "mine.jpg").write_bytes(b"mine")
    Collection(threads=1).write(tmp_path / "rep")
    assert [path.name for path in (tmp_path / "rep" / "report-files").iterdir()] == ["mine.jpg"]


def test_a_picture_that_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    data = jpeg(1, 90)
    first = PictureFolder(f"{tmp_path}/page.html").put(data)
    place = tmp_path / first
    for content in (data[:50], data):
        place.write_bytes(content)
        assert PictureFolder(f"{tmp_path}/page.html").put(data) == first
        assert place.read_bytes() == data


def test_folder_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    Path("in/a.jpg").write_bytes(jpeg(1, 95))
    Path("in/b.jpg").write_bytes(b"broken")
    done = run("transcode", "-r", "in", "-o", "out", "--report", "rep/", "--strip", "gps")
    assert done.exit_code == 1
    page = Path("rep/index.html").read_text()
    strip = re.search(r'<p class="strip">(.*?)</p>', page, re.DOTALL)
    assert strip is not None
    assert "strip <b>gps</b>" in strip[1]
    assert '<span class="failed">1 failed</span>' in strip[1]
    assert re.search(r"<span>\d{4}-\d\d-\d\d</span>", strip[1])
    Path("site").mkdir()
    Path("site/index.html").write_text("my site")
    done = run("transcode", "-r", "in", "-o", "out", "--report", "site/")
    assert (done.exit_code, "not a guetzpy report; name another folder" in done.stderr) == (2, True)
    assert Path("site/index.html").read_text() == "my site"


def test_an_earlier_report_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page has bytes, target and picture of each file of the earlier report, also of missing files."""
    monkeypatch.chdir(tmp_path)
    before = jpeg(1, 95)
    Path("a.jpg").write_bytes(before)
    for name, quality, distance in (("near.jpg", 80, 1.0), ("far.jpg", 50, 2.0)):
        after = jpeg(1, quality)
        Path(name).write_bytes(after)
        collection = Collection(threads=1, earlier=Earlier("near") if name == "far.jpg" else None)
        collection.add(result("a.jpg", before, after, target={"distance": distance}, output=name))
        collection.write(name.removesuffix(".jpg") + "/")
    (file,) = data_of(Path("far/index.html").read_text())
    assert file["other"] == {"bytes_after": Path("near.jpg").stat().st_size, "words": "distance 1"}
    assert (Path("far") / file["view"]["other"]).is_file()
    assert "earlier report (distance 1)" in Path("far/index.html").read_text()
    Path("near.jpg").unlink()
    single = Collection(threads=1, earlier=Earlier("near/report.json"))
    single.add(result("a.jpg", before, jpeg(1, 50)))
    single.write("one.html")
    (file,) = data_of(Path("one.html").read_text())
    assert file["view"]["other"] is None
    assert file["other"]["words"] == "distance 1"


def test_wrong_earlier_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(jpeg(1, 95))
    Path("no.json").write_text("[1]")
    Path("deep.json").write_text("[" * 100_000)
    Path("empty").mkdir()
    os.mkfifo("pipe")
    for arguments, words in (
        (("--report-beside", "no.json"), "needs --report"),
        (("--report", "r.html", "--report-beside", "no.json"), "is no report in JSON; give what"),
        (("--report", "r.html", "--report-beside", "missing"), "No such file: missing"),
        (("--report", "r.html", "--report-beside", "empty"), "No such file: empty/report.json"),
        (("--report", "new/", "--report-beside", "no.json"), "is no report in JSON; give what"),
        (("--report", "r.html", "--report-beside", "a.jpg"), "a.jpg is no report in JSON"),
        (("--report", "r.html", "--report-beside", "deep.json"), "deep.json is no report in JSON"),
        (("--report", "r.html", "--report-beside", "pipe"), "pipe is not a regular file"),
        (("--report", "r.pdf"), "FILE.html, FILE.json or FOLDER/"),
    ):
        done = run("transcode", "a.jpg", "-n", *arguments)
        assert (done.exit_code, words in done.stderr) == (2, True), done.stderr
        assert not Path("new").exists()  # a wrong command makes no folder


def test_wrong_records_of_an_earlier_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records with values of other types are left out, and the report is written."""
    monkeypatch.chdir(tmp_path)
    before = jpeg(1, 95)
    Path("a.jpg").write_bytes(before)
    good = {"input": "a.jpg", "bytes_after": 7, "target": {"distance": 2.0}}
    for files in (
        [1, None, {"input": 5}, {"input": "b.jpg"}],
        [{"input": "a.jpg", "bytes_after": "7"}],
        [good | {"output": {"a": 1}, "target": {"distance": 1e400, "x": True}}],
        [good | {"output": "/dev/zero", "target": [1]}],
    ):
        Path("old.json").write_text(json.dumps({"guetzpy": 1, "files": files}))
        done = run("transcode", "a.jpg", "-n", "--report", "r/", "--report-beside", "old.json")
        assert (done.exit_code, Path("r/index.html").is_file()) == (0, True), done.stderr
        shutil.rmtree("r")


def test_ten_thousand_files(tmp_path: Path) -> None:
    """The page takes about 2.5 kB for each file, and has no quantisation tables."""
    collection = Collection(threads=1)
    before, after = jpeg(1, 95), jpeg(1, 50)
    paths = tmp_path / "a.jpg", tmp_path / "b.jpg"
    for path, content in zip(paths, (before, after), strict=True):
        path.write_bytes(content)
    one = result(str(paths[0]), before, after, output=str(paths[1]))
    for _ in range(1500):
        collection.add(one)
    size = collection.write(f"{tmp_path}/rep/")
    assert size < 1500 * 4500
    assert "steps" not in data_of((tmp_path / "rep" / "index.html").read_text())[0]["coding"]


def variants(name: str) -> tuple[bytes, list[Result]]:
    before = jpeg(1, 95)
    results = [
        result(name, before, after, target={"distance": distance}, data=after)
        for distance, after in ((0.5, jpeg(1, 90)), (1.0, jpeg(1, 80)), (2.0, jpeg(1, 50)))
    ]
    return before, results


def test_preview_page() -> None:
    """The original is embedded once; names are escaped; nothing is loaded."""
    before, results = variants(EVIL)
    page = preview(EVIL, before, results, [f"command {EVIL}", "two", "three"])
    assert "<img src=x" not in page
    assert "{{7*7}}" in page
    files = data_of(page)
    assert [bool(file["view"]["before"]) for file in files] == [True, False, False]
    assert all(file["view"]["after"].startswith("data:image/jpeg") for file in files)
    assert page.count(" checked>\n<b>") == 1
    assert 'value="1" checked' in page
    assert not re.search(r"(src|href)=\"?https?:", page)


def test_preview_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command on the page gives a file with the number of bytes on the page."""
    monkeypatch.chdir(tmp_path)
    Path("my photo.jpg").write_bytes(jpeg(3, 95))
    done = run("preview", "my photo.jpg", "--distances", "1,2.5", "-e", "fast", "--no-mark", "--no-open")
    assert done.exit_code == 2  # --no-mark is no option of a preview
    done = run("preview", "my photo.jpg", "--distances", "1,2.5", "-e", "fast", "--baseline", "--no-open")
    assert done.exit_code == 0, done.stderr
    files = data_of(Path("my photo-preview.html").read_text())
    assert [file["target"]["distance"] for file in files] == [1.0, 2.5]
    command = shlex.split(files[1]["command"])
    assert command[:2] == ["guetzpy", "optimize"]
    assert run(*command[1:]).exit_code == 0
    assert Path("my photo-small.jpg").stat().st_size == files[1]["bytes_after"]


def test_the_command_of_a_preview_replaces_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(jpeg(3, 95))
    Path("guetzpy.toml").write_text(
        'quality = 50\neffort = "max"\nstrip = "exif"\nmark = false\nbaseline = true'
    )
    words = ("-e", "fast", "--progressive", "--strip", "", "--distances", "1", "--no-open")
    assert run("preview", "a.jpg", *words).exit_code == 0
    command = shlex.split(data_of(Path("a-preview.html").read_text())[0]["command"])
    assert "--mark" in command  # a preview has no such option, so its files have the mark
    assert "--progressive" in command
    assert command[command.index("--strip") + 1] == ""


NAMES = [
    b"\xff\x1b[31m\n.jpg",
    b"it's \\x41 $HOME `a` !b \x07.jpg",
    b"\xc3\xa9\xe2\x80\xae\xe2\x80\xa8ab\x01f.jpg",
    b"-\x7f\t\r.jpg",
    b"plain 'name'.jpg",
]


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
@pytest.mark.parametrize("name", NAMES)
def test_bash_reads_the_name_in_the_command_of_a_preview(name: bytes) -> None:
    """The command is printable, and bash makes the bytes of the name from it."""
    command = _command(os.fsdecode(name), OptimizeOptions(distance=2.5))
    assert printable(command) == command
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True)
    words = [b"guetzpy", b"optimize", b"./" * name.startswith(b"-") + name]
    assert done.stdout.split(b"\0") == [*words, b"--distance", b"2.5", b"--suffix", b"-small", b""]


def test_the_command_of_a_preview_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "name", "nt")
        command = _command("my 'photo'\u202e.jpg", OptimizeOptions(distance=2.5))
    assert command.startswith("guetzpy optimize \"my 'photo'")
    assert command.endswith('.jpg" --distance 2.5 --suffix -small')
    assert printable(command) == command


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_preview_of_a_name_with_control_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(NAMES[0])
    try:
        Path(name).write_bytes(jpeg(3, 95))
    except OSError:
        pytest.skip("the file system refuses the name")
    done = run("preview", name, "-o", "p.html", "--distances", "1", "-e", "fast", "--no-open")
    assert done.exit_code == 0, done.stderr
    page = Path("p.html").read_text("utf-8")
    assert "\x1b" not in page
    shown = re.search(r'<input id="command" readonly value="([^"]*)">', page)
    assert shown is not None
    command = data_of(page)[0]["command"]
    assert html.unescape(shown[1]) == command
    assert "$'\\xff\\x1b[31m\\x0a.jpg'" in command
    python = f'guetzpy() {{ {shlex.quote(sys.executable)} -m guetzpy "$@"; }}; '
    subprocess.run(["bash", "-c", python + command], capture_output=True, check=True)
    assert Path(os.fsdecode(NAMES[0].replace(b".jpg", b"-small.jpg"))).stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.jpg",), "is not a file"),
        (("./",), "guetzpy optimize -r ./ -n --report report.html shows all"),
        (("a.jpg", "-o", "x.pdf"), "give -o x.html"),
        (("a.jpg", "--distances", "near"), "such as 0.5,1,2"),
        (("a.jpg", "--distances", ","), "1 to 12 numbers"),
        (("a.jpg", "--distances", "0.01"), "expected 0.1 to 25"),
    ],
)
def test_wrong_previews(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(jpeg(1, 95))
    done = run("preview", *arguments)
    assert (done.exit_code, words in done.stderr) == (2, True), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_a_preview_in_a_missing_folder_fails_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(jpeg(1, 95))
    done = run("preview", "a.jpg", "-o", "missing/a.html")
    assert (done.exit_code, done.stderr) == (1, "guetzpy: missing: there is no such folder\n")


def test_a_preview_of_a_broken_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.jpg").write_bytes(jpeg(1, 95)[:400])
    done = run("preview", "a.jpg")
    assert (done.exit_code, done.stderr.startswith("guetzpy: a.jpg: ")) == (1, True), done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("more", [[], ["--no-open"]])
def test_a_preview_is_opened_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", Screen())
    opened: list[str] = []
    monkeypatch.setattr(typer, "launch", opened.append)
    Path("a.jpg").write_bytes(jpeg(1, 95))
    app(["preview", "a.jpg", "--distances", "2", "-e", "fast", *more], standalone_mode=False)
    assert opened == ([] if more else ["a-preview.html"])
    assert Path("a-preview.html").stat().st_size > 0


def test_settings_of_a_report() -> None:
    from guetzpy.cli.report import _settings

    options = OptimizeOptions(max_bytes=1000, strip=("gps", "exif"), threads=2)
    assert _settings(options) == {"max bytes": "1000", "effort": "balanced", "strip": "exif, gps"}
    options = OptimizeOptions(to_srgb=True, mark=False, fit=(512, 512))
    shown = {"distance": "1.0", "to srgb": "yes", "mark": "no", "fit": "512x512", "effort": "balanced"}
    assert _settings(options) == shown
