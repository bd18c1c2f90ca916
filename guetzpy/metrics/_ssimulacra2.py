"""SSIMULACRA 2, version 2.1, number for number as libjxl's tools/ssimulacra2.cc has it.

Six scales, halved in linear light; at each, the picture in positive XYB, blurred local means and
variances, and three maps a channel: what of the structure is lost (SSIM without its luminance
division), edges that came, edges that went. The 1- and the 4-norm of each map are weighted,
summed and remapped to 100 (identical) downwards. Only maps with a weight are computed.

Work goes strip by strip (64 rows, whatever the number of threads) and tile by tile; partial sums
are added in that order, in float64.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel
from guetzpy._threads import each
from guetzpy.metrics._tiles import HALO, PLANE, ROWS, STRIDE, STRIP, WIDTH, blur, load
from guetzpy.metrics.colorspace import halve, positive_xyb
from guetzpy.picture import Codes, Floats, Transform, planes_of, power

__all__ = ["SSIMULACRA2Comparator", "ssimulacra2"]

_SCALES = 6
_SMALLEST = 8  # a side below this ends the pyramid
_C2 = np.float32(0.0009)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)

#: Pictures above this many pixels are not cached as maps but prepared anew, strip by strip.
_CACHED_PIXELS = 12_500_000

#: Weights of the maps' norms (libjxl, Msssim::Score): index -> weight, the rest are zero. The index
#: runs over channel, scale, norm (1, 4) and map (structure, came, went), the last the fastest. It
#: runs over the scales that the picture has, so that the weights of a small picture are others.
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


@kernel("int64(float32[:, :, ::1], int64, int64, int64, float32[::1])")
def _load_xyb(linear: Any, first: int, top: int, left: int, work: Any) -> int:
    """Fill the first three tiles of ``work`` with positive XYB; zero beyond the picture."""
    for c in range(3):
        load(linear[c], first, top, left, work[c * PLANE : (c + 1) * PLANE])
    positive_xyb(work[: 3 * PLANE])
    # positive XYB of black is not zero, but libjxl's blur takes what is beyond the picture as zero
    _, height, width = linear.shape
    begin = max(HALO - left, 0)
    end = min(width - left + HALO, STRIDE)
    for y in range(ROWS):
        source = top - HALO + y - first
        inside = 0 <= source < height
        for c in range(3):
            row = work[c * PLANE + y * STRIDE : c * PLANE + (y + 1) * STRIDE]
            if inside:
                row[:begin] = _ZERO
                row[end:] = _ZERO
            else:
                row[:] = _ZERO
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])")
def _multiply(a: Any, b: Any, product: Any) -> int:
    for i in range(PLANE):
        product[i] = a[i] * b[i]
    return 0


@kernel("int64(float32[::1], int64, int64, int64, float32[:, ::1], int64, int64)")
def _store(tile: Any, first: int, rows: int, columns: int, plane: Any, top: int, left: int) -> int:
    """Copy ``rows`` counted rows of a tile, from its ``first``, to (top, left) of a plane."""
    for y in range(rows):
        j = (first + y) * STRIDE + HALO
        plane[top + y, left : left + columns] = tile[j : j + columns]
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64, int64, int64[:, ::1], float32[::1],"
    " float32[:, :, ::1], int64)"
)
def _prepare_strip(
    linear: Any,
    first: int,
    top: int,
    bottom: int,
    upper: int,
    lower: int,
    slots: Any,
    work: Any,
    reference: Any,
    reference_first: int,
) -> int:
    """Write what a score needs of the reference, for the rows top to bottom of a scale.

    ``slots[c]`` says which planes of ``reference`` hold, for channel c: the channel itself, its
    blurred mean and its variance (consecutive; -1: not needed); and its edges |channel - mean|
    (-1: not needed). The channel itself is written for the rows upper to lower.
    """
    width = linear.shape[2]
    square = work[3 * PLANE : 4 * PLANE]
    between = work[4 * PLANE : 5 * PLANE]
    mean = work[5 * PLANE : 6 * PLANE]
    blurred = work[6 * PLANE : 7 * PLANE]
    rows = bottom - top
    for left in range(0, width, WIDTH):
        columns = min(WIDTH, width - left)
        _load_xyb(linear, first, top, left, work)
        for c in range(3):
            channel = work[c * PLANE : (c + 1) * PLANE]
            structure = slots[c, 0]
            edges = slots[c, 1]
            if structure < 0 and edges < 0:
                continue
            blur(channel, between, mean)
            if structure >= 0:
                _multiply(channel, channel, square)
                blur(square, between, blurred)
                for i in range(PLANE):
                    blurred[i] = blurred[i] - mean[i] * mean[i]
                _store(
                    channel, HALO + upper - top, lower - upper, columns,
                    reference[structure], upper - reference_first, left,
                )  # fmt: skip
                _store(mean, HALO, rows, columns, reference[structure + 1], top - reference_first, left)
                _store(blurred, HALO, rows, columns, reference[structure + 2], top - reference_first, left)
            if edges >= 0:
                for i in range(PLANE):
                    mean[i] = abs(channel[i] - mean[i])
                _store(mean, HALO, rows, columns, reference[edges], top - reference_first, left)
    return 0


@kernel("int64(float32[::1], float32[:, ::1], float32[:, ::1], int64, int64, int64, int64, float32[::1])")
def _add_structure(
    moments: Any, means: Any, variances: Any, top: int, left: int, rows: int, columns: int, sums: Any
) -> int:
    """Add the structure map of a tile and its fourth power to column sums.

    ``moments``: three tiles, the distorted channel's blurred mean, square, and product with the
    reference. ``sums``: two rows of ``STRIDE``.
    """
    for y in range(rows):
        j = (HALO + y) * STRIDE + HALO
        mean_row = means[top + y, left : left + columns]
        variance_row = variances[top + y, left : left + columns]
        moment_row = moments[j : j + 2 * PLANE + columns]
        for x in range(columns):
            mu1 = mean_row[x]
            mu2 = moment_row[x]
            luminance = _ONE - (mu1 - mu2) * (mu1 - mu2)
            covariance = moment_row[x + 2 * PLANE] - mu1 * mu2
            numerator = (covariance + covariance) + _C2
            denominator = variance_row[x] + (moment_row[x + PLANE] - mu2 * mu2) + _C2
            d = max(_ONE - luminance * numerator / denominator, _ZERO)
            sums[x] += d
            sums[x + STRIDE] += (d * d) * (d * d)
    return 0


@kernel("int64(float32[::1], float32[::1], float32[:, ::1], int64, int64, int64, int64, float32[::1])")
def _add_edges(
    channel: Any, mean: Any, edges: Any, top: int, left: int, rows: int, columns: int, sums: Any
) -> int:
    """Add the maps of edges that came and that went, and their fourth powers, to column sums."""
    for y in range(rows):
        j = (HALO + y) * STRIDE + HALO
        edge_row = edges[top + y, left : left + columns]
        channel_row = channel[j : j + columns]
        mean_row = mean[j : j + columns]
        for x in range(columns):
            edge = edge_row[x]
            # (1 + e2) / (1 + e1) - 1 without its cancellation
            d = (abs(channel_row[x] - mean_row[x]) - edge) / (_ONE + edge)
            came = max(d, _ZERO)
            went = max(-d, _ZERO)
            sums[x] += came
            sums[x + STRIDE] += went
            sums[x + 2 * STRIDE] += (came * came) * (came * came)
            sums[x + 3 * STRIDE] += (went * went) * (went * went)
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64[:, ::1], float32[:, :, ::1], int64,"
    " float32[::1], float32[:, :, ::1], float64[:, ::1])"
)
def _score_strip(
    linear: Any,
    first: int,
    top: int,
    bottom: int,
    slots: Any,
    reference: Any,
    reference_first: int,
    work: Any,
    kept: Any,
    sums: Any,
) -> int:
    """Add up the maps of the rows top to bottom of a scale.

    ``sums[c]`` gets channel c's sums in the order of the weights: structure, came, went, and the
    fourth powers of these. ``kept`` gets, if it has any planes, XYB and the moments: three planes
    of XYB, then for each channel mean, square and product.
    """
    width = linear.shape[2]
    product = work[3 * PLANE : 4 * PLANE]
    between = work[4 * PLANE : 5 * PLANE]
    mean = work[5 * PLANE : 6 * PLANE]
    moments = work[5 * PLANE : 8 * PLANE]
    other = work[8 * PLANE : 9 * PLANE]
    columns_sums = work[9 * PLANE : 9 * PLANE + 6 * STRIDE]
    rows = bottom - top
    for left in range(0, width, WIDTH):
        columns = min(WIDTH, width - left)
        _load_xyb(linear, first, top, left, work)
        for c in range(3):
            channel = work[c * PLANE : (c + 1) * PLANE]
            structure = slots[c, 0]
            edges = slots[c, 1]
            if kept.shape[0] > 0:
                _store(channel, HALO, rows, columns, kept[c], top, left)
            if structure < 0 and edges < 0:
                continue
            columns_sums[:] = _ZERO
            blur(channel, between, mean)
            if structure >= 0:
                _multiply(channel, channel, product)
                blur(product, between, work[6 * PLANE : 7 * PLANE])
                load(reference[structure], reference_first, top, left, other)
                _multiply(channel, other, product)
                blur(product, between, work[7 * PLANE : 8 * PLANE])
                _add_structure(
                    moments, reference[structure + 1], reference[structure + 2],
                    top - reference_first, left, rows, columns, columns_sums[: 2 * STRIDE],
                )  # fmt: skip
            if edges >= 0:
                _add_edges(
                    channel, mean, reference[edges],
                    top - reference_first, left, rows, columns, columns_sums[2 * STRIDE :],
                )  # fmt: skip
            if kept.shape[0] > 0:
                for k in range(3):
                    if k == 0 or structure >= 0:
                        tile = work[(5 + k) * PLANE : (6 + k) * PLANE]
                        _store(tile, HALO, rows, columns, kept[3 + 3 * c + k], top, left)
            for x in range(columns):
                sums[c, 0] += np.float64(columns_sums[x])
                sums[c, 3] += np.float64(columns_sums[x + STRIDE])
                sums[c, 1] += np.float64(columns_sums[x + 2 * STRIDE])
                sums[c, 2] += np.float64(columns_sums[x + 3 * STRIDE])
                sums[c, 4] += np.float64(columns_sums[x + 4 * STRIDE])
                sums[c, 5] += np.float64(columns_sums[x + 5 * STRIDE])
    return 0


_WORK = 9 * PLANE + 6 * STRIDE


class Rows:
    """Linear light of one scale, given out by rows: whole planes, or codes turned as asked for."""

    def __init__(self, planes: Codes | Floats, transform: Transform | None = None) -> None:
        self.planes = planes
        self.transform = transform

    @property
    def size(self) -> tuple[int, int]:
        return self.planes.shape[1], self.planes.shape[2]

    def rows(self, start: int, stop: int, local: Any) -> tuple[Floats, int]:
        """Return planes that hold the rows start to stop, and the row that they begin with."""
        if self.transform is None:
            return self.planes, 0  # type: ignore[return-value]
        out = local_array(local, "linear", (3, stop - start, self.planes.shape[2]))
        return self.transform.linear(self.planes[:, start:stop], threads=1, out=out), start


def local_array(local: Any, name: str, shape: tuple[int, ...]) -> Floats:
    """Return a float32 array of a thread's own, used again by its next strip."""
    size = math.prod(shape)
    array: Floats | None = getattr(local, name, None)
    if array is None or array.size < size:
        array = np.empty(size, np.float32)
        setattr(local, name, array)
    return array[:size].reshape(shape)


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes of the scales; the first side below 8 is the last one computed."""
    sizes = [(height, width)]
    while len(sizes) < _SCALES and min(sizes[-1]) >= _SMALLEST:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


@dataclass(frozen=True)
class Plan:
    """What is computed for pictures of one size.

    Attributes
    ----------
    sizes : list of (int, int)
        Height and width of each scale.
    weights : ndarray of float64, shape (scales, 3, 6)
        Of structure, came, went (1-norms), structure, came, went (4-norms).
    slots : list of ndarray of int64, shape (3, 2)
        For each scale: see ``_prepare_strip``.
    planes : list of int
        Reference planes of each scale.
    """

    sizes: list[tuple[int, int]]
    weights: npt.NDArray[np.float64]
    slots: list[npt.NDArray[np.int64]]
    planes: list[int]

    @classmethod
    def of(cls, height: int, width: int) -> Plan:
        sizes = _sizes(height, width)
        weights = _WEIGHTS[: 18 * len(sizes)].reshape(3, len(sizes), 6).transpose(1, 0, 2).copy()
        all_slots, planes = [], []
        for by_channel in weights:
            slots, count = np.full((3, 2), -1, np.int64), 0
            for c, w in enumerate(by_channel):
                if w[0] or w[3]:
                    slots[c, 0], count = count, count + 3
                if w[1] or w[2] or w[4] or w[5]:
                    slots[c, 1], count = count, count + 1
            all_slots.append(slots)
            planes.append(count)
        return cls(sizes, weights, all_slots, planes)


def norms_of(sums: npt.NDArray[np.float64], pixels: int) -> npt.NDArray[np.float64]:
    """Return 1-norms and 4-norms (means over pixels) of sums, shape (3, 6)."""
    means = sums / pixels
    means[:, 3:] = np.sqrt(np.sqrt(means[:, 3:]))
    return means


def remap(total: float) -> tuple[float, float]:
    """Return the score of a weighted sum of norms, and its slope (libjxl, Msssim::Score)."""
    x = 0.9562382616834844 * total
    y = ((6.248496625763138e-05 * x - 0.020884521182843837) * x + 2.326765642916932) * x
    if y <= 0:
        return 100.0, 0.0
    root = float(power(np.float64(y), 0.6276336467831387))
    inner = (3 * 6.248496625763138e-05 * x - 2 * 0.020884521182843837) * x + 2.326765642916932
    return 100.0 - 10.0 * root, -10.0 * 0.6276336467831387 * root / y * inner * 0.9562382616834844


class SSIMULACRA2Comparator:
    """SSIMULACRA 2 against one reference, whose side is computed once.

    Scores: 100 identical, 90 visually lossless, 80 very high, 70 high, 50 medium, 30 low quality;
    they may be negative. Version 2.1, as libjxl's ``ssimulacra2`` tool prints it.

    Parameters
    ----------
    reference : ndarray or PIL image
        (H, W) or (H, W, 3), uint8, uint16 or float 0..1, sRGB; or a PIL image with its profile.
    threads : int, optional
        Default: the processors available. The number changes no digit.

    Notes
    -----
    About 45 bytes a pixel are kept, up to 12.5 megapixels; above, only the picture itself, and
    each score works on both sides. Sides under 8 pixels are made 8 by repeating the edge.
    """

    def __init__(self, reference: Any, *, threads: int | None = None) -> None:
        planes, transform = planes_of(reference)
        self._set_up(planes, transform, threads)

    @classmethod
    def from_linear(cls, planes: Floats, *, threads: int | None = None) -> SSIMULACRA2Comparator:
        """Return a comparator for linear light: float32 (3, H, W), sRGB primaries, 1.0 = white."""
        self = cls.__new__(cls)
        self._set_up(_linear_planes(planes), None, threads)
        return self

    def _set_up(self, planes: Codes | Floats, transform: Transform | None, threads: int | None) -> None:
        self.shape: tuple[int, int] = (planes.shape[1], planes.shape[2])
        self._threads = threads
        planes = _at_least_smallest(planes)
        self.plan = Plan.of(planes.shape[1], planes.shape[2])
        self._references: list[Floats] = []
        self._levels: list[Rows] = []
        cached = planes[0].size <= _CACHED_PIXELS
        level = Rows(planes, transform)
        for scale, (height, width) in enumerate(self.plan.sizes):
            reference = np.empty((self.plan.planes[scale] if cached else 0, height, width), np.float32)
            smaller = self._smaller(scale)
            local = threading.local()

            def strip(
                top: int,
                level: Rows = level,
                scale: int = scale,
                reference: Floats = reference,
                smaller: Floats | None = smaller,
                local: Any = local,
            ) -> None:
                height = level.size[0]
                bottom = min(top + STRIP, height)
                linear, first = level.rows(max(top - HALO, 0), min(bottom + HALO, height), local)
                _halve_strip(linear, first, top, bottom, smaller)
                if cached:
                    work = local_array(local, "work", (_WORK,))
                    _prepare_strip(
                        linear, first, top, bottom, top, bottom, self.plan.slots[scale], work, reference, 0
                    )

            each(strip, range(0, height, STRIP), threads)
            if cached:
                self._references.append(reference)
            else:
                self._levels.append(level)
            if smaller is not None:
                level = Rows(smaller)

    def score(self, distorted: Any) -> float:
        """Return the score of a picture (array or PIL image, as the constructor takes them).

        Raises
        ------
        ValueError
            The sizes differ.
        """
        planes, transform = planes_of(distorted)
        return self._score(planes, transform)

    def score_linear(self, planes: Floats) -> float:
        """Return the score of linear light: float32 (3, H, W), sRGB primaries, 1.0 = white."""
        return self._score(_linear_planes(planes), None)

    def _score(self, planes: Codes | Floats, transform: Transform | None) -> float:
        check_sizes(self.shape, (planes.shape[1], planes.shape[2]))
        level = Rows(_at_least_smallest(planes), transform)
        total = 0.0
        for scale in range(len(self.plan.sizes)):
            norms, level = self.forward(scale, level, np.empty((0, 1, 1), np.float32))
            total += _weighted(self.plan.weights[scale], norms)
        return remap(total)[0]

    def forward(self, scale: int, level: Rows, kept: Floats) -> tuple[npt.NDArray[np.float64], Rows]:
        """Return the norms of one scale, shape (3, 6), and the next smaller picture.

        ``kept``: see ``_score_strip``.
        """
        height, width = self.plan.sizes[scale]
        smaller = self._smaller(scale)
        starts = range(0, height, STRIP)
        sums = np.zeros((len(starts), 3, 6))
        local = threading.local()
        slots = self.plan.slots[scale]

        def strip(top: int) -> None:
            bottom = min(top + STRIP, height)
            linear, first = level.rows(max(top - HALO, 0), min(bottom + HALO, height), local)
            _halve_strip(linear, first, top, bottom, smaller)
            work = local_array(local, "work", (_WORK,))
            reference, reference_first = self._reference(scale, top, bottom, local)
            _score_strip(
                linear, first, top, bottom, slots, reference, reference_first, work, kept, sums[top // STRIP]
            )

        each(strip, starts, self._threads)
        total = np.zeros((3, 6))
        for part in sums:
            total += part
        return norms_of(total, height * width), level if smaller is None else Rows(smaller)

    def _smaller(self, scale: int) -> Floats | None:
        if scale + 1 == len(self.plan.sizes):
            return None
        return np.empty((3, *self.plan.sizes[scale + 1]), np.float32)

    def _reference(self, scale: int, top: int, bottom: int, local: Any) -> tuple[Floats, int]:
        """Return the reference's planes for the rows top to bottom, and the row they begin with."""
        if self._references:
            return self._references[scale], 0
        height, width = self.plan.sizes[scale]
        upper, lower = max(top - HALO, 0), min(bottom + HALO, height)
        linear, first = self._levels[scale].rows(upper, lower, local)
        reference = local_array(local, "reference", (self.plan.planes[scale], lower - upper, width))
        work = local_array(local, "work", (_WORK,))
        _prepare_strip(
            linear, first, top, bottom, upper, lower, self.plan.slots[scale], work, reference, upper
        )
        return reference, upper


def ssimulacra2(reference: Any, distorted: Any) -> float:
    """Return the SSIMULACRA 2 score of a picture against its reference.

    Parameters
    ----------
    reference, distorted : ndarray or PIL image
        Of equal size. Arrays (H, W) or (H, W, 3) of uint8, uint16 or float 0..1 are taken as
        sRGB; PIL images by their ICC profile.

    Returns
    -------
    float
        100 for identical pictures, about 90 visually lossless, 70 high, 50 medium, 30 low
        quality; may be negative. Version 2.1, as libjxl's ``ssimulacra2`` tool prints it.

    Raises
    ------
    ValueError
        The sizes differ, or an argument is no picture.
    UnsupportedError
        Real transparency, CMYK: see :func:`guetzpy.picture.planes_of`.

    Examples
    --------
    >>> import numpy as np
    >>> from guetzpy.metrics import ssimulacra2
    >>> picture = np.full((32, 32, 3), 128, np.uint8)
    >>> ssimulacra2(picture, picture)
    100.0
    """
    return SSIMULACRA2Comparator(reference).score(distorted)


def check_sizes(reference: tuple[int, int], distorted: tuple[int, int]) -> None:
    """Raise ValueError, naming both sizes (width x height), if they differ."""
    if reference != distorted:
        raise ValueError(
            f"pictures of different sizes: reference {reference[1]}x{reference[0]}, "
            f"distorted {distorted[1]}x{distorted[0]}"
        )


def _weighted(weights: npt.NDArray[np.float64], norms: npt.NDArray[np.float64]) -> float:
    total = 0.0
    for weight, norm in zip(weights.flat, norms.flat, strict=True):
        total += float(weight) * float(norm)
    return total


def _linear_planes(planes: Floats) -> Floats:
    if not isinstance(planes, np.ndarray) or planes.ndim != 3 or planes.shape[0] != 3 or planes.size == 0:
        raise ValueError(f"expected linear planes of shape (3, H, W), got {np.shape(planes)}")
    return np.require(planes, np.float32, ["C", "W"])


def _at_least_smallest(planes: Any) -> Any:
    """Repeat the last row and column until both sides are 8."""
    down, across = (max(_SMALLEST - side, 0) for side in planes.shape[1:])
    return np.pad(planes, ((0, 0), (0, down), (0, across)), mode="edge") if down or across else planes


def _halve_strip(linear: Floats, first: int, top: int, bottom: int, smaller: Floats | None) -> None:
    if smaller is not None:
        for c in range(3):
            halve(linear[c], first, top, bottom, smaller[c], 0)
