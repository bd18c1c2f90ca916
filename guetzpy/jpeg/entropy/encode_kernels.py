"""Kernels that write the codes of a scan into 64-bit words (T.81 F.1.2 and G.1.2).

Bounds of the output: a coefficient takes at most 16 bits of code and 15 of magnitude, and every 16th zero
a ZRL of 16 bits. So 31 bits for each of 64 coefficients and 64 more (three ZRL and an EOB code) bound a
sequential block: 2048 bits. Each kernel compares its position with the size of the array before it stores
a word, so that wrong statistics cannot cause a write outside it.

The codes of a block are first listed (value, length), and one loop then shifts them into words. So words
are stored in one place only, and hot loops pass no array to a helper function: numba would count
references atomically there, which takes longer than the coding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.jpeg.entropy.statistics import MAX_EOB_RUN, bit_length, lowest_bit
from guetzpy.jpeg.structure import NATURAL_ORDER

__all__ = ["MAX_BLOCK_BITS", "pack_ac", "pack_mcus"]

#: Upper bound of the bits of one block in a sequential scan; derived above.
MAX_BLOCK_BITS = 2048

_ONE = np.uint64(1)
_ALL = ~np.uint64(0)


@kernel(
    "int64(int16[:, :, ::1], uint64[::1], uint32[::1], uint32[::1], int64, int64, int64, int64, int64, "
    "int64, int64, int64, int64, uint64[::1], int64[::1], uint64[::1], int64[::1])"
)
def pack_mcus(
    coefficients: Any,
    masks: Any,
    dc_codes: Any,
    ac_codes: Any,
    h: Any,
    v: Any,
    columns: Any,
    first_row: Any,
    last_row: Any,
    whole_blocks: Any,
    ah: Any,
    al: Any,
    interval: Any,
    words: Any,
    ends: Any,
    values: Any,
    counts: Any,
) -> Any:
    """Code MCU rows of one component, of a sequential scan or of a DC scan (first or refinement).

    The kernel writes to ``ends`` the position in bits after each MCU. ``values`` and ``counts`` are scratch
    arrays for the codes of a block: DC, 63 coefficients, 3 ZRL, EOB. Returns the number of words needed.
    """
    blocks_y, blocks_x = coefficients.shape[0], coefficients.shape[1]
    place = np.int64(0)
    word = np.uint64(0)  # its low 64 - free bits are codes; the bits above them are undefined
    free = np.int64(64)
    predictor = np.int64(0)
    if first_row > 0:
        # The block before is the last one of the MCU row above. It is no padding block, because every MCU
        # column contains at least one column of real blocks.
        predictor = np.int64(coefficients[first_row * v - 1, blocks_x - 1, 0]) >> al
    for mcu in range(first_row * columns, last_row * columns):
        row, column = mcu // columns, mcu % columns
        if interval > 0 and mcu % interval == 0:
            predictor = np.int64(0)
        for y in range(row * v, (row + 1) * v):
            for x in range(column * h, (column + 1) * h):
                # A padding block (T.81 A.2.4) repeats the DC of the block before it and has no AC.
                real = y < blocks_y and x < blocks_x
                dc = np.int64(coefficients[y, x, 0]) >> al if real else predictor
                listed = np.int64(1)
                if ah > 0:
                    values[0] = np.uint64(dc & 1)
                    counts[0] = 1
                else:
                    difference = dc - predictor
                    size = bit_length(abs(difference))
                    if difference < 0:
                        difference += (1 << size) - 1
                    entry = np.uint64(dc_codes[size])
                    values[0] = ((entry >> np.uint64(5)) << np.uint64(size)) | np.uint64(difference)
                    counts[0] = np.int64(entry & np.uint64(31)) + size
                predictor = dc

                if whole_blocks != 0:
                    k = np.int64(0)
                    mask = masks[y * blocks_x + x] if real else np.uint64(0)
                    while mask != 0:
                        run = -k - 1
                        k = lowest_bit(mask)
                        run += k
                        mask &= mask - _ONE
                        while run > 15:
                            entry = np.uint64(ac_codes[0xF0])
                            values[listed] = entry >> np.uint64(5)
                            counts[listed] = np.int64(entry & np.uint64(31))
                            listed += 1
                            run -= 16
                        value = np.int64(coefficients[y, x, NATURAL_ORDER[k]])
                        size = bit_length(abs(value))
                        if value < 0:
                            value += (1 << size) - 1
                        entry = np.uint64(ac_codes[16 * run + size])
                        values[listed] = ((entry >> np.uint64(5)) << np.uint64(size)) | np.uint64(value)
                        counts[listed] = np.int64(entry & np.uint64(31)) + size
                        listed += 1
                    if k < 63:
                        entry = np.uint64(ac_codes[0])
                        values[listed] = entry >> np.uint64(5)
                        counts[listed] = np.int64(entry & np.uint64(31))
                        listed += 1

                for item in range(listed):
                    value_bits = values[item]
                    count = counts[item]
                    if count > free:
                        if place < words.shape[0]:
                            words[place] = (word << np.uint64(free)) | (value_bits >> np.uint64(count - free))
                        place += 1
                        free += 64
                        word = value_bits
                    else:
                        word = (word << np.uint64(count)) | value_bits
                    free -= count
        ends[mcu - first_row * columns] = 64 * place + 64 - free
    if free < 64:
        if place < words.shape[0]:
            words[place] = word << np.uint64(free)
        place += 1
    return place


@kernel(
    "int64(int16[:, ::1], uint64[::1], uint64[::1], uint32[::1], int64, int64, int64, int64, int64, "
    "uint64[::1], int64[::1], uint64[::1], int64[::1])"
)
def pack_ac(
    blocks: Any,
    masks: Any,
    known: Any,
    codes: Any,
    ss: Any,
    se: Any,
    ah: Any,
    al: Any,
    interval: Any,
    words: Any,
    ends: Any,
    values: Any,
    counts: Any,
) -> Any:
    """Code a progressive AC scan (T.81 G.1.2.2 and G.1.2.3); one block is one MCU.

    ``masks`` marks the coefficients that are non-zero at ``al``, ``known`` those at ``al + 1`` (used by
    refinement scans only). The kernel writes to ``ends`` the position in bits after each restart interval,
    including the last. ``values`` and ``counts`` are scratch arrays. They hold the codes of a block (at most
    63 new coefficients and 3 ZRL, each followed by correction bits) and those of an EOB run (one code and
    the correction bits of each of its blocks). Returns the number of words needed.
    """
    band = (_ALL >> np.uint64(63 - se)) & (_ALL << np.uint64(ss))
    refine = ah > 0
    total = blocks.shape[0]
    place = np.int64(0)
    word = np.uint64(0)  # its low 64 - free bits are codes, as in pack_mcus
    free = np.int64(64)
    run_length = np.int64(0)  # blocks in the EOB run that is not coded yet
    run_first = 0  # first block of that run
    run_from = ss  # first coefficient of that block that the run covers

    for block in range(total + 1):
        listed = np.int64(0)
        new = np.uint64(0)
        if block < total:
            new = masks[block] & band
            if refine:
                new &= ~known[block]
        boundary = block == total or (interval > 0 and block > 0 and block % interval == 0)
        if run_length > 0 and (new != 0 or boundary or run_length == MAX_EOB_RUN):
            size = bit_length(run_length) - 1
            entry = np.uint64(codes[16 * size])
            extra = np.uint64(run_length - (1 << size))
            values[0] = ((entry >> np.uint64(5)) << np.uint64(size)) | extra
            counts[0] = np.int64(entry & np.uint64(31)) + size
            listed += 1
            if refine:
                for other in range(run_first, block):
                    rest = known[other] & band
                    if other == run_first:
                        rest &= _ALL << np.uint64(run_from)
                    if rest == 0:
                        continue
                    corrections = np.uint64(0)
                    corrected = np.int64(0)
                    while rest != 0:
                        value = np.int64(blocks[other, NATURAL_ORDER[lowest_bit(rest)]])
                        rest &= rest - _ONE
                        corrections = (corrections << _ONE) | np.uint64((abs(value) >> al) & 1)
                        corrected += 1
                    values[listed] = corrections
                    counts[listed] = corrected
                    listed += 1
            run_length = np.int64(0)
        if boundary:
            bits = 64 * place + 64 - free
            for item in range(listed):
                bits += counts[item]
            ends[(block - 1) // interval if interval > 0 else 0] = bits

        previous = ss - 1
        run = np.int64(0)
        corrections = np.uint64(0)  # correction bits of known coefficients since the last code
        corrected = np.int64(0)
        todo = new
        if refine and new != 0:
            todo = masks[block] & band
        while new != 0:  # correction bits after the last new coefficient follow the EOB code
            k = lowest_bit(todo)
            bit = todo & (~todo + _ONE)
            todo ^= bit
            run += k - previous - 1
            previous = k
            while run > 15:
                entry = np.uint64(codes[0xF0])
                values[listed] = entry >> np.uint64(5)
                counts[listed] = np.int64(entry & np.uint64(31))
                values[listed + 1] = corrections
                counts[listed + 1] = corrected
                listed += 2
                corrections = np.uint64(0)
                corrected = np.int64(0)
                run -= 16
            value = np.int64(blocks[block, NATURAL_ORDER[k]])
            magnitude = abs(value) >> al
            if new & bit == 0:
                corrections = (corrections << _ONE) | np.uint64(magnitude & 1)
                corrected += 1
                continue
            new ^= bit
            size = bit_length(magnitude)
            if refine:
                extra = np.uint64(value > 0)
            elif value > 0:
                extra = np.uint64(magnitude)
            else:
                extra = np.uint64((1 << size) - 1 - magnitude)
            entry = np.uint64(codes[16 * run + size])
            values[listed] = ((entry >> np.uint64(5)) << np.uint64(size)) | extra
            counts[listed] = np.int64(entry & np.uint64(31)) + size
            listed += 1
            if corrected > 0:
                values[listed] = corrections
                counts[listed] = corrected
                listed += 1
            corrections = np.uint64(0)
            corrected = np.int64(0)
            run = np.int64(0)
        if block < total and previous < se:
            if run_length == 0:
                run_first = block
                run_from = previous + 1
            run_length += 1

        for item in range(listed):
            value_bits = values[item]
            count = counts[item]
            if count > free:
                if place < words.shape[0]:
                    words[place] = (word << np.uint64(free)) | (value_bits >> np.uint64(count - free))
                place += 1
                free += 64
                word = value_bits
            else:
                word = (word << np.uint64(count)) | value_bits
            free -= count
    if free < 64:
        if place < words.shape[0]:
            words[place] = word << np.uint64(free)
        place += 1
    return place
