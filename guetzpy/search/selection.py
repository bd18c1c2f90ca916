"""Search the candidates of a picture, and keep the best result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from guetzpy.errors import TargetError
from guetzpy.search import bounded, closed_loop, smooth
from guetzpy.search.candidates import Candidates
from guetzpy.search.choice import Start, choose
from guetzpy.search.coding import tables
from guetzpy.search.coding.encoder import decode
from guetzpy.search.coding.learnt import predicted_weights
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.evaluation import Evaluation, Selected, size_of
from guetzpy.search.finest import finest
from guetzpy.search.open_loop import open_loop
from guetzpy.search.plan import EFFORTS, Effort
from guetzpy.search.quality.limits import Limits
from guetzpy.search.sizing import Measure, SizeBudget, search_size
from guetzpy.search.tuning import cost

__all__ = ["Selected", "select", "select_size"]


def select(
    candidates: Candidates,
    limits: Limits,
    effort: str,
    *,
    strict: bool,
    check: Callable[[], None],
    measure: Measure = lambda trial, source: size_of(source, trial),
) -> Selected:
    """Find the fewest bytes that meet the limits, among all candidates.

    Parameters
    ----------
    candidates : Candidates
        The picture, with its possible sources and table families.
    limits : Limits
        Limits of the scores that the file must meet.
    effort : str
        Name of an effort.
    strict : bool
        Whether limits that the format cannot meet are an error; they are relaxed otherwise.
    measure : callable
        Returns the size in bytes of a trial's file.
    check : callable
        Called between evaluations; it raises an exception to end the search.

    Raises
    ------
    TargetError
        The limits cannot be met, and ``strict`` is True.
    """
    if candidates.plan.bounded:
        return bounded.select(candidates, limits, strict=strict, measure=measure, check=check)
    mean = smooth.Mean(candidates.codes)
    if smooth.is_linear(candidates.codes) or _is_smooth(candidates):
        return smooth.search(
            candidates.entries, candidates.judge, limits, mean, measure, check, strict=strict
        )
    search = partial(_with_mean, limits=limits, effort=effort, strict=strict, mean=mean, check=check)
    return _with_flat_colours(candidates, limits, search)


def _is_smooth(candidates: Candidates) -> bool:
    sample = candidates.sample  # this takes less time than the search of the whole picture
    return (sample is None or smooth.is_smooth(sample.sources[0])) and smooth.is_smooth(candidates.source(0))


def _with_flat_colours(
    candidates: Candidates, limits: Limits, search: Callable[[Candidates], Selected]
) -> Selected:
    """Search the candidates; if the limits are not met, search with other targets for flat colours too."""
    try:
        selected = search(candidates)
    except TargetError:
        aimed = candidates.aimed()
        if aimed is None:
            raise
        return search(aimed)
    aimed = None if selected.relaxed is None else candidates.aimed()
    if aimed is None:
        return selected
    return min(selected, search(aimed), key=lambda each: limits.excess(each.found.scores))


def _with_mean(
    candidates: Candidates,
    limits: Limits,
    effort: str,
    strict: bool,
    mean: smooth.Mean,
    check: Callable[[], None],
) -> Selected:
    """Search as :func:`select` does; search again with dithered chroma if the mean colour is wrong."""
    start = limits.starting_distance()
    settings = EncodeSettings(start, dc_limit=tables.dc_limit(start))
    selected = _select(candidates, limits, effort, strict, settings, check)
    error = mean.error(decode(selected.source, selected.found.trial))
    if error <= smooth.mean_limit(start):
        return selected
    # In a picture of one tone, the DC of chroma has the same rounding error in all blocks. The dither rounds
    # it up in some blocks and down in others, which keeps the mean.
    settings = replace(settings, chroma_dc_limit=settings.dc_limit, dither=(0.0, 1.0))
    again = _select(candidates, limits, effort, strict, settings, check)
    better = mean.error(decode(again.source, again.found.trial)) < error
    as_near = again.found.scores.distance <= max(selected.found.scores.distance, start)
    return again if better and as_near else selected


def _select(
    candidates: Candidates,
    limits: Limits,
    effort: str,
    strict: bool,
    settings: EncodeSettings,
    check: Callable[[], None],
) -> Selected:
    """Search as :func:`select` does, under settings that fix all but distance, costs and family."""
    search = _Search(candidates, settings, check)
    effort_now, relaxed = EFFORTS[effort], None
    for _ in range(2):
        found, effort_now, scores = search.attempt(limits, effort_now)
        if found is not None:
            fell_back = effort_now is not EFFORTS[effort]
            return replace(found, relaxed=relaxed, fell_back=fell_back)
        if strict:
            break
        relaxed = limits = limits.relaxed(scores.scores)
    raise limits.unmet(scores.scores)


@dataclass(frozen=True, eq=False)
class _Search:
    """A search of all candidates.

    Attributes
    ----------
    candidates : Candidates
        The picture, with its possible sources and table families.
    settings : EncodeSettings
        All settings; the distance, the costs of symbols and the family are replaced.
    check : callable
        Called between evaluations; it raises an exception to end the search.
    """

    candidates: Candidates
    settings: EncodeSettings
    check: Callable[[], None]

    def attempt(self, limits: Limits, effort: Effort) -> tuple[Selected | None, Effort, Evaluation]:
        """Return the result that meets the limits, the effort that found it, and an evaluation.

        If nothing meets the limits, the result is None and the evaluation is that of the finest encode.
        """
        entries, judge, sample = self.candidates.entries, self.candidates.judge, self.candidates.sample
        if sample is None:
            sources = [(entry.make, entry.family) for entry in entries]
            choice = choose(sources, judge, limits, effort, self.settings)
            # The search computes the costs of symbols again, after it has changed the weights.
            finalists = [replace(start, rates=()) for start in choice.finalists]
            rest = [replace(start, rates=()) for start in choice.rest]
        else:
            parts = [
                (partial(_same, source), entry.family)
                for source, entry in zip(sample.sources, entries, strict=True)
            ]
            choice = choose(parts, sample.judge, limits, effort, self.settings)
            finalists, rest = [*choice.finalists], [*choice.rest]
        if not effort.rounds:
            first = finalists[0]
            source, part = self.candidates.source(first.number), self.candidates.part(first.number)
            settings = self._settings_of(first)
            weights = predicted_weights(self.candidates.model, source, settings.distance)
            quick = open_loop(
                source, judge, limits, settings, weights,
                part=part, start=self.candidates.model.start, check=self.check,
            )  # fmt: skip
            if quick is not None:
                return Selected(quick, source), effort, quick
            effort = EFFORTS["balanced"]
        for group in [finalists, *([start] for start in rest)]:
            best = self._best(group, limits, effort)
            if best is not None:
                return best, effort, best.found
        # Nothing met the limits. Try the finest encode that the format allows.
        number = min(range(len(entries)), key=lambda n: self.candidates.source(n).sampling)
        source, family = self.candidates.source(number), entries[number].family
        found = finest(source, judge, limits, self.settings.of_family(family), check=self.check)
        return (Selected(found, source) if found.excess <= 0.0 else None), effort, found

    def _settings_of(self, start: Start) -> EncodeSettings:
        family = self.candidates.entries[start.number].family
        return replace(self.settings, distance=start.distance, rates=start.rates, family=family)

    def _best(self, starts: Sequence[Start], limits: Limits, effort: Effort) -> Selected | None:
        """Return the best result of some candidates; None if none meets the limits."""
        outcomes: list[tuple[Selected, Start]] = []

        def attempt(start: Start, effort: Effort) -> None:
            source = self.candidates.source(start.number)
            found = closed_loop.search(
                source, self.candidates.judge, limits, effort, self._settings_of(start),
                part=self.candidates.part(start.number), scouted=self.candidates.plan.scouted,
                weight_part=partial(self.candidates.weight_part, source), start=self.candidates.model.start,
                predict=partial(predicted_weights, self.candidates.model),
                check=self.check,
            )  # fmt: skip
            if found is not None:
                outcomes.append((Selected(found, source), start))

        def cheapest() -> tuple[Selected, Start]:
            def price(outcome: tuple[Selected, Start]) -> float:
                found, source = outcome[0].found, outcome[0].source
                return cost(source, found.trial, found.scores, limits)

            return outcomes[0] if len(outcomes) == 1 else min(outcomes, key=price)

        for start in starts:
            attempt(start, EFFORTS["balanced"] if effort.tuned else effort)
        if effort.tuned:
            # A long search sometimes ends with a larger file than a short one. So the short searches come
            # first: the long one begins from the best of them, and their results remain candidates.
            attempt(cheapest()[1] if outcomes else starts[0], effort)
        return cheapest()[0] if outcomes else None


def _same(source: CodingSource) -> CodingSource:
    return source


def select_size(
    candidates: Candidates,
    size: int,
    measure: Measure,
    effort: str,
    *,
    fixed: int = 0,
    weighted: bool = True,
    check: Callable[[], None],
) -> Selected:
    """Find the file of highest quality within a size, among all candidates.

    Parameters
    ----------
    candidates, effort, check
        As for :func:`select`.
    size : int
        Largest size of the file in bytes.
    measure : callable
        Returns the size in bytes of a trial's file.
    fixed : int
        Bytes of the file that no trial changes: metadata.
    weighted : bool
        Whether blocks and frequencies have weights, which inks have not.

    Raises
    ------
    TargetError
        Even the coarsest encode is larger than ``size``.
    """
    entries = candidates.entries
    chosen = EFFORTS[effort]
    budget = SizeBudget(chosen.rounds if weighted else 0, chosen.probes + 6)
    if candidates.plan.bounded:  # only the coarsest sampling, and fewer passes
        entries, budget = entries[-1:], bounded.SIZE_BUDGET
    outcomes: list[Selected] = []
    smallest = []
    for entry in entries:
        source = entry.make()
        best, least = search_size(
            source,
            candidates.judge,
            size,
            measure,
            budget,
            EncodeSettings(1.0, family=entry.family),
            fixed=fixed,
            predict=partial(predicted_weights, candidates.model, source) if weighted else None,
            weight_part=partial(candidates.weight_part, source),
            check=check,
        )
        smallest.append(least)
        if best is not None:
            outcomes.append(Selected(best, source))
    if not outcomes:
        raise TargetError.of_size(min(smallest), size)
    return min(outcomes, key=lambda selected: selected.found.scores.distance)
