"""Comparison of two pictures: the scores are those of the metrics, within the limits of other commands."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.engine import compare as comparison
from guetzpy.engine.loading import load
from guetzpy.errors import LimitError
from guetzpy.metrics import ButteraugliComparator, SSIMULACRA2Comparator
from guetzpy.search.plan import check_comparing, plan_search


def encoded(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(96, 128, 3), (96, 128), (1, 40, 3), (150, 9, 3), (300, 8)])
def test_scores_are_those_of_the_metrics(shape: tuple[int, ...]) -> None:
    dice = np.random.default_rng(3)
    first = dice.integers(0, 256, shape).astype(np.uint8)
    second = (first // 8 * 8).astype(np.uint8)
    found = guetzpy.compare(first, encoded(second))
    butteraugli, largest = ButteraugliComparator(first).scores(second)
    assert found["butteraugli_3norm"] == butteraugli
    assert found["butteraugli_max"] == largest
    assert found["ssimulacra2"] == SSIMULACRA2Comparator(first).score(second)
    error = np.mean(np.square(first.astype(float) - second))
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / error))
    diffmap = comparison.diffmap_of(load(first), load(second))
    assert np.array_equal(diffmap, ButteraugliComparator(first).diffmap(second))


def test_depths_and_channels_that_differ() -> None:
    gray = np.random.default_rng(3).integers(0, 256, (30, 40)).astype(np.uint8)
    same = guetzpy.compare(gray, gray.astype(np.uint16) * 257)
    assert same["psnr"] is None
    assert same["ssimulacra2"] == 100
    colour = np.stack([gray, gray, gray // 2], axis=-1)
    error = np.mean(np.square(gray.astype(float) - gray // 2)) / 3
    assert guetzpy.compare(gray, colour)["psnr"] == pytest.approx(10 * np.log10(255**2 / error))


LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"max_pixels": 100}, "limit of 100"),
    ({"max_input": 100}, "limit of 100"),
    ({"max_memory": 10_000_000}, r"\(max_memory\)"),
    ({"timeout": 1e-6}, "not done within"),
    ({"max_scans": 1}, "more than 1 scans"),
    ({"max_metadata": 10}, "max_metadata"),
]


@pytest.mark.parametrize(("limit", "words"), LIMITS)
@pytest.mark.parametrize("second", [False, True])
def test_limits_of_both(
    limit: dict[str, Any], words: str, second: bool, tmp_path: Path, photo_array: np.ndarray
) -> None:
    jpeg = encoded(photo_array, "JPEG", progressive=True, comment=b"x" * 99)
    pair = [photo_array, jpeg] if second else [jpeg, photo_array]
    with pytest.raises(LimitError, match=words):
        guetzpy.compare(*pair, **limit)
    (tmp_path / "a.jpg").write_bytes(jpeg)
    name = str(tmp_path / "a.jpg")
    ((option, value),) = limit.items()
    result = CliRunner().invoke(app, ["compare", name, name, f"--{option.replace('_', '-')}", f"{value:f}"])
    if isinstance(value, int):
        result = CliRunner().invoke(app, ["compare", name, name, f"--{option.replace('_', '-')}", str(value)])
    assert result.exit_code == 1
    assert result.stderr.startswith("guetzpy: ")


def test_directories_are_limited(photo_array: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    jpeg = encoded(photo_array, "JPEG", exif=exif)
    with pytest.raises(LimitError, match="max_directories"):
        guetzpy.compare(photo_array, jpeg, max_directories=1)


# Memory


def test_rule() -> None:
    few, many = 400_000, 600_000
    check_comparing(4000, 2500, few)
    check_comparing(4000, 4000, many)
    check_comparing(4000, 4000, None)
    check_comparing(4000, 4000, few, 10**9)
    with pytest.raises(LimitError, match=r"16\.0 megapixels .* file of only 400000 bytes; --max-memory"):
        check_comparing(4000, 4000, few)
    with pytest.raises(LimitError, match="allowed by --max-memory"):
        check_comparing(4000, 4000, many, 400_000_000)
    with pytest.raises(LimitError):
        check_comparing(65_500, 64, few)  # metrics work on bands of whole rows


def test_the_larger_file_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit for files of few bytes does not apply if one of the two files is large."""
    seen: list[int | None] = []
    monkeypatch.setattr(comparison, "check_comparing", lambda w, h, size, ceiling: seen.append(size))
    dice = np.random.default_rng(3).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    large, small = encoded(dice), encoded(dice, "JPEG", quality=5)
    guetzpy.compare(large, small)
    guetzpy.compare(small, dice)
    assert seen == [len(large), len(large), None, None]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF", "JPEG"])
def test_bombs_are_not_decoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"TIFF": {"compression": "tiff_adobe_deflate"}, "WEBP": {"lossless": True}}.get(
        kind, {}
    )
    data = encoded(np.full((4000, 4100, 3), 200, np.uint8), kind, **options)
    assert len(data) < 500_000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr("guetzpy.engine.loading.read", lambda *_, **__: pytest.fail("decoded"))
    tiny = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(LimitError, match="--max-memory"):
        guetzpy.compare(data, data)
    if kind == "JPEG":
        return
    with pytest.raises(LimitError, match="--max-memory"):
        guetzpy.compare(data, encoded(tiny))


MEASURED = """
import sys
from pathlib import Path
import numpy as np
import guetzpy
def memory(name):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(name))
    return int(line.split()[1]) * 1024
little = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
do = {"compare": lambda data: guetzpy.compare(data, data), "optimize": guetzpy.optimize}[sys.argv[1]]
do(little)
data = Path(sys.argv[2]).read_bytes()
before = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
try:
    status = "done" if do(data) else ""
except guetzpy.LimitError:
    status = "refused"
print(status, memory("VmHWM") - before)
"""


def measured(what: str, data: bytes, tmp_path: Path, most: float = 500e6) -> str:
    """Return the status of a small file, and check that it takes at most ``most`` bytes of memory."""
    assert len(data) < 500_000
    (tmp_path / "picture").write_bytes(data)
    command = [sys.executable, "-c", MEASURED, what, str(tmp_path / "picture")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, memory = done.stdout.split()
    assert float(memory) < most
    return status


linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory as Linux tells it")


@linux
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF", "JPEG"])
def test_memory_of_few_bytes(kind: str, tmp_path: Path) -> None:
    array = np.full((3300, 2550), 255, np.uint8)
    array[100:200] = 0
    options: dict[str, Any] = {"compression": "group4"} if kind == "TIFF" else {}
    stream = io.BytesIO()
    Image.fromarray(array).convert("1" if kind == "TIFF" else "L").save(stream, kind, **options)
    assert measured("compare", stream.getvalue(), tmp_path) == "done"


@linux
@pytest.mark.parametrize(
    ("what", "shape"),
    [
        ("compare", (1, 65_500)),
        ("compare", (10, 65_500)),
        ("compare", (65_500, 1)),
        ("optimize", (1, 65_500)),
        pytest.param("optimize", (10, 65_500), marks=pytest.mark.slow),
        pytest.param("optimize", (65_500, 1), marks=pytest.mark.slow),
    ],
)
def test_memory_of_lines(what: str, shape: tuple[int, int], tmp_path: Path) -> None:
    """Metrics work on bands of whole rows, which take much memory for pictures of a few long rows."""
    array = np.zeros((*shape, 3), np.uint8)
    array[:, ::7] = 190
    array[::7, :900] = 90
    array[:, ::5, 1] = 70  # colour: gray pixels are searched with one component
    assert measured(what, encoded(array), tmp_path) == "done"


@linux
@pytest.mark.parametrize(
    "shape", [(20, 40_000), (200, 12_000), pytest.param((2160, 3840), marks=pytest.mark.slow)]
)
def test_the_estimate_of_a_bounded_search(shape: tuple[int, int], tmp_path: Path) -> None:
    """The growth of the process at its peak exceeds the estimate by at most 10 %, and never 500 MB."""
    array = np.full((*shape, 3), 90, np.uint8)
    array[:, ::7, 0] = 190
    plan = plan_search(shape[1], shape[0], file_size=8_000)
    assert plan.bounded
    assert measured("optimize", encoded(array), tmp_path, min(500e6, 1.1 * plan.memory)) == "done"


@linux
@pytest.mark.slow
@pytest.mark.parametrize("what", ["compare", "optimize"])
@pytest.mark.parametrize("height", [20, 64, 137, 200])
def test_memory_of_wide_pictures(what: str, height: int, tmp_path: Path) -> None:
    for width in (10_000, 30_000, 65_500):
        measured(what, encoded(np.full((height, width, 3), 90, np.uint8)), tmp_path)


def test_rule_for_lines() -> None:
    assert plan_search(65_500, 1, file_size=300).bounded
    assert plan_search(1, 65_500, file_size=300).resources.keep == "nothing"
    with pytest.raises(LimitError):
        plan_search(65_500, 64, file_size=300)
