"""The encoders of the bench's part clic, and the files that they make of a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from bench import corpus, peers
from bench.journal import Journal
from bench.provenance import source_hash
from bench.quality import MS_SSIM_SMALLEST, Reference, ms_ssim, squared_error
from guetzpy import GuetzpyError, Result, __version__
from guetzpy.batch.budget import COARSEST, Aim, Encoded, encoded
from guetzpy.batch.rates import FINEST
from guetzpy.model.file import Model

COLUMNS = ("ssimulacra2", "butteraugli_3norm")

#: Setting of an encode: a number for other encoders, and for guetzpy an aim (a distance or a size) that its
#: search for a total finds.
Setting = float | Aim
Encode = Callable[[corpus.Picture, Any], "bytes | Result"]


@dataclass
class Contestant:
    """An encoder in the comparison of sets under a budget of bytes.

    Attributes
    ----------
    title : str
        Name in tables.
    encode, decode : callable
        ``encode(picture, setting)`` returns a file; ``decode(data, size)`` a picture of the original's size.
    scale : tuple of float
        Worst and best setting.
    way : {"whole", "real", "common", "spread"}
        Search for the setting: bisection over whole or real numbers, or guetzpy's own search for a total,
        with one distance for all pictures or with equal slopes.
    version : str
        Version that runs here.
    code : str
        Further data that the files depend on, such as a hash of sources.
    """

    title: str
    encode: Encode
    decode: Callable[[bytes, tuple[int, int]], corpus.Picture]
    scale: tuple[float, float]
    way: str
    version: str
    code: str = ""


class Files:
    """The files of a contestant for a set, each encoded once.

    Parameters
    ----------
    contestant : Contestant
        The encoder.
    named : list of Named
        The set.
    jobs : int
        Number of pictures at the same time.
    journal : Journal, optional
        Journal with sizes and scores of an earlier run.
    """

    def __init__(
        self,
        contestant: Contestant,
        named: Sequence[corpus.Named],
        jobs: int = 1,
        journal: Journal | None = None,
    ) -> None:
        self.contestant = contestant
        self.named = named
        self.pictures = [n.read() for n in named]
        self.areas = [picture.shape[0] * picture.shape[1] for picture in self.pictures]
        self._jobs = jobs
        self._journal = journal or Journal()
        self._data: dict[tuple[int, Any], bytes] = {}

    def _key(self, number: int, setting: Setting, *more: str) -> tuple[Any, ...]:
        told = list(setting.target) if isinstance(setting, Aim) else setting
        contestant = self.contestant
        return (*more, contestant.title, contestant.version, contestant.code, self.named[number].name, told)

    def data(self, number: int, setting: Setting) -> bytes:
        """Return the file of a picture."""
        if (number, setting) not in self._data:
            self._make(number, setting)
        return self._data[number, setting]

    def _make(self, number: int, setting: Setting) -> Encoded:
        key = self._key(number, setting)
        try:
            made = self.contestant.encode(self.pictures[number], setting)
        except GuetzpyError as error:
            smallest = getattr(error, "smallest_bytes", None)
            found = encoded(Result(status="failed", error=error.reason, smallest_bytes=smallest))
            self._journal.put([None, 0.0, found.least], *key)
            return found
        found = Encoded(len(made)) if isinstance(made, bytes) else encoded(made)
        self._data[number, setting] = made if isinstance(made, bytes) else made.data
        self._journal.put([found.size, found.distance, None], *key)
        return found

    def encoded(self, settings: Sequence[Setting]) -> list[Encoded]:
        """Return the file of every picture at its setting."""

        def one(pair: tuple[int, Setting]) -> Encoded:
            known = self._journal.get(*self._key(*pair))
            return Encoded(*known) if known is not None else self._make(*pair)

        with ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(one, enumerate(settings)))

    def total(self, setting: Setting) -> int:
        """Return the bytes of the set at one setting."""
        return sum(one.size or 0 for one in self.encoded([setting] * len(self.pictures)))

    def scored(self, settings: Sequence[Setting]) -> list[dict[str, float]]:
        """Return bytes and scores of every picture."""
        threads = None if self._jobs == 1 else 1

        def one(pair: tuple[int, Setting]) -> dict[str, float]:
            key = self._key(*pair, "scores", source_hash("metrics"))
            found: dict[str, float] | None = self._journal.get(*key)
            if found is None:
                number, setting = pair
                picture, data = self.pictures[number], self.data(number, setting)
                shown = self.contestant.decode(data, picture.shape[:2])
                found = {"bytes": len(data), "squared_error": squared_error(picture, shown)}
                if min(picture.shape[:2]) >= MS_SSIM_SMALLEST:
                    found["ms_ssim"] = ms_ssim(picture, shown)
                # The reference is computed anew for each file: the references of a set would fill the memory.
                found |= Reference(picture, COLUMNS, threads).scores(shown)
                self._journal.put(found, *key)
            return found

        with ThreadPoolExecutor(self._jobs) as pool:
            return list(pool.map(one, enumerate(settings)))

    def forget(self) -> None:
        """Free the files; a file that is needed again is encoded again."""
        self._data.clear()


def jpeg(picture: corpus.Picture, quality: float) -> bytes:
    """Encode by Pillow with its best options: 4:2:0, progressive, optimised."""
    return peers.by_pillow(picture, "JPEG", quality=int(quality), optimize=True, progressive=True)


def optimized(
    picture: corpus.Picture, aim: Aim, effort: Any = "balanced", jobs: int = 1, model: Model | None = None
) -> Result:
    """Encode by guetzpy, with a model or the built-in one."""
    import guetzpy

    target: dict[str, Any] = dict([aim.target])
    return guetzpy.optimize(picture, **target, effort=effort, threads=None if jobs == 1 else 1, model=model)


def half(picture: corpus.Picture) -> corpus.Picture:
    """Return a picture of half the width and half the height."""
    size = ((picture.shape[1] + 1) // 2, (picture.shape[0] + 1) // 2)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def doubled(picture: corpus.Picture, shape: tuple[int, int]) -> corpus.Picture:
    """Return a picture of half size scaled up to its original size, (height, width)."""
    return np.array(Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.LANCZOS))


def contestants(
    effort: str = "balanced", jobs: int = 1, models: Sequence[str] = ()
) -> tuple[list[Contestant], list[str]]:
    """Return the encoders that are installed, and the titles of those that are missing.

    Parameters
    ----------
    effort : {"fast", "balanced", "max"}
        Effort of guetzpy.
    jobs : int
        Number of pictures at the same time.
    models : sequence of str
        Model files of ``guetzpy train``. For each of them, guetzpy takes part once more.
    """

    def plain(
        decode: Callable[[bytes], corpus.Picture],
    ) -> Callable[[bytes, tuple[int, int]], corpus.Picture]:
        return lambda data, shape: decode(data)

    def large(data: bytes, shape: tuple[int, int]) -> corpus.Picture:
        return doubled(peers.decode(data), shape)

    def small(encode: Encode) -> Encode:
        return lambda picture, setting: encode(half(picture), setting)

    def own(picture: corpus.Picture, aim: Aim) -> Result:
        return optimized(picture, aim, effort, jobs)

    def trained(model: Model) -> Encode:
        return lambda picture, aim: optimized(picture, aim, effort, jobs, model)

    reach, code = (COARSEST, FINEST), source_hash()
    turbo, guetzpy = str(peers.PEERS["pillow"].version()), f"guetzpy {__version__}"
    shown = plain(peers.decode)
    found = [
        Contestant("JPEG (Pillow: 4:2:0, progressive, optimised)", jpeg, shown, (1, 95), "whole", turbo),
        Contestant(f"guetzpy ({effort})", own, shown, reach, "common", guetzpy, code),
        Contestant(f"guetzpy ({effort}, equal slope)", own, shown, reach, "spread", guetzpy, code),
        Contestant("half size, JPEG (Pillow), Lanczos", small(jpeg), large, (1, 95), "whole", turbo),
        Contestant("half size, guetzpy, Lanczos", small(own), large, reach, "common", guetzpy, code),
    ]
    for model in map(Model.load, models):
        name = f"guetzpy ({effort}, model {model.label})"
        found.append(Contestant(name, trained(model), shown, reach, "common", guetzpy, code))
    missing = []
    scales = {"webp": (0, 100), "hevc": (0, 100), "avif": (0, 100), "jxl": (25.0, 0.2)}
    for kind, scale in scales.items():
        peer = peers.PEERS[kind]
        version = peer.version()
        if version is None:
            missing.append(peer.title)
            continue
        way = "real" if kind == "jxl" else "whole"
        found.append(Contestant(peer.title, peer.encode, plain(peer.decode), scale, way, version))
    return found, missing
