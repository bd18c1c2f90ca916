"""IW-SSIM against numbers of the package piq and a slow reference implementation in float64."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from reference import iwssim as twin

from guetzpy.metrics import IWSSIMComparator, iwssim
from guetzpy.metrics._iwssim import _information, _lowpass, _luma, _maps, _pyramid
from guetzpy.metrics._iwssim._tiles import STRIDE
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Transform

VECTORS = Path(__file__).parents[1] / "data" / "metric-vectors"
PROFILE = Path(__file__).parents[1] / "data" / "display_p3.icc"

#: piq 0.8.0, ``information_weighted_ssim(distorted, reference, data_range=255)`` of float64 tensors.
BY_PIQ = {
    "astronaut_256.jpeg_q95_444.png": 0.999107620029671,
    "astronaut_256.jpeg_q40_420.png": 0.989014278710658,
    "astronaut_256.noise.png": 0.9952001904033518,
    "astronaut_256.chroma_noise.png": 0.9996964749664007,
    "astronaut_256.blocks.png": 0.981628710982834,
    "astronaut_256.one_level.png": 0.9999969147627991,
    "coffee_256.jpeg_q85_444.png": 0.9968697251281966,
    "coffee_256.jpeg_q75_420.png": 0.9948866985356192,
    "chelsea_odd.jpeg_q85_444.png": 0.9963987316499577,
    "chelsea_odd.blur.png": 0.9831774599985019,
    "rocket_192.jpeg_q75_420.png": 0.9936919378556119,
    "rocket_192.darken.png": 0.9994042637449608,
}


def picture(name):
    return np.asarray(Image.open(VECTORS / name))


def pair(name):
    return picture(name.split(".")[0] + ".png"), picture(name)


def random_picture(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def noisy(picture, seed=1, step=4):
    noise = np.random.default_rng(seed).integers(-step, step + 1, picture.shape)
    return np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)


def luma(picture):
    return twin.luma(planes_of(picture)[0].astype(np.float64))


@pytest.mark.parametrize("name", BY_PIQ)
def test_agrees_with_piq(name):
    assert iwssim(*pair(name)) == pytest.approx(BY_PIQ[name], abs=2e-6)


def test_vectors_are_pictures_that_piq_takes():
    references = {
        p["distorted"]: p["reference"] for p in json.loads((VECTORS / "vectors.json").read_text())["pairs"]
    }
    for name in BY_PIQ:
        assert references[name] == name.split(".")[0] + ".png"
        assert min(picture(name).shape[:2]) >= twin.SMALLEST


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 3), (1, 7), (9, 200, 3), (40, 33), (160, 161, 3), (161, STRIDE + 11, 3), (173, 2 * STRIDE - 9)],
)
def test_agrees_with_the_twin(shape):
    a = random_picture(shape)
    b = noisy(a)
    assert iwssim(a, b) == pytest.approx(twin.score(luma(a), luma(b)), abs=2e-6)


def test_pyramid_and_its_adjoints():
    rng = np.random.default_rng(2)
    for shape in ((21, 22), (22, 21), (33, 400)):
        fine = rng.standard_normal(shape).astype(np.float32)
        coarse = np.empty([(n + 1) // 2 for n in shape], np.float32)
        line = np.zeros(max(shape) + 8, np.float32)
        _pyramid.down(fine, 0, len(coarse), line, coarse)
        np.testing.assert_allclose(coarse, twin.down(fine.astype(np.float64)), atol=1e-6)
        by_coarse, by_fine = rng.standard_normal(coarse.shape).astype(np.float32), np.zeros_like(fine)
        _pyramid.add_down_adjoint(by_coarse, 0, len(fine), line, by_fine)
        assert np.vdot(by_fine, fine) == pytest.approx(np.vdot(by_coarse, coarse), abs=1e-3)
        by_band, out = rng.standard_normal(shape).astype(np.float32), np.zeros_like(coarse)
        _pyramid.subtract_up_adjoint(by_band, 0, len(coarse), line, out)
        raised = twin.up(by_coarse.astype(np.float64), shape)
        assert np.vdot(out, by_coarse) == pytest.approx(-np.vdot(raised, by_band), abs=1e-3)


@pytest.mark.parametrize("with_parent", [True, False])
def test_information_of_the_reference(with_parent):
    bands = twin.bands_of(luma(picture("chelsea_odd.png")))
    parent = bands[1] if with_parent else None
    found = _information.Information(
        bands[0].astype(np.float32), parent.astype(np.float32) if with_parent else None, None
    )
    values, energy = twin.information(bands[0], parent)
    np.testing.assert_allclose(np.sort(found.eigenvalues)[-len(values) :], values, rtol=1e-5)
    assert (found.eigenvalues[-1] == -1) == (not with_parent)
    np.testing.assert_allclose(found.energy[1:-1, 1:-1], energy, rtol=1e-3, atol=1e-4)


def test_pictures_without_full_rank_have_a_score():
    stripes = np.tile(random_picture((1, 200, 3)), (200, 1, 1))
    flat = np.full((200, 200), 77, np.uint8)
    for a in (stripes, flat):
        assert iwssim(a, a) == 1.0
        found = iwssim(a, noisy(a))
        assert found == pytest.approx(twin.score(luma(a), luma(noisy(a))), abs=1e-4)
        assert 0 <= found < 1
        assert np.isfinite(IWSSIMComparator(a).gradient(noisy(a))[1]).all()


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        ("coffee_256.jpeg_q95_444.png", 256),
        ("coffee_256.jpeg_q40_420.png", 163),
        ("chelsea_odd.blur.png", 227),
        ("astronaut_256.noise.png", 200),
        ("rocket_192.jpeg_q75_420.png", 61),
    ],
)
def test_gradient_against_central_differences(name, cut):
    a, b = (p[:cut, : cut - 2] for p in pair(name))
    score, gradient = IWSSIMComparator(a).gradient(b)
    assert score == iwssim(a, b)
    codes = planes_of(b)[0].astype(np.float64)
    rng = np.random.default_rng(3)
    numeric, analytic = [], []
    for direction in [*rng.standard_normal((4, *codes.shape)), gradient / np.abs(gradient).max()]:
        # Where the reference is nearly flat, the gain g depends on differences larger than this step.
        ends = [twin.score(luma(a), twin.luma(codes + h * direction)) for h in (1e-4, -1e-4)]
        numeric.append((ends[0] - ends[1]) / 2e-4)
        analytic.append(float((gradient * direction).sum(dtype=np.float64)))
    assert np.linalg.norm(np.subtract(numeric, analytic)) < 0.002 * np.linalg.norm(numeric)


def test_gradient_tells_of_steps_where_the_reference_is_nearly_flat():
    """The derivative through the gain g is left out: it is valid for steps of 0.001 codes only."""
    a, b = pair("astronaut_256.blur.png")
    _, gradient = IWSSIMComparator(a).gradient(b)
    direction = gradient / np.sqrt(np.square(gradient).mean())
    codes = planes_of(b)[0].astype(np.float64)
    ends = [twin.score(luma(a), twin.luma(codes + h * direction)) for h in (0.1, -0.1)]
    assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / 0.2, rel=0.02)


def test_gradient_where_nothing_has_weight():
    """If all weights of a band are zero, its score is the mean of the structure terms."""
    a = np.full((170, 175), 100, np.uint8)
    b = a + np.uint8(30)
    score, gradient = IWSSIMComparator(a).gradient(b)
    assert score == pytest.approx(twin.score(luma(a), luma(b)), abs=1e-6)
    ends = [twin.score(luma(a), luma(b) + h) for h in (0.01, -0.01)]
    assert gradient.sum(dtype=np.float64) == pytest.approx((ends[0] - ends[1]) / 0.02, rel=1e-3)


def test_lowpass_gradient():
    rng = np.random.default_rng(4)
    x, y = (rng.random((19, 23), np.float32) * 4000 for _ in range(2))
    direction = rng.standard_normal(x.shape)
    ends = [_lowpass.mean(x + (h * direction).astype(np.float32), y) for h in (1, -1)]
    found = (_lowpass.gradient(x, y, 3.0) * direction).sum()
    assert found == pytest.approx(3 * (ends[0] - ends[1]) / 2, rel=1e-3)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 40), st.integers(1, 190), st.booleans(), st.integers(0, 10**6))
def test_every_size_is_scored(height, width, gray, seed):
    shape = (height, width) if gray else (height, width, 3)
    a, b = random_picture(shape, seed), random_picture(shape, seed + 1)
    comparator = IWSSIMComparator(a)
    assert comparator.score(a) == 1.0
    score, gradient = comparator.gradient(b)
    assert 0 <= score == comparator.score(b) < 1
    assert gradient.shape == (1 if gray else 3, height, width)
    assert gradient.dtype == np.float32
    assert np.isfinite(gradient).all()


def test_gradient_of_a_continued_picture_counts_its_mirror_images():
    plane = np.random.default_rng(5).random((3, 70), np.float32)
    wide = _luma.continued(plane)
    assert wide.shape == (161, 161)
    field = np.random.default_rng(6).random(wide.shape, np.float32)
    assert np.vdot(_luma.folded(field, plane.shape), plane) == pytest.approx(np.vdot(field, wide), rel=1e-5)


def test_identical_pictures_have_next_to_no_gradient():
    a, b = pair("coffee_256.jpeg_q95_444.png")
    comparator = IWSSIMComparator(a)
    score, gradient = comparator.gradient(a)
    assert score == 1.0
    assert np.abs(gradient).max() < 1e-3 * np.abs(comparator.gradient(b)[1]).max()


def test_digits_do_not_depend_on_threads():
    a, b = pair("chelsea_odd.jpeg_q75_420.png")
    one, three = (IWSSIMComparator(a, threads=n) for n in (1, 3))
    assert one.score(b) == three.score(b)
    np.testing.assert_array_equal(one.gradient(b)[1], three.gradient(b)[1])
    assert one.score(b) == three.score(b)


DIGITS = """
import sys
import numpy as np
from guetzpy._runtime import packaged
packaged._FOLDER /= "none"  # the package's kernels are not those of this processor
from guetzpy.metrics import IWSSIMComparator
rng = np.random.default_rng(8)
a = rng.integers(0, 256, (190, 205, 3), np.uint8)
b = np.clip(a + rng.integers(-20, 20, a.shape), 0, 255).astype(np.uint8)
score, gradient = IWSSIMComparator(a).gradient(b)
print(score.hex(), gradient.tobytes().hex())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="levels of x86-64")
def test_digits_do_not_depend_on_the_processor(tmp_path):
    digits = set()
    for level in ("x86-64", "x86-64-v3", ""):
        environment = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": ""} if level else {}
        environment["NUMBA_CACHE_DIR"] = str(tmp_path / level)
        done = subprocess.run(
            [sys.executable, "-c", DIGITS],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        digits.add(done.stdout)
    assert len(digits) == 1


def test_rows_of_the_gradient():
    a, b = pair("chelsea_odd.jpeg_q75_420.png")
    codes, transform = planes_of(b)
    _, rows = IWSSIMComparator(a).gradient_codes(codes, transform)
    np.testing.assert_array_equal(rows(17, 99), rows(0, len(b))[:, 17:99])


def test_sixteen_bits_and_floats_are_the_same_picture():
    a, b = pair("coffee_256.jpeg_q85_444.png")
    expected = iwssim(a, b)
    assert iwssim(a.astype(np.uint16) * 257, b.astype(np.uint16) * 257) == pytest.approx(expected, abs=1e-7)
    assert iwssim(a / 255.0, b / 255.0) == pytest.approx(expected, abs=1e-7)


def in_display_p3(picture):
    """Return the same colours in 16-bit codes of Display P3, and the transform of these codes."""
    transform = Transform.from_icc(PROFILE.read_bytes())
    light = np.tensordot(np.linalg.inv(transform.matrix), Transform().linear(planes_of(picture)[0]), 1)
    grid = np.linspace(0, 1, 65536)
    codes = np.stack([np.interp(p, c(grid), grid) for p, c in zip(light, transform.curves * 3, strict=False)])
    return np.rint(65535 * codes).astype(np.uint16), transform


def test_other_colour_spaces_count_as_the_srgb_codes_of_their_colours():
    assert ImageCms.ImageCmsProfile(str(PROFILE))
    a, b = (p[:170, :170] for p in pair("coffee_256.jpeg_q75_420.png"))
    (wide_a, transform), (wide_b, _) = in_display_p3(a), in_display_p3(b)
    comparator = IWSSIMComparator.from_codes(wide_a, transform)
    score, rows = comparator.gradient_codes(wide_b, transform)
    assert score == comparator.score_codes(wide_b, transform)
    assert score == pytest.approx(iwssim(a, b), abs=2e-5)
    gradient = rows(0, 170)
    step = np.rint(64 * gradient / np.abs(gradient).max())
    step[(wide_b < 64) | (wide_b > 65535 - 64)] = 0
    ends = [comparator.score_codes((wide_b + sign * step).astype(np.uint16), transform) for sign in (1, -1)]
    assert (gradient * step / 257).sum() == pytest.approx((ends[0] - ends[1]) / 2, rel=0.02)


def test_curve_of_srgb():
    light = np.array([-0.2, 0, 0.001, 0.003, 0.2, 1, 1.5, 5], np.float32)
    code, slope = np.empty_like(light), np.empty_like(light)
    _luma._interpolate(light, _luma._tables()[0], code, 1)
    _luma._interpolate(light, _luma._tables()[1], slope, 0)
    size = np.minimum(np.abs(light.astype(np.float64)), 4)
    expected = 255 * np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(code, np.sign(light) * expected, atol=1e-3)
    assert slope[4] == pytest.approx(255 * 1.055 / 2.4 * 0.2 ** (1 / 2.4 - 1), rel=1e-4)
    assert slope[2] == pytest.approx(255 * 12.92, rel=1e-5)


def test_constants_of_twin_and_kernels_are_one():
    assert np.float32(twin.FLAT) == _maps._FLAT
    assert np.float32(twin.NOISE) == _maps._NOISE


def test_different_sizes_are_named():
    with pytest.raises(ValueError, match=r"64x80.*64x79"):
        iwssim(random_picture((80, 64, 3)), random_picture((79, 64, 3)))
    with pytest.raises(ValueError, match="different sizes"):
        IWSSIMComparator(random_picture((80, 64, 3))).gradient(random_picture((80, 65)))
