"""The command line with inputs and outputs that fail, and its commands other than optimize."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.cli_runs import names, quick, run

import guetzpy
from guetzpy._runtime import kernel as _jit
from guetzpy.engine.source import Source
from guetzpy.options import OptimizeOptions
from guetzpy.result import Result

pytestmark = pytest.mark.usefixtures("search", "no_notices")


def bad_inputs(folder: Path) -> dict[str, str]:
    """Make files that cannot be processed; return a part of the error message for each name."""
    png = (folder / "photo.png").read_bytes()
    jpeg = (folder / "photo.JPG").read_bytes()
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:])
    Image.new("CMYK", (20, 20)).save(folder / "cmyk.tif")
    Image.new("RGBA", (20, 20), (1, 2, 3, 100)).save(folder / "alpha.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture at all")
    (folder / "script.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n"
    )
    (folder / "cut.png").write_bytes(png[: len(png) // 2])
    (folder / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "head.jpg").write_bytes(jpeg[:200])
    return {
        "missing.jpg": "No such file",
        "empty.jpg": "empty file",
        "text.jpg": "not an image",
        "script.eps": "EPS files are not supported",
        "cut.png": "PNG cannot be decoded",
        "cut.jpg": "truncated",
        "head.jpg": "",
        "animated.gif": "GIF with 2 frames",
        "cmyk.tif": "CMYK",
        "alpha.png": "transparent",
    }


def test_bad_inputs(folder: Path) -> None:
    """Each gives one line with the file and the reason, writes nothing, and exits with 1."""
    for name, words in bad_inputs(folder).items():
        before = (folder / name).read_bytes() if name != "missing.jpg" else None
        result = run("optimize", name, "-o", "out.jpg")
        assert result.exit_code == 1, name
        assert result.stderr.startswith(f"guetzpy: {name}: "), result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
        assert result.stderr.count(name) == 1, result.stderr
        assert words in result.stderr
        assert not (folder / "out.jpg").exists()
        assert before is None or (folder / name).read_bytes() == before


def test_one_bad_input_does_not_stop_the_others(folder: Path) -> None:
    inputs = ["empty.jpg", "photo.png", "missing.jpg", "photo.JPG"]
    bad_inputs(folder)
    result = run("optimize", *inputs, "-o", "out/")
    assert result.exit_code == 1
    assert names(folder / "out") == {"photo.jpg", "photo.JPG"}
    assert "4 files" in result.stderr
    assert "2 failed" in result.stderr


def test_background_makes_transparency_welcome(folder: Path) -> None:
    bad_inputs(folder)
    assert run("optimize", "alpha.png", "-o", "out.jpg", "--background", "white").exit_code == 0
    result = run("optimize", "alpha.png", "-o", "out2.jpg", "--background", "no-colour")
    assert result.exit_code == 2
    assert "no-colour" in result.stderr


def test_max_pixels(folder: Path) -> None:
    for name in ("photo.png", "photo.JPG"):
        result = run("optimize", name, "-o", "out.jpg", "--max-pixels", "1000")
        assert result.exit_code == 1
        assert "128 x 96 pixels are more than the limit of 1000" in result.stderr


@pytest.mark.parametrize(
    ("output", "words"),
    [("nowhere/out.jpg", "no such folder"), ("photo.png/out.jpg", "no such folder")],
)
def test_output_that_cannot_be_written(folder: Path, output: str, words: str) -> None:
    result = run("optimize", "photo.JPG", "-o", output)
    assert result.exit_code == 1
    assert words in result.stderr
    assert os.path.dirname(output) in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["", "-o", "o.jpg"], ["a.jpg", "-o", ""], ["a.jpg", "--in-place", "--backup", ""]],
)
def test_empty_names(folder: Path, arguments: list[str]) -> None:
    """A variable of the shell may be empty. Some empty names would stand for the working folder."""
    result = run("optimize", *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "''" in result.stderr


def test_output_folder_that_cannot_be_made(folder: Path) -> None:
    result = run("optimize", "photo.JPG", "-o", "photo.png/out/")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "photo.png" in result.stderr


def test_disk_full_keeps_the_original(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / "photo.JPG").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("optimize", "photo.JPG", "--in-place")
    assert result.exit_code == 1
    assert result.stderr == "guetzpy: photo.JPG: No space left on device\n"
    assert (folder / "photo.JPG").read_bytes() == before
    assert names(folder) == {"photo.png", "photo.JPG"}


def test_input_changed_meanwhile(
    folder: Path, search: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(source: Source, options: OptimizeOptions, *_: Any, **how: Any) -> Result:
        (folder / "photo.JPG").write_bytes(b"someone else's")
        return quick(source, options)

    monkeypatch.setattr(search, "optimize", slow)
    result = run("optimize", "photo.JPG", "--in-place")
    assert result.exit_code == 1
    assert "changed while it was being read" in result.stderr
    assert (folder / "photo.JPG").read_bytes() == b"someone else's"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "photo.JPG: out of memory"),
        (guetzpy.TargetError("the best is 91.2"), 1, "photo.JPG: the best is 91.2"),
        (ZeroDivisionError("surprise"), 1, "photo.JPG: internal error, ZeroDivisionError: surprise"),
    ],
)
def test_errors_on_the_way(
    folder: Path,
    search: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    words: str,
) -> None:
    def fail(*_: object, **how: object) -> Result:
        raise error

    monkeypatch.setattr(search, "optimize", fail)
    before = (folder / "photo.JPG").read_bytes()
    result = run("optimize", "photo.JPG", "--in-place")
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert (folder / "photo.JPG").read_bytes() == before
    assert names(folder) == {"photo.png", "photo.JPG"}


def test_an_internal_error_with_its_traceback(
    folder: Path, search: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **how: object) -> Result:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(search, "optimize", fail)
    monkeypatch.setenv("GUETZPY_DEBUG", "1")
    before = (folder / "photo.JPG").read_bytes()
    with pytest.raises(ZeroDivisionError, match="surprise"):
        run("optimize", "photo.JPG", "--in-place")
    assert (folder / "photo.JPG").read_bytes() == before


def test_unsupported_jpeg_is_kept_with_its_reason(folder: Path) -> None:
    data = bytearray((folder / "photo.JPG").read_bytes())
    at = data.index(b"\xff\xc0")
    data[at + 1] = 0xC9  # arithmetic coding
    (folder / "arithmetic.jpg").write_bytes(data)
    result = run("optimize", "arithmetic.jpg", "-o", "out.jpg", "--json")
    assert result.exit_code == 0
    assert (folder / "out.jpg").read_bytes() == data
    record = json.loads(result.stdout)
    assert (record["status"], record["width"], record["height"]) == ("kept", 128, 96)
    assert "arithmetic" in record["reason"]
    result = run("transcode", "arithmetic.jpg", "-o", "out2.jpg")
    assert result.exit_code == 1
    assert "arithmetic.jpg: arithmetic coding is not supported" in result.stderr


def test_transcode(folder: Path) -> None:
    result = run("transcode", "photo.JPG", "-o", "out.jpg")
    assert result.exit_code == 0, result.stderr
    assert "lossless" in result.stderr
    before, after = Image.open("photo.JPG"), Image.open("out.jpg")
    assert np.array_equal(np.asarray(before), np.asarray(after))
    assert (folder / "out.jpg").stat().st_size < (folder / "photo.JPG").stat().st_size
    result = run("transcode", "photo.png", "-o", "out2.jpg")
    assert result.exit_code == 1
    assert "photo.png: not a JPEG" in result.stderr


def test_compare(folder: Path) -> None:
    result = run("compare", "photo.png", "photo.JPG", "--json")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(result.stdout)
    assert set(scores) == {"butteraugli_3norm", "butteraugli_max", "ssimulacra2", "psnr", "cvvdp", "iwssim"}
    assert 0 < scores["butteraugli_3norm"] < scores["butteraugli_max"] < 3
    assert 50 < scores["ssimulacra2"] < 100
    assert 9 < scores["cvvdp"] < 10
    assert 0.9 < scores["iwssim"] < 1
    same = json.loads(run("compare", "photo.png", "photo.png", "--json").stdout)
    assert same == {
        "butteraugli_3norm": 0,
        "butteraugli_max": 0,
        "ssimulacra2": 100,
        "psnr": None,
        "cvvdp": 10,
        "iwssim": 1,
    }
    assert "SSIMULACRA 2" in run("compare", "photo.png", "photo.JPG").stdout


def test_compare_by_some_metrics_on_a_display(folder: Path) -> None:
    compared = run(
        "compare", "photo.png", "photo.JPG", "--metrics", "cvvdp, psnr", "--display", "iphone_12_pro"
    )
    assert compared.exit_code == 0, compared.stderr
    first, second = compared.stdout.splitlines()
    assert re.fullmatch(r"CVVDP +9\.\d{4} JOD on iphone_12_pro", first)
    assert re.fullmatch(r"PSNR +\d+\.\d\d dB", second)
    scores = json.loads(run("compare", "photo.png", "photo.JPG", "--metrics", "cvvdp", "--json").stdout)
    assert set(scores) == {"cvvdp"}
    assert scores["cvvdp"] < float(first.split()[1])  # the default display has larger pixels
    drawn = run("compare", "photo.png", "photo.JPG", "--metrics", "cvvdp", "--heatmap", "map.png")
    assert drawn.exit_code == 0, drawn.stderr
    with Image.open("map.png") as legend:
        assert legend.width > 0


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        (
            "--metrics",
            "cvvdp,vmaf",
            "no metric 'vmaf'; choose from: butteraugli, ssimulacra2, psnr, cvvdp, iwssim",
        ),
        ("--metrics", "", "no metric ''"),
        ("--display", "cinema", "no such display; choose one of: standard_fhd, standard_4k"),
    ],
)
def test_compare_by_what_there_is_not(folder: Path, option: str, value: str, words: str) -> None:
    result = run("compare", "photo.png", "photo.JPG", option, value)
    assert result.exit_code == 2
    assert words in result.stderr


def test_compare_what_cannot_be_compared(folder: Path) -> None:
    Image.new("RGB", (20, 20)).save("small.png")
    result = run("compare", "photo.png", "small.png")
    assert result.exit_code == 1
    assert "128 x 96 and 20 x 20" in result.stderr
    result = run("compare", "photo.png", "missing.png")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "missing.png: No such file" in result.stderr


def test_a_heat_map_is_a_png(folder: Path) -> None:
    result = run("compare", "photo.png", "photo.JPG", "--heatmap", "map.JPG")
    assert (result.exit_code, "give --heatmap map.png" in result.stderr) == (2, True)
    assert not (folder / "map.JPG").exists()


@pytest.mark.parametrize(
    "command", [("inspect", "d.jpg"), ("compare", "d.jpg", "photo.png"), ("compare", "photo.png", "d.jpg")]
)
def test_a_folder_is_named(folder: Path, command: tuple[str, ...]) -> None:
    """The message has the name of the folder, and not the number of the file descriptor that was opened."""
    (folder / "d.jpg").mkdir()
    result = run(*command)
    assert (result.exit_code, result.stderr) == (1, "guetzpy: d.jpg: is a folder\n")


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that cannot be read")
def test_a_file_whose_read_fails_is_named() -> None:
    for command in (("inspect", "/proc/self/mem"), ("transcode", "/proc/self/mem", "-o", "out.jpg")):
        result = run(*command)
        assert (result.exit_code, result.stderr) == (1, "guetzpy: /proc/self/mem: Input/output error\n")


def test_inspect(folder: Path) -> None:
    record = json.loads(run("inspect", "photo.JPG", "--json").stdout)
    assert (record["width"], record["height"], record["subsampling"]) == (128, 96, "420")
    assert (record["quality"], record["quality_exact"], record["mode"]) == (95, True, "baseline")
    assert sum(record["bytes_by_part"].values()) == record["bytes"] == (folder / "photo.JPG").stat().st_size
    assert "quality 95" in run("inspect", "photo.JPG").stdout
    result = run("inspect", "photo.png")
    assert result.exit_code == 1
    assert "photo.png: not a JPEG" in result.stderr


def test_version_and_help() -> None:
    assert run("--version").stdout == f"guetzpy {guetzpy.__version__}\n"
    assert "optimize" in run("--help").stdout
    assert run("-h").exit_code == 0
    assert run("nonsense").exit_code == 2


def test_warmup() -> None:
    result = run("warmup", "-v")
    assert result.exit_code == 0, result.stderr
    assert "guetzpy.picture.transform._lookup8" in result.stdout
    assert "kernels ready" in result.stderr


def test_cold_start_survives_without_processes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def broken(count: int, modules: list[str]) -> Any:
        calls.append(count)
        raise OSError("no processes here")

    monkeypatch.setattr(_jit, "missing", lambda _: ["guetzpy.jpeg.dct"])
    monkeypatch.setattr("guetzpy._runtime.warmup.warm_in_processes", broken)
    monkeypatch.setattr("guetzpy._runtime.threads.default_threads", lambda: 2)
    result = run("optimize", "photo.png", "-o", "out.jpg")
    assert result.exit_code == 0, result.stderr
    assert "compiling kernels for this CPU" in result.stderr
    assert calls == [2]


def test_as_a_process(folder: Path) -> None:
    """A real process: its exit codes, a pipe without a reader, and the notice of the first run."""
    # The package has no compiled kernels for the processor "generic".
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "NUMBA_CPU_NAME": "generic"}
    command = [sys.executable, "-m", "guetzpy"]
    first = subprocess.run(
        [*command, "transcode", "missing.jpg", "-o", "x.jpg"], capture_output=True, text=True
    )
    assert (first.returncode, first.stdout) == (1, "")
    assert first.stderr == "guetzpy: missing.jpg: No such file or directory\n"
    for notices in (1, 0):
        done = subprocess.run(
            [*command, "inspect", "photo.JPG"], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0
        assert done.stderr.count("compiling kernels for this CPU") == notices
    reader, writer = os.pipe()
    os.close(reader)
    broken = subprocess.run(
        [*command, "transcode", "photo.JPG", "-o", "-"], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert broken.returncode == 1
    assert b"Traceback" not in broken.stderr
    assert b"Exception" not in broken.stderr


def test_warnings_of_pillow_are_not_shown(tmp_path: Path) -> None:
    """For a TIFF tag with values beyond the end, Pillow's warning quotes a line of its code."""
    entries = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 150)]
    entries += [(279, 4, 1, 64), (305, 2, 400, 9000)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(data.ljust(150, b"\0") + bytes(range(64)))
    for source, target in (("in/a.tif", "a.jpg"), ("in", "out")):
        command = [sys.executable, "-m", "guetzpy", "optimize", source, "-o", target, "-e", "fast"]
        command += ["-r", "-j", "1"] if source == "in" else []
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "UserWarning" not in done.stderr, done.stderr
        assert "guetzpy: in/a.tif" in done.stderr
