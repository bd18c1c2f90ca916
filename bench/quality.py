"""How alike two pictures are, by metrics that the search looks at and by others that it does not.

The search looks at SSIMULACRA 2 and at Butteraugli's 3-norm. Butteraugli's maximum, PSNR, MS-SSIM and
PSNR-HVS-M are only measured here: small, plain implementations, slow and easy to check.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from shutil import which

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import correlate1d

Picture = npt.NDArray[np.uint8]  # (height, width, 3)
Plane = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

#: What :class:`Reference` measures by default, in the order of tables.
COLUMNS = ("ssimulacra2", "butteraugli_max", "butteraugli_3norm", "psnr", "ms_ssim_db", "psnr_hvs_m")


class Reference:
    """An original, and how alike others are to it.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        Samples count as sRGB.
    columns : sequence of str
        Of :data:`COLUMNS`.
    threads : int, optional
        Threads for guetzpy's metrics.
    """

    def __init__(
        self, picture: Picture, columns: tuple[str, ...] = COLUMNS, threads: int | None = None
    ) -> None:
        from guetzpy.metrics import ButteraugliComparator, SSIMULACRA2Comparator

        self.picture = picture
        self.columns = columns
        self.ssimulacra2 = (
            SSIMULACRA2Comparator(picture, threads=threads) if "ssimulacra2" in columns else None
        )
        wanted = {"butteraugli_max", "butteraugli_3norm"} & set(columns)
        self.butteraugli = ButteraugliComparator(picture, threads=threads) if wanted else None

    def scores(self, other: Picture) -> dict[str, float]:
        """Return the scores of a picture by column; infinite ones (identical pictures) are left out."""
        if other.shape != self.picture.shape:
            raise ValueError(f"{other.shape} against {self.picture.shape}")
        found: dict[str, float] = {}
        if self.ssimulacra2 is not None:
            found["ssimulacra2"] = self.ssimulacra2.score(other)
        if self.butteraugli is not None:
            found["butteraugli_3norm"], found["butteraugli_max"] = self.butteraugli.scores(other)
        if "psnr" in self.columns:
            found["psnr"] = psnr(squared_error(self.picture, other))
        if "ms_ssim_db" in self.columns and min(other.shape[:2]) >= MS_SSIM_SMALLEST:
            found["ms_ssim_db"] = decibels(ms_ssim(self.picture, other))
        if "psnr_hvs_m" in self.columns:
            found["psnr_hvs_m"] = psnr_hvs_m(luma(self.picture), luma(other))
        return {c: round(found[c], 6) for c in self.columns if c in found and np.isfinite(found[c])}


def squared_error(a: Picture, b: Picture) -> float:
    """Return the mean squared difference."""
    return float(np.mean(np.square(a.astype(np.float32) - b), dtype=np.float64))


def psnr(mean_squared_error: float) -> float:
    """Return the peak signal-to-noise ratio in decibels, for a peak of 255."""
    return float(10 * np.log10(255.0**2 / mean_squared_error)) if mean_squared_error > 0 else float("inf")


def decibels(similarity: float) -> float:
    """Return MS-SSIM on a scale that spreads out near 1."""
    return float(-10 * np.log10(1 - similarity)) if similarity < 1 else float("inf")


def luma(picture: Picture) -> Plane:
    """Return BT.601 luma on the 0..255 scale."""
    out: Plane = picture @ np.array([0.299, 0.587, 0.114])
    return out


#: Weights of the five scales (Wang, Simoncelli and Bovik 2003).
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
#: Below, the 11-tap window does not fit into the coarsest scale.
MS_SSIM_SMALLEST = 11 * 2**4


def ms_ssim(a: Picture, b: Picture) -> float:
    """Return multi-scale SSIM over the RGB channels, as the CLIC challenge measures it.

    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment", 2003:
    Gaussian window of 11 taps, sigma 1.5, inside the picture only; halved by means of 2x2, an odd edge
    repeated. The challenge's script (tensorflow/models, msssim.py) gives the same to six digits.
    """
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def blurred(planes: Floats) -> Floats:
        rows = correlate1d(planes, window, axis=0, output=np.float32)[5:-5]
        out: Floats = correlate1d(rows, window, axis=1, output=np.float32)[:, 5:-5]
        return out

    # Centred values keep the variances exact in float32.
    x, y = a.astype(np.float32) - np.float32(128), b.astype(np.float32) - np.float32(128)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    result = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        mean_x, mean_y = blurred(x), blurred(y)
        variance_x = blurred(x * x) - mean_x**2
        variance_y = blurred(y * y) - mean_y**2
        covariance = blurred(x * y) - mean_x * mean_y
        structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
        if scale == len(MS_SSIM_WEIGHTS) - 1:
            mean_x, mean_y = mean_x + 128, mean_y + 128
            structure *= (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        result *= max(0.0, float(np.mean(structure, dtype=np.float64))) ** weight
        x, y = _halved(x), _halved(y)
    return result


def _halved(planes: Floats) -> Floats:
    planes = np.pad(planes, ((0, planes.shape[0] % 2), (0, planes.shape[1] % 2), (0, 0)), mode="edge")
    sums = planes[::2, ::2] + planes[1::2, ::2] + planes[::2, 1::2] + planes[1::2, 1::2]
    return np.asarray(sums / 4, np.float32)


#: ITU-T T.81, Annex K, table K.1: PSNR-HVS-M takes its contrast sensitivities from it.
LUMINANCE_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float64,
)


def psnr_hvs_m(a: Plane, b: Plane, step: int = 7) -> float:
    """Return PSNR-HVS-M of two luma planes in decibels.

    Ponomarenko et al., "On between-coefficient contrast masking of DCT basis functions", 2007, and its
    authors' published table: sensitivities 25.735 / Q and masking weights (10 / Q)^2, Q of Annex K.
    Blocks lie 7 samples apart, as in Xiph's tools, so that JPEG's own grid is not the one that counts; 8
    apart this equals the package psnr-hvsm.
    """
    sensitivity = 25.735088 / LUMINANCE_TABLE
    masking = (10 / LUMINANCE_TABLE) ** 2
    masking_ac = masking.copy()
    masking_ac[0, 0] = 0

    def cut(plane: Plane) -> Plane:
        view = np.lib.stride_tricks.sliding_window_view(plane, (8, 8))
        return np.ascontiguousarray(view[::step, ::step]).reshape(-1, 8, 8)

    def spread(blocks: Plane) -> Plane:
        count = blocks.shape[1] * blocks.shape[2]
        out: Plane = blocks.reshape(len(blocks), count).var(axis=1, ddof=1) * count
        return out

    def mask(blocks: Plane, coefficients: Plane) -> Plane:
        energy = np.einsum("bij,ij->b", coefficients**2, masking_ac)
        quarters = sum(spread(blocks[:, y : y + 4, x : x + 4]) for y in (0, 4) for x in (0, 4))
        whole = spread(blocks)
        share = np.divide(quarters, whole, out=np.zeros_like(whole), where=whole > 0)
        out: Plane = np.sqrt(energy * share) / 32
        return out

    blocks_a, blocks_b = cut(a), cut(b)
    dct_a, dct_b = (dctn(blocks, axes=(1, 2), norm="ortho") for blocks in (blocks_a, blocks_b))
    threshold = np.maximum(mask(blocks_a, dct_a), mask(blocks_b, dct_b))
    hidden = threshold[:, None, None] / masking
    hidden[:, 0, 0] = 0
    visible = np.maximum(np.abs(dct_a - dct_b) - hidden, 0)
    return psnr(float(np.mean((visible * sensitivity) ** 2)))


def libjxl_scores(reference: Picture, other: Picture) -> dict[str, float]:
    """Return the scores by libjxl's own tools, as far as they are on PATH."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        paths = [str(Path(name) / n) for n in ("reference.png", "other.png")]
        for path, picture in zip(paths, (reference, other), strict=True):
            Image.fromarray(picture).save(path, compress_level=1)
        if which("ssimulacra2"):
            found["ssimulacra2"] = float(_output(["ssimulacra2", *paths]).split()[0])
        if which("butteraugli_main"):
            lines = _output(["butteraugli_main", *paths, "--intensity_target", "80"]).splitlines()
            found["butteraugli_max"] = float(lines[0])
            found["butteraugli_3norm"] = float(lines[1].split()[-1])
    return found


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout
