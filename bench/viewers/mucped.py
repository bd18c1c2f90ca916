"""MUCPED23 repeated: files at the study's settings, and byte ratios at equal quality by metrics and by
viewers.

MUCPED23 (google-research/google-research, folder mucped23) asked 18 raters which of two JPEG files is more
like the original, for 49 pictures of CID22 and 31 settings of libjpeg-turbo, mozjpeg and jpegli. It publishes
an Elo score for each setting, but not the files. 41 of the originals are in CID22's validation set, and the
encoders are available. Quality q means a distance of 0.1 + 0.09 (100 - q) for jpegli; libjpeg-turbo and
mozjpeg take q itself.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.stats import spearmanr

from bench import curves, peers

Doubles = npt.NDArray[np.float64]

#: Qualities of jpegli that were not rated; they extend its curves as far as a metric needs.
BEYOND = (35, 45, 50, 97, 99)
_SUBSAMPLING = {"444": 0, "422": 1, "420": 2}


@dataclass(frozen=True)
class Setting:
    """An encoder, its quality and sampling, and the published Elo score (None if it was not rated).

    ``low`` and ``high`` are the published bounds of the Elo score, ``bpp`` the published bits per pixel.
    """

    encoder: str
    quality: int
    sampling: str
    elo: float | None = None
    low: float = 0.0
    high: float = 0.0
    bpp: float | None = None

    @property
    def name(self) -> str:
        return f"{self.encoder}-q{self.quality}-yuv{self.sampling}"

    @property
    def curve(self) -> tuple[str, str]:
        return self.encoder, self.sampling

    def encode(self, picture: peers.Picture) -> bytes | None:
        """Return a file, or None if no installed package can make it."""
        kind = {"jpegli": "jpegli", "mozjpeg": "moz"}.get(self.encoder)
        if kind is None:
            options = {"quality": self.quality, "subsampling": _SUBSAMPLING[self.sampling], "optimize": True}
            return peers.by_pillow(picture, "JPEG", **options)
        if f"{kind}{self.sampling}" not in peers.PEERS:  # mozjpeg in pyvips supports 4:4:4 and 4:2:0 only
            return None
        setting = 0.1 + 0.09 * (100 - self.quality) if self.encoder == "jpegli" else self.quality
        return peers.PEERS[f"{kind}{self.sampling}"].encode(picture, setting)


def read_settings(path: Path) -> list[Setting]:
    """Read the table of Elo scores: name, Elo, lower and upper bound, bits per pixel, without a heading."""
    found = []
    with path.open() as file:
        for name, *numbers in csv.reader(file):
            parts = re.fullmatch(r"(.+)-q(\d+)-yuv(\d+)", name)
            if parts is None:
                raise ValueError(f"{path}: {name!r} is no setting such as jpegli-q90-yuv444")
            elo, low, high, bpp = map(float, numbers)
            found.append(Setting(parts[1], int(parts[2]), parts[3], elo, low, high, bpp))
    return found


def all_settings(rated: list[Setting]) -> list[Setting]:
    """Return the settings with an Elo score, and further settings of jpegli that extend its curves."""
    more = [Setting("jpegli", q, s) for s in ("444", "420") for q in BEYOND]
    return [*rated, *(m for m in more if m.name not in {r.name for r in rated})]


class Scores:
    """Bits per pixel and scores of every setting for each source."""

    def __init__(self, rows: Iterable[dict[str, Any]], columns: tuple[str, ...]) -> None:
        table: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
        for row in rows:
            table[row["setting"]][row["image"]] = row
        self.images = sorted({image for found in table.values() for image in found})
        self.columns = columns
        self.values: dict[str, dict[str, Doubles]] = {
            setting: {c: np.array([found[i][c] for i in self.images]) for c in ("bpp", *columns)}
            for setting, found in table.items()
        }

    def means(self, picked: npt.NDArray[np.int64] | None = None) -> dict[str, dict[str, float]]:
        """Return the mean of each column over sources, all or those with the indices ``picked``."""
        every = np.arange(len(self.images)) if picked is None else picked
        return {s: {c: float(v[every].mean()) for c, v in by.items()} for s, by in self.values.items()}


def rate_at(points: list[tuple[float, float]]) -> Callable[[float], float]:
    """Return log bits per pixel as a function of quality (larger is better), from (log bpp, quality) pairs.

    Quality is made monotone by a running maximum. Beyond the ends the function is a straight line.
    """
    pairs = sorted(points)
    rate = np.array([r for r, _ in pairs])
    quality = np.maximum.accumulate(np.array([q for _, q in pairs]))
    quality = quality + 1e-9 * np.arange(len(quality)) * max(1.0, float(np.ptp(quality)))
    curve = PchipInterpolator(quality, rate)
    slopes = [(rate[i + 1] - rate[i]) / (quality[i + 1] - quality[i]) for i in (0, len(rate) - 2)]

    def at(value: float) -> float:
        if value < quality[0]:
            return float(rate[0] + slopes[0] * (value - quality[0]))
        if value > quality[-1]:
            return float(rate[-1] + slopes[1] * (value - quality[-1]))
        return float(curve(value))

    return at


def elo_rate_at(points: list[tuple[float, float]]) -> tuple[Callable[[float], float], float, float]:
    """Return log bits per pixel as a function of Elo, and the smallest and largest known Elo score.

    Elo is modelled as a parabola of log bits per pixel: details of a finer curve would be smaller than the
    raters' noise.
    """
    rate = np.array([r for r, _ in points])
    fitted = np.polynomial.Polynomial.fit(rate, [e for _, e in points], 2)
    grid = np.linspace(rate.min(), rate.max(), 400)
    elo = np.maximum.accumulate(fitted(grid))
    return lambda value: float(np.interp(value, elo, grid)), float(elo[0]), float(elo[-1])


def pairs_of(rated: list[Setting], means: dict[str, dict[str, float]]) -> list[Setting]:
    """Return the settings of other encoders whose Elo score jpegli reaches, within a class of sampling.

    The classes are 4:4:4, and subsampled chroma.
    """
    found = []
    for setting in rated:
        if setting.encoder == "jpegli" or setting.name not in means:
            continue
        same = [s for s in rated if s.curve == _partner(setting)]
        if min(s.elo or 0 for s in same) <= (setting.elo or 0) <= max(s.elo or 0 for s in same):
            found.append(setting)
    return found


def _partner(setting: Setting) -> tuple[str, str]:
    return "jpegli", "444" if setting.sampling == "444" else "420"


def ratios(
    targets: list[Setting],
    partner: Callable[[Setting], tuple[str, str]],
    settings: list[Setting],
    means: dict[str, dict[str, float]],
    elo: dict[str, float],
    columns: tuple[str, ...],
) -> dict[str, list[float]]:
    """Compare the bytes of each target with those of its partner at equal quality.

    The partner is a curve of jpegli: encoder and sampling. The result has the partner's bytes less the
    target's, in per cent of the target's, in the order of the targets. Under the key "people" equal quality
    is equal Elo; the other keys are names of metrics.
    """
    found: dict[str, list[float]] = {name: [] for name in ("people", *columns)}
    for target in targets:
        own = np.log(means[target.name]["bpp"])
        curve = [s for s in settings if s.curve == partner(target) and s.name in means]
        rated = [(float(np.log(means[s.name]["bpp"])), elo[s.name]) for s in curve if s.name in elo]
        found["people"].append(curves.per_cent(elo_rate_at(rated)[0](elo[target.name]) - own))
        for column in columns:
            sign = 1.0 if curves.METRICS[column] else -1.0
            points = [(float(np.log(means[s.name]["bpp"])), sign * means[s.name][column]) for s in curve]
            at = rate_at(points)(sign * means[target.name][column])
            found[column].append(curves.per_cent(at - own))
    return found


def prediction(rated: list[Setting], scores: Scores, draws: int = 1000, seed: int = 1) -> dict[str, Any]:
    """Compare two ratios of bytes at equal quality: by the ratings of people, and by each metric.

    Parameters
    ----------
    rated : list of Setting
        Elo scores of the study.
    scores : Scores
        Scores of the files made here.
    draws : int
        Number of draws of the bootstrap. A draw takes sources with replacement, and adds normal noise to
        every Elo score; the published interval of a score is taken as its interval of 95 %.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict
        ``encoders``: jpegli against libjpeg-turbo and mozjpeg, in one class of sampling. ``sampling``:
        jpegli's 4:2:0 against its 4:4:4. Each of the two has ``pairs``, the results of :func:`ratios` for
        each target, and ``metrics``: for each metric the ``bias`` (mean of its ratio less people's ratio),
        the interval of 95 % of the bias (``low``, ``high``), and the ``rms``, all in percentage points.
        ``srocc``: for each metric the rank correlation of its means with Elo, over all rated settings that
        were encoded.
    """
    settings = all_settings(rated)
    means = scores.means()
    rated = [s for s in rated if s.name in means]
    compared = {
        "encoders": (pairs_of(rated, means), _partner),
        "sampling": (_halved(rated), lambda setting: ("jpegli", "444")),
    }
    elo = {s.name: float(s.elo or 0) for s in rated}
    random = np.random.default_rng(seed)
    drawn: dict[str, dict[str, list[float]]] = {k: defaultdict(list) for k in compared}
    for _ in range(draws):
        again = scores.means(random.integers(0, len(scores.images), len(scores.images)))
        disturbed = {s.name: random.normal(elo[s.name], (s.high - s.low) / (2 * 1.96)) for s in rated}
        for key, (targets, partner) in compared.items():
            found = ratios(targets, partner, settings, again, disturbed, scores.columns)
            for column in scores.columns:
                drawn[key][column].append(float(np.mean(np.subtract(found[column], found["people"]))))
    result: dict[str, Any] = {}
    for key, (targets, partner) in compared.items():
        found = ratios(targets, partner, settings, means, elo, scores.columns)
        result[key] = {
            "pairs": [
                {"setting": t.name, "bpp": round(means[t.name]["bpp"], 4)}
                | {name: round(values[i], 2) for name, values in found.items()}
                for i, t in enumerate(targets)
            ],
            "metrics": {c: _summary(found[c], found["people"], drawn[key][c]) for c in scores.columns},
        }
    result["srocc"] = {
        c: round(abs(float(spearmanr([means[s.name][c] for s in rated], [elo[s.name] for s in rated])[0])), 4)
        for c in scores.columns
    }
    return result


def _halved(rated: list[Setting]) -> list[Setting]:
    """Return jpegli's 4:2:0 settings whose Elo score is in the range of its 4:4:4 settings."""
    full = [s.elo or 0 for s in rated if s.curve == ("jpegli", "444")]
    return [s for s in rated if s.curve == ("jpegli", "420") and min(full) <= (s.elo or 0) <= max(full)]


def _summary(values: list[float], people: list[float], drawn: list[float]) -> dict[str, float]:
    errors = np.subtract(values, people)
    low, high = np.quantile(drawn, (0.025, 0.975)) if drawn else (np.nan, np.nan)
    return {
        "bias": round(float(errors.mean()), 2),
        "low": round(float(low), 2),
        "high": round(float(high), 2),
        "rms": round(float(np.sqrt(np.mean(errors**2))), 2),
    }
