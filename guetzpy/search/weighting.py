"""Weights for the trellis from how much both metrics mind what the last pass did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg import pixels
from guetzpy.search.encoder import Encoder, Trial, Weights
from guetzpy.search.sensitivity import growth

__all__ = ["Mix", "reweigh"]

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
    damping : int
        Eighths of the logarithm that come from the weights before.
    """

    butteraugli: int = 5
    block_range: float = 4.0
    band_range: float = 2.0
    damping: int = 0


def _power(x: Field, eighths: int) -> Field:
    """Return ``x`` to the power ``eighths / 8`` by square roots alone, which are exact everywhere."""
    result = np.ones_like(x)
    root = x
    for bit in (4, 2, 1):
        root = np.sqrt(root)
        if eighths & bit:
            result = result * root
    return x.copy() if eighths == 8 else result


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


def reweigh(
    encoder: Encoder,
    trial: Trial,
    gradients: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    mix: Mix,
    before: Weights | None = None,
) -> Weights:
    """Return weights for the next pass.

    Parameters
    ----------
    encoder : Encoder
        What was encoded.
    trial : Trial
        The pass whose reconstruction the gradients belong to.
    gradients : pair of ndarray of float32, shape (1|3, H, W)
        Growth of Butteraugli and of 100 less SSIMULACRA 2 with the codes.
    mix : Mix
        How the two are mixed.
    before : Weights, optional
        Weights of the pass, for damping.
    """
    carried = [pixels.pull_back(g, encoder.sampling, threads=encoder.threads) for g in gradients]
    count = len(encoder.coefficients)
    result = Weights.flat(encoder.coefficients)
    totals = np.zeros((2, count))
    powers = np.zeros(count)
    bands = []
    for c in range(count):
        sums = [
            growth(carried[m][c], trial.targets[c], trial.levels[c], trial.qtables[c], encoder.threads)
            for m in range(2)
        ]
        totals[:, c] = [s.band_growth.sum() for s in sums]
        powers[c] = sums[0].band_power.sum()
        blocks = [
            _relative(_smooth(s.block_growth), _smooth(s.block_power), mix.block_range) for s in sums
        ]
        field = _blend(blocks[0], blocks[1], mix.butteraugli)
        if before is not None and mix.damping:
            field = _blend(before.blocks[c][..., 0].astype(np.float64), field, mix.damping)
        result.blocks[c][..., 0] = field / field.mean()
        shapes = [_relative(s.band_growth, s.band_power, mix.band_range) for s in sums]
        bands.append(_blend(shapes[0], shapes[1], mix.butteraugli))
    # Components against each other: their mean sensitivities relative to the picture's.
    shares = []
    for m in range(2):
        mean = max(totals[m].sum(), 1e-30) / max(powers.sum(), 1e-30)
        shares.append(np.clip(totals[m] / np.maximum(powers, 1e-30) / mean, 1 / mix.band_range, mix.band_range))
    share = _blend(shares[0], shares[1], mix.butteraugli)
    share /= (share * powers).sum() / max(powers.sum(), 1e-30)
    for c in range(count):
        shape = bands[c] * share[c]
        result.bands[c] = shape.astype(np.float32)
    return result
