"""Tables shaped for one picture: a descent along a few smooth departures from the usual ones.

Each coordinate alone is worth 0.1 to 0.3 % on average, but 1 to 3 % on some pictures; all together
took 1.0 % off at equal Butteraugli 3-norm and 1.5 % at equal SSIMULACRA 2 (8 photographs, distances
1 and 2.5, on top of four rounds of weights).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from guetzpy._runtime.exact_math import exp, log
from guetzpy.search.calibration import BYTES_BY_DISTANCE
from guetzpy.search.coding.encoder import Trial, decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.tables import Shape
from guetzpy.search.coding.weights import Weights
from guetzpy.search.evaluation import size_of
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores

__all__ = ["cost", "tune"]

#: Coordinates in the order of what they gave, with the first step along each; the second is half.
_STEPS = {
    "log_lambda": 0.3,
    "chroma": 0.15,
    "red": 0.12,
    "luma_slope": 0.2,
    "chroma_low": 0.15,
    "luma_low": 0.1,
    "chroma_slope": 0.3,
}

_OF_CHROMA = {"chroma", "red", "chroma_low", "chroma_slope"}

#: Smallest gain that counts, in log bytes: the cost jumps by about as much from one set of levels to another.
_LEAST = 2e-4


def cost(source: CodingSource, trial: Trial, scores: Scores, limits: Limits) -> float:
    """Return log bytes at equal quality by all metrics alike, to tell which of two trials is better.

    Both may meet the limits, and the larger file still be the better one by the metric that does not bind:
    where all metrics that define distance have a limit, each counts the same.
    """
    if not limits.complete:
        return log(size_of(source, trial)) + BYTES_BY_DISTANCE * limits.excess(scores)
    near = Limits.at_distance(limits.starting_distance(), limits.metrics)
    return log(size_of(source, trial)) + BYTES_BY_DISTANCE * near.shortfall(scores)


def tune(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    weights: Weights,
    settings: EncodeSettings,
    check: Callable[[], None] = lambda: None,
) -> EncodeSettings:
    """Return settings with the shape of tables that takes the fewest bytes at equal quality by all metrics.

    Parameters
    ----------
    source : CodingSource
        The picture at one sampling.
    judge : Judge
        Scores against the reference.
    limits : Limits
        Near what the tables are wanted.
    weights : Weights
        Of blocks and bands.
    settings : EncodeSettings
        Where the descent begins: distance, shape, costs of symbols.
    check : callable
        Called between passes; raises to give up.

    Returns
    -------
    EncodeSettings
        With that shape, and the costs of symbols of the last pass.
    """
    near = Limits.at_distance(limits.starting_distance(), limits.metrics)
    rates = settings.rates

    def measured(shape: Shape, distance: float) -> tuple[float, float]:
        nonlocal rates
        check()
        trial = encode(source, replace(settings, shape=shape, rates=rates).at(distance), weights)
        rates = trial.rates
        scores = judge.scores(decode(source, trial))
        return log(size_of(source, trial)), near.shortfall(scores)

    best, distance = settings.shape, settings.distance
    # What quality costs here: from a step towards the limits that is long enough to tell.
    size, excess = measured(best, distance)
    moved = distance * exp(-excess if abs(excess) > 0.1 else -0.1)
    other_size, other_excess = measured(best, moved)
    price = min(max((other_size - size) / max(excess - other_excess, 0.02), 0.6), 1.2)
    if excess > 0.05 or excess < -0.1:
        distance, size, excess = moved, other_size, other_excess
    least = size + price * excess
    for scale in (1.0, 0.5):
        for name, step in _STEPS.items():
            if source.components == 1 and name in _OF_CHROMA:
                continue
            for sign in (1.0, -1.0):
                shape = replace(best, **{name: getattr(best, name) + sign * scale * step})
                size, excess = measured(shape, distance)
                if size + price * excess < least - _LEAST:
                    best, least = shape, size + price * excess
                    break
    return replace(settings, shape=best, rates=rates)
