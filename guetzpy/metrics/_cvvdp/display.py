"""Displays as ColorVideoVDP models them: their luminance, and the visual angle of their pixels.

Source: ``display_models.json`` and ``display_model.py`` of the package ``cvvdp`` 0.5.7. The luminance follows
the gain-gamma-offset model (Mantiuk 2016, "Perceptual display calibration").
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DISPLAYS", "Display", "display_named"]

_PI = 3.141592653589793
_INCH = 0.0254  # metres
#: Share of the ambient light that a screen reflects, if the display's own share is not known.
_REFLECTIVITY = 0.005

#: CIE XYZ to cone responses of the CIE 2006 observer, scaled so that L + M is luminance (display_model.py).
_XYZ_TO_LMS = (
    (0.187596268556126, 0.585168649077728, -0.026384263306304),
    (-0.133397430663221, 0.405505777260049, 0.034502127690364),
    (0.000244379021663, -0.000542995890619, 0.019406849066323),
)
#: Cone responses to the opponent axes of Derrington, Krauskopf and Lennie: achromatic, red-green,
#: yellow-violet; the latter two are zero for D65 white (display_model.py).
_LMS_TO_DKL = (
    (1.0, 1.0, 0.0),
    (1.0, -2.311130179947035, 0.0),
    (-1.0, -1.0, 50.977571328718781),
)
#: Linear sRGB to CIE XYZ (color_spaces.json; IEC 61966-2-1 to seven digits).
_RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


@dataclass(frozen=True)
class Display:
    """A display and its viewing distance.

    Attributes
    ----------
    pixel_angle_tangent : float
        Side of a pixel divided by the viewing distance.
    peak : float
        Luminance of white, cd/m2.
    black : float
        Luminance of black in a dark room, cd/m2.
    ambient : float
        Illuminance of the screen, lux.
    """

    pixel_angle_tangent: float
    peak: float
    black: float
    ambient: float = 0.0

    @property
    def pixels_per_degree(self) -> float:
        """Pixels per degree of the visual field, at the middle of the screen."""
        half = 0.5 * self.pixel_angle_tangent
        angle = 0.0
        for n in range(15, 0, -2):  # Horner's scheme for the series of the arc tangent; half < 0.1
            angle = 1.0 / n - half * half * angle
        return _PI / 180.0 / (2.0 * half * angle)

    @property
    def to_opponent(self) -> npt.NDArray[np.float64]:
        """Matrix from linear sRGB (0..1) to the opponent axes in cd/m2, (3, 4); the last column is added."""
        offset = self.black + self.ambient / _PI * _REFLECTIVITY
        result = np.zeros((3, 4))
        for i, j in np.ndindex(3, 3):
            value = sum(
                _LMS_TO_DKL[i][k] * _XYZ_TO_LMS[k][n] * _RGB_TO_XYZ[n][j] for k in range(3) for n in range(3)
            )
            result[i, j] = (self.peak - self.black) * value
            result[i, 3] += offset * value
        return result


def _screen(
    width: int, height: int, inches: float, metres: float, peak: float, black: float, ambient: float
) -> Display:
    """Return a display from its pixels, its diagonal and its viewing distance."""
    pixel = inches * _INCH / math.sqrt(width * width + height * height)
    return Display(pixel / metres, peak, black, ambient)


def _headset(peak: float, black: float) -> Display:
    """Return a headset of 1440 x 1600 pixels per eye, with 110 degrees along the diagonal."""
    tangent = 1.4281480067421144  # tangent of 55 degrees
    return Display(2.0 * tangent / math.sqrt(1440.0 * 1440.0 + 1600.0 * 1600.0), peak, black)


#: The displays of the package whose codes are sRGB codes, with the package's names.
DISPLAYS = {
    "standard_fhd": _screen(1920, 1080, 24, 0.6, 200, 200 / 1000, 250),
    "standard_4k": _screen(3840, 2160, 30, 0.7472, 200, 200 / 1000, 250),
    "standard_phone": _screen(2400, 1080, 6, 0.4, 500, 0.05, 250),
    "standard_hmd": _headset(100, 0.1),
    "sdr_4k_30": _screen(3840, 2160, 30, 0.6, 100, 100 / 1000, 250),
    "sdr_fhd_24": _screen(1920, 1080, 24, 0.6, 100, 100 / 1000, 250),
    "htc_vive_pro": _headset(133.3, 0.1),
    "iphone_12_pro": _screen(2532, 1170, 6.1, 20 * _INCH, 825, 0.0004, 250),
    "iphone_14_pro": _screen(2532, 1170, 6.1, 20 * _INCH, 1025, 0.0004, 250),
    "iphone_14_pro_vert": _screen(1170, 2532, 6.1, 20 * _INCH, 1025, 0.0004, 250),
    "ipad_pro_12_9": _screen(2732, 2048, 12.9, 20 * _INCH, 600, 0.37, 250),
    "macbook_pro_16": _screen(3072, 1920, 16, 25 * _INCH, 500, 0.37, 250),
    "lg_oled_2017_sdr": _screen(3840, 2160, 64.5, 101 * _INCH, 272, 0.014, 100),
    "lg_oled_2017_hdr": _screen(3840, 2160, 64.5, 101 * _INCH, 754, 0.038, 100),
    "eizo_CG3146": _screen(4096, 2160, 31.063, 0.73406, 300, 300 / 3000, 0),
}


@functools.cache
def display_named(name: str) -> Display:
    """Return a display by its name.

    Raises
    ------
    ValueError
        There is no display of this name; the message lists the names.
    """
    try:
        return DISPLAYS[name]
    except KeyError:
        raise ValueError(f"display {name!r} is not known; choose one of: {', '.join(DISPLAYS)}") from None
