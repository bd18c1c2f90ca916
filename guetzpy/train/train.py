"""Training of a model: its parts one after the other, and the description that the file holds."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from guetzpy import __version__
from guetzpy.model.file import Model
from guetzpy.model.file import Part as ModelPart
from guetzpy.train import block_weights, start, tables
from guetzpy.train.pictures import digest, find
from guetzpy.train.run import Outcome, Run, read_checkpoint

__all__ = ["PARTS", "QUICK", "WHOLE", "Settings", "train"]

#: Functions that fit the parts, in order. Each gets a model with the parts fitted before it, and with the
#: parts of the base model that this run does not fit.
_FITS: dict[str, Callable[[Run, Model], Outcome]] = {
    "weights": block_weights.fit,
    "tables": tables.fit,
    "start": start.fit,
}

#: Names of the parts.
PARTS = tuple(_FITS)


@dataclass(frozen=True)
class Settings:
    """Settings of a training run that its result depends on.

    Attributes
    ----------
    pictures : int
        Largest number of pictures.
    size : int
        Largest width and height of the part of a picture that is used, in pixels.
    quick : bool
        Whether the fit has fewer rounds.
    seed : int
        Seed of all random numbers.
    parts : tuple of str
        The parts that are fitted, of :data:`PARTS`.
    base : Model, optional
        Model from which the parts that are not fitted are taken.
    """

    pictures: int
    size: int
    quick: bool = False
    seed: int = 0
    parts: tuple[str, ...] = PARTS
    base: Model | None = None

    def key(self, hashed: str) -> str:
        """Return a digest of the settings, guetzpy's version, and the digest of the pictures."""
        base = None if self.base is None else self.base.digest
        own = [self.pictures, self.size, self.quick, self.seed, self.parts, base]
        text = json.dumps([*own, __version__, hashed])
        return hashlib.sha256(text.encode()).hexdigest()


#: Settings of a run, and of a quick one.
WHOLE, QUICK = Settings(200, 512), Settings(24, 512, quick=True)


def train(
    folder: str,
    output: str,
    settings: Settings = WHOLE,
    *,
    jobs: int = 1,
    minutes: float = float("inf"),
    name: str | None = None,
    progress: Callable[[str, int, int], object] = lambda stage, done, total: None,
    tell: Callable[[str], object] = lambda text: None,
) -> Model:
    """Fit a model on the pictures of a folder, and write it.

    Parameters
    ----------
    folder : str
        Folder of training pictures.
    output : str
        The model file. Until it is written, a checkpoint is kept beside it.
    settings : Settings
        What the result depends on, besides the pictures.
    jobs : int
        Processes. The result does not depend on their number.
    minutes : float
        Time after which the fit ends with the results so far. The result then depends on the speed of the
        machine.
    name : str, optional
        Name of the model. Default: the name of the file, without its suffix.
    progress : callable
        Called with the stage, the number of its finished tasks, and the number of its tasks.
    tell : callable
        Called with sentences for the user.

    Returns
    -------
    Model

    Raises
    ------
    FormatError
        There are fewer than two pictures, or the checkpoint is damaged or of other settings.
    OSError
        The folder cannot be read, or the file cannot be written.
    """
    began = time.monotonic()
    pictures = find(folder, settings.pictures, settings.size, tell)
    hashed = digest(pictures)
    key = settings.key(hashed)
    checkpoint = f"{output}.checkpoint"
    done = read_checkpoint(checkpoint, key)
    if done:
        tell(f"{checkpoint}: {len(done)} tasks are done already")
    run = Run(
        pictures, settings.seed, settings.quick, jobs, began + 60 * minutes, checkpoint, done, key, progress
    )
    base, fits = settings.base, [fit for name, fit in _FITS.items() if name in settings.parts]
    kept = {} if base is None else {k: v for k, v in base.parts.items() if k not in settings.parts}
    parts: dict[str, ModelPart] = dict(kept)
    figures: dict[str, Any] = {}
    for fit in fits:
        outcome = fit(run, Model.of(parts, {}))
        figures[outcome.name] = outcome.figures
        if outcome.part is not None:
            parts[outcome.name] = outcome.part
        else:
            tell(f"{outcome.name}: left out, since it saves nothing on the pictures that are held out")
    about = {
        "name": name or os.path.splitext(os.path.basename(output))[0],
        "guetzpy": __version__,
        "command": "guetzpy train",
        "settings": {
            "size": settings.size, "quick": settings.quick, "seed": settings.seed, "cut_short": run.late,
        },
        "set": os.path.basename(os.path.abspath(folder)),
        "pictures": len(pictures),
        "held_out": len(run.numbers(held_out=True)),
        "pictures_sha256": hashed,
        "date": _date(),
        "figures": figures,
    }  # fmt: skip
    if base is not None and kept:
        about["base"] = {"parts": sorted(kept), "sha256": base.digest, "about": dict(base.about)}
    model = Model.of(parts, about)
    model.save(output)
    with suppress(FileNotFoundError):
        os.unlink(checkpoint)
    return Model.load(output)


def _date() -> str:
    """Return today's date, or that of SOURCE_DATE_EPOCH, by which builds are reproduced."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.now(UTC) if given is None else datetime.fromtimestamp(int(given), UTC)
    return now.strftime("%Y-%m-%d")
