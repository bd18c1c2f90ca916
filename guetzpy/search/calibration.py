"""Fitted constants of the search, with the pictures on which they were fitted.

Parameters of tables, Lagrange multipliers and compensation are in models, which ``guetzpy train`` fits.
``python -m bench constants`` encodes pictures with a smaller and a larger value of each constant of this
module. It shows whether another value is better, and whether the constant matters.

The excess of a file by a metric is the logarithm of the ratio of its distance, by this metric, to the
requested distance.
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

#: Decrease of the log bytes per unit of log distance.
BYTES_BY_DISTANCE = 0.65
#: Bits per pixel at distance 1; a search for a size starts from it.
BITS_AT_DISTANCE_1 = 1.3

# Landing: 26 training pictures of 0.26 megapixels at six distances from 0.5 to 4.

#: Increase of the largest excess per unit of the tables' log distance.
SLOPE_OF_TABLES = 1.25
#: Increase of the excess per unit of the log Lagrange multiplier.
SLOPE_OF_LAMBDA = 0.135
#: If the excess is at most this far below 0, the Lagrange multiplier is changed instead of the tables.
NEAR = 0.07
#: Excess at which a change of the Lagrange multiplier aims.
AIM_OF_LAMBDA = -0.008
#: For pictures whose evaluations are expensive: the smallest log Lagrange multiplier, and the largest excess
#: that a smaller multiplier may correct.
LOWEST_LOG_LAMBDA, CORRECTED = -0.4, 0.01
#: Excess at which the first change of the tables aims.
AIM_OF_TABLES = -0.012
#: If a metric's expected excess exceeds all others by more than this, that metric is evaluated first, alone.
BINDS = 0.04

# Sample tiles: photographs of 0.8 to 12 megapixels.

#: Tolerance, as an excess, of searches on tiles.
TILE_TOLERANCE = 0.012
#: Tolerance, as an excess, of the first two evaluations of a whole picture, if tiles are evaluated between
#: them. Every further evaluation adds the same amount to the tolerance.
SCOUTED_TOLERANCE = 0.0165
#: Ratio of the change of the whole picture's excess to that of the tiles' excess: its first values for
#: changes to better and to worse scores, and the range to which measured ratios are limited.
FOLLOWS_BETTER, FOLLOWS_WORSE = 0.87, 1.1
FOLLOWS_RANGE = (0.3, 1.2)
#: The ratio is measured only at an expected change of the whole picture's excess above this.
TELLING_CHANGE = 0.004

# The closed loop: 43 photographs at distances 0.5 to 4.

#: GAIN_OF_WEIGHTS: decrease of the excess that is expected of new weights. RESERVE: amount by which both
#: loops reduce the log distance of the first evaluation if neither tiles nor a model predict its excess.
#: After several rounds of weights it is not reduced.
GAIN_OF_WEIGHTS, RESERVE = 0.01, 0.05
#: Largest factor between the mean and the weight of a block, a frequency or a component. A range of 4 for
#: blocks saves nothing by the metrics with limits, and costs 1 % by HaarPSI and PSNR. (This and the following
#: constants: 10 to 16 training pictures.)
LARGEST_WEIGHT = 2.0
#: The weight of a block is divided by a power of the ratio of its contrast to the mean contrast. This is the
#: exponent, in 64ths. It saves 0.3 % by SSIMULACRA 2 and MS-SSIM and 0.15 % by the 3-norm, and costs 0.4 % by
#: PSNR.
CALM_POWER = 10
#: A step is divided by a power of the weight of its frequency. This is the exponent, in 64ths. It saves 0.3 %
#: by SSIMULACRA 2, 0.3 to 0.4 % by the 3-norm, IW-SSIM and HaarPSI, 1 % by CVVDP, and costs 0.2 % by PSNR. A
#: power of 32 saves nothing by SSIMULACRA 2 and costs 0.7 % by the 3-norm.
STEP_POWER = 16
#: Factor on the weights of chroma. It saves about 0.4 % by HaarPSI and PSNR, and costs as much by the
#: 3-norm and IW-SSIM.
CHROMA_WEIGHT = 1.4
#: The weights of a very large picture are made from tiles. The excess on these tiles is too small by this
#: amount.
WEIGHT_TILES_DEFICIT = 0.08

# The open loop: 19 pictures of 0.8 to 2.8 megapixels at seven distances, tiles of 64 to 128 pixels.

#: Three margins, as an excess. OPEN_MARGIN: of the first evaluation, predicted from tiles (in half of the
#: cases their excess is within 0.05 of the picture's). OPEN_MARGIN_AFTER: of the second evaluation.
#: OPEN_ENOUGH: the largest margin of a first evaluation after which there is no second one.
OPEN_MARGIN, OPEN_MARGIN_AFTER, OPEN_ENOUGH = 0.07, 0.04, 0.25

# With a model that predicts the first excess. The two margins are in standard deviations of the prediction.

#: Margin of the first evaluation of the open loop, which nine of ten files then pass.
OPEN_SPREADS = 0.9
#: Margin of the first evaluation of the closed loop.
FIRST_SPREADS = 0.4
#: The closed loop then ends with a file whose excess is at most this far below 0. A margin of 0.02 would save
#: a third of an evaluation, and take 1 % more bytes at a requested distance (9 photographs at three
#: distances).
ENOUGH = 0.015

# Choice of the sampling.

#: Log bytes that weights save under 4:2:0, less those that they save under 4:4:4. The median is 0.035 (14
#: training pictures at distances 0.5 to 5, if the predicted log bytes without weights differ by less than
#: 0.08). With values from 0.04 to 0.08, total bytes are least, by every metric and at equal distance.
GAIN_OF_WEIGHTS_420 = 0.05
#: The highest effort also searches a second candidate if its predicted log bytes are at most this much
#: larger.
CLOSE_CANDIDATE = 0.03

#: Ratio of the largest local error that is allowed to the metric's limit (12 photographs at distances 0.35
#: to 8).
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
        Numbers a, b, c, d. The excess on tiles of ``side`` pixels is too small by
        a + b / side + (c + d / side) max(-log distance, 0).
        The seams between tiles hide errors, more of them at coarse scales and at fine distances.
    weight_tiles_deficit : float
        Amount by which the excess on the tiles for weights is too small, besides WEIGHT_TILES_DEFICIT.
    guide_share : int
        Share of a metric without limits, in 64ths; the others' shares make up the rest.
    """

    follow: float = 1.3
    tile_deficit: tuple[float, float, float, float] = (0.037, 5.0, 0.0, 0.0)
    weight_tiles_deficit: float = 0.0
    guide_share: int = 4


_STEERING = {
    "butteraugli": MetricSteering(
        follow=1.2,
        tile_deficit=(0.037, 5.0, 0.0, 0.0),
    ),
    "ssimulacra2": MetricSteering(
        follow=1.4,
        tile_deficit=(0.08, 17.3, 0.04, 17.5),
        weight_tiles_deficit=0.15,
    ),
    # Of the shares 8, 12, 16 and 24, 12 was the largest that costs no bytes by the other metrics (7 training
    # pictures). A share of 17 saves 0.8 % more by CVVDP and costs 0.1 % by SSIMULACRA 2 (43 photographs).
    "cvvdp": MetricSteering(guide_share=17),
}

_UNFITTED = MetricSteering()


def steering(name: str) -> MetricSteering:
    """Return the fitted numbers of a metric; a metric that was not fitted gets moderate defaults."""
    return _STEERING.get(name, _UNFITTED)
