"""From weights to the coarsest quantisation that just meets the limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy._elementary import exp, log
from guetzpy.search.encoder import Encoder, Trial, Weights
from guetzpy.search.judge import Judge, Scores
from guetzpy.search.montage import Part
from guetzpy.search.target import COARSEST, FINEST, Limits, Root

__all__ = ["Found", "glance", "land", "look", "slope"]

#: How exactly montages are searched: a part of what :attr:`Limits.rooms` allows the whole.
TOLERANCE = 0.012

#: Room below the binding limit with which a picture that is large enough to look at a montage in between is
#: good enough, of the first two looks; of every further one, as dear as they are there, that much more.
_SCOUTED_TOLERANCE = 0.0165

#: Where looks are dear: least worth of a bit, as a logarithm, and the excess that it may mend.
_CHEAPEST, _MENDED = -0.4, 0.01

#: How the binding excess follows the logarithm of the distance: to coarser tables, and to finer ones below
#: and above a distance of 1.5, less so where it is SSIMULACRA 2's (medians of 43 photographs).
_RISE, _FALL_OF_FINE, _FALL = 1.1, 0.65, 1.0
_FINE = 0.4

#: Room from which on the worth of a bit is moved instead of the tables; its effect on the excess at distance
#: 1, and the power of the distance that it grows with (medians of 43 photographs between 0.5 and 4).
_NEAR = 0.07
_SLOPE_OF_WORTH, _GROWTH_OF_WORTH = 0.155, 0.6

#: Excess that a change of the worth aims at.
_AIM = -0.008

#: Looks beyond an effort's own while no file is good enough.
_PATIENCE = 6

#: How often a montage may say where to look next, and looks at it each time.
_SCOUTED, _GLANCES = 4, 5

#: Share of a montage's change that the whole follows with at first, to better and to worse: about 0.9, on
#: the safe side.
_FOLLOWS = 0.87, 1.1


#: How much more one metric must bind than the other, so that the other need not be asked of what fails.
_BINDS = 0.04


@dataclass
class Found:
    """A trial, its scores, and by how much they exceed the limits."""

    trial: Trial
    scores: Scores
    excess: float


def slope(x: float, excess: float) -> float:
    """Return how the binding excess is expected to change from ``x``, the logarithm of a distance."""
    return _RISE if excess <= 0.0 else _FALL_OF_FINE if x < _FINE else _FALL


class _Approach:
    """Where to look next: first at another distance, until a file passes, then at another worth of a bit.

    Tables of small integers make the score jump, under the same tables it moves smoothly. (A bit worth
    less is a dear way to quality, half as much again as other tables: it is for pictures of which every
    look is dear.)

    Parameters
    ----------
    x, y : float
        Logarithms of the distance, and of what a bit is worth in units of the usual.
    patience : int
        Looks before the worth of a bit is moved.
    dear : bool
        Whether looks are dear, so that a bit may be worth less to mend a small excess.
    """

    def __init__(self, x: float, y: float = 0.0, patience: int = 0, *, dear: bool = False) -> None:
        self.x, self.y = x, y
        self._patience = patience
        self._dear = dear
        self._cheapest, self._mended = (_CHEAPEST, _MENDED) if dear else (0.0, 0.0)
        self._root = Root(slope=1.0, tolerance=TOLERANCE, aim=-0.02)
        self._fine: Root | None = None

    def add(self, excess: float) -> bool:
        """Take in the excess here and move on; return whether there is anywhere to go."""
        if self._fine is not None and excess > 0.0:
            # no room left that a bit's worth could use up, or a second try to mend in vain
            if self.y == 0.0 or (self.y < 0.0 and len(self._fine.points) > 1):
                self._fine, self._mended, self.y = None, 0.0, 0.0
        if self._fine is None:
            if not self._dear:
                self._root.slope = slope(self.x, excess)
            self._root.add(self.x, excess)
            waits = self._root.gap > 0.03 and len(self._root.points) <= self._patience
            if self.y > 0.0 or (-_NEAR < excess <= self._mended and not waits):
                by_worth = _SLOPE_OF_WORTH * exp(_GROWTH_OF_WORTH * min(self.x, 1.5))
                self._fine = Root(slope=by_worth, tolerance=TOLERANCE, aim=_AIM)
            else:
                self.y = 0.0
        if self._fine is not None:
            self._fine.add(self.y, excess)
            self.y = min(max(self._fine.propose(), self._cheapest), 1.0)
            return True
        if (excess > 0.0 and self.x <= log(FINEST) + 1e-9) or self._root.hopeless:
            return False
        self.x = min(max(self._root.propose(), log(FINEST)), log(COARSEST))
        return all(abs(self.x - known) >= 1e-4 for known, _ in self._root.points)


def look(
    judge: Judge, limits: Limits, codes: npt.NDArray[np.uint8], gap: float | None
) -> tuple[Scores | None, tuple[float, float]]:
    """Score codes by the metric that binds, and by the other one if that does not fail them already.

    Parameters
    ----------
    judge : Judge
        Scores against the reference.
    limits : Limits
        What must hold.
    codes : ndarray of uint8, shape (1|3, H, W)
        As they are shown.
    gap : float or None
        By how much more Butteraugli is expected to exceed its limit than SSIMULACRA 2; None if unknown.

    Returns
    -------
    scores : Scores or None
        None if one metric fails the codes and the other was not asked.
    excesses : tuple of float
        By both. What was not asked is guessed from ``gap``.
    """
    if gap is not None and gap < -_BINDS:
        ssimulacra2 = judge.by_ssimulacra2(codes)
        excess = limits.by_ssimulacra2(ssimulacra2)
        if excess > 0.0:
            return None, (excess + gap, excess)
        scores = Scores(*judge.by_butteraugli(codes), ssimulacra2)
    elif gap is not None and gap > _BINDS:
        norm, maximum = judge.by_butteraugli(codes)
        excess = limits.by_butteraugli(norm)
        if excess > 0.0:
            return None, (excess, excess - gap)
        scores = Scores(norm, maximum, judge.by_ssimulacra2(codes))
    else:
        scores = judge.scores(codes)
    return scores, limits.excesses(scores.butteraugli, scores.ssimulacra2)


def land(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    weights: Weights,
    x: float,
    *,
    looks: int,
    patience: int = 0,
    gap: float | None = None,
    part: Part | None = None,
    check: Callable[[], None] = lambda: None,
) -> Found | None:
    """Find where the limits are just met under given weights.

    Parameters
    ----------
    encoder : Encoder
        The picture at one sampling.
    judge : Judge
        Scores against the reference.
    limits : Limits
        What must hold.
    weights : Weights
        Of errors.
    x : float
        Logarithm of the distance to begin at.
    looks : int
        About how often the whole may be scored.
    patience : int
        Looks during which the distance is narrowed down before the worth of a bit is moved.
    gap : float, optional
        Which metric is expected to bind; see :func:`look`.
    part : Part, optional
        A montage of the picture, to look at between looks at the whole.
    check : callable
        Called between looks; raises to give up.

    Returns
    -------
    Found or None
        The coarsest that meets the limits, if any did.
    """
    best: Found | None = None
    approach = _Approach(x, patience=patience, dear=part is not None)
    cut = None if part is None else part.tiles.cut_weights(weights, encoder)
    follows, told, before = 0.0, 0.0, 0.0
    for number in range(looks + _PATIENCE):
        check()
        trial = encoder.quantise_at(exp(approach.x), weights, approach.y).bare()
        scores, excesses = look(judge, limits, encoder.decode(trial), gap)
        excess = max(excesses)
        if scores is not None:
            gap = excesses[0] - excesses[1]
            if excess <= 0.0 and (best is None or excess > best.excess):
                best = Found(trial, scores, excess)
        if best is not None:
            rooms = limits.rooms if part is None else (max(1, number) * _SCOUTED_TOLERANCE,) * 2
            below = limits.excesses(best.scores.butteraugli, best.scores.ssimulacra2)
            close = any(-room <= excess for excess, room in zip(below, rooms, strict=True))
            if close or number + 1 >= looks + _PATIENCE // 2:
                break
        if part is not None and cut is not None and number < _SCOUTED:
            if not follows:
                follows = _FOLLOWS[excess <= 0.0]
            elif abs(told) > 0.004:
                follows = min(max(follows * (excess - before) / told, 0.3), 1.2)
            here, before = (approach.x, approach.y), excess
            aim = -0.6 * (number + 1) * _SCOUTED_TOLERANCE
            approach, told = _scouted(part, cut, encoder, limits, excesses, approach, follows, aim)
            if (approach.x, approach.y) != here:
                continue
        if not approach.add(excess):
            break
    return best


def glance(
    part: Part, weights: Weights, encoder: Encoder, limits: Limits, x: float, y: float = 0.0
) -> tuple[float, float]:
    """Return the excesses of a montage at the distance ``exp(x)``, bits priced and worth as in the whole."""
    small = part.encoder
    small.shape, small.dc_limit, small.rates = encoder.shape, encoder.dc_limit, list(encoder.rates)
    scores = part.judge.scores(small.decode(small.quantise_at(exp(x), weights, y)))
    return limits.excesses(scores.butteraugli, scores.ssimulacra2)


def _scouted(
    part: Part,
    weights: Weights,
    encoder: Encoder,
    limits: Limits,
    excesses: tuple[float, float],
    here: _Approach,
    follows: float,
    aim: float,
) -> tuple[_Approach, float]:
    """Return where a montage says that the whole, seen here with ``excesses``, will be at ``aim``.

    Both differ by an amount that is taken for the same wherever the same weights are used, and the whole
    follows the montage's changes with a share of them. The change that is expected is returned as well.
    """
    seen = glance(part, weights, encoder, limits, here.x, here.y)
    moving = _Approach(here.x, here.y, dear=True)
    excess = max(excesses)
    closest, place, change = 1e9, (here.x, here.y), 0.0
    for _ in range(_GLANCES):
        if not moving.add(excess):
            break
        now = glance(part, weights, encoder, limits, moving.x, moving.y)
        excess = max(
            w + follows * (n - s) for w, n, s in zip(excesses, now, seen, strict=True) if w > float("-inf")
        )
        if abs(excess - aim) < closest:
            closest, place, change = abs(excess - aim), (moving.x, moving.y), excess - max(excesses)
        if closest < 0.3 * TOLERANCE:
            break
    return _Approach(*place, dear=True), change
