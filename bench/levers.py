"""What each part of the search (a lever) saves: bytes without it and with it, at equal quality.

    python -m bench levers --images DIR --limit 8 --jobs 2

Every picture is encoded at every distance with all levers on, and once more for each lever, with that lever
alone off. The curves are compared as in ``rate_distortion``; the base line is the whole search instead of
other encoders. A figure above 0 is what the lever saves by that metric. Figures of single pictures vary by
some per cent, so the table also gives the standard error of each mean.

Writes NAME.json, and the points as NAME.csv, and prints a table for docs/results.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from unittest import mock

from bench import corpus, curves
from bench.journal import Journal, add_argument, journal, resumed
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.quality import COLUMNS
from bench.rate_distortion import Done, Table, Work, measure, tabled, write_points

ON = "all on"
#: At least four distances, for curves.
DISTANCES = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
#: Ranges of scores in the table, at most one of each metric.
RANGES = (
    "SSIMULACRA 2, 50-92",
    "Butteraugli 3-norm, 0.35-2.0",
    "Butteraugli max",
    "CVVDP",
    "IW-SSIM",
    "MS-SSIM, luma",
    "HaarPSI",
    "PSNR",
)


def _no_weights(stack: ExitStack) -> None:
    from guetzpy.search import closed_loop
    from guetzpy.search.quality.weighting import reweigh

    def flat(source: Any, *rest: Any) -> Any:
        made = reweigh(source, *rest)
        return replace(source.flat_weights(), shifts=made.shifts)

    stack.enter_context(mock.patch.object(closed_loop, "reweigh", flat))


def _no_shifts(stack: ExitStack) -> None:
    from guetzpy.search import closed_loop
    from guetzpy.search.quality.weighting import reweigh

    def still(*rest: Any) -> Any:
        return replace(reweigh(*rest), shifts=())

    stack.enter_context(mock.patch.object(closed_loop, "reweigh", still))


def _no_compensation(stack: ExitStack) -> None:
    from guetzpy.search.coding.tables import TableFamily

    stack.enter_context(mock.patch.object(TableFamily, "compensation", return_value=0.0))


def _no_guide(stack: ExitStack) -> None:
    from guetzpy.metrics import registry

    metrics = {name: m for name, m in registry._metrics.items() if m.limit_at(1.0) is not None}
    stack.enter_context(mock.patch.dict(registry._metrics, metrics, clear=True))


def _jpegli_tables(stack: ExitStack) -> None:
    from guetzpy.search.coding import tables

    ones = tables._FITTED * 0 + 1
    stack.enter_context(mock.patch.object(tables, "_FITTED", ones))
    stack.enter_context(mock.patch.object(tables, "_CHROMA_LAMBDA", 1.0))


def _rounding(stack: ExitStack) -> None:
    from guetzpy.search.coding.settings import EncodeSettings

    def free(settings: EncodeSettings, components: int, subsampled: bool) -> tuple[float, ...]:
        return (0.0,) * components

    stack.enter_context(mock.patch.object(EncodeSettings, "lagrangians", free))


def _444(stack: ExitStack) -> None:
    from guetzpy.search import candidates

    def full(options: Any, planes: int) -> list[tuple[int, int]]:
        return [(1, 1)]

    stack.enter_context(mock.patch.object(candidates, "samplings", full))


#: For each lever, by its name: the function that turns it off.
LEVERS: dict[str, Callable[[ExitStack], None]] = {
    "weights of blocks and frequencies": _no_weights,
    "shifts": _no_shifts,
    "compensation": _no_compensation,
    "CVVDP's gradient": _no_guide,
    "fitted tables (off: jpegli's)": _jpegli_tables,
    "trellis (off: rounding)": _rounding,
    "4:2:0 (off: 4:4:4 always)": _444,
}


@dataclass(frozen=True)
class Unit:
    """A picture, and the lever that is off; "" for none."""

    work: Work
    lever: str = ""

    @property
    def key(self) -> tuple[Any, ...]:
        """Everything that the points depend on."""
        return (*self.work.key, self.lever, source_hash())


def measure_without(unit: Unit) -> Done:
    """Measure a picture as ``rate_distortion`` does, with a lever off."""
    with ExitStack() as stack:
        if unit.lever:
            LEVERS[unit.lever](stack)
        done = measure(unit.work)
    for row in done.rows:
        row["kind"] = unit.lever or ON
    return done


#: A mean over pictures, and its standard error; None for a single picture.
Mean = tuple[float, float | None]


def difference(table: Table, kind: str, usual: str, of: str) -> Mean | None:
    """Return the bytes of a kind over those of the usual one at equal quality, in per cent.

    Parameters
    ----------
    table : dict
        Points by picture and kind.
    kind, usual : str
        The two kinds.
    of : str
        A range of :data:`bench.curves.RANGES`.

    Returns
    -------
    tuple or None
        The mean over the pictures and its standard error; None if no picture has both curves.
    """
    metric, low, high = curves.RANGES[of]
    logs = []
    for kinds in table.values():
        other, own = ([p for p in kinds.get(k, []) if metric in p] for k in (kind, usual))
        if min(len(other), len(own)) < 2:
            continue
        found = curves.difference(other, [own], metric, low, high)
        if found is not None:
            logs.append(found)
    if not logs:
        return None
    error = round(100 * stdev(logs) / len(logs) ** 0.5, 2) if len(logs) > 1 else None
    return round(curves.per_cent(fmean(logs)), 2), error


def shown(found: Mean, digits: int) -> str:
    """Return a mean and its error as text, in per cent."""
    mean, error = found
    return f"{mean:+.{digits}f} %" if error is None else f"{mean:+.{digits}f} ± {error:.{digits}f} %"


def summarise(table: Table, levers: Sequence[str]) -> dict[str, dict[str, Mean]]:
    """Return, by lever and range of scores, the bytes that the lever saves, in per cent, with their error."""
    return {
        lever: {of: found for of in RANGES if (found := difference(table, lever, ON, of)) is not None}
        for lever in levers
    }


def report(summary: dict[str, dict[str, Mean]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    names = [of for of in RANGES if any(of in found for found in summary.values())]
    yield "| more bytes without | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for lever, found in summary.items():
        cells = [shown(found[of], 1) if of in found else "" for of in names]
        yield f"| {lever} | " + " | ".join(cells) + " |"


def main(arguments: list[str] | None = None) -> None:
    """Measure how many bytes each part of the search (lever) saves at equal quality, by each metric."""
    parser = argparse.ArgumentParser(prog="python -m bench levers", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument("--name", default="levers", help="name of the files that are written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of these files")
    words = ", ".join(f"{n}: {lever}" for n, lever in enumerate(LEVERS, start=1))
    parser.add_argument("--levers", metavar="N,M", help=f"only some of them, by number ({words})")
    parser.add_argument("--distances", default=",".join(f"{d:g}" for d in DISTANCES), metavar="A,B")
    parser.add_argument("--columns", default=",".join(COLUMNS), metavar="A,B", help="metrics")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="pictures at the same time")
    add_argument(parser)
    options = parser.parse_args(arguments)
    levers = list(LEVERS)
    if options.levers:
        try:
            levers = [levers[int(n) - 1] for n in options.levers.split(",") if int(n) > 0]
        except (ValueError, IndexError):
            parser.error(f"--levers {options.levers}: expected numbers from 1 to {len(LEVERS)}")
    distances = tuple(float(d) for d in options.distances.split(","))
    columns = tuple(options.columns.split(","))
    works = [Work(picture, "guetzpy", distances, columns) for picture in corpus.chosen(options)]
    kept = journal(options)
    rows, failures = _measured(
        [Unit(work, lever) for work in works for lever in ("", *levers)], options, kept
    )
    write_points(options.output / f"{options.name}.csv", rows)
    summary = summarise(tabled(rows), levers)
    result = provenance(
        part="levers", images=len(works), distances=list(distances), summary=summary, failures=failures
    )
    print(f"wrote {write(options.name, result, options.output).name}", file=sys.stderr)
    kept.finish()
    print("\n".join(report(summary)))
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)


def _measured(
    units: list[Unit], options: argparse.Namespace, kept: Journal
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return rows and failures of all units; units of an earlier run come from the journal."""
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    found = resumed(measure_without, units, options.jobs, kept, Done)
    for number, (unit, done) in enumerate(found, start=1):
        rows += done.rows
        failures += done.failures
        name = unit.work.picture.name
        print(f"{number}/{len(units)} {name}: without {unit.lever or 'nothing'}", file=sys.stderr, flush=True)
    return rows, failures


if __name__ == "__main__":
    main()
