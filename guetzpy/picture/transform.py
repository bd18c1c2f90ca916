"""Transform planes of codes to linear light.

Codes are the values of a file (uint8, uint16), or fractions of them (float32 on the 0..255 scale). A
:class:`Transform` maps them to linear light with the primaries of sRGB, where 1.0 is white. Values outside
sRGB's gamut are below 0 or above 1 and are not clipped, so that a comparison of two pictures includes them.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from guetzpy._runtime.kernel import kernel
from guetzpy._runtime.threads import each
from guetzpy.picture.icc import Curve, parse, slope_of, srgb_curve

__all__ = ["Codes", "Floats", "Transform"]

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]

_CHUNK = 1 << 18  # values per task of a thread


@kernel("int64(uint8[::1], float32[::1], float32[::1])")
def _lookup8(codes: Any, table: Any, out: Any) -> int:
    for i in range(codes.shape[0]):
        out[i] = table[np.int64(codes[i])]
    return 0


@kernel("int64(uint8[::1], float32[::1], float32[::1], float32[::1])")
def _lookup8_times(codes: Any, table: Any, factors: Any, out: Any) -> int:
    for i in range(codes.shape[0]):
        out[i] = table[np.int64(codes[i])] * factors[i]
    return 0


@kernel("int64(uint16[::1], float32[::1], float32[::1])")
def _lookup16(codes: Any, table: Any, out: Any) -> int:
    for i in range(codes.shape[0]):
        out[i] = table[np.int64(codes[i])]
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1])")
def _interpolate(codes: Any, table: Any, out: Any) -> int:
    # Linear interpolation of a curve f at intervals h has an error of at most f'' h^2 / 8: 1e-10 for sRGB
    # and 65535 intervals.
    last = table.shape[0] - 1
    for i in range(codes.shape[0]):
        # In this order of arguments, min and max turn NaN into 0, which is a valid index.
        position = np.float64(min(max(np.float32(0.0), codes[i]), np.float32(255.0))) * (last / 255.0)
        # Codes of 8 or 16 bits as float32 differ from a multiple of 1/65535 by up to 0.008 of that step.
        nearest = np.rint(position)
        if abs(position - nearest) < 0.01:
            out[i] = table[np.int64(nearest)]
            continue
        k = min(np.int64(position), last - 1)
        low = np.float64(table[k])
        out[i] = np.float32(low + (position - k) * (np.float64(table[k + 1]) - low))
    return 0


@kernel("int64(float32[::1], float32[::1], float32[::1], float64[:, ::1])")
def _mix(red: Any, green: Any, blue: Any, matrix: Any) -> int:
    for i in range(red.shape[0]):
        r = np.float64(red[i])
        g = np.float64(green[i])
        b = np.float64(blue[i])
        red[i] = np.float32(matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b)
        green[i] = np.float32(matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b)
        blue[i] = np.float32(matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b)
    return 0


@functools.lru_cache(maxsize=24)
def _tables(curve: Curve, size: int) -> tuple[Floats, Floats]:
    """Return a curve's values at ``size`` codes from 0 to 1, and its slopes per step of 1/255."""
    # Rounded as in libjxl: code times the rounded reciprocal of the largest code.
    codes = (np.arange(size, dtype=np.float32) * np.float32(1.0 / (size - 1))).astype(np.float64)
    values, slopes = curve(codes).astype(np.float32), (slope_of(curve, codes) / 255.0).astype(np.float32)
    if size > 256:  # 16-bit code 257 k has exactly the light of 8-bit code k
        step = (size - 1) // 255
        values[::step], slopes[::step] = _tables(curve, 256)
    return values, slopes


@dataclass(frozen=True, eq=False)
class Transform:
    """A map from codes to linear light with the primaries of sRGB.

    Attributes
    ----------
    curves : tuple of callables
        One tone curve (for gray, or for all channels) or three, from codes 0..1 to light 0..1.
    matrix : ndarray of float64, shape (3, 3), optional
        From linear light with the picture's primaries to that with sRGB's; None for sRGB and gray.
    channels : int, optional
        1 or 3, the number of channels that the transform is for; planes of another number count as sRGB.
        None for any number.
    tables : bytes, optional
        A profile with tables of several dimensions, which lcms applies in 8 bits.
    """

    curves: tuple[Curve, ...] = (srgb_curve,)
    matrix: npt.NDArray[np.float64] | None = None
    channels: int | None = None
    tables: bytes | None = None

    @classmethod
    def from_icc(cls, icc: bytes | None) -> Transform:
        """Return the transform of an ICC profile; a missing or broken one counts as sRGB.

        Profiles with matrix and tone curves are applied in floating point without clipping, as in libjxl.
        Profiles that equal sRGB except for rounding count as exactly sRGB. lcms applies profiles with
        tables. Profiles of other classes (CMYK, device links) count as sRGB.
        """
        profile = parse(bytes(icc)) if icc else None
        if profile is None or profile.is_srgb:
            return _SRGB
        if profile.tables:
            usable = icc is not None and _lcms(bytes(icc), profile.channels) is not None
            return cls(channels=profile.channels, tables=bytes(icc or b"")) if usable else _SRGB
        return cls(profile.curves, profile.matrix, profile.channels)

    @property
    def is_srgb(self) -> bool:
        """Whether the codes are those of sRGB."""
        return self.curves == (srgb_curve,) and self.matrix is None and self.tables is None

    def linear(self, planes: Codes, *, threads: int | None = None, out: Floats | None = None) -> Floats:
        """Return the linear light of codes.

        Parameters
        ----------
        planes : ndarray, shape (1, H, W) or (3, H, W)
            Codes: uint8, uint16 (0..65535), or float32 on the 0..255 scale (clamped to it).
        threads : int, optional
            Number of threads; default: the processors available.
        out : ndarray of float32, shape (3, H, W), optional
            Array for the result; each plane must be C-contiguous.

        Returns
        -------
        ndarray of float32, shape (3, H, W)
            Light, 1.0 = white, not clipped. A gray picture has three equal planes.
        """
        planes = _checked(planes)
        if self.channels not in (None, len(planes)):
            return _SRGB.linear(planes, threads=threads, out=out)
        if self.tables is not None:
            return _SRGB.linear(self._managed(planes), threads=threads, out=out)
        if out is None:
            out = np.empty((3, *planes.shape[1:]), np.float32)
        elif out.shape != (3, *planes.shape[1:]) or out.dtype != np.float32 or not out[0].flags.c_contiguous:
            raise ValueError("out must be float32 of shape (3, H, W), each plane C-contiguous")
        self._look_up(planes, out[: planes.shape[0]], 0, threads)
        if planes.shape[0] == 1:
            out[1:] = out[0]
        elif self.matrix is not None:
            _multiply(out, self.matrix, threads)
        return out

    def pull_back(self, gradient: Floats, planes: Codes, *, threads: int | None = None) -> Floats:
        """Map a gradient with respect to linear light to one with respect to codes.

        It is the adjoint of the derivative of :meth:`linear`.

        Parameters
        ----------
        gradient : ndarray of float32, shape (3, H, W)
            Gradient with respect to linear light.
        planes : ndarray, shape (1, H, W) or (3, H, W)
            The codes at which the gradient was computed.
        threads : int, optional
            Number of threads; default: the processors available.

        Returns
        -------
        ndarray of float32, shape of ``planes``
            Gradient with respect to codes on the 0..255 scale, for any dtype of ``planes``.
        """
        planes = _checked(planes)
        if self.channels not in (None, len(planes)):
            return _SRGB.pull_back(gradient, planes, threads=threads)
        if self.tables is not None:  # the derivative of lcms' conversion of codes is taken as 1
            by_codes = _SRGB.pull_back(gradient, self._managed(planes), threads=threads)
            return by_codes if len(planes) == 3 else by_codes.sum(axis=0, keepdims=True)
        gradient = np.asarray(gradient, np.float32)
        if gradient.shape != (3, *planes.shape[1:]):
            raise ValueError(f"gradient of shape {gradient.shape} for planes of shape {planes.shape}")
        out = np.empty(planes.shape, np.float32)
        if planes.shape[0] == 1:
            gradient = (gradient[0] + gradient[1] + gradient[2])[None]
        elif self.matrix is not None:
            gradient = np.array(gradient, order="C")
            _multiply(gradient, self.matrix.T, threads)
        self._look_up(planes, out, 1, threads, gradient)
        return out

    def _managed(self, planes: Codes) -> npt.NDArray[np.uint8]:
        """Return the sRGB codes, shape (3, H, W), to which lcms converts planes."""
        from PIL import Image, ImageCms

        if planes.dtype == np.uint16:
            planes = ((planes.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
        elif planes.dtype == np.float32:
            planes = np.rint(np.clip(planes, 0, 255)).astype(np.uint8)
        image = Image.fromarray(
            planes[0] if len(planes) == 1 else np.ascontiguousarray(np.moveaxis(planes, 0, 2))
        )
        assert self.tables is not None
        managed = ImageCms.applyTransform(image, _lcms(self.tables, len(planes)))
        return np.ascontiguousarray(np.moveaxis(np.asarray(managed), 2, 0))

    def _look_up(
        self, planes: Codes, out: Floats, which: int, threads: int | None, factors: Floats | None = None
    ) -> None:
        """Write the light of codes (``which`` 0) or its slope (``which`` 1), times the factors if given."""
        if planes.dtype == np.uint8:
            function, size = _lookup8, 256
        else:
            function, size = (_lookup16 if planes.dtype == np.uint16 else _interpolate), 65536
        # numba treats a read-only array as another type
        flat = [np.require(plane, requirements=["C", "W"]).reshape(-1) for plane in planes]
        target = [plane.reshape(-1) for plane in out]  # views
        tables = [_tables(self.curves[c % len(self.curves)], size)[which] for c in range(len(planes))]
        by: list[Floats] = []
        if factors is not None:
            by = [np.require(plane, requirements=["C", "W"]).reshape(-1) for plane in factors]

        def chunk(item: tuple[int, int]) -> None:
            c, start = item
            part = slice(start, start + _CHUNK)
            if by and function is _lookup8:
                _lookup8_times(flat[c][part], tables[c], by[c][part], target[c][part])
                return
            function(flat[c][part], tables[c], target[c][part])
            if by:
                target[c][part] *= by[c][part]

        each(chunk, [(c, i) for c in range(len(planes)) for i in range(0, flat[0].size, _CHUNK)], threads)


_SRGB = Transform()


@functools.lru_cache(maxsize=8)
def _lcms(icc: bytes, channels: int) -> Any:
    """Return lcms' transform from a profile to sRGB codes; None if lcms refuses the profile."""
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(profile))
        return ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), "RGB" if channels == 3 else "L", "RGB", intent
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _checked(planes: Codes) -> Codes:
    if planes.dtype not in (np.uint8, np.uint16, np.float32):
        raise TypeError(f"planes of {planes.dtype}; expected uint8, uint16 or float32")
    if planes.ndim != 3 or planes.shape[0] not in (1, 3) or planes.size == 0:
        raise ValueError(f"planes of shape {planes.shape}; expected (1, H, W) or (3, H, W)")
    return planes


def _multiply(planes: Floats, matrix: npt.NDArray[np.float64], threads: int | None) -> None:
    r, g, b = (plane.reshape(-1) for plane in planes)
    matrix = np.array(matrix, np.float64, order="C")

    def chunk(i: int) -> None:
        _mix(r[i : i + _CHUNK], g[i : i + _CHUNK], b[i : i + _CHUNK], matrix)

    each(chunk, range(0, r.size, _CHUNK), threads)
