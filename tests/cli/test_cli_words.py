"""Messages of the command line: warnings are shown, and names and metadata cannot control a terminal."""

from __future__ import annotations

import ast
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import jpeg_files, metadata_files
from typer.testing import CliRunner

import guetzpy.cli
from guetzpy._runtime.text import counted, is_unprintable, printable
from guetzpy.cli import app

NAME = "a\x1b]0;owned\x07\n\u202egpj.jpg"


def signed(seed: int = 0) -> bytes:
    """Return a picture with content credentials."""
    manifest = jpeg_files.segment(0xEB, metadata_files.credentials())
    return jpeg_files.with_segments(jpeg_files.picture(64, 48, seed=seed), manifest)


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


@pytest.mark.parametrize("command", ["optimize", "transcode"])
def test_warnings_of_single_files(command: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(signed())
    out, err = run(command, str(path), "-o", str(tmp_path / "b.jpg"), "--json")
    (warning,) = json.loads(out)["warnings"]
    assert "C2PA" in warning
    assert f"guetzpy: {path}: warning: {warning}\n" in err
    _, err = run(command, str(path), "-o", str(tmp_path / "c.jpg"), "--quiet")
    assert err == ""
    _, err = run(command, str(path), "-o", str(tmp_path / "d.jpg"), "--strip", "gps")
    assert "content credentials (C2PA) are removed" in err


def test_warnings_of_folders_are_counted_by_kind(tmp_path: Path) -> None:
    folder, page = tmp_path / "in", tmp_path / "report.json"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(signed(number))
    (folder / "other.jpg").write_bytes(jpeg_files.picture() + b"what only one program knows")
    arguments = ["transcode", "-r", str(folder), "-o", str(tmp_path / "out"), "-j", "1", "--strip", "gps"]
    _, err = run(*arguments, "--report", str(page))
    lines = [line for line in err.splitlines() if line.startswith("guetzpy: warning: ")]
    assert len(lines) == 2
    assert re.match(r"guetzpy: warning: 3 files: content credentials .* \(first: .*\d\.jpg\)$", lines[0])
    assert lines[1].endswith("other.jpg: not searched for coordinates: data after the picture")
    files = json.loads(page.read_text())["files"]
    assert sum("C2PA" in str(file["warnings"]) for file in files) == 3
    with sqlite3.connect(tmp_path / "out" / ".guetzpy.sqlite") as connection:
        rows = [row for (row,) in connection.execute("SELECT warnings FROM files ORDER BY input")]
    assert ["C2PA" in row for row in rows] == [True, True, True, False]


def test_warnings_on_the_page(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    path, page = tmp_path / "a.jpg", tmp_path / "report.html"
    path.write_bytes(signed())
    other = tmp_path / "b.jpg"
    other.write_bytes(jpeg_files.picture())
    run("transcode", str(path), str(other), "-o", f"{tmp_path}/out/", "--report", str(page))
    text = page.read_text()
    assert text.count("content credentials (C2PA) are kept") == 2  # in the table and in the viewer


def test_notes_that_differ_in_numbers_are_of_one_kind() -> None:
    notes = [("a", "16 bytes skipped"), ("b", "2 bytes skipped"), ("b", "other"), ("a", "16 bytes skipped")]
    assert counted(notes) == ["2 files: 16 bytes skipped (first: a)", "b: other"]
    assert counted([]) == []


@pytest.mark.skipif(os.name == "nt", reason="such names are not allowed")
@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "NAME"],
        ["inspect", "NAME.missing"],
        ["transcode", "NAME", "-o", "out.jpg"],
        ["transcode", "NAME", "-o", "out.jpg", "--json"],
        ["transcode", "NAME.missing", "-o", "out.jpg"],
        ["transcode", "NAME", "NAME", "-o", "out/"],
        ["transcode", "-r", ".", "-o", "out", "-j", "1", "--strip", "gps"],
        ["transcode", "-r", ".", "-o", "out", "-j", "1", "--json"],
        ["compare", "NAME", "NAME.missing"],
        ["transcode", "--NAME"],
        ["NAME"],
        ["optimize", "NAME", "--effort", "NAME"],
        ["optimize", "NAME", "-o", "out.jpg", "--threads", "NAME"],
        ["transcode", "NAME", "-o", "out.jpg", "--strip", "NAME"],
        ["transcode", "NAME", "-o", "out.jpg", "--report", "NAME"],
        ["transcode", "NAME", "--check"],
        ["transcode", "-r", ".", "--in-place", "-j", "1", "--check"],
        ["restore", "NAME"],
        ["restore", "."],
        ["preview", "NAME.missing", "-o", "page.html"],
        ["train", "NAME", "-o", "model.npz"],
        ["train", ".", "-o", "NAME/model.npz"],
        ["config", "--NAME"],
        ["warmup", "NAME"],
        ["optimize", "NAME", "-o", "out.jpg", "--model", "NAME"],
        ["optimize", "--files-from", "NAME", "--check"],
    ],
)
def test_names_and_metadata_command_no_terminal(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    segment = jpeg_files.segment(0xE4, b"\x1b[31mSEGMENT" + bytes(range(128, 256)))
    Path(NAME).write_bytes(jpeg_files.with_segments(signed(), segment))
    Path("broken\x1b[2J.jpg").write_bytes(b"\xff\xd8\xffbroken")
    result = CliRunner().invoke(app, [argument.replace("NAME", NAME) for argument in arguments])
    for text in (result.stdout, result.stderr):
        assert not [c for c in text if is_unprintable(c) and c != "\n"]
    if arguments[-1] == "NAME" or "-o" in arguments:
        assert r"a\x1b]0;owned\x07" in result.output or "--threads" in arguments or "--json" in arguments


@pytest.mark.skipif(os.name == "nt", reason="such names are not allowed")
@pytest.mark.parametrize(
    "text", ["[optimize]\n'NAME' = 1", "[optimize]\neffort = 'NAME'", "model = 'NAME'", "NAME"]
)
@pytest.mark.parametrize("command", ["config", "optimize"])
def test_settings_command_no_terminal(
    text: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    monkeypatch.chdir(folder)
    escaped = NAME.encode("unicode-escape").decode().replace("\\x1b", "\\u001b").replace("\\x07", "\\u0007")
    quoted = text.replace("'NAME'", f'"{escaped}"')
    (folder / "guetzpy.toml").write_text(quoted.replace("NAME", NAME), newline="")
    result = CliRunner().invoke(app, [command, *(["a.jpg"] if command == "optimize" else [])])
    assert result.output
    for shown in (result.stdout, result.stderr):
        assert not [c for c in shown if is_unprintable(c) and c != "\n"]


@given(st.text(alphabet=st.characters()))
def test_printable(text: str) -> None:
    shown = printable(text)
    assert not any(map(is_unprintable, shown))
    assert printable(text, keep="\n").count("\n") == text.count("\n")
    if not any(map(is_unprintable, text)):
        assert shown == text


def test_letters_and_emoji_stay() -> None:
    for text in ("写真\u3000１.jpg", "👩\u200d🚀.jpg", "می\u200cخواهم", "é\u0301\u00a0ß"):
        assert printable(text) == text


def test_all_output_goes_through_one_place() -> None:
    folder = Path(guetzpy.cli.__file__).parent
    for path in folder.glob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        names |= {call.id for call in calls if isinstance(call, ast.Name)}
        allowed = {"reporting.py": {"echo"}, "folder.py": {"print"}}.get(path.name, set())
        assert names & {"echo", "secho", "print"} <= allowed, path.name


@pytest.mark.skipif(os.name == "nt", reason="a shell closes stdin")
@pytest.mark.parametrize("arguments", ["inspect -", "transcode - -o out.jpg", "optimize - -o out.jpg"])
def test_closed_stdin(arguments: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m guetzpy {arguments} <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "compiling" not in line]
    assert len(lines) == 1
    assert "stdin is closed" in lines[0]


@pytest.mark.skipif(os.name == "nt", reason="a shell closes stdout")
def test_closed_stdout(tmp_path: Path) -> None:
    command = f"{sys.executable} -m guetzpy optimize - -o - >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr == "guetzpy: stdout is closed; give -o FILE\n"


def test_names_that_stdout_cannot_encode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, redirected stdout has the code page of the system's language."""
    monkeypatch.chdir(tmp_path)
    name = "\u65e5\u672c\U0001f600\xe9.jpg"
    Path(name).write_bytes(jpeg_files.picture())
    western = CliRunner(charset="cp1252")
    done = western.invoke(app, ["transcode", "-r", ".", "-n", "--json", "-j", "1"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout_bytes.decode("cp1252"))["input"] == f"./{name}"
    done = western.invoke(app, ["inspect", name])
    assert (done.exit_code, done.stdout.partition(":")[0]) == (0, "\\u65e5\\u672c\\U0001f600\xe9.jpg")
