"""Whether the constants of ``guetzpy.search.calibration`` are well chosen, and whether they matter.

    python -m bench constants --images DIR --limit 12 --jobs 2

Every picture is encoded at every distance with all constants as they are. Then, for each constant, it is
encoded with a smaller and with a larger value of this constant alone. The curves are compared as in
``levers``: a figure above 0 is how many per cent more bytes the other value takes at equal quality. The table
also gives the standard error of the mean, and the evaluations that a file takes. An evaluation of sample
tiles counts by their share of the picture's pixels.

A constant is well chosen if no other value saves bytes by SSIMULACRA 2 and by the 3-norm, beyond the error of
the mean, at the same number of evaluations. It does not matter if both other values change the bytes by less
than 0.1 % and the evaluations by less than 1 %.

Pictures of less than 0.46 megapixels do not use sample tiles: the constants of tiles need larger pictures.

Writes NAME.json and prints the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest import mock

from bench import corpus
from bench.journal import add_argument, journal, resumed
from bench.kinds import OURS
from bench.levers import RANGES, Mean, difference, shown
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.quality import COLUMNS
from bench.rate_distortion import Table, Work, measure, tabled

#: Name of the points that are measured with all constants as they are.
USUAL = "as they are"
#: Each constant is multiplied by these factors, one at a time.
FACTORS = 0.6, 1.6
DISTANCES = (0.7, 1.0, 1.5, 2.2)
#: Least change of bytes, in per cent, and of evaluations, as a share, for which a constant matters.
BYTES, EVALUATIONS = 0.1, 0.01


def scaled(value: Any, factor: float) -> Any:
    """Return a number, or each number of a tuple, times a factor; integers stay integers."""
    if isinstance(value, tuple):
        return tuple(scaled(item, factor) for item in value)
    return type(value)(round(value * factor) if isinstance(value, int) else value * factor)


def constants() -> dict[str, Any]:
    """Return the value of each constant by its name; those of a metric are called METRIC.FIELD."""
    from guetzpy.search import calibration

    found = {
        name: value for name, value in vars(calibration).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, (int, float, tuple))
    }  # fmt: skip
    for metric, steering in calibration._STEERING.items():
        for field in fields(steering):
            value = getattr(steering, field.name)
            guide = field.name == "guide_share"
            if guide == (metric == "cvvdp") and (guide or metric != "cvvdp") and scaled(value, 2) != value:
                found[f"{metric}.{field.name}"] = value
    return found


def change(stack: ExitStack, name: str, value: Any) -> None:
    """Give a constant another value in all modules of the search."""
    from guetzpy.search import calibration

    metric, _, field = name.rpartition(".")
    if metric:
        own: Any = replace(calibration._STEERING[metric], **{field: value})
        stack.enter_context(mock.patch.dict(calibration._STEERING, {metric: own}))
        return
    for module in [m for n, m in sys.modules.items() if n.startswith("guetzpy.search")]:
        if name in vars(module):
            stack.enter_context(mock.patch.object(module, name, value))


def others(only: str | None = None) -> list[tuple[str, float]]:
    """Return pairs of a constant's name and a factor that changes it.

    If ``only`` is given, they are for the constants whose names begin with it.
    """
    return [(name, f) for name, value in constants().items() if name.startswith(only or "") for f in FACTORS
            if scaled(value, f) != value]  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """A picture, and the constant that has another value; "" for none."""

    work: Work
    constant: str = ""
    factor: float = 1.0

    @property
    def kind(self) -> str:
        return f"{self.constant} x {self.factor:g}" if self.constant else USUAL

    @property
    def key(self) -> tuple[Any, ...]:
        """Everything that the points depend on."""
        return (*self.work.key, self.kind, source_hash())


@dataclass
class Done:
    """Points of a picture, and the mean number of evaluations of a file, as :func:`counted` counts them."""

    rows: list[dict[str, Any]]
    failures: list[str]
    evaluations: float


@contextmanager
def counted(pixels: int) -> Iterator[Callable[[], float]]:
    """Yield a function that returns the number of evaluations so far, for a picture of ``pixels`` pixels.

    The number is the pixels of all scores, divided by those of one evaluation. An evaluation scores the whole
    picture twice, because two metrics have limits.
    """
    from guetzpy.search.quality.judge import Judge

    samples, original = 0, Judge.score

    def score(self: Judge, number: int, codes: Any) -> Any:
        nonlocal samples
        samples += codes[0].size
        return original(self, number, codes)

    with mock.patch.object(Judge, "score", score):
        yield lambda: samples / (2 * pixels)


def measure_with(unit: Unit) -> Done:
    """Measure a picture as ``rate_distortion`` does, with another value of a constant."""
    import guetzpy.search.selection  # noqa: F401 (the modules that are changed)

    with ExitStack() as stack:
        if unit.constant:
            value = scaled(constants()[unit.constant], unit.factor)
            change(stack, unit.constant, value)
        evaluations = stack.enter_context(counted(unit.work.picture.read()[..., 0].size))
        done = measure(unit.work)
        each = evaluations() / len(unit.work.settings)
    for row in done.rows:
        row["kind"] = unit.kind
    return Done(done.rows, done.failures, each)


def matters(costs: list[dict[str, Mean]], evaluations: list[float], usual: float) -> bool:
    """Return whether a constant matters: whether one of its other values changes a figure enough.

    A figure changes enough if the bytes by some metric change by BYTES per cent or more, or the evaluations
    by the share EVALUATIONS or more.
    """
    bytes_change = any(abs(mean) >= BYTES for found in costs for mean, _ in found.values())
    return bytes_change or any(abs(e / usual - 1) >= EVALUATIONS for e in evaluations)


def summarise(table: Table, evaluations: dict[str, list[float]]) -> dict[str, Any]:
    """Return, by constant: its value, the cost of each factor, evaluations, and whether it matters."""
    usual = fmean(evaluations[USUAL])
    summary: dict[str, Any] = {}
    for name, value in constants().items():
        kinds = {f: f"{name} x {f:g}" for f in FACTORS if f"{name} x {f:g}" in evaluations}
        if not kinds:
            continue
        costs = {
            f: {of: c for of in RANGES if (c := difference(table, kind, USUAL, of))}
            for f, kind in kinds.items()
        }
        counts = {f: round(fmean(evaluations[kind]), 3) for f, kind in kinds.items()}
        summary[name] = {
            "value": value, "costs": costs, "evaluations": counts,
            "matters": matters(list(costs.values()), list(counts.values()), usual),
        }  # fmt: skip
    return {"evaluations": round(usual, 3), "constants": summary}


def report(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    found = summary["constants"]
    names = [of for of in RANGES if any(of in c for row in found.values() for c in row["costs"].values())]
    yield f"| constant | value | times | {' | '.join(names)} | evaluations ({summary['evaluations']}) |"
    yield "|---" * (len(names) + 4) + "|"
    for name, row in found.items():
        for factor, costs in row["costs"].items():
            cells = [shown(costs[of], 2) if of in costs else "" for of in names]
            words = "" if row["matters"] else " (does not matter)"
            yield (
                f"| {name}{words} | {row['value']} | {factor:g} | {' | '.join(cells)} | "
                f"{row['evaluations'][factor]} |"
            )


def main(arguments: list[str] | None = None) -> None:
    """Measure what other values of the search's constants cost."""
    parser = argparse.ArgumentParser(prog="python -m bench constants", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument("--name", default="constants", help="name of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of this file")
    parser.add_argument("--only", metavar="NAME", help="only constants whose names begin with NAME")
    parser.add_argument("--kind", default="guetzpy", choices=list(OURS), help="the effort")
    parser.add_argument("--distances", default=",".join(f"{d:g}" for d in DISTANCES), metavar="A,B")
    parser.add_argument("--columns", default=",".join(COLUMNS), metavar="A,B", help="metrics")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="pictures at the same time")
    add_argument(parser)
    options = parser.parse_args(arguments)
    distances = tuple(float(d) for d in options.distances.split(","))
    columns = tuple(options.columns.split(","))
    works = [Work(picture, options.kind, distances, columns) for picture in corpus.chosen(options)]
    changes = [("", 1.0), *others(options.only)]
    kept = journal(options)
    units = [Unit(work, *changed) for work in works for changed in changes]
    done = []
    for unit, found in resumed(measure_with, units, options.jobs, kept, Done):
        done.append((unit, found))
        name = unit.work.picture.name
        print(f"{len(done)}/{len(units)} {name}: {unit.kind}", file=sys.stderr, flush=True)
    failures = [line for _, found in done for line in found.failures]
    evaluations: dict[str, list[float]] = {}
    for unit, found in done:
        evaluations.setdefault(unit.kind, []).append(found.evaluations)
    summary = summarise(tabled(row for _, found in done for row in found.rows), evaluations)
    result = provenance(
        part="constants", images=len(works), kind=options.kind, distances=list(distances), **summary,
        failures=failures,
    )  # fmt: skip
    print(f"wrote {write(options.name, result, options.output).name}", file=sys.stderr)
    kept.finish()
    print("\n".join(report(summary)))
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
