"""Estimates of the memory that pictures take, and the memory that is available."""

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

#: Interpreter, libraries and compiled kernels (measured: 200 MB).
PER_WORKER = 200_000_000

# For a file whose header gives no size: pixels a byte of a strongly compressed JPEG.
_PIXELS_A_BYTE = 20


def wanted(options: OptimizeOptions | TranscodeOptions, area: int) -> int:
    """Return the bytes that work on a picture of so many pixels takes at its peak."""
    if isinstance(options, OptimizeOptions):
        return search_memory(area, options.effort)
    return packing_memory(area)


def available() -> int | None:
    """Return the available bytes by the system and the container; None if unknown."""
    limits = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024)
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            limits.append(int(limit) - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no container, or no Linux
    if not limits and hasattr(os, "sysconf"):
        try:
            limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
        except (OSError, ValueError):
            pass
    return max(0, min(limits)) if limits else None


def pixels(task: Task, storage_options: Mapping[str, Any] | None = None, *, exact: bool = False) -> int:
    """Return a picture's number of pixels by its header, or a guess by its size.

    Parameters
    ----------
    task : Task
        The picture.
    storage_options : mapping, optional
        For fsspec.
    exact : bool
        Also read the header of a file that is not on this machine.
    """
    guess = task.size * _PIXELS_A_BYTE
    remote = storage.is_url(task.input)
    if remote and not exact:
        return guess
    try:
        with storage.open_binary(task.input, storage_options) as stream:
            width, height = size_of(stream)
    except Exception:  # the worker will say what is wrong with it
        return guess
    return width * height
