"""Folders from the command line, with a fast replacement of the engine, and threads instead of processes."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guetzpy import api, batch
from guetzpy.batch import runner
from guetzpy.cli import app, folder
from guetzpy.cli.tally import Tally
from guetzpy.errors import FormatError, TargetError
from guetzpy.result import Result

JPEG = b"\xff\xd8\xff\xe0"


def engine(data: bytes, options: Any, *, name: str) -> Result:
    """Return a result with half of the bytes of the file; fail if it has the word "broken"."""
    if b"broken" in data:
        raise FormatError("it is broken")
    if b"stop" in data:
        raise KeyboardInterrupt
    size = len(data)
    half = data[: size // 2] if size > 60 else data
    status: Any = "optimized" if size > 60 else "kept"
    return Result(
        data=half, status=status, input=name, bytes_before=size, bytes_after=len(half), distance=1.0
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "run", engine)
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner.Threads(count))
    monkeypatch.setattr(runner, "_warm", lambda _: None)
    monkeypatch.setattr(folder, "compile_if_cold", lambda *_: None)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    put("in/a.jpg", 300)
    put("in/sub/b.JPG", 200)
    put("in/sub/note.txt", 40, b"words")
    return tmp_path


def put(name: str, size: int = 100, head: bytes = JPEG) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + bytes(max(0, size - len(head))))


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def names(place: str) -> set[str]:
    return {path.relative_to(place).as_posix() for path in Path(place).rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", ["optimize", "transcode"])
def test_folder(photos: Path, verb: str) -> None:
    result = run(verb, "in", "-r", "-o", "out")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert names("out") == {"a.jpg", "sub/b.JPG", ".guetzpy.sqlite"}
    assert "in/a.jpg: 300 -> 150 bytes (-50.0 %)" in result.stderr
    assert "skipped: in/sub/note.txt (not a picture); --copy-others copies them" in result.stderr
    assert "guetzpy: 2 files, 500 -> 250 bytes (-50.0 %), 250 B saved: 2 " in result.stderr


def test_quiet_says_errors_only(photos: Path) -> None:
    put("in/bad.jpg", 100, JPEG + b"broken")
    result = run("optimize", "in", "-r", "-o", "out", "--quiet")
    assert result.exit_code == 1
    assert result.stderr == "guetzpy: in/bad.jpg: it is broken\n"


def test_resume_and_json(photos: Path) -> None:
    lines = [
        json.loads(line) for line in run("optimize", "in", "-r", "-o", "out/", "--json").stdout.splitlines()
    ]
    assert {(line["input"], line["output"], line["status"]) for line in lines} == {
        ("in/a.jpg", "out/a.jpg", "optimized"),
        ("in/sub/b.JPG", "out/sub/b.JPG", "optimized"),
    }
    put("in/new.jpg")
    result = run("optimize", "in", "-r", "-o", "out", "--json", "--resume")
    assert [json.loads(line)["input"] for line in result.stdout.splitlines()] == ["in/new.jpg"]
    assert "3 files done by an earlier run" not in result.stderr
    assert "2 files done by an earlier run, 1 to do" in result.stderr
    assert "nothing left to do" in run("optimize", "in", "-r", "-o", "out", "--resume").stderr


def test_choice_of_files(photos: Path) -> None:
    put("in/thumbs/t.jpg")
    assert run("optimize", "in", "-r", "-o", "out", "--exclude", "thumbs", "--exclude", "b.*").exit_code == 0
    assert names("out") == {"a.jpg", ".guetzpy.sqlite"}
    assert run("optimize", "in", "-r", "-o", "two", "--include", "*.JPG", "--copy-others").exit_code == 0
    assert "thumbs/t.jpg" in names("two")


def test_a_report_does_not_replace_the_manifest(photos: Path) -> None:
    before = names(".")
    done = run("optimize", "in", "-r", "-o", "out", "--manifest", "r.html", "--report", "./r.html")
    assert (done.exit_code, "r.html is the manifest" in done.stderr) == (2, True)
    assert names(".") == before


@pytest.mark.parametrize("report", ["out/index.html", "out/"])
def test_a_report_does_not_replace_a_copy(photos: Path, report: str) -> None:
    put("in/index.html", head=b"my page")
    done = run("optimize", "in", "-r", "-o", "out", "--copy-others", "--report", report)
    assert done.exit_code == 2
    assert "out/index.html is the copy of in/index.html" in done.stderr
    assert names("out") == set()
    others = ["--exclude", "*.html", "--report", report]
    assert run("optimize", "in", "-r", "-o", "out", "--copy-others", *others).exit_code == 0
    assert b"guetzpy" in Path("out/index.html").read_bytes()


def test_in_place_with_backup_and_times(photos: Path) -> None:
    os.utime("in/a.jpg", (10**9, 10**9))
    result = run("optimize", "in", "-r", "--in-place", "--backup", "kept", "-p")
    assert result.exit_code == 0, result.stderr
    assert Path("in/a.jpg").stat().st_size == 150
    assert Path("in/a.jpg").stat().st_mtime == 10**9
    assert {name for name in names("kept") if not name.startswith(".")} == {"a.jpg", "sub/b.JPG"}
    assert names("in") == {"a.jpg", "sub/b.JPG", "sub/note.txt"}


def test_dry_run_and_check(photos: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in photos.rglob("*")}
    assert run("optimize", "in", "-r", "-o", "out", "-n").exit_code == 0
    assert run("optimize", "in", "-r", "--in-place", "-n").exit_code == 0
    assert run("optimize", "in", "-r", "--check").exit_code == 3
    assert run("optimize", "in", "-r", "--check", "--threshold", "60").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in photos.rglob("*")} == before


def test_several_files_at_once(photos: Path) -> None:
    assert run("optimize", "in/a.jpg", "in/sub/b.JPG", "-o", "out/", "-j", "2").exit_code == 0
    assert names("out") == {"a.jpg", "b.JPG", ".guetzpy.sqlite"}


def test_shards(photos: Path) -> None:
    for k in ("1/2", "2/2"):
        assert run("optimize", "in", "-r", "-o", "out", "--shard", k).exit_code == 0
    assert names("out") >= {"a.jpg", "sub/b.JPG"}


def test_interrupted(photos: Path) -> None:
    put("in/z.jpg", 50, JPEG + b"stop")
    result = run("optimize", "in", "-r", "-o", "out", "-j", "1", "--quiet")
    assert result.exit_code == 130
    *_, summary, last = result.stderr.splitlines()
    assert " so far; --resume continues the run" in summary
    assert last == "guetzpy: interrupted"
    assert names("out") == {"a.jpg", "sub/b.JPG", ".guetzpy.sqlite"}


def test_nothing_there(photos: Path) -> None:
    Path("empty").mkdir()
    result = run("optimize", "empty", "-r", "-o", "out")
    assert (result.exit_code, result.stderr) == (0, "guetzpy: no pictures found\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in", "-o", "out"], "in: is a folder; add -r"),
        (["in", "-o", "out", "-j", "2"], "in: is a folder; add -r"),
        (["in", "-r"], "-o FOLDER, or --in-place"),
        (["in", "-r", "-o", "in"], "use --in-place"),
        (["in", "-r", "-o", "out", "--in-place"], "contradict"),
        (["in", "-r", "-o", "in/a.jpg"], "is not a folder"),
        (["in", "-r", "-o", "-"], "for one file"),
        (["-", "-r", "-o", "out"], "for one file"),
        (["in", "-r", "-o", "out", "--shard", "3"], "K/N"),
        (["in", "-r", "-o", "out", "--shard", "3/2"], "from 1 to n"),
        (["in", "-r", "-o", "out", "--backup", "x"], "--backup needs --in-place"),
        (["in", "-r", "-o", "out", "--equal-slope"], "goes with"),
        (["in", "-r", "-o", "out", "--total-bpp", "1", "-d", "1"], "no other target"),
        (["in", "-r", "-o", "out", "--total-bpp", "1", "--total-bytes", "100"], "contradict"),
        (["in", "-r", "-o", "out", "-j", "0"], "'--jobs'"),
    ],
)
def test_wrong_usage(photos: Path, arguments: list[str], words: str) -> None:
    before = names(".")
    result = run("optimize", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert names(".") == before


def test_source_that_is_not_there(photos: Path) -> None:
    result = run("optimize", "nowhere", "-r", "-o", "out")
    assert (result.exit_code, result.stderr) == (1, "guetzpy: nowhere: No such file or directory\n")


def test_the_search_for_the_smallest_files_tells_no_distance(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stubborn(data: bytes, options: Any, *, name: str) -> Result:
        if options.max_bytes is not None and options.max_bytes < 900:
            raise TargetError.of_size(900, options.max_bytes)
        return Result(data=bytes(900), status="optimized", input=name, bytes_before=1000, bytes_after=900)

    monkeypatch.setattr(api, "run", stubborn)
    result = run("optimize", "in", "-r", "-o", "out", "--total-bytes", "1000")
    assert result.exit_code == 1
    assert "all files as small as possible" in result.stderr
    assert "distance 1000" not in result.stderr


def test_total_is_told(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def power(data: bytes, options: Any, *, name: str) -> Result:
        size = int(5000 * options.distance**-0.6)
        result = bytes(size)
        return Result(data=result, status="optimized", input=name, bytes_before=len(data), bytes_after=size)

    monkeypatch.setattr(api, "run", power)
    result = run("optimize", "in", "-r", "-o", "out", "--total-bytes", "6000")
    assert result.exit_code == 0, result.stderr
    assert "pass 1: all files at about distance" in result.stderr
    told = next(line for line in result.stderr.splitlines() if "distance " in line and "unused" in line)
    distance = float(told.split("distance ")[1].split(":")[0])
    assert distance == pytest.approx((10000 / 6000) ** (1 / 0.6), rel=0.01)
    assert "of 6 000 bytes" in told
    assert " encodes a file" in told


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Replace standard error by a terminal of 120 columns."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return screen


def test_progress_where_somebody_watches(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a progress bar replaces the lines of files, except those of files that failed."""
    put("in/bad.jpg", 100, JPEG + b"broken")

    screen = terminal(monkeypatch)
    tally = Tally()
    run = batch.run("in", "out")
    with run, folder._progress(run, tally, shown=True) as bar:
        for result in run:
            tally.add(result)
            if result.status == "failed":
                bar.say(folder.describe(result))
            bar.update()
        bar.progress.refresh()
    shown = screen.getvalue()
    assert "3/3" in shown
    assert "250 B saved" in shown
    assert "in/bad.jpg: it is broken" in shown


def test_progress_of_the_search_for_a_total(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with batch.run("in", "out") as run, folder._progress(run, Tally(), shown=True) as bar:
        for _ in range(2):
            bar.trial(1, 1.25, Result(status="optimized"))
        bar.progress.refresh()
    assert "2/2" in screen.getvalue()
    assert " pass 1, distance 1.25: nothing yet saved" in screen.getvalue()
