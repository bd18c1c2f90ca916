"""Distribution of work to threads: strips and planes of pictures, processed by ``nogil`` kernels.

The calling thread takes part in the work, so nested calls cannot dead-lock. With one thread no pool is used.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from guetzpy.errors import LimitError

__all__ = [
    "apart",
    "check_time",
    "default_threads",
    "each",
    "is_limited",
    "time_limit",
]

T = TypeVar("T")

_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()
_local = (
    threading.local()
)  # .check: raises if the work must end; .alone: the thread does all of its work itself


@contextlib.contextmanager
def time_limit(seconds: float | None, check: Callable[[], None] | None = None) -> Iterator[None]:
    """Make :func:`each` raise an error after a time, or when ``check`` raises an error.

    This applies to calls by this thread and to the work that they give to other threads. Work is divided
    into small items, and the time is checked between them.

    Parameters
    ----------
    seconds : float, optional
        After this time LimitError is raised.
    check : callable, optional
        Called between items, by any of the threads; it ends the work by raising an error.
    """
    before: Callable[[], None] | None = getattr(_local, "check", None)
    end = None if seconds is None else time.perf_counter() + seconds

    def check_all() -> None:
        if end is not None and time.perf_counter() > end:
            raise LimitError(f"not done within {seconds:g} s")
        for other in (check, before):
            if other is not None:
                other()

    if end is not None or check is not None:
        _local.check = check_all
    try:
        yield
    finally:
        _local.check = before


def check_time() -> None:
    """Raise the error of :func:`time_limit` if its time is over; for loops that may take long."""
    check: Callable[[], None] | None = getattr(_local, "check", None)
    if check is not None:
        check()


def is_limited() -> bool:
    """Return whether a :func:`time_limit` applies to the work of this thread."""
    return getattr(_local, "check", None) is not None


def default_threads() -> int:
    """Return the number of processors that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS, Windows
        return max(1, os.cpu_count() or 1)


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(2, default_threads()), thread_name_prefix="guetzpy")
        return _pool


def _begin_anew() -> None:
    """Replace the pool and the lock in a forked process, in which only the thread that forked exists."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_begin_anew)


def each(function: Callable[[T], object], items: Iterable[T], threads: int | None = None) -> None:
    """Call ``function(item)`` for every item on up to ``threads`` threads.

    Parameters
    ----------
    function : callable
        It must write only to memory that belongs to its item. Its result is ignored.
    items : iterable
        Work items. Taken in order, finished in any order.
    threads : int, optional
        Number of threads, the calling one included; default: the processors available.

    Raises
    ------
    LimitError
        The time of :func:`time_limit` is over.
    Exception
        What that check raised, or the first exception that ``function`` raised; items not yet begun are
        dropped.
    """
    work = list(items)
    check: Callable[[], None] | None = getattr(_local, "check", None)
    count = min(threads or default_threads(), len(work))
    if count <= 1 or getattr(_local, "alone", False):
        for item in work:
            if check is not None:
                check()
            function(item)
        return

    queue = iter(work)
    queue_lock = threading.Lock()
    done = object()

    def drain() -> None:
        _local.check = check  # calls of each() that ``function`` makes find it here
        while True:
            with queue_lock:
                item = next(queue, done)
            if item is done:
                return
            try:
                if check is not None:
                    check()
                function(item)  # type: ignore[arg-type]
            except BaseException:
                with queue_lock:
                    for _ in queue:
                        pass
                raise

    futures = [_shared_pool().submit(drain) for _ in range(count - 1)]
    try:
        drain()
    finally:
        errors = []
        for future in futures:
            if not future.cancel():
                error = future.exception()
                if error is not None:
                    errors.append(error)
    if errors:
        raise errors[0]


def apart(functions: Sequence[Callable[[], object]], threads: int | None = None) -> None:
    """Call functions at the same time, each on one thread.

    If a function calls :func:`each`, that work runs on the function's own thread. This is faster for small
    pictures: their work items are so short that threads would mostly wait.

    Parameters
    ----------
    functions : sequence of callable
        As for :func:`each`.
    threads : int, optional
        Number of threads, the calling one included; default: the processors available.

    Raises
    ------
    Exception
        As :func:`each`.
    """

    def call(function: Callable[[], object]) -> None:
        before = getattr(_local, "alone", False)
        _local.alone = True
        try:
            function()
        finally:
            _local.alone = before

    each(call, functions, threads)
