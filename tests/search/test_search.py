"""The whole search, on scikit-image's photos and on drawings."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt
from skimage import data

import guetzpy
from guetzpy.metrics.base import Resources
from guetzpy.picture.transform import Transform
from guetzpy.search.choice import choose
from guetzpy.search.coding.compensation import Compensation
from guetzpy.search.coding.encoder import Trial, decode, image
from guetzpy.search.coding.settings import EncodeSettings
from guetzpy.search.coding.source import PlaneSource, Quantiser
from guetzpy.search.coding.tables import JPEGLI
from guetzpy.search.plan import EFFORTS
from guetzpy.search.quality.judge import Judge
from guetzpy.search.quality.limits import Limits


def codes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32)


def decoded(result: guetzpy.Result) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(result.data)))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[:256, 100:356])


def luminance_error(picture: np.ndarray, source: PlaneSource) -> float:
    """Return the RMS error of linear luminance, with steps of 1 for luma and coarse steps for chroma."""
    settings = EncodeSettings(8.0)
    tables = np.ones(64, np.uint16), *settings.tables(3, source.sampling == (2, 2))[1:]
    quantiser = Quantiser(tables, (1e-6,) * 3, compensation=0.6)
    levels, targets = source.quantise(quantiser, source.flat_weights())
    trial = Trial(settings, tables, levels, (), targets)
    transform = Transform()
    weights = np.array([0.265, 0.657, 0.078])[:, None, None]
    want = (weights * transform.linear(codes(picture))).sum(axis=0)
    got = (weights * transform.linear(decode(source, trial))).sum(axis=0)
    # Means over 4 x 4 pixels, since single pixels also have the error of rounding to whole codes.
    error = (want - got).reshape(64, 4, 64, 4).mean(axis=(1, 3))
    return float(np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize("sampling", [(1, 1), (2, 2)])
def test_luma_compensates_for_chroma(photo: np.ndarray, sampling: tuple[int, int]) -> None:
    plain = PlaneSource.from_codes(codes(photo), sampling)
    moved = PlaneSource.from_codes(codes(photo), sampling, Compensation.towards(codes(photo), Transform()))
    assert luminance_error(photo, moved) < 0.8 * luminance_error(photo, plain)


def test_nothing_to_compensate(photo: np.ndarray) -> None:
    source = PlaneSource.from_codes(
        codes(photo), (1, 1), Compensation.towards(codes(photo), Transform(), dead=1.0)
    )
    ones = (np.ones(64, np.uint16),) * 3
    levels = tuple(np.rint(c).astype(np.int16) for c in source.coefficients)
    assert source.compensation is not None
    change = source.compensation.change(image(source, Trial(EncodeSettings(1.0), ones, levels, ())), 0.6)
    # With steps of 1, chroma has no error but that of single pixels, which are rounded to whole codes.
    assert np.abs(change).mean() < 0.5


@pytest.mark.parametrize("distance", [0.5, 1.0, 3.0])
def test_limits_hold_on_the_file(photo: np.ndarray, distance: float) -> None:
    result = guetzpy.optimize(photo, distance=distance)
    limits = Limits.at_distance(distance)
    shown = decoded(result)
    butteraugli = guetzpy.metrics.butteraugli(photo, shown)
    ssimulacra2 = guetzpy.metrics.ssimulacra2(photo, shown)
    assert butteraugli == pytest.approx(result.butteraugli_3norm, rel=1e-6)
    assert ssimulacra2 == pytest.approx(result.ssimulacra2, rel=1e-6)
    excesses = limits.excess_by(0, butteraugli), limits.excess_by(1, ssimulacra2)
    assert -0.1 < max(excesses) <= 0.0  # the limits hold, with a small margin


def test_second_run_changes_no_byte(photo: np.ndarray) -> None:
    once = guetzpy.optimize(photo, distance=1.0)
    again = guetzpy.optimize(once.data, distance=1.0)
    assert again.data == once.data
    finer = guetzpy.optimize(once.data, distance=0.8)
    assert finer.data == once.data


def test_smaller_than_libjpeg_at_the_same_quality(photo: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=85, optimize=True, progressive=True)
    result = guetzpy.optimize(photo, quality=85)
    assert len(result.data) < 0.85 * len(file.getvalue())


def test_gray_stays_gray(photo: np.ndarray) -> None:
    result = guetzpy.optimize(np.ascontiguousarray(photo[..., 1]), distance=1.0)
    assert result.subsampling == "gray"
    assert decoded(result).ndim == 2


@pytest.mark.parametrize("flat", [(255, 0, 0), (0, 0, 255), (255, 0, 255), (0, 255, 0), (255, 255, 255)])
def test_corners_of_the_gamut(flat: tuple[int, int, int]) -> None:
    """No YCbCr code decodes to (255, 0, 0). The nearest one has a 3-norm of 1.56, another one of 0.2."""
    result = guetzpy.optimize(np.full((32, 40, 3), flat, np.uint8), distance=1.0)
    assert not result.limited_by_format
    assert result.butteraugli_3norm is not None
    assert result.butteraugli_3norm < 0.679


def test_red_is_rounded_to_the_side_with_the_better_score() -> None:
    red = np.full((32, 40, 3), (255, 0, 0), np.uint8)
    result = guetzpy.optimize(red, butteraugli=0.3)
    assert result.butteraugli_3norm is not None
    assert result.butteraugli_3norm <= 0.3


@pytest.mark.parametrize("distance", [1.0, 2.0])
def test_slow_gradients_keep_their_steps(distance: float) -> None:
    """A ramp of one code in 24 pixels has no steps larger than those of 8-bit codes."""
    ramp = np.linspace(60.0, 60.0 + 512 / 24, 512)
    picture = np.broadcast_to(np.round(ramp * 257), (128, 512)).astype(np.uint16)
    colours = np.repeat(picture[..., None], 3, axis=2)
    result = guetzpy.optimize(colours, distance=distance, keep_components=True)
    shown = decoded(result).astype(np.float64).mean(axis=2)
    want = picture / 257.0
    blocks = [a.reshape(16, 8, 64, 8).mean(axis=(1, 3)) for a in (shown, want)]
    assert np.abs(blocks[0] - blocks[1]).max() <= 0.5 + 1e-9
    jumps = [np.abs(np.diff(a, axis=axis)) for a, axis in ((shown, 0), (shown, 1))]
    reference = [np.abs(np.diff(want, axis=axis)) for axis in (0, 1)]
    for got, allowed in zip(jumps, reference, strict=True):
        assert (got - allowed).max() <= 1.0


def drawn_text(ground: tuple[int, int, int], ink: tuple[int, int, int]) -> np.ndarray:
    picture = Image.new("RGB", (384, 256), ground)
    pen = ImageDraw.Draw(picture)
    for line in range(9):
        pen.text((10, 8 + 27 * line), "The quick brown fox jumps 0123456789", fill=ink, font_size=22)
    return np.asarray(picture)


@pytest.mark.foreign
@pytest.mark.parametrize("distance", [0.7, 2.0])
@pytest.mark.parametrize(
    ("ground", "ink"),
    [((255, 255, 255), (0, 0, 0)), ((235, 232, 220), (40, 30, 90)), ((20, 20, 30), (230,) * 3)],
)
def test_ground_beside_text_is_as_clean_as_jpeglis(
    ground: tuple[int, int, int], ink: tuple[int, int, int], distance: float
) -> None:
    """The error in flat parts within 8 pixels of an edge is at most jpegli's at equal bytes."""
    ajpegli = pytest.importorskip("ajpegli")
    picture = drawn_text(ground, ink)
    flat = (picture == np.array(ground)).all(axis=2)
    near = flat & (distance_transform_edt(flat) <= 8)
    result = guetzpy.optimize(picture, distance=distance, mark=False)
    fine, coarse = 0.05, 20.0
    for _ in range(16):
        middle = (fine * coarse) ** 0.5
        larger = len(ajpegli.encode(picture, distance=middle, progressive=2)) > len(result.data)
        fine, coarse = (middle, coarse) if larger else (fine, middle)
    # The coarsest of jpegli's files that is larger than guetzpy's.
    other = ajpegli.encode(picture, distance=fine, progressive=2)

    def error(data: bytes) -> float:
        shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.float64)
        return float(np.sqrt(np.mean((shown - picture)[near] ** 2)))

    assert error(result.data) <= error(other)


def test_small_and_large_pictures_are_judged_alike() -> None:
    """Metrics at the same time (for small pictures) or one by one (for large ones) give the same choice."""
    codes = np.ascontiguousarray(data.astronaut()[:240, :320].transpose(2, 0, 1))
    transform = Transform()
    outcomes = []
    for side_by_side in (False, True):
        for threads in (1, 2):
            judge = Judge(codes, transform, Resources(threads), side_by_side)
            sources = [
                PlaneSource.from_codes(codes, sampling, Compensation.towards(codes, transform), threads)
                for sampling in ((1, 1), (2, 2))
            ]
            limits = Limits.at_distance(1.0)
            candidates = [(lambda source=source: source, JPEGLI) for source in sources]
            choice = choose(candidates, judge, limits, EFFORTS["max"], EncodeSettings(1.0))
            found = [(start.number, start.distance) for start in choice.finalists]
            outcomes.append((found, judge.scores(codes)))
    assert all(outcome == outcomes[0] for outcome in outcomes)
