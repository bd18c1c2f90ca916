"""Bytes of JPEG files in CMYK for other factors between the tables of their inks.

    python -m bench inks [--images DIR] [--profile FILE]

The factors follow the effect of each ink on the picture shown (``InkSource.factors``), with a weight of
chroma and an exponent. Each picture is converted to CMYK and saved by Pillow. It is searched at two distances
with each pair of these numbers, and with equal tables. A file that is better than its limits has more bytes
than necessary. Its bytes at the limits are estimated by the usual slope of log bytes over log distance.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from bench import corpus
from guetzpy.engine.inks import InkCandidates, select
from guetzpy.jpeg.metadata.policy import icc_profile
from guetzpy.jpeg.reader import read
from guetzpy.metrics.base import Resources
from guetzpy.options import OptimizeOptions
from guetzpy.picture.inks import ink_conversion
from guetzpy.picture.transform import Transform
from guetzpy.search.calibration import BYTES_BY_DISTANCE
from guetzpy.search.coding.inks import InkSource
from guetzpy.search.evaluation import size_of
from guetzpy.search.plan import plan_search
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits

DISTANCES = (1.0, 2.0)
PAIRS = tuple((weight, exponent) for weight in (0.02, 0.06, 0.14) for exponent in (0.8, 1.0, 1.2, 1.5))


def cmyk(picture: np.ndarray[Any, Any], quality: int, profile: Path | None) -> bytes:
    """Return a picture as a JPEG in CMYK."""
    image, file = Image.fromarray(picture).convert("RGB"), io.BytesIO()
    if profile is None:
        image.convert("CMYK").save(file, "JPEG", quality=quality, subsampling=0)
        return file.getvalue()
    inks = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), str(profile), outputMode="CMYK",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )  # fmt: skip
    assert inks is not None
    inks.save(file, "JPEG", quality=quality, subsampling=0, icc_profile=profile.read_bytes())
    return file.getvalue()


def measure(data: bytes, distance: float) -> list[float]:
    """Return the log bytes at the limits of a distance: with equal tables, then with each of ``PAIRS``."""
    image = read(data)
    source = InkSource(image, ink_conversion(icc_profile(image)))
    reference = source.shown(source.samples(image))
    judge, limits = Judge(reference, Transform(), Resources()), Limits.at_distance(distance)
    options, plan = OptimizeOptions(), plan_search(image.width, image.height)
    found = []
    for factors in ((1.0,) * 4, *(source.factors(*pair) for pair in PAIRS)):
        candidates = InkCandidates.of_inks(source, reference, judge, plan, options, factors)
        best = select(
            candidates, limits, "balanced", strict=True,
            measure=lambda trial, coded: size_of(coded, trial), check=lambda: None,
        )  # fmt: skip
        left = limits.excess(best.found.scores)
        found.append(math.log(size_of(best.source, best.found.trial)) + BYTES_BY_DISTANCE * left)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure the bytes of CMYK files for other factors between the tables of their inks."""
    parser = argparse.ArgumentParser(prog="python -m bench inks", description=main.__doc__)
    corpus.add_arguments(parser)
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="CMYK profile; default: Pillow's formula"
    )
    parser.add_argument("--quality", type=int, default=95, metavar="Q", help="quality of the sources")
    options = parser.parse_args(arguments)
    rows = []
    for named in corpus.chosen(options):
        data = cmyk(np.asarray(named.read()), options.quality, options.profile)
        rows += [measure(data, distance) for distance in DISTANCES]
        print(named.name, file=sys.stderr, flush=True)
    means = np.mean(rows, axis=0)
    print("| weight of chroma | exponent | bytes against equal tables |")
    print("|---|---|---|")
    for (weight, exponent), mean in zip(PAIRS, means[1:], strict=True):
        print(f"| {weight:g} | {exponent:g} | {100 * math.expm1(mean - means[0]):+.1f} % |")


if __name__ == "__main__":
    main()
