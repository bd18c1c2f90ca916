"""The CLIC challenge's protocol on any folder: quality of a set at a total budget of bits per pixel.

    python -m bench clic --images DIR [--bpp 0.15,0.3,0.5,1.0]

Each encoder gets one setting for the whole set, the best at which its files together fit the budget. If
settings are whole numbers, single pictures then get the next better setting, in the order of their names,
while the files together fit. guetzpy's settings are found as for its folders: one distance for all files, or
distances of least total distortion ("equal slope"); if distance 25 is not coarse enough, a size for each
file. PSNR is computed from the squared error of all samples. MS-SSIM (RGB) is weighted by pixels, as in the
challenge's own script. SSIMULACRA 2 and Butteraugli's 3-norm are means over pictures.

Rows "half size" are the baseline of the challenge's super-resolution entries: the picture is scaled to half
its size by Lanczos, coded as JPEG, and scaled up again by Lanczos after decoding.

The challenge's sets: https://clic2025.compression.cc/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from bench import corpus
from bench.journal import Journal, add_argument, journal
from bench.provenance import RESULTS, provenance, write
from bench.quality import psnr
from bench.sets.contestants import Contestant, Files, Setting, contestants
from guetzpy import TargetError
from guetzpy.batch.budget import COARSEST, Aim, Budget

BUDGETS = (0.15, 0.3, 0.5, 1.0)


def fit(sizes: Callable[[float], int], budget: int, scale: tuple[float, float], whole: bool) -> float | None:
    """Return the best setting at which a set fits into a budget, or None.

    Parameters
    ----------
    sizes : callable
        Returns the bytes of the whole set at a setting.
    budget : int
        Budget in bytes.
    scale : tuple of float
        Worst and best setting. Whole numbers are bisected evenly, others (distances) on a log scale.
    whole : bool
        Whether settings are whole numbers.
    """
    worst, best = scale
    if sizes(worst) > budget:
        return None
    if sizes(best) <= budget:
        return best
    if whole:
        low, high = int(worst), int(best)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if sizes(middle) <= budget else (low, middle)
        return float(low)
    fits = worst
    low_log, high_log = np.log(worst), np.log(best)
    for _ in range(12):
        setting = float(np.exp((low_log + high_log) / 2))
        total = sizes(setting)
        if total <= budget:
            fits, low_log = setting, np.log(setting)
            if total >= 0.997 * budget:
                break
        else:
            high_log = np.log(setting)
    return float(fits)


def settings_of(files: Files, budget: int) -> list[Setting] | None:
    """Return the setting of every picture, or None if the set does not fit the budget."""
    contestant = files.contestant
    if contestant.way in ("common", "spread"):
        return _budgeted(files, budget, contestant.way == "spread")
    found = fit(files.total, budget, contestant.scale, contestant.way == "whole")
    if found is None:
        return None
    settings: list[Setting] = [found] * len(files.pictures)
    if contestant.way == "whole" and found != contestant.scale[1]:
        now, above = (files.encoded([value] * len(settings)) for value in (found, found + 1))
        left = budget - sum(one.size or 0 for one in now)
        for number, (one, other) in enumerate(zip(now, above, strict=True)):
            more = (other.size or 0) - (one.size or 0)
            if more <= left:
                settings[number] = found + 1
                left -= more
    return settings


def _budgeted(files: Files, limit: int, spread: bool) -> list[Setting] | None:
    """Return the settings that guetzpy's own search for a total finds."""
    search = Budget(limit, files.areas, equal_slope=spread)
    try:
        while (aims := search.propose()) is not None:
            search.record(aims, files.encoded(aims))
    except TargetError:
        pass
    return None if search.best is None else list(search.best.aims)


def evaluate(files: Files, settings: Sequence[Setting]) -> dict[str, Any]:
    """Return bits per pixel and quality over the set."""
    scores = files.scored(settings)
    pixels = sum(files.areas)
    samples = [picture.size for picture in files.pictures]
    error = sum(s["squared_error"] * n for s, n in zip(scores, samples, strict=True)) / sum(samples)
    similar = [(s["ms_ssim"], a) for s, a in zip(scores, files.areas, strict=True) if "ms_ssim" in s]
    counted = sum(area for _, area in similar)
    values = [setting.distance if isinstance(setting, Aim) else setting for setting in settings]
    return {
        "encoder": files.contestant.title,
        "bpp": round(8 * sum(s["bytes"] for s in scores) / pixels, 4),
        "psnr": round(psnr(error), 3),
        "ms_ssim": round(sum(s * area for s, area in similar) / counted, 5) if counted else None,
        "ssimulacra2": round(fmean(s["ssimulacra2"] for s in scores), 2),
        "ssimulacra2_worst": round(min(s["ssimulacra2"] for s in scores), 2),
        "butteraugli_3norm": round(fmean(s["butteraugli_3norm"] for s in scores), 3),
        "butteraugli_3norm_worst": round(max(s["butteraugli_3norm"] for s in scores), 3),
        "setting": [round(min(values), 4), round(max(values), 4)],
    }


def compete(
    named: list[corpus.Named],
    budgets: tuple[float, ...],
    encoders: list[Contestant],
    jobs: int = 1,
    journal: Journal | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each budget and encoder."""
    rows = []
    for contestant in encoders:
        files = Files(contestant, named, jobs, journal)
        area = sum(files.areas)
        for budget in sorted(budgets):
            settings = settings_of(files, int(budget * area / 8))
            print(f"{budget:g} bpp: {contestant.title}", file=sys.stderr, flush=True)
            if settings is None:
                row = {"encoder": contestant.title, "least_bpp": round(8 * least(files) / area, 4)}
            else:
                row = evaluate(files, settings)
            rows.append({"budget": budget, **row})
            files.forget()
    order = [c.title for c in encoders]
    return sorted(rows, key=lambda r: (r["budget"], order.index(r["encoder"])))


def least(files: Files) -> int:
    """Return the bytes of the smallest set that an encoder can make."""
    if files.contestant.way not in ("common", "spread"):
        return files.total(files.contestant.scale[0])
    found = files.encoded([Aim(COARSEST, 1)] * len(files.pictures))
    return sum(one.size or one.least or 0 for one in found)


def report(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the report, in Markdown."""
    yield "| budget, bpp | encoder | bpp | PSNR, dB | MS-SSIM | SSIMULACRA 2 | Butteraugli 3-norm |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        if "least_bpp" in row:
            yield f"| {row['budget']:g} | {row['encoder']} | not under {row['least_bpp']:.3f} | | | | |"
            continue
        similar = f"{row['ms_ssim']:.4f}" if row["ms_ssim"] is not None else ""
        yield (
            f"| {row['budget']:g} | {row['encoder']} | {row['bpp']:.3f} | {row['psnr']:.2f} |"
            f" {similar} | {row['ssimulacra2']:.1f} | {row['butteraugli_3norm']:.2f} |"
        )


def main(arguments: list[str] | None = None) -> None:
    """Compare encoders at one budget for a whole set."""
    parser = argparse.ArgumentParser(prog="python -m bench clic", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument("--bpp", default=",".join(f"{b:g}" for b in BUDGETS), metavar="A,B", help="budgets")
    parser.add_argument("--effort", default="balanced", choices=["fast", "balanced", "max"])
    parser.add_argument(
        "--model", action="append", default=[], metavar="FILE", help="a row for guetzpy with this model, too"
    )
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="encoders with one of WORDS in their titles"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="pictures at the same time")
    parser.add_argument("--name", default="clic", help="name of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of that file")
    add_argument(parser)
    options = parser.parse_args(arguments)
    encoders, missing = contestants(options.effort, options.jobs, options.model)
    if options.only:
        encoders = [e for e in encoders if any(word in e.title for word in options.only.split(","))]
    named = corpus.chosen(options)
    done = journal(options)
    rows = compete(named, tuple(float(b) for b in options.bpp.split(",")), encoders, options.jobs, done)
    versions = {encoder.title: encoder.version for encoder in encoders}
    result = provenance(
        part="clic", images=[n.name for n in named], missing=missing, peers=versions, rows=rows
    )
    write(options.name, result, options.output)
    done.finish()
    print("\n".join(report(rows)))
    for title in missing:
        print(f"missing: {title}", file=sys.stderr)


if __name__ == "__main__":
    main()
