"""How much memory a picture may take: refused before it is taken, never found out by a crash."""

from __future__ import annotations

import os
from pathlib import Path

from guetzpy.errors import LimitError

__all__ = ["check_memory", "keep_freed", "packing", "physical", "searching"]

# Bytes a pixel at the peak of a search, up to so many megapixels, measured with two threads at 2.5, 12 and
# 24 MP with room for 4:4:4: small pictures' gradients are taken whole, larger ones' by windows, and of the
# largest the metrics keep nothing of the reference.
_FAST = ((12.5, 220), (float("inf"), 80))
_SEARCH = ((2.7, 400), (12.5, 220), (float("inf"), 105))
#: What the weights of several rounds take besides.
_ROUNDS = 40

#: The same for a lossless repack and its checks: coefficients three times, pixels four times.
_PACKING = 36


def packing(pixels: int) -> int:
    """Return the bytes that a lossless repack takes at its peak."""
    return pixels * _PACKING


def searching(pixels: int, effort: str) -> int:
    """Return the bytes that a search takes at its peak."""
    table = _FAST if effort == "fast" else _SEARCH
    per_pixel = next(bytes_ for most, bytes_ in table if pixels <= most * 1e6)
    return pixels * (per_pixel + (_ROUNDS if effort == "max" else 0))


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


def check_memory(pixels: int, wanted: int, ceiling: int | None, name: str | None = None) -> None:
    """Raise LimitError if work on so many pixels wants more than the ceiling (default: all there is)."""
    allowed = physical() if ceiling is None else ceiling
    if allowed is not None and wanted > allowed:
        error = LimitError(
            f"{pixels / 1e6:.1f} megapixels would take about {wanted / 1e9:.2g} GB of memory,"
            f" more than the {allowed / 1e9:.2g} GB that are {'there' if ceiling is None else 'allowed'}"
        )
        error.name = name
        raise error


def keep_freed() -> bool:
    """Let this process keep memory that it frees, for the next picture; return whether it can.

    To give it back and fetch it anew at every array costs a quarter of a search's time, on virtual
    machines more. For processes that are ours alone: the command line's and a folder's workers.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt  # glibc and musl; the numbers are those of malloc.h
    except (AttributeError, OSError, TypeError):
        return False
    trim_threshold, mmap_threshold = -1, -3
    # 32 MiB is the most that glibc takes; the larger planes of large pictures are given back at once.
    return bool(mallopt(mmap_threshold, 32 << 20)) and bool(mallopt(trim_threshold, 512 << 20))
