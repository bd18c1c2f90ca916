"""Estimates of memory, and how much freed memory a process keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guetzpy._runtime import memory
from guetzpy.errors import LimitError
from guetzpy.search.plan import check_memory, packing_memory, search_memory

FAULTS = """
import resource
import numpy as np
import guetzpy._runtime.memory as memory
kept = memory.keep_freed() if {keep} else True
def use():
    planes = [np.ones(3_000_000, np.float32) for _ in range(20)]
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of other systems")
def test_freed_memory_is_used_again() -> None:
    faults = []
    for keep in (False, True):
        command = [sys.executable, "-c", FAULTS.format(keep=keep)]
        kept, count = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        if kept == "False":
            pytest.skip("an allocator without these settings")
        faults.append(int(count))
    assert faults[1] < 0.2 * faults[0]


def test_memory_of_a_system_that_does_not_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError

    monkeypatch.setattr(memory.os, "sysconf", refuse, raising=False)
    monkeypatch.setattr(Path, "read_text", lambda path: "1000000\n")
    assert memory.physical() == 1_000_000
    monkeypatch.setattr(Path, "read_text", lambda path: "max\n")  # no limit of the container
    assert memory.physical() is None


def test_another_c_library_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_ours", False)
    monkeypatch.setattr(memory, "_libc", object)
    assert not memory.keep_freed()
    memory.prepare_for(1000)
    memory.prepare_for(None)


def test_a_limit_names_both_figures() -> None:
    with pytest.raises(LimitError, match=r"12.0 megapixels would take about 2.71 GB .* 1 GB that are"):
        check_memory(12_000_000, search_memory(12_000_000, "balanced"), 1_000_000_000)
    check_memory(12_000_000, packing_memory(12_000_000), 1_000_000_000)


def test_a_hundred_megapixels_are_within_twelve_gigabytes() -> None:
    assert search_memory(100_000_000, "fast") < search_memory(100_000_000, "balanced") < 6e9


LARGE = """
import resource
import numpy as np
import guetzpy._runtime.memory as memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def use():
    np.ones(20_000_000, np.float32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(20_000_000, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
memory.keep_freed()
usual, before = use(), resident()
memory.prepare_for(20_000_000)
again = use()
held = resident() - before
memory.prepare_for(9_000_000)  # half of what was needed before is enough now
less = resident() - before
memory.prepare_for(100_000_000)
use()
very_large = resident() - before
memory.prepare_for(20_000_000)
use()
memory.prepare_for(None)
print(usual, again, held, less, very_large, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of other systems")
def test_memory_of_large_arrays_is_used_again_and_held_no_longer_than_it_may_be_needed() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    usual, again, held, less, very_large, spared = map(int, done.stdout.split())
    if held < 60e6:
        pytest.skip("an allocator without these settings")
    assert again < 0.2 * usual
    assert less < 30e6
    assert very_large < 30e6  # the memory of very large pictures is not kept
    assert spared < 30e6


def test_allocator_of_callers_is_not_changed() -> None:
    """A search and a comparison change no setting of the allocator, and leave no timer that would."""
    script = (
        "import threading, numpy as np, guetzpy\n"
        "import guetzpy._runtime.memory as memory\n"
        "from guetzpy.engine.compare import compare\n"
        "def refuse(*_):\n    raise AssertionError\n"
        "memory._libc = memory._set_thresholds = refuse\n"
        "picture = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype(np.uint8)\n"
        "result = guetzpy.optimize(picture, distance=3.0)\n"
        "guetzpy.optimize(result.data, max_memory=10**9)\n"
        "compare(picture, result.data)\n"
        "print(sum(isinstance(thread, threading.Timer) for thread in threading.enumerate()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]
