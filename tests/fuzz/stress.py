"""Run guetzpy on random pictures and options, with kernels whose accesses outside their arrays are detected.

    python tests/fuzz/stress.py [--seconds 60] [--seed 0] [--check indices|fences|nothing]

``indices`` compiles kernels that check every index and refuse negative ones (NUMBA_BOUNDSCHECK alone accepts
-1, which is the last element). ``fences`` calls kernels with copies of their arrays that end, or begin, at a
page of memory without access rights. ``nothing`` is for checks by other tools, such as

    export LD_PRELOAD=libc_malloc_debug.so.0 MALLOC_CHECK_=3 MALLOC_PERTURB_=165
    python tests/fuzz/stress.py --check nothing

Anything but a result or one of guetzpy's errors ends the run and prints the number of the case.
``--seed S --only NUMBER`` runs this case alone.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import io
import mmap
import os
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

_PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)


# Checks of indices


def refuse_negative_indices() -> None:
    """Make numba compile checks of indices that refuse negative ones. Call it before guetzpy is imported."""
    from numba.core import config, types
    from numba.np import arrayobj

    config.BOUNDSCHECK = 1

    def as_it_is(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
        return context.cast(builder, index, kind, types.intp if kind.signed else types.uintp)

    arrayobj.fix_integer_index = as_it_is


# Fences


class _Fences(threading.local):
    """Regions of memory between two pages without access rights, by their number of pages, for reuse."""

    def __init__(self) -> None:
        self.free: dict[int, list[tuple[mmap.mmap, int]]] = {}

    def take(self, pages: int) -> tuple[mmap.mmap, int]:
        if self.free.get(pages):
            return self.free[pages].pop()
        region = mmap.mmap(-1, (pages + 2) * _PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(region))
        for page in (base, base + (pages + 1) * _PAGE):
            if _libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(_PAGE), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        return region, base

    def give(self, pages: int, region: tuple[mmap.mmap, int]) -> None:
        kept = self.free.setdefault(pages, [])
        if len(kept) < 40:
            kept.append(region)


_fences = _Fences()
_calls = {"fenced": 0}


def fenced(kernel: Any) -> Callable[..., Any]:
    """Return a function that calls a kernel with copies of its arrays between fences."""

    def call(*arguments: Any) -> Any:
        arrays = {}
        for argument in arguments:
            if isinstance(argument, np.ndarray) and argument.nbytes:
                start = argument.__array_interface__["data"][0]
                arrays[start, argument.nbytes] = argument
        spans = sorted(arrays)
        # Arguments that overlap are views of one array.
        overlapping = {s for a, b in pairwise(spans) if a[0] + a[1] > b[0] for s in (a, b)}
        _calls["fenced"] += 1
        at_end = _calls["fenced"] % 2 == 0
        copies, kept, taken = {}, {}, []
        for span, array in arrays.items():
            pages = -(-array.nbytes // _PAGE)
            region = _fences.take(pages)
            taken.append((pages, region))
            start = _PAGE + (pages * _PAGE - array.nbytes if at_end else 0)
            copy = np.frombuffer(region[0], np.uint8, array.nbytes, start)
            copy[:] = array.reshape(-1).view(np.uint8)
            copies[span] = copy
            kept[span] = copy.copy()
        replaced = []
        for argument in arguments:
            if isinstance(argument, np.ndarray) and argument.nbytes:
                copy = copies[argument.__array_interface__["data"][0], argument.nbytes]
                argument = copy.view(argument.dtype).reshape(argument.shape)
            replaced.append(argument)
        outcome = kernel(*replaced)
        for span, array in arrays.items():
            changed = kept[span] != copies[span]  # other threads may write to the other bytes
            if changed.any():
                assert span not in overlapping, f"{kernel.py_func.__qualname__} writes to arrays that overlap"
                array.reshape(-1).view(np.uint8)[changed] = copies[span][changed]
        for pages, region in taken:
            _fences.give(pages, region)
        return outcome

    return call


def put_fences() -> None:
    """Replace every kernel in all modules of the package that have a name for it."""
    from guetzpy._runtime import kernel as _jit

    _jit.import_kernels()
    for _ in _jit.warm():  # compile all first: kernels find others by these names
        pass
    found = {id(dispatcher): fenced(dispatcher) for dispatcher, _ in _jit.kernels().values()}
    for name, module in list(sys.modules.items()):
        if name.startswith("guetzpy"):
            for key, value in list(vars(module).items()):
                if id(value) in found:
                    setattr(module, key, found[id(value)])
                elif isinstance(value, (list, tuple)) and any(id(v) in found for v in value):
                    setattr(module, key, type(value)(found.get(id(v), v) for v in value))
                elif isinstance(value, dict) and any(id(v) in found for v in value.values()):
                    setattr(module, key, {k: found.get(id(v), v) for k, v in value.items()})


# Cases


def picture(dice: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a picture: smooth, noisy, flat, with edges, gray, or all corners of the gamut."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    kind = dice.integers(0, 7)
    rgb = np.stack(
        [x * dice.uniform(-4, 4) + y * dice.uniform(-4, 4) + dice.uniform(0, 255) for _ in range(3)], -1
    )
    if kind == 0:
        rgb += dice.normal(0, dice.choice([2, 20, 200]), rgb.shape)
    elif kind == 1:
        rgb[:] = dice.choice([0, 255, 128, 254], 3)
    elif kind == 2:
        rgb[(x // 3 + y // 5) % 2 == 0] = dice.choice([0, 255], 3)
    elif kind == 3:
        rgb = 127 + 127 * np.sin(rgb / dice.uniform(1, 30))
    elif kind == 4:
        rgb = dice.choice([0.0, 255.0], rgb.shape)
    elif kind == 5:
        rgb = np.repeat(rgb[..., :1], 3, axis=2)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def case(dice: np.random.Generator) -> tuple[Any, str, dict[str, Any]]:
    """Return a source, a description of it, and options of ``optimize``."""
    large = dice.random() < 0.08
    height, width = (int(v) for v in (dice.integers(150, 700, 2) if large else dice.integers(1, 71, 2)))
    codes = picture(dice, height, width)
    gray = dice.random() < 0.2
    kind = str(dice.choice(["array", "deep", "float", "jpeg", "jpeg", "jpeg", "png"]))
    source: Any = codes[..., 0].copy() if gray else codes
    if kind == "deep":
        source = source.astype(np.uint16) * 257 + dice.integers(-90, 90, source.shape).clip(0).astype(
            np.uint16
        )
    elif kind == "float":
        source = source.astype(np.float32) / 255
    elif kind in ("jpeg", "png"):
        image, file = Image.fromarray(source), io.BytesIO()
        if kind == "png":
            image.save(file, "PNG")
        else:
            if not gray and dice.random() < 0.05:
                image = image.convert("CMYK")
            more: dict[str, Any] = {} if image.mode == "L" else {"subsampling": int(dice.integers(0, 3))}
            if dice.random() < 0.3:
                more["restart_marker_blocks"] = int(dice.integers(1, 9))
            image.save(
                file, "JPEG", quality=int(dice.integers(5, 101)), progressive=bool(dice.random() < 0.5),
                optimize=bool(dice.random() < 0.5), **more,
            )  # fmt: skip
        source = file.getvalue()
    target: dict[str, Any] = [
        {"distance": float(dice.choice([0.1, 0.35, 0.7, 1.0, 2.0, 4.0, 8.0, 25.0]))},
        {"distance": float(dice.uniform(0.5, 6))},
        {"quality": int(dice.integers(1, 101))},
        {"ssimulacra2": float(dice.uniform(20, 95))},
        {"butteraugli": float(dice.uniform(0.3, 4))},
        {"max_bytes": int(dice.integers(200, 400 + height * width // 3))},
        {"bpp": float(dice.uniform(0.3, 8))},
    ][dice.choice(7, p=[0.3, 0.3, 0.1, 0.08, 0.08, 0.09, 0.05])]
    options = {
        **target,
        "effort": str(dice.choice(["fast", "balanced", "max"], p=[0.35, 0.5, 0.15])),
        "subsampling": str(dice.choice(["auto", "444", "420", "keep"])),
        "progressive": bool(dice.random() < 0.8),
        "strict": bool(dice.random() < 0.2),
        "threads": int(dice.integers(1, 3)),
    }
    return source, f"{kind} {width} x {height}{' gray' if gray else ''}", options


def once(dice: np.random.Generator) -> str:
    """Run a case; return its outcome in a word."""
    import guetzpy
    from guetzpy import metrics
    from guetzpy.engine import inspect as inspection
    from guetzpy.engine.loading import load

    source, what, options = case(dice)
    print(f"{what} {options}", file=_log, flush=True)
    if what.startswith("jpeg") and dice.random() < 0.3:
        guetzpy.transcode(source, threads=options["threads"])
        inspection.inspect(source)
    try:
        result = guetzpy.optimize(source, **options)
    except guetzpy.GuetzpyError as error:
        return type(error).__name__
    with Image.open(io.BytesIO(result.data)) as opened:
        after = opened.convert("RGB") if opened.mode == "RGB" else opened.copy()
    assert after.size == (result.width, result.height)
    if result.status == "optimized" and dice.random() < 0.3:
        codes = load(source).planes()
        if codes.dtype == np.uint8:
            before = np.ascontiguousarray(codes[0] if len(codes) == 1 else codes.transpose(1, 2, 0))
            score, diffmap = metrics.butteraugli(before, after, full=True)
            assert abs(score - result.butteraugli_3norm) < 1e-5, (score, result.butteraugli_3norm)
            assert abs(metrics.ssimulacra2(before, after) - result.ssimulacra2) < 1e-5
            assert np.isfinite(diffmap).all()
            metrics.ButteraugliComparator(before).gradient(after)
            metrics.SSIMULACRA2Comparator(before).gradient(after)
            shared, slopes = metrics.IWSSIMComparator(before).gradient(after)
            assert 0 <= shared <= 1, shared
            assert np.isfinite(slopes).all()
    return result.status


_log: Any = sys.stderr


def cases(seed: int, only: int | None, seconds: float) -> Iterator[int]:
    """Yield numbers of cases until the time is over."""
    if only is not None:
        yield only
        return
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        yield number
        number += 1


def main() -> int:
    """Run the cases; see the module."""
    global _log
    parser = argparse.ArgumentParser(description="Stress guetzpy with kernels under watch.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one case")
    parser.add_argument("--check", choices=["indices", "fences", "nothing"], default="indices")
    parser.add_argument("--log", type=Path, help="where to write each case before it runs")
    asked = parser.parse_args()
    faulthandler.enable()
    warnings.simplefilter("ignore")
    ImageFile.MAXBLOCK = 1 << 22  # Pillow's default is too small for tiny noisy pictures
    _log = open(asked.log or os.devnull, "w")
    with tempfile.TemporaryDirectory() as scratch:
        if asked.check == "indices":
            # Kernels with these checks are kept in a folder of their own.
            from numba.core import config

            config.CACHE_DIR = os.environ.get("GUETZPY_STRESS_CACHE", scratch)
            refuse_negative_indices()
        elif asked.check == "fences":
            put_fences()
        import guetzpy

        guetzpy.warmup()
        outcomes: dict[str, int] = {}
        for number in cases(asked.seed, asked.only, asked.seconds):
            print(number, end=": ", file=_log)
            try:
                outcome = once(np.random.default_rng([asked.seed, number]))
            except BaseException:
                print(f"case {number} of seed {asked.seed}:", file=sys.stderr)
                raise
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(sum(outcomes.values()), "cases:", outcomes, _calls if asked.check == "fences" else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
