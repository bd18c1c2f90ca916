"""A JPEG never grows: a lossy encode is used only if it saves enough over the lossless repack."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.jpeg_files import encoded

import guetzpy
from guetzpy.engine import optimize as engine
from guetzpy.engine.loading import load
from guetzpy.errors import CancelledError, LimitError, TargetError
from guetzpy.jpeg import transcode as packing
from guetzpy.jpeg.metadata.policy import Policy
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import JpegImage
from guetzpy.jpeg.writer import write
from guetzpy.options import OptimizeOptions
from guetzpy.progress import Reporter
from guetzpy.search.plan import plan_search

jpeg = partial(encoded, quality=92, subsampling=0)


@pytest.mark.parametrize("quality", [1, 30, 75, 92, 100])
@pytest.mark.parametrize("distance", [0.2, 1.0, 8.0])
@pytest.mark.parametrize("min_saving", [0.0, 0.05])
def test_a_jpeg_never_grows(small: np.ndarray, quality: int, distance: float, min_saving: float) -> None:
    source = jpeg(small, quality=quality)
    packed = guetzpy.transcode(source).data
    assert len(packed) <= len(source)
    for data in (source, packed):
        result = guetzpy.optimize(data, distance=distance, min_saving=min_saving, effort="fast")
        assert len(result.data) <= len(packed)
        if result.status == "optimized":
            assert len(result.data) <= (1.0 - min_saving) * len(packed)
            assert len(result.data) < len(packed)
        else:
            assert result.data == packed
        if result.status == "kept":
            assert result.data == data


@pytest.mark.parametrize(("bytes_of_100", "min_saving", "used"), [
    (95, 0.05, True), (96, 0.05, False), (90, 0.1, True), (91, 0.1, False),
    (99, 0.0, True), (100, 0.0, False), (101, 0.0, False), (0, 1.0, True), (1, 1.0, False),
])  # fmt: skip
def test_a_lossy_encode_has_to_save_its_share(
    small: np.ndarray, monkeypatch: pytest.MonkeyPatch, bytes_of_100: int, min_saving: float, used: bool
) -> None:
    """The repack has 1000 bytes, the lossy encode ten times the number given.

    Regression: with ``min_saving=0`` a lossy encode of the repack's size was used.
    """
    source = jpeg(small, quality=97)
    real = engine.transcode_bytes

    def packed(*arguments: Any, **options: Any) -> Any:
        done = real(*arguments, **options)
        return engine.replace(done, data=done.data[:2] + bytes(998), reason="packed")

    monkeypatch.setattr(engine, "transcode_bytes", packed)
    monkeypatch.setattr(engine, "_finish", lambda *_: bytes(10 * bytes_of_100))
    monkeypatch.setattr(engine, "further", lambda *_: "hint")
    monkeypatch.setattr(engine, "is_progressive", lambda data: True)
    monkeypatch.setattr(engine, "reason_to_repack", lambda *_: None)
    options = OptimizeOptions(distance=2.0, min_saving=min_saving, effort="fast")
    result = engine.optimize(load(source), options, plan_search(64, 48, "fast"))
    assert (result.status == "optimized") == used
    assert len(result.data) == (10 * bytes_of_100 if used else 1000)
    if not used:
        saved = f"a lossy encode would save less than {min_saving:.0%} over the lossless repack"
        assert result.reason == f"{saved}; hint; packed"


class TestWithoutSearch:
    """The plan is an error: the picture takes too much memory to be searched, but not to be packed."""

    plan = LimitError("too many pixels")

    @pytest.mark.parametrize("target", [{"distance": 1.0}, {"quality": 80}, {"ssimulacra2": 80.0}])
    def test_a_jpeg_is_packed(self, small: np.ndarray, target: dict[str, Any]) -> None:
        source = jpeg(small, quality=97)
        result = engine.optimize(load(source), OptimizeOptions(**target), self.plan)
        assert result.status == "lossless"
        assert result.data == guetzpy.transcode(source).data
        assert result.reason == "only repacked without loss: too many pixels"

    def test_a_size_that_the_repack_meets_is_met(self, small: np.ndarray) -> None:
        source = jpeg(small, quality=97)
        packed = guetzpy.transcode(source).data
        for size, met in ((len(packed), True), (len(packed) - 1, False)):
            options = OptimizeOptions(max_bytes=size)
            if met:
                assert engine.optimize(load(source), options, self.plan).data == packed
                continue
            with pytest.raises(LimitError, match="too many pixels"):
                engine.optimize(load(source), options, self.plan)


def test_a_quality_of_a_jpeg_is_that_of_pillows_file_of_its_pixels(small: np.ndarray) -> None:
    source = jpeg(small, quality=98)
    with Image.open(io.BytesIO(source)) as image:
        shown = np.asarray(image)
    theirs = guetzpy.compare(source, jpeg(shown, quality=80, subsampling=2))
    result = guetzpy.optimize(source, quality=80)
    assert result.status == "optimized"
    assert result.ssimulacra2_wanted == pytest.approx(theirs["ssimulacra2"], abs=1e-6)
    assert result.butteraugli_wanted == pytest.approx(theirs["butteraugli_3norm"], abs=1e-6)
    assert len(result.data) < len(source)


def test_a_cancellation_is_seen_after_the_repack(small: np.ndarray) -> None:
    cancel = threading.Event()
    cancel.set()
    source = load(jpeg(small, quality=5))  # it is not searched
    with pytest.raises(CancelledError):
        engine.optimize(source, OptimizeOptions(), plan_search(64, 48), Reporter(cancel=cancel))


@pytest.mark.parametrize(
    ("spliced", "written", "script", "copied"),
    [
        (90, 91, "auto", True),
        (90, 90, "auto", False),
        (90, 89, "auto", False),
        (90, 91, "sequential", False),  # the copy of the picture data would be progressive
        (90, None, "auto", True),
        (None, 90, "auto", False),
    ],
)
def test_the_smaller_of_copied_and_new_picture_data(
    small: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    spliced: int | None,
    written: int | None,
    script: Any,
    copied: bool,
) -> None:
    """Metadata is stripped, and the picture data either copied or encoded anew, in the bytes given."""
    source = jpeg(small, comment=b"gone", progressive=True)
    copy = None if spliced is None else b"c" * spliced
    new = (None, "already optimal") if written is None else (b"n" * written, "")
    monkeypatch.setattr(packing, "splice", lambda *_: copy)
    monkeypatch.setattr(packing, "_repacked", lambda *_: new)
    done = packing.transcode_bytes(source, Policy.of(strip=["all"]), script=script, keep_components=True)
    assert (done.data, done.status) == (copy if copied else new[0], "lossless")
    assert bool(done.reason) == copied
    assert done.removed == ["comment"]


@pytest.mark.parametrize("target", ["max_bytes", "bpp"])
def test_a_file_that_is_only_packed_may_have_just_the_size(small: np.ndarray, target: str) -> None:
    """A file with fewer samples of luma than of chroma is not searched."""
    image = read(jpeg(small))
    luma, blue, red = image.components
    half = [replace(part, coefficients=part.coefficients[:, :4].copy()) for part in (luma, red)]
    source = write(JpegImage(64, 48, [half[0], replace(blue, h=2), half[1]], "ycbcr"))
    size = len(guetzpy.transcode(source).data)
    for given, met in ((size, True), (size - 1, False)):
        value: Any = given if target == "max_bytes" else 8 * (given + 0.5) / (48 * 64)
        if met:
            result = guetzpy.optimize(source, **{target: value})
            assert len(result.data) == size
            continue
        with pytest.raises(TargetError, match=r"unusual sampling.*; the smallest file reached has") as caught:
            guetzpy.optimize(source, **{target: value})
        assert caught.value.smallest_bytes == size


def test_a_size_of_a_file_that_cannot_be_read_is_checked_with_its_reason(small: np.ndarray) -> None:
    """The frame header declares arithmetic coding, so the file is kept."""
    plain = jpeg(small)
    at = plain.index(b"\xff\xc0")
    source = plain[: at + 1] + b"\xc9" + plain[at + 2 :]
    kept = guetzpy.optimize(source, max_bytes=len(source))
    assert (kept.data, kept.status) == (source, "kept")
    with pytest.raises(TargetError, match=r"arithmetic.*; the smallest file reached has") as caught:
        guetzpy.optimize(source, max_bytes=len(source) - 1)
    assert caught.value.smallest_bytes == len(source)


def test_a_picture_of_too_many_pixels_for_its_bytes_is_not_packed(
    small: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = jpeg(small)
    assert packing.transcode_bytes(source).status == "lossless"
    monkeypatch.setattr(packing, "SPARSE", 0)
    monkeypatch.setattr(packing, "_PACKED_PIXELS", 48 * 64 - 1)
    kept = packing.transcode_bytes(source)
    assert (kept.data, kept.status) == (source, "kept")
    assert "too large a picture to repack" in kept.reason
    assert packing.transcode_bytes(source[:-200], repair=True).status == "lossless"  # repaired in any case
    monkeypatch.setattr(packing, "_PACKED_PIXELS", 48 * 64)
    assert packing.transcode_bytes(source).status == "lossless"
