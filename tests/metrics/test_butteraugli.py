"""Butteraugli against libjxl's scores and maps, and a slow reference implementation in float64."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import butteraugli as twin

from guetzpy.metrics._butteraugli import comparator as _butteraugli
from guetzpy.metrics._butteraugli import norm as _butteraugli_norm
from guetzpy.metrics._butteraugli import windows as _butteraugli_windows
from guetzpy.metrics._butteraugli.bands import erode_rows, log_in_place
from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator
from guetzpy.metrics._butteraugli.errors import power
from guetzpy.picture.planes import planes_of

VECTORS = Path(__file__).parents[1] / "data" / "metric-vectors"
PAIRS = json.loads((VECTORS / "vectors.json").read_text())["pairs"]


def image(name: str) -> np.ndarray:
    return np.asarray(Image.open(VECTORS / name).convert("RGB"))


def light(codes: np.ndarray) -> np.ndarray:
    """Return the linear planes of sRGB codes 0..255, float64."""
    v = np.moveaxis(np.asarray(codes, np.float64), -1, 0) / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def noisy(shape: tuple[int, ...], seed: int = 0, sigma: float = 0.03) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.random((3, *shape)).astype(np.float32)
    return a, (a + rng.normal(0, sigma, a.shape)).astype(np.float32)


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["distorted"] for pair in PAIRS])
def test_agrees_with_libjxl(pair):
    comparator = ButteraugliComparator(image(pair["reference"]))
    distorted = image(pair["distorted"])
    norm, largest = comparator.scores(distorted)
    # A tenth of the tolerances in the documentation (0.2 %, the map 1 %).
    assert norm == pytest.approx(pair["butteraugli_3norm"], rel=2e-4)
    assert largest == pytest.approx(pair["butteraugli_max"], rel=2e-4)
    assert comparator.score(distorted, 6) == pytest.approx(pair["butteraugli_6norm"], rel=2e-4)
    assert comparator.score(distorted) == norm
    assert comparator.score(distorted, "max") == largest
    if "butteraugli_diffmap" in pair:
        expected = np.load(VECTORS / pair["butteraugli_diffmap"])
        assert np.abs(comparator.diffmap(distorted) - expected).max() < 1e-3 * expected.max()


@given(st.integers(1, 48), st.integers(1, 48), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_agrees_with_the_twin_at_every_size(height, width, seed):
    a, b = noisy((height, width), seed)
    comparator = ButteraugliComparator.from_linear(a)
    expected = twin.diffmap(a, b)
    diffmap = comparator.diffmap_linear(b)
    assert diffmap.shape == (height, width)
    assert np.abs(diffmap - expected).max() <= 1e-3 * expected.max()
    assert comparator.scores_linear(a) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [(7, 300), (1300, 18), (1281, 33)])
def test_agrees_with_the_twin_on_long_pictures(shape):
    a, b = noisy(shape, sigma=0.01)
    expected = twin.diffmap(a, b)
    diffmap = ButteraugliComparator.from_linear(a).diffmap_linear(b)
    assert np.abs(diffmap - expected).max() <= 1e-3 * expected.max()


@pytest.mark.parametrize("norm", [1, 2.5, 3, 3.7, 12])
def test_norms_are_means_of_three(norm):
    field = np.random.default_rng(1).gamma(2.0, 0.4, (70, 50)).astype(np.float32)
    field[3, 4] = 0.0
    assert _butteraugli_norm.norm_of_map(field, norm, 1) == pytest.approx(
        twin.score(field.astype(float), norm)
    )


def test_light_beyond_the_gamut_of_srgb_counts():
    a, b = noisy((40, 40))
    a, b = 2.0 * a - 0.5, 2.0 * b - 0.5
    expected = twin.diffmap(a, b)
    diffmap = ButteraugliComparator.from_linear(a).diffmap_linear(b)
    assert np.abs(diffmap - expected).max() <= 1e-3 * expected.max()


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_digits_do_not_depend_on_threads(threads):
    a, b = noisy((300, 500))
    one = ButteraugliComparator.from_linear(a, threads=1)
    many = ButteraugliComparator.from_linear(a, threads=threads)
    assert np.array_equal(one.diffmap_linear(b), many.diffmap_linear(b))
    assert one.scores_linear(b) == many.scores_linear(b)
    expected, gradient = one.gradient_linear(b)
    score, other = many.gradient_linear(b)
    assert score == expected
    assert np.array_equal(gradient, other)


@pytest.mark.parametrize("cached", [10**9, 0])
def test_digits_do_not_depend_on_windows(monkeypatch, cached):
    a, b = noisy((331, 70))
    whole = ButteraugliComparator.from_linear(a)
    expected = whole.diffmap_linear(b)
    score, gradient = whole.gradient_linear(b)
    monkeypatch.setattr(_butteraugli_windows, "_WINDOW_ROWS", 50)
    monkeypatch.setattr(_butteraugli, "CACHED_PIXELS", cached)
    monkeypatch.setattr(_butteraugli_windows, "TRACED_SAMPLES", 10)
    parts = ButteraugliComparator.from_linear(a)
    assert np.array_equal(parts.diffmap_linear(b), expected)
    other_score, other = parts.gradient_linear(b)
    assert other_score == score
    assert np.abs(other - gradient).max() <= 1e-6 * np.abs(gradient).max()


def test_rows_of_the_gradient_can_be_asked_for(monkeypatch):
    codes = [planes_of(image(name)) for name in ("chelsea_odd.png", "chelsea_odd.jpeg_q75_420.png")]
    comparator = ButteraugliComparator.from_codes(*codes[0])
    score, rows = comparator.gradient_codes(*codes[1])
    height = codes[0][0].shape[1]
    expected = rows(0, height)
    assert (score, True) == (comparator.scores_codes(*codes[1])[0], bool(expected.any()))
    monkeypatch.setattr(_butteraugli_windows, "TRACED_SAMPLES", 10)
    score_of_windows, rows = comparator.gradient_codes(*codes[1])
    assert score_of_windows == score
    for first, last in [(height - 33, height), (0, 10), (7, 150), (150, 151)]:
        part = rows(first, last)
        assert np.abs(part - expected[:, first:last]).max() <= 1e-6 * np.abs(expected).max()


DISTORTIONS = [
    "astronaut_256.jpeg_q85_444.png",
    "astronaut_256.jpeg_q40_420.png",
    "astronaut_256.noise.png",
    "astronaut_256.blur.png",
    "rocket_192.darken.png",
    "chelsea_odd.jpeg_q75_420.png",
]


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize("norm", [3, 5.5])
def test_gradient_agrees_with_finite_differences(name, norm):
    """The gradient equals central differences of the reference implementation along random directions.

    The score is not differentiable everywhere. A step of 0.05 levels crosses such points, which changes the
    difference. Along the gradient and along smooth directions this change is small. White noise is nearly
    orthogonal to the gradient, so that a smaller step is needed there.
    """
    reference = light(image(name.split(".")[0] + ".png")[40:117, 30:121])
    codes = image(name)[40:117, 30:121].astype(np.float64)
    comparator = ButteraugliComparator.from_linear(reference.astype(np.float32))
    score, gradient = comparator.gradient_linear(light(codes).astype(np.float32), norm)
    assert score == pytest.approx(twin.score(twin.diffmap(reference, light(codes)), norm), rel=1e-4)
    slope = (light(codes + 1e-4) - light(codes - 1e-4)) / 2e-4
    gradient = np.moveaxis(gradient * slope, 0, -1)
    rng = np.random.default_rng(5)
    along = gradient / np.abs(gradient).max()
    white = rng.normal(size=codes.shape)
    directions = [
        (along * (1 + white), 0.05),
        (along, 0.05),
        (white, 0.002),
        (rng.normal(size=codes.shape), 0.002),
    ]
    expected, found = [], []
    for direction, step in directions:
        values = [
            twin.score(twin.diffmap(reference, light(codes + s * direction)), norm) for s in (step, -step)
        ]
        expected.append((values[0] - values[1]) / (2 * step) / np.linalg.norm(direction))
        found.append((gradient * direction).sum() / np.linalg.norm(direction))
    error = np.linalg.norm(np.subtract(found, expected)) / np.linalg.norm(expected)
    assert error < 0.01


@pytest.mark.parametrize("name", [*DISTORTIONS, "astronaut_256.chroma_noise.png"])
def test_gradient_is_the_derivative_along_white_noise(name):
    """The derivatives along eight directions are compared with differences, by the norm of the error.

    A step of 0.05 levels crosses points where the score is not differentiable. (Nearly all are those of the
    line detectors' clipped difference, in the ultra-high band of luma.) Its difference therefore deviates
    from the derivative by up to some per cent; this is the tolerance. For steps of 0.001 levels the
    tolerance is a thousandth.
    """
    reference = light(image(name.split(".")[0] + ".png")[60:124, 50:114])
    codes = image(name)[60:124, 50:114].astype(np.float64)
    _, gradient = ButteraugliComparator.from_linear(reference.astype(np.float32)).gradient_linear(
        light(codes).astype(np.float32)
    )
    gradient = np.moveaxis(gradient * (light(codes + 1e-4) - light(codes - 1e-4)) / 2e-4, 0, -1)
    directions = np.random.default_rng(11).normal(size=(8, *codes.shape))

    def differences(step: float) -> np.ndarray:
        ends = [
            [twin.score(twin.diffmap(reference, light(codes + s * d))) for s in (step, -step)]
            for d in directions
        ]
        return np.subtract(*np.transpose(ends)) / (2 * step)

    found = (gradient * directions).sum(axis=(1, 2, 3))
    fine, coarse = differences(0.001), differences(0.05)
    size = np.linalg.norm(fine)
    assert np.linalg.norm(found - fine) < 0.002 * size
    assert np.linalg.norm(found - coarse) < np.linalg.norm(fine - coarse) + 0.002 * size


@pytest.mark.parametrize("shape", [(1, 1), (3, 30), (8, 8), (12, 21), (15, 15), (31, 22)])
def test_gradient_of_small_and_odd_pictures(shape):
    a, b = noisy(shape)
    score, gradient = ButteraugliComparator.from_linear(a).gradient_linear(b)
    assert gradient.shape == a.shape
    a, b = a.astype(np.float64), b.astype(np.float64)
    direction = gradient / np.abs(gradient).max()
    step = 1e-5
    above, below = (twin.score(twin.diffmap(a, b + s * direction)) for s in (step, -step))
    assert score == pytest.approx(twin.score(twin.diffmap(a, b)), rel=2e-4)
    assert (gradient * direction).sum() == pytest.approx((above - below) / (2 * step), rel=0.01)


def test_identical_pictures_have_no_gradient():
    a, _ = noisy((40, 30))
    score, gradient = ButteraugliComparator.from_linear(a).gradient_linear(a)
    assert score == 0.0
    assert not gradient.any()


def test_gradient_by_codes_follows_the_transfer_curve():
    a, b = image("small_65x43.png"), image("small_65x43.blur.png")
    comparator = ButteraugliComparator(a)
    score, gradient = comparator.gradient(b)
    assert score == comparator.score(b)
    _, linear = ButteraugliComparator.from_linear(light(a).astype(np.float32)).gradient_linear(
        light(b).astype(np.float32)
    )
    slope = (light(b + 1e-3) - light(b - 1e-3)) / 2e-3
    inside = (np.moveaxis(b, -1, 0) > 1) & (np.moveaxis(b, -1, 0) < 254)
    assert np.allclose(
        gradient[inside], (linear * slope)[inside], rtol=2e-3, atol=1e-4 * np.abs(gradient).max()
    )


def test_takes_gray_pil_and_16_bit_pictures():
    gray = image("gray_ramp.png")[:, :, 0]
    bad = image("gray_ramp.blocks.png")[:, :, 0]
    expected = ButteraugliComparator(np.repeat(gray[:, :, None], 3, axis=2)).score(
        np.repeat(bad[:, :, None], 3, axis=2)
    )
    comparator = ButteraugliComparator(gray)
    assert comparator.score(Image.fromarray(bad)) == expected
    assert comparator.score(bad.astype(np.uint16) * 257) == pytest.approx(expected, rel=1e-5)
    assert comparator.gradient(bad)[1].shape == (1, *gray.shape)


def test_says_what_is_wrong():
    a, b = noisy((20, 30))
    comparator = ButteraugliComparator.from_linear(a)
    with pytest.raises(ValueError, match=r"reference 30x20, distorted 29x20"):
        comparator.score_linear(b[:, :, :-1])
    with pytest.raises(ValueError, match=r"expected \(3, H, W\)"):
        comparator.score_linear(b[0])
    with pytest.raises(TypeError, match="float64; expected float32"):
        comparator.score_linear(b.astype(np.float64))
    for norm in (0.5, "mean", np.nan, 1e9):
        with pytest.raises(ValueError, match="norm"):
            comparator.score_linear(b, norm)
    with pytest.raises(ValueError, match="norm"):
        comparator.gradient_linear(b, "max")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_light_that_is_not_finite_has_no_score(value):
    a, b = noisy((40, 30))
    b[1, 20, 10] = value
    comparator = ButteraugliComparator.from_linear(a)
    with pytest.raises(ValueError, match="not finite"):
        comparator.score_linear(b)
    with pytest.raises(ValueError, match="not finite"):
        comparator.gradient_linear(b)


def test_read_only_and_strided_planes():
    a, b = noisy((40, 30))
    expected = ButteraugliComparator.from_linear(a).score_linear(b)
    a.flags.writeable = False
    view = np.repeat(b, 2, axis=2)[:, :, ::2]
    assert ButteraugliComparator.from_linear(a).score_linear(view) == expected


def test_one_comparator_serves_several_threads():
    a, b = noisy((90, 120))
    comparator = ButteraugliComparator.from_linear(a, threads=2)
    expected = comparator.score_linear(b), comparator.gradient_linear(b)[1]
    results: list[tuple[float, np.ndarray]] = []

    def work() -> None:
        for _ in range(3):
            results.append((comparator.score_linear(b), comparator.gradient_linear(b)[1]))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 12
    assert all(score == expected[0] and np.array_equal(g, expected[1]) for score, g in results)


def test_log_is_as_exact_as_it_says():
    values = np.exp(np.random.default_rng(0).uniform(2.0, 80.0, 100_000)).astype(np.float32)
    exact = np.log(values.astype(np.float64))
    log_in_place(values)
    assert (np.abs(values - exact) <= 2 * np.spacing(exact.astype(np.float32))).all()


def test_power_is_as_exact_as_it_says():
    rng = np.random.default_rng(0)
    for x, p in zip(np.exp(rng.uniform(-20, 5, 500)), rng.uniform(0.1, 30, 500), strict=True):
        assert power(x, p) == pytest.approx(x**p, rel=1e-13, abs=1e-290)
    assert power(0.0, 2.5) == 0.0
    assert np.isnan(power(np.nan, 2.5))


def test_erosion_agrees_with_the_twin():
    for shape in [(8, 8), (9, 31), (40, 10)]:
        plane = np.random.default_rng(2).gamma(1.0, 1.0, shape).astype(np.float32)
        out = np.empty_like(plane)
        erode_rows(plane, 0, shape[0], np.empty((3, shape[1]), np.float32), out)
        assert np.allclose(out, twin.erode(plane.astype(np.float64)), rtol=1e-6)


_SCORES = """
import numpy as np, sys
from guetzpy._runtime import packaged
packaged._FOLDER /= "none"  # the package's kernels are not those of this processor
from guetzpy.metrics._butteraugli.comparator import ButteraugliComparator
rng = np.random.default_rng(3)
a = rng.random((3, 90, 77)).astype(np.float32)
b = (a + rng.normal(0, 0.03, a.shape)).astype(np.float32)
c = ButteraugliComparator.from_linear(a)
print(c.score_linear(b).hex(), c.score_linear(b, 4.5).hex(), c.diffmap_linear(b).tobytes().hex()[:4000])
print(c.gradient_linear(b)[1].tobytes().hex()[:4000])
"""


@pytest.mark.slow
def test_digits_do_not_depend_on_the_processor(tmp_path):
    """Compiled for the baseline of x86-64, scores have the same digits as for this processor."""
    outputs = []
    for extra in ({}, {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "+sse2"}):
        environment = {**os.environ, **extra, "NUMBA_CACHE_DIR": str(tmp_path / str(len(outputs)))}
        run = subprocess.run(
            [sys.executable, "-c", _SCORES], env=environment, capture_output=True, text=True, check=True
        )
        outputs.append(run.stdout)
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 8000
