"""Processing of one file of a run in a worker process: reading, encoding, writing.

A file that cannot be processed gives a result with the status "failed"; no exception leaves :func:`process`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO

from guetzpy import api
from guetzpy._runtime import kernel as _jit
from guetzpy._runtime.memory import keep_freed
from guetzpy._runtime.processes import before_end
from guetzpy.batch import backup, storage, trials
from guetzpy.batch.foreign import refuse_foreign
from guetzpy.batch.tasks import NAMED, Task
from guetzpy.errors import UnsupportedError, explain
from guetzpy.options import OptimizeOptions, TranscodeOptions, target_of
from guetzpy.result import Result

__all__ = ["Delivery", "Done", "load_kernels", "process", "put", "ready", "start"]

#: Held while a file is written, so that a worker does not end during a write when its parent has ended.
_writing = threading.Lock()

# Seconds that a worker waits for a write after its parent ended. It must end within 2 s of its parent.
_LAST_WRITE = 1.5


@dataclass(frozen=True)
class Delivery:
    """Where and how outputs are written.

    Attributes
    ----------
    write : bool
        Whether outputs are written.
    in_place : bool
        Whether outputs replace their inputs. A file whose bytes would not change is not written.
    destination : str, optional
        Folder or URL below which outputs are written, unless ``in_place``. None: beside the inputs.
    backup : str, optional
        With ``in_place``: folder or URL below which originals are kept under their relative names.
    preserve : bool
        Whether outputs take the mode and times of their inputs.
    keep_data : bool
        Whether results contain ``data``.
    storage_options : mapping, optional
        Options for fsspec.
    trials : str, optional
        Folder of the encodes made while the set was fitted into a total size. They are not made again.
    measure : bool
        Whether to encode only: the encode is stored in ``trials`` and its result is returned without data.
    """

    write: bool = True
    in_place: bool = False
    destination: str | None = None
    backup: str | None = None
    preserve: bool = False
    keep_data: bool = False
    storage_options: Mapping[str, Any] | None = None
    trials: str | None = None
    measure: bool = False


@dataclass(frozen=True)
class Done:
    """The result of a file, and what the manifest records with it about its input and its output."""

    result: Result
    identity: str
    output: str | None = None
    output_size: int | None = None
    output_mtime: int | None = None


def start() -> None:
    """Prepare a worker process. If its parent ends, the worker finishes a write before it ends too."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # max_pixels is checked before Pillow decodes
    warnings.filterwarnings("ignore", module=r"PIL\.")
    keep_freed()
    before_end.append(partial(_writing.acquire, timeout=_LAST_WRITE))


def ready(options: OptimizeOptions | TranscodeOptions) -> None:
    """Load the kernels if files have a timeout, so that the timeout does not include loading."""
    if options.timeout is not None:
        load_kernels(options)


def load_kernels(options: OptimizeOptions | TranscodeOptions) -> None:
    """Load the kernels that these options need from the cache, or compile them."""
    names = None
    if isinstance(options, OptimizeOptions):
        _jit.import_kernels()
    else:
        importlib.import_module("guetzpy.jpeg.transcode")
        names = [name for name in _jit.kernels() if name.startswith("guetzpy.jpeg.")]
    for _ in _jit.warm(names):
        pass


def process(task: Task, options: OptimizeOptions | TranscodeOptions, delivery: Delivery) -> Done:
    """Process one file. An error gives a result with the status "failed"."""
    identity = task.identity
    kept = trials.path_of(delivery.trials, task, options) if delivery.trials is not None else None
    try:
        if delivery.measure:
            return Done(_measure(task, options, delivery, kept), identity)
        data, entry, state = _read(task, options, delivery)
        identity = entry.identity
        made = trials.load(kept, with_data=True) if kept is not None else None
        result = made or _run(task, data, options)
        place = _place(task, result, delivery)
        if place is not None:
            if delivery.destination is None and not delivery.in_place:
                refuse_foreign(place, data, result.data, options, delivery.storage_options)
            identity = _deliver(task, result, place, data, state, identity, delivery)
    except Exception as error:  # one bad file must not end the run
        text = explain(error, task.input)
        return Done(Result.of_failure(error, text, task.input, target_of(options)), identity)
    size = len(result.data)
    kept_data = result.data if delivery.keep_data else b""
    made_now = replace(result, output=place, data=kept_data)
    if place is None:
        return Done(made_now, identity)
    return Done(made_now, identity, place, size, _mtime_of(place, delivery))


def _mtime_of(place: str, delivery: Delivery) -> int | None:
    """Return the time of a written file; None for a URL, and in place, where the input's identity has it."""
    if delivery.in_place or storage.is_url(place):
        return None
    try:
        return os.stat(place).st_mtime_ns
    except OSError:  # it is gone already, so that --resume makes it again
        return None


def _read(
    task: Task, options: OptimizeOptions | TranscodeOptions, delivery: Delivery
) -> tuple[bytes, storage.Entry, os.stat_result | None]:
    return storage.read(
        task.input, delivery.storage_options, max_input=options.max_input, max_memory=options.max_memory
    )


def _measure(
    task: Task, options: OptimizeOptions | TranscodeOptions, delivery: Delivery, path: str | None
) -> Result:
    made = trials.load(path, with_data=False) if path is not None else None
    if made is not None:
        return made
    data, _, _ = _read(task, options, delivery)
    result = _run(task, data, options)
    if path is not None:
        with (
            contextlib.suppress(OSError),
            _writing,
        ):  # if it cannot be stored (full disk, folder of another machine), it is encoded again later
            trials.save(path, result)
    return replace(result, data=b"")


def _run(task: Task, data: bytes, options: OptimizeOptions | TranscodeOptions) -> Result:
    """Return the result for a file's data. A picture that is not a JPEG is kept if its JPEG would be larger.

    A picture of a kind that guetzpy does not handle is kept too, except in these cases, which raise its
    error: the first bytes are of no picture, an extra that is not installed would handle it, or the file
    breaks an option (see :func:`_must_change`).
    """
    try:
        result = api.run(data, options, name=task.input)
    except UnsupportedError as error:
        if task.kind in ("unknown", NAMED) or error.extra is not None or _must_change(task, data, options):
            raise
        return _kept(task, data, error.reason, options)
    if task.kind in ("jpeg", NAMED):
        return result
    if result.larger_than_source and (fault := _fault_of_source(data, options, result)):
        note = f"the JPEG is larger than the source, which was not kept as it {fault}"
        return replace(result, warnings=(*result.warnings, note))
    if result.larger_than_source:
        return replace(_kept(task, data, "a JPEG of it would be larger", options), seconds=result.seconds)
    return result


def _fault_of_source(data: bytes, options: OptimizeOptions | TranscodeOptions, result: Result) -> str | None:
    """Return which option a source that is not a JPEG would break if it was kept; None if it breaks none."""
    if result.removed:
        return f"has metadata to remove: {', '.join(result.removed)}"
    if not isinstance(options, OptimizeOptions) or not (options.to_srgb or options.fit):
        return None
    from guetzpy.engine.loading import load

    try:
        source = load(
            data, max_pixels=options.max_pixels, max_input=options.max_input, background=options.background
        )
    except UnsupportedError:  # CMYK, of which only the conversion makes a JPEG
        return "is not sRGB"
    if options.to_srgb and not source.transform.is_srgb:
        return "is not sRGB"
    return None if (source.width, source.height) == (result.width, result.height) else "is to be made smaller"


def _must_change(task: Task, data: bytes, options: OptimizeOptions | TranscodeOptions) -> bool:
    """Return whether a file that is kept as it is would break an option.

    An option may ask for metadata to be removed, for a baseline file, for a smaller picture, or for a smaller
    file. The kept file would do none of these.
    """
    if options.strip or set(options.keep) - {"all"}:
        return True
    if not options.progressive and task.kind == "jpeg":
        return True
    if not isinstance(options, OptimizeOptions):
        return False
    if options.max_bytes is not None and len(data) > options.max_bytes:
        return True
    return options.fit is not None or options.bpp is not None


def _kept(task: Task, data: bytes, reason: str, options: OptimizeOptions | TranscodeOptions) -> Result:
    size = len(data)
    return Result(
        data=data,
        status="kept",
        reason=reason,
        input=task.input,
        bytes_before=size,
        bytes_after=size,
        target=target_of(options),
        effort=options.effort if isinstance(options, OptimizeOptions) else None,
        distance=0.0,
        butteraugli_3norm=0.0,
        butteraugli_max=0.0,
        ssimulacra2=100.0,
    )


def _place(task: Task, result: Result, delivery: Delivery) -> str | None:
    if not delivery.write:
        return None
    own_kind = task.kind not in ("jpeg", NAMED) and result.status == "kept"
    return task.copy if own_kind else task.output


def _deliver(
    task: Task,
    result: Result,
    place: str,
    data: bytes,
    state: os.stat_result | None,
    identity: str,
    delivery: Delivery,
) -> str:
    """Write an output, and return the identity of the input after that (changed if the input is replaced)."""
    if delivery.in_place:
        if result.data == data:
            return identity
        with _writing:
            withdraw = None
            if delivery.backup is not None:
                withdraw = backup.keep(
                    task.input, task.relative, data, result.data, delivery.backup, delivery.storage_options
                )
            try:
                storage.write(
                    place, result.data, delivery.storage_options, expected=state, keep_times=delivery.preserve
                )
            except BaseException:
                if withdraw is not None:
                    withdraw()
                raise
        return storage.state(place, delivery.storage_options).identity
    with _writing:
        put(task.input, result.data, place, delivery)
    return identity


def put(source: str, data: bytes | BinaryIO, place: str, delivery: Delivery) -> None:
    """Write the output of a source to ``place`` below the destination."""
    remote = storage.is_url(place) or storage.is_url(source)
    storage.write(
        place,
        data,
        delivery.storage_options,
        like=source if delivery.preserve and not remote else None,
        keep_times=delivery.preserve,
        below=delivery.destination,
    )
