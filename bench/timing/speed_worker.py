"""Measurements of the bench's part speed, each of one encoder and one picture in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from bench import corpus, peers
from bench.kinds import OURS
from bench.provenance import package

__all__ = ["WORKERS", "encoder", "finish", "profile", "run", "score", "start", "timed", "work"]

_OWN_AND_CHILDREN = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN


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
    # guetzpy starts no programs, so it has none to watch. Watching would make a fast call an eighth slower.
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


def timed(order: dict[str, Any]) -> dict[str, Any]:
    """Encode a picture several times, the first call included; return wall, user and system seconds of each.

    ``order``: as for :func:`work`.
    """
    picture = _picture(order)
    encode = encoder(order["kind"], order["setting"], order.get("threads"), warm=False)
    calls = []
    for _ in range(order["repeats"]):
        started, before = time.perf_counter(), [resource.getrusage(who) for who in _OWN_AND_CHILDREN]
        encode(picture)
        wall = time.perf_counter() - started
        after = [resource.getrusage(who) for who in _OWN_AND_CHILDREN]
        user = sum(b.ru_utime - a.ru_utime for a, b in zip(before, after, strict=True))
        system = sum(b.ru_stime - a.ru_stime for a, b in zip(before, after, strict=True))
        calls.append([round(t, 4) for t in (wall, user, system)])
    return {"calls": calls, "megapixels": round(picture[..., 0].size / 1e6, 3)}


def encoder(
    kind: str, setting: float, threads: int | None = None, *, warm: bool = True
) -> Callable[[corpus.Picture], bytes]:
    """Return a function from picture to bytes; without ``warm`` its first call loads the kernels."""
    if kind in OURS:
        import guetzpy

        if warm:
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
    """Return the modules of guetzpy to which a function's time is added, each with its share of the time.

    A module of guetzpy owns its functions. The time of another function is divided among its callers.
    """
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
                    # Between fork and exec a child is a copy of this process, whose memory does not count.
                    pids = [p for p in pids if os.readlink(f"/proc/{p}/exe") != self._own]
                except OSError:
                    continue
                self.peak = max([self.peak, *(_memory("VmHWM", pid) for pid in pids)])


WORKERS = {"work": work, "profile": profile, "score": score, "timed": timed}


def run(worker: str, order: dict[str, Any]) -> dict[str, Any]:
    """Run a worker in a process of its own; if it fails, ``error`` is the last line of its messages."""
    return finish(start(worker, order))


def start(worker: str, order: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a worker in a process of its own."""
    command = [sys.executable, "-m", "bench.timing.speed", "--worker", worker, json.dumps(order)]
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a worker, and return what it measured."""
    said, error = process.communicate()
    if process.returncode != 0:
        return {"error": error.strip().splitlines()[-1] if error.strip() else "died"}
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found
