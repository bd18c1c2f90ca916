"""Fixtures of the tests in this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from reference.bench_runs import photo

from bench import rate_distortion as rd

# Rate-distortion


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all files that a run of ``rate_distortion`` over one small picture writes."""
    folder = tmp_path_factory.mktemp("rd")
    images = folder / "images"
    images.mkdir()
    Image.fromarray(photo()).save(images / "photo.png")
    common = ["--images", str(images), "--output", str(folder), "--no-plots", "--distances", "1,2"]
    rd.main([*common, "--name", "points", "--peers", "turbo444,turbo420", "--baseline", "turbo444,turbo420"])
    return folder
