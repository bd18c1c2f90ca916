"""Time and memory: guetzpy compared with other encoders, and guetzpy's time by module.

    python -m bench speed                          everything but guetzli, on scikit-image's photos
    python -m bench speed --parts encode,growth    some parts of it
    python -m bench speed --peers guetzpy,moz444,guetzli --megapixels 0.4

Every figure is from a process of its own. The process is warm unless said otherwise: kernels are loaded, a
small picture has been encoded, and the median of three calls is taken. Encoders take turns over several
rounds, and the median of the rounds is reported. Ratios within one run are more reliable than the figures.
Memory is the peak of the process while it encodes; the memory before encoding is given in brackets.
Pictures of any size are tiled from the corpus and its mirror images, without scaling.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from bench import corpus, peers
from bench.journal import Journal, add_argument, journal
from bench.kinds import OURS, title
from bench.provenance import RESULTS, package, provenance, source_hash, write

#: Settings of about equal quality: for each encoder, the one that corresponds to distance 1.
SETTINGS = {
    **dict.fromkeys(OURS, 1.0),
    "jpegli444": 1.0,
    "jpegli420": 0.8,
    "moz444": 91,
    "moz420": 93,
    "turbo444": 91,
    "turbo420": 94,
    "pillow": 94,
    "guetzli": 95,
    "webp": 92,
    "avif": 80,
    "jxl": 1.0,
    "hevc": 60,
}

PARTS = ("encode", "threads", "growth", "stages", "metrics")
GROWTH = (0.25, 1.0, 2.0, 4.0, 12.0, 24.0, 50.0)


# --- the worker: one encoder and one picture in a process of its own


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Encode a picture several times; return seconds and peak memory.

    ``order``: kind, setting, megapixels, images, match, threads, repeats.
    """
    picture = _picture(order)
    encode = encoder(order["kind"], order["setting"], order.get("threads"))
    if order["kind"] in OURS or not peers.PEERS[order["kind"]].slow:
        encode(np.ascontiguousarray(picture[:256, :384]))
    loaded = _memory("VmRSS")
    _reset_peak()
    seconds = []
    # guetzpy starts no programs. Watching for them as often as this does slowed a fast call by an eighth.
    with _ChildrenPeak(watching=order["kind"] not in OURS) as children:
        for _ in range(order.get("repeats", 1)):
            started = time.perf_counter()
            data = encode(picture)
            seconds.append(time.perf_counter() - started)
    return {
        "seconds": round(median(seconds), 4),
        "megapixels": round(picture[..., 0].size / 1e6, 3),
        "bytes": len(data),
        "peak_mb": children.peak if children.peak else _memory("VmHWM"),
        "loaded_mb": 0 if children.peak else loaded,
    }


def encoder(kind: str, setting: float, threads: int | None = None) -> Callable[[corpus.Picture], bytes]:
    """Return a function from picture to bytes."""
    if kind in OURS:
        import guetzpy

        guetzpy.warmup()
        effort: Any = OURS[kind]
        return lambda picture: (
            guetzpy.optimize(picture, distance=setting, effort=effort, threads=threads).data
        )
    return lambda picture: peers.PEERS[kind].encode(picture, setting)


def profile(order: dict[str, Any]) -> dict[str, Any]:
    """Return seconds by module of guetzpy, on one thread; the time of libraries is added to their callers."""
    import cProfile
    import pstats

    picture = _picture(order)
    encode = encoder(order["kind"], order["setting"], 1)
    encode(np.ascontiguousarray(picture[:256, :384]))
    profiler = cProfile.Profile()
    profiler.runcall(encode, picture)
    stats: Any = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    seconds: dict[str, float] = defaultdict(float)
    for function, (_, _, own, _, callers) in stats.items():
        for module, share in _owners(function, callers, stats).items():
            seconds[module] += own * share
    return {"seconds": {m: round(s, 4) for m, s in sorted(seconds.items(), key=lambda item: -item[1])}}


def _owners(function: Any, callers: Any, stats: Any, depth: int = 12) -> dict[str, float]:
    """Return the modules of guetzpy that called a function, with shares that sum to 1."""
    path = Path(function[0])
    if "guetzpy" in path.parts:
        inside = path.parts[len(path.parts) - path.parts[::-1].index("guetzpy") :]
        return {".".join(inside).removesuffix(".py"): 1.0}
    total = sum(entry[3] for entry in callers.values())
    if depth == 0 or total <= 0:
        return {"other": 1.0}
    shares: dict[str, float] = defaultdict(float)
    for caller, entry in callers.items():
        for module, share in _owners(caller, stats[caller][4], stats, depth - 1).items():
            shares[module] += share * entry[3] / total
    return shares


def score(order: dict[str, Any]) -> dict[str, Any]:
    """Return milliseconds per megapixel of guetzpy's metrics and of other tools on one picture."""
    from guetzpy import metrics

    picture = _picture(order)
    other = peers.decode(peers.by_pillow(picture, "JPEG", quality=85))
    found: dict[str, float] = {}
    repeats, threads = order.get("repeats", 3), order.get("threads")

    def timed(name: str, call: Callable[[], object], warm: bool = True) -> None:
        if warm:
            call()
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        found[name] = round(1e3 * median(times) / (picture[..., 0].size / 1e6), 2)

    kinds: dict[str, Any] = {
        "SSIMULACRA 2": metrics.SSIMULACRA2Comparator,
        "Butteraugli": metrics.ButteraugliComparator,
        "CVVDP": metrics.CVVDPComparator,
        "IW-SSIM": metrics.IWSSIMComparator,
    }
    for words, kind in kinds.items():
        comparator = kind(picture, threads=threads)
        timed(f"{words}, reference cached", partial(comparator.score, other))
        timed(f"{words}, both sides", lambda kind=kind: kind(picture, threads=threads).score(other))
        timed(f"{words}, gradient", partial(comparator.gradient, other))
    with tempfile.TemporaryDirectory() as name:
        paths = [str(Path(name) / n) for n in ("reference.png", "other.png")]
        for path, samples in zip(paths, (picture, other), strict=True):
            Image.fromarray(samples).save(path, compress_level=1)
        tools = {
            "libjxl ssimulacra2": ["ssimulacra2"],
            "libjxl butteraugli_main": ["butteraugli_main"],
            "butteraugli (Debian, 2017)": ["butteraugli"],
        }
        for words, command in tools.items():
            if which(command[0]):
                timed(words, partial(subprocess.run, [*command, *paths], capture_output=True), warm=False)
        if package("ssimulacra2"):
            import ssimulacra2 as python_ssimulacra2

            version = f"ssimulacra2 {package('ssimulacra2')} (PyPI)"
            timed(version, lambda: python_ssimulacra2.compute_ssimulacra2(*paths), warm=False)
    return {"ms_per_mp": found, "megapixels": round(picture[..., 0].size / 1e6, 3)}


def _picture(order: dict[str, Any]) -> corpus.Picture:
    folder = Path(order["images"]) if order.get("images") else None
    return corpus.of_size(corpus.pictures(folder, match=order.get("match", "")), order["megapixels"])


def _memory(field: str, pid: str = "self") -> int:
    """Return VmRSS (now) or VmHWM (peak) of a process in MB; 0 if the system does not report it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith(field)), 0)


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


class _ChildrenPeak:
    """Watches the memory of programs that this process starts, for encoders that are programs."""

    def __init__(self, *, watching: bool) -> None:
        self.peak = 0
        self._watching = watching

    def __enter__(self) -> _ChildrenPeak:
        self._own = str(Path(sys.executable).resolve())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        if self._watching:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._watching:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.004):
            for task in Path("/proc/self/task").glob("*/children"):
                try:
                    pids = task.read_text().split()
                    # Between fork and exec a child is a copy of this process.
                    pids = [p for p in pids if os.readlink(f"/proc/{p}/exe") != self._own]
                except OSError:
                    continue
                self.peak = max([self.peak, *(_memory("VmHWM", pid) for pid in pids)])


_WORKERS = {"work": work, "profile": profile, "score": score}


#: Results of an earlier run, for --resume.
_kept = Journal()


def _ask(worker: str, order: dict[str, Any], turn: int = 0) -> dict[str, Any]:
    """Run a worker in a process of its own, or return the result of an earlier run."""
    kind = order.get("kind", "guetzpy")
    code = source_hash() if kind in OURS else peers.PEERS[kind].version() if kind in peers.PEERS else None
    key = (worker, order, turn, code)
    known: dict[str, Any] | None = _kept.get(*key)
    if known is None:
        known = _run(worker, order)
        if "error" not in known:
            _kept.put(known, *key)
    return known


def _run(worker: str, order: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.speed", "--worker", worker, json.dumps(order)]
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    if done.returncode != 0:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "died"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# --- the parts


def encode_part(options: argparse.Namespace, where: dict[str, Any]) -> dict[str, Any]:
    """Time all encoders in turns; return seconds and memory by kind."""
    asked = (
        options.peers.split(",")
        if options.peers
        else [*OURS, *(k for k, p in peers.PEERS.items() if not p.slow)]
    )
    here, missing = peers.available([k for k in asked if k not in OURS])
    kinds = [k for k in asked if k in OURS or k in here]
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for turn in range(options.rounds):
        for kind in kinds:
            _say(f"encode: round {turn + 1} of {options.rounds}: {title(kind)}")
            order = {"kind": kind, "setting": SETTINGS[kind], "megapixels": options.megapixels, **where}
            runs[kind].append(_ask("work", order | {"repeats": 1 if kind == "guetzli" else 3}, turn))
    result: dict[str, Any] = {"missing": missing, "versions": peers.versions(here), "encoders": {}}
    for kind in kinds:
        errors = [run["error"] for run in runs[kind] if "error" in run]
        if errors:
            result["encoders"][kind] = {"error": errors[0]}
            continue
        seconds = median(run["seconds"] for run in runs[kind])
        last = runs[kind][-1]
        result["encoders"][kind] = last | {
            "setting": SETTINGS[kind],
            "seconds": round(seconds, 4),
            "seconds_per_mp": round(seconds / last["megapixels"], 4),
        }
    return result


def threads_part(options: argparse.Namespace, where: dict[str, Any]) -> dict[str, Any]:
    """Time guetzpy on 1, 2, 4 ... threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({c for c in (1, 2, 4, 8, 16, 32) if c < cores} | {cores})
    result: dict[str, Any] = {}
    for kind in OURS:
        found: dict[str, Any] = {}
        for count in counts:
            _say(f"threads: {title(kind)}, {count}")
            order = {
                "kind": kind,
                "setting": 1.0,
                "megapixels": options.megapixels,
                "threads": count,
                **where,
            }
            found[str(count)] = _ask("work", order | {"repeats": 3}).get("seconds")
        result[kind] = found
    return result


def growth_part(options: argparse.Namespace, where: dict[str, Any]) -> list[dict[str, Any]]:
    """Time guetzpy on pictures of increasing size."""
    result = []
    for megapixels in (m for m in GROWTH if m <= options.largest):
        for kind in OURS:
            if kind == "guetzpy-max" and megapixels > 12:
                continue
            _say(f"growth: {megapixels:g} MP, {title(kind)}")
            order = {"kind": kind, "setting": 1.0, "megapixels": megapixels, **where}
            found = _ask("work", order | {"repeats": 3 if megapixels <= 2 else 1})
            if "seconds" in found:
                found["seconds_per_mp"] = round(found["seconds"] / found["megapixels"], 3)
                found["peak_mb_per_mp"] = round(
                    (found["peak_mb"] - found["loaded_mb"]) / found["megapixels"], 1
                )
            result.append({"kind": kind, **found})
    return result


def stages_part(options: argparse.Namespace, where: dict[str, Any]) -> dict[str, Any]:
    """Measure guetzpy's time by module, on one thread."""
    result = {}
    for kind in OURS:
        _say(f"stages: {title(kind)}")
        result[kind] = _ask(
            "profile", {"kind": kind, "setting": 1.0, "megapixels": options.megapixels, **where}
        )
    return result


def metrics_part(options: argparse.Namespace, where: dict[str, Any]) -> dict[str, Any]:
    """Time the metrics and other implementations of them."""
    _say("metrics")
    return _ask("score", {"megapixels": options.megapixels, "repeats": 5, **where})


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


# --- the report


def report(result: dict[str, Any]) -> Iterator[str]:
    """Yield lines of Markdown."""
    if "encode" in result:
        yield from _encode_table(result["encode"])
    if "threads" in result:
        yield ""
        for kind, found in result["threads"].items():
            words = ", ".join(f"{count}: {seconds} s" for count, seconds in found.items())
            yield f"{title(kind)}, by threads: {words}"
    if "growth" in result:
        yield "\n| MP | encoder | s | s/MP | peak MB | MB/MP |\n|---|---|---|---|---|---|"
        for row in result["growth"]:
            if "error" in row:
                yield f"| | {title(row['kind'])} | {row['error']} | | | |"
                continue
            yield (
                f"| {row['megapixels']:g} | {title(row['kind'])} | {row['seconds']:.2f} |"
                f" {row['seconds_per_mp']:.2f} | {row['peak_mb']} | {row['peak_mb_per_mp']} |"
            )
    for kind, found in result.get("stages", {}).items():
        yield f"\n{title(kind)}, one thread, by module:"
        total = sum(found.get("seconds", {}).values()) or 1.0
        packages: dict[str, float] = defaultdict(float)
        for module, seconds in found.get("seconds", {}).items():
            packages[module.split(".")[0]] += seconds / total
        yield "  " + ", ".join(f"{name} {share:.0%}" for name, share in packages.items() if share >= 0.01)
        for module, seconds in list(found.get("seconds", {}).items())[:14]:
            yield f"  {module:36} {seconds:7.3f} s {seconds / total:6.1%}"
    if "metrics" in result:
        yield "\n| metric | ms/MP |\n|---|---|"
        for name, value in result["metrics"].get("ms_per_mp", {}).items():
            yield f"| {name} | {value:.1f} |"


def _encode_table(found: dict[str, Any]) -> Iterator[str]:
    encoders = found["encoders"]
    first = next((k for k in OURS if "seconds" in encoders.get(k, {})), "guetzpy")
    base = encoders.get(first, {}).get("seconds_per_mp")
    yield f"| encoder | s/MP | against {title(first)} | peak MB |"
    yield "|---|---|---|---|"
    for kind, row in encoders.items():
        if "error" in row:
            yield f"| {title(kind)} | {row['error']} | | |"
            continue
        ratio = f"{row['seconds_per_mp'] / base:.2f} x" if base else ""
        memory = f"{row['peak_mb']} ({row['loaded_mb']})" if row["loaded_mb"] else f"{row['peak_mb']}"
        yield f"| {title(kind)} | {row['seconds_per_mp']:.3f} | {ratio} | {memory} |"
    for missing in found["missing"]:
        yield f"missing: {missing}"


def main(arguments: list[str] | None = None) -> None:
    """Measure time and memory."""
    parser = argparse.ArgumentParser(prog="python -m bench speed", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument("--parts", default=",".join(PARTS), metavar="A,B", help=", ".join(PARTS))
    parser.add_argument("--peers", metavar="A,B", help="encoders of the encode part (guetzli only by name)")
    parser.add_argument("--megapixels", type=float, default=2.0, metavar="N", help="size of the picture")
    parser.add_argument(
        "--largest",
        type=float,
        default=GROWTH[-1],
        metavar="N",
        help="largest picture of the growth part, MP",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds of the encode part")
    parser.add_argument("--name", default="speed", help="name of the file that is written")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="DIR", help="folder of that file")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    add_argument(parser)
    options = parser.parse_args(arguments)
    if options.worker:
        name, order = options.worker
        print(json.dumps(_WORKERS[name](json.loads(order))))
        return
    run: dict[str, Callable[[argparse.Namespace, dict[str, Any]], Any]] = {
        "encode": encode_part,
        "threads": threads_part,
        "growth": growth_part,
        "stages": stages_part,
        "metrics": metrics_part,
    }
    where = {"images": str(options.images.resolve()) if options.images else None, "match": options.match}
    global _kept
    _kept = journal(options)
    result = provenance(part="speed", megapixels=options.megapixels)
    for name in options.parts.split(","):
        if name not in run:
            parser.error(f"{name}: expected some of {', '.join(PARTS)}")
        result[name] = run[name](options, where)
    write(options.name, result, options.output)
    _kept.finish()
    print("\n".join(report(result)))
    if "encode" in result:
        draw(result, options.output / options.name)


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw time by size, if matplotlib is installed and rate-distortion figures are committed."""
    figures = RESULTS / "rate_distortion-photos.json"
    if importlib.util.find_spec("matplotlib") is None or not figures.exists():
        return
    from bench.plots import plot_time_against_size

    summary = json.loads(figures.read_text())["summary"]
    plot_time_against_size(result["encode"]["encoders"], summary, "SSIMULACRA 2, 50-92", path)


if __name__ == "__main__":
    main()
