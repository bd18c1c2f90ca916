"""The closed loop: weights from gradients of trials, then the coarsest trial that meets the limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from guetzpy._runtime.exact_math import exp, log
from guetzpy.model.start import StartPart
from guetzpy.search import calibration
from guetzpy.search.approach import ByDistanceAndLambda
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import PlaneSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.evaluation import Evaluation, leads_of
from guetzpy.search.landing import Budget, land
from guetzpy.search.plan import Effort
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import COARSEST, FINEST, Limits
from guetzpy.search.quality.weighting import Mix, carry, into_steps, reweigh
from guetzpy.search.spreading import spread
from guetzpy.search.tiles import Part
from guetzpy.search.tuning import cost, tune

__all__ = ["Weighed", "search", "weigh"]

#: Longest step of the log distance between rounds.
_LONGEST = 1.5


@dataclass(frozen=True, eq=False)
class Weighed:
    """Weights from gradients, with the settings and the excesses that belong to them.

    Attributes
    ----------
    weights : Weights
        Weights for the next quantisation.
    settings : EncodeSettings
        Settings at the distance that is expected to meet the limits with these weights.
    leads : tuple of float
        Excess by each metric less that of the binding one.
    before : float
        Largest excess of the encode at which the gradients of the last weights were computed.
    """

    weights: Weights
    settings: EncodeSettings
    leads: tuple[float, ...]
    before: float = 0.0


def weigh(
    source: PlaneSource,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    settings: EncodeSettings,
    check: Callable[[], None],
    weights: Weights,
) -> Weighed:
    """Make weights from gradients, in as many rounds as the effort has.

    Of several rounds, the weights that cost the fewest bytes at equal quality are taken. At small distances
    these are sometimes not the last ones.

    Parameters
    ----------
    source, judge, limits, effort, check
        As for :func:`search`.
    settings : EncodeSettings
        Settings at the first distance.
    weights : Weights
        First weights.
    """
    x = log(settings.distance)
    for _ in range(1 if settings.rates else effort.warm):
        trial = encode(source, settings.at(exp(x)), weights)
        settings = settings.priced(trial.rates)
    seen: list[tuple[float, Weights, float]] = []
    leads: tuple[float, ...] = ()
    before = 0.0
    for number in range(effort.rounds):
        check()
        carried = carry(source, trial, judge)
        excesses = carried.excesses(limits)
        before = max(excesses)
        fitting = _fitting(x, before)
        if number:
            seen.append((cost(source, trial, carried.scores(limits), limits), weights, fitting))
        leads = _leads_of_all(limits, carried.metrics, excesses)
        mix = Mix.of(carried.metrics, several_rounds=effort.tuned)
        weights = reweigh(source, trial, carried, mix, weights)
        x = fitting
        if number + 1 < effort.rounds or number:
            trial = encode(source, settings.at(exp(x)), weights)
            settings = settings.priced(trial.rates)
    judge.release()
    if seen:
        scores = judge.scores(decode(source, trial))
        fitting = _fitting(x, limits.excess(scores))
        last = cost(source, trial, scores, limits)
        _, weights, x = min((*seen, (last, weights, fitting)), key=lambda entry: entry[0])
    shape, weights = into_steps(settings.shape, weights, carried)
    return Weighed(weights, replace(settings, shape=shape).at(exp(x)), leads, before)


def _fitting(x: float, excess: float) -> float:
    """Return the log distance that is expected to meet the limits, from one that missed by ``excess``."""
    moved = x - min(max(excess, -_LONGEST), _LONGEST) + calibration.GAIN_OF_WEIGHTS
    return min(max(moved, log(FINEST)), log(COARSEST))


def search(
    source: PlaneSource,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    settings: EncodeSettings,
    *,
    part: Part | None = None,
    scouted: bool = False,
    weight_part: Callable[[], Part | None] = lambda: None,
    start: StartPart | None = None,
    predict: Callable[[PlaneSource, float], Weights],
    check: Callable[[], None] = lambda: None,
) -> Evaluation | None:
    """Find the coarsest quantisation that meets the limits.

    Parameters
    ----------
    source : CodingSource
        The picture at one sampling.
    judge : Judge
        Scores against the reference.
    limits : Limits
        Limits of the scores that the file must meet.
    effort : Effort
        How long to search.
    settings : EncodeSettings
        Settings at the first distance, with the costs of symbols of the sample tiles if there are any.
    part : Part, optional
        Sample tiles of the picture at the same sampling, on which the shape of the tables is searched.
    scouted : bool
        Whether the tiles also predict where to evaluate the whole picture next.
    weight_part : callable, optional
        Returns larger tiles of a very large picture, from which weights for the whole are made.
    start : StartPart, optional
        Fitted parameters of the first evaluation, for searches of one round of weights.
    predict : callable
        Takes a source and a distance, and returns the weights of the first encode whose gradients are
        computed.
    check : callable
        Called between evaluations; it raises an exception to end the search (timeout, cancellation).

    Returns
    -------
    Evaluation or None
        The coarsest evaluation that meets the limits; None if none does.
    """
    if effort.tuned and part is not None:
        begun = predict(part.source, settings.distance)
        first = weigh(part.source, part.judge, limits, effort, settings, check, begun)
        tuned = tune(part.source, part.judge, limits, first.weights, first.settings, check)
        settings = replace(settings, distance=tuned.distance, shape=tuned.shape)
    scout = part if scouted else None
    budget = Budget.of_probes(effort.probes)
    larger = weight_part()
    if larger is not None:
        begun = predict(larger.source, settings.distance)
        weighed = weigh(larger.source, larger.judge, limits, effort, settings, check, begun)
        weights, leads = spread(source, larger.tiles, weighed.weights), _on_whole(limits, weighed.leads)
        settings = _finer(weighed.settings, calibration.WEIGHT_TILES_DEFICIT)
        del larger
    else:
        begun = predict(source, settings.distance)
        weighed = weigh(source, judge, limits, effort, settings, check, begun)
        if effort.tuned and part is None:
            tuned = tune(source, judge, limits, weighed.weights, weighed.settings, check)
            weighed = weigh(source, judge, limits, effort, tuned, check, weighed.weights)
        weights, leads, settings = weighed.weights, weighed.leads, weighed.settings
        if not effort.tuned and scout is None and start is not None:
            distance = limits.starting_distance()
            off = start.spread_at("balanced", distance)
            expected = start.expected("balanced", distance, source.sampling == (2, 2), weighed.before)
            settings = _finer(settings, expected + calibration.FIRST_SPREADS * off)
            budget = budget._replace(tolerance=calibration.ENOUGH)
        elif not effort.tuned and scout is None:
            settings = _finer(settings, calibration.RESERVE)
    begin = ByDistanceAndLambda if scout is None else ByDistanceAndLambda.where_expensive
    return land(
        source, judge, limits, weights, settings, begin(log(settings.distance)),
        budget, leads=leads, part=scout, check=check,
    )  # fmt: skip


def _finer(settings: EncodeSettings, margin: float) -> EncodeSettings:
    return settings.at(max(settings.distance * exp(-margin), FINEST))


def _leads_of_all(
    limits: Limits, metrics: tuple[object, ...], excesses: tuple[float, ...]
) -> tuple[float, ...]:
    """Return the excess of each metric less the largest one; 0 for a metric without a gradient."""
    known = dict(zip((limits.metrics.index(m) for m in metrics), excesses, strict=True))
    return leads_of([known.get(n, max(excesses)) for n in range(len(limits.metrics))])


def _on_whole(limits: Limits, leads: tuple[float, ...]) -> tuple[float, ...]:
    """Return what :func:`leads_of` would return for the whole picture, from its values for the tiles."""
    return leads_of(
        [
            lead + calibration.steering(metric.name).weight_tiles_deficit
            for metric, lead in zip(limits.metrics, leads, strict=True)
        ]
    )
