"""Shells: globs that programs expand on Windows, paths with drive letters, NO_COLOR."""

from __future__ import annotations

import io
import ntpath
import os
from pathlib import Path

import pytest
import typer

from guetzpy.batch import storage
from guetzpy.cli.folder import _Bar
from guetzpy.cli.places import expand
from guetzpy.cli.tally import Tally


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below" / "deep").mkdir(parents=True)
    for name in ("b.jpg", "a.jpg", "c.png", "photo[1].jpg", "photo1.jpg", "below/d.jpg", "below/deep/e.jpg"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["*.jpg"], ["a.jpg", "b.jpg", "photo1.jpg", "photo[1].jpg"]),
        (["?.jpg", "c.png"], ["a.jpg", "b.jpg", "c.png"]),
        (["[ab].jpg"], ["a.jpg", "b.jpg"]),
        (["photo[1].jpg"], ["photo[1].jpg"]),  # a file with exactly this name
        (["below/*.jpg"], [os.path.join("below", "d.jpg")]),
        (["**/e.jpg"], [os.path.join("below", "deep", "e.jpg")]),
        (["-"], ["-"]),
        (["missing.jpg"], ["missing.jpg"]),  # an error when the file is processed
        (["s3://bucket/*.jpg"], ["s3://bucket/*.jpg"]),
        (["below"], ["below"]),
    ],
)
def test_globs_that_the_shell_left(photos: Path, given: list[str], found: list[str]) -> None:
    assert [os.path.normpath(n) if "://" not in n else n for n in expand(given, windows=True)] == found
    assert expand(given, windows=False) == given  # other shells expand globs themselves


def test_home(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos))
    monkeypatch.setenv("USERPROFILE", str(photos))
    assert expand(["~/a.jpg"], windows=True) == [str(photos) + "/a.jpg"]


def test_glob_without_a_file_is_told(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        expand(["a.jpg", "*.tiff"], windows=True)
    assert caught.value.exit_code == 2
    assert "*.tiff: there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize("path", [r"C:\photos\a.jpg", r"\\server\share\a.jpg", "C:/photos/a.jpg", r"D:a.jpg"])
def test_drives_are_no_urls(path: str) -> None:
    assert not storage.is_url(path)
    assert ntpath.basename(path) == "a.jpg"


@pytest.mark.parametrize("no_color", [True, False])
def test_progress_without_colour(no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The progress bar is the only coloured output of the command line."""

    class Run:
        def __len__(self) -> int:
            return 3

    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    bar = _Bar(Run(), Tally(files=1, before=1000, after=10), shown=True)  # type: ignore[arg-type]
    with bar.progress:
        bar.update()
    coloured = any(f"\x1b[{code}" in screen.getvalue() for code in ("3", "1;3", "38;", "9"))
    assert "0/3" in screen.getvalue() or "1/3" in screen.getvalue()
    assert coloured is not no_color
