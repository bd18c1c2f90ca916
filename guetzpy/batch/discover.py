"""Discovery of the pictures of a run, and the names of their outputs.

The first bytes of a file determine its kind, not its name. Hidden files and guetzpy's temporary files are
ignored. Each folder is searched once, however many links lead to it; this ends circles of links.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from guetzpy.batch import storage
from guetzpy.batch.tasks import Discovery, Filter, Skipped, Task, beside, jpeg_name, kind_of
from guetzpy.batch.walk import Walk, head_of, search_url, sort_in

__all__ = [
    "Discovery",
    "Filter",
    "Skipped",
    "Task",
    "discover",
    "in_shard",
    "jpeg_name",
    "kind_of",
    "pair",
    "refuse_same_backups",
]

_EVERYTHING = Filter()


def discover(
    sources: Collection[str],
    chosen: Filter = _EVERYTHING,
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
        Names of files, folders and URLs. Folders are searched recursively. If a folder is the only source,
        the relative names of its files begin below it; otherwise they begin with the folder's own name.
    chosen : Filter
        Globs for files and folders within the sources.
    skip : collection of str
        Folders that are not searched, such as a destination that lies within a source.
    jpeg_only : bool
        Whether pictures that are not JPEG files are listed in ``others`` instead of ``pictures``.
    refuse_named : str, optional
        With ``jpeg_only``: the error message for a file that is not a JPEG, but is a source itself or has a
        suffix of JPEG files. Such a file is listed in ``unreadable``. Default: it is listed in ``others``.
    follow_links : bool
        Whether links within folders are followed. If not, a link is listed in ``others``, unless the search
        finds its target too. A source itself may be a link in both cases.
    storage_options : mapping, optional
        Options for fsspec.

    Raises
    ------
    FileNotFoundError
        A source does not exist.
    ValueError
        A URL cannot be opened.
    """
    found = Discovery()
    folders = [name for name in sources if _is_folder(name, storage_options)]
    left_out = {os.path.realpath(name) for name in skip if not storage.is_url(name)}

    def take(entry: storage.Entry, relative: str, head: bytes) -> None:
        sort_in(entry, relative, head, found, jpeg_only, refuse_named)

    walk = Walk(chosen, follow_links, left_out, found, take)
    for name in sources:
        if name in folders:
            prefix = f"{_own_name(name)}/" if len(folders) > 1 or len(folders) < len(sources) else ""
            if storage.is_url(name):
                search_url(name, prefix, chosen, skip, storage_options, found, take)
            else:
                walk.search(name, prefix)
        else:
            entry = storage.state(name, storage_options)
            if not storage.is_url(name) and not os.path.isfile(name):
                found.others.append(Skipped(name, _own_name(name), storage.NOT_REGULAR, can_copy=False))
                continue
            head = head_of(entry.name, storage_options)
            sort_in(entry, _own_name(name), head, found, jpeg_only, refuse_named, named=True)
    walk.list_unfollowed_links([os.path.realpath(name) for name in folders if not storage.is_url(name)])
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


def pair(
    found: Discovery,
    destination: str | None,
    *,
    in_place: bool = False,
    suffix: str | None = None,
    copy_others: bool = False,
    keep_names: bool = False,
) -> list[Task]:
    """Return the pictures as tasks with the names of their outputs.

    Parameters
    ----------
    found : Discovery
        The result of :func:`discover`.
    destination : str, optional
        Folder or URL for the outputs. None: nothing is written, unless ``in_place``.
    in_place : bool
        Whether each file is replaced. A file that was found by several names becomes one task.
    suffix : str, optional
        Each output lies beside its input, and has this text at the end of its name, before the extension.
        Pictures whose name already ends with it are outputs of an earlier run: they are moved to
        ``found.others``.
    copy_others : bool
        Whether the files of ``found.others`` that can be copied will be copied to the destination.
    keep_names : bool
        Whether an output has the name of its input, even if the input is not a JPEG file.

    Raises
    ------
    ValueError
        Two outputs would have the same name, or an output would replace an input.
    """
    if in_place:
        return list(_once(found.pictures))
    if destination is None and suffix is None:
        return list(found.pictures)
    if suffix is not None:
        _pass_over_outputs(found, suffix)
    paired = []
    claims: list[tuple[str, str]] = []
    for task in found.pictures:
        if destination is None:
            assert suffix is not None
            own = _in_folder_of(task.input, beside(posixpath.basename(task.relative), suffix))
            place = own if keep_names else jpeg_name(own)
        else:
            own = storage.join(destination, task.relative)
            place = own if keep_names else storage.join(destination, jpeg_name(task.relative))
        paired.append(Task(task.input, task.relative, task.kind, task.size, task.identity, place, own))
        claims.append((place, task.input))
    if copy_others and destination is not None:
        claims += [
            (storage.join(destination, other.relative), other.input)
            for other in found.others
            if other.can_copy
        ]
    _refuse_clashes(claims, destination)
    return paired


def _pass_over_outputs(found: Discovery, suffix: str) -> None:
    """Move pictures whose stem ends with ``suffix`` to ``found.others``, unless there is only one picture."""
    made = [t for t in found.pictures if PurePosixPath(t.relative).stem.endswith(suffix)]
    if len(found.pictures) == 1:
        return
    found.pictures = [task for task in found.pictures if task not in made]
    reason = f"its name ends with {suffix}, as outputs do"
    found.others += [Skipped(task.input, task.relative, reason, can_copy=False) for task in made]


def _in_folder_of(name: str, leaf: str) -> str:
    """Return the path or URL of a file in the folder of the file ``name``."""
    if storage.is_url(name):
        return name[: name.rfind("/") + 1] + leaf
    return os.path.join(os.path.dirname(name), leaf)


def _once(tasks: Iterable[Task]) -> Iterator[Task]:
    met: set[str] = set()
    for task in tasks:
        real = task.input if storage.is_url(task.input) else os.path.realpath(task.input)
        if real not in met:
            met.add(real)
            yield Task(task.input, task.relative, task.kind, task.size, task.identity, task.input, task.input)


def _refuse_clashes(claims: list[tuple[str, str]], destination: str | None) -> None:
    folder = destination or (os.path.dirname(claims[0][0]) if claims else "")
    fold = str.casefold if _ignores_case(folder) else str
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
            raise ValueError(
                f"{source}: is an input and an output; give another -o, or --in-place to replace a JPEG"
            )


def refuse_same_backups(tasks: list[Task], keeper: str) -> None:
    """Raise ValueError if two backups that are not both local would have the same name.

    Two processes can take the same name at a URL, and one backup would replace the other.
    """
    met: dict[str, str] = {}
    for task in tasks:
        other = met.setdefault(task.relative, task.input)
        if other != task.input and any(map(storage.is_url, (keeper, other, task.input))):
            place = storage.join(keeper, task.relative)
            raise ValueError(
                f"{other} and {task.input} would both be backed up as {place}; process them in two runs"
            )


def _in_real_folder(name: str, known: dict[str, str]) -> str:
    """Return a name with the real path of its folder, from the cache ``known`` if it is there."""
    if storage.is_url(name):
        return name
    folder, leaf = os.path.split(name)
    if folder not in known:
        known[folder] = os.path.realpath(folder)
    return os.path.join(known[folder], leaf)


def _ignores_case(folder: str) -> bool:
    """Return whether the file system of a folder (or its first existing parent) ignores case."""
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
    """Return whether a file belongs to part k of n (k from 1), by a hash of its relative name."""
    part, count = shard
    digest = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % count == part - 1
