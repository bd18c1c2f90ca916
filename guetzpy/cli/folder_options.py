"""Options of the command line that concern folders and sets of files."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from guetzpy.cli.parameters import size
from guetzpy.cli.places import names_one_file

__all__ = [
    "Backup",
    "CopyOthers",
    "Dask",
    "EqualSlope",
    "Exclude",
    "FolderOptions",
    "Include",
    "Jobs",
    "JpegOnly",
    "ManifestPath",
    "Preserve",
    "Recursive",
    "Resume",
    "Shard",
    "TotalBits",
    "TotalBytes",
]

Recursive = Annotated[
    bool, typer.Option("--recursive", "-r", help="Process folders recursively; -o gets the same tree.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Worker processes, one file each. Default for folders: one per processor; fewer while large "
        "pictures need the memory.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Skip files that an earlier run processed with the same options.")
]
ManifestPath = Annotated[
    str | None,
    typer.Option("--manifest", metavar="FILE", help="Record for --resume. Default: in the output folder."),
]
Include = Annotated[
    list[str] | None, typer.Option("--include", metavar="GLOB", help="In folders, process only these files.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="In folders, skip these files and subfolders."),
]
JpegOnly = Annotated[
    bool,
    typer.Option(
        "--jpeg-only",
        help="Skip files that are not JPEG files, whatever their name, without an error; for hooks.",
    ),
]
CopyOthers = Annotated[bool, typer.Option("--copy-others", help="Also copy files that are not pictures.")]
Backup = Annotated[
    str | None,
    typer.Option("--backup", metavar="FOLDER", help="With --in-place: folder for the replaced originals."),
]
Preserve = Annotated[
    bool, typer.Option("--preserve", "-p", help="Keep permissions and modification times of the inputs.")
]
Shard = Annotated[
    str | None, typer.Option("--shard", metavar="K/N", help="Process only part K of N, for job arrays.")
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask", metavar="ADDRESS", help="Use the Dask cluster of this scheduler, such as tcp://host:8786."
    ),
]
TotalBytes = Annotated[
    int | None,
    typer.Option(
        "--total-bytes",
        metavar="SIZE",
        parser=size,
        help="Find the distance at which all files together have this size, such as 100MB.",
    ),
]
TotalBits = Annotated[
    float | None,
    typer.Option("--total-bpp", metavar="B", help="As --total-bytes, in bits per pixel of the whole set."),
]
EqualSlope = Annotated[
    bool,
    typer.Option(
        "--equal-slope",
        help="With a total: give each picture its own distance, with the least mean distance.",
    ),
]


@dataclass(frozen=True)
class FolderOptions:
    """Options that have an effect only with several files; see the options of the same names."""

    recursive: bool = False
    jobs: int | None = None
    resume: bool = False
    manifest: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    copy_others: bool = False
    backup: str | None = None
    preserve: bool = False
    suffix: str | None = None
    names: str = "jpg"
    shard: str | None = None
    dask: str | None = None
    total_bytes: int | None = None
    total_bpp: float | None = None
    equal_slope: bool = False

    def concern(self, inputs: list[str], output: str | None) -> bool:
        """Return whether a batch run is needed. Otherwise the files are processed one after the other."""
        wanted = replace(self, suffix=None, names="jpg")  # these two options do not need a batch run
        if not any("://" in name or os.path.isdir(name) for name in inputs):
            wanted = replace(wanted, include=(), exclude=())  # without a folder, these options have no effect
        if names_one_file(inputs, output):
            # These have no effect on a single file, or are allowed for it too.
            wanted = replace(
                wanted, recursive=False, jobs=None, include=(), exclude=(), copy_others=False, preserve=False
            )
        return wanted != FolderOptions() or any("://" in name for name in [*inputs, output or ""])
