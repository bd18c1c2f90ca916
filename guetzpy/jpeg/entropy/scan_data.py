"""The entropy-coded bytes of a scan, freed of stuffing and cut at restart markers (ITU-T T.81 B.1.1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel

__all__ = ["ScanData", "restart_bounds", "split_scan"]


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64[:, ::1], int64[::1])")
def _unstuff(data: Any, position: Any, restarts: Any, clean: Any, cuts: Any, ends: Any) -> Any:
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
