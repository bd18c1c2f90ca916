"""Options that lossy and lossless runs share, and their default limits."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from guetzpy._option import check, option, options_of, plain

__all__ = [
    "ENCODING",
    "LIMITS",
    "MAX_DIRECTORIES",
    "MAX_INPUT",
    "MAX_METADATA",
    "MAX_PIXELS",
    "MAX_SCANS",
    "METADATA",
    "METADATA_KINDS",
    "TARGET",
    "CommonOptions",
    "kinds",
    "unknown_option",
]

# Sections of ``--help``.
TARGET = "Targets"
ENCODING = "Encoding"
METADATA = "Metadata"
LIMITS = "Limits"

#: Kinds of metadata that can be kept or stripped by name.
METADATA_KINDS = (
    "comment",
    "copyright",
    "exif",
    "gainmap",
    "gps",
    "icc",
    "iptc",
    "mpf",
    "place",
    "thumbnail",
    "trailing",
    "unknown",
    "xmp",
)

#: Default limits for files from unknown sources: pixels of 16 384 x 16 384, bytes of metadata, JPEG scans,
#: EXIF directories or MPF pictures, bytes of a file.
MAX_PIXELS = 268_435_456
MAX_METADATA = MAX_PIXELS
MAX_SCANS = 128
MAX_DIRECTORIES = 256
MAX_INPUT = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """Options that :class:`guetzpy.OptimizeOptions` and :class:`guetzpy.TranscodeOptions` share.

    Attributes
    ----------
    keep, strip : iterable of str, or comma-separated str, optional
        Kinds of metadata (:data:`METADATA_KINDS` or ``all``), stored as sorted tuples. Default: keep all.
        ``strip`` removes the named kinds. ``keep`` alone removes all other kinds except ICC. With
        ``strip="all"``, ``keep`` names exceptions. ``gps`` (coordinates), ``place`` (names of places),
        ``copyright`` (creator, credit, rights, licence) and ``thumbnail`` are parts of EXIF, XMP, IPTC and
        data after the picture; if they are kept by name, the rest of these is removed. ``gps`` does not
        remove names of places. Parts that cannot be searched, such as maker notes, are named in
        ``Result.warnings``. Stripping ``exif`` keeps its Orientation. ``all`` keeps the ICC profile unless
        ``icc`` is named too.
    keep_components : bool
        Whether pictures whose red, green and blue are equal at every pixel keep three components. Default:
        False, they are written with one component. A JPEG that is repacked without loss is reduced to one
        component if all its chroma coefficients are zero.
    repair : bool
        Whether a JPEG whose data ends early is read as far as it decodes, instead of raising FormatError.
    max_pixels : int
        Largest number of pixels. It is checked before memory is allocated.
    max_scans : int
        Largest number of scans of a JPEG. Encoders write up to about 20.
    max_metadata : int
        Largest number of bytes of a JPEG's metadata.
    max_directories : int
        Largest number of a JPEG's EXIF directories, and of the pictures of its MPF index. Cameras write up to
        about ten directories, and some dozens of pictures.
    max_input : int
        Largest size of a file in bytes. It is checked before the file is read, and while a stream is read.
    max_memory : int, optional
        Bytes of memory. A search that is estimated to need more is bounded: its metrics store less, and a
        picture that is not a JPEG is searched without weights, which makes its file a little larger. If the
        bounded search needs more too, LimitError is raised. Default: the memory of the machine, but 500 MB
        for files of less than 500 kB; a JPEG that would exceed this default is repacked without loss instead.
    threads : int, optional
        Threads for one picture. Default: the number of processors available. The result does not depend on
        it.
    timeout : float, optional
        Seconds after which LimitError is raised.
    """

    keep: tuple[str, ...] = option(
        (),
        "Remove all kinds but these and the ICC profile. Kinds, separated by commas: all, "
        + ", ".join(METADATA_KINDS)
        + ".",
        METADATA,
        metavar="LIST",
        choices=("all", *METADATA_KINDS),
    )
    strip: tuple[str, ...] = option(
        (),
        "Remove these kinds. The orientation is always kept; all keeps the ICC profile. gps removes "
        "coordinates; place removes names of places.",
        METADATA,
        metavar="LIST",
        choices=("all", *METADATA_KINDS),
    )
    keep_components: bool = option(
        False,
        "Keep three components if red, green and blue are equal. Default: write gray.",
        ENCODING,
    )
    repair: bool = option(False, "Read a damaged JPEG as far as it decodes.", ENCODING)
    threads: int | None = option(
        None,
        "Threads for one picture. Default: all processors.",
        LIMITS,
        short="-t",
        metavar="N",
        low=1,
        high=1024,
        affects_bytes=False,
    )
    max_pixels: int = option(
        MAX_PIXELS,
        "Refuse pictures with more pixels.",
        LIMITS,
        metavar="N",
        low=1,
        size=True,
        affects_bytes=False,
    )
    max_scans: int = option(
        MAX_SCANS, "Refuse JPEG files with more scans.", LIMITS, metavar="N", low=1, affects_bytes=False
    )
    max_metadata: int = option(
        MAX_METADATA,
        "Refuse JPEG files with more bytes of metadata.",
        LIMITS,
        metavar="SIZE",
        low=0,
        size=True,
        affects_bytes=False,
    )
    max_directories: int = option(
        MAX_DIRECTORIES,
        "Refuse JPEG files with more EXIF directories or MPF pictures.",
        LIMITS,
        metavar="N",
        low=1,
        affects_bytes=False,
    )
    max_input: int = option(
        MAX_INPUT,
        "Refuse files and streams with more bytes.",
        LIMITS,
        metavar="SIZE",
        low=1,
        size=True,
        affects_bytes=False,
    )
    max_memory: int | None = option(
        None,
        "Limit the memory of the search, or refuse pictures that need more. Default: the memory of the "
        "machine, but 500 MB for files under 500 kB.",
        LIMITS,
        metavar="SIZE",
        low=1,
        size=True,
    )
    timeout: float | None = option(
        None,
        "Fail on a file after this time.",
        LIMITS,
        metavar="SECONDS",
        low=0,
        above=True,
        affects_bytes=False,
    )

    def __post_init__(self) -> None:
        keep, strip = kinds("keep", self.keep), kinds("strip", self.strip)
        both = sorted(set(keep) & set(strip))
        if both:
            raise ValueError(f"{', '.join(both)}: both kept and stripped")
        object.__setattr__(self, "keep", keep)
        object.__setattr__(self, "strip", strip)
        for name, (_, wanted) in options_of(type(self)).items():
            value = plain(getattr(self, name))  # JSON, and so the hash of the options, has no NumPy scalars
            object.__setattr__(self, name, value)
            check(name, value, wanted)

    def to_dict(self) -> dict[str, Any]:
        """Return all options by name, as JSON can hold them: tuples become lists."""
        return {
            name: list(value) if isinstance(value := getattr(self, name), tuple) else value
            for name in options_of(type(self))
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the options of which :meth:`to_dict` returned ``values``; missing ones have their defaults.

        Raises
        ------
        ValueError
            A name is unknown, or a value is out of range.
        """
        if fault := unknown_option(cls, values):
            raise ValueError(fault)
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**dict[str, Any](given))

    def stable_hash(self) -> str:
        """Return a hash of all options that the bytes of a result depend on, 16 hexadecimal digits.

        It is the same in every process and on every machine. A later version of guetzpy keeps it, unless that
        version changes a default, or adds an option that is hashed although it is unset. Limits of resources
        (such as pixels and scans), threads and the timeout are left out.
        """
        fields = {
            name: getattr(self, name)
            for name, (_, wanted) in options_of(type(self)).items()
            if wanted.affects_bytes and (wanted.hashed_unset or getattr(self, name) is not None)
        }
        text = json.dumps([type(self).__name__, fields], sort_keys=True, default=_hashable)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hashable(value: Any) -> Any:
    """Convert a value to a form that JSON can hold: a model to its digest, any other value to a list."""
    return value.digest if hasattr(value, "digest") else list(value)


def unknown_option(kind: type[CommonOptions], names: Iterable[str]) -> str | None:
    """Return a message about the first name that is not an option of ``kind``; None if all are options."""
    known = options_of(kind)
    unknown = next((name for name in names if name not in known), None)
    if unknown is None:
        return None
    near = difflib.get_close_matches(str(unknown), known, 1)
    return f"unknown option {unknown!r}" + (f"; did you mean {near[0]}?" if near else "")


def kinds(option: str, names: str | Iterable[str]) -> tuple[str, ...]:
    """Return the sorted kinds of metadata that an option names. An unknown kind raises ValueError."""
    given = names.split(",") if isinstance(names, str) else list(names)
    found = {name.strip().lower() for name in given} - {""}
    unknown = sorted(found - set(METADATA_KINDS) - {"all"})
    if unknown:
        raise ValueError(
            f"{option}: {', '.join(unknown)}: expected some of: all, {', '.join(METADATA_KINDS)}"
        )
    return tuple(sorted(found))
