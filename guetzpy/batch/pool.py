"""Execution of tasks by worker processes of this machine or by any ``concurrent.futures.Executor``.

Each local worker process has one task at a time. If it dies, it is known which file it
was processing and for how long, and no other task fails.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass
from typing import Any, Protocol

from guetzpy._runtime.processes import Worker
from guetzpy.batch import memory
from guetzpy.batch.tasks import Task
from guetzpy.batch.worker import Delivery, Done, process, ready, start
from guetzpy.options import OptimizeOptions, TranscodeOptions

__all__ = ["Crash", "Executed", "Outcome", "Overtime", "Pool", "Processes"]

Options = OptimizeOptions | TranscodeOptions

# Seconds after the timeout until the process is killed. The search checks the timeout itself, but may hang.
_GRACE = 2.0
# Seconds that a process gets to finish a write after it was asked to end, until it is killed.
_PATIENCE = 2.0


@dataclass(frozen=True)
class Crash:
    """The worker that processed a file died, or the executor failed."""

    reason: str


@dataclass(frozen=True)
class Overtime:
    """Processing a file took longer than its timeout of ``seconds``; its process was killed."""

    seconds: float


Outcome = Done | Crash | Overtime


class Pool(Protocol):
    """The interface that :func:`guetzpy.batch.run` needs for the execution of tasks."""

    def takes(self, task: Task, alone: bool) -> bool:
        """Return whether another task can be submitted."""

    def submit(self, task: Task, options: Options, delivery: Delivery) -> None:
        """Begin a task."""

    def finished(self, patience: float | None = None) -> list[tuple[Task, Outcome]]:
        """Wait until tasks end, and return them; return an empty list after ``patience`` seconds."""

    def busy(self) -> int:
        """Return the number of tasks that were submitted and not returned by :meth:`finished`."""

    def close(self) -> None:
        """End all tasks and release the workers."""


@contextlib.contextmanager
def _explaining() -> Iterator[None]:
    """Turn the errors of starting a worker process into an OSError that says what the system lacks."""
    try:
        yield
    except OSError as error:
        words = error.strerror or str(error) or type(error).__name__
        raise OSError(
            f"worker processes cannot be started: {words} (files given without -r and -j need none)"
        ) from None


class _Slot:
    """One worker process. It is started with the first task, and again after it died."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self.future: Future[Done] | None = None
        self.memory = 0
        self._worker: Worker | None = None
        self._thread: ThreadPoolExecutor | None = None  # waits for the worker's results
        self._limit: float | None = None
        self._begun: float | None = None

    def submit(self, task: Task, options: Options, delivery: Delivery) -> None:
        if self._worker is not None and not self._worker.is_alive():  # it died while it had no task
            self.stop()
        self.task, self._limit, self._begun = task, options.timeout, None
        if self._worker is None or self._thread is None:
            with _explaining():
                self._worker = Worker()
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="guetzpy-worker")
            self._thread.submit(self._worker.call, start)
        # The timeout counts from the return of ready(): the process has started and its kernels are loaded.
        self._thread.submit(self._worker.call, ready, options).add_done_callback(self._begin)
        self.future = self._thread.submit(self._worker.call, process, task, options, delivery)

    def _begin(self, _: Future[None]) -> None:
        self._begun = time.monotonic()

    @property
    def left(self) -> float | None:
        """Seconds until the process is killed; None if the task has no timeout, or has not begun."""
        if self._limit is None or self._begun is None:
            return None
        return self._begun + self._limit + _GRACE - time.monotonic()

    def hint(self) -> None:
        """Ask the process to end, without waiting for it."""
        if self._worker is not None:
            self._worker.let_go()

    def stop(self, patience: float = 0.0) -> None:
        """Ask the process to end after any write in progress; kill it after ``patience`` seconds."""
        worker, self._worker = self._worker, None
        thread, self._thread = self._thread, None
        self.task = self.future = None
        if worker is None or thread is None:
            return
        worker.end(patience)
        thread.shutdown(wait=True, cancel_futures=True)
        worker.close()

    def settle(self) -> Outcome:
        """Return the outcome of the task, which has ended, and free the slot."""
        assert self.future is not None
        future, self.future, self.task = self.future, None, None
        try:
            return future.result()
        except Exception as error:  # process() catches the errors of files, so the worker failed
            self.stop()
            return Crash(
                "its worker process died (killed, or out of memory)" if _is_death(error) else repr(error)
            )


def _is_death(error: BaseException) -> bool:
    return isinstance(error, (BrokenExecutor, CancelledError))


class Processes:
    """Worker processes of this machine.

    Parameters
    ----------
    jobs : int
        Largest number of processes.
    budget : int, optional
        Memory, in bytes, for all pictures that are processed at the same time. A picture that needs more is
        processed alone. Default: no limit.
    wanted : callable
        Takes a number of pixels and returns the bytes of memory that such a picture needs.
    storage_options : mapping, optional
        Options for fsspec.
    """

    def __init__(
        self,
        jobs: int,
        budget: int | None = None,
        wanted: Callable[[int], int] = lambda area: 0,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._slots = [_Slot() for _ in range(jobs)]
        self._budget = budget
        self._bytes_of = wanted
        self._storage_options = storage_options
        self._asked: tuple[Task | None, int] = (None, 0)

    def takes(self, task: Task, alone: bool) -> bool:
        """Return whether a process is idle and the picture fits into the memory budget."""
        working = [slot for slot in self._slots if slot.task is not None]
        if not working:
            return True
        if alone or len(working) == len(self._slots):
            return False
        if self._budget is None:
            return True
        return sum(slot.memory for slot in working) + self._wanted(task) <= self._budget

    def _wanted(self, task: Task) -> int:
        if self._asked[0] is not task:
            area = memory.pixels(task, self._storage_options)
            self._asked = task, memory.PER_WORKER + self._bytes_of(area)
        return self._asked[1]

    def submit(self, task: Task, options: Options, delivery: Delivery) -> None:
        """Give a task to an idle process."""
        slot = next(slot for slot in self._slots if slot.task is None)
        slot.memory = self._wanted(task) if self._budget is not None else 0
        slot.submit(task, options, delivery)

    def finished(self, patience: float | None = None) -> list[tuple[Task, Outcome]]:
        """Wait for tasks that end, and kill those whose time has passed. See :meth:`Pool.finished`."""
        until = None if patience is None else time.monotonic() + patience
        working = {slot.future: slot for slot in self._slots if slot.future is not None}
        done: list[tuple[Task, Outcome]] = []
        while working and not done:
            times = [slot.left for slot in working.values()]
            # While a worker is starting, its task's timeout has not begun; check again after 0.5 s.
            limited = [0.5 if left is None else max(0.0, left) for left in times]
            if all(slot._limit is None for slot in working.values()):
                limited = []
            if until is not None:
                limited.append(max(0.0, until - time.monotonic()))
            ended, _ = wait(working, timeout=min(limited, default=None), return_when=FIRST_COMPLETED)
            for future in ended:
                slot = working.pop(future)
                task = slot.task
                assert task is not None
                done.append((task, slot.settle()))
            for slot in list(working.values()):
                if slot.left is not None and slot.left <= 0:
                    task, limit = slot.task, slot._limit
                    assert task is not None
                    assert limit is not None
                    slot.stop()
                    done.append((task, Overtime(limit)))
            if until is not None and time.monotonic() >= until:
                break
        return done

    def busy(self) -> int:
        """Return the number of processes at work."""
        return sum(slot.task is not None for slot in self._slots)

    def close(self) -> None:
        """End all processes."""
        for slot in self._slots:
            slot.hint()
        for slot in self._slots:
            slot.stop(_PATIENCE)


class Executed:
    """Execution by any executor: threads, a process pool of the caller, a cluster.

    Parameters
    ----------
    executor : Executor
        Executes the tasks. It is not shut down.
    in_flight : int
        Largest number of tasks that are submitted and not finished.
    """

    def __init__(self, executor: Executor, in_flight: int) -> None:
        self._executor = executor
        self._in_flight = in_flight
        self._working: dict[Future[Done], Task] = {}
        self._refused: list[tuple[Task, Outcome]] = []

    def takes(self, task: Task, alone: bool) -> bool:
        """Return whether another task may be submitted."""
        return len(self._working) < (1 if alone else self._in_flight) and not self._refused

    def submit(self, task: Task, options: Options, delivery: Delivery) -> None:
        """Submit a task to the executor."""
        try:
            self._working[self._executor.submit(process, task, options, delivery)] = task
        except RuntimeError as error:  # the executor is broken, or was shut down
            self._refused.append((task, Crash(f"the executor takes no more work: {error}")))

    def finished(self, patience: float | None = None) -> list[tuple[Task, Outcome]]:
        """Wait for the next tasks to end. See :meth:`Pool.finished`."""
        done, self._refused = self._refused, []
        if done:
            return done
        ended, _ = wait(self._working, timeout=patience, return_when=FIRST_COMPLETED)
        for future in ended:
            task = self._working.pop(future)
            try:
                done.append((task, future.result()))
            except CancelledError:
                done.append((task, Crash("the executor cancelled it")))
            except Exception as error:  # process() catches the errors of files, so the executor failed
                done.append((task, Crash(f"{type(error).__name__}: {' '.join(str(error).split())}")))
        return done

    def busy(self) -> int:
        """Return the number of tasks that were submitted and not returned."""
        return len(self._working) + len(self._refused)

    def close(self) -> None:
        """Cancel the tasks that have not begun, and wait at most 60 s for the others."""
        for future in self._working:
            future.cancel()
        wait(self._working, timeout=60)
        self._working.clear()
