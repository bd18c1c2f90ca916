"""-o names a file or a folder, and the suffix of an output is that of its format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy._runtime import kernel_cache
from guetzpy.cli import app, reporting


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    codes = np.random.default_rng(1).integers(0, 255, (16, 24, 3)).astype(np.uint8)
    Image.fromarray(codes).save(tmp_path / "a.jpg", quality=90)
    Image.fromarray(codes).save(tmp_path / "a.png")
    return tmp_path / "a.jpg"


def suffixes_of_other_formats() -> list[str]:
    Image.init()
    known = {suffix for suffix, name in Image.registered_extensions().items() if name not in ("JPEG", "MPO")}
    return sorted(
        known | {".AVIF", ".dng", ".heic", ".heif", ".hif", ".html", ".jxl", ".nef", ".pdf", ".svg"}
    )


@pytest.mark.parametrize("suffix", suffixes_of_other_formats())
def test_a_suffix_of_another_format_is_wrong_usage(photo: Path, suffix: str) -> None:
    output = photo.with_name("out" + suffix)
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(output)])
    assert done.exit_code == 2
    assert "out.jpg" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize("options", [[], ["-j", "2"], ["--exclude", "*.png"], ["-r"]])
def test_a_jpeg_name_is_a_file(photo: Path, options: list[str]) -> None:
    """Regression: a folder of that name was created."""
    output = photo.with_name("out.jpg")
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(output), *options])
    assert done.exit_code == 0
    assert output.is_file()


@pytest.mark.parametrize(
    "options",
    [
        ["-p"], ["--resume"], ["--manifest", "x.sqlite"], ["--shard", "1/1"], ["-p", "--resume"],
        ["--copy-others"], ["-r", "-j", "2", "--resume", "--include", "*.jpg"], ["--names", "keep"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_jpeg_name_is_never_a_folder(
    photo: Path, name: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    command = "transcode" if name == "a.jpg" else "optimize"
    done = CliRunner().invoke(app, [command, name, "-o", "out.jpg", *options])
    assert done.exit_code == 0, done.output
    with Image.open("out.jpg") as written:
        assert (written.format, written.size) == ("JPEG", (24, 16))


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_permissions_and_times_go_to_the_file(photo: Path, options: list[str]) -> None:
    photo.chmod(0o640)
    os.utime(photo, (1_000_000_000, 1_000_000_000))
    output = photo.with_name("out.jpg")
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(output), "-p", *options])
    assert done.exit_code == 0, done.output
    assert output.stat().st_mtime == 1_000_000_000
    assert output.stat().st_mode & 0o777 == 0o640
    assert not (output.parent / ".guetzpy.sqlite").exists() or options


def test_resume_leaves_out_a_file_that_is_done(photo: Path) -> None:
    output = photo.with_name("out.jpg")
    arguments = ["transcode", str(photo), "-o", str(output), "--resume"]
    first, second = (CliRunner().invoke(app, arguments) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "nothing left to do" in second.stderr
    output.unlink()
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert output.is_file()


def test_no_picture_is_kept_under_the_name_of_a_jpeg(photo: Path) -> None:
    """The PNG is smaller than its JPEG; an output folder would get a copy of it."""
    Image.new("RGB", (8, 8)).save(photo.with_suffix(".png"))
    output = photo.with_name("out.jpg")
    done = CliRunner().invoke(
        app, ["optimize", str(photo.with_suffix(".png")), "-o", str(output), "--resume"]
    )
    assert done.exit_code == 0, done.output
    assert output.read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize("options", [[], ["-p"], ["--resume"]])
def test_a_file_in_a_missing_folder_is_an_error(photo: Path, options: list[str]) -> None:
    output = photo.parent / "nowhere" / "out.jpg"
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(output), *options])
    assert done.exit_code == 1
    assert "no such folder" in done.stderr
    assert not output.parent.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need privileges")
def test_a_link_into_a_missing_folder_names_that_folder(photo: Path) -> None:
    link = photo.parent / "link.jpg"
    link.symlink_to("nowhere/out.jpg")
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(link)])
    assert done.exit_code == 1
    assert f"{photo.parent / 'nowhere'}: there is no such folder" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.jpg", "-o", "out.png", "-p"], "another format"),
        (["a.jpg", "b.jpg", "-o", "out.jpg", "--resume"], "one input"),
        ([".", "-r", "-o", "out.jpg", "-p"], "one input"),
        (["-", "-o", "out.jpg", "-p"], "stdin"),
        (["-", "-o", "out.jpg", "--resume"], "stdin"),
        (["a.jpg", "-o", "-", "-p"], "stdout"),
        (["a.jpg", "-o", "a.jpg", "--resume"], "--in-place"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    photo: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    before = sorted(photo.parent.iterdir())
    done = CliRunner().invoke(app, ["transcode", *arguments])
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert sorted(photo.parent.iterdir()) == before


def test_several_inputs_do_not_go_into_one_file(photo: Path) -> None:
    other = photo.with_name("b.jpg")
    other.write_bytes(photo.read_bytes())
    output = photo.with_name("out.jpg")
    done = CliRunner().invoke(app, ["transcode", str(photo), str(other), "-o", str(output)])
    assert done.exit_code == 2
    assert not output.exists()


def test_kernels_that_cannot_be_kept_are_not_called_a_matter_of_the_first_run(monkeypatch: Any) -> None:
    monkeypatch.setattr(kernel_cache, "can_keep", lambda: False)
    monkeypatch.setattr(kernel_cache, "cache_directory", lambda: Path("/nowhere"))
    assert "first run only" not in reporting.compiling()
    assert "/nowhere" in reporting.compiling()
    assert "NUMBA_CACHE_DIR" in reporting.compiling()
    monkeypatch.setattr(kernel_cache, "can_keep", lambda: True)
    assert reporting.compiling() == reporting.COMPILING


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [("missing/map.png", 1, "missing: there is no such folder"), ("", 2, "''"), (".", 2, "'.'")],
)
def test_the_place_of_a_heat_map_is_checked_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, code: int, words: str
) -> None:
    monkeypatch.setattr("guetzpy.engine.compare.compare_sources", None)
    result = CliRunner().invoke(app, ["compare", "photo.png", "photo.JPG", "--heatmap", place])
    assert (result.exit_code, words in result.stderr) == (code, True)
