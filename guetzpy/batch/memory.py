"""Estimates of the memory that a picture needs, and the memory that is available."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guetzpy.batch import storage
from guetzpy.batch.tasks import Task
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.picture.pillow import size_of
from guetzpy.search.plan import packing_memory, search_memory

__all__ = ["PER_WORKER", "available", "pixels", "wanted"]

#: Bytes that a worker process needs besides its picture: interpreter, libraries and compiled kernels
#: (measured).
PER_WORKER = 200_000_000

# Pixels per byte of a strongly compressed JPEG, for files whose header is not or cannot be read.
_PIXELS_A_BYTE = 20


def wanted(options: OptimizeOptions | TranscodeOptions, area: int) -> int:
    """Return the peak memory, in bytes, of processing a picture of ``area`` pixels.

    A JPEG of this size needs more than other pictures; its peak is returned for all kinds.
    """
    if isinstance(options, OptimizeOptions):
        return search_memory(area, options.effort, coefficients=True)
    return packing_memory(area)


def available() -> int | None:
    """Return the bytes of memory that the system and the container have available; None if unknown."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            limits.append(int(limit) - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass  # not in a container, or not on Linux
    if not limits and hasattr(os, "sysconf"):
        try:
            limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
        except (OSError, ValueError):
            pass
    return max(0, min(limits)) if limits else None


def pixels(task: Task, storage_options: Mapping[str, Any] | None = None, *, exact: bool = False) -> int:
    """Return a picture's number of pixels from its header, or an estimate from its size in bytes.

    Parameters
    ----------
    task : Task
        The picture.
    storage_options : mapping, optional
        Options for fsspec.
    exact : bool
        Whether the header of a URL is read too. Otherwise the number is estimated, without network access.
    """
    guess = task.size * _PIXELS_A_BYTE
    remote = storage.is_url(task.input)
    if remote and not exact:
        return guess
    try:
        with storage.open_binary(task.input, storage_options) as stream:
            width, height = size_of(stream)
    except Exception:  # the worker reports the error when it reads the file
        return guess
    return width * height
