"""Pictures, options and digests of the files that the search writes for them.

The digests in ``data/golden.json`` show whether a change of the code changes bytes. A change that is intended
to do so updates them by ``python tests/golden.py --record``, and its commit says why.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from reference import ink_files

DATA = Path(__file__).parent / "data"
DIGESTS = DATA / "golden.json"

Source = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """A source and the keywords of ``guetzpy.optimize``; slow ones take more than a few seconds."""

    name: str
    source: Source
    options: dict[str, Any]
    slow: bool = False


@cache
def _photo() -> npt.NDArray[np.uint8]:
    with Image.open(DATA / "coffee.jpg") as image:
        return np.asarray(image.convert("RGB"))


def photo(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return a photograph of any size: mirrored copies of a photo, with varied brightness and some noise."""
    tile = np.concatenate([_photo(), _photo()[:, ::-1]], axis=1)
    tile = np.concatenate([tile, tile[::-1]], axis=0)
    rows, columns = -(-height // tile.shape[0]), -(-width // tile.shape[1])
    whole = np.tile(tile, (rows, columns, 1))[:height, :width].astype(np.int16)
    y, x = np.mgrid[:height, :width]
    whole += ((y // 97 * 5 + x // 131 * 3) % 23 - 11).astype(np.int16)[..., None]
    whole += np.random.default_rng(seed).integers(-3, 4, (height, width, 1), np.int16)
    return whole.clip(0, 255).astype(np.uint8)


def smooth(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return a drawing with many pixels whose PNG is small."""
    y, x = np.mgrid[:height, :width]
    codes = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1)
    codes[(x // 64 + y // 64) % 7 == 0] = (240, 30, 60)
    return codes.astype(np.uint8)


def encoded(codes: npt.NDArray[Any], form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(codes).save(file, form, **options)
    return file.getvalue()


def _cases() -> Iterator[Case]:
    targets: dict[str, dict[str, Any]] = {
        "d0.5": {"distance": 0.5},
        "d1": {},
        "d2.5": {"distance": 2.5},
        "q85": {"quality": 85},
        "ba1.2": {"butteraugli": 1.2},
        "ss80": {"ssimulacra2": 80.0},
        "25k": {"max_bytes": 25_000},
        "bpp1.5": {"bpp": 1.5},
    }
    small = 320, 240
    for name, options in targets.items():
        yield Case(f"balanced-{name}", lambda: photo(*small), options)
        yield Case(f"fast-{name}", lambda: photo(*small), {"effort": "fast", **options})
        yield Case(
            f"jpeg97-{name}", lambda: encoded(photo(*small), "JPEG", quality=97, subsampling=0), options
        )
    for name in ("d1", "ss80", "25k"):
        yield Case(f"max-{name}", lambda: photo(*small), {"effort": "max", **targets[name]}, slow=True)
        yield Case(f"gray-{name}", lambda: photo(*small)[..., 1].copy(), targets[name])
    sixteen: Source = lambda: photo(*small).astype(np.uint16) * 257 + 19  # noqa: E731
    for name in ("d0.5", "d1", "25k"):
        yield Case(f"sixteen-{name}", sixteen, targets[name])
        yield Case(f"wide-gamut-{name}", _display_p3, targets[name])
    for quality, sampling in ((95, 2), (95, 1), (99, 0), (90, 2)):
        jpeg = partial(_jpeg, quality, sampling)
        yield Case(f"jpeg-q{quality}-s{sampling}-d2.5", jpeg, {"distance": 2.5})
        yield Case(f"jpeg-q{quality}-s{sampling}-fast", jpeg, {"distance": 3.5, "effort": "fast"})
    yield Case("jpeg-rgb", lambda: encoded(photo(*small), "JPEG", quality=95, keep_rgb=True), {})
    for name, options in (("d1", {}), ("25k", targets["25k"])):
        yield Case(f"jpeg-cmyk-{name}", lambda: ink_files.cmyk(photo(*small)), options)
        yield Case(f"jpeg-ycck-{name}", lambda: ink_files.ycck(photo(*small), (2, 2)), options)
    yield Case("jpeg-gray", lambda: encoded(photo(*small)[..., 0].copy(), "JPEG", quality=97), {})
    yield Case("444", lambda: photo(*small), {"subsampling": "444"})
    yield Case("420", lambda: photo(*small), {"subsampling": "420"})
    yield Case("baseline", lambda: photo(*small), {"progressive": False})
    yield Case("float", lambda: photo(*small).astype(np.float32) / np.float32(255), {})
    yield Case("tiny", lambda: photo(9, 7), {})
    yield Case("odd", lambda: photo(97, 61), {})
    yield Case("narrow", lambda: photo(1200, 17), {})
    yield Case("relaxed", lambda: np.full((40, 56, 3), (255, 0, 255), np.uint8), {"distance": 0.1})
    yield Case("relaxed-noise", _saturated, {"distance": 0.1})
    # Sizes on both sides of each threshold of search/plan.py.
    for width, height in ((720, 639), (720, 640)):
        yield Case(f"fast-{width}x{height}", lambda w=width, h=height: photo(w, h), {"effort": "fast"})  # type: ignore[misc]
    for width, height in ((1024, 511), (1024, 512), (1000, 600), (1000, 601)):
        yield Case(f"balanced-{width}x{height}", lambda w=width, h=height: photo(w, h), {})  # type: ignore[misc]
    yield Case("jpeg-1024x512", lambda: encoded(photo(1024, 512), "JPEG", quality=97, subsampling=0), {})
    for width, height in ((1440, 719), (1440, 720)):
        yield Case(
            f"max-{width}x{height}",
            lambda w=width, h=height: photo(w, h),
            {"effort": "max"},
            slow=True,  # type: ignore[misc]
        )
    sizes = (2999, 2000), (3000, 2000), (3001, 2000), (3072, 2047), (3072, 2048)
    for width, height in sizes:
        large: Source = lambda w=width, h=height: photo(w, h)  # type: ignore[misc] # noqa: E731
        yield Case(f"balanced-{width}x{height}", large, {"distance": 2.0}, slow=True)
        yield Case(f"fast-{width}x{height}", large, {"effort": "fast"}, slow=True)
    yield Case("size-3072x2048", lambda: photo(3072, 2048), {"bpp": 1.0}, slow=True)
    yield Case("balanced-4200x3000", lambda: photo(4200, 3000), {"distance": 1.5}, slow=True)
    yield Case("fast-4200x3000", lambda: photo(4200, 3000), {"effort": "fast"}, slow=True)
    # Searches that spare memory: because of ``max_memory``, or for a small file with many pixels.
    ceiling = {"max_memory": 200_000_000}
    yield Case("memory-d1", lambda: photo(1400, 1000), ceiling)
    yield Case("memory-d2.5", lambda: photo(1400, 1000), {"distance": 2.5, **ceiling})
    yield Case("memory-bpp", lambda: photo(1400, 1000), {"bpp": 1.0, **ceiling})
    yield Case(
        "memory-jpeg", lambda: encoded(photo(1400, 1000), "JPEG", quality=97), {"max_memory": 300_000_000}
    )
    yield Case("few-bytes-lean", lambda: encoded(smooth(1200, 900), "PNG"), {})
    yield Case("few-bytes", lambda: encoded(smooth(2400, 1500), "PNG"), {"distance": 2.0})


def _display_p3() -> bytes:
    profile = (DATA / "display_p3.icc").read_bytes()
    return encoded(photo(320, 240), "PNG", icc_profile=profile)


def _jpeg(quality: int, sampling: int) -> bytes:
    return encoded(photo(320, 240), "JPEG", quality=quality, subsampling=sampling)


def _saturated() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(3).choice(np.array([0, 255], np.uint8), (40, 56, 3))


CASES = list(_cases())


def digest(case: Case) -> dict[str, Any]:
    """Return the digest of the file that a case gives, and some fields of its result."""
    import guetzpy

    result = guetzpy.optimize(case.source(), **case.options)
    return {
        "sha256": hashlib.sha256(result.data).hexdigest(),
        "bytes": len(result.data),
        "status": result.status,
        "distance": result.distance,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the digests instead of comparing them")
    parser.add_argument("--only", default="", help="part of the names of the cases")
    arguments = parser.parse_args()
    known = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    differ = 0
    for case in CASES:
        if arguments.only not in case.name:
            continue
        found = digest(case)
        if found != known.get(case.name):
            differ += 1
            print(f"{case.name}: {known.get(case.name)} -> {found}", flush=True)
        known[case.name] = found
    print(f"{len(CASES)} cases, {differ} differ")
    if arguments.record:
        names = {case.name for case in CASES}
        kept = {name: value for name, value in sorted(known.items()) if name in names}
        DIGESTS.write_text(json.dumps(kept, indent=1) + "\n")
        return 0
    return differ > 0


if __name__ == "__main__":
    sys.exit(main())
