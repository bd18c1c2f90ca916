"""Progress callbacks, cancellation without incomplete files, and the logger, which is silent by default."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import guetzpy
from guetzpy import Progress, batch
from guetzpy._runtime import threads as _threads
from guetzpy.progress import Reporter


@pytest.fixture(scope="module")
def jpeg(photo_array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(photo_array).save(file, "JPEG", quality=97, subsampling=0)
    return file.getvalue()


class Watcher:
    """A callback that records its events and the threads that call it."""

    def __init__(self) -> None:
        self.events: list[Progress] = []
        self.threads: set[threading.Thread] = set()

    def __call__(self, event: Progress) -> None:
        self.events.append(event)
        self.threads.add(threading.current_thread())

    @property
    def stages(self) -> list[str]:
        return list(dict.fromkeys(event.stage for event in self.events))


@pytest.mark.parametrize("effort", ["fast", "balanced"])
@pytest.mark.parametrize("target", [{"distance": 1.0}, {"max_bytes": 3000}, {"quality": 80}])
def test_told_in_order(photo_array: np.ndarray, effort: Any, target: dict[str, Any]) -> None:
    watcher = Watcher()
    guetzpy.optimize(photo_array, effort=effort, progress=watcher, **target)
    assert watcher.stages == ["read", "search", "write", "done"]
    fractions = [event.fraction for event in watcher.events]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert len(set(fractions)) > 3
    assert watcher.threads == {threading.current_thread()}


def test_names(jpeg: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg)
    for source in (path, str(path)):
        watcher = Watcher()
        guetzpy.transcode(source, progress=watcher)
        assert {event.name for event in watcher.events} == {str(path)}
        assert watcher.stages == ["read", "write", "done"]
    with path.open("rb") as stream:
        guetzpy.optimize(stream, effort="fast", progress=watcher)
    assert watcher.events[-1].name == str(path)
    guetzpy.optimize(jpeg, effort="fast", progress=watcher)
    assert watcher.events[-1] == Progress("done", 1.0, None)


def test_watching_changes_nothing(photo_array: np.ndarray) -> None:
    plain = guetzpy.optimize(photo_array)
    watched = guetzpy.optimize(photo_array, progress=Watcher(), cancel=threading.Event())
    assert watched.data == plain.data


@pytest.mark.parametrize("stage", ["read", "search", "write", "done"])
def test_what_the_callback_raises_comes_out(jpeg: bytes, stage: str) -> None:
    class Stop(Exception):
        pass

    def callback(event: Progress) -> None:
        if event.stage == stage:
            raise Stop

    with pytest.raises(Stop):
        guetzpy.optimize(jpeg, distance=2.0, progress=callback)
    assert guetzpy.optimize(jpeg, distance=2.0, effort="fast").status == "optimized"  # later calls work


@pytest.mark.parametrize("threads", [1, 2])
def test_cancel_from_another_thread(photo_array: np.ndarray, threads: int) -> None:
    large = np.tile(photo_array, (5, 5, 1))
    cancel = threading.Event()
    begun: list[float] = []

    def callback(event: Progress) -> None:
        if event.stage == "search" and not begun:
            begun.append(time.perf_counter())
            threading.Timer(0.01, cancel.set).start()

    with pytest.raises(guetzpy.CancelledError, match="cancelled") as caught:
        guetzpy.optimize(large, effort="max", threads=threads, progress=callback, cancel=cancel)
    assert caught.value.exit_code == 130
    assert isinstance(caught.value, guetzpy.GuetzpyError)


def test_cancel_that_is_set_already(jpeg: bytes, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg)
    for function in (guetzpy.optimize, guetzpy.transcode):
        with pytest.raises(guetzpy.CancelledError) as caught:
            function(path, cancel=cancel)
        assert str(caught.value) == f"{path}: cancelled"


def test_cancel_reaches_what_threads_share() -> None:
    """Work ends between two items, in the calling thread and in the pool. Nested time limits all apply."""
    cancel = threading.Event()
    done: list[int] = []

    def work(item: int) -> None:
        done.append(item)
        if len(done) == 5:
            cancel.set()
        time.sleep(0.001)

    with _threads.time_limit(60, Reporter(cancel=cancel).check), _threads.time_limit(50):
        for threads in (1, 3):
            with pytest.raises(guetzpy.CancelledError):
                _threads.each(work, range(1000), threads)
            cancel.clear()
            assert len(done) < 20
            done.clear()
    with _threads.time_limit(1e-9), _threads.time_limit(60), pytest.raises(guetzpy.LimitError):
        _threads.each(work, range(5), 1)
    _threads.each(work, range(5), 2)  # without a limit afterwards


@pytest.fixture
def folder(jpeg: bytes, tmp_path: Path) -> Path:
    place = tmp_path / "in"
    place.mkdir()
    for number in range(4):
        (place / f"{number}.jpg").write_bytes(jpeg + b"x" * number)
    return place


def run(folder: Path, destination: Path, **keywords: Any) -> batch.Run:
    from concurrent.futures import ThreadPoolExecutor

    options = guetzpy.OptimizeOptions(effort="fast", distance=3.0)
    return batch.run(folder, destination, options, executor=ThreadPoolExecutor(1), in_flight=1, **keywords)


def test_folder_is_told_file_by_file(folder: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    results = list(run(folder, tmp_path / "out", progress=watcher))
    assert [event.fraction for event in watcher.events] == [0.25, 0.5, 0.75, 1.0]
    assert [event.name for event in watcher.events] == [result.input for result in results]
    assert watcher.stages == ["done"]


def test_folder_cancelled_keeps_what_is_done(folder: Path, tmp_path: Path) -> None:
    cancel = threading.Event()

    def callback(event: Progress) -> None:
        if event.fraction == 0.5:
            cancel.set()

    work = run(folder, tmp_path / "out", progress=callback, cancel=cancel)
    done = [next(work), next(work)]
    with pytest.raises(guetzpy.CancelledError):
        next(work)
    with pytest.raises(StopIteration):
        next(work)
    for result in done:
        assert Path(result.output or "").read_bytes()[:2] == b"\xff\xd8"
    for path in (tmp_path / "out").glob("*.*"):
        if not path.name.startswith(".guetzpy.sqlite"):
            Image.open(path).load()  # the file is complete, and not a temporary file
    resumed = run(folder, tmp_path / "out", resume=True)
    assert {result.input for result in resumed.earlier} >= {result.input for result in done}
    assert len(list(resumed)) + len(resumed.earlier) == 4


def test_folder_ended_by_the_callback(folder: Path, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def callback(_: Progress) -> None:
        raise Stop

    work = run(folder, tmp_path / "out", progress=callback)
    with pytest.raises(Stop):
        next(work)
    with pytest.raises(StopIteration):
        next(work)


@pytest.mark.slow
def test_processes_are_ended(folder: Path, tmp_path: Path, photo_array: np.ndarray) -> None:
    """A worker process ends during a long search, and does not write its file."""
    large = np.tile(photo_array, (16, 16, 1)).astype(np.int16)
    large += np.random.default_rng(3).integers(-20, 20, large.shape, np.int16)  # for a large file
    Image.fromarray(np.clip(large, 0, 255).astype(np.uint8)).save(folder / "0-large.png")
    cancel = threading.Event()
    options = guetzpy.OptimizeOptions(effort="max")

    def callback(_: Progress) -> None:
        cancel.set()  # when the first small file is finished; the other process still works on the large one

    work = batch.run(folder, tmp_path / "out", options, jobs=2, progress=callback, cancel=cancel)
    with pytest.raises(guetzpy.CancelledError):
        list(work)
    assert list((tmp_path / "out").glob("*.jpg"))
    assert not list((tmp_path / "out").glob("0-large*"))
    assert not list((tmp_path / "out").glob(".guetzpy-*.tmp"))


def test_logging(jpeg: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "guetzpy"):
        guetzpy.optimize(jpeg, effort="fast", distance=2.0)
        guetzpy.transcode(jpeg[:-2] + b"\0\0\xff\xd9")  # garbage before EOI is tolerated
    levels = {record.levelname for record in caplog.records}
    assert {"DEBUG", "INFO"} <= levels
    assert all(record.name.split(".")[0] == "guetzpy" for record in caplog.records)
    assert any(str(len(jpeg)) in record.getMessage() for record in caplog.records)


def test_silent_by_default(tmp_path: Path) -> None:
    """Nothing is printed for a damaged file, not even by Python's handler of last resort."""
    code = (
        "import guetzpy, logging\n"
        "import guetzpy.progress\n"
        "logging.getLogger('guetzpy').warning('damaged')\n"
        "logging.getLogger('guetzpy.batch').error('gone')\n"
        "assert not logging.getLogger().handlers\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
