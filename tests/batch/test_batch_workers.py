"""Real worker processes: killed, hung, orphaned; a run killed with -9 and resumed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guetzpy import batch
from guetzpy.batch import pool, worker
from guetzpy.batch.worker import Done
from guetzpy.options import TranscodeOptions
from guetzpy.result import Result

pytestmark = pytest.mark.slow


def fragile(task: Any, options: Any, delivery: Any) -> Done:
    """Process a file in the worker process, but die or hang for some names."""
    name = Path(task.input).name
    if name.startswith("kills"):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("once"):
        mark = Path(task.input).parent.parent / f"{name}.mark"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("hangs"):
        time.sleep(1000)
    return worker.process(task, options, delivery)


def make(folder: Path, *names: str) -> Path:
    rng = np.random.default_rng(5)
    for name in names:
        stream = io.BytesIO()
        noise = rng.normal(128, 30, (64, 64, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).save(stream, "JPEG", quality=90)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
    return folder


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, **wishes: Any) -> dict[str, Result]:
    monkeypatch.setattr(pool, "process", fragile)
    options = TranscodeOptions(timeout=wishes.pop("timeout", None))
    results = batch.run(folder, folder.parent / "out", options, **wishes)
    return {Path(result.input or "").name: result for result in results}


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_worker_that_is_killed_while_idle_is_started_anew(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", "a.jpg", "b.jpg")
    tasks = batch.run(folder, tmp_path / "out", TranscodeOptions(), write=False).tasks
    processes = pool.Processes(1)
    try:
        outcomes = []
        for task in tasks:
            processes.submit(task, TranscodeOptions(), worker.Delivery(write=False))
            outcomes += processes.finished()
            idle = processes._slots[0]._worker
            assert idle is not None
            os.kill(idle.pid, signal.SIGKILL)
            idle._process.wait(30)
    finally:
        processes.close()
    assert [type(outcome) for _, outcome in outcomes] == [Done, Done]


def test_killed_workers_cost_one_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{i}.jpg" for i in range(6)]
    folder = make(tmp_path / "in", *names, "kills.jpg", "once.jpg")
    results = run(monkeypatch, folder, jobs=2)
    assert {name for name, result in results.items() if result.status == "failed"} == {"kills.jpg"}
    assert "tried twice" in (results["kills.jpg"].error or "")
    assert results["once.jpg"].status == "lossless"
    assert {path.name for path in (tmp_path / "out").glob("*.jpg")} == {*names, "once.jpg"}


def test_a_worker_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_GRACE", 0.5)
    folder = make(tmp_path / "in", "a.jpg", "b.jpg", "hangs.jpg")
    results = run(monkeypatch, folder, jobs=1, timeout=5.0)
    assert {name: result.status for name, result in results.items()} == {
        "a.jpg": "lossless", "b.jpg": "lossless", "hangs.jpg": "failed",
    }  # fmt: skip
    assert "not done within 5 s" in (results["hangs.jpg"].error or "")


def test_no_process_stays_after_a_run(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", *(f"{i}.jpg" for i in range(4)))
    before = set(descendants(os.getpid()))
    list(batch.run(folder, tmp_path / "out", TranscodeOptions(), jobs=2))
    with batch.run(folder, tmp_path / "out2", TranscodeOptions(), jobs=2) as stopped:
        next(stopped)
    left = set(descendants(os.getpid())) - before
    assert not [pid for pid in left if alive(pid)]


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    make(tmp_path / "in", "a.jpg", "b.jpg")
    script = tmp_path / "script.py"
    script.write_text(
        "from guetzpy import TranscodeOptions, batch\n"
        "print(*sorted(r.status for r in batch.run('in', 'out', TranscodeOptions(), jobs=2)))\n"
    )
    for command in ([sys.executable, "script.py"], [sys.executable, "-"]):
        done = subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True, input=script.read_text()
        )
        assert done.stdout == "lossless lossless\n"
        assert done.stderr == ""


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".guetzpy.sqlite")
    }


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "guetzpy", "transcode", "in", "-r", "-j", "2", *arguments]


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_kill_9_and_resume(tmp_path: Path) -> None:
    """If the parent is killed, its workers end, files are complete, and recorded files are not repeated."""
    folder = make(tmp_path / "in", *(f"{i % 7}/{i:03}.jpg" for i in range(300)))
    originals = hashes(folder)
    process = subprocess.Popen(command("-o", "out", "--quiet"), cwd=tmp_path)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "out").rglob("*.jpg"))) < 60:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    workers = descendants(process.pid)
    assert len(workers) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 2.0
    while any(map(alive, workers)):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.02)

    half = hashes(tmp_path / "out")
    assert 60 <= len(half) < 300
    subprocess.run(command("-o", "whole", "--quiet"), cwd=tmp_path, check=True)
    whole = hashes(tmp_path / "whole")
    assert half.items() <= whole.items()  # complete files, and no temporary ones
    resumed = subprocess.run(
        command("-o", "out", "--json", "--resume"), cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert hashes(tmp_path / "out") == whole
    # Rows are committed every second or 64 files. Later files are processed again.
    again = len(resumed.stdout.splitlines())
    assert again <= 300 - len(half) + 64 + 8
    assert hashes(folder) == originals


def test_ctrl_c(tmp_path: Path) -> None:
    make(tmp_path / "in", *(f"{i:03}.jpg" for i in range(400)))
    process = subprocess.Popen(
        command("-o", "out", "--json"), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # SIGINT is ignored in a shell's &
    )  # fmt: skip
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["status"] == "lossless"
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C: the workers get it too
    _, words = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in words
    assert "interrupted" in words.splitlines()[-1]
    assert " so far; --resume continues the run" in words.splitlines()[-2]
    done = {path for path in (tmp_path / "out").rglob("*") if path.suffix != ".jpg"}
    assert {path.name for path in done} == {".guetzpy.sqlite"}
