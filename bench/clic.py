"""The CLIC challenge's protocol on any folder: quality of a set at a total budget of bits per pixel.

    python -m bench clic --images DIR [--bpp 0.15,0.3,0.5,1.0]

Each encoder gets one setting for the whole set, the best at which the sum of its files fits the budget. If
settings are whole numbers, pictures then get the next better setting, in order of their names, as long as the
sum fits. guetzpy's settings are found as for its folders: one distance for all files, or distances of least
total distortion ("equal slope"); if distance 25 is not coarse enough, a size for each file. PSNR is computed
from the squared error of all samples. MS-SSIM (RGB) is weighted by pixels, as in the challenge's own script.
SSIMULACRA 2 and Butteraugli's 3-norm are means over pictures.

Rows "half size" are the baseline of the challenge's super-resolution entries: the picture is scaled to half
its size by Lanczos, coded as JPEG, and scaled up again by Lanczos after decoding.

The challenge's sets: https://clic2025.compression.cc/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from PIL import Image

from bench import corpus, peers
from bench.journal import Journal, add_argument, journal
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.quality import MS_SSIM_SMALLEST, Reference, ms_ssim, psnr, squared_error
from guetzpy import GuetzpyError, Result, TargetError, __version__
from guetzpy.batch.budget import COARSEST, Aim, Budget, Encoded, encoded
from guetzpy.batch.rates import FINEST

BUDGETS = (0.15, 0.3, 0.5, 1.0)
COLUMNS = ("ssimulacra2", "butteraugli_3norm")

#: Setting of an encode: a peer's setting, or the aim that guetzpy's budget finds.
Setting = float | Aim
Encode = Callable[[corpus.Picture, Any], "bytes | Result"]


@dataclass
class Contestant:
    """An encoder that takes part with a budget.

    Attributes
    ----------
    title : str
        Name in tables.
    encode, decode : callable
        Picture and setting to file; bytes and the original's size to picture.
    scale : tuple of float
        Worst and best setting.
    way : {"whole", "real", "common", "spread"}
        Search for the setting: bisection over whole or real numbers, or guetzpy's budget with one
        distance or with equal slopes.
    version : str
        Version that runs here.
    code : str
        Further data that the files depend on, such as a hash of sources.
    """

    title: str
    encode: Encode
    decode: Callable[[bytes, tuple[int, int]], corpus.Picture]
    scale: tuple[float, float]
    way: str
    version: str
    code: str = ""


class Files:
    """The files of a contestant for a set, each encoded once.

    Parameters
    ----------
    contestant : Contestant
        The encoder.
    named : list of Named
        The set.
    jobs : int
        Number of pictures at the same time.
    journal : Journal, optional
        Journal with sizes and scores of an earlier run.
    """

    def __init__(
        self,
        contestant: Contestant,
        named: Sequence[corpus.Named],
        jobs: int = 1,
        journal: Journal | None = None,
    ) -> None:
        self.contestant = contestant
        self.named = named
        self.pictures = [n.read() for n in named]
        self.areas = [picture.shape[0] * picture.shape[1] for picture in self.pictures]
        self._jobs = jobs
        self._journal = journal or Journal()
        self._data: dict[tuple[int, Any], bytes] = {}

    def _key(self, number: int, setting: Setting, *more: str) -> tuple[Any, ...]:
        told = list(setting.target) if isinstance(setting, Aim) else setting
        contestant = self.contestant
        return (*more, contestant.title, contestant.version, contestant.code, self.named[number].name, told)

    def data(self, number: int, setting: Setting) -> bytes:
        """Return the file of a picture."""
        if (number, setting) not in self._data:
            self._make(number, setting)
        return self._data[number, setting]

    def _make(self, number: int, setting: Setting) -> Encoded:
        key = self._key(number, setting)
        try:
            made = self.contestant.encode(self.pictures[number], setting)
        except GuetzpyError as error:
            smallest = getattr(error, "smallest_bytes", None)
            found = encoded(Result(status="failed", error=error.reason, smallest_bytes=smallest))
            self._journal.put([None, 0.0, found.least], *key)
            return found
        found = Encoded(len(made)) if isinstance(made, bytes) else encoded(made)
        self._data[number, setting] = made if isinstance(made, bytes) else made.data
        self._journal.put([found.size, found.distance, None], *key)
        return found

    def encoded(self, settings: Sequence[Setting]) -> list[Encoded]:
        """Return the file of every picture at its setting."""

        def one(pair: tuple[int, Setting]) -> Encoded:
            known = self._journal.get(*self._key(*pair))
            return Encoded(*known) if known is not None else self._make(*pair)

        with ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(one, enumerate(settings)))

    def total(self, setting: Setting) -> int:
        """Return the bytes of the set at one setting."""
        return sum(one.size or 0 for one in self.encoded([setting] * len(self.pictures)))

    def scored(self, settings: Sequence[Setting]) -> list[dict[str, float]]:
        """Return bytes and scores of every picture."""
        threads = None if self._jobs == 1 else 1

        def one(pair: tuple[int, Setting]) -> dict[str, float]:
            key = self._key(*pair, "scores", source_hash("metrics"))
            found: dict[str, float] | None = self._journal.get(*key)
            if found is None:
                number, setting = pair
                picture, data = self.pictures[number], self.data(number, setting)
                shown = self.contestant.decode(data, picture.shape[:2])
                found = {"bytes": len(data), "squared_error": squared_error(picture, shown)}
                if min(picture.shape[:2]) >= MS_SSIM_SMALLEST:
                    found["ms_ssim"] = ms_ssim(picture, shown)
                # The reference is computed anew for each file; those of a whole set would fill the memory.
                found |= Reference(picture, COLUMNS, threads).scores(shown)
                self._journal.put(found, *key)
            return found

        with ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(one, enumerate(settings)))

    def forget(self) -> None:
        """Free the files; a file that is needed again is encoded again."""
        self._data.clear()


def jpeg(picture: corpus.Picture, quality: float) -> bytes:
    """Encode by Pillow with its best options: 4:2:0, progressive, optimised."""
    return peers.by_pillow(picture, "JPEG", quality=int(quality), optimize=True, progressive=True)


def optimized(picture: corpus.Picture, aim: Aim, effort: Any = "balanced", jobs: int = 1) -> Result:
    """Encode by guetzpy."""
    import guetzpy

    target: dict[str, Any] = dict([aim.target])
    return guetzpy.optimize(picture, **target, effort=effort, threads=None if jobs == 1 else 1)


def half(picture: corpus.Picture) -> corpus.Picture:
    """Return a picture of half the size."""
    size = ((picture.shape[1] + 1) // 2, (picture.shape[0] + 1) // 2)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def doubled(picture: corpus.Picture, shape: tuple[int, int]) -> corpus.Picture:
    """Return a picture scaled up to (height, width)."""
    return np.array(Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.LANCZOS))


def contestants(effort: str = "balanced", jobs: int = 1) -> tuple[list[Contestant], list[str]]:
    """Return the encoders that are installed, and the titles of those that are missing."""

    def plain(
        decode: Callable[[bytes], corpus.Picture],
    ) -> Callable[[bytes, tuple[int, int]], corpus.Picture]:
        return lambda data, shape: decode(data)

    def large(data: bytes, shape: tuple[int, int]) -> corpus.Picture:
        return doubled(peers.decode(data), shape)

    def small(encode: Encode) -> Encode:
        return lambda picture, setting: encode(half(picture), setting)

    def own(picture: corpus.Picture, aim: Aim) -> Result:
        return optimized(picture, aim, effort, jobs)

    reach, code = (COARSEST, FINEST), source_hash()
    turbo, guetzpy = str(peers.PEERS["pillow"].version()), f"guetzpy {__version__}"
    shown = plain(peers.decode)
    found = [
        Contestant("JPEG (Pillow: 4:2:0, progressive, optimised)", jpeg, shown, (1, 95), "whole", turbo),
        Contestant(f"guetzpy ({effort})", own, shown, reach, "common", guetzpy, code),
        Contestant(f"guetzpy ({effort}, equal slope)", own, shown, reach, "spread", guetzpy, code),
        Contestant("half size, JPEG (Pillow), Lanczos", small(jpeg), large, (1, 95), "whole", turbo),
        Contestant("half size, guetzpy, Lanczos", small(own), large, reach, "common", guetzpy, code),
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
    """Return the settings that guetzpy's own budget finds."""
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
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="pictures at the same time")
    parser.add_argument("--name", default="clic", help="name of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of that file")
    add_argument(parser)
    options = parser.parse_args(arguments)
    encoders, missing = contestants(options.effort, options.jobs)
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
