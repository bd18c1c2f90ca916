"""Comparison of metrics with the judgements of people on JPEG files, from two published studies.

    python -m bench human --folder DIR

DIR holds ``mucped23_elo.csv`` and ``sources/`` (originals of CID22's validation set that MUCPED23 used; see
bench/viewers/mucped.py), and ``aic4_scores.csv``, JPEG AIC-4's sample of 300 pictures with distortions in JND
and the scores of nine metrics (jpeg-aic/JPEG-AIC-4-datasets; see bench/viewers/jnd.py).

Writes NAME.json (figures, machine, versions) and NAME.csv (means over the originals, for every setting).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from bench import corpus, peers
from bench.journal import Journal, add_argument, journal, over_processes
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.quality import COLUMNS, Reference
from bench.viewers import jnd, mucped

TITLES = {
    "butteraugli_3norm": "Butteraugli 3-norm",
    "butteraugli_max": "Butteraugli max",
    "ssimulacra2": "SSIMULACRA 2",
    "cvvdp": "CVVDP",
    "iw_ssim_db": "IW-SSIM",
    "ms_ssim_y_db": "MS-SSIM luma",
    "haarpsi_db": "HaarPSI",
    "psnr_hvs_m": "PSNR-HVS-M",
    "psnr": "PSNR",
    "ms_ssim_db": "MS-SSIM RGB",
}


@dataclass(frozen=True)
class Work:
    """An original, and the settings at which it is encoded."""

    picture: corpus.Named
    settings: tuple[mucped.Setting, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        """Everything that the scores depend on."""
        names = [s.name for s in self.settings]
        versions = [peers.PEERS[kind].version() for kind in ("jpegli444", "moz444", "turbo444")]
        return (self.picture.name, names, versions, source_hash("metrics"), COLUMNS)


def measure(work: Work) -> list[dict[str, Any]]:
    """Encode one original at every setting, decode the files, and score them."""
    picture = work.picture.read()
    reference = Reference(picture, COLUMNS, threads=1)
    rows = []
    for setting in work.settings:
        data = setting.encode(picture)
        if data is None:
            continue
        bpp = 8 * len(data) / (picture.shape[0] * picture.shape[1])
        scores = reference.scores(peers.decode(data))
        rows.append({"image": work.picture.name, "setting": setting.name, "bpp": bpp} | scores)
    return rows


def run(works: list[Work], jobs: int, kept: Journal) -> list[dict[str, Any]]:
    """Measure on several processes of one thread each; results of an earlier run are reused."""
    left = [work for work in works if kept.get(*work.key) is None]
    for number, (work, rows) in enumerate(over_processes(measure, left, jobs), start=1):
        kept.put(rows, *work.key)
        print(f"{number}/{len(left)} {work.picture.name}", file=sys.stderr, flush=True)
    return [row for work in works for row in kept.get(*work.key) or []]


def write_means(path: Path, rated: list[mucped.Setting], scores: mucped.Scores) -> None:
    """Write, for every setting, the means over the originals, the Elo score and the published bpp."""
    means = scores.means()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["setting", "elo", "elo_low", "elo_high", "bpp_published", "bpp", *scores.columns])
        for setting in (s for s in mucped.all_settings(rated) if s.name in means):
            own = means[setting.name]
            said = [setting.elo, setting.low, setting.high, setting.bpp] if setting.elo else [""] * 4
            numbers = [f"{own[c]:.5g}" for c in ("bpp", *scores.columns)]
            writer.writerow([setting.name, *said, *numbers])


def bits_check(rated: list[mucped.Setting], scores: mucped.Scores) -> dict[str, float]:
    """Return the ratio of measured to published bits per pixel, by setting."""
    means = scores.means()
    return {
        s.name: round(means[s.name]["bpp"] / s.bpp, 4) for s in rated if s.name in means and s.bpp is not None
    }


def report(result: dict[str, Any]) -> Iterator[str]:
    """Yield lines of Markdown: the tables of docs/results.md."""
    check = result["bits_per_pixel"].values()
    yield "### Byte ratios that people gave (MUCPED23)"
    yield ""
    yield (
        f"{result['images']} originals; the files made here have {100 * min(check):.1f} to"
        f" {100 * max(check):.1f} % of the published bits per pixel."
        f" Not made, for want of a package: {', '.join(result['left_out']) or 'none'}."
    )
    for key, words in (
        ("encoders", "Bytes of jpegli against libjpeg-turbo and mozjpeg, within one class of sampling"),
        ("sampling", "Bytes of 4:4:4 against 4:2:0, both by jpegli"),
    ):
        found = result["mucped23"][key]
        people = fmean(p["people"] for p in found["pairs"])
        yield ""
        yield f"**{words}**, {len(found['pairs'])} pairs, {people:+.1f} % by people:"
        yield ""
        yield "| metric | error of the byte ratio, points | 95 % | rms |"
        yield "|---|---|---|---|"
        for column, f in sorted(found["metrics"].items(), key=lambda item: abs(item[1]["bias"])):
            interval = f"{f['low']:+.1f} to {f['high']:+.1f}"
            yield f"| {TITLES[column]} | {f['bias']:+.1f} | {interval} | {f['rms']:.1f} |"
    yield ""
    yield "Pair by pair, bytes of jpegli at equal quality, by people and by some of the metrics:"
    yield ""
    measured = result["mucped23"]["srocc"]
    shown = [
        c for c in ("butteraugli_3norm", "ssimulacra2", "cvvdp", "iw_ssim_db", "ms_ssim_db") if c in measured
    ]
    yield "| setting | people | " + " | ".join(TITLES[c] for c in shown) + " |"
    yield "|---" * (len(shown) + 2) + "|"
    for key in ("encoders", "sampling"):
        for pair in result["mucped23"][key]["pairs"]:
            cells = [f"{pair[c]:+.1f} %" for c in ("people", *shown)]
            words = pair["setting"] + (", by 4:4:4" if key == "sampling" else "")
            yield f"| {words} | " + " | ".join(cells) + " |"
    yield ""
    yield "### Ranks and just noticeable differences (JPEG AIC-4)"
    yield ""
    counts = result["aic4"]["pictures"]
    yield f"{counts['all']} pictures of six codecs, {counts['jpeg_1']} of them JPEG:"
    yield ""
    yield from jnd.correlation_table(result["aic4"])
    yield ""
    yield from jnd.scale_table(result["aic4"])


def main(arguments: list[str] | None = None) -> None:
    """Compare metrics with the judgements of people on JPEG files."""
    parser = argparse.ArgumentParser(prog="python -m bench human", description=main.__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, metavar="DIR", help="the studies' tables and originals"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most N originals, spread evenly")
    parser.add_argument("--draws", type=int, default=1000, metavar="N", help="draws of the bootstrap")
    parser.add_argument("--name", default="human", help="name of the files that are written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of these files")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="originals at the same time")
    add_argument(parser)
    options = parser.parse_args(arguments)
    here, missing = peers.available(["jpegli444", "jpegli420", "moz444", "moz420", "turbo444"])
    if missing:
        raise SystemExit(
            f"MUCPED23 cannot be made again without {', '.join(missing)}: pip install guetzpy[bench]"
        )
    rated = mucped.read_settings(options.folder / "mucped23_elo.csv")
    settings = tuple(mucped.all_settings(rated))
    chosen = corpus.pictures(options.folder / "sources", options.limit)
    kept = journal(options)
    scores = mucped.Scores(run([Work(p, settings) for p in chosen], options.jobs, kept), COLUMNS)
    result = provenance(
        part="human",
        images=len(chosen),
        peers=peers.versions(here),
        left_out=[s.name for s in rated if s.name not in scores.values],
        bits_per_pixel=bits_check(rated, scores),
        mucped23=mucped.prediction(rated, scores, options.draws),
        aic4=jnd.summary(jnd.read(options.folder / "aic4_scores.csv")),
    )
    write_means(options.output / f"{options.name}.csv", rated, scores)
    print(f"wrote {write(options.name, result, options.output).name}", file=sys.stderr)
    kept.finish()
    print("\n".join(report(result)))


if __name__ == "__main__":
    main()
