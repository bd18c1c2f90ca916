"""The options. Each dataclass field declares the default, help text, range and section of its option."""

from __future__ import annotations

import dataclasses
import operator
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from guetzpy._common_options import (
    ENCODING,
    MAX_DIRECTORIES,
    MAX_INPUT,
    MAX_METADATA,
    MAX_PIXELS,
    MAX_SCANS,
    METADATA_KINDS,
    TARGET,
    CommonOptions,
    kinds,
)
from guetzpy._option import box_of, option
from guetzpy.model.file import Model

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
    "background_codes",
    "kinds",
    "target_of",
]

Effort: TypeAlias = Literal["fast", "balanced", "max"]
Subsampling: TypeAlias = Literal["auto", "444", "420", "keep"]

# Other spellings of chroma subsamplings, and the value of Subsampling that each means.
_NOTATIONS = {"4:4:4": "444", "4:2:0": "420"}

#: Names of the targets. At most one can be given.
TARGETS = ("distance", "quality", "butteraugli", "ssimulacra2", "max_bytes", "bpp")

#: Metrics of :func:`guetzpy.compare`, and its default.
METRICS = ("butteraugli", "ssimulacra2", "psnr", "cvvdp", "iwssim")
DEFAULT_METRICS = METRICS


@dataclass(frozen=True, kw_only=True)
class TranscodeOptions(CommonOptions):
    """Options of a lossless repack, in addition to those of :class:`guetzpy.options.CommonOptions`."""

    progressive: bool = option(
        True, "Progressive scans if they are smaller, or always a baseline file.", ENCODING, off="--baseline"
    )
    """Whether the file may be progressive, if that is smaller. If False, it is baseline."""


@dataclass(frozen=True, kw_only=True)
class OptimizeOptions(CommonOptions):
    """Options of a perceptual encode, in addition to those of :class:`guetzpy.options.CommonOptions`.

    At most one of the six targets may be given; without one, the distance is 1.0.

    Attributes
    ----------
    distance : float, optional
        Perceptual distance on the scale of cjxl and cjpegli, 0.1 to 25. At 1.0 most viewers see no difference
        (0.25 JND), at 1.5 it is hard to see (0.5 JND), and at 2.5 half of the trained viewers see it when the
        two pictures alternate in the same place (1 JND); see docs/choosing.md. Default: 1.0, if no other
        target is given.
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
    model : path or Model, optional
        Model file of ``guetzpy train``, or a model that was read from one; it is read when the options are
        made, and stored as a Model. Default: the built-in model.
    subsampling : {"auto", "444", "420", "keep"}
        Chroma subsampling. auto: the one that gives the smaller file; a JPEG keeps its own, or changes to
        4:2:0. keep: that of the JPEG. CMYK always keeps its own. "4:4:4" and "4:2:0" are accepted for "444"
        and "420".
    progressive : bool
        Whether the file may be progressive, if that is smaller. If False, it is baseline.
    strict : bool
        Whether TargetError is raised if no 8-bit JPEG meets the limits of the distance. If False, the limits
        are relaxed.
    min_saving : float
        Smallest share, 0 to 1, that a lossy encode of a JPEG must save over its lossless repack. If it saves
        less, the repack is the result.
    total_distance : bool
        Whether the distance of a JPEG counts from the picture that it was made from, which is estimated from
        its tables. A JPEG whose own distance is probably at least 0.9 times the requested distance is then
        only repacked. Default: False, the distance counts from the JPEG itself. It has an effect with
        ``distance`` only.
    mark : bool
        Whether the file tells a later run that it was encoded at its distance before: in steps of its tables
        that no coefficient uses, or, if fewer than eight are unused, in a comment of 20 bytes.
    to_srgb : bool
        Whether pixels with another colour profile are converted to sRGB by lcms (relative colorimetric, black
        point compensation) and written without a profile. A JPEG with such a profile is encoded from its
        pixels, so its file may be larger. CMYK with a profile is converted too. Default: False, pictures keep
        their codes and their profile.
    fit : int, str or tuple, optional
        Width and height that the picture may have as it is shown: 2048 for a square, "1920x1080" or
        (1920, 1080). A larger picture is made smaller with Lanczos' filter in linear light and then searched;
        it loses its thumbnail and gain map, which a warning says. No picture is enlarged. Default: no picture
        is resized. Stored as a tuple.
    background : str or tuple, optional
        Colour that transparent pictures are composited on, in a form that Pillow's ImageColor reads.
    gainmap : float, optional
        Perceptual distance, 0.1 to 25, that the HDR rendition of a JPEG with a gain map (Ultra HDR, ISO
        21496-1, Apple) may have from the one with the original map: the map is encoded anew. The base of both
        is the source's first picture, and the display has the boost that the metadata names. A map that
        cannot be made smaller so is repacked. Default: gain maps are repacked without loss.
    """

    distance: float | None = option(
        None,
        "Largest visible difference. 0.5: for archives; 1.0: no visible difference; 1.5: hard to see; 2.5: "
        "seen when the pictures alternate in place; 4: seen side by side. Default: 1.0.",
        TARGET,
        short="-d",
        metavar="D",
        low=0.1,  # below it, rounding to 8-bit samples alone exceeds the limits
        high=25,  # the same bound as in cjxl
    )
    quality: int | None = option(
        None,
        "Score at least as well as Pillow's JPEG of this quality.",
        TARGET,
        short="-q",
        metavar="Q",
        low=1,
        high=100,
        whole=True,
    )
    ssimulacra2: float | None = option(
        None, "Smallest SSIMULACRA 2 score.", TARGET, metavar="S", low=-100, high=100
    )
    butteraugli: float | None = option(
        None, "Largest Butteraugli 3-norm.", TARGET, metavar="B", low=0, high=100, above=True
    )
    max_bytes: int | None = option(
        None,
        "Write the best file of at most this size, such as 200k.",
        TARGET,
        metavar="SIZE",
        low=1,
        whole=True,
        size=True,
    )
    bpp: float | None = option(
        None, "Write the best file of at most B bits per pixel.", TARGET, metavar="B", low=0, above=True
    )
    strict: bool = option(False, "Fail if no 8-bit JPEG meets the limits of the distance.", TARGET)
    effort: Effort = option(
        "balanced",
        "Time of the search. If fast misses the limits, it continues as balanced and says so.",
        ENCODING,
        short="-e",
        choices=get_args(Effort),
    )
    model: str | os.PathLike[str] | Model | None = option(
        None,
        "Model file of guetzpy train. Default: the built-in model.",
        ENCODING,
        metavar="FILE",
        hashed_unset=False,
    )
    subsampling: Subsampling = option("auto", "Chroma subsampling.", ENCODING, choices=get_args(Subsampling))
    progressive: bool = option(
        True, "Progressive scans if they are smaller, or always a baseline file.", ENCODING, off="--baseline"
    )
    to_srgb: bool = option(
        False, "Convert pictures with other colour profiles to sRGB. Default: keep the profile.", ENCODING
    )
    fit: int | str | tuple[int, int] | None = option(
        None,
        "Scale down pictures that exceed a square (2048) or a box (1920x1080), in pixels.",
        ENCODING,
        metavar="SIZE",
    )
    background: str | tuple[int, int, int] | None = option(
        None,
        "Colour to composite transparent pictures on, such as white or #fff.",
        ENCODING,
        metavar="COLOR",
    )
    gainmap: float | None = option(
        None,
        "Encode gain maps anew: largest visible difference of the HDR rendition, on the scale of --distance. "
        "Default: repack them without loss.",
        ENCODING,
        metavar="D",
        low=0.1,
        high=25,
        hashed_unset=False,
    )
    min_saving: float = option(
        0.05,
        "Smallest share that re-encoding a JPEG must save over its lossless repack.",
        ENCODING,
        metavar="SHARE",
        low=0,
        high=1,
    )
    total_distance: bool = option(
        False,
        "Count a JPEG's own loss, estimated from its tables, as part of the distance. Default: count "
        "from the JPEG itself.",
        TARGET,
    )
    mark: bool = option(
        True,
        "Mark the file, so that a second run changes nothing.",
        ENCODING,
        off="--no-mark",
    )

    def __post_init__(self) -> None:
        notation: object = self.subsampling
        if isinstance(notation, str) and notation in _NOTATIONS:
            object.__setattr__(self, "subsampling", _NOTATIONS[notation])
        super().__post_init__()
        if self.model is not None and not isinstance(self.model, Model):
            object.__setattr__(self, "model", Model.load(self.model))
        if self.fit is not None:
            object.__setattr__(self, "fit", box_of(self.fit))
        asked = [name for name in TARGETS if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} contradict each other: give one")
        if self.to_srgb and "icc" in self.keep:
            raise ValueError(
                "keep icc and to_srgb contradict each other: after the conversion no profile is kept"
            )
        if self.background is not None:
            background_codes(self.background)
            if isinstance(self.background, list):  # a batch run needs options that can be hashed
                object.__setattr__(self, "background", tuple(self.background))
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

    def to_dict(self) -> dict[str, Any]:
        """Return all options by name, as JSON can hold them: tuples become lists, a model its path.

        Raises
        ------
        ValueError
            The model was not read from a file.
        """
        values = super().to_dict()
        if isinstance(self.model, Model):
            if self.model.path is None:
                raise ValueError("the model has no file: save it and give its path")
            values["model"] = self.model.path
        return values

    def replace(self, **changes: object) -> OptimizeOptions:
        """Return a copy with some options changed. A new target replaces the old one."""
        if any(changes.get(name) is not None for name in TARGETS):
            changes = dict.fromkeys(TARGETS) | changes
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def target_of(options: OptimizeOptions | TranscodeOptions) -> dict[str, float] | None:
    """Return the target as results hold it; None for a transcode, which has none."""
    return dict([options.target]) if isinstance(options, OptimizeOptions) else None


def background_codes(background: Any) -> tuple[float, float, float]:
    """Return the codes, 0..255, of an opaque background: a colour name, a gray code or three codes.

    Raises
    ------
    ValueError
        The value has another form.
    """
    from PIL import ImageColor

    try:
        if isinstance(background, str):
            values: Any = ImageColor.getrgb(background)
        elif hasattr(background, "__index__") and not isinstance(background, bool):
            values = (operator.index(background),) * 3
        else:
            values = tuple(background)
        if values[3:] == (255,):  # opaque
            values = values[:3]
        # White may be meant by (1.0, 1.0, 1.0), as in a float array; as codes it is nearly black.
        scaled = not all(hasattr(v, "__index__") for v in values) and 0 < max(values) <= 1
        if len(values) == 3 and not scaled and all(0 <= v <= 255 for v in values):
            return float(values[0]), float(values[1]), float(values[2])
    except (ValueError, TypeError):
        pass
    raise ValueError(f"background {background!r}: expected a colour name or three codes 0..255, and no alpha")


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
    model: str | os.PathLike[str] | Model | None
    subsampling: Subsampling
    progressive: bool
    to_srgb: bool
    fit: int | str | tuple[int, int] | None
    background: str | tuple[int, int, int] | None
    gainmap: float | None
    min_saving: float
    total_distance: bool
    mark: bool
