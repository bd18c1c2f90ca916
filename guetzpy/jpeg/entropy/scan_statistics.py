"""Symbol statistics of the scans of one image, from which their sizes follow without coding them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.threads import each
from guetzpy.errors import UnsupportedError
from guetzpy.jpeg.entropy.statistics import band_histograms, dc_histogram, significance
from guetzpy.jpeg.structure import JpegImage, ScanHeader

__all__ = ["AC_EXTRA_BITS", "DC_EXTRA_BITS", "ScanStatistics"]

#: Bits that follow each AC symbol: magnitude or sign bits, or the length of an EOB run.
AC_EXTRA_BITS: npt.NDArray[np.int64] = np.array([s & 15 or (s >> 4) % 15 for s in range(256)], np.int64)
#: Bits that follow each DC symbol.
DC_EXTRA_BITS: npt.NDArray[np.int64] = np.minimum(np.arange(256), 16)


class ScanStatistics:
    """Symbol statistics of any scan of an image. Each statistic is counted once and stored.

    Parameters
    ----------
    image : JpegImage
        Its coefficients must not change while this object is in use.
    levels : int
        The statistics cover point transforms 0 to ``levels - 1``.
    restart_interval : int
        MCUs in a restart interval; 0 for no restart markers.
    threads : int, optional
        As in :func:`guetzpy._runtime.threads.each`.

    Raises
    ------
    UnsupportedError
        If an AC coefficient is -32768, which no Huffman symbol can code (size 16).
    """

    def __init__(
        self, image: JpegImage, levels: int, restart_interval: int = 0, threads: int | None = None
    ) -> None:
        self.image = image
        self.levels = levels
        self.restart_interval = restart_interval
        self.blocks = [
            np.ascontiguousarray(component.coefficients).reshape(-1, 64) for component in image.components
        ]
        self.significance = [significance(blocks, levels, threads=threads) for blocks in self.blocks]
        if any(item.largest > 0x7FFF for item in self.significance):
            raise UnsupportedError("an AC coefficient of -32768 has no Huffman symbol")
        self._ac: dict[tuple[int, int, int, int, int], npt.NDArray[np.int64]] = {}
        self._dc: dict[tuple[int, bool, int], npt.NDArray[np.int64]] = {}

    def mcus(self, components: Sequence[int]) -> tuple[int, int]:
        """Return (rows, columns) of MCUs in a scan of these components (T.81 A.2)."""
        if len(components) == 1:
            rows, columns = self.image.components[components[0]].coefficients.shape[:2]
            return int(rows), int(columns)
        image = self.image
        return -(-image.height // (8 * image.v_max)), -(-image.width // (8 * image.h_max))

    def restarts(self, scan: ScanHeader) -> int:
        """Return the number of restart markers in a scan."""
        rows, columns = self.mcus(scan.components)
        return (rows * columns - 1) // self.restart_interval if self.restart_interval else 0

    def sampling(self, components: Sequence[int], index: int) -> tuple[int, int]:
        """Return (h, v), the blocks of a component in an MCU of a scan of ``components``."""
        if len(components) == 1:
            return 1, 1
        return self.image.components[index].h, self.image.components[index].v

    def dc(self, index: int, components: Sequence[int], al: int) -> npt.NDArray[np.int64]:
        """Return the histogram of a component's DC symbols in a scan of ``components``, (256,) int64."""
        key = (index, len(components) > 1, al)
        if key not in self._dc:
            self._dc[key] = dc_histogram(
                np.ascontiguousarray(self.image.components[index].coefficients),
                self.sampling(components, index),
                self.mcus(components),
                al,
                self.restart_interval,
            )
            if self._dc[key][16:].any():
                raise UnsupportedError("a DC difference of 32768 or more has no Huffman symbol")
        return self._dc[key]

    def ac(self, index: int, ss: int, se: int, ah: int, al: int) -> npt.NDArray[np.int64]:
        """Return the histogram of a progressive AC scan, (256,) int64."""
        key = (index, ss, se, ah, al)
        if key not in self._ac:
            self._ac[key] = band_histograms(
                self.blocks[index], self.significance[index], (ss, se + 1), ah, al, self.restart_interval
            )[0, 0]
        return self._ac[key]

    def remember_bands(self, index: int, starts: Sequence[int], ah: int, al: int) -> npt.NDArray[np.int64]:
        """Count and store the symbols of all bands between ``starts`` (see :func:`band_histograms`)."""
        histograms = band_histograms(
            self.blocks[index], self.significance[index], starts, ah, al, self.restart_interval
        )
        for i in range(len(starts) - 1):
            for j in range(i, len(starts) - 1):
                self._ac[index, starts[i], starts[j + 1] - 1, ah, al] = histograms[i, j]
        return histograms

    def sequential_ac(self, index: int, components: Sequence[int]) -> npt.NDArray[np.int64]:
        """Return the histogram of a component's AC symbols in a sequential scan, (256,) int64."""
        histogram = self.ac(index, 1, 63, 0, 0).copy()
        # A sequential scan has no EOB runs: each block whose last coefficient is zero has its own EOB.
        histogram[0:0xF0:16] = 0
        rows, columns = self.mcus(components)
        h, v = self.sampling(components, index)
        last = np.count_nonzero(self.significance[index].masks[0] >> np.uint64(63))
        histogram[0] = rows * columns * h * v - last  # padding blocks are coded as an EOB
        return histogram

    def count(self, script: Sequence[ScanHeader], threads: int | None = None) -> None:
        """Count the symbols of a script's scans on several threads and store the results."""
        each(lambda call: call(), self.counting(script), threads)

    def counting(self, script: Sequence[ScanHeader]) -> list[Callable[[], object]]:
        """Return the tasks of :meth:`count`, which may run in any order."""
        calls: list[Callable[[], object]] = []
        for scan in script:
            for index in scan.components:
                if scan.ss == 0 and scan.ah == 0:
                    calls.append(partial(self.dc, index, scan.components, scan.al))
                if scan.se > 0:
                    calls.append(partial(self.ac, index, max(scan.ss, 1), scan.se, scan.ah, scan.al))
        return calls

    def symbols(self, scan: ScanHeader) -> list[tuple[int, int, npt.NDArray[np.int64]]]:
        """Return (component, table class 0 DC or 1 AC, histogram) for each table that a scan uses."""
        if scan.ss > 0:
            index = scan.components[0]
            return [(index, 1, self.ac(index, scan.ss, scan.se, scan.ah, scan.al))]
        if scan.ah > 0:
            return []
        used = [(index, 0, self.dc(index, scan.components, scan.al)) for index in scan.components]
        if scan.se > 0:
            used += [(index, 1, self.sequential_ac(index, scan.components)) for index in scan.components]
        return used

    def raw_bits(self, scan: ScanHeader) -> int:
        """Return the bits of a scan besides Huffman codes: magnitudes, run lengths, correction bits."""
        bits = sum(
            int(histogram @ (AC_EXTRA_BITS if table_class else DC_EXTRA_BITS))
            for _, table_class, histogram in self.symbols(scan)
        )
        if scan.ah > 0 and scan.ss > 0:
            bits += int(self.significance[scan.components[0]].counts[scan.ah, scan.ss : scan.se + 1].sum())
        elif scan.ah > 0:
            rows, columns = self.mcus(scan.components)
            for index in scan.components:
                h, v = self.sampling(scan.components, index)
                bits += rows * columns * h * v
        return bits
