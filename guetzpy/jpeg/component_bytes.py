"""What each component costs in a scan that several share, counted by the scan's own Huffman codes."""

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
        As read from the file that the scan is in.
    number : int
        Which scan it is, from 0.
    scan : Scan
        The same scan as :func:`guetzpy.jpeg.anatomy.survey` found it.
    restart_interval : int
        In MCUs; 0 for none.

    Returns
    -------
    list of int
        Bytes for each component of the scan's header, in its order; they add up to the scan's. Bits that
        belong to none (stuffing, restart markers, blocks of padding) are shared in proportion.
    """
    header = image.scans[number]
    if len(header.components) == 1:
        return [scan.size]
    bits = []
    for place, index in enumerate(header.components):
        component, slots = image.components[index], scan.header.components[place]
        if header.ah:
            bits.append(component.coefficients[..., 0].size)  # a refinement of DC: one bit a block
            continue
        count = _dc_bits(image, component, header.al, scan.huffman[0, slots.td].lengths(), restart_interval)
        if header.se:
            count += _ac_bits(component, scan.huffman[1, slots.ta].lengths())
        bits.append(count)
    return _in_proportion(scan.size, bits)


def _sizes(values: Integers) -> Integers:
    """Return the bits that values need without sign (T.81 F.1.2.1, category SSSS)."""
    return np.ceil(np.log2(np.abs(values) + 1.0)).astype(np.int64)  # exact below 2^52


def _dc_bits(image: JpegImage, component: Component, al: int, lengths: Integers, interval: int) -> int:
    """Count differences of DC in the order of MCUs (T.81 A.2.3); padding blocks repeat their neighbour."""
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
    """Count runs and values of AC, with their ends of block and runs of 16 zeros (T.81 F.1.2.2)."""
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
    """Split a whole number by weights, exactly."""
    total, shares, done, spent = sum(parts), [], 0, 0
    for part in parts:
        done += part
        share = whole * done // total if total else 0
        shares.append(share - spent)
        spent = share
    return shares
