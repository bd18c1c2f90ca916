"""The package's worker processes: their imports, their errors, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from guetzpy._runtime.processes import Worker, WorkerDied, _portable
from guetzpy.errors import LimitError


def fail_with_what_cannot_be_pickled() -> None:
    class Local(Exception):
        pass

    raise Local("only here")


def refuse() -> None:
    error = LimitError("too large")
    error.name = "a.jpg"
    raise error


def test_calls_are_answered_in_turn_and_printing_does_no_harm() -> None:
    with Worker() as worker:
        assert worker.call(sorted, [3, 1, 2]) == [1, 2, 3]
        assert worker.call(print, "a line that must not come among the replies") is None
        assert len(worker.call(bytes, 3_000_000)) == 3_000_000
        assert worker.call(os.getpid) == worker.pid != os.getpid()
        assert worker.call(os.system, "exit 0") == 0


def test_errors_come_back() -> None:
    with Worker() as worker:
        with pytest.raises(ZeroDivisionError):
            worker.call(divmod, 1, 0)
        with pytest.raises(LimitError, match=r"a\.jpg: too large"):
            worker.call(refuse)
        with pytest.raises(RuntimeError, match="Local: only here"):
            worker.call(fail_with_what_cannot_be_pickled)
        assert worker.call(abs, -1) == 1
        worker.end(patience=30)
        assert worker._process.returncode == 1  # it ended by itself, and was not killed


def test_only_errors_that_can_be_read_are_sent() -> None:
    error = LimitError("too large")
    assert _portable(error) is error
    with pytest.raises(Exception, match="only here") as raised:
        fail_with_what_cannot_be_pickled()
    sent = _portable(raised.value)
    assert (type(sent), str(sent)) == (RuntimeError, "Local: only here")


def test_a_system_without_signal_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_sigmask", raising=False)
    with Worker() as worker:
        assert worker.call(abs, -1) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
def test_death_is_told() -> None:
    with Worker() as worker:
        with pytest.raises(WorkerDied):
            worker.call(os.kill, worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            worker.call(abs, -1)
        worker._process.wait(30)
        assert not worker.is_alive()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of POSIX")
def test_ctrl_c_does_not_reach_a_worker_from_its_first_instruction() -> None:
    with Worker() as worker:
        assert signal.SIGINT in worker.call(signal.pthread_sigmask, signal.SIG_BLOCK, ())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_worker_that_hangs_is_killed() -> None:
    worker = Worker()
    worker.call(abs, -1)
    worker._requests.write(b"\x00")  # a call that never ends
    started = time.monotonic()
    worker.end(patience=0.0)
    worker.close()
    assert not worker.is_alive()
    assert time.monotonic() - started < 30


def test_nothing_of_the_main_module_or_of_the_folder_is_imported(tmp_path: Path) -> None:
    """The script has no guard (``if __name__ == ...``), and a file beside it has a standard module's name."""
    (tmp_path / "pickle.py").write_text("raise SystemExit('the folder of the script was searched')")
    script = """
        import sys
        sys.path.pop(0)  # the script's own folder, for what the script itself imports
        import guetzpy
        from guetzpy._runtime.processes import Worker
        main = sys.modules["__main__"]
        print("once")
        with Worker() as worker:
            print(worker.call(len, "ab"), sys.modules["__main__"] is main)
    """
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["once", "2", "True"]
    assert done.stderr == ""


def test_a_frozen_program_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(OSError, match="pass an executor"):
        Worker()
