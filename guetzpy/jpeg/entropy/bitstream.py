"""Join pieces of bits into the entropy-coded data of a scan, with stuffing, padding and restart markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel

__all__ = ["Pieces", "join"]

_ALL = ~np.uint64(0)


@dataclass(frozen=True)
class Pieces:
    """Codes of a scan, in pieces that are not joined yet.

    Attributes
    ----------
    words : ndarray of uint64
        Bits of the codes, most significant first; the array has one word more than the bits need.
    starts, lengths : ndarray of int64, shape (n,)
        First bit and number of bits of each piece, in the order of the scan.
    group : int
        Number of pieces between two restart markers; 0 for no markers.
    """

    words: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    group: int


@kernel("int64(uint64[::1], int64[::1], int64[::1], int64, uint8[::1])")
def _join(words: Any, starts: Any, lengths: Any, group: Any, out: Any) -> Any:
    """Join pieces of ``lengths`` bits that begin at the bits ``starts`` of ``words``; return the bytes used.

    A restart marker follows every ``group`` pieces except the last ones; 0 means no markers. ``words`` has
    one word more than the bits need.
    """
    ones = np.uint64(0x0101010101010101)
    count = starts.shape[0]
    place = np.int64(0)
    word = np.uint64(0)  # its highest `used` bits are data, the other bits are zero
    used = np.int64(0)
    intervals = np.int64(0)
    for piece in range(count):
        at = starts[piece]
        bits = lengths[piece]
        ending = piece == count - 1 or (group > 0 and piece % group == group - 1)
        while bits > 0 or (ending and used > 0):
            whole = np.int64(8)
            full = word
            if bits > 0:
                shift = np.uint64(at & 63)
                chunk = words[at >> 6] << shift
                if shift > 0:
                    chunk |= words[(at >> 6) + 1] >> (np.uint64(64) - shift)
                taken = min(bits, 64)
                chunk &= _ALL << np.uint64(64 - taken)
                at += taken
                bits -= taken
                full |= chunk >> np.uint64(used)
                used += taken
                if used < 64:
                    word = full
                    continue
                used -= 64
                word = np.uint64(0)
                if used > 0:
                    word = chunk << np.uint64(taken - used)
            else:
                full |= _ALL >> np.uint64(used)
                whole = (used + 7) >> 3
                used = np.int64(0)
                word = np.uint64(0)
            # Tests whether no byte is 0xFF, as a search for zero bytes in the complement (Hacker's
            # Delight 6-1).
            if whole == 8 and (~full - ones) & full & (ones << np.uint64(7)) == 0:
                for index in range(8):
                    out[place + index] = np.uint8((full >> np.uint64(56 - 8 * index)) & np.uint64(255))
                place += 8
                continue
            for index in range(whole):
                byte = np.uint8((full >> np.uint64(56 - 8 * index)) & np.uint64(255))
                out[place] = byte
                place += 1
                if byte == 255:
                    out[place] = 0
                    place += 1
        if ending and piece < count - 1:
            out[place] = 0xFF
            out[place + 1] = np.uint8(0xD0 + intervals % 8)
            place += 2
            intervals += 1
    return place


def join(pieces: Pieces) -> bytes:
    """Return the data of a scan (T.81 F.1.2.3, B.1.1.5, E.1.4).

    Pieces may begin and end at any bit. After each group, the last byte is filled up with ones and an RSTn
    marker follows. A zero byte is stuffed after each data byte 0xFF.
    """
    intervals = -(-len(pieces.lengths) // pieces.group) if pieces.group else 1
    # Stuffing at most doubles the bytes. Each interval may have one partial byte, stuffed, and a marker.
    out = np.empty(2 * (int(pieces.lengths.sum()) // 8) + 4 * intervals, np.uint8)
    return out[: _join(pieces.words, pieces.starts, pieces.lengths, pieces.group, out)].tobytes()
