"""Coefficients to the entropy-coded data of one scan (T.81 F.1.2 and G.1.2).

Two steps. Kernels put codes into 64-bit words, most significant bit first, without byte stuffing, in
pieces: a restart interval or a strip of MCU rows. Then the pieces are joined at any bit position,
bytes 0xFF are followed by 0x00, intervals filled up with ones and RSTn markers put between them.

Output bounds. A coefficient takes at most 16 bits of code and 15 of magnitude, and every 16th
zero a ZRL of 16 bits, so 31 bits for each of 64 coefficients and 64 more (three ZRL and an EOB
code) bound a sequential block: 2048 bits. Scans size their words from the exact number of bits in
their statistics instead, which is less; each kernel compares its place with the size of
the array before it stores a word, so that even wrong statistics cannot write outside of it. Stuffing
at most doubles the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from guetzpy._jit import kernel
from guetzpy._threads import each
from guetzpy.jpeg.entropy_statistics import MAX_EOB_RUN, ScanStatistics, bit_length, lowest_bit
from guetzpy.jpeg.huffman import HuffmanTable
from guetzpy.jpeg.structure import NATURAL_ORDER, ScanHeader

__all__ = ["MAX_BLOCK_BITS", "encode_scan"]

#: Bound of the bits of one block in a sequential scan; see above.
MAX_BLOCK_BITS = 2048

_ONE = np.uint64(1)


@kernel("Tuple((int64, uint64, int64))(uint64[::1], int64, uint64, int64, uint64, int64)")
def _put(words, place, word, free, value, count):  # type: ignore[no-untyped-def]
    # Appends the low `count` bits (0..63; the others of `value` are zero) to the words. `word` holds
    # 64 - free bits; bits above them are rubbish that is shifted out in time.
    if count > free:
        if place < words.shape[0]:
            words[place] = (word << np.uint64(free)) | (value >> np.uint64(count - free))
        return place + 1, value, free + 64 - count
    return place, (word << np.uint64(count)) | value, free - count


@kernel("int64(uint64[::1], int64, uint64, int64)")
def _finish(words, place, word, free):  # type: ignore[no-untyped-def]
    # Stores the last word, its unused low bits zero; returns the number of bits.
    if free < 64 and place < words.shape[0]:
        words[place] = word << np.uint64(free)
    return place * 64 + 64 - free


@kernel(
    "int64(int16[:, :, ::1], int16[:, :, ::1], int16[:, :, ::1], int16[:, :, ::1], int64, int64, int64, int64)"
)
def _load(c0, c1, c2, c3, component, y, x, n):  # type: ignore[no-untyped-def]
    if component == 0:
        return np.int64(c0[y, x, n])
    if component == 1:
        return np.int64(c1[y, x, n])
    if component == 2:
        return np.int64(c2[y, x, n])
    return np.int64(c3[y, x, n])


@kernel(
    "int64(int16[:, :, ::1], int16[:, :, ::1], int16[:, :, ::1], int16[:, :, ::1], "
    "uint64[::1], uint64[::1], uint64[::1], uint64[::1], int64[:, ::1], uint32[:, ::1], uint32[:, ::1], "
    "int64, int64, int64, int64, int64, int64, int64, uint64[::1], int64[:, ::1])"
)
def _pack_mcus(  # type: ignore[no-untyped-def]
    c0, c1, c2, c3, m0, m1, m2, m3, sampling, dc_codes, ac_codes,
    components, sequential, ah, al, columns, first_row, last_row, words, pieces
):  # fmt: skip
    """Code MCU rows of a sequential scan, or of a DC scan (first or refinement) of a progressive one.

    ``sampling[c]`` is (h, v, restart interval); each restart interval starts a new word and a new row
    (first word, bits) of ``pieces``; returns the number of words needed.
    """
    interval = sampling[0, 2]
    predictor = np.zeros(4, np.int64)
    if first_row > 0 and interval == 0:
        for c in range(components):
            # The last block of the MCU row above: no padding block, every MCU column has real ones.
            blocks_x = (c0.shape[1], c1.shape[1], c2.shape[1], c3.shape[1])[c]
            y = first_row * sampling[c, 1] - 1
            predictor[c] = _load(c0, c1, c2, c3, c, y, blocks_x - 1, 0) >> al
    piece = 0
    start = place = np.int64(0)
    word = np.uint64(0)
    free = np.int64(64)
    left = interval

    for row in range(first_row, last_row):
        for column in range(columns):
            if interval > 0:
                if left == 0:
                    pieces[piece, 0] = start
                    pieces[piece, 1] = _finish(words, place, word, free) - 64 * start
                    piece += 1
                    if free < 64:
                        place += 1
                    start = place
                    word = np.uint64(0)
                    free = np.int64(64)
                    left = interval
                    predictor[:] = 0
                left -= 1
            for c in range(components):
                if c == 0:
                    blocks_y, blocks_x = c0.shape[0], c0.shape[1]
                elif c == 1:
                    blocks_y, blocks_x = c1.shape[0], c1.shape[1]
                elif c == 2:
                    blocks_y, blocks_x = c2.shape[0], c2.shape[1]
                else:
                    blocks_y, blocks_x = c3.shape[0], c3.shape[1]
                for y in range(row * sampling[c, 1], (row + 1) * sampling[c, 1]):
                    for x in range(column * sampling[c, 0], (column + 1) * sampling[c, 0]):
                        real = y < blocks_y and x < blocks_x
                        # Padding blocks (T.81 A.2.4) repeat the DC of the block before: no difference.
                        dc = _load(c0, c1, c2, c3, c, y, x, 0) >> al if real else predictor[c]
                        if ah > 0:
                            predictor[c] = dc
                            place, word, free = _put(words, place, word, free, np.uint64(dc & 1), 1)
                            continue
                        difference = dc - predictor[c]
                        predictor[c] = dc
                        size = bit_length(abs(difference))
                        entry = np.uint64(dc_codes[c, size])
                        if difference < 0:
                            difference += (1 << size) - 1
                        place, word, free = _put(
                            words, place, word, free,
                            ((entry >> np.uint64(5)) << np.uint64(size)) | np.uint64(difference),
                            np.int64(entry & np.uint64(31)) + size,
                        )  # fmt: skip
                        if sequential == 0:
                            continue
                        mask = np.uint64(0)
                        if real:
                            block = y * blocks_x + x
                            if c == 0:
                                mask = m0[block]
                            elif c == 1:
                                mask = m1[block]
                            elif c == 2:
                                mask = m2[block]
                            else:
                                mask = m3[block]
                        k = np.int64(0)
                        while mask != 0:
                            position = lowest_bit(mask)
                            mask &= mask - _ONE
                            run = position - k - 1
                            k = position
                            while run > 15:
                                entry = np.uint64(ac_codes[c, 0xF0])
                                place, word, free = _put(
                                    words,
                                    place,
                                    word,
                                    free,
                                    entry >> np.uint64(5),
                                    np.int64(entry & np.uint64(31)),
                                )
                                run -= 16
                            value = _load(c0, c1, c2, c3, c, y, x, NATURAL_ORDER[k])
                            size = bit_length(abs(value))
                            entry = np.uint64(ac_codes[c, 16 * run + size])
                            if value < 0:
                                value += (1 << size) - 1
                            place, word, free = _put(
                                words, place, word, free,
                                ((entry >> np.uint64(5)) << np.uint64(size)) | np.uint64(value),
                                np.int64(entry & np.uint64(31)) + size,
                            )  # fmt: skip
                        if k < 63:
                            entry = np.uint64(ac_codes[c, 0])
                            place, word, free = _put(
                                words,
                                place,
                                word,
                                free,
                                entry >> np.uint64(5),
                                np.int64(entry & np.uint64(31)),
                            )
    pieces[piece, 0] = start
    pieces[piece, 1] = _finish(words, place, word, free) - 64 * start
    if free < 64:
        place += 1
    return place


@kernel(
    "int64(int16[:, ::1], uint64[::1], uint64[::1], uint32[::1], int64, int64, int64, int64, int64, "
    "uint64[::1], int64[:, ::1])"
)
def _pack_ac(blocks, masks, known, codes, ss, se, ah, al, interval, words, pieces):  # type: ignore[no-untyped-def]
    """Code a progressive AC scan (T.81 G.1.2.2 and G.1.2.3); one block is one MCU.

    ``masks`` are the non-zero coefficients at ``al``, ``known`` those at ``al + 1`` (used by refinement
    scans only). Pieces and result as in :func:`_pack_mcus`.
    """
    band = (~np.uint64(0) >> np.uint64(63 - se)) & (~np.uint64(0) << np.uint64(ss))
    refine = ah > 0
    count = blocks.shape[0]
    piece = 0
    start = place = np.int64(0)
    word = np.uint64(0)
    free = np.int64(64)
    left = interval
    run_length = np.int64(0)  # blocks in the pending EOB run ...
    run_first = np.int64(0)  # ... its first block, and in that the first coefficient that the run covers
    run_from = ss

    for block in range(count + 1):
        new = np.uint64(0)
        if block < count:
            new = masks[block] & band
            if refine:
                new &= ~known[block]
        restart = interval > 0 and left == 0
        left -= 1
        if run_length > 0 and (new != 0 or block == count or restart or run_length == MAX_EOB_RUN):
            size = bit_length(run_length) - 1
            entry = np.uint64(codes[16 * size])
            extra = np.uint64(run_length - (1 << size))
            place, word, free = _put(
                words, place, word, free,
                ((entry >> np.uint64(5)) << np.uint64(size)) | extra, np.int64(entry & np.uint64(31)) + size,
            )  # fmt: skip
            if refine:
                for other in range(run_first, block):
                    rest = known[other] & band
                    if other == run_first:
                        rest &= ~np.uint64(0) << np.uint64(run_from)
                    while rest != 0:
                        value = np.int64(blocks[other, NATURAL_ORDER[lowest_bit(rest)]])
                        rest &= rest - _ONE
                        bit = np.uint64((abs(value) >> al) & 1)
                        place, word, free = _put(words, place, word, free, bit, 1)
            run_length = np.int64(0)
        if block == count:
            break
        if restart:
            pieces[piece, 0] = start
            pieces[piece, 1] = _finish(words, place, word, free) - 64 * start
            piece += 1
            if free < 64:
                place += 1
            start = place
            word = np.uint64(0)
            free = np.int64(64)
            left = interval - 1

        previous = ss - 1
        run = np.int64(0)
        corrections = np.uint64(0)  # correction bits of known coefficients since the last code
        corrected = np.int64(0)
        # Known coefficients after the last new one belong to the EOB.
        todo = masks[block] & band if refine else new
        while new != 0:
            k = lowest_bit(todo)
            bit = todo & (~todo + _ONE)
            todo ^= bit
            run += k - previous - 1
            previous = k
            while run > 15:
                entry = np.uint64(codes[0xF0])
                place, word, free = _put(
                    words, place, word, free, entry >> np.uint64(5), np.int64(entry & np.uint64(31))
                )
                place, word, free = _put(words, place, word, free, corrections, corrected)
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
                extra = np.int64(value > 0)
            elif value > 0:
                extra = magnitude
            else:
                extra = (1 << size) - 1 - magnitude
            entry = np.uint64(codes[16 * run + size])
            place, word, free = _put(
                words, place, word, free,
                ((entry >> np.uint64(5)) << np.uint64(size)) | np.uint64(extra),
                np.int64(entry & np.uint64(31)) + size,
            )  # fmt: skip
            place, word, free = _put(words, place, word, free, corrections, corrected)
            corrections = np.uint64(0)
            corrected = np.int64(0)
            run = np.int64(0)
        if previous < se:
            if run_length == 0:
                run_first = block
                run_from = previous + 1
            run_length += 1

    pieces[piece, 0] = start
    pieces[piece, 1] = _finish(words, place, word, free) - 64 * start
    if free < 64:
        place += 1
    return place


@kernel("int64(uint64[::1], int64[:, ::1], int64, uint8[::1])")
def _join(words, pieces, restarts, out):  # type: ignore[no-untyped-def]
    # out holds two bytes for each byte of data, and per piece one begun byte and a marker: see `join`.
    place = np.int64(0)
    carry = np.uint64(0)  # up to 7 bits of the piece before
    carried = np.int64(0)
    count = pieces.shape[0]
    for piece in range(count):
        at = pieces[piece, 0]
        bits = pieces[piece, 1]
        final = restarts != 0 or piece == count - 1
        while bits > 0 or (final and carried > 0):
            # The next word: bits carried over, then bits of the piece, then ones.
            source = words[at] if bits > 0 else np.uint64(0)
            fresh = min(bits, 64)
            if carried > 0:
                word = (carry << np.uint64(64 - carried)) | (source >> np.uint64(carried))
            else:
                word = source
            have = carried + fresh
            at += 1
            bits -= fresh
            if have >= 64:
                carried = have - 64
                if carried > 0:
                    carry = (source >> np.uint64(64 - fresh)) & ((_ONE << np.uint64(carried)) - _ONE)
                whole = np.int64(8)
            else:
                whole = have // 8
                carried = have % 8
                if carried > 0 and bits == 0 and final:
                    word |= ~np.uint64(0) >> np.uint64(have)
                    whole += 1
                    carried = np.int64(0)
                elif carried > 0:
                    carry = (word >> np.uint64(64 - have)) & ((_ONE << np.uint64(carried)) - _ONE)
            for index in range(whole):
                byte = np.uint8((word >> np.uint64(56 - 8 * index)) & np.uint64(255))
                out[place] = byte
                place += 1
                if byte == 255:
                    out[place] = 0
                    place += 1
        if restarts != 0 and piece < count - 1:
            out[place] = 0xFF
            out[place + 1] = np.uint8(0xD0 + piece % 8)
            place += 2
    return place


#: MCU rows that are coded as one piece of work.
STRIP_ROWS = 32


def encode_scan(
    statistics: ScanStatistics,
    scan: ScanHeader,
    tables: Sequence[tuple[HuffmanTable | None, HuffmanTable | None]],
    *,
    threads: int | None = None,
) -> bytes:
    """Return the entropy-coded data of a scan.

    Parameters
    ----------
    statistics : ScanStatistics
        Of the image.
    scan : ScanHeader
        What the scan sends.
    tables : sequence of (DC table, AC table)
        For each component of the scan; None where the scan does not need it.
    threads : int, optional
        As in :func:`guetzpy._threads.each`.

    Raises
    ------
    RuntimeError
        If the data does not have the length that the statistics foretell, or a symbol has no code.
    """
    codes = np.zeros((2, 4, 256), np.uint32)
    for place, pair in enumerate(tables):
        for table_class, table in enumerate(pair):
            if table is not None:
                codes[table_class, place] = table.codes()
    bits = statistics.raw_bits(scan)
    for index, table_class, histogram in statistics.symbols(scan):
        lengths = codes[table_class, scan.components.index(index)] & 31
        if np.any((lengths == 0) & (histogram > 0)):
            raise RuntimeError("a symbol of the scan has no code in its table")
        bits += int(histogram @ lengths)
    if scan.ss > 0:
        words, pieces = _ac_scan(statistics, scan, codes[1, 0], bits)
    else:
        words, pieces = _mcu_scan(statistics, scan, codes, bits, threads)
    if pieces[:, 1].sum() != bits:
        raise RuntimeError(f"scan of {pieces[:, 1].sum()} bits where statistics say {bits}")
    # Each byte may be stuffed; each piece may begin a byte and be followed by a marker.
    out = np.empty(2 * (bits // 8) + 4 * len(pieces) + 2, np.uint8)
    return out[: _join(words, pieces, int(statistics.restart_interval > 0), out)].tobytes()


def _ac_scan(
    statistics: ScanStatistics, scan: ScanHeader, codes: npt.NDArray[np.uint32], bits: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    index = scan.components[0]
    blocks, masks = statistics.blocks[index], statistics.significance[index].masks
    interval = statistics.restart_interval
    pieces = np.zeros((-(-len(blocks) // interval) if interval else 1, 2), np.int64)
    words = np.empty(bits // 64 + len(pieces) + 1, np.uint64)
    known = masks[scan.ah] if scan.ah else masks[scan.al]
    _pack_ac(
        blocks, masks[scan.al], known, codes, scan.ss, scan.se, scan.ah, scan.al, interval, words, pieces
    )
    return words, pieces


def _mcu_scan(
    statistics: ScanStatistics,
    scan: ScanHeader,
    codes: npt.NDArray[np.uint32],
    bits: int,
    threads: int | None,
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    interval = statistics.restart_interval
    rows, columns = statistics.mcus(scan.components)
    padded = [*scan.components, *[scan.components[0]] * (4 - len(scan.components))]
    coefficients = [np.ascontiguousarray(statistics.image.components[i].coefficients) for i in padded]
    masks = [statistics.significance[i].masks[0] for i in padded]
    sampling = np.array([[*statistics.sampling(scan.components, i), interval] for i in padded], np.int64)
    blocks_per_mcu = int((sampling[: len(scan.components), 0] * sampling[: len(scan.components), 1]).sum())

    # The total of bits is known, that of a strip is not: the bound of a block limits it. Pages of the array that
    # no strip reaches are never touched.
    height = rows if interval else STRIP_ROWS
    strips = range(0, rows, height)
    count = -(-rows * columns // interval) if interval else len(strips)
    room = (
        min(bits, height * columns * blocks_per_mcu * MAX_BLOCK_BITS) // 64 + 1 + (count if interval else 0)
    )
    words = np.empty((len(strips), room), np.uint64)
    pieces = np.zeros((count, 2), np.int64)

    def pack(first: int) -> None:
        strip = first // height
        own = pieces if interval else pieces[strip : strip + 1]
        needed = _pack_mcus(
            *coefficients, *masks, sampling, codes[0], codes[1], len(scan.components), int(scan.se > 0),
            scan.ah, scan.al, columns, first, min(first + height, rows), words[strip], own,
        )  # fmt: skip
        if needed > room:
            raise RuntimeError("a scan is longer than its statistics say")
        own[:, 0] += strip * room

    each(pack, strips, threads)
    return words.reshape(-1), pieces
