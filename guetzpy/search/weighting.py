"""Weights for the trellis from how much both metrics mind what the last pass did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg import pixels
from guetzpy.search.encoder import Encoder, Trial, Weights
from guetzpy.search.judge import Judge, Scores
from guetzpy.search.sensitivity import Growth, compact, shifts

__all__ = ["PATIENT", "Carried", "Mix", "carry", "reweigh"]

Field = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mix:
    """How weights are made of sensitivities.

    Attributes
    ----------
    butteraugli : int
        Eighths of the logarithm that come from Butteraugli, the rest from SSIMULACRA 2.
    block_range, band_range : float
        Weights are kept within this factor of their mean.
    rate, limit : float
        Share of the way that targets go along the gradient, and the largest change in steps.
    """

    butteraugli: int = 2
    block_range: float = 4.0
    band_range: float = 2.0
    rate: float = 0.1
    limit: float = 0.08


#: For many rounds: what was shifted is kept, so that the shifts grow round by round.
PATIENT = Mix(rate=0.08, limit=0.15)


def _power(x: Field, eighths: int) -> Field:
    """Return ``x`` to the power ``eighths / 8`` by square roots alone, which are exact everywhere."""
    if eighths == 8:
        return x.copy()
    result = np.ones_like(x)
    root = x
    for bit in (4, 2, 1):
        root = np.sqrt(root)
        if eighths & bit:
            result = result * root
    return result


def _blend(first: Field, second: Field, eighths: int) -> Field:
    return _power(first, eighths) * _power(second, 8 - eighths)


def _smooth(field: Field) -> Field:
    """Return 3 x 3 sums, edges replicated."""
    padded = np.pad(field, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def _relative(growth: Field, power: Field, limit: float) -> Field:
    """Return quotients relative to their mean, within ``limit``; 1 where there is no error."""
    mean = max(float(growth.sum()), 1e-30) / max(float(power.sum()), 1e-30)
    # A block without error says nothing: it is drawn towards the mean by half a step squared.
    quotient = (growth + 0.5 * mean) / (power + 0.5) / mean
    return np.clip(quotient, 1.0 / limit, limit)


@dataclass
class Carried:
    """Both metrics' gradients by the coefficients of a trial.

    Attributes
    ----------
    scores : Scores
        Without Butteraugli's maximum: nan.
    sums : list of list of Growth
        Of each metric and component.
    gradients : list of list of ndarray of uint16
        The same, themselves: made :func:`~guetzpy.search.sensitivity.compact`.
    """

    scores: Scores
    sums: list[list[Growth]]
    gradients: list[list[npt.NDArray[np.uint16]]]


def carry(encoder: Encoder, trial: Trial, judge: Judge) -> Carried:
    """Score a trial, and carry the gradients by its codes to those by its coefficients, window by window."""
    threads = encoder.threads
    sums = [[Growth(c.shape[0], c.shape[1]) for c in trial.levels] for _ in range(2)]
    gradients = [[np.empty(c.shape, np.uint16) for c in trial.levels] for _ in range(2)]
    scores = []
    for m, (score, windows) in enumerate(judge.gradients(encoder.decode(trial))):
        scores.append(score)
        for window in windows:
            parts = pixels.pull_back(window.values, encoder.sampling, threads=threads)
            for i, part in enumerate(parts):
                # A row of chroma blocks covers 16 rows of a picture that is halved downwards.
                unit = 8 if i == 0 else 8 * encoder.sampling[1]
                first, skip = window.first // unit, (window.first - window.top) // unit
                rows = slice(first, first + -(-(window.last - window.first) // unit))
                inner = part[skip : skip + rows.stop - rows.start]
                sums[m][i].add(
                    first, inner, trial.targets[i][rows], trial.levels[i][rows], trial.qtables[i], threads
                )
                gradients[m][i][rows] = compact(inner)
    return Carried(Scores(scores[0], float("nan"), scores[1]), sums, gradients)


def reweigh(encoder: Encoder, trial: Trial, carried: Carried, mix: Mix, before: Weights) -> Weights:
    """Return weights for the next pass.

    Parameters
    ----------
    encoder : Encoder
        What was encoded.
    trial : Trial
        The pass.
    carried : Carried
        The gradients at its reconstruction.
    mix : Mix
        How the two are mixed.
    before : Weights
        Those of the pass.
    """
    threads = encoder.threads
    count = len(encoder.coefficients)
    sums = carried.sums
    powers = np.array([s.band_power.sum() for s in sums[0]])
    totals = [np.array([s.band_growth.sum() for s in by_component]) for by_component in sums]
    means = [max(float(total.sum()), 1e-30) / max(float(powers.sum()), 1e-30) for total in totals]

    # Components against each other: their mean sensitivities relative to the picture's.
    shares = [
        np.clip(total / np.maximum(powers, 1e-30) / mean, 1.0 / mix.band_range, mix.band_range)
        for total, mean in zip(totals, means, strict=True)
    ]
    share = _blend(shares[0], shares[1], mix.butteraugli)
    share /= max(float((share * powers).sum()), 1e-30) / max(float(powers.sum()), 1e-30)
    share = np.clip(share, 1.0 / mix.band_range, mix.band_range)

    result = Weights([], [])
    for i in range(count):
        fields = [
            _relative(_smooth(s[i].block_growth), _smooth(s[i].block_power), mix.block_range) for s in sums
        ]
        field = _blend(fields[0], fields[1], mix.butteraugli)
        result.blocks.append((field / field.mean()).astype(np.float32))
        bands = [_relative(s[i].band_growth, s[i].band_power, mix.band_range) for s in sums]
        result.bands.append((_blend(bands[0], bands[1], mix.butteraugli) * share[i]).astype(np.float32))
        if mix.rate > 0.0:
            part = mix.butteraugli / 8
            result.shifts.append(
                shifts(
                    (carried.gradients[0][i], carried.gradients[1][i]),
                    (part / means[0], (1.0 - part) / means[1]),
                    trial.targets[i],
                    trial.levels[i],
                    trial.qtables[i],
                    result.blocks[i],
                    result.bands[i],
                    rate=mix.rate,
                    limit=mix.limit,
                    before=before.shifts[i] if before.shifts else None,
                    threads=threads,
                )
            )
    return result
