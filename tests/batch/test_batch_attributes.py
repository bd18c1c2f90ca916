"""Times, permissions, owners and extended attributes of outputs, of copies and of backups."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from guetzpy import api, batch, output
from guetzpy.batch import backup, runner
from guetzpy.result import Result

JPEG = b"\xff\xd8\xff\xe0"
YEAR_2001 = 10**18

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX files")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(api, "run", engine)
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner.Threads(count))
    monkeypatch.setattr(runner, "_warm", lambda _: None)
    return tmp_path


def engine(data: bytes, options: Any, *, name: str) -> Result:
    """Return a result with half of the bytes of the file."""
    half = data[: len(data) // 2]
    return Result(data=half, status="lossless", input=name, bytes_before=len(data), bytes_after=len(half))


def cross_device(*_: object) -> None:
    raise OSError(18, "Invalid cross-device link")


def photo(name: str = "in/a.jpg") -> dict[str, Any]:
    """Make a file with attributes that no new file has, and return them."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(JPEG + bytes(96))
    path.chmod(0o604)
    if hasattr(os, "setxattr"):
        try:
            os.setxattr(path, "user.rating", b"5")
        except OSError:
            pass  # a file system without extended attributes
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    os.utime(path, ns=(YEAR_2001, YEAR_2001))
    return attributes(name)


def attributes(name: str) -> dict[str, Any]:
    state = os.stat(name)
    extended = {}
    if hasattr(os, "listxattr"):
        extended = {key: os.getxattr(name, key) for key in os.listxattr(name) if key.startswith("user.")}
    return {
        "mode": stat.S_IMODE(state.st_mode),
        "owner": (state.st_uid, state.st_gid),
        "extended": extended,
        "mtime": state.st_mtime_ns,
    }


def run(*arguments: Any, **wishes: Any) -> list[Result]:
    with batch.run(*arguments, **wishes) as planned:
        return list(planned)


@pytest.mark.parametrize("preserve", [False, True])
def test_replaced_file_keeps_its_attributes(place: Path, preserve: bool) -> None:
    before = photo()
    run("in", in_place=True, preserve=preserve)
    after = attributes("in/a.jpg")
    assert Path("in/a.jpg").stat().st_size == 50
    assert (after["mtime"] == before["mtime"]) is preserve  # a changed file has a new time by default
    assert {**after, "mtime": 0} == {**before, "mtime": 0}


def test_mirrored_file_takes_attributes_only_if_asked(place: Path) -> None:
    before = photo()
    Path("in/note.txt").write_bytes(b"words")
    os.utime("in/note.txt", ns=(YEAR_2001, YEAR_2001))
    run("in", "out", preserve=True, copy_others=True)
    assert attributes("out/a.jpg") == before
    assert os.stat("out/note.txt").st_mtime_ns == YEAR_2001
    run("in", "plain")
    Path("new").touch()
    assert attributes("plain/a.jpg")["mode"] == attributes("new")["mode"]
    assert attributes("plain/a.jpg")["mtime"] > YEAR_2001


@pytest.mark.parametrize("links", [True, False])
def test_backup_has_all_attributes(place: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    before = photo("in/sub/a.jpg")
    if not links:
        monkeypatch.setattr(os, "link", cross_device)
    run("in", in_place=True, backup="kept")
    assert attributes("kept/sub/a.jpg") == before
    assert Path("kept/sub/a.jpg").read_bytes() == JPEG + bytes(96)


@pytest.mark.parametrize("links", [True, False])
def test_backup_of_a_file_that_is_not_replaced_has_no_record(
    place: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """A copy is removed. A hard link stays, since another run may use it; the next run takes it."""
    photo()
    before = Path("in/a.jpg").read_bytes()
    if not links:
        monkeypatch.setattr(os, "link", cross_device)
    real = os.replace

    def refuse(source: Any, target: Any) -> None:
        if Path(target).parent.name == "in":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    (result,) = run("in", in_place=True, backup="kept")
    assert result.status == "failed"
    assert sorted(os.listdir("kept")) == [backup.RECORDS, "a.jpg"][: 2 if links else 1]
    assert os.stat("in/a.jpg").st_nlink == (2 if links else 1)
    assert os.listdir(Path("kept", backup.RECORDS)) == []
    monkeypatch.setattr(os, "replace", real)
    (result,) = run("in", in_place=True, backup="kept")
    assert result.status == "lossless"
    assert sorted(os.listdir("kept")) == [backup.RECORDS, "a.jpg"]
    list(backup.restore("kept"))
    assert Path("in/a.jpg").read_bytes() == before


def test_broken_link_in_the_backup_folder_is_left_alone(place: Path) -> None:
    photo()
    Path("kept").mkdir()
    Path("kept/a.jpg").symlink_to("nowhere")
    (result,) = run("in", in_place=True, backup="kept")
    assert result.status == "lossless"
    assert os.readlink("kept/a.jpg") == "nowhere"
    assert Path("kept/a.jpg.1").stat().st_size == 100


def test_group_is_kept_where_the_owner_cannot_be(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def only_groups(path: Any, user: int, group: int) -> None:
        asked.append((user, group))
        if user != os.geteuid():
            raise PermissionError(1, "Operation not permitted")

    wanted, found = (
        os.stat_result((0o644, 0, 0, 1, user, group, 0, 0, 0, 0))
        for user, group in ((4321, 2345), (os.geteuid(), os.getegid()))
    )
    monkeypatch.setattr(os, "chown", only_groups)
    output._copy_owner(wanted, found, place)
    assert asked == [(4321, 2345), (os.geteuid(), 2345)]
    asked.clear()
    output._copy_owner(found, found, place)
    assert asked == []
