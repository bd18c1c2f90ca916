"""Runs for tests of the report, made without a search: pictures, their smaller files, results."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from guetzpy.report import Collection
from guetzpy.result import Result

#: A name that an attacker could choose.
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script> \"'&{{7*7}}\u202egpj.exe\n.jpg"


def jpeg(seed: int, quality: int, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """Return a JPEG of smooth colours that differ by seed."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).normal(0, 10, (height, width, 3))
    planes = np.stack([x * 200 / width + 20, y * 200 / height + 20, (x + y + 31 * seed) % 256], axis=-1)
    stream = io.BytesIO()
    picture = Image.fromarray((planes + noise).clip(0, 255).astype(np.uint8))
    picture.save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def result(name: str, before: bytes, after: bytes, seed: int = 0, **changes: Any) -> Result:
    """Return a result of a search with these two files."""
    with Image.open(io.BytesIO(after)) as picture:
        width, height = picture.size
    fields: dict[str, Any] = {
        "status": "optimized",
        "input": name,
        "bytes_before": len(before),
        "bytes_after": len(after),
        "width": width,
        "height": height,
        "target": {"distance": 1.0},
        "distance": 1.0 + seed / 100,
        "butteraugli_3norm": 0.6 + seed / 100,
        "butteraugli_max": 1.5 + seed / 100,
        "ssimulacra2": 85.0 - seed / 10,
        "subsampling": "420",
        "progressive": False,
        "effort": "fast",
        "seconds": 0.25,
    }
    return Result(**(fields | changes))


def run_of(
    folder: Path, count: int, collection: Collection, size: tuple[int, int] = (64, 48)
) -> list[Result]:
    """Make a run of files in a folder, of all statuses, and put it into a collection."""
    results = []
    for sub in ("in", "out"):
        (folder / sub).mkdir(exist_ok=True)
    for i in range(count):
        before, after = jpeg(i, 95, size), jpeg(i, 60 if i % 5 else 90, size, optimize=True)
        name, output = folder / "in" / f"photo {i}.jpg", folder / "out" / f"photo {i}.jpg"
        name.write_bytes(before)
        output.write_bytes(after)
        status = "lossless" if i % 7 == 3 else "optimized"
        one = result(str(name), before, after, i, status=status, output=str(output))
        results.append(one)
        collection.add(one)
    failed = Result(status="failed", input=str(folder / "in" / EVIL), error="truncated: 3 of 9 <MCU> rows")
    collection.add(failed)
    return [*results, failed]


def data_of(page: str) -> list[dict[str, Any]]:
    """Return the records of files that a page embeds."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return list(json.loads(found[1]))
