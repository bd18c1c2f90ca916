"""How much memory a picture may take: refused before it is taken, never found out by a crash."""

from __future__ import annotations

import os
from pathlib import Path

from guetzpy.errors import LimitError

__all__ = ["PACKING", "SEARCH", "check_memory", "physical"]

#: Bytes a pixel at the peak of a search, by effort (measured with two threads on 1.5 and 2.3 MP).
SEARCH = {"fast": 220, "balanced": 520, "max": 520}
#: The same for a lossless repack and its checks: coefficients three times, pixels four times.
PACKING = 36


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


def check_memory(pixels: int, per_pixel: int, ceiling: int | None, name: str | None = None) -> None:
    """Raise LimitError if work on so many pixels takes more than the ceiling (default: all there is)."""
    allowed = physical() if ceiling is None else ceiling
    wanted = pixels * per_pixel
    if allowed is not None and wanted > allowed:
        error = LimitError(
            f"{pixels / 1e6:.1f} megapixels would take about {wanted / 1e9:.2g} GB of memory,"
            f" more than the {allowed / 1e9:.2g} GB that are {'there' if ceiling is None else 'allowed'}"
        )
        error.name = name
        raise error
