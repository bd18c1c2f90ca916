"""``--backup`` and ``guetzpy restore``."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy import batch
from guetzpy.batch import backup, storage
from guetzpy.cli import app
from guetzpy.errors import GuetzpyError
from guetzpy.options import TranscodeOptions


def jpeg(seed: int, quality: int = 95) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.chdir(tmp_path)
    files = {"in/a.jpg": jpeg(1), "in/below/b.jpg": jpeg(2)}
    for name, data in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(data)
        os.utime(name, (1_000_000_000, 1_000_000_000))
    return files


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def replace() -> None:
    results = list(batch.run("in", options=TranscodeOptions(), in_place=True, backup="kept", jobs=1))
    assert {result.status for result in results} <= {"lossless", "kept"}


def exchange(name: str, data: bytes) -> None:
    """Replace a file by a new inode, as guetzpy does, since the backup may be a hard link to the old one."""
    Path("new").write_bytes(data)
    os.replace("new", name)


def contents(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in files}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_restore_undoes_a_run(photos: dict[str, bytes], jobs: str) -> None:
    """Contents and times are those before the run. A second restore changes nothing."""
    done = run("transcode", "-r", "in", "--in-place", "--backup", "kept", "-j", jobs)
    assert done.exit_code == 0
    assert "next: guetzpy restore kept puts the originals back" in done.stderr
    assert all(Path(name).read_bytes() != data for name, data in photos.items())
    done = run("restore", "kept", "--dry-run")
    assert "2 files: 2 would be restored" in done.stderr
    assert all(Path(name).read_bytes() != data for name, data in photos.items())
    done = run("restore", "kept")
    assert (done.exit_code, contents(photos)) == (0, photos)
    assert "2 files: 2 restored" in done.stderr
    assert {Path(name).stat().st_mtime for name in photos} == {1_000_000_000}
    done = run("restore", "kept", "--quiet")
    assert (done.exit_code, done.stderr, contents(photos)) == (0, "", photos)


def test_newer_work_is_left(photos: dict[str, bytes]) -> None:
    replace()
    newer = jpeg(9)
    Path("in/a.jpg").write_bytes(newer)
    done = run("restore", "kept")
    assert done.exit_code == 1
    assert "in/a.jpg: not restored, it was changed after the run" in done.stderr
    assert Path("in/a.jpg").read_bytes() == newer
    assert Path("in/below/b.jpg").read_bytes() == photos["in/below/b.jpg"]
    assert run("restore", "kept", "--force").exit_code == 0
    assert contents(photos) == photos
    assert Path("kept/a.jpg.replaced").read_bytes() == newer


def test_several_runs_are_undone_together(photos: dict[str, bytes]) -> None:
    states = [photos["in/a.jpg"], jpeg(5), jpeg(6)]
    for before, after in pairwise(states):
        backup.keep("in/a.jpg", "a.jpg", before, after, "kept")
        exchange("in/a.jpg", after)
    assert [one.status for one in backup.restore("kept", write=False)] == ["restored"]
    assert Path("in/a.jpg").read_bytes() == states[-1]
    assert [one.status for one in backup.restore("kept")] == ["restored"]
    assert contents(photos) == photos


def test_work_between_two_runs_stays(photos: dict[str, bytes]) -> None:
    replace()
    between = jpeg(9)
    Path("in/a.jpg").write_bytes(between)
    replace()
    assert Path("in/a.jpg").read_bytes() != between
    assert {one.status for one in backup.restore("kept")} == {"restored"}
    assert Path("in/a.jpg").read_bytes() == between
    assert Path("kept/a.jpg").read_bytes() == photos["in/a.jpg"]


def test_removed_files_return_and_removed_folders_do_not(photos: dict[str, bytes]) -> None:
    replace()
    Path("in/a.jpg").unlink()
    shutil.rmtree("in/below")
    done = run("restore", "kept")
    assert done.exit_code == 1
    assert "restored, it was removed after the run" in done.stderr
    assert "its folder is gone" in done.stderr
    assert Path("in/a.jpg").read_bytes() == photos["in/a.jpg"]
    assert not Path("in/below").exists()


def test_a_folder_in_the_place_of_a_file_stays(photos: dict[str, bytes]) -> None:
    replace()
    Path("in/a.jpg").unlink()
    Path("in/a.jpg").mkdir()
    done = run("restore", "kept", "--force")
    assert (done.exit_code, "1 restored, 1 failed" in done.stderr) == (1, True), done.stderr
    assert Path("in/a.jpg").is_dir()


def test_a_file_that_is_made_during_the_restoration_stays(
    photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace()
    Path("in/a.jpg").unlink()
    newer, real = jpeg(9), backup._contents

    def contents_of(path: str) -> Any:
        found = real(path)
        if path == os.path.join("kept", "a.jpg"):
            Path("in/a.jpg").write_bytes(newer)
        return found

    monkeypatch.setattr(backup, "_contents", contents_of)
    done = run("restore", "kept", "--force")
    assert done.exit_code == 1
    assert "in/a.jpg: failed, it was made anew meanwhile" in done.stderr
    assert Path("in/a.jpg").read_bytes() == newer


@pytest.mark.parametrize(("harm", "words"), [("change", "changed since"), ("remove", "is gone")])
def test_damaged_backups_are_not_used(photos: dict[str, bytes], harm: str, words: str) -> None:
    replace()
    written = Path("in/a.jpg").read_bytes()
    if harm == "change":
        Path("kept/a.jpg").write_bytes(jpeg(3))
    else:
        Path("kept/a.jpg").unlink()
    done = run("restore", "kept")
    assert done.exit_code == 1
    assert words in done.stderr
    assert Path("in/a.jpg").read_bytes() == written


def test_a_killed_run_leaves_a_record(photos: dict[str, bytes]) -> None:
    """The record is written before the file is replaced. An incomplete last line is ignored, with a note."""
    data = photos["in/a.jpg"]
    backup.keep("in/a.jpg", "a.jpg", data, jpeg(5), "kept")
    (record,) = Path("kept", backup.RECORDS).iterdir()
    with record.open("a") as stream:
        stream.write('{"original": "/x')
    done = run("restore", "kept", "--dry-run")
    assert (done.exit_code, done.stderr.count(f"{record}: line 2 is cut short")) == (0, 1)
    assert "1 file: 1 unchanged" in done.stderr
    assert run("restore", "kept", "--quiet").stderr == ""
    assert [one.status for one in backup.restore("kept")] == ["original"]
    exchange("in/a.jpg", jpeg(5))
    assert [one.status for one in backup.restore("kept")] == ["restored"]
    assert Path("in/a.jpg").read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"\0\xff", b"{{{", b'{"original": "/x'])
@pytest.mark.parametrize("jobs", [1, 2])
def test_records_without_a_complete_line_are_an_error(
    photos: dict[str, bytes], data: bytes, jobs: int
) -> None:
    replace()
    written = contents(photos)
    (record,) = Path("kept", backup.RECORDS).iterdir()
    record.write_bytes(data)
    for other in range(1, jobs):
        record.with_name(f"z-{other}.jsonl").write_bytes(data)
    done = run("restore", "kept")
    assert done.exit_code == 2
    assert f"guetzpy: {record}: holds no complete line; copy the backups by hand\n" in done.stderr
    assert "the backups are kept" not in done.stderr
    assert contents(photos) == written


def test_a_damaged_last_line_that_ends_is_no_work_of_a_killed_run(photos: dict[str, bytes]) -> None:
    replace()
    (record,) = Path("kept", backup.RECORDS).iterdir()
    with record.open("a") as stream:
        stream.write("{{{\n")
    done = run("restore", "kept")
    assert (done.exit_code, "line 3 is damaged" in done.stderr) == (2, True)


def test_a_record_puts_nothing_but_jpeg_files_anywhere(photos: dict[str, bytes], tmp_path: Path) -> None:
    """A hostile record cannot write a file that is not a JPEG, such as a start-up script."""
    backup.keep("in/a.jpg", "a.jpg", photos["in/a.jpg"], jpeg(5), "kept")
    (record,) = Path("kept", backup.RECORDS).iterdir()
    row = json.loads(record.read_text())
    Path("kept/a.jpg").unlink()
    Path("kept/a.jpg").write_bytes(b"evil")
    row |= {"original": str(tmp_path / "start.sh"), "before": backup._digest(b"evil")}
    record.write_text(json.dumps(row) + "\n")
    assert [one.status for one in backup.restore("kept")] == ["failed"]
    assert not (tmp_path / "start.sh").exists()


@pytest.mark.parametrize(
    "change",
    [{"original": 5}, {"time": "x"}, {"backup": None}, {"before": 1}],
    ids=["original", "time", "backup", "before"],
)
def test_records_of_other_types_are_damaged(photos: dict[str, bytes], change: dict[str, Any]) -> None:
    replace()
    (record,) = Path("kept", backup.RECORDS).iterdir()
    rows = record.read_text().splitlines()
    record.write_text("\n".join([*rows, json.dumps(json.loads(rows[0]) | change)]) + "\n")
    done = run("restore", "kept")
    assert (done.exit_code, "line 3 is damaged" in done.stderr) == (2, True)
    record.write_text("[" * 100_000 + "\n" + rows[0] + "\n")
    assert run("restore", "kept").exit_code == 2


def test_a_record_reads_and_writes_through_no_link(photos: dict[str, bytes], tmp_path: Path) -> None:
    """A record whose backup or file is reached through a link is refused. Other records are used."""
    replace()
    (record,) = Path("kept", backup.RECORDS).iterdir()
    rows = record.read_text().splitlines()
    row = next(r for r in map(json.loads, rows) if r["backup"] == "a.jpg")
    Path("outside.jpg").write_bytes(photos["in/a.jpg"])
    Path("link.jpg").symlink_to("in/a.jpg")
    for change, words in (
        ({"backup": "../outside.jpg"}, "leads out of"),
        ({"backup": str(tmp_path / "outside.jpg")}, "leads out of"),
        ({"original": str(tmp_path / "link.jpg")}, "through a link"),
        ({"original": "in/a.jpg"}, "through a link"),
        ({"original": "/tmp/\0.jpg"}, "null"),
        ({"original": "/tmp/\ud800.jpg"}, "surrogates"),
    ):
        record.write_text(json.dumps(row | change) + "\n" + rows[1] + "\n" + rows[0] + "\n")
        if "backup" in change:
            record.write_text(json.dumps(row | change) + "\n")
        done = run("restore", "kept", "--dry-run")
        assert done.exit_code == 1
        assert words in done.stderr
        if "original" in change:
            assert done.stderr.count("would be restored") == 3
    assert Path("in/a.jpg").read_bytes() != photos["in/a.jpg"]


def test_folders_without_records(photos: dict[str, bytes]) -> None:
    done = run("restore", "in")
    assert (done.exit_code, "no record of a run with --backup" in done.stderr) == (2, True)
    replace()
    (record,) = Path("kept", backup.RECORDS).iterdir()
    record.write_text("damaged\n" + record.read_text())
    with pytest.raises(GuetzpyError, match="line 1 is damaged"):
        list(backup.restore("kept"))


def test_a_run_in_place_replaces_no_backups(photos: dict[str, bytes]) -> None:
    # A second run over a folder that holds the backups replaced them, and restore then refused them.
    done = run("transcode", "-r", "in", "--in-place", "--backup", "in/kept")
    assert done.exit_code == 0, done.stderr
    kept = {name: Path("in/kept", name[3:]).read_bytes() for name in photos}
    assert kept == photos
    again = run("transcode", "-r", "in", "--in-place", "--baseline")
    assert again.exit_code == 0, again.stderr
    assert "in/kept (backups of an earlier run)" in again.stderr
    assert {name: Path("in/kept", name[3:]).read_bytes() for name in photos} == photos
    assert run("restore", "in/kept", "--force").exit_code == 0
    assert contents(photos) == photos


@pytest.mark.parametrize("links", [True, False])
def test_backups_of_files_with_the_same_name_do_not_replace_each_other(
    photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Another process takes the name between the choice of the name and the backup."""
    originals = [jpeg(3), jpeg(4)]
    for number, data in enumerate(originals):
        Path(f"{number}").mkdir()
        Path(f"{number}/x.jpg").write_bytes(data)
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("another file system")))
    backup.keep("0/x.jpg", "x.jpg", originals[0], b"", "kept")
    free = backup._free
    answers = ["kept/x.jpg"]
    monkeypatch.setattr(backup, "_free", lambda *a: answers.pop() if answers else free(*a))
    backup.keep("1/x.jpg", "x.jpg", originals[1], b"", "kept")
    assert [Path(name).read_bytes() for name in ("kept/x.jpg", "kept/x.jpg.1")] == originals


def test_backups_at_urls_with_the_same_name_are_refused(memory: Any, photos: dict[str, bytes]) -> None:
    Path("other").mkdir()
    Path("other/a.jpg").write_bytes(jpeg(3))
    with pytest.raises(ValueError, match=r"would both be backed up as memory://kept/a\.jpg"):
        batch.run(["in/a.jpg", "other/a.jpg"], in_place=True, backup="memory://kept")


def test_a_folder_is_not_its_own_backup_folder(photos: dict[str, bytes]) -> None:
    """Such a run found no pictures, because the backup folder is not searched, and the exit code was 0."""
    done = run("transcode", "-r", "in", "--in-place", "--backup", "in/")
    assert done.exit_code == 2
    assert "in: is an input and the folder of the backups" in done.stderr
    assert contents(photos) == photos


def test_a_record_after_one_that_was_cut_short(photos: dict[str, bytes]) -> None:
    """A full disk cuts a line, and so does a kill; in containers the next process has the same number."""
    names = list(photos)
    for name in names:
        backup.keep(name, name, photos[name], b"new", "kept")
        (record,) = Path("kept", backup.RECORDS).iterdir()
        whole = record.read_bytes()
        record.write_bytes(whole + b'{"original": "/ha')
    backup.keep(names[0], names[0], photos[names[0]], b"newer", "kept")
    lines = record.read_bytes().splitlines(keepends=True)
    assert [json.loads(line)["after"] for line in lines] == [
        backup._digest(b) for b in (b"new", b"new", b"newer")
    ]
    assert [done.status for done in backup.restore("kept")] == ["original", "original"]


@pytest.mark.parametrize("linked", [True, False])
def test_a_file_that_could_not_be_replaced_has_no_record(
    photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    def busy(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EBUSY, "busy")

    if not linked:
        monkeypatch.setattr(os, "link", busy)
    monkeypatch.setattr(storage, "write", busy)
    with ThreadPoolExecutor(1) as executor:
        options = TranscodeOptions()
        results = list(batch.run("in", options=options, in_place=True, backup="kept", executor=executor))
    assert [result.status for result in results] == ["failed", "failed"]
    left = [path for path in Path("kept").rglob("*") if path.is_file()]
    assert len(left) == (2 if linked else 0)
    assert not list(Path("kept", backup.RECORDS).iterdir())


def test_a_run_that_came_second_does_not_hide_the_backup_of_the_first(photos: dict[str, bytes]) -> None:
    name, replacement = "in/a.jpg", jpeg(3)
    backup.keep(name, "a.jpg", photos[name], replacement, "kept")
    exchange(name, replacement)
    withdraw = backup.keep(name, "a.jpg", photos[name], replacement, "kept")
    withdraw()  # the second run read the original, and finds now that it was replaced
    assert [done.status for done in backup.restore("kept")] == ["restored"]
    assert Path(name).read_bytes() == photos[name]


def test_a_run_that_came_second_does_not_remove_the_backup_that_another_took(
    photos: dict[str, bytes],
) -> None:
    name, replacement = "in/a.jpg", jpeg(3)
    withdraw = backup.keep(name, "a.jpg", photos[name], replacement, "kept")
    (ours,) = Path("kept", backup.RECORDS).iterdir()
    backup.keep(name, "a.jpg", photos[name], replacement, "kept")  # another process: it takes the link
    ours.with_name(".other-1.jsonl").write_bytes(ours.read_bytes().splitlines(keepends=True)[1])
    exchange(name, replacement)
    ours.write_bytes(ours.read_bytes().splitlines(keepends=True)[0])
    withdraw()
    assert [done.status for done in backup.restore("kept")] == ["restored"]
    assert Path(name).read_bytes() == photos[name]
