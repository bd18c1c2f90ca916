"""The options: default, help text, range and section of each stand on its dataclass field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict, get_args

from guetzpy._option import check, option, options_of

__all__ = [
    "DEFAULT_METRICS",
    "MAX_DIRECTORIES",
    "MAX_INPUT",
    "MAX_METADATA",
    "MAX_PIXELS",
    "MAX_SCANS",
    "METADATA_KINDS",
    "METRICS",
    "TARGETS",
    "CommonOptions",
    "Effort",
    "OptimizeKeywords",
    "OptimizeOptions",
    "Subsampling",
    "TranscodeKeywords",
    "TranscodeOptions",
    "kinds",
]

Effort: TypeAlias = Literal["fast", "balanced", "max"]
Subsampling: TypeAlias = Literal["auto", "444", "420", "keep"]

# Spellings of a chroma subsampling that are taken for a value of Subsampling.
_NOTATIONS = {"4:4:4": "444", "4:2:0": "420"}

# Sections of ``--help``.
_TARGET = "Targets"
_ENCODING = "Encoding"
_METADATA = "Metadata"
_LIMITS = "Limits"

#: Names of the targets. At most one can be given.
TARGETS = ("distance", "quality", "butteraugli", "ssimulacra2", "max_bytes", "bpp")

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

#: Metrics of :func:`guetzpy.compare`, and its default.
METRICS = ("butteraugli", "ssimulacra2", "psnr", "cvvdp", "iwssim")
DEFAULT_METRICS = METRICS

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
        "Keep only these kinds; with --strip all, exceptions from it. Kinds, separated by commas: all, "
        + ", ".join(METADATA_KINDS)
        + ".",
        _METADATA,
        metavar="LIST",
        choices=("all", *METADATA_KINDS),
    )
    strip: tuple[str, ...] = option(
        (),
        "Remove these kinds. The orientation is always kept; all keeps the ICC profile. gps removes "
        "coordinates, place removes names of places.",
        _METADATA,
        metavar="LIST",
        choices=("all", *METADATA_KINDS),
    )
    keep_components: bool = option(
        False,
        "Keep three components if red, green and blue are equal. Default: write gray.",
        _ENCODING,
    )
    repair: bool = option(False, "Read a damaged JPEG as far as it decodes.", _ENCODING)
    threads: int | None = option(
        None,
        "Threads for one picture. Default: all processors.",
        _LIMITS,
        short="-t",
        metavar="N",
        low=1,
        high=1024,
    )
    max_pixels: int = option(
        MAX_PIXELS, "Refuse pictures with more pixels.", _LIMITS, metavar="N", low=1, size=True
    )
    max_scans: int = option(MAX_SCANS, "Refuse JPEG files with more scans.", _LIMITS, metavar="N", low=1)
    max_metadata: int = option(
        MAX_METADATA,
        "Refuse JPEG files with more bytes of metadata.",
        _LIMITS,
        metavar="SIZE",
        low=0,
        size=True,
    )
    max_directories: int = option(
        MAX_DIRECTORIES,
        "Refuse JPEG files with more EXIF directories or MPF pictures.",
        _LIMITS,
        metavar="N",
        low=1,
    )
    max_input: int = option(
        MAX_INPUT, "Refuse files and streams with more bytes.", _LIMITS, metavar="SIZE", low=1, size=True
    )
    max_memory: int | None = option(
        None,
        "Limit the memory of the search, or refuse pictures that need more. Default: the memory of the "
        "machine, but 500 MB for files under 500 kB.",
        _LIMITS,
        metavar="SIZE",
        low=1,
        size=True,
    )
    timeout: float | None = option(
        None, "Fail on a file after this time.", _LIMITS, metavar="SECONDS", low=0, above=True
    )

    def __post_init__(self) -> None:
        keep, strip = kinds("keep", self.keep), kinds("strip", self.strip)
        both = sorted(set(keep) & set(strip))
        if both:
            raise ValueError(f"{', '.join(both)}: both kept and stripped")
        object.__setattr__(self, "keep", keep)
        object.__setattr__(self, "strip", strip)
        for name, (_, wanted) in options_of(type(self)).items():
            check(name, getattr(self, name), wanted)


@dataclass(frozen=True, kw_only=True)
class TranscodeOptions(CommonOptions):
    """Options of a lossless repack, in addition to those of :class:`guetzpy.options.CommonOptions`."""

    progressive: bool = option(
        True, "Kind of scans; progressive ones only if they are smaller.", _ENCODING, off="--baseline"
    )
    """Whether the file may be progressive, if that is smaller. If False, it is baseline."""


@dataclass(frozen=True, kw_only=True)
class OptimizeOptions(CommonOptions):
    """Options of a perceptual encode, in addition to those of :class:`guetzpy.options.CommonOptions`.

    At most one of the six targets may be given; without one, the distance is 1.0.

    Attributes
    ----------
    distance : float, optional
        Perceptual distance on the scale of cjxl and cjpegli, 0.1 to 25. At 1.0 most viewers see no
        difference (0.25 JND), at 1.5 it is hard to see (0.5 JND), and at 2.5 half of the trained viewers see
        it when the pictures are flickered (1 JND); see docs/choosing.md. Default: 1.0, if no other target is
        given.
    quality : int, optional
        1 to 100. The file scores at least as well as Pillow's ``save(..., quality=quality)`` of the picture.
    butteraugli : float, optional
        Largest Butteraugli 3-norm, above 0.
    ssimulacra2 : float, optional
        Smallest SSIMULACRA 2 score, -100 to 100.
    max_bytes : int, optional
        Largest size of the file in bytes, including metadata.
    bpp : float, optional
        Largest size of the file in bits per pixel.
    effort : {"fast", "balanced", "max"}
        How long the search may take. If fast misses the limits twice, the search continues as balanced, and
        ``Result.reason`` says so.
    subsampling : {"auto", "444", "420", "keep"}
        Chroma subsampling. auto: the one that gives the smaller file; a JPEG keeps its own, or changes to
        4:2:0. keep: that of the JPEG. "4:4:4" and "4:2:0" are taken for "444" and "420".
    progressive : bool
        Whether the file is progressive, which is smaller. If False, it is baseline.
    strict : bool
        Whether TargetError is raised if no 8-bit JPEG meets the limits of the distance. If False, the limits
        are relaxed.
    min_saving : float
        Smallest share, 0 to 1, that a lossy encode of a JPEG must save over its lossless repack. If it saves
        less, the repack is the result.
    total_distance : bool
        Whether the distance of a JPEG counts from the picture that it was made from, as far as its tables
        tell: a JPEG that is probably at 0.9 times the distance asked for or more is only repacked. Default:
        False, the distance counts from the JPEG itself. It has no effect on other targets than a limit.
    mark : bool
        Whether a comment of at most 20 bytes is written, from which a later run sees that the file was
        encoded at its distance before.
    to_srgb : bool
        Whether pixels with another colour profile are converted to sRGB by lcms (relative colorimetric, black
        point compensation) and written without a profile. A JPEG with such a profile is encoded from its
        pixels, so its file may be larger. CMYK with a profile is converted too. Default: False, pictures keep
        their codes and their profile.
    background : str or tuple, optional
        Colour that transparent pictures are composited on, in a form that Pillow's ImageColor reads.
    """

    distance: float | None = option(
        None,
        "Largest visible difference. 0.5: for archives; 1.0: no visible difference; 1.5: hard to see; 2.5: "
        "seen when the pictures are flickered; 4: seen side by side. Default: 1.0.",
        _TARGET,
        short="-d",
        metavar="D",
        low=0.1,  # below it, rounding to 8-bit samples alone exceeds the limits
        high=25,  # as in cjxl
    )
    quality: int | None = option(
        None,
        "Score at least as well as Pillow's JPEG of this quality, 1 to 100.",
        _TARGET,
        short="-q",
        metavar="Q",
        low=1,
        high=100,
        whole=True,
    )
    ssimulacra2: float | None = option(
        None, "Smallest SSIMULACRA 2 score.", _TARGET, metavar="S", low=-100, high=100
    )
    butteraugli: float | None = option(
        None, "Largest Butteraugli 3-norm.", _TARGET, metavar="B", low=0, high=100, above=True
    )
    max_bytes: int | None = option(
        None,
        "Write the best file of at most this size, such as 200k.",
        _TARGET,
        metavar="SIZE",
        low=1,
        whole=True,
        size=True,
    )
    bpp: float | None = option(
        None, "Write the best file of at most B bits per pixel.", _TARGET, metavar="B", low=0, above=True
    )
    strict: bool = option(False, "Fail if no 8-bit JPEG meets the limits of the distance.", _TARGET)
    effort: Effort = option(
        "balanced",
        "Time of the search. If fast misses the limits, it continues as balanced and says so.",
        _ENCODING,
        short="-e",
        choices=get_args(Effort),
    )
    subsampling: Subsampling = option("auto", "Chroma subsampling.", _ENCODING, choices=get_args(Subsampling))
    progressive: bool = option(
        True, "Kind of scans; progressive files are smaller.", _ENCODING, off="--baseline"
    )
    to_srgb: bool = option(
        False, "Convert pictures with other colour profiles to sRGB. Default: keep the profile.", _ENCODING
    )
    background: str | tuple[int, int, int] | None = option(
        None,
        "Colour to composite transparent pictures on, such as white or #fff.",
        _ENCODING,
        metavar="COLOR",
    )
    min_saving: float = option(
        0.05,
        "Smallest share that re-encoding a JPEG must save over its lossless repack.",
        _ENCODING,
        metavar="SHARE",
        low=0,
        high=1,
    )
    total_distance: bool = option(
        False,
        "Count a JPEG's own loss, as its tables tell it, as part of the distance. Default: count from the "
        "JPEG itself.",
        _TARGET,
    )
    mark: bool = option(
        True,
        "Write a comment of at most 20 bytes, so that a second run changes nothing.",
        _ENCODING,
        off="--no-mark",
    )

    def __post_init__(self) -> None:
        notation: object = self.subsampling
        if isinstance(notation, str) and notation in _NOTATIONS:
            object.__setattr__(self, "subsampling", _NOTATIONS[notation])
        super().__post_init__()
        asked = [name for name in TARGETS if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} contradict each other: give one")
        if not asked:
            object.__setattr__(self, "distance", 1.0)

    @property
    def target(self) -> tuple[str, float]:
        """The target: one name of :data:`TARGETS` and its value."""
        for name in TARGETS:
            value = getattr(self, name)
            if value is not None:
                return name, value
        raise AssertionError("__post_init__ leaves one target")

    def replace(self, **changes: object) -> OptimizeOptions:
        """Return a copy with some options changed. A new target replaces the old one."""
        if any(changes.get(name) is not None for name in TARGETS):
            changes = dict.fromkeys(TARGETS) | changes
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def kinds(option: str, names: str | Iterable[str]) -> tuple[str, ...]:
    """Return the sorted kinds of metadata that an option names. An unknown kind raises ValueError."""
    given = names.split(",") if isinstance(names, str) else list(names)
    found = {name.strip().lower() for name in given} - {""}
    unknown = sorted(found - set(METADATA_KINDS) - {"all"})
    if unknown:
        raise ValueError(f"{option}: {', '.join(unknown)}: expected some of all, {', '.join(METADATA_KINDS)}")
    return tuple(sorted(found))


class _CommonKeywords(TypedDict, total=False):
    """Keywords that both functions take."""

    keep: str | Iterable[str]
    strip: str | Iterable[str]
    keep_components: bool
    repair: bool
    threads: int | None
    max_pixels: int
    max_scans: int
    max_metadata: int
    max_directories: int
    max_input: int
    max_memory: int | None
    timeout: float | None


class TranscodeKeywords(_CommonKeywords, total=False):
    """Types of the keywords of :func:`guetzpy.transcode`: the fields of :class:`TranscodeOptions`."""

    progressive: bool


class OptimizeKeywords(_CommonKeywords, total=False):
    """Types of the keywords of :func:`guetzpy.optimize`: the fields of :class:`OptimizeOptions`."""

    distance: float | None
    quality: int | None
    ssimulacra2: float | None
    butteraugli: float | None
    max_bytes: int | None
    bpp: float | None
    strict: bool
    effort: Effort
    subsampling: Subsampling
    progressive: bool
    to_srgb: bool
    background: str | tuple[int, int, int] | None
    min_saving: float
    total_distance: bool
    mark: bool
