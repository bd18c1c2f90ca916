"""The files of a run: their kinds, their relative names, and the names of their outputs."""

from __future__ import annotations

import fnmatch
import os
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from guetzpy import output
from guetzpy.picture import formats

__all__ = ["NAMED", "Discovery", "Filter", "Skipped", "Task", "beside", "jpeg_name", "kind_of"]

#: Suffixes of pictures that are replaced by ``.jpg``. To any other suffix ``.jpg`` is appended.
PICTURE_SUFFIXES = frozenset(
    {
        ".png",
        ".tif",
        ".tiff",
        ".webp",
        ".gif",
        ".bmp",
        ".dib",
        ".ppm",
        ".pgm",
        ".pnm",
        ".pbm",
        ".jp2",
        ".avif",
        ".qoi",
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".mrw", ".nef", ".nrw", ".orf"),
        *(".pef", ".raf", ".raw", ".rw2", ".srw", ".x3f"),
    }
)


#: Kind of a task for which the caller named the output file. The output must then be a JPEG.
NAMED = "named"


@dataclass(frozen=True)
class Task:
    """One picture to process, and the name of its output.

    Attributes
    ----------
    input : str
        Path or URL.
    relative : str
        Name relative to the sources, with forward slashes.
    kind : {"jpeg", "picture", "unknown", "named"}
        The kind that the first bytes determine. "unknown": the first bytes are of no known picture, but the
        file was given by name or has a suffix of JPEG files. "named" (:data:`NAMED`): the caller named the
        output; the first bytes do not matter.
    size : int
        Size in bytes.
    identity : str
        A text that changes when the file changes, such as its size and modification time.
    output : str, optional
        Path or URL of the output if it is a JPEG; None if nothing is written.
    copy : str, optional
        Path or URL of the output if the source is not a JPEG and is kept.
    """

    input: str
    relative: str
    kind: str
    size: int
    identity: str
    output: str | None = None
    copy: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A file that is not processed, and the reason.

    Attributes
    ----------
    input, relative : str
        As in :class:`Task`.
    reason : str
        Why it is not processed.
    can_copy : bool
        Whether it is a regular file, or a link to one that may be followed.
    """

    input: str
    relative: str
    reason: str
    can_copy: bool = True


@dataclass
class Discovery:
    """The files found: pictures, other files, files with an error, and the local folders searched.

    ``hidden`` are names of files and folders that begin with a dot; they are not searched.
    """

    pictures: list[Task] = field(default_factory=list)
    others: list[Skipped] = field(default_factory=list)
    unreadable: list[Skipped] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    hidden: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Filter:
    """Globs that select files. Case is ignored.

    A glob without a slash is matched against the name of each file; in ``exclude`` also against the names of
    folders, which are left out with all files below. A glob with a slash is matched against the whole path
    relative to the source. ``**/`` at its start also stands for no folder.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, relative: str) -> bool:
        """Return whether a file is selected."""
        return (not self.include or _matches(relative, self.include)) and not self.drops(relative)

    def drops(self, relative: str) -> bool:
        """Return whether a file, or a folder with all files below it, is excluded."""
        return _matches(relative, self.exclude)


def _matches(relative: str, globs: Iterable[str]) -> bool:
    whole = relative.lower()
    name = posixpath.basename(whole)
    for glob in globs:
        pattern = glob.replace(os.sep, "/").lower().rstrip("/")
        if pattern.startswith("./"):  # as shells complete names in the working folder
            pattern = pattern[1:]
        if pattern.startswith("**/") and fnmatch.fnmatchcase(whole, pattern[3:]):  # no folder is above
            return True
        if fnmatch.fnmatchcase(whole if "/" in pattern else name, pattern.lstrip("/")):
            return True
    return False


def kind_of(head: bytes) -> str | None:
    """Return "jpeg", "picture" (of another kind), or None, by a file's first 16 bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    signatures = (
        b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a", b"qoif",
        b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51",
    )  # fmt: skip
    if head.startswith(signatures) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "picture"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in (b"\n", b" ", b"\t", b"\r", b"#"):
        return "picture"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":  # BITMAPFILEHEADER has two reserved words of zero
        return "picture"
    return None if formats.kind_of(head) is None else "picture"


def jpeg_name(relative: str) -> str:
    """Return the path or URL of the JPEG made from a file: ``.JPG`` is kept, ``.png`` becomes ``.jpg``."""
    stem, suffix = posixpath.splitext(relative)  # a path object would shorten the // of a URL
    if suffix.lower() in output.JPEG_SUFFIXES:
        return relative
    return f"{stem}.jpg" if suffix.lower() in PICTURE_SUFFIXES else f"{relative}.jpg"


def beside(relative: str, suffix: str) -> str:
    """Return the name of an output beside its input, such as ``photo-small.jpg`` for ``-small``."""
    path = PurePosixPath(relative)
    return str(path.with_name(path.stem + suffix + path.suffix))
