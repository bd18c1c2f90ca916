"""JPEG AIC-4's sample: correlations of metrics with visible distortion, and the scores at given JND.

The sample has 300 pictures: 5 originals, 6 codecs, 10 levels. Distortions are in just noticeable differences
(JND), from comparisons of boosted triplets (jpeg-aic/JPEG-AIC-4-datasets). The scores are those of the study;
this module computes none.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import curve_fit
from scipy.stats import pearsonr, spearmanr

Rows = list[dict[str, Any]]
Doubles = npt.NDArray[np.float64]

#: Columns of the study's table; larger values are better in all of them.
METRICS = (
    "CVVDP", "IW-SSIM", "MS-SSIM", "HDR-VDP-3 Q", "HDR-VDP-2 Q", "VMAF-neg", "SSIMULACRA2", "SSIM", "PSNR-Y",
)  # fmt: skip
_JPEG_1 = 2  # number of the JPEG codec in the study
JNDS = (0.25, 0.5, 1.0)


def read(path: Path) -> Rows:
    """Read the study's scores."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    missing = {"img_num", "codec", "distortion", *METRICS} - set(rows[0] if rows else ())
    if missing:
        raise ValueError(f"{path}: no column {', '.join(sorted(missing))}")
    return [
        {"source": int(r["img_num"]), "codec": int(r["codec"]), "jnd": float(r["distortion"])}
        | {m: float(r[m]) for m in METRICS}
        for r in rows
    ]


def logistic(x: Doubles, top: float, bottom: float, middle: float, width: float) -> Doubles:
    """Return the four-parameter logistic of ITU-T P.1401 and VQEG, a monotone function."""
    out: Doubles = bottom + (top - bottom) / (1 + np.exp(-(x - middle) / np.abs(width)))
    return out


def correlations(rows: Rows, metric: str) -> dict[str, float]:
    """Return rank correlation, and linear correlation and error after a monotone fit to JND."""
    jnd = np.array([r["jnd"] for r in rows])
    score = np.array([r[metric] for r in rows])
    # SSIM and similar metrics are dense near their largest value, where a logistic does not fit. So the fit
    # is tried on the logarithm of the difference from the largest value too.
    below = score.max() - score + 0.01 * np.ptp(score)
    best = None
    for x in (score, -np.log(below)):
        x = (x - x.mean()) / x.std()
        try:
            start = (jnd.min(), jnd.max(), 0.0, 1.0)
            fitted = logistic(x, *curve_fit(logistic, x, jnd, start, maxfev=20000)[0])
        except RuntimeError:  # the fit does not converge on this scale
            continue
        error = float(np.sqrt(np.mean((fitted - jnd) ** 2)))
        if best is None or error < best[1]:
            best = float(pearsonr(fitted, jnd)[0]), error
    if best is None:
        raise ValueError(f"{metric}: no logistic fits its scores")
    return {
        "srocc": round(-float(spearmanr(score, jnd)[0]), 4),
        "plcc": round(best[0], 4),
        "rmse": round(best[1], 4),
    }


def summary(rows: Rows) -> dict[str, Any]:
    """Return correlations of each metric with JND, and the scores for some JND of JPEG files."""
    jpeg = [r for r in rows if r["codec"] == _JPEG_1]
    groups = {"all": rows, "jpeg_1": jpeg}
    return {
        "pictures": {name: len(group) for name, group in groups.items()},
        "correlations": {m: {n: correlations(g, m) for n, g in groups.items()} for m in METRICS},
        "scale": scale(jpeg),
    }


def scale(rows: Rows) -> list[dict[str, Any]]:
    """Return the scores that correspond to some JND: mean and standard deviation over originals.

    The study has neither guetzpy's distance nor Butteraugli. The distance returned is the one whose limit of
    SSIMULACRA 2 is the mean score. The 3-norm returned is Butteraugli's limit at that distance.
    """
    from guetzpy.metrics.distance import BUTTERAUGLI, SSIMULACRA2

    by_source: dict[int, Rows] = defaultdict(list)
    for row in rows:
        by_source[row["source"]].append(row)
    found = []
    for jnd in JNDS:
        entry: dict[str, Any] = {"jnd": jnd}
        for metric in ("SSIMULACRA2", "CVVDP", "IW-SSIM"):
            values = [at_jnd(group, metric, jnd) for group in by_source.values()]
            known = [v for v in values if v is not None]
            if known:  # no score is known if the best file of an original has more JND
                spread = float(np.std(known, ddof=1)) if len(known) > 1 else 0.0
                entry[metric] = {
                    "mean": round(float(np.mean(known)), 4),
                    "sd": round(spread, 4),
                    "originals": len(known),
                }
        if "SSIMULACRA2" in entry:
            entry["distance"] = round(math.exp(SSIMULACRA2.log_distance(entry["SSIMULACRA2"]["mean"])), 2)
            entry["butteraugli_3norm"] = round(BUTTERAUGLI.limit_at(entry["distance"]), 3)
        found.append(entry)
    return found


def at_jnd(rows: Rows, metric: str, jnd: float) -> float | None:
    """Return the score of one original at a JND, interpolated; None if its levels do not reach the JND."""
    pairs = sorted((r["jnd"], r[metric]) for r in rows)
    if not pairs[0][0] <= jnd <= pairs[-1][0]:
        return None
    return float(np.interp(jnd, [p[0] for p in pairs], [p[1] for p in pairs]))


def correlation_table(found: dict[str, Any]) -> Iterator[str]:
    """Yield the table of correlations."""
    yield "| metric | SROCC, all | PLCC | RMSE, JND | SROCC, JPEG-1 | PLCC |"
    yield "|---|---|---|---|---|---|"
    for metric, groups in sorted(found["correlations"].items(), key=lambda item: -item[1]["jpeg_1"]["srocc"]):
        a, j = groups["all"], groups["jpeg_1"]
        yield (
            f"| {metric} | {a['srocc']:.3f} | {a['plcc']:.3f} | {a['rmse']:.2f} | {j['srocc']:.3f} |"
            f" {j['plcc']:.3f} |"
        )


def scale_table(found: dict[str, Any]) -> Iterator[str]:
    """Yield the table of scores at some JND."""
    yield "| JND | SSIMULACRA 2 | CVVDP | IW-SSIM | guetzpy's distance | Butteraugli 3-norm | originals |"
    yield "|---|---|---|---|---|---|---|"
    for entry in found["scale"]:
        cells = [
            f"{entry[m]['mean']:.{digits}f} ± {entry[m]['sd']:.{digits}f}" if m in entry else ""
            for m, digits in (("SSIMULACRA2", 1), ("CVVDP", 2), ("IW-SSIM", 4))
        ]
        for name, digits in (("distance", 1), ("butteraugli_3norm", 2)):
            cells.append(f"{entry[name]:.{digits}f}" if name in entry else "")
        originals = entry["CVVDP"]["originals"] if "CVVDP" in entry else 0
        yield f"| {entry['jnd']:g} | {' | '.join(cells)} | {originals} |"
