"""The mark in steps that no coefficient uses: a second run changes no byte, whatever came between."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import guetzpy
from guetzpy.engine.inspect import inspect
from guetzpy.jpeg.metadata.policy import without_marks
from guetzpy.jpeg.reader import read
from guetzpy.jpeg.structure import NATURAL_ORDER, Component, JpegImage, Segment
from guetzpy.jpeg.table_mark import marked, marked_distance
from guetzpy.jpeg.writer import write


def image(used: int = 40, seed: int = 0, components: int = 3) -> JpegImage:
    """Return an image whose coefficients beyond the first ``used`` in zigzag order are zero."""
    random = np.random.default_rng(seed)
    parts = []
    for number in range(components):
        levels = np.zeros((4, 5, 64), np.int16)
        levels[..., NATURAL_ORDER[:used]] = random.integers(-3, 4, (4, 5, used))
        parts.append(Component(number + 1, 1, 1, random.integers(1, 256, 64).astype(np.uint16), levels))
    return JpegImage(40, 32, parts, "ycbcr" if components == 3 else "gray", segments=[])


@settings(deadline=None)
@given(hundredths=st.integers(1, 9900), seed=st.integers(0, 9), components=st.sampled_from([1, 3]))
def test_what_is_marked_is_read(hundredths: int, seed: int, components: int) -> None:
    source = image(seed=seed, components=components)
    assert marked_distance(source) is None
    result = marked(source, hundredths / 100)
    assert result.segments == []
    assert marked_distance(result) == hundredths / 100
    again = read(write(result))
    assert marked_distance(again) == hundredths / 100
    for before, after in zip(source.components, again.components, strict=True):
        assert np.array_equal(before.coefficients, after.coefficients)
        changed = before.qtable != after.qtable
        assert not after.coefficients[..., changed].any()
    assert len(write(result)) == len(write(source))


def test_distance_is_rounded_up() -> None:
    assert marked_distance(marked(image(), 1.234)) == 1.24
    with pytest.raises(ValueError, match=r"0\.01"):
        marked(image(), 0.001)


def test_few_unused_steps_leave_a_comment() -> None:
    assert [len(marked(image(n, components=1), 1.0).segments) for n in (56, 57)] == [0, 1]
    assert marked_distance(marked(image(57, components=1), 1.5)) == 1.5


def test_the_mark_hides_no_comment() -> None:
    """Pillow shows the last comment, ExifTool the first one."""
    comment = Segment(0xFE, b"my own comment")
    source = replace(image(57, components=1), segments=[comment])
    result = marked(source, 1.5)
    assert [s for s in result.segments if s.marker == 0xFE] == [comment]
    data = write(result)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.info["comment"] == b"my own comment"
    again = read(data)
    assert marked_distance(again) == 1.5
    assert without_marks(again.segments) == [comment]
    assert marked(replace(image(57, components=1), segments=[]), 1.5).segments[0].marker == 0xFE


def test_tables_that_components_share_stay_shared() -> None:
    source = image()
    first, second, third = source.components
    source = replace(source, components=[first, second, replace(third, qtable=second.qtable)])
    result = marked(source, 1.0)
    assert np.array_equal(result.components[1].qtable, result.components[2].qtable)
    assert len(write(result)) == len(write(source))
    assert marked_distance(read(write(result))) == 1.0


@settings(deadline=None)
@given(seed=st.integers(0, 9), position=st.integers(0, 63), by=st.integers(1, 254), part=st.integers(0, 2))
def test_other_tables_have_no_mark(seed: int, position: int, by: int, part: int) -> None:
    """A change of any step that is in use, or of the mark itself, ends it; other unused steps are free."""
    result = marked(image(60, seed), 1.0)
    table = result.components[part].qtable.copy()
    at = NATURAL_ORDER[position]
    table[at] = 1 + (table[at] - 1 + by) % 255
    parts = list(result.components)
    parts[part] = replace(parts[part], qtable=table)
    in_mark = position >= 62 or (position == 61 and part < 2)
    if position < 60 or in_mark:
        assert marked_distance(replace(result, components=parts)) is None


def test_files_of_others_have_no_mark(photo_array: np.ndarray) -> None:
    for quality in range(5, 100, 5):
        for subsampling in (0, 2):
            file = io.BytesIO()
            Image.fromarray(photo_array).save(file, "JPEG", quality=quality, subsampling=subsampling)
            assert marked_distance(read(file.getvalue())) is None


def _program(*command: str) -> Callable[[bytes], bytes]:
    def run(data: bytes) -> bytes:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    return run


def _mozjpeg(data: bytes) -> bytes:
    lossless = pytest.importorskip("mozjpeg_lossless_optimization")
    done: bytes = lossless.optimize(data)
    return done


BETWEEN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": bytes,
    "stripped": lambda data: guetzpy.transcode(data, strip="all").data,
    "baseline": lambda data: guetzpy.transcode(data, progressive=False).data,
    "restarts": lambda data: write(read(data), script="sequential", restart_interval=3),
    "mozjpeg": _mozjpeg,
    "jpegtran": _program("jpegtran", "-copy", "none"),
    "jpegtran-optimize": _program("jpegtran", "-copy", "none", "-optimize"),
    "jpegtran-progressive": _program("jpegtran", "-copy", "none", "-progressive"),
    "jpegtran-mirrored": _program("jpegtran", "-flip", "horizontal", "-trim"),
    "exiftool": _program("exiftool", "-all=", "-", "-o", "-"),
}


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(name, marks=[pytest.mark.foreign] if "jpegtran" in name or name == "exiftool" else [])
        for name in BETWEEN
    ],
)
@pytest.mark.parametrize("target", [{}, {"distance": 2.0}, {"ssimulacra2": 80.0}], ids=str)
def test_a_second_run_changes_no_sample(
    photo_array: np.ndarray, between: str, target: dict[str, float]
) -> None:
    first = guetzpy.optimize(photo_array, **target).data  # type: ignore[arg-type]
    assert b"guetzpy" not in first
    came = BETWEEN[between](first)
    second = guetzpy.optimize(came, **target)  # type: ignore[arg-type]
    assert second.status in ("kept", "lossless")
    if between in ("nothing", "stripped"):
        assert second.data == first
    third = guetzpy.optimize(second.data, **target).data  # type: ignore[arg-type]
    assert third == second.data


def test_a_jpeg_is_marked_as_pixels_are(photo_array: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(photo_array).save(file, "JPEG", quality=95, comment=b"mine")
    first = guetzpy.optimize(file.getvalue(), distance=2.0)
    assert first.status == "optimized"
    again = guetzpy.optimize(guetzpy.transcode(first.data, strip="all").data, distance=2.0)
    assert "encoded by guetzpy" in str(again.reason)
    assert inspect(first.data)["mark"] == 2.0
    assert inspect(guetzpy.optimize(file.getvalue(), distance=2.0, mark=False).data)["mark"] is None


def test_a_forged_mark_is_kept_without_a_loss_and_can_be_ignored(photo_array: np.ndarray) -> None:
    """Anybody can write the mark into a file: it is then repacked, and ``mark=False`` searches it."""
    file = io.BytesIO()
    Image.fromarray(photo_array).save(file, "JPEG", quality=90)
    source = read(file.getvalue())
    for component in source.components:  # a picture whose last frequencies are zero has room for a mark
        component.coefficients[..., NATURAL_ORDER[56:]] = 0
    forged = write(marked(source, 3.0))
    assert marked_distance(read(forged)) == 3.0
    plain = guetzpy.optimize(write(source), distance=1.0)
    assert plain.status == "optimized"
    kept = guetzpy.optimize(forged, distance=1.0)
    assert kept.status in ("kept", "lossless")
    assert "encoded by guetzpy at this distance before" in str(kept.reason)
    assert len(kept.data) <= len(forged)
    samples = [np.asarray(Image.open(io.BytesIO(data))) for data in (forged, kept.data)]
    assert np.array_equal(*samples)
    assert guetzpy.optimize(forged, distance=1.0, mark=False).status == "optimized"


@pytest.mark.parametrize("distance", [0.4, 1.5])
def test_the_mark_stays_when_a_picture_becomes_gray(photo_array: np.ndarray, distance: float) -> None:
    """Regression: the steps of chroma that held the mark were lost, and a second run lost quality again."""
    gray = Image.fromarray(photo_array).convert("L").resize((120, 80))
    stream = io.BytesIO()
    Image.merge("RGB", [gray] * 3).save(stream, "JPEG", quality=99)
    first = guetzpy.optimize(stream.getvalue(), distance=distance, keep_components=True, effort="fast")
    assert first.status == "optimized"
    repack = guetzpy.transcode(first.data)
    assert len(read(repack.data).components) == 1
    assert marked_distance(read(repack.data)) == distance
    for source in (first.data, repack.data):
        result = guetzpy.optimize(source, distance=distance, effort="fast")
        assert result.data == repack.data
        assert "at this distance before" in str(result.reason)
