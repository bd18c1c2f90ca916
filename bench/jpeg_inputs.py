"""JPEG files as sources: bytes saved at each quality of the source, compared with other programs.

    python -m bench jpeg_inputs                    JPEGs made by Pillow from scikit-image's photos
    python -m bench jpeg_inputs --images DIR       from a folder's pictures
    python -m bench jpeg_inputs --jpegs DIR        JPEG files, without their metadata

Every source is processed in three ways: repacked without loss (guetzpy transcode, mozjpeg, jpegoptim); by
guetzpy at a distance, from its own coefficients; decoded to pixels and encoded by jpegli and mozjpeg, in
4:4:4 and 4:2:0, to the same measured quality. The reference is always the source as decoded by libjpeg-turbo.
The curve of a peer joins the bytes and scores of its settings (bench/curves.py). Its bytes at guetzpy's score
are read from this curve, once by SSIMULACRA 2 and once by Butteraugli's 3-norm. For each file, the smallest
bytes of the four peers count.

If guetzpy repacks a source without loss because its own distance is large, "lossy" is the result of encoding
the decoded pixels at the requested distance.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import corpus, curves, peers
from bench.journal import Journal, add_argument, journal, over_processes
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.quality import Reference

QUALITIES = (97, 95, 90, 85, 75)
SAMPLINGS = {"444": 0, "420": 2}
DISTANCES = (0.7, 1.0, 1.4, 2.0)
COLUMNS = ("ssimulacra2", "butteraugli_3norm")


@dataclass(frozen=True)
class Task:
    """A JPEG file, and what is measured on it.

    Attributes
    ----------
    picture : Named
        A picture, or a JPEG file.
    quality, sampling : int and str, or None
        How Pillow encodes the picture; None: the picture is a JPEG file, which is used as it is.
    distances : tuple of float
        Distances at which guetzpy encodes the file.
    kinds : tuple of str
        Other encoders, which encode the decoded file.
    effort : str
        Effort of guetzpy.
    """

    picture: corpus.Named
    quality: int | None
    sampling: str | None
    distances: tuple[float, ...] = DISTANCES
    kinds: tuple[str, ...] = curves.BEST_OF_FOUR
    effort: str = "balanced"

    @property
    def group(self) -> str:
        return f"quality {self.quality}, {self.sampling}" if self.quality else "files as they are"

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.picture.name, self.quality, self.sampling, self.distances, self.kinds, self.effort)

    def source(self) -> bytes:
        if self.quality is None or self.sampling is None:
            assert self.picture.path is not None
            return bare(self.picture.path.read_bytes())
        subsampling = SAMPLINGS[self.sampling]
        return peers.by_pillow(self.picture.read(), "JPEG", quality=self.quality, subsampling=subsampling)


def bare(data: bytes) -> bytes:
    """Return a JPEG without metadata and trailing data, so that all programs start from the same bytes.

    JFIF and Adobe segments remain, because the decoded picture depends on them.
    """
    from guetzpy.jpeg.reader import read

    trailing = read(data).trailing
    data = data[: len(data) - len(trailing)]
    kept, position = [data[:2]], 2
    while data[position + 1] != 0xDA:
        if data[position + 1] == 0xFF:  # fill byte
            position += 1
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position + 1] in (0xE0, 0xEE) or not 0xE0 <= data[position + 1] <= 0xFE:
            kept.append(data[position:end])
        position = end
    return b"".join([*kept, data[position:]])


def attempt(task: Task) -> tuple[list[dict[str, Any]], str | None]:
    """Return the rows of :func:`measure` and None, or no rows and a description of the error."""
    try:
        return measure(task), None
    except Exception as error:  # users pass files of any kind
        return [], f"{task.picture.name}: {type(error).__name__}: {error}"


def measure(task: Task) -> list[dict[str, Any]]:
    """Return the results of one source, a row for each distance."""
    import guetzpy

    data = task.source()
    shown = peers.decode(data)
    reference = Reference(shown, COLUMNS, threads=1)
    common: dict[str, Any] = {"image": task.picture.name, "group": task.group, "source": len(data)}
    common["transcode"] = len(guetzpy.transcode(data, threads=1).data)
    for title, (repack, version) in peers.REPACKERS.items():
        if version():
            common[title] = len(repack(data))
    points = {kind: _points(kind, shown, reference) for kind in task.kinds}
    rows = []
    effort: Any = task.effort
    for distance in task.distances:
        result = guetzpy.optimize(data, distance=distance, effort=effort, threads=1)
        row = common | {"distance": distance, "status": result.status, "bytes": len(result.data)}
        if result.status == "optimized":
            again = guetzpy.optimize(result.data, distance=distance, effort=effort, threads=1)
            row["second_run_same"] = again.data == result.data
            row["lossy"] = len(result.data)
            scores = reference.scores(peers.decode(result.data))
        else:
            lossy = guetzpy.optimize(shown, distance=distance, effort=effort, threads=1, mark=False)
            row["lossy"] = len(lossy.data)
            scores = reference.scores(peers.decode(lossy.data))
        row |= scores
        for column in COLUMNS:
            best = _best_at(points, column, scores.get(column))
            if best is not None:
                row[f"peers_{column}"] = round(best)
        rows.append(row)
    return rows


def _points(kind: str, shown: corpus.Picture, reference: Reference) -> curves.Points:
    peer = peers.PEERS[kind]
    points: curves.Points = []
    for setting in peer.settings:
        data = peer.encode(shown, setting)
        points.append({"setting": setting, "bytes": float(len(data)), **reference.scores(peer.decode(data))})
    return points


def _best_at(points: dict[str, curves.Points], column: str, score: float | None) -> float | None:
    """Return the fewest bytes of the peers at a score, or None if no curve reaches it."""
    if score is None:
        return None
    found = []
    for rows in points.values():
        curve = curves.Curve([p for p in rows if column in p], column)
        at = curve.sign * score
        if curve.function is not None and curve.low <= at <= curve.high:
            found.append(float(np.exp(curve.function(at))))
    return min(found, default=None)


def summarise(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return totals by group and distance, in per cent of the source's bytes."""
    groups: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["group"], row["distance"]].append(row)
    result = []
    for (group, distance), members in groups.items():
        source = sum(m["source"] for m in members)

        def saved(key: str, members: list[dict[str, Any]] = members, source: int = source) -> float | None:
            if any(key not in m for m in members):
                return None
            return round(100 * (1 - float(sum(m[key] for m in members)) / source), 2)

        entry: dict[str, Any] = {
            "group": group,
            "distance": distance,
            "files": len(members),
            "lossy_files": sum(m["status"] == "optimized" for m in members),
            "saved": saved("bytes"),
            "saved_lossless": saved("transcode"),
            **{f"saved_{title}": saved(title) for title in peers.REPACKERS},
            "saved_lossy": saved("lossy"),
            "larger_than_repack": sum(m["bytes"] > m["transcode"] for m in members),
            "second_run_changed": sum(m.get("second_run_same") is False for m in members),
        }
        for column in COLUMNS:
            # Only files that guetzpy encoded anew, and only where a peer reaches the same score.
            pairs = [
                (m["bytes"], m[f"peers_{column}"])
                for m in members
                if m["status"] == "optimized" and f"peers_{column}" in m
            ]
            ours, theirs = (sum(p[i] for p in pairs) for i in (0, 1))
            entry[f"against_peers_{column}"] = round(100 * (ours / theirs - 1), 2) if pairs else None
        result.append(entry)
    return result


def report(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the report, in Markdown."""
    titles = [t for t in peers.REPACKERS if any(e[f"saved_{t}"] is not None for e in entries)]
    lossless = ["guetzpy", *(title.removesuffix(" lossless") for title in titles)]
    yield (
        "| source | distance | files (lossy) | saved | "
        + " | ".join(f"lossless: {title}" for title in lossless)
        + " | against best of peers at equal SSIMULACRA 2 | 3-norm |"
    )
    yield "|---" * (6 + len(lossless)) + "|"

    def cell(value: float | None, form: str = "{:.1f} %") -> str:
        return "" if value is None else form.format(value)

    for e in entries:
        cells = [e["group"], f"{e['distance']:g}", f"{e['files']} ({e['lossy_files']})", cell(e["saved"])]
        cells += [cell(e["saved_lossless"]), *(cell(e[f"saved_{title}"]) for title in titles)]
        cells += [cell(e[f"against_peers_{column}"], "{:+.1f} %") for column in COLUMNS]
        yield f"| {' | '.join(cells)} |"
    grown = sum(e["larger_than_repack"] for e in entries)
    changed = sum(e["second_run_changed"] for e in entries)
    yield f"\nfiles larger than the lossless repack: {grown}; files that a second run changed: {changed}"


def run(
    tasks: list[Task], jobs: int, kept: Journal, versions: dict[str, str]
) -> Iterator[tuple[Task, list[dict[str, Any]], str | None]]:
    """Measure sources on several processes; results of an earlier run come first."""
    code = [source_hash(), versions]
    left = []
    for task in tasks:
        known = kept.get(*task.key, code)
        if known is None:
            left.append(task)
        else:
            yield task, known, None
    for task, (rows, failure) in over_processes(attempt, left, jobs):
        if failure is None:
            kept.put(rows, *task.key, code)
        yield task, rows, failure


def main(arguments: list[str] | None = None) -> None:
    """Re-encode JPEG files."""
    parser = argparse.ArgumentParser(prog="python -m bench jpeg_inputs", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument("--jpegs", type=Path, metavar="DIR", help="JPEG files as they are")
    parser.add_argument("--qualities", default=",".join(map(str, QUALITIES)), metavar="A,B")
    parser.add_argument("--samplings", default=",".join(SAMPLINGS), metavar="A,B", help="444, 420")
    parser.add_argument("--distances", default=",".join(f"{d:g}" for d in DISTANCES), metavar="A,B")
    parser.add_argument("--effort", default="balanced", choices=["fast", "balanced", "max"])
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="sources at the same time")
    parser.add_argument("--name", default="jpeg_inputs", help="name of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of that file")
    add_argument(parser)
    options = parser.parse_args(arguments)
    here, missing = peers.available(list(curves.BEST_OF_FOUR))
    repackers = {title: version() for title, (_, version) in peers.REPACKERS.items()}
    missing += [title for title, version in repackers.items() if not version]
    distances = tuple(float(d) for d in options.distances.split(","))
    sources: list[tuple[int | None, str | None]] = [(None, None)]
    if options.jpegs:
        found = corpus.pictures(options.jpegs, options.limit, options.match)
        named = [n for n in found if n.path and n.path.suffix.lower() in (".jpg", ".jpeg")]
    else:
        named = corpus.chosen(options)
        sources = [(int(q), s) for q in options.qualities.split(",") for s in options.samplings.split(",")]
    tasks = [Task(n, q, s, distances, tuple(here), options.effort) for q, s in sources for n in named]
    versions = peers.versions(here) | {title: str(v) for title, v in repackers.items() if v}
    kept = journal(options)
    made: dict[Task, list[dict[str, Any]]] = {}
    failures = []
    for number, (task, rows_of, failure) in enumerate(run(tasks, options.jobs, kept, versions), start=1):
        made[task] = rows_of
        failures += [failure] if failure else []
        print(f"{number}/{len(tasks)} {task.group}: {task.picture.name}", file=sys.stderr, flush=True)
    rows = [row for task in tasks for row in made[task]]
    entries = summarise(rows)
    result = provenance(
        part="jpeg_inputs", peers=versions, missing=missing, failures=failures, summary=entries, rows=rows
    )
    write(options.name, result, options.output)
    kept.finish()
    print("\n".join(report(entries)))
    for title in missing:
        print(f"missing: {title}", file=sys.stderr)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)


if __name__ == "__main__":
    main()
