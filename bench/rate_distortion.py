"""Bytes at equal quality: guetzpy against other encoders, picture by picture, by several metrics.

    python -m bench rate_distortion                            scikit-image's photos, all peers that are here
    python -m bench rate_distortion --images DIR --name NAME   any folder
    ... --peers-table CSV                                      peers' points from a table, none run
    ... --ours CSV                                             run nothing: guetzpy's points from a table too

The base line is the lower envelope of jpegli and mozjpeg, each in 4:4:4 and 4:2:0: at each quality of each
picture, the best of these four, as far as they are installed. Without any of them it is libjpeg-turbo's 4:4:4
and 4:2:0, which are easier to beat; the output names the base line. bench/curves.py describes how curves are
compared. The search has limits of SSIMULACRA 2 and Butteraugli's 3-norm and follows CVVDP's gradient; the
other metrics are independent of it.

Writes NAME.json (figures, machine, versions), NAME.csv (every point that was measured here) and plots.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from bench import corpus, curves, peers
from bench.journal import Journal, add_argument, journal, resumed
from bench.kinds import OURS, rank, title
from bench.plots import plot_rate_distortion
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.quality import COLUMNS, Reference, libjxl_scores

#: Settings of guetzpy: its distances.
DISTANCES = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
FIELDS = ("image", "width", "height", "kind", "setting", "bytes", *COLUMNS)

Row = dict[str, Any]
Table = dict[str, dict[str, curves.Points]]  # image -> kind -> points


@dataclass(frozen=True)
class Work:
    """One picture, and the encoder that runs on it."""

    picture: corpus.Named
    kind: str
    distances: tuple[float, ...] = DISTANCES
    columns: tuple[str, ...] = COLUMNS
    check: bool = False

    @property
    def settings(self) -> tuple[float, ...]:
        return self.distances if self.kind in OURS else peers.PEERS[self.kind].settings

    @property
    def key(self) -> tuple[Any, ...]:
        """Everything that the points depend on."""
        code = source_hash() if self.kind in OURS else peers.PEERS[self.kind].version()
        return (self.picture.name, self.kind, code, source_hash("metrics"), self.settings, self.columns)


@dataclass
class Done:
    """Results: points, and the difference of guetzpy's metrics from libjxl's tools."""

    rows: list[Row] = field(default_factory=list)
    differences: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def measure(work: Work) -> Done:
    """Encode one picture at every setting, decode the files, and score them."""
    picture = work.picture.read()
    height, width = picture.shape[:2]
    reference = Reference(picture, work.columns, threads=1)
    done = Done()
    for setting in work.settings:
        try:
            data, shown = encoded(work.kind, picture, setting)
        except Exception as error:
            done.failures.append(f"{work.picture.name}: {work.kind} {setting:g}: {error}")
            continue
        scores = reference.scores(shown)
        size = {"width": width, "height": height, "kind": work.kind, "setting": setting, "bytes": len(data)}
        done.rows.append({"image": work.picture.name} | size | scores)
        if work.check and work.kind == "guetzpy":
            for column, value in libjxl_scores(picture, shown).items():
                scale = 1.0 if column == "ssimulacra2" else value
                difference = abs(scores[column] - value) / scale
                done.differences[column] = max(done.differences.get(column, 0.0), difference)
    return done


def encoded(kind: str, picture: corpus.Picture, setting: float) -> tuple[bytes, corpus.Picture]:
    """Return a file and its decoded picture."""
    if kind in OURS:
        import guetzpy

        options: dict[str, Any] = {"effort": OURS[kind], "threads": 1, "mark": False}
        data = guetzpy.optimize(picture, distance=setting, **options).data
        return data, peers.decode(data)
    peer = peers.PEERS[kind]
    data = peer.encode(picture, setting)
    return data, peer.decode(data)


def run(works: list[Work], jobs: int, kept: Journal) -> Iterator[tuple[Work, Done]]:
    """Measure on several processes of one thread each; results of an earlier run come first."""
    return resumed(measure, works, jobs, kept, Done)


def tabled(rows: Iterable[Row]) -> Table:
    """Group points by picture and kind."""
    table: Table = defaultdict(lambda: defaultdict(list))
    for row in rows:
        keys = ("setting", "bytes", *curves.METRICS)
        table[row["image"]][row["kind"]].append(
            {k: float(row[k]) for k in keys if row.get(k) not in (None, "")}
        )
    return table


def merged(*tables: Table) -> Table:
    """Join tables; if two hold the same picture and kind, the first is used."""
    result: Table = defaultdict(dict)
    for table in tables:
        for image, kinds in table.items():
            for kind, points in kinds.items():
                result[image].setdefault(kind, points)
    return result


def write_points(path: Path, rows: list[Row]) -> None:
    """Write points as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = sorted(rows, key=lambda r: (r["image"], rank(r["kind"]), float(r["setting"])))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n", restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[Row]:
    """Read points that :func:`write_points` wrote."""
    with path.open() as file:
        return list(csv.DictReader(file))


def compare(table: Table, kind: str, baseline: tuple[str, ...], of: str) -> dict[str, Any] | None:
    """Return by how many per cent the bytes of one kind differ from the base line at equal quality.

    Parameters
    ----------
    table : dict
        Points.
    kind : str
        Kind to compare.
    baseline : tuple of str
        Kinds whose lower envelope is the base line.
    of : str
        Name of a range of curves.RANGES.

    Returns
    -------
    dict or None
        ``mean`` (geometric) and ``worst`` in per cent, ``image`` (name of the worst), ``better`` (share of
        pictures with fewer bytes), ``pictures``: name -> per cent. None: nothing to compare.
    """
    metric, low, high = curves.RANGES[of]
    logs = {}
    for image, kinds in table.items():
        ours = _with(kinds.get(kind, []), metric)
        others = [_with(kinds.get(k, []), metric) for k in baseline]
        if len(ours) < 2:
            continue
        found = curves.difference(ours, others, metric, low, high)
        if found is not None:
            logs[image] = found
    if not logs:
        return None
    worst = max(logs, key=lambda image: logs[image])
    return {
        "mean": round(curves.per_cent(fmean(logs.values())), 2),
        "worst": round(curves.per_cent(logs[worst]), 2),
        "image": worst,
        "better": round(fmean(v < 0 for v in logs.values()), 3),
        "pictures": {image: round(curves.per_cent(v), 2) for image, v in sorted(logs.items())},
    }


def _with(points: curves.Points, metric: str) -> curves.Points:
    return [p for p in points if metric in p]


def summarise(table: Table, baseline: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Compare every kind over every range of scores: kind -> range -> result of :func:`compare`."""
    kinds = sorted({k for kinds in table.values() for k in kinds}, key=rank)
    result: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        found = {name: compare(table, kind, baseline, name) for name in curves.RANGES}
        result[kind] = {name: figures for name, figures in found.items() if figures}
    return result


def base_line(table: Table) -> tuple[str, ...]:
    """Return the kinds of encoders that form the base line: jpegli and mozjpeg, else libjpeg-turbo."""
    measured = {kind for kinds in table.values() for kind in kinds}
    for kinds in (curves.BEST_OF_FOUR, ("turbo444", "turbo420")):
        found = tuple(kind for kind in kinds if kind in measured)
        if found:
            return found
    return ()


def report(summary: dict[str, dict[str, Any]], baseline: tuple[str, ...]) -> Iterator[str]:
    """Yield lines of Markdown: the mean of each kind and range, and guetzpy's worst pictures."""
    if not baseline:
        yield "nothing to compare with: no JPEG encoder for the base line was measured"
        return
    yield f"base line, at each quality of each picture the best of: {', '.join(map(title, baseline))}"
    yield ""
    names = [n for n in curves.RANGES if any(n in figures for figures in summary.values())]
    yield "| bytes at equal | " + " | ".join(names) + " | pictures |"
    yield "|---" * (len(names) + 2) + "|"
    for kind, figures in summary.items():
        cells = [f"{figures[n]['mean']:+.1f} %" if n in figures else "" for n in names]
        count = max((len(f["pictures"]) for f in figures.values()), default=0)
        yield f"| {title(kind)} | " + " | ".join(cells) + f" | {count} |"
    for kind in (k for k in OURS if k in summary):
        yield ""
        yield f"{title(kind)}, worst picture:"
        for name in names:
            if name in summary[kind]:
                f = summary[kind][name]
                yield f"  {name:30} {f['worst']:+6.1f} %  {f['image']}  (better on {f['better']:.0%})"


def main(arguments: list[str] | None = None) -> None:
    """Compare bytes at equal quality."""
    parser = argparse.ArgumentParser(prog="python -m bench rate_distortion", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument("--name", default="rate_distortion", help="name of the files that are written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of these files")
    parser.add_argument("--peers-table", type=Path, metavar="CSV", help="points of peers, which are not run")
    parser.add_argument(
        "--ours", type=Path, metavar="CSV", help="report guetzpy's points of a table, run nothing"
    )
    parser.add_argument(
        "--kinds", default="guetzpy", metavar="A,B", help=f"guetzpy's (none: peers only): {', '.join(OURS)}"
    )
    parser.add_argument(
        "--peers", metavar="A,B", help=f"live peers (none: no peer): {', '.join(peers.PEERS)}"
    )
    parser.add_argument("--baseline", metavar="A,B", help="encoders (default: jpegli, mozjpeg if installed)")
    parser.add_argument("--distances", default=",".join(f"{d:g}" for d in DISTANCES), metavar="A,B")
    parser.add_argument("--columns", default=",".join(COLUMNS), metavar="A,B", help="metrics")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="pictures at the same time")
    parser.add_argument("--no-plots", action="store_true")
    add_argument(parser)
    options = parser.parse_args(arguments)
    for kind in _ours(options):
        if kind not in OURS:
            parser.error(f"{kind}: expected some of {', '.join(OURS)}")

    kept = Journal() if options.ours else journal(options)
    given = tabled(read_rows(options.peers_table)) if options.peers_table else {}
    rows: list[Row] = []
    found: dict[str, Any] = {"versions": {}, "missing": [], "differences": {}, "failures": []}
    if options.ours:
        rows = read_rows(options.ours)
    else:
        rows, found = _measured(options, given, kept)
    table = merged(tabled(rows), given)
    if not options.ours:
        names = {picture.name for picture in corpus.chosen(options)}
        table = {image: kinds for image, kinds in table.items() if image in names}
    baseline = tuple(options.baseline.split(",")) if options.baseline else base_line(table)
    summary = summarise(table, baseline)
    result = provenance(
        part="rate_distortion",
        images=len(table),
        baseline=list(baseline),
        distances=[float(d) for d in options.distances.split(",")],
        peers=found["versions"],
        peers_table=options.peers_table.name if options.peers_table else None,
        missing=found["missing"],
        differences_to_libjxl=found["differences"],
        failures=found["failures"],
        summary=summary,
    )
    print(f"wrote {write(options.name, result, options.output).name}", file=sys.stderr)
    kept.finish()
    if not options.no_plots:
        plot_rate_distortion(table, summary, baseline, options.output / options.name)
    print("\n".join(report(summary, baseline)))
    for words, lines in (("missing", found["missing"]), ("failed", found["failures"])):
        for line in lines:
            print(f"{words}: {line}", file=sys.stderr)


def _ours(options: argparse.Namespace) -> tuple[str, ...]:
    """Return guetzpy's kinds that are to be run."""
    return () if options.kinds == "none" else tuple(options.kinds.split(","))


def _measured(options: argparse.Namespace, given: Table, kept: Journal) -> tuple[list[Row], dict[str, Any]]:
    """Run guetzpy and the peers on every picture."""
    none = options.peers == "none" or (options.peers is None and options.peers_table)
    asked = [] if none else options.peers.split(",") if options.peers else None
    here, missing = peers.available(asked)
    ours = _ours(options)
    distances = tuple(float(d) for d in options.distances.split(","))
    columns = tuple(options.columns.split(","))
    works = []
    for number, picture in enumerate(corpus.chosen(options)):
        live = tuple(k for k in here if k not in given.get(picture.name, {}))
        works += [Work(picture, kind, distances, columns, number < 2) for kind in (*ours, *live)]
    rows: list[Row] = []
    differences: dict[str, float] = {}
    failures: list[str] = []
    for number, (work, done) in enumerate(run(works, options.jobs, kept), start=1):
        rows += done.rows
        failures += done.failures
        for column, value in done.differences.items():
            differences[column] = round(max(differences.get(column, 0.0), value), 6)
        print(f"{number}/{len(works)} {work.picture.name}: {work.kind}", file=sys.stderr, flush=True)
    write_points(options.output / f"{options.name}.csv", rows)
    found = {
        "versions": peers.versions(here),
        "missing": missing,
        "differences": differences,
        "failures": failures,
    }
    return rows, found


if __name__ == "__main__":
    main()
