"""Loading of pictures of all kinds as planes of codes or as coefficients."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

import guetzpy
from guetzpy.engine.loading import load
from guetzpy.engine.source import Source
from guetzpy.errors import FormatError, LimitError, UnsupportedError
from guetzpy.jpeg.header import is_jpeg
from guetzpy.jpeg.metadata.policy import Policy, kind_of
from guetzpy.jpeg.structure import Segment
from guetzpy.picture.reading import contents


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def photo(photo_array: np.ndarray) -> Image.Image:
    return Image.fromarray(photo_array)


def planes(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.atleast_3d(array), 2, 0)


def test_all_ways_in_give_the_same(photo: Image.Image, photo_array: np.ndarray, tmp_path: Path) -> None:
    data = encoded(photo, "PNG")
    path = tmp_path / "name.jpg"  # the contents decide
    path.write_bytes(data)
    sources = [load(data), load(bytearray(data)), load(path), load(str(path)), load(photo), load(photo_array)]
    with path.open("rb") as stream:
        sources.append(load(stream))
    for source in sources:
        assert source.kind == "pixels"
        assert (source.width, source.height) == (128, 96)
        assert np.array_equal(source.planes(), planes(photo_array))
    assert [s.bytes_before for s in sources] == [len(data)] * 4 + [None, None, len(data)]
    assert [s.name for s in sources] == [None, None, str(path), str(path), None, None, str(path)]
    assert load(data, name="other").name == "other"


def test_open_file_is_read_from_its_start(photo_array: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(photo_array).save(stream, "PNG")
    for place in (stream.tell(), 0, 10):
        stream.seek(place)
        assert contents(stream) == (stream.getvalue(), None)


def test_pipe_is_read_from_where_it_is(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"skip" + b"data")
    os.close(writer)
    with open(reader, "rb") as stream:
        assert stream.read(4) == b"skip"
        assert contents(stream)[0] == b"data"


def test_object_that_can_only_be_read() -> None:
    class Body:
        def read(self) -> bytes:
            return b"data"

    assert contents(Body())[0] == b"data"


def test_jpeg_is_coefficients_but_an_image_is_pixels(photo: Image.Image, tmp_path: Path) -> None:
    data = encoded(photo, "JPEG", quality=90)
    path = tmp_path / "name.png"
    path.write_bytes(data)
    source = load(path)
    assert source.kind == "jpeg"
    assert source.image is not None
    with Image.open(path) as image:
        assert np.array_equal(source.planes(), planes(np.asarray(image)))
        assert load(image).kind == "pixels"


def png16(array: np.ndarray) -> bytes:
    """Return a PNG of uint16 samples. Pillow does not write 16-bit colour."""
    height, width, channels = array.shape
    rows = array.astype(">u2").tobytes()
    step = 2 * width * channels
    body = b"".join(b"\0" + rows[i : i + step] for i in range(0, len(rows), step))

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_png_keeps_all_bits(channels: int) -> None:
    array = np.random.default_rng(1).integers(0, 65536, (13, 17, channels)).astype(np.uint16)
    if channels == 4:
        array[:, :, 3] = 65535  # opaque
    data = png16(array)
    wanted = planes(array)[: min(channels, 3)]
    for source in (load(data), load(Image.open(io.BytesIO(data)))):
        codes = source.planes()
        assert codes.dtype == np.uint16
        assert np.array_equal(codes, wanted)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bit_tiff_keeps_all_bits(byteorder: str, compression: str | None) -> None:
    tifffile = pytest.importorskip("tifffile")
    array = np.random.default_rng(1).integers(0, 65536, (13, 17, 3)).astype(np.uint16)
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, byteorder=byteorder, compression=compression, photometric="rgb")
    codes = load(stream.getvalue()).planes()
    assert codes.dtype == np.uint16
    assert np.array_equal(codes, planes(array))


def test_modes(photo: Image.Image) -> None:
    gray = photo.convert("L")
    assert np.array_equal(load(encoded(gray, "PNG")).planes(), np.asarray(gray)[None])
    palette = photo.convert("P")
    assert np.array_equal(load(encoded(palette, "PNG")).planes(), planes(np.asarray(palette.convert("RGB"))))
    opaque = photo.convert("RGBA")
    assert np.array_equal(load(encoded(opaque, "PNG")).planes(), planes(np.asarray(photo)))
    bilevel = gray.convert("1")
    assert set(np.unique(load(encoded(bilevel, "PNG")).planes())) == {0, 255}
    webp = encoded(photo, "WEBP", lossless=True)
    assert np.array_equal(load(webp).planes(), planes(np.asarray(photo)))
    assert load(np.asarray(photo) / 255.0).planes().dtype == np.float32


def test_transparency_needs_a_background(photo: Image.Image) -> None:
    alpha = np.asarray(Image.linear_gradient("L").resize(photo.size)).copy()
    alpha[0] = 0
    photo.putalpha(Image.fromarray(alpha))
    data = encoded(photo, "PNG")
    with pytest.raises(UnsupportedError, match="transparent"):
        load(data)
    black, white = load(data, background="black").planes(), load(data, background="#fff").planes()
    assert (white[:, 0] == 255).all()
    assert (black[:, 0] == 0).all()


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue", "green")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_more_than_one_picture_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedError, match="3 frames or pages"):
        load(animation(kind))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"GIF89a", "cannot be read|not an image"),
        (b"hello", "not an image"),
        (b"\xff\xd8\xff", ""),
        (b"\x89PNG\r\n\x1a\n", ""),
        (b"RIFF\0\0\0\0WEBPVP8 ", ""),
        (b"II*\0\x08\0\0\0\x01\0", ""),
    ],
)
def test_no_picture(data: bytes, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings about the broken TIFF
        with pytest.raises(FormatError, match=words) as caught:
            load(data, name="some.file")
    assert str(caught.value).startswith("some.file: ")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM"])
def test_cut_files_end_in_a_clear_error(photo: Image.Image, kind: str) -> None:
    data = encoded(photo, kind)
    for share in (0.02, 0.5, 0.9):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                source = load(data[: int(share * len(data))])
            except FormatError:
                continue
        assert source.planes().shape == (3, 96, 128), kind  # 90 % of the GIF hold all rows


def test_limits(photo: Image.Image) -> None:
    for kind in ("PNG", "JPEG"):
        with pytest.raises(LimitError, match="128 x 96 pixels are more than the limit of 10000"):
            load(encoded(photo, kind), max_pixels=10_000)
    with pytest.raises(LimitError, match="128 x 96"):
        load(photo, max_pixels=10_000)
    with pytest.raises(LimitError, match="65501 x 1"):
        load(np.zeros((1, 65501), np.uint8))


def test_what_is_no_picture_in_python() -> None:
    with pytest.raises(TypeError, match="opened as text"):
        load(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not int"):
        load(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        load(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(TypeError, match="int32"):
        load(np.zeros((4, 4), np.int32))
    with pytest.raises(FileNotFoundError):
        load("missing.png")


def test_a_picture_without_pixels() -> None:
    with pytest.raises(FormatError, match="0 x 5 pixels; both must be at least 1"):
        load(Image.new("RGB", (0, 5)))


def test_external_programs_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    def started(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(subprocess, "Popen", started)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(UnsupportedError, match="EPS"):
        load(eps)


def test_only_ff_d8_ff_is_a_jpeg() -> None:
    assert is_jpeg(b"\xff\xd8\xff\xe0")
    assert not is_jpeg(b"\xff\xd8")


# --- metadata of pixels ---

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>'


def exif_with_gps(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8825)[1] = "N"
    loaded = Image.Exif()  # Pillow writes GPS data into TIFF only if it came from a file
    loaded.load(exif.tobytes())
    return loaded


def segments_of(source: Source, **policy: Any) -> dict[str, Segment]:
    segments = source.carried(Policy.of(**policy)).segments
    assert kind_of(segments[0]) == "jfif"
    return {kind_of(segment): segment for segment in segments}


def reread(source: Source, photo: Image.Image, **policy: Any) -> Image.Image:
    """Return a JPEG with the source's segments, opened by Pillow."""
    body = encoded(photo, "JPEG")
    head = b"".join(
        bytes((0xFF, s.marker)) + struct.pack(">H", len(s.payload) + 2) + s.payload
        for s in source.carried(Policy.of(**policy)).segments
    )
    return Image.open(io.BytesIO(b"\xff\xd8" + head + body[2:]))


def png_with_everything(photo: Image.Image) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return encoded(photo, "PNG", exif=exif_with_gps(), icc_profile=ICC, pnginfo=info, dpi=(300, 300))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_metadata_is_carried(photo: Image.Image, kind: str) -> None:
    options: dict[str, Any] = {"exif": exif_with_gps(), "icc_profile": ICC, "xmp": XMP, "dpi": (300, 300)}
    if kind == "TIFF":
        options["exif"][700] = XMP
    data = png_with_everything(photo) if kind == "PNG" else encoded(photo, kind, **options)
    source = load(Image.open(io.BytesIO(data)) if kind == "JPEG" else data)
    assert source.kind == "pixels"
    again = reread(source, photo)
    if kind == "TIFF":  # Pillow applies the Orientation of a TIFF
        assert (source.height, source.width) == (128, 96)
        assert 0x0112 not in again.getexif()
    else:
        assert again.getexif()[0x0112] == 6
    assert again.getexif()[0x010F] == "Maker"
    assert again.getexif().get_ifd(0x8825)[1] == "N"
    assert again.info["icc_profile"] == ICC
    assert again.info["xmp"] == XMP
    if kind != "WEBP":  # WebP stores no resolution
        assert tuple(map(round, again.info["dpi"])) == (300, 300)


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        (2, 1, (2, 1)),
        (11, 4_000_000_000, (1, 65535)),
        (3, 3, (1, 1)),
        (0, 5, (1, 1)),
        (90_000, 60_000, (3, 2)),
    ],
)
def test_the_aspect_of_pixels_is_carried(photo: Image.Image, x: int, y: int, found: tuple[int, int]) -> None:
    """PNG and TIFF can have a resolution without a unit, as JFIF can."""
    chunk = b"pHYs" + struct.pack(">IIB", x, y, 0)
    chunk = struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk))
    png = encoded(photo, "PNG")
    tiff = encoded(photo, "TIFF", tiffinfo={282: float(x), 283: float(y), 296: 1})
    for data in (png[:33] + chunk + png[33:], tiff):
        assert segments_of(load(data))["jfif"].payload[7:12] == b"\0" + struct.pack(">HH", *found)


def test_metadata_follows_the_policy(photo: Image.Image) -> None:
    source = load(png_with_everything(photo))
    assert set(segments_of(source)) == {"jfif", "exif", "xmp", "icc"}
    assert set(segments_of(source, strip=("xmp", "icc"))) == {"jfif", "exif"}
    without = reread(source, photo, strip=("exif",)).getexif()
    assert dict(without) == {0x0112: 6}
    no_gps = reread(source, photo, strip=("gps",)).getexif()
    assert no_gps[0x010F] == "Maker"
    assert not no_gps.get_ifd(0x8825)
    assert set(segments_of(source, strip=("all",))) == {"jfif", "exif", "icc"}  # Orientation, colours


def test_tiff_tags_of_its_storage_stay_behind(photo: Image.Image) -> None:
    written = Image.Exif()
    written[0x010F] = "Maker"
    data = encoded(photo, "TIFF", exif=written, compression="tiff_lzw")
    exif = reread(load(data), photo).getexif()
    assert exif[0x010F] == "Maker"
    assert not set(exif) & {256, 257, 258, 259, 262, 273, 277, 278, 279, 282, 283}


def test_texts_of_windows_in_tiff(photo: Image.Image) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (0x9C9B, 0x9C9D):
        tags.tagtype[tag] = 1
        tags[tag] = "Ada\0".encode("utf-16-le")
    data = encoded(photo, "TIFF", tiffinfo=tags)
    assert {0x9C9B, 0x9C9D} <= set(reread(load(data), photo).getexif())
    kept = guetzpy.optimize(data, strip="all", keep="copyright", effort="fast").data
    with Image.open(io.BytesIO(kept)) as picture:
        assert set(picture.getexif()) == {0x9C9D}


@pytest.mark.filterwarnings("ignore:Metadata Warning")
@pytest.mark.parametrize("kind", [1, 4, 7])
def test_iptc_of_tiff(photo: Image.Image, kind: int) -> None:
    """Many programs write it as numbers of 32 bits (LONG, 4), among them ExifTool and Photoshop."""
    iptc = b"\x1c\x02\x05\x00\x07A title"
    value = struct.unpack("<3I", iptc) if kind == 4 else iptc
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, np.asarray(photo), photometric="rgb", extratags=[(33723, kind, len(value), value, True)]
    )
    source = load(stream.getvalue())
    segment = segments_of(source)["iptc"]
    assert segment.payload.startswith(b"Photoshop 3.0\x008BIM\x04\x04")
    assert iptc in segment.payload
    resources = reread(source, photo).info["photoshop"]
    assert resources[0x0404] == iptc


def test_nothing_to_carry(photo: Image.Image, photo_array: np.ndarray) -> None:
    for source in (load(photo_array), load(encoded(photo, "PNG"))):
        assert set(segments_of(source)) == {"jfif"}
