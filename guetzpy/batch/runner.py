"""Many files: planned before work starts, done in any order, each ending in a result."""

from __future__ import annotations

import importlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from guetzpy import __version__, _jit, api
from guetzpy._threads import default_threads
from guetzpy.batch import memory, storage
from guetzpy.batch.discover import Discovery, Filter, Skipped, Task, discover, in_shard, pair
from guetzpy.batch.manifest import Manifest, Row, location, options_hash
from guetzpy.batch.pool import Crash, Executed, Options, Outcome, Overtime, Pool, Processes
from guetzpy.batch.worker import Delivery, Done, explain
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result

__all__ = ["Run", "run"]

# Of the memory that is free when a run begins.
_SHARE_OF_MEMORY = 0.8


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
    copy_others: bool = False,
    resume: bool = False,
    manifest: str | os.PathLike[str] | None = None,
    shard: tuple[int, int] | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    in_flight: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Run:
    """Optimise or transcode many files.

    Everything that can be known to go wrong is raised here, before work starts. Work starts with the
    first result that is asked for; results come as they are done, the largest files first.

    Parameters
    ----------
    sources : path, URL, or iterable of them
        Files, and folders with all below them. Hidden files are passed over.
    destination : path or URL, optional
        Folder that mirrors the sources, made as needed. Without it (and without ``in_place``) nothing is
        written, and results carry ``data``.
    options : OptimizeOptions or TranscodeOptions, optional
        Default: ``OptimizeOptions()``. If several files are worked on at once, each gets one thread
        unless ``options.threads`` says otherwise.
    in_place : bool
        Replace the sources; JPEG files only. Those that get no smaller are not touched.
    write : bool
        False: do everything but write.
    backup : path or URL, optional
        With ``in_place``: folder for the originals of what is replaced.
    preserve : bool
        Outputs take permissions and times of their inputs.
    include, exclude : iterable of str
        Globs, see :class:`guetzpy.batch.Filter`.
    copy_others : bool
        Copy files that are no pictures, too.
    resume : bool
        Leave out what an earlier run has done with the same options and version, whose input and output
        are as it left them. Its results are in :attr:`Run.earlier`.
    manifest : path, optional
        The record for ``resume``; see :func:`guetzpy.batch.manifest.location` for where it lies else.
    shard : (int, int), optional
        (k, n): only part k of n, for runs that share the work; k from 1.
    jobs : int, optional
        Worker processes; default: the processors available, fewer while large pictures need the memory.
    executor : concurrent.futures.Executor, optional
        Who does the work instead of processes of this machine, e.g. a Dask client's ``get_executor()``.
        Paths must mean the same there. It stays open.
    in_flight : int, optional
        Tasks handed to ``executor`` at a time; default: twice its workers, or 64.
    storage_options : mapping, optional
        For fsspec, if there are URLs.

    Returns
    -------
    Run
        An iterator of :class:`guetzpy.Result`; a file that fails is a result with status "failed".

    Raises
    ------
    ValueError
        Wishes that contradict each other; two files that would go to one place.
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
    nowhere = goal is None and not in_place
    write = write and not nowhere
    found = discover(
        names,
        Filter(tuple(include), tuple(exclude)),
        skip=[place for place in (goal, keeper) if place is not None],
        jpeg_only=in_place or isinstance(options, TranscodeOptions),
        storage_options=storage_options,
    )
    delivery = Delivery(
        write=write,
        in_place=in_place,
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
    if write and goal is not None and not storage.is_url(goal):
        os.makedirs(goal, exist_ok=True)
    record = Manifest(manifest or location(names, goal, shard)) if write else None
    try:
        planned = Run(tasks, found, options, delivery, record, goal if copy_others and write else None)
        if resume and write:
            planned._leave_out_what_is_done(goal)
    except BaseException:
        if record is not None:
            record.close()
        raise
    local_only = any(storage.is_url(n) and n.startswith("memory:") for n in (*names, goal or ""))
    planned._hire(jobs, executor, in_flight, threads_only=local_only)
    return planned


class Run(Iterator[Result]):
    """The results of :func:`run`, as they come; also a context manager.

    Attributes
    ----------
    tasks : list of Task
        What is to be done, the largest first.
    earlier : list of Result
        What an earlier run has done.
    others : list of Skipped
        Files that are no pictures.
    manifest : Path, optional
        The record for resuming.
    """

    def __init__(
        self,
        tasks: list[Task],
        found: Discovery,
        options: Options,
        delivery: Delivery,
        manifest: Manifest | None,
        copy_to: str | None,
    ) -> None:
        self.tasks = sorted(tasks, key=lambda task: -task.size)
        self.earlier: list[Result] = []
        self.others: list[Skipped] = found.others
        self.options = options
        self._unreadable = found.unreadable
        self._delivery = delivery
        self._manifest = manifest
        self._copy_to = copy_to
        self._make_pool: Callable[[], Pool] | None = None
        self._results: Iterator[Result] | None = None
        self._closed = False

    @property
    def manifest(self) -> Path | None:
        """The file that records what is done."""
        return None if self._manifest is None else self._manifest.path

    def __len__(self) -> int:
        """Return the number of results that a whole run yields."""
        return len(self.tasks) + len(self._unreadable) + (len(self.others) if self._copy_to else 0)

    def __next__(self) -> Result:
        if self._closed:
            raise StopIteration
        if self._results is None:
            self._results = self._work()
        try:
            return next(self._results)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Stop. What is done is done and recorded; nothing is left half-written."""
        if self._closed:
            return
        self._closed = True
        if self._results is not None:
            self._results.close()  # type: ignore[attr-defined]
        if self._manifest is not None:
            self._manifest.close()

    def _hire(
        self, jobs: int | None, executor: Executor | None, in_flight: int | None, threads_only: bool
    ) -> None:
        if executor is not None:
            if self.options.threads is None:
                self.options = replace(self.options, threads=1)
            self._make_pool = lambda: Executed(executor, in_flight or _in_flight(executor))
            return
        count = min(jobs or default_threads(), max(1, len(self.tasks)))
        if count > 1 and self.options.threads is None:
            self.options = replace(self.options, threads=1)
        if threads_only:
            self._make_pool = lambda: _Threads(count)
            return

        def processes() -> Pool:
            _warm(self.options)  # once, here, rather than once a worker
            free = memory.available()
            budget = None if free is None or count == 1 else int(free * _SHARE_OF_MEMORY)
            return Processes(count, budget, self._delivery.storage_options)

        self._make_pool = processes

    def _leave_out_what_is_done(self, destination: str | None) -> None:
        assert self._manifest is not None
        wanted = options_hash(self.options)
        remote = None
        if destination is not None and storage.is_url(destination):
            remote = storage.sizes_below(destination, self._delivery.storage_options)
        left = []
        for task in self.tasks:
            row = self._manifest.find(task.input)
            if row is not None and _is_done(row, task, wanted, remote):
                self.earlier.append(row.result)
            else:
                left.append(task)
        self.tasks = left

    def _work(self) -> Iterator[Result]:
        for broken in self._unreadable:
            yield Result(status="failed", input=broken.input, error=broken.reason)
        if self._copy_to is not None:
            for other in self.others:
                yield _copy(other, storage.join(self._copy_to, other.relative), self._delivery)
        if not self.tasks:
            return
        assert self._make_pool is not None
        pool = self._make_pool()
        try:
            wanted = options_hash(self.options)
            for task, outcome in drive(self.tasks, self.options, self._delivery, pool):
                done = settle(task, outcome, self.options)
                if self._manifest is not None:
                    self._manifest.put(
                        task.input, done.identity, wanted, done.output, done.output_size, done.result
                    )
                yield done.result
        finally:
            pool.close()


def _warm(options: Options) -> None:
    """Compile what the work needs, if that was never done here."""
    if isinstance(options, OptimizeOptions):
        if _jit.is_cold():
            api.warmup(processes=min(4, default_threads()))
        return
    importlib.import_module("guetzpy.jpeg.transcode")
    for _ in _jit.warm([name for name in _jit.kernels() if name.startswith("guetzpy.jpeg.")]):
        pass


class _Threads(Executed):
    """Threads of this process, where no other process sees the files (``memory://``)."""

    def __init__(self, count: int) -> None:
        self._own = ThreadPoolExecutor(count, thread_name_prefix="guetzpy-batch")
        super().__init__(self._own, count)

    def close(self) -> None:
        super().close()
        self._own.shutdown(wait=True, cancel_futures=True)


def drive(
    tasks: Iterable[Task], options: Options, delivery: Delivery, pool: Pool
) -> Iterator[tuple[Task, Outcome]]:
    """Yield every task with its outcome; one whose worker died gets a second try, alone.

    Alone, because a picture may have died of its neighbours' hunger for memory.
    """
    queue, again = deque(tasks), deque[Task]()
    tried: set[Task] = set()
    while queue or again or pool.busy():
        while queue and pool.takes(queue[0], alone=False):
            pool.submit(queue.popleft(), options, delivery)
        if again and not queue and not pool.busy():
            pool.submit(again.popleft(), options, delivery)
        for task, outcome in pool.finished():
            if isinstance(outcome, Crash) and task not in tried:
                tried.add(task)
                again.append(task)
            else:
                yield task, outcome


def settle(task: Task, outcome: Outcome, options: Options) -> Done:
    """Return an outcome as a result, whatever it is."""
    if isinstance(outcome, Done):
        return outcome
    if isinstance(outcome, Overtime):
        error = f"not done within {outcome.seconds:g} s; its process was ended"
    else:
        error = f"{outcome.reason}; tried twice"
    target = dict([options.target]) if isinstance(options, OptimizeOptions) else None
    return Done(Result(status="failed", input=task.input, error=error, target=target), task.identity)


def _names(sources: Any) -> list[str]:
    if isinstance(sources, (str, os.PathLike)):
        return [_name(sources)]
    return [_name(source) for source in sources]


def _name(place: str | os.PathLike[str]) -> str:
    name = os.fspath(place)
    if not isinstance(name, str):
        raise TypeError(f"expected a path or URL as text, not {type(name).__name__}")
    return name.removeprefix("file://") if name.startswith("file:///") else name


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


def _is_done(row: Row, task: Task, options: str, remote: dict[str, int] | None) -> bool:
    if row.result.status == "failed" or row.version != __version__ or row.options != options:
        return False
    if row.identity != task.identity:
        return False
    if row.output is None or row.output == task.input:
        return row.output is not None or task.output is None
    if row.output not in (task.output, task.copy):
        return False
    if storage.is_url(row.output):
        return remote is not None and remote.get(row.output) == row.output_size
    try:
        return os.stat(row.output).st_size == row.output_size
    except OSError:
        return False


def _copy(other: Skipped, place: str, delivery: Delivery) -> Result:
    """Copy a file that is no picture, unless a copy of its size and time is there."""
    try:
        data, _, _ = storage.read(other.input, delivery.storage_options)
        if not _is_copy(data, place):
            like = None if storage.is_url(other.input) or storage.is_url(place) else other.input
            storage.write(
                place,
                data,
                delivery.storage_options,
                like=like if delivery.preserve else None,
                keep_times=delivery.preserve,
            )
    except Exception as error:
        return Result(status="failed", input=other.input, error=explain(error, other.input))
    size = len(data)
    return Result(
        status="kept",
        reason=f"{other.reason}; copied",
        input=other.input,
        output=place,
        bytes_before=size,
        bytes_after=size,
    )


def _is_copy(data: bytes, place: str) -> bool:
    if storage.is_url(place):
        return False
    try:
        with open(place, "rb") as stream:
            return os.fstat(stream.fileno()).st_size == len(data) and stream.read() == data
    except OSError:
        return False


def _in_flight(executor: Executor) -> int:
    """Twice the workers, so that none waits for the next task; 64 where their number is not told."""
    workers = getattr(executor, "_max_workers", None)
    return 2 * workers if isinstance(workers, int) and workers > 0 else 64
