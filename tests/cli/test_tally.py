"""The summary of a run, and the count of compiled kernels."""

from __future__ import annotations

import io
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import threads, warmup
from guetzpy.cli import app, reporting
from guetzpy.cli.tally import Tally, bytes_text
from guetzpy.result import Result


def test_summary_counts_outcomes() -> None:
    tally = Tally()
    for status in ("optimized", "optimized", "lossless", "kept"):
        tally.add(Result(status=status, bytes_before=1_000_000, bytes_after=400_000))  # type: ignore[arg-type]
    tally.add(Result(status="failed", error="broken"))
    tally.add(Result(status="kept", reason="not a picture; copied", bytes_before=5, bytes_after=5))
    assert tally.words() == (
        "6 files, 4 000 005 -> 1 600 005 bytes (-60.0 %), 2.4 MB saved: "
        "2 optimised, 1 repacked, 1 kept, 1 copied, 1 failed"
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (999.6, "1 kB"), (78_907, "78.9 kB"), (2.4e15, "2.4e+03 TB")],
)
def test_bytes(count: float, text: str) -> None:
    assert bytes_text(count) == text


def test_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line proposes a next command, and that command works."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    pixels = np.random.default_rng(5).integers(0, 256, (24, 24, 3), np.uint8)
    Image.fromarray(pixels).save("in/a.jpg", quality=95)
    Path("in/b.jpg").write_bytes(b"broken")
    command = ["transcode", "-r", "in", "-o", "out"]
    done = CliRunner().invoke(app, [*command, "--dry-run"])
    assert done.stderr.endswith(
        "next: nothing was written; the same command without --dry-run writes the files\n"
    )
    done = CliRunner().invoke(app, ["optimize", "-r", "in", "--check"])
    assert done.stderr.endswith(
        "next: nothing was written; the same command with --in-place instead of --check writes the files\n"
    )
    done = CliRunner().invoke(app, ["transcode", "-r", "in", "--dry-run"])
    assert done.stderr.endswith("the same command with -o FOLDER/ instead of --dry-run writes the files\n")
    done = CliRunner().invoke(app, ["transcode", "-r", "in/b.jpg", "--dry-run"])
    assert (done.exit_code, "next:" in done.stderr) == (1, False)  # nothing would be written
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert done.stderr.endswith("next: the same command with --resume processes only the files that failed\n")
    Image.fromarray(pixels).save("in/b.jpg", quality=90)
    done = CliRunner().invoke(app, [*command, "--resume"])
    assert done.exit_code == 0
    assert "guetzpy: 1 file done by an earlier run, 1 to do" in done.stderr
    done = CliRunner().invoke(app, ["optimize", "-r", "out", "--check", "-d", "0.1"])
    assert (done.exit_code, "1 kept" in done.stderr or "2 kept" in done.stderr) == (0, True), done.stderr
    assert "next:" not in done.stderr  # --in-place would write nothing either


def test_a_folder_with_a_space_is_quoted() -> None:
    tally = Tally(files=1, before=2, after=1)
    step = tally.next_step(written=True, resumable=True, backup="my photos", report=False)
    assert step == "guetzpy restore 'my photos' puts the originals back"


@pytest.mark.parametrize("terminal", [True, False])
def test_kernels_are_counted_on_terminals(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(_jit, "missing", lambda _: ["a"])
    monkeypatch.setattr(_jit, "kernels", lambda: dict.fromkeys(["a.a", "a.b", "a.c", "b.a"]))
    monkeypatch.setattr(threads, "default_threads", lambda: 2)
    monkeypatch.setattr(warmup, "warm_in_processes", lambda *_: iter([("a", 1.0), ("b", 1.0), ("c", 1.0)]))
    reporting.compile_if_cold(quiet=False)
    assert ("kernels compiled: 2 of 3" in screen.getvalue()) == terminal
    assert screen.getvalue().endswith("\r\x1b[K" if terminal else "...\n")
    length = len(screen.getvalue())
    reporting.compile_if_cold(quiet=True)
    assert len(screen.getvalue()) == length


def test_many_kinds_of_warnings_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ["".join(letters) for letters in itertools.product("abcde", repeat=2)]
    tally = Tally()
    tally.add(Result(status="kept", warnings=tuple(f"unknown part {kind}" for kind in kinds)))
    tally.tell_warnings()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "guetzpy: warning: 5 more kinds; --json and the manifest have all warnings"
