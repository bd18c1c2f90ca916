"""Numbers of the search that were fitted, with what they were fitted on.

``bench/fit_search.py`` measures them again and prints what it finds beside what stands here. Excess means the
logarithm of the distance that a file has over the distance that was asked for, by one metric.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BITS_AT_DISTANCE_1",
    "BYTES_BY_DISTANCE",
    "MetricSteering",
    "steering",
]

# Rate against distance: photographs between distances 0.5 and 3.

#: Fall of log bytes with the log distance.
BYTES_BY_DISTANCE = 0.65
#: Bits a pixel at distance 1, from which a search for a size starts.
BITS_AT_DISTANCE_1 = 1.3

# Landing: medians of 43 photographs between distances 0.5 and 4.

#: Slope of the binding excess by the log distance: to coarser tables, and to finer tables below and above a
#: log distance of 0.4. It is smaller below, where SSIMULACRA 2 binds.
SLOPE_COARSER, SLOPE_FINER_LOW, SLOPE_FINER = 1.1, 0.65, 1.0
SLOPE_CHANGES_AT = 0.4
#: Slope of the excess by the log Lagrange multiplier at distance 1, and the power of the distance that it
#: grows with up to a log distance of 1.5.
SLOPE_OF_LAMBDA, GROWTH_OF_LAMBDA, GROWTH_ENDS_AT = 0.155, 0.6, 1.5
#: Excess below 0 from which on the Lagrange multiplier is moved instead of the tables.
NEAR = 0.07
#: Excess that moving the Lagrange multiplier aims at.
AIM_OF_LAMBDA = -0.008
#: Where evaluations are expensive: smallest log Lagrange multiplier, and the excess that it may correct.
LOWEST_LOG_LAMBDA, CORRECTED = -0.4, 0.01
#: Aim of the first approach by the tables, and gap between a distance that passes and one that fails from
#: which on the distance is bisected first by a patient search.
AIM_OF_TABLES, WIDE_GAP = -0.02, 0.03
#: How much more one metric must exceed its limit than the others for it to be evaluated first, alone.
BINDS = 0.04

# Sample tiles: photographs of 0.8 to 12 megapixels.

#: Tolerance of searches on tiles.
TILE_TOLERANCE = 0.012
#: Tolerance of the whole picture where tiles are evaluated in between: of the first two evaluations, and that
#: much more for every further one.
SCOUTED_TOLERANCE = 0.0165
#: Share of a change on tiles that the whole picture follows with: to better and to worse scores; its range.
FOLLOWS_BETTER, FOLLOWS_WORSE = 0.87, 1.1
FOLLOWS_RANGE = (0.3, 1.2)
#: Smallest change on tiles that tells the share.
TELLING_CHANGE = 0.004

# The closed loop: 43 photographs at distances 0.5 to 4.

#: Gain that new weights are expected to bring, and margin left after weights that were made once.
GAIN_OF_WEIGHTS, RESERVE = 0.01, 0.05
#: Log bytes by which an earlier round must be better than the last to be taken.
CLEARLY_BETTER = 0.006
#: Largest factor between the mean and the weight of a block, and of a frequency or a component. Blocks within
#: a range of 4 gain nothing by the limits' metrics, and lose 1 % by HaarPSI and PSNR. (This and what follows:
#: 10 training pictures.)
BLOCK_RANGE, BAND_RANGE = 2.0, 2.0
#: Power of the weights by frequency, in 64ths. It costs nothing, and gains 0.4 % by HaarPSI.
BAND_POWER = 45
#: Power, in 64ths, with which the weight of a block falls with the contrast in it, beyond what the gradients
#: say: 0.3 % by SSIMULACRA 2 and MS-SSIM, 0.15 % by the 3-norm; PSNR loses 0.4 %.
CALM_POWER = 10
#: Factor on the weights of chroma. HaarPSI and PSNR gain about 0.4 % by it; the 3-norm and IW-SSIM lose as
#: much.
CHROMA_WEIGHT = 1.4
#: Excess that the tiles for the weights of a very large picture understate.
WEIGHT_TILES_DEFICIT = 0.08

# The open loop: 19 pictures of 0.8 to 2.8 megapixels at seven distances, tiles of 64 to 128 pixels.

#: Margin if only tiles were evaluated (their excess is within 0.05 of the picture's in half of the cases);
#: margin after an evaluation that missed the limits; largest margin for which the search does not evaluate
#: again.
OPEN_MARGIN, OPEN_MARGIN_AFTER, OPEN_ENOUGH = 0.07, 0.04, 0.25
#: Log distance taken off the start where there are no tiles.
OPEN_WITHOUT_TILES = 0.02

# Choice of the sampling.

#: Log bytes that weights save more under 4:2:0 than under 4:4:4: the median is 0.035 (14 training pictures at
#: distances 0.5 to 5, where the predictions without weights are closer than 0.08). Total bytes are least from
#: 0.04 to 0.08, by every metric and at equal distance.
GAIN_OF_WEIGHTS_420 = 0.05
#: Log bytes that a second candidate may cost more by prediction and still be searched by the highest effort.
CLOSE_CANDIDATE = 0.03

#: Largest local error that is allowed, over the metric's limit (12 photographs at distances 0.35 to 8).
WORST_OVER_LIMIT = 2.2

#: Largest tolerance, as a log distance: 0.016 at distance 1 by both metrics.
WIDEST_TOLERANCE = 0.02


@dataclass(frozen=True)
class MetricSteering:
    """How one metric takes part in the search.

    Attributes
    ----------
    follow : float
        Slope of its excess by the log distance, in the open loop.
    tile_deficit : tuple of float
        Excess that tiles of ``side`` pixels understate: a + b / side + (c + d / side) max(-log distance, 0).
        The seams between tiles hide errors, more of them at coarse scales and at fine distances.
    weight_tiles_deficit : float
        The same for the tiles of weights, beyond what all metrics have.
    shares : tuple of int
        Shares of the metric in the weights, in 64ths of the logarithm, where its excess trails the largest of
        the others', is level with it, and leads it.
    level : tuple of float
        Excess over the largest of the others' between which it counts as level.
    patient_shares, patient_level : tuple
        The same for searches of several rounds, in which SSIMULACRA 2 gains more than Butteraugli does.
    fixed_share : int
        Share where no limits are known.
    guide_share : int
        Share of a metric without limits, in 64ths; the others' shares make up the rest.
    """

    follow: float = 1.3
    tile_deficit: tuple[float, float, float, float] = (0.037, 5.0, 0.0, 0.0)
    weight_tiles_deficit: float = 0.0
    shares: tuple[int, int, int] = (8, 12, 16)
    level: tuple[float, float] = (-0.05, 0.05)
    patient_shares: tuple[int, int, int] = (8, 12, 16)
    patient_level: tuple[float, float] = (-0.05, 0.05)
    fixed_share: int = 8
    guide_share: int = 4


_STEERING = {
    "butteraugli": MetricSteering(
        follow=1.2,
        tile_deficit=(0.037, 5.0, 0.0, 0.0),
        shares=(24, 32, 40),
        level=(-0.05, 0.05),
        patient_shares=(24, 32, 40),
        patient_level=(-0.2, -0.1),
        fixed_share=16,
    ),
    "ssimulacra2": MetricSteering(
        follow=1.4,
        tile_deficit=(0.08, 17.3, 0.04, 17.5),
        weight_tiles_deficit=0.15,
        shares=(32, 40, 48),
        level=(-0.05, 0.05),
        patient_shares=(24, 32, 40),
        patient_level=(0.1, 0.2),
        fixed_share=48,
    ),
    # Of 8, 12, 16 and 24 the largest that costs nothing by the other metrics (7 training pictures).
    "cvvdp": MetricSteering(guide_share=12),
}

_UNFITTED = MetricSteering()


def steering(name: str) -> MetricSteering:
    """Return the fitted numbers of a metric; those of a metric that was not fitted are moderate guesses."""
    return _STEERING.get(name, _UNFITTED)
