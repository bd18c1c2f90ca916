"""Helpers of the tests of the bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from bench import (
    corpus,
    curves,
)


def photo(height: int = 176, width: int = 184) -> corpus.Picture:
    """Return a part of a photo."""
    return np.ascontiguousarray(corpus.Named("coffee").read()[60 : 60 + height, 150 : 150 + width])


def points(bytes_at: dict[float, float], metric: str = "ssimulacra2") -> curves.Points:
    return [{"setting": q, "bytes": b, metric: q} for q, b in bytes_at.items()]


def saved(folder: Path, *pictures: corpus.Picture) -> list[corpus.Named]:
    """Write pictures to a folder and return them by name."""
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return corpus.pictures(folder)
