"""Facts about a JPEG source: whether the search can handle it, and the distance that its tables suggest."""

from __future__ import annotations

import numpy as np

from guetzpy._runtime.exact_math import exp, log
from guetzpy.jpeg.structure import NATURAL_ORDER, JpegImage

__all__ = ["estimate", "obstacle"]

#: Sampling factors (H, V) of the luma that the search handles, where both chroma components have (1, 1).
_SAMPLINGS = ((1, 1), (2, 1), (1, 2), (2, 2))

#: Fitted parameters: slope of the log distance over the mean log step, its offset, the amount added to it
#: under 4:2:0, the usual difference between chroma's and luma's mean log steps, and the smallest distance
#: under 4:2:0.
_SLOPE, _OFFSET, _OFFSET_420, _CHROMA, _FLOOR_420 = 0.95, -1.2, 0.12, 0.95, 0.45


def estimate(image: JpegImage) -> float:
    """Return the distance at which a JPEG was probably encoded.

    It is computed from the mean logarithms of the first 21 luma steps and of the first 10 chroma steps in
    zigzag order. The parameters were fitted to the median distances of files by libjpeg-turbo and cjpegli;
    bench/source_quality.py measures the error. For other files, luma is red or the ink with the finest
    table. For qualities 40 to 95 of libjpeg-turbo, the result is then 0.8 to 1.3 times the distance for RGB,
    and 0.8 to 1.9 times for CMYK (two and six photographs); at quality 98 it is up to 0.23 too large.

    Parameters
    ----------
    image : JpegImage
        The source.

    Returns
    -------
    float
        Distance, 0.02 to 25.
    """
    low = NATURAL_ORDER[:21]
    means = [_mean_log(component.qtable[low]) for component in image.components]
    luma = min(means) if image.colorspace == "cmyk" else means[0]
    has_chroma = len(means) == 3 or image.colorspace == "ycck"
    subsampled = has_chroma and image.h_max * image.v_max > 1
    result = exp(_SLOPE * luma + _OFFSET + (_OFFSET_420 if subsampled else 0.0))
    if has_chroma:
        chroma = 0.5 * sum(_mean_log(c.qtable[low[:10]]) for c in image.components[1:3])
        # If chroma is coarser than usual for the luma's steps, the chroma determines the distance.
        result = max(result, exp(_SLOPE * (chroma - _CHROMA) + _OFFSET))
        if subsampled:
            result = max(result, _FLOOR_420)
    return float(min(max(result, 0.02), 25.0))


def obstacle(image: JpegImage) -> str | None:
    """Return the reason why a JPEG can only be repacked without loss, or None if it can be searched."""
    if not image.complete:
        return image.warnings[0] if image.warnings else "not all coefficients are sent in full"
    if image.colorspace == "ycbcr":
        luma, *chroma = image.components
        if (luma.h, luma.v) not in _SAMPLINGS or any((c.h, c.v) != (1, 1) for c in chroma):
            return "a JPEG with unusual sampling factors is only repacked without loss"
    # Any file of RGB or inks that libjpeg-turbo decodes is searched. It refuses such ratios.
    if any(image.h_max % c.h or image.v_max % c.v for c in image.components):
        return "a JPEG with fractional sampling factors is only repacked without loss"
    return None


def _mean_log(steps: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> float:
    return sum(log(float(step)) for step in steps) / len(steps)
