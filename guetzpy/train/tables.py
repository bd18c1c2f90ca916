"""The fit of the tables' parameters, Lagrange multipliers and compensation.

Each picture is encoded without weights at several distances and both samplings. The parameters of an encode
differ from a centre by random amounts; a second encode has the opposite differences. The loss of an encode,
by each metric, is its log bytes less the log bytes of the usual parameters at equal error. A quadratic
function of the parameters, whose linear part also depends on the log distance, is fitted to all losses by
least squares. The next centre minimises the weighted mean of this function over all metrics, within the range
of the samples. Every encode gives information about all parameters at once. So fewer encodes are needed than
by a search by coordinates or an evolution strategy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import log
from guetzpy.model.file import Model
from guetzpy.model.tables import PARAMETERS, SAMPLINGS, TablesPart
from guetzpy.search.coding.learnt import LearntTables
from guetzpy.train.judges import WEIGHTS, Measured, Subject, at_equal_error, share
from guetzpy.train.run import Outcome, Run

__all__ = ["BESIDE", "DISTANCES", "SPREADS", "Sample", "Surface", "figures_of", "fit", "measure", "weighted"]

Floats = npt.NDArray[np.float64]

#: Distances of the fit, and the factor to the finer and coarser distances at which the reference is encoded.
DISTANCES = (0.6, 1.0, 1.7, 3.0)
BESIDE = 1.18

#: Standard deviation of the parameters in the first round: about the change that costs 0.5 % of the bytes.
_SPREAD = {
    "luma.dc": 0.2, "luma.low": 0.15, "luma.slope": 0.3, "luma.curve": 0.3, "luma.lambda": 0.35,
    "chroma.level": 0.15, "chroma.red": 0.15, "chroma.dc": 0.2, "chroma.low": 0.2, "chroma.slope": 0.4,
    "chroma.lambda": 0.35, "compensation": 0.2,
}  # fmt: skip
SPREADS: Floats = np.array([_SPREAD[name] for name in PARAMETERS])

#: Factor on the standard deviations in each round; quick runs make only the first rounds.
_ROUNDS = (1.0, 0.8, 0.6, 0.5)
_QUICK_ROUNDS = 3
#: Number of pairs of opposite samples for each picture, sampling and distance in a round.
_PAIRS = 2
#: Largest step of a round at any distance, in standard deviations, and the loss that is added for a step of
#: one standard deviation.
_REACH, _DAMPING = 1.5, 0.0005
#: Largest number of pictures, of those held out, that are measured.
_HELD_OUT = 20
#: Absolute losses are limited to this, because a few pictures with larger ones would outweigh the others.
_CUT = 0.15
#: Standard deviation of the losses of single encodes. The penalty in :meth:`Surface.of` compares it with the
#: expected sizes of the coefficients, which are in log bytes for a standard deviation of a parameter.
_NOISE = 0.03
#: Ratio of the weight of a metric that becomes worse to that of one that becomes better.
_WORSE = 4.0


def measure(codes: npt.NDArray[np.uint8], tasks: list[list[Any]]) -> list[Measured]:
    """Return the measurements of a picture.

    Parameters
    ----------
    codes : ndarray of uint8, shape (3, H, W)
        sRGB.
    tasks : list of [str, float, list of float]
        Sampling, distance, and the parameters at this distance.
    """
    subject = Subject(codes)
    return [
        subject.measure(sampling, distance, LearntTables(_constant(values)))
        for sampling, distance, values in tasks
    ]


def _constant(values: list[float]) -> TablesPart:
    """Return parameters that are the same at all distances and samplings."""
    at_1 = np.tile(np.array(values), (len(SAMPLINGS), 1))
    return TablesPart(at_1, np.zeros_like(at_1))


@dataclass(frozen=True, eq=False)
class Sample:
    """The loss of one encode: parameters, log distance, weight, and log bytes at equal error by metric."""

    values: Floats
    x: float
    weight: float
    loss: Floats


def _beside(sampling: str, distance: float) -> list[list[Any]]:
    """Return two encodes with the usual parameters, at a smaller and at a larger distance.

    The line through them, log bytes over log error, is the picture's reference curve.
    """
    usual = [0.0] * len(PARAMETERS)
    return [[sampling, distance * ratio, usual] for ratio in (1 / BESIDE, BESIDE)]


def _at(centre: Floats, distance: float) -> Floats:
    """Return the parameters at a distance; ``centre`` has those at distance 1 and their slopes, (2, 12)."""
    values: Floats = centre[0] + centre[1] * log(distance)
    return values


#: Measurements of the reference's curve of a picture: a pair for each of :data:`_CASES`.
_Curves = list[list[Measured]]

#: Samplings and distances at which each picture is measured.
_CASES = [(sampling, distance) for sampling in SAMPLINGS for distance in DISTANCES]


def _curves(run: Run, numbers: list[int]) -> dict[int, _Curves]:
    """Return the reference's curves of some pictures; fewer if the time of the run is over."""
    tasks = [task for case in _CASES for task in _beside(*case)]
    found = run.map(
        "tables, reference", measure, [(run.pictures[n].codes, tasks) for n in numbers], optional=True
    )
    pairs = ([one[k : k + 2] for k in range(0, len(one), 2)] for one in found)
    return dict(zip(numbers, pairs, strict=False))


def _samples_of_round(
    run: Run, number: int, centres: dict[str, Floats], curves: dict[int, _Curves]
) -> dict[str, list[Sample]]:
    """Return the losses of encodes around the centres."""
    spread = _ROUNDS[number] * SPREADS
    order = [int(n) for n in run.random("tables", number).permutation(list(curves))]
    drawn = []
    for n in order:
        random = run.random("tables", number, run.pictures[n].name)
        own: list[list[Any]] = []
        for sampling, distance in _CASES:
            for _ in range(_PAIRS):
                offset = spread * random.standard_normal(len(PARAMETERS))
                for sign in (1.0, -1.0):
                    values = _at(centres[sampling], distance) + sign * offset
                    own.append([sampling, distance, np.clip(values, -3.0, 3.0).tolist()])
        drawn.append(own)
    tasks = [(run.pictures[n].codes, own) for n, own in zip(order, drawn, strict=True)]
    found = run.map(f"tables, round {number + 1}", measure, tasks, optional=True)
    samples: dict[str, list[Sample]] = {sampling: [] for sampling in SAMPLINGS}
    for n, own, measured in zip(order, drawn, found, strict=False):
        for k, (sampling, distance, values) in enumerate(own):
            beside = curves[n][k // (2 * _PAIRS)]
            loss = np.clip(at_equal_error(measured[k], beside), -_CUT, _CUT)
            samples[sampling].append(Sample(np.array(values), log(distance), 2.0**number, loss))
    return samples


@dataclass(frozen=True, eq=False)
class Surface:
    """Losses as quadratic functions of the parameters p and linear ones of the log distance x.

    Attributes
    ----------
    linear, by_x : ndarray of float64, shape (metrics, parameters)
        The loss is (linear + by_x * x) p + p C p / 2, up to terms without p.
    curved : ndarray of float64, shape (metrics, parameters, parameters)
        C.
    """

    linear: Floats
    by_x: Floats
    curved: Floats

    @classmethod
    def of(cls, samples: list[Sample]) -> Surface:
        """Return functions fitted to losses by least squares, with a penalty on large coefficients."""
        count = len(PARAMETERS)
        upper = np.triu_indices(count)
        p = np.array([s.values for s in samples]) / SPREADS
        x = np.array([s.x for s in samples])[:, None]
        squares = p[:, upper[0]] * p[:, upper[1]] * np.where(upper[0] == upper[1], 0.5, 1.0)
        terms = np.hstack([np.ones_like(x), x, x * x, p, p * x, squares])
        weight = np.array([s.weight for s in samples])[:, None]
        mixed = upper[0] != upper[1]
        expected = np.concatenate(
            [np.full(3, 1.0), np.full(count, 0.01), np.full(count, 0.005), np.where(mixed, 0.002, 0.005)]
        )
        prior = np.diag((_NOISE / expected) ** 2)
        losses = np.array([s.loss for s in samples])
        found = []
        for column in losses.T:
            known = np.isfinite(column)
            weighted = terms[known] * weight[known]
            found.append(np.linalg.solve(weighted.T @ terms[known] + prior, weighted.T @ column[known]))
        solved = np.array(found)
        curved = np.zeros((len(solved), count, count))
        curved[:, upper[0], upper[1]] = curved[:, upper[1], upper[0]] = solved[:, 3 + 2 * count :]
        return cls(
            solved[:, 3 : 3 + count] / SPREADS,
            solved[:, 3 + count : 3 + 2 * count] / SPREADS,
            curved / np.multiply.outer(SPREADS, SPREADS),
        )

    def losses(self, centre: Floats) -> Floats:
        """Return the mean loss over the distances by metric, for parameters of shape (2, 12)."""
        total = np.zeros(len(self.linear))
        for distance in DISTANCES:
            p, x = _at(centre, distance), log(distance)
            total += (self.linear + self.by_x * x) @ p + 0.5 * (self.curved @ p) @ p
        result: Floats = total / len(DISTANCES)
        return result

    def best(self, centre: Floats, spread: Floats) -> Floats:
        """Return the parameters of least weighted loss near ``centre``, where the samples are.

        At every distance, the vector of the differences from ``centre``, each in units of its standard
        deviation ``spread``, has a length of at most :data:`_REACH`. A loss of :data:`_DAMPING` times the
        mean square of this length is added, since the function is less certain there. The search changes one
        coordinate at a time, by steps that shrink. A coordinate is a parameter at distance 1, or the change
        of a parameter by the log distance.
        """

        def loss(tried: Floats) -> float:
            away = [(((_at(tried, d) - _at(centre, d)) / spread) ** 2).sum() for d in DISTANCES]
            if max(away) > _REACH**2:
                return math.inf
            return weighted(self.losses(tried)) + _DAMPING * float(np.mean(away))

        best, least, step = centre.copy(), loss(centre), 0.5
        while step > 0.02:
            moved = False
            for index in np.ndindex(*centre.shape):
                for sign in (1.0, -1.0):
                    tried = best.copy()
                    tried[index] += sign * step * spread[index[1]]
                    now = loss(tried)
                    if now < least - 1e-7:
                        best, least, moved = tried, now, True
                        break
            step *= 1.0 if moved else 0.5
        return best


def weighted(losses: Floats) -> float:
    """Return the weighted mean of the losses; the loss of a metric that becomes worse counts _WORSE times."""
    return float(share() @ np.where(losses > 0, _WORSE * losses, losses))


def fit(run: Run, model: Model) -> Outcome:
    """Return the parameters as a part of the model; none if they save nothing on pictures held out."""
    centres = {sampling: np.zeros((2, len(PARAMETERS))) for sampling in SAMPLINGS}
    samples: dict[str, list[Sample]] = {sampling: [] for sampling in SAMPLINGS}
    curves = _curves(run, run.numbers(held_out=False))
    after: list[TablesPart] = []  # each round
    for number in range(_QUICK_ROUNDS if run.quick else len(_ROUNDS)):
        if run.late:
            break
        found = _samples_of_round(run, number, centres, curves)
        for sampling in SAMPLINGS:
            samples[sampling] += found[sampling]
            if not samples[sampling]:
                continue
            surface = Surface.of(samples[sampling])
            centres[sampling] = surface.best(centres[sampling], _ROUNDS[number] * SPREADS)
        both = np.clip(np.array([centres[sampling] for sampling in SAMPLINGS]), -3.0, 3.0)
        after.append(TablesPart(np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])))
    if not any(samples.values()):
        return Outcome("tables", None, {})
    encodes = sum(len(one) for one in samples.values())
    figures = _held_out(run, after) | {"encodes": encodes}
    return Outcome("tables", after[-1] if figures["loss"] < 0 else None, figures)


def _held_out(run: Run, after: list[TablesPart]) -> dict[str, Any]:
    """Return the changes of bytes at equal error on the pictures that are held out, in per cent.

    The figures are those of the last part; the loss and the changes of every part are in ``"rounds"``.
    """
    tasks = []
    for n in run.numbers(held_out=True)[:_HELD_OUT]:
        own: list[list[Any]] = []
        for sampling, distance in _CASES:
            row, usual = SAMPLINGS.index(sampling), [0.0] * len(PARAMETERS)
            own += [*_beside(sampling, distance), [sampling, distance, usual]]
            for part in after:
                values = _at(np.array([part.at_1[row], part.by_log_distance[row]]), distance)
                own.append([sampling, distance, np.clip(values, -3.0, 3.0).tolist()])
        tasks.append((run.pictures[n].codes, own))
    measured = run.map("tables, pictures held out", measure, tasks)
    count = 3 + len(after)
    rounds = []
    for fitted in range(3, count):
        chosen = [k + i for k in range(0, count * len(_CASES), count) for i in (0, 1, 2, fitted)]
        rounds.append(figures_of([[one[i] for i in chosen] for one in measured], len(_CASES)))
    return rounds[-1] | {"rounds": [{key: one[key] for key in ("loss", "per_cent")} for one in rounds]}


def figures_of(measured: list[list[Measured]], cases: int) -> dict[str, Any]:
    """Return the changes of bytes at equal error on pictures, in per cent.

    Parameters
    ----------
    measured : list of list of Measured
        A case is a sampling and a distance. For each picture and each case, four encodes: two before the
        change, at a finer and at a coarser distance; then one before and one after the change, at the
        distance of the case.
    cases : int
        Number of cases of a picture; the first half of the cases is 4:4:4, the second half 4:2:0.
    """
    losses = []
    for of_picture in measured:
        rows = []
        for k in range(0, 4 * cases, 4):
            before, after = (at_equal_error(of_picture[k + i], of_picture[k : k + 2]) for i in (2, 3))
            rows.append(after - before)
        losses.append(rows)
    found = np.array(losses)  # pictures, samplings and distances, metrics
    by_case, half = _mean(found, 0), cases // 2
    mean, by_picture = _mean(by_case, 0), _mean(found, 1)
    error = by_picture.std(axis=0, ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.zeros(len(mean))
    return {
        "pictures": len(found),
        "loss": round(100 * weighted(mean), 3),
        "per_cent": _named(mean),
        "standard_error": _named(error),
        "per_cent_444": _named(_mean(by_case[:half], 0)),
        "per_cent_420": _named(_mean(by_case[half:], 0)),
    }


def _mean(values: Floats, axis: int) -> Floats:
    """Return the means along an axis of the values that are not NaN; 0 where all values are NaN."""
    known = np.isfinite(values)
    result: Floats = np.where(known, values, 0.0).sum(axis) / np.maximum(known.sum(axis), 1)
    return result


def _named(values: Floats) -> dict[str, float]:
    return {name: round(100 * float(v), 2) for name, v in zip(WEIGHTS, values, strict=True)}
