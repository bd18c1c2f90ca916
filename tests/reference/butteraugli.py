"""Slow reference implementation of ``guetzpy.metrics._butteraugli.comparator`` in plain float64 numpy.

Follows libjxl's ``lib/jxl/butteraugli/butteraugli.cc`` (constants and structure), at 80 nits.
Pictures are (3, H, W) linear sRGB, 1.0 = white.
"""

from __future__ import annotations

import numpy as np

NITS = 80.0
OPSIN = np.array(
    [
        [0.29956550340058319, 0.63373087833825936, 0.077705617820981968],
        [0.22158691104574774, 0.69391388044116142, 0.0987313588422],
        [0.02, 0.02, 0.20480129041026129],
    ]
)
BIAS = np.array([1.7557483643287353, 1.7557483643287353, 12.226454707163354])

# The sixteen lines through the centre of a 9 x 9 field: one arm (dy, dx), the other is its mirror.
LINES_SPARSE = [
    [(0, 2), (0, 4)],
    [(2, 0), (4, 0)],
    [(2, 2), (3, 3)],
    [(2, -2), (3, -3)],
    [(2, -1), (4, -1)],
    [(2, 1), (4, 1)],
    [(1, 2), (1, 4)],
    [(-1, 2), (-1, 4)],
    [(2, 1), (3, 2)],
    [(2, -1), (3, -2)],
    [(1, 2), (2, 3)],
    [(-1, 2), (-2, 3)],
    [(-1, 2), (-2, 4)],
    [(1, 2), (2, 4)],
    [(2, 1), (4, 2)],
    [(2, -1), (4, -2)],
]
LINES_FULL = [
    [(0, 1), (0, 2), (0, 3), (0, 4)],
    [(1, 0), (2, 0), (3, 0), (4, 0)],
    [(1, 1), (2, 2), (3, 3)],
    [(1, -1), (2, -2), (3, -3)],
    [(1, 0), (2, -1), (3, -1), (4, -1)],
    [(1, 0), (2, 1), (3, 1), (4, 1)],
    [(0, 1), (1, 2), (1, 3), (1, 4)],
    [(0, 1), (-1, 2), (-1, 3), (-1, 4)],
    [(1, 1), (2, 1), (3, 2)],
    [(1, -1), (2, -1), (3, -2)],
    [(1, 1), (1, 2), (2, 3)],
    [(-1, 1), (-1, 2), (-2, 3)],
    [(0, 1), (-1, 2), (-1, 3), (-1, 4)],
    [(0, 1), (1, 2), (1, 3), (1, 4)],
    [(1, 0), (2, 1), (3, 1), (4, 1)],
    [(1, 0), (2, -1), (3, -1), (4, -1)],
]


def taps(sigma):
    radius = max(1, int(2.25 * sigma))
    offsets = np.arange(-radius, radius + 1)
    return np.exp(-(offsets**2) / (2.0 * sigma * sigma))


def blur_axis(plane, kernel, axis):
    """Correlate along an axis. Samples beyond the edge are left out, and the weights are renormalised."""
    plane = np.moveaxis(plane, axis, -1)
    radius = len(kernel) // 2
    total = np.zeros_like(plane)
    weight = np.zeros(plane.shape[-1])
    padded = np.pad(plane, [(0, 0)] * (plane.ndim - 1) + [(radius, radius)])
    ones = np.pad(np.ones(plane.shape[-1]), radius)
    for i, k in enumerate(kernel):
        total += k * padded[..., i : i + plane.shape[-1]]
        weight += k * ones[i : i + plane.shape[-1]]
    return np.moveaxis(total / weight, -1, axis)


def blur(plane, sigma):
    kernel = taps(sigma)
    return blur_axis(blur_axis(plane, kernel, -1), kernel, -2)


def blur_mirrored(plane, sigma):
    """Return the blur of radius 2; the picture is mirrored at its edges (the edge sample is repeated)."""
    kernel = taps(sigma)
    kernel = kernel / kernel.sum()
    radius = len(kernel) // 2
    height, width = plane.shape
    padded = np.pad(plane, radius, mode="symmetric")
    rows = sum(k * padded[:, i : i + width] for i, k in enumerate(kernel))
    return sum(k * rows[i : i + height] for i, k in enumerate(kernel))


def gamma(v):
    return 19.245013259874995 * np.log(v + 9.9710635769299145) - 23.16046239805755


def opsin(linear):
    light = NITS * linear
    blurred = np.stack([blur_mirrored(plane, 1.2) for plane in light])
    mixed = np.einsum("ij,jyx->iyx", OPSIN, blurred) + BIAS[:, None, None]
    mixed = np.maximum(mixed, BIAS[:, None, None])
    sensitivity = np.maximum(gamma(mixed) / mixed, 1e-4)
    current = (np.einsum("ij,jyx->iyx", OPSIN, light) + BIAS[:, None, None]) * sensitivity
    current = np.maximum(current, BIAS[:, None, None])
    return np.stack([current[0] - current[1], current[0] + current[1], current[2]])


def remove_range(x, w):
    return np.where(x > w, x - w, np.where(x < -w, x + w, 0.0))


def amplify_range(x, w):
    return np.where(x > w, x + w, np.where(x < -w, x - w, 2.0 * x))


def soft_clamp(x, limit):
    slope = 0.724216145665
    return np.where(
        x >= limit, (x - limit) * slope + limit, np.where(x < -limit, (x + limit) * slope - limit, x)
    )


def bands(xyb):
    """Return the low (3), middle (3), high (2) and ultra-high (2) frequency bands."""
    low = np.stack([blur(plane, 7.15593339443) for plane in xyb])
    rest = xyb - low
    low = np.stack(
        [
            33.832837186260 * low[0],
            14.458268100570 * low[1],
            49.87984651440 * (low[2] - 0.362267051518 * low[1]),
        ]
    )
    middle = np.stack([blur(plane, 3.22489901262) for plane in rest])
    high = rest[:2] - middle[:2]
    middle[0] = remove_range(middle[0], 0.29)
    middle[1] = amplify_range(middle[1], 0.1)
    s = 0.653020556257
    high[0] *= s + (1.0 - s) * 46.0 / (high[1] ** 2 + 46.0)
    smooth = np.stack([blur(plane, 1.56416327805) for plane in high])
    ultra = np.empty_like(high)
    ultra[0] = remove_range(high[0] - smooth[0], 0.04)
    clamped = soft_clamp(smooth[1], 28.4691806922)
    ultra[1] = 2.69313763794 * soft_clamp(high[1] - clamped, 5.19175294647)
    high[0] = remove_range(smooth[0], 1.5)
    high[1] = amplify_range(2.155 * clamped, 0.132)
    return low, middle, high, ultra


def malta(a, b, weight, norm1, lines):
    scale = 0.39905817637 if lines is LINES_FULL else 0.611612573796
    above = scale * np.sqrt(0.5 * weight) / (3.75 * 2 + 1) * norm1
    below = scale * np.sqrt(0.33 * weight) / (3.75 * 2 + 1) * norm1
    size = norm1 + 0.5 * (np.abs(a) + np.abs(b))
    low = np.minimum(0.55 * a, 1.05 * a)
    high = np.maximum(0.55 * a, 1.05 * a)
    difference = above / size * (a - b) + below / size * (np.clip(b, low, high) - b)
    height, width = a.shape
    padded = np.pad(difference, 4)
    total = np.zeros_like(a)
    for arm in lines:
        line = difference.copy()
        for dy, dx in arm:
            line += padded[4 + dy : 4 + dy + height, 4 + dx : 4 + dx + width]
            line += padded[4 - dy : 4 - dy + height, 4 - dx : 4 - dx + width]
        total += line**2
    return total


def mask_activity(high, ultra):
    x = 2.5 * (ultra[0] + high[0])
    y = 0.4 * (ultra[1] + high[1])
    mul, bias = 6.19424080439, 6.19424080439 * 12.61050594197
    return blur(np.sqrt(mul * np.sqrt(x * x + y * y) + bias) - np.sqrt(bias), 2.7)


def erode(plane):
    """Return a weighted mean of the three smallest of a pixel and its eight neighbours at a distance of 3."""
    padded = np.pad(plane, 3, constant_values=np.inf)
    height, width = plane.shape
    stack = [padded[dy : dy + height, dx : dx + width] for dy in (0, 3, 6) for dx in (0, 3, 6)]
    stack += [2.0 * plane, 2.0 * plane]
    least = np.sort(np.stack(stack), axis=0)
    return 0.45 * least[0] + 0.3 * least[1] + 0.25 * least[2]


def mask_value(erosion, mul, scaler, offset):
    return ((1.0 + mul / (scaler * erosion + offset)) / (17.83 * 0.79079917404)) ** 2


def diffmap_single(reference, distorted):
    low0, mid0, high0, ultra0 = bands(opsin(reference))
    low1, mid1, high1, ultra1 = bands(opsin(distorted))
    ac = malta(ultra0[1], ultra1[1], 1.10039032555, 71.7800275169, LINES_FULL)
    ac += malta(ultra0[0], ultra1[0], 173.5, 5.0, LINES_FULL)
    ac += malta(high0[1], high1[1], 18.7237414387, 4498534.45232, LINES_SPARSE)
    ac += malta(high0[0], high1[0], 6923.99476109, 8051.15833247, LINES_SPARSE)
    ac += malta(mid0[1], mid1[1], 37.0819870399, 130262059.556, LINES_SPARSE)
    ac += malta(mid0[0], mid1[0], 8246.75321353, 1009002.70582, LINES_SPARSE)
    for a, b, weight in zip(high0, high1, (400.0, 1.50815703118), strict=True):
        below, above = np.minimum(0.4 * a, a), np.maximum(0.4 * a, a)
        ac += 0.8 * weight * ((a - b) ** 2 + (np.clip(b, below, above) - b) ** 2)
    for a, b, weight in zip(mid0, mid1, (2150.0, 10.6195433239, 16.2176043152), strict=True):
        ac += weight * (a - b) ** 2
    dc = np.zeros_like(ac)
    for a, b, weight in zip(low0, low1, (29.2353797994, 0.844626970982, 0.703646627719), strict=True):
        dc += weight * (a - b) ** 2
    activity0 = mask_activity(high0, ultra0)
    activity1 = mask_activity(high1, ultra1)
    ac += 10.0 * (activity0 - activity1) ** 2
    erosion = erode(activity0)
    ac_mask = mask_value(erosion, 2.5485944793, 0.451936922203, 0.829591754942)
    dc_mask = mask_value(erosion, 0.505054525019, 3.87449418804, 0.20025578522)
    return np.sqrt(dc * dc_mask + ac * ac_mask)


def halve(linear):
    """Return the means of 2 x 2 samples; the last row or column of an odd size is averaged with itself."""
    _, height, width = linear.shape
    padded = np.pad(linear, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    return 0.25 * (padded[:, ::2, ::2] + padded[:, 1::2, ::2] + padded[:, ::2, 1::2] + padded[:, 1::2, 1::2])


def extend(linear):
    """Extend pictures below 8 pixels by their edges; return the picture, and the place of the old one."""
    _, height, width = linear.shape
    top, left = max(0, (8 - height) // 2), max(0, (8 - width) // 2)
    bottom, right = max(0, 8 - height - top), max(0, 8 - width - left)
    return np.pad(linear, ((0, 0), (top, bottom), (left, right)), mode="edge"), top, left


def diffmap(reference, distorted):
    reference, distorted = np.asarray(reference, np.float64), np.asarray(distorted, np.float64)
    _, height, width = reference.shape
    a, top, left = extend(reference)
    b, _, _ = extend(distorted)
    result = diffmap_single(a, b)
    if min(a.shape[1:]) >= 15:
        half = diffmap_single(halve(a), halve(b))
        half = half.repeat(2, axis=0).repeat(2, axis=1)[: a.shape[1], : a.shape[2]]
        result = 0.85 * result + 0.5 * half
    return result[top : top + height, left : left + width]


def score(map_, p=3.0):
    return sum(np.mean(map_ ** (p * k)) ** (1.0 / (p * k)) for k in (1, 2, 4)) / 3.0
