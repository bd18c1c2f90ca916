"""The search for files below a folder or a URL."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from guetzpy import output
from guetzpy.batch import storage
from guetzpy.batch.backup import RECORDS
from guetzpy.batch.tasks import Discovery, Filter, Skipped, Task, kind_of

__all__ = ["Take", "Walk", "head_of", "search_url", "sort_in"]

_HEAD = 16

#: Called for each regular file with its entry, its relative name, and its first bytes.
Take = Callable[[storage.Entry, str, bytes], None]


def head_of(name: str, options: Mapping[str, Any] | None = None) -> bytes:
    """Return the first bytes of a file, enough for :func:`guetzpy.batch.tasks.kind_of`."""
    if storage.is_url(name):
        system, path = storage.filesystem(name, options)
        return bytes(system.cat_file(path, start=0, end=_HEAD))
    with storage.open_regular(name) as stream:
        return stream.read(_HEAD)


class Walk:
    """A recursive search of local folders in the order of names, each real path once."""

    def __init__(
        self, chosen: Filter, follow_links: bool, skip: set[str], found: Discovery, take: Take
    ) -> None:
        self._chosen = chosen
        self._take_file = take
        self._follow_links = follow_links
        self._skip = skip
        self._found = found
        self._links: list[tuple[str, str]] = []

    def search(self, root: str, prefix: str) -> None:
        """Search the folder ``root``; the relative names of its files begin with ``prefix``."""
        pending = [(root, "")]
        while pending:
            folder, below = pending.pop()
            real = os.path.realpath(folder)
            if real in self._skip:
                continue
            if real in self._found.folders:
                self._list_second_link(folder, real, prefix + below)
                continue
            self._found.folders.add(real)
            if not self._follow_links and os.path.isdir(os.path.join(folder, RECORDS)):
                # A run in place that replaced these originals would make their restoration impossible.
                self._pass_over(folder, (prefix + below).rstrip("/"), "backups of an earlier run")
                continue
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
                if output.is_temporary(entry.name):
                    continue
                if entry.name.startswith("."):
                    self._found.hidden.append(entry.path)
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
        except OSError:  # a circular link, or one to a place that cannot be accessed
            return False

    def _list_second_link(self, folder: str, real: str, relative: str) -> None:
        """Add a further link to a searched folder to ``others``, unless the link lies in that folder."""
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
                state, head = storage.of_stat(entry.path, entry.stat()), head_of(entry.path)
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

    def list_unfollowed_links(self, roots: list[str]) -> None:
        """Add the links that were not followed to ``others``, except for those whose target was found."""
        if not self._links:
            return
        known = self._found.folders | {os.path.realpath(task.input) for task in self._found.pictures}
        for name, relative in self._links:
            real = os.path.realpath(name)
            if not any(output.is_within(real, root) for root in roots):
                self._pass_over(name, relative, "a link that leads out of the given folders")
            elif real not in known:
                self._pass_over(name, relative, "a link to a file or folder that is left out")


def search_url(
    root: str,
    prefix: str,
    chosen: Filter,
    skip: Collection[str],
    options: Mapping[str, Any] | None,
    found: Discovery,
    take: Take,
) -> None:
    """Search below a URL, in the order of names; relative names begin with ``prefix``."""
    system, base = storage.filesystem(root, options)
    left_out = [name.rstrip("/") + "/" for name in skip if storage.is_url(name)]
    for path, info in sorted(system.find(base, detail=True).items()):
        relative = path[len(base.rstrip("/")) :].lstrip("/")
        name = storage.join(root, relative)
        parts = relative.split("/")
        above = ["/".join(parts[: i + 1]) for i in range(len(parts) - 1)]
        if any(name.startswith(other) for other in left_out):
            continue
        if any(part.startswith(".") for part in parts):
            found.hidden.append(name)
            continue
        if info.get("type") == "file" and chosen.takes(relative) and not any(map(chosen.drops, above)):
            entry = storage.of_info(name, info)
            try:
                head = head_of(name, options) if entry.size else b""  # S3 refuses a range of an empty object
            except Exception as error:  # each fsspec file system raises errors of its own
                words = " ".join(str(error).split()) or type(error).__name__
                found.unreadable.append(Skipped(name, prefix + relative, words))
            else:
                take(entry, prefix + relative, head)


def sort_in(
    entry: storage.Entry,
    relative: str,
    head: bytes,
    found: Discovery,
    jpeg_only: bool,
    refuse_named: str | None,
    named: bool = False,
) -> None:
    """Add a file to the pictures, others or unreadable files of ``found``, by first bytes and name."""
    kind = kind_of(head)
    if kind is None and (named or PurePosixPath(relative).suffix.lower() in output.JPEG_SUFFIXES):
        kind = "unknown"  # expected to be a picture by its name; the worker fails if it is not
    if kind is None:
        found.others.append(Skipped(entry.name, relative, "not a picture"))
    elif kind == "jpeg" or not jpeg_only:
        found.pictures.append(Task(entry.name, relative, kind, entry.size, entry.identity))
    elif refuse_named is not None and (named or kind == "unknown"):
        found.unreadable.append(Skipped(entry.name, relative, refuse_named if head else "empty file"))
    else:
        found.others.append(Skipped(entry.name, relative, "not a JPEG"))
