"""Faults that make one file of a folder run fail, or that end the run with one line."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, features
from typer.testing import CliRunner

import guetzpy
from guetzpy import output
from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import kernel_cache, processes, warmup
from guetzpy.batch import copying, pool, runner, storage
from guetzpy.cli import app, folder

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
JPEG_XL = b"\xff\x0a\xfa\x1f" + bytes(40)
RAW = b"FUJIFILMCCD-RAW 0201" + bytes(40)
AVIF = b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf" + bytes(40)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(runner, "Processes", lambda count, *_: runner.Threads(count))
    monkeypatch.setattr(runner, "_warm", lambda _: None)
    monkeypatch.setattr(folder, "compile_if_cold", lambda *_: None)
    (tmp_path / "in").mkdir()
    return tmp_path


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize(
    ("data", "module", "extra"),
    [
        (HEIC, "pillow_heif", "heic"),
        (JPEG_XL, "pillow_jxl", "jxl"),
        (RAW, "rawpy", "raw"),
        (AVIF, "", "avif"),
    ],
)
def test_missing_extra_fails_as_for_a_single_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)
    monkeypatch.setattr(features, "check", lambda name: False)
    (place / "in/a.bin").write_bytes(data)
    single = run("optimize", "in/a.bin", "-o", "a.jpg")
    batch = run("optimize", "in", "-r", "-o", "out")
    assert (single.exit_code, batch.exit_code) == (1, 1)
    (line,) = [line for line in batch.stderr.splitlines() if "a.bin" in line]
    assert line in single.stderr.splitlines()
    assert f'pip install "guetzpy[{extra}]"' in line
    assert [path.name for path in (place / "out").iterdir()] == [".guetzpy.sqlite"]


def test_worker_that_cannot_be_started_ends_the_run_with_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(runner, "Processes", pool.Processes)
    monkeypatch.setattr(processes.subprocess, "Popen", refuse)
    (place / "in/a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    result = run("transcode", "in", "-r", "-o", "out")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "worker processes cannot be started: Too many open files" in result.stderr


def test_kernels_that_cannot_be_compiled_in_processes_are_left_to_the_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOENT, "No such file or directory")

    monkeypatch.undo()
    monkeypatch.setattr(runner._jit, "missing", lambda _: ["guetzpy.jpeg.dct"])
    monkeypatch.setattr(runner, "warm_in_processes", refuse)
    runner._warm(guetzpy.OptimizeOptions())


def test_warmup_without_processes_compiles_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(count: int) -> Any:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(kernel_cache, "can_keep", lambda: True)
    monkeypatch.setattr(warmup, "warm_in_processes", refuse)
    monkeypatch.setattr(_jit, "warm", lambda: iter([("kernel", 1.0)]))
    monkeypatch.setattr(_jit, "prune_cache", lambda: None)
    told: list[str] = []
    guetzpy.warmup(lambda name, seconds: told.append(name), processes=2)
    assert told == ["kernel"]


# --- other files ------------------------------------------------------------------------------


def test_other_files_are_copied_whatever_their_size(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of any size can be copied, because it is copied in pieces."""
    monkeypatch.setattr(copying, "_PIECE", 1000)
    monkeypatch.setattr(output, "_PIECE", 1000)
    jpeg("in/a.jpg")
    video = bytes(range(256)) * 400
    Path("in/video.mp4").write_bytes(video)
    real = storage.read

    def read(name: str, *rest: Any, **more: Any) -> Any:
        assert not name.endswith(".mp4")
        return real(name, *rest, **more)

    monkeypatch.setattr(storage, "read", read)
    arguments = ("transcode", "in", "-r", "-o", "out", "--copy-others")
    assert run(*arguments).exit_code == 0
    assert Path("out/video.mp4").read_bytes() == video
    node = Path("out/video.mp4").stat().st_ino
    assert run(*arguments).exit_code == 0
    assert Path("out/video.mp4").stat().st_ino == node  # an equal file is not written again
    changed = video[:-1] + b"x"
    Path("in/video.mp4").write_bytes(changed)
    assert run(*arguments).exit_code == 0
    assert Path("out/video.mp4").read_bytes() == changed


# --- temporaries of killed runs ---------------------------------------------------------------

TEMPORARY = ".guetzpy-0123456789abcdef.tmp"


def leave(*folders: str) -> list[Path]:
    paths = [Path(folder, TEMPORARY) for folder in folders]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    return paths


def jpeg(name: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (16, 16), 99).save(path, "JPEG", quality=95)


def test_next_run_removes_temporaries(place: Path) -> None:
    jpeg("in/a.jpg")
    jpeg("in/sub/b.jpg")
    Path("in/other").mkdir()
    Path("in/other/note.txt").write_bytes(b"words")
    left = leave("out", "out/sub", "out/other")
    elsewhere = leave("unconcerned")
    assert run("transcode", "in", "-r", "-o", "out", "-n").exit_code == 0
    assert all(path.exists() for path in left)
    for _ in range(2):
        assert run("transcode", "in", "-r", "-o", "out", "--resume").exit_code == 0
        assert not any(path.exists() for path in left)
        left = leave("out", "out/sub")  # the second run has no files to process
    assert elsewhere[0].exists()


def test_next_run_in_place_removes_temporaries(place: Path) -> None:
    jpeg("in/sub/b.jpg")
    jpeg("single/c.jpg")
    left = leave("in", "in/sub", "single", "kept/sub")
    elsewhere = leave("outside")
    Path("in/link").symlink_to("../outside")
    assert run("transcode", "in", "single/c.jpg", "-r", "--in-place", "--backup", "kept").exit_code == 0
    assert [path.exists() for path in left] == [False, False, False, True]  # "in/sub" is not below "kept/in"
    assert elsewhere[0].exists()
    left = leave("kept/in/sub")
    run("transcode", "in", "single/c.jpg", "-r", "--in-place", "--backup", "kept")
    assert not left[0].exists()


def test_linked_folder_of_the_output_is_not_cleared(place: Path) -> None:
    jpeg("in/sub/b.jpg")
    elsewhere = leave("outside")
    Path("out").mkdir()
    Path("out/sub").symlink_to("../outside")
    run("transcode", "in", "-r", "-o", "out")
    assert elsewhere[0].exists()


@pytest.mark.parametrize("how", [["--in-place"], ["-o", "out/"]])
def test_next_run_over_single_files_removes_temporaries(place: Path, how: list[str]) -> None:
    jpeg("photo.jpg")
    left = leave("." if how[0] == "--in-place" else "out")
    assert run("transcode", "photo.jpg", *how).exit_code == 0
    assert not left[0].exists()


# --- misnamed files ---------------------------------------------------------------------------


@pytest.fixture
def misnamed(place: Path) -> dict[str, bytes]:
    """Make two photos, and other files with names of photos; return the contents of the latter by name."""
    jpeg("a.jpg")
    jpeg("z.JPEG")
    for name, kind in (("png.jpg", "PNG"), ("tga.jpg", "TGA"), ("bmp.jfif", "BMP")):
        Image.new("RGB", (16, 16), "red").save(name, kind)
    Path("text.jpg").write_bytes(b"not yet drawn")
    Path("empty.jpg").write_bytes(b"")
    names = ("png.jpg", "tga.jpg", "bmp.jfif", "text.jpg", "empty.jpg")
    return {name: Path(name).read_bytes() for name in names}


def check_misnamed(result: Any, misnamed: dict[str, bytes]) -> None:
    assert result.exit_code == 1, result.stderr
    for name in misnamed:
        reason = "empty file" if name == "empty.jpg" else "not a JPEG; --in-place replaces JPEG files only"
        assert f"{name}: {reason}" in result.stderr
    assert {name: Path(name).read_bytes() for name in misnamed} == misnamed
    assert "5 failed" in result.stderr
    for name in ("a.jpg", "z.JPEG"):
        (line,) = [line for line in result.stderr.splitlines() if f" {name}: " in line]
        assert "lossless" in line


@pytest.mark.parametrize("wishes", [[], ["-j", "2"], ["--backup", "kept"], ["-r"]])
def test_misnamed_file_in_a_list_costs_itself(
    place: Path, misnamed: dict[str, bytes], wishes: list[str]
) -> None:
    check_misnamed(run("transcode", "a.jpg", *misnamed, "z.JPEG", "--in-place", *wishes), misnamed)


def test_misnamed_file_in_the_interface(place: Path, misnamed: dict[str, bytes]) -> None:
    options = guetzpy.TranscodeOptions()
    with guetzpy.batch.run(["a.jpg", *misnamed], options=options, in_place=True) as planned:
        results = {result.input: result for result in planned}
    assert {name for name, result in results.items() if result.status == "failed"} == set(misnamed)
    assert {name: Path(name).read_bytes() for name in misnamed} == misnamed
    with guetzpy.batch.run(["a.jpg", *misnamed], options=options, in_place=True, jpeg_only=True) as planned:
        assert {other.input for other in planned.others} == set(misnamed)
        assert len(list(planned)) == 1


def test_folder_in_place_skips_other_pictures(place: Path, misnamed: dict[str, bytes]) -> None:
    """A PNG is skipped, whatever its name. A file that is a JPEG only by its name fails."""
    Path("a.jpg").rename("in/a.jpg")
    for name in misnamed:
        Path(name).rename(Path("in", name))
    result = run("transcode", "in", "-r", "--in-place")
    assert result.exit_code == 1
    assert "3 failed" in result.stderr  # text, empty, and TGA, which has no signature
    assert "in/text.jpg: not a JPEG" in result.stderr
    assert "in/png.jpg (not a JPEG)" in result.stderr
    assert {name: Path("in", name).read_bytes() for name in misnamed} == misnamed


@pytest.mark.parametrize("wishes", [[], ["-j", "2"]])
@pytest.mark.parametrize("how", [["--in-place"], ["-o", "out/"], ["-n"]])
def test_jpeg_only_passes_over_what_is_misnamed(
    place: Path, misnamed: dict[str, bytes], how: list[str], wishes: list[str]
) -> None:
    result = run("transcode", "a.jpg", *misnamed, "--jpeg-only", *how, *wishes)
    assert result.exit_code == 0, result.stderr
    assert {name: Path(name).read_bytes() for name in misnamed} == misnamed
    assert "not a JPEG" in result.stderr
    if how[0] == "-o":
        assert {path.name for path in Path("out").glob("*.j*")} == {"a.jpg"}


def test_named_file_of_another_kind_fails_a_transcode_of_many_too(
    place: Path, misnamed: dict[str, bytes]
) -> None:
    for wishes in ([], ["-j", "2"]):
        result = run("transcode", "a.jpg", "png.jpg", "-o", "out/", *wishes)
        assert result.exit_code == 1
        assert "png.jpg: not a JPEG; transcode repacks JPEG files only" in result.stderr


# --- what cannot be read ----------------------------------------------------------------------


def test_a_folder_that_cannot_be_listed_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg("in/a.jpg")
    jpeg("in/locked/b.jpg")
    real = os.scandir

    def scandir(path: Any) -> Any:
        if os.path.basename(path) == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    result = run("transcode", "in", "-r", "-o", "out")
    assert result.exit_code == 1
    assert "guetzpy: in/locked: Permission denied\n" in result.stderr
    assert sorted(path.name for path in Path("out").glob("*")) == [".guetzpy.sqlite", "a.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_through_a_file_is_named(place: Path) -> None:
    jpeg("in/a.jpg")
    Path("in/b.jpg").symlink_to("a.jpg/below")
    result = run("transcode", "in", "-r", "-o", "out")
    assert result.exit_code == 1
    assert "guetzpy: in/b.jpg: Not a directory\n" in result.stderr
    assert Path("out/a.jpg").exists()


def test_urls_without_fsspec(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    result = run("transcode", "memory://in", "-r", "-o", "out")
    words = 'guetzpy: memory://in: URLs need fsspec: pip install "guetzpy[cloud]"\n'
    assert (result.exit_code, result.stderr) == (2, words)


def test_compiling_processes_that_die_end_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> Any:
        yield "guetzpy.jpeg.dct.forward", 1.0
        raise RuntimeError("a process died")

    monkeypatch.undo()
    monkeypatch.setattr(runner._jit, "missing", lambda _: ["guetzpy.jpeg.dct"])
    monkeypatch.setattr(runner, "warm_in_processes", die)
    runner._warm(guetzpy.OptimizeOptions())
