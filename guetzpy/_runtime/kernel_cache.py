"""The files of compiled kernels, in the user's cache folder and in the package.

Numba's own disk cache has faults: a caller keeps the code of a callee that changed in another
file (numba#1833), import fails where no folder is writable (numba#5566), a cache that is
read-only is not even read, files stay in site-packages after an uninstall (numba#9312), damaged
files are unpickled and run, and code with bounds checks is not distinguished from code without. Here the
stamp of a kernel covers every guetzpy module that its file imports. Files are written to the user's cache
folder only, and begin with a digest. If a file cannot be read or written, the kernel is compiled again. The
files of the package (``packaged``) are read for kernels that the user's cache lacks.

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

import numba
from numba.core import caching, serialize
from numba.core.runtime import rtsys

from guetzpy._runtime.compiler import LoadingContext
from guetzpy._runtime.packaged import PackagedCodegen, digest, folder_of_kernels
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


def _objection_to_packaged(state: os.stat_result) -> str | None:
    """Return why a file or folder of the package is not trusted; None if it is trusted.

    Who may write to the package's folder can change all of its code. So the owner of that folder is trusted,
    and its group if the folder gives it the right to write, as after ``pip install`` with a umask of 002.
    """
    package = PACKAGE.stat()
    known = package.st_mode if state.st_gid == package.st_gid else 0
    if state.st_uid == package.st_uid:
        return "can be written by other users" if state.st_mode & ~known & 0o022 else None
    return _objection(state)


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

    def __init__(self, stem: Path, objection: Callable[[os.stat_result], str | None] = _objection) -> None:
        self._stem = stem
        self._objection = objection

    def _path(self, key: Any) -> Path:
        return self._stem.with_name(f"{self._stem.name}-{digest(key)[:20]}.bin")

    def load(self, key: Any) -> Any:
        with open(self._path(key), "rb") as stream:
            for state in (os.fstat(stream.fileno()), self._stem.parent.stat()):
                if self._objection(state) is not None:
                    raise PermissionError("others may have written it")
            content = stream.read()
        if hashlib.sha256(data := content[32:]).digest() != content[:32]:
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
    """The folder of a kernel's compiled code, and the stamp that changes when the code becomes stale.

    The folder is None if there is no safe one.
    """

    def __init__(self, function: Callable[..., Any], stamp: str, folder: Path | None) -> None:
        self._py_file = inspect.getfile(function)  # numba's warnings name it
        self._stamp = stamp
        self._folder = folder

    def ensure_cache_path(self) -> None:
        """Do nothing: a folder that cannot be written can still be read."""

    def get_cache_path(self) -> str:
        return str(self._folder or "")

    def get_source_stamp(self) -> str:
        return self._stamp

    def get_disambiguator(self) -> str:
        return ""


class _KernelCacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, function: Callable[..., Any]) -> None:
        module = function.__module__
        directory, stamp = cache_directory(), fingerprint(module)
        if stamp is None:
            raise OSError("no source")
        #: The name of the module's folder of compiled kernels.
        self.folder = f"{module}-{stamp[:16]}"
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function, stamp, None if directory is None else directory / self.folder)
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
        self._stem = function.__qualname__
        # None instead of files: there is no cache folder.
        self._cache_file = _KernelFiles(Path(self._cache_path, self._stem)) if self._cache_path else None

    def _packaged_folder(self, codegen: Any) -> Path | None:
        folder = folder_of_kernels(codegen)
        return None if folder is None else folder / self._impl.folder

    def has_folder(self, codegen: Any) -> bool:
        """Return whether the module of the kernel has a folder in the user's cache or in the package."""
        if self._cache_path and Path(self._cache_path).is_dir():
            return True
        packaged = self._packaged_folder(codegen)
        return packaged is not None and packaged.is_dir()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Numba's method first prepares the target for compilation, which imports many modules. Loaded code
        # needs the run time only. If a kernel has to be compiled, the compiler prepares the target itself.
        codegen = target_context.codegen()
        places: list[tuple[_KernelFiles, Any]] = []
        if self._cache_file is not None:
            places.append((self._cache_file, codegen))
        if (packaged := self._packaged_folder(codegen)) is not None:
            files = _KernelFiles(packaged / self._stem, _objection_to_packaged)
            places.append((files, PackagedCodegen(codegen)))
        for files, generator in places:
            # A file is missing, damaged or of another version; unpickling can raise any error.
            with contextlib.suppress(Exception):
                rtsys.initialize(target_context)
                return self._impl.rebuild(target_context, files.load(self._index_key(sig, generator)))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if self._cache_file is not None:
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
