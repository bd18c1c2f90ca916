"""Smooth pictures: gradients that take a few coefficients a block, and the mean colour of any picture.

In a gradient all blocks may share the remainder of a DC coefficient that its step leaves, so that rounding
shifts the colour of the whole picture, which neither metric minds much. A threshold that differs from block
to block (``dithered``) makes the mean right, where whole codes alone may miss it by 0.9 levels of blue.

Scores of gradients also jump from one table to the next, in both directions. A fixed set of encodes, of which
the smallest that meets the limits is taken, gives no larger file at a larger distance: of the set, no less
meets looser limits.
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

__all__ = ["MEAN_LIMIT", "Mean", "is_smooth", "mean_limit", "reachable", "search", "selected"]

#: Levels by which the mean of a channel may be off up to distance 2; beyond, in proportion to the distance.
MEAN_LIMIT = 0.5

#: A picture is smooth if at distance 1 a block has at most so many AC coefficients of half a step or more on
#: average, and a hundredth of the blocks at most has more than ten. (Photographs have 4.7 of luma at least on
#: average, and 10 % of such blocks; a ramp of 256 levels over 128 pixels has 2.)
_AVERAGE, _MANY, _EXCEPTIONS = 3.0, 10, 0.01

#: Ends of the tables' distances that are tried, and how many times the distance asked for they may be.
_FINEST, _COARSEST, _REACH = 0.1, 60.0, 8.0

#: Ratio of neighbouring distances, by pixels from which on it holds.
_RATIOS = ((3_000_000, 2.0), (700_000, 1.4), (0, 1.2))

#: Pixels from which on only the coarsest sampling is tried.
_LARGE = 700_000

#: The search ends after so many groups of encodes, each finer than the one before, that are this many times
#: larger than the best.
_PATIENCE, _OVER = 2, 1.2

#: Widths of the thresholds for luma and for chroma: none, chroma alone, all.
_DITHERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0))


def is_smooth(source: PlaneSource) -> bool:
    """Return whether a picture is a gradient, or less, in each component."""
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
    """Return the levels by which the mean of a channel may be off at a distance."""
    return MEAN_LIMIT * max(1.0, 0.5 * distance)


class Mean:
    """The mean colour of a picture.

    Parameters
    ----------
    codes : ndarray, shape (1|3, H, W)
        The reference: uint8, uint16, or float32 on the scale of 0 to 255.
    """

    def __init__(self, codes: npt.NDArray[Any]) -> None:
        self._wanted = _means(codes)

    def error(self, codes: npt.NDArray[np.uint8]) -> float:
        """Return by how many levels the mean of the worst channel of ``codes`` is off."""
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
    """How one encode of the fixed set is made; it depends on nothing else.

    Attributes
    ----------
    candidate : Candidate
        The source.
    settings : EncodeSettings
        Without costs of symbols.
    settled : bool
        Whether an encode before tells the costs of symbols.
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
    """Return the finest encodes; luma is not dithered."""
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
    """Return the set, the coarsest first, in groups of one distance.

    What a larger distance adds to it is coarser than all the rest.
    """
    source = candidates[0].make()
    area = source.width * source.height
    ratio = next(ratio for pixels, ratio in _RATIOS if area >= pixels or sparing)
    if area >= _LARGE or sparing:
        candidates = candidates[-1:]
    dithers = _dithers(candidates[0])
    dithers = dithers[1:2] if sparing else dithers
    groups = [_finest(candidates)[:1] if sparing else _finest(candidates)]
    for rung in range(int(log(_COARSEST / _FINEST) / log(ratio)) + 1):
        step = _FINEST * power(ratio, float(rung))
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

    Where none meets the limits the nearest is returned, whose excess is above 0.

    Parameters
    ----------
    candidates : sequence of Candidate
        What the picture may be encoded as, the finest sampling first.
    judge : Judge
        Scores against the reference.
    limits : Limits
        What must hold.
    mean : Mean
        Of the reference.
    measure : callable
        Returns the bytes of the file of a trial.
    check : callable
        Called between encodes; raises to give up.
    reach : float
        What :func:`reachable` says.
    sparing : bool
        Whether a small set must do.
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
                continue  # the same without dithered luma has the right mean already
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
        # A group without any right mean says nothing of the sizes.
        larger = larger + 1 if best is not None and _OVER * best[0] < least < inf else 0
        if larger >= _PATIENCE:
            break
    if best is not None:
        return best[2], best[1].source
    return _nearest(misses, judge, limits, measure)


@dataclass(frozen=True)
class _Miss:
    """An encode that was made, by how much its mean is off, and its excess if it was scored."""

    recipe: _Recipe
    error: float
    excess: float = inf


def reachable(candidate: Candidate, judge: Judge, mean: Mean, check: Callable[[], None]) -> float:
    """Return the error of the mean that the picture allows, whatever the target.

    Saturated colours have no code of their own: of those that the finest encodes show, the ones that look
    right may be farther off by the mean than others.
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
    """Return the best by the limits of those whose mean is allowed, and of equals the smallest."""
    least = min(miss.excess for miss in misses)
    if least == inf:  # no mean is allowed: of the nearest means
        misses = [min(misses, key=lambda miss: miss.error)]
    recipe = min(
        (miss.recipe for miss in misses if miss.excess <= least),
        key=lambda recipe: measure(recipe.make(), recipe.source),
    )
    trial = recipe.make()
    return _scored(trial, decode(recipe.source, trial), judge, limits), recipe.source


def selected(found: Evaluation, source: CodingSource, limits: Limits, strict: bool) -> Selected:
    """Return what was found, with the limits relaxed to it; TargetError if it misses ``strict`` ones."""
    if found.excess <= 0.0:
        return Selected(found, source)
    if strict:
        raise limits.unmet(found.scores)
    return Selected(found, source, limits.relaxed(found.scores))
