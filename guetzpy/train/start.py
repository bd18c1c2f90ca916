"""The fit of the excess of the first evaluation, at which a search expects to just meet the limits.

Searches of the training pictures at random distances give this excess. A regression predicts it from a few
features of the search. On the pictures that are held out, whole searches with and without these parameters
are compared: how many evaluations they take, and how far below the limits their files are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp
from guetzpy.model.file import Model
from guetzpy.model.start import EFFORTS, FEATURES, StartPart, features
from guetzpy.options import OptimizeOptions
from guetzpy.picture.transform import Transform
from guetzpy.search.candidates import Candidates
from guetzpy.search.choice import choose
from guetzpy.search.closed_loop import weigh
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.learnt import predicted_weights
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.tables import dc_limit
from guetzpy.search.plan import EFFORTS as SEARCHES
from guetzpy.search.plan import Effort, plan_search
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.selection import select
from guetzpy.train.run import Outcome, Run

__all__ = ["fit", "observe", "search"]

Floats = npt.NDArray[np.float64]

#: Range of the log distances of the searches, and number of searches of each picture.
_RANGE, _SEARCHES = (-0.7, 1.4), 3
#: Largest random change of the log distance at which the weights are made. The log distance that tiles give
#: has errors of this size.
_OFF = 0.12
#: Distances at which searches of the pictures that are held out are compared.
_COMPARED = (0.7, 1.7)
#: Largest number of pictures that are held out.
_HELD_OUT = 12


def _prepared(
    codes: npt.NDArray[np.uint8], effort: str, distance: float, model: Model
) -> tuple[Candidates, Judge, Limits]:
    plan = plan_search(codes.shape[2], codes.shape[1], effort, threads=1)
    judge = Judge(codes, Transform(), plan.resources, plan.side_by_side)
    options = OptimizeOptions(effort=effort, model=model)  # type: ignore[arg-type]
    return Candidates.of_pixels(codes, judge, plan, options), judge, Limits.at_distance(distance)


def observe(codes: npt.NDArray[np.uint8], tasks: list[list[Any]], model: Model) -> list[list[float]]:
    """For each search of a picture, return its features and the excess of its first evaluation.

    Parameters
    ----------
    codes : ndarray of uint8, shape (3, H, W)
        sRGB.
    tasks : list of [str, float, float]
        Effort, distance, and the change of the log distance from which weights are made.
    model : Model
        Model of the search, with its other parts.
    """
    found = []
    for effort, distance, off in tasks:
        candidates, judge, limits = _prepared(codes, effort, distance, model)
        start = EncodeSettings(distance, dc_limit=dc_limit(distance))
        entries = [(entry.make, entry.family) for entry in candidates.entries]
        first = choose(entries, judge, limits, SEARCHES[effort], start).finalists[0]
        source = candidates.source(first.number)
        family = candidates.entries[first.number].family
        settings = replace(start.of_family(family), distance=first.distance)
        before = 0.0
        if effort == "balanced":
            moved = settings.at(settings.distance * exp(off))
            begun = predicted_weights(model, source, moved.distance)
            weighed = weigh(source, judge, limits, SEARCHES[effort], moved, lambda: None, begun)
            weights, settings, before = weighed.weights, weighed.settings, weighed.before
        else:
            weights = predicted_weights(model, source, settings.distance)
            settings = settings.priced(encode(source, settings, weights).rates)
        scores = judge.scores(decode(source, encode(source, settings, weights)))
        row = features(distance, source.sampling == (2, 2), before)
        found.append([*row, limits.excess(scores)])
    return found


def search(codes: npt.NDArray[np.uint8], tasks: list[list[Any]], model: Model) -> list[list[float]]:
    """For each search of a picture, return its number of evaluations and the excess of its file.

    Parameters
    ----------
    codes : ndarray of uint8, shape (3, H, W)
        sRGB.
    tasks : list of [str, float]
        Effort and distance.
    model : Model
        Model of the search.
    """
    found = []
    for effort, distance in tasks:
        candidates, _, limits = _prepared(codes, effort, distance, model)
        checks = 0

        def check() -> None:
            nonlocal checks
            checks += 1

        selected = select(candidates, limits, effort, strict=False, check=check)
        chosen: Effort = SEARCHES[effort]
        found.append([float(checks - chosen.rounds), selected.found.excess])
    return found


def fit(run: Run, model: Model) -> Outcome:
    """Return the part of the model; none if searches take no fewer evaluations on pictures held out."""
    tasks = []
    for n in run.numbers(held_out=False):
        random = run.random("start", run.pictures[n].name)
        own = [
            [effort, exp(float(random.uniform(*_RANGE))), float(random.uniform(-_OFF, _OFF))]
            for effort in EFFORTS
            for _ in range(_SEARCHES)
        ]
        tasks.append((run.pictures[n].codes, own, model))
    found = np.array(run.map("start", observe, tasks, optional=True))
    if not len(found):
        return Outcome("start", None, {"pictures": 0})
    rows = [found[:, k * _SEARCHES : (k + 1) * _SEARCHES].reshape(-1, len(FEATURES) + 1) for k in (0, 1)]
    fitted = [_regressed(one) for one in rows]
    part = StartPart(np.array([one[0] for one in fitted]), np.array([one[1] for one in fitted]))
    return _compared(run, model, part)


def _regressed(rows: Floats) -> tuple[Floats, Floats]:
    """Return the coefficients of the excess, and those of its spread; rows have features, then the excess.

    Nearly smooth pictures have an excess far from all others, so rows count less the further they are from
    the regression (Huber's weights).
    """
    terms, excess = rows[:, :-1], rows[:, -1]
    # The prior of a coefficient has a standard deviation of 0.1; that of the excess is 0.03.
    prior = np.eye(len(FEATURES)) * (0.03 / 0.1) ** 2
    weight: Any = np.ones(len(rows))
    solved: Any = np.zeros(len(FEATURES))
    left: Any = np.abs(excess)
    for _ in range(20):
        weighted = terms * weight[:, None]
        solved = np.linalg.solve(weighted.T @ terms + prior, weighted.T @ excess)
        left = np.abs(excess - terms @ solved)
        weight = np.minimum(1.0, 0.02 / np.maximum(left, 1e-9))
    x = terms[:, :2]
    # The mean absolute value of a normal variable is 0.8 standard deviations.
    near = np.minimum(left, 0.08)
    spread = np.linalg.solve(x.T @ x + 1e-3 * np.eye(2), x.T @ near) / 0.798
    return np.clip(solved, -2.0, 2.0), np.clip(spread, -0.2, 0.2)


def _compared(run: Run, model: Model, part: StartPart) -> Outcome:
    """Compare searches with and without the part on the pictures that are held out."""
    tasks: list[list[Any]] = [[effort, distance] for effort in EFFORTS for distance in _COMPARED]
    numbers = run.numbers(held_out=True)[:_HELD_OUT]
    with_part = Model.of({**model.parts, "start": part}, {})
    each = [
        np.array(run.map(f"start, {name}", search, [(run.pictures[n].codes, tasks, one) for n in numbers]))
        for name, one in (("without", model), ("with", with_part))
    ]
    figures: dict[str, Any] = {"pictures": len(numbers)}
    for k, effort in enumerate(EFFORTS):
        own = slice(k * len(_COMPARED), (k + 1) * len(_COMPARED))
        before, after = (one[:, own].mean(axis=(0, 1)) for one in each)
        figures[effort] = {
            "evaluations_before": round(float(before[0]), 2), "evaluations": round(float(after[0]), 2),
            "excess_before": round(float(before[1]), 4), "excess": round(float(after[1]), 4),
        }  # fmt: skip
    fewer = sum(figures[effort]["evaluations"] - figures[effort]["evaluations_before"] for effort in EFFORTS)
    return Outcome("start", part if fewer < 0 else None, figures)
