"""The loop: quantise, decode, look, weigh, and again, until the limits are met and hardly more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from guetzpy._elementary import exp, log, power
from guetzpy.jpeg.scans import simple_progression
from guetzpy.jpeg.writer import write
from guetzpy.search.encoder import Encoder, Trial, Weights
from guetzpy.search.judge import Judge, Scores
from guetzpy.search.target import Limits, Root
from guetzpy.search.weighting import PATIENT, Mix, reweigh

__all__ = ["EFFORTS", "Effort", "Found", "lagrangian", "search", "search_size"]

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
    warm : int
        Passes of the trellis before the first look, to settle the prices of symbols.
    """

    rounds: int
    probes: int
    warm: int = 2


EFFORTS = {"fast": Effort(0, 2), "balanced": Effort(1, 3), "max": Effort(4, 6)}


@dataclass
class Found:
    """A trial and its scores; what served to make it is not kept."""

    trial: Trial
    scores: Scores
    excess: float

    def __post_init__(self) -> None:
        self.trial = replace(self.trial, targets=[])


def lagrangian(distance: float) -> float:
    """Return what a bit is worth in squared steps: grows with distance.

    Where the tables near their limit of 255 it takes over from them, so that any size can be reached.
    """
    usual = 0.05 * power(min(max(distance, 0.5), 6.0), 0.25)
    return usual * power(max(distance / 20.0, 1.0), 1.5)


def _pass(encoder: Encoder, x: float, weights: Weights, y: float = 0.0) -> Trial:
    """Quantise with the tables at distance e^x and a bit worth e^y times the usual."""
    distance = exp(x)
    return encoder.quantise(encoder.tables(distance), exp(y) * lagrangian(distance), weights, distance)


def _mix(gap: float, effort: Effort) -> Mix:
    """Return the mix of the metrics: the one that binds, by ``gap`` of excess, gets more of it."""
    share = 2 if gap < -0.05 else 3 if gap < 0.05 else 4
    return replace(PATIENT if effort.rounds >= 4 else Mix(), butteraugli=share)


def search(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    *,
    start: float | None = None,
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
    check : callable
        Called between passes; raises to give up (time-out, cancellation).

    Returns
    -------
    best : Found or None
        The coarsest that meets the limits, if any did.
    nearest : Found
        The one with the least excess.
    """
    x = log(start or limits.starting_distance())
    weights = Weights.flat(encoder.coefficients)
    encoder.rates = []
    for _ in range(effort.warm):
        trial = _pass(encoder, x, weights)
    for number in range(effort.rounds):
        check()
        codes = encoder.decode(trial)
        scores, windows = judge.gradients(codes)
        excesses = limits.excesses(scores.butteraugli, scores.ssimulacra2)
        excess = max(excesses)
        mix = _mix(excesses[0] - excesses[1], effort)
        weights = reweigh(encoder, trial, windows, mix, weights)
        x = min(max(x - min(max(excess, -1.5), 1.5) + _GAIN, log(FINEST)), log(COARSEST))
        if number + 1 < effort.rounds:
            trial = _pass(encoder, x, weights)

    best, nearest = _land(encoder, judge, limits, effort, weights, x, 0.0, check)
    if best is None or effort.rounds < 4:
        return best, nearest
    # Finer tables with dearer bits, or the reverse, sometimes make a smaller file.
    smallest = _size(encoder, best)
    for y in (0.3, -0.3):
        start = log(best.trial.distance) - _SLOPE_OF_WORTH * y
        other, _ = _land(encoder, judge, limits, effort, weights, start, y, check)
        if other is not None and _size(encoder, other) < smallest:
            best, smallest = other, _size(encoder, other)
    return best, nearest


def _size(encoder: Encoder, found: Found) -> int:
    image = encoder.image(found.trial)
    return len(write(image, script=simple_progression(image), threads=encoder.threads))


def _land(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    effort: Effort,
    weights: Weights,
    x: float,
    usual: float,
    check: Callable[[], None],
) -> tuple[Found | None, Found]:
    """Find where the limits are just met under given weights; e^``usual`` is the worth of a bit at first."""
    trial = _pass(encoder, x, weights, usual)
    # First the distance, until a file passes; then, since tables of small integers make the score jump,
    # a bit may be worth more under the same tables. (Worth less hardly helps: levels are rounded already.)
    best: Found | None = None
    nearest: Found | None = None
    root = Root(slope=1.0, tolerance=_TOLERANCE, aim=-0.02)
    fine: Root | None = None
    y = 0.0
    for probe in range(effort.probes + _PATIENCE):
        check()
        codes = encoder.decode(trial)
        scores = judge.scores(codes)
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
            if -_NEAR < excess <= 0.0 and not (
                effort.rounds >= 4 and root.gap > 0.03 and probe < effort.probes
            ):
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
        trial = _pass(encoder, x, weights, usual + y)
    assert nearest is not None
    return best, nearest


def open_loop(
    encoder: Encoder, judge: Judge, limits: Limits, *, start: float, check: Callable[[], None] = lambda: None
) -> Found | None:
    """Quantise without gradients, look once, correct once.

    Parameters
    ----------
    encoder, judge, limits, check
        As for :func:`search`.
    start : float
        Distance of the tables that is expected to do.

    Returns
    -------
    Found or None
        None if the limits are missed twice, or met with so much room that bytes would be wasted.
    """
    x = log(start) - 0.02
    weights = Weights.flat(encoder.coefficients)
    encoder.rates = []
    trial = _pass(encoder, x, weights)
    best: Found | None = None
    for attempt in range(2):
        check()
        trial = _pass(encoder, x, weights)
        codes = encoder.decode(trial)
        scores = judge.scores(codes)
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
        codes = encoder.decode(trial)
        if probe < effort.rounds:
            scores, windows = judge.gradients(codes)
            weights = reweigh(encoder, trial, windows, mix, weights)
        else:
            scores = judge.scores(codes)
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
