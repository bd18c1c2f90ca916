"""Checks of the arrays that a model file holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from guetzpy.errors import FormatError

__all__ = ["Expected", "checked"]


class Expected(NamedTuple):
    """What an array of a model must be.

    Attributes
    ----------
    shape : tuple of (int or None)
        Its shape; None stands for any length.
    low, high : float
        Range of its values, both ends included.
    dtype : str
        Its dtype, in little-endian byte order.
    """

    shape: tuple[int | None, ...]
    low: float
    high: float
    dtype: str = "float64"


def checked(
    arrays: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, Expected]
) -> dict[str, npt.NDArray[Any]]:
    """Return read-only copies of the arrays of a part of a model.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The arrays of the file that begin with the part's prefix, by name.
    expected : mapping of str to Expected
        The names that the part must have, and no others.

    Raises
    ------
    FormatError
        A name is missing or unknown, or an array has another dtype or shape, or a value that is not finite or
        out of range. The message names the array.
    """
    for name in arrays:
        if name not in expected:
            raise FormatError(f"unknown array {name}")
    result = {}
    for name, (shape, low, high, dtype) in expected.items():
        if name not in arrays:
            raise FormatError(f"the array {name} is missing")
        found = arrays[name]
        if found.dtype != np.dtype(dtype):
            raise FormatError(f"the array {name} has the dtype {found.dtype}, not {dtype}")
        if len(found.shape) != len(shape) or any(
            wanted not in (None, length) for wanted, length in zip(shape, found.shape, strict=True)
        ):
            raise FormatError(f"the array {name} has the shape {found.shape}, not {shape}")
        if not bool(np.all((found >= low) & (found <= high))):  # false for NaN as well
            raise FormatError(f"the array {name} has values that are not between {low:g} and {high:g}")
        result[name] = np.array(found, order="C")
        result[name].flags.writeable = False
    return result
