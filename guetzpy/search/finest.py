"""The finest encode of a source, which tells what limits can be met at all."""

from __future__ import annotations

from collections.abc import Callable

from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.evaluation import Evaluation
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits

__all__ = ["BIASES", "finest"]

#: Sides of rounding, in codes of luma. Saturated colours have no code of their own: flat (255, 0, 255) shows
#: as (255, 0, 254) or, with half a code more luma, as (255, 1, 255), whose score is far better.
BIASES = (0.0, 0.5, -0.5)


def finest(
    source: CodingSource,
    judge: Judge,
    limits: Limits,
    settings: EncodeSettings,
    biases: tuple[float, ...] = BIASES,
    *,
    check: Callable[[], None],
) -> Evaluation:
    """Return the finest encode on the side of rounding with the smallest excess.

    Parameters
    ----------
    source : CodingSource
        The picture.
    judge : Judge
        Scores against the reference.
    limits : Limits
        By which one side is better than another.
    settings : EncodeSettings
        Whose finest tables are used.
    biases : tuple of float
        The sides to try, in codes of luma.
    check : callable
        Called before each; raises to give up.
    """
    best: Evaluation | None = None
    for bias in biases:
        check()
        trial = encode(source, settings.at_finest(bias)).bare()
        scores = judge.scores(decode(source, trial))
        excess = limits.excess(scores)
        if best is None or excess < best.excess:
            best = Evaluation(trial, scores, excess)
    assert best is not None
    return best
