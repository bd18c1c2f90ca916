"""Write coefficients as a JPEG file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from guetzpy._runtime.threads import each
from guetzpy.jpeg import scans
from guetzpy.jpeg.entropy.encode import encode_scan
from guetzpy.jpeg.entropy.scan_statistics import ScanStatistics
from guetzpy.jpeg.entropy.script_search import SEARCHED_LEVELS
from guetzpy.jpeg.entropy.tables import PlannedScan, plan_tables
from guetzpy.jpeg.markers import (
    EOI,
    SOF0,
    SOF1,
    SOF2,
    SOI,
    FrameComponent,
    FrameHeader,
    ScanComponent,
    ScanParameters,
    dht_segment,
    dqt_segment,
    dri_segment,
    segment,
    sof_segment,
    sos_segment,
)
from guetzpy.jpeg.metadata.policy import is_cut_short
from guetzpy.jpeg.structure import JpegImage, ScanHeader

__all__ = ["write"]

# The planned sizes only estimate stuffing. If two plans differ by less than this share, both are coded.
_DOUBT = 0.005


def write(
    image: JpegImage,
    *,
    script: Literal["auto", "sequential"] | Sequence[ScanHeader] = "auto",
    restart_interval: int = 0,
    threads: int | None = None,
) -> bytes:
    """Write an image in as few bytes as Huffman coding with the given script allows.

    Parameters
    ----------
    image : JpegImage
        Coefficients, tables and metadata. Its ``scans``, ``sof`` and ``restart_interval`` describe the file
        that was read and have no effect.
    script : "auto", "sequential" or sequence of ScanHeader
        "auto" takes the smaller of the sequential script and the best progressive script found.
    restart_interval : int
        MCUs of each scan between restart markers, 0..65535; 0 for no markers.
    threads : int, optional
        As in :func:`guetzpy._runtime.threads.each`. The bytes do not depend on it.

    Returns
    -------
    bytes
        SOI, ``image.segments``, DQT, SOF, scans, EOI, ``image.trailing``. The frame is SOF0 for sequential
        scripts (SOF1 if a quantiser step exceeds 255) and SOF2 for progressive ones.

    Raises
    ------
    UnsupportedError
        If a coefficient is too large for any Huffman symbol (size 16).
    ValueError
        If the image is not consistent, or the script is not legal for it.
    """
    _check_image(image)
    if not 0 <= restart_interval <= 0xFFFF:
        raise ValueError("restart_interval must lie in 0..65535")
    if script == "auto":
        statistics = ScanStatistics(image, SEARCHED_LEVELS + 1, restart_interval, threads)
        plans = scans.candidates(statistics, threads)
        if scans.total_bytes(plans[1]) > (1 + _DOUBT) * scans.total_bytes(plans[0]):
            plans.pop()
    else:
        headers = scans.sequential_script(image) if isinstance(script, str) else list(script)
        scans.check_script(image, headers)
        levels = max(header.al for header in headers) + 2
        statistics = ScanStatistics(image, levels, restart_interval, threads)
        statistics.count(headers, threads)
        plans = [plan_tables(statistics, headers)]
    return min((_file(statistics, plan, threads) for plan in plans), key=len)


def _file(statistics: ScanStatistics, planned: Sequence[PlannedScan], threads: int | None) -> bytes:
    """Code the planned scans and return the file."""
    image = statistics.image
    coded: dict[int, bytes] = {}

    def encode(number: int) -> None:
        scan = planned[number]
        coded[number] = encode_scan(statistics, scan.header, scan.tables, threads=threads)

    # The longest scan begins first, so that it does not run alone at the end.
    each(encode, sorted(range(len(planned)), key=lambda number: -planned[number].bits), threads)
    parts = [_headers(image, scans.is_sequential([s.header for s in planned]), statistics.restart_interval)]
    for number, scan in enumerate(planned):
        parts += [_scan_header(image, scan), coded[number]]
    return b"".join([*parts, bytes((0xFF, EOI)), image.trailing])


def _check_image(image: JpegImage) -> None:
    if not 1 <= len(image.components) <= 4:
        raise ValueError(f"1 to 4 components, not {len(image.components)}")
    if not (1 <= image.width <= 0xFFFF and 1 <= image.height <= 0xFFFF):
        raise ValueError(f"no JPEG is {image.width} x {image.height} pixels")
    if any(map(is_cut_short, image.segments)):
        raise ValueError("a JFIF or Adobe segment is cut short, which Pillow refuses to read")
    for index, component in enumerate(image.components):
        height, width = image.component_size(index)
        if component.coefficients.shape != (-(-height // 8), -(-width // 8), 64):
            raise ValueError(f"component {index}: {component.coefficients.shape} is no shape for its size")
        if component.coefficients.dtype != np.int16:
            raise ValueError(f"component {index}: coefficients must be int16")
        if component.qtable.shape != (64,) or component.qtable.min() < 1:
            raise ValueError(f"component {index}: 64 quantiser steps of at least 1 are needed")


def _headers(image: JpegImage, sequential: bool, restart_interval: int) -> bytes:
    """Return the bytes before the first scan: SOI, APPn and COM segments, DQT, SOF and DRI."""
    head = bytes((0xFF, SOI)) + b"".join(segment(item.marker, item.payload) for item in image.segments)
    tables: list[bytes] = []
    unique = []
    slots = []
    for component in image.components:
        key = component.qtable.tobytes()
        if key not in tables:
            unique.append((len(tables), component.qtable))
            tables.append(key)
        slots.append(tables.index(key))
    wide = any(int(table.max()) > 255 for _, table in unique)
    frame = FrameHeader(
        (SOF1 if wide else SOF0) if sequential else SOF2,
        8,
        image.height,
        image.width,
        tuple(
            FrameComponent(c.identifier, c.h, c.v, slot)
            for c, slot in zip(image.components, slots, strict=True)
        ),
    )
    restarts = dri_segment(restart_interval) if restart_interval else b""
    return head + dqt_segment(unique) + sof_segment(frame) + restarts


def _scan_header(image: JpegImage, scan: PlannedScan) -> bytes:
    header = scan.header
    components = tuple(
        ScanComponent(image.components[index].identifier, td, ta)
        for index, (td, ta) in zip(header.components, scan.slots, strict=True)
    )
    tables = dht_segment(scan.definitions) if scan.definitions else b""
    return tables + sos_segment(ScanParameters(components, header.ss, header.se, header.ah, header.al))
