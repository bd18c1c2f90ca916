"""Start-up times: from the shell's prompt to help, to an import, and to the first small file.

    python -m bench start                                everything; some minutes, most of them compiling
    python -m bench start --measures help,import,warm    measures that do not compile
    python -m bench start --phases                       also the steps of a warm start

Every figure is the wall time of a process of its own. The measures take turns over several rounds; the least
and the median are reported. A copy of the package without compiled kernels is measured: "cold" with an empty
kernel cache, "warm" with a filled one. "wheel" has an empty cache, and the kernels of a wheel. Python's own
bytecode exists in all of them, as after pip install. The photo is tests/data/coffee.jpg, 0.24 megapixels.
Measures that are not run keep their figures from an earlier result, with their date and commit.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import guetzpy
from bench.provenance import RESULTS, provenance, write

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "tests" / "data" / "coffee.jpg"
PAGE = ROOT / "docs" / "limits.md"
BEGIN, END = "<!-- start: begin (written by bench) -->", "<!-- start: end -->"

_CLI = [sys.executable, "-m", "guetzpy"]
_OPTIMIZE = [*_CLI, "optimize", str(PHOTO), "-o", os.devnull, "--quiet"]

#: Name -> description, command, whether the kernel cache is emptied before, largest allowed seconds.
MEASURES: dict[str, tuple[str, list[str], bool, float | None]] = {
    "python": ("python -c pass", [sys.executable, "-c", "pass"], False, None),
    "help": ("guetzpy --help", [*_CLI, "--help"], False, 0.3),
    "import": ("import guetzpy", [sys.executable, "-c", "import guetzpy"], False, 0.1),
    "warm": ("guetzpy optimize, warm cache", _OPTIMIZE, False, 1.5),
    "transcode": ("guetzpy transcode, warm cache", [*_CLI, "transcode", *_OPTIMIZE[4:]], False, None),
    "cold": ("guetzpy optimize, empty cache", _OPTIMIZE, True, 25.0),
    "wheel": ("guetzpy optimize, empty cache, kernels of the wheel", _OPTIMIZE, True, 3.0),
    "warmup": ("guetzpy warmup, empty cache", [*_CLI, "warmup"], True, None),
}

#: Code of a measured process: prints the seconds of each step of a warm ``optimize``.
_PHASES = """
import gc, json, sys, time
marks = [("", time.perf_counter())]
def mark(name):
    marks.append((name, time.perf_counter()))
gc.set_threshold(100_000, 50, 100)
import guetzpy.cli
mark("import typer")
import numpy
mark("import numpy")
import numba
mark("import numba")
from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import kernel_cache
_jit.import_kernels()
mark("import guetzpy's kernels")
from guetzpy import api, options
from guetzpy.engine import optimize as reencode, source
mark("import the rest of guetzpy and Pillow")
used = []
load = kernel_cache.KernelCache.load_overload
def counted(self, *arguments):
    started = time.perf_counter()
    found = load(self, *arguments)
    used.append(time.perf_counter() - started)
    return found
kernel_cache.KernelCache.load_overload = counted
data = open(sys.argv[1], "rb").read()
api.run(data, options.OptimizeOptions())
mark("first picture")
api.run(data, options.OptimizeOptions())
mark("second picture")
seconds = {name: end - begin for (_, begin), (name, end) in zip(marks, marks[1:])}
first, second = seconds.pop("first picture"), seconds.pop("second picture")
seconds["load numba's first kernel, with its own set-up"] = used[0]
seconds[f"load {len(used) - 1} more kernels"] = sum(used[1:])
seconds["other work of the first picture only"] = first - second - sum(used)
seconds["search and verification"] = second
json.dump(seconds, sys.stdout)
"""


#: The folder of this package. An editable installation has compiled kernels in it.
SITE = Path(guetzpy.__file__).parents[1]


def environment(cache: str, site: Path) -> dict[str, str]:
    """Return the environment of a measured process: this code, the given cache, and cached bytecode."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(site)}


def seconds(command: list[str], cache: str, site: Path) -> float:
    """Return the wall time of a process."""
    started = time.perf_counter()
    # Python's -m looks for the package in the working folder first.
    subprocess.run(command, env=environment(cache, site), cwd=site, check=True, capture_output=True)
    return time.perf_counter() - started


def install_wheel(folder: str) -> None:
    """Build a wheel of this code and install it into a folder."""
    options = ["-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--target", folder]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(SITE)], check=True)


def copy_without_kernels(folder: Path) -> None:
    """Copy the package into a folder, with bytecode."""
    shutil.copytree(SITE / "guetzpy", folder / "guetzpy", ignore=shutil.ignore_patterns("_kernels"))
    compileall.compile_dir(folder, quiet=2)


def measure(
    names: list[str], rounds: int, cold_rounds: int, warm_cache: str, bare: Path, wheel: Path
) -> dict[str, Any]:
    """Run measures in turns; return description, limit, least and median seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(max(rounds, cold_rounds)):
        for name in names:
            _, command, cold, _ = MEASURES[name]
            if number >= (cold_rounds if cold else rounds):
                continue
            if cold:
                with tempfile.TemporaryDirectory() as empty:
                    times[name].append(seconds(command, empty, wheel if name == "wheel" else bare))
            else:
                times[name].append(seconds(command, warm_cache, bare))
    return {
        name: {
            "what": MEASURES[name][0],
            "limit": MEASURES[name][3],
            "rounds": len(found),
            "least": round(min(found), 3),
            "median": round(median(found), 3),
        }
        for name, found in times.items()
        if found
    }


def phases(rounds: int, warm_cache: str, site: Path) -> dict[str, float]:
    """Return the median seconds of each step of a warm start, in order."""
    command = [sys.executable, "-c", _PHASES, str(PHOTO)]
    runs = []
    for _ in range(rounds):
        done = subprocess.run(command, env=environment(warm_cache, site), check=True, stdout=subprocess.PIPE)
        runs.append(json.loads(done.stdout))
    return {name: round(median(run[name] for run in runs), 3) for name in runs[0]}


def report(result: dict[str, Any]) -> Iterator[str]:
    """Yield the tables of a result."""
    yield "| start | least, s | median, s | limit, s |"
    yield "|---|---|---|---|"
    for found in result["measures"].values():
        limit = "" if found["limit"] is None else f"{found['limit']:g}"
        yield f"| {found['what']} | {found['least']:.2f} | {found['median']:.2f} | {limit} |"
    if "phases" in result:
        yield ""
        yield "| a warm start | s |"
        yield "|---|---|"
        for name, took in result["phases"].items():
            yield f"| {name} | {took:.3f} |"


def with_table(page: str, result: dict[str, Any]) -> str:
    """Return a page with the table of start-up times replaced between its markers."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} ... {END}")
    lines = ["Seconds, each in a process of its own, the photo of 0.24 megapixels:", ""]
    lines += ["| | least | median |", "|---|---|---|"]
    lines += [
        f"| {row['what']} | {row['least']:.2f} | {row['median']:.2f} |" for row in result["measures"].values()
    ]
    machine = result["machine"]
    origin = f"`python -m bench start`, {result['date']}, {machine['processor']}, {machine['cores']} cores"
    return "\n".join([head + begin, *lines, "", f"<sub>{origin}</sub>", end + tail])


def main(arguments: list[str] | None = None) -> None:
    """Measure starts."""
    parser = argparse.ArgumentParser(
        prog="python -m bench start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--measures", default=",".join(MEASURES), metavar="A,B", help=", ".join(MEASURES))
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds of warm measures")
    parser.add_argument("--cold-rounds", type=int, default=2, metavar="N", help="rounds of cold measures")
    parser.add_argument("--phases", action="store_true", help="measure the steps of a warm start too")
    parser.add_argument("--cache", metavar="DIR", help="a filled kernel cache; default: one is filled first")
    parser.add_argument("--name", default="start", help="name of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of that file")
    options = parser.parse_args(arguments)
    names = [name for name in options.measures.split(",") if name]
    for name in names:
        if name not in MEASURES:
            parser.error(f"{name}: expected some of {', '.join(MEASURES)}")
    result = provenance(part="start", photo=PHOTO.name)
    path = options.output / f"{options.name}.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        bare, wheel = Path(folder, "bare"), Path(folder, "wheel")
        cache = options.cache or str(Path(folder, "cache"))
        copy_without_kernels(bare)
        if "wheel" in names:
            install_wheel(str(wheel))
        if options.phases or any(not MEASURES[name][2] for name in names):
            seconds(_OPTIMIZE, cache, bare)  # fills the kernel cache and the system's file cache
        stamp = {"date": result["date"], "commit": result["commit"]}
        found = measure(names, options.rounds, options.cold_rounds, cache, bare, wheel)
        found = before.get("measures", {}) | {name: row | stamp for name, row in found.items()}
        result["measures"] = {name: found[name] for name in MEASURES if name in found}
        if options.phases:
            result["phases"] = phases(max(3, options.rounds // 2), cache, bare)
        elif "phases" in before:
            result["phases"] = before["phases"]
    write(options.name, result, options.output)
    if options.output == RESULTS and options.name == "start":
        PAGE.write_text(with_table(PAGE.read_text(), result))
    print("\n".join(report(result)))


if __name__ == "__main__":
    main()
