"""Fuzz the JPEG reader and the transcoder, guided by coverage.

    python tests/fuzz/run.py [--seconds 60] [--corpus FOLDER] [FILE ...]

Given files are run once each, to reproduce a finding. Kernels are compiled, so their coverage is not known;
with NUMBA_BOUNDSCHECK=1 they check every index. Without atheris (``pip install atheris``) mutants are not
guided by coverage. Anything but a result or one of guetzpy's errors ends the run with an exit code above 0.
The file is then in the corpus folder.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import os
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

try:
    import atheris
except ImportError:
    atheris = None

import guetzpy

# Modules with kernels are not instrumented, because numba cannot compile instrumented code.
_PACKAGE = Path(guetzpy.__file__).parent / "jpeg"
_KERNELS = [
    f"guetzpy.jpeg.{path.stem}"
    for path in _PACKAGE.glob("*.py")
    if "@kernel" in path.read_text(encoding="utf-8")
]
_watch = contextlib.nullcontext()
if atheris is not None:
    _watch = atheris.instrument_imports(include=["guetzpy.jpeg"], exclude=_KERNELS)
with _watch:
    from guetzpy.jpeg import reader, transcode
    from guetzpy.jpeg.metadata import policy as metadata
    from guetzpy.jpeg.metadata import preservation

from fuzz import mutation  # noqa: E402
from guetzpy.errors import GuetzpyError  # noqa: E402

_LIMITS = reader.Limits(max_pixels=1 << 20, max_scans=64)
_POLICIES = [
    metadata.Policy(),
    metadata.Policy.of((), ("all",)),
    metadata.Policy.of((), ("gps", "thumbnail")),
    metadata.Policy.of((), ("mpf", "trailing")),
]


def once(data: bytes) -> None:
    """Read, repair and repack a file. Its length determines the policy for metadata."""
    for repair in (False, True):
        try:
            image = reader.read(data, limits=_LIMITS, repair=repair)
        except GuetzpyError:
            continue
        for component in image.components:
            assert component.coefficients.shape[2] == 64
        assert not image.complete or all(component.qtable.all() for component in image.components)
        assert image.complete or image.warnings
        preservation.describe(data, image)
    try:
        done = transcode.transcode_bytes(
            data, _POLICIES[len(data) % len(_POLICIES)], limits=_LIMITS, threads=1
        )
    except GuetzpyError:
        return
    assert len(done.data) <= len(data)
    assert done.status == "lossless" or done.data == data


def _custom(data: bytes, size: int, seed: int) -> bytes:
    """Mutate a file by its structure or, in half of the calls, by libFuzzer's mutations."""
    dice = random.Random(seed)
    if dice.random() < 0.5:
        return bytes(atheris.Mutate(data, size))
    return mutation.mutate(data, dice)[:size]


def _blindly(seconds: float, corpus: Path) -> int:
    end = time.monotonic() + seconds
    dice = random.Random(int(time.time()))
    files = [path.read_bytes() for path in sorted(corpus.iterdir())]
    count = 0
    while time.monotonic() < end:
        data = mutation.mutate(dice.choice(files), dice)
        count += 1
        try:
            once(data)
        except Exception:
            place = corpus / f"crash-{hashlib.sha1(data).hexdigest()}"
            place.write_bytes(data)
            print(f"after {count} files: {place}", file=sys.stderr)
            raise
    print(f"{count} files", file=sys.stderr)
    return 0


def main() -> int:
    """Run the fuzzer; see the module."""
    parser = argparse.ArgumentParser(description="Fuzz guetzpy's JPEG reader.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="folder of files to begin with, and for new ones")
    parser.add_argument("files", nargs="*", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    faulthandler.enable()
    for path in asked.files:
        once(path.read_bytes())
    if asked.files:
        return 0
    for seed in mutation.seeds():  # compiles the kernels before the time is measured
        once(seed)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = asked.corpus or Path(scratch)
        corpus.mkdir(exist_ok=True)
        for seed in mutation.seeds():
            (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
        if atheris is None:
            return _blindly(asked.seconds, corpus)
        options = [f"-max_total_time={asked.seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=3000"]
        options.append(f"-artifact_prefix={corpus}{os.sep}")
        atheris.Setup([sys.argv[0], *options, str(corpus)], once, custom_mutator=_custom)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
