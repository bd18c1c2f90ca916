"""Parse ICC profiles into tone curves and a matrix in floating point, without clipping (ICC.1:2022).

The tone curves map codes to light in the profile's own primaries. The columns of the matrix map that light to
the connection space, XYZ under D50. The transforms of this package need linear light with the primaries of
sRGB, so the matrix is multiplied by the one from XYZ to linear sRGB. Colours outside sRGB's gamut are below
0 or above 1.

Values are computed by additions, multiplications and divisions only, so that they are equal on every machine.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guetzpy.picture.profiles import SRGB_CURVE, gray_profile

__all__ = ["Curve", "Profile", "channels_of", "gray_of", "parse", "power", "slope_of", "srgb_curve"]

Doubles = npt.NDArray[np.float64]
Curve = Callable[[Doubles], Doubles]

#: XYZ (D50, 0.9642 1 0.8249) to linear sRGB: the inverse of the matrix of sRGB's primaries and white (0.3127,
#: 0.3290), adapted by Bradford's matrix, computed in rational numbers.
_FROM_XYZ = np.array(
    [
        [3.134186364236819, -1.6172089589982748, -0.49069406400638393],
        [-0.9787485041906944, 1.9161300967735873, 0.03343339915999554],
        [0.07196392780224674, -0.22899387345320327, 1.4057537328964445],
    ]
)

# Largest differences at which a profile counts as sRGB: sRGB profiles of different makers differ by rounding.
_MATRIX_TOLERANCE = 4e-3
_CURVE_TOLERANCE = 1e-3

_MAX_POINTS = 1 << 16
#: Largest light, and largest matrix element, of a valid profile: far above those of any display or film.
_LARGEST = 16.0


def power(base: Doubles, exponent: float) -> Doubles:
    """Return ``base ** exponent``, with equal bits on every machine.

    A negative base counts as 0. The relative error is below 2e-15 times
    ``max(1, |exponent * log(base)|)``. The ``pow`` of numpy and libm depends on the processor.
    """
    base = np.asarray(base, np.float64)
    mantissa, binary = np.frexp(np.where(base > 0, base, 1.0))  # mantissa in [0.5, 1)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, 2 * mantissa, mantissa)
    binary = binary - low
    # log m = 2 atanh((m - 1) / (m + 1)), |argument| <= 0.1716: 0.1716^23 / 23 < 1e-18
    t = (mantissa - 1) / (mantissa + 1)
    t2 = t * t
    series = np.zeros_like(t)
    for k in range(21, 0, -2):
        series = series * t2 + 1.0 / k
    log = binary * 0.6931471805599453 + 2 * t * series
    # exp y = 2^n exp(y - n log 2), |rest| <= 0.3466: 0.3466^16 / 16! < 1e-20
    y = exponent * log
    n = np.rint(y * 1.4426950408889634)
    rest = y - n * 0.6931471805599453
    value = np.ones_like(y)
    for k in range(16, 0, -1):
        value = 1.0 + value * rest / k
    result = np.ldexp(value, np.clip(n, -2000, 2000).astype(np.int32))
    return np.where(base > 0, result, 0.0 if exponent > 0 else 1.0)


def _fused(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], c: float) -> npt.NDArray[np.float32]:
    product = a.astype(np.float64) * b.astype(np.float64)
    return (product + np.float64(np.float32(c))).astype(np.float32)


def srgb_curve(codes: Doubles) -> Doubles:
    """Return the linear light of sRGB codes, both 0..1, as float32 values.

    The curve of IEC 61966-2-1 is approximated by the rational polynomial of libjxl
    (lib/jxl/cms/transfer_functions-inl.h, TF_SRGB) with libjxl's rounding, because SSIMULACRA 2 of nearly
    identical pictures depends on the last bit. The relative error is below 1e-5, the absolute error below
    3e-7.
    """
    x = np.asarray(codes).astype(np.float32)
    upper, lower = np.full_like(x, 8.210152774e-01), np.full_like(x, 6.521209011e-03)
    for p, q in (
        (7.961564959e-01, -5.512498495e-02),
        (1.624820318e-01, 4.987528350e-01),
        (1.043637593e-02, 1.076976492e00),
        (2.200248328e-04, 2.631846970e-01),
    ):
        upper, lower = _fused(upper, x, p), _fused(lower, x, q)
    linear = x * (np.float32(1.0) / np.float32(12.92))
    return np.where(x > np.float32(0.04045), upper / lower, linear).astype(np.float64)


def _exact_srgb_curve(codes: Doubles) -> Doubles:
    return np.where(codes <= 0.04045, codes / 12.92, power((codes + 0.055) / 1.055, 2.4))


def slope_of(curve: Curve, codes: Doubles) -> Doubles:
    """Return the derivative of a curve with respect to codes, both 0..1, from differences over +-1/65535."""
    if curve is srgb_curve:
        curve = _exact_srgb_curve  # differences of float32 values would be dominated by rounding
    below, above = np.maximum(codes - 1 / 65535, 0.0), np.minimum(codes + 1 / 65535, 1.0)
    slope: Doubles = (curve(above) - curve(below)) / (above - below)
    return slope


@dataclass(frozen=True)
class _Sampled:
    """A curve of equally spaced values with linear interpolation (curveType with several entries)."""

    values: tuple[float, ...]

    def __call__(self, codes: Doubles) -> Doubles:
        values = np.array(self.values)
        position = np.clip(codes, 0.0, 1.0) * (len(values) - 1)
        k = np.minimum(position.astype(np.int64), len(values) - 2)
        result: Doubles = values[k] + (position - k) * (values[k + 1] - values[k])
        return result


@dataclass(frozen=True)
class _Parametric:
    """Y = (a X + b)^g + e for X >= d, else c X + f (all function types of parametricCurveType)."""

    g: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = -1.0
    e: float = 0.0
    f: float = 0.0

    def __call__(self, codes: Doubles) -> Doubles:
        upper = codes if self.g == 1 and self.a == 1 and self.b == 0 else None
        if upper is None:
            upper = power(self.a * codes + self.b, self.g)
        return np.where(codes >= self.d, upper + self.e, self.c * codes + self.f)


@dataclass(frozen=True, eq=False)
class Profile:
    """A parsed profile.

    Attributes
    ----------
    channels : int
        1 (gray) or 3.
    curves : tuple of Curve
        One per channel; empty if ``tables``.
    matrix : ndarray of float64, shape (3, 3), optional
        From the profile's linear RGB to linear sRGB, for three channels.
    tables : bool
        Whether the profile has tables of several dimensions, which need a colour management system.
    is_srgb : bool
        Whether it is sRGB, or gray with sRGB's curve, except for rounding.
    """

    channels: int
    curves: tuple[Curve, ...] = ()
    matrix: Doubles | None = None
    tables: bool = False
    is_srgb: bool = False


@functools.lru_cache(maxsize=32)
def parse(icc: bytes) -> Profile | None:
    """Parse a profile; return None if it is broken or neither gray nor RGB."""
    try:
        return _parse(icc)
    except (ValueError, IndexError, OverflowError):
        return None


def channels_of(icc: bytes) -> int | None:
    """Return the number of channels of a profile: 3, 1 or 4, 0 for others; None if it is no profile."""
    if len(icc) < 132 or icc[36:40] != b"acsp":
        return None
    return {b"RGB ": 3, b"GRAY": 1, b"CMYK": 4}.get(icc[16:20], 0)


def gray_of(icc: bytes) -> bytes | None:
    """Return a gray profile with the tone curve of an RGB profile.

    The result is None if its three curves differ, if equal codes are not neutral, or if it has tables.
    """
    profile = parse(icc)
    if profile is None or profile.channels != 3 or profile.tables or profile.matrix is None:
        return None
    if profile.is_srgb:
        return gray_profile("gray with the curve of sRGB", SRGB_CURVE)
    if abs(profile.matrix.sum(axis=1) - 1.0).max() > _MATRIX_TOLERANCE:
        return None
    tags = _tags(icc)
    codes = np.arange(1025) / 1024.0
    red, *others = (curve(codes) for curve in profile.curves)
    if any(abs(other - red).max() > 1e-6 for other in others):
        return None
    return gray_profile("gray with the curve of an RGB profile", tags[b"rTRC"])


def _parse(icc: bytes) -> Profile | None:
    if len(icc) < 132 or icc[36:40] != b"acsp":
        return None
    channels = {b"RGB ": 3, b"GRAY": 1}.get(icc[16:20])
    if channels is None or icc[12:16] not in (b"scnr", b"mntr", b"prtr", b"spac"):
        return None
    tags = _tags(icc)
    if b"A2B0" in tags or (channels == 1 and icc[20:24] == b"Lab "):  # kTRC then gives L*, not light
        return Profile(channels, tables=True)
    if channels == 1:
        curve = _curve(tags[b"kTRC"]) if b"kTRC" in tags else None
        if curve is None:
            return None
        return Profile(1, (curve,), is_srgb=_is_srgb_curve(curve))
    names = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    if icc[20:24] != b"XYZ " or not all(name in tags for name in names):
        return None
    columns = np.array([_xyz(tags[name]) for name in names[:3]]).T
    curves = tuple(_curve(tags[name]) for name in names[3:])
    # No matrix product: the rounding of BLAS may depend on the processor.
    matrix = sum(_FROM_XYZ[:, k : k + 1] * columns[k : k + 1] for k in range(3))
    if abs(columns.sum(axis=1) - [0.9642, 1.0, 0.8249]).max() > 0.1:
        return None  # the colorants do not add up to white, so the profile is broken
    if abs(matrix).max() > _LARGEST:
        return None
    near = abs(matrix - np.eye(3)).max() < _MATRIX_TOLERANCE
    return Profile(3, curves, matrix, is_srgb=bool(near and all(map(_is_srgb_curve, curves))))


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """Return the contents of the tags by signature, without tags that extend beyond the profile's end."""
    count = int.from_bytes(icc[128:132], "big")
    tags: dict[bytes, bytes] = {}
    for i in range(min(count, 200)):
        entry = icc[132 + 12 * i : 144 + 12 * i]
        start, size = int.from_bytes(entry[4:8], "big"), int.from_bytes(entry[8:12], "big")
        if len(entry) == 12 and size >= 8 and start + size <= len(icc):
            tags.setdefault(entry[:4], icc[start : start + size])
    return tags


def _fixed(data: bytes) -> list[float]:
    """Return s15Fixed16Numbers as floats."""
    return [int(v) / 65536.0 for v in np.frombuffer(data[: len(data) // 4 * 4], ">i4")]


def _xyz(tag: bytes) -> list[float]:
    if tag[:4] != b"XYZ " or len(tag) < 20:
        raise ValueError("no XYZType")
    return _fixed(tag[8:20])


def _curve(tag: bytes) -> Curve:
    curve = _any_curve(tag)
    if abs(curve(np.arange(257) / 256.0)).max() > _LARGEST:
        raise ValueError("light far beyond any display")
    return curve


def _any_curve(tag: bytes) -> Curve:
    if tag[:4] == b"curv":
        count = int.from_bytes(tag[8:12], "big")
        if count > _MAX_POINTS or len(tag) < 12 + 2 * count:
            raise ValueError("curve without its points")
        points = np.frombuffer(tag, ">u2", count, 12)
        if count == 0:
            return _Parametric(1.0)
        if count == 1:
            return _gamma(int(points[0]) / 256.0)
        return _Sampled(tuple((points / 65535.0).tolist()))
    if tag[:4] == b"para":
        kind = int.from_bytes(tag[8:10], "big")
        count = (1, 3, 4, 5, 7)[kind]
        values = _fixed(tag[12 : 12 + 4 * count])
        if len(values) < count or not 0 < values[0] <= 16:
            raise ValueError("parametric curve without its parameters")
        if kind == 0:
            return _gamma(values[0])
        g, a, b, *rest = values
        if kind in (1, 2):
            if a == 0:
                raise ValueError("parametric curve without slope")
            e = rest[0] if kind == 2 else 0.0
            return _Parametric(g, a, b, 0.0, -b / a, e, e)
        return _Parametric(g, a, b, *rest)
    raise ValueError("neither curveType nor parametricCurveType")


def _gamma(g: float) -> Curve:
    if not 0 < g <= 16:
        raise ValueError(f"gamma {g}")
    return _Parametric(g)


def _is_srgb_curve(curve: Curve) -> bool:
    codes = np.arange(257) / 256.0
    return bool(abs(curve(codes) - _exact_srgb_curve(codes)).max() < _CURVE_TOLERANCE)
