"""Error of the distance that is estimated from a JPEG's tables.

    python -m bench source_quality [--images DIR]

guetzpy needs the distance of a JPEG source, whose original is not available. It estimates the distance
from the quantisation tables (guetzpy/search/source_quality.py). Here the originals are available: files by
libjpeg-turbo, jpegli and mozjpeg are scored against them. The distance of a file is the smallest at which it
meets the limits of both metrics. The spread over pictures shows the error for a single picture: the tables
say nothing of its content.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench import corpus, curves, peers
from bench.journal import add_argument, journal, over_processes
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.quality import Reference

KINDS = ("turbo444", "turbo420", *curves.BEST_OF_FOUR)
COLUMNS = ("ssimulacra2", "butteraugli_3norm")


Found = tuple[str, float, float, float]


def measure(unit: tuple[corpus.Named, str]) -> list[Found]:
    """Return kind, setting, estimated distance and measured distance of one picture's files."""
    from guetzpy.jpeg.reader import read
    from guetzpy.metrics.distance import BUTTERAUGLI, SSIMULACRA2
    from guetzpy.search.source_quality import estimate

    named, kind = unit
    picture, peer = named.read(), peers.PEERS[kind]
    reference = Reference(picture, COLUMNS, threads=1)
    found = []
    for setting in peer.settings:
        data = peer.encode(picture, setting)
        scores = reference.scores(peer.decode(data))
        by_both = (
            BUTTERAUGLI.log_distance(scores["butteraugli_3norm"]),
            SSIMULACRA2.log_distance(scores["ssimulacra2"]),
        )
        found.append((kind, setting, estimate(read(data)), math.exp(max(by_both))))
    return found


def summarise(found: list[Found]) -> list[dict[str, Any]]:
    """Return medians and spread of the estimated and the measured distance, by kind and setting."""
    groups: dict[tuple[str, float], list[tuple[float, float]]] = defaultdict(list)
    for kind, setting, estimated, reached in found:
        groups[kind, setting].append((estimated, reached))
    rows = []
    for (kind, setting), pairs in groups.items():
        ratios = [estimated / reached for estimated, reached in pairs]
        low, high = np.quantile(ratios, (0.1, 0.9))
        rows.append(
            {
                "kind": kind,
                "setting": setting,
                "files": len(pairs),
                "estimated": round(median(e for e, _ in pairs), 3),
                "reached": round(median(r for _, r in pairs), 3),
                "ratio": round(median(ratios), 3),
                "ratio_10": round(float(low), 3),
                "ratio_90": round(float(high), 3),
            }
        )
    return rows


def report(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the report, in Markdown."""
    yield "| encoder | setting | estimated | reached | estimated / reached: median | 10 % | 90 % |"
    yield "|---|---|---|---|---|---|---|"
    for r in rows:
        yield (
            f"| {peers.PEERS[r['kind']].title} | {r['setting']:g} | {r['estimated']:.2f} |"
            f" {r['reached']:.2f} | {r['ratio']:.2f} | {r['ratio_10']:.2f} | {r['ratio_90']:.2f} |"
        )


def main(arguments: list[str] | None = None) -> None:
    """Compare the distance that a source's tables suggest with the measured one."""
    parser = argparse.ArgumentParser(prog="python -m bench source_quality", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument("--kinds", default=",".join(KINDS), metavar="A,B", help="encoders of the sources")
    parser.add_argument("--name", default="source_quality", help="name of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of that file")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="files at the same time")
    add_argument(parser)
    options = parser.parse_args(arguments)
    here, missing = peers.available(options.kinds.split(","))
    chosen = corpus.chosen(options)
    done = journal(options)
    units = [(named, kind) for named in chosen for kind in here]
    keys = {unit: (unit[0].name, unit[1], here[unit[1]].version(), source_hash()) for unit in units}
    left = [unit for unit in units if done.get(*keys[unit]) is None]
    for number, (unit, points) in enumerate(over_processes(measure, left, options.jobs), start=1):
        done.put(points, *keys[unit])
        print(f"{number}/{len(left)} {unit[0].name}: {unit[1]}", file=sys.stderr, flush=True)
    rows = summarise([tuple(point) for unit in units for point in done.get(*keys[unit]) or []])
    result = provenance(
        part="source_quality", images=len(chosen), peers=peers.versions(here), missing=missing, rows=rows
    )
    write(options.name, result, options.output)
    done.finish()
    print("\n".join(report(rows)))
    for title in missing:
        print(f"missing: {title}", file=sys.stderr)


if __name__ == "__main__":
    main()
