"""Outputs beside their inputs, outputs with the names of their inputs, and lists of inputs."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from guetzpy import batch
from guetzpy.cli import app, places
from guetzpy.cli.places import inputs_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_array: np.ndarray) -> Path:
    """Return a working folder whose folder ``in`` has two JPEG files, a PNG and a text file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "below").mkdir(parents=True)
    small = Image.fromarray(photo_array[:32, :48])
    small.save("in/a.jpg", quality=95)
    small.save("in/below/b.JPEG", format="JPEG", quality=95)
    small.save("in/c.png")
    Path("in/notes.txt").write_text("text")
    return tmp_path


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def is_jpeg(path: str) -> bool:
    return Path(path).read_bytes()[:2] == b"\xff\xd8"


def test_suffix_for_named_files(folder: Path) -> None:
    before = tree(folder)
    done = run("optimize", "in/a.jpg", "in/below/b.JPEG", "in/c.png", "--suffix", "-small", "-e", "fast")
    assert done.exit_code == 0, done.stderr
    made = {"in/a-small.jpg", "in/below/b-small.JPEG", "in/c-small.jpg"}
    assert tree(folder) == before | made
    assert all(map(is_jpeg, made))


@pytest.mark.parametrize("jobs", [(), ("-j", "2")])
def test_suffix_twice_makes_no_output_of_an_output(folder: Path, jobs: tuple[str, ...]) -> None:
    command = ("transcode", "in/a.jpg", "in/below/b.JPEG", "--suffix=_x", *jobs)
    assert run(*command).exit_code == 0
    first = tree(folder)
    done = run(*command[:3], "in/a_x.jpg", *command[3:])
    assert done.exit_code == 0
    assert "skipped" in done.stderr
    assert "in/a_x.jpg" in done.stderr
    assert tree(folder) == first


def test_suffix_for_a_tree(folder: Path) -> None:
    before = tree(folder)
    done = run("optimize", "-r", "in", "--suffix", "-small", "-e", "fast")
    assert done.exit_code == 0, done.stderr
    made = {"in/a-small.jpg", "in/below/b-small.JPEG", "in/c-small.jpg"}
    assert tree(folder) == before | made
    assert "--copy-others" not in done.stderr  # this option would be wrong usage here
    again = run("optimize", "-r", "in", "--suffix", "-small", "-e", "fast")
    assert again.exit_code == 0
    assert "its name ends with -small" in again.stderr
    assert tree(folder) == before | made


def test_suffix_writes_through_no_link(folder: Path) -> None:
    """No output is written to another folder through a link in the tree."""
    (folder / "elsewhere").mkdir()
    os.rename("in/a.jpg", "elsewhere/a.jpg")
    os.symlink("../elsewhere", "in/link")
    assert run("transcode", "-r", "in", "--suffix", "-s").exit_code == 0
    assert tree(folder / "elsewhere") == {"a.jpg"}


@pytest.mark.parametrize("inputs", [("in/a.jpg",), ("-r", "in")])
@pytest.mark.parametrize("foreign", ["picture", "text", "folder", "link"])
def test_suffix_replaces_no_foreign_file(folder: Path, inputs: tuple[str, ...], foreign: str) -> None:
    """Regression: an existing file of the output's name was replaced without a word."""
    place = folder / "in" / "a-s.jpg"
    if foreign == "picture":
        Image.new("RGB", (48, 32), "red").save(place)
    elif foreign == "text":
        place.write_text("text")
    elif foreign == "folder":
        place.mkdir()
    else:
        place.symlink_to("nowhere")

    def contents() -> Any:
        if place.is_symlink():
            return os.readlink(place)
        return list(place.iterdir()) if place.is_dir() else place.read_bytes()

    before = contents()
    done = run("transcode", *inputs, "--suffix", "-s", "--jpeg-only")
    assert done.exit_code == 1
    assert "in/a-s.jpg: exists, and guetzpy did not make it from this picture" in done.stderr
    assert contents() == before
    assert Path("in/below/b-s.JPEG").exists() == ("in" in inputs)


@pytest.mark.parametrize("inputs", [("in/a.jpg",), ("-r", "in")])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("transcode",), ("transcode", "--strip", "all")),
        (("transcode",), ("optimize", "-d", "2")),
        (("optimize", "-d", "2"), ("optimize", "-d", "1")),
        (("optimize", "-d", "2", "--no-mark"), ("optimize", "-d", "2", "--no-mark")),
    ],
)
def test_suffix_replaces_what_guetzpy_made(
    folder: Path, inputs: tuple[str, ...], first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    """A repack has the coefficients of its source, and a lossy encode has the mark or the same bytes."""
    with Image.open("in/c.png") as picture:
        picture.save("in/a.jpg", quality=95, comment=b"text")
    os.remove("in/c.png")
    made = []
    for command, *options in (first, second):
        effort = ("-e", "fast") if command == "optimize" else ()
        done = run(command, *inputs, "--suffix", "-s", *options, *effort)
        assert done.exit_code == 0, done.stderr
        made.append(Path("in/a-s.jpg").read_bytes())
    assert (made[0] == made[1]) == (first == second)


def test_suffix_replaces_its_gray_repack(folder: Path) -> None:
    gray = np.tile(np.arange(64, dtype=np.uint8)[:, None], (1, 48))
    Image.fromarray(np.stack([gray] * 3, axis=-1)).save("gray.jpg", quality=90)
    assert run("transcode", "gray.jpg", "--suffix", "-s").exit_code == 0
    with Image.open("gray-s.jpg") as written:
        assert written.mode == "L"
    assert run("transcode", "gray.jpg", "--suffix", "-s", "--baseline").exit_code == 0


def test_o_replaces_any_file(folder: Path) -> None:
    """-o names the output, so the user chose to replace it."""
    Path("in/a-s.jpg").write_text("text")
    assert run("transcode", "in/a.jpg", "-o", "in/a-s.jpg").exit_code == 0
    assert is_jpeg("in/a-s.jpg")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in/a.jpg", "--suffix", "a/b"), "expected the end of a file's name"),
        (("in/a.jpg", "--suffix", ""), "expected the end of a file's name"),
        (("in/a.jpg", "--suffix", "-s.jpg"), "give --suffix -s\n"),
        (("in/a.jpg", "--suffix", "-s", "-o", "x.jpg"), "--suffix and -o contradict"),
        (("in/a.jpg", "--suffix", "-s", "--in-place"), "--suffix and --in-place contradict"),
        (("-r", "in", "--suffix", "-s", "--in-place"), "--suffix and --in-place contradict"),
        (("-r", "in", "--suffix", "a/b"), "expected the end of a file's name"),
        (("-r", "in", "--suffix", "-s", "--copy-others"), "needs a destination"),
        (("-", "--suffix", "-s"), "stdin has none"),
        (("in/a.jpg", "-o", "out/", "--names", "same"), "expected one of jpg, keep"),
        (("in/a-s.jpg", "in/b-s.jpg", "--suffix", "-s"), "the name of every input ends with -s"),
        ((os.devnull, "--in-place"), "is not a regular file"),
        (("in/a.jpg", "-o", "-", "--json"), "--json and -o - (stdout) contradict"),
        (("--files-from", "in/list", "-o", "out/"), "a file of this name is listed as ./-"),
        ((), "--files-from FILE"),
        (("--files-from", "missing", "-o", "out/"), "missing: No such file"),
    ],
)
def test_wrong_usage(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    Path("in/list").write_text("in/a.jpg\n-\n")
    before = tree(folder)
    done = run("transcode", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert tree(folder) == before


def test_a_missing_file_is_no_wrong_usage(folder: Path) -> None:
    done = run("transcode", "in/missing.jpg", "in/a.jpg", "--in-place")
    assert done.exit_code == 1
    assert "in/missing.jpg: No such file" in done.stderr


def test_names(folder: Path) -> None:
    """By default the JPEG of a PNG gets the suffix .jpg. With --names keep it has the name of the PNG."""
    assert run("optimize", "-r", "in", "-o", "out", "-e", "fast").exit_code == 0
    assert tree(folder / "out") - {".guetzpy.sqlite"} == {"a.jpg", "below/b.JPEG", "c.jpg"}
    assert run("optimize", "-r", "in", "-o", "kept", "--names", "keep", "-e", "fast").exit_code == 0
    assert tree(folder / "kept") - {".guetzpy.sqlite"} == {"a.jpg", "below/b.JPEG", "c.png"}
    assert is_jpeg("kept/c.png")
    assert run("optimize", "in/c.png", "-o", "one/", "--names", "keep", "-e", "fast").exit_code == 0
    assert is_jpeg("one/c.png")


def test_one_command_optimises_the_jpegs_and_copies_the_rest(folder: Path) -> None:
    done = run("transcode", "-r", "in", "-o", "out", "--jpeg-only", "--copy-others")
    assert done.exit_code == 0, done.stderr
    assert tree(folder / "out") - {".guetzpy.sqlite"} == tree(folder / "in")
    assert Path("out/c.png").read_bytes() == Path("in/c.png").read_bytes()
    assert Path("out/a.jpg").stat().st_size < Path("in/a.jpg").stat().st_size


def test_api_refuses_a_suffix_beside_a_destination(folder: Path) -> None:
    with pytest.raises(ValueError, match="suffix and a destination"):
        batch.run("in", "out", suffix="-s")
    with pytest.raises(ValueError, match="end of a file's name"):
        batch.run("in", suffix="../x")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_files_from(folder: Path, end: bytes) -> None:
    Path("list").write_bytes(end.join([b"in/a.jpg", b"in/below/b.JPEG", b""]))
    done = run("transcode", "--files-from", "list", "-o", "out/")
    assert done.exit_code == 0, done.stderr
    assert tree(folder / "out") == {"a.jpg", "b.JPEG"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\0"])
def test_files_from_a_list_with_a_byte_order_mark(tmp_path: Path, encoding: str, end: str) -> None:
    """PowerShell's ``>`` writes UTF-16 with a byte order mark."""
    order_mark = "\ufeff" if encoding.endswith("e") else ""  # the other encodings write it
    names = ["sub/photo.jpg", "sub/g\xfcn\u2028 \U0001f600.jpg"]
    text = order_mark + "".join(name + end for name in names)
    (tmp_path / "list").write_bytes(text.encode(encoding))
    assert inputs_of(None, str(tmp_path / "list")) == names


@pytest.mark.parametrize("data", ["a.jpg\n".encode("utf-16") + b"b", b"\xff\xfe\0\xd8a\0\n\0"])
def test_files_from_a_list_that_is_no_text(folder: Path, data: bytes) -> None:
    """The list has half a character, or half of a pair of surrogates."""
    Path("list").write_bytes(data)
    done = run("transcode", "--files-from", "list", "-o", "out/")
    assert done.exit_code == 2
    assert done.stderr.startswith("guetzpy: --files-from list: is not text: ")
    assert done.stderr.count("\n") == 1


def test_files_from_stdin_beside_arguments(folder: Path) -> None:
    done = run("transcode", "in/a.jpg", "--files-from", "-", "-o", "out/", stdin=b"in/below/b.JPEG\n")
    assert done.exit_code == 0, done.stderr
    assert tree(folder / "out") == {"a.jpg", "b.JPEG"}
    done = run("transcode", "-", "--files-from", "-", "-o", "out/", stdin=b"in/a.jpg\n")
    assert (done.exit_code, "either a picture or the list" in done.stderr) == (2, True)
    done = run("transcode", "--files-from", "-", "-o", "out/", stdin=b"\n\n")
    assert (done.exit_code, "lists no files" in done.stderr) == (2, True)


@given(
    st.lists(st.text(st.characters(blacklist_characters="\0\n\r", blacklist_categories=["Cs"]), min_size=1)),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_names_are_listed_as_they_are(tmp_path: Path, names: list[str], zero: bool) -> None:
    """Names with spaces, globs and quotes are not changed."""
    wanted = [
        name for name in names if name.encode().strip() and name != "-" and not name.startswith("\ufeff")
    ]
    end = b"\0" if zero else b"\n"
    (tmp_path / "list").write_bytes(b"".join(name.encode() + end for name in ["first", *wanted]))
    once = {os.path.abspath(name): name for name in reversed(["a", "first", *wanted])}
    found = inputs_of(["a"], str(tmp_path / "list"))
    assert found[:2] == ["a", "first"]
    assert sorted(found) == sorted(once.values())


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no endless device")
def test_a_list_of_files_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_LONGEST_LIST", 1000)
    result = CliRunner().invoke(app, ["transcode", "--files-from", "/dev/zero", "-o", "out/"])
    assert (result.exit_code, "is it a list of names?" in result.output) == (2, True)


def test_a_name_given_twice_is_processed_once(folder: Path) -> None:
    # Regression: it was refused as two outputs of one name, or counted twice with --in-place.
    Path("list").write_text("in/a.jpg\n./in/a.jpg\nin/c.png\nin/a.jpg\n")
    done = run("optimize", "--files-from", "list", "-o", "out/", "-e", "fast")
    assert done.exit_code == 0, done.stderr
    assert tree(folder / "out") == {"a.jpg", "c.jpg"}
    assert "2 names given more than once: each file is processed once" in done.stderr
    assert inputs_of(["b", "a", "./b", "http://x/b", "c"], None) == ["b", "a", "http://x/b", "c"]


def test_a_picture_is_no_list_of_files(folder: Path) -> None:
    # Regression: each line of its bytes was reported as a file that does not exist.
    done = run("optimize", "--files-from", "in/a.jpg", "-n")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "is a picture" in done.stderr


def test_a_name_of_a_space_between_nul_characters(folder: Path) -> None:
    Path("list").write_bytes(b"in/a.jpg\0 \0")
    assert inputs_of(None, "list") == ["in/a.jpg", " "]


def test_an_unwritable_working_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Regression: the message named no folder.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    done = run("optimize", "in/a.jpg", "-o", "new.jpg")
    assert (done.exit_code, done.stderr) == (1, "guetzpy: .: the folder cannot be written\n")


def test_no_picture_is_written_to_a_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    with pytest.raises(SystemExit) as ended:
        app(["transcode", "in/a.jpg", "-o", "-"])
    assert ended.value.code == 2
    assert "stdout is a terminal; redirect it, or give -o FILE" in capsys.readouterr().err
    assert screen.getvalue() == ""
