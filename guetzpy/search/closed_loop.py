"""The loop: quantise, decode, look, weigh, and again, until the limits are met and hardly more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from guetzpy._elementary import exp, log
from guetzpy.search.encoder import Encoder, Trial, Weights, lagrangian
from guetzpy.search.judge import Judge, Scores
from guetzpy.search.target import Limits, Root
from guetzpy.search.tuning import BYTES_BY_DISTANCE, shortfall, size_of, tune
from guetzpy.search.weighting import PATIENT, Mix, carry, reweigh

__all__ = ["EFFORTS", "Effort", "Found", "search", "search_size", "weigh"]

#: Finest and coarsest tables that are tried, as distances; 0.02 makes every step 1.
FINEST, COARSEST = 0.02, 300.0

#: A file is good enough if its binding excess is within this below 0: 0.15 points of SSIMULACRA 2 or
#: 1 % of Butteraugli are 0.016 at distance 1.
_TOLERANCE = 0.012

#: Room from which on the worth of a bit is moved instead of the tables, and its effect on the excess.
_NEAR = 0.07
_SLOPE_OF_WORTH = 0.15

#: Probes beyond an effort's own while no file is good enough.
_PATIENCE = 6

#: By how much, in log bytes, an earlier round must be better than the last.
_CLEARLY = 0.006

#: What new weights are expected to gain, as a logarithm of distances.
_GAIN = 0.01


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


@dataclass
class Found:
    """A trial and its scores; what served to make it is not kept."""

    trial: Trial
    scores: Scores
    excess: float

    def __post_init__(self) -> None:
        self.trial = replace(self.trial, targets=[])


def _pass(encoder: Encoder, x: float, weights: Weights, y: float = 0.0) -> Trial:
    """Quantise with the tables at distance e^x and a bit worth e^y times the usual."""
    distance = exp(x)
    worth = exp(y + encoder.shape.worth) * lagrangian(distance)
    return encoder.quantise(encoder.tables(distance), worth, weights, distance)


def _mix(gap: float, effort: Effort) -> Mix:
    """Return the mix of the metrics: the one that binds, by ``gap`` of excess, gets more of it."""
    share = 2 if gap < -0.05 else 3 if gap < 0.05 else 4
    # Over many rounds SSIMULACRA 2 gains more than Butteraugli does.
    return replace(PATIENT, butteraugli=share + 1) if effort.tuned else replace(Mix(), butteraugli=share)


def weigh(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    start: float,
    check: Callable[[], None],
    weights: Weights | None = None,
) -> tuple[Weights, float]:
    """Return weights from the gradients, and the distance of tables that is expected to do with them.

    Of several rounds the last one's weights are taken unless an earlier one's did clearly better, as may
    be at fine quality.
    """
    x = log(start)
    near = Limits.at_distance(limits.starting_distance())
    if weights is None:
        weights = Weights.flat(encoder.coefficients)
    for _ in range(1 if encoder.rates else effort.warm):
        trial = _pass(encoder, x, weights)
    seen: list[tuple[float, Weights, float]] = []
    for number in range(effort.rounds):
        check()
        carried = carry(encoder, trial, judge)
        scores = carried.scores
        excesses = limits.excesses(scores.butteraugli, scores.ssimulacra2)
        fitting = _fitting(x, max(excesses))
        if number:
            cost = log(size_of(encoder, trial)) + BYTES_BY_DISTANCE * shortfall(near, scores)
            seen.append((cost, weights, fitting))
        mix = _mix(excesses[0] - excesses[1], effort)
        weights = reweigh(encoder, trial, carried, mix, weights)
        x = fitting
        if number + 1 < effort.rounds or number:
            trial = _pass(encoder, x, weights)
    if seen:
        scores = judge.scores(encoder.decode(trial))
        fitting = _fitting(x, limits.excess(scores.butteraugli, scores.ssimulacra2))
        cost = log(size_of(encoder, trial)) + BYTES_BY_DISTANCE * shortfall(near, scores)
        _, weights, x = min((*seen, (cost - _CLEARLY, weights, fitting)), key=lambda entry: entry[0])
    return weights, exp(x)


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
    sample: tuple[Encoder, Judge] | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Found | None, Found]:
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
    sample : Encoder and Judge, optional
        Of a part of a large picture at the same sampling, on which the tables are shaped.
    check : callable
        Called between passes; raises to give up (time-out, cancellation).

    Returns
    -------
    best : Found or None
        The coarsest that meets the limits, if any did.
    nearest : Found
        The one with the least excess.
    """
    start = start or limits.starting_distance()
    encoder.rates = list(sample[0].rates) if sample is not None else []
    if effort.tuned and sample is not None:
        weights, start = weigh(*sample, limits, effort, start, check)
        encoder.shape = tune(*sample, limits, weights, start, check)
        weights, start = weigh(encoder, judge, limits, effort, start, check)
    else:
        weights, start = weigh(encoder, judge, limits, effort, start, check)
        if effort.tuned:
            encoder.shape = tune(encoder, judge, limits, weights, start, check)
            weights, start = weigh(encoder, judge, limits, effort, start, check, weights)
    return _land(encoder, judge, limits, effort, weights, log(start), check)


def _land(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    weights: Weights,
    x: float,
    check: Callable[[], None],
) -> tuple[Found | None, Found]:
    """Find where the limits are just met under given weights."""
    trial = _pass(encoder, x, weights)
    # First the distance, until a file passes; then, since tables of small integers make the score jump,
    # a bit may be worth more under the same tables. (Worth less hardly helps: levels are rounded already.)
    best: Found | None = None
    nearest: Found | None = None
    root = Root(slope=1.0, tolerance=_TOLERANCE, aim=-0.02)
    fine: Root | None = None
    y = 0.0
    for probe in range(effort.probes + _PATIENCE):
        check()
        scores = judge.scores(encoder.decode(trial))
        excess = limits.excess(scores.butteraugli, scores.ssimulacra2)
        found = Found(trial, scores, excess)
        if nearest is None or excess < nearest.excess:
            nearest = found
        if excess <= 0.0 and (best is None or excess > best.excess):
            best = found
        if best is not None and (-_TOLERANCE <= best.excess or probe + 1 >= effort.probes + _PATIENCE // 2):
            break
        if fine is None:
            root.add(x, excess)
            if -_NEAR < excess <= 0.0 and not (effort.tuned and root.gap > 0.03 and probe < effort.probes):
                fine = Root(slope=_SLOPE_OF_WORTH, tolerance=_TOLERANCE)
        if fine is not None:
            fine.add(y, excess)
            y = min(max(fine.propose(), 0.0), 1.0)
        else:
            if excess > 0.0 and x <= log(FINEST) + 1e-9:
                break
            if root.hopeless:
                break
            x = min(max(root.propose(), log(FINEST)), log(COARSEST))
            if any(abs(x - known) < 1e-4 for known, _ in root.points):
                break
        trial = _pass(encoder, x, weights, y)
    assert nearest is not None
    return best, nearest


def open_loop(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    *,
    start: float,
    sample: Encoder | None = None,
    check: Callable[[], None] = lambda: None,
) -> Found | None:
    """Quantise without gradients, look once, correct once.

    Parameters
    ----------
    encoder, judge, limits, check
        As for :func:`search`.
    start : float
        Distance of the tables that is expected to do.
    sample : Encoder, optional
        Of a part of the picture, which knows the prices of symbols.

    Returns
    -------
    Found or None
        None if the limits are missed twice, or met with so much room that bytes would be wasted.
    """
    x = log(start) - 0.02
    weights = Weights.flat(encoder.coefficients)
    encoder.rates = list(sample.rates) if sample is not None else []
    if not encoder.rates:
        _pass(encoder, x, weights)
    best: Found | None = None
    for attempt in range(2):
        check()
        trial = _pass(encoder, x, weights)
        scores = judge.scores(encoder.decode(trial))
        excess = limits.excess(scores.butteraugli, scores.ssimulacra2)
        if excess <= 0.0 and (best is None or trial.distance > best.trial.distance):
            best = Found(trial, scores, excess)
        if attempt or -0.07 < excess <= 0.0:
            break
        # Scores follow the distance with a slope of about 0.75.
        x = min(max(x - min(max(excess / 0.75, -1.5), 1.5) - 0.03, log(FINEST)), log(COARSEST))
    return best


def search_size(
    encoder: Encoder,
    judge: Judge,
    size: int,
    measure: Callable[[Found, Encoder], int],
    effort: Effort,
    *,
    mix: Mix | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Found | None, int]:
    """Find the finest quantisation whose file has at most ``size`` bytes.

    Parameters
    ----------
    measure : callable
        Returns the bytes of the file of a trial.
    encoder, judge, effort, check
        As for :func:`search`.

    Returns
    -------
    best : Found or None
        None if even the coarsest does not fit.
    smallest : int
        Bytes of the smallest file tried.
    """
    mix = mix or Mix()
    weights = Weights.flat(encoder.coefficients)
    bits = 8.0 * size / (encoder.width * encoder.height)
    # Photographs take about 1.3 bits a pixel at distance 1, and fewer by the power -1.5 of the distance.
    x = min(max(log(1.3 / bits) / 0.65, log(FINEST)), log(COARSEST))
    best: Found | None = None
    smallest = 1 << 62
    root = Root(slope=0.65, tolerance=0.005)
    for probe in range(effort.rounds + effort.probes + 6):
        check()
        trial = _pass(encoder, x, weights)
        if probe == 0:
            trial = _pass(encoder, x, weights)
        if probe < effort.rounds:
            carried = carry(encoder, trial, judge)
            scores = carried.scores
            weights = reweigh(encoder, trial, carried, mix, weights)
        else:
            scores = judge.scores(encoder.decode(trial))
        found = Found(trial, scores, 0.0)
        taken = measure(found, encoder)
        smallest = min(smallest, taken)
        excess = log(taken / size)
        if probe >= effort.rounds:
            root.add(-x, excess)
            if excess <= 0.0 and (best is None or trial.distance < best.trial.distance):
                best = found
            if -root.tolerance <= excess <= 0.0 or (excess <= 0.0 and x <= log(FINEST)):
                break
            if excess > 0.0 and x >= log(COARSEST) - 1e-9:
                break
            x = -root.propose()
        else:
            x += min(max(excess / 0.65, -1.5), 1.5)
        x = min(max(x, log(FINEST)), log(COARSEST))
    return best, smallest
