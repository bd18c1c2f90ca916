"""One scale of SSIMULACRA 2, computed in bands of rows, with libjxl's rounding.

The blur is a recursion over whole rows and then over whole columns (see ``_recursive_gaussian``). So a band
of ``BAND`` rows, whatever the number of threads, is processed in two passes. The horizontal pass takes groups
of 16 rows. The vertical pass takes blocks of 128 columns and passes the state of the recursion on to the next
band. It stays 4 rows behind, because an output depends on the 4 rows after it. Planes of a band are stored
block by block, ``(blocks, HISTORY + rows, BLOCK)``, beginning with the last ``HISTORY`` rows of the band
before. Partial sums are taken per block and band and added in that order, in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
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
from guetzpy.metrics.one_reference import Local, Rows
from guetzpy.picture.transform import Floats

__all__ = ["BAND", "Reference", "Side"]

BAND = 64  # rows, a multiple of GROUP; two bands of a wide picture fit the second-level cache
HISTORY = LEAD + REACH

_C2 = np.float32(0.0009)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)


@kernel("int64(float32[::1], float32[::1], float32[::1])", inner=True)
def _multiply(a: Any, b: Any, product: Any) -> int:
    for i in range(a.shape[0]):
        product[i] = a[i] * b[i]
    return 0


@kernel("int64(float32[::1], float32[::1])", inner=True)
def _copy(source: Any, target: Any) -> int:
    """Copy as many values as ``source`` has (numba needs a second to compile a slice assignment)."""
    for i in range(source.shape[0]):
        target[i] = source[i]
    return 0


@kernel("int64(float32[:, ::1], int64, int64, int64, float32[:, :, ::1])", inner=True)
def _to_blocks(plane: Any, rows: int, width: int, row: int, blocks: Any) -> int:
    for b in range(blocks.shape[0]):
        columns = min(BLOCK, width - b * BLOCK)
        for y in range(rows):
            _copy(plane[y, b * BLOCK : b * BLOCK + columns], blocks[b, row + y])
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
    """Convert a group of up to 16 rows to XYB, and blur horizontally what the maps need.

    Parameters
    ----------
    linear : ndarray of float32, shape (3, any, W)
        Linear light; the group is its rows ``first`` to ``first + rows``.
    first, rows, row : int
        ``row`` is the row of the band's planes that the group begins at.
    prepare : int
        1: the picture is the reference; 0: the distorted picture.
    slots : ndarray of int64, shape (3, 3)
        See :class:`guetzpy.metrics._ssimulacra2.scales.Plan`.
    xyb : ndarray of float32, shape (3, 16, any)
        Scratch.
    work : ndarray of float32
        Scratch of 3 chunks and 3 states.
    reference : ndarray of float32, shape (channels with a structure map, (W' + 2 SPAN) * 16)
        The reference's channels for this group, transposed. Written if ``prepare`` is 1, else read.
    channels : ndarray of float32, shape (3, blocks, rows of a band, BLOCK)
        Written: XYB.
    blurred : ndarray of float32, shape (9, blocks, rows of a band, BLOCK)
        Written for each channel: blurred values, squares, and products with the reference.
    """
    width = linear.shape[2]
    for c in range(3):
        for y in range(rows):
            _copy(linear[c, first + y], xyb[c, y])
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
            transpose_in(xyb[c], rows, left, width, chunk)
            across(chunk, left, width, states[: 6 * GROUP], out)
            transpose_out(out, row, rows, blurred[3 * c, b].reshape(-1))
            if structure < 0:
                continue
            _multiply(chunk, chunk, product)
            across(product, left, width, states[6 * GROUP : 12 * GROUP], out)
            transpose_out(out, row, rows, blurred[3 * c + 1, b].reshape(-1))
            other = reference[slots[c, 2], left * GROUP : left * GROUP + CHUNK]
            if prepare:
                _copy(chunk, other)
            else:
                _multiply(chunk, other, product)
                across(product, left, width, states[12 * GROUP :], out)
                transpose_out(out, row, rows, blurred[3 * c + 2, b].reshape(-1))
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], int64, float32[::1])", inner=True)
def _add_structure(moments: Any, means: Any, variances: Any, columns: int, sums: Any) -> int:
    """Add a row of the structure map, and its fourth power, to sums of columns.

    ``moments``: the distorted channel's blurred values, squares, and products with the reference,
    4 rows of ``BLOCK`` each. ``sums``: two rows of ``BLOCK``.
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


@kernel("int64(float32[::1], float32[::1], float32[::1], int64, float32[::1])", inner=True)
def _add_edges(channel: Any, mean: Any, edges: Any, columns: int, sums: Any) -> int:
    """Add a row of the maps of added and of lost edges, and their fourth powers, to sums of columns."""
    for x in range(columns):
        # (1 + e2) / (1 + e1) - 1, written without cancellation
        d = (abs(channel[x] - mean[x]) - edges[x]) / (_ONE + edges[x])
        added = max(d, _ZERO)
        lost = max(-d, _ZERO)
        sums[x] += added
        sums[x + BLOCK] += lost
        sums[x + 2 * BLOCK] += (added * added) * (added * added)
        sums[x + 3 * BLOCK] += (lost * lost) * (lost * lost)
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], int64, float32[::1], float32[::1])", inner=True)
def _variance(channel: Any, moments: Any, mean: Any, columns: int, variance: Any, edges: Any) -> int:
    """Write a row of a reference channel's local variance, and of its edges, ``|channel - mean|``."""
    for x in range(columns):
        variance[x] = moments[x + 4 * BLOCK] - mean[x] * mean[x]
        edges[x] = abs(channel[x] - mean[x])
    return 0


@kernel(
    "int64(int64, int64, int64, int64, int64, int64, int64[:, ::1], float32[:, :, :, ::1],"
    " float32[:, :, :, ::1], float32[:, :, ::1], float32[::1], float32[:, :, :, ::1], int64,"
    " float64[:, :, ::1])"
)
def _down_block(
    b: int,
    top: int,
    rows: int,
    last: int,
    columns: int,
    prepare: int,
    slots: Any,
    channels: Any,
    blurred: Any,
    states: Any,
    work: Any,
    reference: Any,
    offset: int,
    sums: Any,
) -> int:
    """Blur a band of a block vertically, and sum the maps, or write the data of the reference for them.

    Parameters
    ----------
    b, columns : int
        Number of the block, and of its columns that are in the picture.
    top, rows, last : int
        First row and number of rows of the band; ``last`` is 1 for the picture's last band.
    prepare : int
        1: the picture is the reference; 0: the distorted picture.
    slots : ndarray of int64, shape (3, 3)
        See :class:`guetzpy.metrics._ssimulacra2.scales.Plan`.
    channels, blurred, states : ndarray of float32
        The band's planes from ``_across_group``, and the states of the recursions.
    work : ndarray of float32
        Scratch of 19 rows of ``BLOCK``.
    reference : ndarray of float32, shape (slots, blocks, any, BLOCK)
        The reference's means, variances and edges. Written if ``prepare`` is 1, else read.
    offset : int
        The row of the picture that ``reference`` begins with.
    sums : ndarray of float64, shape (blocks, 3, 6)
        ``sums[b, c]`` gets channel c's sums in the order of the weights: structure, added edges, lost edges,
        and the fourth powers of these.
    """
    stop = top + rows if last else top + rows - REACH
    moments = work[: 12 * BLOCK]
    columns_sums = work[12 * BLOCK : 18 * BLOCK]
    unused = work[18 * BLOCK : 19 * BLOCK]
    for c in range(3):
        structure, edges = slots[c, 0], slots[c, 1]
        if structure < 0 and edges < 0:
            continue
        count = 1 if structure < 0 else 3 - prepare
        columns_sums[:] = _ZERO
        if last:
            for k in range(count):
                blurred[3 * c + k, b, HISTORY + rows :] = _ZERO  # rows below the picture
        for n in range(top - REACH, stop, 4):
            row = n - top + HISTORY
            for k in range(count):
                target = moments[4 * k * BLOCK : 4 * (k + 1) * BLOCK]
                down(blurred[3 * c + k, b].reshape(-1), row, states[3 * c + k, b], target)
            for y in range(max(0, -n), min(4, stop - n)):
                mean = moments[y * BLOCK : (y + 1) * BLOCK]
                channel = channels[c, b, row + y]
                at = n + y - offset
                if prepare:
                    variance = unused
                    if structure >= 0:
                        _copy(mean, reference[structure, b, at])
                        variance = reference[structure + 1, b, at]
                    edge = reference[edges, b, at] if edges >= 0 else unused
                    _variance(channel, moments[y * BLOCK :], mean, columns, variance, edge)
                    continue
                if structure >= 0:
                    _add_structure(
                        moments[y * BLOCK :],
                        reference[structure, b, at],
                        reference[structure + 1, b, at],
                        columns,
                        columns_sums[: 2 * BLOCK],
                    )
                if edges >= 0:
                    _add_edges(channel, mean, reference[edges, b, at], columns, columns_sums[2 * BLOCK :])
        for k in range(6):
            into = (0, 3, 1, 2, 4, 5)[k]
            for x in range(columns):
                sums[b, c, into] += np.float64(columns_sums[x + k * BLOCK])
        for y in range(0 if last else HISTORY):  # the next band begins with the last rows of this one
            _copy(channels[c, b, BAND + y], channels[c, b, y])
            for k in range(count):
                _copy(blurred[3 * c + k, b, BAND + y], blurred[3 * c + k, b, y])
    return 0


_WORK = max(3 * CHUNK + 18 * GROUP, 19 * BLOCK)


class Reference:
    """Data of the reference at one scale, for the whole picture or for one band."""

    def __init__(self, planes: tuple[int, int], height: int, width: int) -> None:
        blocks, groups = -(-width // BLOCK), -(-height // GROUP)
        self.offset = 0  # row of the picture that the planes begin with
        self.first_group = 0
        self.maps = np.empty((planes[0], blocks, height, BLOCK), np.float32)
        self.transposed = np.empty((groups, planes[1], (blocks * BLOCK + 2 * SPAN) * GROUP), np.float32)


class Side:
    """Processing of one picture at one scale, band by band, with the states of the recursions."""

    def __init__(self, level: Rows, slots: npt.NDArray[np.int64], smaller: Floats | None) -> None:
        self.level = level
        self.slots = slots
        self.smaller = smaller
        blocks = -(-level.width // BLOCK)
        self.blocks = range(blocks)
        rows = HISTORY + min(BAND, level.height) + 2 * REACH  # the last outputs need rows beyond the picture
        self.channels = np.zeros((3, blocks, rows, BLOCK), np.float32)
        self.blurred = np.zeros((9, blocks, rows, BLOCK), np.float32)
        self.states = np.zeros((9, blocks, 6 * BLOCK), np.float32)
        self.sums = np.zeros((blocks, 3, 6))
        self.local = Local()

    def advance(self, top: int, reference: Reference, prepare: bool, threads: int | None) -> None:
        """Process the band that begins with row ``top``."""
        level, local = self.level, self.local
        bottom = min(top + BAND, level.height)
        last = bottom == level.height

        def group(start: int) -> None:
            stop = min(start + GROUP, bottom)
            linear, first = level.rows(start, stop, local)
            if self.smaller is not None:
                for c in range(3):
                    halve(linear[c], first, start, stop, self.smaller[c], 0)
            # A row has an odd number of cache lines of 16 values, so that rows are in different cache sets.
            xyb = local.array("xyb", (3, GROUP, (level.width | 31) + 17))
            transposed = reference.transposed[start // GROUP - reference.first_group]
            _across_group(
                linear, start - first, stop - start, start - top + HISTORY, int(prepare), self.slots,
                xyb, local.array("work", (_WORK,)), transposed, self.channels, self.blurred,
            )  # fmt: skip

        def block(b: int) -> None:
            _down_block(
                b, top, bottom - top, int(last), min(BLOCK, level.width - b * BLOCK), int(prepare),
                self.slots, self.channels, self.blurred, self.states, local.array("work", (_WORK,)),
                reference.maps, reference.offset, self.sums,
            )  # fmt: skip

        each(group, range(top, bottom, GROUP), threads)
        each(block, self.blocks, threads)
