"""Faults of the disk, of permissions and of processes, and broken pictures: no file is lost.

These tests use real processes. Faults of single steps of writing are in test_output.py, of commands in
test_cli.py, of runs over folders in test_batch_run.py and test_batch_workers.py, and of the kernel cache in
test_jit.py.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.jpeg_files import picture

import guetzpy
from guetzpy import output
from guetzpy.errors import FormatError, GuetzpyError, UnsupportedError

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and signals of Linux")


def run(
    *arguments: str, cwd: Path, limit: int | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Run the command line; with ``limit``, it cannot write files of more bytes."""

    def prepare() -> None:
        if limit is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "guetzpy", *arguments], cwd=cwd, capture_output=True, text=True,
        env=os.environ | environment, preexec_fn=prepare, timeout=300,
    )  # fmt: skip


def temporaries(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if output.is_temporary(name)]


# Disks and permissions


@linux
@pytest.mark.parametrize("how", [["--in-place"], ["-o", "out.jpg"]])
def test_disk_full(tmp_path: Path, how: list[str]) -> None:
    original = picture(200, 200)
    (tmp_path / "photo.jpg").write_bytes(original)
    done = run("transcode", "photo.jpg", *how, cwd=tmp_path, limit=1000)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert (tmp_path / "photo.jpg").read_bytes() == original
    assert os.listdir(tmp_path) == ["photo.jpg"]


@linux
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_may_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(picture())
    folder.chmod(0o500)
    try:
        done = run("transcode", "locked/photo.jpg", "--in-place", cwd=tmp_path)
    finally:
        folder.chmod(0o700)
    assert done.returncode == 1
    assert "ermission denied" in done.stderr


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photo.jpg").write_bytes(picture())

    def refuse(path: Path, *_: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(PermissionError):
        guetzpy.transcode(tmp_path / "photo.jpg")


def test_output_folder_vanishes_while_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output folder is removed between the start and the end of the work."""
    folder = tmp_path / "out"
    folder.mkdir()
    result = guetzpy.transcode(picture())
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError):
        result.save(folder / "photo.jpg")
    folder.mkdir()
    replace = os.replace

    def gone(source: Any, target: Any) -> None:
        shutil.rmtree(folder)
        replace(source, target)

    monkeypatch.setattr(os, "replace", gone)
    with pytest.raises(FileNotFoundError):
        result.save(folder / "photo.jpg")
    assert not folder.exists()


def test_input_removed_or_changed_between_reading_and_writing(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture())
    before = path.stat()
    result = guetzpy.transcode(path)
    path.write_bytes(picture(seed=1))
    with pytest.raises(OSError, match="changed"):
        output.write(path, result.data, expected=before)
    assert path.read_bytes() == picture(seed=1)
    path.unlink()
    with pytest.raises(OSError, match="changed"):
        output.write(path, result.data, expected=before)
    assert os.listdir(tmp_path) == []


def test_input_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    """A file that another program is still writing is truncated: it gives an error and is not changed."""
    path = tmp_path / "photo.jpg"
    whole = picture(64, 64)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GuetzpyError, match="truncated"):
        guetzpy.optimize(path)
    assert path.read_bytes() == whole[: len(whole) // 2]


# Killed at any instant

_WRITER = """
import sys
from guetzpy import output
old, new = open("old", "rb").read(), open("new", "rb").read()
print("ready", flush=True)
while True:
    output.write("photo.jpg", new)
    output.write("photo.jpg", old)
"""


@linux
def test_kill_9_at_any_instant(tmp_path: Path) -> None:
    """The file is complete, old or new; other files that remain have the names of temporary files."""
    old, new = os.urandom(300_000), os.urandom(200_000)
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "new").write_bytes(new)
    dice = random.Random(3)
    seen = set()
    for _ in range(12):
        (tmp_path / "photo.jpg").write_bytes(old)
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(dice.uniform(0, 0.03))
        process.kill()
        process.communicate()
        found = (tmp_path / "photo.jpg").read_bytes()
        assert found in (old, new)
        seen.add(found)
        others = set(os.listdir(tmp_path)) - {"old", "new", "photo.jpg"}
        assert others == set(temporaries(tmp_path))
        for name in others:
            (tmp_path / name).unlink()
    assert len(seen) == 2  # otherwise the processes were killed too early for a valid test


@linux
@pytest.mark.slow
def test_a_whole_run_killed_at_any_instant(tmp_path: Path) -> None:
    original = picture(96, 96, seed=2, quality=97)
    new = guetzpy.transcode(original).data
    dice = random.Random(5)
    for _ in range(8):
        (tmp_path / "photo.jpg").write_bytes(original)
        process = subprocess.Popen(
            [sys.executable, "-m", "guetzpy", "transcode", "photo.jpg", "--in-place", "--quiet"], cwd=tmp_path
        )
        time.sleep(dice.uniform(0.2, 3.0))
        process.kill()
        process.wait()
        assert (tmp_path / "photo.jpg").read_bytes() in (original, new)


# Places that cannot be written


@linux
@pytest.mark.slow
def test_read_only_home_and_cache(tmp_path: Path) -> None:
    """If no folder for kernels can be written, they are compiled, and the file is written."""
    (tmp_path / "photo.jpg").write_bytes(picture())
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "TMPDIR"), "/proc/nowhere")
    done = run("transcode", "photo.jpg", "-o", "out.jpg", cwd=tmp_path, **places)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out.jpg").read_bytes() == guetzpy.transcode(picture()).data


# Pictures of other formats


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def small(photo_array: np.ndarray) -> Image.Image:
    return Image.fromarray(photo_array[:24, :32].copy())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM"])
def test_broken_pictures(small: Image.Image, kind: str) -> None:
    """A truncated or changed file gives a result or an error of guetzpy."""
    whole = encode(small, kind)
    assert guetzpy.optimize(whole, effort="fast").width == 32
    dice = random.Random(kind)
    failed = 0
    for i in range(40):
        data = bytearray(whole)
        if i % 4 == 0:
            del data[dice.randrange(4, len(data)) :]
        for _ in range(dice.randint(0, 4)):
            data[dice.randrange(len(data))] = dice.choice([0, 255, dice.randrange(256)])
        try:
            source = guetzpy.engine.loading.load(bytes(data), max_pixels=100_000)
        except GuetzpyError:
            failed += 1
        else:
            assert source.width * source.height <= 100_000
    assert failed > 3


def test_outcomes_of_unusual_pictures(small: Image.Image) -> None:
    alpha = small.copy()
    alpha.putalpha(255)
    clear = small.copy()
    clear.putalpha(Image.linear_gradient("L").resize(small.size))
    deep = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257)
    taken = {
        "opaque alpha": encode(alpha, "PNG"),
        "palette": encode(small.quantize(16), "PNG"),
        "two colours": encode(small.convert("1"), "PNG"),
        "16 bits of gray": encode(deep, "PNG"),
        "CMYK TIFF": encode(small.convert("CMYK"), "TIFF"),
        "one frame of GIF": encode(small, "GIF"),
        "YCbCr TIFF": encode(small.convert("RGB").convert("YCbCr"), "TIFF"),
    }
    refused = {
        "transparent": encode(clear, "PNG"),
        "transparent WebP": encode(clear, "WEBP", lossless=True),
        "transparent palette": encode(small.quantize(16), "PNG", transparency=3),
        "animated GIF": encode(small, "GIF", save_all=True, append_images=[small.rotate(180)]),
        "animated WebP": encode(small, "WEBP", save_all=True, append_images=[small.rotate(180)]),
        "animated PNG": encode(small, "PNG", save_all=True, append_images=[small.rotate(180)]),
        "pages of TIFF": encode(small, "TIFF", save_all=True, append_images=[small.rotate(180)]),
    }
    outcomes = {}
    for name, data in {**taken, **refused}.items():
        try:
            result = guetzpy.optimize(data, effort="fast")
        except (FormatError, UnsupportedError) as error:  # for TIFF it depends on Pillow's version
            outcomes[name] = str(error)
        else:
            assert (result.width, result.height) == small.size
    assert set(outcomes) <= {*refused, "CMYK TIFF", "YCbCr TIFF"}
    assert set(outcomes) >= set(refused)
    assert all(outcomes.values())
    for name in ("transparent", "transparent WebP", "transparent palette"):
        assert "background" in outcomes[name]
        assert guetzpy.optimize(refused[name], effort="fast", background="white").status == "optimized"


# Threads of the caller


def test_errors_of_worker_threads_reach_the_caller(photo_array: np.ndarray) -> None:
    """Several pictures are processed at once in one process; each gets its own result or error."""
    data = picture(64, 64)
    sources = [data, data[:300], data, b"no picture"]
    outcomes: list[str] = [""] * 4

    def work(i: int) -> None:
        try:
            outcomes[i] = guetzpy.transcode(sources[i], timeout=60).status
        except GuetzpyError as error:
            outcomes[i] = type(error).__name__

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert outcomes == ["lossless", "FormatError", "lossless", "UnsupportedError"]
