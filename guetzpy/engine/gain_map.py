"""Replace the gain maps of a file by coarser encodes, for the option ``gainmap``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from guetzpy._runtime.memory_limits import check_few_bytes, check_memory
from guetzpy._runtime.threads import check_time
from guetzpy.engine.jpeg_rule import own_distance, remaining
from guetzpy.errors import FormatError, GuetzpyError, LimitError, UnsupportedError
from guetzpy.gainmap.encode import Encoded, Style, encoded
from guetzpy.gainmap.metadata import read_application
from guetzpy.gainmap.rendition import Base, Judge
from guetzpy.jpeg.further import with_packed_pictures
from guetzpy.jpeg.header import frame_of
from guetzpy.jpeg.metadata.declared import colour_of_jpeg
from guetzpy.jpeg.metadata.policy import Policy
from guetzpy.jpeg.pixels import decode_planes
from guetzpy.jpeg.reader import Limits, read
from guetzpy.jpeg.structure import JpegImage
from guetzpy.jpeg.transcode import transcode_bytes
from guetzpy.metrics.one_reference import CACHED_PIXELS
from guetzpy.options import OptimizeOptions
from guetzpy.picture.fitting import fitted_size
from guetzpy.result import Result
from guetzpy.search import source_quality
from guetzpy.search.candidates import model_of
from guetzpy.search.coding.learnt import families_of
from guetzpy.search.coding.tables import TableFamily, beside_own
from guetzpy.search.plan import packing_memory

__all__ = ["Replaced", "with_gain_maps_anew"]

#: Encodes that are scored for each table family. With effort fast only the model's tables are tried. The
#: other efforts also try tables that keep the map's own steps.
_EVALUATIONS = {"fast": 4, "balanced": 6, "max": 10}

#: Bytes per pixel of the base if the metrics keep their data of the reference, and if they do not; bytes per
#: pixel of the map. Measured per pixel of the base: 178, 163 and 156 with these data (1, 6 and 12
#: megapixels), 54 without (20 megapixels).
_MEMORY, _MEMORY_SPARED, _MEMORY_OF_MAP = 180, 60, 60

#: Colour spaces of bases and of gain maps.
_COLOURS = ("gray", "ycbcr")

#: First words of a reason and of a warning.
_ANEW, _NOT_FOLLOWED = "gain map encoded anew", "gainmap is not followed (the gain map is only repacked)"


@dataclass
class Replaced:
    """A file whose gain maps were encoded anew.

    Attributes
    ----------
    source, data : bytes
        The file before and after; they are the same object if no map was replaced.
    reasons : list of str
        What was done with each map.
    warnings : list of str
        Why a map could not be handled.
    """

    source: bytes
    data: bytes
    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def told(self, result: Result) -> Result:
        """Turn the result for ``data`` into one for ``source``; it says what was done with the maps."""
        reasons = [reason for reason in (result.reason, *self.reasons) if reason]
        return replace(
            result,
            status=result.status if self.data is self.source else "optimized",
            reason="; ".join(reasons) or None,
            bytes_before=len(self.source),
            warnings=(*self.warnings, *result.warnings),
        )


def with_gain_maps_anew(
    source: bytes, options: OptimizeOptions, check: Callable[[], None] = lambda: None
) -> Replaced:
    """Encode the gain maps of a JPEG file anew; ``options.gainmap`` limits the distance of the HDR rendition.

    The data of the first picture and all metadata stay, except for lengths and offsets. A map is replaced
    only if its new encode is smaller than its lossless repack.

    Parameters
    ----------
    source : bytes
        The file. If it cannot be read, it is returned unchanged; the caller gets the error when it reads it.
    options : OptimizeOptions
        ``gainmap`` is a distance.
    check : callable
        Called between evaluations; it raises an exception to end the work.
    """
    result = Replaced(source, source)
    limits = Limits(options.max_pixels, options.max_scans, options.max_metadata, options.max_directories)
    try:
        _, width, height = frame_of(source)
        check_memory(width * height, packing_memory(width * height), options.max_memory)
        image = read(source, limits=limits)
    except GuetzpyError:
        check_time()
        return result
    if _is_resized(image, options):
        return result
    script = "auto" if options.progressive else "sequential"

    def replaced(picture: bytes) -> bytes | None:
        try:
            found = _anew(image, read(picture, limits=limits), len(source), options, check)
            packed = picture
            if not isinstance(found, str):
                packed = transcode_bytes(
                    picture,
                    script=script,  # type: ignore[arg-type]
                    limits=limits,
                    keep_components=True,
                    threads=options.threads,
                    further=False,
                ).data
        except (FormatError, UnsupportedError, LimitError) as error:
            check_time()  # a LimitError of the timeout says nothing about the map
            result.warnings.append(f"{_NOT_FOLLOWED}: {error.reason}")
            return None
        if isinstance(found, str):
            result.reasons.append(f"gain map repacked: {found}")
            return None
        if len(found.data) >= min(len(packed), len(picture)):
            result.reasons.append("gain map repacked: an encode at its distance would not be smaller")
            return None
        result.reasons.append(
            f"{_ANEW}: {len(picture)} to {len(found.data)} bytes, HDR rendition at distance "
            f"{found.distance:.2g}"
        )
        return found.data

    # Other pictures of the index are repacked later, with the first picture.
    without = {"mpf", *Policy.of(options.keep, options.strip).stripped}
    data = with_packed_pictures(source, image, replaced, without)[0]
    if data is source and any(reason.startswith(_ANEW) for reason in result.reasons):
        return Replaced(source, source, warnings=[f"{_NOT_FOLLOWED}: offsets to it cannot be rewritten"])
    result.data = data
    return result


def _is_resized(image: JpegImage, options: OptimizeOptions) -> bool:
    """Return whether the picture does not fit ``options.fit``; it loses its gain map then."""
    if not isinstance(options.fit, tuple):
        return False
    size = image.width, image.height
    return any(fitted_size(*size, options.fit, turned=turned) != size for turned in (False, True))


def _anew(
    base: JpegImage,
    gain_map: JpegImage,
    file_size: int,
    options: OptimizeOptions,
    check: Callable[[], None],
) -> Encoded | str:
    """Return the encode of a gain map, or why there is none."""
    assert options.gainmap is not None
    own = own_distance(gain_map, options)
    if own >= 0.995 * options.gainmap:
        return "encoded by guetzpy at this distance before"
    for what, image in (("the gain map", gain_map), ("the base picture", base)):
        obstacle = source_quality.obstacle(image)
        if obstacle is None and image.colorspace not in _COLOURS:
            obstacle = f"{image.colorspace.upper()} is not supported"
        if obstacle:
            raise UnsupportedError(f"{what}: {obstacle}")
    application = read_application(base.segments, gain_map.segments)
    area, spared = base.width * base.height, base.width * base.height > CACHED_PIXELS
    wanted = area * (_MEMORY_SPARED if spared else _MEMORY)
    wanted += gain_map.width * gain_map.height * _MEMORY_OF_MAP
    check_few_bytes(area, wanted, file_size, options.max_memory)
    picture = Base(
        decode_planes(base, threads=options.threads),
        colour_of_jpeg(base).transform,
        application,
        colour_of_jpeg(gain_map).transform,
        options.threads,
    )
    judge = Judge(picture, decode_planes(gain_map, threads=options.threads))
    families: Sequence[TableFamily] = families_of(model_of(options))
    if options.effort != "fast":
        families = beside_own([c.qtable for c in gain_map.components], families)
    style = Style(
        "auto" if options.progressive else "sequential",
        options.gainmap if options.mark else None,
        options.threads,
    )
    wanted_distance = remaining(options.gainmap, own)
    found = encoded(gain_map, judge, wanted_distance, families, _EVALUATIONS[options.effort], style, check)
    return found or "no encode is within its distance"
