"""The finest encode of a source. Its scores tell which limits can be met at all."""

from __future__ import annotations

from collections.abc import Callable

from guetzpy.search.coding.encoder import decode, encode
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import CodingSource
from guetzpy.search.evaluation import Evaluation
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits

__all__ = ["BIASES", "finest"]

#: Codes added to the luma. They decide to which side the decoder rounds colours. Some saturated colours
#: cannot be coded exactly: flat (255, 0, 255) decodes to (255, 0, 254). With half a code more luma it decodes
#: to (255, 1, 255), which scores far better.
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
    """Return the finest encode, with the addition to the luma that gives the smallest excess.

    Parameters
    ----------
    source : CodingSource
        The picture.
    judge : Judge
        Scores against the reference.
    limits : Limits
        Limits by which the excess is computed.
    settings : EncodeSettings
        Settings whose table family and dither are used.
    biases : tuple of float
        Additions to the luma to try, in codes.
    check : callable
        Called before each encode; it raises an exception to end the search.

    Returns
    -------
    Evaluation
        The trial of smallest excess, with its scores.
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
