"""Arrays by imageio, scikit-image and NumPy: all bits are used, and arrays of other kinds are refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from imageio.config import known_plugins
from PIL import Image

import guetzpy
from guetzpy.integrations import imageio as plugin
from guetzpy.integrations import skimage


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def _registered() -> Iterator[None]:
    before = dict(known_plugins)
    plugin.register()
    yield
    known_plugins.clear()
    known_plugins.update(before)


@pytest.mark.usefixtures("_registered")
def test_imageio_by_class_and_by_name(photo_array: np.ndarray, tmp_path: Path) -> None:
    wanted = guetzpy.optimize(photo_array, distance=2.0).data
    iio.imwrite(tmp_path / "a.jpg", photo_array, plugin=plugin.GuetzpyPlugin, distance=2.0)
    iio.imwrite(tmp_path / "b.jpg", photo_array, plugin="guetzpy", distance=2.0)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes() == wanted
    assert iio.imwrite("<bytes>", photo_array, plugin="guetzpy", extension=".jpg", distance=2.0) == wanted
    file = io.BytesIO()
    iio.imwrite(file, photo_array, plugin="guetzpy", extension=".jpg", distance=2.0)
    assert file.getvalue() == wanted
    assert iio.imread(tmp_path / "a.jpg").shape == photo_array.shape  # by imageio's own plugins


@pytest.mark.usefixtures("_registered")
def test_imageio_writes_only(tmp_path: Path, photo_array: np.ndarray) -> None:
    (tmp_path / "a.jpg").write_bytes(guetzpy.optimize(photo_array, effort="fast").data)
    with pytest.raises(OSError, match="can not handle"):
        iio.imread(tmp_path / "a.jpg", plugin="guetzpy")


@pytest.mark.usefixtures("_registered")
def test_imageio_failure_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"precious")
    with pytest.raises(TypeError, match="int64"):
        iio.imwrite(tmp_path / "a.jpg", np.zeros((16, 16), np.int64), plugin="guetzpy")
    with pytest.raises(ValueError, match="shape"):
        iio.imwrite(tmp_path / "a.jpg", np.zeros((5, 16, 16, 3), np.uint8), plugin="guetzpy")
    assert (tmp_path / "a.jpg").read_bytes() == b"precious"


def test_skimage_arrays_in_and_out(photo_array: np.ndarray, tmp_path: Path) -> None:
    from skimage.util import img_as_float64

    seen = skimage.compressed(img_as_float64(photo_array), distance=1.0)
    assert seen.shape == photo_array.shape
    assert seen.dtype == np.uint8
    assert guetzpy.metrics.ssimulacra2(photo_array, seen) > 80
    result = skimage.imsave(tmp_path / "a.jpg", photo_array[:, :, 0], distance=1.0)
    assert result.subsampling == "gray"
    assert (tmp_path / "a.jpg").read_bytes() == result.data
    seen[:] = 0  # the array is a writable copy


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.bool_])
def test_kinds_of_skimage_mean_what_img_as_ubyte_makes_of_them(photo_array: np.ndarray, dtype: Any) -> None:
    from skimage.util import img_as_ubyte

    array = (photo_array > 128) if dtype is np.bool_ else (photo_array / 255).astype(dtype)
    ours = skimage.compressed(array, distance=0.5, subsampling="444").astype(int)
    assert np.abs(ours - img_as_ubyte(array.astype(float) if dtype is np.float16 else array)).mean() < 2


@pytest.mark.parametrize("form", ["uint16", "big-endian", "float"])
def test_sixteen_bits_beat_a_detour_by_eight(form: str) -> None:
    """In a smooth sky, 8 bits have steps that are coded as edges; 16 bits have none."""
    y, x = np.mgrid[0:128, 0:192]
    sky = 20000 + 40 * x + 25 * y
    deep = np.stack([sky, 1.07 * sky, 1.3 * sky], -1).astype(np.uint16)
    truth = deep / 257.0
    source = {"uint16": deep, "big-endian": deep.astype(">u2"), "float": truth / 255}[form]

    def outcome(array: np.ndarray) -> tuple[int, float]:
        data = guetzpy.optimize(array, distance=0.3).data
        return len(data), float(np.sqrt(np.mean((decoded(data) - truth) ** 2)))

    size, error = outcome(source)
    detour_size, detour_error = outcome(np.rint(truth).astype(np.uint8))
    assert error < 1.02 * detour_error
    assert size < 0.95 * detour_size


def png16(array: np.ndarray) -> bytes:
    """Return a PNG of 16-bit RGB, which Pillow does not write."""
    import struct
    import zlib

    height, width, _ = array.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_png_of_sixteen_bits_is_the_array(tmp_path: Path) -> None:
    y, x = np.mgrid[0:40, 0:56]
    deep = np.stack([20000 + 31 * x, 24000 + 17 * y, 30000 + 5 * x], -1).astype(np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(png16(deep))
    assert guetzpy.optimize(path).data == guetzpy.optimize(deep).data


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros((8, 8), np.int64), TypeError, r"int64.*astype\(numpy.uint8\)"),
        (np.zeros((8, 8, 3), np.int8), TypeError, "int8.*img_as_ubyte"),
        (np.zeros((8, 8), np.uint32), TypeError, "uint32.*uint16"),
        (np.zeros((8, 8), np.complex128), TypeError, r"complex128.*numpy.abs"),
        (np.zeros((8, 8), object), TypeError, "object.*numpy.stack"),
        (np.zeros((8, 8), "datetime64[s]"), TypeError, "datetime64.*uint8"),
        (np.full((8, 8), 200.0), ValueError, "scale it to 0..1"),
        (np.full((8, 8), np.nan), ValueError, "NaN"),
        (np.zeros((3, 8, 8), np.uint8), ValueError, r"moveaxis\(a, 0, -1\)"),
        (np.zeros((8, 8, 2), np.uint8), ValueError, "shape"),
        (np.zeros((2, 8, 8, 3), np.uint8), ValueError, "shape"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, "shape"),
        (np.zeros((8,), np.uint8), ValueError, "shape"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_fix(array: np.ndarray, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        guetzpy.optimize(array)


@pytest.mark.parametrize("method", ["read", "iter", "properties", "metadata"])
def test_imageio_is_told_that_nothing_is_read(method: str) -> None:
    with pytest.raises(NotImplementedError, match="guetzpy writes only"):
        getattr(plugin.GuetzpyPlugin, method)(None)
