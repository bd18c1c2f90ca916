"""Any file of less than 500 kB is processed within 10 s and 500 MB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[3] / "shared" / "images"

#: Processes the files that stdin lists; prints the outcome, time and memory of each.
WORKER = """
import io, json, sys, time
from pathlib import Path
import numpy as np
from PIL import Image
import guetzpy
from guetzpy.engine.inspect import inspect

def memory(name):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(name))
    return int(line.split()[1]) * 1024

noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
warm = io.BytesIO()
Image.fromarray(noise).save(warm, "JPEG", quality=97)
functions = {"optimize": guetzpy.optimize, "transcode": guetzpy.transcode, "inspect": inspect}
guetzpy.optimize(noise)
for function in functions.values():
    function(warm.getvalue())
base = memory("VmRSS")
for path in sys.stdin.read().splitlines():
    data = Path(path).read_bytes()
    for name, function in functions.items():
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew
        wall, processor = time.perf_counter(), time.process_time()
        try:
            result = function(data)
            outcome = result.status if isinstance(result, guetzpy.Result) else "described"
        except guetzpy.GuetzpyError as error:
            outcome = type(error).__name__
            assert str(error).strip() and "\\n" not in str(error)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        row = [path, len(data), name, outcome, wall, processor, memory("VmHWM") - base]
        print(json.dumps(row), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not IMAGES.is_dir(), reason="needs the shared pictures")
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory as Linux tells it")
@pytest.mark.parametrize(
    "folder", ["jpeg-features", "jpeg-camera", "jpeg-orientation", "jpeg-gainmap", "jpeg-corrupt"]
)
def test_every_file(folder: str, tmp_path: Path) -> None:
    """Each file gives a result or an error of guetzpy; a small file takes at most 10 s and 500 MB.

    The time is half of the processor time, because two threads work.
    """
    files = [str(p) for p in sorted((IMAGES / folder).iterdir()) if p.is_file() and p.suffix != ".tsv"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER], input="\n".join(files), capture_output=True, text=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (files[len(rows) // 3], done.stderr)
    assert len(rows) == 3 * len(files)
    if place := os.environ.get("GUETZPY_TABLE"):
        with open(place, "a") as table:
            table.writelines(json.dumps([folder, *row]) + "\n" for row in rows)
    outcomes = Counter((row[2], row[3]) for row in rows)
    expected = {"optimized", "lossless", "kept", "described", "FormatError", "UnsupportedError", "LimitError"}
    assert {outcome for _, outcome in outcomes} <= expected, outcomes
    costly = [row for row in rows if row[1] < 500_000 and (row[5] / 2 > 10 or row[6] > 500e6)]
    assert not costly
