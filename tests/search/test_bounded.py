"""Searches in little memory, by strips and sample tiles, and their results."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import guetzpy
from guetzpy.batch.manifest import options_hash
from guetzpy.engine.compare import compare
from guetzpy.errors import LimitError, TargetError
from guetzpy.metrics.base import Resources
from guetzpy.options import OptimizeOptions
from guetzpy.picture.transform import Transform
from guetzpy.search.candidates import Candidates, source_of_codes
from guetzpy.search.coding.encoder import decode, encode, image
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import PlaneSource, StripSource
from guetzpy.search.plan import Plan, plan_search, search_memory
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits
from guetzpy.search.selection import select

LITTLE = 250_000_000


@pytest.fixture(scope="module")
def large(photo_array: np.ndarray) -> np.ndarray:
    """A photograph of 1.4 megapixels."""
    return np.asarray(Image.fromarray(photo_array).resize((1401, 1003), Image.Resampling.LANCZOS))


def planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


@pytest.mark.parametrize("sampling", [(1, 1), (2, 2)])
def test_strips_are_the_whole(large: np.ndarray, sampling: tuple[int, int]) -> None:
    codes = planes(large)
    whole = PlaneSource.from_codes(codes, sampling)
    strips = StripSource(codes, PlaneSource.from_codes, sampling, rows=96)  # the picture gets eleven strips
    settings = EncodeSettings(1.0)
    settings = settings.priced(encode(whole, settings).rates)
    expected, found = encode(whole, settings), encode(strips, settings)
    for one, other in zip(found.levels, expected.levels, strict=True):
        assert one.shape == other.shape
        # The down-sampling of chroma by least squares depends a little on rows beyond a strip's margin.
        assert np.mean(one != other) <= (0 if sampling == (1, 1) else 1e-4)
    assert image(strips, found).subsampling == image(whole, expected).subsampling
    assert decode(strips, found).shape == codes.shape


def bounded(height: int, width: int) -> Plan:
    """Return the plan of a search by strips, which a low limit of memory causes."""
    plan = plan_search(width, height, ceiling=search_memory(width * height, "balanced") - 1)
    assert plan.bounded
    return plan


@pytest.mark.parametrize(("height", "width"), [(900, 1200), (20, 60_000), (60_000, 20), (1, 65_500), (7, 9)])
def test_sample(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.zeros((1, height, width), np.uint8)
    monkeypatch.setattr("guetzpy.search.plan._must_spare", lambda *_: True)
    plan = plan_search(width, height, ceiling=1)
    candidates = Candidates.of_pixels(codes, Judge(codes, Transform()), plan, OptimizeOptions())
    assert candidates.sample is not None
    sampled = candidates.sample.judge.codes
    assert sampled.shape[0] == 1
    assert 0 < sampled[0].size <= 720 * 720
    assert sampled.flags.c_contiguous


@pytest.mark.parametrize(
    "target", [{}, {"distance": 2.5}, {"quality": 80}, {"ssimulacra2": 80.0}, {"butteraugli": 1.0}]
)
def test_targets_hold(large: np.ndarray, target: dict[str, Any]) -> None:
    result = guetzpy.optimize(large, max_memory=LITTLE, **target)
    assert "max_memory" in str(result.reason)
    assert not result.limited_by_format
    measured = compare(large, result.data)
    assert measured["butteraugli_3norm"] == pytest.approx(result.butteraugli_3norm)
    assert measured["ssimulacra2"] == pytest.approx(result.ssimulacra2)
    if result.butteraugli_wanted is not None:
        assert result.butteraugli_3norm <= result.butteraugli_wanted
    if result.ssimulacra2_wanted is not None:
        assert result.ssimulacra2 >= result.ssimulacra2_wanted
    usual = guetzpy.optimize(large, effort="fast", **target)
    assert len(result.data) < 1.15 * len(usual.data)


@pytest.mark.parametrize("target", [{"max_bytes": 150_000}, {"bpp": 0.5}])
def test_sizes_hold(large: np.ndarray, target: dict[str, Any]) -> None:
    size = target.get("max_bytes") or int(0.5 * large.shape[0] * large.shape[1] / 8)
    result = guetzpy.optimize(large, max_memory=LITTLE, **target)
    assert 0.9 * size < len(result.data) <= size


def test_a_size_that_is_too_small(large: np.ndarray) -> None:
    with pytest.raises(TargetError, match="smallest"):
        guetzpy.optimize(large, max_memory=LITTLE, max_bytes=900)


def test_what_the_format_cannot_reach(large: np.ndarray) -> None:
    red = np.zeros_like(large)
    red[:, :, 0] = 255
    red[200:800, 200:800] = (0, 0, 255)
    result = guetzpy.optimize(red, max_memory=LITTLE, distance=0.1)
    assert result.limited_by_format
    with pytest.raises(TargetError, match="best reached"):
        guetzpy.optimize(red, max_memory=LITTLE, distance=0.1, strict=True)


def test_a_border_that_no_tile_shows(large: np.ndarray) -> None:
    """The search of the whole begins too coarse then; its finest encode tells that the limits can be met."""
    picture = large[..., 1:2].repeat(3, 2)
    colours = np.random.default_rng(0).integers(0, 2, (*large.shape[:2], 3)).astype(np.uint8)
    colours = (255 * colours).repeat(4, 0).repeat(4, 1)
    for part in (np.s_[:40], np.s_[-40:], np.s_[:, :40]):
        picture[part] = colours[: large.shape[0], : large.shape[1]][part]
    result = guetzpy.optimize(picture, max_memory=LITTLE, distance=0.1)
    assert result.status == "optimized"
    assert result.distance <= 0.1
    assert not result.limited_by_format


def test_the_whole_is_scored_once_where_only_the_finest_will_do() -> None:
    """If no encode of the tiles meets the limits, only the finest encode of the picture is scored."""
    picture = planes(np.asarray(screen((1920, 1080))))
    scored: list[Any] = []

    class Counting(Judge):
        def scores(self, codes: np.ndarray) -> Any:
            scored.append(codes)
            return super().scores(codes)

    plan = bounded(1080, 1920)
    judge = Counting(picture, Transform(), plan.resources)
    candidates = Candidates.of_pixels(picture, judge, plan, OptimizeOptions())
    found = select(candidates, Limits.at_distance(1.0), "balanced", strict=False, check=lambda: None)
    assert found.relaxed is not None
    assert len(scored) == 1
    assert found.found.scores == Judge(picture, Transform()).scores(scored[0])


@pytest.mark.parametrize("deep", [False, True])
def test_gray_and_deep(large: np.ndarray, deep: bool) -> None:
    gray = large[..., 1].copy()
    picture = gray.astype(np.uint16) * 257 if deep else gray
    result = guetzpy.optimize(np.tile(picture, (1, 2)), max_memory=LITTLE)
    assert result.subsampling == "gray"
    assert result.distance <= 1.0


def test_the_same_bytes_with_any_threads(large: np.ndarray) -> None:
    one, two = (guetzpy.optimize(large, max_memory=LITTLE, threads=n) for n in (1, 2))
    assert one.data == two.data


NOTHING = Resources(keep="nothing", rows=128)


def test_a_judge_that_keeps_nothing_scores_the_same(photo_array: np.ndarray) -> None:
    codes = planes(photo_array)
    other = (codes // 4 * 4).astype(np.uint8)
    transform = Transform()
    assert Judge(codes, transform, NOTHING).scores(other) == Judge(codes, transform).scores(other)


def test_a_judge_that_keeps_nothing_has_the_same_gradients(photo_array: np.ndarray) -> None:
    codes = planes(photo_array)
    other = (codes // 4 * 4).astype(np.uint8)
    whole, windows = (
        [
            (score, np.concatenate([r.values[:, r.first - r.top : r.last - r.top] for r in rows], axis=1))
            for _, score, rows in judge.gradients(other)
        ]
        for judge in (Judge(codes, Transform()), Judge(codes, Transform(), NOTHING))
    )
    for (score, gradient), (expected, reference) in zip(windows, whole, strict=True):
        assert score == pytest.approx(expected, rel=1e-5)
        assert np.abs(gradient - reference).max() < 1e-3 * np.abs(reference).max()


def test_no_coefficients_of_the_whole_are_kept(large: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """The coefficients of the whole picture would be most of the memory of a search."""
    rows = []

    def make(part: np.ndarray, *arguments: Any) -> PlaneSource:
        rows.append(part.shape[1])
        return source_of_codes(part, *arguments)

    monkeypatch.setattr("guetzpy.search.candidates.source_of_codes", make)
    codes = planes(np.tile(large, (2, 1, 1)))
    plan = bounded(*codes.shape[1:])
    judge = Judge(codes, Transform(), plan.resources)
    candidates = Candidates.of_pixels(codes, judge, plan, OptimizeOptions(subsampling="444"))
    select(candidates, Limits.at_distance(2.0), "balanced", strict=False, check=lambda: None)
    assert max(rows) < 800


def test_a_ceiling_makes_other_files() -> None:
    """The limit of memory changes files, so a resumed run with another limit must process them again."""
    plain = options_hash(OptimizeOptions())
    assert options_hash(OptimizeOptions(max_memory=10**9)) != plain
    assert options_hash(OptimizeOptions(max_directories=9, max_scans=9, threads=1)) == plain


def blank(kind: str, side: int) -> bytes:
    buffer = io.BytesIO()
    options = {"TIFF": {"compression": "group4"}, "WEBP": {"lossless": True}, "BMP": {}}.get(kind, {})
    mode = "1" if kind in ("TIFF", "BMP") else "P" if kind == "GIF" else "RGB"
    Image.new(mode, (side, side), 1 if mode != "RGB" else (250, 240, 230)).save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(size: tuple[int, int]) -> bytes:
    """Return a mostly blank JPEG with fine tables, so that it is searched."""
    picture = Image.new("RGB", size, "white")
    noise = np.random.default_rng(2).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    picture.paste(Image.fromarray(noise).resize((480, 360), Image.Resampling.BICUBIC), (300, 300))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=97, subsampling=0)
    return buffer.getvalue()


def test_a_jpeg_of_few_bytes_is_searched_to_the_same_end() -> None:
    data = jpeg((1400, 1000))
    assert len(data) < 500_000
    sparing, usual = guetzpy.optimize(data), guetzpy.optimize(data, max_memory=4 * 10**9)
    assert sparing.status == usual.status == "optimized"
    assert len(sparing.data) < 1.005 * len(usual.data)


def test_a_jpeg_of_many_pixels_is_packed() -> None:
    data = jpeg((2400, 1700))
    assert len(data) < 500_000
    result = guetzpy.optimize(data)
    assert result.status == "lossless"
    assert "--max-memory (max_memory) allows more" in str(result.reason)
    assert guetzpy.optimize(data, max_bytes=len(data)).status == "lossless"
    with pytest.raises(LimitError, match="allows more"):
        guetzpy.optimize(data, max_bytes=len(data) // 20)
    # Other reasons against a search are reported first.
    assert "at about distance" in str(guetzpy.optimize(data, distance=0.1, total_distance=True).reason)


@pytest.mark.slow
def test_pixels_of_few_bytes_are_searched_to_the_same_end() -> None:
    buffer = io.BytesIO()
    screen((1366, 768)).save(buffer, "PNG")
    lean, usual = (guetzpy.optimize(buffer.getvalue(), max_memory=m) for m in (None, 4 * 10**9))
    assert lean.reason is None
    assert len(lean.data) < 1.005 * len(usual.data)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF"])
def test_many_pixels_in_few_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is rejected before it is decoded, with advice, or encoded within the limit of memory."""
    data = blank(kind, 4000)
    assert len(data) < 500_000
    with monkeypatch.context() as patch:
        patch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
        with pytest.raises(LimitError, match=r"16\.0 megapixels .* only \d+ bytes; --max-memory"):
            guetzpy.optimize(data)
    result = guetzpy.optimize(blank(kind, 1600))
    assert result.status == "optimized"
    assert "max_memory" in str(result.reason)


def test_a_ceiling_that_is_asked_for_lifts_the_rule() -> None:
    data = blank("PNG", 1600)
    result = guetzpy.optimize(data, effort="fast", max_memory=4 * 10**9)
    assert "max_memory" not in str(result.reason)


MEASURED = """
import sys, time
from pathlib import Path
import numpy as np
import guetzpy
def memory(name):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(name))
    return int(line.split()[1]) * 1024
def seconds(source):
    began = time.process_time()
    try:
        status = guetzpy.optimize(source).status
    except guetzpy.GuetzpyError as error:
        status = type(error).__name__
    return status, time.process_time() - began
data = Path(sys.argv[1]).read_bytes()
y, x = np.mgrid[:512, :512]
waves = np.stack([np.sin(x / 9 + y / (5 + n)) + np.sin(x * y / 9e3 + n) for n in range(3)], axis=-1)
noise = np.random.default_rng(0).normal(0, 9, waves.shape)
ordinary = (128 + 40 * waves + noise).clip(0, 255).astype(np.uint8)
seconds(ordinary)
usual = seconds(ordinary)[1] / ordinary[..., 0].size
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
status, spent = seconds(data)
print(status, spent / usual, memory("VmHWM") - before)
"""


def screen(side: tuple[int, int]) -> Image.Image:
    """Return windows with lines like those of text, in a few colours."""
    dice = np.random.default_rng(4)
    picture = np.full((side[1], side[0], 3), (236, 236, 240), np.uint8)
    for _ in range(6):
        x, y = int(dice.integers(side[0] // 2)), int(dice.integers(side[1] // 2))
        window = picture[y : y + side[1] // 2, x : x + side[0] // 3]
        window[:] = dice.choice([[30, 30, 46], [255, 255, 255], [90, 120, 220]])
        for row in range(40, len(window) - 12, 24):
            length = int(dice.integers(20, window.shape[1] - 20)) // 8 * 8
            glyphs = np.repeat(dice.random((1, length // 2)) < 0.5, 2, axis=1)
            window[row : row + 10, 10 : 10 + length][:, glyphs[0]] = dice.integers(60, 220, 3)
    return Image.fromarray(picture)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory as Linux tells it")
@pytest.mark.parametrize("what", ["blank", "screen", "too many"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF"])
def test_few_bytes_take_little_time_and_memory(kind: str, what: str, tmp_path: Path) -> None:
    """A small file takes at most 500 MB more than a warm process, and at most an ordinary picture's time.

    The ordinary picture has 10 megapixels, a fifth more than the largest of these files.
    """
    import subprocess
    import sys

    path = tmp_path / "picture"
    if what == "screen":
        picture = screen((3840, 2160))
        options = {"TIFF": {"compression": "tiff_adobe_deflate"}, "WEBP": {"lossless": True}}.get(kind, {})
        picture.save(path, kind, **options)
    else:
        path.write_bytes(blank(kind, 2880 if what == "blank" else 9000))
    assert path.stat().st_size < 500_000
    command = [sys.executable, "-c", MEASURED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, pixels, memory = done.stdout.split()
    assert status == ("LimitError" if what == "too many" else "optimized")
    print(kind, what, f"as long as an ordinary picture of {float(pixels) / 1e6:.1f} megapixels")
    assert float(pixels) < 10e6
    assert float(memory) < 500e6
