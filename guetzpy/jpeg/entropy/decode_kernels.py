"""Kernels that decode the restart intervals of a scan (ITU-T T.81 annexes F.2 and G.2).

Corrupt data is decoded as libjpeg-turbo decodes it (``jdhuff.c``, ``jdphuff.c``), so that a damaged file
has the same coefficients in both decoders. Beyond the end of a segment, zero bits are read until the MCU
is complete; the later MCUs of the segment are not changed. A bit pattern that is no code of the table
counts as 17 bits and as symbol 0. A run past coefficient 63 writes to coefficient 63.

The kernels stay within these bounds for any input. Bytes are read only where ``position < end``, and
:func:`guetzpy.jpeg.entropy.decode.decode_scan` checks the ends. A look-up index has ``LOOKAHEAD`` bits. A
zigzag position is at most 63 before a run of at most 15 is added, and ``_NATURAL`` has 80 entries. A block
outside its component goes to the spare last row, and the rows of the components are checked. Each loop over
coefficients or blocks advances by at least one, so the time is bounded by the number of blocks and bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from guetzpy._runtime.kernel import kernel
from guetzpy.jpeg.entropy.huffman_decode import LOOKAHEAD, VALUE, long_code, refill
from guetzpy.jpeg.structure import NATURAL_ORDER

__all__ = [
    "AC",
    "AC_FIRST",
    "AC_REFINE",
    "BLOCKS_X",
    "BLOCKS_Y",
    "DC",
    "DC_FIRST",
    "DC_REFINE",
    "OFFSET",
    "SEQUENTIAL",
    "decode_bands",
    "decode_mcus",
    "refine_bands",
]

# Natural order. A corrupt run exceeds index 63 by at most 15; these indices map to 63, as in libjpeg.
_NATURAL = np.concatenate([NATURAL_ORDER, np.full(16, 63)]).astype(np.int64)

# Columns of the MCU geometry, which has one row per block of the MCU.
_SLOT, _DY, _DX, _V, _H, BLOCKS_Y, BLOCKS_X, OFFSET, DC, AC = range(10)

# Indices into the kernels' report, in the order of ScanReport.
_SHORT, _BAD_CODES, _OVERRUNS, _OUT_OF_RANGE, _LEFT_OVER = range(5)

#: Modes of a scan.
SEQUENTIAL, DC_FIRST, DC_REFINE, AC_FIRST, AC_REFINE = range(5)


@kernel(
    "int64(uint8[::1], int64[:, ::1], int64[::1], int64[:, ::1], int32[:, ::1], int64[:, ::1],"
    " int16[:, ::1], int64[::1], int64[::1])"
)
def decode_mcus(
    clean: Any,
    bounds: Any,
    shape: Any,
    geometry: Any,
    lookup: Any,
    canonical: Any,
    coefficients: Any,
    prediction: Any,
    report: Any,
) -> Any:
    """Decode a sequential, DC-first or DC-refinement scan (T.81 F.2.2, G.2.1)."""
    interval = shape[0]
    total = shape[1]
    per_row = shape[2]
    mode = shape[3]
    al = shape[4]
    spare = coefficients.shape[0] - 1
    blocks = geometry.shape[0]
    short = False
    for i in range(bounds.shape[0]):
        start = bounds[i, 0]
        end = bounds[i, 1]
        if bounds[i, 2] == 0:
            short = False
        for slot in range(len(prediction)):
            prediction[slot] = 0
        position = start
        buffer = np.int64(0)
        bits = np.int64(0)
        mcu = i * interval
        last = min(mcu + interval, total)
        mcu_y = mcu // per_row
        mcu_x = mcu - mcu_y * per_row
        while mcu < last:
            if short and mode != DC_REFINE:
                if report[_SHORT] < 0:
                    report[_SHORT] = mcu
                break
            for b in range(blocks):
                y = mcu_y * geometry[b, _V] + geometry[b, _DY]
                x = mcu_x * geometry[b, _H] + geometry[b, _DX]
                row = spare
                if y < geometry[b, BLOCKS_Y] and x < geometry[b, BLOCKS_X]:
                    row = geometry[b, OFFSET] + y * geometry[b, BLOCKS_X] + x
                if bits < 32:
                    position, buffer, bits = refill(clean, position, end, buffer, bits)
                if mode == DC_REFINE:
                    bits -= 1
                    coefficients[row, 0] |= ((buffer >> bits) & 1) << al
                    continue

                table = geometry[b, DC]
                entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                if entry & VALUE:
                    bits -= entry & 31
                    value = entry >> 16
                else:
                    length = entry & 31
                    size = (entry >> 8) & 15
                    if length == 0:
                        found = long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
                        length = found >> 8
                        size = found & 15
                        if length == 17:
                            report[_BAD_CODES] += 1
                    bits -= length + size
                    value = (buffer >> bits) & ((1 << size) - 1)
                    if value < (1 << size) >> 1:
                        value += 1 - (1 << size)
                slot = geometry[b, _SLOT]
                value += prediction[slot]
                prediction[slot] = value
                value <<= al
                if value > 2047 or value < -2047:
                    report[_OUT_OF_RANGE] += 1
                coefficients[row, 0] = ((value + 32768) & 65535) - 32768  # as a cast in C
                if mode == DC_FIRST:
                    continue

                table = geometry[b, AC]
                k = np.int64(1)
                while k < 64:
                    if bits < 32:
                        position, buffer, bits = refill(clean, position, end, buffer, bits)
                    entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                    if entry & VALUE:
                        bits -= entry & 31
                        k += (entry >> 12) & 15
                        value = entry >> 16
                    else:
                        length = entry & 31
                        symbol = (entry >> 8) & 255
                        if length == 0:
                            found = long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
                            length = found >> 8
                            symbol = found & 255
                            if length == 17:
                                report[_BAD_CODES] += 1
                        size = symbol & 15
                        bits -= length + size
                        if size == 0:
                            if symbol != 0xF0:
                                break
                            k += 16
                            continue
                        if size > 10:
                            report[_OUT_OF_RANGE] += 1
                        k += symbol >> 4
                        value = (buffer >> bits) & ((1 << size) - 1)
                        if value < 1 << (size - 1):
                            value += 1 - (1 << size)
                    if k > 63:
                        report[_OVERRUNS] += 1
                    coefficients[row, _NATURAL[k]] = value
                    k += 1
            if (position - start) * 8 - bits > (end - start) * 8:
                short = True
                if report[_SHORT] < 0:
                    report[_SHORT] = mcu
            mcu += 1
            mcu_x += 1
            if mcu_x == per_row:
                mcu_x = 0
                mcu_y += 1
        used = (position - start) * 8 - bits + 7 >> 3
        report[_LEFT_OVER] += max(end - start - used, 0)
    return 0


@kernel(
    "int64(uint8[::1], int64[:, ::1], int64[::1], int64, int32[:, ::1], int64[:, ::1],"
    " int16[:, ::1], int64[::1])"
)
def decode_bands(
    clean: Any,
    bounds: Any,
    shape: Any,
    table: Any,
    lookup: Any,
    canonical: Any,
    coefficients: Any,
    report: Any,
) -> Any:
    """Decode a first scan of a band of AC coefficients of one component (T.81 G.1.2.2, G.2.2)."""
    interval = shape[0]
    total = shape[1]
    al = shape[4]
    first = shape[5]
    ss = shape[6]
    se = shape[7]
    short = False
    for i in range(bounds.shape[0]):
        start = bounds[i, 0]
        end = bounds[i, 1]
        if bounds[i, 2] == 0:
            short = False
        position = start
        buffer = np.int64(0)
        bits = np.int64(0)
        block = i * interval
        last = min(block + interval, total)
        while block < last:
            if short:
                if report[_SHORT] < 0:
                    report[_SHORT] = block
                break
            row = first + block
            k = ss
            run = np.int64(0)  # blocks of the end-of-band run, this one included
            while k <= se:
                if bits < 32:
                    position, buffer, bits = refill(clean, position, end, buffer, bits)
                entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                if entry & VALUE:
                    bits -= entry & 31
                    k += (entry >> 12) & 15
                    value = entry >> 16
                else:
                    length = entry & 31
                    symbol = (entry >> 8) & 255
                    if length == 0:
                        found = long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
                        length = found >> 8
                        symbol = found & 255
                        if length == 17:
                            report[_BAD_CODES] += 1
                    size = symbol & 15
                    if size == 0:
                        bits -= length
                        if symbol == 0xF0:
                            k += 16
                            continue
                        size = symbol >> 4
                        bits -= size
                        run = (1 << size) + ((buffer >> bits) & ((1 << size) - 1))
                        break
                    bits -= length + size
                    k += symbol >> 4
                    value = (buffer >> bits) & ((1 << size) - 1)
                    if value < 1 << (size - 1):
                        value += 1 - (1 << size)
                if k > se:
                    report[_OVERRUNS] += 1
                value <<= al
                if value > 1023 or value < -1023:
                    report[_OUT_OF_RANGE] += 1
                coefficients[row, _NATURAL[k]] = ((value + 32768) & 65535) - 32768
                k += 1
            if (position - start) * 8 - bits > (end - start) * 8:
                short = True
                if report[_SHORT] < 0:
                    report[_SHORT] = block
            block += max(run, 1)
        used = (position - start) * 8 - bits + 7 >> 3
        report[_LEFT_OVER] += max(end - start - used, 0)
    return 0


@kernel(
    "int64(uint8[::1], int64[:, ::1], int64[::1], int64, int32[:, ::1], int64[:, ::1],"
    " int16[:, ::1], int64[:, ::1], int64, int64[::1])"
)
def refine_bands(
    clean: Any,
    bounds: Any,
    shape: Any,
    table: Any,
    lookup: Any,
    canonical: Any,
    coefficients: Any,
    words: Any,
    without_dc: Any,
    report: Any,
) -> Any:
    """Decode a refinement scan of a band of AC coefficients (T.81 G.1.2.3, figure G.7).

    ``words`` is a view of ``coefficients`` with four coefficients per number, and ``without_dc`` masks out DC
    in the first of them. So a few loads find that a block in an end-of-band run has no non-zero coefficient,
    as most blocks do. Without this, many scans of a large uniform picture would take minutes.

    Magnitudes above 1023 are counted, as in first scans; libjpeg does not check them. A scan that continues
    the scans before it adds a bit below those of the magnitude, so it exceeds 1023 only if Al is 10 or more.
    A scan that does not continue them does so at lower Al too: a bit at Al = 9 turns -1023 into -1535.
    """
    interval = shape[0]
    total = shape[1]
    first = shape[5]
    ss = shape[6]
    se = shape[7]
    plus = np.int64(1) << shape[4]
    short = False
    for i in range(bounds.shape[0]):
        start = bounds[i, 0]
        end = bounds[i, 1]
        if bounds[i, 2] == 0:
            short = False
        position = start
        buffer = np.int64(0)
        bits = np.int64(0)
        run = np.int64(0)
        block = i * interval
        last = min(block + interval, total)
        while block < last:
            if short:
                if report[_SHORT] < 0:
                    report[_SHORT] = block
                break
            row = first + block
            if run > 0:
                nonzero = words[row, 0] & without_dc
                for j in range(1, 16):
                    nonzero |= words[row, j]
                if nonzero == 0:
                    run -= 1
                    block += 1
                    continue
            k = ss
            while k <= se:
                new = np.int64(0)
                skip = np.int64(64)  # within an end-of-band run no zero coefficient is reached
                if run == 0:
                    if bits < 32:
                        position, buffer, bits = refill(clean, position, end, buffer, bits)
                    entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                    length = entry & 31
                    symbol = (entry >> 8) & 255
                    if length == 0:
                        found = long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
                        length = found >> 8
                        symbol = found & 255
                        if length == 17:
                            report[_BAD_CODES] += 1
                    bits -= length
                    size = symbol & 15
                    if size == 0 and symbol != 0xF0:
                        size = symbol >> 4
                        bits -= size
                        run = (1 << size) + ((buffer >> bits) & ((1 << size) - 1))
                    else:
                        skip = symbol >> 4
                        if size > 0:
                            if size > 1:  # new coefficients can only be 1 or -1; libjpeg warns and continues
                                report[_BAD_CODES] += 1
                            bits -= 1
                            new = plus if (buffer >> bits) & 1 else -plus
                while k <= se:
                    value = np.int64(coefficients[row, _NATURAL[k]])
                    if value != 0:
                        if bits == 0:
                            position, buffer, bits = refill(clean, position, end, buffer, bits)
                        bits -= 1
                        if (buffer >> bits) & 1 and value & plus == 0:
                            value += plus if value > 0 else -plus
                            if value > 1023 or value < -1023:
                                report[_OUT_OF_RANGE] += 1
                            coefficients[row, _NATURAL[k]] = ((value + 32768) & 65535) - 32768
                    else:
                        skip -= 1
                        if skip < 0:
                            break
                    k += 1
                if new != 0:  # corrupt data can make k = se + 1, as in libjpeg
                    if k > se:
                        report[_OVERRUNS] += 1
                    if plus > 1023:
                        report[_OUT_OF_RANGE] += 1
                    coefficients[row, _NATURAL[k]] = new
                k += 1
            if run > 0:
                run -= 1
            if (position - start) * 8 - bits > (end - start) * 8:
                short = True
                if report[_SHORT] < 0:
                    report[_SHORT] = block
            block += 1
        used = (position - start) * 8 - bits + 7 >> 3
        report[_LEFT_OVER] += max(end - start - used, 0)
    return 0
