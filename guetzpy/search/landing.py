"""From weights to the coarsest quantisation that just meets the limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from guetzpy._runtime.exact_math import exp
from guetzpy.search import calibration
from guetzpy.search.approach import Approach, ByDistanceAndLambda
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.evaluation import Evaluation, evaluate, leads_of
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.tiles import Part
from guetzpy.search.worst_places import relieved, worst

__all__ = ["Budget", "evaluate_part", "land"]

#: How often tiles may say where to evaluate the whole next, and evaluations on them each time.
_SCOUTED, _ON_TILES = 4, 5

#: Evaluations beyond an effort's own while no file is close enough, and after how many of them one that meets
#: the limits is taken.
_PATIENCE = 6

#: Further encodes to reduce the largest local error, at most.
_RELIEFS = 2


class Budget(NamedTuple):
    """How many evaluations a landing may take.

    Attributes
    ----------
    evaluations : int
        At most.
    settle : int
        After so many a file that meets the limits is taken, however close it is.
    tolerance : float or None
        Margin below the limits, as an excess, that is close enough; None: the metrics' own tolerances.
    """

    evaluations: int
    settle: int
    tolerance: float | None = None

    @classmethod
    def of_probes(cls, probes: int) -> Budget:
        """Return the budget of an effort that may evaluate about ``probes`` times."""
        return cls(probes + _PATIENCE, probes + _PATIENCE // 2)


def land(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    weights: Weights,
    settings: EncodeSettings,
    approach: Approach,
    budget: Budget,
    *,
    leads: Sequence[float] | None = None,
    part: Part | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation | None:
    """Find where the limits are just met under given weights.

    Parameters
    ----------
    source : CodingSource
        The picture.
    judge : Judge
        Scores against the reference.
    limits : Limits
        What must hold.
    weights : Weights
        Of errors.
    settings : EncodeSettings
        For all but the distance and the Lagrange multiplier.
    approach : Approach
        Where to begin, and how to go on.
    budget : Budget
        Evaluations of the whole picture.
    leads : sequence of float, optional
        Which metric is expected to bind; see :func:`~guetzpy.search.evaluation.evaluate`.
    part : Part, optional
        Sample tiles of the picture, to evaluate between evaluations of the whole.
    check : callable
        Called between evaluations; raises to give up.

    Returns
    -------
    Evaluation or None
        The coarsest that meets the limits, if any did.
    """
    best: Evaluation | None = None
    best_at = settings, weights
    scout = None if part is None else _Scout(part, part.tiles.cut_weights(weights, source), limits)
    for number in range(budget.evaluations):
        check()
        here = settings.at(exp(approach.log_distance), approach.log_lambda)
        trial = encode(source, here, weights).bare()
        settings = settings.priced(trial.rates)
        scores, excesses = evaluate(judge, limits, decode(source, trial), leads)
        excess = max(excesses)
        if scores is not None:
            leads = leads_of(excesses)
            if excess <= 0.0 and (best is None or excess > best.excess):
                best, best_at = Evaluation(trial, scores, excess), (here, weights)
        if best is not None and (
            number + 1 >= budget.settle or _close(best, limits, budget.tolerance, scout is not None, number)
        ):
            break
        if scores is not None and scout is None:
            weights = relieved(weights, source, scores, limits)
        if scout is not None and number < _SCOUTED:
            scout = scout.seen(excess)
            found = scout.next(settings, excesses, approach, number)
            moved, scout = found.approach, replace(scout, told=found.change, before=excess)
            if (moved.log_distance, moved.log_lambda) != (approach.log_distance, approach.log_lambda):
                approach = moved
                continue
            approach = moved
        following = approach.after(excess)
        if following is None:
            break
        approach = following
    return None if best is None else _relieved(source, judge, limits, best, *best_at, check)


def _relieved(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    best: Evaluation,
    settings: EncodeSettings,
    weights: Weights,
    check: Callable[[], None],
) -> Evaluation:
    """Return an encode whose largest local error is allowed, or smaller than that of ``best``."""
    for _ in range(_RELIEFS):
        if worst(best.scores, limits) <= 1.0:
            break
        check()
        weights = relieved(weights, source, best.scores, limits)
        trial = encode(source, settings, weights).bare()
        scores = judge.scores(decode(source, trial))
        excess = limits.excess(scores)
        if excess > 0.0 or worst(scores, limits) >= worst(best.scores, limits):
            break
        best = Evaluation(trial, scores, excess)
    return best


def _close(best: Evaluation, limits: Limits, tolerance: float | None, scouted: bool, number: int) -> bool:
    """Return whether a file is close enough to the limits after evaluation ``number``, from 0."""
    if tolerance is not None:
        return best.excess >= -tolerance
    below = limits.excesses(best.scores)
    if scouted:
        return max(below) >= -max(1, number) * calibration.SCOUTED_TOLERANCE
    return any(-allowed <= excess for excess, allowed in zip(below, limits.tolerances, strict=True))


def evaluate_part(
    part: Part, weights: Weights, limits: Limits, settings: EncodeSettings
) -> tuple[float, ...]:
    """Return the excesses on sample tiles under the settings of the whole picture."""
    return limits.excesses(part.judge.scores(decode(part.source, encode(part.source, settings, weights))))


class _Proposal(NamedTuple):
    """Where to evaluate the whole next, and the change of its excess that is expected there."""

    approach: Approach
    change: float


@dataclass(frozen=True)
class _Scout:
    """Tells from sample tiles where the whole picture will meet the limits.

    The excesses of both differ by an amount that is taken for constant under the same weights, and the whole
    follows a share of the tiles' changes.

    Attributes
    ----------
    part : Part
        The tiles.
    weights : Weights
        Cut to the tiles.
    limits : Limits
        What must hold.
    follows : float
        Share of the tiles' changes that the whole follows; 0 before the first evaluation.
    told, before : float
        Change of the excess that was expected last, and the excess before it.
    """

    part: Part
    weights: Weights
    limits: Limits
    follows: float = 0.0
    told: float = 0.0
    before: float = 0.0

    def seen(self, excess: float) -> _Scout:
        """Return the scout after an evaluation of the whole."""
        if not self.follows:
            met = excess <= 0.0  # the next evaluation will be of worse quality
            return replace(self, follows=calibration.FOLLOWS_WORSE if met else calibration.FOLLOWS_BETTER)
        if abs(self.told) <= calibration.TELLING_CHANGE:
            return self
        low, high = calibration.FOLLOWS_RANGE
        return replace(self, follows=min(max(self.follows * (excess - self.before) / self.told, low), high))

    def next(
        self, settings: EncodeSettings, excesses: Sequence[float], here: Approach, number: int
    ) -> _Proposal:
        """Return where the whole, evaluated ``here`` with ``excesses``, will be at the aim."""
        aim = -0.6 * (number + 1) * calibration.SCOUTED_TOLERANCE

        def excesses_at(approach: Approach) -> tuple[float, ...]:
            there = settings.at(exp(approach.log_distance), approach.log_lambda)
            return evaluate_part(self.part, self.weights, self.limits, there)

        seen = excesses_at(here)
        moving: ByDistanceAndLambda | None
        moving = ByDistanceAndLambda.where_expensive(here.log_distance, here.log_lambda)
        excess = max(excesses)
        closest, place, change = 1e9, (here.log_distance, here.log_lambda), 0.0
        for _ in range(_ON_TILES):
            moving = moving.after(excess)
            if moving is None:
                break
            now = excesses_at(moving)
            excess = max(
                whole + self.follows * (tiles - first)
                for whole, tiles, first in zip(excesses, now, seen, strict=True)
                if whole > float("-inf")
            )
            if abs(excess - aim) < closest:
                place = moving.log_distance, moving.log_lambda
                closest, change = abs(excess - aim), excess - max(excesses)
            if closest < 0.3 * calibration.TILE_TOLERANCE:
                break
        return _Proposal(ByDistanceAndLambda.where_expensive(*place), change)
