"""What may be asked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

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
    "Effort",
    "OptimizeOptions",
    "Subsampling",
    "TranscodeOptions",
    "kinds",
]

Effort: TypeAlias = Literal["fast", "balanced", "max"]
Subsampling: TypeAlias = Literal["auto", "444", "420", "keep"]

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

# The scale's ends: below 0.1 samples of 8 bits leave no room; above 25 (cjxl's end) nothing is left.
_DISTANCES = (0.1, 25.0)


#: Defaults of the limits for files from strangers: pixels of 16 384 x 16 384, bytes of metadata, JPEG scans,
#: EXIF directories or MPF pictures, bytes of a file.
MAX_PIXELS = 268_435_456
MAX_METADATA = MAX_PIXELS
MAX_SCANS = 128
MAX_DIRECTORIES = 256
MAX_INPUT = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class _CommonOptions:
    """Options of everything that reads a picture and writes a JPEG.

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

    keep: tuple[str, ...] = ()
    strip: tuple[str, ...] = ()
    keep_components: bool = False
    repair: bool = False
    max_pixels: int = MAX_PIXELS
    max_scans: int = MAX_SCANS
    max_metadata: int = MAX_METADATA
    max_directories: int = MAX_DIRECTORIES
    max_input: int = MAX_INPUT
    max_memory: int | None = None
    threads: int | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        keep, strip = kinds("keep", self.keep), kinds("strip", self.strip)
        both = sorted(set(keep) & set(strip))
        if both:
            raise ValueError(f"{', '.join(both)}: both kept and stripped")
        object.__setattr__(self, "keep", keep)
        object.__setattr__(self, "strip", strip)
        for limit in (
            "max_pixels",
            "max_scans",
            "max_metadata",
            "max_directories",
            "max_input",
            "max_memory",
        ):
            _check_range(limit, getattr(self, limit), int(limit != "max_metadata"), math.inf)
        if self.threads is not None:
            _check_range("threads", self.threads, 1, 1024)
        if self.timeout is not None:
            _check_range("timeout", self.timeout, 0, math.inf, open_below=True)


@dataclass(frozen=True, kw_only=True)
class TranscodeOptions(_CommonOptions):
    """Options of a lossless repack: see :class:`OptimizeOptions` for those that both share."""

    progressive: bool = True
    """Progressive scans where they are smaller, or one baseline scan."""


@dataclass(frozen=True, kw_only=True)
class OptimizeOptions(_CommonOptions):
    """Options of a perceptual encode. At most one of the six targets; none means distance 1.0.

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

    distance: float | None = None
    quality: int | None = None
    butteraugli: float | None = None
    ssimulacra2: float | None = None
    max_bytes: int | None = None
    bpp: float | None = None
    effort: Effort = "balanced"
    subsampling: Subsampling = "auto"
    progressive: bool = True
    strict: bool = False
    min_saving: float = 0.05
    mark: bool = True
    to_srgb: bool = False
    background: str | tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = [name for name in TARGETS if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} contradict each other: give one")
        if not asked:
            object.__setattr__(self, "distance", 1.0)
        _check_range("distance", self.distance, *_DISTANCES)
        _check_range("quality", self.quality, 1, 100, whole=True)
        _check_range("butteraugli", self.butteraugli, 0, 100, open_below=True)
        _check_range("ssimulacra2", self.ssimulacra2, -100, 100)
        _check_range("max_bytes", self.max_bytes, 1, math.inf, whole=True)
        _check_range("bpp", self.bpp, 0, math.inf, open_below=True)
        _check_choice("effort", self.effort, get_args(Effort))
        _check_choice("subsampling", self.subsampling, get_args(Subsampling))
        _check_range("min_saving", self.min_saving, 0, 1)

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


def _check_range(
    name: str,
    value: float | None,
    low: float,
    high: float,
    *,
    whole: bool = False,
    open_below: bool = False,
) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} {value!r}: expected a number")
    if whole and value != int(value):
        raise ValueError(f"{name} {value!r}: expected a whole number")
    if not low <= value <= high or (open_below and value == low):
        below = f"more than {low:g}" if open_below else f"{low:g}"
        expected = f"{below} to {high:g}" if high < math.inf else f"{below}{'' if open_below else ' or more'}"
        raise ValueError(f"{name} {value:g}: expected {expected}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} {value!r}: expected one of {', '.join(choices)}")
