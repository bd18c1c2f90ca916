"""Worker processes that die, hang or fail, with a fast replacement of their work."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from reference import workers

from guetzpy.batch import pool, worker
from guetzpy.batch.driving import settle
from guetzpy.options import OptimizeOptions, TranscodeOptions

# Tasks and options are not of the package's types, since a worker takes a second to import these.
OPTIONS: Any = SimpleNamespace(timeout=None)
DELIVERY: Any = None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "start", workers.nothing)
    monkeypatch.setattr(pool, "ready", workers.nothing)
    monkeypatch.setattr(pool, "process", workers.process)
    monkeypatch.setattr(pool, "_GRACE", 0.1)


@pytest.fixture
def processes() -> Iterator[pool.Processes]:
    made = pool.Processes(2)
    yield made
    made.close()


def task(name: str) -> Any:
    return SimpleNamespace(input=name, identity="10:1")


def outcomes_of(processes: pool.Processes, *names: str, timeout: float | None = None) -> list[Any]:
    """Return the outcomes of files that are processed one after another."""
    found, options = [], OPTIONS if timeout is None else SimpleNamespace(timeout=timeout)
    for name in names:
        processes.submit(task(name), options, DELIVERY)
        ((_, outcome),) = processes.finished()
        found.append(outcome)
    return found


def error_of(outcome: Any) -> str | None:
    return settle(task("a.jpg"), outcome, TranscodeOptions()).result.error


def test_a_worker_that_died_while_it_was_idle_is_started_anew(processes: pool.Processes) -> None:
    assert outcomes_of(processes, "a.jpg") == ["a.jpg"]
    idle = processes._slots[0]._worker
    assert idle is not None
    idle._process.kill()
    idle._process.wait(30)
    assert outcomes_of(processes, "b.jpg") == ["b.jpg"]


def test_a_worker_that_dies_costs_one_file(processes: pool.Processes) -> None:
    died, after = outcomes_of(processes, "dies.jpg", "b.jpg")
    assert error_of(died) == "its worker process died (killed, or out of memory); tried twice"
    assert after == "b.jpg"


def test_a_worker_that_fails_costs_one_file(processes: pool.Processes) -> None:
    failed, after = outcomes_of(processes, "fails.jpg", "b.jpg")
    assert error_of(failed) == "NotImplementedError('fails.jpg'); tried twice"
    assert after == "b.jpg"


def test_a_worker_that_hangs_is_ended(processes: pool.Processes) -> None:
    late, after = outcomes_of(processes, "hangs.jpg", "b.jpg", timeout=0.5)
    assert error_of(late) == "not done within 0.5 s; its process was ended"
    assert after == "b.jpg"


def test_waiting_has_an_end(processes: pool.Processes) -> None:
    """A run looks whether it was cancelled between two waits. Another process takes the next file."""
    processes.submit(task("hangs.jpg"), OPTIONS, DELIVERY)
    assert processes.finished(patience=0.01) == []
    assert processes.takes(task("b.jpg"), alone=False)
    processes.submit(task("b.jpg"), OPTIONS, DELIVERY)
    assert not processes.takes(task("c.jpg"), alone=False)
    assert [outcome for _, outcome in processes.finished()] == ["b.jpg"]
    assert processes.busy() == 1


def test_a_task_that_the_executor_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cancelling(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with Cancelling(1) as executor:
        executed = pool.Executed(executor, 1)
        executed.submit(task("a.jpg"), OPTIONS, DELIVERY)
        ((_, outcome),) = executed.finished()
    assert error_of(outcome) == "the executor cancelled it; tried twice"


def test_the_timeout_of_a_file_does_not_include_the_loading_of_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str] | None] = []
    monkeypatch.setattr(worker._jit, "warm", lambda names: asked.append(names) or [])
    worker.ready(OptimizeOptions())
    assert asked == []  # they are loaded when they are needed
    worker.ready(OptimizeOptions(timeout=5))
    worker.ready(TranscodeOptions(timeout=5))
    everything, some = asked
    assert everything is None
    assert some
    assert all(name.startswith("guetzpy.jpeg.") for name in some)
