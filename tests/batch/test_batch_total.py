"""Runs with a total of bytes, with a fake engine whose sizes are a function of the distance."""

from __future__ import annotations

import io
import os
from concurrent.futures import Executor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.batch_runs import JPEG, Engine, files, put

from guetzpy import api, batch
from guetzpy.batch import trials
from guetzpy.batch.budget import Aim, Attempt
from guetzpy.errors import TargetError
from guetzpy.result import Result

# --- budgets ----------------------------------------------------------------------------------


class Sized(Engine):
    """An engine whose files have sizes by a power law of the distance, with other parameters for each."""

    def __call__(self, data: bytes, options: Any, *, name: str) -> Result:
        self.calls.append(os.path.basename(name))
        index = int(Path(name).stem)
        area = 4096
        size = int(area * (0.3 + 0.02 * index) * options.distance ** -(0.5 + 0.01 * index)) + 50
        self.distances = options.distance
        return Result(
            data=JPEG + bytes(size - 4),
            status="optimized",
            input=name,
            bytes_before=len(data),
            bytes_after=size,
            distance=options.distance,
        )


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sized:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(stream, "PNG")
    for i in range(40):
        put(tmp_path / f"in/{i:02}.png", stream.getvalue(), 0)
    engine = Sized()
    monkeypatch.setattr(api, "run", engine)
    return engine


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("bits", [1.2, 3.0, 8.0])
def test_total_is_hit(tmp_path: Path, sized: Sized, threads: Executor, bits: float, free: bool) -> None:
    run = batch.run(tmp_path / "in", tmp_path / "out", executor=threads, total_bpp=bits, equal_slope=free)
    results = list(run)
    limit = int(bits * 64 * 64 * 40 / 8)
    total = sum(path.stat().st_size for path in (tmp_path / "out").glob("*.jpg"))
    assert 0.995 * limit <= total <= limit
    assert run.fit is not None
    assert (run.fit.total, run.fit.limit) == (total, limit)
    assert run.fit.encodes == len(sized.calls) / 40 <= 5  # the last pass is not repeated
    distances = {r.distance for r in results}
    assert (len(distances) > 10) if free else (distances == {run.fit.distance})
    assert not list((tmp_path / "out").glob("*.trials"))


def test_total_of_results_that_carry_the_data(tmp_path: Path, sized: Sized, threads: Executor) -> None:
    """An executor may be a cluster, whose machines share no folder for the encodes of earlier passes."""
    run = batch.run(tmp_path / "in", executor=threads, total_bytes=60_000)
    total = sum(len(result.data) for result in run)
    assert 0.995 * 60_000 <= total <= 60_000
    assert run.fit is not None
    assert run.fit.total == total
    assert len(sized.calls) / 40 == run.fit.encodes + 1  # the last pass is repeated


def test_files_of_the_same_name_have_targets_of_their_own(
    tmp_path: Path, sized: Sized, threads: Executor
) -> None:
    """Without an output folder, files of several folders may have the same relative name."""
    names = []
    for i in range(8):
        names.append(tmp_path / f"{i}/{i % 2:02}.png")
        names[-1].parent.mkdir()
        Image.new("L", (64 * (i + 1), 64)).save(names[-1])
    run = batch.run(names, executor=threads, total_bytes=20_000, equal_slope=True)
    distances = {result.distance for result in run}
    assert run.fit is not None
    assert (run.fit.nearest, run.fit.farthest) == (min(distances), max(distances))


def test_total_is_resumed(tmp_path: Path, sized: Sized, threads: Executor) -> None:
    def run(**more: Any) -> batch.Run:
        return batch.run(tmp_path / "in", tmp_path / "out", executor=threads, total_bytes=60_000, **more)

    whole = run()
    list(whole)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jpg")}
    again = run(resume=True)
    assert (len(again), again.fit) == (0, whole.fit)
    again.close()

    (tmp_path / "out/.guetzpy.sqlite").unlink()
    for path in (tmp_path / "out").glob("*.jpg"):
        path.unlink()
    sized.calls.clear()

    def stop(number: int, _: float, __: Result) -> None:
        if number == 2 and len(sized.calls) > 55:
            raise KeyboardInterrupt

    stopped = run()
    stopped.on_trial = stop
    with pytest.raises(KeyboardInterrupt):
        next(stopped)
    made = len(sized.calls)
    second = run(resume=True)
    list(second)
    assert second.fit is not None
    assert len(sized.calls) <= 40 * second.fit.encodes + 2  # none of the first run's encodes is lost
    assert made > 55
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jpg")} == expected


def test_total_is_resumed_in_its_last_pass(tmp_path: Path, sized: Sized, threads: Executor) -> None:
    wishes: dict[str, Any] = {"executor": threads, "total_bytes": 60_000}
    with batch.run(tmp_path / "in", tmp_path / "out", **wishes) as stopped:
        done = [next(stopped) for _ in range(10)]
    made = len(sized.calls)
    again = batch.run(tmp_path / "in", tmp_path / "out", resume=True, **wishes)
    assert again.fit == stopped.fit
    left = list(again)
    assert len(left) == 40 - len(again.earlier) <= 40 - len(done)
    assert len(sized.calls) == made  # the encodes that fit were kept
    assert len(list((tmp_path / "out").glob("*.jpg"))) == 40
    assert not list((tmp_path / "out").glob("*.trials"))


def test_total_in_place_is_searched_again_after_a_change(
    tmp_path: Path, sized: Sized, threads: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the new file got the old distance, whatever size it had there."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run() -> batch.Run:
        return batch.run(tmp_path / "in", in_place=True, executor=threads, total_bytes=4_000, resume=True)

    for i in range(4):
        (tmp_path / f"in/{i:02}.png").unlink()
        put(tmp_path / f"in/{i:02}.jpg", JPEG, 9000)
    first = run()
    assert len(list(first)) == 4
    again = run()
    assert (len(again.earlier), len(again), again.fit) == (4, 0, first.fit)
    again.close()
    put(tmp_path / "in/03.jpg", JPEG, 9001)
    again = run()
    assert (again.earlier, again.fit, len(again)) == ([], None, 4)
    assert sum(result.bytes_after or 0 for result in again) <= 4_000


def test_total_that_cannot_be_met(tmp_path: Path, sized: Sized, threads: Executor) -> None:
    with pytest.raises(TargetError, match="the smallest set reached has"):
        list(batch.run(tmp_path / "in", tmp_path / "out", executor=threads, total_bytes=2_000))
    assert files(tmp_path / "out") == set()


@pytest.mark.parametrize("others", [False, True])
def test_total_that_cannot_be_met_leaves_nothing(
    tmp_path: Path, sized: Sized, threads: Executor, others: bool
) -> None:
    """Regression: a folder with a manifest was left, and copies of other files."""
    put(tmp_path / "in/note.txt")
    before = files(tmp_path)
    wishes: dict[str, Any] = {"executor": threads, "total_bytes": 2_000}

    def unmet(**more: Any) -> None:
        with pytest.raises(TargetError):
            list(batch.run(tmp_path / "in", tmp_path / "new/out", copy_others=others, **wishes, **more))

    unmet()
    assert not (tmp_path / "new").exists()
    unmet(manifest=tmp_path / "log/run.sqlite", resume=True)
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "log").exists()
    assert files(tmp_path) == before
    put(tmp_path / "new/out/mine.txt")
    unmet()
    assert [path.name for path in (tmp_path / "new/out").iterdir()] == ["mine.txt"]


def test_total_that_cannot_be_met_keeps_an_earlier_manifest(
    tmp_path: Path, sized: Sized, threads: Executor
) -> None:
    out = tmp_path / "out"
    list(batch.run(tmp_path / "in", out, executor=threads, total_bytes=60_000))
    with pytest.raises(TargetError):
        list(batch.run(tmp_path / "in", out, executor=threads, total_bytes=2_000))
    again = batch.run(tmp_path / "in", out, executor=threads, total_bytes=60_000, resume=True)
    assert (len(again), len(again.earlier)) == (0, 40)


def test_total_with_room_to_spare(tmp_path: Path, sized: Sized, threads: Executor) -> None:
    run = batch.run(tmp_path / "in", tmp_path / "out", executor=threads, total_bytes=10**9)
    list(run)
    assert run.fit is not None
    assert run.fit.distance == 0.1


def test_encodes_that_the_best_attempt_has_too_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[str] = []
    monkeypatch.setattr(trials, "path_of", lambda folder, task, target: f"{folder}/{task}/{target}")
    monkeypatch.setattr(trials, "forget_data", removed.append)
    run: Any = SimpleNamespace(_trials="trials", tasks=["a", "b"], _with_target=lambda target: target[1])
    best = Attempt((Aim(1.0), Aim(2.0)), 100, (1.0, 2.0), 0.0)
    batch.Run._forget(run, (Aim(1.0), Aim(3.0)), best)
    assert removed == ["trials/b/3.0"]
