"""Numba, tamed: the kernel decorator, its cache and the warm-up.

The one module that touches numba's internals. ``@kernel(signature)`` compiles lazily, with
``nogil`` and ``error_model="numpy"``, never with ``fastmath`` or ``parallel`` (scores and
bytes must not depend on the processor or the thread count).

Numba's own disk cache has three traps: a caller keeps the code of a callee that changed in
another file (numba#1833), import fails where no directory is writable (numba#5566), and its
files stay in site-packages after an uninstall (numba#9312). :class:`_KernelLocator` cures
them: the stamp of a kernel covers every guetzpy module that its file imports, and files go
to the user's cache folder only, or nowhere.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import caching
from numba.core.caching import CompileResultCacheImpl, FunctionCache

__all__ = ["cache_directory", "kernel", "kernels", "prune_cache", "warm"]

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent
_IMPORT = re.compile(r"^(?:from|import)\s+(guetzpy[\w.]*)(?:\s+import\s+\(?([\w\s,]*))?", re.MULTILINE)
_REGISTRY: dict[str, tuple[Any, str]] = {}


@functools.cache
def _source(module: str) -> bytes | None:
    """Source of a guetzpy module, or None if ``module`` is no module."""
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate.read_bytes()
    return None


@functools.cache
def fingerprint(module: str) -> str:
    """Return a hash of a module's source and of all guetzpy modules that it imports, directly or not.

    Only imports at the start of a line count, with absolute names: the house's style.
    """
    seen: dict[str, bytes] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        source = None if name in seen else _source(name)
        if source is None:
            continue
        seen[name] = source
        for base, names in _IMPORT.findall(source.decode("utf-8")):
            queue.append(base)
            queue.extend(f"{base}.{part.split()[0]}" for part in names.split(",") if part.split())
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest()


def _user_cache_directory() -> Path:
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home)
    if sys.platform == "darwin":
        return Path(home, "Library", "Caches")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home, ".cache"))


@functools.cache
def cache_directory() -> Path | None:
    """Return the folder of compiled kernels, or None where no folder can be written.

    ``$NUMBA_CACHE_DIR/guetzpy`` if that variable is set, else the user's cache folder.
    """
    base = numba.config.CACHE_DIR or _user_cache_directory()
    path = Path(base, "guetzpy")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError:
        return None
    return path


class _KernelLocator(caching._CacheLocator):
    """Where a kernel's compiled code lies and what makes it stale."""

    def __init__(self, py_func: Callable[..., Any], directory: Path) -> None:
        self._py_file = inspect.getfile(py_func)  # CompileResultCacheImpl names it in warnings
        self._stamp = fingerprint(py_func.__module__)
        self._path = directory / f"{py_func.__module__}-{self._stamp[:16]}"

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        return self._stamp

    def get_disambiguator(self) -> str:
        return "k"  # kernel names are unique in their module


class _KernelCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, py_func: Callable[..., Any]) -> None:
        directory = cache_directory()
        if directory is None:
            raise OSError("no writable cache folder")
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = _KernelLocator(py_func, directory)
        self._filename_base = self.get_filename_base(py_func.__qualname__, getattr(sys, "abiflags", ""))


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's function cache; a cache that cannot be read or written is no error."""

    _impl_class = _KernelCacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a truncated or foreign file raises whatever unpickling meets
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:  # disk full, folder gone: compile again next time
            pass


def kernel(signature: str) -> Callable[[F], F]:
    """Decorate a function of arrays and scalars as a compiled kernel.

    Parameters
    ----------
    signature : str
        The one signature, e.g. ``"int64(float32[:, ::1], int64)"``. The function is compiled
        (or loaded from the cache) at its first call, and must be called with just these types.
    """

    def decorate(function: F) -> F:
        dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
        if numba.config.DISABLE_JIT:
            return function
        try:
            dispatcher._cache = _KernelCache(function)
        except OSError:
            pass  # nothing writable: the kernel works, uncached
        _REGISTRY[f"{function.__module__}.{function.__qualname__}"] = (dispatcher, signature)
        return dispatcher  # type: ignore[no-any-return]

    return decorate


def kernels() -> dict[str, tuple[Any, str]]:
    """Return the kernels imported so far: qualified name -> (dispatcher, signature)."""
    return dict(_REGISTRY)


def warm(names: list[str] | None = None) -> Iterator[tuple[str, float]]:
    """Compile or load each imported kernel; yield its name and the seconds that it took."""
    for name, (dispatcher, signature) in sorted(_REGISTRY.items()):
        if names is None or name in names:
            started = time.perf_counter()
            dispatcher.compile(_arguments(signature))
            yield name, time.perf_counter() - started


def _arguments(signature: str) -> Any:
    from numba.core.sigutils import normalize_signature

    arguments, _ = normalize_signature(signature)
    return arguments


def prune_cache() -> None:
    """Remove compiled kernels of other versions of the modules that are imported now."""
    directory = cache_directory()
    if directory is None:
        return
    modules = {name.rpartition(".")[0] for name in _REGISTRY}
    current = {f"{module}-{fingerprint(module)[:16]}" for module in modules}
    for path in directory.iterdir():
        if path.name.rpartition("-")[0] in modules and path.name not in current:
            shutil.rmtree(path, ignore_errors=True)


