"""Processing of single files one after the other, with one line of output for each."""

from __future__ import annotations

import os
from dataclasses import replace

from guetzpy import api
from guetzpy._runtime.memory import keep_freed
from guetzpy._runtime.threads import time_limit
from guetzpy.cli.places import STANDARD, Place, is_there, prepare, read_bytes, write_bytes
from guetzpy.cli.report import Report
from guetzpy.cli.reporting import (
    compile_if_cold,
    describe,
    explain,
    notices,
    print_json,
    report_errors,
    say,
    warn,
)
from guetzpy.cli.tally import Tally
from guetzpy.errors import UnsupportedError
from guetzpy.options import OptimizeOptions, TranscodeOptions, target_of
from guetzpy.output import NOT_IN_PLACE
from guetzpy.result import Result

__all__ = ["run_all"]

# How every JPEG begins (T.81, Table B.1).
_SOI = b"\xff\xd8"


def run_all(
    places: list[Place],
    options: OptimizeOptions | TranscodeOptions,
    *,
    as_json: bool,
    quiet: bool,
    jpeg_only: bool = False,
    threshold: float | None = None,
    report: Report | None = None,
) -> None:
    """Process all files, and exit with the code that follows from their results.

    Parameters
    ----------
    jpeg_only : bool
        Whether files that are not JPEG files are skipped.
    report : Report, optional
        Takes the results.
    threshold : float, optional
        Saving in percent above which the exit code is 3.
    """
    tally = Tally()
    with report_errors(), notices(quiet):
        prepare(places)
        if isinstance(options, OptimizeOptions) and any(map(is_there, places)):
            compile_if_cold(quiet, options.effort)
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # max_pixels replaces it; no other program's code runs here
        keep_freed()
        for place in places:
            result = _run(place, options, jpeg_only, threshold is not None, report)
            if as_json:
                print_json(result.to_dict())
            if result.status == "failed" or not quiet:
                say(describe(result))
            if not quiet:
                warn(result)
            tally.add(result, threshold)
        if tally.files > 1 and not quiet:
            say(tally.words())
        if report is not None:
            report.write()
    tally.end()


def _run(
    place: Place,
    options: OptimizeOptions | TranscodeOptions,
    jpeg_only: bool,
    check: bool,
    report: Report | None,
) -> Result:
    name = "stdin" if place.input == STANDARD else place.input
    try:
        with time_limit(options.timeout):  # the limit is for reading and processing together
            data, state = read_bytes(place, options.max_input, options.max_memory)
            if not data.startswith(_SOI):
                if jpeg_only:
                    return _passed_over(name, data, options)
                if data and (check or place.output == place.input != STANDARD):
                    raise UnsupportedError(NOT_IN_PLACE)
            result = api.run(data, options, name=name)
        if place.beside and place.output is not None and os.path.lexists(place.output):
            from guetzpy.batch.foreign import refuse_foreign

            refuse_foreign(place.output, data, result.data, options)
        write_bytes(place, result.data, state)
        result = replace(result, output=place.output)
    except BrokenPipeError:
        raise
    except Exception as error:  # one bad file must not end the run
        data = None
        result = Result.of_failure(error, explain(error, name), name, target_of(options))
    if report is not None:
        report.add(result, data)
    return result


def _passed_over(name: str, data: bytes, options: OptimizeOptions | TranscodeOptions) -> Result:
    size = len(data)
    return Result(
        status="kept",
        reason="not a JPEG; skipped",
        input=name,
        bytes_before=size,
        bytes_after=size,
        target=target_of(options),
    )
