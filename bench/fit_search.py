"""Fit the open loop: tables, Lagrange multipliers and compensation (``bench/open_loop_model.py``).

Crops of training pictures are encoded once at each distance, under two sets of parameters. The loss of a set
is the mean, over pictures, distances and metrics, of the log bytes that it takes more than the reference set
at equal score. The reference set's curve of log bytes by log error comes from three encodes around the
distance. The search is by coordinates with steps that shrink, which is deterministic and needs no gradient of
a noisy function.

    python -m bench fit_search --images FOLDER --out parameters.json
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

#: Weight of each metric in the loss. Those that track people best on JPEG files have most, but for CVVDP,
#: by which the closed loop gains most anyway; the others keep the fit from gains that they contradict.
WEIGHTS = {
    "cvvdp": 0.17,
    "ssimulacra2": 0.20,
    "butteraugli_3norm": 0.20,
    "iw_ssim_db": 0.10,
    "haarpsi_db": 0.18,
    "ms_ssim_y_db": 0.07,
    "psnr": 0.08,
}

#: Distances of the fit, and the ratio of the encodes beside each.
DISTANCES = (0.6, 1.0, 1.7, 3.0)
BESIDE = 1.18

#: First and last step of the coordinates, in logarithms.
FIRST_STEP, LAST_STEP = 0.16, 0.05


def log_errors(scores: dict[str, float]) -> npt.NDArray[np.float64]:
    """Return the logarithm of the error by each metric of :data:`WEIGHTS`."""
    result = []
    for name in WEIGHTS:
        score = scores[name]
        if name == "cvvdp":
            result.append(math.log(max(10.0 - score, 1e-6)))
        elif name == "ssimulacra2":
            result.append(math.log(max(100.0 - score, 1e-6)))
        elif name == "butteraugli_3norm":
            result.append(math.log(max(score, 1e-6)))
        else:  # decibels
            result.append(-score * math.log(10.0) / 10.0)
    return np.array(result)


@dataclass(frozen=True)
class Crop:
    """A part of a training picture at one sampling and distance."""

    picture: int
    sampling: tuple[int, int]
    distance: float


class Worker:
    """Encodes crops under a set of parameters, and measures them."""

    def __init__(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> None:
        from bench.quality import Reference
        from guetzpy.picture.transform import Transform
        from guetzpy.search.candidates import source_of_codes

        self.references = [Reference(picture, tuple(WEIGHTS), threads=1) for picture in pictures]
        planes = [np.ascontiguousarray(picture.transpose(2, 0, 1)) for picture in pictures]
        self.sources = {
            (n, sampling): source_of_codes(codes, sampling, Transform(), 1)
            for n, codes in enumerate(planes)
            for sampling in ((1, 1), (2, 2))
        }

    def measure(self, crop: Crop, parameters: npt.NDArray[np.float64], distance: float) -> tuple[float, Any]:
        """Return log bytes and log errors of an encode."""
        from bench.open_loop_model import OpenLoopModel
        from guetzpy.search.coding.encoder import decode, encode
        from guetzpy.search.coding.settings import EncodeSettings
        from guetzpy.search.coding.tables import dc_limit
        from guetzpy.search.evaluation import size_of

        source = self.sources[crop.picture, crop.sampling]
        family = OpenLoopModel(parameters[0], parameters[1])
        settings = EncodeSettings(distance, dc_limit=dc_limit(distance), family=family)
        settings = settings.priced(encode(source, settings).rates)
        trial = encode(source, settings)
        shown = np.ascontiguousarray(decode(source, trial).transpose(1, 2, 0))
        scores = self.references[crop.picture].scores(shown)
        return math.log(size_of(source, trial)), log_errors(scores)


_worker: Worker


def _start(pictures: Sequence[npt.NDArray[np.uint8]]) -> None:
    global _worker
    _worker = Worker(pictures)


def _measure(task: tuple[Crop, npt.NDArray[np.float64], float]) -> tuple[float, Any]:
    return _worker.measure(*task)


class Fit:
    """A fit on some pictures, with a pool of processes."""

    def __init__(self, pictures: Sequence[npt.NDArray[np.uint8]], jobs: int, start: npt.NDArray[Any]) -> None:
        self.crops = [
            Crop(n, ((1, 1), (2, 2))[(n + k) % 2], distance)
            for n in range(len(pictures))
            for k, distance in enumerate(DISTANCES)
        ]
        self.pool = multiprocessing.get_context("spawn").Pool(jobs, _start, (pictures,))
        self.weights = np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())
        tasks = [(crop, start, crop.distance * BESIDE**side) for crop in self.crops for side in (-1, 0, 1)]
        found = self.pool.map(_measure, tasks, chunksize=1)
        self.curves = []
        for n in range(len(self.crops)):
            sizes = np.array([found[3 * n + k][0] for k in range(3)])
            errors = np.array([found[3 * n + k][1] for k in range(3)])
            slopes = (sizes[2] - sizes[0]) / (errors[2] - errors[0])
            self.curves.append((sizes[1], errors[1], slopes))

    def gains(self, parameters: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return log bytes over the start's at equal error, shape (crops, metrics)."""
        found = self.pool.map(_measure, [(c, parameters, c.distance) for c in self.crops], chunksize=1)
        rows = []
        for (size, errors), (size_0, errors_0, slopes) in zip(found, self.curves, strict=True):
            rows.append(size - size_0 - np.clip(slopes, -3.0, -0.15) * (errors - errors_0))
        return np.array(rows)

    def loss(self, parameters: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.float64]]:
        """Return the loss, and the mean log bytes by metric."""
        means = self.gains(parameters).mean(axis=0)
        return float(means @ self.weights), means


def main(arguments: Sequence[str] | None = None) -> int:
    from bench.open_loop_model import PARAMETERS

    parser = argparse.ArgumentParser(prog="python -m bench fit_search", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of training pictures")
    parser.add_argument("--count", type=int, default=24, help="pictures, taken at equal intervals")
    parser.add_argument("--side", type=int, default=256, help="side of the crop of each, in pixels")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60.0, help="time after which the best is taken")
    parser.add_argument("--start", type=Path, help="parameters to start from, as --out writes them")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    paths = sorted(path for path in options.images.iterdir() if path.suffix in (".png", ".jpg"))
    paths = paths[:: max(1, len(paths) // options.count)][: options.count]
    pictures = []
    for path in paths:
        with Image.open(path) as image:
            whole = np.asarray(image.convert("RGB"))
        top, left = ((side - options.side) // 2 for side in whole.shape[:2])
        pictures.append(np.ascontiguousarray(whole[top : top + options.side, left : left + options.side]))
    start = np.zeros((2, len(PARAMETERS)))
    fit = Fit(pictures, options.jobs, start)
    best = start.copy()
    if options.start:
        given = json.loads(options.start.read_text())
        best = np.array([given["at_1"], given["by_log_distance"]])
    loss, means = fit.loss(best)
    print(f"{len(pictures)} pictures, {len(fit.crops)} encodes a set, start {100 * loss:+.3f} %", flush=True)
    step = FIRST_STEP
    directions: dict[tuple[int, int], float] = {}
    while step >= LAST_STEP:
        for row in (0, 1):
            for n, name in enumerate(PARAMETERS):
                if time.monotonic() - began > 60 * options.minutes:
                    step = 0.0
                    break
                size = step * (0.5 if row else 1.0)
                for sign in (directions.get((row, n), 1.0), -directions.get((row, n), 1.0)):
                    tried = best.copy()
                    tried[row, n] += sign * size
                    now, by_metric = fit.loss(tried)
                    if now < loss - 1e-5:
                        best, loss, means = tried, now, by_metric
                        directions[row, n] = sign
                        print(f"{name}[{row}] {tried[row, n]:+.3f}: {100 * loss:+.3f} %", flush=True)
                        break
        step *= 0.5
        _write(options, best, loss, means, paths)
    _write(options, best, loss, means, paths)
    return 0


def _write(options: Any, best: npt.NDArray[Any], loss: float, means: npt.NDArray[Any], paths: Any) -> None:
    named = {name: round(100 * float(mean), 3) for name, mean in zip(WEIGHTS, means, strict=True)}
    print(f"loss {100 * loss:+.3f} %, by metric {named}", flush=True)
    options.out.write_text(
        json.dumps(
            {
                "at_1": best[0].tolist(),
                "by_log_distance": best[1].tolist(),
                "provenance": {
                    "script": "bench/fit_search.py",
                    "pictures": len(paths),
                    "side": options.side,
                    "distances": list(DISTANCES),
                    "loss_per_cent": round(100 * loss, 3),
                    "by_metric_per_cent": named,
                },
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
