"""The command line: outputs, exit codes and messages, with a fast replacement of the search."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from reference.cli_runs import names, run

from guetzpy.result import Result

pytestmark = pytest.mark.usefixtures("search", "no_notices")


def is_jpeg(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"


def test_png_to_file(folder: Path) -> None:
    result = run("optimize", "photo.png", "-o", "out.jpg", "-d", "1.0")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert is_jpeg((folder / "out.jpg").read_bytes())
    assert result.stderr.count("\n") == 1
    assert "photo.png" in result.stderr
    assert "distance 1.00" in result.stderr
    assert names(folder) == {"photo.png", "photo.JPG", "out.jpg"}


def test_several_into_a_folder_that_is_made(folder: Path) -> None:
    result = run("optimize", "photo.png", "photo.JPG", "-o", "a/b/")
    assert result.exit_code == 0, result.stderr
    assert names(folder / "a" / "b") == {"photo.jpg", "photo.JPG"}
    assert "2 files, " in result.stderr
    assert "photo.png" in names(folder)


def test_one_into_an_existing_folder(folder: Path) -> None:
    (folder / "out").mkdir()
    assert run("optimize", "photo.png", "-o", "out").exit_code == 0
    assert names(folder / "out") == {"photo.jpg"}


@pytest.mark.parametrize("name", ["photo.mpo", "photo.JPS", "photo.jfif"])
def test_suffixes_of_jpeg_files_stay(folder: Path, name: str) -> None:
    Path("photo.JPG").rename(name)
    assert run("optimize", name, "-o", "out/").exit_code == 0
    assert names(folder / "out") == {name}


def test_in_place(folder: Path) -> None:
    before = (folder / "photo.JPG").read_bytes()
    assert run("optimize", "photo.JPG", "--in-place").exit_code == 0
    after = (folder / "photo.JPG").read_bytes()
    assert is_jpeg(after)
    assert len(after) < len(before)


def test_in_place_leaves_alone_what_is_kept(folder: Path) -> None:
    path = folder / "photo.JPG"
    run("optimize", "photo.JPG", "--in-place")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    inode = path.stat().st_ino
    result = run("optimize", "photo.JPG", "--in-place")
    assert "kept" in result.stderr
    assert (path.stat().st_mtime, path.stat().st_ino) == (1_000_000_000, inode)


def test_kept_file_is_copied_to_its_output(folder: Path) -> None:
    run("optimize", "photo.JPG", "--in-place")
    assert run("optimize", "photo.JPG", "-o", "copy.jpg").exit_code == 0
    assert (folder / "copy.jpg").read_bytes() == (folder / "photo.JPG").read_bytes()


def test_stdin_to_stdout(folder: Path) -> None:
    data = (folder / "photo.png").read_bytes()
    for arguments in (["optimize", "-"], ["optimize", "-", "-o", "-"]):
        result = run(*arguments, stdin=data)
        assert result.exit_code == 0, result.stderr
        assert is_jpeg(result.stdout_bytes)
        assert "stdin" in result.stderr
    result = run("optimize", "-", "-o", "out.jpg", stdin=data)
    assert is_jpeg((folder / "out.jpg").read_bytes())
    result = run("optimize", "photo.png", "-o", "-", "--quiet")
    assert is_jpeg(result.stdout_bytes)
    assert result.stderr == ""


def test_json_is_one_object_a_file(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"bad")
    result = run("optimize", "photo.png", "bad.png", "-o", "out/", "--json", "--quiet")
    assert result.exit_code == 1
    good, bad = (json.loads(line) for line in result.stdout.splitlines())
    assert set(good) == set(bad) == set(Result(status="kept").to_dict())
    assert (good["input"], good["output"], good["status"]) == ("photo.png", "out/photo.jpg", "optimized")
    assert good["bytes_before"] == (folder / "photo.png").stat().st_size
    assert good["bytes_after"] == (folder / "out" / "photo.jpg").stat().st_size
    assert (good["width"], good["height"], good["target"]) == (128, 96, {"distance": 1.0})
    assert good["seconds"] >= 0
    assert (bad["status"], bad["input"], bad["output"]) == ("failed", "bad.png", None)
    assert "not an image" in bad["error"]


def test_dry_run_writes_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for arguments in (["photo.png"], ["photo.JPG", "--in-place"], ["photo.JPG", "-o", "x/y.jpg"]):
        assert run("optimize", *arguments, "-n").exit_code == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_check(folder: Path) -> None:
    before = (folder / "photo.JPG").read_bytes()
    assert run("optimize", "--check", "photo.JPG").exit_code == 3
    assert run("optimize", "--check", "--threshold", "99.5", "photo.JPG").exit_code == 0
    assert (folder / "photo.JPG").read_bytes() == before
    run("optimize", "photo.JPG", "--in-place")
    assert run("optimize", "--check", "photo.JPG").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.png"], "-o FILE, -o FOLDER/, or --in-place"),
        (["photo.png", "-o", "x.jpg", "-d", "1", "-q", "85"], "--distance and --quality contradict"),
        (["photo.JPG", "-o", "x.jpg", "--in-place"], "contradict"),
        (["photo.png", "--in-place"], "photo.png: not a JPEG"),
        (["-", "--in-place"], "stdin"),
        (["-", "photo.png", "-o", "x/"], "only input"),
        (["photo.png", "-o", "photo.png"], "or --in-place to replace"),
        (["photo.JPG", "-o", "./photo.JPG"], "or --in-place to replace"),
        (["photo.png", "photo.JPG", "-o", "photo.png"], "not a folder"),
        (["photo.png", "sub/photo.png", "-o", "x/"], "would both be written"),
        (["photo.png", "photo.JPG", "-o", "-"], "one input"),
        (["photo.png", "-o", "-", "--json"], "contradict"),
        (["sub", "-o", "x/"], "sub: is a folder"),
        (["-", "-o", "sub/"], "give -o FILE"),
        (["photo.png", "-o", "x.jpg", "-d", "0"], "distance 0"),
        (["photo.png", "-o", "x.jpg", "-e", "slow"], "effort 'slow'"),
        (["photo.png", "-o", "x.jpg", "--keep", "exif", "--strip", "exif"], "both kept and stripped"),
        (["photo.png", "-o", "x.jpg", "--strip", "colour"], "colour: expected some of"),
        (["photo.png", "-o", "x.jpg", "--nonsense"], "nonsense"),
        (["photo.png", "-o", "x.jpg", "-d", "one"], "'--distance'"),
        ([], "no inputs: name pictures"),
    ],
)
def test_wrong_usage(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "photo.png").write_bytes((folder / "photo.png").read_bytes())
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    result = run("optimize", *arguments, stdin=b"")
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
