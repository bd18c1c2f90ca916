"""Training pictures: which files of a folder are taken, and which part of each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.batch.discover import discover
from guetzpy.engine.loading import load
from guetzpy.errors import FormatError, GuetzpyError
from guetzpy.jpeg.pixels import fractions

__all__ = ["FOLD", "SMALLEST", "Picture", "digest", "find"]

#: Smallest side of a training picture in pixels: smaller pictures have no coarse scales for the metrics.
SMALLEST = 64

#: One picture of this many is held out: the fit does not use it, and the figures of the model come from it.
FOLD = 5


@dataclass(frozen=True, eq=False)
class Picture:
    """A part of a training picture.

    Attributes
    ----------
    name : str
        Name relative to the folder.
    codes : ndarray of uint8, shape (3, H, W)
        sRGB.
    held_out : bool
        Whether it is only measured.
    """

    name: str
    codes: npt.NDArray[np.uint8]
    held_out: bool


def find(
    folder: str, count: int, size: int, tell: Callable[[str], object] = lambda text: None
) -> tuple[Picture, ...]:
    """Return the middle parts of some pictures of a folder and its subfolders.

    Parameters
    ----------
    folder : str
        A folder, or a picture.
    count : int
        Number of pictures at most. They are taken at equal intervals from the pictures in the order of names.
    size : int
        Largest width and height of the parts in pixels.
    tell : callable
        Called with a sentence about each picture that is left out.

    Raises
    ------
    FormatError
        There are fewer than two pictures that can be opened.
    OSError
        The folder cannot be read.
    """
    tasks = sorted(discover([folder]).pictures, key=lambda task: task.relative)
    parts: list[tuple[str, npt.NDArray[np.uint8]]] = []
    for task in (tasks[n * len(tasks) // count] for n in range(count)) if len(tasks) > count else tasks:
        try:
            parts.append((task.relative, _part(task.input, size)))
        except GuetzpyError as error:
            tell(f"{task.relative}: left out: {error.reason}")
    if len(parts) < 2:
        raise FormatError(f"{folder}: {len(parts)} pictures; a model needs two or more")
    last = len(parts) - 1
    return tuple(
        Picture(name, codes, n % FOLD == FOLD - 1 or (n == last and last < FOLD - 1))
        for n, (name, codes) in enumerate(parts)
    )


def _part(path: str, size: int) -> npt.NDArray[np.uint8]:
    """Return the middle of a picture; its top row and left column are multiples of 16 pixels."""
    codes: npt.NDArray[Any] = load(path, convert_to_srgb=True, background="white").planes()
    height, width = codes.shape[1:]
    if min(height, width) < SMALLEST:
        raise FormatError(f"{width} x {height} pixels; each side must be {SMALLEST} or more")
    top, left = ((max(side - size, 0) // 32) * 16 for side in (height, width))
    part = codes[:, top : top + size, left : left + size]
    if part.dtype != np.uint8:
        part = np.floor(np.clip(fractions(part), 0, 255) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(part if len(part) == 3 else np.repeat(part, 3, axis=0))


def digest(pictures: tuple[Picture, ...]) -> str:
    """Return a hash of the names and codes of pictures, 64 hexadecimal digits."""
    total = hashlib.sha256()
    for picture in pictures:
        total.update(f"{picture.name}\0{picture.codes.shape}\0".encode())
        total.update(picture.codes.tobytes())
    return total.hexdigest()
