"""Scan scripts: the scans of a file, and the choice of the script with the fewest bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guetzpy.jpeg.entropy.scan_statistics import ScanStatistics
from guetzpy.jpeg.entropy.script_search import SEARCHED_LEVELS, search_script
from guetzpy.jpeg.entropy.tables import PlannedScan, plan_tables
from guetzpy.jpeg.structure import JpegImage, ScanHeader

__all__ = [
    "candidates",
    "check_script",
    "choose",
    "is_sequential",
    "plan",
    "sequential_script",
    "simple_progression",
    "total_bytes",
]


def is_sequential(script: Sequence[ScanHeader]) -> bool:
    """Return whether all scans of a script are sequential, so that the frame is SOF0 or SOF1."""
    return all((scan.ss, scan.se, scan.ah, scan.al) == (0, 63, 0, 0) for scan in script)


def _interleavable(image: JpegImage) -> bool:
    # T.81 B.2.3: at most ten blocks in an MCU.
    return len(image.components) == 1 or sum(c.h * c.v for c in image.components) <= 10


def _dc_groups(image: JpegImage) -> list[tuple[int, ...]]:
    """Return the components of each DC or sequential scan: all in one scan if T.81 allows it."""
    indices = tuple(range(len(image.components)))
    return [indices] if _interleavable(image) else [(index,) for index in indices]


def sequential_script(image: JpegImage) -> list[ScanHeader]:
    """Return the sequential script: one interleaved scan if the sampling factors allow it."""
    return [ScanHeader(components) for components in _dc_groups(image)]


def simple_progression(image: JpegImage) -> list[ScanHeader]:
    """Return a fixed progressive script.

    For three components it is the script of ``jpeg_simple_progression`` in libjpeg (jcparam.c). For other
    pictures every component is sent like the luma in that script.
    """
    indices = range(len(image.components))
    script = [ScanHeader(group, 0, 0, 0, 1) for group in _dc_groups(image)]
    if len(image.components) == 3:
        script += [ScanHeader((0,), 1, 5, 0, 2)]
        script += [ScanHeader((index,), 1, 63, 0, 1) for index in (2, 1)]
        script += [ScanHeader((0,), 6, 63, 0, 2), ScanHeader((0,), 1, 63, 2, 1)]
    else:
        script += [ScanHeader((index,), 1, 5, 0, 2) for index in indices]
        script += [ScanHeader((index,), 6, 63, 0, 2) for index in indices]
        script += [ScanHeader((index,), 1, 63, 2, 1) for index in indices]
    script += [ScanHeader(group, 0, 0, 1, 0) for group in _dc_groups(image)]
    script += [ScanHeader((index,), 1, 63, 1, 0) for index in reversed(indices)]
    return script


def check_script(image: JpegImage, script: Sequence[ScanHeader]) -> None:
    """Check that a script is legal and sends every coefficient of every component with all its bits.

    If a coefficient is never sent, libjpeg smooths the blocks even if the coefficient is zero, which changes
    pixels.

    Raises
    ------
    ValueError
        If a scan breaks a rule of T.81 (B.2.3, G.1.1.1) or a coefficient is not sent down to Al = 0.
    """
    count = len(image.components)
    if is_sequential(script):
        sent = sorted(index for scan in script for index in scan.components)
        if sent != list(range(count)):
            raise ValueError("a sequential script sends each component once")
    state = np.full((count, 64), -1)  # the point transform that each coefficient was sent at, -1 for none
    for scan in script:
        components = scan.components
        if not components or any(not 0 <= index < count for index in components):
            raise ValueError(f"{scan}: no such component")
        if list(components) != sorted(set(components)):
            raise ValueError(f"{scan}: components must be in the order of the frame")
        if (
            len(components) > 1
            and sum(image.components[i].h * image.components[i].v for i in components) > 10
        ):
            raise ValueError(f"{scan}: more than ten blocks in an MCU")
        if is_sequential(script):
            continue
        if not (0 <= scan.ss <= scan.se <= 63 and 0 <= scan.al <= 13 and scan.ah in (0, scan.al + 1)):
            raise ValueError(f"{scan}: parameters out of range")
        if (scan.ss == 0) != (scan.se == 0) or (scan.ss > 0 and len(components) > 1):
            raise ValueError(f"{scan}: DC and AC need separate scans, and AC scans have one component")
        part = state[list(components), scan.ss : scan.se + 1]
        if np.any(part != (scan.ah if scan.ah else -1)) or (
            scan.ss > 0 and np.any(state[components[0], 0] < 0)
        ):
            raise ValueError(f"{scan}: does not continue the scans before it")
        state[list(components), scan.ss : scan.se + 1] = scan.al
    if not is_sequential(script) and np.any(state != 0):
        raise ValueError("the script does not send every coefficient in full")


def candidates(statistics: ScanStatistics, threads: int | None = None) -> list[list[PlannedScan]]:
    """Return the planned scans of the sequential and of the best progressive script, the smaller first.

    Parameters
    ----------
    statistics : ScanStatistics
        Statistics of the image, with at least ``SEARCHED_LEVELS + 1`` levels.
    threads : int, optional
        As in :func:`guetzpy._runtime.threads.each`; the result does not depend on it.
    """
    scripts = [search_script(statistics, threads), sequential_script(statistics.image)]
    return sorted((plan_tables(statistics, script) for script in scripts), key=total_bytes)


def total_bytes(planned: Sequence[PlannedScan]) -> float:
    """Return the bytes of all scans with their headers and tables, as ``PlannedScan.bytes``."""
    return sum(scan.bytes for scan in planned)


def choose(image: JpegImage, *, threads: int | None = None) -> tuple[list[ScanHeader], float]:
    """Return the script with the fewest bytes, without coding any scan.

    Parameters
    ----------
    image : JpegImage
        The image to be written.
    threads : int, optional
        As in :func:`guetzpy._runtime.threads.each`; the result does not depend on it.

    Returns
    -------
    script : list of ScanHeader
        The best progressive script found, or the sequential script.
    size : float
        Bytes of the scans with their headers and Huffman tables, without the rest of the file. It is exact
        except for the zeros stuffed after 0xFF, which are estimated to about 0.1 %.
    """
    best = candidates(ScanStatistics(image, SEARCHED_LEVELS + 1, threads=threads), threads)[0]
    return [scan.header for scan in best], total_bytes(best)


def plan(image: JpegImage, script: Sequence[ScanHeader], *, threads: int | None = None) -> list[PlannedScan]:
    """Return the scans of a script with their Huffman tables and exact bits, without coding any scan.

    A trellis takes the bits of its symbols from ``plan(...)[n].tables[c][1].lengths()``, int64 (256,): the
    code length of each AC run/size or EOBn symbol in scan n, for the c-th component of the scan; 0 for
    symbols that do not occur. The magnitude bits (``AC_EXTRA_BITS``) must be added. Index 0 instead of 1
    gives the DC categories.

    Raises
    ------
    ValueError
        If the script is not legal.
    """
    check_script(image, script)
    levels = max(scan.al for scan in script) + 2
    return plan_tables(ScanStatistics(image, levels, threads=threads), script)
