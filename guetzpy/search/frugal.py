"""A search that holds little more than the picture: many pixels in few bytes, or a ceiling of memory.

The choice of sampling and the distance to begin at come from tiles. The whole is then quantised strip by
strip, without weights, and scored window by window with nothing of the reference kept, a few times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from guetzpy._elementary import exp, log
from guetzpy.errors import TargetError
from guetzpy.metrics._butteraugli import ButteraugliComparator
from guetzpy.metrics._ssimulacra2 import SSIMULACRA2Comparator
from guetzpy.picture import Transform
from guetzpy.search import rate, tables
from guetzpy.search.closed_loop import Found
from guetzpy.search.encoder import BANDS, Encoder, Trial, Weights, lagrangian
from guetzpy.search.finest import finest
from guetzpy.search.judge import Judge
from guetzpy.search.montage import Tiles
from guetzpy.search.target import COARSEST, FINEST, Limits, Root
from guetzpy.search.tuning import size_of

__all__ = ["ROOM", "Maker", "Measure", "SparingJudge", "Strips", "search", "search_size", "tiles_of"]

Codes: TypeAlias = npt.NDArray[Any]

#: Makes the encoder of a part of the picture at one sampling.
Maker: TypeAlias = Callable[[Codes, tuple[int, int]], Encoder]

#: Returns the size of the file of a trial.
Measure: TypeAlias = Callable[[Trial, Encoder], int]

#: Bytes of a file that are known last: the mark of its distance.
ROOM = 24

#: Pixels of a strip, and the rows around it that up-sampling and the fit of chroma look at.
_STRIP, _MARGIN = 1 << 19, 16

#: Tiles across and down, and their side: wide enough for what the metrics blur.
_ACROSS, _SIDE = 3, 240

#: Rows of a picture that Butteraugli works on at a time.
_ROWS = 128

#: How near, in log distances, the tiles and the whole shall come to the limits, and looks at them.
_TILES, _WHOLE = (0.012, 6), (0.05, 4)


class SparingJudge(Judge):
    """A judge that keeps nothing of the reference but its codes."""

    def __init__(self, codes: Codes, transform: Transform, threads: int | None = None) -> None:
        self.transform = transform
        self.threads = threads
        self.butteraugli = ButteraugliComparator.from_codes(
            codes, transform, threads=threads, keep=False, rows=_ROWS
        )
        self.ssimulacra2 = SSIMULACRA2Comparator.from_codes(codes, transform, threads=threads, keep=False)


class Strips(Encoder):
    """An encoder that makes the coefficients of a strip whenever it quantises it.

    Parameters
    ----------
    codes : ndarray, shape (1|3, H, W)
        The picture. Kept.
    make : Maker
        Makes the encoder of a strip.
    sampling : tuple of int
        Of the luma.
    threads : int, optional
        Threads to use. What comes of it does not depend on them.
    """

    def __init__(
        self, codes: Codes, make: Maker, sampling: tuple[int, int], threads: int | None = None
    ) -> None:
        gray = len(codes) == 1
        super().__init__(
            codes.shape[2],
            codes.shape[1],
            [np.empty((0, 0, 64), np.float32) for _ in codes],  # there are as many, that is all
            (1, 1) if gray else sampling,
            "gray" if gray else "ycbcr",
            threads,
        )
        self.codes = codes
        self.make = make

    def quantise(
        self,
        qtables: list[npt.NDArray[np.uint16]],
        lagrangian: float,
        weights: Weights,
        distance: float = 0.0,
    ) -> Trial:
        """Quantise all components, strip by strip; weights are taken for flat."""
        units = [(8, 8)] + [(8 * self.sampling[1], 8 * self.sampling[0])] * (len(self.codes) - 1)
        levels = [np.empty((-(-self.height // v), -(-self.width // h), 64), np.int16) for v, h in units]
        # whole MCUs, so that blocks of strips are blocks of the picture
        rows = max(_STRIP // self.width // 16 * 16, 4 * _MARGIN)
        for first in range(0, self.height, rows):
            last = min(first + rows, self.height)
            top, bottom = max(0, first - _MARGIN), min(self.height, last + _MARGIN)
            part = self.make(self.codes[:, top:bottom], self.sampling)
            part.rates, part.bias = self.rates, self.bias
            trial = part.quantise(qtables, lagrangian, Weights.flat(part.coefficients), distance)
            for whole, strip, (v, _) in zip(levels, trial.levels, units, strict=True):
                begin, end = first // v, -(-last // v)
                whole[begin:end] = strip[begin - top // v : end - top // v]
        self.rates = [rate.measure(level, BANDS[c], self.threads) for c, level in enumerate(levels)]
        return Trial(distance, lagrangian, qtables, levels)


def tiles_of(codes: Codes) -> Codes:
    """Return a small picture of tiles, or the middle of a narrow one; which depends on its size alone."""
    _, height, width = codes.shape
    tiles = Tiles.of(height, width, _ACROSS, _SIDE)
    if tiles is not None:
        return tiles.cut_picture(codes)
    narrow = min(height, width, _ACROSS * _SIDE)
    length = (_ACROSS * _SIDE) ** 2 // narrow // 16 * 16
    tall, wide = (narrow, length) if height < width else (length, narrow)
    top, left = (max(0, whole - part) // 32 * 16 for whole, part in ((height, tall), (width, wide)))
    return np.ascontiguousarray(codes[:, top : top + tall, left : left + wide])


@dataclass
class _Plan:
    """What the tiles tell: the sampling, where to begin, prices of symbols, what the format cannot reach.

    No ``start`` says that nothing but the finest came near the limits.
    """

    sampling: tuple[int, int]
    start: float | None
    rates: list[Any]
    bias: float = 0.0
    out_of_reach: bool = False


def search(
    codes: Codes,
    make: Maker,
    samplings: list[tuple[int, int]],
    judge: Judge,
    limits: Limits,
    *,
    strict: bool,
    check: Callable[[], None] = lambda: None,
) -> tuple[Found, Encoder, Limits | None]:
    """Find a coarse quantisation that meets the limits, in little memory and in bounded time.

    Parameters
    ----------
    codes : ndarray, shape (1|3, H, W)
        The picture.
    make : Maker
        Makes encoders of parts of it.
    samplings : list of (int, int)
        That may be chosen, the finest first.
    judge : Judge
        Of the whole.
    limits : Limits
        What must hold.
    strict : bool
        Whether limits that the format cannot reach are an error.
    check : callable
        Called between looks; raises to give up.

    Returns
    -------
    found, encoder
        As the usual search.
    relaxed : Limits or None
        The limits, where the format made them looser.

    Raises
    ------
    TargetError
        The finest file does not meet the limits, and ``strict``.
    """
    plan = _planned(codes, make, samplings, judge, limits, check)
    encoder = Strips(codes, make, plan.sampling, judge.threads)
    encoder.rates = list(plan.rates)
    encoder.dc_limit = tables.dc_limit(limits.starting_distance())
    best = None
    if plan.start is not None and not plan.out_of_reach:
        best = _land(encoder, judge, limits, plan.start, *_WHOLE, check)
    if best is not None:
        return best, encoder, None
    # What no other encode could reach decides: the finest of all.
    encoder.sampling = samplings[0]
    found, _ = finest(encoder, judge, limits, (plan.bias,), check=check)
    scores = found.scores
    relaxed = None
    if found.excess > 0.0:
        if strict:
            raise TargetError(
                f"best reached: Butteraugli 3-norm {scores.butteraugli:.3f},"
                f" SSIMULACRA 2 {scores.ssimulacra2:.2f}"
            )
        limits = relaxed = limits.relaxed(scores.butteraugli, scores.ssimulacra2)
    encoder.rates = list(plan.rates)
    if plan.start is None:
        return found, encoder, relaxed
    del found  # its levels take memory
    start = plan.start if plan.out_of_reach else limits.starting_distance()
    best = _land(encoder, judge, limits, start, _WHOLE[0], _WHOLE[1] // 2, check)
    if best is None:
        best = Found(encoder.finest(plan.bias), scores, 0.0)
    return best, encoder, relaxed


def _planned(
    codes: Codes,
    make: Maker,
    samplings: list[tuple[int, int]],
    judge: Judge,
    limits: Limits,
    check: Callable[[], None],
) -> _Plan:
    small = tiles_of(codes)
    scorer = Judge(small, judge.transform, judge.threads)
    encoders = [make(small, sampling) for sampling in samplings]
    for encoder in encoders:
        encoder.dc_limit = tables.dc_limit(limits.starting_distance())
    found = [_land(e, scorer, limits, limits.starting_distance(), *_TILES, check) for e in encoders]
    sizes = [size_of(e, f.trial) for e, f in zip(encoders, found, strict=True) if f is not None]
    for encoder, one in zip(encoders, found, strict=True):
        if one is not None and size_of(encoder, one.trial) == min(sizes):
            return _Plan(encoder.sampling, one.trial.distance, encoder.rates)
    encoder = encoders[0]
    reached, bias = finest(encoder, scorer, limits, check=check)
    scores = reached.scores
    relaxed = limits.relaxed(scores.butteraugli, scores.ssimulacra2)
    near = _land(encoder, scorer, relaxed, relaxed.starting_distance(), *_TILES, check)
    start = None if near is None else near.trial.distance
    return _Plan(encoder.sampling, start, encoder.rates, bias, reached.excess > 0.0)


def _look(encoder: Encoder, judge: Judge, limits: Limits, distance: float) -> Found:
    weights = Weights.flat(encoder.coefficients)
    trial = encoder.quantise(encoder.tables(distance), lagrangian(distance), weights, distance)
    scores = judge.scores(encoder.decode(trial))
    return Found(trial, scores, limits.excess(scores.butteraugli, scores.ssimulacra2))


def _land(
    encoder: Encoder,
    judge: Judge,
    limits: Limits,
    start: float,
    tolerance: float,
    looks: int,
    check: Callable[[], None],
) -> Found | None:
    """Return the coarsest of a few that meets the limits, if any does."""
    root = Root(slope=1.0, tolerance=tolerance)
    x = log(start)
    best: Found | None = None
    for _ in range(looks):
        check()
        found = _look(encoder, judge, limits, exp(x))
        root.add(x, found.excess)
        if found.excess <= 0.0 and (best is None or found.excess > best.excess):
            best = found
        if root.done or root.hopeless or _flat(root):
            break
        before, x = x, min(max(root.propose(), log(FINEST)), log(COARSEST))
        if abs(x - before) < 1e-4:
            break
    return best


def _flat(root: Root) -> bool:
    """Return whether two looks far from the limits hardly differ: the format cannot reach them."""
    if len(root.points) < 2:
        return False
    (x0, f0), (x1, f1) = root.points[:2]
    return min(f0, f1) > 0.2 and abs(f0 - f1) < 0.1 * abs(x0 - x1)


def search_size(
    codes: Codes,
    make: Maker,
    sampling: tuple[int, int],
    judge: Judge,
    size: int,
    measure: Measure,
    *,
    check: Callable[[], None] = lambda: None,
) -> tuple[Found, Encoder]:
    """Find a fine quantisation whose file has at most ``size`` bytes; see :func:`search`.

    Raises
    ------
    TargetError
        None of those tried fits; the message names the smallest.
    """
    encoder = Strips(codes, make, sampling, judge.threads)
    root = Root(slope=0.65, tolerance=0.02)
    x = min(max(log(1.3 * encoder.width * encoder.height / (8.0 * size)) / 0.65, log(FINEST)), log(COARSEST))
    best: Trial | None = None
    smallest = 0
    for _ in range(10):
        check()
        distance = exp(x)
        weights = Weights.flat(encoder.coefficients)
        trial = encoder.quantise(encoder.tables(distance), lagrangian(distance), weights, distance)
        taken = measure(trial, encoder)
        smallest = min(smallest or taken, taken)
        excess = log(taken / size)
        root.add(-x, excess)
        if excess <= 0.0 and (best is None or trial.distance < best.distance):
            best = trial
        ends = log(FINEST) if excess <= 0.0 else log(COARSEST)
        if root.done or abs(x - ends) < 1e-9:
            break
        x = min(max(-root.propose(), log(FINEST)), log(COARSEST))
    if best is None:
        raise TargetError(f"the smallest file reached has {smallest} bytes, {size} were asked for")
    return Found(best, judge.scores(encoder.decode(best)), 0.0), encoder
