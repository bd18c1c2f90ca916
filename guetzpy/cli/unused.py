"""Options that have no effect because of other options. Each is reported on stderr before the work starts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from guetzpy.cli.places import names_one_file

__all__ = ["unused"]


def unused(params: Mapping[str, Any], given: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each option that has no effect in a command.

    Parameters
    ----------
    params : mapping
        Value of each parameter of the command, by its name in Python.
    given : collection of str
        Names of the parameters that the command line sets.
    """
    if "inputs" in params:
        yield from _of_writing(params, given)
        yield from _of_places(params, given)
    if "display" in given and params["metrics"] is not None and "cvvdp" not in params["metrics"]:
        yield "--display is for CVVDP, which --metrics leaves out"


def _of_writing(params: Mapping[str, Any], given: Collection[str]) -> Iterator[str]:
    check = params.get("check")
    if "threshold" in given and not check:
        yield "--threshold has no effect without --check"
    if check and params["output"] is not None:
        yield "-o has no effect with --check, which reports what --in-place would change"
    if (check or params["dry_run"]) and (params["resume"] or params["manifest"] is not None):
        which = "--check" if check else "--dry-run"
        yield f"--resume and --manifest have no effect with {which}: all files are processed, none recorded"
    size = next((name for name in ("max_bytes", "bpp") if params.get(name) is not None), None)
    if size is not None:
        option = "--" + size.replace("_", "-")
        if params["strict"]:
            yield f"--strict has no effect with {option}: a size that is not reached is an error anyway"
        if "min_saving" in given:
            yield f"--min-saving has no effect with {option}, which sets the size"


def _of_places(params: Mapping[str, Any], given: Collection[str]) -> Iterator[str]:
    inputs, output = params["inputs"] or [], params["output"]
    if "names" in given and (params["in_place"] or names_one_file(inputs, output)):
        yield "--names has no effect: it is for outputs in folders or beside their inputs"
    if params["files_from"] is not None:
        return
    if not any("://" in name or os.path.isdir(name) for name in inputs):
        if "include" in given or "exclude" in given:
            yield "--include and --exclude have no effect: they choose within folders, and none is given"
        if params["copy_others"] and names_one_file(inputs, output):
            yield "--copy-others has no effect: it copies from folders, and none is given"
        if "jobs" in given and params["jobs"] > 1 and params["dask"] is None and len(inputs) == 1:
            yield "--jobs has no effect: one picture is processed by one process (--threads sets its threads)"
    if "jobs" in given and params["dask"] is not None:
        yield "--jobs has no effect with --dask, whose workers process the files"
