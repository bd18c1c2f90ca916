"""The machine's memory, and what becomes of memory that is freed."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["giving_back", "keep_freed", "physical", "reusing"]


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
    machines more. For processes that are ours alone: the command line's and a folder's workers.
    """
    global _ours
    _ours = True
    return _set_thresholds(_KEPT)


@contextlib.contextmanager
def reusing(pixels: int) -> Iterator[None]:
    """Use freed memory again while pictures are worked on, in anybody's process; give it back soon after.

    Not at once: the next picture of a loop would have to fetch it anew, which is a tenth of its time, and
    of a large one a third. Pictures of less than half the size of one before find no more held than they
    may need.
    """
    global _largest, _working
    with _lock:
        _working += 1
        if _working == 1:
            _expect()
            held = pixels <= _HELD
            if (_largest > 2 * pixels or not held) and _set_thresholds(_KEPT):
                _libc().malloc_trim(0)
                _largest = 0
            _largest = max(_largest, pixels)
            if held:
                _set_thresholds(_MOST, mapped_at_once=0)
    try:
        yield
    finally:
        with _lock:
            _working -= 1
            if _working == 0 and not _ours:
                if _largest < _LARGE and _free() > _WAITS:
                    _libc().malloc_trim(_WAITS)
                _expect(_IDLE)


@contextlib.contextmanager
def giving_back() -> Iterator[None]:
    """Give freed memory back at once while a picture is worked on that shall take little of it."""
    global _largest
    with _lock:
        if _working == 0:
            _expect()
            if _set_thresholds(_SMALL, _SMALL):
                _libc().malloc_trim(0)
                _largest = 0
    try:
        yield
    finally:
        with _lock:
            if _working == 0:
                _set_thresholds(_KEPT if _ours else _USUAL)


def _expect(seconds: float | None = None) -> None:
    """Give memory back after so many seconds in which no picture is worked on; None: call that off."""
    global _waiting
    if _waiting is not None:
        _waiting.cancel()
        _waiting = None
    if seconds is not None:
        _waiting = threading.Timer(seconds, _give_back)
        _waiting.daemon = True
        try:
            _waiting.start()
        except RuntimeError:  # the interpreter is about to end, or threads are out
            _waiting = None
            _restore()


def _give_back() -> None:
    with _lock:
        if _working == 0 and not _ours and threading.current_thread() is _waiting:
            _restore()


def _begin_anew() -> None:
    """Free a forked process of a lock that a thread held which it does not have."""
    global _lock, _waiting, _working
    _lock, _waiting, _working = threading.Lock(), None, 0


def _restore() -> None:
    global _largest
    _largest = 0
    if _set_thresholds(_USUAL):
        _libc().malloc_trim(0)


# glibc takes no larger threshold for arrays that it maps by themselves, and goes up to this one and twice as
# much by itself when such arrays are freed: what is left behind is what many programs end up with.
_MAPPED = 32 << 20
_USUAL = 2 * _MAPPED
_KEPT = 512 << 20
_SMALL = 4 << 20
# As much as mallopt takes. Arrays of pictures up to so many pixels come from the heap, whatever their size:
# mapped ones are fetched anew at each use, which on virtual machines took a third of a search of 12 MP, a
# quarter of one of 2 MP.
_MOST = (2 << 30) - 1
_HELD = 25_000_000
# In anybody's process not more than this waits for the next picture, but after a large one.
_WAITS = 400_000_000
_LARGE = 5_000_000
# As many as glibc maps if nobody says otherwise.
_MAPS = 65536

#: Seconds without a picture after which freed memory is given back.
_IDLE = 0.5

_lock = threading.Lock()
_working = 0
#: Pixels of the largest picture since memory was given back.
_largest = 0
_waiting: threading.Timer | None = None
_ours = False

if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_anew)


@functools.cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def _free() -> int:
    """Return the bytes that the allocator holds and nobody uses; 0 where it does not tell."""
    import ctypes

    class Information(ctypes.Structure):
        """As in malloc.h."""

        _fields_ = [
            (name, ctypes.c_size_t)
            for name in (
                "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
                "keepcost",
            )
        ]  # fmt: skip

    try:
        tell = _libc().mallinfo2
    except (AttributeError, OSError, TypeError):  # another C library, or an old one
        return 0
    tell.restype = Information
    return int(tell().fordblks)


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
