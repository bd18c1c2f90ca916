"""Encode a gain map anew, as coarsely as the distance of the HDR rendition allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from guetzpy._runtime.exact_math import exp, log
from guetzpy.gainmap.rendition import Judge
from guetzpy.jpeg.metadata.policy import without_marks
from guetzpy.jpeg.structure import JpegImage
from guetzpy.jpeg.table_mark import marked
from guetzpy.jpeg.transcode import bare
from guetzpy.jpeg.writer import write
from guetzpy.picture.pillow import jpeg_samples
from guetzpy.search.coding.encoder import Trial, decode, encode
from guetzpy.search.coding.encoder import image as image_of
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import PlaneSource
from guetzpy.search.coding.tables import TableFamily
from guetzpy.search.quality.limits import COARSEST, FINEST
from guetzpy.search.root import Root

__all__ = ["Encoded", "Style", "encoded"]

#: Increase of the rendition's log distance per unit of the tables' log distance; 0.6 to 1.8 over four maps.
_SLOPE = 1.1

#: The search starts with tables of this multiple of the requested distance. Four maps just meet that distance
#: with tables of 1 to 4 times.
_START = 2.0

#: The search ends if the distance of a rendition is below the requested one by at most this share.
_TOLERANCE = 0.04

#: Smallest distance of a rendition that is distinguished from 0.
_LEAST = 1e-3


@dataclass(frozen=True)
class Style:
    """How the file is written.

    Attributes
    ----------
    script : "auto" or "sequential"
        As for :func:`guetzpy.jpeg.writer.write`.
    mark : float or None
        Distance in the mark by which a second run knows the map; None for no mark.
    threads : int or None
        Number of threads; None: the processors available.
    """

    script: Literal["auto", "sequential"] = "auto"
    mark: float | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Encoded:
    """A gain map that was encoded anew: its file, and the distance of the HDR rendition that it gives."""

    data: bytes
    distance: float


def encoded(
    image: JpegImage,
    judge: Judge,
    distance: float,
    families: Sequence[TableFamily],
    evaluations: int,
    style: Style = Style(),
    check: Callable[[], None] = lambda: None,
) -> Encoded | None:
    """Return the smallest file of a gain map whose HDR rendition has at most a distance.

    Parameters
    ----------
    image : JpegImage
        The gain map: gray or YCbCr, complete.
    judge : Judge
        Scores against the rendition with the original gain map.
    distance : float
        Largest distance of the HDR rendition.
    families : sequence of TableFamily
        Table families to try.
    evaluations : int
        Number of encodes that are scored for each family.
    style : Style
        How the file is written.
    check : callable
        Called between evaluations; it raises an exception to end the search.

    Returns
    -------
    Encoded or None
        None if no encode that was tried has at most the distance.
    """
    source = _source(image, style.threads)
    best: Encoded | None = None
    for family in families:
        found = _coarsest(source, judge, distance, EncodeSettings(1.0, family=family), evaluations, check)
        if found is None:
            continue
        trial, reached = found
        data = _file(image, source, trial, style)
        shown = jpeg_samples(bare(data))
        # A decoder must show the codes that were scored.
        if (best is None or len(data) < len(best.data)) and np.array_equal(shown, decode(source, trial)):
            best = Encoded(data, reached)
    return best


def _source(image: JpegImage, threads: int | None) -> PlaneSource:
    """Return the map's own coefficients. Luma does not compensate for chroma: a map's codes are not light."""
    own = tuple(c.coefficients.astype(np.float32) * c.qtable.astype(np.float32) for c in image.components)
    luma = image.components[0]
    sampling = (luma.h, luma.v) if len(own) > 1 else (1, 1)
    return PlaneSource(image.width, image.height, own, sampling, threads)


def _coarsest(
    source: PlaneSource,
    judge: Judge,
    distance: float,
    settings: EncodeSettings,
    evaluations: int,
    check: Callable[[], None],
) -> tuple[Trial, float] | None:
    """Return the coarsest trial within the distance, and its distance; None if none is within it."""
    best: tuple[Trial, float] | None = None
    low, high = log(FINEST), log(COARSEST)
    root = Root(_SLOPE, _TOLERANCE)
    x = log(_START * distance)
    settings = settings.priced(encode(source, settings.at(exp(x))).rates)
    for _ in range(evaluations):
        check()
        trial = encode(source, settings.at(exp(x)))
        settings = settings.priced(trial.rates)
        reached = judge.scores(decode(source, trial)).distance
        excess = log(max(reached, _LEAST) / distance)
        if excess <= 0.0 and (best is None or trial.distance > best[0].distance):
            best = trial, reached
        root = root.with_point(x, excess)
        following = min(max(root.propose(), low), high)
        if root.done or root.hopeless or following in [point for point, _ in root.points]:
            break
        x = following
    return best


def _file(image: JpegImage, source: PlaneSource, trial: Trial, style: Style) -> bytes:
    coded = image_of(source, trial, without_marks(image.segments))
    if style.mark is not None:
        coded = marked(coded, style.mark)
    return write(replace(coded, trailing=image.trailing), script=style.script, threads=style.threads)
