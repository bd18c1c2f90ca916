"""Landing: find the coarsest quantisation that just meets the limits, under given weights."""

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
from guetzpy.search.evaluation import Evaluation, binding, evaluate, leads_of
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.tiles import Part
from guetzpy.search.worst_places import increased, worst

__all__ = ["REDUCED_FROM", "Budget", "evaluate_part", "land"]

#: Largest number of predictions, from the tiles, of where to evaluate the whole picture next, and largest
#: number of evaluations of the tiles for each prediction.
_SCOUTED, _ON_TILES = 4, 5

#: Number of evaluations that may follow those of the effort while no file is close enough to the limits.
#: After half of them, any file that meets the limits is taken.
_PATIENCE = 6

#: If the ratio of the largest local error to the allowed one is above this, one more encode is made to reduce
#: the error. Above 1, this encode would be made for most files, take 8 % of the processor time and save
#: nothing (16 training pictures).
REDUCED_FROM = 1.1


class Budget(NamedTuple):
    """Number of evaluations that a landing may take, and its tolerance.

    Attributes
    ----------
    evaluations : int
        Largest number of evaluations.
    settle : int
        Number of evaluations after which any file that meets the limits is taken, even if it is not close.
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
    steady: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Evaluation | None:
    """Find the coarsest quantisation that meets the limits under given weights.

    Parameters
    ----------
    source : CodingSource
        The picture.
    judge : Judge
        Scores against the reference.
    limits : Limits
        Limits of the scores that the file must meet.
    weights : Weights
        Weights of the errors of blocks and frequencies.
    settings : EncodeSettings
        Settings, in which distance and Lagrange multiplier are replaced by those of ``approach``.
    approach : Approach
        First point to evaluate, and the rule for the next ones.
    budget : Budget
        Number of evaluations of the whole picture.
    leads : sequence of float, optional
        Expected excess of each metric less that of the binding one;
        see :func:`~guetzpy.search.evaluation.evaluate`.
    part : Part, optional
        Sample tiles of the picture, to evaluate between evaluations of the whole.
    steady : bool
        If True, all encodes have the given weights. If False, the weights of blocks with large local errors
        may be increased: once during the landing, if there are no tiles, and for one last encode after it.
    check : callable
        Called between evaluations; it raises an exception to end the search.

    Returns
    -------
    Evaluation or None
        The coarsest evaluation that meets the limits; None if none does.
    """
    best: Evaluation | None = None
    best_at = settings, weights
    are_increased = steady or part is not None
    is_partial = False  # whether some excess so far is by one metric only, the one expected to bind
    scout = None if part is None else _Scout(part, part.tiles.cut_weights(weights, source), limits)
    for number in range(budget.evaluations):
        check()
        here = settings.at(exp(approach.log_distance), approach.log_lambda)
        trial = encode(source, here, weights).bare()
        settings = settings.priced(trial.rates)
        scores, excesses = evaluate(judge, limits, decode(source, trial), leads)
        excess = max(excesses)
        if scores is None:
            is_partial = True
        else:
            if is_partial and binding(leads_of(excesses)) != binding(leads):
                # Another metric binds than was expected, so the excesses so far are too small.
                approach, is_partial = approach.without_points(), False
            leads = leads_of(excesses)
            if excess <= 0.0 and (best is None or excess > best.excess):
                best, best_at = Evaluation(trial, scores, excess), (here, weights)
        if best is not None and (
            number + 1 >= budget.settle or _close(best, limits, budget.tolerance, scout is not None, number)
        ):
            break
        if scores is not None and not are_increased:
            # The weights change at most once: evaluations before a change do not predict the next distance.
            weights, are_increased = increased(weights, source, scores, limits), True
        if scout is not None and number < _SCOUTED:
            scout = scout.seen(excess)
            found = scout.next(settings, excesses, approach, number)
            moved, scout = found.approach, replace(scout, expected=found.change, before=excess)
            if (moved.log_distance, moved.log_lambda) != (approach.log_distance, approach.log_lambda):
                approach = moved
                continue
            approach = moved
        following = approach.after(excess)
        if following is None:
            break
        approach = following
    if best is None or steady:
        return best
    return _with_smaller_errors(source, judge, limits, best, *best_at, check)


def _with_smaller_errors(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    best: Evaluation,
    settings: EncodeSettings,
    weights: Weights,
    check: Callable[[], None],
) -> Evaluation:
    """Return a file with smaller local errors if those of ``best`` are too large, or ``best``."""
    largest = worst(best.scores, limits)
    if largest <= REDUCED_FROM:
        return best
    check()
    trial = encode(source, settings, increased(weights, source, best.scores, limits)).bare()
    leads = leads_of(limits.excesses(best.scores))
    scores, excesses = evaluate(judge, limits, decode(source, trial), leads)
    if scores is None or max(excesses) > 0.0 or worst(scores, limits) >= largest:
        return best
    return Evaluation(trial, scores, max(excesses))


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
    """The next point at which to evaluate the whole picture, and the expected change of its excess."""

    approach: Approach
    change: float


@dataclass(frozen=True)
class _Scout:
    """A prediction, from sample tiles, of where the whole picture meets the limits.

    Under the same weights, the change of the whole picture's excess is assumed to be a fixed share,
    ``follows``, of the change of the tiles' excess.

    Attributes
    ----------
    part : Part
        The tiles.
    weights : Weights
        Weights of the blocks of the tiles.
    limits : Limits
        Limits of the scores that the file must meet.
    follows : float
        Share of the tiles' changes by which the whole picture changes; 0 before the first evaluation.
    expected, before : float
        Change of the excess that the last prediction expected, and the excess before it.
    """

    part: Part
    weights: Weights
    limits: Limits
    follows: float = 0.0
    expected: float = 0.0
    before: float = 0.0

    def seen(self, excess: float) -> _Scout:
        """Return the prediction's state after an evaluation of the whole picture."""
        if not self.follows:
            met = excess <= 0.0  # the next evaluation will be of worse quality
            return replace(self, follows=calibration.FOLLOWS_WORSE if met else calibration.FOLLOWS_BETTER)
        if abs(self.expected) <= calibration.TELLING_CHANGE:
            return self
        low, high = calibration.FOLLOWS_RANGE
        return replace(
            self, follows=min(max(self.follows * (excess - self.before) / self.expected, low), high)
        )

    def next(
        self, settings: EncodeSettings, excesses: Sequence[float], here: Approach, number: int
    ) -> _Proposal:
        """Return where the whole picture's excess is expected to reach an aim a little below 0.

        ``excesses`` are those of the whole picture at ``here``, in evaluation ``number`` (from 0).
        """
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
