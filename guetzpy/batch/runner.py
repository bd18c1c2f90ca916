"""A run over many files: an iterator that processes them and yields one result for each."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path

from guetzpy import __version__
from guetzpy._runtime import kernel as _jit
from guetzpy._runtime.threads import default_threads
from guetzpy._runtime.warmup import warm_in_processes
from guetzpy.batch import memory, storage, trials
from guetzpy.batch.budget import Aim, Attempt, Budget, Encoded, Fit, encoded
from guetzpy.batch.copying import copy
from guetzpy.batch.driving import Threads, drive, in_flight_of, settle
from guetzpy.batch.manifest import Manifest, Row, key, options_hash
from guetzpy.batch.pool import Executed, Options, Pool, Processes
from guetzpy.batch.tasks import Discovery, Skipped, Task
from guetzpy.batch.worker import Delivery, load_kernels
from guetzpy.engine.first_run import unused
from guetzpy.errors import TargetError
from guetzpy.options import OptimizeOptions
from guetzpy.progress import Cancel, OnProgress, Progress, Reporter, Stage
from guetzpy.result import Result

__all__ = ["Run"]

# The pictures that are processed at the same time may together need this share of the memory that was
# available at the start of the run.
_SHARE_OF_MEMORY = 0.8

# Outputs whose times differ by fewer nanoseconds count as the same. CI services keep folders between runs in
# archives that round times to seconds, and ZIP files round them to two seconds.
_SAME_TIME = 2_000_000_000


class Run(Iterator[Result]):
    """An iterator over the results of :func:`run`, in the order in which files are finished.

    It is also a context manager that ends the run.

    Attributes
    ----------
    tasks : list of Task
        Files to process, the largest first.
    earlier : list of Result
        With ``resume``: the results of an earlier run, whose files are not processed again.
    others : list of Skipped
        Files that are not pictures, or not of a kind that this run processes.
    hidden : list of str
        Files and folders whose names begin with a dot. They are neither processed nor copied.
    fit : Fit, optional
        For a run with a total size: the result of the search for the distances. It is set before the first
        picture is written.
    on_trial : callable, optional
        Called for each encode that this search makes, with the number of the pass (from 1), the distance and
        the result. If the target of the encode is a size, the distance is the expected one.
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
        self.tasks: list[Task] = sorted(tasks, key=lambda task: -task.size)
        self.earlier: list[Result] = []
        self.others: list[Skipped] = found.others
        self.hidden: list[str] = found.hidden
        self.options = options
        self._unreadable = found.unreadable
        self._delivery = delivery
        self._manifest = manifest
        self._copy_to = copy_to
        self.fit: Fit | None = None
        self.on_trial: Callable[[int, float, Result], object] | None = None
        self._progress: OnProgress | None = None
        self._cancel: Cancel | None = None
        self._finished = 0
        self._budget: Budget | None = None
        self._total_hash = ""
        self._targets: dict[str, tuple[str, float]] = {}  # by key(), as relative names may be equal
        self._trials: str | None = None
        self._make_pool: Callable[[], Pool] | None = None
        self._results: Iterator[Result] | None = None
        self._closed = False
        self._created: list[str] = []  # the manifest and the folders that the run created
        self._unmet = False  # whether the total cannot be met, or the run was discarded
        self._elsewhere = False

    @property
    def manifest(self) -> Path | None:
        """The path of the manifest; None if the run keeps none."""
        return None if self._manifest is None else self._manifest.path

    def __len__(self) -> int:
        """Return the number of results that the run yields if it is not ended early."""
        return len(self.tasks) + len(self._unreadable) + len(self._to_copy())

    def _to_copy(self) -> list[Skipped]:
        return self.others if self._copy_to is not None else []

    def __next__(self) -> Result:
        if self._closed:
            raise StopIteration
        if self._results is None:
            self._results = self._work()
        try:
            self._check()
            result = next(self._results)
            self._finished += 1
            self._tell("done", result.input)
        except BaseException:
            with contextlib.suppress(Exception):  # closing may fail too; the first error is raised
                self.close()
            raise
        return result

    def _check(self) -> None:
        Reporter(cancel=self._cancel).check()

    def _tell(self, stage: Stage, name: str | None) -> None:
        if self._progress is not None:
            share = self._finished / len(self) if len(self) else 0.0  # 0: the number of pictures is unknown
            self._progress(Progress(stage, share, name))

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def close(self) -> None:
        """End the run. Finished files stay written and recorded; no file is left incomplete."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._results is not None:
                self._results.close()  # type: ignore[attr-defined]
        finally:
            if self._manifest is not None:
                self._manifest.close()
            else:
                self._forget_trials()
            if self._unmet:
                self._remove_created()

    def discard(self) -> None:
        """End the run before its first result, and remove the manifest and the empty folders that it made."""
        self._unmet = True
        self.close()

    def _remove_created(self) -> None:
        """Remove the manifest that the run created, and the folders that it created and that are empty."""
        for place in sorted(set(self._created), key=len, reverse=True):  # folders come after their contents
            with contextlib.suppress(OSError):
                if os.path.isdir(place):
                    os.rmdir(place)
                else:
                    os.unlink(place)

    def _prepare_pool(
        self, jobs: int | None, executor: Executor | None, in_flight: int | None, threads_only: bool
    ) -> None:
        self._elsewhere = executor is not None
        if executor is not None:
            if self.options.threads is None:
                self.options = replace(self.options, threads=1)
            self._make_pool = lambda: Executed(executor, in_flight or in_flight_of(executor))
            return
        count = min(jobs or default_threads(), max(1, len(self.tasks)))
        if count > 1 and self.options.threads is None:
            self.options = replace(self.options, threads=1)
        if threads_only:
            self._make_pool = lambda: Threads(count)
            return

        def processes() -> Pool:
            _warm(self.options)  # compiles the kernels once, instead of in every worker
            free = memory.available()
            budget = None if free is None or count == 1 else int(free * _SHARE_OF_MEMORY)
            wanted = partial(memory.wanted, self.options)
            return Processes(count, budget, wanted, self._delivery.storage_options)

        self._make_pool = processes

    def _prepare_total(
        self, total_bytes: int | None, total_bpp: float | None, equal_slope: bool, in_place: bool
    ) -> None:
        """Prepare the fit of the set into a total size, which is skipped if the manifest has its result."""
        areas = [memory.pixels(task, self._delivery.storage_options, exact=True) for task in self.tasks]
        limit = total_bytes if total_bytes is not None else int((total_bpp or 0.0) * sum(areas) / 8)
        self._budget = Budget(limit, areas, equal_slope=equal_slope)
        # In place, the identities of finished files change after the search, so they are not hashed.
        names = sorted((key(task.input), "" if in_place else task.identity) for task in self.tasks)
        wish = json.dumps(["targets", limit, equal_slope, options_hash(self.options), __version__, names])
        self._total_hash = hashlib.sha256(wish.encode("utf-8", "surrogatepass")).hexdigest()

    def _options_of(self, task: Task) -> Options:
        return self._with_target(self._targets.get(key(task.input)))

    def _with_target(self, target: tuple[str, float] | None) -> Options:
        if target is None or not isinstance(self.options, OptimizeOptions):
            return self.options
        return self.options.replace(**dict([target]))

    def _skip_finished(self, destination: str | None) -> None:
        assert self._manifest is not None
        searched: dict[str, str] = {}
        if self._budget is not None:
            known = self._manifest.budget(self._total_hash)
            if known is None:
                return  # the search repeats its passes with the stored encodes, and goes on from there
            self._targets = {file: (name, value) for file, (name, value) in known["targets"].items()}
            self.fit = Fit(**known["fit"])
            searched = known["files"]
        remote = None
        if destination is not None and storage.is_url(destination):
            remote = storage.sizes_below(destination, self._delivery.storage_options)
        left = []
        for task in self.tasks:
            row = self._manifest.find(task.input)
            if row is not None and _is_done(row, task, options_hash(self._options_of(task)), remote):
                self.earlier.append(row.result)
            else:
                left.append(task)
        if any(searched.get(key(task.input), task.identity) != task.identity for task in left):
            # Files were changed since the search, so the targets that it found need not meet the total.
            self._targets, self.fit, self.earlier = {}, None, []
            return
        self.tasks = left

    def _work(self) -> Iterator[Result]:
        for broken in self._unreadable:
            yield Result(status="failed", input=broken.input, error=broken.reason)
        if self._budget is None or not self.tasks:
            yield from self._copies()
        if self._budget is not None:
            self._trials = self._trials_folder()
            self._delivery = replace(self._delivery, trials=self._trials)
        if not self.tasks:
            self._forget_trials()
            return
        assert self._make_pool is not None
        pool = self._make_pool()
        try:
            if self._budget is not None and self.fit is None:
                try:
                    self._search(self._budget, pool)
                except TargetError:
                    self._forget_trials()
                    self._unmet = True
                    raise
            if self._budget is not None:
                yield from self._copies()  # after the search: if that fails, nothing is written
            check = None if self._cancel is None else self._check
            for task, outcome in drive(self.tasks, self._options_of, self._delivery, pool, check):
                self._check_destination()
                options = self._options_of(task)
                done = settle(task, outcome, options)
                if self._manifest is not None:
                    self._manifest.put(
                        task.input,
                        done.identity,
                        options_hash(options),
                        done.output,
                        done.output_size,
                        done.output_mtime,
                        done.result,
                    )
                yield done.result
            self._forget_trials()
        finally:
            pool.close()

    def _copies(self) -> Iterator[Result]:
        """Copy the files that are not pictures."""
        for other in self._to_copy():
            self._check_destination()
            yield copy(other, storage.join(self._copy_to or "", other.relative), self._delivery)

    def _check_destination(self) -> None:
        """Raise FileNotFoundError if the destination no longer exists, which ends the run."""
        folder = self._delivery.destination
        if folder is None or not self._delivery.write or storage.is_url(folder) or os.path.isdir(folder):
            return
        raise FileNotFoundError(errno.ENOENT, "the folder of the results is gone", folder)

    def _search(self, budget: Budget, pool: Pool) -> None:
        """Search for the targets at which the set meets its total."""
        measuring = replace(self._delivery, measure=True)
        check = None if self._cancel is None else self._check
        encodes = 0
        while (aims := budget.propose()) is not None:
            before = budget.best
            plan = dict(zip(self.tasks, aims, strict=True))
            self._targets = {key(task.input): aim.target for task, aim in plan.items()}
            made: dict[Task, Encoded] = {}
            for task, outcome in drive(self.tasks, self._options_of, measuring, pool, check):
                result = settle(task, outcome, self._options_of(task)).result
                made[task] = encoded(result)
                encodes += 1
                self._tell("search", task.input)
                if self.on_trial is not None:
                    self.on_trial(budget.passes + 1, plan[task].distance, result)
            budget.record(aims, [made[task] for task in self.tasks])
            # Remove the files of encodes that are not of the best attempt, to save space on the disk.
            if budget.best is before:
                self._forget(aims, before)
            elif before is not None:
                self._forget(before.aims, budget.best)
        self.fit = budget.fit(encodes)
        assert budget.best is not None
        self._targets = {
            key(task.input): aim.target for task, aim in zip(self.tasks, budget.best.aims, strict=True)
        }
        if self._manifest is not None:
            files = {key(task.input): task.identity for task in self.tasks}
            found = {"targets": self._targets, "fit": dataclasses.asdict(self.fit), "files": files}
            self._manifest.put_budget(self._total_hash, found)

    def _trials_folder(self) -> str | None:
        """Return the folder for kept encodes; None if workers on other machines could not open it."""
        shared = not self._delivery.in_place and not any(storage.is_url(t.output or "") for t in self.tasks)
        if self._elsewhere and not (self._manifest is not None and shared):
            return None
        if self._manifest is None:
            return tempfile.mkdtemp(prefix="guetzpy-")
        return f"{self._manifest.path}.trials"

    def _forget(self, aims: Iterable[Aim], best: Attempt | None) -> None:
        """Remove the data of the encodes of ``aims`` that are not part of the attempt ``best``."""
        if self._trials is None:
            return
        needed = (None,) * len(self.tasks) if best is None else best.aims
        for task, aim, other in zip(self.tasks, aims, needed, strict=True):
            if other is not None and aim.target == other.target:
                continue
            path = trials.path_of(self._trials, task, self._with_target(aim.target))
            with contextlib.suppress(OSError):
                trials.forget_data(path)

    def _forget_trials(self) -> None:
        if self._trials is not None:
            trials.forget_all(self._trials)


def _warm(options: Options) -> None:
    """Compile the kernels that the run needs, unless the cache has them."""
    if not isinstance(options, OptimizeOptions):
        load_kernels(options)
    elif modules := _jit.missing(unused(options.effort)):
        # If the processes that compile cannot be started or die, the workers compile what they need.
        with contextlib.suppress(OSError, ImportError, RuntimeError):
            for _ in warm_in_processes(min(4, default_threads()), modules):
                pass


def _is_done(row: Row, task: Task, options: str, remote: dict[str, int] | None) -> bool:
    if row.result.status == "failed" or row.version != __version__ or row.options != options:
        return False
    if row.identity != task.identity:
        return False
    if task.output == task.input:
        return row.output == key(task.input)  # in place, row.identity is that of the output
    place = next((place for place in (task.output, task.copy) if place and key(place) == row.output), None)
    if place is None:
        return False
    if remote is not None:  # a listing has no signs of contents that are the same in all stores
        return remote.get(place) == row.output_size
    try:
        state = os.stat(place)
    except OSError:
        return False
    if row.output_mtime is None or state.st_size != row.output_size:
        return False
    return abs(state.st_mtime_ns - row.output_mtime) < _SAME_TIME
