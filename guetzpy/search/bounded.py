"""A search in little memory and bounded time, for many pixels in few bytes and for a low ``max_memory``.

Sample tiles determine the chroma sampling and the distance at which the search of the whole picture begins.
The whole picture is then quantised strip by strip, without weights, and scored a few times by metrics that
keep no data of the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from guetzpy._runtime.exact_math import log
from guetzpy.search import smooth
from guetzpy.search.approach import ByDistance
from guetzpy.search.candidates import Candidates
from guetzpy.search.coding import tables
from guetzpy.search.coding.encoder import encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.trellis import Rate
from guetzpy.search.evaluation import Evaluation, Selected, size_of
from guetzpy.search.finest import finest
from guetzpy.search.landing import Budget, land
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.sizing import Measure, SizeBudget

__all__ = ["SIZE_BUDGET", "select"]

#: Budgets for the tiles, for the whole picture, and for the whole picture if the limits were relaxed. Each
#: has the number of evaluations, the number after which any file that passes is taken, and the tolerance as
#: an excess.
_TILES, _WHOLE, _WHOLE_RELAXED = Budget(6, 6, 0.012), Budget(4, 4, 0.05), Budget(2, 2, 0.05)

#: Budget of a search for a size: no weights, and a wider tolerance, since each pass computes all
#: coefficients.
SIZE_BUDGET = SizeBudget(rounds=0, passes=10, tolerance=0.02, settled=False)


@dataclass(frozen=True)
class _TileResults:
    """What the sample tiles determine for the search of the whole picture.

    Attributes
    ----------
    number : int
        Index of the candidate.
    start : float or None
        Distance at which the search begins. None if only the finest encode of the tiles is near the limits.
    rates : tuple of Rate
        Costs of symbols.
    bias : float
        Codes added to the luma of the finest encode.
    out_of_reach : bool
        Whether no encode of the tiles meets the limits.
    """

    number: int
    start: float | None
    rates: tuple[Rate, ...]
    bias: float = 0.0
    out_of_reach: bool = False


def select(
    candidates: Candidates,
    limits: Limits,
    *,
    strict: bool,
    measure: Measure,
    check: Callable[[], None],
) -> Selected:
    """Find a coarse quantisation that meets the limits; see :func:`guetzpy.search.selection.select`."""
    judge = candidates.judge
    assert candidates.sample is not None, "a bounded search has sample tiles"
    tiles = candidates.sample
    if smooth.is_smooth(tiles.sources[0]) or smooth.is_linear(candidates.codes):
        mean = smooth.Mean(candidates.codes)
        return smooth.search(candidates.entries, judge, limits, mean, measure, check, strict=strict, few=True)
    return _select(candidates, limits, strict, check)


def _select(candidates: Candidates, limits: Limits, strict: bool, check: Callable[[], None]) -> Selected:
    """Search as :func:`select` does, without a limit on the mean colour."""
    start, judge = limits.starting_distance(), candidates.judge
    base = EncodeSettings(start, dc_limit=tables.dc_limit(start))
    tried = _tried_on_tiles(candidates, limits, base, check)
    settings = base.of_family(candidates.entries[tried.number].family).priced(tried.rates)

    def landed(source: CodingSource, limits: Limits, start: float, budget: Budget) -> Evaluation | None:
        return _land(source, judge, limits, settings.at(start), budget, check)

    source = candidates.source(tried.number)
    if tried.start is not None and not tried.out_of_reach:
        best = landed(source, limits, tried.start, _WHOLE)
        if best is not None:
            return Selected(best, source)
    # The limits are not met so far. The finest encode decides whether, and how far, they are relaxed.
    source = candidates.source(0)
    found = finest(source, judge, limits, settings, (tried.bias,), check=check)
    scores, relaxed = found.scores, None
    if found.excess > 0.0:
        if strict:
            raise limits.unmet(scores)
        limits = relaxed = limits.relaxed(scores)
    if tried.start is None:
        return Selected(found, source, relaxed)
    del found  # frees the levels of the trial
    begin = tried.start if tried.out_of_reach else limits.starting_distance()
    best = landed(source, limits, begin, _WHOLE_RELAXED)
    if best is None:
        best = Evaluation(encode(source, settings.at_finest(tried.bias)).bare(), scores, 0.0)
    return Selected(best, source, relaxed)


def _tried_on_tiles(
    candidates: Candidates, limits: Limits, base: EncodeSettings, check: Callable[[], None]
) -> _TileResults:
    sample = candidates.sample
    assert sample is not None, "a bounded search has sample tiles"
    judge, start = sample.judge, limits.starting_distance()
    ready = [base.of_family(entry.family) for entry in candidates.entries]
    found = [
        _land(source, judge, limits, settings.at(start), _TILES, check)
        for source, settings in zip(sample.sources, ready, strict=True)
    ]
    sizes = {
        number: size_of(sample.sources[number], one.trial)
        for number, one in enumerate(found)
        if one is not None
    }
    if sizes:
        number = min(sizes, key=lambda n: sizes[n])
        best = found[number]
        assert best is not None
        return _TileResults(number, best.trial.distance, best.trial.rates)
    reached = finest(sample.sources[0], judge, limits, ready[0], check=check)
    relaxed = limits.relaxed(reached.scores)
    near = _land(sample.sources[0], judge, relaxed, ready[0].at(relaxed.starting_distance()), _TILES, check)
    return _TileResults(
        0,
        None if near is None else near.trial.distance,
        () if near is None else near.trial.rates,
        reached.trial.settings.bias,
        reached.excess > 0.0,
    )


def _land(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    settings: EncodeSettings,
    budget: Budget,
    check: Callable[[], None],
) -> Evaluation | None:
    """Return the coarsest of a few encodes that meets the limits. Only the distance of the tables changes."""
    assert budget.tolerance is not None
    approach = ByDistance.from_start(log(settings.distance), budget.tolerance)
    return land(source, judge, limits, source.flat_weights(), settings, approach, budget, check=check)
