"""Plots of results as SVG and PNG. Equal results give equal files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bench import curves
from bench.kinds import OURS, title

#: Colours by kind of encoder; kinds that are not listed are gray. guetzpy's colours are the strongest.
COLOURS = {
    "guetzpy": "#b3261e",
    "guetzpy-fast": "#e08a83",
    "guetzpy-max": "#6d0f0a",
    "jpegli444": "#1f77b4",
    "jpegli420": "#7fb2dc",
    "moz444": "#2c7a3f",
    "moz420": "#86c79a",
    "turbo444": "#8a8a8a",
    "turbo420": "#bdbdbd",
    "webp": "#e6a100",
    "avif": "#7b4fb3",
    "jxl": "#00838f",
    "hevc": "#a0522d",
    "guetzli": "#000000",
}

_PANELS = {
    "SSIMULACRA 2, 50-92": "SSIMULACRA 2",
    "Butteraugli 3-norm, 0.35-2.0": "Butteraugli 3-norm (smaller is better)",
    "Butteraugli max": "Butteraugli max (smaller is better)",
    "CVVDP": "CVVDP, JOD",
    "IW-SSIM": "IW-SSIM, dB",
    "MS-SSIM, luma": "MS-SSIM of luma, dB",
    "HaarPSI": "HaarPSI, dB",
    "MS-SSIM": "MS-SSIM of RGB, dB",
    "PSNR-HVS-M": "PSNR-HVS-M, dB",
    "PSNR": "PSNR, dB",
}


def _figure(rows: int, columns: int, size: tuple[float, float]) -> Any:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "guetzpy"
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=110, metadata={"Software": None})
    plt.close(figure)


def plot_rate_distortion(
    table: dict[str, dict[str, curves.Points]],
    summary: dict[str, dict[str, Any]],
    baseline: Iterable[str],
    path: Path,
) -> list[Path]:
    """Draw bytes relative to the base line over the score, and guetzpy's by picture; return the paths."""
    shown = [name for name in _PANELS if any(name in f for f in summary.values())]
    if not shown:
        return []
    rows = (len(shown) + 2) // 3
    figure, axes = _figure(rows, 3, (15, 4.2 * rows))
    for axis, name in zip(axes.flat, shown, strict=False):
        for kind in summary:
            at, relative = relative_curve(table, kind, tuple(baseline), name)
            if len(at):
                wide = 2.4 if kind in OURS else 1.2
                axis.plot(at, relative, color=COLOURS.get(kind, "#999999"), linewidth=wide, label=title(kind))
        axis.axhline(0, color="black", linewidth=0.8, linestyle=":")
        axis.set_xlabel(_PANELS[name])
        axis.set_ylabel("bytes against the best of " + str(len(tuple(baseline))) + ", %")
        axis.set_ylim(-40, 40)
        axis.grid(alpha=0.25)
        if not curves.METRICS[curves.RANGES[name][0]]:
            axis.invert_xaxis()
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(6, max(1, len(labels))), frameon=False
    )
    curves_path = path.with_name(path.name + "-curves.svg")
    _save(figure, curves_path)
    return [curves_path, *_plot_pictures(summary, path)]


def relative_curve(
    table: dict[str, dict[str, curves.Points]],
    kind: str,
    baseline: tuple[str, ...],
    name: str,
    samples: int = 40,
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and, for each score, the bytes of one kind of encoder against the best of ``baseline``.

    The bytes are the geometric mean of the ratio over the pictures, less 1, in %. Scores that less than half
    of the pictures cover are left out.
    """
    metric, low, high = curves.RANGES[name]
    sign = 1.0 if curves.METRICS[metric] else -1.0
    values = [p[metric] for kinds in table.values() for p in kinds.get(kind, []) if metric in p]
    if not values:
        return np.empty(0), np.empty(0)
    at = np.linspace(max(low, min(values)), min(high, max(values)), samples)
    logs = np.full((len(table), samples), np.nan)
    for row, kinds in enumerate(table.values()):
        own = [p for p in kinds.get(kind, []) if metric in p]
        others = [[p for p in kinds.get(k, []) if metric in p] for k in baseline]
        pairs = [curves.Curve(p, metric) for p in (own, *others) if len(p) > 1]
        if len(own) < 2 or len(pairs) < 2:
            continue
        sampled = [_sampled(curve, sign * at) for curve in pairs]
        peers = np.stack(sampled[1:])
        best = np.where(np.isnan(peers), np.inf, peers).min(axis=0)
        logs[row] = np.where(np.isfinite(best), sampled[0] - best, np.nan)
    count = np.isfinite(logs).sum(axis=0)
    keep = (count > 0) & (2 * count >= (np.isfinite(logs).any(axis=1)).sum())
    mean = np.nansum(logs[:, keep], axis=0) / count[keep]
    return at[keep], 100 * np.expm1(mean)


def _sampled(curve: curves.Curve, quality: np.ndarray) -> np.ndarray:
    out = np.full(len(quality), np.nan)
    if curve.function is not None:
        inside = (quality >= curve.low) & (quality <= curve.high)
        out[inside] = curve.function(quality[inside])
    return out


def _plot_pictures(summary: dict[str, dict[str, Any]], path: Path) -> list[Path]:
    """Draw guetzpy's bytes of every picture at equal score, by the two metrics that define distance."""
    ours = summary.get("guetzpy", {})
    shown = [n for n in ("SSIMULACRA 2, 50-92", "Butteraugli 3-norm, 0.35-2.0") if n in ours]
    if not shown:
        return []
    figure, axes = _figure(1, len(shown), (6.5 * len(shown), 1.5 + 0.2 * len(ours[shown[0]]["pictures"])))
    for axis, name in zip(axes.flat, shown, strict=True):
        pairs = sorted(ours[name]["pictures"].items(), key=lambda pair: -pair[1])
        axis.barh([p for p, _ in pairs], [v for _, v in pairs], color=COLOURS["guetzpy"])
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_xlabel(f"bytes at equal {name}, against the base line, %")
        axis.tick_params(axis="y", labelsize=7)
        axis.grid(axis="x", alpha=0.25)
    pictures_path = path.with_name(path.name + "-pictures.svg")
    _save(figure, pictures_path)
    return [pictures_path]


def plot_time_against_size(speed: dict[str, Any], summary: dict[str, Any], name: str, path: Path) -> Path:
    """Draw seconds per megapixel and bytes at equal quality, one point for each encoder.

    Parameters
    ----------
    speed : dict
        ``encoders`` of the part ``encode`` of the speed results: kind -> row with seconds_per_mp.
    summary : dict
        Summary of the rate-distortion results: kind -> range -> mean, per cent.
    name : str
        Range of scores that is drawn, of curves.RANGES.
    path : Path
        Path of the files without suffix.
    """
    figure, axes = _figure(1, 1, (7.0, 4.6))
    panel = axes[0][0]
    for kind, row in speed.items():
        seconds, bytes_ = row.get("seconds_per_mp"), summary.get(kind, {}).get(name, {}).get("mean")
        if seconds is None or bytes_ is None:
            continue
        strong = kind.startswith("guetzpy")
        panel.plot(seconds, bytes_, "o", color=COLOURS.get(kind, "#999999"), markersize=9 if strong else 6)
        panel.annotate(title(kind), (seconds, bytes_), xytext=(6, 4), textcoords="offset points", fontsize=8)
    panel.axhline(0.0, color="black", linewidth=0.8, linestyle=":")
    panel.set_xscale("log")
    panel.set_xlabel("seconds a megapixel")
    panel.margins(x=0.16, y=0.08)
    panel.set_ylabel(f"bytes against the best of 4, %\nat equal {name}")
    panel.grid(True, which="both", linewidth=0.3)
    target = path.with_name(path.name + "-time-size.svg")
    _save(figure, target)
    return target
