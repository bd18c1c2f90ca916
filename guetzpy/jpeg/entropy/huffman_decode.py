"""Decode single Huffman codes: look-up tables and the bit buffer (ITU-T T.81 F.2.2.3, annex C).

A bit buffer consists of three numbers: the position of the next byte to load, an int64 whose low ``bits``
bits are not consumed yet, and ``bits``. After :func:`refill`, ``bits`` is at least 32, which suffices for a
code and its value bits (17 + 15).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy.errors import FormatError
from guetzpy.jpeg.entropy.huffman import HuffmanTable

__all__ = ["LOOKAHEAD", "VALUE", "build_tables", "long_code", "refill"]

#: Bits per look-up. Ten bits contain nearly all codes of photographs together with their value bits, and
#: four tables fit into the first-level cache.
LOOKAHEAD = 10

# Entry of a look-up table: bits 0-4 number of bits to consume (0: the code is longer than LOOKAHEAD), bit 5
# set if the value is included, bits 8-15 symbol, bits 16-31 value.
VALUE = 32

# Row of the canonical table: largest code of each length 0..17 (-1 if none), what to add to a code of each
# length to get the index of its symbol, symbols.
_OFFSETS = 18
_SYMBOLS = 36
_CANONICAL = _SYMBOLS + 256


@kernel("int64(int64[::1], uint8[::1], int64, int32[::1], int64[::1])")
def _build_table(counts: Any, symbols: Any, values: Any, lookup: Any, canonical: Any) -> Any:
    """Fill one look-up and one canonical row (T.81 annex C, figure F.15).

    ``symbols`` has 256 bytes. The sum of ``counts`` is at most 256. The caller fills ``lookup`` with 0 and
    ``canonical`` with -1. If ``values`` is not 0, entries of short codes include the value. Returns 1 if the
    lengths do not form a prefix code that leaves the code of ones only unused.
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
                        entry = value << 16 | symbol << 8 | VALUE | (length + size)
                    lookup[code << free | rest] = entry
            code += 1
            index += 1
        if code >= (1 << length) and counts[length - 1] > 0:
            return 1
        code <<= 1
    return 0


@kernel("UniTuple(int64, 3)(uint8[::1], int64, int64, int64, int64)")
def refill(clean: Any, position: Any, end: Any, buffer: Any, bits: Any) -> Any:
    """Load bytes into a bit buffer of fewer than 32 bits, so that it has 32 to 63; zeros follow ``end``.

    ``position`` advances beyond ``end`` too, so that the number of consumed bits can be computed.
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
def long_code(canonical: Any, table: Any, window: Any) -> Any:
    """Return ``length << 8 | symbol`` of the code at the top of a 16-bit window (figure F.16).

    The result for a bit pattern that is no code is length 17 and symbol 0.
    """
    for length in range(LOOKAHEAD + 1, 17):
        code = window >> (16 - length)
        if code <= canonical[table, length]:
            return length << 8 | canonical[table, _SYMBOLS + code + canonical[table, _OFFSETS + length]]
    return 17 << 8


def build_tables(
    tables: Sequence[tuple[HuffmanTable, bool, bool]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return the look-up tables and canonical tables of Huffman tables, one row each.

    Parameters
    ----------
    tables : sequence of (table, bool, bool)
        Table, whether it codes DC differences, whether value bits follow its codes.

    Returns
    -------
    lookup : ndarray of int32, shape (n, 2**LOOKAHEAD)
    canonical : ndarray of int64, shape (n, 292)

    Raises
    ------
    FormatError
        If code lengths do not form a prefix code, or a DC table has a category above 15.
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
