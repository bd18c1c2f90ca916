"""Stored encodes and backups that cannot be finished leave nothing, and damaged ones are made again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from guetzpy.batch import backup, trials, worker
from guetzpy.batch.tasks import Task
from guetzpy.options import OptimizeOptions, TranscodeOptions
from guetzpy.result import Result

DATA = b"\xff\xd8 an encode"
RESULT = Result(
    data=DATA, status="optimized", bytes_before=100, bytes_after=len(DATA), distance=1.0, removed=("gps",)
)


def test_a_stored_encode_is_read_back(tmp_path: Path) -> None:
    """Regression: the tuples ``removed`` and ``warnings`` were read back as lists."""
    path = str(tmp_path / "ab" / "cd")
    trials.save(path, RESULT)
    assert trials.load(path, with_data=True) == RESULT
    measured = trials.load(path, with_data=False)
    assert measured is not None
    assert (measured.status, measured.bytes_after) == ("optimized", len(DATA))


def test_an_encode_that_cannot_be_stored_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        trials.save(str(tmp_path / "ab" / "cd"), RESULT)
    assert list((tmp_path / "ab").iterdir()) == []


@pytest.mark.parametrize("with_data", [False, True])
def test_a_damaged_encode_is_not_used(tmp_path: Path, with_data: bool) -> None:
    path = tmp_path / "ab" / "cd"
    assert trials.load(str(path), with_data=with_data) is None
    trials.save(str(path), RESULT)
    whole = path.read_bytes()
    for line in (b"{", b"[]\n", b"7\n", b"null\n"):
        path.write_bytes(line + whole)
        assert trials.load(str(path), with_data=with_data) is None
    path.write_bytes(whole[:-1])  # a byte of the JPEG is missing
    assert (trials.load(str(path), with_data=with_data) is None) == with_data


@pytest.mark.parametrize(
    ("options", "kind", "changes"),
    [
        (TranscodeOptions(), "jpeg", False),
        (TranscodeOptions(strip="gps"), "jpeg", True),
        (TranscodeOptions(keep="icc"), "jpeg", True),
        (TranscodeOptions(progressive=False), "jpeg", True),
        (OptimizeOptions(progressive=False), "picture", False),  # a kept PNG has no scans
        (OptimizeOptions(), "picture", False),
        (OptimizeOptions(max_bytes=99), "picture", True),
        (OptimizeOptions(max_bytes=100), "picture", False),
        (OptimizeOptions(bpp=1.0), "picture", True),
        (OptimizeOptions(fit="10x10"), "picture", True),
    ],
)
def test_a_file_that_would_break_an_option_is_not_kept(options: Any, kind: str, changes: bool) -> None:
    task = Task("a", "a", kind, 100, "")
    assert worker._must_change(task, bytes(100), options) == changes


@pytest.mark.parametrize("linked", [True, False])
def test_a_backup_without_a_record_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    """Without its record the backup could not be put back, and the original was not replaced.

    A hard link stays, because another run may have taken it for its own backup.
    """

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    source = tmp_path / "a.jpg"
    source.write_bytes(DATA)
    monkeypatch.setattr(backup, "_note", full)
    if not linked:
        monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        backup.keep(str(source), "a.jpg", DATA, b"new", str(tmp_path / "backups"))
    assert source.read_bytes() == DATA
    assert (tmp_path / "backups" / "a.jpg").exists() == linked
