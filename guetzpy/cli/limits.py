"""Options that bound what a file may ask for, shared by the commands that read files of anybody's."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["MaxDirectories", "MaxInput", "MaxMemory", "MaxMetadata", "MaxPixels", "MaxScans"]

MaxPixels = Annotated[int, typer.Option("--max-pixels", metavar="N", help="Refuse larger pictures.")]

MaxScans = Annotated[int, typer.Option("--max-scans", metavar="N", help="Refuse JPEG files of more scans.")]

MaxMetadata = Annotated[
    int, typer.Option("--max-metadata", metavar="BYTES", help="Refuse JPEG files with more metadata.")
]

MaxDirectories = Annotated[
    int,
    typer.Option(
        "--max-directories",
        metavar="N",
        help="Refuse JPEG files with more EXIF directories, or MPF pictures.",
    ),
]

MaxInput = Annotated[
    int, typer.Option("--max-input", metavar="BYTES", help="Refuse files, and streams, of more bytes.")
]

MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="BYTES",
        help="Spare memory, or refuse pictures that would take more. Default: what the machine has,"
        " and 500 MB for files under 500 kB.",
    ),
]
