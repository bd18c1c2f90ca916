"""Slow float64 reference implementation of ColorVideoVDP for still pictures (cvvdp 0.5.7)."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.ndimage import correlate1d

EPS = 1e-5
MASK_P, MASK_C, D_MAX = 2.264355182647705, -0.7954971194267273, 2.5642454624176025
MASK_Q = (1.302622675895691, 2.8885908126831055, 3.6807713508605957)
CROSS = 2.0 ** np.array(
    [
        [-0.18950104713439941, -5.962151050567627, -4.31834602355957],
        [2.5655593872070312, 0.34406712651252747, -2.719646453857422],
        [3.8118371963500977, -1.0051705837249756, -0.5193376541137695],
    ]
)
BASEBAND = (0.0036334486212581396, 1.6627724170684814, 4.11874532699585)
GAIN = (1.0, 1.45, 1.0)
JOD_A, JOD_EXP, IMAGE = 0.0439569391310215, 0.9302042722702026, 0.577918291091919
CORRECTION = 10 ** (-0.2797423303127289 / 20)


def safe_pow(x, p):
    return (x + EPS) ** p - EPS**p


def frequencies(height, width, ppd):
    """Return the bands' frequencies in cycles per degree; the last is the base band's."""
    bands = ppd / 2 * np.array([1.0, *(0.3228 * 2.0 ** -np.arange(14))])
    levels = int(math.log2(min(height, width))) - 1
    below = np.nonzero(bands <= 0.2)[0]
    count = max(0, min(below[0] + 1, levels))
    return [*bands[:count], 0.1]


def reduce(x, odd_as_rows_are):
    """Halve along the last axis."""
    n = x.shape[-1]
    p = np.pad(x, ((0, 0), (0, 0), (2, 3)))
    y = sum(k * p[..., i : i + n : 2] for i, k in enumerate((0.05, 0.25, 0.4, 0.25, 0.05)))
    y[..., 0] += 0.25 * x[..., 0] + 0.05 * x[..., 1]
    if odd_as_rows_are:
        y[..., -1] += 0.25 * x[..., -1] + 0.05 * x[..., -2]
    else:
        y[..., -1] += 0.05 * x[..., -1]
    return y


def halve(x):
    # The package uses the parity of the number of rows for the ends of rows and of columns.
    odd = x.shape[1] % 2 == 1
    return reduce(reduce(x.swapaxes(1, 2), odd).swapaxes(1, 2), odd)


def expand(x, n):
    """Double along the last axis to ``n`` samples."""
    p = np.pad(x, ((0, 0), (0, 0), (1, 1)), mode="edge")
    y = np.empty((*x.shape[:-1], 2 * x.shape[-1]))
    y[..., ::2] = 0.1 * p[..., :-2] + 0.8 * p[..., 1:-1] + 0.1 * p[..., 2:]
    y[..., 1::2] = 0.5 * (p[..., 1:-1] + p[..., 2:])
    return y[..., :n]


def double(x, shape):
    return expand(expand(x.swapaxes(1, 2), shape[0]).swapaxes(1, 2), shape[1])


def contrasts(opponent, count):
    """Return for each band the contrast (3, h, w) and the background (h, w)."""
    levels = [opponent]
    for _ in range(count - 1):
        levels.append(halve(levels[-1]))
    bands = []
    for fine, coarse in itertools.pairwise(levels):
        around = double(coarse, fine.shape[1:])
        background = np.maximum(around[0], 0.01)
        bands.append((np.minimum((fine - around) / background, 1000), background))
    background = np.maximum(levels[-1][0], 0.01).mean(keepdims=True)
    bands.append((np.minimum(levels[-1] / background, 1000), background))
    return bands


def sensitivity(table, background, frequency, channel):
    """Return the sensitivity to contrast; ``table`` holds log10, (channel, luminance, frequency)."""
    rhos, lights = np.linspace(-1, math.log10(64), 32), np.linspace(math.log10(0.005), 4, 32)
    rho = math.log10(frequency)
    k = min(max(np.searchsorted(rhos, rho) - 1, 0), 30)
    part = (rho - rhos[k]) / (rhos[k + 1] - rhos[k])
    by_light = table[channel, :, k] + part * (table[channel, :, k + 1] - table[channel, :, k])
    return 10 ** np.interp(np.log10(background), lights, by_light) * CORRECTION


def blur(x):
    if min(x.shape[1:]) <= 6:
        return x
    taps = np.exp(-0.5 * (np.arange(-6, 7) / 3.0) ** 2)
    taps /= taps.sum()
    return correlate1d(correlate1d(x, taps, axis=1, mode="mirror"), taps, axis=2, mode="mirror")


def differences(test, reference, weight):
    """Return the visible differences of one band, (3, h, w)."""
    t, r = test * weight, reference * weight
    mutual = blur(np.minimum(np.abs(t), np.abs(r))) * 10**MASK_C
    masks = np.array([safe_pow(m, q) for m, q in zip(mutual, MASK_Q, strict=True)])
    seen = safe_pow(np.abs(t - r), MASK_P) / (1 + np.einsum("khw,kc->chw", masks, CROSS))
    return 10**D_MAX * seen / (10**D_MAX + seen)


def quality(linear_reference, linear_test, display, table):
    """Return the JOD of linear sRGB planes (3, H, W)."""
    matrix = display.to_opponent
    sides = [
        np.tensordot(matrix[:, :3], np.asarray(p, np.float64), 1) + matrix[:, 3:, None]
        for p in (linear_reference, linear_test)
    ]
    bands = frequencies(*sides[0].shape[1:], display.pixels_per_degree)
    pairs = zip(*(contrasts(side, len(bands)) for side in sides), strict=True)
    pooled = np.zeros((3, len(bands)))
    for b, ((reference, background), (test, _)) in enumerate(pairs):
        s = np.stack([sensitivity(table, background, bands[b], c) for c in range(3)])
        if b == len(bands) - 1:
            d = np.abs(test - reference) * s
        else:
            factor = np.array(GAIN)[:, None, None] * (1 if b == 0 else 2)
            d = differences(test, reference, s * factor)
        pooled[:, b] = safe_pow(safe_pow(d, 2).mean(axis=(1, 2)), 0.5)
    pooled[:, -1] *= BASEBAND
    by_channel = safe_pow(safe_pow(pooled, 4).sum(axis=1), 0.25)
    q = float(safe_pow(safe_pow(by_channel, 4).sum(), 0.25)) * IMAGE
    return 10 - JOD_A * (0.1 ** (JOD_EXP - 1) * q if q <= 0.1 else q**JOD_EXP)
