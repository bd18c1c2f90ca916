"""Which encoders are worth a full search: 4:4:4 or 4:2:0, new steps or multiples of a source's."""

from __future__ import annotations

from functools import partial

from guetzpy._elementary import exp, log
from guetzpy._threads import apart
from guetzpy.search.closed_loop import Effort
from guetzpy.search.encoder import Encoder, Weights
from guetzpy.search.judge import SMALL, Judge
from guetzpy.search.target import COARSEST, FINEST, Limits
from guetzpy.search.tuning import BYTES_BY_DISTANCE, size_of

__all__ = ["choose"]

#: What a second encoder may be predicted to take more and still be searched by the highest effort.
_CLOSE = 0.03


def choose(encoders: list[Encoder], judge: Judge, limits: Limits, effort: Effort) -> list[tuple[int, float]]:
    """Return the encoders to search with, by number, and the distance of the tables to begin at.

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
        Two encoders are returned only by the highest, if they are close.
    """
    start = limits.starting_distance()
    if len(encoders) == 1 and effort.rounds:
        return [(0, start)]
    rated = []

    def rate(number: int) -> None:
        encoder = encoders[number]
        encoder.rates = []
        weights = Weights.flat(encoder.coefficients)
        trial = encoder.quantise_at(start, weights)
        scores = judge.scores(encoder.decode(trial))
        excess = min(max(limits.excess(scores.butteraugli, scores.ssimulacra2), -1.5), 1.5)
        size = log(size_of(encoder, trial))
        begin = min(max(start * exp(-excess), FINEST), COARSEST)
        rated.append((size + BYTES_BY_DISTANCE * excess, number, begin))

    if len(encoders) > 1 and encoders[0].width * encoders[0].height <= SMALL:
        judge.prepare()
        apart([partial(rate, number) for number in range(len(encoders))], judge.threads)
    else:
        for number in range(len(encoders)):
            rate(number)
    rated.sort()
    close = [entry for entry in rated if entry[0] < rated[0][0] + _CLOSE]
    keep = min(2, len(close)) if effort.tuned else 1
    return [(number, begin) for _, number, begin in rated[:keep]]
