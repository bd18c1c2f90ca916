"""The fit of the networks that predict weights of blocks.

The closed loop makes weights from the gradients of the metrics. It is run once on each picture at several
distances and both samplings. The networks are fitted to the logarithms of its weights, from features that
need no gradients. A network gives the mean of the weights of similar blocks.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy.metrics.base import Resources
from guetzpy.model.block_features import CHROMA_FEATURES, LUMA_FEATURES, block_features
from guetzpy.model.block_weights import UNITS, Network, WeightsPart
from guetzpy.model.file import Model
from guetzpy.model.tables import SAMPLINGS
from guetzpy.picture.transform import Transform
from guetzpy.search.coding.encoder import encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.tables import JPEGLI, dc_limit
from guetzpy.search.coding.weights import Weights
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.weighting import Mix, carry, reweigh
from guetzpy.train.judges import Measured, Subject
from guetzpy.train.run import Outcome, Run
from guetzpy.train.tables import BESIDE, DISTANCES, figures_of

__all__ = ["fit", "fitted", "measure", "targets"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]

#: Samplings and distances at which the closed loop is run.
_CASES = [(sampling, distance) for sampling in SAMPLINGS for distance in DISTANCES]

#: Samplings and distances at which pictures that are held out are measured.
_HELD_OUT_CASES = [("444", 1.0), ("420", 1.7)]

#: Number of blocks of a component that the fit uses, for each sampling and distance. They are spread evenly
#: over the picture.
_BLOCKS = 512

#: Unit in which binary logarithms of weights are stored, and the largest absolute value in these units.
_UNIT, _MOST = 1.0 / 60.0, 127

#: The networks predict the closed loop's weights of luma and of chroma to these powers, because a prediction
#: varies less than what it predicts.
_POWERS = (1.1, 1.4)
#: In addition, predicted weights are divided by the energy of a luma block, or of 3 x 3 chroma blocks, to
#: this power. It saves 0.1 % by the 3-norm and 0.2 % by CVVDP and HaarPSI, and costs 0.2 % by PSNR.
_CALM = 0.05

#: Steps of a fit and of a quick fit, rows per step, and the initial learning rate, which falls to 0 (Kingma
#: and Ba 2015).
_STEPS, _QUICK_STEPS, _BATCH, _RATE = 5000, 1000, 2048, 0.01
#: Number of mean errors that are recorded during a fit.
_RECORDED = 20


def targets(codes: npt.NDArray[np.uint8]) -> list[list[str]]:
    """Return the closed loop's weights of some blocks of a picture.

    Parameters
    ----------
    codes : ndarray of uint8, shape (3, H, W)
        sRGB.

    Returns
    -------
    list of list of str
        For each sampling and distance of ``_CASES`` and each component: binary logarithms of weights from
        which their mean was subtracted, in units of 1/60, as int8 in base64. The blocks are those of
        :func:`_chosen`.
    """
    subject, judge = Subject(codes), Judge(codes, Transform(), Resources(1))
    result = []
    for sampling, distance in _CASES:
        source = subject.source(sampling)
        settings, flat = EncodeSettings(distance, dc_limit=dc_limit(distance)), source.flat_weights()
        for _ in range(2):
            trial = encode(source, settings, flat)
            settings = settings.priced(trial.rates)
        carried = carry(source, trial, judge)
        mix = Mix.of(carried.metrics)
        weights = reweigh(source, trial, carried, replace(mix, rate=0.0), flat)
        result.append([_packed(field) for field in weights.blocks])
    return result


def _packed(field: Rows) -> str:
    logs = np.log2(field.reshape(-1).astype(np.float64))
    logs = (logs - logs.mean())[_chosen(field.size)] / _UNIT
    return base64.b64encode(np.clip(np.rint(logs), -_MOST, _MOST).astype(np.int8).tobytes()).decode()


def _chosen(count: int) -> npt.NDArray[np.int64]:
    """Return the indices of the blocks that the fit uses, of ``count`` blocks row by row."""
    chosen = min(count, _BLOCKS)
    return np.arange(chosen) * count // chosen


def _rows(codes: npt.NDArray[np.uint8], packed: list[list[str]]) -> list[tuple[Rows, Rows]]:
    """Return features and targets of luma and of chroma blocks of a picture."""
    subject = Subject(codes)
    found: tuple[list[Rows], ...] = ([], [], [], [])
    for (sampling, distance), weights in zip(_CASES, packed, strict=True):
        source = subject.source(sampling)
        for c, features in enumerate(block_features(source.coefficients, source.sampling, distance)):
            rows = features.reshape(-1, features.shape[2])
            values = np.frombuffer(base64.b64decode(weights[c]), np.int8).astype(np.float32)
            energy = CHROMA_FEATURES.index("own3") if c else LUMA_FEATURES.index("total")
            own = rows[:, energy]
            chosen = _chosen(len(rows))
            kind = min(c, 1)
            aim = _POWERS[kind] * _UNIT * values - _CALM * (own - own.mean())[chosen]
            found[2 * kind].append(rows[chosen])
            found[2 * kind + 1].append(aim.astype(np.float32))
    return [(np.concatenate(found[n]), np.concatenate(found[n + 1])) for n in (0, 2)]


def fitted(rows: Rows, aims: Rows, steps: int, random: np.random.Generator) -> tuple[Network, list[float]]:
    """Return a network that predicts ``aims`` from ``rows`` with nearly the least squared error.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, features)
        Features.
    aims : ndarray of float32, shape (n,)
        What to predict.
    steps : int
        Steps of the fit.
    random : Generator
        Source of the initial parameters, and of the rows of each step.

    Returns
    -------
    network : Network
        Its results also differ from ``aims`` by a constant, since its output has no constant term.
    errors : list of float
        Mean squared error, relative to the variance of ``aims``, in each of 20 equal parts of the fit.
    """
    # Features that are uncorrelated and of variance 1 make the fit fast.
    mean = rows.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov((rows - mean).T))
    whiten = vectors / np.sqrt(np.maximum(values, 1e-3))
    x = ((rows - mean) @ whiten).astype(np.float32)
    count = x.shape[1]
    hidden = random.standard_normal((count, UNITS)) * np.sqrt(2.0 / count)
    out = random.standard_normal((UNITS, 1)) * np.sqrt(1.0 / UNITS)
    parameters = [p.astype(np.float32) for p in (hidden, np.zeros(UNITS), out, np.zeros(1))]
    means, squares = [np.zeros_like(p) for p in parameters], [np.zeros_like(p) for p in parameters]
    errors = np.zeros(steps)
    for step in range(1, steps + 1):
        chosen = random.integers(len(x), size=min(_BATCH, len(x)))
        errors[step - 1], gradients = _gradients(parameters, x[chosen], aims[chosen])
        rate = _RATE * (1.0 - step / (steps + 1.0))
        for p, mean_p, square, gradient in zip(parameters, means, squares, gradients, strict=True):
            mean_p += np.float32(0.1) * (gradient - mean_p)
            square += np.float32(0.001) * (gradient * gradient - square)
            scaled = (mean_p / (1.0 - 0.9**step)) / (np.sqrt(square / (1.0 - 0.999**step)) + 1e-8)
            p -= (rate * scaled).astype(np.float32)
    inner = whiten @ parameters[0]
    bias = parameters[1] - mean @ inner
    network = Network(inner.astype(np.float32), bias.astype(np.float32), parameters[2][:, 0].copy())
    variance = max(float(aims.var(dtype=np.float64)), 1e-30)
    parts = np.array_split(errors, min(_RECORDED, steps))
    return network, [round(float(part.mean()) / variance, 4) for part in parts]


def _gradients(parameters: list[Rows], x: Rows, aims: Rows) -> tuple[float, list[Rows]]:
    """Return the mean squared error, and its gradient with respect to each array of parameters."""
    hidden, bias, out, constant = parameters
    active = np.maximum(x @ hidden + bias, 0)
    missed = active @ out + constant - aims[:, None]
    error = missed * np.float32(2.0 / len(x))
    inner = (error @ out.T) * (active > 0)
    gradients = [x.T @ inner, inner.sum(axis=0), active.T @ error, error.sum(axis=0)]
    return float(np.square(missed).mean()), gradients


def measure(codes: npt.NDArray[np.uint8], arrays: dict[str, npt.NDArray[Any]]) -> list[Measured]:
    """Return measurements of a picture that is held out.

    Parameters
    ----------
    codes : ndarray of uint8, shape (3, H, W)
        sRGB.
    arrays : dict of ndarray
        Arrays of the fitted networks, as :class:`WeightsPart` names them.

    Returns
    -------
    list of Measured
        For each sampling and distance of ``_HELD_OUT_CASES``, four encodes: without weights at a finer
        distance, at a coarser one and at this distance; with weights at this distance.
    """
    subject, part = Subject(codes), WeightsPart.from_arrays(arrays)
    result = []
    for sampling, distance in _HELD_OUT_CASES:
        source = subject.source(sampling)
        flat = source.flat_weights()
        predicted = part.predict(source.coefficients, source.sampling, distance)
        for ratio in (1 / BESIDE, BESIDE, 1.0):
            result.append(subject.measure(sampling, distance * ratio, JPEGLI))
        result.append(subject.measure(sampling, distance, JPEGLI, Weights(predicted, flat.bands)))
    return result


def fit(run: Run, model: Model) -> Outcome:
    """Return the networks as a part of the model; none if they save nothing on pictures held out."""
    numbers = run.numbers(held_out=False)
    found = run.map(
        "weights, closed loop", targets, [(run.pictures[n].codes,) for n in numbers], optional=True
    )
    if not found:
        return Outcome("weights", None, {})
    parts = [_rows(run.pictures[n].codes, packed) for n, packed in zip(numbers, found, strict=False)]
    steps = _QUICK_STEPS if run.quick else _STEPS
    networks: list[Network] = []
    errors: dict[str, list[float]] = {}
    for kind, name in enumerate(("luma", "chroma")):
        rows, aims = (np.concatenate([part[kind][k] for part in parts]) for k in (0, 1))
        network, errors[name] = fitted(rows, aims, steps, run.random("weights", name))
        networks.append(network)
    part = WeightsPart(*networks)
    held_out = [run.pictures[n].codes for n in run.numbers(held_out=True)]
    measured = run.map("weights, pictures held out", measure, [(codes, part.arrays()) for codes in held_out])
    figures = figures_of(measured, len(_HELD_OUT_CASES)) | {"error_during_fit": errors}
    return Outcome("weights", part if figures["loss"] < 0 else None, figures)
