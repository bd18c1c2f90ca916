"""The metrics as plain functions of two pictures, in scikit-image's manner."""

from __future__ import annotations

from typing import Any, Literal, overload

from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator
from guetzpy.metrics._butteraugli.norm import Norm, norm_of_map
from guetzpy.metrics._cvvdp.comparator import CVVDPComparator
from guetzpy.metrics._iwssim._comparator import IWSSIMComparator
from guetzpy.metrics._ssimulacra2.comparator import SSIMULACRA2Comparator
from guetzpy.picture.transform import Floats

__all__ = ["butteraugli", "cvvdp", "iwssim", "ssimulacra2"]


@overload
def butteraugli(reference: Any, distorted: Any, *, norm: Norm = 3, full: Literal[False] = False) -> float: ...


@overload
def butteraugli(
    reference: Any, distorted: Any, *, norm: Norm = 3, full: Literal[True]
) -> tuple[float, Floats]: ...


def butteraugli(
    reference: Any, distorted: Any, *, norm: Norm = 3, full: bool = False
) -> float | tuple[float, Floats]:
    """Return the Butteraugli distance of a picture from its reference.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images by the colours that they declare (ICC profile, PNG's chunks, Exif).
    norm : float or "max", optional
        How the map of differences becomes one number. 3, the default, is the "3-norm" of libjxl's
        tools: the mean of the 3-, 6- and 12-norm; any other p >= 1 likewise. ``"max"`` is the
        largest value.
    full : bool, optional
        Return the map too.

    Returns
    -------
    distance : float
        0 for identical pictures. By the 3-norm about 0.4 is very high quality, 0.7 visually
        lossless for most eyes, 1.0 and more for the web.
    diffmap : ndarray of float32, shape (H, W)
        Only if ``full``.

    Raises
    ------
    ValueError
        The sizes differ, or an argument is no picture.
    UnsupportedError
        Real transparency, CMYK: see :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    libjxl's version, at 80 nits. To compare many pictures with one reference use
    :class:`ButteraugliComparator`, which computes the reference's side once.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import butteraugli
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> butteraugli(picture, picture)
    0.0
    """
    comparator = ButteraugliComparator(reference)
    if not full:
        return comparator.score(distorted, norm)
    diffmap = comparator.diffmap(distorted)
    return norm_of_map(diffmap, norm, None), diffmap


def iwssim(reference: Any, distorted: Any) -> float:
    """Return the information content weighted SSIM of a picture against its reference.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images by the colours that they declare (ICC profile, PNG's chunks, Exif).

    Returns
    -------
    float
        1 for identical pictures, 0 for pictures without anything in common. JPEG files that are visually
        lossless for most eyes have about 0.998.

    Raises
    ------
    ValueError
        The sizes differ, or an argument is no picture.
    UnsupportedError
        Real transparency, CMYK: see :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    Wang and Li, "Information Content Weighting for Perceptual Image Quality Assessment", IEEE Transactions
    on Image Processing 20 (5), 2011. It is a metric of luma and does not see chroma. Within 1e-4 of
    ``piq.information_weighted_ssim`` in double precision. A side below 161 samples is continued to 161 by
    the picture's mirror image. To compare many pictures with one reference use :class:`IWSSIMComparator`,
    which computes the reference's side once.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import iwssim
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> iwssim(picture, picture)
    1.0
    """
    return IWSSIMComparator(reference).score(distorted)


def ssimulacra2(reference: Any, distorted: Any) -> float:
    """Return the SSIMULACRA 2 score of a picture against its reference.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images by the colours that they declare (ICC profile, PNG's chunks, Exif).

    Returns
    -------
    float
        100 for identical pictures, about 90 visually lossless, 70 high, 50 medium, 30 low
        quality; may be negative.

    Raises
    ------
    ValueError
        The sizes differ, or an argument is no picture.
    UnsupportedError
        Real transparency, CMYK: see :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    Version 2.1, digit for digit as libjxl's ``ssimulacra2`` tool prints it on processors with
    fused multiply-add. To compare many pictures with one reference use
    :class:`SSIMULACRA2Comparator`, which computes the reference's side once.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import ssimulacra2
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> ssimulacra2(picture, picture)
    100.0
    """
    return SSIMULACRA2Comparator(reference).score(distorted)


def cvvdp(reference: Any, distorted: Any, display: str = "standard_fhd") -> float:
    """Return ColorVideoVDP's quality of a picture against its reference, in JOD.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images by the colours that they declare (ICC profile, PNG's chunks, Exif).
    display : str, optional
        Which display the pictures are seen on, and from where: see :class:`CVVDPComparator`.

    Returns
    -------
    float
        10 for identical pictures, less for others. Of two pictures one JOD apart, 75 % of viewers
        prefer the better one.

    Raises
    ------
    ValueError
        The sizes differ, an argument is no picture, or there is no such display.
    UnsupportedError
        Real transparency, CMYK: see :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    The still picture's part of version 0.5.7 of the authors' package ``cvvdp``, within 0.0001 JOD of it. Gray
    pictures count as RGB of three equal channels. To compare many pictures with one reference use
    :class:`CVVDPComparator`, which computes the reference's side once.

    References
    ----------
    Mantiuk et al. 2024, "ColorVideoVDP: A visual difference predictor for image, video and display
    distortions", ACM Transactions on Graphics 43(4), doi 10.1145/3658144.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import cvvdp
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> cvvdp(picture, picture)
    10.0
    """
    return CVVDPComparator(reference, display=display).score(distorted)
