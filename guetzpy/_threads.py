"""Work shared between a few threads: strips and planes of ``nogil`` kernels.

The calling thread takes part in the work, so nested use can never dead-lock, and one
thread means no pool at all.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from guetzpy.errors import LimitError

__all__ = ["default_threads", "each", "time_limit"]

T = TypeVar("T")

_pool: ThreadPoolExecutor | None = None
_pool_pid = 0
_lock = threading.Lock()
_local = threading.local()  # .limit: (end, seconds) of the work that this thread does


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Let :func:`each` raise LimitError, in this thread and for what it shares, when the time is over.

    Work that is shared between threads is cut into small items, so this is noticed soon wherever it
    happens, and no stage has to be told.
    """
    before = getattr(_local, "limit", None)
    if seconds is not None:
        _local.limit = time.perf_counter() + seconds, seconds
    try:
        yield
    finally:
        _local.limit = before


def default_threads() -> int:
    """Return the number of processors that this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # macOS, Windows
        return max(1, os.cpu_count() or 1)


def _shared_pool() -> ThreadPoolExecutor:
    global _pool, _pool_pid
    with _lock:
        if _pool is None or _pool_pid != os.getpid():  # threads do not survive a fork
            _pool = ThreadPoolExecutor(max(2, default_threads()), thread_name_prefix="guetzpy")
            _pool_pid = os.getpid()
        return _pool


def each(function: Callable[[T], object], items: Iterable[T], threads: int | None = None) -> None:
    """Call ``function(item)`` for every item on up to ``threads`` threads.

    Parameters
    ----------
    function : callable
        Must write only to places that belong to its item; its result is ignored.
    items : iterable
        Work items. Taken in order, finished in any order.
    threads : int, optional
        Number of threads, the calling one included; default: the processors available.

    Raises
    ------
    LimitError
        The time of :func:`time_limit` is over.
    Exception
        The first exception that ``function`` raised; items not yet begun are dropped.
    """
    work = list(items)
    limit: tuple[float, float] | None = getattr(_local, "limit", None)

    def check() -> None:
        if limit is not None and time.perf_counter() > limit[0]:
            raise LimitError(f"not done within {limit[1]:g} s")

    count = min(threads or default_threads(), len(work))
    if count <= 1:
        for item in work:
            check()
            function(item)
        return

    queue = iter(work)
    queue_lock = threading.Lock()
    done = object()

    def drain() -> None:
        _local.limit = limit  # for what an item shares in its turn
        while True:
            with queue_lock:
                item = next(queue, done)
            if item is done:
                return
            try:
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
