"""Conversion between YCbCr and RGB."""

import numpy as np
from reference import dct as twin

from guetzpy.jpeg import color

# Rows R, G, B as functions of Y, Cb - 128, Cr - 128 (T.871 clause 7, exact).
MATRIX = np.array(
    [[1.0, 0.0, 1.402], [1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1.0, 1.772, 0.0]]
)


def test_to_rgb_every_chroma():
    # The sums with Y are exact. So all pairs of chroma, with Y at both clamps and between, cover every case.
    cb, cr = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    expected = {}
    for y in (0, 1, 100, 128, 200, 254, 255):
        rgb = np.empty((3, 256, 256), np.uint8)
        color.ycc_to_rgb(np.full((256, 256), y, np.uint8), cb, cr, rgb, 0)
        for b in range(0, 256, 5):
            for r in range(0, 256, 3):
                expected[y, b, r] = twin.ycc_to_rgb(y, b, r)
                assert tuple(int(s) for s in rgb[:, r, b]) == expected[y, b, r]
        # Compare all of them with the exact matrix; each product with chroma is rounded once.
        values = np.stack([np.full((256, 256), float(y)), cb - 128.0, cr - 128.0])
        exact = np.clip(np.einsum("ij,jyx->iyx", MATRIX, values), 0, 255)
        assert np.abs(rgb - exact).max() <= 0.51


def test_rows_land_where_they_belong():
    rng = np.random.default_rng(3)
    luma, cb, cr = rng.integers(0, 256, (3, 9, 24)).astype(np.uint8)
    whole = np.zeros((3, 9, 21), np.uint8)  # narrower than the rows of the planes
    color.ycc_to_rgb(luma, cb, cr, whole, 0)
    parts = np.zeros((3, 9, 21), np.uint8)
    for first, last in ((0, 4), (4, 9)):
        color.ycc_to_rgb(luma[first:last], cb[first:last], cr[first:last], parts, first)
    np.testing.assert_array_equal(parts, whole)
    assert tuple(int(s) for s in whole[:, 8, 20]) == twin.ycc_to_rgb(luma[8, 20], cb[8, 20], cr[8, 20])


def test_from_rgb_inverts_the_matrix():
    rng = np.random.default_rng(4)
    rgb = rng.uniform(0, 255, (3, 130, 19)).astype(np.float32)
    planes = np.full((3, 136, 24), np.nan, np.float32)
    color.rgb_to_ycc(rgb, *planes)
    luma, cb, cr = planes[:, :130, :19].astype(np.float64)
    back = np.einsum("ij,jyx->iyx", MATRIX, np.stack([luma + 128, cb, cr]))
    np.testing.assert_allclose(back, rgb, atol=2e-4)
    assert np.isnan(planes[:, 130:]).all()  # padding is not written
    assert np.isnan(planes[:, :, 19:]).all()


def test_pull_back_is_the_transpose():
    rng = np.random.default_rng(5)
    gradient = rng.normal(size=(3, 70, 33)).astype(np.float32)
    planes = np.zeros((3, 72, 40), np.float32)
    color.pull_back(gradient, *planes)
    expected = np.einsum("ij,iyx->jyx", MATRIX, gradient.astype(np.float64))
    np.testing.assert_allclose(planes[:, :70, :33], expected, atol=2e-6)
    assert not planes[:, 70:].any()
    assert not planes[:, :, 33:].any()
