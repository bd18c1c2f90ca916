"""``guetzpy transcode``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from guetzpy.cli.folder import run_command
from guetzpy.cli.folder_options import (
    Backup,
    CopyOthers,
    Dask,
    Exclude,
    FolderOptions,
    Include,
    Jobs,
    JpegOnly,
    ManifestPath,
    Preserve,
    Recursive,
    Resume,
    Shard,
)
from guetzpy.cli.parameters import FilesFrom, Names, Suffix, made, takes
from guetzpy.cli.places import inputs_of
from guetzpy.cli.report import ReportBeside, ReportPath
from guetzpy.options import TranscodeOptions

__all__ = ["transcode"]


@takes(TranscodeOptions)
def transcode(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="IN...", help="JPEG files; - for stdin.", show_default=False)
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|FOLDER/|-",
            help="Output: a file, a folder (for several inputs), or - for stdout.",
        ),
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the inputs.")] = False,
    suffix: Suffix = None,
    files_from: FilesFrom = None,
    recursive: Recursive = False,
    jobs: Jobs = None,
    resume: Resume = False,
    manifest: ManifestPath = None,
    include: Include = None,
    exclude: Exclude = None,
    jpeg_only: JpegOnly = False,
    copy_others: CopyOthers = False,
    names: Names = "jpg",
    backup: Backup = None,
    preserve: Preserve = False,
    shard: Shard = None,
    dask: Dask = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Process the files, but write nothing.")
    ] = False,
    report: ReportPath = None,
    report_beside: ReportBeside = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file on stdout.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only errors.")] = False,
    **asked: Any,
) -> None:
    """Repack JPEG files without loss: the same coefficients, and so the same pixels, in fewer bytes."""
    options = made(TranscodeOptions, asked)
    inputs = inputs_of(inputs, files_from)
    wishes = FolderOptions(
        recursive=recursive, jobs=jobs, resume=resume, manifest=manifest, include=tuple(include or ()),
        exclude=tuple(exclude or ()), copy_others=copy_others, backup=backup, preserve=preserve,
        suffix=suffix, names=names, shard=shard, dask=dask,
    )  # fmt: skip
    run_command(
        inputs, output, in_place, options, wishes, write=not dry_run, as_json=as_json, quiet=quiet,
        jpeg_only=jpeg_only, report=report, report_beside=report_beside,
    )  # fmt: skip
