"""Count the Huffman symbols of scans without coding them.

A bit mask represents a block: bit k is set if coefficient k (in zigzag order) is non-zero at point
transform Al, that is if ``abs(c) >> Al != 0`` (T.81 G.1.2.1: division truncates towards zero). Operations
on these bits find the runs of zeros, the ends of blocks and the correction bits. An empty block takes one
comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.jpeg.structure import NATURAL_ORDER, ZIGZAG_ORDER

__all__ = [
    "MAX_EOB_RUN",
    "Significance",
    "band_histograms",
    "dc_histogram",
    "significance",
]

#: Longest EOB run of one symbol (T.81 G.1.2.2).
MAX_EOB_RUN = 0x7FFF

#: Blocks per task of a thread.
_STRIP_BLOCKS = 16384

_SIZES = np.array([value.bit_length() for value in range(256)], np.uint8)


@kernel("int64(uint64)")
def count_bits(word: Any) -> Any:
    """Return the number of set bits (Hacker's Delight 5-1); LLVM compiles this to one instruction."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel("int64(uint64)")
def lowest_bit(word: Any) -> Any:
    """Return the position of the lowest set bit of a non-zero word."""
    return count_bits(~word & (word - np.uint64(1)))


@kernel("int64(int64)")
def bit_length(value: Any) -> Any:
    """Return the number of bits of a magnitude below 2**17: its category in T.81 tables F.1 and F.2."""
    if value < 256:
        return np.int64(_SIZES[value])
    if value < 65536:
        return 8 + np.int64(_SIZES[value >> 8])
    return 16 + np.int64(_SIZES[value >> 16])


@kernel("int64(int16[:, ::1], uint64[:, ::1], int64, int64, uint64[:, ::1], int64[:, ::1])")
def _significance(blocks: Any, words: Any, first: Any, end: Any, masks: Any, counts: Any) -> Any:
    levels = masks.shape[0]
    largest = np.int64(0)
    for block in range(first, end):
        for level in range(levels):
            masks[level, block] = 0
        for word in range(16):
            # Most coefficients are zero; this test skips four of them at once.
            if words[block, word] == 0:
                continue
            for n in range(max(4 * word, 1), 4 * word + 4):
                magnitude = abs(np.int64(blocks[block, n]))
                if magnitude == 0:
                    continue
                largest = max(largest, magnitude)
                level = min(bit_length(magnitude), levels) - 1
                k = ZIGZAG_ORDER[n]
                masks[level, block] |= np.uint64(1) << np.uint64(k)
                counts[level, k] += 1
        # So far a coefficient is set only in the mask of the highest Al at which it is non-zero.
        for level in range(levels - 2, -1, -1):
            masks[level, block] |= masks[level + 1, block]
    return largest


@dataclass(frozen=True)
class Significance:
    """Which AC coefficients of a component are non-zero.

    Attributes
    ----------
    masks : ndarray of uint64, shape (levels, n)
        Bit k of ``masks[al, b]`` is set if coefficient k (zigzag order) of block b is non-zero at
        point transform ``al``. Bit 0 (DC) is never set.
    counts : ndarray of int64, shape (levels, 64)
        Number of blocks in which coefficient k is non-zero at point transform ``al``.
    largest : int
        Largest magnitude of an AC coefficient, 0 to 32768.
    """

    masks: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int64]
    largest: int


def significance(blocks: npt.NDArray[np.int16], levels: int, *, threads: int | None = None) -> Significance:
    """Find the non-zero AC coefficients at the point transforms 0 .. levels - 1.

    Parameters
    ----------
    blocks : ndarray of int16, shape (n, 64)
        Coefficients in natural order.
    levels : int
        Number of point transforms.
    threads : int, optional
        As in :func:`guetzpy._runtime.threads.each`.
    """
    _check_blocks(blocks)
    words = blocks.view(np.uint64)
    masks = np.empty((levels, len(blocks)), np.uint64)
    strips = range(0, len(blocks), _STRIP_BLOCKS)
    counts = np.zeros((len(strips), levels, 64), np.int64)
    largest = np.zeros(len(strips), np.int64)

    def find(strip: int) -> None:
        first = strips[strip]
        end = min(first + _STRIP_BLOCKS, len(blocks))
        largest[strip] = _significance(blocks, words, first, end, masks, counts[strip])

    each(find, range(len(strips)), threads)
    return Significance(masks, counts.sum(0)[::-1].cumsum(0)[::-1], int(largest.max()))


def _check_blocks(blocks: npt.NDArray[np.int16]) -> None:
    if blocks.dtype != np.int16 or blocks.ndim != 2 or blocks.shape[1] != 64 or not blocks.flags.c_contiguous:
        raise ValueError("blocks must be a contiguous int16 array of shape (n, 64)")


@kernel(
    "int64(int16[:, ::1], uint64[::1], uint64[::1], int64, int64, int64, int64[::1], int64[::1], "
    "uint64[:, ::1], int64[:, :, ::1], int64[:, :, ::1], int64[:, ::1], uint64[::1], int64[::1])"
)
def _band_statistics(
    blocks: Any,
    masks: Any,
    known: Any,
    refine: Any,
    al: Any,
    interval: Any,
    starts: Any,
    segment_of: Any,
    bands: Any,
    following: Any,
    leading: Any,
    eob: Any,
    planes: Any,
    since: Any,
) -> Any:
    # Each band has one bit in a word. bands[0, s] has the bits of the bands that contain segment s,
    # bands[1, s] those of the bands that end with it. A band's bit is set in `none`, `short` or `long` if
    # the band's EOB run has 0, 1 or more blocks; a long run begins at block since[band]. Runs of one block
    # are counted in binary counters, one per band: planes[n] has bit n of all counters.
    one = np.uint64(1)
    zero = np.uint64(0)
    segments = starts.shape[0] - 1
    every = zero
    for segment in range(segments):
        every |= bands[0, segment]
    none = every
    short = zero
    long = zero
    spectrum = (~zero >> np.uint64(64 - starts[segments])) & (~zero << np.uint64(starts[0]))
    count = blocks.shape[0]
    for block in range(count + 1):
        boundary = block == count or (interval > 0 and block % interval == 0)
        new = zero
        gaps = zero  # coefficients that are zero
        if block < count:
            new = masks[block] & spectrum
            gaps = ~new
            if refine != 0:
                new &= ~known[block]

        filled = zero  # bands in which the block is not empty
        ended = zero  # filled bands whose last coefficient is new, so that no EOB follows
        rest = new
        previous_segment = np.int64(-1)
        previous_zeros = np.int64(0)
        while rest != 0:
            before = gaps & ~rest & (rest - one)  # zeros before the lowest new coefficient
            k = lowest_bit(rest)
            rest &= rest - one
            segment = segment_of[k]
            zeros = count_bits(before)
            size = np.int64(1)
            if refine == 0:
                size = bit_length(abs(np.int64(blocks[block, NATURAL_ORDER[k]])) >> al)
            if previous_segment >= 0:
                run = zeros - previous_zeros
                following[previous_segment, segment, 16 * (run & 15) + size] += 1
                if run > 15:
                    following[previous_segment, segment, 0xF0] += run >> 4
            for i in range(previous_segment + 1, segment + 1):
                run = count_bits(before & (~zero << np.uint64(starts[i])))
                leading[i, segment, 16 * (run & 15) + size] += 1
                if run > 15:
                    leading[i, segment, 0xF0] += run >> 4
            filled |= bands[0, segment]
            if k + 1 == starts[segment + 1]:
                ended |= bands[1, segment]
            previous_segment = segment
            previous_zeros = zeros

        # A non-empty band ends its EOB run. At a restart boundary, before this block, all runs end.
        ending = every if boundary else filled
        carry = short & ending
        plane = 0
        while carry != 0:
            carried = planes[plane] & carry
            planes[plane] ^= carry
            carry = carried
            plane += 1
        rest = long & ending
        while rest != 0:
            band = lowest_bit(rest)
            rest &= rest - one
            run = block - since[band]
            while run > MAX_EOB_RUN:
                eob[band, 14] += 1
                run -= MAX_EOB_RUN
            eob[band, bit_length(run) - 1] += 1
        if boundary:
            none = every
            short = zero
            long = zero
        rest = short & ~filled
        while rest != 0:
            since[lowest_bit(rest)] = block - 1
            rest &= rest - one
        long = (short | long) & ~filled
        short = (filled & ~ended) | (none & ~filled)
        none = filled & ended
    return 0


@dataclass(frozen=True)
class _Bands:
    """The bands (i, j), i <= j, that consist of segments i to j; numbered row by row, at most 64 bands."""

    starts: npt.NDArray[np.int64]
    segment_of: npt.NDArray[np.int64]  # segment of each coefficient, shape (64,)
    first: npt.NDArray[np.int64]  # first segment of each band
    last: npt.NDArray[np.int64]
    bits: npt.NDArray[np.uint64]  # a word per band with only the band's bit set
    masks: npt.NDArray[np.uint64]  # [0, s]: bands that contain segment s; [1, s]: bands that end with it


@lru_cache(maxsize=64)
def _bands(starts: tuple[int, ...]) -> _Bands:
    m = len(starts) - 1
    if not 1 <= m <= 10 or starts[0] < 1 or starts[-1] > 64 or any(a >= b for a, b in pairwise(starts)):
        raise ValueError("starts must be 2 to 11 positions that ascend from 1 to 64")
    segment_of = np.zeros(64, np.int64)
    for segment, (begin, end) in enumerate(pairwise(starts)):
        segment_of[begin:end] = segment
    first, last = np.triu_indices(m)
    bits = np.uint64(1) << np.arange(len(first), dtype=np.uint64)
    masks = np.zeros((2, m), np.uint64)
    for segment in range(m):
        masks[0, segment] = bits[(first <= segment) & (segment <= last)].sum()
        masks[1, segment] = bits[last == segment].sum()
    return _Bands(np.array(starts, np.int64), segment_of, first, last, bits, masks)


def band_histograms(
    blocks: npt.NDArray[np.int16],
    significant: Significance,
    starts: Sequence[int],
    ah: int,
    al: int,
    restart_interval: int = 0,
) -> npt.NDArray[np.int64]:
    """Count the symbols of every AC scan that begins and ends at given positions, in one pass.

    The run of zeros between two non-zero coefficients is the same in all bands that contain both.
    Therefore the pair is counted once, under the segments of the two. The first non-zero coefficient in a
    band has a run that depends on where the band starts, and is counted once for each start. The EOB runs
    of all bands are tracked in the bits of one word.

    Parameters
    ----------
    blocks : ndarray of int16, shape (n, 64)
        Coefficients in natural order.
    significant : Significance
        Significance of these blocks, with at least ``al + 1`` levels (``al + 2`` for refinements).
    starts : sequence of int
        m + 1 ascending zigzag positions 1..64, m <= 10. Segment i is ``starts[i]`` to ``starts[i + 1] - 1``.
    ah, al : int
        Ah and Al of the scan: 0 and Al for first scans, Al + 1 and Al for refinements.
    restart_interval : int
        Blocks in a restart interval; 0 for no restart markers.

    Returns
    -------
    ndarray of int64, shape (m, m, 256)
        ``[i, j]``, i <= j: the histogram of symbols in the scan of segments i to j.
    """
    _check_blocks(blocks)
    bands = _bands(tuple(starts))
    m = len(starts) - 1
    following = np.zeros((m, m, 256), np.int64)
    leading = np.zeros((m, m, 256), np.int64)
    eob = np.zeros((len(bands.bits), 15), np.int64)
    planes = np.zeros(40, np.uint64)
    masks = significant.masks[al]
    known = significant.masks[ah] if ah else masks
    _band_statistics(
        blocks, masks, known, int(ah > 0), al, restart_interval, bands.starts, bands.segment_of, bands.masks,
        following, leading, eob, planes, np.zeros(64, np.int64),
    )  # fmt: skip
    eob[:, 0] += ((planes[:, None] & bands.bits != 0) << np.arange(40)[:, None]).sum(0)
    # The scan [i, j] has the symbols leading[i, s] and following[q, s] for i <= q <= s <= j; the other
    # elements are zero. The loops replace numpy's cumsum, which takes ten times as long on these axes.
    for i in range(m - 2, -1, -1):
        following[i] += following[i + 1]
    histograms: npt.NDArray[np.int64] = leading + following
    for j in range(1, m):
        histograms[:, j] += histograms[:, j - 1]
    histograms[bands.first, bands.last, 0:0xF0:16] += eob
    return histograms


@kernel("int64(int16[:, :, ::1], int64, int64, int64, int64, int64, int64, int64[::1])")
def _dc_statistics(
    coefficients: Any, h: Any, v: Any, rows: Any, columns: Any, al: Any, interval: Any, histogram: Any
) -> Any:
    blocks_y, blocks_x = coefficients.shape[0], coefficients.shape[1]
    predictor = np.int64(0)
    left = interval
    for row in range(rows):
        for column in range(columns):
            if interval > 0:
                if left == 0:
                    predictor = np.int64(0)
                    left = interval
                left -= 1
            for y in range(row * v, (row + 1) * v):
                for x in range(column * h, (column + 1) * h):
                    difference = np.int64(0)  # a padding block repeats the DC of the block before it
                    if y < blocks_y and x < blocks_x:
                        dc = np.int64(coefficients[y, x, 0]) >> al
                        difference = dc - predictor
                        predictor = dc
                    histogram[bit_length(abs(difference))] += 1
    return 0


def dc_histogram(
    coefficients: npt.NDArray[np.int16],
    sampling: tuple[int, int],
    mcus: tuple[int, int],
    al: int = 0,
    restart_interval: int = 0,
) -> npt.NDArray[np.int64]:
    """Count the size categories of DC differences (T.81 F.1.2.1), in the order in which a scan codes them.

    Parameters
    ----------
    coefficients : ndarray of int16, shape (blocks_y, blocks_x, 64)
        Coefficients of one component.
    sampling : (int, int)
        Blocks (h, v) of the component in an MCU; (1, 1) if the scan is not interleaved.
    mcus : (int, int)
        Rows and columns of MCUs in the scan.
    al : int
        Point transform.
    restart_interval : int
        MCUs in a restart interval; 0 for no restart markers.

    Returns
    -------
    ndarray of int64, shape (256,)
        Number of differences of each category 0..17; the other elements are 0.
    """
    _check_blocks(coefficients.reshape(-1, 64))
    histogram = np.zeros(256, np.int64)
    _dc_statistics(coefficients, *sampling, *mcus, al, restart_interval, histogram)
    return histogram
