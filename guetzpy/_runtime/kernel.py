"""The decorator of kernels, and the compilation of all of them at once.

``@kernel(signature)`` compiles a function at its first call, with ``nogil`` and ``error_model="numpy"``, but
without ``fastmath`` or ``parallel``: scores and bytes must not depend on the processor or the threads.
Only this module, ``_runtime.kernel_cache`` and ``_runtime.compiler`` use numba's internals.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.sigutils import normalize_signature

from guetzpy._runtime.compiler import KernelCompiler
from guetzpy._runtime.forks import wait_for
from guetzpy._runtime.kernel_cache import PACKAGE, KernelCache, cache_directory, can_keep
from guetzpy._runtime.packaged import folder_of_kernels

__all__ = [
    "compilations",
    "import_kernels",
    "kernel",
    "kernels",
    "missing",
    "packaged",
    "prune_cache",
    "warm",
]

F = TypeVar("F", bound=Callable[..., Any])

_REGISTRY: dict[str, tuple[Any, str]] = {}


wait_for(global_compiler_lock)


def kernel(signature: str, *, inline: bool = False, inner: bool = False) -> Callable[[F], F]:
    """Decorate a function of arrays and scalars as a compiled kernel.

    Parameters
    ----------
    signature : str
        The one signature, e.g. ``"int64(float32[:, ::1], int64)"``. The function is compiled
        (or loaded from the cache) at its first call, and must be called with exactly these types.
    inline : bool
        For functions that kernels call in few places: the body is copied into the callers, and the function
        is compiled by itself only if Python calls it. (A function that is not inlined is optimised by
        itself, and again in every caller.)
    inner : bool
        For functions that only kernels call: no wrapper for calls from Python is compiled, so that Python
        cannot call the function.
    """

    def decorate(function: F) -> F:
        if numba.config.DISABLE_JIT:
            return function
        # No code uses a kernel's C address. A kernel that creates no arrays needs no reference counting,
        # which would be much code to compile.
        dispatcher = numba.njit(
            nogil=True,
            error_model="numpy",
            inline="always" if inline else "never",
            no_cfunc_wrapper=True,
            no_cpython_wrapper=inner,
            _nrt="empty" in function.__code__.co_names,
            pipeline_class=KernelCompiler,
        )(function)
        with contextlib.suppress(OSError):  # no source: the kernel works without a cache
            dispatcher._cache = KernelCache(function)
        if not inline:
            _REGISTRY[f"{function.__module__}.{function.__qualname__}"] = (dispatcher, signature)
        return dispatcher  # type: ignore[no-any-return]

    return decorate


def kernels() -> dict[str, tuple[Any, str]]:
    """Return the kernels imported so far: qualified name -> (dispatcher, signature)."""
    return dict(_REGISTRY)


def import_kernels() -> None:
    """Import every module of the package that holds kernels."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if b"\n@kernel(" in path.read_bytes():
            importlib.import_module(".".join(("guetzpy", *path.relative_to(PACKAGE).with_suffix("").parts)))


def warm(names: Iterable[str] | None = None) -> Iterator[tuple[str, float]]:
    """Compile or load imported kernels, all or those named; yield each name and its processor seconds."""
    for name in sorted(_REGISTRY) if names is None else names:
        dispatcher, signature = _REGISTRY[name]
        started = time.thread_time()
        dispatcher.compile(normalize_signature(signature)[0])
        yield name, time.thread_time() - started


def missing(without: tuple[str, ...] = ()) -> list[str]:
    """Return the modules with kernels that are neither cached nor in the package; none if none can be cached.

    Only the folders are checked, so code for another processor counts as cached.

    Parameters
    ----------
    without : tuple of str
        Modules whose names begin with one of these are left out.
    """
    import_kernels()
    modules = {}
    for name, (dispatcher, _) in _REGISTRY.items():
        if isinstance(dispatcher._cache, KernelCache) and not name.startswith(without):
            modules[name.rpartition(".")[0]] = dispatcher
    lacking = sorted(
        module
        for module, dispatcher in modules.items()
        if not dispatcher._cache.has_folder(dispatcher.targetctx.codegen())
    )
    return lacking if lacking and can_keep() else []


def _folders() -> set[Path]:
    paths = {dispatcher._cache.cache_path for dispatcher, _ in _REGISTRY.values()}
    return {Path(path) for path in paths if path}


def packaged() -> Path | None:
    """Return the folder of the package's compiled kernels; None if there are none that fit."""
    folder = folder_of_kernels(cpu_target.target_context.codegen())
    return folder if folder is not None and folder.is_dir() else None


class _Listener(event.Listener):  # type: ignore[misc]
    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback

    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"] in [dispatcher for dispatcher, _ in _REGISTRY.values()]:
            self._callback()

    def on_end(self, event: Any) -> None:
        pass


@contextlib.contextmanager
def compilations(callback: Callable[[], object]) -> Iterator[None]:
    """Call ``callback()`` each time that a kernel is compiled because it is not in the cache."""
    listener = _Listener(callback)
    event.register("numba:compile", listener)
    try:
        yield
    finally:
        event.unregister("numba:compile", listener)


def prune_cache() -> None:
    """Remove the cached kernels of other versions of the package. All kernels must be imported before."""
    directory = cache_directory()
    if directory is None or not directory.is_dir():
        return
    current = _folders()
    for path in directory.iterdir():
        if path not in current and path.name.startswith("guetzpy."):
            shutil.rmtree(path, ignore_errors=True)
