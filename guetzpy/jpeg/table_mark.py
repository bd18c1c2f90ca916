"""A mark in the quantisation tables, which tells at which distance guetzpy encoded a file.

The step of a frequency whose coefficients are zero in all blocks changes no sample: 0 times any step is 0. A
table has 64 bytes for any steps, so a mark in such steps costs no bytes and no quality. It survives all
programs that keep the tables and coefficients: those that remove metadata, rewrite Huffman tables or change
between sequential and progressive scans.

Of all such frequencies, the eight that come last in zigzag order carry the mark. Two of their steps are the
distance in hundredths, to the base of 255. The other six are a keyed digest of the distance, the places of
the mark and all other steps that are in use. In a file without a mark, steps equal the digest by chance with
a probability of 255**-6, about 2**-48.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.metadata.policy import mark, read_mark
from guetzpy.jpeg.structure import NATURAL_ORDER, JpegImage

__all__ = ["marked", "marked_distance"]

_KEY = b"guetzpy table mark 1"

#: Number of steps for the distance and for the digest, and the number of values of a step.
_VALUE, _DIGEST, _BASE = 2, 6, 255

#: Largest distance of a mark, the same as that of a mark in a segment.
_LARGEST = 99


class _Tables(NamedTuple):
    """The different tables of an image, and what is known of their frequencies."""

    numbers: tuple[int, ...]  # of each component's table
    steps: npt.NDArray[np.int64]  # (tables, 64), zigzag order
    unused: npt.NDArray[np.bool_]  # (tables, 64): all coefficients are zero

    def places(self) -> list[tuple[int, int]]:
        """Return table and zigzag index of the steps of the mark; empty if there are too few."""
        found = sorted(np.argwhere(self.unused).tolist(), key=lambda place: (-place[1], place[0]))
        wanted = _VALUE + _DIGEST
        return [(int(t), int(k)) for t, k in found[:wanted]] if len(found) >= wanted else []

    def digest(self, places: Sequence[tuple[int, int]], value: Sequence[int]) -> list[int]:
        """Return the steps of a mark that hold the digest of its places, its value and the other steps."""
        used = np.where(self.unused, 0, self.steps).astype(">u2").tobytes()
        text = bytes(self.numbers) + used + bytes(number for place in places for number in place)
        hashed = hashlib.blake2s(text + bytes(value), key=_KEY).digest()
        number = int.from_bytes(hashed, "big")
        return [1 + number // _BASE**i % _BASE for i in range(_DIGEST)]


def marked(image: JpegImage, distance: float) -> JpegImage:
    """Return an image with a mark of ``distance``: in its tables, or in a segment if too many steps are used.

    Parameters
    ----------
    image : JpegImage
        Steps up to 255. It is not changed.
    distance : float
        0.01 to 99. It is rounded up to hundredths.

    Raises
    ------
    ValueError
        If the distance is out of range.
    """
    if not 0.01 <= distance <= _LARGEST:
        raise ValueError(f"distance {distance} is not between 0.01 and {_LARGEST}")
    tables = _tables(image)
    places = tables.places()
    hundredths = math.ceil(round(100 * distance, 6))
    value = [1 + hundredths // _BASE, 1 + hundredths % _BASE]
    if places:
        for (table, k), step in zip(places, [*value, *tables.digest(places, value)], strict=True):
            tables.steps[table, k] = step
        changed = np.empty_like(tables.steps)
        changed[:, NATURAL_ORDER] = tables.steps
        components = [
            replace(component, qtable=changed[number].astype(np.uint16))
            for number, component in zip(tables.numbers, image.components, strict=True)
        ]
        result = replace(image, components=components)
        if _in_tables(result) == hundredths / 100:
            return result
    return replace(image, segments=[*image.segments, mark(distance, image.segments)])


def marked_distance(image: JpegImage) -> float | None:
    """Return the largest distance of the marks in an image's tables and segments; None without a mark."""
    found = [value for value in (_in_tables(image), read_mark(image.segments)) if value is not None]
    return max(found, default=None)


def _in_tables(image: JpegImage) -> float | None:
    tables = _tables(image)
    places = tables.places()
    if not places:
        return None
    steps = [int(tables.steps[place]) for place in places]
    value = steps[:_VALUE]
    if max(steps) > _BASE or tables.digest(places, value) != steps[_VALUE:]:
        return None
    hundredths = _BASE * (value[0] - 1) + value[1] - 1
    return hundredths / 100 if 1 <= hundredths <= 100 * _LARGEST else None


def _tables(image: JpegImage) -> _Tables:
    different: dict[bytes, int] = {}
    numbers = [different.setdefault(c.qtable.tobytes(), len(different)) for c in image.components]
    steps = np.empty((len(different), 64), np.int64)
    unused = np.ones((len(different), 64), np.bool_)
    for number, component in zip(numbers, image.components, strict=True):
        blocks = component.coefficients.reshape(-1, 64)
        steps[number] = component.qtable[NATURAL_ORDER]
        unused[number] &= np.logical_not(np.any(blocks, axis=0))[NATURAL_ORDER]
    unused[:, 0] = False  # padding blocks, which a reader may not see, repeat DC
    return _Tables(tuple(numbers), steps, unused)
