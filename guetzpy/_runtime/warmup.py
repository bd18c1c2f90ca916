"""Compilation of kernels by several processes: within a process, numba compiles one kernel at a time."""

from __future__ import annotations

import contextlib
import gc
import importlib
import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import kernel_cache
from guetzpy._runtime.processes import Worker

__all__ = ["warm_in_processes"]


def warm_in_processes(count: int, modules: Iterable[str] | None = None) -> Iterator[tuple[str, float]]:
    """Compile the kernels of some modules, or all kernels, into the cache in ``count`` processes.

    Yields the name and the processor time in seconds of each kernel, in any order. The calling process loads
    the kernels from the cache afterwards.

    Raises
    ------
    OSError
        Processes cannot be started.
    RuntimeError
        A process died.
    """
    with contextlib.ExitStack() as stack:
        workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for _ in range(count):
            workers.put(stack.enter_context(Worker()))
        threads = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="guetzpy-warmup"))

        def compile_module(module: str) -> list[tuple[str, float]]:
            worker = workers.get()
            try:
                return worker.call(_warm_module, module)
            finally:
                workers.put(worker)

        _jit.import_kernels()  # while the workers start
        for future in as_completed(
            [threads.submit(compile_module, name) for name in _longest_first(modules)]
        ):
            yield from future.result()


def _longest_first(modules: Iterable[str] | None) -> list[str]:
    if modules is None:
        modules = {name.rpartition(".")[0] for name in _jit.kernels()}
    return sorted(modules, key=lambda module: (-kernel_cache.length(module), module))


def _warm_module(module: str) -> list[tuple[str, float]]:
    """Compile a module's kernels in a worker process; return their names and seconds of processor time."""
    gc.disable()  # garbage collection takes a tenth of the time; without it the process needs up to 0.5 GB
    importlib.import_module(module)
    done = []
    with contextlib.suppress(Exception):  # the parent compiles the kernels that a worker fails to compile
        for item in _jit.warm([name for name in _jit.kernels() if name.rpartition(".")[0] == module]):
            done.append(item)
    return done
