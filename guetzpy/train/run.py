"""The work of a training run: tasks in worker processes, a checkpoint, progress and a limit of time.

A fit is a sequence of stages. Each stage is a list of tasks that depend on nothing but their arguments, which
the fit chooses from the results of earlier stages. Results are therefore the same for every number of
processes. They are written to the checkpoint. After a stop, a run with the same pictures and
settings takes them from there and does only the other tasks.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from guetzpy._runtime.processes import Worker
from guetzpy.errors import FormatError
from guetzpy.model.file import Part
from guetzpy.train.pictures import Picture

__all__ = ["Outcome", "Run", "read_checkpoint"]

T = TypeVar("T")

#: First line of a checkpoint, with the digest of the settings and pictures of the run.
_MARK = "guetzpy train 1"


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of the fit of one part.

    Attributes
    ----------
    name : str
        Name of the part.
    part : Part or None
        The part; None if it saves nothing on the pictures that are held out.
    figures : dict
        Figures of the pictures that are held out, as JSON can hold them.
    """

    name: str
    part: Part | None
    figures: dict[str, Any]


@dataclass
class Run:
    """A training run.

    Attributes
    ----------
    pictures : tuple of Picture
        All pictures, including those that are held out.
    seed : int
        Seed of all random numbers.
    quick : bool
        Whether fewer tasks are done.
    jobs : int
        Processes; with one, the tasks are done in this process.
    deadline : float
        Time of :func:`time.monotonic` after which no further optional task begins.
    checkpoint : str, optional
        File of finished tasks.
    done : dict
        Results of an earlier run, by stage and number: see :func:`read_checkpoint`.
    key : str
        Digest of the settings and pictures, by which a later run recognises its own checkpoint.
    progress : callable
        Called with the stage, the number of finished tasks, and the number of tasks of the stage.
    """

    pictures: tuple[Picture, ...]
    seed: int = 0
    quick: bool = False
    jobs: int = 1
    deadline: float = float("inf")
    checkpoint: str | None = None
    done: dict[tuple[str, int], Any] = field(default_factory=dict)
    key: str = ""
    progress: Callable[[str, int, int], object] = lambda stage, done, total: None

    @property
    def late(self) -> bool:
        """Whether the time of the run is over."""
        return time.monotonic() >= self.deadline

    def numbers(self, held_out: bool) -> list[int]:
        """Return the indices of the pictures that the fit uses, or of those that are held out."""
        return [n for n, picture in enumerate(self.pictures) if picture.held_out == held_out]

    def random(self, *names: str | int) -> np.random.Generator:
        """Return a generator whose random numbers depend only on the seed and some names."""
        text = json.dumps([self.seed, *names]).encode()
        return np.random.default_rng(list(text))

    def map(
        self,
        stage: str,
        function: Callable[..., T],
        tasks: Sequence[tuple[Any, ...]],
        *,
        optional: bool = False,
    ) -> list[T]:
        """Return ``function(*task)`` for each task, in order.

        Parameters
        ----------
        stage : str
            A name that no other stage of the run has.
        function : callable
            A function of a module. Its results must be what JSON can hold.
        tasks : sequence of tuple
            Arguments, which are pickled.
        optional : bool
            Whether tasks are left out when the time of the run is over. The results of the tasks before the
            first one left out are returned.
        """
        results: list[Any] = [self.done.get((stage, n)) for n in range(len(tasks))]
        missing = [n for n, result in enumerate(results) if result is None]
        finished = len(tasks) - len(missing)
        self.progress(stage, finished, len(tasks))
        for n, result in self._finished(function, tasks, missing, optional):
            results[n] = result
            finished += 1
            self._record(stage, n, result)
            self.progress(stage, finished, len(tasks))
        first = next((n for n, result in enumerate(results) if result is None), len(results))
        return results[:first]

    def _finished(
        self,
        function: Callable[..., Any],
        tasks: Sequence[tuple[Any, ...]],
        missing: Sequence[int],
        optional: bool,
    ) -> Iterator[tuple[int, Any]]:
        """Yield the number and the result of each missing task, in order."""
        if self.jobs == 1:
            for n in missing:
                if optional and self.late:
                    return
                yield n, function(*tasks[n])
            return
        workers: SimpleQueue[Worker] = SimpleQueue()
        started: list[Worker] = []

        def call(n: int) -> Any:
            if optional and self.late:
                return None
            worker = workers.get()
            try:
                return worker.call(function, *tasks[n])
            finally:
                workers.put(worker)

        threads = ThreadPoolExecutor(self.jobs)
        try:
            for _ in range(min(self.jobs, len(missing))):
                started.append(Worker())
                workers.put(started[-1])
            futures = [threads.submit(call, n) for n in missing]
            for n, future in zip(missing, futures, strict=True):
                result = future.result()
                if result is None:
                    break
                yield n, result
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for worker in started:
                worker.end()  # a call that has not ended raises an error
            threads.shutdown()
            for worker in started:
                worker.close()

    def _record(self, stage: str, number: int, result: Any) -> None:
        self.done[stage, number] = result
        if self.checkpoint is None:
            return
        is_new = not os.path.exists(self.checkpoint)
        with open(self.checkpoint, "a", encoding="ascii") as stream:
            if is_new:
                stream.write(json.dumps([_MARK, self.key]) + "\n")
            stream.write(json.dumps([stage, number, result]) + "\n")


def read_checkpoint(path: str, key: str) -> dict[tuple[str, int], Any]:
    """Return the results of a run that was stopped, by stage and number; none if there is no file.

    An incomplete last line, as a power cut leaves it, is removed from the file.

    Raises
    ------
    FormatError
        The file is not a checkpoint, or it is one of other pictures or settings.
    """
    try:
        with open(path, "rb") as stream:
            lines = stream.read().splitlines(keepends=True)
    except FileNotFoundError:
        return {}
    whole = [line for line in lines if line.endswith(b"\n")]
    try:
        first, *others = (json.loads(line) for line in whole)
        if first[0] != _MARK:
            raise ValueError
        found = {(stage, number): result for stage, number, result in others}
    except (ValueError, TypeError, LookupError):
        raise FormatError(f"{path}: not a checkpoint of guetzpy train, or damaged; remove it") from None
    if first[1] != key:
        raise FormatError(
            f"{path}: a checkpoint of other pictures, settings or versions; remove it to begin anew"
        )
    if len(whole) < len(lines):
        with open(path, "r+b") as stream:
            stream.truncate(sum(map(len, whole)))
    return found
