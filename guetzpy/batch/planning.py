"""Planning of a run: everything that can be checked before work starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from guetzpy import output
from guetzpy.batch import storage
from guetzpy.batch.discover import discover, in_shard, pair
from guetzpy.batch.manifest import Manifest, location, prune_state
from guetzpy.batch.pool import Options
from guetzpy.batch.runner import Run
from guetzpy.batch.tasks import Discovery, Filter, Task
from guetzpy.batch.worker import Delivery
from guetzpy.engine.transcode import NOT_REPACKED
from guetzpy.errors import GuetzpyError
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.progress import Cancel, OnProgress

__all__ = ["run"]


def run(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    destination: str | os.PathLike[str] | None = None,
    options: Options | None = None,
    *,
    in_place: bool = False,
    write: bool = True,
    backup: str | os.PathLike[str] | None = None,
    preserve: bool = False,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    jpeg_only: bool = False,
    copy_others: bool = False,
    resume: bool = False,
    manifest: str | os.PathLike[str] | None = None,
    shard: tuple[int, int] | None = None,
    total_bytes: int | None = None,
    total_bpp: float | None = None,
    equal_slope: bool = False,
    jobs: int | None = None,
    executor: Executor | None = None,
    in_flight: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: OnProgress | None = None,
    cancel: Cancel | None = None,
) -> Run:
    """Optimise or transcode many files.

    Everything that can be known to go wrong is raised here, before work starts. Work starts with the
    first result that is asked for; results come as they are done, the largest files first.

    Parameters
    ----------
    sources : path, URL, or iterable of them
        Files, and folders with all below them. Hidden files are passed over.
    destination : path or URL, optional
        Folder that mirrors the sources, made as needed. Nothing is written through links in it that lead
        out of it. Without it (and without ``in_place``) nothing is
        written, and results carry ``data``.
    options : OptimizeOptions or TranscodeOptions, optional
        Default: ``OptimizeOptions()``. If several files are worked on at once, each gets one thread
        unless ``options.threads`` says otherwise.
    in_place : bool
        Replace the sources; JPEG files only. Those that get no smaller are not touched. Links within
        folders are not followed.
    write : bool
        False: do everything but write.
    backup : path or URL, optional
        With ``in_place``: folder for the originals of what is replaced.
    preserve : bool
        Outputs take permissions and times of their inputs.
    include, exclude : iterable of str
        Globs, see :class:`guetzpy.batch.Filter`.
    jpeg_only : bool
        Take JPEG files only. Without it a file that is no JPEG, where only JPEG files can be taken, is an
        error if a source or a suffix such as .jpg names it; with it, such files are in :attr:`Run.others`.
    copy_others : bool
        Copy files that are no pictures, too.
    resume : bool
        Leave out what an earlier run has done with the same options and version, whose input and output
        are as it left them. Its results are in :attr:`Run.earlier`.
    manifest : path, optional
        The record for ``resume``: a new file, or one that guetzpy made. Default: see
        :func:`guetzpy.batch.manifest.location`. Where that is the user's state folder and it cannot be
        written, a run without ``resume`` keeps no record.
    shard : (int, int), optional
        (k, n): only part k of n, for runs that share the work; k from 1.
    total_bytes, total_bpp : int or float, optional
        Bytes that all pictures may make together, or bits per pixel of the set: the one distance at which
        they do is found first, see :attr:`Run.fit`; at most one of the two, and no other target. Where the
        coarsest distance makes too many, each picture gets a size of its own, so that the distances reached
        are even. ``next`` raises TargetError if the set does not get as small.
    equal_slope : bool
        With these, spread quality freely, for the least distortion in total.
    jobs : int, optional
        Worker processes; default: the processors available, fewer while large pictures need the memory.
    executor : concurrent.futures.Executor, optional
        Runs the tasks instead of processes of this machine, e.g. a Dask client's ``get_executor()``.
        Paths must mean the same there. It stays open.
    in_flight : int, optional
        Tasks handed to ``executor`` at a time; default: twice its workers, or 64.
    storage_options : mapping, optional
        For fsspec, if there are URLs.
    progress : callable, optional
        Called with a :class:`guetzpy.Progress` for each file that is done, in the thread that asks for
        results. An exception that it raises ends the run; ``next`` raises it.
    cancel : threading.Event or alike, optional
        Once it is set the run ends within moments, with CancelledError from ``next``. Files that are done
        stay done, and recorded for ``resume``; no other is touched.

    Returns
    -------
    Run
        An iterator of :class:`guetzpy.Result`; a file that fails is a result with status "failed".

    Raises
    ------
    ValueError
        Arguments that contradict each other; two files that would go to one place.
    OSError
        A source that is not there, a destination that cannot be written.
    GuetzpyError
        Another run works on the same destination; a damaged manifest.
    """
    names = _names(sources)
    goal = None if destination is None else _name(destination)
    options = OptimizeOptions() if options is None else options
    keeper = None if backup is None else _name(backup)
    _check(names, goal, in_place, keeper, shard, copy_others)
    if manifest is not None and storage.is_url(_name(manifest)):
        raise ValueError(f"{manifest}: a manifest is a local file")
    _check_budget(options, total_bytes, total_bpp, equal_slope, shard)
    nowhere = goal is None and not in_place
    write = write and not nowhere
    found = discover(
        names,
        Filter(tuple(include), tuple(exclude)),
        skip=[place for place in (goal, keeper) if place is not None],
        jpeg_only=jpeg_only or in_place or isinstance(options, TranscodeOptions),
        refuse_named=None if jpeg_only else output.NOT_IN_PLACE if in_place else NOT_REPACKED,
        follow_links=not in_place,
        storage_options=storage_options,
    )
    delivery = Delivery(
        write=write,
        in_place=in_place,
        destination=goal,
        backup=keeper,
        preserve=preserve,
        keep_data=nowhere,
        storage_options=storage_options,
    )
    tasks = pair(found, goal, in_place=in_place, copy_others=copy_others)
    if shard is not None:
        tasks = [task for task in tasks if in_shard(task.relative, shard)]
        found.others = [other for other in found.others if in_shard(other.relative, shard)]
        found.unreadable = [other for other in found.unreadable if in_shard(other.relative, shard)]
    record = _record(manifest, names, goal, shard, resume) if write else None
    try:
        if write and goal is not None and not storage.is_url(goal):
            os.makedirs(goal, exist_ok=True)
        if write:
            _clear(names, tasks, found, delivery)
        planned = Run(tasks, found, options, delivery, record, goal if copy_others and write else None)
        planned._progress, planned._cancel = progress, cancel
        if total_bytes is not None or total_bpp is not None:
            planned._wish_for(total_bytes, total_bpp, equal_slope, in_place)
        if resume and write:
            planned._leave_out_what_is_done(goal)
    except BaseException:
        if record is not None:
            record.close()
        raise
    local_only = any(storage.is_url(n) and n.startswith("memory:") for n in (*names, goal or ""))
    planned._hire(jobs, executor, in_flight, threads_only=local_only)
    return planned


def _record(
    named: str | os.PathLike[str] | None,
    sources: list[str],
    destination: str | None,
    shard: tuple[int, int] | None,
    resume: bool,
) -> Manifest | None:
    """Open the manifest; None where it would lie in a home that cannot be written, unless ``resume``."""
    if named is not None:
        return Manifest(_name(named))
    in_destination = False
    try:
        place = location(sources, destination, shard)
        in_destination = destination is not None and place.parent == Path(destination)
        if in_destination and place.is_symlink():
            raise GuetzpyError(f"{place}: is a link; --manifest takes the path of its target")
        record = Manifest(place)
    except OSError:
        if resume or in_destination:
            raise
        return None
    if not in_destination:
        prune_state()
    return record


def _clear(names: list[str], tasks: list[Task], found: Discovery, delivery: Delivery) -> None:
    """Remove the temporaries of killed runs from the local folders that this run writes to."""
    folders: set[str] = set()
    relatives = [task.relative for task in tasks]
    if delivery.in_place:
        root = delivery.backup
        folders |= found.folders
        files = [name for name in names if not storage.is_url(name) and not os.path.isdir(name)]
        folders |= {os.path.dirname(os.path.realpath(name)) for name in files}
    else:
        root = delivery.destination
        relatives += [other.relative for other in found.others]
    if root is not None and not storage.is_url(root):
        real = os.path.realpath(root)
        below = {os.path.dirname(storage.join(root, relative)) for relative in relatives}
        below = {os.path.realpath(folder) for folder in below}
        folders |= {folder for folder in below if output.is_within(folder, real)}
    for folder in folders:
        output.remove_temporaries(folder)


def _names(sources: Any) -> list[str]:
    if isinstance(sources, (str, os.PathLike)):
        return [_name(sources)]
    return [_name(source) for source in sources]


def _name(place: str | os.PathLike[str]) -> str:
    name = os.fspath(place)
    if not isinstance(name, str):
        raise TypeError(f"expected a path or URL as text, not {type(name).__name__}")
    for scheme in ("file://", "local://"):  # this machine's files: links, attributes and locks count
        if name.startswith(f"{scheme}/"):
            return name.removeprefix(scheme)
    return name


def _check(
    names: list[str],
    destination: str | None,
    in_place: bool,
    backup: str | None,
    shard: tuple[int, int] | None,
    copy_others: bool,
) -> None:
    if not names:
        raise ValueError("no sources")
    if in_place and destination is not None:
        raise ValueError("a destination and in_place contradict each other: give one")
    if backup is not None and not in_place:
        raise ValueError("backup goes with in_place: otherwise the originals stay anyway")
    if copy_others and destination is None:
        raise ValueError("copying other files needs a destination")
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise ValueError(f"shard {shard[0]}/{shard[1]}: expected k/n with k from 1 to n")
    if destination is not None and not storage.is_url(destination):
        real = os.path.realpath(destination)
        for name in names:
            if not storage.is_url(name) and os.path.realpath(name) == real:
                raise ValueError(f"{name}: is an input and the output; use --in-place to replace its files")
    if destination in names:
        raise ValueError(f"{destination}: is an input and the output; use --in-place to replace its files")


def _check_budget(
    options: Options,
    total_bytes: int | None,
    total_bpp: float | None,
    equal_slope: bool,
    shard: tuple[int, int] | None,
) -> None:
    if total_bytes is None and total_bpp is None:
        if equal_slope:
            raise ValueError("equal_slope goes with total_bytes or total_bpp")
        return
    if total_bytes is not None and total_bpp is not None:
        raise ValueError("total_bytes and total_bpp contradict each other: give one")
    if (total_bytes or total_bpp or 0) <= 0:
        raise ValueError("a total must be more than 0")
    if not isinstance(options, OptimizeOptions):
        raise ValueError("a total is reached by encoding; transcode changes no pixel")
    if options.target != ("distance", 1.0):
        raise ValueError(f"a total and {options.target[0]} contradict each other: give one")
    if shard is not None:
        raise ValueError("a total needs the whole set, a shard is a part of it")
