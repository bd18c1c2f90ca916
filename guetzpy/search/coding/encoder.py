"""One quantisation of a picture (a trial), and the JPEG and the decoded codes that result from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from guetzpy.jpeg.structure import JpegImage, Segment
from guetzpy.search.coding import rate
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import BANDS, CodingSource, Quantiser
from guetzpy.search.coding.trellis import Rate
from guetzpy.search.coding.weights import Weights

__all__ = ["Trial", "decode", "encode", "image", "samples"]


@dataclass(frozen=True, eq=False)
class Trial:
    """One quantisation of a picture.

    Attributes
    ----------
    settings : EncodeSettings
        Settings of the quantisation.
    tables : tuple of ndarray of uint16, shape (64,)
        Steps, natural order.
    levels : tuple of ndarray of int16, shape (blocks_y, blocks_x, 64)
        Quantised coefficients.
    rates : tuple of Rate
        Costs of symbols, from the statistics of the levels.
    targets : tuple of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Unquantised coefficients after compensation, without shifts. Empty in a bare trial.
    """

    settings: EncodeSettings
    tables: tuple[npt.NDArray[np.uint16], ...]
    levels: tuple[npt.NDArray[np.int16], ...]
    rates: tuple[Rate, ...]
    targets: tuple[npt.NDArray[np.float32], ...] = ()

    @property
    def distance(self) -> float:
        """Distance of the tables."""
        return self.settings.distance

    def bare(self) -> Trial:
        """Return the trial without its targets, which only the computation of weights needs."""
        return replace(self, targets=())


def encode(source: CodingSource, settings: EncodeSettings, weights: Weights | None = None) -> Trial:
    """Quantise a picture. The result depends on the arguments alone.

    Parameters
    ----------
    source : CodingSource
        The picture.
    settings : EncodeSettings
        Tables, Lagrange multiplier and costs of symbols.
    weights : Weights, optional
        Weights of blocks and frequencies. Default: all are 1.

    Returns
    -------
    Trial
        Its ``rates`` are the costs of symbols for the next quantisation.
    """
    subsampled = source.sampling == (2, 2)
    tables = settings.tables(source.components, subsampled)
    if weights is None:
        weights = source.flat_weights()
    quantiser = Quantiser(
        tables, settings.lagrangians(len(tables), subsampled), settings.rates,
        (settings.bias, *settings.chroma_bias),
        settings.compensation(subsampled), settings.dither,
    )  # fmt: skip
    levels, targets = source.quantise(quantiser, weights)
    rates = tuple(rate.measure(part, BANDS, source.threads) for part in levels)
    return Trial(settings, tables, levels, rates, targets)


def image(source: CodingSource, trial: Trial, segments: Sequence[Segment] = ()) -> JpegImage:
    """Return a trial as a JpegImage, which holds coefficients."""
    return replace(source.image(trial.tables, trial.levels), segments=list(segments))


def samples(source: CodingSource, trial: Trial) -> npt.NDArray[np.uint8]:
    """Return the samples that libjpeg-turbo decodes a trial to."""
    return source.samples(image(source, trial))


def decode(source: CodingSource, trial: Trial) -> npt.NDArray[np.uint8]:
    """Return the codes that a viewer shows for a trial, uint8 (1|3, H, W)."""
    return source.shown(samples(source, trial))
