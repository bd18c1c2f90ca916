"""The rule for JPEG sources: limits relative to the file, the source's own distance, and repeated runs."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from reference.jpeg_files import encoded, part_of_coffee, shown
from typer.testing import CliRunner

import guetzpy
from guetzpy.cli import app
from guetzpy.metrics import butteraugli, ssimulacra2

jpeg = partial(encoded, quality=90, subsampling=0)


@pytest.fixture(scope="module")
def coffee() -> np.ndarray:
    return part_of_coffee(slice(100, 356), slice(150, 470))


def test_limits_hold_against_the_file(photo_array: np.ndarray) -> None:
    source = jpeg(photo_array)
    result = guetzpy.optimize(source, distance=1.0)
    assert result.status == "optimized"
    assert result.bytes_after is not None
    assert result.bytes_after <= 0.95 * len(guetzpy.transcode(source).data)
    assert ssimulacra2(shown(source), shown(result.data)) >= (result.ssimulacra2_wanted or 100.0)
    assert butteraugli(shown(source), shown(result.data)) <= (result.butteraugli_wanted or 0.0)
    assert result.source_distance == pytest.approx(1.0, abs=0.15)


def test_total_distance_counts_the_source(photo_array: np.ndarray) -> None:
    source = jpeg(photo_array)
    result = guetzpy.optimize(source, distance=1.0, total_distance=True)
    assert result.status == "lossless"
    assert result.data == guetzpy.transcode(source).data
    assert "at about distance" in str(result.reason)
    assert guetzpy.optimize(source, distance=2.0, total_distance=True).status == "optimized"


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("quality", [40, 75, 90])
def test_the_distance_that_is_proposed_goes_further(coffee: np.ndarray, quality: int, total: bool) -> None:
    source = jpeg(coffee, quality=quality)
    first = guetzpy.optimize(source, distance=0.2, total_distance=total)
    assert first.status == "lossless"
    proposed = re.search(r"`-d ([0-9.]+)` may make it smaller", str(first.reason))
    assert proposed, first.reason
    second = guetzpy.optimize(source, distance=float(proposed[1]), total_distance=total)
    assert len(second.data) <= 0.95 * len(first.data)


@pytest.mark.parametrize("distance", [0.3, 1.0])
def test_no_distance_is_proposed_if_most_of_the_file_is_no_picture(
    coffee: np.ndarray, distance: float
) -> None:
    source = jpeg(coffee, quality=40)
    result = guetzpy.optimize(source + bytes(2 * len(source)), distance=distance)
    assert result.status in ("lossless", "kept")
    assert "may make it smaller" not in str(result.reason)
    assert "--strip trailing" in str(result.reason)


def test_sources_of_pixels_have_no_distance(photo_array: np.ndarray) -> None:
    assert guetzpy.optimize(photo_array).source_distance is None


def test_command_line_tells_the_distance_of_the_source(photo_array: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(photo_array))
    arguments = ["optimize", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "b.jpg")]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    told = json.loads(result.stdout)["source_distance"]
    result = CliRunner().invoke(app, arguments)
    assert f"(source about {told:.2g})" in result.stderr
    result = CliRunner().invoke(app, [*arguments, "--total-distance"])
    assert "the source is at about distance" in result.stderr


def test_losses_of_runs_at_two_distances_do_not_add_up(coffee: np.ndarray) -> None:
    source = jpeg(coffee, quality=97)
    once = guetzpy.optimize(source, distance=2.0).data
    data, sizes = source, []
    for generation in range(10):
        data = guetzpy.optimize(data, distance=1.0 + generation % 2).data
        sizes.append(len(data))
    drift = ssimulacra2(shown(source), shown(once)) - ssimulacra2(shown(source), shown(data))
    assert drift <= 0.5
    assert sizes[0] > sizes[1] == sizes[-1]
