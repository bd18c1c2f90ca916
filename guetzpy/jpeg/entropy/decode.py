"""Huffman decoding of scans into coefficients (ITU-T T.81 annexes F.2 and G.2).

``scan_data.py`` removes the byte stuffing of a scan. One call of a kernel then decodes all restart
intervals of the scan (``decode_kernels.py``). :func:`decode_scan` checks all that the kernels rely on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.entropy import decode_kernels as kernels
from guetzpy.jpeg.entropy.decode_kernels import AC_FIRST, AC_REFINE, DC_FIRST, DC_REFINE, SEQUENTIAL

__all__ = [
    "AC_FIRST",
    "AC_REFINE",
    "DC_FIRST",
    "DC_REFINE",
    "SEQUENTIAL",
    "ScanReport",
    "decode_scan",
    "mcu_blocks",
]


@dataclass(frozen=True)
class ScanReport:
    """The number of faults that were found while decoding a scan.

    Attributes
    ----------
    short : int
        Number of the first MCU whose data is missing or incomplete; -1 if there is none.
    bad_codes : int
        Bit patterns that are no code of the table, and symbols that the scan does not allow.
    overruns : int
        Coefficients beyond the end of the scan's band.
    out_of_range : int
        Coefficients of more than the 11 (DC) or 10 (AC) bits of T.81 tables F.1 and F.2, in first scans and
        in refinements.
    left_over : int
        Bytes at the ends of the restart intervals that were not used.
    """

    short: int
    bad_codes: int
    overruns: int
    out_of_range: int
    left_over: int


def mcu_blocks(components: Sequence[tuple[int, int, int, int, int, int, int]]) -> npt.NDArray[np.int64]:
    """Return the geometry of an MCU (T.81 A.2.3).

    Parameters
    ----------
    components : sequence of tuple of int
        For each component of the scan: its blocks in the MCU vertically and horizontally, its rows and
        columns of blocks, its first row in the coefficient array, the rows of its DC and AC tables.

    Returns
    -------
    ndarray of int64, shape (blocks in the MCU, 10)
        For each block: number of its component in the scan, its row and column in the component's part of the
        MCU, and the seven numbers of the component.
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
) -> ScanReport:
    """Decode a scan into the coefficients.

    Parameters
    ----------
    mode : int
        SEQUENTIAL, DC_FIRST, DC_REFINE, AC_FIRST or AC_REFINE.
    clean : ndarray of uint8
        Entropy-coded data of the scan without stuffing.
    bounds : ndarray of int64, shape (intervals, 3)
        Restart intervals, from :func:`restart_bounds`.
    geometry : ndarray of int64
        Blocks of an MCU, from :func:`mcu_blocks`; a single block for the AC modes.
    tables : tuple of ndarray
        Huffman tables, from :func:`build_tables`.
    coefficients : ndarray of int16, shape (blocks + 1, 64)
        Blocks of all components, changed in place. The last row is spare; the padding blocks of interleaved
        scans are written to it.
    interval, mcus, mcus_per_row : int
        Restart interval (``mcus`` if there is none), number of MCUs in the scan, and MCUs per row.
    band : tuple of int
        Ss, Se and Al of the scan.

    Raises
    ------
    ValueError
        If an array has a wrong dtype or shape, or an argument exceeds the arrays.
    """
    if clean.dtype != np.uint8 or coefficients.dtype != np.int16 or not coefficients.flags.c_contiguous:
        raise ValueError("wrong type of data or coefficients")
    if bounds.shape != (-(-mcus // interval), 3) or coefficients.ndim != 2 or coefficients.shape[1] != 64:
        raise ValueError("wrong shape of bounds or coefficients")
    ss, se, al = band
    if (
        bounds.min() < 0
        or bounds[:, :2].max() > len(clean)
        or geometry[:, kernels.DC :].max() >= len(tables[0])
    ):
        raise ValueError("bounds or tables out of range")
    ends = geometry[:, kernels.OFFSET] + geometry[:, kernels.BLOCKS_Y] * geometry[:, kernels.BLOCKS_X]
    if ends.max() >= len(coefficients) or not 0 <= ss <= se <= 63 or not 0 <= al <= 13:
        raise ValueError("scan does not fit the coefficients")
    shape = np.array([interval, mcus, mcus_per_row, mode, al, geometry[0, kernels.OFFSET], ss, se])
    report = np.array([-1, 0, 0, 0, 0], np.int64)
    if mode in (AC_FIRST, AC_REFINE):
        if mcus > geometry[0, kernels.BLOCKS_Y] * geometry[0, kernels.BLOCKS_X]:
            raise ValueError("scan has more blocks than its component")
        table = int(geometry[0, kernels.AC])
        if mode == AC_FIRST:
            kernels.decode_bands(clean, bounds, shape, table, *tables, coefficients, report)
        else:
            words = coefficients.view(np.int64)
            mask = int(np.array([0, -1, -1, -1], np.int16).view(np.int64)[0])
            kernels.refine_bands(clean, bounds, shape, table, *tables, coefficients, words, mask, report)
    else:
        prediction = np.zeros(4, np.int64)
        kernels.decode_mcus(clean, bounds, shape, geometry, *tables, coefficients, prediction, report)
    found = ScanReport(*(int(x) for x in report))
    # Bits 11 to 15 of a DC coefficient in range are equal to its sign. A refinement at Al = 10 or below does
    # not change them, so it cannot leave the range. A check in the kernel would slow down sequential scans.
    if mode == DC_REFINE and al > 10:
        spans = set(zip(geometry[:, kernels.OFFSET].tolist(), ends.tolist(), strict=True))
        planes = [coefficients[first:end, 0] for first, end in spans]
        found = replace(found, out_of_range=sum(int(((dc > 2047) | (dc < -2047)).sum()) for dc in planes))
    return found
