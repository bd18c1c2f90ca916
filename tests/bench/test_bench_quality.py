"""The bench's own implementations of metrics, compared with definitions and other programs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import corpus, curves, peers, quality
from guetzpy.train import measures

VECTORS = Path(__file__).parents[1] / "data" / "metric-vectors"


def photo(height: int = 176, width: int = 184) -> corpus.Picture:
    """Return a part of a photo."""
    return np.ascontiguousarray(corpus.Named("coffee").read()[60 : 60 + height, 150 : 150 + width])


def slow_ssim_scale(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return SSIM and its contrast and structure term by the definition, window by window."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / 4.5)
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    whole, structure = [], []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
            cov = (window * p * q).sum() - mp * mq
            structure.append((2 * cov + c2) / (vp + vq + c2))
            whole.append(structure[-1] * (2 * mp * mq + c1) / (mp**2 + mq**2 + c1))
    return float(np.mean(whole)), float(np.mean(structure))


def test_ms_ssim_equals_its_definition() -> None:
    from scipy.ndimage import convolve

    a = photo(177, 182)
    b = peers.decode(peers.by_pillow(a, "JPEG", quality=30))
    expected = 1.0
    # Gray, because the slow implementation takes one channel.
    a, b = (np.repeat(x[..., 1:2], 3, axis=2) for x in (a, b))
    x, y = a[..., 0].astype(float), b[..., 0].astype(float)
    for scale, weight in enumerate(measures.MS_SSIM_WEIGHTS):
        whole, structure = slow_ssim_scale(x, y)
        expected *= (whole if scale == 4 else structure) ** weight
        # As scipy.ndimage.convolve in the challenge's script: samples beyond an edge are mirrored.
        x, y = (convolve(v, np.full((2, 2), 0.25), mode="reflect")[::2, ::2] for v in (x, y))
    assert quality.ms_ssim(a, b) == pytest.approx(expected, abs=2e-5)


def slow_psnr_hvs_m(a: np.ndarray, b: np.ndarray) -> float:
    """Return PSNR-HVS-M by the loops of the published program."""
    from scipy.fft import dctn

    table = quality.LUMINANCE_TABLE
    total, count = 0.0, 0

    def vari(block: np.ndarray) -> float:
        return float(block.var(ddof=1)) * block.size

    def masking(block: np.ndarray, coefficients: np.ndarray) -> float:
        energy = sum(
            coefficients[k, m] ** 2 * (10 / table[k, m]) ** 2 for k in range(8) for m in range(8) if k or m
        )
        pop = vari(block)
        if pop:
            pop = sum(vari(block[y : y + 4, x : x + 4]) for y in (0, 4) for x in (0, 4)) / pop
        return math.sqrt(energy * pop) / 32

    for y in range(0, a.shape[0] - 7, 7):
        for x in range(0, a.shape[1] - 7, 7):
            p, q = a[y : y + 8, x : x + 8], b[y : y + 8, x : x + 8]
            dp, dq = dctn(p, norm="ortho"), dctn(q, norm="ortho")
            mask = max(masking(p, dp), masking(q, dq))
            for k in range(8):
                for m in range(8):
                    u = abs(dp[k, m] - dq[k, m])
                    if k or m:
                        u = max(0.0, u - mask / (10 / table[k, m]) ** 2)
                    total += (u * 25.735088 / table[k, m]) ** 2
                    count += 1
    return 10 * math.log10(255**2 * count / total)


def test_psnr_hvs_m_equals_the_published_program() -> None:
    a = photo(64, 72)
    b = peers.decode(peers.by_pillow(a, "JPEG", quality=40))
    expected = slow_psnr_hvs_m(quality.luma(a), quality.luma(b))
    assert quality.psnr_hvs_m(quality.luma(a), quality.luma(b)) == pytest.approx(expected, abs=1e-6)


def test_scores_fall_with_quality_and_identity_is_left_out_where_infinite() -> None:
    picture = photo()
    reference = quality.Reference(picture)
    good, bad = (
        reference.scores(peers.decode(peers.by_pillow(picture, "JPEG", quality=q))) for q in (95, 40)
    )
    assert list(good) == list(quality.COLUMNS)
    for column, larger_is_better in curves.METRICS.items():
        assert (good[column] > bad[column]) == larger_is_better, column
    assert reference.scores(picture) == {
        "ssimulacra2": 100,
        "butteraugli_3norm": 0,
        "butteraugli_max": 0,
        "cvvdp": 10,
    }
    with pytest.raises(ValueError):
        reference.scores(picture[1:])


#: piq 0.8.0, ``haarpsi(distorted, reference, data_range=255)`` of float64 tensors.
HAARPSI_BY_PIQ = {
    "astronaut_256.jpeg_q40_420.png": 0.9356220183807445,
    "astronaut_256.one_level.png": 0.9999900262888072,
    "coffee_256.jpeg_q95_444.png": 0.997718954173812,
    "chelsea_odd.blur.png": 0.9552149511847328,
    "chelsea_odd.chroma_noise.png": 0.991095641989479,
}


@pytest.mark.parametrize("name", HAARPSI_BY_PIQ)
def test_haarpsi_agrees_with_piq(name: str) -> None:
    a, b = (np.asarray(Image.open(VECTORS / n)) for n in (name.split(".")[0] + ".png", name))
    assert quality.haarpsi(a, b) == pytest.approx(HAARPSI_BY_PIQ[name], abs=1e-9)


def test_haarpsi_of_flat_pictures() -> None:
    flat = np.zeros((20, 31, 3), np.uint8)
    assert quality.haarpsi(flat, flat) == pytest.approx(1)


def test_ms_ssim_of_luma_is_that_of_a_gray_picture() -> None:
    a = photo()
    b = peers.decode(peers.by_pillow(a, "JPEG", quality=50))
    gray = [np.repeat(np.rint(quality.luma(p))[..., None], 3, axis=2) for p in (a, b)]
    found = quality.Reference(a, ("ms_ssim_y_db",)).scores(b)
    expected = quality.decibels(quality.ms_ssim(*gray))
    assert found == {"ms_ssim_y_db": pytest.approx(expected, abs=0.05)}


def test_scores_of_guetzpy_are_those_of_its_functions() -> None:
    from guetzpy import metrics

    a = photo()
    b = peers.decode(peers.by_pillow(a, "JPEG", quality=50))
    found = quality.Reference(a, ("cvvdp", "iw_ssim_db")).scores(b)
    assert found["cvvdp"] == pytest.approx(metrics.cvvdp(a, b), abs=1e-6)
    assert found["iw_ssim_db"] == pytest.approx(quality.decibels(metrics.iwssim(a, b)), abs=1e-6)
    with pytest.raises(ValueError, match="nonesuch"):
        quality.Reference(a, ("nonesuch",))
