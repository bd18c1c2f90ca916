"""-o names a file or a folder, and the suffix is true; --check counts what --in-place would touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from guetzpy._runtime import kernel as _jit
from guetzpy.cli import app, reporting


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    codes = np.random.default_rng(1).integers(0, 255, (16, 24, 3)).astype(np.uint8)
    Image.fromarray(codes).save(tmp_path / "a.jpg", quality=90)
    Image.fromarray(codes).save(tmp_path / "a.png")
    return tmp_path / "a.jpg"


@pytest.mark.parametrize("suffix", [".png", ".webp", ".AVIF"])
def test_a_suffix_of_another_format_is_wrong_usage(photo: Path, suffix: str) -> None:
    output = photo.with_name("out" + suffix)
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(output)])
    assert done.exit_code == 2
    assert "out.jpg" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize("options", [[], ["-j", "2"], ["--exclude", "*.png"], ["-r"]])
def test_a_jpeg_name_is_a_file(photo: Path, options: list[str]) -> None:
    """It became a folder of that name."""
    output = photo.with_name("out.jpg")
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(output), *options])
    assert done.exit_code == 0
    assert output.is_file()


@pytest.mark.parametrize("options", [["-p"], ["--resume"], ["--manifest", "x.sqlite"]])
def test_a_jpeg_name_is_never_a_folder(photo: Path, options: list[str]) -> None:
    output = photo.with_name("out.jpg")
    done = CliRunner().invoke(app, ["transcode", str(photo), "-o", str(output), *options])
    assert done.exit_code == 2
    assert "names a file" in done.stderr
    assert not output.exists()


def test_several_inputs_do_not_go_into_one_file(photo: Path) -> None:
    other = photo.with_name("b.jpg")
    other.write_bytes(photo.read_bytes())
    output = photo.with_name("out.jpg")
    done = CliRunner().invoke(app, ["transcode", str(photo), str(other), "-o", str(output)])
    assert done.exit_code == 2
    assert not output.exists()


def test_check_passes_what_in_place_would_not_touch(photo: Path) -> None:
    png = photo.with_suffix(".png")
    done = CliRunner().invoke(app, ["optimize", str(png), "--check"])
    assert done.exit_code == 0, done.output


def test_kernels_that_cannot_be_kept_are_not_called_a_matter_of_the_first_run(monkeypatch: Any) -> None:
    monkeypatch.setattr(_jit, "can_keep", lambda: False)
    monkeypatch.setattr(_jit, "cache_directory", lambda: Path("/nowhere"))
    assert "first run only" not in reporting.compiling()
    assert "/nowhere" in reporting.compiling()
    assert "NUMBA_CACHE_DIR" in reporting.compiling()
    monkeypatch.setattr(_jit, "can_keep", lambda: True)
    assert reporting.compiling() == reporting.COMPILING
