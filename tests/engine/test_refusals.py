"""What is refused, and what is kept instead: by the search, by the check of the file, and by readers."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pytest
from reference.jpeg_files import arithmetic, encoded

import guetzpy
from guetzpy.engine import optimize as engine
from guetzpy.errors import FormatError, GuetzpyError, LimitError, TargetError, UnsupportedError
from guetzpy.progress import Reporter

jpeg = partial(encoded, quality=97, subsampling=0)


@pytest.mark.parametrize("kind", ["pixels", "jpeg"])
def test_a_file_that_decodes_to_other_pixels_is_an_error(
    small: np.ndarray, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One code of one pixel differs."""
    real = engine.jpeg_samples

    def off_by_one(data: bytes) -> np.ndarray:
        codes = real(data)
        codes[-1, -1, -1] ^= 1
        return codes

    source: Any = small if kind == "pixels" else jpeg(small)
    assert guetzpy.optimize(source, distance=2.0, effort="fast").status == "optimized"
    monkeypatch.setattr(engine, "jpeg_samples", off_by_one)
    with pytest.raises(GuetzpyError, match="other pixels than were scored; nothing was written"):
        guetzpy.optimize(source, distance=2.0, effort="fast")


def test_a_jpeg_that_no_search_meets_the_target_for_is_packed(
    small: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score, or any limit with ``strict``, is an error instead."""

    def search(*_: Any, **__: Any) -> Any:
        raise TargetError("no file meets it", best={"ssimulacra2": 50.0})

    monkeypatch.setattr(engine, "select", search)
    source = jpeg(small)
    result = guetzpy.optimize(source, distance=2.0)
    assert result.data == guetzpy.transcode(source).data
    assert result.reason == "the target cannot be met by a lossy encode"
    for more in ({"distance": 2.0, "strict": True}, {"ssimulacra2": 80.0}, {"butteraugli": 1.0}):
        with pytest.raises(TargetError, match="no file meets it"):
            guetzpy.optimize(source, **more)  # type: ignore[arg-type]


def test_a_quality_below_that_of_the_source_packs_it(small: np.ndarray) -> None:
    source = jpeg(small, quality=5)
    result = guetzpy.optimize(source, quality=95)
    assert result.data == guetzpy.transcode(source).data
    assert "the source is at about distance" in str(result.reason)


@pytest.mark.parametrize(("timeout", "ends"), [(0.5, True), (None, False), (1e9, False)])
def test_a_search_ends_after_its_timeout(timeout: float | None, ends: bool) -> None:
    clock = engine._Clock(timeout, time.perf_counter() - 1.0, Reporter(), 3)
    if not ends:
        clock.check()
        return
    with pytest.raises(LimitError, match=r"not done within 0\.5 s"):
        clock.check()


@pytest.mark.parametrize("work", [guetzpy.optimize, guetzpy.transcode])
@pytest.mark.parametrize(
    ("data", "words"), [(b"", "empty file"), (b"\xff\xd8\xff\xe0", "inside a marker segment")]
)
def test_nothing_and_a_broken_header_are_no_pictures(work: Any, data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        work(data)


def test_pictures_that_cannot_be_compared(small: np.ndarray) -> None:
    source = jpeg(small)
    with pytest.raises(ValueError, match="different sizes cannot be compared: 64 x 48 and 64 x 40"):
        guetzpy.compare(source, jpeg(small[:40]))
    with pytest.raises(FormatError):
        guetzpy.compare(source, b"\xff\xd8\xff\xe0")
    with pytest.raises(UnsupportedError, match="arithmetic"):
        guetzpy.compare(source, arithmetic(source))
    with pytest.raises(ValueError, match="metric 'vmaf' is not known; choose from"):
        guetzpy.compare(source, source, metrics=("vmaf",))
