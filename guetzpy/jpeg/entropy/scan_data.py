"""Remove byte stuffing from the data of a scan and split it at restart markers (ITU-T T.81 B.1.1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel

__all__ = ["ScanData", "restart_bounds", "split_scan"]


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64[:, ::1], int64[::1])")
def _unstuff(data: Any, position: Any, restarts: Any, clean: Any, cuts: Any, ends: Any) -> Any:
    """Copy entropy-coded data without stuffing, up to the marker that ends the scan.

    The kernel writes to ``cuts[i]`` the code of the i-th marker within the scan and its position in
    ``clean``, and to ``ends`` the end of the scan in ``data`` and in ``clean``. It returns the number of
    markers; those beyond the capacity of ``cuts`` are not stored. For each byte read it writes at most one
    byte, so ``len(data) - position`` bytes suffice for ``clean``.
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
        if after == size:  # the file ends after fill bytes
            break
        code = np.int64(data[after])
        if code == 0:  # libjpeg takes several 0xFF before a zero as one data byte
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
        Code of each marker within the scan and its position in ``clean``.
    markers : int
        Number of markers within the scan; more than ``len(cuts)`` if the capacity was too small.
    end : int
        Position in the file of the marker that ends the scan, or the end of the file.
    """

    clean: npt.NDArray[np.uint8]
    cuts: npt.NDArray[np.int64]
    markers: int
    end: int


def split_scan(data: npt.NDArray[np.uint8], position: int, *, capacity: int) -> ScanData:
    """Remove the byte stuffing of the scan that begins at ``position``.

    Parameters
    ----------
    data : ndarray of uint8
        The whole file.
    position : int
        First byte after the scan header.
    capacity : int
        Number of restart markers to store. 0 if the scan has no restart intervals; any marker then ends it.
    """
    clean = np.empty(len(data) - position, np.uint8)
    cuts = np.empty((capacity, 2), np.int64)
    ends = np.zeros(2, np.int64)
    markers = int(_unstuff(data, position, int(capacity > 0), clean, cuts, ends))
    return ScanData(clean[: ends[1]], cuts[: min(markers, capacity)], markers, int(ends[0]))


def restart_bounds(scan: ScanData, intervals: int) -> tuple[npt.NDArray[np.int64], bool]:
    """Return the position of each restart interval's data.

    Parameters
    ----------
    scan : ScanData
        The scan, from :func:`split_scan`.
    intervals : int
        Number of restart intervals that the scan must have.

    Returns
    -------
    bounds : ndarray of int64, shape (intervals, 3)
        Start and end in ``scan.clean``, and a flag. The flag is 1 if the interval is empty because its marker
        is missing. If a decoder has no data left before such an interval, it continues without data.
    regular : bool
        Whether the markers present are in the order of T.81 B.2.1. If not, the bounds are those that
        libjpeg's ``jpeg_resync_to_restart`` (``jdmarker.c``) finds.
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
                if ahead in (1, 2):  # the expected marker is missing; this one begins a later interval
                    break
                if ahead < 6:  # the expected marker, or one too far from it to decide
                    bounds[i] = (edges[cut], edges[cut + 1], 0)
                    cut += 1
                    break
            cut += 1  # skip a marker of an earlier interval, or one that is no RSTn
    return bounds, False
