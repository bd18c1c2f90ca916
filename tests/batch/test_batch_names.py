"""Names of files that are hard to print, store or write: each works, or fails alone with one line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from guetzpy import api
from guetzpy.batch import runner
from guetzpy.cli import app, folder
from guetzpy.cli.reporting import on_one_line
from guetzpy.errors import FormatError
from guetzpy.result import Result

JPEG = b"\xff\xd8\xff\xe0"

NAMES = {
    "line break": b"new\nline",
    "terminal's colour": b"esc\x1b[31mred",
    "terminal's C1 control": "c1\x9b31m".encode(),
    "Latin-1": b"caf\xe9",
    "surrogate": b"surr\xed\xa0\x80",
    "carriage return": b"a\rb",
    "direction": "a\u202egpj".encode(),
    "option": b"-r",
    "markup": b"[bold]a[",
    "page": b"<script>'\"&",
    "glob": b"*[1]?",
    "blank": b" ",
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(api, "run", engine)
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner.Threads(count))
    monkeypatch.setattr(runner, "_warm", lambda _: None)
    monkeypatch.setattr(folder, "compile_if_cold", lambda *_: None)
    return tmp_path


def engine(data: bytes, options: Any, *, name: str) -> Result:
    """Return a result with half of the bytes of the file; fail if it has the word "broken"."""
    if b"broken" in data:
        raise FormatError("it is broken")
    half = data[: len(data) // 2]
    return Result(data=half, status="lossless", input=name, bytes_before=len(data), bytes_after=len(half))


def put(name: bytes, data: bytes = JPEG + bytes(96)) -> None:
    path = Path(os.fsdecode(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("kind", NAMES)
def test_odd_name(place: Path, kind: str) -> None:
    """The name works in outputs, manifest, JSON and report, as a folder's name, and for a broken file."""
    name = NAMES[kind]
    put(b"in/" + name + b".jpg")
    put(b"in/" + name + b"/a.jpg", JPEG + bytes(50))
    put(b"in/" + name + b"/broken.jpg", JPEG + b"broken")
    put(b"in/" + name + b".txt", b"words")
    arguments = ["transcode", "-r", "in", "-o", "out", "--json", "--copy-others", "--report"]
    result = run(*arguments, "r.json")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 7  # four files, their total, the next step, the report
    assert all(line.startswith("guetzpy: ") for line in result.stderr.splitlines())
    assert not any(sign in result.stderr for sign in "\x1b\x9b\r\u202e")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    wanted = {os.fsdecode(b"in/" + name + end) for end in (b".jpg", b"/a.jpg", b"/broken.jpg", b".txt")}
    assert {record["input"] for record in records} == wanted
    assert {entry.name for entry in os.scandir(b"out")} == {
        name,
        name + b".jpg",
        name + b".txt",
        b".guetzpy.sqlite",
    }
    again = run(*arguments, "r.html", "--resume")
    assert "2 files done by an earlier run" in again.stderr
    for report in ("r.json", "r.html"):
        Path(report).read_text(encoding="utf-8")


def test_longest_names(place: Path) -> None:
    longest = {
        b"n" * 251 + b".jpg": b"n" * 251 + b".jpg",
        b"p" * 251 + b".png": b"p" * 251 + b".jpg",
        b"x" * 255: None,  # with .jpg appended the name is longer than 255 bytes
        "ü".encode() * 125 + b".jpeg": "ü".encode() * 125 + b".jpeg",
    }
    for name in longest:
        put(b"in/" + name, b"\x89PNG\r\n\x1a\n" + bytes(96) if name.endswith(b".png") else JPEG + bytes(96))
    result = run("optimize", "-r", "in", "-o", "out", "--quiet")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"guetzpy: in/{'x' * 255}: ")
    assert line.endswith("File name too long")
    made = {os.fsencode(entry.name) for entry in Path("out").iterdir()} - {b".guetzpy.sqlite"}
    assert made == {name for name in longest.values() if name is not None}


def test_longest_names_in_place_with_a_backup(place: Path) -> None:
    """A second backup needs a suffix, which makes its name too long, so the file is not replaced."""
    name = b"in/" + b"n" * 251 + b".jpg"
    put(name)
    assert run("transcode", "-r", "in", "--in-place", "--backup", "kept").exit_code == 0
    before = Path(os.fsdecode(name)).read_bytes()
    result = run("transcode", "-r", "in", "--in-place", "--backup", "kept", "--quiet")
    assert result.exit_code == 1
    assert "File name too long" in result.stderr
    assert Path(os.fsdecode(name)).read_bytes() == before


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = on_one_line(text)
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")
    if text.isprintable():
        assert line == text


def test_hidden_files_that_are_not_copied_are_named(place: Path) -> None:
    """Regression: a mirror lost .htaccess without a word."""
    put(b"in/a.jpg")
    put(b"in/.htaccess", b"Deny from all")
    result = run("transcode", "-r", "in", "-o", "out", "--copy-others")
    assert result.exit_code == 0
    assert "hidden, not copied: in/.htaccess\n" in result.stderr
    assert not (place / "out" / ".htaccess").exists()
    assert "hidden" not in run("transcode", "-r", "in", "-o", "out").stderr
