"""Heat maps: the scale, the legend, and overlays of the size of the picture."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from guetzpy.cli import app
from guetzpy.metrics import heatmap

VECTORS = Path(__file__).parents[1] / "data" / "metric-vectors"


def luminance(colour: np.ndarray) -> np.ndarray:
    linear = np.where(colour <= 10, colour / 3294.6, ((colour / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_scale_grows_in_lightness_and_has_1_in_its_middle() -> None:
    assert (np.diff(luminance(heatmap.PALETTE.astype(float))) >= 0).all()
    assert heatmap.position(1.0) == 0.5
    assert heatmap.position(0.0) == 0.0
    assert list(heatmap.TICKS) == sorted(heatmap.TICKS)


def test_colours_are_those_of_each_error_alone() -> None:
    errors = np.array([[0.0, 0.25, 1.0], [4.0, 1e30, math.inf]], np.float32)
    picture = heatmap.colours(errors)
    assert (picture.shape, picture.dtype) == ((2, 3, 3), np.uint8)
    assert picture[0, 0].tolist() == heatmap.PALETTE[0].tolist()
    assert picture[0, 2].tolist() == heatmap.PALETTE[128].tolist()
    assert picture[1, 1].tolist() == heatmap.PALETTE[255].tolist()
    alone = [heatmap.colours([[error]])[0, 0].tolist() for error in errors[0]]
    assert alone == picture[0].tolist()
    with pytest.raises(ValueError, match="two dimensions"):
        heatmap.colours(np.zeros(5))


def test_shrinking_keeps_the_largest_error() -> None:
    errors = np.zeros((50, 101), np.float32)
    errors[49, 100] = 3.0
    small = heatmap.shrunk(errors, 25)
    assert max(small.shape) <= 25
    assert small[-1, -1] == 3.0
    assert np.count_nonzero(small) == 1
    assert heatmap.shrunk(errors, 101) is errors


def test_overlay_is_clear_where_nothing_is_seen() -> None:
    errors = np.array([[0.0, 0.6, 3.0, 20.0]], np.float32)
    alpha = np.asarray(Image.open(io.BytesIO(heatmap.overlay(errors))).convert("RGBA"))[..., 3]
    assert alpha.tolist() == [[0, 0, 255, 255]]
    assert heatmap.opacity(heatmap.position(0.7)) == 0.0
    assert 0.2 < heatmap.opacity(heatmap.position(1.0)) < 0.9


@pytest.mark.parametrize("orientation", range(1, 9))
def test_overlay_turns_as_pictures_do(orientation: int) -> None:
    errors = np.arange(15, dtype=np.float32).reshape(3, 5)
    turned = Image.open(io.BytesIO(heatmap.overlay(errors, orientation))).convert("RGBA")
    picture = Image.open(io.BytesIO(heatmap.overlay(errors))).convert("RGBA")
    picture.getexif()[0x0112] = orientation
    assert turned.tobytes() == ImageOps.exif_transpose(picture).tobytes()
    assert turned.size == ((5, 3) if orientation < 5 else (3, 5))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (40, 700)])
def test_legend_is_below_the_map(height: int, width: int) -> None:
    errors = np.linspace(0, 5, height * width, dtype=np.float32).reshape(height, width)
    with_title = heatmap.with_legend(errors, "some words about it " * 6)
    picture = np.asarray(with_title.convert("RGB")).astype(int)
    assert np.abs(picture[:height, :width] - heatmap.colours(errors)).max() <= 4  # 240 of the 256 colours
    legend = picture[height:]
    ramp = legend[:, legend.shape[1] // 2]  # the middle column of the bar has the colour of about 1
    assert np.abs(ramp - heatmap.PALETTE[128]).sum(axis=1).min() < 20
    assert (legend.max(axis=2) < 80).any()  # text
    assert with_title.height > heatmap.with_legend(errors).height


def test_compare_draws_it(tmp_path: Path) -> None:
    pictures = [str(VECTORS / f"rocket_192{kind}.png") for kind in ("", ".jpeg_q75_420")]
    target = tmp_path / "map.png"
    result = CliRunner().invoke(app, ["compare", *pictures, "--heatmap", str(target), "--json"])
    assert result.exit_code == 0, result.output
    picture = Image.open(target)
    assert picture.width == 360
    assert picture.height > 192 + 40
    drawn = np.asarray(picture.convert("RGB"))[:192, :192].astype(int)
    quiet, loud = drawn.sum(axis=2).min(), drawn.sum(axis=2).max()
    assert loud > 2 * quiet
    refused = CliRunner().invoke(app, ["compare", *pictures, "--heatmap", pictures[0]])
    assert refused.exit_code == 2
