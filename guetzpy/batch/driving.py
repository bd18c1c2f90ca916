"""Execution of the tasks of a run in a pool of workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

from guetzpy.batch.pool import Crash, Executed, Options, Outcome, Overtime, Pool
from guetzpy.batch.tasks import Task
from guetzpy.batch.worker import Delivery, Done
from guetzpy.options import target_of
from guetzpy.result import Result

__all__ = ["Threads", "drive", "in_flight_of", "settle"]

# Seconds between two checks for a cancellation.
_PATIENCE = 0.1


class Threads(Executed):
    """Threads of this process, for ``memory://`` URLs, whose files other processes cannot open."""

    def __init__(self, count: int) -> None:
        self._own = ThreadPoolExecutor(count, thread_name_prefix="guetzpy-batch")
        super().__init__(self._own, count)

    def close(self) -> None:
        """End the threads when the tasks in progress have ended."""
        super().close()
        self._own.shutdown(wait=True, cancel_futures=True)


def drive(
    tasks: Iterable[Task],
    options_of: Callable[[Task], Options],
    delivery: Delivery,
    pool: Pool,
    check: Callable[[], None] | None = None,
) -> Iterator[tuple[Task, Outcome]]:
    """Execute all tasks and yield each with its outcome.

    A task whose worker died is tried once more after all others, with no other task beside it: the other
    pictures may have used the memory that it needed. ``check`` is called several times per second; it ends
    the execution by raising an error.
    """
    queue, again = deque(tasks), deque[Task]()
    tried: set[Task] = set()
    while queue or again or pool.busy():
        while queue and pool.takes(queue[0], alone=False):
            task = queue.popleft()
            pool.submit(task, options_of(task), delivery)
        if again and not queue and not pool.busy():
            task = again.popleft()
            pool.submit(task, options_of(task), delivery)
        if check is not None:
            check()
        for task, outcome in pool.finished(None if check is None else _PATIENCE):
            if isinstance(outcome, Crash) and task not in tried:
                tried.add(task)
                again.append(task)
            else:
                yield task, outcome


def settle(task: Task, outcome: Outcome, options: Options) -> Done:
    """Return the result of a task: its own, or a failure with a reason if its process was ended or died."""
    if isinstance(outcome, Done):
        return outcome
    if isinstance(outcome, Overtime):
        error = f"not done within {outcome.seconds:g} s; its process was ended"
    else:
        error = f"{outcome.reason}; tried twice"
    target = target_of(options)
    return Done(Result(status="failed", input=task.input, error=error, target=target), task.identity)


def in_flight_of(executor: Executor) -> int:
    """Return twice the number of workers, so that no worker waits for a task; 64 if it is not known."""
    workers = getattr(executor, "_max_workers", None)
    return 2 * workers if isinstance(workers, int) and workers > 0 else 64
