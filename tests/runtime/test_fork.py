"""Forks while other threads work: the first call in the child works or raises an error; it never hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
    time.sleep({pause} * (1 + number % 7))
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
    for pause in (0, 0.3, 0.7, 1.2):
        assert set(outcomes(1, pause)) <= {0, 3}


UNLOCKED = """
import io, sys
import numpy as np
from guetzpy._runtime import forks
from numba.core.compiler_lock import global_compiler_lock
import guetzpy

found = set()

def audit(event, arguments):
    if event == "import" and arguments[0] not in sys.modules:
        if not forks._forking._is_owned() and not global_compiler_lock.is_locked():
            found.add(arguments[0])

codes = np.random.default_rng(0).integers(0, 256, (64, 80, 3)).astype(np.uint8)
what = sys.argv[1]
if what in ("balanced", "fast", "max", "max_bytes"):
    sys.addaudithook(audit)
    options = {"max_bytes": 3000} if what == "max_bytes" else {"effort": what}
    guetzpy.optimize(codes, **options)
else:
    with open(sys.argv[2], "rb") as file:
        data = file.read()
    sys.addaudithook(audit)
    {"jpeg": guetzpy.optimize, "png": guetzpy.optimize, "transcode": guetzpy.transcode}[what](data)
print(*sorted(found))
"""


@pytest.mark.parametrize("what", ["balanced", "fast", "max", "max_bytes", "jpeg", "png", "transcode"])
def test_modules_are_imported_while_no_thread_can_fork(what: str, tmp_path: Path) -> None:
    """Regression: a child that was forked during the import of a part of the model waited for ever."""
    path = tmp_path / "a"
    codes = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(codes).save(path, "PNG" if what == "png" else "JPEG")
    command = [sys.executable, "-c", UNLOCKED, what, str(path)]
    for _ in range(2):  # the first run may compile kernels
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.slow
def test_forks_while_threads_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert set(outcomes(3, 0.3, alarm=900)) <= {0, 3}  # each child compiles: 150 s on a busy machine
