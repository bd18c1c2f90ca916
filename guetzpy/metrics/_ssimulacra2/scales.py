"""Scales and weights of SSIMULACRA 2 for a picture of a given size, and the final score."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import power
from guetzpy.picture.transform import Floats

__all__ = ["SMALLEST", "Plan", "norms_of", "remap", "slopes_of", "weighted"]

_SCALES = 6
_NOISE = 2e-6  # a 4-norm up to this is rounding, as in the chroma of a gray picture; its slope is taken as 0
SMALLEST = 8  # the pyramid ends at a scale with a side below this

#: Weights of the maps' norms (libjxl, Msssim::Score). The index runs over channel, scale, norm (1, 4) and map
#: (structure, added edges, lost edges); the map is the fastest. Weights that are not listed are zero. Only
#: scales that the picture has are counted, so that the index of a map, and its weight, depend on the number
#: of scales.
_WEIGHTS = np.zeros(108)
_WEIGHTS[
    (1, 4, 7, 9, 10, 11, 13, 15, 16, 18, 19, 21, 22, 24, 25, 27, 28, 29, 30, 33, 39, 41,
     42, 45, 46, 47, 48, 51, 52, 53, 54, 57, 58, 59, 63, 64, 73, 79, 81, 87, 88, 90, 93, 94,
     96, 97, 98, 99, 100, 101, 105, 107),
] = [
    0.0007376606707406586, 0.0007793481682867309, 0.0004371155730107379, 1.1041726426657346,
    0.00066284834129271, 0.00015231632783718752, 0.0016406437456599754, 1.8422455520539298,
    11.441172603757666, 0.0007989109436015163, 0.000176816438078653, 1.8787594979546387,
    10.94906990605142, 0.0007289346991508072, 0.9677937080626833, 0.00014003424285435884,
    0.9981766977854967, 0.00031949755934435053, 0.0004550992113792063, 0.0013648766163243398,
    7.466890328078848, 17.445833984131262, 0.0006235601634041466, 6.683678146179332,
    0.00037724407979611296, 1.027889937768264, 225.20515300849274, 19.213238186143016,
    0.0011401524586618361, 0.001237755635509985, 176.39317598450694, 24.43300999870476,
    0.28520802612117757, 0.0004485436923833408, 34.77906344483772, 44.835625328877896,
    0.0008680556573291698, 0.0005313191874358747, 0.00016533814161379112, 0.0004179171803251336,
    0.0017290828234722833, 0.0020827005846636437, 8.826982764996862, 23.19243343998926,
    95.1080498811086, 0.9863978034400682, 0.9834382792465353, 0.0012286405048278493,
    171.2667255897307, 0.9807858872435379, 0.0005130064588990679, 0.00010854057858411537,
]  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What is computed for pictures of one size.

    Attributes
    ----------
    sizes : list of (int, int)
        Height and width of each scale.
    weights : ndarray of float64, shape (scales, 3, 6)
        Weights of the 1-norms of structure, added edges and lost edges, then of their 4-norms.
    slots : list of ndarray of int64, shape (3, 3)
        For each scale and channel: index of the first of the reference's planes for the structure map (mean,
        variance), of its plane for the edge maps, and of the transposed channel for the structure map;
        -1 for maps without a weight.
    planes : list of (int, int)
        Numbers of the reference's planes for maps, and of transposed channels, at each scale.
    """

    sizes: list[tuple[int, int]]
    weights: npt.NDArray[np.float64]
    slots: list[npt.NDArray[np.int64]]
    planes: list[tuple[int, int]]

    @classmethod
    def of(cls, height: int, width: int) -> Plan:
        sizes = [(height, width)]
        while len(sizes) < _SCALES and min(sizes[-1]) >= SMALLEST:
            sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        weights = _WEIGHTS[: 18 * len(sizes)].reshape(3, len(sizes), 6).transpose(1, 0, 2).copy()
        all_slots, planes = [], []
        for by_channel in weights:
            slots, count, transposed = np.full((3, 3), -1, np.int64), 0, 0
            for c, w in enumerate(by_channel):
                if w[0] or w[3]:
                    slots[c, 0], count = count, count + 2
                    slots[c, 2], transposed = transposed, transposed + 1
                if w[1] or w[2] or w[4] or w[5]:
                    slots[c, 1], count = count, count + 1
            all_slots.append(slots)
            planes.append((count, transposed))
        return cls(sizes, weights, all_slots, planes)


def norms_of(sums: npt.NDArray[np.float64], pixels: int) -> npt.NDArray[np.float64]:
    """Return 1-norms and 4-norms (of means over pixels), shape (3, 6), from sums by block or strip."""
    means = np.zeros((3, 6))
    for part in sums:
        means += part
    means /= pixels
    means[:, 3:] = np.sqrt(np.sqrt(means[:, 3:]))
    return means


def weighted(weights: npt.NDArray[np.float64], norms: npt.NDArray[np.float64]) -> float:
    """Return the weighted sum of norms, added in a fixed order."""
    total = 0.0
    for weight, norm in zip(weights.flat, norms.flat, strict=True):
        total += float(weight) * float(norm)
    return total


def remap(total: float) -> tuple[float, float]:
    """Return the score for a weighted sum of norms, and its slope (libjxl, Msssim::Score).

    Raises
    ------
    ValueError
        The pictures are not finite.
    """
    if not math.isfinite(total):
        raise ValueError("linear planes hold NaN or infinity")
    x = 0.9562382616834844 * total
    y = 2.326765642916932 * x - 0.020884521182843837 * x * x + 6.248496625763138e-05 * x * x * x
    if y <= 0:
        return 100.0, 0.0
    root = power(y, 0.6276336467831387)
    inner = 2.326765642916932 - 2 * 0.020884521182843837 * x + 3 * 6.248496625763138e-05 * x * x
    return 100.0 - 10.0 * root, -10.0 * 0.6276336467831387 * root / y * inner * 0.9562382616834844


def slopes_of(plan: Plan, scale: int, norms: npt.NDArray[np.float64], slope: float) -> Floats:
    """Return a float32 array (3, 6): the derivative for a map's value d is ``[:, :3] + [:, 3:] d^3``."""
    height, width = plan.sizes[scale]
    slopes = slope * plan.weights[scale] / (height * width)
    for c, k in np.ndindex(3, 3):
        norm = norms[c, 3 + k]  # (mean d^4)^(1/4); its derivative with respect to d is d^3 / (pixels norm^3)
        slopes[c, 3 + k] = slopes[c, 3 + k] / (norm * norm * norm) if norm > _NOISE else 0.0
    result: Floats = slopes.astype(np.float32)
    return result
