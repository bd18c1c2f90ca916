"""The loop: quantise, decode, look, weigh, and again, until the limits are met and hardly more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from guetzpy._elementary import exp, log
from guetzpy.search.encoder import Encoder, Trial, Weights
from guetzpy.search.judge import Judge
from guetzpy.search.landing import Found, glance, land, look, slope
from guetzpy.search.montage import Part, Tiles
from guetzpy.search.spreading import spread
from guetzpy.search.tables import USUAL
from guetzpy.search.target import COARSEST, FINEST, Limits, Root
from guetzpy.search.tuning import cost, tune
from guetzpy.search.weighting import PATIENT, Mix, carry, reweigh

__all__ = ["EFFORTS", "Effort", "Found", "search", "search_size", "weigh"]

#: By how much, in log bytes, an earlier round must be better than the last.
_CLEARLY = 0.006

#: Pixels from which on a montage says where to look next: looks at the whole cost more than there is to lose.
SCOUTED = 6_000_000

#: What the weights' montage of a very large picture misses of the worst places, as a logarithm of distances;
#: and by how much more it misses of what SSIMULACRA 2 minds.
_MISSED, _MISSED_MORE = 0.08, 0.15

#: Of the open loop: how the excesses by Butteraugli and by SSIMULACRA 2 follow the distance, room to leave
#: where a montage is all that was seen (it tells the whole's excess to 0.05, quartiles) and after a look that
#: failed, and room not worth another look.
_FOLLOW = 1.2, 1.4
_CAUTION, _CAUTION_AFTER, _ENOUGH = 0.07, 0.04, 0.25

#: What new weights are expected to gain, as a logarithm of distances; and room to leave where they were made
#: once and not looked at: most first looks then pass, and the worth of a bit lands the second.
_GAIN = 0.01
_RESERVE = 0.05


@dataclass(frozen=True)
class Effort:
    """How long to search.

    Attributes
    ----------
    rounds : int
        Times that the weights are made anew from gradients; 0 is the open loop.
    probes : int
        Passes that may be scored after the weights stand.
    tuned : bool
        Whether the shape of the tables is searched as well.
    warm : int
        Passes of the trellis before the first look, to settle the prices of symbols if none are known.
    """

    rounds: int
    probes: int
    tuned: bool = False
    warm: int = 2


EFFORTS = {"fast": Effort(0, 2), "balanced": Effort(1, 3), "max": Effort(4, 6, tuned=True)}


def _mix(gap: float, effort: Effort) -> Mix:
    """Return the mix of the metrics: the one that binds, by ``gap`` of excess, gets more of it."""
    # Over many rounds SSIMULACRA 2 gains more than Butteraugli does, which gets more for that: an eighth, and
    # the next one sooner.
    low, high = (-0.2, -0.1) if effort.tuned else (-0.05, 0.05)
    share = 2 if gap < low else 3 if gap < high else 4
    return replace(PATIENT, butteraugli=share + 1) if effort.tuned else replace(Mix(), butteraugli=share)


def _missed(tiles: Tiles, distance: float) -> tuple[float, float]:
    """Return what a montage misses of the excesses by Butteraugli and by SSIMULACRA 2.

    Seams hide errors, at the scales of the latter above all, and more so near the finest distances. (Medians
    of 19 pictures of 0.8 to 2.8 MP at seven distances, with tiles of 64 to 128 pixels.)
    """
    side = tiles.side
    fine = max(-log(distance), 0.0)
    return 0.037 + 5.0 / side, 0.08 + 17.3 / side + (0.04 + 17.5 / side) * fine


def weigh(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    start: float,
    check: Callable[[], None],
    weights: Weights | None = None,
) -> tuple[Weights, float, float]:
    """Return weights from the gradients, and the distance of tables that is expected to do with them.

    And by how much more Butteraugli exceeds its limit than SSIMULACRA 2 does. Of several rounds the last
    one's weights are taken unless an earlier one's did clearly better, as may be at fine quality.
    """
    x = log(start)
    if weights is None:
        weights = Weights.flat(encoder.coefficients)
    for _ in range(1 if encoder.rates else effort.warm):
        trial = encoder.quantise_at(exp(x), weights)
    seen: list[tuple[float, Weights, float]] = []
    gap = 0.0
    for number in range(effort.rounds):
        check()
        carried = carry(encoder, trial, judge)
        scores = carried.scores
        excesses = limits.excesses(scores.butteraugli, scores.ssimulacra2)
        fitting = _fitting(x, max(excesses))
        if number:
            seen.append((cost(encoder, trial, scores, limits), weights, fitting))
        gap = excesses[0] - excesses[1]
        mix = _mix(gap, effort)
        weights = reweigh(encoder, trial, carried, mix, weights)
        x = fitting
        if number + 1 < effort.rounds or number:
            trial = encoder.quantise_at(exp(x), weights)
    judge.release()
    if seen:
        scores = judge.scores(encoder.decode(trial))
        fitting = _fitting(x, limits.excess(scores.butteraugli, scores.ssimulacra2))
        last = cost(encoder, trial, scores, limits) - _CLEARLY
        _, weights, x = min((*seen, (last, weights, fitting)), key=lambda entry: entry[0])
    return weights, exp(x), gap


def _fitting(x: float, excess: float) -> float:
    """Return the log distance that is expected to do, from one that missed by ``excess``."""
    return min(max(x - min(max(excess, -1.5), 1.5) + _GAIN, log(FINEST)), log(COARSEST))


def search(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    *,
    start: float | None = None,
    part: Part | None = None,
    wide: Callable[[], Part | None] = lambda: None,
    check: Callable[[], None] = lambda: None,
) -> Found | None:
    """Find the coarsest quantisation that meets the limits.

    Parameters
    ----------
    encoder : Encoder
        The picture at one sampling.
    judge : Judge
        Scores against the reference.
    limits : Limits
        What must hold.
    effort : Effort
        How long to search.
    start : float, optional
        Distance of the tables to begin with.
    part : Part, optional
        A montage of the picture at the same sampling, on which the tables are shaped, and which says where
        to look next.
    wide : callable, optional
        Returns a larger montage of a very large picture, from which weights for the whole are made.
    check : callable
        Called between passes; raises to give up (time-out, cancellation).

    Returns
    -------
    Found or None
        The coarsest that meets the limits, if any did.
    """
    start = start or limits.starting_distance()
    encoder.shape = USUAL
    encoder.rates = list(part.encoder.rates) if part is not None else []
    if effort.tuned and part is not None:
        weights, start, _ = weigh(part.encoder, part.judge, limits, effort, start, check)
        encoder.shape = tune(part.encoder, part.judge, limits, weights, start, check)
    scouted = part if encoder.width * encoder.height > SCOUTED else None
    larger = wide()
    if larger is not None:
        larger.encoder.rates, larger.encoder.shape = encoder.rates, encoder.shape
        weights, start, gap = weigh(larger.encoder, larger.judge, limits, effort, start, check)
        gap -= _MISSED_MORE
        weights, encoder.rates = spread(encoder, larger.tiles, weights), larger.encoder.rates
        start = max(start * exp(-_MISSED), FINEST)
        del larger
    else:
        weights, start, gap = weigh(encoder, judge, limits, effort, start, check)
        if effort.tuned and part is None:
            encoder.shape = tune(encoder, judge, limits, weights, start, check)
            weights, start, gap = weigh(encoder, judge, limits, effort, start, check, weights)
        elif not effort.tuned and scouted is None:
            start = max(start * exp(-_RESERVE), FINEST)
    return land(
        encoder, judge, limits, weights, log(start),
        looks=effort.probes, patience=effort.probes if effort.tuned else 0, gap=gap,
        part=scouted, check=check,
    )  # fmt: skip


def open_loop(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    *,
    start: float,
    part: Part | None = None,
    check: Callable[[], None] = lambda: None,
) -> Found | None:
    """Quantise without gradients, look once, correct once.

    Parameters
    ----------
    encoder, judge, limits, check
        As for :func:`search`.
    start : float
        Distance of the tables that is expected to do.
    part : Part, optional
        A montage of the picture at the same sampling, which knows the prices of symbols, and what distance
        is about right.

    Returns
    -------
    Found or None
        None if the limits are missed twice.
    """
    x, gap = log(start), None
    weights = Weights.flat(encoder.coefficients)
    cut = None if part is None else Weights.flat(part.encoder.coefficients)
    if part is None or cut is None:
        encoder.rates = []
        encoder.quantise_at(exp(x), weights)
        x -= 0.02
    else:
        encoder.rates = list(part.encoder.rates)
        seen = glance(part, cut, encoder, limits, x)
        missed = _missed(part.tiles, limits.starting_distance())
        excesses = [e + m for e, m in zip(seen, missed, strict=True)]
        x -= max((e + _CAUTION) / follow for e, follow in zip(excesses, _FOLLOW, strict=True))
        gap = excesses[0] - excesses[1]
    best: Found | None = None
    x = min(max(x, log(FINEST)), log(COARSEST))
    for attempt in range(2):
        check()
        trial = encoder.quantise_at(exp(x), weights).bare()
        scores, by_metric = look(judge, limits, encoder.decode(trial), gap)
        excess = max(by_metric)
        if scores is not None and excess <= 0.0 and (best is None or trial.distance > best.trial.distance):
            best = Found(trial, scores, excess)
        if attempt or -_ENOUGH < excess <= 0.0:
            break
        step = min(max((excess + _CAUTION_AFTER) / slope(x, excess), -1.5), 1.5)
        x = min(max(x - step, log(FINEST)), log(COARSEST))
    return best


def search_size(
    encoder: Encoder,
    judge: Judge,
    size: int,
    measure: Callable[[Trial, Encoder], int],
    effort: Effort,
    *,
    mix: Mix | None = None,
    wide: Callable[[], Part | None] = lambda: None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Found | None, int]:
    """Find the finest quantisation whose file has at most ``size`` bytes.

    Parameters
    ----------
    measure : callable
        Returns the bytes of the file of a trial.
    encoder, judge, effort, wide, check
        As for :func:`search`.

    Returns
    -------
    best : Found or None
        None if even the coarsest does not fit.
    smallest : int
        Bytes of the smallest file tried.
    """
    mix = mix or Mix()
    larger = wide() if effort.rounds else None
    weighed, scorer = (encoder, judge) if larger is None else (larger.encoder, larger.judge)
    known = Weights.flat(weighed.coefficients)
    weights = Weights.flat(encoder.coefficients)
    bits = 8.0 * size / (encoder.width * encoder.height)
    # Photographs take about 1.3 bits a pixel at distance 1, and fewer by the power -1.5 of the distance.
    x = min(max(log(1.3 / bits) / 0.65, log(FINEST)), log(COARSEST))
    best: Trial | None = None
    smallest = 1 << 62
    root = Root(slope=0.65, tolerance=0.005)
    for probe in range(effort.rounds + effort.probes + 6):
        check()
        trial = encoder.quantise_at(exp(x), weights)
        if probe == 0:
            trial = encoder.quantise_at(exp(x), weights)
        taken = measure(trial.bare(), encoder)
        if probe < effort.rounds:
            if larger is not None:
                weighed.rates = list(encoder.rates)
                trial = weighed.quantise_at(exp(x), known)
            known = reweigh(weighed, trial, carry(weighed, trial, scorer), mix, known)
            if probe + 1 == effort.rounds:
                scorer.release()
            weights = known if larger is None else spread(encoder, larger.tiles, known)
        trial = trial.bare()
        smallest = min(smallest, taken)
        excess = log(taken / size)
        if probe >= effort.rounds:
            root.add(-x, excess)
            if excess <= 0.0 and (best is None or trial.distance < best.distance):
                best = trial
            if -root.tolerance <= excess <= 0.0 or (excess <= 0.0 and x <= log(FINEST)):
                break
            if excess > 0.0 and x >= log(COARSEST) - 1e-9:
                break
            x = -root.propose()
        else:
            x += min(max(excess / 0.65, -1.5), 1.5)
        x = min(max(x, log(FINEST)), log(COARSEST))
    if best is None:
        return None, smallest
    return Found(best, judge.scores(encoder.decode(best)), 0.0), smallest
