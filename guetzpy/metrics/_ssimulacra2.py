"""SSIMULACRA 2, version 2.1, number for number as libjxl's tools/ssimulacra2.cc has it.

Six scales, halved in linear light; at each, the picture in positive XYB, blurred local means and
variances, and three maps a channel: what of the structure is lost (SSIM without its luminance
division), edges that came, edges that went. The 1- and the 4-norm of each map are weighted,
summed and remapped to 100 (identical) downwards. Only maps with a weight are computed.

The blur is a recursion across whole rows and down whole columns (see ``_recursive_gaussian``), so
work goes band by band (``BAND`` rows, whatever the number of threads): first across, in groups of
16 rows, then down, in blocks of 128 columns that carry the recursion's state on to the next band.
The down pass lags by 4 rows, for the blur looks that far ahead. Planes of a band are stored block
by block, ``(blocks, HISTORY + rows, BLOCK)``, the last ``HISTORY`` rows of the band before first.
Partial sums are taken per block and band and added in that order, in float64.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._elementary import power
from guetzpy._jit import kernel
from guetzpy._threads import each
from guetzpy.metrics._recursive_gaussian import (
    BLOCK,
    CHUNK,
    GROUP,
    LEAD,
    REACH,
    SPAN,
    across,
    down,
    transpose_in,
    transpose_out,
)
from guetzpy.metrics.colorspace import halve, positive_xyb
from guetzpy.picture import Codes, Floats, Transform, planes_of

__all__ = ["SSIMULACRA2Comparator", "ssimulacra2"]

BAND = 128  # rows; a multiple of GROUP
HISTORY = LEAD + REACH
_ROWS = HISTORY + BAND + 2 * REACH  # of a band's planes: the last outputs look beyond the picture

_SCALES = 6
_SMALLEST = 8  # a side below this ends the pyramid
_C2 = np.float32(0.0009)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)

#: The reference's side of larger pictures is not kept as maps but computed anew, band by band.
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


@kernel("int64(float32[::1], float32[::1], float32[::1])")
def _multiply(a: Any, b: Any, product: Any) -> int:
    for i in range(a.shape[0]):
        product[i] = a[i] * b[i]
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, float32[:, :, ::1])")
def _to_blocks(plane: Any, rows: int, width: int, row: int, blocks: Any) -> int:
    for b in range(blocks.shape[0]):
        columns = min(BLOCK, width - b * BLOCK)
        for y in range(rows):
            blocks[b, row + y, :columns] = plane[y, b * BLOCK : b * BLOCK + columns]
    return 0


@kernel(
    "int64(float32[:, :, ::1], int64, int64, int64, int64, int64[:, ::1], float32[:, :, ::1],"
    " float32[::1], float32[:, ::1], float32[:, :, :, ::1], float32[:, :, :, ::1])"
)
def _across_group(
    linear: Any,
    first: int,
    rows: int,
    row: int,
    prepare: int,
    slots: Any,
    xyb: Any,
    work: Any,
    reference: Any,
    channels: Any,
    blurred: Any,
) -> int:
    """Turn a group of up to 16 rows into XYB and blur across what the maps need.

    Parameters
    ----------
    linear : ndarray of float32, shape (3, any, W)
        The group is its rows ``first`` to ``first + rows``.
    first, rows, row : int
        ``row`` is the row of the band's planes that the group begins at.
    prepare : int
        1: the reference's side; 0: the distorted one's.
    slots : ndarray of int64, shape (3, 3)
        See :class:`Plan`.
    xyb : ndarray of float32, shape (3, 16, any)
        Scratch.
    work : ndarray of float32
        Scratch of 3 chunks and 3 states.
    reference : ndarray of float32, shape (channels with a structure map, (W' + 2 SPAN) * 16)
        The reference's channels for this group, transposed: written (prepare) or read.
    channels : ndarray of float32, shape (3, blocks, rows of a band, BLOCK)
        Written: XYB.
    blurred : ndarray of float32, shape (9, blocks, rows of a band, BLOCK)
        Written: for each channel the mean, the square, and the product with the reference.
    """
    width = linear.shape[2]
    for c in range(3):
        for y in range(rows):
            xyb[c, y, :width] = linear[c, first + y]
    for y in range(rows):
        positive_xyb(xyb[0, y], xyb[1, y], xyb[2, y], width)
    chunk = work[:CHUNK]
    product = work[CHUNK : 2 * CHUNK]
    out = work[2 * CHUNK : 3 * CHUNK]
    states = work[3 * CHUNK : 3 * CHUNK + 18 * GROUP]
    for c in range(3):
        structure = slots[c, 0]
        if structure < 0 and slots[c, 1] < 0:
            continue
        _to_blocks(xyb[c], rows, width, row, channels[c])
        for b in range(channels.shape[1]):
            left = b * BLOCK
            transpose_in(xyb[c], 0, rows, left, width, chunk)
            across(chunk, left, width, states[: 6 * GROUP], out)
            transpose_out(out, row, rows, blurred[3 * c, b].reshape(-1))
            if structure < 0:
                continue
            _multiply(chunk, chunk, product)
            across(product, left, width, states[6 * GROUP : 12 * GROUP], out)
            transpose_out(out, row, rows, blurred[3 * c + 1, b].reshape(-1))
            other = reference[slots[c, 2], left * GROUP : left * GROUP + CHUNK]
            if prepare:
                other[:] = chunk
            else:
                _multiply(chunk, other, product)
                across(product, left, width, states[12 * GROUP :], out)
                transpose_out(out, row, rows, blurred[3 * c + 2, b].reshape(-1))
    return 0


@kernel("int64(float32[:, ::1], int64)")
def _carry_over(plane: Any, last: int) -> int:
    """Make a band's last rows the history of the next one; ``last``: rows beyond it are black."""
    if last >= 0:
        plane[last:] = _ZERO
    else:
        for y in range(HISTORY):
            plane[y] = plane[BAND + y]
    return 0


@kernel(
    "int64(int64, int64, int64, int64, int64, int64[:, ::1], float32[:, :, :, ::1],"
    " float32[:, :, :, ::1], float32[:, :, ::1], float32[::1], float32[:, :, :, ::1], int64)"
)
def _prepare_block(
    b: int,
    top: int,
    rows: int,
    last: int,
    columns: int,
    slots: Any,
    channels: Any,
    blurred: Any,
    states: Any,
    work: Any,
    reference: Any,
    offset: int,
) -> int:
    """Blur a band of a block down, and write what scores need of the reference.

    For a channel with a structure map its mean and variance, for one with edge maps its edges,
    ``|channel - mean|``: planes ``slots[c, 0]``, the next one, and ``slots[c, 1]`` of
    ``reference``, which begins with the row ``offset`` of the picture.
    """
    stop = top + rows if last else top + rows - REACH
    for c in range(3):
        structure, edges = slots[c, 0], slots[c, 1]
        for k in range(2):
            if last:
                _carry_over(blurred[3 * c + k, b], HISTORY + rows)
        for n in range(top - REACH, stop, 4):
            row = n - top + HISTORY
            for k in range(2):
                if k == 0 or structure >= 0:
                    target = work[4 * k * BLOCK : 4 * (k + 1) * BLOCK]
                    down(blurred[3 * c + k, b].reshape(-1), row, states[3 * c + k, b], target)
            for y in range(max(0, -n), min(4, stop - n)):
                mean = work[y * BLOCK : (y + 1) * BLOCK]
                square = work[(4 + y) * BLOCK : (5 + y) * BLOCK]
                if structure >= 0:
                    reference[structure, b, n + y - offset] = mean
                    variance = reference[structure + 1, b, n + y - offset]
                    for x in range(columns):
                        variance[x] = square[x] - mean[x] * mean[x]
                if edges >= 0:
                    edge = reference[edges, b, n + y - offset]
                    channel = channels[c, b, row + y]
                    for x in range(columns):
                        edge[x] = abs(channel[x] - mean[x])
        for k in range(2):
            _carry_over(blurred[3 * c + k, b], -1)
        _carry_over(channels[c, b], -1)
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], int64, float32[::1])")
def _add_structure(moments: Any, means: Any, variances: Any, columns: int, sums: Any) -> int:
    """Add a row of the structure map and its fourth power to column sums.

    ``moments``: the distorted channel's blurred mean, square, and product with the reference,
    each 4 rows of ``BLOCK``. ``sums``: two rows of ``BLOCK``.
    """
    for x in range(columns):
        mu1 = means[x]
        mu2 = moments[x]
        luminance = _ONE - (mu1 - mu2) * (mu1 - mu2)
        covariance = moments[x + 8 * BLOCK] - mu1 * mu2
        numerator = (covariance + covariance) + _C2
        denominator = variances[x] + (moments[x + 4 * BLOCK] - mu2 * mu2) + _C2
        d = max(_ONE - luminance * numerator / denominator, _ZERO)
        sums[x] += d
        sums[x + BLOCK] += (d * d) * (d * d)
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], int64, float32[::1])")
def _add_edges(channel: Any, mean: Any, edges: Any, columns: int, sums: Any) -> int:
    """Add a row of the maps of edges that came and that went, and their fourth powers."""
    for x in range(columns):
        # (1 + e2) / (1 + e1) - 1 without its cancellation
        d = (abs(channel[x] - mean[x]) - edges[x]) / (_ONE + edges[x])
        came = max(d, _ZERO)
        went = max(-d, _ZERO)
        sums[x] += came
        sums[x + BLOCK] += went
        sums[x + 2 * BLOCK] += (came * came) * (came * came)
        sums[x + 3 * BLOCK] += (went * went) * (went * went)
    return 0


@kernel(
    "int64(int64, int64, int64, int64, int64, int64[:, ::1], float32[:, :, :, ::1],"
    " float32[:, :, :, ::1], float32[:, :, ::1], float32[::1], float32[:, :, :, ::1], int64,"
    " float64[:, :, ::1])"
)
def _score_block(
    b: int,
    top: int,
    rows: int,
    last: int,
    columns: int,
    slots: Any,
    channels: Any,
    blurred: Any,
    states: Any,
    work: Any,
    reference: Any,
    offset: int,
    sums: Any,
) -> int:
    """Blur a band of a block down and add up the maps.

    ``sums[b, c]`` gets channel c's sums in the order of the weights: structure, came, went, and
    the fourth powers of these. The rest is as for ``_prepare_block``.
    """
    stop = top + rows if last else top + rows - REACH
    moments = work[: 12 * BLOCK]
    columns_sums = work[12 * BLOCK : 18 * BLOCK]
    for c in range(3):
        structure, edges = slots[c, 0], slots[c, 1]
        columns_sums[:] = _ZERO
        for k in range(3):
            if last:
                _carry_over(blurred[3 * c + k, b], HISTORY + rows)
        for n in range(top - REACH, stop, 4):
            row = n - top + HISTORY
            for k in range(3):
                if k == 0 or structure >= 0:
                    target = moments[4 * k * BLOCK : 4 * (k + 1) * BLOCK]
                    down(blurred[3 * c + k, b].reshape(-1), row, states[3 * c + k, b], target)
            for y in range(max(0, -n), min(4, stop - n)):
                if structure >= 0:
                    _add_structure(
                        moments[y * BLOCK :],
                        reference[structure, b, n + y - offset],
                        reference[structure + 1, b, n + y - offset],
                        columns,
                        columns_sums[: 2 * BLOCK],
                    )
                if edges >= 0:
                    _add_edges(
                        channels[c, b, row + y],
                        moments[y * BLOCK : (y + 1) * BLOCK],
                        reference[edges, b, n + y - offset],
                        columns,
                        columns_sums[2 * BLOCK :],
                    )
        for x in range(columns):
            sums[b, c, 0] += np.float64(columns_sums[x])
            sums[b, c, 3] += np.float64(columns_sums[x + BLOCK])
            sums[b, c, 1] += np.float64(columns_sums[x + 2 * BLOCK])
            sums[b, c, 2] += np.float64(columns_sums[x + 3 * BLOCK])
            sums[b, c, 4] += np.float64(columns_sums[x + 4 * BLOCK])
            sums[b, c, 5] += np.float64(columns_sums[x + 5 * BLOCK])
        for k in range(3):
            _carry_over(blurred[3 * c + k, b], -1)
        _carry_over(channels[c, b], -1)
    return 0


_WORK = max(3 * CHUNK + 18 * GROUP, 18 * BLOCK)


class Rows:
    """Linear light of one scale, given out by rows: whole planes, or codes turned as asked for."""

    def __init__(self, planes: Codes | Floats, transform: Transform | None = None) -> None:
        self.planes = planes
        self.transform = transform
        self.height, self.width = planes.shape[1], planes.shape[2]

    def rows(self, start: int, stop: int, local: Local) -> tuple[Floats, int]:
        """Return planes that hold the rows start to stop, and the row that they begin with."""
        if self.transform is None:
            return self.planes, 0  # type: ignore[return-value]
        out = local.array("linear", (3, stop - start, self.width))
        return self.transform.linear(self.planes[:, start:stop], threads=1, out=out), start


class Local(threading.local):
    """Scratch arrays of a thread's own."""

    def array(self, name: str, shape: tuple[int, ...]) -> Floats:
        array: Floats | None = getattr(self, name, None)
        if array is None or array.shape != shape:
            array = np.empty(shape, np.float32)
            setattr(self, name, array)
        return array


@dataclass(frozen=True)
class Plan:
    """What is computed for pictures of one size.

    Attributes
    ----------
    sizes : list of (int, int)
        Height and width of each scale.
    weights : ndarray of float64, shape (scales, 3, 6)
        Of structure, came, went (1-norms), structure, came, went (4-norms).
    slots : list of ndarray of int64, shape (3, 3)
        For each scale and channel: where the reference's planes of the structure map (mean,
        variance) begin, where that of the edge maps is, and where the transposed channel (for
        the structure map) is; -1 for maps without weight.
    planes : list of (int, int)
        Planes of the reference's maps and transposed channels at each scale.
    """

    sizes: list[tuple[int, int]]
    weights: npt.NDArray[np.float64]
    slots: list[npt.NDArray[np.int64]]
    planes: list[tuple[int, int]]

    @classmethod
    def of(cls, height: int, width: int) -> Plan:
        sizes = [(height, width)]
        while len(sizes) < _SCALES and min(sizes[-1]) >= _SMALLEST:
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


class Reference:
    """The reference's side of one scale: of the whole picture, or of one band."""

    def __init__(self, planes: tuple[int, int], height: int, width: int) -> None:
        blocks, groups = -(-width // BLOCK), -(-height // GROUP)
        self.offset = 0  # row of the picture that the planes begin with
        self.first_group = 0
        self.maps = np.empty((planes[0], blocks, height, BLOCK), np.float32)
        self.transposed = np.empty((groups, planes[1], (blocks * BLOCK + 2 * SPAN) * GROUP), np.float32)


class Side:
    """One picture's way through one scale, band by band, with the recursions' state."""

    def __init__(self, level: Rows, slots: npt.NDArray[np.int64], smaller: Floats | None) -> None:
        self.level = level
        self.slots = slots
        self.smaller = smaller
        blocks = -(-level.width // BLOCK)
        self.blocks = range(blocks)
        self.channels = np.zeros((3, blocks, _ROWS, BLOCK), np.float32)
        self.blurred = np.zeros((9, blocks, _ROWS, BLOCK), np.float32)
        self.states = np.zeros((9, blocks, 6 * BLOCK), np.float32)
        self.sums = np.zeros((blocks, 3, 6))
        self.local = Local()

    def advance(self, top: int, reference: Reference, prepare: bool, threads: int | None) -> None:
        """Work on the band that begins with row ``top``."""
        level, local = self.level, self.local
        bottom = min(top + BAND, level.height)
        last = bottom == level.height

        def group(start: int) -> None:
            stop = min(start + GROUP, bottom)
            linear, first = level.rows(start, stop, local)
            if self.smaller is not None:
                for c in range(3):
                    halve(linear[c], first, start, stop, self.smaller[c], 0)
            xyb = local.array("xyb", (3, GROUP, (level.width | 31) + 17))  # rows in different cache sets
            transposed = reference.transposed[start // GROUP - reference.first_group]
            _across_group(
                linear, start - first, stop - start, start - top + HISTORY, int(prepare), self.slots,
                xyb, local.array("work", (_WORK,)), transposed, self.channels, self.blurred,
            )  # fmt: skip

        def block(b: int) -> None:
            arguments = (
                b, top, bottom - top, int(last), min(BLOCK, level.width - b * BLOCK), self.slots,
                self.channels, self.blurred, self.states, local.array("work", (_WORK,)),
                reference.maps, reference.offset,
            )  # fmt: skip
            if prepare:
                _prepare_block(*arguments)
            else:
                _score_block(*arguments, self.sums)

        each(group, range(top, bottom, GROUP), threads)
        each(block, self.blocks, threads)


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
    About 40 bytes a pixel are kept, up to 12.5 megapixels; above, only the picture itself, and
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
        self._plan = Plan.of(planes.shape[1], planes.shape[2])
        self._level = Rows(planes, transform)
        self._references: list[Reference] = []
        if planes[0].size <= _CACHED_PIXELS:
            level = self._level
            for scale, (height, width) in enumerate(self._plan.sizes):
                reference = Reference(self._plan.planes[scale], height, width)
                side = self._side(scale, level)
                for top in range(0, height, BAND):
                    side.advance(top, reference, True, threads)
                self._references.append(reference)
                if side.smaller is not None:
                    level = Rows(side.smaller)

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
        level, reference_level = Rows(_at_least_smallest(planes), transform), self._level
        total = 0.0
        for scale, (height, width) in enumerate(self._plan.sizes):
            side = self._side(scale, level)
            if self._references:
                for top in range(0, height, BAND):
                    side.advance(top, self._references[scale], False, self._threads)
            else:
                other = self._side(scale, reference_level)
                band = Reference(self._plan.planes[scale], BAND + REACH, width)
                for top in range(0, height, BAND):
                    band.offset, band.first_group = top - REACH, top // GROUP
                    other.advance(top, band, True, self._threads)
                    side.advance(top, band, False, self._threads)
                if other.smaller is not None:
                    reference_level = Rows(other.smaller)
            norms = norms_of(side.sums, height * width)
            total += weighted(self._plan.weights[scale], norms)
            if side.smaller is not None:
                level = Rows(side.smaller)
        return remap(total)[0]

    def _side(self, scale: int, level: Rows) -> Side:
        sizes = self._plan.sizes
        smaller = np.empty((3, *sizes[scale + 1]), np.float32) if scale + 1 < len(sizes) else None
        return Side(level, self._plan.slots[scale], smaller)


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


def norms_of(sums: npt.NDArray[np.float64], pixels: int) -> npt.NDArray[np.float64]:
    """Return 1-norms and 4-norms (means over pixels), shape (3, 6), of sums by block or strip."""
    means = np.zeros((3, 6))
    for part in sums:
        means += part
    means /= pixels
    means[:, 3:] = np.sqrt(np.sqrt(means[:, 3:]))
    return means


def weighted(weights: npt.NDArray[np.float64], norms: npt.NDArray[np.float64]) -> float:
    """Return the weighted sum of norms, added in order."""
    total = 0.0
    for weight, norm in zip(weights.flat, norms.flat, strict=True):
        total += float(weight) * float(norm)
    return total


def remap(total: float) -> tuple[float, float]:
    """Return the score of a weighted sum of norms, and its slope (libjxl, Msssim::Score)."""
    x = 0.9562382616834844 * total
    y = 2.326765642916932 * x - 0.020884521182843837 * x * x + 6.248496625763138e-05 * x * x * x
    if y <= 0:
        return 100.0, 0.0
    root = power(y, 0.6276336467831387)
    inner = 2.326765642916932 - 2 * 0.020884521182843837 * x + 3 * 6.248496625763138e-05 * x * x
    return 100.0 - 10.0 * root, -10.0 * 0.6276336467831387 * root / y * inner * 0.9562382616834844


def _linear_planes(planes: Floats) -> Floats:
    if not isinstance(planes, np.ndarray) or planes.ndim != 3 or planes.shape[0] != 3 or planes.size == 0:
        raise ValueError(f"expected linear planes of shape (3, H, W), got {np.shape(planes)}")
    return np.require(planes, np.float32, ["C", "W"])


def _at_least_smallest(planes: Any) -> Any:
    """Repeat the last row and column until both sides are 8."""
    down, across = (max(_SMALLEST - side, 0) for side in planes.shape[1:])
    return np.pad(planes, ((0, 0), (0, down), (0, across)), mode="edge") if down or across else planes
