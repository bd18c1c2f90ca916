"""The machine's memory, and how much freed memory a process keeps."""

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
    """Let this process keep the memory that it frees, for the next picture; return whether this is possible.

    Otherwise the allocator returns the memory of each array to the system and requests it again. This takes a
    quarter of the time of a search, and more on virtual machines. Call this function only in processes that
    guetzpy starts (the command line and the workers of a folder), since a program that calls the API sets its
    own allocator.
    """
    global _ours
    _ours = True
    return _set_thresholds(_KEPT) and bool(_libc().mallopt(_ARENAS, 1))


def prepare_for(pixels: int | None) -> None:
    """Set how much freed memory is kept for the next picture. Without :func:`keep_freed`, do nothing.

    Parameters
    ----------
    pixels : int or None
        Number of pixels of the picture; None for work that must take little memory.
    """
    global _largest
    if not _ours:
        return
    held = pixels is not None and pixels <= _HELD
    if not held or _largest > 2 * (pixels or 0):  # a far larger picture left more memory than this one needs
        if _set_thresholds(*((_SMALL, _SMALL) if pixels is None else (_KEPT,))):
            _libc().malloc_trim(0)
        _largest = 0
    if held:
        _largest = max(_largest, pixels or 0)
        _set_thresholds(_MOST, mapped_at_once=0)


# Largest value of glibc's M_MMAP_THRESHOLD. Larger arrays are mapped one by one, and glibc returns their
# memory to the system when they are freed.
_MAPPED = 32 << 20
# Bytes of free memory that the heap keeps: usually, and for work that must take little memory.
_KEPT = 512 << 20
_SMALL = 4 << 20
# Largest value that mallopt accepts.
_MOST = (2 << 30) - 1
# Arrays of pictures up to this many pixels are taken from the heap, whatever their size. A mapped array is
# requested from the system at each use, which took a third of the time of a search of 12 MP on virtual
# machines, and a quarter of one of 2 MP.
_HELD = 25_000_000
# M_ARENA_MAX of malloc.h. With one heap for all threads, no thread keeps memory of its own. Threads do not
# wait for each other, because numpy allocates under the interpreter's lock.
_ARENAS = -8
# glibc's default number of mapped arrays (M_MMAP_MAX).
_MAPS = 65536

_ours = False
#: Number of pixels of the largest picture since memory was last returned to the system.
_largest = 0


@functools.cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def _set_thresholds(trim: int, mapped: int = _MAPPED, mapped_at_once: int = _MAPS) -> bool:
    """Set glibc's thresholds for freed memory; return whether the C library accepts them.

    Parameters
    ----------
    trim : int
        Bytes of free memory that the heap keeps at its end.
    mapped : int
        Arrays of at least this number of bytes are mapped one by one.
    mapped_at_once : int
        Largest number of mapped arrays.
    """
    trim_threshold, mmap_threshold, mmap_max = -1, -3, -4  # malloc.h
    try:
        mallopt = _libc().mallopt
        wanted = (mmap_threshold, mapped), (mmap_max, mapped_at_once), (trim_threshold, trim)
        return all(mallopt(name, value) for name, value in wanted)
    except (AttributeError, OSError, TypeError):  # another C library
        return False
