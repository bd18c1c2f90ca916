"""Which pictures a run is about, and where each goes.

A file's first bytes decide what it is, never its name. Hidden files and guetzpy's own temporaries are
passed over; so is a folder that was met before, so that links in circles end.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from guetzpy import formats, output
from guetzpy.batch import storage

__all__ = ["Discovery", "Filter", "Skipped", "Task", "discover", "in_shard", "jpeg_name", "kind_of", "pair"]

#: Suffixes of pictures that become ``.jpg``; any other stays before it.
PICTURE_SUFFIXES = frozenset(
    {
        ".png",
        ".tif",
        ".tiff",
        ".webp",
        ".gif",
        ".bmp",
        ".dib",
        ".ppm",
        ".pgm",
        ".pnm",
        ".pbm",
        ".jp2",
        ".avif",
        ".qoi",
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".mrw", ".nef", ".nrw", ".orf"),
        *(".pef", ".raf", ".raw", ".rw2", ".srw", ".x3f"),
    }
)

_HEAD = 16


@dataclass(frozen=True)
class Task:
    """One picture and where its result goes.

    Attributes
    ----------
    input : str
        Path or URL.
    relative : str
        Its place in the set, with forward slashes.
    kind : {"jpeg", "picture", "unknown"}
        What its first bytes are; "unknown" for what only its name calls a picture.
    size : int
        Bytes.
    identity : str
        Changes when the file does.
    output : str, optional
        Where a JPEG goes; None if nothing is written.
    copy : str, optional
        Where the source itself goes if it is no JPEG and stays what it is.
    """

    input: str
    relative: str
    kind: str
    size: int
    identity: str
    output: str | None = None
    copy: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A file that is not worked on, and why.

    Attributes
    ----------
    input, relative : str
        As of a :class:`Task`.
    reason : str
        Why it is not worked on.
    can_copy : bool
        Whether there is a regular file behind the name.
    """

    input: str
    relative: str
    reason: str
    can_copy: bool = True


@dataclass
class Discovery:
    """What was found: pictures, files that are none, what cannot be read, and the local folders searched."""

    pictures: list[Task] = field(default_factory=list)
    others: list[Skipped] = field(default_factory=list)
    unreadable: list[Skipped] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Filter:
    """Globs, case ignored: without a slash they name files, or folders to leave out, at any depth.

    With a slash they are held against the whole place below the folder that was given.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, relative: str) -> bool:
        """Return whether a file is to be looked at."""
        return (not self.include or _matches(relative, self.include)) and not self.drops(relative)

    def drops(self, relative: str) -> bool:
        """Return whether a file, or a folder with all below it, is left out."""
        return _matches(relative, self.exclude)


def _matches(relative: str, globs: Iterable[str]) -> bool:
    whole = relative.lower()
    name = posixpath.basename(whole)
    for glob in globs:
        pattern = glob.replace(os.sep, "/").lower().rstrip("/")
        if fnmatch.fnmatchcase(whole if "/" in pattern else name, pattern.lstrip("/")):
            return True
    return False


def kind_of(head: bytes) -> str | None:
    """Return "jpeg", "picture" (of another kind), or None, by a file's first 16 bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    signatures = (
        b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a", b"qoif",
        b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51",
    )  # fmt: skip
    if head.startswith(signatures) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "picture"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in (b"\n", b" ", b"\t", b"\r", b"#"):
        return "picture"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":  # two reserved words of zero
        return "picture"
    return None if formats.kind_of(head) is None else "picture"


def jpeg_name(relative: str) -> str:
    """Return the name of the JPEG made from a file: ``.JPG`` stays, ``.png`` becomes ``.jpg``."""
    path = PurePosixPath(relative)
    suffix = path.suffix.lower()
    if suffix in output.JPEG_SUFFIXES:
        return relative
    if suffix in PICTURE_SUFFIXES:
        return str(path.with_suffix(".jpg"))
    return f"{relative}.jpg"


def discover(
    sources: Collection[str],
    chosen: Filter = Filter(),
    *,
    skip: Collection[str] = (),
    jpeg_only: bool = False,
    refuse_named: str | None = None,
    follow_links: bool = True,
    storage_options: Mapping[str, Any] | None = None,
) -> Discovery:
    """Find the pictures of files, folders and URLs.

    Parameters
    ----------
    sources : collection of str
        Files are taken as they are. Folders are searched with all below them; one folder's files are
        placed below it without its name, those of several keep it.
    chosen : Filter
        Globs for what lies in folders.
    skip : collection of str
        Folders to leave out: the destination, if it lies within.
    jpeg_only : bool
        Whether other pictures count as ``others``.
    refuse_named : str, optional
        With ``jpeg_only``: the error of files that are no JPEG although a source or a suffix of JPEG files
        names them. Without it they count as ``others``.
    follow_links : bool
        Whether links within folders are taken for what they lead to. If not, only files and folders
        themselves count; a link to anything else is one of ``others``. A source itself may be a link.
    storage_options : mapping, optional
        For fsspec.

    Raises
    ------
    FileNotFoundError
        A source does not exist.
    ValueError
        A URL that cannot be opened.
    """
    found = Discovery()
    folders = [name for name in sources if _is_folder(name, storage_options)]
    left_out = {os.path.realpath(name) for name in skip if not storage.is_url(name)}

    def take(entry: storage.Entry, relative: str, head: bytes) -> None:
        _sort_in(entry, relative, head, found, jpeg_only, refuse_named)

    walk = _Walk(chosen, follow_links, left_out, found, take)
    for name in sources:
        if name in folders:
            prefix = f"{_own_name(name)}/" if len(folders) > 1 or len(folders) < len(sources) else ""
            if storage.is_url(name):
                _search_url(name, prefix, chosen, skip, storage_options, found, take)
            else:
                walk.search(name, prefix)
        else:
            entry = storage.state(name, storage_options)
            if not storage.is_url(name) and not os.path.isfile(name):
                found.others.append(Skipped(name, _own_name(name), storage.NOT_REGULAR, can_copy=False))
                continue
            head = _head(entry.name, storage_options)
            _sort_in(entry, _own_name(name), head, found, jpeg_only, refuse_named, named=True)
    walk.tell_links([os.path.realpath(name) for name in folders if not storage.is_url(name)])
    return found


def _is_folder(name: str, options: Mapping[str, Any] | None) -> bool:
    if not storage.is_url(name):
        return os.path.isdir(name)
    system, path = storage.filesystem(name, options)
    return bool(system.isdir(path))


def _own_name(name: str) -> str:
    return (
        posixpath.basename(name.rstrip("/"))
        if storage.is_url(name)
        else os.path.basename(os.path.abspath(name))
    )


def _head(name: str, options: Mapping[str, Any] | None = None) -> bytes:
    if storage.is_url(name):
        system, path = storage.filesystem(name, options)
        return bytes(system.cat_file(path, start=0, end=_HEAD))
    with storage.open_regular(name) as stream:
        return stream.read(_HEAD)


_Take = Callable[[storage.Entry, str, bytes], None]


class _Walk:
    """The search through local folders: names in order, every real folder once."""

    def __init__(
        self, chosen: Filter, follow_links: bool, skip: set[str], found: Discovery, take: _Take
    ) -> None:
        self._chosen = chosen
        self._take_file = take
        self._follow_links = follow_links
        self._skip = skip
        self._found = found
        self._links: list[tuple[str, str]] = []

    def search(self, root: str, prefix: str) -> None:
        """Add what lies below a folder."""
        pending = [(root, "")]
        while pending:
            folder, below = pending.pop()
            real = os.path.realpath(folder)
            if real in self._skip:
                continue
            if real in self._found.folders:
                self._tell_met(folder, real, prefix + below)
                continue
            self._found.folders.add(real)
            try:
                with os.scandir(folder) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                unreadable = Skipped(folder, prefix + below, error.strerror or str(error))
                self._found.unreadable.append(unreadable)
                continue
            inner = []
            for entry in listed:
                relative = below + entry.name
                if entry.name.startswith(".") or output.is_temporary(entry.name):
                    continue
                if self._is_folder(entry):
                    if not self._chosen.drops(relative):
                        inner.append((entry.path, f"{relative}/"))
                elif self._chosen.takes(relative):
                    self._take(entry, prefix + relative)
            pending.extend(reversed(inner))

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir(follow_symlinks=self._follow_links)
        except OSError:  # a link in a circle, or to a place that cannot be read
            return False

    def _tell_met(self, folder: str, real: str, relative: str) -> None:
        """Report a second name of a folder, unless it is that of one above, where circles end."""
        above = os.path.realpath(os.path.dirname(folder.rstrip(os.sep)))
        if not output.is_within(above, real):
            reason = "a link to a folder that was taken by another name"
            self._found.others.append(Skipped(folder, relative.rstrip("/"), reason, can_copy=False))

    def _take(self, entry: os.DirEntry[str], relative: str) -> None:
        try:
            is_file = entry.is_file()
            if entry.is_symlink() and not self._follow_links and (is_file or entry.is_dir()):
                self._links.append((entry.path, relative))
                return
            if is_file:
                state, head = storage.of_stat(entry.path, entry.stat()), _head(entry.path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._pass_over(entry.path, relative, "a link that leads in a circle")
            else:
                broken = Skipped(entry.path, relative, error.strerror or str(error))
                self._found.unreadable.append(broken)
            return
        if is_file:
            self._take_file(state, relative, head)
        elif entry.is_symlink() and not os.path.exists(entry.path):
            self._pass_over(entry.path, relative, "a link to nothing")
        else:
            self._pass_over(entry.path, relative, storage.NOT_REGULAR)

    def _pass_over(self, name: str, relative: str, reason: str) -> None:
        self._found.others.append(Skipped(name, relative, reason, can_copy=False))

    def tell_links(self, roots: list[str]) -> None:
        """Report the links that were not followed, but for those to what was found by its own name."""
        if not self._links:
            return
        known = self._found.folders | {os.path.realpath(task.input) for task in self._found.pictures}
        for name, relative in self._links:
            real = os.path.realpath(name)
            if not any(output.is_within(real, root) for root in roots):
                self._pass_over(name, relative, "a link that leads out of the given folders")
            elif real not in known:
                self._pass_over(name, relative, "a link to a file or folder that is left out")


def _search_url(
    root: str,
    prefix: str,
    chosen: Filter,
    skip: Collection[str],
    options: Mapping[str, Any] | None,
    found: Discovery,
    take: _Take,
) -> None:
    system, base = storage.filesystem(root, options)
    left_out = [name.rstrip("/") + "/" for name in skip if storage.is_url(name)]
    for path, info in sorted(system.find(base, detail=True).items()):
        relative = path[len(base.rstrip("/")) :].lstrip("/")
        name = storage.join(root, relative)
        parts = relative.split("/")
        above = ["/".join(parts[: i + 1]) for i in range(len(parts) - 1)]
        if any(part.startswith(".") for part in parts) or any(name.startswith(other) for other in left_out):
            continue
        if info.get("type") == "file" and chosen.takes(relative) and not any(map(chosen.drops, above)):
            entry = storage.of_info(name, info)
            try:
                head = _head(name, options) if entry.size else b""  # stores refuse ranges of empty objects
            except Exception as error:  # whatever the file system of that scheme raises
                words = " ".join(str(error).split()) or type(error).__name__
                found.unreadable.append(Skipped(name, prefix + relative, words))
            else:
                take(entry, prefix + relative, head)


def _sort_in(
    entry: storage.Entry,
    relative: str,
    head: bytes,
    found: Discovery,
    jpeg_only: bool,
    refuse_named: str | None,
    named: bool = False,
) -> None:
    kind = kind_of(head)
    if kind is None and (named or PurePosixPath(relative).suffix.lower() in output.JPEG_SUFFIXES):
        kind = "unknown"  # called a picture: if it is none, that is an error
    if kind is None:
        found.others.append(Skipped(entry.name, relative, "not a picture"))
    elif kind == "jpeg" or not jpeg_only:
        found.pictures.append(Task(entry.name, relative, kind, entry.size, entry.identity))
    elif refuse_named is not None and (named or kind == "unknown"):
        found.unreadable.append(Skipped(entry.name, relative, refuse_named if head else "empty file"))
    else:
        found.others.append(Skipped(entry.name, relative, "not a JPEG"))


def pair(
    found: Discovery, destination: str | None, *, in_place: bool = False, copy_others: bool = False
) -> list[Task]:
    """Return the pictures with their outputs.

    Parameters
    ----------
    found : Discovery
        What there is.
    destination : str, optional
        Folder or URL; None writes nothing, unless ``in_place``.
    in_place : bool
        Each file is its own output; one that is found by several names is taken once.
    copy_others : bool
        Whether those of ``found.others`` that can be copied are going to be.

    Raises
    ------
    ValueError
        Two files would be written to one place, or one over an input.
    """
    if in_place:
        return list(_once(found.pictures))
    if destination is None:
        return list(found.pictures)
    paired = []
    claims: list[tuple[str, str]] = []
    for task in found.pictures:
        place = storage.join(destination, jpeg_name(task.relative))
        own = storage.join(destination, task.relative)
        paired.append(Task(task.input, task.relative, task.kind, task.size, task.identity, place, own))
        claims.append((place, task.input))
    if copy_others:
        claims += [
            (storage.join(destination, other.relative), other.input)
            for other in found.others
            if other.can_copy
        ]
    _refuse_clashes(claims, destination)
    return paired


def _once(tasks: Iterable[Task]) -> Iterator[Task]:
    met: set[str] = set()
    for task in tasks:
        real = task.input if storage.is_url(task.input) else os.path.realpath(task.input)
        if real not in met:
            met.add(real)
            yield Task(task.input, task.relative, task.kind, task.size, task.identity, task.input, task.input)


def _refuse_clashes(claims: list[tuple[str, str]], destination: str) -> None:
    fold = str.casefold if _ignores_case(destination) else str
    folders: dict[str, str] = {}
    taken: dict[str, str] = {}
    for place, source in claims:
        key = fold(_in_real_folder(place, folders))
        if key in taken:
            raise ValueError(
                f"{taken[key]} and {source} would both be written to {place}; leave one out with --exclude"
            )
        taken[key] = source
    for _, source in claims:
        own = _in_real_folder(source, folders)
        real = os.path.realpath(own) if not storage.is_url(own) and os.path.islink(own) else own
        if fold(own) in taken or fold(real) in taken:
            raise ValueError(f"{source}: is an input and an output; use --in-place to replace it")


def _in_real_folder(name: str, known: dict[str, str]) -> str:
    """Return a name with the real path of its folder, which the system is asked for once."""
    if storage.is_url(name):
        return name
    folder, leaf = os.path.split(name)
    if folder not in known:
        known[folder] = os.path.realpath(folder)
    return os.path.join(known[folder], leaf)


def _ignores_case(folder: str) -> bool:
    """Return whether a folder, or the first one above it that exists, takes A and a for one name."""
    if storage.is_url(folder):
        return False
    place = os.path.abspath(folder)
    while not os.path.isdir(place) and os.path.dirname(place) != place:
        place = os.path.dirname(place)
    name = os.path.basename(place)
    other = os.path.join(os.path.dirname(place), name.swapcase())
    if name == name.swapcase():
        return os.name == "nt"
    try:
        return os.path.samefile(place, other)
    except OSError:
        return False


def in_shard(relative: str, shard: tuple[int, int]) -> bool:
    """Return whether a file belongs to part k of n (from 1), by a hash of its place that never changes."""
    part, count = shard
    digest = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % count == part - 1
