from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.graphics import drawings

KINDS = ("screenshots", *drawings.KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_picture(kind: str) -> None:
    first, again, other = (np.asarray(drawings.draw(kind, 0, seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    height, width, planes = first.shape
    assert planes == 3
    assert 480 <= width <= 800
    assert 480 <= height <= 640


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawing_has_flat_areas_and_edges(kind: str) -> None:
    codes = np.asarray(drawings.draw(kind, 1)).astype(int)
    steps = np.abs(np.diff(codes, axis=1)).max(axis=2)
    assert (steps > 60).mean() > 0.004  # text and outlines
    if kind != "captions":
        assert (steps == 0).mean() > 0.4


def test_the_command_makes_a_folder_for_each_kind(tmp_path: Path) -> None:
    assert drawings.main(["--out", str(tmp_path), "--count", "1", "--seed", "3"]) == 0
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(KINDS)
    for kind in KINDS:
        with Image.open(tmp_path / kind / f"{kind}-3-000.png") as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(drawings.draw(kind, 0, 3)))
