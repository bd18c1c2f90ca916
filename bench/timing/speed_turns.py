"""The part ``turns`` of ``python -m bench speed``: guetzpy against mozjpeg and jpegli in the same run.

Ratios between encoders that take turns can be compared between machines. In each round every encoder encodes
the picture in a process of its own. The first call loads the modules and kernels; the median of the further
calls is used. Ratios are computed within a round. The minimum and the median of a ratio over the rounds are
reported. Seconds are the minimum and the median of wall time, and the medians of user and system time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from bench import corpus, peers
from bench.kinds import OURS, title
from bench.timing.speed_worker import finish, run, start

__all__ = ["turns", "turns_report"]

#: Encoders by whose times guetzpy's times are divided.
AGAINST = ("moz444", "jpegli444")
#: Number of calls in a process: the first one, and those of which the median is used.
_CALLS = 4
#: The folder: its number of pictures, megapixels of a picture, processes, and rounds in which it is encoded.
_FOLDER, _MEGAPIXELS, _JOBS, _FOLDER_ROUNDS = 200, 0.5, 2, 2

_ENCODE_FILE = """
import sys
from pathlib import Path
from bench import corpus, peers
for path in sys.argv[3:]:
    peers.PEERS[sys.argv[1]].encode(corpus.read(Path(path)), float(sys.argv[2]))
"""


def turns(
    megapixels: float,
    rounds: int,
    where: dict[str, Any],
    settings: Mapping[str, float],
    say: Callable[[str], None],
    count: int = _FOLDER,
) -> dict[str, Any]:
    """Measure all rounds.

    Parameters
    ----------
    megapixels : float
        Size of the picture.
    rounds : int
        Number of rounds; in each, every encoder runs once.
    where : dict
        Folder and names of the pictures, which every worker gets among its arguments.
    settings : mapping
        Setting of each encoder.
    say : callable
        Shows what is measured.
    count : int
        Pictures of the folder.
    """
    here, missing = peers.available(list(AGAINST))
    result: dict[str, Any] = {
        "missing": missing,
        "versions": peers.versions(here),
        "files": count,
        "rounds": [],
    }
    for number in range(rounds):
        found: dict[str, Any] = {}
        for kind in [*here, "guetzpy", "guetzpy-fast"]:
            say(f"turns: round {number + 1} of {rounds}: {title(kind)}")
            order = {
                "kind": kind,
                "setting": settings[kind],
                "megapixels": megapixels,
                "repeats": _CALLS,
                **where,
            }
            found[kind] = run("timed", order)
            if kind in OURS:
                found[f"{kind}, 1 thread"] = run("timed", order | {"threads": 1})
                pair = [start("timed", order | {"threads": 1}) for _ in range(2)]
                both = [finish(process) for process in pair]
                found[f"{kind}, 2 processes"] = both[0] if "error" in both[0] else both[1]
        if number < _FOLDER_ROUNDS:
            say(f"turns: round {number + 1}: folder")
            found["folder"] = _folder(where, settings, here, count)
        result["rounds"].append(found)
    return result


def _folder(
    where: dict[str, Any], settings: Mapping[str, float], here: list[str], count: int
) -> dict[str, float]:
    """Return files per second on a folder: guetzpy with ``-j 2``, and other encoders by ``xargs -P 2``.

    A process of xargs encodes a tenth of the files, so that the start of Python counts little.
    """
    source = Path(where["images"]) if where.get("images") else None
    picture = corpus.of_size(corpus.pictures(source, match=where.get("match", "")), _MEGAPIXELS)
    found = {}
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "pictures")
        folder.mkdir()
        paths = [folder / f"{number:03}.png" for number in range(count)]
        for number, path in enumerate(paths):
            Image.fromarray(np.roll(picture, 16 * number, axis=1)).save(path, compress_level=1)
        for kind in ("guetzpy", "guetzpy-fast", *here):
            if kind in OURS:
                out = Path(name, kind)
                command = [sys.executable, "-m", "guetzpy", "optimize", "-r", str(folder), "-o", str(out)]
                command += ["-j", str(_JOBS), "--effort", OURS[kind], "--quiet"]
            else:
                each = [sys.executable, "-c", _ENCODE_FILE, kind, str(settings[kind])]
                command = ["xargs", "-P", str(_JOBS), "-n", str(max(count // 10, 1)), *each]
            started = time.perf_counter()
            subprocess.run(
                command, input="\n".join(map(str, paths)), text=True, check=True, env=environment,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            found[kind] = round(count / (time.perf_counter() - started), 3)
    return found


def turns_report(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report, in Markdown."""
    rounds = found["rounds"]
    kinds = [kind for kind in rounds[0] if kind != "folder"]
    against = [kind for kind in AGAINST if kind in kinds]
    yield "| encoder | s/MP: least, median | user | system | first call / next |" + "".join(
        f" / {title(kind)}: least, median |" for kind in against
    )
    yield "|---|---|---|---|---|" + "---|" * len(against)
    for kind in kinds:
        runs = [entry[kind] for entry in rounds if "calls" in entry[kind]]
        if not runs:
            yield f"| {_words(kind)} | {rounds[0][kind].get('error', '')} |" + " |" * (3 + len(against))
            continue
        # Two processes encode a picture each at the same time, so that a picture takes half a call's time.
        share = 0.5 if kind.endswith("2 processes") else 1.0
        seconds = [share * _typical(entry, 0) / entry["megapixels"] for entry in runs]
        user, system = (median(_typical(entry, n) / entry["megapixels"] for entry in runs) for n in (1, 2))
        first = median(entry["calls"][0][0] / _typical(entry, 0) for entry in runs)
        row = f"| {_words(kind)} | {min(seconds):.3f}, {median(seconds):.3f} | {user:.3f} | {system:.3f} |"
        row += f" {first:.2f} |"
        for other in against:
            ratios = [
                share * _typical(entry[kind], 0) / _typical(entry[other], 0)
                for entry in rounds
                if "calls" in entry[kind] and "calls" in entry[other]
            ]
            row += f" {min(ratios):.2f}, {median(ratios):.2f} |" if ratios else " |"
        yield row
    for kind in rounds[0]["folder"]:
        speeds = [entry["folder"][kind] for entry in rounds if "folder" in entry]
        yield f"folder, {found['files']} pictures of {_MEGAPIXELS:g} MP, {_JOBS} processes: {title(kind)}" + (
            f" {max(speeds):.2f} files/s at best, median {median(speeds):.2f}"
        )
    for missing in found["missing"]:
        yield f"missing: {missing}"


def _typical(entry: dict[str, Any], which: int) -> float:
    """Return the median of all calls but the first: wall, user or system seconds."""
    return max(median(call[which] for call in entry["calls"][1:]), 1e-9)


def _words(kind: str) -> str:
    name, comma, rest = kind.partition(", ")
    return title(name) + comma + rest
