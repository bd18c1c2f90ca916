"""Search for the finest quantisation whose file has at most a given number of bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from guetzpy._runtime.exact_math import exp, log
from guetzpy.search import calibration
from guetzpy.search.coding.encoder import Trial, decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource, PlaneSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.evaluation import Evaluation
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import COARSEST, FINEST
from guetzpy.search.quality.weighting import Mix, carry, into_steps, reweigh
from guetzpy.search.root import Root
from guetzpy.search.spreading import spread
from guetzpy.search.tiles import Part

__all__ = ["Measure", "SizeBudget", "search_size"]

#: Number of trials that did not fit, after which the coarsest encode is tried.
_CREEPING = 4

#: A function that returns the bytes of the file of a trial of a source.
Measure = Callable[[Trial, CodingSource], int]


@dataclass(frozen=True)
class SizeBudget:
    """How long to search for a size.

    Attributes
    ----------
    rounds : int
        Number of times that weights are computed from gradients.
    passes : int
        Largest number of trials after the rounds.
    tolerance : float
        How far below the limit a file may be, in log bytes, for the search to stop.
    settled : bool
        Whether the first trial is made twice, the second time with the costs of symbols of the first.
    """

    rounds: int
    passes: int
    tolerance: float = 0.005
    settled: bool = True


def search_size(
    source: CodingSource,
    judge: Judge,
    size: int,
    measure: Measure,
    budget: SizeBudget,
    settings: EncodeSettings,
    *,
    fixed: int = 0,
    predict: Callable[[float], Weights] | None = None,
    weight_part: Callable[[], Part | None] = lambda: None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Evaluation | None, int]:
    """Find the finest quantisation whose file has at most ``size`` bytes.

    Parameters
    ----------
    source, judge, weight_part, check
        As for :func:`guetzpy.search.closed_loop.search`.
    size : int
        Largest size of the file in bytes.
    measure : callable
        Returns the bytes of the file of a trial.
    budget : SizeBudget
        How long to search.
    settings : EncodeSettings
        Settings; the distance is replaced.
    fixed : int
        Bytes of the file that do not depend on the quantisation, such as metadata. They are not counted in
        the search, because the steps between distances follow from the sizes.
    predict : callable, optional
        Returns the weights for a distance, for a search without gradients. Default: weights of 1.

    Returns
    -------
    best : Evaluation or None
        None if even the coarsest encode does not fit.
    smallest : int
        Bytes of the smallest file tried.
    """
    if 0 < fixed < size:
        found, least = search_size(
            source, judge, size - fixed, lambda trial, coded: max(measure(trial, coded) - fixed, 1),
            budget, settings, predict=predict, weight_part=weight_part, check=check,
        )  # fmt: skip
        return found, least + fixed
    larger = weight_part() if budget.rounds else None
    weighed, scorer = (source, judge) if larger is None else (larger.source, larger.judge)
    known, weights = weighed.flat_weights(), source.flat_weights()
    ends = log(FINEST), log(COARSEST)
    bits = 8.0 * size / (source.width * source.height)
    x = min(max(log(calibration.BITS_AT_DISTANCE_1 / bits) / calibration.BYTES_BY_DISTANCE, ends[0]), ends[1])
    if predict is not None and not budget.rounds:
        weights = predict(exp(x))
    best: Trial | None = None
    smallest = 0
    root = Root(slope=calibration.BYTES_BY_DISTANCE, tolerance=budget.tolerance)
    for number in range(budget.rounds + budget.passes):
        check()
        for _ in range(1 + (number == 0 and budget.settled)):
            trial = encode(source, settings.at(exp(x)), weights)
            settings = settings.priced(trial.rates)
        taken = measure(trial.bare(), source)
        if number < budget.rounds:
            if larger is not None:
                trial = encode(weighed, settings.at(exp(x)), known)
            carried = carry(weighed, trial, scorer)
            known = reweigh(weighed, trial, carried, Mix.of(carried.metrics), known)
            if number + 1 == budget.rounds:
                scorer.release()
                shape, known = into_steps(settings.shape, known, carried)
                settings = replace(settings, shape=shape)
            if larger is None:
                weights = known
            else:
                assert isinstance(source, PlaneSource), (
                    "weights of tiles need the whole picture's coefficients"
                )
                weights = spread(source, larger.tiles, known)
        trial = trial.bare()
        smallest = min(smallest or taken, taken)
        excess = log(taken / size)
        if number < budget.rounds:
            x += min(max(excess / calibration.BYTES_BY_DISTANCE, -1.5), 1.5)
        else:
            root = root.with_point(-x, excess)
            if excess <= 0.0 and (best is None or trial.distance < best.distance):
                best = trial
            end = ends[0] if excess <= 0.0 else ends[1]
            if -root.tolerance <= excess <= 0.0 or abs(x - end) < 1e-9:
                break
            # If most of the file is headers, its size hardly depends on the distance, and secants converge
            # slowly.
            creeps = best is None and number + 1 - budget.rounds >= _CREEPING and x < ends[1]
            x = ends[1] if creeps else -root.propose()
        x = min(max(x, ends[0]), ends[1])
    if best is None:
        return None, smallest
    return Evaluation(best, judge.scores(decode(source, best)), 0.0), smallest
