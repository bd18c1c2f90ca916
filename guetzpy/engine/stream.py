"""Processing of an iterable of pictures in worker processes, while the iterable produces them."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from guetzpy._runtime.processes import Worker, WorkerDied
from guetzpy._runtime.threads import default_threads
from guetzpy.errors import explain
from guetzpy.options import OptimizeOptions, TranscodeOptions, target_of
from guetzpy.result import Result

__all__ = ["Pictures", "pictures_of", "stream"]

Options = OptimizeOptions | TranscodeOptions

# Pictures taken for each worker: while it works on one, the next one is ready.
_AHEAD = 2

# Seconds between two checks for a cancellation.
_PATIENCE = 0.1


class Pictures(Iterator[tuple[str, Any]]):
    """Names and pictures, from an iterable of pictures or of pairs."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source: Iterator[Any] = source
        self._count: int = 0
        self.numbered: bool = False

    def __next__(self) -> tuple[str, Any]:
        item = next(self._source)
        self._count += 1
        if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
            return item[0], item[1]
        self.numbered = True
        return str(self._count - 1), item


def pictures_of(sources: Any) -> Any:
    """Return the sources as Pictures if the first one is not a path; otherwise the paths."""
    if isinstance(sources, (str, os.PathLike)):
        return sources
    if isinstance(sources, (bytes, bytearray, memoryview)) or hasattr(sources, "shape"):
        raise TypeError("batch.run takes several pictures: put a single one into a list, or call optimize")
    source = iter(sources.items() if isinstance(sources, Mapping) else sources)
    first = list(itertools.islice(source, 1))
    whole = itertools.chain(first, source)
    return whole if not first or isinstance(first[0], (str, os.PathLike)) else Pictures(whole)


def stream(
    pictures: Iterable[tuple[str, Any]],
    options: Options,
    *,
    jobs: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Yield a result for each picture, in the order in which they are finished.

    Parameters
    ----------
    pictures : iterable of (str, picture)
        Names, and pictures as :func:`guetzpy.optimize` takes them. At most two for each process are taken
        from the iterable before their results are yielded.
    options : OptimizeOptions or TranscodeOptions
        The options of all pictures.
    jobs : int, optional
        Number of processes. Default: the processors available. With 1 the work is done in this process.
    check : callable
        Called several times per second; it ends the work by raising an error.
    """
    count = jobs or default_threads()
    if count == 1:
        for name, picture in pictures:
            check()
            yield _one(name, picture, options)
        return
    with contextlib.ExitStack() as stack:
        # The stack is unwound in reverse order. First ``closing`` is set: threads start no more workers. Then
        # the workers end, also those that threads have started. Last, the threads notice this and end.
        threads = ThreadPoolExecutor(count, thread_name_prefix="guetzpy-stream")
        stack.callback(threads.shutdown)
        idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for _ in range(count):
            idle.put(stack.enter_context(Worker()))
        closing = threading.Event()
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        stack.callback(closing.set)
        work = partial(_in_worker, idle, stack, closing, options)
        running: set[Future[Result]] = set()
        source, ended = iter(pictures), False
        while running or not ended:
            while not ended and len(running) < _AHEAD * count:
                try:
                    name, picture = next(source)
                except StopIteration:
                    ended = True
                    continue
                try:
                    portable = _portable(picture)
                except Exception as error:  # one bad file must not end the run
                    yield _failed(error, name, options)
                else:
                    running.add(threads.submit(work, name, portable))
            check()
            done, running = wait(running, _PATIENCE, FIRST_COMPLETED)
            for future in done:
                yield future.result()


def _in_worker(
    idle: queue.SimpleQueue[Worker],
    stack: contextlib.ExitStack,
    closing: threading.Event,
    options: Options,
    name: str,
    picture: Any,
) -> Result:
    worker = idle.get()
    try:
        return worker.call(_one, name, picture, options)
    except WorkerDied as error:
        worker.end()
        if not closing.is_set():
            worker = stack.enter_context(Worker())
        return Result.of_failure(error, "the process that worked on it died", name, target_of(options))
    except Exception as error:  # the picture cannot be sent to a process
        return Result.of_failure(error, f"{type(error).__name__}: {error}", name, target_of(options))
    finally:
        idle.put(worker)


def _portable(picture: Any) -> Any:
    """Return a picture that can be sent to another process: an open file is read here."""
    if hasattr(picture, "read") and not hasattr(picture, "getbands"):
        from guetzpy.picture.reading import contents

        return contents(picture)[0]
    return picture


def _one(name: str, picture: Any, options: Options) -> Result:
    from guetzpy.engine.run import run

    try:
        return run(picture, options, name=name)
    except Exception as error:  # one bad picture must not end the run
        return _failed(error, name, options)


def _failed(error: Exception, name: str, options: Options) -> Result:
    return Result.of_failure(error, explain(error, name), name, target_of(options))
