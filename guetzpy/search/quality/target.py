"""Targets: what the user requests of a file, as limits of the metrics or as a size in bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg import pixels
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits

__all__ = ["Goal", "Picture", "Target", "register", "target", "unregister"]


@dataclass(frozen=True, eq=False)
class Goal:
    """What a file must meet: limits, or a size; one of the two is None.

    Attributes
    ----------
    limits : Limits or None
        Limits of the metrics.
    size : int or None
        Largest size of the whole file, in bytes.
    exact : bool
        Whether limits that the format cannot meet are always an error, not only with ``strict``.
    """

    limits: Limits | None = None
    size: int | None = None
    exact: bool = False


@dataclass(frozen=True, eq=False)
class Picture:
    """Data of a picture from which a target may compute its goal.

    Attributes
    ----------
    area : int
        Pixels.
    codes : ndarray, shape (1|3, H, W), or None
        The reference; None before it is decoded.
    judge : Judge or None
        Judge of files against the reference.
    """

    area: int
    codes: npt.NDArray[Any] | None = None
    judge: Judge | None = None


@dataclass(frozen=True)
class Target:
    """A kind of target, such as a distance or a size in bytes.

    Attributes
    ----------
    name : str
        Name, as in ``OptimizeOptions.target``.
    goal : callable
        ``goal(value, picture)`` returns the goal for a value.
    needs_pixels : bool
        Whether the goal depends on the picture's codes.
    """

    name: str
    goal: Callable[[float, Picture], Goal]
    needs_pixels: bool = False


_targets: dict[str, Target] = {}


def register(target: Target) -> None:
    """Register a target; raise ValueError if another has its name."""
    if target.name in _targets:
        raise ValueError(f"a target named {target.name} is registered already")
    _targets[target.name] = target


def unregister(name: str) -> None:
    """Remove a target; raise KeyError if there is none of that name."""
    del _targets[name]


def target(name: str) -> Target:
    """Return a target by name; KeyError if there is none."""
    return _targets[name]


def _distance(value: float, picture: Picture) -> Goal:
    return Goal(Limits.at_distance(value))


def _score(name: str, value: float, picture: Picture) -> Goal:
    return Goal(Limits.of({name: value}), exact=True)


def _bytes(value: float, picture: Picture) -> Goal:
    return Goal(size=int(value))


def _bits_a_pixel(value: float, picture: Picture) -> Goal:
    return Goal(size=max(int(value * picture.area / 8), 1))


def _quality(value: float, picture: Picture) -> Goal:
    """Return the scores of Pillow's own file of this picture as limits."""
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    codes, judge = picture.codes, picture.judge
    assert codes is not None
    assert judge is not None
    samples = codes
    if codes.dtype != np.uint8:
        samples = np.floor(np.clip(pixels.fractions(codes), 0, 255) + np.float32(0.5)).astype(np.uint8)
    image = Image.fromarray(samples[0] if len(samples) == 1 else samples.transpose(1, 2, 0).copy())
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(value))
    with JpegImageFile(io.BytesIO(file.getvalue())) as shown:
        decoded = np.asarray(shown)
    planes = decoded[None] if decoded.ndim == 2 else decoded.transpose(2, 0, 1)
    return Goal(Limits.of_scores(judge.scores(np.ascontiguousarray(planes))))


for _target in (
    Target("distance", _distance),
    Target("butteraugli", partial(_score, "butteraugli")),
    Target("ssimulacra2", partial(_score, "ssimulacra2")),
    Target("quality", _quality, needs_pixels=True),
    Target("max_bytes", _bytes),
    Target("bpp", _bits_a_pixel),
):
    register(_target)
