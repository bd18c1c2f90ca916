"""Totals of a run, and the histogram of its savings."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from guetzpy.result import Result

__all__ = ["histogram", "totals"]

_BINS = 5
_STATUSES = ("optimized", "lossless", "kept", "failed")


def totals(results: Sequence[Result]) -> dict[str, Any]:
    """Return the totals of a run.

    Returns
    -------
    dict
        A record that JSON can hold: ``files`` (number of files); ``optimized``, ``lossless``, ``kept``,
        ``failed`` (numbers of files with this status); ``measured`` (number of files whose sizes before and
        after are known), and of these ``bytes_before``, ``bytes_after`` and ``saving`` (share of the bytes, 0
        to 1); ``median_saving`` of the files; ``limited_by_format``, ``larger_than_source`` (numbers of
        files); ``seconds`` (sum over the files).
    """
    measured = [r for r in results if r.bytes_before and r.bytes_after is not None]
    before, after = sum(r.bytes_before or 0 for r in measured), sum(r.bytes_after or 0 for r in measured)
    savings = [r.saving for r in measured if r.saving is not None]
    return {
        "files": len(results),
        **{status: sum(r.status == status for r in results) for status in _STATUSES},
        "measured": len(measured),
        "bytes_before": before,
        "bytes_after": after,
        "saving": 1.0 - after / before if before else None,
        "median_saving": statistics.median(savings) if savings else None,
        "limited_by_format": sum(r.limited_by_format for r in results),
        "larger_than_source": sum(r.larger_than_source for r in results),
        "seconds": round(sum(r.seconds or 0.0 for r in results), 3),
    }


def histogram(results: Sequence[Result], width: int | None = None) -> list[dict[str, Any]]:
    """Count files by their saving.

    Parameters
    ----------
    results : sequence of Result
        The results; those without a saving are not counted.
    width : int, optional
        Width of a bin in percent; a divisor of 100. Default: the largest of 10, 5, 2 and 1 that gives at
        least five bins.

    Returns
    -------
    list of dict
        ``low``, ``high`` (in percent) and ``files`` (a number) of each bin, from the first to the last that
        is not empty. Files that grew are counted in a bin of their own, whose ``low`` is None. A saving of
        100 % is counted in the last bin.
    """
    if width is None:
        sets = [histogram(results, each) for each in (10, 5, 2, 1)]
        return next((bins for bins in sets if len(bins) >= _BINS), sets[-1])
    grown, counts = 0, [0] * (100 // width)
    for saving in (r.saving for r in results):
        if saving is None:
            continue
        if saving < 0.0:
            grown += 1
        else:
            counts[min(int(100.0 * saving / width + 1e-9), len(counts) - 1)] += 1
    bins: list[dict[str, Any]] = [
        {"low": i * width, "high": (i + 1) * width, "files": count} for i, count in enumerate(counts)
    ]
    used = [i for i, count in enumerate(counts) if count]
    bins = bins[used[0] : used[-1] + 1] if used else []
    return [{"low": None, "high": 0, "files": grown}, *bins] if grown else bins
