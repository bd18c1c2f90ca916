"""Codes of flat colours: the choice against a slow twin, and the files that it makes possible."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reference.flat_colours import best, cost, decoded

import guetzpy
from guetzpy.picture.transform import Transform
from guetzpy.search.coding import flat_colours

SRGB = Transform.from_icc(None)


def chart(*colours: tuple[int, int, int], size: tuple[int, int] = (96, 144)) -> np.ndarray:
    """Return steps of colours on white, uint8 (H, W, 3)."""
    picture = np.full((*size, 3), 255, np.uint8)
    width = size[1] // len(colours)
    for number, colour in enumerate(colours):
        top = 11 + 13 * number
        picture[top:, number * width : (number + 1) * width] = colour
        picture[top, number * width : (number + 1) * width] = 0
    return picture


def planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1))


def exact_codes(colour: np.ndarray) -> list[float]:
    """Return luma, blue chroma and red chroma of a colour."""
    red, green, blue = colour.astype(float)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return [luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402]


def codes_of(colour: np.ndarray) -> list[int]:
    """Return the codes of a colour that has whole ones."""
    exact = exact_codes(colour)
    assert np.allclose(exact, np.rint(exact), atol=1e-3)
    return [round(code) for code in exact]


def test_the_codes_are_those_of_the_twin() -> None:
    colours = np.random.default_rng(4).integers(0, 256, (40, 3), np.uint8)
    colours[:3] = (48, 151, 191), (255, 0, 255), (0, 0, 255)
    picture = np.repeat(np.repeat(colours[None], 8, axis=0), 8, axis=1)
    found = flat_colours.aims(planes(picture), SRGB)
    assert found is not None
    assert found.dtype == np.float32
    better = 0
    for number, colour in enumerate(colours):
        aim = found[:, 3, 8 * number + 3]
        assert (found[:, :, 8 * number : 8 * number + 8] == aim[:, None, None]).all()
        chosen = cost(decoded(*codes_of(aim)), colour)
        assert chosen == pytest.approx(best(colour), abs=1e-3)
        rounded = [round(code) for code in exact_codes(colour)]
        better += chosen < cost(decoded(*rounded), colour) - 0.1
    assert better > 10


def test_only_colours_that_fill_blocks_are_changed() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (40, 48, 3), np.uint8)
    assert flat_colours.aims(planes(picture), SRGB) is None
    picture[8:16, 16:24] = 48, 151, 191
    picture[30, 7] = 48, 151, 191
    found = flat_colours.aims(planes(picture), SRGB)
    assert found is not None
    changed = (found != planes(picture)).any(axis=0)
    assert changed[8:16, 16:24].all()
    assert changed[30, 7]
    assert changed.sum() == 65


def test_colours_that_rounding_codes_best_need_no_other_codes() -> None:
    assert flat_colours.aims(planes(chart((0, 0, 0), (128, 128, 128))), SRGB) is None
    assert flat_colours.aims(planes(np.zeros((7, 30, 3), np.uint8)), SRGB) is None  # no whole block


@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_limits_are_met_where_rounding_misses_them(effort: str) -> None:
    """If luma and chroma are rounded each by itself, all of this area has one code more of green."""
    picture = chart((48, 151, 191), (191, 88, 48))
    result = guetzpy.optimize(picture, distance=1.0, effort=effort, strict=True)  # type: ignore[arg-type]
    assert not result.limited_by_format
    shown = np.asarray(Image.open(io.BytesIO(result.data)).convert("RGB")).astype(int)
    errors = shown[60:, 16:64] - np.array([48, 151, 191])
    assert abs(errors[..., 1].mean()) < 0.3
