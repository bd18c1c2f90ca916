"""The manifest: its owner, its place, and faults when it cannot be written."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guetzpy import api, batch
from guetzpy.batch import manifest, runner, trials
from guetzpy.batch.manifest import Manifest
from guetzpy.batch.manifest_place import APPLICATION_ID
from guetzpy.cli import app, folder
from guetzpy.errors import GuetzpyError
from guetzpy.options import OptimizeOptions
from guetzpy.result import Result

JPEG = b"\xff\xd8\xff\xe0"
MAGIC = b"SQLite format 3\0"


def engine(data: bytes, options: Any, *, name: str) -> Result:
    """Return a result with half of the bytes of the file."""
    half = data[: len(data) // 2]
    return Result(data=half, status="optimized", input=name, bytes_before=len(data), bytes_after=len(half))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with five pictures in ``in``, its own home, and a fast engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(api, "run", engine)
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner.Threads(count))
    monkeypatch.setattr(runner, "_warm", lambda _: None)
    monkeypatch.setattr(folder, "compile_if_cold", lambda *_: None)
    for i in range(5):
        write(tmp_path / f"in/{i}.jpg", JPEG + bytes(100 + i))
    return tmp_path


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


# --- files of other programs ------------------------------------------------------------------


def database(path: Path, *statements: str) -> bytes:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path.read_bytes()


OTHERS = {
    "tables of another program": ("CREATE TABLE t (x)", "PRAGMA user_version=7"),
    "files of another program": ("CREATE TABLE files (input, size)", "PRAGMA user_version=1"),
    "no table": ("PRAGMA user_version=1",),
    "application_id of another": (*filter(None, manifest._TABLES.split(";\n")), "PRAGMA application_id=99"),
    "tables of both": (*filter(None, manifest._TABLES.split(";\n")), "CREATE TABLE t (x)"),
}


@pytest.mark.parametrize("kind", [*OTHERS, "text", "empty", "short", "zeros", "picture"])
def test_file_of_another_program_is_refused_and_untouched(place: Path, kind: str) -> None:
    path = place / "other.db"
    if kind in OTHERS:
        before = database(path, *OTHERS[kind])
    else:
        contents = {"text": b"words " * 1000, "empty": b"", "short": MAGIC, "picture": JPEG}
        before = (contents | {"zeros": MAGIC + bytes(1000)})[kind]
        path.write_bytes(before)
    os.utime(path, (10**9, 10**9))
    for verb in ("optimize", "transcode"):
        result = run(verb, "-r", "in", "-o", "out", "--manifest", "other.db")
        assert result.exit_code == 1
        assert result.stderr.startswith("guetzpy: other.db: not a manifest of guetzpy")
        assert len(result.stderr.splitlines()) == 1
    assert path.read_bytes() == before
    assert path.stat().st_mtime == 10**9
    assert sorted(os.listdir(place)) == ["in", "other.db"]


def test_database_with_a_write_ahead_log_is_untouched(place: Path) -> None:
    path = place / "live.db"
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE t (x)")
    other.execute("INSERT INTO t VALUES (5)")
    other.commit()
    before = {name: (place / name).read_bytes() for name in ("live.db", "live.db-wal")}
    with pytest.raises(GuetzpyError, match="not a manifest of guetzpy"):
        Manifest(path)
    assert {name: (place / name).read_bytes() for name in before} == before
    other.close()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_what_is_no_regular_file_is_refused(place: Path, kind: str) -> None:
    path = place / "other"
    if kind == "pipe":
        os.mkfifo(path)  # opening it for reading would block
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path(os.devnull)
    with pytest.raises(GuetzpyError, match="not a manifest of guetzpy"):
        Manifest(path)


def test_manifest_of_an_older_version_is_taken(place: Path) -> None:
    old = database(place / "old.db", *filter(None, manifest._TABLES.split(";\n")), "PRAGMA user_version=1")
    assert old[68:72] == bytes(4)
    Manifest(place / "old.db").close()
    assert (place / "old.db").read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big")
    Manifest(place / "old.db").close()


def test_empty_manifest_of_a_killed_run_is_begun_anew(place: Path) -> None:
    write(place / "out/.guetzpy.sqlite", b"")
    assert run("optimize", "-r", "in", "-o", "out").exit_code == 0


def test_link_in_the_destination_is_no_manifest(place: Path) -> None:
    (place / "out").mkdir()
    (place / "out/.guetzpy.sqlite").symlink_to(place / "elsewhere.db")
    result = run("optimize", "-r", "in", "-o", "out")
    assert (result.exit_code, "is a link" in result.stderr) == (1, True)
    assert not (place / "elsewhere.db").exists()


# --- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        "not json", "[]", "{}", '{"status": "kept"}', '{"status": "odd", "input": "a"}',
        '{"status": "kept", "input": 5}', '{"status": "kept", "input": "a", "bytes_before": "x"}',
        b"\xff\xfe",
    ],
)  # fmt: skip
def test_damaged_row_is_one_clear_line(place: Path, damage: str | bytes) -> None:
    run("optimize", "-r", "in", "-o", "out")
    connection = sqlite3.connect("out/.guetzpy.sqlite")
    with connection:
        value = f"CAST(x'{damage.hex()}' AS TEXT)" if isinstance(damage, bytes) else "?"
        connection.execute(
            f"UPDATE files SET result = {value}", () if isinstance(damage, bytes) else (damage,)
        )
    connection.close()
    result = run("optimize", "-r", "in", "-o", "out", "--resume")
    assert result.exit_code == 1
    assert "out/.guetzpy.sqlite: damaged" in result.stderr
    assert "to begin anew" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("kept", [100, 5000])
def test_damaged_pages_are_one_clear_line(place: Path, kept: int) -> None:
    """The header says that the file is a manifest, but its pages cannot be read."""
    run("optimize", "-r", "in", "-o", "out")
    path = place / "out/.guetzpy.sqlite"
    data = path.read_bytes()
    path.write_bytes(data[:kept] + b"\x99" * (len(data) - kept))
    result = run("optimize", "-r", "in", "-o", "out", "--resume")
    assert result.exit_code == 1
    assert result.stderr == "guetzpy: out/.guetzpy.sqlite: damaged manifest; remove it to begin anew\n"
    path.unlink()
    assert run("optimize", "-r", "in", "-o", "out", "--resume").exit_code == 0


def test_damaged_total_is_an_error(place: Path) -> None:
    record = Manifest(place / "m.db")
    record._write("INSERT INTO budgets VALUES (?,?)", ("wish", '{"targets": 5}'))
    with pytest.raises(GuetzpyError, match="damaged row"):
        record.budget("wish")
    record.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files there")
def test_full_disk_under_the_manifest(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(manifest, "_ROWS_A_COMMIT", 1)
    for i in range(40):
        write(place / f"in/more{i:02}.jpg", JPEG + bytes(200 + i))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, limits[1]))  # SQLite's writes beyond this size fail
    try:
        result = run("optimize", "-r", "in", "-o", "out", "--quiet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("guetzpy: out/.guetzpy.sqlite: the manifest cannot be written")
    again = run("optimize", "-r", "in", "-o", "out", "--resume")
    assert again.exit_code == 0, again.stderr
    assert len(list((place / "out").glob("*.jpg"))) == 45


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files there")
def test_full_disk_leaves_no_empty_manifest(place: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="the manifest cannot be written"):
            Manifest(place / "m.sqlite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(os.listdir(place)) == ["in"]


# --- state folder -----------------------------------------------------------------------------


def test_in_place_needs_no_home_unless_it_resumes(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place / "state", b"a file, so that no folder can be made of it")
    result = run("optimize", "-r", "in", "--in-place")
    assert result.exit_code == 0, result.stderr
    assert (place / "in/0.jpg").stat().st_size == 52
    asked = run("optimize", "-r", "in", "--in-place", "--resume")
    assert asked.exit_code == 1
    assert len(asked.stderr.splitlines()) == 1
    monkeypatch.setenv("XDG_STATE_HOME", "no/absolute/path")
    assert run("optimize", "-r", "in", "--in-place").exit_code == 0
    assert "no home folder" in run("optimize", "-r", "in", "--in-place", "--resume").stderr


def test_destination_that_cannot_be_written_is_an_error(place: Path) -> None:
    write(place / "out", b"no folder")
    with pytest.raises(OSError):
        batch.run("in", "out/below", OptimizeOptions())


def test_old_records_of_the_state_folder_are_removed(place: Path) -> None:
    state = place / "state/guetzpy"
    for name in ("0123456789abcdef.sqlite", "0123456789abcdef-1-of-4.sqlite", "mine.sqlite", "x.txt"):
        old = write(state / name, b"")
        os.utime(old, (time.time() - 200 * 86400,) * 2)
    recent = write(state / "fedcba9876543210.sqlite", b"")
    os.utime(recent, (time.time() - 100 * 86400,) * 2)
    run("optimize", "-r", "in", "--in-place")
    left = {path.name for path in state.iterdir()}
    assert {"mine.sqlite", "x.txt", recent.name} < left
    assert len(left) == 4  # the three files above, and the record of this run


# --- encodes of totals ------------------------------------------------------------------------


def test_only_own_encodes_are_removed(place: Path) -> None:
    task = batch.Task("a.jpg", "a.jpg", "jpeg", 10, "10:1")
    folder = place / "run.trials"
    path = trials.path_of(str(folder), task, OptimizeOptions())
    trials.save(path, Result(data=b"12", status="optimized", bytes_after=2))
    write(folder / "notes.txt", b"of the user")
    for number in range(256):  # some come before the folder of the encode, in any order
        write(folder / f"{number:02x}/notes.txt", b"of the user")
    trials.forget_all(str(folder))
    assert not os.path.exists(path)
    assert (folder / "notes.txt").exists()
    assert (folder / "ab/notes.txt").exists()
    (place / "link").symlink_to(folder)
    trials.save(path, Result(data=b"12", status="optimized", bytes_after=2))
    trials.forget_all(str(place / "link"))
    assert os.path.exists(path)
