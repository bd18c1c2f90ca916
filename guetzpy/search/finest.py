"""The finest encode that the format has, which tells what limits can be met at all."""

from __future__ import annotations

from collections.abc import Callable

from guetzpy.search.closed_loop import Found
from guetzpy.search.encoder import Encoder
from guetzpy.search.judge import Judge
from guetzpy.search.target import Limits

__all__ = ["BIASES", "finest"]

#: Sides of rounding, in codes of luma. Saturated colours have no code of their own: flat (255, 0, 255) shows
#: as (255, 0, 254) or, with half a code more luma, as (255, 1, 255), which looks far closer.
BIASES = (0.0, 0.5, -0.5)


def finest(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    biases: tuple[float, ...] = BIASES,
    *,
    check: Callable[[], None],
) -> tuple[Found, float]:
    """Return the finest encode on the side of rounding that the metrics like best.

    Parameters
    ----------
    encoder : Encoder
        Of the picture.
    judge : Judge
        Scores against the reference.
    limits : Limits
        By which one side is better than another.
    biases : tuple of float
        The sides to try, in codes of luma.
    check : callable
        Called before each; raises to give up.

    Returns
    -------
    found : Found
        The encode, its scores, and its excess over the limits.
    bias : float
        Its side.
    """
    best: tuple[Found, float] | None = None
    for bias in biases:
        check()
        trial = encoder.finest(bias)
        scores = judge.scores(encoder.decode(trial))
        excess = limits.excess(scores.butteraugli, scores.ssimulacra2)
        if best is None or excess < best[0].excess:
            best = Found(trial, scores, excess), bias
    assert best is not None
    return best
