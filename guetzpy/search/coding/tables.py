"""Table families: quantisation tables as smooth functions of distance and frequency.

The usual family is jpegli's (``lib/jpegli/quant.cc``, BSD 3-clause): a base table for each component, which
jpegli's authors fitted to Butteraugli, times a scale. Beyond distance 1.5 the scale grows more slowly for low
frequencies. Under 4:2:0 the steps of luma are multiplied by 1.22 and most steps of chroma by about 0.4. Some
factors were fitted to this encoder, whose luma compensates errors of chroma: larger steps of Cr, smaller
steps of Cb, of DC and of luma's low frequencies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp, power

__all__ = [
    "JPEGLI",
    "USUAL",
    "KeptSteps",
    "Shape",
    "TableFamily",
    "beside_own",
    "dc_limit",
    "families",
    "register",
    "steps",
    "unregister",
]

Table = npt.NDArray[np.uint16]
Steps = npt.NDArray[np.float64]

_GLOBAL_SCALE = 1.7396601
_GLOBAL_SCALE_420 = 1.22
_KNEE = 1.5

_BASE = np.array(
    [
        # Y
        1.2397, 1.7227, 2.9212, 2.8127, 3.3398, 3.4636, 3.8409, 3.8696,
        1.7227, 2.0929, 2.8457, 2.7045, 3.4408, 3.1662, 4.0252, 4.0353,
        2.9212, 2.8457, 2.9587, 3.3863, 3.6195, 3.9046, 3.7578, 4.2374,
        2.8127, 2.7045, 3.3863, 3.3801, 4.1680, 4.8055, 4.7843, 4.6059,
        3.3398, 3.4408, 3.6195, 4.1680, 4.5799, 4.9232, 5.5741, 5.4853,
        3.4636, 3.1662, 3.9046, 4.8055, 4.9232, 5.4394, 5.0939, 6.0872,
        3.8409, 4.0252, 3.7578, 4.7843, 5.5741, 5.0939, 5.4385, 5.4037,
        3.8696, 4.0353, 4.2374, 4.6059, 5.4853, 6.0872, 5.4037, 4.3779,
        # Cb
        2.8236, 6.4956, 9.3105, 10.6475, 11.0742, 17.1464, 18.4640, 29.0870,
        6.4956, 8.8901, 8.9769, 13.6663, 16.5471, 16.6387, 26.7784, 21.3303,
        9.3105, 8.9769, 11.0874, 18.2055, 19.7525, 23.9857, 102.6457, 24.4510,
        10.6475, 13.6663, 18.2055, 18.6280, 16.0425, 25.0492, 25.0171, 35.7979,
        11.0742, 16.5471, 19.7525, 16.0425, 19.3735, 14.6775, 19.9470, 51.0941,
        17.1464, 16.6387, 23.9857, 25.0492, 14.6775, 31.3204, 46.3572, 67.4811,
        18.4640, 26.7784, 102.6457, 25.0171, 19.9470, 46.3572, 61.3158, 88.3467,
        29.0870, 21.3303, 24.4510, 35.7979, 51.0941, 67.4811, 88.3467, 112.1610,
        # Cr
        2.9217, 4.4977, 7.3563, 6.5839, 8.5356, 8.7994, 9.1883, 9.4827,
        4.4977, 6.3095, 7.0246, 7.1564, 8.0491, 7.0124, 6.7119, 8.3803,
        7.3563, 7.0246, 6.8921, 6.8828, 8.7822, 6.8775, 7.8858, 8.6791,
        6.5839, 7.1564, 6.8828, 7.0031, 7.7223, 7.9554, 7.4734, 8.3629,
        8.5356, 8.0491, 8.7822, 7.7223, 6.7780, 9.4849, 9.0437, 8.0532,
        8.7994, 7.0124, 6.8775, 7.9554, 9.4849, 8.6076, 9.9227, 64.2514,
        9.1883, 6.7119, 7.8858, 7.4734, 9.0437, 9.9227, 63.1849, 83.3529,
        9.4827, 8.3803, 8.6791, 8.3629, 8.0532, 64.2514, 83.3529, 114.8920,
    ]
).reshape(3, 64)  # fmt: skip

#: Exponent of the scale as a function of the distance beyond ``_KNEE``, by frequency.
_EXPONENT = np.array(
    [
        1.00, 0.51, 0.67, 0.74, 1.00, 1.00, 1.00, 1.00,
        0.51, 0.66, 0.69, 0.87, 1.00, 1.00, 1.00, 1.00,
        0.67, 0.69, 0.84, 0.83, 0.96, 1.00, 1.00, 1.00,
        0.74, 0.87, 0.83, 1.00, 1.00, 0.91, 0.91, 1.00,
        1.00, 1.00, 0.96, 1.00, 1.00, 1.00, 1.00, 1.00,
        1.00, 1.00, 1.00, 0.91, 1.00, 1.00, 1.00, 1.00,
        1.00, 1.00, 1.00, 0.91, 1.00, 1.00, 1.00, 1.00,
        1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00,
    ]
)  # fmt: skip

#: Factor on the chroma tables under 4:2:0.
_RESCALE_420 = np.array(
    [
        0.4093, 0.3209, 0.3477, 0.3333, 0.3144, 0.2823, 0.3214, 0.3354,
        0.3209, 0.3111, 0.3489, 0.2801, 0.3059, 0.3119, 0.4135, 0.3445,
        0.3477, 0.3489, 0.3586, 0.3257, 0.2727, 0.3754, 0.3369, 0.3484,
        0.3333, 0.2801, 0.3257, 0.3020, 0.3515, 0.3410, 0.3971, 0.3839,
        0.3144, 0.3059, 0.2727, 0.3515, 0.3105, 0.3397, 0.2716, 0.3836,
        0.2823, 0.3119, 0.3754, 0.3410, 0.3397, 0.3212, 0.3203, 0.0726,
        0.3214, 0.4135, 0.3369, 0.3971, 0.2716, 0.3203, 0.0798, 0.0553,
        0.3354, 0.3445, 0.3484, 0.3839, 0.3836, 0.0726, 0.0553, 0.3368,
    ]
)  # fmt: skip

#: Factors on luma's DC, on luma by frequency, on chroma's DC and on Cr, fitted without the closed loop.
_LUMA_DC, _LUMA_SLOPE, _CHROMA_DC, _CR = 0.85, 1.1, 0.8, 1.25
#: Logarithms of further factors, which were fitted later, with the closed loop and CVVDP (10 training
#: pictures): luma's DC, the slopes of luma and of chroma over the other frequencies, Cr against Cb.
_CLOSED_LUMA_DC, _CLOSED_LUMA_SLOPE, _CLOSED_CHROMA_SLOPE, _CLOSED_RED = 0.15, 0.15, -0.2, 0.15
#: Frequency, as (u + v) / 14, whose steps these slopes do not change.
_CENTRE = 0.25
#: Factor on the Lagrange multiplier of chroma, fitted together with the further factors.
_CHROMA_LAMBDA = 0.78


def _fitted() -> npt.NDArray[np.float64]:
    factors = np.ones((3, 64))
    for n in range(64):
        u, v = n % 8, n // 8
        radius = float(np.sqrt(u * u + v * v)) / 9.9
        factors[0, n] = power(_LUMA_SLOPE, radius - 0.3)
        if n:
            turned = (u + v) / 14 - _CENTRE
            factors[0, n] *= exp(_CLOSED_LUMA_SLOPE * turned)
            factors[1:, n] *= exp(_CLOSED_CHROMA_SLOPE * turned)
    factors[0, 0] *= _LUMA_DC * exp(_CLOSED_LUMA_DC)
    factors[1:, 0] *= _CHROMA_DC
    factors[1] *= exp(-_CLOSED_RED)
    factors[2] *= _CR * exp(_CLOSED_RED)
    return factors


_FITTED = _fitted()


@dataclass(frozen=True)
class Shape:
    """Departures from the usual tables. Numbers are logarithms of factors; 0 gives the usual tables.

    Attributes
    ----------
    log_lambda : float
        Logarithm of the factor on the Lagrange multiplier.
    chroma : float
        Logarithm of the factor on all steps of Cb and Cr.
    red : float
        Logarithm of the factor on the steps of Cr; the steps of Cb are divided by the same factor.
    luma_slope, chroma_slope : float
        Increase of the logarithm of the steps from frequency (0, 0) to (7, 7).
    luma_low, chroma_low : float
        Logarithm of the factor on the steps of the six lowest frequencies, u + v <= 2.
    by_frequency : tuple of tuple of float
        Factors on the 64 steps of each component, natural order; empty: 1.
    """

    log_lambda: float = 0.0
    chroma: float = 0.0
    red: float = 0.0
    luma_slope: float = 0.0
    chroma_slope: float = 0.0
    luma_low: float = 0.0
    chroma_low: float = 0.0
    by_frequency: tuple[tuple[float, ...], ...] = ()

    def factors(self, component: int) -> npt.NDArray[np.float64]:
        """Return the factors on a component's steps, float64 (64,), natural order."""
        slope, middle, low = self.luma_slope, 0.35, self.luma_low
        level = 0.0
        if component > 0:
            slope, middle, low = self.chroma_slope, 0.2, self.chroma_low
            level = self.chroma + (self.red if component == 2 else -self.red)
        result = np.ones(64)
        for n in range(64):
            u, v = n % 8, n // 8
            radius = float(np.sqrt(u * u + v * v)) / 9.9
            result[n] = exp(level + slope * (radius - middle) + (low if u + v <= 2 else 0.0))
        return result * self.by_frequency[component] if self.by_frequency else result


USUAL = Shape()


def dc_limit(distance: float) -> float:
    """Return the largest step of the luma's DC for a distance.

    A DC step of 8 is one code of a block's mean. Up to distance 2 this limit is 7, so the error of the mean
    is less than half a code, and slow gradients show no bands beyond those of 8-bit codes. The limit is
    needed because the metrics do not react to such bands in nearly flat pictures.
    """
    return 7.0 * max(1.0, 0.5 * distance)


def steps(distance: float, component: int, subsampled: bool, shape: Shape = USUAL) -> npt.NDArray[np.float64]:
    """Return the unrounded steps of a component, float64 (64,), natural order.

    ``distance`` is above 0; ``component`` is 0, 1 or 2 for Y, Cb, Cr; ``subsampled`` means 4:2:0.
    """
    scale = np.empty(64)
    for k in range(64):
        exponent = float(_EXPONENT[k])
        if distance < _KNEE:
            scale[k] = distance
        else:
            scale[k] = max(0.5 * distance, power(_KNEE, 1.0 - exponent) * power(distance, exponent))
    scale *= _GLOBAL_SCALE
    if subsampled:
        scale *= _GLOBAL_SCALE_420
        if component > 0:
            scale *= _RESCALE_420
    result: npt.NDArray[np.float64] = scale * _BASE[component] * _FITTED[component]
    return result if shape == USUAL else result * shape.factors(component)


class TableFamily(ABC):
    """Quantisation tables as a function of distance, with multipliers and compensation for them."""

    @abstractmethod
    def tables(
        self, distance: float, components: int, subsampled: bool, shape: Shape, dc_limit: float
    ) -> tuple[Table, ...]:
        """Return the tables of 1 or 3 components.

        Parameters
        ----------
        distance : float
            Distance, above 0.
        components : int
            1 or 3.
        subsampled : bool
            Whether chroma is coded at half size in both directions.
        shape : Shape
            Departures from the usual tables.
        dc_limit : float
            Largest step of the luma's DC.

        Returns
        -------
        tuple of ndarray of uint16, shape (64,)
            Steps in natural order, 1..255.
        """

    @abstractmethod
    def finest(self, components: int) -> tuple[Table, ...]:
        """Return the tables with the smallest steps that the family allows."""

    def multiplier(self, distance: float, component: int, subsampled: bool) -> float:
        """Return the factor by which a component's Lagrange multiplier differs from the usual one."""
        return 1.0

    def compensation(self, distance: float, subsampled: bool) -> float:
        """Return the share of the chroma's error in luminance that the luma compensates, 0 to 1.

        The usual share is 0.5. With a share of 1 the gain is a tenth larger by Butteraugli and SSIMULACRA 2,
        which are computed from light. Metrics that are computed from codes (MS-SSIM, PSNR-HVS) count the
        change of the luma as an error, which grows with the square of the share.
        """
        return 0.5


def _limited(distance: float, component: int, subsampled: bool, shape: Shape, dc_limit: float) -> Steps:
    result = steps(distance, component, subsampled, shape)
    if component == 0:
        result[0] = min(result[0], dc_limit)
    return result


def _rounded(values: Steps) -> Table:
    return np.clip(np.floor(values + 0.5), 1, 255).astype(np.uint16)


@dataclass(frozen=True)
class _Jpegli(TableFamily):
    """The usual family: jpegli's tables with the factors of this module."""

    def tables(
        self, distance: float, components: int, subsampled: bool, shape: Shape, dc_limit: float
    ) -> tuple[Table, ...]:
        return tuple(_rounded(_limited(distance, c, subsampled, shape, dc_limit)) for c in range(components))

    def finest(self, components: int) -> tuple[Table, ...]:
        return tuple(np.ones(64, np.uint16) for _ in range(components))

    def multiplier(self, distance: float, component: int, subsampled: bool) -> float:
        return _CHROMA_LAMBDA if component else 1.0


JPEGLI = _Jpegli()


#: A step of the source JPEG is kept if the wanted step is below this multiple of it. Up to a multiple of 4/3,
#: the own levels 0, 1 and 2 stay three different levels (2 own steps are at least 1.5 wanted ones), so that
#: the wanted step would add an error and save hardly a bit. A multiple of 1.4 takes 0.1 to 0.4 % more bytes
#: by the 3-norm and CVVDP at quality 95, 4:2:0; 1.5 to 2.2 take more than 1.4 (8 training pictures as JPEGs).
_KEPT_BELOW = 4 / 3


@dataclass(frozen=True, eq=False)
class KeptSteps(TableFamily):
    """The tables of another family, but with the source JPEG's step where the wanted one is below 4/3 of it.

    Attributes
    ----------
    own : tuple of (ndarray of uint16, shape (64,), or None)
        The source's tables, natural order; None where a component gets the tables of ``usual``.
    usual : TableFamily
        The other family.
    """

    own: tuple[Table | None, ...]
    usual: TableFamily

    def tables(
        self, distance: float, components: int, subsampled: bool, shape: Shape, dc_limit: float
    ) -> tuple[Table, ...]:
        """Return the tables; see :class:`TableFamily`."""
        wanted = self.usual.tables(distance, components, subsampled, shape, dc_limit)
        return tuple(
            table if own is None else np.where(table < _KEPT_BELOW * own, np.minimum(own, 255), table)
            for own, table in zip(self.own, wanted, strict=False)
        )

    def finest(self, components: int) -> tuple[Table, ...]:
        """Return the source's own tables, with steps of at most 255."""
        return tuple(
            np.ones(64, np.uint16) if own is None else np.minimum(own, 255).astype(np.uint16)
            for own in self.own[:components]
        )

    def multiplier(self, distance: float, component: int, subsampled: bool) -> float:
        """Return the other family's factor on a component's Lagrange multiplier."""
        return self.usual.multiplier(distance, component, subsampled)

    def compensation(self, distance: float, subsampled: bool) -> float:
        """Return the share of the other family."""
        return self.usual.compensation(distance, subsampled)


def beside_own(own: Sequence[Table | None], usual: Iterable[TableFamily]) -> list[TableFamily]:
    """Return each family twice: first with the steps of the source JPEG kept, then as it is."""
    return [family for each in usual for family in (KeptSteps(tuple(own), each), each)]


_families: dict[str, TableFamily] = {"jpegli": JPEGLI}


def register(name: str, family: TableFamily) -> None:
    """Add a family to those that compete in every search that begins after this call.

    Parameters
    ----------
    name : str
        Unique name.
    family : TableFamily
        The family.

    Raises
    ------
    ValueError
        Another family has that name.
    """
    if name in _families:
        raise ValueError(f"a table family named {name} is registered already")
    _families[name] = family


def unregister(name: str) -> None:
    """Remove a family from later searches; KeyError if there is none of that name."""
    del _families[name]


def families() -> tuple[TableFamily, ...]:
    """Return the families that compete, in the order of their registration."""
    return tuple(_families.values())
