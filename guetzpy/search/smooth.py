"""Search of smooth pictures, and the limit on the error of the mean colour of any picture.

A smooth picture, such as a gradient, has few AC coefficients in a block. The DC coefficients of all its
blocks can then be rounded to the same side, which changes the mean colour of the whole picture. Butteraugli
and SSIMULACRA 2 hardly count such a change. DC thresholds that differ from block to block (``dithered``) keep
the mean, while rounding to whole codes alone can change it by 0.9 codes of blue.

The scores of smooth pictures are not monotone in the distance of the tables. So a fixed set of encodes is
made, and the smallest file that meets the limits is taken. A larger distance has looser limits and at least
the same set, so that its file is never larger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from guetzpy.search.sizing import Measure

__all__ = ["MEAN_LIMIT", "Mean", "is_smooth", "mean_limit", "nearer", "reachable", "search"]

#: Codes by which the mean of a channel may differ from the reference's, up to distance 2. Beyond distance 2
#: the limit grows in proportion to the distance.
MEAN_LIMIT = 0.5

#: A picture is smooth if, with the tables of distance 1, a block has at most ``_AVERAGE`` AC coefficients of
#: half a step or more on average, and at most a share ``_EXCEPTIONS`` of the blocks has more than ``_MANY``.
#: (The luma of photographs has an average of at least 4.7, and 10 % of such blocks. A ramp of 256 codes over
#: 128 pixels has an average of 2.)
_AVERAGE, _MANY, _EXCEPTIONS = 3.0, 10, 0.01

#: Smallest difference of the DC of neighbouring blocks that counts as an edge: 12 codes. These are
#: counted because a drawing whose edges lie between blocks has no AC coefficients.
_EDGE = 96.0

#: Smallest and largest distance of the tables that are tried, and the largest multiple of the distance asked
#: for.
_FINEST, _COARSEST, _REACH = 0.1, 60.0, 8.0

#: Ratios of neighbouring distances, each with the number of pixels from which on it applies.
_RATIOS = ((3_000_000, 2.0), (700_000, 1.4), (0, 1.2))

#: Number of pixels from which on only the coarsest chroma sampling is tried.
_LARGE = 700_000

#: The search goes from coarse to fine tables. It ends after ``_PATIENCE`` groups in a row whose smallest file
#: is more than ``_OVER`` times as large as the best.
_PATIENCE, _OVER = 2, 1.2

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
    """The parameters of one encode of the fixed set. The encode depends on nothing else.

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


def _finest(candidates: Sequence[Candidate]) -> list[_Recipe]:
    """Return the parameters of the finest encodes, without dithered luma."""
    return [
        _Recipe(candidate, EncodeSettings(1.0, dither=dither, family=candidate.family).at_finest(bias))
        for bias in BIASES
        for candidate in candidates
        for dither in _dithers(candidate)
        if not dither[0]
    ]


def _dithers(candidate: Candidate) -> tuple[tuple[float, float], ...]:
    return _DITHERS if candidate.make().components == 3 else _DITHERS[::2]


def _recipes(candidates: Sequence[Candidate], distance: float, sparing: bool) -> list[list[_Recipe]]:
    """Return the fixed set, coarsest first, in groups of one distance.

    A larger distance asked for only adds encodes that are coarser than the others.
    """
    source = candidates[0].make()
    area = source.width * source.height
    ratio = next(ratio for pixels, ratio in _RATIOS if area >= pixels or sparing)
    if area >= _LARGE or sparing:
        candidates = candidates[-1:]
    dithers = _dithers(candidates[0])
    dithers = dithers[1:2] if sparing else dithers
    groups = [_finest(candidates)[:1] if sparing else _finest(candidates)]
    for number in range(int(log(_COARSEST / _FINEST) / log(ratio)) + 1):
        step = _FINEST * power(ratio, float(number))
        if step > _REACH * distance:
            break
        limits = sorted({tables.dc_limit(0.0), tables.dc_limit(step)})
        groups.append(
            [
                _Recipe(
                    candidate,
                    EncodeSettings(
                        step, dc_limit=limit, chroma_dc_limit=limit, dither=dither, family=candidate.family
                    ),
                    settled=not sparing,
                )
                for candidate in candidates
                for limit in (limits[:1] if sparing else limits)
                if limit <= tables.dc_limit(distance)
                for dither in dithers
            ]
        )
    return groups[::-1]


def search(
    candidates: Sequence[Candidate],
    judge: Judge,
    limits: Limits,
    mean: Mean,
    measure: Measure,
    check: Callable[[], None],
    *,
    reach: float = MEAN_LIMIT,
    sparing: bool = False,
) -> tuple[Evaluation, CodingSource]:
    """Return the smallest of a fixed set of encodes that meets the limits and has the right mean colour.

    If none meets the limits, the encode of smallest excess is returned, which is above 0.

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
    reach : float
        Result of :func:`reachable`: the error of the mean that is allowed in any case, in codes.
    sparing : bool
        Whether only a small set is tried, to save time.

    Returns
    -------
    Evaluation
        The encode with its scores.
    CodingSource
        The source that it was made from.
    """
    distance = limits.starting_distance()
    allowed = max(mean_limit(distance), reach)
    best: tuple[int, _Recipe, Evaluation] | None = None
    misses: list[_Miss] = []
    larger = 0
    for group in _recipes(candidates, distance, sparing):
        least = inf
        for recipe in group:
            if recipe.settings.dither[0] and misses and misses[-1].error <= MEAN_LIMIT:
                continue  # the same encode without dithered luma has the right mean already
            check()
            trial = recipe.make()
            codes = decode(recipe.source, trial)
            misses.append(_Miss(recipe, mean.error(codes)))
            if misses[-1].error > allowed:
                continue
            size = 0 if best is None else measure(trial, recipe.source)
            least = min(least, size)
            if best is not None and size >= best[0]:
                continue
            found = _scored(trial, codes, judge, limits)
            misses[-1] = replace(misses[-1], excess=found.excess)
            if found.excess <= 0.0:
                best = size or measure(trial, recipe.source), recipe, found
        # A group in which no encode has the right mean has no sizes.
        larger = larger + 1 if best is not None and _OVER * best[0] < least < inf else 0
        if larger >= _PATIENCE:
            break
    if best is not None:
        return best[2], best[1].source
    return _nearest(misses, judge, limits, measure)


@dataclass(frozen=True)
class _Miss:
    """An encode, the error of its mean in codes, and its excess, or inf if it was not scored."""

    recipe: _Recipe
    error: float
    excess: float = inf


def reachable(candidate: Candidate, judge: Judge, mean: Mean, check: Callable[[], None]) -> float:
    """Return the error of the mean colour, in codes, that has to be allowed for this picture at any distance.

    Some saturated colours cannot be coded exactly. The finest encode with the best scores can then have a
    larger error of the mean than other encodes. The result is the smallest error among the finest encodes
    whose distance is at most 1, or at most the smallest distance of all.
    """
    seen: list[tuple[float, float]] = []
    for recipe in _finest([candidate]):
        check()
        codes = decode(recipe.source, recipe.make())
        error = mean.error(codes)
        if error <= MEAN_LIMIT:
            return MEAN_LIMIT
        seen.append((judge.scores(codes).distance, error))
    nearest = max(1.0, min(distance for distance, _ in seen))
    return min(error for distance, error in seen if distance <= nearest)


def _scored(trial: Trial, codes: npt.NDArray[np.uint8], judge: Judge, limits: Limits) -> Evaluation:
    scores = judge.scores(codes)
    return Evaluation(trial, scores, limits.excess(scores))


def _nearest(
    misses: list[_Miss], judge: Judge, limits: Limits, measure: Measure
) -> tuple[Evaluation, CodingSource]:
    """Return the encode of smallest excess among those with an allowed mean; of equals, the smallest file."""
    least = min(miss.excess for miss in misses)
    if least == inf:  # no encode has an allowed mean: take the one whose mean is nearest
        misses = [min(misses, key=lambda miss: miss.error)]
    recipe = min(
        (miss.recipe for miss in misses if miss.excess <= least),
        key=lambda recipe: measure(recipe.make(), recipe.source),
    )
    trial = recipe.make()
    return _scored(trial, decode(recipe.source, trial), judge, limits), recipe.source


def nearer(
    found: Evaluation, source: CodingSource, limits: Limits, other: Selected, mean: Mean, reach: float
) -> Selected:
    """Return another search's result if its mean colour is allowed and it misses the limits less.

    Otherwise return ``found``, with the limits relaxed to its scores. The mean colour comes first, because
    people see its change on a gradient.
    """
    error = mean.error(decode(other.source, other.found.trial))
    allowed = max(mean_limit(limits.starting_distance()), reach)
    if error <= allowed and (other.relaxed is None or other.found.scores.distance < found.scores.distance):
        return other
    return Selected(found, source, limits.relaxed(found.scores))
