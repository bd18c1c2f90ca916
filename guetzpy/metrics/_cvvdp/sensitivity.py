"""Contrast sensitivity by background luminance, for the frequencies of a display's bands.

``sensitivity.csv`` holds decadic logarithms of the sensitivities of castleCSF (Ashraf, Mantiuk, Chapiro and
Wuerger 2024, "castleCSF: A contrast sensitivity function of color, area, spatiotemporal frequency, luminance
and eccentricity"), from ``csf_lut_weber_fixed_size.json`` of the package ``cvvdp`` 0.5.7, to five
digits. There are tables for achromatic, red-green and yellow-violet static contrast, each with 32 luminances
in rows and 32 frequencies in columns.
"""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import log

__all__ = ["LIGHT_STEPS", "LOWEST_LIGHT", "sensitivity_table"]

_LN10 = 2.302585092994046
_LOG2_10 = 3.321928094887362
_COUNT = 32
_LOWEST_FREQUENCY, _HIGHEST_FREQUENCY = 0.1, 64.0  # cycles per degree
#: Correction of all sensitivities, in dB (cvvdp_parameters.json: sensitivity_correction).
_CORRECTION = -0.2797423303127289
_LN2 = 0.6931471805599453

#: Binary logarithm of the table's lowest luminance in cd/m2, and table entries per doubling of the luminance.
LOWEST_LIGHT = np.float32(log(0.005) / _LN2)
LIGHT_STEPS = np.float32((_COUNT - 1) / ((log(10_000.0) - log(0.005)) / _LN2))


@functools.cache
def _table() -> npt.NDArray[np.float64]:
    text = resources.files("guetzpy.metrics._cvvdp").joinpath("sensitivity.csv").read_text("ascii")
    values = [float(word) for line in text.splitlines() for word in line.split(",")]
    return np.array(values).reshape(3, _COUNT, _COUNT)


def sensitivity_table(frequency: float) -> npt.NDArray[np.float64]:
    """Return the binary logarithms of sensitivities for one frequency, by linear interpolation.

    Parameters
    ----------
    frequency : float
        Cycles per degree. Below 0.1 and above 64 the first or last interval is extrapolated.

    Returns
    -------
    ndarray of float64, shape (3, 32)
        Values by channel and luminance. Luminances increase by equal factors from 0.005 to 10,000 cd/m2.
    """
    low, high = log(_LOWEST_FREQUENCY), log(_HIGHEST_FREQUENCY)
    position = (log(frequency) - low) / (high - low) * (_COUNT - 1)
    k = min(max(int(position), 0), _COUNT - 2)
    table = _table()
    decadic = table[:, :, k] + (position - k) * (table[:, :, k + 1] - table[:, :, k])
    result: npt.NDArray[np.float64] = (decadic + _CORRECTION / 20.0) * _LOG2_10
    return result
