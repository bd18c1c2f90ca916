"""The open loop: quantise without gradients, evaluate once, correct once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guetzpy._runtime.exact_math import exp, log
from guetzpy.model.start import StartPart
from guetzpy.search import calibration
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.weights import Weights
from guetzpy.search.evaluation import Evaluation, evaluate, leads_of
from guetzpy.search.landing import evaluate_part
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import COARSEST, FINEST, Limits
from guetzpy.search.tiles import Part, Tiles

__all__ = ["open_loop"]


def _deficits(limits: Limits, tiles: Tiles) -> list[float]:
    """Return, for each metric, by how much the excess on sample tiles is too small."""
    side, fine = tiles.side, max(-log(limits.starting_distance()), 0.0)
    deficits = []
    for metric in limits.metrics:
        a, b, c, d = calibration.steering(metric.name).tile_deficit
        deficits.append(a + b / side + (c + d / side) * fine)
    return deficits


def _margin(limits: Limits, source: CodingSource, start: StartPart | None) -> float:
    """Return by how much the first log distance is reduced if there are no tiles."""
    if start is None:
        return calibration.RESERVE
    distance = limits.starting_distance()
    expected = start.expected("fast", distance, source.sampling == (2, 2), 0.0)
    return expected + calibration.OPEN_SPREADS * start.spread_at("fast", distance)


def open_loop(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    settings: EncodeSettings,
    weights: Weights,
    *,
    part: Part | None = None,
    start: StartPart | None = None,
    check: Callable[[], None] = lambda: None,
) -> Evaluation | None:
    """Find a quantisation that meets the limits, in at most two evaluations of the whole picture.

    Parameters
    ----------
    source, judge, limits, check
        As for :func:`guetzpy.search.closed_loop.search`.
    settings : EncodeSettings
        Settings at the distance that is expected to meet the limits, with the costs of symbols of the sample
        tiles if there are any.
    weights : Weights
        Weights of blocks and frequencies.
    part : Part, optional
        Sample tiles of the picture at the same sampling.
    start : StartPart, optional
        Fitted parameters of the first evaluation, which are used if there are no tiles.

    Returns
    -------
    Evaluation or None
        None if the limits are missed twice.
    """
    x = log(settings.distance)
    leads: Sequence[float] | None = None
    if part is None:
        settings = settings.priced(encode(source, settings.priced(()), weights).rates)
        x -= _margin(limits, source, start)
    else:
        seen = evaluate_part(part, part.tiles.cut_weights(weights, source), limits, settings)
        excesses = [e + missed for e, missed in zip(seen, _deficits(limits, part.tiles), strict=True)]
        x -= max(
            (excess + calibration.OPEN_MARGIN) / calibration.steering(metric.name).follow
            for excess, metric in zip(excesses, limits.metrics, strict=True)
        )
        leads = leads_of(excesses)
    best: Evaluation | None = None
    x = min(max(x, log(FINEST)), log(COARSEST))
    for attempt in range(2):
        check()
        trial = encode(source, settings.at(exp(x)), weights).bare()
        settings = settings.priced(trial.rates)
        scores, by_metric = evaluate(judge, limits, decode(source, trial), leads)
        excess = max(by_metric)
        if scores is not None and excess <= 0.0 and (best is None or trial.distance > best.trial.distance):
            best = Evaluation(trial, scores, excess)
        if attempt or -calibration.OPEN_ENOUGH < excess <= 0.0:
            break
        step = min(max((excess + calibration.OPEN_MARGIN_AFTER) / calibration.SLOPE_OF_TABLES, -1.5), 1.5)
        x = min(max(x - step, log(FINEST)), log(COARSEST))
    return best
