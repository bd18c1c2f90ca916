"""What is written: strict decoders take it without a warning, and its scores hold by another path."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from reference.jpeg_files import picture

import guetzpy
from guetzpy import metrics
from guetzpy.errors import GuetzpyError

IMAGES = Path(__file__).parents[2] / "shared" / "images"
FOLDERS = ("jpeg-features", "jpeg-gainmap", "jpeg-orientation", "jpeg-camera")


def shown(data: bytes) -> Image.Image:
    with JpegImageFile(io.BytesIO(data)) as opened:
        opened.load()
        plain = Image.frombytes(opened.mode, opened.size, opened.tobytes())
        if "icc_profile" in opened.info:
            plain.info["icc_profile"] = opened.info["icc_profile"]
        return plain


def strictly(data: bytes) -> None:
    done = subprocess.run(["djpeg", "-strict", "-outfile", "/dev/null"], input=data, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""


strict = pytest.mark.skipif(shutil.which("djpeg") is None, reason="needs djpeg of libjpeg-turbo")


@pytest.mark.parametrize("distance", [0.8, 4.0])
def test_scores_hold(photo_array: np.ndarray, distance: float) -> None:
    for source in (photo_array, picture(100, 90, quality=98)):
        before = Image.fromarray(source) if isinstance(source, np.ndarray) else shown(source)
        result = guetzpy.optimize(source, distance=distance, effort="fast")
        after = shown(result.data)
        if result.status == "optimized":
            assert metrics.butteraugli(before, after) == pytest.approx(result.butteraugli_3norm, abs=1e-6)
            assert metrics.ssimulacra2(before, after) == pytest.approx(result.ssimulacra2, abs=1e-6)
        else:
            assert np.array_equal(before, after)


@strict
@pytest.mark.foreign
@pytest.mark.parametrize("progressive", [True, False])
def test_strict_decoder(photo_array: np.ndarray, progressive: bool) -> None:
    for source in (photo_array, photo_array[..., 0].copy(), photo_array[:1, :1].copy(), picture(33, 17)):
        strictly(guetzpy.optimize(source, effort="fast", progressive=progressive).data)


@strict
@pytest.mark.slow
@pytest.mark.foreign
@pytest.mark.skipif(not IMAGES.is_dir(), reason="needs the shared pictures")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", FOLDERS)
def test_corpora(folder: str) -> None:
    """Pictures of up to one megapixel, at a distance that most of them have to be searched for."""
    written = 0
    for path in sorted((IMAGES / folder).iterdir()):
        try:
            with Image.open(path) as opened:
                if opened.width * opened.height > 1_000_000:
                    continue
            result = guetzpy.optimize(path, distance=3.0, effort="fast")
        except (GuetzpyError, OSError):
            continue
        if result.status == "kept":
            continue
        strictly(result.data)
        written += 1
        if result.status == "optimized":
            assert (
                abs(metrics.ssimulacra2(shown(path.read_bytes()), shown(result.data)) - result.ssimulacra2)
                < 6
            )
    assert written > 0
