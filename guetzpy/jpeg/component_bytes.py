"""Split the bytes of an interleaved scan among its components, by the codes of the scan's Huffman tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.anatomy import Scan
from guetzpy.jpeg.structure import NATURAL_ORDER, Component, JpegImage

__all__ = ["scan_shares"]

Integers = npt.NDArray[np.int64]


def scan_shares(image: JpegImage, number: int, scan: Scan, restart_interval: int = 0) -> list[int]:
    """Split the entropy-coded bytes of a scan among its components.

    Parameters
    ----------
    image : JpegImage
        The image that ``reader.read`` returned for the file with this scan.
    number : int
        Number of the scan in the file, from 0.
    scan : Scan
        The same scan, from :func:`guetzpy.jpeg.anatomy.survey`.
    restart_interval : int
        MCUs in a restart interval; 0 for no restart markers.

    Returns
    -------
    list of int
        Bytes of each component, in the order of the scan's header; their sum is the scan's size. Bits that
        belong to no component (stuffing, restart markers, padding blocks) are distributed in proportion.
    """
    header = image.scans[number]
    if len(header.components) == 1:
        return [scan.size]
    bits = []
    for place, index in enumerate(header.components):
        component, slots = image.components[index], scan.header.components[place]
        if header.ah:
            bits.append(component.coefficients[..., 0].size)  # a DC refinement scan has one bit per block
            continue
        count = _dc_bits(image, component, header.al, scan.huffman[0, slots.td].lengths(), restart_interval)
        if header.se:
            count += _ac_bits(component, scan.huffman[1, slots.ta].lengths())
        bits.append(count)
    return _in_proportion(scan.size, bits)


def _sizes(values: Integers) -> Integers:
    """Return the number of bits of the magnitudes (T.81 F.1.2.1, category SSSS)."""
    return np.ceil(np.log2(np.abs(values) + 1.0)).astype(np.int64)  # exact for magnitudes below 2^52


def _dc_bits(image: JpegImage, component: Component, al: int, lengths: Integers, interval: int) -> int:
    """Return the bits of a component's DC codes in the order of MCUs (T.81 A.2.3).

    Padding blocks repeat the DC of the component's last row or column here. In the file they may differ.
    """
    h, v = component.h, component.v
    dc = component.coefficients[..., 0].astype(np.int64) >> al
    rows, columns = -(-image.height // (8 * image.v_max)), -(-image.width // (8 * image.h_max))
    dc = np.pad(dc, ((0, rows * v - dc.shape[0]), (0, columns * h - dc.shape[1])), mode="edge")
    units = dc.reshape(rows, v, columns, h).transpose(0, 2, 1, 3).reshape(rows * columns, v * h)
    before = np.concatenate([[0], units.ravel()[:-1]]).reshape(units.shape)
    if interval:
        before[::interval, 0] = 0
    sizes = _sizes(units - before)
    return int((lengths[sizes] + sizes).sum())


def _ac_bits(component: Component, lengths: Integers) -> int:
    """Return the bits of a component's AC codes, including EOB and ZRL (T.81 F.1.2.2)."""
    blocks = component.coefficients.reshape(-1, 64)[:, NATURAL_ORDER]
    block, place = np.nonzero(blocks[:, 1:])
    values = blocks[block, place + 1].astype(np.int64)
    first = np.ones(len(block), bool)
    first[1:] = block[1:] != block[:-1]
    previous = np.concatenate([[-1], place[:-1]]) if len(place) else place
    runs = place - np.where(first, -1, previous) - 1
    sizes = _sizes(values)
    bits = lengths[(runs & 15) << 4 | sizes] + sizes + (runs >> 4) * lengths[0xF0]
    full = int((blocks[:, 63] != 0).sum())
    return int(bits.sum()) + (len(blocks) - full) * int(lengths[0])


def _in_proportion(whole: int, parts: Sequence[int]) -> list[int]:
    """Split an integer in proportion to weights; the parts are integers and their sum is ``whole``."""
    total, shares, done, spent = sum(parts), [], 0, 0
    for part in parts:
        done += part
        share = whole * done // total if total else 0
        shares.append(share - spent)
        spent = share
    return shares
