"""Planning of a run: checking its arguments and finding its files before any of them is processed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guetzpy import output
from guetzpy.batch import storage
from guetzpy.batch.budget import check_total
from guetzpy.batch.copying import written
from guetzpy.batch.discover import discover, in_shard, pair, refuse_same_backups
from guetzpy.batch.manifest import Manifest
from guetzpy.batch.manifest_place import location, prune_state
from guetzpy.batch.pool import Options
from guetzpy.batch.runner import Run
from guetzpy.batch.tasks import NAMED, Discovery, Filter, Task
from guetzpy.batch.worker import Delivery
from guetzpy.engine.stream import Pictures, pictures_of, stream
from guetzpy.engine.transcode import NOT_REPACKED
from guetzpy.errors import GuetzpyError
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.progress import Cancel, OnProgress

if TYPE_CHECKING:
    from guetzpy.engine.source import Readable

__all__ = ["run"]


def run(
    sources: str | os.PathLike[str] | Iterable[Readable | tuple[str, Readable]],
    destination: str | os.PathLike[str] | None = None,
    options: Options | None = None,
    *,
    in_place: bool = False,
    suffix: str | None = None,
    keep_names: bool = False,
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
    file_name: str | None = None,
) -> Run:
    """Optimise or transcode many files.

    Arguments, sources and destination are checked in this call. Processing starts when the first result is
    requested from the returned iterator. The largest files are started first; results are returned in the
    order in which files are finished.

    Parameters
    ----------
    sources : path, URL, or iterable of them; or iterable or mapping of pictures
        Files, and folders that are searched recursively. Hidden files are ignored. Or pictures as
        :func:`guetzpy.optimize` takes them (arrays, PIL images, bytes, open files), pairs of a name and a
        picture, or a mapping of names to pictures: they are taken as they are needed, and each result has its
        ``data``, and the name or the number (from 0) as its ``input``. With a destination, names are needed;
        each file is written below it. Only ``options``, ``destination``, ``jobs``, ``progress`` and
        ``cancel`` go with pictures.
    destination : path or URL, optional
        Folder for the outputs, with the same tree of folders as the sources. It is created if it does not
        exist. Nothing is written through a link that leads out of it; such a file fails. Without a
        destination and without ``in_place`` nothing is written, and each result has its ``data``.
    options : OptimizeOptions or TranscodeOptions, optional
        Default: ``OptimizeOptions()``. If several files are processed at once, each is processed by one
        thread unless ``options.threads`` is set.
    in_place : bool
        Whether the sources are replaced. Only JPEG files are processed then. A file that would not become
        smaller is not changed. Links within folders are not followed.
    suffix : str, optional
        Instead of a destination: outputs lie beside their inputs, and have this text at the end of their
        names, before the extension, such as ``-small``. Pictures whose names end so are not processed. A file
        of that name that guetzpy did not make is not replaced; the result is failed.
    keep_names : bool
        Whether the JPEG of ``photo.png`` is named ``photo.png``, so that links to it stay valid. (Browsers
        determine the format by the contents.) Default: it is named ``photo.jpg``.
    write : bool
        Whether outputs are written. If False, files are processed, but nothing is written.
    backup : path or URL, optional
        With ``in_place``: folder for the originals of the replaced files.
    preserve : bool
        Whether outputs take the permissions and times of their inputs.
    include, exclude : iterable of str
        Globs, see :class:`guetzpy.batch.Filter`.
    jpeg_only : bool
        Whether only JPEG files are processed, and all others are listed in :attr:`Run.others`. If False, and
        the run can process only JPEG files (``in_place``, TranscodeOptions), another file is a failed result
        if it is a source itself or has a suffix such as .jpg.
    copy_others : bool
        Whether files that are not pictures are copied to the destination.
    resume : bool
        Whether files that an earlier run processed are skipped. The options and guetzpy's version must be the
        same, and size and modification time of input and output too (of an output at a URL, the size). Their
        results are in :attr:`Run.earlier`.
    manifest : path, optional
        The record for ``resume``: a new file, or one that guetzpy made. Default: see
        :func:`guetzpy.batch.manifest_place.location`. If the default is in the user's state folder and cannot
        be written, a run without ``resume`` keeps no record.
    shard : (int, int), optional
        (k, n): process only part k of n, k from 1. Runs on several machines share the files this way.
    total_bytes, total_bpp : int or float, optional
        Bytes that all outputs together may have, or bits per pixel of the whole set. At most one of the two
        can be given, and no other target. The distance at which the set has this size is searched first; see
        :attr:`Run.fit`. If the set is larger even at the coarsest distance, each picture gets a size as its
        target, such that the distances reached are about equal. ``next`` raises TargetError if the set cannot
        be as small.
    equal_slope : bool
        With a total: distances differ between pictures such that their sum, weighted by pixels, is least.
    jobs : int, optional
        Number of worker processes. Default: the number of processors available. Fewer pictures are processed
        at once while their memory would exceed what is available.
    executor : concurrent.futures.Executor, optional
        Executes the tasks instead of worker processes of this machine, for example a Dask client's
        ``get_executor()``. A path must name the same file on all its workers. The executor is not shut down.
    in_flight : int, optional
        Tasks that are submitted to ``executor`` at a time. Default: twice its workers, or 64 if their number
        is not known.
    storage_options : mapping, optional
        Options for fsspec, which opens URLs.
    progress : callable, optional
        Called with a :class:`guetzpy.Progress` for each finished file, in the thread that requests results.
        An exception that it raises ends the run and is raised by ``next``.
    cancel : threading.Event or similar, optional
        When it is set, the workers are ended and ``next`` raises CancelledError. Files that were finished
        stay written and recorded for ``resume``; no other file is changed.
    file_name : str, optional
        Name of the output below ``destination``. There must be one source, which is a file. The output is
        always a JPEG: a picture that cannot become one is a failed result and is not copied.

    Returns
    -------
    Run
        An iterator of :class:`guetzpy.Result`. A file that cannot be processed gives a result with the status
        "failed".

    Raises
    ------
    ValueError
        Arguments contradict each other, or two outputs would have the same name.
    OSError
        A source does not exist, or the destination cannot be written.
    GuetzpyError
        Another run uses the same manifest, or the manifest is damaged.
    """
    pictures = pictures_of(sources)
    if isinstance(pictures, Pictures):
        given = locals()
        wrong = [name for name in _FOR_FILES if given[name] != _FOR_FILES[name]]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: for files only, not for pictures in memory")
        return _streamed(pictures, destination, options or OptimizeOptions(), jobs, progress, cancel)
    names = _names(pictures)
    goal = None if destination is None else _name(destination)
    options = OptimizeOptions() if options is None else options
    keeper = None if backup is None else _name(backup)
    _check(names, goal, in_place, keeper, shard, copy_others)
    _check_suffix(goal, in_place, suffix)
    if manifest is not None and storage.is_url(_name(manifest)):
        raise ValueError(f"{manifest}: a manifest is a local file")
    check_total(options, total_bytes, total_bpp, equal_slope, shard)
    if file_name is not None and (goal is None or len(names) != 1):
        raise ValueError("file_name goes with a destination and one source")
    nowhere = goal is None and not ((in_place or suffix is not None) and write)
    write = write and not nowhere
    found = discover(
        names,
        Filter(tuple(include), tuple(exclude)),
        skip=[place for place in (goal, keeper) if place is not None],
        jpeg_only=jpeg_only or in_place or isinstance(options, TranscodeOptions),
        refuse_named=None if jpeg_only else output.NOT_IN_PLACE if in_place else NOT_REPACKED,
        follow_links=not in_place and suffix is None,
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
    if file_name is not None:
        found.pictures = [replace(task, relative=file_name, kind=NAMED) for task in found.pictures]
    tasks = pair(
        found, goal, in_place=in_place, suffix=suffix, copy_others=copy_others, keep_names=keep_names
    )
    if keeper is not None:
        refuse_same_backups(tasks, keeper)
    if shard is not None:
        tasks = [task for task in tasks if in_shard(task.relative, shard)]
        found.others = [other for other in found.others if in_shard(other.relative, shard)]
        found.unreadable = [other for other in found.unreadable if in_shard(other.relative, shard)]
    if manifest is not None and write:
        _refuse_own_manifest(_name(manifest), tasks, found, goal if copy_others else None)
    created = _missing(goal) if write and goal is not None and not storage.is_url(goal) else []
    record = _record(manifest, names, goal, shard, resume, created) if write else None
    try:
        if write and goal is not None and not storage.is_url(goal):
            os.makedirs(goal, exist_ok=True)
        if write:
            _clear(names, tasks, found, delivery)
        planned = Run(tasks, found, options, delivery, record, goal if copy_others and write else None)
        planned._progress, planned._cancel, planned._created = progress, cancel, created
        if total_bytes is not None or total_bpp is not None:
            planned._prepare_total(total_bytes, total_bpp, equal_slope, in_place)
        if resume and write:
            planned._skip_finished(goal)
    except BaseException:
        if record is not None:
            record.close()
        raise
    local_only = any(storage.is_url(n) and n.startswith("memory:") for n in (*names, goal or ""))
    planned._prepare_pool(jobs, executor, in_flight, threads_only=local_only)
    return planned


# Parameters that apply to files only, not to pictures in memory, with their defaults.
_FOR_FILES: dict[str, Any] = {
    "in_place": False, "suffix": None, "keep_names": False, "write": True, "backup": None, "preserve": False,
    "include": (), "exclude": (), "jpeg_only": False, "copy_others": False, "resume": False,
    "manifest": None, "shard": None, "total_bytes": None, "total_bpp": None, "equal_slope": False,
    "executor": None, "in_flight": None, "storage_options": None, "file_name": None,
}  # fmt: skip


def _streamed(
    pictures: Pictures,
    destination: Any,
    options: Options,
    jobs: int | None,
    progress: OnProgress | None,
    cancel: Cancel | None,
) -> Run:
    goal = None if destination is None else _name(destination)
    if options.threads is None and (jobs or 2) > 1:
        options = replace(options, threads=1)
    run = Run([], Discovery(), options, Delivery(destination=goal), None, None)
    run._progress, run._cancel = progress, cancel
    results = stream(pictures, options, jobs=jobs, check=run._check)
    run._results = results if goal is None else written(results, pictures, goal)
    return run


def _record(
    named: str | os.PathLike[str] | None,
    sources: list[str],
    destination: str | None,
    shard: tuple[int, int] | None,
    resume: bool,
    created: list[str],
) -> Manifest | None:
    """Open the manifest. Without ``resume``, return None if the user's state folder cannot be written.

    If the manifest or folders above it do not exist, their paths are added to ``created``.
    """
    if named is not None:
        created += _missing(_name(named))
        return Manifest(_name(named))
    in_destination = False
    try:
        place = location(sources, destination, shard)
        in_destination = destination is not None and place.parent == Path(destination)
        if in_destination and place.is_symlink():
            raise GuetzpyError(f"{place}: is a link; give the path of its target with --manifest")
        created += _missing(place)
        record = Manifest(place)
    except OSError:
        if resume or in_destination:
            raise
        return None
    if not in_destination:
        prune_state()
    return record


def _refuse_own_manifest(manifest: str, tasks: list[Task], found: Discovery, copy_to: str | None) -> None:
    """Raise ValueError if an output of the run would replace its manifest, or the manifest's journal."""
    own = {os.path.realpath(manifest + end) for end in ("", "-journal")}
    # Names are compared first, so that links are resolved for few of a million outputs.
    names = {os.path.basename(each) for each in own}
    outputs = [(task.input, place) for task in tasks for place in (task.output, task.copy) if place]
    if copy_to is not None:
        outputs += [(other.input, storage.join(copy_to, other.relative)) for other in found.others]
    for name, place in outputs:
        if os.path.basename(place) in names and os.path.realpath(place) in own:
            raise ValueError(f"{place}: is the output of {name}; give the manifest another name")


def _missing(place: str | os.PathLike[str]) -> list[str]:
    """Return a path and the folders above it, as far as they do not exist; the deepest is first."""
    path = Path(os.path.abspath(place))
    return [str(each) for each in (path, *path.parents) if not os.path.lexists(each)]


def _clear(names: list[str], tasks: list[Task], found: Discovery, delivery: Delivery) -> None:
    """Remove the temporary files of killed runs from the local folders that this run writes to."""
    folders: set[str] = set()
    relatives = [task.relative for task in tasks]
    if delivery.destination is None:  # outputs replace their inputs or lie beside them
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
    for scheme in ("file://", "local://"):  # such a file is local: it has links, attributes and locks
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
        raise ValueError("backup needs in_place; without it the originals are not changed")
    if copy_others and destination is None:
        raise ValueError("copying other files needs a destination")
    if shard is not None and not 1 <= shard[0] <= shard[1]:
        raise ValueError(f"shard {shard[0]}/{shard[1]}: expected k/n with k from 1 to n")
    if (name := _same_place(destination, names)) is not None:
        raise ValueError(f"{name}: is an input and the output; use --in-place to replace its JPEG files")
    if (name := _same_place(backup, names)) is not None:
        raise ValueError(f"{name}: is an input and the folder of the backups; name another folder for them")


def _same_place(place: str | None, names: list[str]) -> str | None:
    """Return the first of some paths and URLs that names the same file or folder as ``place``."""
    if place is None:
        return None
    for name in names:
        if name == place:
            return name
        local = not storage.is_url(place) and not storage.is_url(name)
        if local and os.path.realpath(name) == os.path.realpath(place):
            return name
    return None


def _check_suffix(destination: str | None, in_place: bool, suffix: str | None) -> None:
    if suffix is None:
        return
    if destination is not None or in_place:
        raise ValueError("suffix and a destination or in_place contradict each other: give one")
    if not suffix.strip() or any(sign in suffix for sign in ("/", "\\", "\0")):
        raise ValueError(f"suffix {suffix!r}: expected the end of a file's name, such as -small")
