"""The search of JPEG files in CMYK and YCCK, over the scale of their quantisation tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from guetzpy._runtime.exact_math import log
from guetzpy.engine.one_component import Decoded
from guetzpy.jpeg.metadata.policy import icc_profile
from guetzpy.jpeg.metadata.preservation import Carried
from guetzpy.jpeg.structure import JpegImage
from guetzpy.options import OptimizeOptions
from guetzpy.picture.inks import ink_conversion
from guetzpy.picture.transform import Transform
from guetzpy.search.approach import ByDistanceAndLambda
from guetzpy.search.calibration import (
    AIM_OF_LAMBDA,
    NEAR,
    SLOPE_OF_LAMBDA,
    SLOPE_OF_TABLES,
    TILE_TOLERANCE,
)
from guetzpy.search.candidates import Candidate, Candidates, model_of
from guetzpy.search.choice import Start, choose
from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.inks import InkSource, InkTables
from guetzpy.search.coding.learnt import families_of
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.coding.tables import dc_limit
from guetzpy.search.coding.weights import Weights
from guetzpy.search.evaluation import Evaluation, Selected
from guetzpy.search.finest import finest
from guetzpy.search.landing import REDUCED_FROM, Budget, land
from guetzpy.search.plan import EFFORTS, Plan
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import COARSEST, FINEST, Limits
from guetzpy.search.root import Root
from guetzpy.search.sizing import Measure
from guetzpy.search.worst_places import increased, worst

__all__ = ["InkCandidates", "are_inks", "decoded", "select"]

#: Number of times that the weights of blocks are computed from local errors.
_ROUNDS = 2

#: Budget of the evaluations that change the Lagrange multiplier only.
_BY_LAMBDA = Budget(4, 3)


def are_inks(image: JpegImage) -> bool:
    """Return whether a JPEG is in CMYK or YCCK."""
    return image.colorspace in ("cmyk", "ycck")


def decoded(image: JpegImage, carried: Carried, threads: int | None) -> Decoded:
    """Return what the search of a JPEG in CMYK or YCCK starts from.

    Parameters
    ----------
    image : JpegImage
        The file. Its own ICC profile converts its samples to sRGB if the profile is valid for CMYK.
    carried : Carried
        The metadata of the output.
    threads : int, optional
        Number of threads; None: the processors available.
    """
    source = InkSource(image, ink_conversion(icc_profile(image), threads), threads).trusted()
    reference = source.shown(source.samples(image))
    return Decoded(image, reference, carried, Transform(), source.conversion.note, source)


@dataclass(frozen=True, eq=False)
class InkCandidates(Candidates):
    """The candidates of a JPEG in CMYK or YCCK, which differ in their tables only."""

    @classmethod
    def of_inks(
        cls,
        source: InkSource,
        reference: npt.NDArray[Any],
        judge: Judge,
        plan: Plan,
        options: OptimizeOptions,
        factors: tuple[float, ...] | None = None,
    ) -> InkCandidates:
        """Return the usual families of tables, with the file's own steps kept and without.

        ``factors`` are those on the distance of each component's tables; None: ``source.factors()``.
        """
        model = model_of(options)
        families = InkTables.competing(source, families_of(model), factors or source.factors())
        entries = tuple(Candidate(lambda: source, family) for family in families)
        return cls(reference, judge, plan, entries, None, model)


def _settings(distance: float) -> EncodeSettings:
    """Return settings whose DC steps show no bands in slow gradients, for all components."""
    return EncodeSettings(distance, dc_limit=dc_limit(distance), chroma_dc_limit=dc_limit(distance))


def select(
    candidates: Candidates,
    limits: Limits,
    effort: str,
    *,
    strict: bool,
    measure: Measure,
    check: Callable[[], None],
) -> Selected:
    """Find the fewest bytes that meet the limits; see :func:`guetzpy.search.selection.select`.

    Raises
    ------
    TargetError
        The limits cannot be met, whether ``strict`` or not: the lossless repack meets all limits.
    """
    entries, judge, chosen = candidates.entries, candidates.judge, EFFORTS[effort]
    settings = _settings(limits.starting_distance())
    choice = choose([(entry.make, entry.family) for entry in entries], judge, limits, chosen, settings)
    for group in (choice.finalists, *((start,) for start in choice.rest)):
        found = [
            selected
            for start in group
            if (selected := _landed(candidates, start, limits, settings, chosen.probes, check)) is not None
        ]
        if len(found) == 1:
            return found[0]  # its size need not be measured
        if found:
            return min(found, key=lambda selected: measure(selected.found.trial, selected.source))
    source, family = candidates.source(0), entries[0].family
    best = finest(source, judge, limits, settings.of_family(family), (0.0,), check=check)
    if best.excess > 0.0:
        raise limits.unmet(best.scores)
    return Selected(best, source)


def _landed(
    candidates: Candidates,
    start: Start,
    limits: Limits,
    settings: EncodeSettings,
    probes: int,
    check: Callable[[], None],
) -> Selected | None:
    """Return the coarsest encode of one candidate that meets the limits, with weights from local errors."""
    source, judge = candidates.source(start.number), candidates.judge
    family = candidates.entries[start.number].family
    settings = settings.of_family(family).priced(start.rates)
    check()
    trial = encode(source, settings.at(start.distance))
    scores = judge.scores(decode(source, trial))
    weights, best = source.flat_weights(), None
    for _ in range(_ROUNDS):
        # The weights begin at 1, so their first increase changes the score too much for a single landing.
        weights = increased(weights, source, scores, limits)
        begin = log(trial.distance) - limits.excess(scores) / SLOPE_OF_TABLES
        approach = ByDistanceAndLambda(min(max(begin, log(FINEST)), log(COARSEST)))
        found = _closest(
            source, judge, limits, weights, settings.priced(trial.rates), approach, probes, check
        )
        if found is None or (best is not None and worst(found.scores, limits) > worst(best.scores, limits)):
            break
        best, trial, scores = found, found.trial, found.scores
        if worst(scores, limits) <= REDUCED_FROM:
            break
    return None if best is None else Selected(best, source)


def _closest(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    weights: Weights,
    settings: EncodeSettings,
    approach: ByDistanceAndLambda,
    probes: int,
    check: Callable[[], None],
) -> Evaluation | None:
    """Return the coarsest encode under given weights; None if none meets the limits.

    Steps are integers. If they are small, an increase of each by 1 changes the score by several per cent. A
    larger Lagrange multiplier then brings the file closer to the limits.
    """

    def landed(approach: ByDistanceAndLambda, budget: Budget, settings: EncodeSettings) -> Evaluation | None:
        return land(source, judge, limits, weights, settings, approach, budget, steady=True, check=check)

    best = landed(approach, Budget.of_probes(probes), settings)
    if best is None or best.excess >= -NEAR:
        return best
    known = best.trial.settings
    by_lambda = Root(SLOPE_OF_LAMBDA, TILE_TOLERANCE, AIM_OF_LAMBDA).with_point(known.log_lambda, best.excess)
    approach = ByDistanceAndLambda(log(known.distance), min(by_lambda.propose(), 1.0), by_lambda=by_lambda)
    closer = landed(approach, _BY_LAMBDA, settings.priced(best.trial.rates))
    return best if closer is None or closer.excess < best.excess else closer
