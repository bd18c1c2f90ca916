"""``guetzpy optimize``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from guetzpy.cli.folder import (
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
    run_folders,
)
from guetzpy.cli.limits import MaxDirectories, MaxInput, MaxMemory, MaxMetadata, MaxPixels, MaxScans
from guetzpy.cli.places import STANDARD, expand, plan
from guetzpy.cli.report import ReportPath, begin
from guetzpy.cli.reporting import usage_error
from guetzpy.cli.sections import (
    KEEP_HELP,
    STRIP_HELP,
    KeepComponents,
    complete_effort,
    complete_kinds,
    complete_subsampling,
)
from guetzpy.options import (
    MAX_DIRECTORIES,
    MAX_INPUT,
    MAX_METADATA,
    MAX_PIXELS,
    MAX_SCANS,
    TARGETS,
    OptimizeOptions,
)

__all__ = ["optimize"]


def optimize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...",
            help="Pictures: JPEG, PNG, TIFF, WebP, HEIC, RAW ...; - for stdin.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|FOLDER/|-",
            help="Where the result goes: a file, a folder (for several inputs), or - for stdout.",
        ),
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Replace the inputs, which must be JPEG files."),
    ] = False,
    distance: Annotated[
        float | None,
        typer.Option(
            "--distance",
            "-d",
            metavar="D",
            help="Perceptual distance: 0.5 very high quality, 1.0 visually lossless for most eyes, 2.0 and "
            "more for the web. Default 1.0.",
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            "--quality",
            "-q",
            metavar="Q",
            help="1 to 100: at least as good as Pillow's JPEG of that quality.",
        ),
    ] = None,
    ssimulacra2: Annotated[
        float | None,
        typer.Option("--ssimulacra2", metavar="S", help="Reach this SSIMULACRA 2 score."),
    ] = None,
    butteraugli: Annotated[
        float | None,
        typer.Option("--butteraugli", metavar="B", help="Stay within this Butteraugli 3-norm."),
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option("--max-bytes", metavar="N", help="The best file of at most N bytes."),
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option("--bpp", metavar="B", help="The best file of at most B bits per pixel."),
    ] = None,
    effort: Annotated[
        str,
        typer.Option(
            "--effort",
            "-e",
            metavar="fast|balanced|max",
            help="How long to search. Where fast misses, it goes on as balanced and says so.",
            autocompletion=complete_effort,
        ),
    ] = "balanced",
    subsampling: Annotated[
        str,
        typer.Option(
            "--subsampling",
            metavar="auto|444|420|keep",
            help="Of chroma.",
            autocompletion=complete_subsampling,
        ),
    ] = "auto",
    progressive: Annotated[
        bool,
        typer.Option(
            "--progressive/--baseline",
            help="Scans of the file; progressive ones are smaller.",
        ),
    ] = True,
    to_srgb: Annotated[
        bool,
        typer.Option(
            "--to-srgb",
            help="Convert pictures of another colour profile to sRGB. Default: they keep it.",
        ),
    ] = False,
    background: Annotated[
        str | None,
        typer.Option(
            "--background",
            metavar="COLOR",
            help="Colour under transparent parts, e.g. white or #fff.",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail where no 8-bit JPEG reaches the distance."),
    ] = False,
    keep_components: KeepComponents = False,
    repair: Annotated[bool, typer.Option("--repair", help="Take what decodes of a damaged JPEG.")] = False,
    min_saving: Annotated[
        float,
        typer.Option(
            "--min-saving",
            metavar="SHARE",
            help="Re-encode a JPEG only if that saves this share over its lossless repack.",
        ),
    ] = 0.05,
    mark: Annotated[
        bool,
        typer.Option(
            "--mark/--no-mark",
            help="Leave a comment of at most 20 bytes, so that a second run changes nothing.",
        ),
    ] = True,
    keep: Annotated[
        str,
        typer.Option("--keep", metavar="LIST", help=KEEP_HELP, autocompletion=complete_kinds),
    ] = "",
    strip: Annotated[
        str,
        typer.Option(
            "--strip",
            metavar="LIST",
            help=STRIP_HELP,
            autocompletion=complete_kinds,
        ),
    ] = "",
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            "-t",
            metavar="N",
            help="Threads for one picture. Default: all processors.",
        ),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    max_scans: MaxScans = MAX_SCANS,
    max_metadata: MaxMetadata = MAX_METADATA,
    max_directories: MaxDirectories = MAX_DIRECTORIES,
    max_input: MaxInput = MAX_INPUT,
    max_memory: MaxMemory = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="Give up on a picture after this."),
    ] = None,
    recursive: Recursive = False,
    jobs: Jobs = None,
    resume: Resume = False,
    manifest: ManifestPath = None,
    include: Include = None,
    exclude: Exclude = None,
    jpeg_only: JpegOnly = False,
    copy_others: CopyOthers = False,
    backup: Backup = None,
    preserve: Preserve = False,
    shard: Shard = None,
    dask: Dask = None,
    total_bytes: TotalBytes = None,
    total_bpp: TotalBits = None,
    equal_slope: EqualSlope = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Do everything but write.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; exit with 3 if a file would shrink by more than --threshold.",
        ),
    ] = False,
    threshold: Annotated[float, typer.Option("--threshold", metavar="PERCENT", help="For --check.")] = 5.0,
    report: ReportPath = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Make pictures into the smallest JPEG files that look as asked.

    Every file is decoded and measured before it is written; a JPEG never grows. Exit code 0: done, files that
    were kept included; 1: some file failed; 2: wrong usage; 3: see --check; 130: interrupted.
    """
    asked: dict[str, Any] = dict(
        distance=distance, quality=quality, ssimulacra2=ssimulacra2, butteraugli=butteraugli,
        max_bytes=max_bytes, bpp=bpp, effort=effort, subsampling=subsampling, progressive=progressive,
        to_srgb=to_srgb, background=background, strict=strict, repair=repair, min_saving=min_saving,
        keep_components=keep_components,
        mark=mark, keep=keep, strip=strip, threads=threads, max_pixels=max_pixels, max_scans=max_scans,
        max_metadata=max_metadata, max_directories=max_directories, max_input=max_input,
        max_memory=max_memory, timeout=timeout,
    )  # fmt: skip
    total = total_bytes is not None or total_bpp is not None
    if total and any(asked[name] is not None for name in TARGETS):
        usage_error("--total-bytes and --total-bpp find the distance themselves: give no other target")
    try:
        options = OptimizeOptions(**asked)
    except ValueError as error:
        usage_error(str(error))
    inputs = expand(inputs)
    wishes = FolderOptions(
        recursive=recursive, jobs=jobs, resume=resume, manifest=manifest, include=tuple(include or ()),
        exclude=tuple(exclude or ()), copy_others=copy_others, backup=backup, preserve=preserve, shard=shard,
        dask=dask, total_bytes=total_bytes, total_bpp=total_bpp, equal_slope=equal_slope,
    )  # fmt: skip
    if wishes.concern(inputs, output):
        run_folders(
            inputs, output, in_place, options, wishes, write=not (dry_run or check), as_json=as_json,
            quiet=quiet, jpeg_only=jpeg_only, threshold=threshold if check else None,
            report=begin(report, options, inputs, quiet=quiet),
        )  # fmt: skip
        return
    places = plan(inputs, output, in_place, write=not (dry_run or check), jpeg_only=jpeg_only)
    if as_json and any(place.output == STANDARD for place in places):
        usage_error("--json and -o - (stdout) contradict each other")
    from guetzpy.cli.running import run_all

    page = begin(
        report, options, [name for place in places for name in (place.input, place.output)], quiet=quiet
    )

    run_all(
        places,
        options,
        as_json=as_json,
        quiet=quiet,
        jpeg_only=jpeg_only,
        threshold=threshold if check else None,
        report=page,
    )
