"""Resumed runs, and the place of their manifest."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest
from reference.batch_runs import JPEG, Engine, Go, files, put

from guetzpy import batch
from guetzpy.batch import manifest_place
from guetzpy.errors import GuetzpyError
from guetzpy.options import OptimizeOptions

# --- resuming ---------------------------------------------------------------------------------


def test_resume_does_only_what_is_missing(photos: Path, tmp_path: Path, go: Go, engine: Engine) -> None:
    out = tmp_path / "out"
    put(photos / "bad.jpg", JPEG + b"broken")
    go(photos, out)

    def again(**changes: Any) -> list[str]:
        engine.calls.clear()
        go(photos, out, resume=True, **changes)
        return sorted(engine.calls)

    assert again() == ["bad.jpg"]  # files that failed are processed again
    (photos / "bad.jpg").unlink()
    assert again() == []
    (out / "a.jpg").unlink()
    assert again() == ["a.jpg"]
    (out / "a.jpg").write_bytes(b"half")
    assert again() == ["a.jpg"]
    (out / "a.jpg").write_bytes(bytes((out / "a.jpg").stat().st_size))
    os.utime(out / "a.jpg", (2 * 10**9, 2 * 10**9))
    assert again() == ["a.jpg"]
    os.utime(out / "a.jpg", (int((out / "a.jpg").stat().st_mtime),) * 2)  # as a ZIP file keeps it
    assert again() == []
    os.utime(photos / "sub/b.JPG", (10**9, 10**9))
    assert again() == ["b.JPG"]
    put(photos / "new.jpg", JPEG)
    assert again() == ["new.jpg"]
    assert len(again(options=OptimizeOptions(distance=2.0))) == 4
    assert again(options=OptimizeOptions(distance=2.0, threads=2, timeout=9)) == []  # same bytes
    assert len(again()) == 4
    engine.calls.clear()
    go(photos, out)
    assert len(engine.calls) == 4  # without resume, all files are processed


def test_resume_with_times_of_the_far_future(photos: Path, tmp_path: Path, go: Go, engine: Engine) -> None:
    os.utime(photos / "a.jpg", (13 * 10**9, 13 * 10**9))  # 2381
    if (photos / "a.jpg").stat().st_mtime < 13 * 10**9:
        pytest.skip("the file system has no such times")
    go(photos, tmp_path / "out", preserve=True)
    engine.calls.clear()
    go(photos, tmp_path / "out", preserve=True, resume=True)
    assert not engine.calls


@pytest.mark.parametrize("places", [("out", "new"), ("out", None), (None, "out")])
def test_resume_with_another_place_repeats_the_work(
    photos: Path, tmp_path: Path, go: Go, engine: Engine, places: tuple[str | None, str | None]
) -> None:
    for place in places:
        engine.calls.clear()
        results = go(photos, place and tmp_path / place, resume=True, manifest=tmp_path / "m.sqlite")
        assert len(engine.calls) == len(results) == 3
        if place is None:
            assert all(result.data for result in results)
        else:
            assert files(tmp_path / place) == {"a.jpg", "sub/b.JPG", "sub/c.jpg"}


def test_resume_from_another_folder(
    photos: Path, tmp_path: Path, go: Go, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    go("in", "out")
    monkeypatch.chdir(photos)
    engine.calls.clear()
    go("../in", "../out", resume=True)
    assert engine.calls == []


def test_resume_after_another_version(
    photos: Path, tmp_path: Path, go: Go, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(photos, tmp_path / "out")
    monkeypatch.setattr("guetzpy.batch.runner.__version__", "99")
    engine.calls.clear()
    go(photos, tmp_path / "out", resume=True)
    assert len(engine.calls) == 3


def test_resume_tells_what_was_done(photos: Path, tmp_path: Path, go: Go, threads: Executor) -> None:
    first = {r.input: r for r in go(photos, tmp_path / "out")}
    run = batch.run(photos, tmp_path / "out", executor=threads, resume=True)
    assert len(run) == 0
    assert {r.input: r for r in run.earlier} == first


def test_resume_in_place(
    photos: Path, tmp_path: Path, go: Go, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    go(photos, in_place=True)
    engine.calls.clear()
    go(photos, in_place=True, resume=True)
    assert engine.calls == []
    assert not list(photos.rglob(".*"))
    assert len(list((tmp_path / "state/guetzpy").glob("*.sqlite"))) == 1


def test_what_was_done_before_a_stop_is_kept(
    photos: Path, tmp_path: Path, engine: Engine, threads: Executor
) -> None:
    with batch.run(photos, tmp_path / "out", executor=threads, in_flight=1) as run:
        done = next(run)
    with pytest.raises(StopIteration):
        next(run)
    engine.calls.clear()
    list(batch.run(photos, tmp_path / "out", executor=threads, resume=True))
    assert os.path.basename(done.input or "") not in engine.calls
    assert 1 <= len(engine.calls) <= 2


def test_manifest_is_never_within_the_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    photos, out = str(tmp_path / "in"), str(tmp_path / "out")
    assert manifest_place.location([photos], out) == tmp_path / "out/.guetzpy.sqlite"
    assert manifest_place.location([photos], out, (3, 16)) == tmp_path / "out/.guetzpy-3-of-16.sqlite"
    state = tmp_path / "state/guetzpy"
    places = [
        manifest_place.location([photos], None),
        manifest_place.location([photos], f"{photos}/out"),
        manifest_place.location([photos], "s3://bucket/out"),
        manifest_place.location([out], None),
    ]
    assert {place.parent for place in places} == {state}
    assert len(set(places)) == 4
    assert manifest_place.location([photos + "/"], None) == places[0]


def test_manifest_where_the_user_wants_it(photos: Path, tmp_path: Path, go: Go) -> None:
    go(photos, tmp_path / "out", manifest=tmp_path / "notes/run.db")
    assert (tmp_path / "notes/run.db").exists()
    assert not (tmp_path / "out/.guetzpy.sqlite").exists()
    rows = sqlite3.connect(tmp_path / "notes/run.db").execute("SELECT status, bytes_after FROM files")
    assert sorted(rows) == [("optimized", 100), ("optimized", 150), ("optimized", 200)]


@pytest.mark.parametrize("name", ["a.jpg", "app.sqlite"])
def test_no_output_replaces_the_manifest(photos: Path, tmp_path: Path, go: Go, name: str) -> None:
    put(photos / "app.sqlite", b"another program's")
    with pytest.raises(ValueError, match=f"{name}: is the output of .* give the manifest another name"):
        go(photos, tmp_path / "out", copy_others=True, manifest=tmp_path / "out" / name)
    assert not (tmp_path / "out").exists()


def test_two_runs_do_not_share_a_manifest(photos: Path, tmp_path: Path, threads: Executor) -> None:
    with (
        batch.run(photos, tmp_path / "out", executor=threads),
        pytest.raises(GuetzpyError, match="another run"),
    ):
        batch.run(photos, tmp_path / "out", executor=threads)
    batch.run(photos, tmp_path / "out", executor=threads).close()


def test_damaged_manifest(photos: Path, tmp_path: Path, threads: Executor) -> None:
    put(tmp_path / "out/.guetzpy.sqlite", b"this is no SQLite file", 5000)
    with pytest.raises(GuetzpyError, match="damaged"):
        batch.run(photos, tmp_path / "out", executor=threads)


def test_names_that_are_no_utf8(tmp_path: Path, go: Go, engine: Engine) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    put(tmp_path / "in" / name, JPEG)
    go(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / name).exists()
    go(tmp_path / "in", tmp_path / "out", resume=True)
    assert len(engine.calls) == 1


# --- places -----------------------------------------------------------------------------------


def test_output_within_the_input(
    photos: Path, go: Go, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(photos.parent / "state"))
    for _ in range(2):
        go(photos, photos / "out")
    assert len(engine.calls) == 6
    assert files(photos / "out") == {"a.jpg", "sub/b.JPG", "sub/c.jpg"}
