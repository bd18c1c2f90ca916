"""Time and memory: guetzpy compared with other encoders, and guetzpy's time by module.

    python -m bench speed                          everything but guetzli, on scikit-image's photos
    python -m bench speed --parts encode,growth    some parts of it
    python -m bench speed --peers guetzpy,moz444,guetzli --megapixels 0.4

Every figure is from a process of its own. The process is warm unless said otherwise: kernels are loaded, a
small picture has been encoded, and the median of three calls is taken. Encoders take turns over several
rounds, and the median of the rounds is reported. Ratios within one run are more reliable than the seconds.
Memory is the peak of the process while it encodes; the memory before encoding is given in brackets.
Pictures of any size are tiled from the corpus and its mirror images, without scaling.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench import corpus, peers
from bench.journal import Journal, add_argument, journal
from bench.kinds import OURS, title
from bench.provenance import RESULTS, provenance, source_hash, write
from bench.timing.speed_turns import turns, turns_report
from bench.timing.speed_worker import WORKERS, run

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

PARTS = ("encode", "threads", "growth", "stages", "metrics", "turns")
GROWTH = (0.25, 1.0, 2.0, 4.0, 12.0, 24.0, 50.0)


#: Results of an earlier run, for --resume.
_kept = Journal()


def _ask(worker: str, order: dict[str, Any], turn: int = 0) -> dict[str, Any]:
    """Run a worker in a process of its own, or return the result of an earlier run."""
    kind = order.get("kind", "guetzpy")
    code = source_hash() if kind in OURS else peers.PEERS[kind].version() if kind in peers.PEERS else None
    key = (worker, order, turn, code)
    known: dict[str, Any] | None = _kept.get(*key)
    if known is None:
        known = run(worker, order)
        if "error" not in known:
            _kept.put(known, *key)
    return known


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


def turns_part(options: argparse.Namespace, where: dict[str, Any]) -> dict[str, Any]:
    """Time guetzpy against mozjpeg and jpegli in turns."""
    return turns(options.megapixels, options.rounds, where, SETTINGS, _say)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


# --- the report


def report(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report, in Markdown."""
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
    if "turns" in result:
        yield f"\n{result['machine']['processor']}, {result['machine']['cores']} processors"
        yield from turns_report(result["turns"])


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
        print(json.dumps(WORKERS[name](json.loads(order))))
        return
    parts: dict[str, Callable[[argparse.Namespace, dict[str, Any]], Any]] = {
        "encode": encode_part,
        "threads": threads_part,
        "growth": growth_part,
        "stages": stages_part,
        "metrics": metrics_part,
        "turns": turns_part,
    }
    where = {"images": str(options.images.resolve()) if options.images else None, "match": options.match}
    global _kept
    _kept = journal(options)
    result = provenance(part="speed", megapixels=options.megapixels)
    for name in options.parts.split(","):
        if name not in parts:
            parser.error(f"{name}: expected some of {', '.join(PARTS)}")
        result[name] = parts[name](options, where)
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
