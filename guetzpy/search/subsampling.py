"""Which encoders are worth a full search: 4:4:4 or 4:2:0, new steps or multiples of a source's."""

from __future__ import annotations

from guetzpy._elementary import exp, log
from guetzpy.jpeg.scans import simple_progression
from guetzpy.jpeg.writer import write
from guetzpy.search.closed_loop import COARSEST, FINEST, Effort, lagrangian
from guetzpy.search.encoder import Encoder, Weights
from guetzpy.search.judge import Judge
from guetzpy.search.target import Limits

__all__ = ["choose"]

#: Growth of log bytes with the log distance, on photographs between distances 0.5 and 3.
_SLOPE = -0.65


def choose(
    encoders: list[Encoder], judge: Judge, limits: Limits, effort: Effort
) -> list[tuple[Encoder, float]]:
    """Return the encoders to search with, and the distance of the tables to begin at.

    Each is tried once without weights; the bytes that it would take at the limits are told from
    the usual growth of bytes with distance.

    Parameters
    ----------
    encoders : list of Encoder
        At least one.
    judge : Judge
        Scores against the reference.
    limits : Limits
        What must hold.
    effort : Effort
        More than one encoder is returned only for the highest.
    """
    start = limits.starting_distance()
    if len(encoders) == 1:
        return [(encoders[0], start)]
    rated = []
    for number, encoder in enumerate(encoders):
        weights = Weights.flat(encoder.coefficients)
        for _ in range(2):
            trial = encoder.quantise(encoder.tables(start), lagrangian(start), weights, start)
        scores = judge.scores(encoder.decode(trial))
        excess = min(max(limits.excess(scores.butteraugli, scores.ssimulacra2), -1.5), 1.5)
        image = encoder.image(trial)
        size = log(len(write(image, script=simple_progression(image), threads=encoder.threads)))
        begin = min(max(start * exp(-excess), FINEST), COARSEST)
        rated.append((size - _SLOPE * excess, number, begin))
    rated.sort()
    keep = 2 if effort.rounds > 2 else 1
    return [(encoders[number], begin) for _, number, begin in rated[:keep]]
