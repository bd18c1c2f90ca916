"""One picture at one chroma sampling: from unquantised coefficients to levels and back to pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._elementary import exp, power
from guetzpy.jpeg import pixels
from guetzpy.jpeg.structure import Component, JpegImage, Segment
from guetzpy.search import rate as rates
from guetzpy.search import tables, trellis
from guetzpy.search.compensation import Compensation

__all__ = ["Encoder", "Trial", "Weights", "lagrangian"]

Levels = npt.NDArray[np.int16]
Coefficients = npt.NDArray[np.float32]

#: Spectral bands of each component that the trellis prices by themselves, by zigzag index.
BANDS = (
    np.array([[1, 63]], np.int64),
    np.array([[1, 63]], np.int64),
    np.array([[1, 63]], np.int64),
)

#: The first prices are taken from about so many blocks.
_FIRST_BLOCKS = 8192


def lagrangian(distance: float) -> float:
    """Return what a bit is worth in squared steps: grows with distance.

    Where the tables near their limit of 255 it takes over from them, so that any size can be reached.
    """
    usual = 0.05 * power(min(max(distance, 0.5), 6.0), 0.25)
    return usual * power(max(distance / 20.0, 1.0), 1.5)


@dataclass
class Weights:
    """How much an error matters, relative to the mean; one entry a component.

    Attributes
    ----------
    blocks : list of ndarray of float32, shape (blocks_y, blocks_x)
        By block.
    bands : list of ndarray of float32, shape (64,)
        By frequency, zigzag index.
    shifts : list of ndarray of int8, shape (blocks_y, blocks_x, 64)
        What to add to the coefficients before they are quantised, in units of ``trellis.SHIFT`` steps;
        empty for nothing.
    """

    blocks: list[npt.NDArray[np.float32]]
    bands: list[npt.NDArray[np.float32]]
    shifts: list[npt.NDArray[np.int8]] = field(default_factory=list)

    @classmethod
    def flat(cls, coefficients: list[Coefficients]) -> Weights:
        """Return weights of 1."""
        return cls(
            [np.ones(c.shape[:2], np.float32) for c in coefficients],
            [np.ones(64, np.float32) for _ in coefficients],
        )


@dataclass
class Trial:
    """One quantisation of the picture.

    Attributes
    ----------
    distance : float
        Fineness of the tables.
    lagrangian : float
        Squared error in squared steps that a bit was worth.
    qtables : list of ndarray of uint16, shape (64,)
        Steps, natural order.
    levels : list of ndarray of int16, shape (blocks_y, blocks_x, 64)
        Quantised coefficients.
    targets : list of ndarray of float32, shape (blocks_y, blocks_x, 64)
        What the levels stand for; what the weights shifted is not in it. Empty in a bare trial.
    """

    distance: float
    lagrangian: float
    qtables: list[npt.NDArray[np.uint16]]
    levels: list[Levels]
    targets: list[Coefficients] = field(default_factory=list)

    def bare(self) -> Trial:
        """Return the trial without its targets, which only weights are made from."""
        return replace(self, targets=[])


@dataclass
class Encoder:
    """What stays the same while a picture is searched.

    Attributes
    ----------
    width, height : int
        Size in pixels.
    coefficients : list of ndarray of float32, shape (blocks_y, blocks_x, 64)
        Unquantised coefficients, natural order, T.81 scaling.
    sampling : tuple of (int, int)
        Sampling factors of the luma; chroma has (1, 1).
    colorspace : str
        "ycbcr" or "gray".
    threads : int or None
        Threads to use.
    rates : list of Rate
        Prices of symbols from the last pass; empty before the first.
    source_tables : list of ndarray of uint16, shape (64,), or None
        Of a JPEG source: steps are kept to multiples of these.
    compensation : Compensation, optional
        Moves the luma to make up for the chroma's error.
    dc_limit : float
        Largest step of the luma's DC: what keeps slow gradients free of bands, which no score tells.
    bias : float
        Codes added to all luma: the side of rounding at corners of the gamut.
    shape : Shape
        How the tables depart from the usual ones.
    """

    width: int
    height: int
    coefficients: list[Coefficients]
    sampling: tuple[int, int] = (1, 1)
    colorspace: str = "ycbcr"
    threads: int | None = None
    rates: list[trellis.Rate] = field(default_factory=list)
    source_tables: list[npt.NDArray[np.uint16] | None] = field(default_factory=list)
    compensation: Compensation | None = None
    dc_limit: float = 255.0
    bias: float = 0.0
    shape: tables.Shape = tables.USUAL

    @classmethod
    def from_codes(
        cls,
        codes: npt.NDArray[Any],
        sampling: tuple[int, int],
        compensation: Compensation | None = None,
        threads: int | None = None,
    ) -> Encoder:
        """Transform RGB or gray codes, (1|3, H, W): uint8, uint16, or float32 on the scale of 0 to 255."""
        coefficients = pixels.forward(codes, sampling, downsampler="fitted", threads=threads)
        colorspace = "gray" if len(coefficients) == 1 else "ycbcr"
        return cls(
            codes.shape[2],
            codes.shape[1],
            coefficients,
            sampling,
            colorspace,
            threads,
            compensation=compensation,
        )

    @property
    def subsampled(self) -> bool:
        """Whether chroma is coded at half size in both directions."""
        return self.sampling == (2, 2)

    @property
    def subsampling_name(self) -> str:
        """Chroma sampling as people write it."""
        if len(self.coefficients) == 1:
            return "gray"
        return {(1, 1): "444", (2, 1): "422", (1, 2): "440", (2, 2): "420"}[self.sampling]

    def tables(self, distance: float) -> list[npt.NDArray[np.uint16]]:
        """Return the quantisation tables at a distance."""
        result = []
        for c in range(len(self.coefficients)):
            steps = tables.steps(distance, c, self.subsampled, self.shape)
            if c == 0:
                steps[0] = min(steps[0], self.dc_limit)
            own = self.source_tables[c] if self.source_tables else None
            if own is not None:
                source = own.astype(np.float64)
                steps = source * np.maximum(np.floor(steps / source + 0.5), 1.0)
                steps = np.where(steps > 255, source, steps)
            result.append(np.clip(np.floor(steps + 0.5), 1, 255).astype(np.uint16))
        return result

    def quantise_at(self, distance: float, weights: Weights, worth: float = 0.0) -> Trial:
        """Quantise with the tables at a distance; a bit is worth ``exp(worth)`` times the usual."""
        bit = exp(worth + self.shape.worth) * lagrangian(distance)
        return self.quantise(self.tables(distance), bit, weights, distance)

    def finest(self, bias: float = 0.0) -> Trial:
        """Return the encode with all steps 1 (or a JPEG source's own steps) and no bit spared.

        Its luma is ``bias`` codes off.
        """
        steps = [np.ones(64, np.uint16) for _ in self.coefficients]
        if self.source_tables:
            steps = [
                s if t is None else np.minimum(t, 255) for s, t in zip(steps, self.source_tables, strict=True)
            ]
        self.bias = bias
        trial = self.quantise(steps, 0.0, Weights.flat(self.coefficients))
        self.bias = 0.0
        return trial

    def quantise(
        self,
        qtables: list[npt.NDArray[np.uint16]],
        lagrangian: float,
        weights: Weights,
        distance: float = 0.0,
    ) -> Trial:
        """Quantise all components; the statistics of the result price the next call's symbols."""
        count = len(self.coefficients)
        if not self.rates:
            self.rates = [
                rates.measure(_rounded(c, q), BANDS[i], self.threads)
                for i, (c, q) in enumerate(zip(self.coefficients, qtables, strict=True))
            ]
        levels: list[Levels] = [np.empty(0, np.int16)] * count
        targets = list(self.coefficients)
        # Chroma first: the luma makes up for its error.
        for c in [*range(1, count), 0]:
            if c == 0 and count == 3 and self.compensation is not None:
                luma = np.broadcast_to(np.zeros(64, np.int16), self.coefficients[0].shape)
                chroma = self.image(Trial(distance, lagrangian, qtables, [luma, *levels[1:]]))
                targets[0] = self.compensation.change(chroma)
                targets[0] += self.coefficients[0]
            if c == 0 and self.bias:
                targets[0] = targets[0].copy()
                targets[0][..., 0] += np.float32(8.0 * self.bias)
            levels[c] = trellis.quantise(
                targets[c], qtables[c], self.rates[c], lagrangian,
                weights=weights.blocks[c], band_weights=weights.bands[c],
                shifts=weights.shifts[c] if weights.shifts else None, threads=self.threads,
            )  # fmt: skip
        self.rates = [rates.measure(level, BANDS[i], self.threads) for i, level in enumerate(levels)]
        return Trial(distance, lagrangian, qtables, levels, targets)

    def image(self, trial: Trial, segments: list[Segment] | None = None) -> JpegImage:
        """Return a trial as a JPEG in coefficients."""
        components = [
            Component(
                i + 1,
                self.sampling[0] if i == 0 else 1,
                self.sampling[1] if i == 0 else 1,
                qtable,
                levels,
            )
            for i, (qtable, levels) in enumerate(zip(trial.qtables, trial.levels, strict=True))
        ]
        return JpegImage(self.width, self.height, components, self.colorspace, segments=segments or [])

    def decode(self, trial: Trial) -> npt.NDArray[np.uint8]:
        """Return the codes, uint8 (1|3, H, W), that a decoder shows for a trial."""
        return pixels.decode_planes(self.image(trial), threads=self.threads)


def _rounded(coefficients: Coefficients, qtable: npt.NDArray[np.uint16]) -> Levels:
    """Return levels of some rows of blocks, about as the trellis will make them."""
    every = -(-coefficients.shape[0] * coefficients.shape[1] // _FIRST_BLOCKS)
    scaled = coefficients[every // 2 :: every] / qtable.astype(np.float32)
    # A dead zone of 0.6 is about what the trellis makes, so that the first prices are near.
    return np.where(np.abs(scaled) < np.float32(0.6), 0, np.rint(scaled)).astype(np.int16)
