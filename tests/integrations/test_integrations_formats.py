"""Reading of HEIC, AVIF, JPEG XL and RAW by their packages; colours are kept or converted to sRGB."""

from __future__ import annotations

import importlib.util
import io
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features
from reference.format_files import P3, decoded, exif_of

import guetzpy
from guetzpy.engine.loading import load
from guetzpy.options import OptimizeOptions
from guetzpy.picture import formats
from guetzpy.picture.cicp import code_points

assert P3 is not None


def need(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def shown(data: bytes) -> np.ndarray:
    """Return the picture as a viewer shows it: rotated by the Orientation of its Exif."""
    from PIL import ImageOps

    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)).convert("RGB")))


# What a file is


def test_tiff_is_raw_only_if_it_holds_a_sensors_data(picture: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "TIFF")
    assert formats.kind_of(file.getvalue()) is None
    data = dng(picture)
    assert formats.kind_of(data) == "RAW"
    # Besides DNG's version tag, a colour filter array shows that a TIFF is RAW, also in a sub-directory.
    assert formats.kind_of(data.replace(struct.pack("<H", 0xC612), struct.pack("<H", 0xC6FF))) == "RAW"


@pytest.mark.parametrize("seed", range(20))
def test_broken_tiff_structures_end(picture: np.ndarray, seed: int) -> None:
    dice = np.random.default_rng(seed)
    data = bytearray(dng(picture)[:400])
    for place in dice.integers(4, len(data), 12):
        data[place] = dice.integers(0, 256)
    assert formats.kind_of(bytes(data)) in (None, "RAW")


def test_directories_in_circles_end() -> None:
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x014A, 4, 1, 8, 8)
    assert formats.kind_of(loop) is None


# What is missing


@pytest.mark.parametrize(
    ("data", "modules", "extra"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ["pillow_heif"], "heic"),
        (b"\xff\x0a\xfa\x1f" + bytes(40), ["pillow_jxl", "pillow_jxl.JpegXLImagePlugin"], "jxl"),
        (b"FUJIFILMCCD-RAW 0201", ["rawpy"], "raw"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", [], "avif"),
    ],
)
def test_missing_extra_is_named(
    data: bytes, modules: list[str], extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(features, "check", lambda name: False)
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    with pytest.raises(guetzpy.UnsupportedError, match=rf'pip install "guetzpy\[{extra}\]"') as caught:
        guetzpy.optimize(path)
    assert str(caught.value).startswith(str(path))


# HEIC


def heic(array: np.ndarray, mode: str = "RGB", **keys: Any) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    image = pillow_heif.from_bytes(mode, (array.shape[1], array.shape[0]), array.tobytes())
    image.save(file, quality=-1, chroma=444, **keys)
    return file.getvalue()


@pytest.mark.integrations
def test_heic(picture: np.ndarray) -> None:
    need("pillow_heif")
    before = "HEIF" in Image.OPEN
    result = guetzpy.optimize(heic(picture, exif=exif_of(), xmp=b"<x:xmpmeta/>"), distance=0.5)
    assert ("HEIF" in Image.OPEN) is before  # nothing is registered with Pillow
    assert np.abs(decoded(result.data).astype(int) - picture).mean() < 6
    read = Image.open(io.BytesIO(result.data))
    assert read.getexif()[0x010F] == "a maker"
    assert read.info["xmp"] == b"<x:xmpmeta/>"


@pytest.mark.integrations
def test_heic_of_several_pictures(picture: np.ndarray) -> None:
    need("pillow_heif")
    import pillow_heif

    file = io.BytesIO()
    image = pillow_heif.from_bytes("RGB", (64, 48), picture.tobytes())
    image.add_frombytes("RGB", (64, 48), picture.tobytes())
    image.save(file)
    with pytest.raises(guetzpy.UnsupportedError, match="HEIC with 2 pictures"):
        guetzpy.optimize(file.getvalue())


@pytest.mark.integrations
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_is_turned_once(picture: np.ndarray, orientation: int) -> None:
    need("pillow_heif")
    from PIL import ImageOps

    plain = Image.fromarray(picture)
    plain.info["exif"] = exif_of(orientation)
    wanted = np.asarray(ImageOps.exif_transpose(plain)).astype(int)
    data = guetzpy.optimize(heic(picture, exif=exif_of(orientation)), effort="fast").data
    assert Image.open(io.BytesIO(data)).getexif().get(0x0112, 1) == 1
    assert np.abs(shown(data) - wanted).mean() < 8


@pytest.mark.integrations
def test_heic_of_ten_bits_keeps_them() -> None:
    need("pillow_heif")
    y, x = np.mgrid[0:64, 0:64]
    deep = np.stack([16000 + 64 * x, 18000 + 64 * y, 20000 + 32 * (x + y)], -1).astype(np.uint16)
    source = load(heic(deep, "RGB;16"))
    assert source.codes is not None
    assert source.codes.dtype == np.uint16
    error = source.codes.transpose(1, 2, 0) - deep.astype(float)
    assert np.abs(error).mean() < 96  # 8 bits would have 128 or more by rounding alone


@pytest.mark.integrations
def test_heic_colours_by_code_points(picture: np.ndarray) -> None:
    need("pillow_heif")
    wide = heic(picture, color_primaries=12, transfer_characteristics=13)
    assert code_points(wide) == (12, 13)
    data = guetzpy.optimize(wide, effort="fast").data
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == P3
    with pytest.raises(guetzpy.UnsupportedError, match="PQ"):
        guetzpy.optimize(heic(picture, color_primaries=9, transfer_characteristics=16))
    plain = guetzpy.optimize(heic(picture), effort="fast").data
    assert "icc_profile" not in Image.open(io.BytesIO(plain)).info


@pytest.mark.integrations
@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "L"])
def test_heic_modes(picture: np.ndarray, mode: str) -> None:
    need("pillow_heif")
    image = Image.fromarray(picture).convert("RGBA")
    image.putalpha(128)
    array = np.asarray(image.convert("RGB").convert(mode) if mode == "L" else image.convert(mode))
    if mode != "L":
        with pytest.raises(guetzpy.UnsupportedError, match="background"):
            guetzpy.optimize(heic(array, mode))
    result = guetzpy.optimize(heic(array, mode), effort="fast", background="white")
    assert (result.width, result.height) == (64, 48)
    if mode != "L":
        assert np.abs(decoded(result.data) - (picture / 2 + 127.5)).mean() < 6


# AVIF and JPEG XL


@pytest.mark.parametrize("orientation", [None, 1, 6])
def test_avif(picture: np.ndarray, orientation: int | None) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    file = io.BytesIO()
    Image.fromarray(picture).save(
        file, "AVIF", quality=100, subsampling="4:4:4", exif=exif_of(orientation), icc_profile=P3
    )
    data = guetzpy.optimize(file.getvalue(), distance=0.5).data
    read = Image.open(io.BytesIO(data))
    assert read.info["icc_profile"] == P3
    assert read.getexif()[0x010F] == "a maker"
    assert np.abs(shown(data).astype(int) - shown(file.getvalue())).mean() < 6
    film = io.BytesIO()
    frames = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    frames[0].save(film, "AVIF", save_all=True, append_images=frames[1:])
    with pytest.raises(guetzpy.UnsupportedError, match="2 frames"):
        guetzpy.optimize(film.getvalue())


def test_avif_of_high_range_is_refused(picture: np.ndarray) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "AVIF")
    data = bytearray(file.getvalue())
    place = data.find(b"colrnclx")
    data[place + 8 : place + 12] = struct.pack(">HH", 9, 18)
    with pytest.raises(guetzpy.UnsupportedError, match="HLG"):
        guetzpy.optimize(bytes(data))


@pytest.mark.integrations
@pytest.mark.parametrize("size", [(64, 48), (320, 8), (300, 200), (48, 48)])
@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl(picture: np.ndarray, size: tuple[int, int], container: bool) -> None:
    need("pillow_jxl")
    import pillow_jxl  # noqa: F401 - registers itself, for the writing here

    array = np.asarray(Image.fromarray(picture).resize(size))
    file = io.BytesIO()
    keys = {"exif": exif_of(6 if size[0] > 64 else 1)} if container else {}
    Image.fromarray(array).save(file, "JXL", lossless=True, use_container=container, **keys)
    data = file.getvalue()
    assert formats._jxl_size(data) == size
    result = guetzpy.optimize(data, distance=0.5)
    assert np.abs(decoded(result.data).astype(int) - array).mean() < 6
    read = Image.open(io.BytesIO(result.data))
    assert read.getexif().get(0x0112, 1) == 1  # JPEG XL has the orientation in the codestream, not in Exif
    if container:
        assert read.getexif()[0x010F] == "a maker"
    with pytest.raises(guetzpy.LimitError):
        guetzpy.optimize(data, max_pixels=100)


# RAW


def dng(array: np.ndarray, orientation: int = 1, width: int = 128, height: int = 96) -> bytes:
    """Return a DNG with the mosaic of a picture of one colour in each quarter."""
    scene = np.zeros((height, width, 3))
    scene[: height // 2, : width // 2] = (0.5, 0.02, 0.02)  # red, top left
    scene[: height // 2, width // 2 :] = (0.02, 0.5, 0.02)
    scene[height // 2 :, : width // 2] = (0.02, 0.02, 0.5)
    scene[height // 2 :, width // 2 :] = 0.5
    mosaic = np.empty((height, width))
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = scene[0::2, 0::2, 0] * 0.5, scene[1::2, 1::2, 2] * 0.8
    mosaic[0::2, 1::2], mosaic[1::2, 0::2] = scene[0::2, 1::2, 1], scene[1::2, 0::2, 1]
    strip = np.rint(mosaic * 65535).astype("<u2").tobytes()

    xyz_to_camera = [3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570]
    rational = b"".join(struct.pack("<ii", round(v * 10000), 10000) for v in xyz_to_camera)
    neutral = struct.pack("<6I", 5, 10, 1, 1, 8, 10)  # the sensor's response to red is 0.5 and to blue 0.8
    note = b"x" * 70000  # maker notes of cameras are as large

    def exif_directory(start: int) -> bytes:
        entries = [(0x9003, 2, 20, b"2026:01:02 03:04:05\0"), (0x927C, 7, len(note), note)]
        return directory(entries, start)

    def entries_with(strip_at: int, exif_at: int) -> list[tuple[int, int, int, bytes]]:
        def long(value: int) -> bytes:
            return struct.pack("<I", value)

        def short(*values: int) -> bytes:
            return struct.pack(f"<{len(values)}H", *values)

        return [
            (0x00FE, 4, 1, long(0)), (0x0100, 4, 1, long(width)), (0x0101, 4, 1, long(height)),
            (0x0102, 3, 1, short(16)), (0x0103, 3, 1, short(1)), (0x0106, 3, 1, short(32803)),
            (0x010F, 2, 8, b"a maker\0"), (0x0110, 2, 8, b"a model\0"), (0x0111, 4, 1, long(strip_at)),
            (0x0112, 3, 1, short(orientation)), (0x0115, 3, 1, short(1)), (0x0116, 4, 1, long(height)),
            (0x0117, 4, 1, long(len(strip))), (0x828D, 3, 2, short(2, 2)), (0x828E, 1, 4, b"\0\1\1\2"),
            (0x8769, 4, 1, long(exif_at)), (0xC612, 1, 4, b"\1\4\0\0"), (0xC614, 2, 8, b"a model\0"),
            (0xC621, 10, 9, rational), (0xC628, 5, 3, neutral), (0xC65A, 3, 1, short(21)),
        ]  # fmt: skip

    exif_at = 8 + len(directory(entries_with(0, 0), 8))
    strip_at = exif_at + len(exif_directory(exif_at))
    head = directory(entries_with(strip_at, exif_at), 8)
    return b"II*\0\x08\0\0\0" + head + exif_directory(exif_at) + strip


def directory(entries: list[tuple[int, int, int, bytes]], start: int) -> bytes:
    """Return a TIFF directory that begins at ``start``, followed by its longer values."""
    table, values = struct.pack("<H", len(entries)), b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        table += struct.pack("<HHI", tag, kind, count)
        if len(value) <= 4:
            table += value.ljust(4, b"\0")
        else:
            table += struct.pack("<I", behind + len(values))
            values += value + b"\0" * (len(value) % 2)
    return table + b"\0\0\0\0" + values


@pytest.mark.integrations
@pytest.mark.parametrize(
    ("orientation", "corner", "size"),
    [(1, (0, 0), (128, 96)), (3, (-1, -1), (128, 96)), (6, (0, -1), (96, 128))],
)
def test_raw(
    picture: np.ndarray, orientation: int, corner: tuple[int, int], size: tuple[int, int], tmp_path: Path
) -> None:
    need("rawpy")
    path = tmp_path / "a.dng"
    path.write_bytes(dng(picture, orientation))
    source = load(path)
    assert source.codes is not None
    assert source.codes.dtype == np.uint16
    result = guetzpy.optimize(path, distance=0.5)
    read = Image.open(io.BytesIO(result.data))
    assert read.size == size
    seen = shown(result.data)
    assert seen.shape[1::-1] == size  # rotated once, by the decoder
    y, x = (24 if edge == 0 else seen.shape[axis] - 24 for axis, edge in enumerate(corner))
    red, green, blue = seen[y, x].astype(int)
    assert red > 2 * max(green, blue)
    white = seen[seen.shape[0] - 1 - y, seen.shape[1] - 1 - x].astype(int)
    assert np.ptp(white) < 12  # by the camera's white balance; the mosaic itself is green
    exif = read.getexif()
    assert exif[0x010F] == "a maker"
    assert exif.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    assert exif.get(0x0112, 1) == 1
    assert len(read.info["exif"]) < 2000  # without the maker note, which exceeds a JPEG segment
    assert "icc_profile" not in read.info
    with pytest.raises(guetzpy.LimitError):
        guetzpy.optimize(path, max_pixels=100)


@pytest.mark.integrations
def test_raw_with_a_preview(picture: np.ndarray) -> None:
    """The RAW file's own Exif has precedence over that of the preview, which lacks the model."""
    need("rawpy")
    data = dng(picture)
    preview = io.BytesIO()
    Image.fromarray(picture).resize((128, 96)).save(preview, "JPEG", exif=exif_of(6))
    sizes = [(0x0100, 128), (0x0101, 96), (0x0102, 8), (0x0103, 6), (0x0115, 3)]
    places = [(0x0201, len(data) + 2 + 12 * 7 + 4), (0x0202, len(preview.getvalue()))]
    rows = [(tag, 4, 1, struct.pack("<I", value)) for tag, value in sizes + places]
    following = 10 + 12 * int.from_bytes(data[8:10], "little")  # the offset of the next directory
    data = data[:following] + struct.pack("<I", len(data)) + data[following + 4 :]
    result = guetzpy.optimize(data + directory(rows, len(data)) + preview.getvalue(), effort="fast")
    exif = Image.open(io.BytesIO(result.data)).getexif()
    assert (exif[0x0110], exif[0x0112]) == ("a model", 1)


@pytest.mark.integrations
def test_raw_that_is_broken(picture: np.ndarray) -> None:
    need("rawpy")
    data = dng(picture)
    for broken in (data[: len(data) // 2], data[:300], b"FUJIFILMCCD-RAW 0201" + bytes(400)):
        with pytest.raises((guetzpy.FormatError, guetzpy.UnsupportedError)):
            guetzpy.optimize(broken)


@pytest.mark.integrations
def test_folder_of_all_kinds(picture: np.ndarray, tmp_path: Path) -> None:
    need("rawpy")
    need("pillow_heif")
    place = tmp_path / "in"
    place.mkdir()
    (place / "a.dng").write_bytes(dng(picture))
    (place / "b.heic").write_bytes(heic(picture))
    (place / "c.HIF").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50))
    Image.fromarray(picture).save(place / "d.avif")
    results = {
        Path(r.input or "").name: r
        for r in guetzpy.batch.run(place, tmp_path / "out", OptimizeOptions(), jobs=1)
    }
    assert results["a.dng"].output == str(tmp_path / "out" / "a.jpg")
    assert results["b.heic"].status in ("optimized", "kept")
    assert results["c.HIF"].status == "failed"
    assert results["d.avif"].status in ("optimized", "kept")
