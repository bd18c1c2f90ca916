"""--baseline gives a baseline file, larger than a progressive source if necessary, or an error."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.jpeg.header import frame_of


def _jpeg(codes: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    rng = np.random.default_rng(5)
    noise = rng.normal(0.0, 1.0, (12, 16, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return np.clip(128 + 30 * noise + rng.normal(0, 4, (96, 128, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("work", [guetzpy.optimize, guetzpy.transcode])
def test_baseline_is_baseline_even_if_larger(codes: np.ndarray, work: Any) -> None:
    """Regression: a progressive file was kept."""
    large = np.asarray(Image.fromarray(codes).resize((512, 384), Image.Resampling.BICUBIC))
    source = guetzpy.transcode(_jpeg(large, quality=75, progressive=True)).data
    assert frame_of(source)[0] == 0xC2
    result = work(source, progressive=False)
    assert frame_of(result.data)[0] == 0xC0
    assert result.progressive is False
    if result.status == "lossless":
        assert len(result.data) > len(source)
        assert "larger than its source" in str(result.reason)
    with Image.open(io.BytesIO(source)) as before, Image.open(io.BytesIO(result.data)) as after:
        assert result.status != "lossless" or before.tobytes() == after.tobytes()


@pytest.mark.parametrize("work", [guetzpy.optimize, guetzpy.transcode])
def test_a_baseline_file_that_cannot_be_made_is_an_error(codes: np.ndarray, work: Any) -> None:
    """The source has an arithmetic-coded frame, which is kept without --baseline."""
    source = bytearray(_jpeg(codes, quality=75))
    place = source.index(b"\xff\xc0")
    source[place + 1] = 0xC9
    with pytest.raises(guetzpy.UnsupportedError):
        work(bytes(source), progressive=False)


@pytest.mark.parametrize("work", [guetzpy.optimize, guetzpy.transcode])
@pytest.mark.parametrize(("frame", "precision"), [(0xC1, 12), (0xC0, 12)])
def test_a_file_of_12_bits_is_no_baseline_file(
    codes: np.ndarray, work: Any, frame: int, precision: int
) -> None:
    """Without --baseline it is kept or stripped of metadata (T.81 B.2.2: baseline is SOF0 and 8 bits)."""
    source = bytearray(_jpeg(codes, quality=75, comment=b"gone"))
    place = source.index(b"\xff\xc0")
    source[place + 1], source[place + 4] = frame, precision
    with pytest.raises(guetzpy.UnsupportedError):
        work(bytes(source), progressive=False, strip="comment")


def test_steps_of_16_bits_make_no_baseline_file(codes: np.ndarray) -> None:
    """Such tables need SOF1 (T.81 B.2.4.1); a lossy encode has others."""
    table = [16] * 63 + [300]
    source = _jpeg(codes, qtables=[table, table], subsampling=0)
    assert frame_of(source)[0] == 0xC1
    with pytest.raises(guetzpy.UnsupportedError, match=r"baseline file cannot be made: .* above 255"):
        guetzpy.transcode(source, progressive=False)


@pytest.mark.parametrize("work", [guetzpy.optimize, guetzpy.transcode])
def test_a_small_extended_file_becomes_a_baseline_file(codes: np.ndarray, work: Any) -> None:
    """Regression: it was kept, because no bytes are saved, and then refused."""
    source = guetzpy.transcode(_jpeg(codes, quality=75), progressive=False).data
    source = source.replace(b"\xff\xc0", b"\xff\xc1", 1)
    assert frame_of(work(source, progressive=False).data)[0] == 0xC0


@pytest.mark.foreign
@pytest.mark.parametrize("command", ["optimize", "transcode"])
def test_arithmetic_coded_files_fail(codes: np.ndarray, command: str, tmp_path: Path) -> None:
    (tmp_path / "plain.jpg").write_bytes(_jpeg(codes, quality=75))
    coded = subprocess.run(
        ["jpegtran", "-arithmetic", tmp_path / "plain.jpg"], check=True, capture_output=True
    ).stdout
    assert frame_of(coded)[0] == 0xC9
    (tmp_path / "a.jpg").write_bytes(coded)
    for strip in ([], ["--strip", "all"]):
        arguments = [command, str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out.jpg"), "--baseline", *strip]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 1, done.output
        assert "baseline" in done.stderr or "arithmetic" in done.stderr
        assert not (tmp_path / "out.jpg").exists()


def test_a_marker_without_length_may_precede_the_frame(codes: np.ndarray) -> None:
    """Regression: the two bytes after TEM (T.81 table B.1) were read as a length."""
    source = _jpeg(codes, quality=75)
    assert frame_of(source[:2] + b"\xff\x01" + source[2:]) == frame_of(source)
