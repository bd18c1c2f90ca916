"""How much memory a picture may take: refused before it is taken, never found out by a crash."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guetzpy.errors import LimitError

__all__ = [
    "check_decoding",
    "check_memory",
    "frugally",
    "giving_back",
    "keep_freed",
    "lean",
    "packing",
    "physical",
    "reusing",
    "searching",
    "sparing",
]

# Bytes at the peak of a search, by a pixel and besides, up to so many megapixels; measured with two threads
# at 2.5, 12, 24 and 100 MP with room for 4:4:4. Small pictures' gradients are taken whole, larger ones' by
# windows, and of the largest the metrics keep nothing of the reference.
_FAST = ((12.5, 220, 0), (float("inf"), 46, 700_000_000))
_SEARCH = ((2.7, 400, 0), (12.5, 220, 0), (float("inf"), 46, 900_000_000))
#: What the weights of several rounds take besides.
_ROUNDS = 40

#: The same for a lossless repack and its checks: coefficients three times, pixels four times.
_PACKING = 36

#: The same for pixels of 8 bits that are decoded and converted: as Pillow has them, and two copies.
_DECODING = 12

#: The same for a search that spares memory: by a pixel, besides, and by a pixel of the windows that
#: Butteraugli works on, of so many rows with their margins. Measured with 4:4:4 at 8 and 12 MP.
_SPARING = 32, 40_000_000, 75, 202
#: And for one of a JPEG's coefficients, by metrics that keep nothing; measured with 4:4:4 at 2 and 4 MP.
_OF_COEFFICIENTS = 66, 83_000_000, 250, 276

#: A file of fewer bytes is taken for worth so much memory, however many pixels it has. (A photograph of
#: so few bytes is small; blank pages, drawings and bombs need not be.)
_FEW_BYTES, _FOR_FEW_BYTES = 500_000, 500_000_000
#: Pixels of such a file that is no JPEG, so that a search of them ends within ten seconds.
_MOST_FOR_FEW_BYTES = 9_000_000
#: What the usual search may take for it by the table above, which leaves out what libraries take at first;
#: and what it may take where its metrics alone need to spare memory.
_USUAL_FOR_FEW_BYTES, _LEAN_FOR_FEW_BYTES = 370_000_000, 500_000_000


def packing(pixels: int) -> int:
    """Return the bytes that a lossless repack takes at its peak."""
    return pixels * _PACKING


def searching(pixels: int, effort: str) -> int:
    """Return the bytes that a search takes at its peak."""
    table = _FAST if effort == "fast" else _SEARCH
    by_pixel, besides = next((by, more) for most, by, more in table if pixels <= most * 1e6)
    return pixels * (by_pixel + (_ROUNDS if effort == "max" else 0)) + besides


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


def sparing(width: int, height: int, effort: str = "balanced", *, coefficients: bool = False) -> int:
    """Return the bytes that a search takes at its peak when it spares memory."""
    by_pixel, besides, by_window, rows = _OF_COEFFICIENTS if coefficients else _SPARING
    if coefficients and effort == "max":
        by_pixel += _ROUNDS
    return width * height * by_pixel + besides + width * min(height, rows) * by_window


def check_memory(pixels: int, wanted: int, ceiling: int | None, name: str | None = None) -> None:
    """Raise LimitError if work on so many pixels wants more than the ceiling (default: all there is)."""
    allowed = physical() if ceiling is None else ceiling
    if allowed is not None and wanted > allowed:
        words = "that are there; --max-memory (max_memory) is the limit to set"
        if ceiling is not None:
            words = "that are allowed by --max-memory (max_memory)"
        raise _too_much(pixels, wanted, allowed, words, name)


def check_decoding(pixels: int, file_size: int | None, ceiling: int | None = None) -> None:
    """Raise LimitError if a picture takes too much memory to be decoded and converted, whatever follows.

    Files of few bytes get little, as for :func:`frugally`.
    """
    wanted = pixels * _DECODING
    if file_size is not None and file_size < _FEW_BYTES and ceiling is None and wanted > _FOR_FEW_BYTES:
        few = f"for a file of only {file_size} bytes; --max-memory (max_memory) allows more"
        raise _too_much(pixels, wanted, _FOR_FEW_BYTES, few, None)
    check_memory(pixels, wanted, ceiling)


def frugally(
    width: int,
    height: int,
    effort: str,
    ceiling: int | None,
    file_size: int | None,
    name: str | None = None,
    *,
    coefficients: bool = False,
) -> bool:
    """Return whether a search must spare memory.

    It does under a ceiling that is asked for, and for files of few bytes, which get little unless a ceiling
    says otherwise. The memory of the machine has no say: results shall not depend on it.

    Parameters
    ----------
    width, height : int
        Of the picture.
    effort : str
        Of the search.
    ceiling : int, optional
        Bytes that may be taken.
    file_size : int, optional
        Bytes of the file; None for pictures that come from none.
    name : str, optional
        For the message.
    coefficients : bool
        Whether they are a JPEG's, which are searched as ever.

    Raises
    ------
    LimitError
        It would take too much even so.
    """
    pixels = width * height
    usual = searching(pixels, effort)
    wanted = sparing(width, height, effort, coefficients=coefficients)
    small = file_size is not None and file_size < _FEW_BYTES and ceiling is None
    if not small:
        if ceiling is None or usual <= ceiling:
            check_memory(pixels, usual, ceiling, name)
            return False
        check_memory(pixels, wanted, ceiling, name)
        return True
    if usual <= _USUAL_FOR_FEW_BYTES:
        return False
    if wanted > _FOR_FEW_BYTES:
        few = f"for a file of only {file_size} bytes; --max-memory (max_memory) allows more"
        raise _too_much(pixels, wanted, _FOR_FEW_BYTES, few, name)
    if pixels > _MOST_FOR_FEW_BYTES and not coefficients:
        error = LimitError(
            f"{pixels / 1e6:.1f} megapixels in a file of only {file_size} bytes, more than the"
            f" {_MOST_FOR_FEW_BYTES / 1e6:g} that are searched; --max-memory (max_memory) allows more"
        )
        error.name = name
        raise error
    check_memory(pixels, wanted, None, name)
    return True


def lean(width: int, height: int, effort: str, ceiling: int | None) -> bool:
    """Return whether it does for pixels that must spare memory that the metrics keep nothing."""
    return ceiling is None and searching(width * height, effort) <= _LEAN_FOR_FEW_BYTES


def _too_much(pixels: int, wanted: int, allowed: int, words: str, name: str | None) -> LimitError:
    error = LimitError(
        f"{pixels / 1e6:.1f} megapixels would take about {wanted / 1e9:.3g} GB of memory,"
        f" more than the {allowed / 1e9:.3g} GB {words}"
    )
    error.name = name
    return error


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
    global _lock, _waiting
    _lock, _waiting = threading.Lock(), None


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
