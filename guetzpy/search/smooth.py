"""Search of smooth pictures, and the limit on the error of the mean colour of any picture.

A smooth picture, such as a gradient, has few AC coefficients in a block. The DC coefficients of all its
blocks can then be rounded to the same side, which changes the mean colour of the whole picture. Butteraugli
and SSIMULACRA 2 hardly count such a change. DC thresholds that differ from block to block (``dithered``) keep
the mean. Without them, rounding to whole codes can change the mean of blue by 0.9 codes.

Neither the scores of smooth pictures nor their sizes are monotone in the distance of the tables. So a fixed
set of encodes is made, and the smallest file that meets the limits is taken. A larger distance has looser
limits, and its set contains that of a smaller distance, so that its file is never larger. This holds only if
the set does not depend on the limits. So no encode is left out because a smaller file was found before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import log, power
from guetzpy.jpeg.pixels import fractions
from guetzpy.search.candidates import Candidate
from guetzpy.search.coding import tables
from guetzpy.search.coding.encoder import Trial, decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource, PlaneSource
from guetzpy.search.evaluation import Evaluation, Selected
from guetzpy.search.finest import BIASES
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores
from guetzpy.search.sizing import Measure

__all__ = ["MEAN_LIMIT", "Mean", "is_linear", "is_smooth", "mean_limit", "search"]

#: Codes by which the mean of a channel may differ from the reference's, up to distance 2. Beyond distance 2
#: the limit grows in proportion to the distance.
MEAN_LIMIT = 0.5

#: The finest encode of smallest distance may have a wrong mean colour. One whose mean is within
#: ``MEAN_LIMIT`` is taken instead if its distance is at most this, or at most twice the smallest one. If
#: there is none, the smallest error of a mean within twice the smallest distance is allowed. Example: pure
#: red is coded as (255, 1, 1), at distance 0.16. A pattern of two codes has a smaller error of the mean,
#: 0.85, but is at distance 0.93.
_NEAR = 1.0

#: A picture is smooth if, with the tables of distance 1, a block has at most ``_AVERAGE`` AC coefficients of
#: half a step or more on average, and at most a share ``_EXCEPTIONS`` of the blocks has more than ``_MANY``.
#: (The luma of photographs has an average of at least 4.7, and 10 % of such blocks. A ramp of 256 codes over
#: 128 pixels has an average of 2.)
_AVERAGE, _MANY, _EXCEPTIONS = 3.0, 10, 0.01

#: Smallest difference of the DC of neighbouring blocks that counts as an edge: 12 codes. Edges are counted
#: because a drawing whose edges lie between blocks has no AC coefficients.
_EDGE = 96.0

#: Largest second difference, in codes, of a linear ramp after rounding to 8 bits.
_ROUNDING = 2.0

#: Smallest and largest distance of the tables that are tried besides the finest. The largest distance is also
#: at most _REACH times the requested distance, or _REACH if that is below 1.
_FINEST, _COARSEST, _REACH = 0.3, 60.0, 8.0

#: Ratios of consecutive distances, each with the number of pixels from which it applies.
_RATIOS = ((3_000_000, 2.0), (700_000, 1.4), (0, 1.2))

#: Number of pixels from which only the coarsest chroma sampling is tried.
_LARGE = 700_000

#: Codes added to the luma, besides ``BIASES``. If dithered luma has only two codes, these additions move its
#: mean.
_FINER_BIASES = (0.25, -0.25)

#: Codes that are added to each component, in all combinations, if no other finest encode has the right mean
#: colour. Near the edge of the gamut a channel is clamped: (60, 31, 0) has Cb = 107.6, and the dither of 107
#: and 108 decodes to a mean of blue of 0.56. With these additions, all of 300 random saturated colours get
#: the right mean.
_EDGE_BIASES = (0.0, -0.5, 0.5)

#: Widths of the DC thresholds for luma and for chroma: no dither, chroma only, both.
_DITHERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0))


def is_smooth(source: PlaneSource) -> bool:
    """Return whether each component of a picture is smooth: see ``_AVERAGE`` and ``_EDGE``."""
    luma = source.coefficients[0][..., 0]
    edges = sum(int(np.count_nonzero(np.abs(np.diff(luma, axis=axis)) > _EDGE)) for axis in (0, 1))
    if edges > _EXCEPTIONS * luma.size:
        return False
    for c, coefficients in enumerate(source.coefficients):
        half = (0.5 * tables.steps(1.0, c, source.sampling == (2, 2))).astype(np.float32)
        half[0] = np.inf
        blocks = coefficients.reshape(-1, 64)
        total = many = 0
        for first in range(0, len(blocks), 65536):
            counts = np.count_nonzero(np.abs(blocks[first : first + 65536]) >= half, axis=1)
            total += int(counts.sum())
            many += int(np.count_nonzero(counts > _MANY))
            if many > _EXCEPTIONS * len(blocks):
                return False
        if total > _AVERAGE * len(blocks):
            return False
    return True


def is_linear(codes: npt.NDArray[Any]) -> bool:
    """Return whether a picture, shape (1|3, H, W), is a linear ramp along each row and column.

    The codes of a ramp may change by more from block to block than :func:`is_smooth` allows.
    """
    rows = max(3, 1_000_000 // codes.shape[2])
    for first in range(0, codes.shape[1], rows - 2):
        part = fractions(codes[:, first : first + rows])
        for axis in (1, 2):
            if np.abs(np.diff(part, 2, axis=axis)).max(initial=0.0) > _ROUNDING:
                return False
    return True


def mean_limit(distance: float) -> float:
    """Return the number of codes by which the mean of a channel may be off at a distance."""
    return MEAN_LIMIT * max(1.0, 0.5 * distance)


class Mean:
    """The mean colour of a reference.

    Parameters
    ----------
    codes : ndarray, shape (1|3, H, W)
        Codes of the reference: uint8, uint16, or float32 on the scale 0..255.
    """

    def __init__(self, codes: npt.NDArray[Any]) -> None:
        self._wanted = _means(codes)

    def error(self, codes: npt.NDArray[np.uint8]) -> float:
        """Return the largest error of the mean of a channel, in codes; ``codes`` is uint8 (1|3, H, W)."""
        return float(np.abs(_means(codes) - self._wanted).max())


def _means(codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    rows = max(1, 1_000_000 // codes.shape[2])
    sums: npt.NDArray[np.float64] = np.zeros(len(codes))
    for first in range(0, codes.shape[1], rows):
        sums += fractions(codes[:, first : first + rows]).sum(axis=(1, 2), dtype=np.float64)
    sums /= codes.shape[1] * codes.shape[2]
    return sums


@dataclass(frozen=True, eq=False)
class _Recipe:
    """The parameters of an encode of the fixed set (see the module). The encode depends on nothing else.

    Attributes
    ----------
    candidate : Candidate
        Source and table family.
    settings : EncodeSettings
        Settings without costs of symbols.
    settled : bool
        Whether a first encode provides the costs of symbols for a second one.
    """

    candidate: Candidate
    settings: EncodeSettings
    settled: bool = True

    @property
    def source(self) -> CodingSource:
        return self.candidate.make()

    def make(self) -> Trial:
        trial = encode(self.source, self.settings)
        if self.settled and not self.settings.finest:
            trial = encode(self.source, self.settings.priced(trial.rates))
        return trial.bare()


def _dithers(candidate: Candidate) -> tuple[tuple[float, float], ...]:
    return _DITHERS if candidate.make().components == 3 else _DITHERS[::2]


def _finest(candidates: Sequence[Candidate], few: bool) -> list[_Recipe]:
    """Return the parameters of the finest encodes."""
    return [
        _Recipe(candidate, EncodeSettings(1.0, dither=dither, family=candidate.family).at_finest(bias))
        for bias in (BIASES if few else (*BIASES, *_FINER_BIASES))
        for candidate in candidates
        for dither in (_dithers(candidate)[-2:-1] if few else _dithers(candidate))
    ]


def _at_the_edge(finest: Sequence[_Recipe]) -> list[_Recipe]:
    """Return finest encodes for colours at the edge of the gamut: see ``_EDGE_BIASES``."""
    first = next((recipe for recipe in finest if recipe.settings.dither == _DITHERS[1]), None)
    if first is None:
        return []
    return [
        replace(first, settings=replace(first.settings, bias=luma, chroma_bias=(cb, cr), dither=dither))
        for cb, cr, luma in product(_EDGE_BIASES, repeat=3)
        for dither in _DITHERS[1:]
        if cb or cr
    ]


def _recipes(candidates: Sequence[Candidate], distance: float, few: bool) -> Iterator[_Recipe]:
    """Yield the fixed set without the finest encodes, coarsest first.

    A larger requested distance only adds encodes. Up to distance 1 the set is the same.
    """
    source = candidates[0].make()
    area = source.width * source.height
    ratio = next(ratio for pixels, ratio in _RATIOS if area >= pixels or few)
    dithers = _dithers(candidates[0])
    dithers = dithers[1:2] if few else dithers
    for number in reversed(range(int(log(_COARSEST / _FINEST) / log(ratio)) + 1)):
        step = _FINEST * power(ratio, float(number))
        if step > _REACH * max(distance, 1.0):
            continue
        limits = sorted({tables.dc_limit(0.0), tables.dc_limit(step)})
        for candidate in candidates:
            for limit in limits[:1] if few else limits:
                if limit > tables.dc_limit(distance):
                    continue
                for dither in dithers:
                    settings = EncodeSettings(
                        step, dc_limit=limit, chroma_dc_limit=limit, dither=dither, family=candidate.family
                    )
                    yield _Recipe(candidate, settings, settled=not few)


@dataclass(frozen=True)
class _Floor:
    """The scores and the error of the mean colour that the finest encodes of a picture reach.

    Attributes
    ----------
    scores : Scores
        Scores of the encode of smallest distance among those whose mean colour is allowed.
    error : float
        Error of the mean colour, in codes, that has to be allowed for this picture at any distance. Some
        saturated colours cannot be coded exactly.
    """

    scores: Scores
    error: float


def _floor(
    finest: Sequence[_Recipe], judge: Judge, limits: Limits, mean: Mean, check: Callable[[], None]
) -> _Floor:
    """Return the best scores of the finest encodes, or those of the first one that meets the limits."""
    seen: list[tuple[Scores, float]] = []
    for recipe in finest:
        if _is_needless(recipe, seen[-1][1] if seen else inf):
            continue
        check()
        codes = decode(recipe.source, recipe.make())
        scores, error = judge.scores(codes), mean.error(codes)
        if error <= MEAN_LIMIT and scores.distance <= _NEAR and limits.met(scores):
            return _Floor(scores, MEAN_LIMIT)  # the other encodes would not change this error
        seen.append((scores, error))
    doubled = 2.0 * min(scores.distance for scores, _ in seen)
    reach = MEAN_LIMIT
    if not any(error <= MEAN_LIMIT and scores.distance <= max(_NEAR, doubled) for scores, error in seen):
        reach = min(error for scores, error in seen if scores.distance <= doubled)
    allowed = (scores for scores, error in seen if error <= reach)
    return _Floor(min(allowed, key=lambda scores: scores.distance), reach)


def _is_needless(recipe: _Recipe, error: float) -> bool:
    """Return whether an encode with dithered luma can be omitted.

    ``error`` is the error of the mean colour, in codes, of the encode before. That encode differs only in
    that its luma is not dithered. If its mean colour is right, the dither of luma is not needed.
    """
    return recipe.settings.dither == (1.0, 1.0) and error <= MEAN_LIMIT


def search(
    candidates: Sequence[Candidate],
    judge: Judge,
    limits: Limits,
    mean: Mean,
    measure: Measure,
    check: Callable[[], None],
    *,
    strict: bool,
    few: bool = False,
) -> Selected:
    """Return the smallest of a fixed set of encodes that meets the limits and has the right mean colour.

    Limits that no finest encode meets are relaxed to the scores of the one of smallest distance. These scores
    do not depend on the limits. In trials, no other encode had a distance that was smaller by more than 1 %.

    Parameters
    ----------
    candidates : sequence of Candidate
        Candidates of the picture, the finest chroma sampling first.
    judge : Judge
        Scores against the reference.
    limits : Limits
        Limits that the file has to meet.
    mean : Mean
        Mean colour of the reference.
    measure : callable
        Returns the size of a trial's file, in bytes.
    check : callable
        Called before each encode; it raises an exception to end the search.
    strict : bool
        Whether limits are never relaxed.
    few : bool
        Whether only few encodes are made, to save time.

    Raises
    ------
    TargetError
        No encode meets the limits, and ``strict`` is True.
    """
    source = candidates[0].make()
    if few or source.width * source.height >= _LARGE:
        candidates = candidates[-1:]
    distance = limits.starting_distance()
    finest = _finest(candidates, few)
    floor = _floor(finest, judge, limits, mean, check)
    if floor.error > MEAN_LIMIT:
        finest += _at_the_edge(finest)
        floor = _floor(finest, judge, limits, mean, check)
    relaxed = None if strict or limits.met(floor.scores) else limits.relaxed(floor.scores)
    wanted = relaxed or limits
    allowed = max(mean_limit(distance), floor.error)
    best: tuple[int, _Recipe, Scores] | None = None
    error = inf
    for recipe in (*_recipes(candidates, distance, few), *finest):
        if not few and _is_needless(recipe, error):
            continue
        check()
        trial = recipe.make()
        codes = decode(recipe.source, trial)
        error = mean.error(codes)
        if error > allowed:
            continue
        size = measure(trial, recipe.source)
        if best is None or size < best[0]:
            scores = judge.scores(codes)
            if wanted.met(scores):
                best = size, recipe, scores
    if best is None:
        raise limits.unmet(floor.scores)
    _, recipe, scores = best
    return Selected(Evaluation(recipe.make(), scores, wanted.excess(scores)), recipe.source, relaxed)
