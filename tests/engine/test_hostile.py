"""Untrusted files: each gives a result or an error of guetzpy, within limits of time and memory."""

from __future__ import annotations

import io
import random
import re
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from fuzz import mutation
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from reference.hostile_files import SEEDS, pictures, shown
from reference.jpeg_files import picture

import guetzpy
from guetzpy.engine import inspect as inspection
from guetzpy.errors import GuetzpyError, LimitError
from guetzpy.jpeg import markers
from guetzpy.jpeg.reader import read


def ended(data: bytes) -> bytes:
    """Return the file with an EOI marker added if it has none, so that Pillow opens it."""
    image = read(data)
    return data if image.eoi else data[: len(data) - len(image.trailing)] + b"\xff\xd9"


# Mutants


@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.booleans())
@example(SEEDS[6], 158, False)  # three equal components, which become one
@settings(deadline=None, max_examples=120)
def test_mutants_repacked_and_described(seed: bytes, number: int, repair: bool) -> None:
    data = mutation.mutate(seed, random.Random(number))
    try:
        result = guetzpy.transcode(data, repair=repair, max_pixels=1 << 20)
    except GuetzpyError:
        pass
    else:
        assert result.status in ("lossless", "kept")
        assert result.status == "lossless" or (result.data == data and result.reason)
        if result.status == "lossless" and not repair:
            assert len(result.data) < len(data)
            before, after = shown(ended(data)), shown(result.data)
            if after.ndim < before.ndim:  # R = G = B everywhere: written as gray
                after = np.repeat(after[..., None], before.shape[2], axis=2)
            assert np.array_equal(before, after)
    try:
        record = inspection.inspect(data, max_pixels=1 << 20)
    except GuetzpyError:
        pass
    else:
        assert record["bytes"] == len(data)


@given(st.sampled_from(SEEDS), st.integers(0, 2**32))
@settings(deadline=None, max_examples=12)
def test_mutants_optimised(seed: bytes, number: int) -> None:
    data = mutation.mutate(seed, random.Random(number), times=2)
    try:
        result = guetzpy.optimize(data, distance=3.0, effort="fast", max_pixels=20_000)
    except GuetzpyError:
        return
    assert len(result.data) <= len(data)
    assert result.status != "kept" or (result.data == data and result.reason)
    if result.status == "optimized":
        assert shown(result.data).shape[:2] == shown(ended(data)).shape[:2]


def test_mutation_reaches_every_outcome() -> None:
    """Some mutants are read and some refused; otherwise the other tests would check little."""
    outcomes = set()
    dice = random.Random(1)
    for _ in range(200):
        data = mutation.mutate(dice.choice(SEEDS), dice)
        try:
            outcomes.add(guetzpy.transcode(data, max_pixels=100_000).status)
        except GuetzpyError as error:
            outcomes.add(type(error).__name__)
    assert outcomes >= {"lossless", "kept", "FormatError", "UnsupportedError", "LimitError"}


TARGETS: list[dict[str, Any]] = [
    {"distance": 0.1},
    {"distance": 1.0},
    {"distance": 4.0},
    {"distance": 25.0},
    {"quality": 1},
    {"quality": 100},
    {"butteraugli": 0.3},
    {"ssimulacra2": 70.0},
    {"max_bytes": 500},
    {"bpp": 8.0},
]
OPTIONS = st.fixed_dictionaries(
    {
        "subsampling": st.sampled_from(["auto", "444", "420", "keep"]),
        "progressive": st.booleans(),
        "strict": st.booleans(),
        "mark": st.booleans(),
        "strip": st.sampled_from(["", "all", "icc,exif"]),
    }
)


@given(pictures(), st.sampled_from(TARGETS), OPTIONS)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_options_and_pictures(
    case: tuple[Any, int | None], target: dict[str, Any], options: dict[str, Any]
) -> None:
    source, size = case
    try:
        result = guetzpy.optimize(source, effort="fast", **target, **options)
    except guetzpy.TargetError:
        assert options["strict"] or "distance" not in target
        return
    decoded = shown(result.data)
    assert decoded.shape[:2] == (result.height, result.width)
    assert result.bytes_after == len(result.data)
    if size is not None:
        assert len(result.data) <= size
    if "max_bytes" in target and result.status == "optimized":
        assert len(result.data) <= target["max_bytes"]


# Limits


def test_pixels_before_memory() -> None:
    data = bytearray(picture())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = b"\xff\xff\xff\xff"
    for function in (guetzpy.optimize, guetzpy.transcode, inspection.inspect):
        with pytest.raises(LimitError, match="pixels"):
            function(bytes(data))


def test_scans() -> None:
    data = picture(progressive=True)
    assert guetzpy.transcode(data, max_scans=10).status in ("lossless", "kept")
    for function in (guetzpy.optimize, guetzpy.transcode):
        with pytest.raises(LimitError, match="more than 9 scans"):
            function(data, max_scans=9)


def test_thousands_of_scans_take_little_time() -> None:
    """Each scan has a few bytes and covers the whole picture."""
    data = picture(1000, 1000, progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last : last + 10] + b"\0"
    with pytest.raises(LimitError, match="scans"):
        guetzpy.transcode(data[:-2] + scan * 5000 + data[-2:])


def test_metadata() -> None:
    data = picture()
    data = data[:2] + markers.segment(0xE5, bytes(60_000)) * 3 + data[2:]
    assert guetzpy.transcode(data, max_metadata=200_000).bytes_after > 180_000
    for function in (guetzpy.optimize, guetzpy.transcode):
        with pytest.raises(LimitError, match="metadata"):
            function(data, max_metadata=150_000)


def test_memory(photo_array: np.ndarray) -> None:
    with pytest.raises(LimitError, match=r"more than the 0\.002 GB that are allowed"):
        guetzpy.optimize(photo_array, max_memory=2_000_000)
    with pytest.raises(LimitError, match="memory"):
        guetzpy.transcode(picture(), max_memory=1000)
    with pytest.raises(ValueError, match="max_memory"):
        guetzpy.optimize(photo_array, max_memory=0)


def test_memory_that_is_enough_for_a_jpeg() -> None:
    """A search needs more than reading the file does. The amount that the message states is enough."""
    with pytest.raises(LimitError, match="megapixels would take about") as caught:
        guetzpy.optimize(picture(400, 300), effort="fast", max_memory=8_000_000)
    found = re.search(r"--max-memory (\d+) is enough", str(caught.value))
    assert found is not None
    result = guetzpy.optimize(picture(400, 300), distance=3.0, effort="fast", max_memory=int(found[1]))
    assert result.status == "optimized"


def test_time(photo_array: np.ndarray) -> None:
    with pytest.raises(LimitError, match="not done within"):
        guetzpy.optimize(photo_array, timeout=1e-9)
    with pytest.raises(LimitError, match="not done within"):
        guetzpy.transcode(picture(), timeout=1e-9)
    assert guetzpy.transcode(picture(), timeout=600).status == "lossless"


@pytest.mark.parametrize(("side", "status"), [(1200, "lossless"), (5000, "kept")])
def test_hardly_any_data_for_many_pixels(side: int, status: str) -> None:
    buffer = io.BytesIO()
    Image.new("L", (side, side), 77).save(buffer, "JPEG", progressive=True)
    result = guetzpy.optimize(buffer.getvalue(), distance=5.0, effort="max")
    assert result.status == status
    assert status == "lossless" or "too large a picture to repack" in str(result.reason)


# Numbers that are not finite or far too large


def parametric(*values: float) -> bytes:
    """Return a parametricCurveType tag: (a X + b)^g + e for X >= d, else c X + f."""
    fixed = [int(np.clip(v * 65536, -(2**31), 2**31 - 1)).to_bytes(4, "big", signed=True) for v in values]
    return b"para" + bytes(4) + b"\0\4" + bytes(2) + b"".join(fixed)


def profile(curve: bytes, red: tuple[float, float, float] = (0.436, 0.2225, 0.0139)) -> bytes:
    """Return a profile of sRGB's primaries; if red differs, green is changed so that the sum stays."""
    green = np.array([0.9642 - 0.1431, 1 - 0.0606, 0.8249 - 0.7141]) - red
    tags = {}
    for name, xyz in (("r", red), ("g", green), ("b", (0.1431, 0.0606, 0.7141))):
        fixed = [int(v * 65536).to_bytes(4, "big", signed=True) for v in xyz]
        tags[name.encode() + b"XYZ"] = b"XYZ " + bytes(4) + b"".join(fixed)
        tags[name.encode() + b"TRC"] = curve
    place, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + (place + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
    head = bytes(12) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(88)
    return head + len(tags).to_bytes(4, "big") + table + body


@pytest.mark.parametrize(
    ("curve", "red"),
    [
        (parametric(16, 32767, 0, 0, 0, 0, 0), (0.436, 0.2225, 0.0139)),
        (parametric(2.4, 1, 0, 0, 0, 32767, 32767), (0.436, 0.2225, 0.0139)),
        (parametric(2, -32768, -32768, -32768, 0.5, -32768, -32768), (0.436, 0.2225, 0.0139)),
        (parametric(1, 1, 0, 0, 0, 0, 0), (32000.0, 32000.0, 32000.0)),
    ],
)
def test_profiles_of_light_beyond_all_bounds(curve: bytes, red: tuple[float, float, float]) -> None:
    usual = profile(parametric(1.8, 1, 0, 0, 0, 0, 0))
    assert not guetzpy.picture.transform.Transform.from_icc(usual).is_srgb
    assert guetzpy.picture.transform.Transform.from_icc(profile(curve, red)).is_srgb


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0, 1e30])
def test_pictures_that_are_no_numbers(value: float) -> None:
    codes = np.full((20, 20), 0.5)
    codes[3, 3] = value
    for function in (
        guetzpy.optimize,
        lambda a: guetzpy.metrics.ssimulacra2(a, a),
        guetzpy.metrics.butteraugli,
    ):
        with pytest.raises(ValueError, match=r"outside 0\.\.1"):
            function(codes, codes) if function is guetzpy.metrics.butteraugli else function(codes)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
def test_light_that_is_not_finite(value: float) -> None:
    """Such a value must not become an index, nor the start of a loop that halves it until it is small."""
    good = np.full((3, 24, 24), 0.5, np.float32)
    bad = good.copy()
    bad[1, 9, 9] = value
    for reference, distorted in ((bad, good), (good, bad)):
        butteraugli = guetzpy.metrics.ButteraugliComparator.from_linear(reference)
        ssimulacra2 = guetzpy.metrics.SSIMULACRA2Comparator.from_linear(reference)
        for norm in (2.0, 3.0, 7.5):
            with pytest.raises(ValueError, match="not finite"):
                butteraugli.score_linear(distorted, norm)
        for score in (ssimulacra2.score_linear, ssimulacra2.gradient_linear):
            # In float64, sums of large values may still give a score.
            with (
                pytest.raises(ValueError, match="NaN or infinity") if value != 1e38 else suppress(ValueError)
            ):
                score(distorted)
    codes = np.full((1, 4, 4), value, np.float32)
    assert np.isfinite(guetzpy.picture.transform.Transform().linear(codes)).all()
