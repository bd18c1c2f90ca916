"""Folders on several processes: the speed-up, and the difference of a total in bytes from its limit.

    python -m bench batch_speedup [--images DIR] [--files 20] [--megapixels 1] [--jobs 2] [--rounds 3]
    python -m bench batch_speedup --total-bpp 0.5,1.0 --files 40 --megapixels 0.25

Photos are cut from the corpus to one size (with --megapixels 0 they keep their size). The speed-up is the
wall time of ``-j 1 -t 1`` divided by that of ``-j N``, which includes the start-up of the workers; kernels
are compiled before. The two commands take turns, and the median of the ratios of all rounds is reported.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

import guetzpy
from bench import corpus
from bench.provenance import provenance, write
from guetzpy import OptimizeOptions, batch


def photos(folder: Path, named: list[corpus.Named], files: int, megapixels: float) -> None:
    """Write ``files`` PNG files, each from another part of the corpus."""
    for i in range(files):
        turned = named[i % len(named) :] + named[: i % len(named)]
        picture = corpus.of_size(turned, megapixels) if megapixels else named[i % len(named)].read()
        Image.fromarray(picture[:, ::-1] if i >= len(named) else picture).save(folder / f"{i:03}.png")


def seconds(source: Path, options: OptimizeOptions, jobs: int) -> float:
    """Return the wall time of one run, in seconds, until all outputs are written."""
    out = Path(tempfile.mkdtemp())
    try:
        started = time.perf_counter()
        failed = [r for r in batch.run(source, out, options, jobs=jobs) if r.status == "failed"]
        took = time.perf_counter() - started
    finally:
        shutil.rmtree(out)
    if failed:
        raise SystemExit(f"{failed[0].input}: {failed[0].error}")
    return took


def speed_up(source: Path, effort: Any, jobs: int, rounds: int) -> dict[str, Any]:
    """Time one process and several processes, in turns."""
    options = OptimizeOptions(effort=effort, threads=1)
    times = []
    for number in range(rounds):
        one, many = (seconds(source, options, count) for count in (1, jobs))
        times.append({"one": round(one, 2), "many": round(many, 2), "ratio": round(one / many, 3)})
        print(
            f"round {number + 1}: -j 1 {one:.1f} s, -j {jobs} {many:.1f} s, {one / many:.2f} times",
            flush=True,
        )
    ratio = median(row["ratio"] for row in times)
    print(f"-j {jobs}: {ratio:.2f} times as fast as -j 1 -t 1 ({effort}, median of {rounds})")
    return {"jobs": jobs, "effort": effort, "rounds": times, "ratio": ratio}


def totals(source: Path, effort: Any, jobs: int, budgets: list[float]) -> list[dict[str, Any]]:
    """Fit the set into each budget, once with one distance for all files, once with equal slopes."""
    rows = []
    for bits in budgets:
        for free in (False, True):
            out = Path(tempfile.mkdtemp())
            options = OptimizeOptions(effort=effort)
            run = batch.run(source, out, options, jobs=jobs, total_bpp=bits, equal_slope=free)
            results = list(run)
            assert run.fit is not None
            written = sum(path.stat().st_size for path in out.rglob("*.jpg"))
            shutil.rmtree(out)
            area = sum((r.width or 0) * (r.height or 0) for r in results)
            mean = sum((r.distance or 0.0) * (r.width or 0) * (r.height or 0) for r in results) / max(1, area)
            row = {
                "bpp": bits,
                "equal_slope": free,
                "files": len(results),
                "limit": run.fit.limit,
                "bytes": written,
                "unused_percent": round(100 * (1 - written / run.fit.limit), 3),
                "distance": run.fit.distance,
                "mean_distance_by_pixels": round(mean, 4),
                "encodes_per_file": run.fit.encodes,
            }
            print(
                f"{bits:g} bpp{', equal slope' if free else ''}: {written} of {run.fit.limit} bytes, "
                f"{row['unused_percent']:.2f} % unused, distance {run.fit.distance:g}, "
                f"mean reached {mean:.3f}, {run.fit.encodes:.3g} encodes a file",
                flush=True,
            )
            rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure folder runs."""
    parser = argparse.ArgumentParser(
        prog="bench batch_speedup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    corpus.add_arguments(parser)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--megapixels", type=float, default=1.0, help="size of each file; 0: unchanged")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--effort", default="balanced", choices=("fast", "balanced", "max"))
    parser.add_argument("--total-bpp", metavar="A,B", help="no times: fit the set into A, B bits per pixel")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the result; default: bench/results"
    )
    asked = parser.parse_args(arguments)
    guetzpy.warmup()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        photos(source, corpus.chosen(asked), asked.files, asked.megapixels)
        made = {"files": asked.files, "megapixels": asked.megapixels}
        if asked.total_bpp:
            budgets = [float(part) for part in asked.total_bpp.split(",")]
            rows = totals(source, asked.effort, asked.jobs, budgets)
            path = write(
                "batch_totals", {**provenance(part="batch_speedup", **made), "totals": rows}, asked.out
            )
        else:
            measured = speed_up(source, asked.effort, asked.jobs, asked.rounds)
            path = write("batch_speedup", {**provenance(part="batch_speedup", **made), **measured}, asked.out)
    print(path)


if __name__ == "__main__":
    main()
