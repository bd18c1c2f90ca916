"""Searches in little memory: strips, tiles, and what they come to."""

from __future__ import annotations

import io
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import guetzpy
from guetzpy._memory import frugally, lean, searching
from guetzpy.batch.manifest import options_hash
from guetzpy.comparison import compare
from guetzpy.errors import LimitError, TargetError
from guetzpy.options import OptimizeOptions
from guetzpy.picture import Transform
from guetzpy.search import frugal
from guetzpy.search.encoder import Encoder, Weights, lagrangian
from guetzpy.search.target import Limits

LITTLE = 250_000_000


@pytest.fixture(scope="module")
def large(photo_array: np.ndarray) -> np.ndarray:
    """A photograph of 1.4 megapixels."""
    return np.asarray(Image.fromarray(photo_array).resize((1401, 1003), Image.Resampling.LANCZOS))


def planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


@pytest.mark.parametrize("sampling", [(1, 1), (2, 2)])
def test_strips_are_the_whole(large: np.ndarray, sampling: tuple[int, int], monkeypatch: Any) -> None:
    monkeypatch.setattr(frugal, "_STRIP", 1 << 17)  # eleven strips

    def make(part: np.ndarray, sampling: tuple[int, int]) -> Encoder:
        return Encoder.from_codes(part, sampling)

    codes = planes(large)
    whole, strips = make(codes, sampling), frugal.Strips(codes, make, sampling)
    flat = Weights.flat(whole.coefficients)
    tables = whole.tables(1.0)
    whole.quantise(tables, lagrangian(1.0), flat)
    strips.rates = list(whole.rates)
    expected = whole.quantise(tables, lagrangian(1.0), flat)
    found = strips.quantise(tables, lagrangian(1.0), flat)
    for one, other in zip(found.levels, expected.levels, strict=True):
        assert one.shape == other.shape
        # The least squares fit of chroma looks further than a margin, but hardly.
        assert np.mean(one != other) <= (0 if sampling == (1, 1) else 1e-4)
    assert strips.subsampling_name == whole.subsampling_name
    assert strips.decode(found).shape == codes.shape


@pytest.mark.parametrize(("height", "width"), [(900, 1200), (20, 60_000), (60_000, 20), (1, 65_500), (7, 9)])
def test_tiles(height: int, width: int) -> None:
    codes = np.zeros((1, height, width), np.uint8)
    tiles = frugal.tiles_of(codes)
    assert tiles.shape[0] == 1
    assert 0 < tiles[0].size <= 720 * 720
    assert tiles.flags.c_contiguous


def test_looks_end_where_the_format_is_at_its_end() -> None:
    """A drawing that no quality reaches costs two looks, not all of them."""

    def looks(slope: float) -> int:
        seen: list[float] = []

        def look(_encoder: Any, _judge: Any, _limits: Any, distance: float) -> Any:
            seen.append(distance)
            return SimpleNamespace(excess=1.0 + slope * math.log(distance))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(frugal, "_look", look)
            frugal._land(None, None, None, 1.0, 0.01, 6, lambda: None)  # type: ignore[arg-type]
        return len(seen)

    assert looks(0.01) == 2
    assert 2 < looks(0.4) < 6


@pytest.mark.parametrize(
    "target", [{}, {"distance": 3.0}, {"quality": 80}, {"ssimulacra2": 80.0}, {"butteraugli": 1.0}]
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
    assert usual.reason is None
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


def test_the_whole_is_scored_once_where_only_the_finest_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of lines that no quality reaches have said so; looks at the whole would say it again."""
    picture = planes(np.asarray(screen((1920, 1080))))
    judge = frugal.SparingJudge(picture, Transform())
    scored: list[Any] = []
    scores = judge.scores
    monkeypatch.setattr(judge, "scores", lambda other: scored.append(other) or scores(other))
    limits = Limits.at_distance(1.0)
    samplings = [(1, 1), (2, 2)]
    found, _, relaxed = frugal.search(picture, Encoder.from_codes, samplings, judge, limits, strict=False)
    assert relaxed is not None
    assert len(scored) == 1
    assert found.scores == scores(scored[0])


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


def test_a_sparing_judge_scores_the_same(photo_array: np.ndarray) -> None:
    from guetzpy.search.judge import Judge

    codes = planes(photo_array)
    other = (codes // 4 * 4).astype(np.uint8)
    transform = Transform()
    assert frugal.SparingJudge(codes, transform).scores(other) == Judge(codes, transform).scores(other)


def test_a_sparing_judge_has_the_same_gradients(photo_array: np.ndarray) -> None:
    from guetzpy.search.judge import Judge

    codes = planes(photo_array)
    other = (codes // 4 * 4).astype(np.uint8)
    whole, windows = (
        [
            (score, np.concatenate([r.values[:, r.first - r.top : r.last - r.top] for r in rows], axis=1))
            for score, rows in judge.gradients(other)
        ]
        for judge in (Judge(codes, Transform()), frugal.SparingJudge(codes, Transform()))
    )
    for (score, gradient), (expected, reference) in zip(windows, whole, strict=True):
        assert score == pytest.approx(expected, rel=1e-5)
        assert np.abs(gradient - reference).max() < 1e-3 * np.abs(reference).max()


def test_no_encoder_of_the_whole_is_made(large: np.ndarray) -> None:
    """What an encoder holds is most of the memory of a search."""
    rows = []

    def make(part: np.ndarray, sampling: tuple[int, int]) -> Encoder:
        rows.append(part.shape[1])
        return Encoder.from_codes(part, sampling)

    codes = planes(np.tile(large, (2, 1, 1)))
    judge = frugal.SparingJudge(codes, Transform())
    frugal.search(codes, make, [(1, 1)], judge, Limits.at_distance(2.0), strict=False)
    assert max(rows) < 800


# Who must spare memory


def test_rule() -> None:
    small, large = 8_000, 3_000_000
    screen = 3840, 2160
    assert not frugally(1280, 720, "balanced", None, small)
    assert frugally(1366, 768, "balanced", None, small)
    assert lean(1366, 768, "balanced", None)
    assert not lean(1600, 1200, "balanced", None)
    assert not lean(1366, 768, "balanced", LITTLE)
    assert frugally(*screen, "balanced", None, small)
    with pytest.raises(LimitError, match=r"12.0 megapixels .* more than the 9 .* --max-memory"):
        frugally(4000, 3000, "balanced", None, small)
    assert not frugally(*screen, "balanced", None, large)
    assert not frugally(*screen, "balanced", None, None)
    assert not frugally(*screen, "balanced", searching(3840 * 2160, "balanced"), small)
    assert frugally(*screen, "balanced", 10**9, large)
    for ceiling, size in ((None, small), (10**9, large)):
        with pytest.raises(LimitError, match=r"--max-memory \(max_memory\)"):
            frugally(10_000, 10_000, "balanced", ceiling, size)
    with pytest.raises(LimitError):  # its windows are as large as the picture
        frugally(48_000, 200, "balanced", None, small)


def test_rule_for_coefficients() -> None:
    small, large = 400_000, 600_000
    web = 1728, 1157
    assert not frugally(1280, 720, "balanced", None, small, coefficients=True)
    assert frugally(*web, "balanced", None, small, coefficients=True)
    assert not frugally(*web, "balanced", None, large, coefficients=True)
    assert frugally(*web, "balanced", 10**9 // 2, large, coefficients=True)
    for size in ((2448, 1633), (20_000, 120)):
        with pytest.raises(LimitError, match=r"--max-memory \(max_memory\) allows more"):
            frugally(*size, "balanced", None, small, coefficients=True)


def test_a_ceiling_makes_other_files() -> None:
    """A run that goes on must not take files for done that another ceiling made."""
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
    """Return a mostly blank JPEG, fine enough to be worth a search."""
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
    # What speaks against a search anyway comes first.
    assert "at about distance" in str(guetzpy.optimize(data, distance=0.1).reason)


def test_pixels_of_few_bytes_are_searched_to_the_same_end() -> None:
    buffer = io.BytesIO()
    screen((1366, 768)).save(buffer, "PNG")
    lean, usual = (guetzpy.optimize(buffer.getvalue(), max_memory=m) for m in (None, 4 * 10**9))
    assert lean.reason is None
    assert len(lean.data) < 1.005 * len(usual.data)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF"])
def test_many_pixels_in_few_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything is decoded, with the way out; or worked on within the bounds."""
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
data = Path(sys.argv[1]).read_bytes()
guetzpy.optimize(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
began = time.process_time()
try:
    status = guetzpy.optimize(data).status
except guetzpy.GuetzpyError as error:
    status = type(error).__name__
print(status, time.process_time() - began, memory("VmHWM") - before)
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
def test_few_bytes_cost_little(kind: str, what: str, tmp_path: Path) -> None:
    """Within 10 s of processor time and 500 MB above a process that has worked before."""
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
    status, seconds, memory = done.stdout.split()
    assert status == ("LimitError" if what == "too many" else "optimized")
    assert float(seconds) < 10
    assert float(memory) < 500e6
