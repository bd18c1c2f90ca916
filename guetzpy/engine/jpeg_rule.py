"""Whether a JPEG is searched or only repacked, under which limits, and what would save more."""

from __future__ import annotations

from guetzpy._runtime.exact_math import power
from guetzpy.errors import TargetError
from guetzpy.jpeg.anatomy import survey
from guetzpy.jpeg.structure import JpegImage
from guetzpy.jpeg.table_mark import marked_distance
from guetzpy.options import OptimizeOptions
from guetzpy.search import source_quality
from guetzpy.search.quality.limits import FINEST, Limits
from guetzpy.search.quality.target import Goal

__all__ = ["counted", "further", "own_distance", "reason_to_repack", "remaining", "source_distance"]

#: With ``total_distance``, a JPEG is searched only if its own distance is below this share of the requested
#: distance.
_HEADROOM = 0.9

#: A JPEG is not searched if its own distance is at least this multiple of the requested distance. At the
#: multiple 5.6, encoding anew saved 0 to 5.6 % over the repack (4 photos of quality 40).
_HOPELESS = 6.0

#: A JPEG is expected to get smaller if the requested distance is above this multiple of its own distance.
_PROMISING = 1.0

#: Exponent p by which the distances a and b of two runs are added: the sum is (a**p + b**p) ** (1 / p).
_ADDS = 1.2

#: Distances that a message proposes.
_PROPOSED = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 25.0)


def source_distance(image: JpegImage) -> float:
    """Return the distance at which a JPEG was probably encoded.

    It is that of guetzpy's mark if there is one, and otherwise estimated from the quantisation tables.
    """
    marked = marked_distance(image)
    return round(source_quality.estimate(image) if marked is None else marked, 2)


def own_distance(image: JpegImage, options: OptimizeOptions) -> float:
    """Return the distance of guetzpy's own mark; 0 without a mark, or if ``options.mark`` is False."""
    return (marked_distance(image) or 0.0) if options.mark else 0.0


def counted(goal: Goal, image: JpegImage, options: OptimizeOptions) -> Goal:
    """Return the goal for a source that guetzpy has encoded before: its known loss is part of the distance.

    Without this, the losses of runs at different distances would add up. The exponent ``_ADDS`` follows from
    two runs, at distances 1 and 2, against one run at 2. With an exponent of 2, the two runs lose up to 3.1
    points of SSIMULACRA 2 (8 photos); with 1.25, up to 0.6 points. With ``_ADDS``, four photos gain 0.3 to
    3.0 points.

    Parameters
    ----------
    goal : Goal
        The goal for the source.
    image : JpegImage
        The source.
    options : OptimizeOptions
        The target and whether marks are used.
    """
    own, (name, wanted) = own_distance(image, options), options.target
    if name != "distance" or not 0.0 < own < wanted:
        return goal
    return Goal(Limits.at_distance(remaining(wanted, own)), exact=goal.exact)


def remaining(wanted: float, own: float) -> float:
    """Return the distance that is left of a requested one, above ``own``, after a loss of ``own``."""
    if not own:
        return wanted
    return max(power(power(wanted, _ADDS) - power(own, _ADDS), 1.0 / _ADDS), FINEST)


def reason_to_repack(
    image: JpegImage, options: OptimizeOptions, goal: Goal | None, repack: bytes
) -> str | None:
    """Return why a JPEG is only repacked, or None if it has to be searched.

    The reason is "" if the target is a size and ``repack``, the lossless repack, meets it.

    Raises
    ------
    TargetError
        The JPEG cannot be searched, and its repack is larger than the size asked for.
    """
    reason = source_quality.obstacle(image)
    size = None if goal is None else goal.size
    if reason:
        if size is not None and len(repack) > size:
            raise TargetError.of_size(len(repack), size, reason)
        return reason
    if size is not None:
        return "" if len(repack) <= size else None
    if goal is None or goal.limits is None:
        return None
    wanted = goal.limits.starting_distance()
    if options.target[0] != "quality" and own_distance(image, options) >= 0.995 * wanted:
        return "encoded by guetzpy at this distance before"
    already = source_quality.estimate(image)
    if already >= (_HEADROOM if options.total_distance else _HOPELESS) * wanted:
        return _with_hint(
            f"the source is at about distance {already:.2g} already", further(image, options, repack)
        )
    return None


def further(image: JpegImage, options: OptimizeOptions, repack: bytes, encoded: int | None = None) -> str:
    """Return a hint that names a distance at which a JPEG that was only repacked may become smaller.

    The hint is empty if no such distance is known, or if metadata takes more than half of the repack: then no
    distance is certain to save ``options.min_saving`` of the file. It is also empty if an encode at a larger
    distance than that of the source was no smaller than the repack, as for noise.

    Parameters
    ----------
    image : JpegImage
        The source.
    options : OptimizeOptions
        The target.
    repack : bytes
        The lossless repack.
    encoded : int, optional
        Bytes of the lossy encode at the target.
    """
    name, wanted = options.target
    parts = survey(repack)
    if name != "distance" or parts.metadata + parts.trailing > len(repack) // 2:
        return ""
    already = source_quality.estimate(image)
    if encoded is not None and encoded >= len(repack) and wanted >= _PROMISING * already:
        return ""
    least = max(_PROMISING * already, 1.3 * wanted)
    if options.total_distance:
        least = max(already / _HEADROOM, least)
    proposed = next((d for d in _PROPOSED if d > least), None)
    return "" if proposed is None else f"`-d {proposed:g}` may make it smaller"


def _with_hint(reason: str, hint: str) -> str:
    return f"{reason}; {hint}" if hint else reason
