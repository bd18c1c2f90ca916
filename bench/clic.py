"""The CLIC challenge's protocol on any folder: a total budget of bits per pixel, quality over the set.

    python -m bench clic --images DIR [--bpp 0.15,0.3,0.5,1.0]

Each encoder gets one setting for the whole set, the best at which the sum of its files fits into the
budget; where settings are whole numbers, pictures are moved up by one, in order of their names, while it
still fits. guetzpy finds its distance as its folder runs do: one for all files, or spread for the least
distortion in total ("equal slope"). PSNR is taken from the squared error of all samples, MS-SSIM (RGB) is
weighted by pixels, as the challenge's own script does; SSIMULACRA 2 and Butteraugli's 3-norm are means.

"Half size" rows are the baseline of the challenge's super-resolution entries: the picture is made half
as large by Lanczos, coded as JPEG, and made large again by Lanczos at the decoder.

The challenge's sets: https://clic2025.compression.cc/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from bench import corpus, peers
from bench.provenance import RESULTS, provenance, write
from bench.quality import MS_SSIM_SMALLEST, Reference, ms_ssim, psnr, squared_error

BUDGETS = (0.15, 0.3, 0.5, 1.0)

Encode = Callable[[corpus.Picture, float], bytes]


@dataclass
class Contestant:
    """An encoder under a budget.

    Attributes
    ----------
    title : str
        In tables.
    encode, decode : callable
        Picture and setting to bytes; bytes and the original's size to picture.
    scale : tuple of float
        The setting's worst and best end.
    way : {"whole", "real", "common", "spread"}
        How its setting is found: by halving whole or real numbers, or by guetzpy's budget.
    version : str
        What runs here.
    """

    title: str
    encode: Encode
    decode: Callable[[bytes, tuple[int, int]], corpus.Picture]
    scale: tuple[float, float]
    way: str
    version: str
    files: dict[tuple[int, float], bytes] = field(default_factory=dict)

    def file(self, number: int, picture: corpus.Picture, setting: float) -> bytes:
        """Return the file of a picture; each is made once."""
        key = (number, setting)
        if key not in self.files:
            self.files[key] = self.encode(picture, setting)
        return self.files[key]

    def forget(self, keep: dict[int, float]) -> None:
        """Drop all files but these, to save memory; sizes of others are made anew if asked for."""
        self.files = {key: data for key, data in self.files.items() if keep.get(key[0]) == key[1]}


def jpeg(picture: corpus.Picture, quality: float) -> bytes:
    """Encode by Pillow at its best: 4:2:0, progressive, optimised."""
    return peers.by_pillow(picture, "JPEG", quality=int(quality), optimize=True, progressive=True)


def optimized(picture: corpus.Picture, distance: float, effort: Any = "balanced") -> bytes:
    """Encode by guetzpy."""
    import guetzpy

    return guetzpy.optimize(picture, distance=distance, effort=effort).data


def half(picture: corpus.Picture) -> corpus.Picture:
    """Return a picture of half the size."""
    size = ((picture.shape[1] + 1) // 2, (picture.shape[0] + 1) // 2)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def doubled(picture: corpus.Picture, shape: tuple[int, int]) -> corpus.Picture:
    """Return a picture scaled up to (height, width)."""
    return np.array(Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.LANCZOS))


def contestants(effort: str = "balanced") -> tuple[list[Contestant], list[str]]:
    """Return the encoders that are here, and the titles of those that are missing."""
    from guetzpy import __version__
    from guetzpy.batch.budget import COARSEST, FINEST

    def plain(
        decode: Callable[[bytes], corpus.Picture],
    ) -> Callable[[bytes, tuple[int, int]], corpus.Picture]:
        return lambda data, shape: decode(data)

    def large(data: bytes, shape: tuple[int, int]) -> corpus.Picture:
        return doubled(peers.decode(data), shape)

    def small(encode: Encode) -> Encode:
        return lambda picture, setting: encode(half(picture), setting)

    def own(picture: corpus.Picture, distance: float) -> bytes:
        return optimized(picture, distance, effort)

    reach = (COARSEST, FINEST)
    turbo, guetzpy = str(peers.PEERS["pillow"].version()), f"guetzpy {__version__}"
    shown = plain(peers.decode)
    found = [
        Contestant("JPEG (Pillow: 4:2:0, progressive, optimised)", jpeg, shown, (1, 95), "whole", turbo),
        Contestant(f"guetzpy ({effort})", own, shown, reach, "common", guetzpy),
        Contestant(f"guetzpy ({effort}, equal slope)", own, shown, reach, "spread", guetzpy),
        Contestant("half size, JPEG (Pillow), Lanczos", small(jpeg), large, (1, 95), "whole", turbo),
        Contestant("half size, guetzpy, Lanczos", small(own), large, reach, "common", guetzpy),
    ]
    missing = []
    scales = {"webp": (0, 100), "hevc": (0, 100), "avif": (0, 100), "jxl": (25.0, 0.2)}
    for kind, scale in scales.items():
        peer = peers.PEERS[kind]
        version = peer.version()
        if version is None:
            missing.append(peer.title)
            continue
        way = "real" if kind == "jxl" else "whole"
        found.append(Contestant(peer.title, peer.encode, plain(peer.decode), scale, way, version))
    return found, missing


def fit(sizes: Callable[[float], int], budget: int, scale: tuple[float, float], whole: bool) -> float | None:
    """Return the best setting at which a set fits into a budget, or None.

    Parameters
    ----------
    sizes : callable
        Setting to bytes of the whole set.
    budget : int
        Bytes.
    scale : tuple of float
        Worst and best end; whole numbers are searched evenly, others (distances) on a log scale.
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


def settings_of(
    contestant: Contestant, pictures: list[corpus.Picture], budget: int, jobs: int = 1
) -> dict[int, float] | None:
    """Return the setting of every picture, or None where nothing fits."""

    def size(pair: tuple[int, float]) -> int:
        return len(contestant.file(pair[0], pictures[pair[0]], pair[1]))

    def sizes(settings: Sequence[float]) -> list[int]:
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(size, enumerate(settings)))

    def total(setting: float) -> int:
        return sum(sizes([setting] * len(pictures)))

    if contestant.way in ("common", "spread"):
        areas = [picture.shape[0] * picture.shape[1] for picture in pictures]
        return _budgeted(sizes, budget, areas, contestant.way == "spread")
    found = fit(total, budget, contestant.scale, contestant.way == "whole")
    if found is None:
        return None
    settings = dict.fromkeys(range(len(pictures)), found)
    if contestant.way == "whole" and found != contestant.scale[1]:
        left = budget - total(found)
        for number in settings:
            more = size((number, found + 1)) - size((number, found))
            if more <= left:
                settings[number] = found + 1
                left -= more
    return settings


def _budgeted(
    sizes: Callable[[Sequence[float]], list[int]], limit: int, areas: list[int], spread: bool
) -> dict[int, float] | None:
    """Return the distances that guetzpy's own budget finds."""
    from guetzpy import TargetError
    from guetzpy.batch.budget import Budget

    search = Budget(limit, areas, equal_slope=spread)
    try:
        while (distances := search.propose()) is not None:
            search.record(distances, sizes(distances))
    except TargetError:
        pass
    return None if search.best is None else dict(enumerate(search.best.distances))


def evaluate(
    contestant: Contestant,
    pictures: list[corpus.Picture],
    references: list[Reference],
    settings: dict[int, float],
) -> dict[str, Any]:
    """Return bits per pixel and quality over the set."""
    samples = error = pixels = similar = 0.0
    total = 0
    scores: list[dict[str, float]] = []
    similar_pixels = 0.0
    for number, (picture, reference) in enumerate(zip(pictures, references, strict=True)):
        data = contestant.file(number, picture, settings[number])
        shown = contestant.decode(data, picture.shape[:2])
        total += len(data)
        area = picture.shape[0] * picture.shape[1]
        pixels += area
        samples += picture.size
        error += squared_error(picture, shown) * picture.size
        if min(picture.shape[:2]) >= MS_SSIM_SMALLEST:
            similar += ms_ssim(picture, shown) * area
            similar_pixels += area
        scores.append(reference.scores(shown))
    return {
        "encoder": contestant.title,
        "bpp": round(8 * total / pixels, 4),
        "psnr": round(psnr(error / samples), 3),
        "ms_ssim": round(similar / similar_pixels, 5) if similar_pixels else None,
        "ssimulacra2": round(fmean(s["ssimulacra2"] for s in scores), 2),
        "butteraugli_3norm": round(fmean(s["butteraugli_3norm"] for s in scores), 3),
        "setting": [round(min(settings.values()), 4), round(max(settings.values()), 4)],
    }


def compete(
    named: list[corpus.Named], budgets: tuple[float, ...], encoders: list[Contestant], jobs: int = 1
) -> list[dict[str, Any]]:
    """Return a row for every budget and encoder."""
    pictures = [n.read() for n in named]
    references = [Reference(p, ("ssimulacra2", "butteraugli_3norm")) for p in pictures]
    area = sum(p.shape[0] * p.shape[1] for p in pictures)
    rows = []
    for contestant in encoders:
        for budget in sorted(budgets):
            settings = settings_of(contestant, pictures, int(budget * area / 8), jobs)
            print(f"{budget:g} bpp: {contestant.title}", file=sys.stderr, flush=True)
            if settings is None:
                least = sum(len(contestant.file(i, p, contestant.scale[0])) for i, p in enumerate(pictures))
                row = {"encoder": contestant.title, "least_bpp": round(8 * least / area, 4)}
            else:
                row = evaluate(contestant, pictures, references, settings)
            rows.append({"budget": budget, **row})
        contestant.forget({})
    order = [c.title for c in encoders]
    return sorted(rows, key=lambda r: (r["budget"], order.index(r["encoder"])))


def report(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield lines of Markdown."""
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
        "--only", default="", metavar="WORDS", help="encoders with one of WORDS in their titles"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="pictures at once")
    parser.add_argument("--name", default="clic", help="of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="where to")
    options = parser.parse_args(arguments)
    encoders, missing = contestants(options.effort)
    if options.only:
        encoders = [e for e in encoders if any(word in e.title for word in options.only.split(","))]
    named = corpus.chosen(options)
    rows = compete(named, tuple(float(b) for b in options.bpp.split(",")), encoders, options.jobs)
    versions = {encoder.title: encoder.version for encoder in encoders}
    result = provenance(
        part="clic", images=[n.name for n in named], missing=missing, peers=versions, rows=rows
    )
    write(options.name, result, options.output)
    print("\n".join(report(rows)))
    for title in missing:
        print(f"missing: {title}", file=sys.stderr)


if __name__ == "__main__":
    main()
