"""Search with the encoders that a picture may have, and keep the best that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from guetzpy.errors import TargetError
from guetzpy.search import closed_loop, tables
from guetzpy.search.candidates import Candidates
from guetzpy.search.closed_loop import EFFORTS, Effort, Found
from guetzpy.search.encoder import Encoder, Trial
from guetzpy.search.finest import finest
from guetzpy.search.montage import Part
from guetzpy.search.subsampling import choose
from guetzpy.search.target import Limits
from guetzpy.search.tuning import cost

__all__ = ["Selected", "select", "select_size"]


@dataclass(frozen=True)
class Selected:
    """What a search came to.

    Attributes
    ----------
    found : Found
        The trial and its scores.
    encoder : Encoder
        That made it.
    relaxed : Limits or None
        The limits that hold where the format reaches none closer.
    fell_back : bool
        Whether the open loop missed, so that the closed loop went on.
    """

    found: Found
    encoder: Encoder
    relaxed: Limits | None = None
    fell_back: bool = False


def select(
    candidates: Candidates, limits: Limits, effort: str, *, strict: bool, check: Callable[[], None]
) -> Selected:
    """Find the fewest bytes that meet the limits, among all encoders.

    Parameters
    ----------
    candidates : Candidates
        The picture and its encoders.
    limits : Limits
        What must hold.
    effort : str
        Name of an effort.
    strict : bool
        Whether limits that the format cannot meet are an error; they are relaxed otherwise.
    check : callable
        Called between passes; raises to give up.

    Raises
    ------
    TargetError
        The limits cannot be met, and are strict.
    """
    judge, sample, count = candidates.judge, candidates.sample, len(candidates.makers)
    dc_limit = tables.dc_limit(limits.starting_distance())

    def encoder_of(number: int) -> Encoder:
        encoder = candidates.encoder(number)
        encoder.dc_limit = dc_limit
        return encoder

    if sample is not None:
        for encoder in sample.encoders:
            encoder.dc_limit = dc_limit
    effort_now, fell_back = EFFORTS[effort], False
    relaxed: Limits | None = None
    for _ in range(2):
        if sample is not None:
            finalists = choose(sample.encoders, sample.judge, limits, effort_now)
        else:
            finalists = choose([encoder_of(n) for n in range(count)], judge, limits, effort_now)
        if not effort_now.rounds:
            number, start = finalists[0]
            quick = closed_loop.open_loop(
                encoder_of(number), judge, limits, start=start, part=candidates.part(number), check=check
            )
            if quick is not None:
                return Selected(quick, encoder_of(number), relaxed)
            effort_now, fell_back = EFFORTS["balanced"], True
        rest = [n for n in range(count) if all(n != chosen for chosen, _ in finalists)]
        groups: list[list[tuple[int, float | None]]] = [[*finalists]]
        groups += [[(n, None)] for n in rest]
        for group in groups:
            tried = [_Tried(encoder_of(n), begin, candidates.part(n)) for n, begin in group]
            best = _best(tried, candidates, limits, effort_now, check)
            if best is not None:
                return Selected(*best, relaxed, fell_back)
        # Nothing met the limits: can the finest encode that the format has?
        encoder = candidates.finest()
        found, _ = finest(encoder, judge, limits, check=check)
        if found.excess <= 0.0:
            return Selected(found, encoder, relaxed, fell_back)
        scores = found.scores
        if strict:
            break
        relaxed = limits = limits.relaxed(scores.butteraugli, scores.ssimulacra2)
    raise TargetError(
        f"best reached: Butteraugli 3-norm {scores.butteraugli:.3f}, SSIMULACRA 2 {scores.ssimulacra2:.2f}"
    )


@dataclass
class _Tried:
    """An encoder, the distance to begin at, and what a montage of a large picture has of it."""

    encoder: Encoder
    begin: float | None
    part: Part | None


def _best(
    tried: list[_Tried],
    candidates: Candidates,
    limits: Limits,
    effort: Effort,
    check: Callable[[], None],
) -> tuple[Found, Encoder] | None:
    """Return the best that some encoders give, and its encoder; None if none meets the limits."""
    outcomes: list[tuple[Found, _Tried]] = []

    def attempt(entry: _Tried, effort: Effort) -> None:
        found = closed_loop.search(
            entry.encoder, candidates.judge, limits, effort, start=entry.begin, part=entry.part,
            wide=partial(candidates.wide, entry.encoder), check=check,
        )  # fmt: skip
        if found is not None:
            outcomes.append((found, entry))

    def cheapest() -> tuple[Found, _Tried]:
        def price(outcome: tuple[Found, _Tried]) -> float:
            found, entry = outcome
            return cost(entry.encoder, found.trial, found.scores, limits)

        return outcomes[0] if len(outcomes) == 1 else min(outcomes, key=price)

    for entry in tried:
        attempt(entry, EFFORTS["balanced"] if effort.tuned else effort)
    if effort.tuned:
        # A long search goes astray now and then: short ones say where it is worth while, and what they found
        # stays in the choice.
        attempt(cheapest()[1] if outcomes else tried[0], effort)
    if not outcomes:
        return None
    found, entry = cheapest()
    return found, entry.encoder


def select_size(
    candidates: Candidates,
    size: int,
    measure: Callable[[Trial, Encoder], int],
    effort: str,
    *,
    check: Callable[[], None],
) -> Selected:
    """Find the best that fits into some bytes, among all encoders.

    Parameters
    ----------
    candidates, effort, check
        As for :func:`select`.
    size : int
        Bytes of the file at most.
    measure : callable
        Returns the bytes of the file of a trial.

    Raises
    ------
    TargetError
        Even the coarsest does not fit.
    """
    outcomes: list[Selected] = []
    smallest = []
    for make in candidates.makers:
        encoder = make()
        best, least = closed_loop.search_size(
            encoder,
            candidates.judge,
            size,
            measure,
            EFFORTS[effort],
            wide=partial(candidates.wide, encoder),
            check=check,
        )
        smallest.append(least)
        if best is not None:
            outcomes.append(Selected(best, encoder))
    if not outcomes:
        raise TargetError(f"the smallest file reached has {min(smallest)} bytes, {size} were asked for")
    return min(outcomes, key=lambda selected: selected.found.scores.distance)
