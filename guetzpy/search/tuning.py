"""Tables shaped for one picture: a descent along a few smooth departures from the usual ones.

Each coordinate alone is worth 0.1 to 0.3 % on average, but 1 to 3 % on some pictures; all together
took 1.0 % off at equal Butteraugli 3-norm and 1.5 % at equal SSIMULACRA 2 (8 photographs, distances
1 and 2.5, on top of four rounds of weights).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from guetzpy._elementary import exp, log
from guetzpy.jpeg.scans import simple_progression
from guetzpy.jpeg.writer import write
from guetzpy.search.encoder import Encoder, Trial, Weights
from guetzpy.search.judge import Judge, Scores
from guetzpy.search.tables import Shape
from guetzpy.search.target import Limits

__all__ = ["BYTES_BY_DISTANCE", "cost", "shortfall", "size_of", "tune"]

#: Fall of log bytes with the log distance, on photographs between distances 0.5 and 3.
BYTES_BY_DISTANCE = 0.65

#: Coordinates in the order of what they gave, with the first step along each; the second is half.
_STEPS = {
    "worth": 0.3,
    "chroma": 0.15,
    "red": 0.12,
    "luma_slope": 0.2,
    "chroma_low": 0.15,
    "luma_low": 0.1,
    "chroma_slope": 0.3,
}

#: Smallest gain that counts, in log bytes: the cost jumps by about as much from one set of levels to another.
_LEAST = 2e-4


def size_of(encoder: Encoder, trial: Trial) -> int:
    """Return about how many bytes a trial takes: those of the simplest progressive file of it."""
    image = encoder.image(trial)
    return len(write(image, script=simple_progression(image), threads=encoder.threads))


def shortfall(limits: Limits, scores: Scores) -> float:
    """Return how much quality is missing by the mean of both metrics, as a logarithm of distances.

    More weight on the metric that binds only moves along the frontier between the two.
    """
    return 0.5 * sum(limits.excesses(scores.butteraugli, scores.ssimulacra2))


def cost(encoder: Encoder, trial: Trial, scores: Scores, limits: Limits) -> float:
    """Return log bytes at equal quality by both metrics alike, to tell which of two trials is better.

    Both may meet the limits, and the larger file still be the better one by the metric that does not bind:
    where there are limits for both, that counts half.
    """
    if limits.butteraugli is None or limits.ssimulacra2 is None:
        return log(size_of(encoder, trial)) + BYTES_BY_DISTANCE * limits.excess(
            scores.butteraugli, scores.ssimulacra2
        )
    near = Limits.at_distance(limits.starting_distance())
    return log(size_of(encoder, trial)) + BYTES_BY_DISTANCE * shortfall(near, scores)


def tune(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    weights: Weights,
    distance: float,
    check: Callable[[], None] = lambda: None,
) -> Shape:
    """Return the shape of tables with the fewest bytes at equal quality by both metrics alike.

    Parameters
    ----------
    encoder : Encoder
        The picture at one sampling; its own shape is where the descent begins.
    judge : Judge
        Scores against the reference.
    limits : Limits
        Near what the tables are wanted.
    weights : Weights
        Of blocks and bands.
    distance : float
        Of the tables.
    check : callable
        Called between passes; raises to give up.
    """
    near = Limits.at_distance(limits.starting_distance())
    at_first = encoder.shape

    def look(shape: Shape, distance: float) -> tuple[float, float]:
        check()
        encoder.shape = shape
        trial = encoder.quantise_at(distance, weights)
        scores = judge.scores(encoder.decode(trial))
        return log(size_of(encoder, trial)), shortfall(near, scores)

    try:
        best = at_first
        # What quality costs here: from a step towards the limits that is long enough to tell.
        size, excess = look(best, distance)
        moved = distance * exp(-excess if abs(excess) > 0.1 else -0.1)
        other_size, other_excess = look(best, moved)
        price = min(max((other_size - size) / max(excess - other_excess, 0.02), 0.6), 1.2)
        if excess > 0.05 or excess < -0.1:
            distance, size, excess = moved, other_size, other_excess
        least = size + price * excess
        for scale in (1.0, 0.5):
            for name, step in _STEPS.items():
                if len(encoder.coefficients) == 1 and name in ("chroma", "red", "chroma_low", "chroma_slope"):
                    continue
                for sign in (1.0, -1.0):
                    shape = replace(best, **{name: getattr(best, name) + sign * scale * step})
                    size, excess = look(shape, distance)
                    if size + price * excess < least - _LEAST:
                        best, least = shape, size + price * excess
                        break
        return best
    finally:
        encoder.shape = at_first
