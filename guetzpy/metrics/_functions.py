"""The metrics as functions of two pictures, with a signature like those of scikit-image."""

from __future__ import annotations

from typing import Any, Literal, overload

from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator
from guetzpy.metrics._butteraugli.norm import Norm, norm_of_map
from guetzpy.metrics._cvvdp.comparator import CVVDPComparator
from guetzpy.metrics._iwssim._comparator import IWSSIMComparator
from guetzpy.metrics._ssimulacra2.comparator import SSIMULACRA2Comparator
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Floats

__all__ = ["butteraugli", "cvvdp", "iwssim", "ssimulacra2"]


@overload
def butteraugli(
    reference: Any, distorted: Any, *, norm: Norm = 3, full: Literal[False] = False, background: Any = None
) -> float: ...


@overload
def butteraugli(
    reference: Any, distorted: Any, *, norm: Norm = 3, full: Literal[True], background: Any = None
) -> tuple[float, Floats]: ...


def butteraugli(
    reference: Any, distorted: Any, *, norm: Norm = 3, full: bool = False, background: Any = None
) -> float | tuple[float, Floats]:
    """Return the Butteraugli distance between a picture and its reference.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Pictures of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images have the colours that they declare (ICC profile, PNG's chunks, Exif).
    norm : float or "max", optional
        How the map of errors is reduced to one number. 3, the default, is the "3-norm" of libjxl's
        tools: the mean of the 3-, 6- and 12-norm. Another p >= 1 gives the mean of the p-, 2p- and 4p-norm.
        ``"max"`` or infinity is the largest value.
    full : bool, optional
        Whether the map is returned too.
    background : str, int or tuple, optional
        Colour that both pictures are composited on where they are transparent, such as ``"white"``: see
        :func:`guetzpy.picture.planes.planes_of`.

    Returns
    -------
    distance : float
        0 for identical pictures. A 3-norm of about 0.4 is very high quality; at 0.7 most people see no
        difference; 1.0 and more is usual on web pages.
    diffmap : ndarray of float32, shape (H, W)
        Map of errors; only if ``full``.

    Raises
    ------
    ValueError
        The sizes differ, or an argument is not a picture.
    UnsupportedError
        A picture has transparent pixels, and there is no background, or it is CMYK: see
        :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    libjxl's version, at a white of 80 cd/m2. To compare many pictures with one reference use
    :class:`ButteraugliComparator`, which processes the reference once.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import butteraugli
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> butteraugli(picture, picture)
    0.0
    """
    comparator = ButteraugliComparator.from_codes(*planes_of(reference, background=background))
    diffmap = comparator.diffmap_codes(*planes_of(distorted, background=background))
    score = norm_of_map(diffmap, norm, None)
    return (score, diffmap) if full else score


def iwssim(reference: Any, distorted: Any, *, background: Any = None) -> float:
    """Return the information content weighted SSIM (IW-SSIM) of a picture and its reference.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Pictures of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images have the colours that they declare (ICC profile, PNG's chunks, Exif).
    background : str, int or tuple, optional
        Colour that both pictures are composited on where they are transparent, such as ``"white"``: see
        :func:`guetzpy.picture.planes.planes_of`.

    Returns
    -------
    float
        1 for identical pictures, 0 for pictures without any common structure. JPEG files in which most
        people see no difference have about 0.998.

    Raises
    ------
    ValueError
        The sizes differ, or an argument is not a picture.
    UnsupportedError
        A picture has transparent pixels, and there is no background, or it is CMYK: see
        :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    Wang and Li, "Information Content Weighting for Perceptual Image Quality Assessment", IEEE Transactions
    on Image Processing 20 (5), 2011. The metric is computed from luma; differences of chroma alone do not
    change it. The result is within 1e-4 of ``piq.information_weighted_ssim`` in double precision. A picture
    with a side below 161 samples is extended to 161 by its mirror image. To compare many pictures with one
    reference use :class:`IWSSIMComparator`, which processes the reference once.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import iwssim
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> iwssim(picture, picture)
    1.0
    """
    comparator = IWSSIMComparator.from_codes(*planes_of(reference, background=background))
    return comparator.score_codes(*planes_of(distorted, background=background))


def ssimulacra2(reference: Any, distorted: Any, *, background: Any = None) -> float:
    """Return the SSIMULACRA 2 score of a picture and its reference.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Pictures of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images have the colours that they declare (ICC profile, PNG's chunks, Exif).
    background : str, int or tuple, optional
        Colour that both pictures are composited on where they are transparent, such as ``"white"``: see
        :func:`guetzpy.picture.planes.planes_of`.

    Returns
    -------
    float
        100 for identical pictures; about 90 is visually lossless, 70 high, 50 medium, 30 low
        quality. The score can be negative.

    Raises
    ------
    ValueError
        The sizes differ, or an argument is not a picture.
    UnsupportedError
        A picture has transparent pixels, and there is no background, or it is CMYK: see
        :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    Version 2.1; all digits are those that libjxl's ``ssimulacra2`` tool prints on processors with
    fused multiply-add. To compare many pictures with one reference use
    :class:`SSIMULACRA2Comparator`, which processes the reference once.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import ssimulacra2
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> ssimulacra2(picture, picture)
    100.0
    """
    comparator = SSIMULACRA2Comparator.from_codes(*planes_of(reference, background=background))
    return comparator.score_codes(*planes_of(distorted, background=background))


def cvvdp(reference: Any, distorted: Any, display: str = "standard_fhd", *, background: Any = None) -> float:
    """Return the quality of a picture by ColorVideoVDP, in JOD.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Pictures of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16, bool or float 0..1 are taken
        as sRGB; PIL images have the colours that they declare (ICC profile, PNG's chunks, Exif).
    display : str, optional
        Name of the display, with its viewing distance, on which the pictures are seen: see
        :class:`CVVDPComparator`.
    background : str, int or tuple, optional
        Colour that both pictures are composited on where they are transparent, such as ``"white"``: see
        :func:`guetzpy.picture.planes.planes_of`.

    Returns
    -------
    float
        10 for identical pictures, less for others. If two pictures differ by one JOD, 75 % of viewers
        prefer the one with the higher quality.

    Raises
    ------
    ValueError
        The sizes differ, an argument is not a picture, or the display is not known.
    UnsupportedError
        A picture has transparent pixels, and there is no background, or it is CMYK: see
        :func:`guetzpy.picture.planes.planes_of`.

    Notes
    -----
    The part for still pictures of version 0.5.7 of the authors' package ``cvvdp``, within 0.0001 JOD of it.
    Gray pictures are taken as RGB with three equal channels. To compare many pictures with one reference use
    :class:`CVVDPComparator`, which processes the reference once.

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
    comparator = CVVDPComparator.from_codes(*planes_of(reference, background=background), display=display)
    return comparator.score_codes(*planes_of(distorted, background=background))
