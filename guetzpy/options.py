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

# Sections of ``--help``.
_TARGET = "How good, or how large"
_ENCODING = "How it is encoded"
_METADATA = "Metadata"
_LIMITS = "Limits"

#: The ways to say how good, or how large; one at a time.
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

#: Metrics that two pictures can be compared by, and those that are where none are named.
METRICS = ("butteraugli", "ssimulacra2", "psnr", "cvvdp", "iwssim")
DEFAULT_METRICS = METRICS

#: Defaults of the limits for files from strangers: pixels of 16 384 x 16 384, bytes of metadata, JPEG scans,
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
        Kinds of metadata (:data:`METADATA_KINDS` or ``all``). Default: keep all. ``strip`` removes
        those named; ``keep`` alone removes all others but ICC; with both, ``keep`` names exceptions from
        ``all``. ``gps`` (coordinates), ``place`` (names of places), ``copyright`` (creator, credit, rights,
        licence) and ``thumbnail`` are parts of EXIF, XMP and IPTC, and of what follows the picture: kept by
        name, they stay although the rest goes. ``gps`` leaves names of places. What cannot be searched for
        them (maker notes, for instance) is named in ``Result.warnings``. Stripping ``exif`` leaves its
        Orientation; ``all`` leaves the ICC profile unless ``icc`` is named too. Stored as sorted tuples.
    keep_components : bool
        Whether pictures whose red, green and blue are equal everywhere keep three components. Default: they
        are written as gray, with one; of a JPEG that is packed losslessly, if all chroma coefficients are
        zero.
    repair : bool
        Take what decodes of a JPEG whose data ends early.
    max_pixels : int
        Larger pictures are refused before memory is taken.
    max_scans : int
        JPEG files with more scans are refused; encoders write up to about 20.
    max_metadata : int
        JPEG files with more bytes of metadata are refused.
    max_directories : int
        JPEG files whose EXIF has more directories, or whose MPF index more pictures, are refused; cameras
        write up to about ten, and some dozens of pictures.
    max_input : int
        Files of more bytes are refused before they are read, or once so many have come of a stream.
    max_memory : int, optional
        Bytes. A search that would take more spares memory (of pixels: without weights from gradients, so
        that files get somewhat larger), and what would take more even so is refused. Default: what the
        machine has, and 500 MB for files of less than 500 kB, of which a JPEG is packed losslessly rather
        than refused.
    threads : int, optional
        Threads for one picture; default: the processors available. The result does not depend on it.
    timeout : float, optional
        Seconds after which the work is given up with LimitError.
    """

    keep: tuple[str, ...] = option(
        (),
        "Keep these only; with --strip, keep them although the rest goes. Kinds, comma-separated: all, "
        + ", ".join(METADATA_KINDS)
        + ".",
        _METADATA,
        metavar="LIST",
        choices=("all", *METADATA_KINDS),
    )
    strip: tuple[str, ...] = option(
        (),
        "Remove these. Orientation always stays; all leaves the ICC profile. gps is coordinates; it leaves "
        "names of places, which place removes.",
        _METADATA,
        metavar="LIST",
        choices=("all", *METADATA_KINDS),
    )
    keep_components: bool = option(
        False,
        "Keep three components where red, green and blue are equal. Default: written as gray.",
        _ENCODING,
    )
    repair: bool = option(False, "Take what decodes of a damaged JPEG.", _ENCODING)
    threads: int | None = option(
        None,
        "Threads for one picture. Default: all processors.",
        _LIMITS,
        short="-t",
        metavar="N",
        low=1,
        high=1024,
    )
    max_pixels: int = option(MAX_PIXELS, "Refuse larger pictures.", _LIMITS, metavar="N", low=1)
    max_scans: int = option(MAX_SCANS, "Refuse JPEG files of more scans.", _LIMITS, metavar="N", low=1)
    max_metadata: int = option(
        MAX_METADATA, "Refuse JPEG files with more metadata.", _LIMITS, metavar="BYTES", low=0
    )
    max_directories: int = option(
        MAX_DIRECTORIES,
        "Refuse JPEG files with more EXIF directories, or MPF pictures.",
        _LIMITS,
        metavar="N",
        low=1,
    )
    max_input: int = option(
        MAX_INPUT, "Refuse files, and streams, of more bytes.", _LIMITS, metavar="BYTES", low=1
    )
    max_memory: int | None = option(
        None,
        "Spare memory, or refuse pictures that would take more. Default: what the machine has, and 500 MB "
        "for files under 500 kB.",
        _LIMITS,
        metavar="BYTES",
        low=1,
    )
    timeout: float | None = option(
        None, "Give up on a file after this.", _LIMITS, metavar="SECONDS", low=0, above=True
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

    progressive: bool = option(True, "Progressive scans where they are smaller.", _ENCODING, off="--baseline")
    """Progressive scans where they are smaller, or one baseline scan."""


@dataclass(frozen=True, kw_only=True)
class OptimizeOptions(CommonOptions):
    """Options of a perceptual encode, in addition to those of :class:`guetzpy.options.CommonOptions`.

    At most one of the six targets may be given; without one, the distance is 1.0.

    Attributes
    ----------
    distance : float, optional
        Perceptual distance as in cjxl and cjpegli, 0.1 to 25: 0.5 very high quality, 1.0 visually
        lossless for most eyes, 2.0 and more for the web.
    quality : int, optional
        1 to 100: at least as good as Pillow's ``save(..., quality=quality)`` from this picture.
    butteraugli : float, optional
        Butteraugli 3-norm that may be reached, above 0.
    ssimulacra2 : float, optional
        SSIMULACRA 2 score that must be reached, up to 100.
    max_bytes : int, optional
        Size of the whole file that may be reached, metadata included.
    bpp : float, optional
        The same in bits per pixel.
    effort : {"fast", "balanced", "max"}
        How long to search. Where fast misses the limits twice it goes on as balanced, and ``reason`` says so.
    subsampling : {"auto", "444", "420", "keep"}
        Of chroma. JPEG input keeps its own unless told otherwise; auto may go to 4:2:0.
    progressive : bool
        Progressive scans, which are smaller, or one baseline scan.
    strict : bool
        Raise TargetError where 8-bit JPEG cannot reach the limits of the distance, rather than
        relaxing them.
    min_saving : float
        Share that a lossy encode of a JPEG must save over its lossless repack, 0 to 1.
    mark : bool
        Leave a comment of at most 20 bytes that keeps a second run from re-encoding again.
    to_srgb : bool
        Convert pixels of another colour profile to sRGB by lcms (relative colorimetric, black point
        compensation); the result has no profile, which means sRGB. A JPEG with such a profile is then
        encoded anew from its pixels, so its file may grow, and CMYK with a profile becomes a picture like
        any other. Default: pictures keep their codes and their profile.
    background : str or tuple, optional
        Colour under transparent parts, as Pillow's ImageColor reads it.
    """

    distance: float | None = option(
        None,
        "Perceptual distance: 0.5 very high quality, 1.0 visually lossless for most eyes, 2.0 and more for "
        "the web. Default 1.0.",
        _TARGET,
        short="-d",
        metavar="D",
        low=0.1,  # below, the rounding of 8-bit samples alone is larger
        high=25,  # as in cjxl
    )
    quality: int | None = option(
        None,
        "1 to 100: at least as good as Pillow's JPEG of that quality.",
        _TARGET,
        short="-q",
        metavar="Q",
        low=1,
        high=100,
        whole=True,
    )
    ssimulacra2: float | None = option(
        None, "Reach this SSIMULACRA 2 score.", _TARGET, metavar="S", low=-100, high=100
    )
    butteraugli: float | None = option(
        None, "Stay within this Butteraugli 3-norm.", _TARGET, metavar="B", low=0, high=100, above=True
    )
    max_bytes: int | None = option(
        None, "The best file of at most N bytes.", _TARGET, metavar="N", low=1, whole=True
    )
    bpp: float | None = option(
        None, "The best file of at most B bits per pixel.", _TARGET, metavar="B", low=0, above=True
    )
    strict: bool = option(False, "Fail where no 8-bit JPEG reaches the distance.", _TARGET)
    effort: Effort = option(
        "balanced",
        "How long to search. Where fast misses, it goes on as balanced and says so.",
        _ENCODING,
        short="-e",
        choices=get_args(Effort),
    )
    subsampling: Subsampling = option("auto", "Of chroma.", _ENCODING, choices=get_args(Subsampling))
    progressive: bool = option(
        True, "Scans of the file; progressive ones are smaller.", _ENCODING, off="--baseline"
    )
    to_srgb: bool = option(
        False, "Convert pictures of another colour profile to sRGB. Default: they keep it.", _ENCODING
    )
    background: str | tuple[int, int, int] | None = option(
        None, "Colour under transparent parts, e.g. white or #fff.", _ENCODING, metavar="COLOR"
    )
    min_saving: float = option(
        0.05,
        "Re-encode a JPEG only if that saves this share over its lossless repack.",
        _ENCODING,
        metavar="SHARE",
        low=0,
        high=1,
    )
    mark: bool = option(
        True,
        "Leave a comment of at most 20 bytes, so that a second run changes nothing.",
        _ENCODING,
        off="--no-mark",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = [name for name in TARGETS if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} contradict each other: give one")
        if not asked:
            object.__setattr__(self, "distance", 1.0)

    @property
    def target(self) -> tuple[str, float]:
        """What was asked for: the name of one of :data:`TARGETS` and its value."""
        for name in TARGETS:
            value = getattr(self, name)
            if value is not None:
                return name, value
        raise AssertionError("__post_init__ leaves one target")

    def replace(self, **changes: object) -> OptimizeOptions:
        """Return these options with some changed; a new target takes the place of the old one."""
        if any(changes.get(name) is not None for name in TARGETS):
            changes = dict.fromkeys(TARGETS) | changes
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def kinds(option: str, names: str | Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of metadata that an option names, sorted; ValueError for an unknown one."""
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
    mark: bool
