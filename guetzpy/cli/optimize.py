"""``guetzpy optimize``."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from guetzpy.cli.folder import run_command
from guetzpy.cli.folder_options import (
    Backup,
    CopyOthers,
    Dask,
    EqualSlope,
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
    TotalBits,
    TotalBytes,
)
from guetzpy.cli.parameters import FilesFrom, Names, Suffix, made, takes
from guetzpy.cli.places import inputs_of
from guetzpy.cli.report import ReportBeside, ReportPath
from guetzpy.cli.reporting import usage_error
from guetzpy.options import TARGETS, OptimizeOptions

__all__ = ["optimize"]


@takes(OptimizeOptions)
def optimize(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN...",
            help="Pictures: JPEG, PNG, TIFF, WebP, HEIC, RAW and others; - for stdin.",
            show_default=False,
        ),
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
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Replace the inputs, which must be JPEG files."),
    ] = False,
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
    total_bytes: TotalBytes = None,
    total_bpp: TotalBits = None,
    equal_slope: EqualSlope = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Process the files, but write nothing.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; exit with 3 if --in-place would make a JPEG smaller by more than "
            "--threshold, or larger because an option requires it.",
        ),
    ] = False,
    threshold: Annotated[
        float, typer.Option("--threshold", metavar="PERCENT", help="Threshold of --check.")
    ] = 5.0,
    report: ReportPath = None,
    report_beside: ReportBeside = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per file on stdout.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only errors.")] = False,
    **asked: Any,
) -> None:
    """Write the smallest JPEG files of a given perceptual quality.

    Every file is decoded and scored before it is written; a JPEG grows only if an option requires it. Exit
    codes: 0: all files were written or kept; 1: a file failed; 2: wrong usage; 3: see --check; 130:
    interrupted.
    """
    total = total_bytes is not None or total_bpp is not None
    if total and any(asked[name] is not None for name in TARGETS):
        usage_error("--total-bytes and --total-bpp find the distance themselves: give no other target")
    if not math.isfinite(threshold):
        usage_error(f"--threshold {threshold}: expected a number")
    options = made(OptimizeOptions, asked)
    inputs = inputs_of(inputs, files_from)
    wishes = FolderOptions(
        recursive=recursive, jobs=jobs, resume=resume, manifest=manifest, include=tuple(include or ()),
        exclude=tuple(exclude or ()), copy_others=copy_others, backup=backup, preserve=preserve,
        suffix=suffix, names=names, shard=shard, dask=dask,
        total_bytes=total_bytes, total_bpp=total_bpp, equal_slope=equal_slope,
    )  # fmt: skip
    run_command(
        inputs, output, in_place, options, wishes, write=not (dry_run or check), as_json=as_json,
        quiet=quiet, jpeg_only=jpeg_only, threshold=threshold if check else None,
        report=report, report_beside=report_beside,
    )  # fmt: skip
