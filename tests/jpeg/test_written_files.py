"""Written files: strict decoders read them without a warning, and other tools confirm their scores."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from reference.jpeg_files import picture

import guetzpy
from guetzpy import metrics
from guetzpy.engine.loading import load
from guetzpy.engine.source import Source
from guetzpy.errors import GuetzpyError

IMAGES = Path(__file__).parents[3] / "shared" / "images"
FOLDERS = ("jpeg-features", "jpeg-gainmap", "jpeg-orientation", "jpeg-camera", "jpeg-corrupt")


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
@pytest.mark.parametrize("progressive", [True, False])
def test_corpora(folder: str, progressive: bool) -> None:
    """Strict decoders read the output of every file of the collections, at a distance that needs a search."""
    outcomes: Counter[str] = Counter()
    for path in sorted((IMAGES / folder).iterdir()):
        try:
            with Image.open(path) as opened:
                if opened.width * opened.height > 2_200_000:
                    continue
            result = guetzpy.optimize(path, distance=3.0, effort="fast", progressive=progressive)
        except (GuetzpyError, OSError, Image.DecompressionBombError):
            continue
        outcomes[result.status] += 1
        if result.status == "kept":
            continue
        try:
            strictly(path.read_bytes())
        except AssertionError:
            if result.status == "lossless":  # other data is unchanged
                continue
        strictly(result.data)
        if result.status == "optimized":
            before, after = load(path), load(result.data)
            if before.image is not None and len(before.image.components) == 4:
                continue  # the tests of inks score CMYK
            again = metrics.ssimulacra2(*(pixels(picture) for picture in (before, after)))
            assert result.ssimulacra2 == pytest.approx(again, abs=0.01) or not before.transform.is_srgb
    print(folder, dict(outcomes))
    assert outcomes["optimized"] + outcomes["lossless"] > 3


def pixels(picture: Source) -> np.ndarray:
    codes = picture.planes()
    return np.ascontiguousarray(codes[0] if len(codes) == 1 else codes.transpose(1, 2, 0))


@pytest.mark.slow
@pytest.mark.foreign
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("source", ["array", "jpeg"])
def test_scores_by_foreign_tools(photo_array: np.ndarray, tmp_path: Path, source: str) -> None:
    """By the package ssimulacra2 from PyPI, and by libjxl's own tools if $LIBJXL_TOOLS names their folder."""
    foreign = pytest.importorskip("ssimulacra2")
    enlarged = Image.fromarray(photo_array).resize((512, 384), Image.Resampling.LANCZOS)
    before, after = tmp_path / "before.png", tmp_path / "after.png"
    given: Any = np.asarray(enlarged)
    if source == "jpeg":
        enlarged.save(tmp_path / "given.jpg", quality=97, subsampling=0)
        given = tmp_path / "given.jpg"
        enlarged = shown(given.read_bytes())
    enlarged.save(before)
    tools = os.environ.get("LIBJXL_TOOLS")
    for distance in (1.0, 2.0, 4.0):
        result = guetzpy.optimize(given, distance=distance)
        assert result.status == "optimized"
        shown(result.data).save(after)
        score = foreign.compute_ssimulacra2(str(before), str(after))
        assert score == pytest.approx(result.ssimulacra2, abs=1.5)  # the package blurs by another Gaussian
        if tools:
            printed = [
                subprocess.run([Path(tools, tool), before, after], capture_output=True, text=True, check=True)
                for tool in ("ssimulacra2", "butteraugli_main")
            ]
            assert float(printed[0].stdout.split()[0]) == pytest.approx(result.ssimulacra2, abs=0.01)
            three = printed[1].stdout.split("3-norm:")[1].split()[0]
            assert float(three) == pytest.approx(result.butteraugli_3norm, rel=1e-4)
