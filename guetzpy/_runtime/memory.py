"""The machine's memory, and what becomes of memory that is freed."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

__all__ = ["keep_freed", "physical", "prepare_for"]


def physical() -> int | None:
    """Return the bytes of memory that the machine, or its container, has; None if unknown."""
    limits = []
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # Windows
        pass
    try:
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or "max"
        pass
    return min((limit for limit in limits if limit > 0), default=None)


def keep_freed() -> bool:
    """Let this process keep memory that it frees, for the next picture; return whether it can.

    To give it back and fetch it anew at every array costs a quarter of a search's time, on virtual
    machines more. Only for processes that guetzpy starts: the command line's and a folder's workers. The
    allocator of a program that calls the API is that program's to set.
    """
    global _ours
    _ours = True
    return _set_thresholds(_KEPT) and bool(_libc().mallopt(_ARENAS, 1))


def prepare_for(pixels: int | None) -> None:
    """Set how much freed memory is kept for the next picture, in a process of our own; else do nothing.

    Parameters
    ----------
    pixels : int or None
        Of the picture; None for work that must take little memory.
    """
    global _largest
    if not _ours:
        return
    held = pixels is not None and pixels <= _HELD
    if not held or _largest > 2 * (pixels or 0):  # no more is kept than the picture may need
        if _set_thresholds(*((_SMALL, _SMALL) if pixels is None else (_KEPT,))):
            _libc().malloc_trim(0)
        _largest = 0
    if held:
        _largest = max(_largest, pixels or 0)
        _set_thresholds(_MOST, mapped_at_once=0)


# The largest array that glibc can be told to map by itself.
_MAPPED = 32 << 20
_KEPT = 512 << 20
_SMALL = 4 << 20
# As much as mallopt takes. Arrays of pictures up to so many pixels come from the heap, whatever their size:
# mapped ones are fetched anew at each use, which on virtual machines took a third of a search of 12 MP, a
# quarter of one of 2 MP.
_MOST = (2 << 30) - 1
_HELD = 25_000_000
# M_ARENA_MAX of malloc.h: one heap for all threads, so that none fetches and keeps memory of its own. numpy
# allocates under the interpreter's lock, so that threads do not wait for each other.
_ARENAS = -8
# As many as glibc maps if nobody says otherwise.
_MAPS = 65536

_ours = False
#: Pixels of the largest picture since memory was given back.
_largest = 0


@functools.cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def _set_thresholds(trim: int, mapped: int = _MAPPED, mapped_at_once: int = _MAPS) -> bool:
    """Set how much free memory the heap keeps at its end, and how many arrays are mapped, from what size on.

    Returns whether that can be set here.
    """
    trim_threshold, mmap_threshold, mmap_max = -1, -3, -4  # malloc.h
    try:
        mallopt = _libc().mallopt
        wanted = (mmap_threshold, mapped), (mmap_max, mapped_at_once), (trim_threshold, trim)
        return all(mallopt(name, value) for name, value in wanted)
    except (AttributeError, OSError, TypeError):  # another C library
        return False
