"""The public functions and classes of the metrics."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from guetzpy import UnsupportedError, metrics
from guetzpy.metrics import butteraugli, ssimulacra2
from guetzpy.picture.planes import planes_of
from guetzpy.picture.profiles import adobe_rgb


@pytest.fixture
def pair(photo_array):
    noise = np.random.default_rng(0).integers(-9, 10, photo_array.shape)
    return photo_array, np.clip(photo_array + noise, 0, 255).astype(np.uint8)


def test_names_outlive_every_submodule(pair):
    for module in pkgutil.iter_modules(metrics.__path__, "guetzpy.metrics."):
        importlib.import_module(module.name)
    for _ in range(2):
        assert metrics.butteraugli(*pair) > 0
        assert metrics.ssimulacra2(*pair) < 100
        assert metrics.iwssim(*pair) < 1
        assert metrics.cvvdp(*pair) < 10
        assert metrics.ButteraugliComparator(pair[0]).score(pair[0]) == 0
        assert metrics.SSIMULACRA2Comparator(pair[0]).score(pair[0]) == 100
        assert metrics.CVVDPComparator(pair[0]).score(pair[0]) == 10
    assert set(metrics.__all__) <= set(dir(metrics))
    modules = {name for _, name, _ in pkgutil.iter_modules(metrics.__path__)}
    assert not modules & set(metrics.__all__)


def test_unknown_names():
    with pytest.raises(AttributeError, match="psnr"):
        metrics.psnr  # noqa: B018


def test_importing_the_package_is_light():
    code = "import sys, guetzpy.metrics; assert 'numba' not in sys.modules; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_butteraugli_norms(pair):
    three, diffmap = metrics.butteraugli(*pair, full=True)
    assert diffmap.shape == pair[0].shape[:2]
    assert diffmap.dtype == np.float32
    assert three == metrics.butteraugli(*pair) == metrics.butteraugli(*pair, norm=3)
    assert metrics.butteraugli(*pair, norm="max") == pytest.approx(float(diffmap.max()))
    powers = [(diffmap.astype(np.float64) ** p).mean() ** (1 / p) for p in (3, 6, 12)]
    assert three == pytest.approx(np.mean(powers), rel=1e-4)
    assert metrics.butteraugli(*pair, norm=6) > three


def test_gradients_have_one_shape(pair):
    kinds = [getattr(metrics, name) for name in metrics.__all__ if name.endswith("Comparator")]
    assert len(kinds) == 4
    for comparator in (kind(pair[0]) for kind in kinds):
        score, gradient = comparator.gradient(pair[1])
        assert isinstance(score, float)
        assert gradient.shape == (3, *pair[0].shape[:2])
        assert gradient.dtype == np.float32
        assert gradient.any()


@pytest.mark.parametrize("name", ["butteraugli", "cvvdp", "ssimulacra2"])
def test_kinds_of_pictures(name, pair):
    metric = getattr(metrics, name)
    reference, distorted = pair
    expected = metric(reference, distorted)
    assert metric(Image.fromarray(reference), Image.fromarray(distorted)) == expected
    opaque = np.full(reference.shape[:2], 255, np.uint8)
    assert metric(np.dstack([reference, opaque]), distorted) == expected
    assert metric(reference / 255.0, distorted / 255.0) == pytest.approx(expected, abs=0.2)
    read_only = reference.copy()
    read_only.flags.writeable = False
    assert metric(read_only, distorted) == expected
    gray = metric(reference[:, :, 0], distorted[:, :, 0])
    assert gray == metric(*(np.repeat(p[:, :, :1], 3, axis=2) for p in pair))


@pytest.mark.parametrize("name", ["butteraugli", "cvvdp", "ssimulacra2"])
def test_sizes_must_agree(name, pair):
    with pytest.raises(ValueError, match=r"128\D+96.*128\D+95"):
        getattr(metrics, name)(pair[0], pair[1][:-1])


@pytest.mark.parametrize("name", ["butteraugli", "cvvdp", "ssimulacra2"])
@pytest.mark.parametrize("side", [(1, 1), (1, 9), (7, 3)])
def test_tiny_pictures(name, side):
    a, b = np.zeros((*side, 3), np.uint8), np.full((*side, 3), 200, np.uint8)
    metric = getattr(metrics, name)
    assert np.isfinite(metric(a, b))
    assert metric(a, a) == {"butteraugli": 0, "cvvdp": 10, "ssimulacra2": 100}[name]


@pytest.mark.parametrize("name", ["ButteraugliComparator", "CVVDPComparator", "SSIMULACRA2Comparator"])
def test_what_is_kept_changes_no_score(name, pair):
    comparator = getattr(metrics, name)
    reference, transform = planes_of(pair[0])
    kept, anew = (comparator.from_codes(reference, transform, keep=keep) for keep in (True, False))
    expected = comparator(pair[0]).score(pair[1])
    assert kept.score(pair[1]) == anew.score(pair[1]) == expected
    # If nothing is kept, gradients are computed strip by strip, with other rounding errors.
    first, second = (c.gradient(pair[1])[1] for c in (kept, anew))
    assert np.abs(first - second).max() < 1e-5 * np.abs(first).max()


@pytest.mark.parametrize("shape", [(33, 41, 3), (33, 41)])
@pytest.mark.parametrize("profile", [None, "gamma"])
def test_one_picture_in_any_depth_is_identical(shape, profile):
    """Codes k of 8 bits, 257 k of 16 bits and k/255 in floats have the same light and the best scores."""
    codes = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)
    codes.flat[:256] = np.arange(256)
    forms = [codes, codes.astype(np.uint16) * np.uint16(257)]
    forms += [(codes / 255).astype(dtype) for dtype in (np.float32, np.float64)]
    forms += [codes.astype(np.float32) / np.float32(255), codes.astype(np.float32) * np.float32(1 / 255)]
    for first in forms:
        for second in forms:
            assert ssimulacra2(first, second) == 100
            assert butteraugli(first, second) == 0
    if profile is None:
        return
    images = [Image.fromarray(codes)]
    if codes.ndim == 2:
        images.append(Image.fromarray(forms[1]))
    for image in images:
        image.info["icc_profile"] = adobe_rgb(1 if codes.ndim == 2 else 3)
    assert ssimulacra2(images[0], images[-1]) == 100
    assert butteraugli(images[0], images[-1]) == 0


def test_sixteen_bits_and_floats_are_identical():
    codes = np.random.default_rng(6).integers(0, 65536, (33, 41, 3)).astype(np.uint16)
    for floats in (codes / 65535, (codes / 65535).astype(np.float32)):
        assert ssimulacra2(codes, floats) == 100
        assert butteraugli(codes, floats) == 0


@pytest.mark.parametrize("name", ["Butteraugli", "SSIMULACRA2", "CVVDP", "IWSSIM"])
def test_comparators_composite_on_a_background(pair, name):
    """Comparators take the colour that their error about transparent pixels asks for."""
    comparator = getattr(metrics, f"{name}Comparator")
    alpha = np.full((*pair[0].shape[:2], 1), 255, np.uint8)
    alpha[:9, :9] = 0
    flat = [np.where(alpha == 255, one, np.uint8(255)) for one in pair]
    transparent = [np.concatenate([one, alpha], axis=2) for one in pair]
    with pytest.raises(UnsupportedError, match="background"):
        comparator(transparent[0])
    with pytest.raises(UnsupportedError, match="background"):
        comparator(flat[0]).score(transparent[1])
    on_white = comparator(transparent[0], background="white")
    assert on_white.score(transparent[1]) == comparator(flat[0]).score(flat[1])
    assert np.array_equal(on_white.gradient(transparent[1])[1], comparator(flat[0]).gradient(flat[1])[1])
