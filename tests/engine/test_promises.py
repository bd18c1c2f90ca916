"""A target that no file meets raises TargetError, whose attributes state the best that was reached."""

from __future__ import annotations

import io
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reference.jpeg_files import arithmetic, encoded
from typer.testing import CliRunner

import guetzpy
from guetzpy import batch
from guetzpy.cli import app
from guetzpy.errors import TargetError

jpeg = partial(encoded, quality=92, subsampling=0)


@pytest.fixture
def sources(photo_array: np.ndarray) -> dict[str, bytes]:
    cmyk = io.BytesIO()
    Image.fromarray(photo_array).convert("CMYK").save(cmyk, "JPEG", quality=92)
    return {
        "photo": jpeg(photo_array),
        "gray": jpeg(photo_array[..., 1].copy()),
        "cmyk": cmyk.getvalue(),
        "arithmetic": arithmetic(jpeg(photo_array)),
        "sparse": jpeg(np.full((2000, 3000, 3), 120, np.uint8), quality=30),
    }


@pytest.mark.parametrize("kind", ["photo", "gray", "cmyk", "arithmetic", "sparse"])
@pytest.mark.parametrize("target", ["max_bytes", "bpp"])
def test_a_jpeg_that_gets_no_smaller_is_an_error(sources: dict[str, bytes], kind: str, target: str) -> None:
    with Image.open(io.BytesIO(sources[kind])) as image:
        area = image.width * image.height
    value: Any = 150 if target == "max_bytes" else 8 * 150 / area
    with pytest.raises(TargetError, match="smallest file reached has") as caught:
        guetzpy.optimize(sources[kind], **{target: value})
    assert caught.value.smallest_bytes is not None
    assert 150 < caught.value.smallest_bytes <= len(sources[kind])
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.smallest_bytes, str(again)) == (caught.value.smallest_bytes, str(caught.value))


def test_the_smallest_size_that_is_told_can_be_had(sources: dict[str, bytes]) -> None:
    with pytest.raises(TargetError) as caught:
        guetzpy.optimize(sources["photo"], max_bytes=1)
    smallest = caught.value.smallest_bytes
    assert smallest is not None
    assert len(guetzpy.optimize(sources["photo"], max_bytes=smallest + 60).data) <= smallest + 60


def test_nothing_is_written(sources: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(sources["photo"])
    out = tmp_path / "out.jpg"
    done = CliRunner().invoke(
        app, ["optimize", str(tmp_path / "photo.jpg"), "-o", str(out), "--max-bytes", "150"]
    )
    assert done.exit_code == 1
    assert "smallest file reached has" in done.stderr
    assert not out.exists()


def test_a_folder_tells_of_each_file_and_a_budget_of_the_set(
    sources: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("photo", "cmyk"):
        (folder / f"{name}.jpg").write_bytes(sources[name])
    options = guetzpy.OptimizeOptions(max_bytes=150)
    results = list(batch.run([folder], tmp_path / "out", options=options, jobs=1))
    assert [result.status for result in results] == ["failed", "failed"]
    assert all(result.smallest_bytes is not None and result.smallest_bytes > 150 for result in results)
    done = CliRunner().invoke(
        app, ["optimize", str(folder), "-r", "-o", str(tmp_path / "out"), "--total-bytes", "500", "-j", "1"]
    )
    assert done.exit_code == 1
    assert not list((tmp_path / "out").glob("*.jpg"))


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Return a folder of two small JPEG files, of which one has a comment of 5000 bytes."""
    y, x = np.mgrid[:60, :60]
    noise = np.random.default_rng(1).normal(0, 8, (60, 60, 1))
    waves = 128 + 60 * np.sin(x * 0.3 + y * 0.11)[..., None] * [1, 0.5, 0.2] + noise
    picture = np.clip(waves, 0, 255).astype(np.uint8)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(picture))
    (folder / "b.jpg").write_bytes(jpeg(picture[::-1].copy(), comment=b"z" * 5000))
    return folder


def total_of(folder: Path, limit: int, **more: Any) -> int:
    """Return the sum of the files' sizes in a run with a total."""
    options = guetzpy.OptimizeOptions(effort="fast", threads=1, **more)
    results = list(batch.run(folder, options=options, total_bytes=limit, jobs=1))
    return sum(result.bytes_after or 0 for result in results if result.status != "failed")


def smallest_total(folder: Path, limit: int, **more: Any) -> int:
    with pytest.raises(TargetError) as caught:
        total_of(folder, limit, **more)
    assert caught.value.smallest_bytes is not None
    return caught.value.smallest_bytes


def test_the_smallest_total_that_is_told_can_be_had(pair: Path) -> None:
    """Regression: the error named 5476 bytes for files of 5420 bytes; a total of 5448 was refused."""
    smallest = smallest_total(pair, 100)
    single = 0
    for name in ("a.jpg", "b.jpg"):
        with pytest.raises(TargetError) as caught:
            guetzpy.optimize(pair / name, max_bytes=1, effort="fast", threads=1)
        single += caught.value.smallest_bytes or 0
    assert smallest <= single
    for limit in (smallest, smallest + 30):
        assert smallest <= total_of(pair, limit) <= limit
    assert smallest_total(pair, smallest - 1) == smallest


def test_a_file_that_fails_is_not_part_of_the_smallest_total(pair: Path) -> None:
    """A source that is kept as it is counts, because it is written."""
    smallest = smallest_total(pair, 100, strip="gps")
    clear = pair / "clear.png"
    Image.new("RGBA", (90, 60), (200, 10, 10, 90)).save(clear)
    assert smallest_total(pair, 100, strip="gps") == smallest  # it fails: its metadata cannot be removed
    assert total_of(pair, smallest, strip="gps") <= smallest
    whole = smallest_total(pair, 100)
    assert whole == smallest + clear.stat().st_size
    assert total_of(pair, whole) <= whole


@pytest.mark.parametrize("total", [["--total-bytes", "10"], ["--total-bpp", "0.0001"]])
@pytest.mark.parametrize("place", ["o.jpg", "new/"])
def test_a_total_that_is_too_small_leaves_nothing(tmp_path: Path, total: list[str], place: str) -> None:
    """Regression: it left a folder with a manifest; a total of 0 bytes was an internal error."""
    picture = np.random.default_rng(1).integers(0, 255, (24, 24, 3), np.uint8)
    (tmp_path / "a.jpg").write_bytes(jpeg(picture))
    arguments = ["optimize", str(tmp_path / "a.jpg"), "-o", f"{tmp_path}/{place}", "-e", "fast", *total]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "the smallest set reached has" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("verb", ["optimize", "transcode"])
def test_a_file_that_cannot_become_baseline_fails_in_a_folder_too(
    verb: str, sources: dict[str, bytes], tmp_path: Path
) -> None:
    """Regression: it was copied as it was, with exit code 0."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(sources["arithmetic"])
    arguments = [verb, str(folder), "-r", "-o", str(out), "-j", "1"]
    done = CliRunner().invoke(app, [*arguments, "--baseline"])
    assert done.exit_code == 1
    assert "arithmetic" in done.stderr
    assert not list(out.glob("*.jpg"))
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (out / "a.jpg").read_bytes() == sources["arithmetic"]


def test_a_kept_picture_of_a_folder_meets_the_size_too(tmp_path: Path) -> None:
    """Regression: a transparent PNG of more than the bytes asked was copied, with exit code 0."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    Image.new("RGBA", (90, 60), (200, 10, 10, 90)).save(folder / "a.png")
    size = (folder / "a.png").stat().st_size
    arguments = ["optimize", str(folder), "-r", "-o", str(out), "-j", "1"]
    for target in (["--max-bytes", str(size - 1)], ["--bpp", "0.5"]):
        done = CliRunner().invoke(app, [*arguments, *target])
        assert done.exit_code == 1
        assert "transparent" in done.stderr
        assert not list(out.glob("*.*g"))
    assert CliRunner().invoke(app, [*arguments, "--max-bytes", str(size)]).exit_code == 0
    assert (out / "a.png").stat().st_size == size


def test_a_raw_score_that_cannot_be_met_tells_the_best(photo_array: np.ndarray) -> None:
    noise = np.random.default_rng(3).choice(np.array([0, 255], np.uint8), (40, 56, 3))
    with pytest.raises(TargetError, match="best reached") as caught:
        guetzpy.optimize(noise, butteraugli=0.001)
    assert caught.value.best is not None
    assert caught.value.best["butteraugli"] > 0.001


def test_a_jpeg_whose_limits_no_encode_meets_is_packed() -> None:
    """Limits are relaxed for pixels only. A JPEG is repacked instead, which has the distance 0."""
    magenta = np.full((40, 56, 3), (255, 0, 255), np.uint8)
    magenta[::2, ::2] = (0, 255, 0)
    data = jpeg(magenta, quality=100, qtables=[[1] * 64] * 2)
    result = guetzpy.optimize(data, distance=0.5, min_saving=0.0, subsampling="420")
    assert result.status in ("lossless", "kept")
    assert result.distance == 0.0
    assert "no lossy encode meets the limits" in str(result.reason)
    assert not result.limited_by_format


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_size_that_the_coarsest_file_has_is_met_under_much_metadata(
    photo_array: np.ndarray, share: float
) -> None:
    """The size then hardly depends on the distance, so that a search by secants alone would end too early."""
    comment = b"x" * 5000
    data = jpeg(photo_array, comment=comment)
    with pytest.raises(TargetError) as caught:
        guetzpy.optimize(data, max_bytes=5001)
    smallest = caught.value.smallest_bytes
    assert smallest is not None
    size = int(smallest + share * 100)
    assert len(guetzpy.optimize(data, max_bytes=size).data) <= size
