"""Links: no file outside the folders of the run is read or written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guetzpy import api, batch
from guetzpy.batch import runner
from guetzpy.cli import app, folder
from guetzpy.result import Result

JPEG = b"\xff\xd8\xff\xe0"


def engine(data: bytes, options: Any, *, name: str) -> Result:
    """Return a result with half of the bytes of the file."""
    half = data[: len(data) // 2]
    return Result(data=half, status="optimized", input=name, bytes_before=len(data), bytes_after=len(half))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(api, "run", engine)
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner.Threads(count))
    monkeypatch.setattr(runner, "_warm", lambda _: None)
    monkeypatch.setattr(folder, "compile_if_cold", lambda *_: None)
    return tmp_path


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def put(name: str, data: bytes = JPEG + bytes(96)) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def link(name: str, target: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(target)


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# --- outputs ----------------------------------------------------------------------------------


def test_nothing_is_written_through_a_link_to_a_file(place: Path) -> None:
    put("in/a.jpg")
    put("in/note.txt", b"words")
    victims = [put("outside/victim.txt", b"precious"), put("outside/victim.jpg", b"precious too")]
    link("out/note.txt", "../outside/victim.txt")
    link("out/a.jpg", "../outside/victim.jpg")
    result = run("optimize", "-r", "in", "-o", "out", "--copy-others")
    assert result.exit_code == 1
    assert "in/note.txt: out/note.txt: is a link; nothing is written through it" in result.stderr
    assert "in/a.jpg: out/a.jpg: is a link; nothing is written through it" in result.stderr
    assert [path.read_bytes() for path in victims] == [b"precious", b"precious too"]


def test_single_runs_into_a_folder_write_through_no_link_either(place: Path) -> None:
    put("a.jpg")
    put("b.jpg")
    victim = put("outside/victim.jpg", b"precious")
    link("out/a.jpg", "../outside/victim.jpg")
    result = run("optimize", "a.jpg", "b.jpg", "-o", "out")
    assert result.exit_code == 1
    assert "a.jpg: out/a.jpg: is a link; nothing is written through it" in result.stderr
    assert victim.read_bytes() == b"precious"
    assert Path("out/b.jpg").stat().st_size == 50


@pytest.mark.parametrize("target", ["absolute", "relative", "link to a link", "nothing"])
@pytest.mark.parametrize("deep", [False, True])
def test_linked_folder_that_leads_out_of_the_output(place: Path, target: str, deep: bool) -> None:
    below = "sub/deep" if deep else "sub"
    put(f"in/{below}/a.jpg")
    put(f"in/{below}/note.txt", b"words")
    put("in/good.jpg")
    (place / "outside").mkdir()
    ends = {"absolute": str(place / "outside"), "relative": "../outside", "nothing": str(place / "nowhere")}
    if target == "link to a link":
        link("out/sub", "middle")
        link("out/middle", "../outside")
    else:
        link("out/sub", ends[target])
    result = run("optimize", "-r", "in", "-o", "out", "--copy-others")
    assert result.exit_code == 1
    assert result.stderr.count("leads out of out by a link") == 2
    assert os.listdir("outside") == []
    assert not Path("nowhere").exists()
    assert Path("out/good.jpg").stat().st_size == 50


def test_linked_folder_within_the_output_is_used(place: Path) -> None:
    put("in/sub/a.jpg")
    (place / "out/real").mkdir(parents=True)
    link("out/sub", "real")
    assert run("optimize", "-r", "in", "-o", "out").exit_code == 0
    assert Path("out/real/a.jpg").stat().st_size == 50


def test_two_results_for_one_file_by_a_linked_folder_are_refused(place: Path) -> None:
    put("in/real/a.jpg")
    put("in/sub/a.jpg")
    (place / "out/real").mkdir(parents=True)
    link("out/sub", "real")
    result = run("optimize", "-r", "in", "-o", "out")
    assert result.exit_code == 2
    assert "would both be written to" in result.stderr
    assert os.listdir("out/real") == []


def test_output_that_is_an_input_by_a_linked_folder_is_refused(place: Path) -> None:
    original = put("in/sub/a.jpg").read_bytes()
    link("out/sub", "../in/sub")
    result = run("optimize", "-r", "in", "-o", "out")
    assert result.exit_code == 2
    assert "is an input and an output" in result.stderr
    assert Path("in/sub/a.jpg").read_bytes() == original


def test_output_that_is_a_link_itself(place: Path) -> None:
    put("in/sub/a.jpg")
    (place / "elsewhere").mkdir()
    link("out", "elsewhere")
    assert run("optimize", "-r", "in", "-o", "out").exit_code == 0
    assert Path("elsewhere/sub/a.jpg").exists()


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_regular_file_is_not_written_to(place: Path, kind: str) -> None:
    put("in/a.jpg")
    (place / "out").mkdir()
    os.mkfifo("out/a.jpg") if kind == "pipe" else os.mkdir("out/a.jpg")
    result = run("optimize", "-r", "in", "-o", "out")
    assert result.exit_code == 1
    assert "out/a.jpg: is not a regular file" in result.stderr


def test_a_backup_does_not_lead_out_either(place: Path) -> None:
    original = put("in/sub/a.jpg").read_bytes()
    (place / "outside").mkdir()
    link("kept/sub", "../outside")
    result = run("optimize", "-r", "in", "--in-place", "--backup", "kept")
    assert result.exit_code == 1
    assert "leads out of kept by a link" in result.stderr
    assert os.listdir("outside") == []
    assert Path("in/sub/a.jpg").read_bytes() == original


def test_output_folder_that_vanishes_ends_the_run(place: Path, threads: Executor) -> None:
    for i in range(4):
        put(f"in/{i}.jpg")
    planned = batch.run("in", "out", executor=threads, in_flight=1)
    next(planned)
    shutil.rmtree("out")
    with pytest.raises(FileNotFoundError) as caught:
        list(planned)
    assert (caught.value.filename, caught.value.errno) == ("out", errno.ENOENT)
    assert not Path("out").exists()


# --- inputs, mirrored -------------------------------------------------------------------------


def odd_inputs() -> None:
    put("in/a.jpg")
    put("outside/b.jpg")
    link("in/loop", "loop")
    link("in/ping", "pong")
    link("in/pong", "ping")
    link("in/dead.jpg", "nothing")
    link("in/dead.txt", "../nothing/at/all")
    link("in/to_link.jpg", "to_file.jpg")
    link("in/to_file.jpg", "../outside/b.jpg")
    link("in/x/up", "..")
    os.mkfifo("in/pipe.txt")


def test_odd_inputs_of_a_mirror(place: Path) -> None:
    odd_inputs()
    result = run("optimize", "-r", "in", "-o", "out", "--copy-others")
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in Path("out").iterdir()} == {
        "a.jpg", "to_link.jpg", "to_file.jpg", ".guetzpy.sqlite",
    }  # fmt: skip
    assert not any(path.is_symlink() for path in Path("out").iterdir())
    reasons = {other.relative: other.reason for other in batch.run("in", "two", write=False).others}
    assert reasons == {
        "loop": "a link that leads in a circle",
        "ping": "a link that leads in a circle",
        "pong": "a link that leads in a circle",
        "dead.jpg": "a link to nothing",
        "dead.txt": "a link to nothing",
        "pipe.txt": "not a regular file",
    }


def test_second_name_of_a_folder_is_told(place: Path) -> None:
    put("in/a/1.jpg")
    link("in/b", "a")
    found = batch.run("in", "out", write=False)
    assert [task.relative for task in found.tasks] == ["a/1.jpg"]
    assert [(other.relative, other.reason) for other in found.others] == [
        ("b", "a link to a folder that was taken by another name")
    ]


# --- inputs, in place -------------------------------------------------------------------------


def test_in_place_does_not_leave_the_folder(place: Path) -> None:
    odd_inputs()
    put("outside/folder/c.jpg")
    link("in/sub", "../outside/folder")
    before = {path: path.read_bytes() for path in Path("outside").rglob("*.jpg")}
    result = run("optimize", "-r", "in", "--in-place")
    assert result.exit_code == 0, result.stderr
    assert "skipped" in result.stderr
    assert "--copy-others" not in result.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert Path("in/a.jpg").stat().st_size == 50
    reasons = {other.relative: other.reason for other in batch.run("in", in_place=True, write=False).others}
    out = "a link that leads out of the given folders"
    assert {name: reasons[name] for name in ("sub", "to_link.jpg", "to_file.jpg")} == {
        "sub": out, "to_link.jpg": out, "to_file.jpg": out,
    }  # fmt: skip


def test_in_place_takes_a_file_once_by_its_own_name(place: Path) -> None:
    put("in/sub/a.jpg")
    link("in/1.jpg", "sub/a.jpg")
    link("in/2", "sub")
    planned = batch.run("in", in_place=True, write=False)
    assert [task.relative for task in planned.tasks] == ["sub/a.jpg"]
    assert planned.others == []
    assert run("optimize", "-r", "in", "--in-place").exit_code == 0
    assert Path("in/sub/a.jpg").stat().st_size == 50
    assert os.readlink("in/1.jpg") == "sub/a.jpg"


def test_in_place_links_between_two_given_folders(place: Path) -> None:
    put("one/a.jpg")
    put("two/b.jpg")
    link("one/b.jpg", "../two/b.jpg")
    link("one/two", "../two")
    assert run("optimize", "-r", "one", "two", "--in-place").exit_code == 0
    assert (Path("one/a.jpg").stat().st_size, Path("two/b.jpg").stat().st_size) == (50, 50)
    assert Path("one/b.jpg").is_symlink()


def test_in_place_does_not_reach_by_links_what_is_hidden_or_excluded(place: Path) -> None:
    hidden, excluded = put("in/.store/a.jpg"), put("in/originals/b.jpg")
    link("in/a.jpg", ".store/a.jpg")
    link("in/b.jpg", "originals/b.jpg")
    link("in/all", "originals")
    before = hidden.read_bytes(), excluded.read_bytes()
    result = run("optimize", "-r", "in", "--in-place", "--exclude", "originals")
    assert result.exit_code == 0
    assert (hidden.read_bytes(), excluded.read_bytes()) == before
    assert result.stderr.count("a link to a file or folder that is left out") == 3


def test_link_that_is_named_itself_is_followed(place: Path) -> None:
    put("real/a.jpg")
    link("folder", "real")
    assert run("optimize", "-r", "folder", "--in-place").exit_code == 0
    assert Path("real/a.jpg").stat().st_size == 50
    put("real/b.jpg")
    link("b.jpg", "real/b.jpg")
    assert run("optimize", "b.jpg", "-j", "1", "--in-place").exit_code == 0
    assert Path("b.jpg").is_symlink()
    assert Path("real/b.jpg").stat().st_size == 50


def test_hard_links_keep_the_original_under_their_other_names(place: Path) -> None:
    original = put("in/a.jpg").read_bytes()
    os.link("in/a.jpg", "snapshot.jpg")
    os.link("in/a.jpg", "in/b.jpg")
    assert run("optimize", "-r", "in", "--in-place").exit_code == 0
    assert Path("snapshot.jpg").read_bytes() == original
    assert (Path("in/a.jpg").stat().st_size, Path("in/b.jpg").stat().st_size) == (50, 50)


def test_hard_link_in_the_output_is_replaced_not_written_through(place: Path) -> None:
    put("in/a.jpg")
    put("in/note.txt", b"words")
    other = put("other.txt", b"precious")
    (place / "out").mkdir()
    os.link("other.txt", "out/note.txt")
    assert run("optimize", "-r", "in", "-o", "out", "--copy-others").exit_code == 0
    assert other.read_bytes() == b"precious"
    assert Path("out/note.txt").read_bytes() == b"words"
