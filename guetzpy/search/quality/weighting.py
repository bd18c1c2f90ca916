"""Weights for the next trial, computed from the gradients of the metrics at the last trial.

A block or frequency gets a larger weight if its squared error increases the metrics more than the mean; see
:mod:`guetzpy.search.quality.sensitivity`. The weights by several metrics are multiplied, each to the power of
the metric's share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.exact_math import exp, log
from guetzpy.jpeg import pixels
from guetzpy.jpeg.structure import NATURAL_ORDER, ZIGZAG_ORDER
from guetzpy.metrics.base import Metric
from guetzpy.search.calibration import (
    CALM_POWER,
    CHROMA_WEIGHT,
    LARGEST_WEIGHT,
    STEP_POWER,
    steering,
)
from guetzpy.search.coding.encoder import Trial, decode
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.tables import Shape
from guetzpy.search.coding.weights import Weights
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.quality.scores import Scores
from guetzpy.search.quality.sensitivity import Growth, shifts

__all__ = ["Carried", "Mix", "carry", "into_steps", "reweigh"]

Field = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mix:
    """Parameters of the computation of weights and shifts from gradients.

    Attributes
    ----------
    shares : tuple of int
        Share of each metric in the logarithm of the weights, in 64ths; their sum is 64.
    rate, limit : float
        Parameters of :func:`~guetzpy.search.quality.sensitivity.shifts`; without shifts ``rate`` is 0.
    """

    shares: tuple[int, ...]
    rate: float = 0.1
    limit: float = 0.08

    @classmethod
    def of(cls, metrics: Sequence[Metric], *, several_rounds: bool = False) -> Mix:
        """Return the parameters for some metrics.

        A metric without limits (a guide) has a fixed share. The other metrics share the rest equally. To give
        a metric with a larger excess a larger share saves nothing (16 training pictures).

        Parameters
        ----------
        metrics : sequence of Metric
            Metrics that have gradients, in the order of the gradients.
        several_rounds : bool
            Whether there are several rounds. Each round adds to the shifts of the rounds before, so a smaller
            change is made in each.
        """
        guides = [m.limit_at(1.0) is None for m in metrics]
        own = [steering(m.name).guide_share if guide else 0 for m, guide in zip(metrics, guides, strict=True)]
        rest = _in_whole([int(not guide) for guide in guides], 64 - sum(own))
        shares = tuple(a + b for a, b in zip(own, rest, strict=True))
        return cls(shares, rate=0.05) if several_rounds else cls(shares)


def _in_whole(parts: Sequence[int], whole: int) -> tuple[int, ...]:
    """Return integers with the sum ``whole``, in about the proportions of ``parts`` (largest remainders)."""
    total = sum(parts)
    floors = [whole * part // total for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (-(whole * parts[i] % total), i))
    for i in order[: whole - sum(floors)]:
        floors[i] += 1
    return tuple(floors)


def _power(x: Field, share: int) -> Field:
    """Return ``x`` to the power ``share / 64``.

    Only square roots and products are used, since IEEE 754 defines every bit of their results.
    """
    if share == 64:
        return x.copy()
    result = np.ones_like(x)
    root = x
    for bit in (32, 16, 8, 4, 2, 1):
        root = np.sqrt(root)
        if share & bit:
            result = result * root
    return result


def _blend(fields: Sequence[Field], shares: Sequence[int]) -> Field:
    """Return the product of the fields, each raised to the power of its share."""
    result = _power(fields[0], shares[0])
    for field, share in zip(fields[1:], shares[1:], strict=True):
        result = result * _power(field, share)
    return result


def _smooth(field: Field) -> Field:
    """Return the sums over 3 x 3 entries; entries at the edges are replicated."""
    padded = np.pad(field, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def _calm(source: CodingSource, trial: Trial, number: int) -> Field:
    """Return the mean contrast of the luma divided by the contrast of each block of a component."""
    squares = np.square(trial.targets[0][..., 1:]).sum(axis=-1, dtype=np.float64)
    # An eighth of the norm is the standard deviation of the block's samples, in codes. Adding 4 codes bounds
    # the quotient in flat blocks.
    active = np.sqrt(squares) / 8.0 + 4.0
    if number and source.sampling != (1, 1):
        across, down = source.sampling
        rows, columns = trial.levels[number].shape[:2]
        wanted = (rows * down, columns * across)
        active = np.pad(active, [(0, w - n) for w, n in zip(wanted, active.shape, strict=True)], mode="edge")
        active = active.reshape(rows, down, columns, across).mean(axis=(1, 3))
    quotient: Field = active.mean() / active
    return quotient


def _relative(growth: Field, power: Field) -> Field:
    """Return growth per squared error, relative to its mean, from 1 / LARGEST_WEIGHT to LARGEST_WEIGHT."""
    mean = max(float(growth.sum()), 1e-30) / max(float(power.sum()), 1e-30)
    # Half a squared step of mean growth is added to each entry, so that entries with small errors, whose
    # quotients are noise, are near the mean.
    quotient = (growth + 0.5 * mean) / (power + 0.5) / mean
    return np.clip(quotient, 1.0 / LARGEST_WEIGHT, LARGEST_WEIGHT)


@dataclass(frozen=True, eq=False)
class Carried:
    """Derivatives of metrics with respect to the coefficients of a trial.

    Attributes
    ----------
    metrics : tuple of Metric
        Metrics that have gradients.
    values : tuple of float
        Score of each metric, as its gradient computes it.
    sums : tuple of list of Growth
        Sums for each metric and each component.
    gradients : tuple of list of ndarray of uint16, shape (blocks_y, blocks_x, 64)
        For each metric and each component, the ``halves`` that
        :meth:`~guetzpy.search.quality.sensitivity.Growth.add` writes.
    """

    metrics: tuple[Metric, ...]
    values: tuple[float, ...]
    sums: tuple[list[Growth], ...]
    gradients: tuple[list[npt.NDArray[np.uint16]], ...]

    def scores(self, limits: Limits) -> Scores:
        """Return the scores of all metrics. A metric without a gradient counts as being at its limit."""
        known = {metric.name: value for metric, value in zip(self.metrics, self.values, strict=True)}
        values = []
        for metric, bound in zip(limits.metrics, limits.bounds, strict=True):
            values.append(known.get(metric.name, float("nan") if bound is None else bound))
        return Scores(limits.metrics, tuple(values))

    def excesses(self, limits: Limits) -> tuple[float, ...]:
        """Return the excess of each metric over its limit."""
        numbers = [limits.metrics.index(metric) for metric in self.metrics]
        return tuple(limits.excess_by(n, v) for n, v in zip(numbers, self.values, strict=True))


def carry(source: CodingSource, trial: Trial, judge: Judge) -> Carried:
    """Score a trial, and compute the metrics' derivatives with respect to its coefficients, window by window.

    Parameters
    ----------
    source : CodingSource
        Source of the trial.
    trial : Trial
        A trial that has its targets (not :meth:`~guetzpy.search.coding.encoder.Trial.bare`).
    judge : Judge
        Scores against the reference.
    """
    threads = source.threads
    metrics, values, sums, gradients = [], [], [], []
    for number, value, windows in judge.gradients(decode(source, trial)):
        metrics.append(judge.metrics[number])
        values.append(value)
        growth = [Growth(c.shape[0], c.shape[1]) for c in trial.levels]
        fields = [np.empty(c.shape, np.uint16) for c in trial.levels]
        for window in windows:
            parts = pixels.pull_back(window.values, source.sampling, threads=threads)
            for i, part in enumerate(parts):
                # A row of chroma blocks covers 16 rows of a picture that is halved vertically.
                unit = 8 if i == 0 else 8 * source.sampling[1]
                first, skip = window.first // unit, (window.first - window.top) // unit
                rows = slice(first, first + -(-(window.last - window.first) // unit))
                inner = part[skip : skip + rows.stop - rows.start]
                growth[i].add(
                    first, inner, trial.targets[i][rows], trial.levels[i][rows], trial.tables[i],
                    fields[i][rows], threads,
                )  # fmt: skip
        sums.append(growth)
        gradients.append(fields)
    return Carried(tuple(metrics), tuple(values), tuple(sums), tuple(gradients))


def reweigh(source: CodingSource, trial: Trial, carried: Carried, mix: Mix, before: Weights) -> Weights:
    """Return weights and shifts for the next trial.

    Parameters
    ----------
    source : CodingSource
        Source of the trial.
    trial : Trial
        The last trial.
    carried : Carried
        Derivatives of the metrics at this trial.
    mix : Mix
        Parameters of the computation.
    before : Weights
        Weights under which the trial was made. The new shifts are the shifts of these weights plus a change.
    """
    threads = source.threads
    sums = carried.sums
    powers = np.array([s.band_power.sum() for s in sums[0]])
    totals = [np.array([s.band_growth.sum() for s in by_component]) for by_component in sums]
    means = [max(float(total.sum()), 1e-30) / max(float(powers.sum()), 1e-30) for total in totals]

    # Weight of each component as a whole: its growth per squared error, relative to that of all components.
    relative = [
        np.clip(total / np.maximum(powers, 1e-30) / mean, 1.0 / LARGEST_WEIGHT, LARGEST_WEIGHT)
        for total, mean in zip(totals, means, strict=True)
    ]
    share = _blend(relative, mix.shares)
    share /= max(float((share * powers).sum()), 1e-30) / max(float(powers.sum()), 1e-30)
    share = np.clip(share, 1.0 / LARGEST_WEIGHT, LARGEST_WEIGHT)

    all_blocks, all_bands, all_shifts = [], [], []
    for i in range(source.components):
        fields = [_relative(_smooth(s[i].block_growth), _smooth(s[i].block_power)) for s in sums]
        field = _blend(fields, mix.shares) * _power(_calm(source, trial, i), CALM_POWER)
        all_blocks.append((field / field.mean()).astype(np.float32))
        band = _blend([_relative(s[i].band_growth, s[i].band_power) for s in sums], mix.shares)
        level = share[i] * (CHROMA_WEIGHT if i else 1.0)
        all_bands.append((band * level).astype(np.float32))
        if mix.rate > 0.0:
            all_shifts.append(
                shifts(
                    [by_component[i] for by_component in carried.gradients],
                    [part / 64 / mean for part, mean in zip(mix.shares, means, strict=True)],
                    trial.targets[i],
                    trial.levels[i],
                    trial.tables[i],
                    all_blocks[-1],
                    all_bands[-1],
                    rate=mix.rate,
                    limit=mix.limit,
                    before=before.shifts[i] if before.shifts else None,
                    threads=threads,
                )
            )
    return Weights(tuple(all_blocks), tuple(all_bands), tuple(all_shifts))


def into_steps(shape: Shape, weights: Weights, carried: Carried) -> tuple[Shape, Weights]:
    """Return tables that follow the weights by frequency, and the weights relative to the new steps.

    For uniform quantisers at a high rate, bytes are least if every frequency has the same weighted error,
    that is, if steps are proportional to the weights to the power -1/2 (Yang, Sun and Meng 2014). With the
    trellis and at the rates of photographs the power is smaller:
    :data:`~guetzpy.search.calibration.STEP_POWER`.

    Parameters
    ----------
    shape : Shape
        Shape under which the weights were measured.
    weights : Weights
        Weights of blocks and frequencies.
    carried : Carried
        The gradients that the weights were made from.

    Returns
    -------
    shape : Shape
        The shape with factors on the steps by frequency. To first order, they do not change the sum of the
        weighted squared errors.
    weights : Weights
        Weights relative to the new steps: the weight of an error in codes is the same as before.
    """
    components = range(len(weights.bands))
    old = [np.array(shape.by_frequency[c]) if shape.by_frequency else np.ones(64) for c in components]
    wanted = [1.0 / _power(weights.bands[c][ZIGZAG_ORDER] / old[c] ** 2, STEP_POWER) for c in components]
    errors = [weights.bands[c] * carried.sums[0][c].band_power for c in components]  # DC has no weight
    changes = [(wanted[c] / old[c])[NATURAL_ORDER] for c in components]
    total = sum(
        float(e) * log(float(q)) for c in components for e, q in zip(errors[c], changes[c], strict=True)
    )
    level = exp(total / max(sum(float(error.sum()) for error in errors), 1e-30))
    steps, bands = [], []
    for c in components:
        factors = wanted[c] / level
        factors[0] = 1.0
        steps.append(tuple(factors.tolist()))
        bands.append((weights.bands[c] * ((factors / old[c]) ** 2)[NATURAL_ORDER]).astype(np.float32))
    return replace(shape, by_frequency=tuple(steps)), replace(weights, bands=tuple(bands))
