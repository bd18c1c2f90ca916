"""SSIMULACRA 2 against libjxl's scores and a slow reference implementation in float64."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import ssimulacra2 as twin

from guetzpy.errors import UnsupportedError
from guetzpy.metrics import ButteraugliComparator, SSIMULACRA2Comparator, ssimulacra2
from guetzpy.metrics._recursive_gaussian import _D1, _N2, BLOCK
from guetzpy.metrics._ssimulacra2 import comparator as module
from guetzpy.metrics._ssimulacra2.bands import BAND
from guetzpy.metrics._ssimulacra2.scales import _WEIGHTS, remap
from guetzpy.metrics._tiles import PLANE, ROWS, STRIDE, blur
from guetzpy.picture.icc import _exact_srgb_curve
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Transform

VECTORS = Path(__file__).parents[1] / "data" / "metric-vectors"
PAIRS = json.loads((VECTORS / "vectors.json").read_text())["pairs"]


def picture(name):
    return np.asarray(Image.open(VECTORS / name))


def random_picture(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["distorted"])
def test_agrees_with_libjxl(pair):
    score = ssimulacra2(picture(pair["reference"]), picture(pair["distorted"]))
    assert score == pytest.approx(pair["ssimulacra2"], abs=1e-5)


def test_recursion_is_derived_from_the_paper():
    _, d, n, _ = twin.coefficients()
    np.testing.assert_allclose(_D1, d, atol=1e-15)
    np.testing.assert_allclose(_N2, n, rtol=1e-13)


def test_recursion_has_nine_taps():
    x = np.random.default_rng(1).random((40, 3))
    by_taps = sum(twin.taps()[j] * np.pad(x, ((4, 4), (0, 0)))[j : j + 40] for j in range(9))
    np.testing.assert_allclose(twin.recursion(x), by_taps, atol=1e-13)


def test_blur_of_a_tile():
    tile = np.zeros(PLANE, np.float32)
    inner = tile[: ROWS * STRIDE].reshape(ROWS, STRIDE)[4:-4, 4:-4]
    inner[:] = np.random.default_rng(2).random(inner.shape)
    target = np.empty_like(tile)
    blur(tile, np.empty_like(tile), target)
    result = target[: ROWS * STRIDE].reshape(ROWS, STRIDE)[4:-4, 4:-4]
    np.testing.assert_allclose(result, twin.blur(inner.astype(np.float64)), atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 8, 3), (61, 47, 3), (131, 150, 3), (BAND + 3, BLOCK + 5, 3)])
def test_agrees_with_the_twin(shape):
    a = random_picture(shape)
    b = np.clip(a.astype(int) + random_picture(shape, 1) // 8, 0, 255).astype(np.uint8)
    linear = [_exact_srgb_curve(planes_of(p)[0] / 255.0) for p in (a, b)]
    expected = twin.score(*linear, _WEIGHTS)
    assert ssimulacra2(a, b) == pytest.approx(expected, abs=0.01)
    score, _ = SSIMULACRA2Comparator(a).gradient(b)
    assert score == pytest.approx(expected, abs=0.001)


def test_remap_slope():
    for total in (0.01, 1.0, 10.0, 100.0):
        h = total * 1e-6
        slope = (remap(total + h)[0] - remap(total - h)[0]) / (2 * h)
        assert remap(total)[1] == pytest.approx(slope, rel=1e-6)
    assert remap(0.0) == (100.0, 0.0)


@pytest.mark.parametrize(
    ("reference", "distorted"),
    [
        ("coffee_256.png", "coffee_256.jpeg_q95_444.png"),
        ("coffee_256.png", "coffee_256.jpeg_q40_420.png"),
        ("astronaut_256.png", "astronaut_256.chroma_noise.png"),
        ("chelsea_odd.png", "chelsea_odd.blur.png"),
        ("rocket_192.png", "rocket_192.darken.png"),
    ],
)
def test_gradient_against_central_differences(reference, distorted):
    a, b = (picture(name)[:160, :131] for name in (reference, distorted))
    _, gradient = SSIMULACRA2Comparator(a).gradient(b)
    linear_a = _exact_srgb_curve(planes_of(a)[0] / 255.0)
    codes = planes_of(b)[0].astype(np.float64)

    def score(codes):
        return twin.score(linear_a, _exact_srgb_curve(codes / 255.0), _WEIGHTS)

    rng = np.random.default_rng(3)
    numeric, analytic = [], []
    for _ in range(5):
        direction = rng.standard_normal(codes.shape)
        numeric.append((score(codes + 0.05 * direction) - score(codes - 0.05 * direction)) / 0.1)
        analytic.append(float((gradient * direction).sum(dtype=np.float64)))
    error = np.linalg.norm(np.subtract(numeric, analytic)) / np.linalg.norm(numeric)
    assert error < 0.01


@pytest.mark.parametrize("side", [(3, 70), (65, 1), (5, 5)])
def test_gradient_of_small_sides_counts_repeated_edges(side):
    a = random_picture((*side, 3), 4)
    b = np.clip(a.astype(int) + random_picture(a.shape, 5) // 4, 0, 255).astype(np.uint8)
    _, gradient = SSIMULACRA2Comparator(a).gradient(b)
    linear_a = _exact_srgb_curve(module._at_least_smallest(planes_of(a)[0]) / 255.0)
    codes = planes_of(b)[0].astype(np.float64)

    def score(codes):
        return twin.score(linear_a, _exact_srgb_curve(module._at_least_smallest(codes) / 255.0), _WEIGHTS)

    direction = np.random.default_rng(6).standard_normal(codes.shape)
    numeric = (score(codes + 0.01 * direction) - score(codes - 0.01 * direction)) / 0.02
    assert (gradient * direction).sum() == pytest.approx(numeric, rel=0.02, abs=0.02)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 10**6))
def test_every_size_is_scored(height, width, gray, seed):
    shape = (height, width) if gray else (height, width, 3)
    a, b = random_picture(shape, seed), random_picture(shape, seed + 1)
    comparator = SSIMULACRA2Comparator(a)
    assert comparator.score(a) == 100.0
    assert np.isfinite(comparator.score(b))
    assert comparator.score(b) < 100
    score, gradient = comparator.gradient(b)
    assert np.isfinite(score)
    assert gradient.shape == (1 if gray else 3, height, width)
    assert np.isfinite(gradient).all()


def test_identical_pictures_have_no_gradient():
    a = picture("small_65x43.png")
    score, gradient = SSIMULACRA2Comparator(a).gradient(a)
    assert score == 100.0
    assert not gradient.any()


def test_digits_do_not_depend_on_threads():
    a, b = picture("chelsea_odd.png"), picture("chelsea_odd.jpeg_q75_420.png")
    one, three = (SSIMULACRA2Comparator(a, threads=n) for n in (1, 3))
    assert one.score(b) == three.score(b)
    s1, g1 = one.gradient(b)
    s3, g3 = three.gradient(b)
    assert s1 == s3
    np.testing.assert_array_equal(g1, g3)


def test_large_references_are_worked_on_by_bands_with_the_same_digits(monkeypatch):
    a, b = picture("astronaut_256.png"), picture("astronaut_256.jpeg_q85_444.png")
    kept = SSIMULACRA2Comparator(a)
    monkeypatch.setattr(module, "CACHED_PIXELS", 0)
    anew = SSIMULACRA2Comparator(a)
    assert not anew._references
    assert kept.score(b) == anew.score(b) == anew.score(b)
    np.testing.assert_array_equal(kept.gradient(b)[1], anew.gradient(b)[1])


def test_scores_and_gradients_can_be_repeated():
    a, b = picture("small_65x43.png"), picture("small_65x43.blur.png")
    comparator = SSIMULACRA2Comparator(a)
    first = comparator.gradient(b)[1].copy()
    comparator.gradient(a)
    np.testing.assert_array_equal(comparator.gradient(b)[1], first)


def test_linear_planes_are_the_same_picture():
    a, b = picture("small_65x43.png"), picture("small_65x43.blur.png")
    linear = [Transform().linear(planes_of(p)[0]) for p in (a, b)]
    comparator = SSIMULACRA2Comparator.from_linear(linear[0])
    assert comparator.score_linear(linear[1]) == ssimulacra2(a, b) == comparator.score(b)
    _, by_linear = comparator.gradient_linear(linear[1])
    _, by_codes = comparator.gradient(b)
    np.testing.assert_array_equal(by_codes, Transform().pull_back(by_linear, planes_of(b)[0]))


def test_sixteen_bits_and_floats_are_the_same_picture():
    a, b = picture("small_65x43.png"), picture("small_65x43.blur.png")
    expected = ssimulacra2(a, b)
    assert ssimulacra2(a.astype(np.uint16) * 257, b.astype(np.uint16) * 257) == pytest.approx(
        expected, abs=0.2
    )
    assert ssimulacra2(a / 255.0, b / 255.0) == pytest.approx(expected, abs=0.2)


def test_different_sizes_are_named():
    with pytest.raises(ValueError, match=r"64x80.*64x79"):
        ssimulacra2(random_picture((80, 64, 3)), random_picture((79, 64, 3)))
    with pytest.raises(ValueError, match="different sizes"):
        SSIMULACRA2Comparator(random_picture((80, 64, 3))).gradient(random_picture((80, 65)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_planes_that_are_not_finite(value):
    comparator = SSIMULACRA2Comparator.from_linear(np.full((3, 20, 20), 0.5, np.float32))
    with pytest.raises(ValueError, match="NaN"):
        comparator.score_linear(np.full((3, 20, 20), value, np.float32))


@pytest.mark.parametrize("planes", [np.zeros((20, 20, 3)), np.zeros((3, 20)), np.zeros((3, 0, 5)), None])
def test_planes_of_the_wrong_shape(planes):
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        SSIMULACRA2Comparator.from_linear(planes)


def test_transparent_pictures_are_refused():
    with pytest.raises(UnsupportedError, match="background"):
        ssimulacra2(np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.uint8))


@pytest.mark.parametrize(
    "cut", [(slice(None), slice(None)), (slice(0, 133), slice(0, 9)), (slice(1, 50),) * 2]
)
def test_gradients_by_windows_are_the_same(monkeypatch, cut):
    a, b = (picture(name)[cut] for name in ("chelsea_odd.png", "chelsea_odd.jpeg_q75_420.png"))
    height = len(a)
    (reference, transform), (codes, _) = planes_of(a), planes_of(b)
    score, rows = SSIMULACRA2Comparator.from_codes(reference, transform).gradient_codes(codes, transform)
    expected = rows(0, height)
    assert expected.any()
    monkeypatch.setattr(module, "TRACED_PIXELS", 10)
    comparator = SSIMULACRA2Comparator(a)
    score_of_windows, rows = comparator.gradient_codes(codes, transform)
    assert score_of_windows == pytest.approx(score, abs=1e-6)
    for first, last in [(0, height), (height - 33, height), (0, 10), (7, height - 1), (30, 31)]:
        part = rows(first, last)
        assert np.abs(part - expected[:, first:last]).max() <= 1e-6 * np.abs(expected).max()
    assert np.array_equal(comparator.gradient(b)[1], rows(0, height))


@pytest.mark.parametrize("kind", [SSIMULACRA2Comparator, ButteraugliComparator])
def test_what_was_released_is_made_again(kind: type, photo_array: np.ndarray) -> None:
    comparator = kind(photo_array)
    distorted = photo_array // 8 * 8
    score, gradient = comparator.gradient(distorted)
    plain = comparator.score(distorted)
    comparator.release()
    assert comparator.score(distorted) == plain
    again, same = comparator.gradient(distorted)
    assert again == score
    assert np.array_equal(same, gradient)
