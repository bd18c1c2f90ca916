"""Scores of pictures by the metrics that define distance, and by metrics that are independent of the search.

The search has limits of SSIMULACRA 2 and of Butteraugli's 3-norm, and follows the gradient of CVVDP. The
other metrics are only measured: Butteraugli's maximum and IW-SSIM by guetzpy's code; MS-SSIM, HaarPSI and
PSNR by the plain implementations of ``guetzpy.train.measures``; PSNR-HVS-M by this module.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.fft import dctn

from guetzpy.train.measures import (
    MS_SSIM_SMALLEST,
    decibels,
    haarpsi,
    luma,
    ms_ssim,
    psnr,
    squared_error,
)

Picture = npt.NDArray[np.uint8]  # (height, width, 3)
Plane = npt.NDArray[np.float64]

#: Metrics that :class:`Reference` computes by default, in the order of tables.
COLUMNS = (
    "ssimulacra2",
    "butteraugli_3norm",
    "butteraugli_max",
    "cvvdp",
    "iw_ssim_db",
    "ms_ssim_y_db",
    "haarpsi_db",
    "psnr_hvs_m",
    "psnr",
    "ms_ssim_db",
)


class Reference:
    """An original, against which pictures are scored.

    Parameters
    ----------
    picture : ndarray of uint8, shape (H, W, 3)
        The original, sRGB.
    columns : sequence of str
        Metrics to compute, from :data:`COLUMNS`.
    threads : int, optional
        Number of threads for guetzpy's metrics.
    """

    def __init__(
        self, picture: Picture, columns: tuple[str, ...] = COLUMNS, threads: int | None = None
    ) -> None:
        from guetzpy import metrics

        unknown = set(columns) - set(COLUMNS)
        if unknown:
            raise ValueError(f"unknown metrics: {', '.join(sorted(unknown))}; known: {', '.join(COLUMNS)}")
        self.picture = picture
        self.columns = columns
        self._comparators: dict[str, Any] = {
            name: kind(picture, threads=threads)
            for name, kind in (
                ("ssimulacra2", metrics.SSIMULACRA2Comparator),
                ("butteraugli", metrics.ButteraugliComparator),
                ("cvvdp", metrics.CVVDPComparator),
                ("iw_ssim", metrics.IWSSIMComparator),
            )
            if any(column.startswith(name) for column in columns)
        }

    def scores(self, other: Picture) -> dict[str, float]:
        """Return the scores of a picture by column; infinite scores (identical pictures) are left out."""
        if other.shape != self.picture.shape:
            raise ValueError(f"{other.shape} against {self.picture.shape}")
        found: dict[str, float] = {}
        for name, comparator in self._comparators.items():
            if name == "butteraugli":
                found["butteraugli_3norm"], found["butteraugli_max"] = comparator.scores(other)
            elif name == "iw_ssim":
                found["iw_ssim_db"] = decibels(comparator.score(other))
            else:
                found[name] = comparator.score(other)
        if "psnr" in self.columns:
            found["psnr"] = psnr(squared_error(self.picture, other))
        if min(other.shape[:2]) >= MS_SSIM_SMALLEST:
            if "ms_ssim_db" in self.columns:
                found["ms_ssim_db"] = decibels(ms_ssim(self.picture, other))
            if "ms_ssim_y_db" in self.columns:
                found["ms_ssim_y_db"] = decibels(
                    ms_ssim(luma(self.picture)[..., None], luma(other)[..., None])
                )
        if "haarpsi_db" in self.columns:
            found["haarpsi_db"] = decibels(haarpsi(self.picture, other))
        if "psnr_hvs_m" in self.columns:
            found["psnr_hvs_m"] = psnr_hvs_m(luma(self.picture), luma(other))
        return {c: round(found[c], 6) for c in self.columns if c in found and np.isfinite(found[c])}


#: ITU-T T.81, Annex K, table K.1, from which PSNR-HVS-M takes its contrast sensitivities.
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
    authors' published table: sensitivities 25.735 / Q and masking weights (10 / Q)^2, where Q is the
    table of Annex K. Blocks are 7 samples apart, as in Xiph's tools, so that they do not coincide with JPEG's
    blocks. With blocks 8 samples apart the result equals that of the package psnr-hvsm.
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
    """Return the scores by those of libjxl's own tools that are on PATH."""
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
