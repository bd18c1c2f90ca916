"""The files of compiled kernels, in the user's cache folder.

Numba's own disk cache has faults: a caller keeps the code of a callee that changed in another
file (numba#1833), import fails where no folder is writable (numba#5566), a cache that is
read-only is not even read, files stay in site-packages after an uninstall (numba#9312), damaged
files are unpickled and run, and code with bounds checks is not distinguished from code without. Here the
stamp of a kernel covers every guetzpy module that its file imports. Files are written to the user's cache
folder only, and begin with a digest. If a file cannot be read or written, the kernel is compiled again.

If the package is upgraded or edited while a process runs, the running code is older than the source from
which the stamp is computed. Nothing is written then, because the stamp would be that of the new source.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import os
import pickle
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import caching, serialize
from numba.core.runtime import rtsys

from guetzpy._runtime.compiler import LoadingContext
from guetzpy._runtime.text import printable

__all__ = ["PACKAGE", "KernelCache", "cache_directory", "can_keep", "fingerprint", "imports", "length"]

PACKAGE = Path(__file__).resolve().parents[1]
_IMPORT = re.compile(
    r"^(?:import[ \t]+(guetzpy[\w.]*)|from[ \t]+(guetzpy[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*))",
    re.MULTILINE,
)


@functools.cache
def _path(module: str) -> Path | None:
    """Return the file of a guetzpy module; None if ``module`` is not a module of guetzpy."""
    package, _, rest = module.partition(".")
    if package != "guetzpy":
        return None
    path = PACKAGE.joinpath(*rest.split(".")) if rest else PACKAGE
    for candidate in (path.with_name(path.name + ".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def _source(module: str) -> bytes | None:
    path = _path(module)
    return None if path is None else path.read_bytes()


def _is_young(path: Path) -> bool:
    """Return whether a module's file was written after this process began to import the package."""
    status = path.stat()
    # The module is not imported, because the stamps of kernels would then cover the package's version.
    began: float = sys.modules["guetzpy"]._BEGAN
    return max(status.st_mtime, status.st_ctime) > began


def imports(source: str) -> Iterator[str]:
    """Yield the guetzpy modules that a source imports, and imported names that may be modules.

    Only absolute imports that begin a line are found; the package has no others at module level.
    """
    for plain, base, names in _IMPORT.findall(source):
        yield plain or base
        for name in re.sub(r"#[^\n]*", "", names).strip("()").split(","):
            if name.split():
                yield f"{base}.{name.split()[0]}"


@functools.cache
def _imported(module: str) -> tuple[str, ...]:
    """Return what :func:`imports` finds in a module; stored, because many kernels import the same modules."""
    source = _source(module)
    return () if source is None else tuple(imports(source.decode("utf-8")))


@functools.cache
def fingerprint(module: str) -> str | None:
    """Return a hash of a module's source and of all guetzpy modules that it imports, directly or not.

    None if stale code could not be recognised: if the source is not found, as in a zip file, or may differ
    from the code that this process runs.
    """
    seen: dict[str, bytes] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        source = None if name in seen else _source(name)
        if source is not None:
            seen[name] = source
            queue.extend(_imported(name))
    if module not in seen or any(_is_young(path) for path in map(_path, seen) if path is not None):
        return None
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + seen[name] + b"\0")
    return digest.hexdigest()


def cache_directory() -> Path | None:
    """Return the folder of compiled kernels, which need not exist; None if there is no safe folder.

    ``$NUMBA_CACHE_DIR/guetzpy`` if that variable is set, else in the user's cache folder.
    """
    home = os.path.expanduser("~")
    if numba.config.CACHE_DIR:
        base = os.path.abspath(numba.config.CACHE_DIR)
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    directory = Path(base, "guetzpy")
    if not os.path.isabs(base) or not _is_safe(directory):
        return None
    return directory


def _is_safe(directory: Path) -> bool:
    """Return whether no other user could have written to a cache folder; warn once if one could.

    The code in the files is run. A folder is safe if it belongs to this user or root, and no other user may
    write to it. Its parent folder may be writable for all if it has the sticky bit, as /tmp has.
    """
    for path, writers in ((directory.parent, 0o002), (directory, 0o022)):
        try:
            state = path.stat()
        except OSError:
            continue  # the folder does not exist yet
        if path == directory.parent and state.st_mode & stat.S_ISVTX:
            continue
        reason = _objection(state, writers)
        if reason is not None:
            _warn_of(str(path), str(directory), reason)
            return False
    return True


def _objection(state: os.stat_result, writers: int = 0o022) -> str | None:
    """Return why a file or folder is not trusted (its owner, or other writers); None if it is trusted."""
    if not hasattr(os, "getuid"):  # Windows: the folder lies in the user's profile
        return None
    if state.st_uid not in (os.getuid(), 0):
        return "belongs to another user"
    return "can be written by other users" if state.st_mode & writers else None


@functools.cache
def _warn_of(path: str, directory: str, reason: str) -> None:
    import warnings

    path, directory = printable(path), printable(directory)
    warnings.warn(
        f"{path} {reason}: compiled kernels in {directory} are not used, and none are kept there; "
        "remove the folder, take the right to write from others (chmod go-w), or set NUMBA_CACHE_DIR",
        RuntimeWarning,
        stacklevel=2,
    )


class _KernelFiles:
    """The files of one kernel, one for each configuration: a SHA-256 digest, then numba's pickle.

    The name of a file contains a hash of everything that the code depends on. So there is no index file,
    which two processes could write at the same time.
    """

    def __init__(self, stem: Path) -> None:
        self._stem = stem

    def _path(self, key: Any) -> Path:
        config = numba.config
        flags = (config.BOUNDSCHECK, config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE)
        all_of_it = (sys.version_info[:2], numba.__version__, llvmlite.__version__, flags, key)
        digest = hashlib.sha256(repr(all_of_it).encode()).hexdigest()
        return self._stem.with_name(f"{self._stem.name}-{digest[:20]}.bin")

    def load(self, key: Any) -> Any:
        with open(self._path(key), "rb") as stream:
            for state in (os.fstat(stream.fileno()), self._stem.parent.stat()):
                if _objection(state) is not None:
                    raise PermissionError("others may have written it")
            content = stream.read()
        digest, data = content[:32], content[32:]
        if hashlib.sha256(data).digest() != digest:
            raise ValueError("damaged")
        return pickle.loads(data)

    def save(self, key: Any, data: Any) -> None:
        pickled = serialize.dumps(data)
        path = self._path(key)
        for folder in (path.parent.parent, path.parent):  # mkdir gives parents the default mode
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _objection(path.parent.stat()) is not None:
            raise PermissionError("others may write there")
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(hashlib.sha256(pickled).digest() + pickled)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def flush(self) -> None:
        for path in self._stem.parent.glob(f"{self._stem.name}-*.bin"):
            path.unlink(missing_ok=True)


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """The folder of a kernel's compiled code, and the stamp that changes when the code becomes stale."""

    def __init__(self, function: Callable[..., Any], stamp: str, folder: Path) -> None:
        self._py_file = inspect.getfile(function)  # numba's warnings name it
        self._stamp = stamp
        self._folder = folder

    def ensure_cache_path(self) -> None:
        """Do nothing: a folder that cannot be written can still be read."""

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._stamp

    def get_disambiguator(self) -> str:
        return ""


class _KernelCacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any]) -> None:
        module = function.__module__
        directory, stamp = cache_directory(), fingerprint(module)
        if directory is None or stamp is None:
            raise OSError("no cache folder, or no source")
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function, stamp, directory / f"{module}-{stamp[:16]}")
        self._filename_base = function.__qualname__

    def reduce(self, result: Any) -> Any:
        """Return the parts of a compiled kernel that are stored: machine code, bitcode, symbols, types.

        Empty environments of numba's own functions are left out. Nothing reads them, and unpickling one
        imports its module.
        """
        (name, _, (code, bitcode)), *types, environments = super().reduce(result._replace(type_annotation=""))
        module = result.library._get_module_for_linking()
        found = [*module.functions, *module.global_variables]
        symbols = [symbol.name for symbol in found if not symbol.is_declaration]
        used = [e for e in environments if e.consts or not e.globals["__name__"].startswith("numba.")]
        return (name, code, bitcode, symbols), *types, used

    def rebuild(self, context: Any, kept: Any) -> Any:
        """Return the kernel that was stored; the caller holds numba's lock."""
        return super().rebuild(LoadingContext(context), kept)


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's function cache; if a file cannot be read or written, the kernel is compiled again."""

    _impl_class = _KernelCacheImpl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _KernelFiles(Path(self._cache_path, function.__qualname__))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Numba's method first prepares the target for compilation, which imports many modules. Loaded code
        # needs the run time only. If a kernel has to be compiled, the compiler prepares the target itself.
        try:
            rtsys.initialize(target_context)
            return self._load_overload(sig, target_context)
        except Exception:  # missing, damaged or of another version; unpickling can raise any error
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):  # read-only, disk full, folder gone
            super().save_overload(sig, data)


def can_keep() -> bool:
    """Return whether compiled kernels can be written."""
    directory = cache_directory()
    if directory is None:
        return False
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError:
        return False
    return True


def length(module: str) -> int:
    """Return the size of a guetzpy module's source in bytes; 0 if there is no source."""
    return len(_source(module) or b"")
