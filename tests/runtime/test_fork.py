"""Forks while other threads work: the first call in the child works or raises an error; it never hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

FORKS = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")  # Python's own, about forks of threads
import numpy as np
import guetzpy

picture = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
little = picture[:24, :24].copy()
ended = threading.Event()

def work():
    while not ended.is_set():
        guetzpy.optimize(picture, effort="fast", threads=2)

{first}
threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()
outcomes = []
for number in range({count}):
    time.sleep({pause} * (number % 7))
    child = os.fork()
    if child == 0:
        signal.alarm({alarm})
        try:
            guetzpy.optimize(little, effort="fast", threads=2)
        except Exception:
            os._exit(3)
        os._exit(0)
    outcomes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ended.set()
for thread in threads:
    thread.join()
print(*outcomes)
"""


def outcomes(count: int, pause: float, first: str = "", alarm: int = 100) -> list[int]:
    script = FORKS.format(count=count, pause=pause, first=first, alarm=alarm)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [int(code) for code in done.stdout.split()]


def test_forks_while_threads_work() -> None:
    """The child gets new pools and locks."""
    found = outcomes(50, 0.01, "guetzpy.optimize(little, effort='fast')")
    assert len(found) == 50
    assert set(found) <= {0, 3}
    assert found.count(0) >= 40


def test_forks_while_threads_import_and_load() -> None:
    """The first use of a name imports its module. A child forked meanwhile would wait for the import lock."""
    for _ in range(4):
        assert set(outcomes(1, 0)) <= {0, 3}


@pytest.mark.slow
def test_forks_while_threads_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert set(outcomes(3, 0.3, alarm=900)) <= {0, 3}  # each child compiles: 150 s on a busy machine
