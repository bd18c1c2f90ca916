"""Access to local files, and to files that fsspec URLs name.

Local files are opened with the standard library. Names with a scheme (``s3://``, ``gs://``, ``memory://``)
are opened with fsspec, which the extra ``guetzpy[cloud]`` installs.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from guetzpy import output
from guetzpy.picture.reading import MAX_INPUT, check_input, read_limited

__all__ = [
    "NOT_REGULAR",
    "Entry",
    "exists",
    "filesystem",
    "is_url",
    "join",
    "open_binary",
    "open_regular",
    "read",
    "sizes_below",
    "state",
    "write",
]

#: The reason for which pipes, devices and sockets are not read.
NOT_REGULAR = "not a regular file"

# At least two letters, since one letter is a drive of Windows.
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")

# fsspec's chained URL: "zip://a.jpg::s3://bucket/a.zip" is a file within an archive on S3.
_CHAIN = re.compile(r"::[a-zA-Z][a-zA-Z0-9+.-]*(://|::)")

_COLONS = "\ue000\ue000"  # from Unicode's private use area; stands for "::" within a name

# Schemes of stores that write objects atomically. Elsewhere a temporary file is written and renamed.
_WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "memory"})


@dataclass(frozen=True)
class Entry:
    """A file with its size in bytes, and an identity that changes when its contents change."""

    name: str
    size: int
    identity: str


def is_url(name: str) -> bool:
    """Return whether a name is an fsspec URL rather than a path. ``file://`` is a URL."""
    return _SCHEME.match(name) is not None


def join(base: str, relative: str) -> str:
    """Return the name of a file below a folder or URL. ``relative`` has forward slashes."""
    if is_url(base):
        return f"{base.rstrip('/')}/{relative}"
    return os.path.join(base, *relative.split("/"))


def filesystem(url: str, options: Mapping[str, Any] | None = None) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path within it.

    Raises
    ------
    ValueError
        The scheme is unknown, or its package is not installed.
    """
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError:
        raise ValueError(f'{url}: URLs need fsspec: pip install "guetzpy[cloud]"') from None
    try:
        if "::" in url and not _CHAIN.search(url):  # a "::" that chains no URLs, at which fsspec would split
            system, path = core.url_to_fs(url.replace("::", _COLONS), **(options or {}))
            path = path.replace(_COLONS, "::")
        else:
            system, path = core.url_to_fs(url, **(options or {}))
    except (ImportError, ValueError) as error:  # the package is missing; the scheme or the URL is wrong
        raise ValueError(f"{url}: {error}") from None
    # fsspec caches listings; an old one would not have the outputs of a finished run.
    system.invalidate_cache()
    return system, path


def state(name: str, options: Mapping[str, Any] | None = None) -> Entry:
    """Return a file's size and identity.

    Raises
    ------
    OSError
        The file does not exist or cannot be accessed.
    """
    if not is_url(name):
        return of_stat(name, os.stat(name))
    system, path = filesystem(name, options)
    return of_info(name, _info(name, system, path))


def _info(name: str, system: Any, path: str) -> Mapping[str, Any]:
    """Return the record of a URL in the listing of its file system; an error names the URL."""
    try:
        info: Mapping[str, Any] = system.info(path)
    except FileNotFoundError:  # fsspec's error has no errno, and another file name or none
        raise FileNotFoundError(errno.ENOENT, "No such file or folder", name) from None
    return info


def of_stat(name: str, found: os.stat_result) -> Entry:
    """Return the entry of a local file from its status."""
    return Entry(name, found.st_size, f"{found.st_size}:{found.st_mtime_ns}")


def of_info(name: str, info: Mapping[str, Any]) -> Entry:
    """Return the entry of a file from its record in an fsspec listing."""
    size = int(info.get("size") or 0)
    for key in ("ETag", "etag", "md5Hash", "md5", "LastModified", "last_modified", "mtime", "created"):
        sign = info.get(key)
        if sign:  # some file systems give a time as datetime in one call and as a number in another
            return Entry(name, size, f"{size}:{sign.timestamp() if hasattr(sign, 'timestamp') else sign}")
    return Entry(name, size, f"{size}:")


def exists(name: str, options: Mapping[str, Any] | None = None) -> bool:
    """Return whether a file, folder or link of this name exists."""
    if not is_url(name):
        return os.path.lexists(name)
    system, path = filesystem(name, options)
    return bool(system.exists(path))


def read(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    max_input: int = MAX_INPUT,
    max_memory: int | None = None,
) -> tuple[bytes, Entry, os.stat_result | None]:
    """Read a file; return its contents, its entry (:class:`Entry`), and its ``os.stat_result``.

    Entry and status are those of the file at the time of reading. The status is None for a URL.

    Raises
    ------
    LimitError
        The file has more bytes than ``max_input``, or needs more memory than ``max_memory``.
    OSError
        The file cannot be read, or is not a regular file.
    """
    if not is_url(name):
        with open_regular(name) as stream:
            found = os.fstat(stream.fileno())
            return read_limited(stream, max_input, max_memory), of_stat(name, found), found
    system, path = filesystem(name, options)
    info = _info(name, system, path)
    entry = of_info(name, info)
    check_input(entry.size, max_input, max_memory)
    if name.partition("://")[0].lower() in _WHOLE_OBJECTS:
        return system.cat_file(path), entry, None
    if info.get("type", "file") != "file":  # such as a device that file:// names
        raise OSError(errno.EINVAL, NOT_REGULAR, name)
    with system.open(path, "rb") as stream:  # HTTP servers may state no size, or a wrong one
        return read_limited(stream, max_input, max_memory), entry, None


def open_regular(name: str) -> BinaryIO:
    """Open a local file for reading. A pipe, device or socket raises OSError without blocking."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    stream = open(name, "rb", buffering=0, opener=lambda path, _: os.open(path, flags))
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, NOT_REGULAR, name)
    return stream


def open_binary(name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Open a file or URL for reading. A local file must be a regular file."""
    if not is_url(name):
        return open_regular(name)
    system, path = filesystem(name, options)
    return system.open(path, "rb")


def write(
    name: str,
    data: bytes | BinaryIO,
    options: Mapping[str, Any] | None = None,
    *,
    like: str | None = None,
    expected: os.stat_result | None = None,
    keep_times: bool = False,
    below: str | None = None,
) -> None:
    """Create or replace a file atomically. Missing parent folders are created.

    Parameters
    ----------
    name : str
        Path or URL.
    data : bytes or binary file
        Contents. For a URL they must be bytes.
    options : mapping, optional
        Options for fsspec.
    like, expected, keep_times
        As in :func:`guetzpy.output.write`; for local files only.
    below : str, optional
        Folder in which the file must lie after links are resolved (:func:`guetzpy.output.check_below`); for
        local files only.
    """
    if not is_url(name):
        if below is not None:
            output.check_below(name, below)
        os.makedirs(os.path.dirname(os.path.abspath(name)), exist_ok=True)
        output.write(name, data, like=like, keep_times=keep_times, expected=expected)
        return
    system, path = filesystem(name, options)
    scheme = name.partition("://")[0].lower()
    if scheme in _WHOLE_OBJECTS:
        system.pipe_file(path, data)
        return
    folder, _, _ = path.rpartition("/")
    if folder:
        system.makedirs(folder, exist_ok=True)
    temporary = (
        f"{folder}/.guetzpy-{secrets.token_hex(8)}.tmp" if folder else f".guetzpy-{secrets.token_hex(8)}.tmp"
    )
    try:
        system.pipe_file(temporary, data)
        system.mv(temporary, path)
    except BaseException:
        if system.exists(temporary):
            system.rm_file(temporary)
        raise


def sizes_below(url: str, options: Mapping[str, Any] | None = None) -> dict[str, int]:
    """Return the URL and size in bytes of every file below a URL, from one listing."""
    system, path = filesystem(url, options)
    base = path.rstrip("/")
    try:
        found = system.find(path, detail=True)
    except FileNotFoundError:
        return {}
    return {
        join(url, name[len(base) :].lstrip("/")): int(info.get("size") or 0) for name, info in found.items()
    }
