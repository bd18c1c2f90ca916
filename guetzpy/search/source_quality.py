"""What may come of a JPEG source: whether it can be searched, and the distance that its tables suggest."""

from __future__ import annotations

import numpy as np

from guetzpy._runtime.exact_math import exp, log
from guetzpy.jpeg.structure import NATURAL_ORDER, JpegImage

__all__ = ["estimate", "obstacle"]

#: Sampling factors of the luma where chroma has (1, 1) that are searched.
_SAMPLINGS = ((1, 1), (2, 1), (1, 2), (2, 2))

#: The fit: growth of log distance with log steps, its offset, what 4:2:0 adds, by how much chroma's log steps
#: usually exceed the luma's, and the least distance of 4:2:0.
_SLOPE, _OFFSET, _OFFSET_420, _CHROMA, _FLOOR_420 = 0.95, -1.2, 0.12, 0.95, 0.45


def estimate(image: JpegImage) -> float:
    """Return the distance at which a JPEG probably was encoded.

    From the mean logarithm of the first 21 luma steps in zigzag order, and of the chroma's,
    fitted to the medians that libjpeg-turbo's and cjpegli's files reach (bench/source_quality.py).

    Parameters
    ----------
    image : JpegImage
        The source.

    Returns
    -------
    float
        Distance, about 0.1 to 25.
    """
    low = NATURAL_ORDER[:21]
    luma = _mean_log(image.components[0].qtable[low])
    subsampled = len(image.components) == 3 and image.h_max * image.v_max > 1
    result = exp(_SLOPE * luma + _OFFSET + (_OFFSET_420 if subsampled else 0.0))
    if len(image.components) == 3:
        chroma = 0.5 * sum(_mean_log(c.qtable[low[:10]]) for c in image.components[1:])
        # Chroma coarser than its usual relation to luma costs as much again.
        result = max(result, exp(_SLOPE * (chroma - _CHROMA) + _OFFSET))
        if subsampled:
            result = max(result, _FLOOR_420)
    return float(min(max(result, 0.02), 25.0))


def obstacle(image: JpegImage) -> str | None:
    """Return why a JPEG can only be packed losslessly, if so."""
    if not image.complete:
        return image.warnings[0] if image.warnings else "not all coefficients are sent in full"
    if image.colorspace not in ("gray", "ycbcr"):
        return f"{image.colorspace.upper()} is packed losslessly only"
    if image.colorspace == "ycbcr":
        luma, *chroma = image.components
        if (luma.h, luma.v) not in _SAMPLINGS or any((c.h, c.v) != (1, 1) for c in chroma):
            return "unusual sampling factors are packed losslessly only"
    return None


def _mean_log(steps: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> float:
    return sum(log(float(step)) for step in steps) / len(steps)
