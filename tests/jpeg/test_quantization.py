"""Quantisation tables, libjpeg's quality scale, and rounding."""

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from guetzpy.jpeg import quantization


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.new("RGB", (8, 8), (10, 20, 30))


@pytest.mark.parametrize("quality", [*range(1, 101, 3), 2, 49, 50, 51, 99, 100])
def test_tables_are_those_of_pillow(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    tables = Image.open(file).quantization  # natural order
    ours = quantization.libjpeg_tables(quality)
    np.testing.assert_array_equal(ours[0], tables[0])
    np.testing.assert_array_equal(ours[1], tables[1])


@pytest.mark.parametrize("baseline", [True, False])
@pytest.mark.parametrize("quality", [1, 5, 24, 25, 50, 75, 90, 99, 100])
def test_quality_is_found_again(quality, baseline):
    luminance, chrominance = quantization.libjpeg_tables(quality, baseline=baseline)
    estimate = quantization.estimate_quality([luminance, chrominance, chrominance])
    assert estimate == quantization.QualityEstimate(quality, True)
    assert quantization.estimate_quality([luminance]).exact


def test_foreign_tables_get_the_nearest_quality():
    luminance, chrominance = quantization.libjpeg_tables(80)
    luminance[20] += 1
    assert quantization.estimate_quality([luminance, chrominance]) == quantization.QualityEstimate(80, False)
    flat = quantization.estimate_quality([np.full(64, 3, np.uint16)] * 3)
    assert not flat.exact
    assert 93 <= flat.quality <= 98
    worst = quantization.estimate_quality([np.full(64, 65535, np.uint16)])
    assert worst == quantization.QualityEstimate(1, False)


def test_wrong_quality():
    for quality in (0, 101):
        with pytest.raises(ValueError, match="quality"):
            quantization.libjpeg_tables(quality)
    with pytest.raises(ValueError, match="tables"):
        quantization.estimate_quality([])


def _twin(value: np.float32, step: int, low: int, high: int) -> int:
    quotient = Fraction(float(np.float32(value) / np.float32(step)))
    whole = int(abs(quotient) + Fraction(1, 2))  # rounds down: halves away from zero
    return max(low, min(high, whole if quotient >= 0 else -whole))


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.floats(-3000, 3000, width=32), min_size=64, max_size=64),
    steps=st.lists(st.integers(1, 255), min_size=64, max_size=64),
)
def test_quantise_equals_twin(values, steps):
    coefficients = np.array(values, np.float32).reshape(1, 1, 64)
    levels = quantization.quantise(coefficients, np.array(steps, np.uint16))
    for k in range(64):
        low = -1024 if k == 0 else -1023
        assert levels[0, 0, k] == _twin(coefficients[0, 0, k], steps[k], low, 1023)


def test_quantise_halves_and_limits():
    below_half = np.nextafter(np.float32(0.5), np.float32(0))
    values = [0.5, -0.5, 1.5, -1.5, below_half, -below_half, 2.5, 1e9, -1e9, np.inf, -np.inf, 0.0]
    coefficients = np.zeros((1, 1, 64), np.float32)
    coefficients[0, 0, 1 : 1 + len(values)] = values
    coefficients[0, 0, 0] = -5000
    levels = quantization.quantise(coefficients, np.ones(64, np.uint16))[0, 0]
    assert levels[1 : 1 + len(values)].tolist() == [1, -1, 2, -2, 0, 0, 3, 1023, -1023, 1023, -1023, 0]
    assert levels[0] == -1024


def test_quantise_not_a_number_is_some_legal_number():
    coefficients = np.full((1, 1, 64), np.nan, np.float32)
    levels = quantization.quantise(coefficients, np.ones(64, np.uint16))
    assert np.abs(levels.astype(int)).max() <= 1024


def test_quantise_wrong_arguments():
    with pytest.raises(ValueError, match="float32"):
        quantization.quantise(np.zeros((1, 1, 64)), np.ones(64, np.uint16))
    with pytest.raises(ValueError, match="at least 1"):
        quantization.quantise(np.zeros((1, 1, 64), np.float32), np.zeros(64, np.uint16))


def test_dequantise():
    levels = np.arange(-32, 32, dtype=np.int16).reshape(1, 1, 64) * 512
    steps = np.arange(1, 65).astype(np.uint16)
    expected = levels.astype(np.int64) * steps
    np.testing.assert_array_equal(quantization.dequantise(levels, steps), expected)
    assert quantization.dequantise(levels, steps).dtype == np.float32
