"""Huffman decoding of scans into coefficients (ITU-T T.81 annexes F.2 and G.2).

What happens to corrupt data follows libjpeg-turbo (``jdhuff.c``, ``jdphuff.c``), so that a
damaged file has the same coefficients here and there: beyond the end of a segment zero bits are
read until the MCU is complete, later MCUs of the segment stay as they are; a code that no table
has counts 17 bits and means symbol 0; a run past coefficient 63 writes to 63.

A scan is first freed of byte stuffing (:func:`split_scan`), then decoded by one kernel call for
all its restart intervals.

Bounds of the kernels, whatever the input: bytes are read only where ``position < end``, and ends
come from :func:`split_scan`; a look-up index has ``LOOKAHEAD`` bits; a zigzag position is at most
63 before a run of at most 15 is added, and :data:`_NATURAL` has 80 entries; block rows come from a
geometry that is compared with the frame's blocks, anything outside goes to the spare last row. Each loop
over coefficients or blocks advances by at least one, so time is bounded by blocks and bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel
from guetzpy.errors import FormatError
from guetzpy.jpeg.huffman import HuffmanTable
from guetzpy.jpeg.structure import NATURAL_ORDER

__all__ = ["ScanData", "ScanReport", "build_tables", "decode_scan", "mcu_blocks", "split_scan"]

#: Bits looked up at once. Ten cover nearly all codes of photographs together with their value bits,
#: and four tables fit into the first-level cache.
LOOKAHEAD = 10

# Look-up entry: bits 0-4 bits to drop (0: code is longer than the look-up), bit 5 value included,
# bits 8-15 symbol, bits 16-31 value.
_VALUE = 32

# Canonical row: largest code of each length 0..17 (-1 if none), index offset of each length, symbols.
_OFFSETS = 18
_SYMBOLS = 36
_CANONICAL = _SYMBOLS + 256

# Natural order with the overshoot of a corrupt run (at most 15) led to coefficient 63, as in libjpeg.
_NATURAL = np.concatenate([NATURAL_ORDER, np.full(16, 63)]).astype(np.int64)

# Columns of the MCU geometry; one row a block of the MCU.
_SLOT, _DY, _DX, _V, _H, _BLOCKS_Y, _BLOCKS_X, _OFFSET, _DC, _AC = range(10)

# Columns of the report.
_SHORT, _BAD_CODES, _OVERRUNS, _OUT_OF_RANGE, _LEFT_OVER = range(5)

SEQUENTIAL, DC_FIRST, DC_REFINE, AC_FIRST, AC_REFINE = range(5)


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64[:, ::1], int64[::1])")
def _unstuff(data, position, restarts, clean, cuts, ends):  # type: ignore[no-untyped-def]
    """Copy entropy-coded data without stuffing, up to a marker that ends the scan.

    ``cuts[i]`` gets the code of the i-th marker within the scan and its place in ``clean``;
    ``ends`` gets where the scan ended in ``data`` and in ``clean``. Returns the number of cuts, which
    may exceed the room in ``cuts`` (the others are dropped). At most one byte is written for
    one read, so ``clean`` with ``len(data) - position`` bytes suffices.
    """
    size = len(data)
    out = 0
    found = 0
    while position < size:
        byte = np.int64(data[position])
        if byte != 0xFF:
            clean[out] = byte
            out += 1
            position += 1
            continue
        after = position + 1
        while after < size and np.int64(data[after]) == 0xFF:
            after += 1
        if after == size:  # fill bytes, then the end of the file
            break
        code = np.int64(data[after])
        if code == 0:  # several 0xFF and a zero are one data byte to libjpeg
            clean[out] = 0xFF
            out += 1
        elif restarts != 0 and (code < 0xC0 or (code >= 0xD0 and code <= 0xD7)):
            if found < len(cuts):
                cuts[found, 0] = code
                cuts[found, 1] = out
            found += 1
        else:
            break
        position = after + 1
    ends[0] = position
    ends[1] = out
    return found


@kernel("int64(int64[::1], uint8[::1], int64, int32[::1], int64[::1])")
def _build_table(counts, symbols, values, lookup, canonical):  # type: ignore[no-untyped-def]
    """Fill one look-up and one canonical row (T.81 annex C, figure F.15).

    ``symbols`` has 256 bytes, the sum of ``counts`` is at most 256; the rows come as zeros and as -1.
    With ``values``, short codes carry their value bits along. Returns 1 if the lengths form no prefix
    code without the all-ones code.
    """
    code = 0
    index = 0
    for length in range(1, 17):
        canonical[_OFFSETS + length] = index - code
        for _ in range(counts[length - 1]):
            symbol = np.int64(symbols[index])
            canonical[_SYMBOLS + index] = symbol
            canonical[length] = code
            if length <= LOOKAHEAD and code < (1 << length):
                free = LOOKAHEAD - length
                size = symbol & 15
                for rest in range(1 << free):
                    entry = symbol << 8 | length
                    if values != 0 and size > 0 and size <= free:
                        value = rest >> (free - size)
                        if value < (1 << (size - 1)):
                            value += 1 - (1 << size)
                        entry = value << 16 | symbol << 8 | _VALUE | (length + size)
                    lookup[code << free | rest] = entry
            code += 1
            index += 1
        if code >= (1 << length) and counts[length - 1] > 0:
            return 1
        code <<= 1
    return 0


@kernel("UniTuple(int64, 3)(uint8[::1], int64, int64, int64, int64)")
def _refill(clean, position, end, buffer, bits):  # type: ignore[no-untyped-def]
    """Bring a bit buffer of fewer than 32 bits to 32..63; beyond ``end`` there are zero bits.

    ``position`` runs on beyond ``end``, so that the bits used can be told.
    """
    if position + 4 <= end:
        word = (
            np.int64(clean[np.uint64(position)]) << 24
            | np.int64(clean[np.uint64(position + 1)]) << 16
            | np.int64(clean[np.uint64(position + 2)]) << 8
            | np.int64(clean[np.uint64(position + 3)])
        )
        return position + 4, (buffer << 32 | word) & 0x7FFFFFFFFFFFFFFF, bits + 32
    while bits < 32:
        byte = np.int64(0)
        if position < end:
            byte = np.int64(clean[np.uint64(position)])
        buffer = (buffer << 8 | byte) & 0x7FFFFFFFFFFFFFFF
        position += 1
        bits += 8
    return position, buffer, bits


@kernel("int64(int64[:, ::1], int64, int64)")
def _long_code(canonical, table, window):  # type: ignore[no-untyped-def]
    """Return ``length << 8 | symbol`` of the code at the top of a 16-bit window (figure F.16)."""
    for length in range(LOOKAHEAD + 1, 17):
        code = window >> (16 - length)
        if code <= canonical[table, length]:
            return length << 8 | canonical[table, _SYMBOLS + code + canonical[table, _OFFSETS + length]]
    return 17 << 8


@kernel(
    "int64(uint8[::1], int64[:, ::1], int64[::1], int64[:, ::1], int32[:, ::1], int64[:, ::1],"
    " int16[:, ::1], int64[::1], int64[::1])"
)
def _decode_mcus(clean, bounds, shape, geometry, lookup, canonical, coefficients, prediction, report):  # type: ignore[no-untyped-def]
    """Decode a sequential, DC-first or DC-refinement scan (T.81 F.2.2, G.2.1)."""
    interval = shape[0]
    total = shape[1]
    per_row = shape[2]
    mode = shape[3]
    al = shape[4]
    keep_going = shape[5]
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
                if y < geometry[b, _BLOCKS_Y] and x < geometry[b, _BLOCKS_X]:
                    row = geometry[b, _OFFSET] + y * geometry[b, _BLOCKS_X] + x
                if bits < 32:
                    position, buffer, bits = _refill(clean, position, end, buffer, bits)
                if mode == DC_REFINE:
                    bits -= 1
                    coefficients[row, 0] |= ((buffer >> bits) & 1) << al
                    continue

                table = geometry[b, _DC]
                entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                if entry & _VALUE:
                    bits -= entry & 31
                    value = entry >> 16
                else:
                    length = entry & 31
                    size = (entry >> 8) & 15
                    if length == 0:
                        found = _long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
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

                table = geometry[b, _AC]
                k = 1
                while k < 64:
                    if bits < 32:
                        position, buffer, bits = _refill(clean, position, end, buffer, bits)
                    entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                    if entry & _VALUE:
                        bits -= entry & 31
                        k += (entry >> 12) & 15
                        value = entry >> 16
                    else:
                        length = entry & 31
                        symbol = (entry >> 8) & 255
                        if length == 0:
                            found = _long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
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
                if keep_going == 0:
                    return 1
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
def _decode_bands(clean, bounds, shape, table, lookup, canonical, coefficients, report):  # type: ignore[no-untyped-def]
    """Decode a first scan of a band of AC coefficients of one component (T.81 G.1.2.2, G.2.2)."""
    interval = shape[0]
    total = shape[1]
    al = shape[4]
    keep_going = shape[5]
    first = shape[6]
    ss = shape[7]
    se = shape[8]
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
            run = 0  # blocks of the end-of-band run, this one included
            while k <= se:
                if bits < 32:
                    position, buffer, bits = _refill(clean, position, end, buffer, bits)
                entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                if entry & _VALUE:
                    bits -= entry & 31
                    k += (entry >> 12) & 15
                    value = entry >> 16
                else:
                    length = entry & 31
                    symbol = (entry >> 8) & 255
                    if length == 0:
                        found = _long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
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
                if keep_going == 0:
                    return 1
            block += max(run, 1)
        used = (position - start) * 8 - bits + 7 >> 3
        report[_LEFT_OVER] += max(end - start - used, 0)
    return 0


@kernel(
    "int64(uint8[::1], int64[:, ::1], int64[::1], int64, int32[:, ::1], int64[:, ::1],"
    " int16[:, ::1], int64[:, ::1], int64, int64[::1])"
)
def _refine_bands(  # type: ignore[no-untyped-def]
    clean, bounds, shape, table, lookup, canonical, coefficients, words, without_dc, report
):
    """Decode a refinement scan of a band of AC coefficients (T.81 G.1.2.3, figure G.7).

    ``words`` is the same memory as ``coefficients``, four of them in one number, ``without_dc`` masks
    the first one: blocks of zeros within an end-of-band run, most of all blocks, are told by a
    few loads. (Many scans over a large flat picture would else cost minutes.)
    """
    interval = shape[0]
    total = shape[1]
    keep_going = shape[5]
    first = shape[6]
    ss = shape[7]
    se = shape[8]
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
                        position, buffer, bits = _refill(clean, position, end, buffer, bits)
                    entry = np.int64(lookup[table, (buffer >> (bits - LOOKAHEAD)) & ((1 << LOOKAHEAD) - 1)])
                    length = entry & 31
                    symbol = (entry >> 8) & 255
                    if length == 0:
                        found = _long_code(canonical, table, (buffer >> (bits - 16)) & 0xFFFF)
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
                            if size > 1:  # new coefficients are 1 or -1; libjpeg warns and goes on
                                report[_BAD_CODES] += 1
                            bits -= 1
                            new = plus if (buffer >> bits) & 1 else -plus
                while k <= se:
                    value = np.int64(coefficients[row, _NATURAL[k]])
                    if value != 0:
                        if bits == 0:
                            position, buffer, bits = _refill(clean, position, end, buffer, bits)
                        bits -= 1
                        if (buffer >> bits) & 1 and value & plus == 0:
                            value += plus if value > 0 else -plus
                            coefficients[row, _NATURAL[k]] = ((value + 32768) & 65535) - 32768
                    else:
                        skip -= 1
                        if skip < 0:
                            break
                    k += 1
                if new != 0:  # beyond the band if the data is corrupt: as libjpeg, k is at most se + 1
                    if k > se:
                        report[_OVERRUNS] += 1
                    coefficients[row, _NATURAL[k]] = new
                k += 1
            if run > 0:
                run -= 1
            if (position - start) * 8 - bits > (end - start) * 8:
                short = True
                if report[_SHORT] < 0:
                    report[_SHORT] = block
                if keep_going == 0:
                    return 1
            block += 1
        used = (position - start) * 8 - bits + 7 >> 3
        report[_LEFT_OVER] += max(end - start - used, 0)
    return 0


@dataclass(frozen=True)
class ScanData:
    """The entropy-coded data of a scan, without stuffing.

    Attributes
    ----------
    clean : ndarray of uint8, shape (size,)
        Data bytes of all restart intervals, one after the other.
    cuts : ndarray of int64, shape (markers, 2)
        Code of each marker met within the scan and its place in ``clean``.
    markers : int
        Number of markers met; more than ``len(cuts)`` if there was no room for all.
    end : int
        Where the scan ended in the file: at the marker after it, or the end of the file.
    """

    clean: npt.NDArray[np.uint8]
    cuts: npt.NDArray[np.int64]
    markers: int
    end: int


@dataclass(frozen=True)
class ScanReport:
    """How the decoding of a scan went.

    Attributes
    ----------
    short : int
        First MCU whose data was missing or incomplete, -1 if none.
    bad_codes : int
        Bit patterns that are no code of the table.
    overruns : int
        Coefficients beyond the band of the scan.
    out_of_range : int
        Coefficients of more than the 11 (DC) or 10 (AC) bits of T.81 tables F.1 and F.2.
    left_over : int
        Bytes left unread in the segments.
    """

    short: int
    bad_codes: int
    overruns: int
    out_of_range: int
    left_over: int


def split_scan(data: npt.NDArray[np.uint8], position: int, *, room: int) -> ScanData:
    """Free the scan that begins at ``position`` of byte stuffing.

    Parameters
    ----------
    data : ndarray of uint8
        The whole file.
    position : int
        First byte after the scan header.
    room : int
        Number of markers to note; 0 if the scan has no restart intervals: then any marker ends it.
    """
    clean = np.empty(len(data) - position, np.uint8)
    cuts = np.empty((room, 2), np.int64)
    ends = np.zeros(2, np.int64)
    markers = int(_unstuff(data, position, int(room > 0), clean, cuts, ends))
    return ScanData(clean[: ends[1]], cuts[: min(markers, room)], markers, int(ends[0]))


def restart_bounds(scan: ScanData, intervals: int) -> tuple[npt.NDArray[np.int64], bool]:
    """Return where the data of each restart interval lies.

    Returns
    -------
    bounds : ndarray of int64, shape (intervals, 3)
        Start and end in ``scan.clean``; 1 if the segment is empty because its marker is missing
        (then a decoder that ran out of data before stays so).
    regular : bool
        Whether the markers come in the order of T.81 B.2.1 as far as they go. If not, the bounds are
        those that libjpeg's ``jpeg_resync_to_restart`` (``jdmarker.c``) finds.
    """
    size = len(scan.clean)
    bounds = np.full((intervals, 3), (size, size, 1), np.int64)
    codes, places = scan.cuts[:, 0], scan.cuts[:, 1]
    count = min(len(codes), intervals - 1)
    if np.array_equal(codes[:count] & 0xF, np.arange(count) & 7) and np.all(codes[:count] >= 0xD0):
        edges = np.concatenate([[0], places[:count], places[count : count + 1], [size]])
        bounds[: count + 1, 0] = edges[: count + 1]
        bounds[: count + 1, 1] = edges[1 : count + 2]
        bounds[: count + 1, 2] = 0
        return bounds, True

    cut = 0
    edges = np.concatenate([places, [size]])
    bounds[0] = (0, edges[0], 0)
    for i in range(1, intervals):
        while cut < len(codes):
            if codes[cut] >= 0xD0:
                ahead = (int(codes[cut]) - i + 1) & 7
                if ahead in (1, 2):  # the marker was lost: leave this one for its own interval
                    break
                if ahead < 6:  # the one expected, or too far off to mean anything
                    bounds[i] = (edges[cut], edges[cut + 1], 0)
                    cut += 1
                    break
            cut += 1  # an earlier marker again, or no marker of a scan: look for the next
    return bounds, False


def build_tables(
    tables: Sequence[tuple[HuffmanTable, bool, bool]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return look-up and canonical rows for Huffman tables.

    Parameters
    ----------
    tables : sequence of (table, bool, bool)
        Table, whether it codes DC differences, whether value bits follow its codes.

    Raises
    ------
    FormatError
        If code lengths form no prefix code, or a DC table has a category above 15.
    """
    lookup = np.zeros((len(tables), 1 << LOOKAHEAD), np.int32)
    canonical = np.full((len(tables), _CANONICAL), -1, np.int64)
    for row, (table, dc, values) in enumerate(tables):
        counts = np.array(table.counts, np.int64)
        symbols = np.zeros(256, np.uint8)
        symbols[: len(table.values)] = np.frombuffer(table.values, np.uint8)
        if len(counts) != 16 or counts.min() < 0 or counts.sum() != len(table.values):
            raise FormatError("Huffman table: counts and symbols do not fit")
        if dc and max(table.values, default=0) > 15:
            raise FormatError("Huffman table: DC category above 15")
        if _build_table(counts, symbols, int(values), lookup[row], canonical[row]):
            raise FormatError("Huffman table: code lengths form no prefix code")
    return lookup, canonical


def mcu_blocks(components: Sequence[tuple[int, int, int, int, int, int, int]]) -> npt.NDArray[np.int64]:
    """Return the geometry of an MCU (T.81 A.2.3), one row a block.

    Parameters
    ----------
    components : sequence of tuple of int
        Vertical and horizontal blocks in the MCU, block rows and columns of the component, its first
        row in the coefficient array, DC and AC table rows.
    """
    rows = [
        (slot, dy, dx, *component)
        for slot, component in enumerate(components)
        for dy in range(component[0])
        for dx in range(component[1])
    ]
    return np.array(rows, np.int64)


def decode_scan(
    mode: int,
    clean: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    geometry: npt.NDArray[np.int64],
    tables: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]],
    coefficients: npt.NDArray[np.int16],
    *,
    interval: int,
    mcus: int,
    mcus_per_row: int,
    band: tuple[int, int, int] = (0, 63, 0),
    keep_going: bool = False,
) -> ScanReport:
    """Decode a scan into the coefficients.

    Parameters
    ----------
    mode : int
        SEQUENTIAL, DC_FIRST, DC_REFINE, AC_FIRST or AC_REFINE.
    clean : ndarray of uint8
        Data without stuffing.
    bounds : ndarray of int64, shape (intervals, 3)
        As of :func:`restart_bounds`.
    geometry : ndarray of int64
        As of :func:`mcu_blocks`; one block of one component for the AC modes.
    tables : tuple of ndarray
        As of :func:`build_tables`.
    coefficients : ndarray of int16, shape (blocks + 1, 64)
        Blocks of all components; the last is spare and takes the padding of interleaved scans.
    interval, mcus, mcus_per_row : int
        Restart interval (``mcus`` if there is none) and size of the scan, in MCUs.
    band : tuple of int
        Ss, Se, Al.
    keep_going : bool
        Whether to go on with the next restart interval when data is missing.
    """
    if clean.dtype != np.uint8 or coefficients.dtype != np.int16 or not coefficients.flags.c_contiguous:
        raise ValueError("wrong type of data or coefficients")
    if bounds.shape != (-(-mcus // interval), 3) or coefficients.ndim != 2 or coefficients.shape[1] != 64:
        raise ValueError("wrong shape of bounds or coefficients")
    ss, se, al = band
    ends = geometry[:, _OFFSET] + geometry[:, _BLOCKS_Y] * geometry[:, _BLOCKS_X]
    if ends.max() >= len(coefficients) or not 0 <= ss <= se <= 63 or not 0 <= al <= 13:
        raise ValueError("scan does not fit the coefficients")
    shape = np.array([interval, mcus, mcus_per_row, mode, al, keep_going, geometry[0, _OFFSET], ss, se])
    report = np.array([-1, 0, 0, 0, 0], np.int64)
    if mode in (AC_FIRST, AC_REFINE):
        if mcus > geometry[0, _BLOCKS_Y] * geometry[0, _BLOCKS_X]:
            raise ValueError("scan has more blocks than its component")
        table = int(geometry[0, _AC])
        if mode == AC_FIRST:
            _decode_bands(clean, bounds, shape, table, *tables, coefficients, report)
        else:
            words = coefficients.view(np.int64)
            mask = int(np.array([0, -1, -1, -1], np.int16).view(np.int64)[0])
            _refine_bands(clean, bounds, shape, table, *tables, coefficients, words, mask, report)
    else:
        prediction = np.zeros(4, np.int64)
        _decode_mcus(clean, bounds, shape, geometry, *tables, coefficients, prediction, report)
    return ScanReport(*(int(x) for x in report))
