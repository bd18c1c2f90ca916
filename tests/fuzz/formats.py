"""Fuzz the reading of all formats from bytes to pixels, and ``optimize`` for a sample of the files.

    python tests/fuzz/formats.py [--count 20000] [--kinds PNG,GIF] [--sample 400] [--findings FOLDER]

Some hundred mutants of a format at a time run in a new process, within limits of time and memory. Each mutant
has a number: ``--kinds PNG --only 17`` runs it alone. Anything but a result or one of guetzpy's errors is a
finding. Findings are printed and stored in the folder, and the exit code is then 1.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.seeds import KINDS, mutate, seeds

#: Mutants in a process, limits of seconds for each and for all, and of bytes beyond the memory of the seeds.
BATCH, SECONDS, ALL_SECONDS, MEMORY = 500, 20, 1200, 500_000_000


def mutant(kind: str, files: list[bytes], number: int) -> bytes:
    """Return the mutant with this number."""
    return mutate(kind, files, random.Random(f"{kind} {number}"))


def once(data: bytes, whole: bool) -> str:
    """Read the pixels of a file, or optimise it if ``whole``; return the outcome in a word."""
    import guetzpy
    from guetzpy.engine.loading import load

    try:
        if whole:
            options: Any = {"distance": 3.0, "effort": "fast", "max_pixels": 20_000, "threads": 1}
            return guetzpy.optimize(data, background="white", **options).status
        source = load(data, max_pixels=1 << 20, background="white")
        if source.obstacle is not None:
            return "kept"
        assert source.planes(threads=1).shape[1:] == (source.height, source.width)
    except guetzpy.GuetzpyError as error:
        return type(error).__name__ if str(error).strip() and "\n" not in str(error) else "no message"
    return "read"


def _late(*_: object) -> None:
    raise TimeoutError(f"not done within {SECONDS} s")


def peak() -> int:
    """Return the peak memory of this process in bytes; 0 if the system does not report it."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(text.split("VmHWM:")[1].split()[0]) * 1024


def batch(kind: str, numbers: range, sample: int, progress: Path) -> dict[str, Any]:
    """Run mutants in this process; return the number of each outcome, and the findings."""
    files = seeds(kind)
    for data in files:
        once(data, False)
    if any(number % sample == 0 for number in numbers):
        once(files[0], True)
    before = peak()
    outcomes: collections.Counter[str] = collections.Counter()
    findings = []
    signal.signal(signal.SIGALRM, _late)
    for number in numbers:
        progress.write_text(str(number))
        data, whole = mutant(kind, files, number), number % sample == 0
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            with warnings.catch_warnings():
                # If warnings are errors, a file that causes a warning must still give an error of guetzpy.
                warnings.simplefilter("error" if number % 4 == 1 else "ignore")
                outcome = once(data, whole)
            outcomes[outcome] += 1
            assert outcome != "no message", "an error whose message is not one line"
        except BaseException:
            findings.append((number, traceback.format_exc()))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if peak() - before > MEMORY:
            findings.append((number, f"{peak() - before} bytes of memory"))
            before = peak()
    return {"outcomes": outcomes, "findings": findings}


def apart(kind: str, numbers: range, sample: int) -> dict[str, Any]:
    """Run mutants in a new process. If it dies, that is a finding, and the other mutants are run again."""
    with tempfile.TemporaryDirectory() as scratch:
        progress, outcome = Path(scratch, "number"), Path(scratch, "outcome")
        command = [sys.executable, __file__, "--batch", kind, str(numbers.start), str(numbers.stop)]
        command += ["--sample", str(sample), "--scratch", scratch]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=ALL_SECONDS)
            if outcome.exists():
                return json.loads(outcome.read_text())
            why = f"exit code {done.returncode}: {done.stderr[-2000:]}"
        except subprocess.TimeoutExpired:
            why = f"not done within {ALL_SECONDS} s"
        number = int(progress.read_text()) if progress.exists() else numbers.start
    found: dict[str, Any] = {"outcomes": {}, "findings": [(number, why)]}
    for part in (range(numbers.start, number), range(number + 1, numbers.stop)):
        if part:
            rest = apart(kind, part, sample)
            found["outcomes"] = collections.Counter(found["outcomes"]) + collections.Counter(rest["outcomes"])
            found["findings"] += rest["findings"]
    return found


def run(kind: str, count: int, sample: int, findings: Path | None = None) -> tuple[dict[str, int], list[str]]:
    """Run ``count`` mutants of a format; return the number of each outcome, and the findings as text."""
    outcomes: collections.Counter[str] = collections.Counter()
    words = []
    files = seeds(kind)
    for first in range(0, count if files else 0, BATCH):
        done = apart(kind, range(first, min(first + BATCH, count)), sample)
        outcomes.update(done["outcomes"])
        for number, why in done["findings"]:
            words.append(f"{kind} {number}: {why}")
            if findings is not None:
                findings.mkdir(parents=True, exist_ok=True)
                (findings / f"{kind}-{number}").write_bytes(mutant(kind, files, number))
    return dict(outcomes), words


def main() -> int:
    """Run the fuzzer; see the module."""
    parser = argparse.ArgumentParser(description="Fuzz the reading of pictures.")
    parser.add_argument("--count", type=int, default=20_000, help="mutants of each format")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--sample", type=int, default=400, help="every so many are optimised")
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir(), "fuzz-findings"))
    parser.add_argument("--only", type=int, help="run this mutant in this process")
    parser.add_argument("--batch", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.batch:
        kind, start, stop = asked.batch
        done = batch(kind, range(int(start), int(stop)), asked.sample, asked.scratch / "number")
        (asked.scratch / "outcome").write_text(json.dumps(done))
        return 0
    kinds = asked.kinds.split(",")
    if asked.only is not None:
        data = mutant(kinds[0], seeds(kinds[0]), asked.only)
        print(once(data, asked.only % asked.sample == 0))
        return 0
    failed = False
    for kind in kinds:
        outcomes, words = run(kind, asked.count, asked.sample, asked.findings)
        counts = ", ".join(f"{name} {number}" for name, number in sorted(outcomes.items()))
        print(f"{kind}: {sum(outcomes.values())} mutants: {counts}; {len(words)} findings", flush=True)
        for text in words:
            print(text, flush=True)
        failed |= bool(words)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
