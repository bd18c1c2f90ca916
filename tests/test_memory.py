"""How much memory work is said to take, and what becomes of memory that was used."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


def test_a_limit_names_both_figures() -> None:
    with pytest.raises(LimitError, match=r"12.0 megapixels would take about 2.64 GB .* 1 GB that are"):
        check_memory(12_000_000, search_memory(12_000_000, "balanced"), 1_000_000_000)
    check_memory(12_000_000, packing_memory(12_000_000), 1_000_000_000)


def test_a_hundred_megapixels_are_within_twelve_gigabytes() -> None:
    assert search_memory(100_000_000, "fast") < search_memory(100_000_000, "balanced") < 6e9


GIVEN_BACK = """
import time
import numpy as np
import guetzpy._runtime.memory as memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
with memory.reusing(3_000_000):
    with memory.reusing(3_000_000):
        planes = [np.ones(3_000_000, np.float32) for _ in range(20)]
        del planes
    inside = resident() - before
soon = resident() - before
with memory.reusing(3_000_000):
    pass  # the time begins anew
deadline = time.monotonic() + 30
while resident() - before > 30e6 and time.monotonic() < deadline:
    time.sleep(0.05)
print(inside, soon, resident() - before, memory._working)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of other systems")
def test_memory_is_given_back_when_no_more_work_comes() -> None:
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True, check=True)
    inside, soon, after, working = map(int, done.stdout.split())
    assert working == 0
    if inside < 100e6:
        pytest.skip("an allocator without these settings")
    assert soon > 100e6  # a loop over pictures finds it still there
    assert after < 30e6


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
usual, before = use(), resident()
with memory.reusing(20_000_000):
    again = use()
held = resident() - before
with memory.reusing(9_000_000):
    pass  # half of what was needed before is enough now
less = resident() - before
with memory.reusing(100_000_000):
    use()
    very_large = resident() - before
print(usual, again, held, less, very_large)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of other systems")
def test_memory_of_large_arrays_is_used_again_and_held_no_longer_than_it_may_be_needed() -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    usual, again, held, less, very_large = map(int, done.stdout.split())
    if held < 60e6:
        pytest.skip("an allocator without these settings")
    assert again < 0.2 * usual
    assert less < 30e6
    assert very_large < 30e6  # so much memory as those take is not held


WAITING = """
import numpy as np
import guetzpy._runtime.memory as memory
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before, held = resident(), []
for pixels in (2_000_000, 12_000_000):
    with memory.reusing(pixels):
        planes = [np.ones(20_000_000, np.float32) for _ in range(10)]
        del planes
        inside = resident() - before
    held.append(resident() - before)
print(inside, *held)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of other systems")
def test_not_much_waits_but_after_a_large_picture() -> None:
    done = subprocess.run([sys.executable, "-c", WAITING], capture_output=True, text=True, check=True)
    inside, small, large = map(int, done.stdout.split())
    if inside < 700e6:
        pytest.skip("an allocator without these settings")
    assert 100e6 < small < 450e6
    assert large > 700e6


FORKED = """
import os, signal
import guetzpy._runtime.memory as memory
with memory.reusing(3_000_000):
    pass
memory._lock.acquire()  # as the thread that gives memory back does
child = os.fork()
if child == 0:
    signal.alarm(20)
    with memory.reusing(3_000_000):
        pass
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_fork_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "7"
