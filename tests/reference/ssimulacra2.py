"""Slow float64 reference implementation of SSIMULACRA 2 (libjxl tools/ssimulacra2.cc, gauss_blur.cc).

It lacks the rounding of libjxl's float32 kernels, so scores near 100 are higher than libjxl's. guetzpy
computes the gradient of this function. ``recursion`` is the blur as published, ``taps`` its impulse response.
"""

from __future__ import annotations

import math

import numpy as np

SIGMA = 1.5
MATRIX = np.array(
    [
        [0.30, 0.622, 0.078],
        [0.23, 0.692, 0.078],
        [0.24342268924547819, 0.20476744424496821, 0.55180986650955360],
    ]
)
BIAS = 0.0037930732552754493


def coefficients():
    """Return radius N, d_k and n_k of (33) for k = 1, 3, 5, and the betas of (53)."""
    radius = round(3.2795 * SIGMA + 0.2546)  # (57)
    omega = np.array([1, 3, 5]) * math.pi / (2 * radius)
    p = np.array([1, -1, 1]) / np.tan(omega / 2)  # (37)
    r = np.array([1, -1, 1]) * p * p / np.sin(omega)  # (44)
    rho = np.exp(-0.5 * SIGMA**2 * omega**2) / radius  # (50)
    zeta15 = (p[1] * r[2] - r[1] * p[2]) / (p[0] * r[1] - r[0] * p[1])  # (52)
    zeta35 = (p[2] * r[0] - r[2] * p[0]) / (p[0] * r[1] - r[0] * p[1])
    a = np.array([p, r, [zeta15, zeta35, 1]])  # (56)
    gamma = [1, radius**2 - SIGMA**2, zeta15 * rho[0] + zeta35 * rho[1] + rho[2]]  # (55)
    beta = np.linalg.solve(a, gamma)
    return radius, -2 * np.cos(omega), -beta * np.cos(omega * (radius + 1)), beta


def taps():
    """Return the impulse response, j = -4 to 4."""
    radius, _, _, beta = coefficients()
    omega = np.array([1, 3, 5]) * math.pi / (2 * radius)
    return np.array([beta @ np.cos(omega * j) for j in range(1 - radius, radius)])


def recursion(x):
    """Blur along the first axis by (35), zero beyond the ends."""
    radius, d, n, _ = coefficients()
    out = np.zeros_like(x)
    last, second = np.zeros((3, *x.shape[1:])), np.zeros((3, *x.shape[1:]))
    zero = np.zeros(x.shape[1:])
    for i in range(1 - radius, len(x)):
        before = x[i - radius - 1] if i - radius - 1 >= 0 else zero
        after = x[i + radius - 1] if i + radius - 1 < len(x) else zero
        now = np.stack([n[k] * (before + after) - d[k] * last[k] - second[k] for k in range(3)])
        last, second = now, last
        if i >= 0:
            out[i] = now.sum(axis=0)
    return out


def blur(x):
    """Blur a plane by the taps, zero beyond the edges."""
    k = taps()
    for _ in range(2):
        padded = np.pad(x, ((4, 4), (0, 0)))
        x = sum(k[j] * padded[j : j + len(x)] for j in range(9)).T
    return x


def xyb(linear):
    """Return positive XYB, (3, H, W)."""
    mixed = np.maximum(np.einsum("ij,jyx->iyx", MATRIX, linear) + BIAS, 0)
    long, medium, short = np.cbrt(mixed) - np.cbrt(BIAS)
    x, y = (long - medium) / 2, (long + medium) / 2
    return np.stack([14 * x + 0.42, y + 0.01, short - y + 0.55])


def halve(planes):
    """Return means of 2 x 2, odd edges replicated."""
    _, h, w = planes.shape
    p = np.pad(planes, ((0, 0), (0, h % 2), (0, w % 2)), mode="edge")
    return (p[:, ::2, ::2] + p[:, ::2, 1::2] + p[:, 1::2, ::2] + p[:, 1::2, 1::2]) / 4


def norms(reference, distorted):
    """Return 1- and 4-norms of all maps, (3 channels, scales, 2 norms, 3 maps)."""
    a, b = np.asarray(reference, np.float64), np.asarray(distorted, np.float64)
    result = []
    for _ in range(6):
        by_channel = []
        for p, q in zip(xyb(a), xyb(b), strict=True):
            mu1, mu2 = blur(p), blur(q)
            s11, s22, s12 = blur(p * p), blur(q * q), blur(p * q)
            numerator = 2 * (s12 - mu1 * mu2) + 0.0009
            denominator = (s11 - mu1 * mu1) + (s22 - mu2 * mu2) + 0.0009
            structure = np.maximum(1 - (1 - (mu1 - mu2) ** 2) * numerator / denominator, 0)
            edges = (1 + np.abs(q - mu2)) / (1 + np.abs(p - mu1)) - 1
            maps = (structure, np.maximum(edges, 0), np.maximum(-edges, 0))
            by_channel.append([[m.mean() for m in maps], [(m**4).mean() ** 0.25 for m in maps]])
        result.append(by_channel)
        if min(a.shape[1:]) < 8:
            break  # the first scale below 8 is the last one
        a, b = halve(a), halve(b)
    return np.array(result).transpose(1, 0, 2, 3)


def score(reference, distorted, weights):
    """Return the score of linear planes (3, H, W), both sides at least 8."""
    values = norms(reference, distorted)
    x = 0.9562382616834844 * float(values.ravel() @ weights[: values.size])
    y = 2.326765642916932 * x - 0.020884521182843837 * x**2 + 6.248496625763138e-05 * x**3
    return 100 - 10 * y**0.6276336467831387 if y > 0 else 100.0
