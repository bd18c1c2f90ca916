"""Runs over folders, with a fast replacement of the engine, and threads instead of processes."""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.batch_runs import JPEG, PNG, Engine, Go, files, put

from guetzpy import api, batch, output
from guetzpy.batch import memory, pool, worker
from guetzpy.errors import FormatError, explain
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result


def test_folder_is_mirrored(photos: Path, tmp_path: Path, go: Go, engine: Engine) -> None:
    results = {Path(r.input or "").name: r for r in go(photos, tmp_path / "out")}
    assert files(tmp_path / "out") == {"a.jpg", "sub/b.JPG", "sub/c.jpg"}
    assert {r.status for r in results.values()} == {"optimized"}
    assert results["b.JPG"].output == str(tmp_path / "out/sub/b.JPG")
    assert all(r.data == b"" for r in results.values())
    assert (tmp_path / "out/a.jpg").stat().st_size == 150
    assert engine.threads == {1}
    assert files(photos) == {"a.jpg", "sub/b.JPG", "sub/c.png"}


def test_largest_first(photos: Path, tmp_path: Path, engine: Engine) -> None:
    with ThreadPoolExecutor(1) as one:
        list(batch.run(photos, tmp_path / "out", executor=one, in_flight=1))
    assert engine.calls == ["c.png", "a.jpg", "b.JPG"]


def test_without_a_destination_results_carry_the_data(photos: Path, go: Go) -> None:
    results = go([photos / "a.jpg"])
    assert len(results[0].data) == 150
    assert results[0].output is None
    dry = go(photos, photos.parent / "out", write=False)
    assert [len(r.data) for r in dry] == [0, 0, 0]
    assert not (photos.parent / "out").exists()


def test_bad_files_cost_only_themselves(photos: Path, tmp_path: Path, go: Go) -> None:
    put(photos / "bad.jpg", JPEG + b"broken")
    (photos / "empty.jpg").write_bytes(b"")
    results = {Path(r.input or "").name: r for r in go(photos, tmp_path / "out")}
    assert (results["bad.jpg"].status, results["bad.jpg"].error) == ("failed", "it is broken")
    assert results["bad.jpg"].target == {"distance": 1.0}
    assert sum(r.status == "optimized" for r in results.values()) >= 3
    assert "bad.jpg" not in files(tmp_path / "out")


def test_what_cannot_become_a_smaller_jpeg_is_copied(photos: Path, tmp_path: Path, go: Go) -> None:
    clear = put(photos / "clear.png", PNG + b"clear")
    grows = put(photos / "grows.webp", b"RIFFxxxxWEBPgrows")
    small = put(photos / "small.jpg", JPEG + b"small")
    named = {Path(r.input or "").name: r for r in go(photos, tmp_path / "out")}
    for path in (clear, grows, small):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
        assert named[path.name].status == "kept"
        assert named[path.name].output == str(tmp_path / "out" / path.name)
    assert named["clear.png"].reason == "transparent; give background"
    assert not (tmp_path / "out/clear.jpg").exists()


def test_a_larger_jpeg_is_written_if_the_source_has_metadata_to_remove(
    photos: Path, tmp_path: Path, go: Go, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(photos / "grows.webp", b"RIFFxxxxWEBPgrows")
    monkeypatch.setattr(api, "run", lambda *a, **k: replace(engine(*a, **k), removed=("gps", "comment")))
    named = {Path(r.input or "").name: r for r in go(photos, tmp_path / "out")}
    assert named["grows.webp"].status == "optimized"
    assert (tmp_path / "out/grows.jpg").stat().st_size == 200
    assert named["grows.webp"].warnings == (
        "the JPEG is larger than the source, which was not kept as it has metadata to remove: gps, comment",
    )
    assert named["c.png"].warnings == ()


@pytest.mark.parametrize(
    ("wish", "fault"),
    [({"fit": 90}, "is to be made smaller"), ({"to_srgb": True}, "is not sRGB"), ({}, None)],
)
def test_a_larger_jpeg_is_written_if_the_source_breaks_an_option(
    tmp_path: Path, wish: dict[str, Any], fault: str | None
) -> None:
    """A few black lines are a small PNG and a large JPEG."""
    pixels = np.full((96, 96, 3), 255, np.uint8)
    pixels[::5] = pixels[:, ::7] = 0
    (tmp_path / "in").mkdir()
    profile = (Path(__file__).parents[1] / "data/display_p3.icc").read_bytes()
    Image.fromarray(pixels).save(tmp_path / "in/lines.png", icc_profile=profile)
    options = OptimizeOptions(effort="fast", **wish)
    (result,) = batch.run(tmp_path / "in", tmp_path / "out", options, jobs=1)
    if fault is None:
        assert (result.status, result.reason) == ("kept", "a JPEG of it would be larger")
    else:
        assert result.output == str(tmp_path / "out/lines.jpg")
        assert result.warnings == (f"the JPEG is larger than the source, which was not kept as it {fault}",)


def test_other_files_are_told_or_copied(photos: Path, tmp_path: Path, go: Go, threads: Executor) -> None:
    note = put(photos / "sub/note.txt", b"some words")
    run = batch.run(photos, tmp_path / "out", executor=threads)
    assert [(other.relative, other.reason) for other in run.others] == [("sub/note.txt", "not a picture")]
    assert len(run) == len(list(run)) == 3
    results = go(photos, tmp_path / "out2", copy_others=True)
    assert len(results) == 4
    assert (tmp_path / "out2/sub/note.txt").read_bytes() == note.read_bytes()


def test_transcode_takes_jpegs_only(photos: Path, tmp_path: Path, go: Go) -> None:
    go(photos, tmp_path / "out", TranscodeOptions())
    assert files(tmp_path / "out") == {"a.jpg", "sub/b.JPG"}


# --- in place ---------------------------------------------------------------------------------


def test_in_place(photos: Path, go: Go) -> None:
    small = put(photos / "small.jpg", JPEG + b"small")
    small.chmod(0o640)
    (photos / "a.jpg").chmod(0o640)
    for path in (small, photos / "a.jpg"):
        os.utime(path, (10**9, 10**9))
    before = small.stat()
    go(photos, in_place=True)
    assert (photos / "a.jpg").stat().st_size == 150
    assert (photos / "a.jpg").stat().st_mode & 0o777 == 0o640
    assert (photos / "a.jpg").stat().st_mtime > 10**9
    assert (photos / "sub/c.png").stat().st_size == 400  # not a JPEG, so not changed
    after = small.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino, before.st_mtime_ns, before.st_ctime_ns,
    )  # fmt: skip
    assert files(photos) == {"a.jpg", "sub/b.JPG", "sub/c.png", "small.jpg"}


def test_backup_keeps_originals(photos: Path, tmp_path: Path, go: Go) -> None:
    original = (photos / "sub/b.JPG").read_bytes()
    os.utime(photos / "sub/b.JPG", (10**9, 10**9))
    put(photos / "small.jpg", JPEG + b"small")
    go(photos, in_place=True, backup=tmp_path / "kept")
    kept = tmp_path / "kept/sub/b.JPG"
    assert files(tmp_path / "kept") == {"a.jpg", "sub/b.JPG"}
    assert (kept.read_bytes(), kept.stat().st_mtime) == (original, 10**9)
    second = (photos / "sub/b.JPG").read_bytes()
    go(photos, in_place=True, backup=tmp_path / "kept")
    assert kept.read_bytes() == original  # a backup is never replaced
    assert (tmp_path / "kept/sub/b.JPG.1").read_bytes() == second


def test_backup_across_file_systems(
    photos: Path, tmp_path: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = (photos / "a.jpg").read_bytes()

    def cross_device(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", cross_device)
    go(photos, in_place=True, backup=tmp_path / "kept")
    assert (tmp_path / "kept/a.jpg").read_bytes() == original


def test_no_backup_no_change(photos: Path, tmp_path: Path, go: Go) -> None:
    original = (photos / "a.jpg").read_bytes()
    (tmp_path / "kept").write_bytes(b"a file where the folder should be")
    results = go([photos / "a.jpg"], in_place=True, backup=tmp_path / "kept")
    assert results[0].status == "failed"
    assert (photos / "a.jpg").read_bytes() == original


def test_backup_of_a_run_that_was_killed_before_it_replaced(photos: Path, tmp_path: Path, go: Go) -> None:
    (tmp_path / "kept").mkdir()
    os.link(photos / "a.jpg", tmp_path / "kept/a.jpg")
    go([photos / "a.jpg"], in_place=True, backup=tmp_path / "kept")
    assert files(tmp_path / "kept") == {"a.jpg"}


def test_preserve(photos: Path, tmp_path: Path, go: Go) -> None:
    for path in (photos / "a.jpg", photos / "sub/c.png"):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o600)
    go(photos, tmp_path / "out", preserve=True)
    for path in (tmp_path / "out/a.jpg", tmp_path / "out/sub/c.jpg"):
        assert (path.stat().st_mtime, path.stat().st_mode & 0o777) == (10**9, 0o600)
    go(photos, tmp_path / "out2")
    assert (tmp_path / "out2/a.jpg").stat().st_mtime > 10**9
    go(photos, in_place=True, preserve=True)
    assert (photos / "a.jpg").stat().st_mtime == 10**9


def test_input_that_changed_meanwhile_is_left_alone(
    photos: Path, engine: Engine, threads: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(data: bytes, options: Any, *, name: str) -> Result:
        Path(name).write_bytes(b"someone else's")
        return engine(data, options, name=name)

    monkeypatch.setattr(api, "run", slow)
    (result,) = batch.run([photos / "a.jpg"], in_place=True, executor=threads)
    assert "changed while it was being read" in (result.error or "")
    assert (photos / "a.jpg").read_bytes() == b"someone else's"


def test_nothing_is_written_through_a_link(photos: Path, tmp_path: Path, go: Go) -> None:
    before = (photos / "a.jpg").read_bytes()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.jpg").symlink_to(photos / "a.jpg")
    failed = [r for r in go(photos, tmp_path / "out") if r.status == "failed"]
    assert len(failed) == 1
    assert (photos / "a.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"destination": "in"}, "use --in-place"),
        ({"destination": "out", "in_place": True}, "contradict"),
        ({"destination": "out", "backup": "kept"}, "in_place"),
        ({"in_place": True, "copy_others": True}, "destination"),
        ({"destination": "out", "shard": (5, 4)}, "1 to n"),
        ({"destination": "out", "total_bytes": 5, "total_bpp": 1.0}, "contradict"),
        ({"destination": "out", "total_bytes": 0}, "more than 0"),
        ({"destination": "out", "equal_slope": True}, "needs total_bytes"),
        ({"destination": "out", "total_bpp": 1.0, "shard": (1, 2)}, "whole set"),
        ({"destination": "out", "total_bpp": 1.0, "options": OptimizeOptions(quality=80)}, "contradict"),
        ({"destination": "out", "total_bpp": 1.0, "options": TranscodeOptions()}, "transcode"),
    ],
)
def test_contradictions(
    photos: Path, monkeypatch: pytest.MonkeyPatch, wishes: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(photos.parent)
    with pytest.raises(ValueError, match=words):
        batch.run("in", **wishes)
    assert not Path("out").exists()


def test_clash_is_told_before_anything_is_written(photos: Path, engine: Engine) -> None:
    put(photos / "a.png", PNG)
    with pytest.raises(ValueError, match="would both be written"):
        batch.run(photos, photos.parent / "out")
    assert engine.calls == []
    assert not (photos.parent / "out").exists()


def test_shards_make_the_whole(tmp_path: Path, go: Go) -> None:
    for i in range(20):
        put(tmp_path / f"in/{i}.jpg", JPEG)
    counts = [len(go(tmp_path / "in", tmp_path / "out", shard=(k, 3))) for k in (1, 2, 3)]
    assert sum(counts) == len(files(tmp_path / "out")) == 20
    assert min(counts) > 0


# --- crashes ----------------------------------------------------------------------------------


class Fragile(Executor):
    """An engine whose process dies for some files, always or once; records the number of busy workers."""

    def __init__(self, always: str = "", once: str = "") -> None:
        self.always, self.once, self.log = always, once, []

    def submit(self, function: Any, task: Any, *rest: Any) -> Future[Any]:  # type: ignore[override]
        future: Future[Any] = Future()
        name = os.path.basename(task.input)
        self.log.append(name)
        if name == self.always or (name == self.once and self.log.count(name) == 1):
            future.set_exception(BrokenProcessPool("killed"))
        else:
            future.set_result(function(task, *rest))
        return future


def test_a_crash_is_tried_again_after_the_others(photos: Path, tmp_path: Path, engine: Engine) -> None:
    executor = Fragile(once="c.png")
    results = list(batch.run(photos, tmp_path / "out", executor=executor))
    assert executor.log == ["c.png", "a.jpg", "b.JPG", "c.png"]
    assert {r.status for r in results} == {"optimized"}


def test_a_second_crash_costs_the_file(photos: Path, tmp_path: Path, engine: Engine) -> None:
    executor = Fragile(always="c.png")
    results = list(batch.run(photos, tmp_path / "out", executor=executor))
    assert executor.log.count("c.png") == 2
    failed = [r for r in results if r.status == "failed"]
    assert [Path(r.input or "").name for r in failed] == ["c.png"]
    assert "tried twice" in (failed[0].error or "")


def test_an_executor_that_was_shut_down(photos: Path, tmp_path: Path) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    results = list(batch.run(photos, tmp_path / "out", executor=executor))
    assert [r.status for r in results] == ["failed"] * 3
    assert "takes no more work" in (results[0].error or "")


def test_a_full_disk_leaves_nothing_half(
    photos: Path, tmp_path: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".tmp"):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(output.os, "fsync", full)
    results = go(photos, tmp_path / "out")
    assert {r.error for r in results} == {f"{tmp_path}/out/{name}: No space left on device" for name in (
        "a.jpg", "sub/b.JPG", "sub/c.jpg")}  # fmt: skip
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [
        tmp_path / "out/.guetzpy.sqlite"
    ]


def test_large_pictures_wait_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are processed at once while they fit into memory together. A larger one is processed alone."""
    monkeypatch.setattr(memory, "pixels", lambda task, _: task.size)
    monkeypatch.setattr(pool._Slot, "submit", lambda slot, task, *_: setattr(slot, "task", task))
    processes = pool.Processes(3, budget=2 * memory.PER_WORKER + 1000, wanted=lambda area: 10 * area)
    large, small, giant = (
        batch.Task(n, n, "jpeg", size, "") for n, size in (("l", 60), ("s", 40), ("g", 10**9))
    )
    options, delivery = TranscodeOptions(), worker.Delivery()
    assert processes.takes(giant, alone=False)
    processes.submit(large, options, delivery)
    assert not processes.takes(giant, alone=False)
    assert not processes.takes(large, alone=False)
    assert processes.takes(small, alone=False)
    assert not processes.takes(small, alone=True)
    processes.submit(small, options, delivery)
    assert not processes.takes(small, alone=False)


def test_explain() -> None:
    assert explain(MemoryError()) == "out of memory"
    assert explain(FileNotFoundError(2, "No such file", "x"), "x") == "No such file"
    assert explain(FileNotFoundError(2, "No such file", "y"), "x") == "y: No such file"
    assert explain(FileNotFoundError("bucket/x")) == "no such file: bucket/x"  # as fsspec raises it
    assert explain(ValueError("two\n  lines")) == "two lines"
    assert explain(OSError()) == "OSError"
    error = FormatError("empty file")
    error.name = "x"
    assert explain(error) == "empty file"
    assert explain(KeyError("k")) == "internal error, KeyError: 'k'"


def test_memory(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "a.png")
    good = batch.Task(str(tmp_path / "a.png"), "a.png", "picture", 100, "")
    assert memory.pixels(good) == 1200
    for area in (10**6, 10**7, 10**8):
        fast, balanced, most = (
            memory.wanted(OptimizeOptions(effort=effort), area) for effort in ("fast", "balanced", "max")
        )
        assert memory.wanted(TranscodeOptions(), area) < fast <= balanced < most
    assert memory.pixels(batch.Task(str(tmp_path / "no.jpg"), "no.jpg", "jpeg", 100, "")) == 2000
    free = memory.available()
    assert free is None or free > 10**7
