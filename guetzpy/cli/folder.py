"""Folders and sets of files from the command line: options, progress, summary, exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from guetzpy.cli.folder_options import FolderOptions
from guetzpy.cli.parameters import as_typed
from guetzpy.cli.places import (
    STANDARD,
    Place,
    check_suffix,
    is_folder,
    names_a_jpeg,
    names_one_file,
    plan,
    prepare,
    refuse_other_suffix,
)
from guetzpy.cli.report import Report, begin
from guetzpy.cli.reporting import (
    check_choice,
    compile_if_cold,
    describe,
    explain,
    fail,
    notices,
    on_one_line,
    print_json,
    report_errors,
    say,
    thousands,
    usage_error,
)
from guetzpy.cli.tally import Tally, bytes_text
from guetzpy.options import OptimizeOptions, TranscodeOptions

if TYPE_CHECKING:
    from guetzpy.batch import Run
    from guetzpy.result import Result

__all__ = ["run_command"]


def run_command(
    inputs: list[str],
    output: str | None,
    in_place: bool,
    options: OptimizeOptions | TranscodeOptions,
    wishes: FolderOptions,
    *,
    write: bool,
    as_json: bool,
    quiet: bool,
    jpeg_only: bool,
    threshold: float | None = None,
    report: str | None,
    report_beside: str | None,
) -> None:
    """Process the inputs of a command, and exit with the code that follows from the results.

    Parameters
    ----------
    write : bool
        Whether anything is written.
    jpeg_only : bool
        Whether files that are not JPEG files are skipped.
    threshold : float, optional
        Saving in percent above which the exit code is 3.
    report, report_beside
        The options of these names.
    """
    check_choice("--names", wishes.names, ("jpg", "keep"))
    for option, name in (("-o", output), ("--backup", wishes.backup), ("--manifest", wishes.manifest)):
        if name == "":  # a variable of the shell that is not set; the name would mean the working folder
            usage_error(f"{option} '': expected a name")
    if wishes.concern(inputs, output):
        page = begin(report, options, inputs, beside=report_beside, quiet=quiet)
        _run_folders(
            inputs, output, in_place, options, wishes, write=write, as_json=as_json, quiet=quiet,
            jpeg_only=jpeg_only, threshold=threshold, report=page,
        )  # fmt: skip
        return
    checked = threshold is not None  # --check reports what --in-place would do
    places = plan(
        inputs,
        None if checked else output,
        in_place or checked,
        write=write,
        jpeg_only=jpeg_only,
        preserve=wishes.preserve,
        suffix=None if checked else wishes.suffix,
        keep_names=wishes.names == "keep",
    )
    if as_json and any(place.output == STANDARD for place in places):
        usage_error("--json and -o - (stdout) contradict each other")
    from guetzpy.cli.running import run_all

    names = [name for place in places for name in (place.input, place.output)]
    page = begin(report, options, names, beside=report_beside, quiet=quiet)
    run_all(
        places, options, as_json=as_json, quiet=quiet, jpeg_only=jpeg_only, threshold=threshold, report=page
    )


def _run_folders(
    inputs: list[str],
    output: str | None,
    in_place: bool,
    options: OptimizeOptions | TranscodeOptions,
    wishes: FolderOptions,
    *,
    write: bool,
    as_json: bool,
    quiet: bool,
    jpeg_only: bool,
    threshold: float | None,
    report: Report | None,
) -> None:
    """Process folders and sets of files as :func:`run_command` does.

    ``report`` takes the results, including those of an earlier run that is resumed.
    """
    _check(inputs, output, in_place, wishes, write)
    if threshold is not None:  # --check reports what --in-place would do
        output, in_place, wishes = None, True, replace(wishes, copy_others=False, suffix=None)
    tally = Tally()
    with report_errors(), notices(quiet):
        with _cluster(wishes.dask) as executor:
            run = _plan(inputs, output, in_place, options, wishes, write, jpeg_only, executor)
            if report is not None:
                _keep_outputs(run, output if wishes.copy_others else None, report)
            if run.tasks and executor is None and isinstance(options, OptimizeOptions):
                compile_if_cold(quiet, options.effort)
            if report is not None:
                for result in run.earlier:
                    report.add(result)
                if in_place and write:
                    report.hold(task.input for task in reversed(run.tasks))  # smallest first
            try:
                with (
                    run,
                    _progress(run, tally, shown=not quiet and not (as_json and sys.stdout.isatty())) as bar,
                ):
                    if not quiet:
                        _tell_plan(run, wishes, in_place)
                    if not quiet:
                        run.on_trial = bar.trial
                    for result in run:
                        tally.add(result, threshold)
                        if report is not None:
                            report.add(result)
                        if as_json:
                            print_json(result.to_dict())
                        if result.status == "failed" or not (quiet or bar.shown):
                            bar.say(describe(result))
                        bar.update()
            except KeyboardInterrupt:
                say(f"{tally.words()} so far" + ("; --resume continues the run" if run.manifest else ""))
                fail("interrupted", 130)
            if not quiet:
                _tell_outcome(run, tally)
                step = tally.next_step(
                    written=write, checked=threshold is not None,
                    placed=in_place or output is not None or wishes.suffix is not None,
                    resumable=run.manifest is not None and not wishes.resume,
                    backup=None if _on_urls(inputs, wishes.backup) else wishes.backup,
                    report=report is not None,
                )  # fmt: skip
                if step is not None:
                    say(f"next: {step}")
            if report is not None:
                report.write()
    tally.end()


def _check(inputs: list[str], output: str | None, in_place: bool, wishes: FolderOptions, write: bool) -> None:
    if STANDARD in inputs or output == STANDARD:
        usage_error("- (stdin, stdout) is for one file, without options for folders and sets")
    if output is not None and in_place:
        usage_error("-o and --in-place contradict each other: give one")
    if wishes.suffix is not None:
        check_suffix(wishes.suffix, output, in_place)
    if write and output is None and not in_place and wishes.suffix is None:
        usage_error(
            "say where the results go: -o FOLDER, or --in-place to replace the inputs; "
            "--suffix -small writes them beside the inputs"
        )
    if output is not None and not names_one_file(inputs, output):
        if os.path.exists(output) and not os.path.isdir(output):
            usage_error(f"{output}: is not a folder; for folders and several inputs, -o must name one")
        if names_a_jpeg(output):
            usage_error(f"{output}: names a file, which takes one input file; give -o FOLDER/")
        if len(inputs) == 1 and not os.path.isdir(inputs[0]) and not is_folder(output):
            refuse_other_suffix(output)
    if not wishes.recursive:
        for name in inputs:
            if os.path.isdir(name):
                usage_error(f"{name}: is a folder; add -r to process the files in it and in its subfolders")
    if wishes.equal_slope and wishes.total_bytes is None and wishes.total_bpp is None:
        usage_error("--equal-slope goes with --total-bytes or --total-bpp")


def _plan(
    inputs: list[str],
    output: str | None,
    in_place: bool,
    options: OptimizeOptions | TranscodeOptions,
    wishes: FolderOptions,
    write: bool,
    jpeg_only: bool,
    executor: Any,
) -> Run:
    from guetzpy import batch

    file_name = None
    if names_one_file(inputs, output):
        assert output is not None
        if write and "://" not in output:
            prepare([Place(inputs[0], output)])
        folder, file_name = os.path.split(output)
        output, wishes = folder or ".", replace(wishes, copy_others=False)
    try:
        return batch.run(
            inputs,
            output,
            options,
            in_place=in_place,
            suffix=wishes.suffix,
            keep_names=wishes.names == "keep",
            write=write,
            jpeg_only=jpeg_only,
            backup=wishes.backup,
            preserve=wishes.preserve,
            include=wishes.include,
            exclude=wishes.exclude,
            copy_others=wishes.copy_others,
            resume=wishes.resume,
            manifest=wishes.manifest,
            shard=_shard(wishes.shard),
            total_bytes=wishes.total_bytes,
            total_bpp=wishes.total_bpp,
            equal_slope=wishes.equal_slope,
            jobs=wishes.jobs,
            executor=executor,
            file_name=file_name,
        )
    except ValueError as error:
        usage_error(as_typed(str(error)))
    except FileNotFoundError as error:
        fail(explain(error))


def _keep_outputs(run: Run, output: str | None, report: Report) -> None:
    """End with exit code 2 if the report would replace the manifest, or a copy that --copy-others makes."""
    files = {os.path.realpath(name) for name in report.files}
    if run.manifest is not None and os.path.realpath(run.manifest) in files:
        run.discard()
        usage_error(f"--report: {run.manifest} is the manifest; give the report another name")
    for other in run.others if output is not None else []:
        place = os.path.join(output or "", other.relative)
        if other.can_copy and os.path.realpath(place) in files:
            run.discard()
            usage_error(f"--report: {place} is the copy of {other.input}; give the report another name")


def _on_urls(inputs: list[str], backup: str | None) -> bool:
    """Return whether the inputs or the backup are named by URLs; the backup then gets no record."""
    return any("://" in name for name in [*inputs, backup or ""])


def _shard(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    part, slash, count = text.partition("/")
    if not (slash and part.isdigit() and count.isdigit()):
        usage_error(f"--shard {text}: expected K/N, e.g. 3/16")
    return int(part), int(count)


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    if address is None:
        yield None
        return
    from guetzpy.batch.cluster import dask_executor

    try:
        with dask_executor(address) as executor:
            yield executor
    except ModuleNotFoundError as error:
        usage_error(f"--dask: {error}")


def _tell_plan(run: Run, wishes: FolderOptions, in_place: bool) -> None:
    if run.earlier:
        done = len(run.earlier)
        say(f"{done} file{'s' if done != 1 else ''} done by an earlier run, {len(run)} to do")
    if wishes.copy_others and run.hidden:
        say(f"hidden, not copied: {_some(run.hidden)}")
    passed_over = [] if wishes.copy_others else run.others
    if passed_over:
        named = _some([f"{other.input} ({other.reason})" for other in passed_over])
        can_copy = any(other.can_copy for other in passed_over) and not in_place and wishes.suffix is None
        say(f"skipped: {named}" + ("; --copy-others copies them" if can_copy else ""))


def _some(names: list[str]) -> str:
    """Return the first three names, and the number of the others."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _tell_outcome(run: Run, tally: Tally) -> None:
    tally.tell_warnings()
    if tally.files:
        say(tally.words())
    else:
        say("nothing left to do" if run.earlier else "no pictures found")
    if run.fit is not None:
        fit = run.fit
        unused = 100 * (1 - fit.total / max(1, fit.limit))
        ends = f", spread from {fit.nearest:.4g} to {fit.farthest:.4g}"
        spread = ends if fit.nearest < fit.farthest else ""
        say(
            f"distance {fit.distance:.4g}{spread}: {thousands(fit.total)} of {thousands(fit.limit)} bytes "
            f"({unused:.2f} % unused), {fit.encodes:.3g} encodes a file"
        )


class _Bar:
    """A progress bar if stderr is a terminal; rich is imported only then."""

    def __init__(self, run: Run, tally: Tally, shown: bool) -> None:
        self.shown = shown
        self._tally = tally
        self._pass = self._tried = 0
        if not shown:
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._begun = time.monotonic()
        self.progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[saved]} saved"),
            TextColumn("{task.fields[rate]} files/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self.progress.add_task("", total=len(run), saved="0 B", rate="-")

    def say(self, text: str) -> None:
        if self.shown:
            self.progress.console.print(
                f"guetzpy: {on_one_line(text)}", markup=False, highlight=False, soft_wrap=True
            )
        else:
            say(text)

    def trial(self, number: int, distance: float, result: Result) -> None:
        """Count an encode of the search for a total."""
        from guetzpy.batch.allotment import FARTHEST

        if number != self._pass:
            self._pass, self._tried = number, 0
        self._tried += 1
        least = distance >= FARTHEST
        if self.shown:
            words = "smallest files" if least else f"distance {distance:g}"
            self.progress.update(
                self._task, completed=self._tried, saved=f"pass {number}, {words}: nothing yet"
            )
        elif self._tried == 1:
            words = "as small as possible" if least else f"at about distance {distance:g}"
            say(f"pass {number}: all files {words} ...")

    def update(self) -> None:
        if self.shown:
            rate = self._tally.files / max(1e-3, time.monotonic() - self._begun)
            saved = bytes_text(self._tally.before - self._tally.after)
            self.progress.update(self._task, completed=self._tally.files, saved=saved, rate=f"{rate:.3g}")


@contextmanager
def _progress(run: Run, tally: Tally, shown: bool) -> Iterator[_Bar]:
    bar = _Bar(run, tally, shown and sys.stderr.isatty())
    if not bar.shown:
        yield bar
        return
    with bar.progress:
        yield bar
