"""Choice of the candidates that get a full search, and of the settings that it begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from guetzpy._runtime.exact_math import exp, log
from guetzpy._runtime.threads import apart
from guetzpy.search.calibration import BYTES_BY_DISTANCE, CLOSE_CANDIDATE, GAIN_OF_WEIGHTS_420
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.tables import TableFamily
from guetzpy.search.coding.trellis import Rate
from guetzpy.search.evaluation import size_of
from guetzpy.search.plan import Effort
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import COARSEST, FINEST, Limits

__all__ = ["Choice", "Start", "choose"]

#: The excess of a single evaluation is limited to this absolute value.
_LARGEST = 1.5


@dataclass(frozen=True)
class Start:
    """The index of a candidate, the distance at which its search begins, and costs of symbols if known."""

    number: int
    distance: float
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Candidates to search, the best first; ``rest`` is tried if none of the finalists meets the limits."""

    finalists: tuple[Start, ...]
    rest: tuple[Start, ...]


def choose(
    candidates: Sequence[tuple[Callable[[], CodingSource], TableFamily]],
    judge: Judge,
    limits: Limits,
    effort: Effort,
    settings: EncodeSettings,
) -> Choice:
    """Return the candidates that get a full search.

    Each candidate is evaluated once, without weights. Its bytes at the limits are then estimated with the
    usual slope of log bytes over log distance.

    Parameters
    ----------
    candidates : sequence of (callable, TableFamily)
        A function that makes each source, and the family of its tables.
    judge : Judge
        Scores against the reference.
    limits : Limits
        Limits of the scores that the file must meet.
    effort : Effort
        Only the highest effort returns two finalists, and only if they are close.
    settings : EncodeSettings
        All settings; the distance and the family are replaced.
    """
    start = limits.starting_distance()
    if len(candidates) == 1 and effort.rounds:
        return Choice((Start(0, start),), ())
    rated: list[tuple[float, int, float]] = []
    rates: dict[int, tuple[Rate, ...]] = {}

    def rate(number: int) -> None:
        make, family = candidates[number]
        source = make()
        trial = encode(source, settings.of_family(family).at(start))
        rates[number] = trial.rates
        excess = min(max(limits.excess(judge.scores(decode(source, trial))), -_LARGEST), _LARGEST)
        begin = min(max(start * exp(-excess), FINEST), COARSEST)
        predicted = log(size_of(source, trial)) + BYTES_BY_DISTANCE * excess
        if effort.rounds and source.sampling == (2, 2):
            predicted -= GAIN_OF_WEIGHTS_420
        rated.append((predicted, number, begin))

    if len(candidates) > 1 and judge.side_by_side:
        judge.prepare()
        apart([partial(rate, number) for number in range(len(candidates))], judge.threads)
    else:
        for number in range(len(candidates)):
            rate(number)
    rated.sort()
    close = [entry for entry in rated if entry[0] < rated[0][0] + CLOSE_CANDIDATE]
    keep = min(2, len(close)) if effort.tuned else 1
    finalists = tuple(Start(number, begin, rates[number]) for _, number, begin in rated[:keep])
    rest = sorted(number for _, number, _ in rated[keep:])
    return Choice(finalists, tuple(Start(number, start, rates[number]) for number in rest))
