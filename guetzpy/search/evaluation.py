"""Evaluations: trials that are decoded and scored. Metrics that cannot change the decision are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.scans import simple_progression
from guetzpy.jpeg.writer import write
from guetzpy.search.calibration import BINDS
from guetzpy.search.coding.encoder import Trial, image
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores

__all__ = ["Evaluation", "Selected", "binding", "evaluate", "leads_of", "size_of"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A trial, its scores, and the largest excess over the limits."""

    trial: Trial
    scores: Scores
    excess: float


@dataclass(frozen=True, eq=False)
class Selected:
    """The result of a search.

    Attributes
    ----------
    found : Evaluation
        The trial and its scores.
    source : CodingSource
        Source of the trial.
    relaxed : Limits or None
        The limits that the file meets, if no JPEG file meets those of the target; otherwise None.
    fell_back : bool
        Whether the open loop missed the limits, so that the closed loop went on.
    """

    found: Evaluation
    source: CodingSource
    relaxed: Limits | None = None
    fell_back: bool = False


def leads_of(excesses: Sequence[float]) -> tuple[float, ...]:
    """Return the excess by each metric less that of the binding one, which gets 0."""
    binding = max(excesses)
    return tuple(excess - binding for excess in excesses)


def binding(leads: Sequence[float] | None) -> int | None:
    """Return the number of the binding metric; None if it is not known."""
    return None if leads is None else max(range(len(leads)), key=lambda number: leads[number])


def evaluate(
    judge: Judge, limits: Limits, codes: npt.NDArray[np.uint8], leads: Sequence[float] | None
) -> tuple[Scores | None, tuple[float, ...]]:
    """Score codes by the metric that is expected to bind, and by the others if its limit holds.

    Parameters
    ----------
    judge : Judge
        Scores against the reference.
    limits : Limits
        Limits that the codes should meet.
    codes : ndarray of uint8, shape (1|3, H, W)
        Codes that a decoder shows.
    leads : sequence of float, optional
        Expected result of :func:`leads_of`; None if unknown.

    Returns
    -------
    scores : Scores or None
        None if the first metric exceeds its limit, so that the others were not evaluated.
    excesses : tuple of float
        Excess by each metric. The excess by a metric that was not evaluated is estimated from ``leads``.
    """
    if leads is not None and len(leads) > 1:
        first, second = sorted(range(len(leads)), key=lambda n: -leads[n])[:2]
        if leads[second] - leads[first] < -BINDS:
            found = {first: judge.score(first, codes)}
            excess = limits.excess_by(first, found[first].value)
            if excess > 0.0:
                return None, tuple(excess + lead for lead in leads)
            for number in judge.scored:
                if number != first:
                    found[number] = judge.score(number, codes)
            scores = judge.joined(found)
            return scores, limits.excesses(scores)
    scores = judge.scores(codes)
    return scores, limits.excesses(scores)


def size_of(source: CodingSource, trial: Trial) -> int:
    """Return the approximate bytes of a trial: those of a progressive file with a fixed scan script."""
    file = image(source, trial)
    return len(write(file, script=simple_progression(file), threads=source.threads))
