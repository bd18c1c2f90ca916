"""ColorVideoVDP against the authors' package and a slow reference implementation in float64."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reference import cvvdp as twin

from guetzpy.metrics import CVVDPComparator, cvvdp
from guetzpy.metrics._cvvdp.contrast import BLOCK
from guetzpy.metrics._cvvdp.display import DISPLAYS, display_named
from guetzpy.metrics._cvvdp.plan import STRIP
from guetzpy.metrics._cvvdp.pooling import bands_of, jod_and_slopes
from guetzpy.metrics._cvvdp.sensitivity import _table, sensitivity_table
from guetzpy.metrics._cvvdp.words import jod_in_words
from guetzpy.picture.icc import _exact_srgb_curve
from guetzpy.picture.planes import planes_of
from guetzpy.picture.transform import Transform

VECTORS = Path(__file__).parents[1] / "data" / "metric-vectors"

#: Scores of the package cvvdp 0.5.7 (torch 2.13.0, gray pictures given as RGB) on standard_fhd, standard_4k
#: and iphone_12_pro.
KNOWN = {
    "astronaut_256.jpeg_q95_444": (9.97286, 9.99715, 9.99666),
    "astronaut_256.jpeg_q40_420": (9.56111, 9.86133, 9.95219),
    "astronaut_256.blur": (9.38002, 9.67977, 9.87102),
    "astronaut_256.chroma_noise": (9.89152, 9.96824, 9.98556),
    "astronaut_256.darken": (9.99568, 9.99992, 9.99597),
    "astronaut_256.blocks": (9.06116, 9.30960, 9.70494),
    "astronaut_256.identical": (10.0, 10.0, 10.0),
    "coffee_256.jpeg_q75_420": (9.64970, 9.83302, 9.90707),
    "chelsea_odd.jpeg_q85_444": (9.85936, 9.98018, 9.99917),
    "rocket_192.jpeg_q75_420": (9.65068, 9.86360, 9.89997),
    "tiny_9x17.noise": (9.53804, 9.88716, 9.94411),
    "tiny_8x8.jpeg_q85_444": (9.96778, 9.96970, 9.96645),
    "small_65x43.jpeg_q75_420": (9.70737, 9.81635, 9.87771),
    "gray_ramp.blocks": (7.24577, 7.93199, 8.69022),
}
#: Scores of the package for the pairs of :func:`noisy`, by height and width.
KNOWN_NOISE = {
    (2, 2): (9.72005, 9.72005, 9.67360),
    (3, 50): (9.61085, 9.61085, 9.53180),
    (6, 40): (9.81812, 9.81827, 9.77758),
    (7, 9): (9.88541, 9.88609, 9.86176),
    (8, 8): (9.82755, 9.83008, 9.79404),
    (9, 8): (9.92775, 9.94808, 9.94455),
    (8, 9): (9.71079, 9.87882, 9.89852),
    (33, 64): (9.83952, 9.74190, 9.78630),
    (64, 33): (9.61723, 9.43942, 9.54599),
    (129, 515): (9.86381, 9.82040, 9.86516),
    (300, 1030): (9.86909, 9.83714, 9.87719),
}
SCREENS = ("standard_fhd", "standard_4k", "iphone_12_pro")


def noisy(shape):
    random = np.random.default_rng(shape[0] * 1000 + shape[1])
    a = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + random.integers(-16, 17, (*shape, 3)), 0, 255).astype(np.uint8)
    return a, b


def light(picture):
    return np.asarray(_exact_srgb_curve(planes_of(picture)[0] / 255.0), np.float32)


def photo(name):
    reference = name.partition(".")[0]
    a, b = (np.asarray(Image.open(VECTORS / f"{n}.png")) for n in (reference, name))
    return a, b


@pytest.mark.parametrize("name", KNOWN)
def test_agrees_with_the_package_on_photos(name):
    a, b = photo(name)
    assert [cvvdp(a, b, display) for display in SCREENS] == pytest.approx(KNOWN[name], abs=2e-5)


@pytest.mark.parametrize("shape", KNOWN_NOISE)
def test_agrees_with_the_package_at_all_sizes(shape):
    scores = [cvvdp(*noisy(shape), display=display) for display in SCREENS]
    assert scores == pytest.approx(KNOWN_NOISE[shape], abs=2e-5)


@pytest.mark.parametrize("display", DISPLAYS)
def test_agrees_with_the_twin_on_all_displays(display):
    a, b = photo("chelsea_odd.jpeg_q75_420")
    expected = twin.quality(light(a), light(b), DISPLAYS[display], _table())
    assert cvvdp(a, b, display) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(
    "shape",
    [(4, 5), (7, 7), (6, 20), (13, 14), (STRIP + 1, 20), (2 * STRIP + 5, BLOCK + 3), (31, 2 * BLOCK + 7)],
)
def test_agrees_with_the_twin_where_strips_and_blocks_meet(shape):
    a, b = noisy(shape)
    expected = twin.quality(light(a), light(b), DISPLAYS["standard_fhd"], _table())
    assert cvvdp(a, b) == pytest.approx(expected, abs=2e-5)


def test_a_column_of_pixels():
    # The package has no band for these sizes; guetzpy uses a base band only.
    a, b = np.full((1, 9), 100, np.uint8), np.full((1, 9), 150, np.uint8)
    b[0, :4] = 90
    assert cvvdp(a, a) == 10
    assert 9 < cvvdp(a, b) < 10


@pytest.mark.parametrize(
    ("display", "pixels_per_degree"),
    # Values of the package: vvdp_display_geometry.load(name).get_ppd()
    [
        ("standard_fhd", 37.842504),
        ("standard_4k", 75.402449),
        ("iphone_12_pro", 159.611877),
        ("standard_hmd", 13.153263),
    ],
)
def test_pixels_per_degree(display, pixels_per_degree):
    assert display_named(display).pixels_per_degree == pytest.approx(pixels_per_degree, abs=1e-6)


def test_unknown_display():
    picture = np.zeros((9, 9), np.uint8)
    with pytest.raises(ValueError, match=r"'cinema' is not known; choose one of: standard_fhd, standard_4k"):
        cvvdp(picture, picture, display="cinema")


def test_bands_end_at_low_frequencies_or_small_sizes():
    assert bands_of(4096, 4096, 40.0) == pytest.approx([20.0, *(6.456 / 2**i for i in range(7)), 0.1])
    assert bands_of(33, 4096, 40.0) == pytest.approx([20.0, 6.456, 3.228, 1.614, 0.1])
    assert bands_of(3, 4096, 40.0) == [0.1]


def test_sensitivities_go_on_beyond_the_table():
    inside, edge, outside = (sensitivity_table(f) for f in (64.0 / 1.1, 64.0, 64.0 * 1.1))
    np.testing.assert_allclose(edge - inside, outside - edge, atol=1e-9)


def test_pooling_slopes():
    random = np.random.default_rng(3)
    pixels = [4000, 1000, 250]
    for size in (0.1, 10.0, 1000.0):
        sums = random.random((3, 3)) * size * np.array(pixels)[:, None]
        _, slopes = jod_and_slopes(sums, pixels)
        for b, c in np.ndindex(3, 3):
            h = np.zeros((3, 3))
            h[b, c] = 1e-3 * sums[b, c]
            slope = (jod_and_slopes(sums + h, pixels)[0] - jod_and_slopes(sums - h, pixels)[0]) / (
                2 * h[b, c]
            )
            assert slopes[b, c] == pytest.approx(slope, rel=1e-4, abs=1e-10)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_neither_threads_nor_what_is_kept_change_a_digit(keep, threads):
    a, b = noisy((300, 600))
    comparator = CVVDPComparator.from_codes(*planes_of(a), keep=keep, threads=threads)
    assert comparator.score(b) == comparator.score_codes(*planes_of(b)) == cvvdp(a, b)
    assert CVVDPComparator.from_linear(light(a)).score_linear(light(b)) == pytest.approx(
        cvvdp(a, b), abs=1e-5
    )


@pytest.mark.parametrize(
    "shape",
    # One band; no blur of masks; both edges in the radius of the blur; several blocks and strips.
    [
        (3, 5),
        (5, 7),
        (6, 40),
        (7, 9),
        (9, 14),
        (20, 23),
        (64, 37),
        (9, BLOCK + 4),
        (9, BLOCK + 9),
        (20, BLOCK + 20),
        (STRIP + 9, 30),
    ],
)
def test_gradient_against_central_differences(shape):
    random = np.random.default_rng(1)
    a = (0.1 + 0.8 * random.random((3, *shape))).astype(np.float32)
    b = (a + 0.06 * random.uniform(-1, 1, a.shape)).astype(np.float32)
    score, gradient = CVVDPComparator.from_linear(a).gradient_linear(b)
    assert score == CVVDPComparator.from_linear(a).score_linear(b)

    def quality(planes):
        return twin.quality(a, planes, DISPLAYS["standard_fhd"], _table())

    anywhere, corner, edges = random.standard_normal(b.shape), np.zeros(b.shape), np.zeros(b.shape)
    corner[0, -1, -1] = 1
    edges[1, 0], edges[2, :, 0], edges[1, :, -1], edges[0, -1] = 1, -1, 1, 1
    for direction in (anywhere, corner, edges):
        h = 1e-6 * direction
        slope = (quality(b + h) - quality(b - h)) / 2e-6
        assert (gradient * direction).sum() == pytest.approx(slope, rel=2e-3, abs=2e-6)


def test_gradient_by_codes():
    a, b = photo("small_65x43.jpeg_q75_420")
    _, by_codes = CVVDPComparator(a).gradient(b)
    direction = np.random.default_rng(2).standard_normal((3, *a.shape[:2]))
    sides = [_exact_srgb_curve((np.moveaxis(b, 2, 0) + h * direction) / 255.0) for h in (1e-4, -1e-4)]
    up, down = (twin.quality(light(a), side, DISPLAYS["standard_fhd"], _table()) for side in sides)
    assert (by_codes * direction).sum() == pytest.approx((up - down) / 2e-4, rel=1e-3)
    gray = CVVDPComparator(a[..., 0]).gradient(b[..., 0])[1]
    of_three = CVVDPComparator(np.repeat(a[..., :1], 3, axis=2)).gradient(np.repeat(b[..., :1], 3, axis=2))[1]
    np.testing.assert_allclose(gray[0], of_three.sum(axis=0), rtol=1e-4, atol=1e-9)


def test_gradient_without_the_finest_band():
    random = np.random.default_rng(4)
    a = np.kron(random.uniform(60, 190, (3, 9, 11)), np.ones((8, 8))).astype(np.float32)
    b = a + np.kron(random.uniform(-9, 9, (3, 36, 44)), np.ones((2, 2))).astype(np.float32)
    transform = Transform.from_icc(None)
    comparator = CVVDPComparator.from_codes(a, transform, keep=False, finest_band=1)
    score, rows = comparator.gradient_codes(b, transform)
    assert score > CVVDPComparator.from_codes(a, transform).score_codes(b, transform)
    gradient = rows(0, a.shape[1])
    assert np.array_equal(rows(16, 40), gradient[:, 16:40])
    for smooth in (random.standard_normal((3, 9, 11)), np.ones((3, 9, 11))):
        direction = np.kron(smooth, np.ones((8, 8)))
        up, down = (
            comparator.score_codes((b + h * direction).astype(np.float32), transform) for h in (0.2, -0.2)
        )
        assert (gradient * direction).sum() == pytest.approx((up - down) / 0.4, rel=0.01, abs=1e-5)


def test_equal_pictures_have_no_gradient():
    a, _ = noisy((40, 30))
    score, gradient = CVVDPComparator(a).gradient(a)
    assert score == 10
    assert not gradient.any()


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_of_the_gradient_do_not_depend_on_what_is_kept(threads):
    a, b = noisy((2 * STRIP + 45, BLOCK + 40))
    whole = CVVDPComparator(a).gradient(b)[1]
    _, rows = CVVDPComparator.from_codes(*planes_of(a), keep=False, threads=threads).gradient_codes(
        *planes_of(b)
    )
    for first, last in ((0, 1), (100, 290), (288, 301), (0, 301)):
        assert np.array_equal(rows(first, last), whole[:, first:last])


def test_light_that_is_not_finite():
    planes = light(noisy((20, 20))[0])
    broken = planes.copy()
    broken[1, 3, 4] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        CVVDPComparator.from_linear(planes).score_linear(broken)
    with pytest.raises(ValueError, match="NaN"):
        CVVDPComparator.from_linear(broken).score_linear(planes)
    with pytest.raises(ValueError, match=r"\(3, H, W\)"):
        CVVDPComparator.from_linear(planes[0])


@pytest.mark.parametrize(
    ("jod", "words"),
    [
        (10, "no visible"),
        (9.9, "no visible"),
        (9.8, "hardly"),
        (9.6, "side by side"),
        (9.2, "a visible"),
        (8, "clearly"),
    ],
)
def test_jod_in_words(jod, words):
    assert words in jod_in_words(jod)
