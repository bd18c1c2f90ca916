"""--baseline gives a baseline file, larger than a progressive source if necessary, or an error."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import guetzpy
from guetzpy.engine.source import frame_of


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
        assert "larger than the progressive source" in str(result.reason)
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
