"""The command line: places, exit codes, words; with a quick stand-in for the search."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import guetzpy
from guetzpy._runtime import kernel as _jit
from guetzpy.cli import app
from guetzpy.engine.source import Source
from guetzpy.options import OptimizeOptions
from guetzpy.result import Result


def encode(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG", **options)
    return stream.getvalue()


def quick(source: Source, options: OptimizeOptions, *_: Any, **how: Any) -> Result:
    """Encode by Pillow, in place of the search."""
    codes = source.planes()
    array = np.moveaxis(codes, 0, -1) if len(codes) == 3 else codes[0]
    data = encode(array.astype(np.uint8), quality=60, optimize=True)
    status: Any = "optimized"
    if source.kind == "jpeg" and source.data is not None and len(data) >= len(source.data):
        data, status = source.data, "kept"
    return Result(
        data=data,
        status=status,
        bytes_before=source.bytes_before,
        bytes_after=len(data),
        width=source.width,
        height=source.height,
        target=dict([options.target]),
        distance=1.0,
        ssimulacra2=85.5,
        butteraugli_3norm=0.66,
        subsampling="420",
    )


@pytest.fixture(autouse=True)
def search(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("guetzpy.engine.optimize")
    module.optimize = quick  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "guetzpy.engine.optimize", module)
    monkeypatch.setattr("guetzpy.engine.optimize", module, raising=False)
    return module


@pytest.fixture(autouse=True)
def no_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words about compiling come at whichever test meets a kernel first; processes show them below."""
    monkeypatch.setattr(_jit, "compilations", lambda callback: contextlib.nullcontext())
    monkeypatch.setattr(_jit, "is_cold", lambda: False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo_array: np.ndarray) -> Path:
    """A working folder with a photo in two formats."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo_array).save("photo.png")
    Path("photo.JPG").write_bytes(encode(photo_array, quality=95))
    return tmp_path


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    assert "Traceback" not in result.stderr
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def is_jpeg(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"


def test_png_to_file(folder: Path) -> None:
    result = run("optimize", "photo.png", "-o", "out.jpg", "-d", "1.0")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert is_jpeg((folder / "out.jpg").read_bytes())
    assert result.stderr.count("\n") == 1
    assert "photo.png" in result.stderr
    assert "distance 1.00" in result.stderr
    assert names(folder) == {"photo.png", "photo.JPG", "out.jpg"}


def test_several_into_a_folder_that_is_made(folder: Path) -> None:
    result = run("optimize", "photo.png", "photo.JPG", "-o", "a/b/")
    assert result.exit_code == 0, result.stderr
    assert names(folder / "a" / "b") == {"photo.jpg", "photo.JPG"}
    assert "2 files, " in result.stderr
    assert "photo.png" in names(folder)


def test_one_into_an_existing_folder(folder: Path) -> None:
    (folder / "out").mkdir()
    assert run("optimize", "photo.png", "-o", "out").exit_code == 0
    assert names(folder / "out") == {"photo.jpg"}


@pytest.mark.parametrize("name", ["photo.mpo", "photo.JPS", "photo.jfif"])
def test_suffixes_of_jpeg_files_stay(folder: Path, name: str) -> None:
    Path("photo.JPG").rename(name)
    assert run("optimize", name, "-o", "out/").exit_code == 0
    assert names(folder / "out") == {name}


def test_in_place(folder: Path) -> None:
    before = (folder / "photo.JPG").read_bytes()
    assert run("optimize", "photo.JPG", "--in-place").exit_code == 0
    after = (folder / "photo.JPG").read_bytes()
    assert is_jpeg(after)
    assert len(after) < len(before)


def test_in_place_leaves_alone_what_is_kept(folder: Path) -> None:
    path = folder / "photo.JPG"
    run("optimize", "photo.JPG", "--in-place")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    inode = path.stat().st_ino
    result = run("optimize", "photo.JPG", "--in-place")
    assert "kept" in result.stderr
    assert (path.stat().st_mtime, path.stat().st_ino) == (1_000_000_000, inode)


def test_kept_file_is_copied_to_its_output(folder: Path) -> None:
    run("optimize", "photo.JPG", "--in-place")
    assert run("optimize", "photo.JPG", "-o", "copy.jpg").exit_code == 0
    assert (folder / "copy.jpg").read_bytes() == (folder / "photo.JPG").read_bytes()


def test_stdin_to_stdout(folder: Path) -> None:
    data = (folder / "photo.png").read_bytes()
    for arguments in (["optimize", "-"], ["optimize", "-", "-o", "-"]):
        result = run(*arguments, stdin=data)
        assert result.exit_code == 0, result.stderr
        assert is_jpeg(result.stdout_bytes)
        assert "stdin" in result.stderr
    result = run("optimize", "-", "-o", "out.jpg", stdin=data)
    assert is_jpeg((folder / "out.jpg").read_bytes())
    result = run("optimize", "photo.png", "-o", "-", "--quiet")
    assert is_jpeg(result.stdout_bytes)
    assert result.stderr == ""


def test_json_is_one_object_a_file(folder: Path) -> None:
    (folder / "bad.png").write_bytes(b"bad")
    result = run("optimize", "photo.png", "bad.png", "-o", "out/", "--json", "--quiet")
    assert result.exit_code == 1
    good, bad = (json.loads(line) for line in result.stdout.splitlines())
    assert set(good) == set(bad) == set(Result(status="kept").to_dict())
    assert (good["input"], good["output"], good["status"]) == ("photo.png", "out/photo.jpg", "optimized")
    assert good["bytes_before"] == (folder / "photo.png").stat().st_size
    assert good["bytes_after"] == (folder / "out" / "photo.jpg").stat().st_size
    assert (good["width"], good["height"], good["target"]) == (128, 96, {"distance": 1.0})
    assert good["seconds"] >= 0
    assert (bad["status"], bad["input"], bad["output"]) == ("failed", "bad.png", None)
    assert "not an image" in bad["error"]


def test_dry_run_writes_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for arguments in (["photo.png"], ["photo.JPG", "--in-place"], ["photo.JPG", "-o", "x/y.jpg"]):
        assert run("optimize", *arguments, "-n").exit_code == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_check(folder: Path) -> None:
    before = (folder / "photo.JPG").read_bytes()
    assert run("optimize", "--check", "photo.JPG").exit_code == 3
    assert run("optimize", "--check", "--threshold", "99.5", "photo.JPG").exit_code == 0
    assert (folder / "photo.JPG").read_bytes() == before
    run("optimize", "photo.JPG", "--in-place")
    assert run("optimize", "--check", "photo.JPG").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.png"], "-o FILE, -o FOLDER/, or --in-place"),
        (["photo.png", "-o", "x.jpg", "-d", "1", "-q", "85"], "distance and quality contradict"),
        (["photo.JPG", "-o", "x.jpg", "--in-place"], "contradict"),
        (["photo.png", "--in-place"], "photo.png: not a JPEG"),
        (["-", "--in-place"], "stdin"),
        (["-", "photo.png", "-o", "x/"], "only input"),
        (["photo.png", "-o", "photo.png"], "use --in-place"),
        (["photo.JPG", "-o", "./photo.JPG"], "use --in-place"),
        (["photo.png", "photo.JPG", "-o", "photo.png"], "no folder"),
        (["photo.png", "sub/photo.png", "-o", "x/"], "would both be written"),
        (["photo.png", "photo.JPG", "-o", "-"], "one input"),
        (["photo.png", "-o", "-", "--json"], "contradict"),
        (["sub", "-o", "x/"], "sub: is a folder"),
        (["-", "-o", "sub/"], "give -o FILE"),
        (["photo.png", "-o", "x.jpg", "-d", "0"], "distance 0"),
        (["photo.png", "-o", "x.jpg", "-e", "slow"], "effort 'slow'"),
        (["photo.png", "-o", "x.jpg", "--keep", "exif", "--strip", "exif"], "both kept and stripped"),
        (["photo.png", "-o", "x.jpg", "--strip", "colour"], "colour: expected some of"),
        (["photo.png", "-o", "x.jpg", "--nonsense"], "nonsense"),
        (["photo.png", "-o", "x.jpg", "-d", "one"], "'--distance'"),
        ([], "no inputs: name pictures"),
    ],
)
def test_wrong_usage(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "photo.png").write_bytes((folder / "photo.png").read_bytes())
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    result = run("optimize", *arguments, stdin=b"")
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def bad_inputs(folder: Path) -> dict[str, str]:
    """Name of a bad file -> words that tell why; the files are made."""
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
    """Each says in one line what is wrong with which file, writes nothing, and exits with 1."""
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
    assert result.exit_code == 1
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
    assert scores["cvvdp"] < float(first.split()[1])  # pixels of a phone are smaller to the eye
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

    def broken(count: int) -> Any:
        calls.append(count)
        raise OSError("no processes here")

    monkeypatch.setattr(_jit, "is_cold", lambda: True)
    monkeypatch.setattr("guetzpy._runtime.warmup.warm_in_processes", broken)
    monkeypatch.setattr("guetzpy._runtime.threads.default_threads", lambda: 2)
    result = run("optimize", "photo.png", "-o", "out.jpg")
    assert result.exit_code == 0, result.stderr
    assert "compiling kernels for this CPU" in result.stderr
    assert calls == [2]


def test_as_a_process(folder: Path) -> None:
    """The real thing: exit code, a pipe that nobody reads, the notice of the first run."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")}
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
