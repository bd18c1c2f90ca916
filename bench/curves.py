"""Rate-distortion curves, and the comparison of encoders at equal quality.

For each picture and metric, points of quality and log bytes are sorted, made monotone (running maximum of
log bytes) and joined by PCHIP. The base line is the pointwise minimum of the peers' curves. The
difference of log bytes from the base line is averaged over 48 equidistant scores in the range that both the
encoder's curve and the base line cover, then over pictures.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

BEST_OF_FOUR = ("jpegli444", "jpegli420", "moz444", "moz420")

#: Metrics by column, and whether a larger score is better.
METRICS = {
    "ssimulacra2": True,
    "butteraugli_3norm": False,
    "butteraugli_max": False,
    "cvvdp": True,
    "iw_ssim_db": True,
    "ms_ssim_y_db": True,
    "haarpsi_db": True,
    "psnr_hvs_m": True,
    "psnr": True,
    "ms_ssim_db": True,
}

#: Ranges of scores over which curves are compared: name -> (metric, low, high).
RANGES = {
    "SSIMULACRA 2, 50-92": ("ssimulacra2", 50.0, 92.0),
    "SSIMULACRA 2, 50-70": ("ssimulacra2", 50.0, 70.0),
    "SSIMULACRA 2, 70-85": ("ssimulacra2", 70.0, 85.0),
    "SSIMULACRA 2, 85-92": ("ssimulacra2", 85.0, 92.0),
    "Butteraugli 3-norm, 0.35-2.0": ("butteraugli_3norm", 0.35, 2.0),
    "Butteraugli max": ("butteraugli_max", 0.5, 12.0),
    "CVVDP": ("cvvdp", 8.0, 10.0),
    "IW-SSIM": ("iw_ssim_db", 5.0, 50.0),
    "MS-SSIM, luma": ("ms_ssim_y_db", 5.0, 40.0),
    "HaarPSI": ("haarpsi_db", 3.0, 40.0),
    "PSNR-HVS-M": ("psnr_hvs_m", 20.0, 70.0),
    "PSNR": ("psnr", 20.0, 60.0),
    "MS-SSIM": ("ms_ssim_db", 5.0, 40.0),
}

Points = list[dict[str, float]]


def read_points(path: Path) -> dict[str, dict[str, Points]]:
    """Read a table of points: image -> kind -> rows with bytes and scores."""
    result: dict[str, dict[str, Points]] = defaultdict(lambda: defaultdict(list))
    with path.open() as file:
        for row in csv.DictReader(file):
            values = {key: float(row[key]) for key in ("setting", "bytes", *METRICS) if row.get(key)}
            result[row["image"]][row["kind"]].append(values)
    return result


class Curve:
    """Log bytes as a monotone function of quality."""

    def __init__(self, points: Points, metric: str) -> None:
        sign = 1.0 if METRICS[metric] else -1.0
        pairs = sorted({(sign * p[metric], np.log(p["bytes"])) for p in points})
        quality = np.array([q for q, _ in pairs])
        rate = np.maximum.accumulate(np.array([r for _, r in pairs]))
        keep = np.concatenate([[True], np.diff(quality) > 1e-9])
        self.sign = sign
        self.quality, self.rate = quality[keep], rate[keep]
        self.function = PchipInterpolator(self.quality, self.rate) if len(self.quality) > 1 else None

    @property
    def low(self) -> float:
        return float(self.quality[0])

    @property
    def high(self) -> float:
        return float(self.quality[-1])


def difference(
    points: Points, peers: Iterable[Points], metric: str, low: float, high: float, samples: int = 48
) -> float | None:
    """Return the mean of an encoder's log bytes less the fewest log bytes of its peers at the same score.

    The mean is over ``samples`` equidistant scores between ``low`` and ``high`` that the encoder and a peer
    reach. None: there are no such scores, or too few points.
    """
    ours = Curve(points, metric)
    others = [c for c in (Curve(p, metric) for p in peers if len(p) > 1) if c.function is not None]
    if ours.function is None or not others:
        return None
    start, stop = sorted((ours.sign * low, ours.sign * high))
    start = max(start, ours.low, min(c.low for c in others))
    stop = min(stop, ours.high, max(c.high for c in others))
    if stop - start < 1e-6:
        return None
    at = np.linspace(start, stop, samples)
    envelope = np.full(samples, np.inf)
    for curve in others:
        assert curve.function is not None
        inside = (at >= curve.low) & (at <= curve.high)
        envelope[inside] = np.minimum(envelope[inside], curve.function(at[inside]))
    valid = np.isfinite(envelope)
    if not valid.any():
        return None
    return float(np.mean(ours.function(at[valid]) - envelope[valid]))


def per_cent(log_difference: float) -> float:
    """Return a log difference as a change in per cent."""
    return 100.0 * (float(np.exp(log_difference)) - 1.0)
